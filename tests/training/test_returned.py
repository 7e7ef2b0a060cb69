"""History and card say what the SAE is that is given back."""

from __future__ import annotations

import pytest
import torch
from toy import SMALL, ToyModel, texts

import saelab as sl
from saelab import models
from saelab.formats.publish import card

TEXTS = texts(400)


@torch.no_grad()
def direct(sae, model):
    """Explained variance and L0 of an SAE on all the text, by a pass of one's own."""
    rows = models.tokenize_texts(model, TEXTS)
    parts = []
    for batch in rows.batches():
        found = models.run_to_hooks(model, batch.ids, ["first"], batch.mask)["first"]
        parts.append(found[models.valid_mask(model, batch.ids, batch.mask)])
    x = torch.cat(parts)
    codes = sae.encode_sparse(x)
    error = (x - sae.decode(codes)).square().sum() / (x - x.mean(0)).square().sum()
    return 1 - float(error), float(codes.l0().float().mean())


@pytest.mark.parametrize("normalize", ["none", "scale"])
@pytest.mark.parametrize(
    ("arch", "ema"),
    [("topk", 0.99), ("relu", 0.9), ("batchtopk", 0.0), ("matryoshka", 0.0), ("batchtopk", 0.99)],
)
def test_D21_the_last_line_is_of_the_sae_that_is_returned(arch, ema, normalize, tmp_path):
    model = ToyModel()
    sae = sl.train(
        model,
        TEXTS,
        **{**SMALL, "tokens": 8000, "buffer": 6000},
        arch=arch,
        ema=ema,
        normalize=normalize,
        lr=0.02,
    )
    last = sae.history.iloc[-1]
    explained, l0 = direct(sae, model)
    assert last["explained_variance"] == pytest.approx(explained, abs=0.02)
    assert last["fvu"] == pytest.approx(1 - last["explained_variance"])
    assert last["l0"] == pytest.approx(l0, rel=0.03)
    page = sae._repr_html_()
    assert f"{last['explained_variance']:.3f}" in page
    assert f"{last['l0']:.1f}" in page
    pushed = card(sae, sae.save(tmp_path / "mine"), "org/mine", "mit")
    assert f"{last['explained_variance']:.4f}" in pushed
    assert f"{last['l0']:.1f}" in pushed


def test_D21_a_plain_run_keeps_its_curves():
    sae = sl.train(ToyModel(), TEXTS, **SMALL)
    assert sae.history["l0"].iloc[-1] == 4.0
    assert sae.history["step"].iloc[-1] == 40


def test_D21_with_ema_the_raw_weights_are_not_described():
    weights = {}

    def look(trainer):
        weights["raw"] = {n: p.detach().clone() for n, p in trainer.sae.named_parameters()}

    model = ToyModel()
    sae = sl.train(model, TEXTS, **SMALL, ema=0.999, lr=0.02, on_log=look)
    mean = direct(sae, model)[0]
    shown = sae.history["explained_variance"].iloc[-1]
    with torch.no_grad():
        for n, p in sae.named_parameters():
            p.copy_(weights["raw"][n])
    raw = direct(sae, model)[0]
    assert abs(raw - mean) > 0.01  # else the test says nothing
    assert abs(shown - mean) < abs(shown - raw) / 3

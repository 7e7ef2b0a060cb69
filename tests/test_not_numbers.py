"""A model that gives NaN or infinity, and one that predicts no next token, at every door."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
import torch
from helpers import random_sae, tiny_folder

import saelab as sl
from saelab import models
from saelab.errors import SaelabError

HOOK = "blocks.0.hook_resid_post"
TEXTS = ["The red fox ran over the hill", "an ant sat on a log", "12 + 34 = 46"]
TRAIN = {"hook": HOOK, "d_sae": 32, "k": 4, "tokens": 64, "batch": 16, "progress": False}


def doors(model, sae, folder):
    """Every public call that reads a model's activations."""
    return {
        "evaluate": lambda: sl.evaluate(model, sae, TEXTS, progress=False),
        "index": lambda: sl.LatentIndex.build(model, sae, TEXTS, progress=False),
        "heatmap": lambda: sl.heatmap(model, sae, TEXTS[0]),
        "effects": lambda: sl.effects(model, sae, TEXTS[0], 1),
        "effect_map": lambda: sl.effect_map(model, sae, TEXTS[0], 1),
        "attribute": lambda: sl.attribute(model, sae, TEXTS[0]),
        "train": lambda: sl.train(model, TEXTS, **TRAIN),
        "store": lambda: sl.ActivationStore.write(model, TEXTS, HOOK, folder / "store", progress=False),
    }


@contextlib.contextmanager
def giving(model, value, hook=HOOK, where=slice(None)):
    """The model with ``value`` at a hook point, at some positions."""

    def spoil(x):
        x = x.clone()
        x[:, where] = value
        return x

    with models.hooked(model, {hook: spoil}):
        yield


DOORS = list(doors(None, None, None))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("door", DOORS)
def test_D18_a_model_that_gives_no_number_is_named_with_hook_point_position_and_text(
    tiny, tmp_path, door, value
):
    with giving(tiny, value), pytest.raises(SaelabError) as raised:
        doors(tiny, random_sae(), tmp_path)[door]()
    said = str(raised.value)
    assert f"hook point '{HOOK}' of model" in said
    assert f"is {value} at position" in said
    assert any(text[:8] in said for text in TEXTS)


@pytest.mark.parametrize("door", [d for d in DOORS if d not in ("train", "store")])
def test_D18_one_position_is_enough_and_is_named(tiny, tmp_path, door):
    with (
        giving(tiny, torch.nan, where=slice(3, 4)),
        pytest.raises(SaelabError, match=r"is nan at position 3 \('"),
    ):
        doors(tiny, random_sae(), tmp_path)[door]()


@pytest.mark.parametrize("door", ["evaluate", "effects", "effect_map", "attribute"])
def test_D18_what_breaks_behind_the_hook_point_is_named_too(tiny, tmp_path, door):
    with (
        giving(tiny, torch.nan, "blocks.1.hook_resid_post"),
        pytest.raises(SaelabError, match="is nan at position"),
    ):
        doors(tiny, random_sae(), tmp_path)[door]()


def test_D18_a_reconstruction_that_is_no_number_is_named(tiny):
    sae = random_sae()
    with torch.no_grad():
        sae.b_dec[3] = torch.inf
    with pytest.raises(SaelabError, match=f"the SAE's reconstruction at '{HOOK}'.* at position 1"):
        sl.evaluate(tiny, sae, TEXTS, progress=False)


def test_D18_float16_for_a_model_that_is_known_to_overflow_is_said(tmp_path):
    from transformers import AutoTokenizer, GemmaConfig, GemmaForCausalLM

    config = GemmaConfig(
        vocab_size=384, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=32, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), models.load.quiet_loading():
        GemmaForCausalLM(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(tiny_folder()).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"activations of gemma models grow beyond 65,504.*bfloat16"):
        sl.load_model(tmp_path, dtype="float16")
    sl.load_model(tmp_path, dtype="bfloat16")  # and nothing is said


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A random BERT."""
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=384, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.3, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), models.load.quiet_loading():
        torch.manual_seed(0)
        BertForMaskedLM(config).save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_folder()).save_pretrained(folder)
    return sl.load_model(folder)


LOSSES = [m for m in sl.evaluation.metrics.BY_NAME if m.startswith(("ce_", "kl_", "loss_recovered"))]


def test_D24_an_encoder_has_no_next_token_loss_in_any_view(encoder):
    sae = random_sae(hook_in="blocks.0.hook_out")
    report = sl.evaluate(encoder, sae, TEXTS, progress=False)
    assert report.explained_variance is not None
    assert report.predictions == 0
    assert "the losses are undefined: this model is an encoder and predicts no next token" in report.notes
    frame, data, page = report.to_frame(), json.loads(report.to_json()), report._repr_html_()
    for name in LOSSES:
        assert getattr(report, name) is None
        assert frame.loc[name, "value"] is None
        assert frame.loc[name, "low"] is None
        assert data[name] is None
        assert f">{name}</td>" in page
        assert page.split(f">{name}</td>")[1].split("</td>")[0].endswith(">undefined")
    assert "encoder" in page


def test_D24_effects_on_an_encoder_have_no_loss(encoder):
    sae = random_sae(hook_in="blocks.0.hook_out")
    found = sl.effects(encoder, sae, TEXTS[0], int(sl.heatmap(encoder, sae, TEXTS[0]).latents[0]))
    assert found["loss"].isna().all()
    assert found["loss_diff"].isna().all()
    assert (found["kl"] > 0).any()
    page = sl.widgets.EffectMap(found).fallback()
    assert "undefined" in page
    assert "+0" not in page


def test_D24_what_needs_a_next_token_is_refused(encoder):
    sae = random_sae(hook_in="blocks.0.hook_out")
    for call in (
        lambda: sl.attribute(encoder, sae, TEXTS[0]),
        lambda: sl.generate(encoder, sae, TEXTS[0], {1: 1.0}, max_new_tokens=2),
        lambda: sl.sweep(encoder, sae, TEXTS[0], [1], [1.0], max_new_tokens=2, progress=False),
    ):
        with pytest.raises(SaelabError, match="is an encoder, which sees the tokens on both sides"):
            call()
    found = sl.attribute(encoder, sae, TEXTS[0], metric=lambda logits: logits[2, 5], check=2)
    assert np.isfinite(found.frame["attribution"]).all()


def test_D24_models_that_predict_are_told_from_those_that_do_not(tiny, encoder):
    for model, predicts in ((tiny, True), (encoder, False)):
        ids = torch.tensor([[0, 5, 7], [0, 5, 9]])
        with torch.no_grad():
            logits = models.forward(model, ids)[:, 1]  # before the token that differs
        assert torch.allclose(logits[0], logits[1], atol=1e-6) is predicts
        assert models.predicts_next(model) is predicts


def test_D58_an_sae_that_gives_no_number_is_not_indexed_as_silent(tiny):
    sae = random_sae()
    with torch.no_grad():
        sae.W_enc[0, 5] = torch.nan
    store = sl.ActivationStore.of({HOOK: torch.randn(20, 16)})
    for model, texts in ((tiny, TEXTS), (None, store)):
        with pytest.raises(
            SaelabError, match="SAE's latents are NaN or infinite.*finite: look at its weights"
        ):
            sl.LatentIndex.build(model, sae, texts, progress=False)
    with pytest.raises(SaelabError, match="reconstruction"):
        sl.evaluate(tiny, sae, TEXTS, progress=False)
    assert sl.effects(tiny, random_sae(), TEXTS[0], 5)["activation"].notna().all()
    for by in ("decoder", "encoder"):
        with torch.no_grad():
            sae.W_dec[1, 1] = torch.inf
        with pytest.raises(SaelabError, match=f"{by} directions hold NaN"):
            sl.match(sae, random_sae(), by=by)


def test_D58_a_metric_that_is_no_number_is_refused(tiny):
    with pytest.raises(SaelabError, match="one number, a finite one"):
        sl.attribute(tiny, random_sae(), TEXTS[0], metric=lambda logits: (logits * torch.nan).sum())

"""Substitution: a partner that is the latent itself changes nothing, one that does nothing changes as ablation does."""

import numpy as np
import pytest
import torch

import saelab as sl
from tests.helpers import random_sae, shared_tiny

HOOK = "blocks.0.hook_resid_post"
_RNG = np.random.default_rng(0)
TEXTS = ["".join(_RNG.choice(list("abcdefgh "), 30)) for _ in range(24)]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    model = shared_tiny()
    saes = [random_sae(hook_in=HOOK), random_sae(hook_in=HOOK)]
    with torch.no_grad():
        saes[1].W_dec[5:] = 0  # latents from 5 on write nothing
    folder = tmp_path_factory.mktemp("pair")
    return [
        sl.LatentIndex.build(model, s, TEXTS, path=folder / str(i), progress=False)
        for i, s in enumerate(saes)
    ]


def test_an_identical_pair_changes_the_loss_by_nothing(pair):
    a, _ = pair
    frame = sl.match(a, a, by="substitution", n=4).frame
    assert (frame["partner"] == frame.index).all()
    assert frame["loss_substituted"].abs().max() == 0
    assert frame["kl_substituted"].abs().max() < 1e-6
    assert (frame["kl_ablated"] > 0).any()
    assert frame["score"].to_numpy() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("few", [1, 2, 4])
def test_an_identical_pair_of_few_latents_is_matched_or_the_result_says_why_not(few, pair):
    a, _ = pair
    latents = np.argsort(-a.counts, kind="stable")[:few].tolist()
    found = sl.match(a, a, by="substitution", latents=latents, n=2)
    frame, (draws,) = found.frame, set(found.null_frame.groupby("latent").size())
    assert not found.null_frame["score"].isna().all()
    assert (frame["q"] >= 1 / (few * draws) - 1e-6).all()
    assert draws == min(20, max(4, -(-20 // few)), (a.counts > 0).sum() - 1)
    assert frame["matched"].all() or "allow no q below" in repr(found)
    assert f"{draws} for each latent" in repr(found)
    assert len(found.back) == 0
    once = sl.match(a, a, by="substitution", latents=latents, n=1, draws=1)
    assert not once.frame["matched"].any()
    assert f"no q below {1 / few:.2g}, so no match" in once._repr_html_()
    assert "no match" not in repr(sl.match(a, a, by="substitution", latents=latents, n=1, fdr=0.5))


def test_no_more_is_drawn_than_there_are_partners(tmp_path):
    """A draw that is missing is none that chance lost."""
    few, one = (
        sl.LatentIndex.build(
            shared_tiny(),
            random_sae(hook_in=HOOK, d_sae=d, k=1),
            TEXTS,
            path=tmp_path / str(d),
            progress=False,
        )
        for d in (6, 1)
    )
    live = np.flatnonzero(few.counts)
    found = sl.match(few, few, by="substitution", latents=live[:1].tolist(), n=1)
    assert 1 < len(live) == len(found.null_frame) + 1
    assert found.null_frame["score"].notna().all()
    assert not found.frame["matched"].any()
    assert f"no q below {1 / (len(live) - 1):.2g}" in repr(found)
    with pytest.raises(sl.SaelabError, match="only one latent of b fires"):
        sl.match(one, one, by="substitution", n=1)


def test_a_partner_that_writes_nothing_is_an_ablation(pair):
    a, b = pair
    silent = [i for i in np.flatnonzero(a.counts).tolist() if i >= 5]
    frame = sl.match(a, b, by="substitution", latents=silent, n=4, draws=2).frame
    nothing = frame[frame["partner"] >= 5]
    assert len(nothing)
    np.testing.assert_allclose(nothing["kl_substituted"], nothing["kl_ablated"], rtol=1e-5)
    np.testing.assert_allclose(nothing["loss_substituted"], nothing["loss_ablated"], atol=1e-6)
    assert nothing["score"].abs().max() < 1e-4


def test_ablation_is_that_of_effects(pair):
    """Where a latent fires in one text alone, its KL here is that of :func:`saelab.effects` at those positions."""
    a, _ = pair
    latent = int(np.argmax(a.counts))
    row = int(a.rows.locate(a.postings(latent).token[[np.argmax(a.postings(latent).value)]])[0][0])
    found = sl.match(a, a, by="substitution", latents=[latent], n=1).frame.loc[latent]
    effects = sl.effects(a.model, a.sae, a.rows[row].tolist(), latent).frame
    assert found["kl_ablated"] == pytest.approx(effects["kl"][effects["edited"]].mean(), rel=1e-4)


def test_what_substitution_needs_is_said(pair):
    a, b = pair
    bare = sl.LatentIndex.open(a.path)
    with pytest.raises(sl.SaelabError, match="needs the model"):
        sl.match(bare, b, by="substitution")
    with pytest.raises(sl.SaelabError, match="out of range"):
        sl.match(a, b, by="substitution", latents=[99])
    with pytest.raises(sl.SaelabError, match="latent"):
        sl.match(a, b, by="substitution", latents=[[1]])
    some = [int(i) for i in np.argsort(-a.counts)[1:3]]
    found = sl.match(a, b, by="substitution", n=1, latents=some)
    assert len(found.pair(some[0]))
    assert found.compare(some[0]).payload["latent"] == some[0]
    other = next(i for i in range(a.d_sae) if i not in some)
    for call, word in (
        (found.pw_mcc, "assigns all latents"),
        (found.splits, "latents of a alone"),
        (lambda: found.unmatched("b"), "latents of a alone"),
        (lambda: found.compare(other), "was not tried"),
    ):
        with pytest.raises(sl.SaelabError, match=word):
            call()

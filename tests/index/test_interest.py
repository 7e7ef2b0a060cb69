"""What a reader may find interesting: planted latents of each kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import saelab as sl
from saelab.errors import SaelabError


@pytest.fixture(scope="module")
def planted():
    """400 documents of 60 labels out of 200, and an index of four latents: one for a label; one for it after some others;
    one for whatever stands in every eighth document; one for chance."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 200, (400, 60))
    words[:, ::6] = 7
    before = np.roll(words, 1, axis=1)
    fires = np.zeros((400, 60, 5), np.float32)
    fires[..., 0] = words == 7
    fires[..., 1] = (words == 7) & (before < 40)
    fires[::8, :, 2] = rng.random((50, 60)) < 0.4
    fires[..., 3] = rng.random((400, 60)) < 0.02
    fires[0, :9, 4] = 1
    sae = sl.SAE(sl.SAEConfig(arch="relu", d_in=5, d_sae=5, hook_in="planted"))
    with torch.no_grad():
        for name, value in (("W_enc", torch.eye(5)), ("W_dec", torch.eye(5)), ("b_enc", 0), ("b_dec", 0)):
            getattr(sae, name).copy_(torch.as_tensor(value))
    where = np.stack(np.meshgrid(np.arange(400), np.arange(60), indexing="ij"), -1).reshape(-1, 2)
    store = sl.ActivationStore.of(
        {"planted": fires.reshape(-1, 5)}, where=where, labels=[f" w{i}" for i in words.ravel()]
    )
    return sl.LatentIndex.build(None, sae, store, progress=False), words, fires


def test_planted_latents_are_of_their_kind(planted):
    index, words, fires = planted
    found = index.interest()
    assert found["kind"].tolist() == ["token", "context", "topic", "mixed", "rare"]
    assert found["n"].tolist() == (fires > 0).sum((0, 1)).tolist()
    assert found["lookup_f1"][0] == 1
    share = np.bincount(words[fires[..., 3] > 0], minlength=200) / found["n"][3]
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    assert found["tokens"].tolist()[:4] == pytest.approx(
        [1, 1, found["tokens"][2], np.exp(entropy)]
    )  # as defined
    assert found["burst"][3] == pytest.approx(1, abs=0.3)  # chance
    assert found["burst"][2] == pytest.approx(8, rel=0.1)  # every eighth document


def test_a_latent_that_never_fires_is_not_called_rare(planted):
    index, _, _ = planted
    assert index.interest(documents=[5, 6])["kind"][4] == "never fires"


def test_burst_is_how_much_more_often_two_firings_are_of_one_document(planted):
    index, words, fires = planted
    found = index.interest()
    n, per_document = found["n"][3], (fires[..., 3] > 0).sum(1)
    chance = 400 * 60 * 59 / (24000 * 23999)  # that two positions are of one document
    assert found["burst"][3] == pytest.approx(
        (per_document * (per_document - 1)).sum() / (n * (n - 1)) / chance
    )
    two = index.interest(
        documents=[*np.flatnonzero(per_document == 1)[:2], *np.flatnonzero(per_document == 0)[:2]]
    )
    assert two["n"][3] == 2  # in two documents
    assert two["burst"][3] == 0
    assert two["tokens"][3] in (1, pytest.approx(2))
    one = index.interest(
        documents=[*np.flatnonzero(per_document == 1)[:1], *np.flatnonzero(per_document == 0)[:2]]
    )
    assert one["n"][3] == 1
    assert one.loc[3, ["burst", "tokens", "lookup_f1"]].isna().all()


def test_a_lookup_is_scored_on_other_documents_than_chose_it(planted):
    index, words, fires = planted
    first = np.zeros(400, bool)
    first[np.random.default_rng(0).permutation(400)[:200]] = True
    y, x = fires[first][..., 3] > 0, fires[~first][..., 3] > 0
    hits, seen = np.bincount(words[first][y], minlength=200), np.bincount(words[first].ravel(), minlength=200)
    order = np.argsort(-hits / np.maximum(seen, 1), kind="stable")
    reached = 2 * np.cumsum(hits[order]) / (np.cumsum(seen[order]) + y.sum())
    said = np.isin(words[~first], order[: int(np.argmax(reached)) + 1])
    want = 2 * (said & x).sum() / (said.sum() + x.sum())
    assert index.interest()["lookup_f1"][3] == pytest.approx(want)
    assert want < reached.max()  # on its own documents chance looks better


def test_documents_can_be_chosen_and_are_said(planted):
    index, _, fires = planted
    half = np.arange(0, 400, 2)
    found = index.interest(documents=half)
    assert found["n"].tolist() == (fires[half] > 0).sum((0, 1)).tolist()
    assert found.attrs["measured_on"] == "200 of 400 documents"
    assert index.kept.all()[1]["burst"] == {"measured_on": "200 of 400 documents"}
    with pytest.raises(SaelabError, match="two documents"):
        index.interest(documents=[3])

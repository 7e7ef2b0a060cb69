"""Places of latents in the plane."""

import copy
import importlib.machinery
import importlib.util

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae

from saelab.errors import SaelabError
from saelab.identity import allow_mismatch
from saelab.index import LatentIndex, maps


@pytest.fixture(scope="module")
def built(tiny):
    return LatentIndex.build(tiny, random_sae(), SENTENCES, progress=False)


@pytest.mark.parametrize("by", ["decoder", "encoder"])
@pytest.mark.parametrize("rows", [7, 1 << 14])
def test_pca_is_the_svd_of_the_unit_directions(built, monkeypatch, by, rows):
    monkeypatch.setattr(maps, "_ROWS", rows)
    got = built.positions("pca", by)
    table = (built.sae.W_dec if by == "decoder" else built.sae.W_enc.T).detach().double().numpy()
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    u, s, _ = np.linalg.svd(unit - unit.mean(0), full_matrices=False)
    for axis in range(2):
        want, have = u[:, axis] * s[axis], got.to_numpy()[:, axis]
        assert abs(np.corrcoef(want, have)[0, 1]) == pytest.approx(1, abs=1e-6)
        assert got.attrs["explained"][axis] == pytest.approx(s[axis] ** 2 / (s**2).sum(), rel=1e-6)
    # both axes have one scale, and the larger fills -1 … 1
    spread = np.ptp(got.to_numpy(), axis=0)
    assert spread.max() == pytest.approx(2, abs=1e-6)
    assert spread[0] / spread[1] == pytest.approx(np.ptp(u[:, 0] * s[0]) / np.ptp(u[:, 1] * s[1]), rel=1e-5)


def test_lengths_do_not_count_and_latents_without_direction_have_no_place(built, tiny):
    sae = copy.deepcopy(built.sae)
    with torch.no_grad():
        sae.W_dec.mul_(torch.linspace(0.1, 5, 64)[:, None])
    allow_mismatch(built, sae)
    index = LatentIndex.open(built.path, sae=sae)
    np.testing.assert_allclose(index.positions(), built.positions(), atol=1e-4)
    with torch.no_grad():
        sae.W_dec[5] = 0
    allow_mismatch(index, sae)  # it is another SAE each time it changes
    places = index.positions()
    assert places.loc[5].isna().all()
    assert places.drop(5).notna().all(axis=None)
    with torch.no_grad():
        sae.W_dec[2:] = 0
    allow_mismatch(index, sae)
    assert index.positions().dropna().to_numpy().tolist() == [[0, 0], [0, 0]]


def test_neighbors_step_down_what_draws_the_near_together_and_others_apart(monkeypatch):
    monkeypatch.setattr(maps, "_EPOCHS", 1)
    monkeypatch.setattr(maps, "_NEAR", 2)
    draw = torch.Generator().manual_seed(1)
    x, begin = torch.randn(6, 3, generator=draw), torch.randn(6, 2, generator=draw)
    x = x / x.norm(dim=1, keepdim=True)
    got = maps._by_neighbors(x, begin.numpy(), seed=0)

    draw = torch.Generator().manual_seed(0)
    y = (5 * begin / begin.std() + 1e-3 * torch.randn(6, 2, generator=draw)).requires_grad_()
    one = torch.arange(6).repeat_interleave(2)
    two = (x @ x.T).fill_diagonal_(-2).topk(2).indices.flatten()
    energy = (y[one] - y[two]).square().sum(1).log1p().sum()
    for _ in range(4):  # only the one that drew is moved
        far = (y[one] - y[torch.randint(6, (12,), generator=draw)].detach()).square().sum(1)
        energy = energy - ((0.01 + far).log() - far.log1p()).sum() / 0.99
    energy.backward()
    np.testing.assert_allclose(got, (y - y.grad / 2).detach(), atol=1e-5)


def test_wrong_names_are_errors(built):
    with pytest.raises(SaelabError, match="unknown method 'pac'.*'pca'"):
        built.positions("pac")
    with pytest.raises(SaelabError, match="unknown by 'decodr'"):
        built.positions(by="decodr")
    if not importlib.util.find_spec("umap"):
        assert maps.default_method(64) == "neighbors"
        assert maps.default_method(99_999) == "pca"
        with pytest.raises(SaelabError, match="pip install umap-learn"):
            built.positions("umap")


def test_umap_is_asked_for_cosines_of_a_seed(built, monkeypatch):
    """UMAP itself is not among the test's packages: what it is called with, and what becomes of its answer."""
    import sys
    import types

    asked = {}

    class Umap:
        def __init__(self, **options):
            asked.update(options)

        def fit_transform(self, x):
            asked["x"] = x
            return np.stack([np.arange(len(x)), np.zeros(len(x))], 1)

    module = types.ModuleType("umap")
    module.UMAP = Umap
    module.__spec__ = importlib.machinery.ModuleSpec("umap", None)
    monkeypatch.setitem(sys.modules, "umap", module)
    places = built.positions("umap", seed=3)
    assert (asked["metric"], asked["random_state"], asked["n_neighbors"]) == ("cosine", 3, 15)
    np.testing.assert_allclose(np.linalg.norm(asked["x"], axis=1), 1, rtol=1e-5)
    assert places["x"].iloc[[0, -1]].tolist() == [-1, 1]
    assert maps.default_method(64) == "umap"

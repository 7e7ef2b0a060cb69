"""Statistics, histograms and top lists of random SAEs of every architecture, by brute force on the dense codes."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae
from hypothesis import given, settings
from hypothesis import strategies as st

from index.test_build import index_dense
from saelab import models
from saelab.index import LatentIndex
from saelab.sae.archs import ARCHS

TEXTS = [*SENTENCES, "a", "the the the the", "the the the the"]
ONE, TWO = "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"
KINDS = {
    **{arch: {"arch": arch} for arch in sorted(ARCHS)},
    "tied": {"arch": "topk", "tied": True},
    "scaled": {"arch": "topk", "normalize": "scale", "scale": 0.4},
    "layer_norm": {"arch": "topk", "normalize": "layer_norm"},
    "floor": {"arch": "topk", "floor": 0.5},
    "transcoder": {"arch": "topk", "hook_out": TWO, "input_bias": "own", "skip": True},
    "crosscoder": {"arch": "relu", "d_in": 32, "hook_in": (ONE, TWO), "widths": (16, 16)},
}


def brute_force(sae, model, rows):
    """(n_tokens, d_sae) float64, one row of text at a time; special tokens are 0."""
    special, out = models.special_ids(model), np.zeros((rows.n_tokens, sae.config.d_sae))
    for i in range(len(rows)):
        ids = torch.from_numpy(np.array(rows[i], dtype=np.int64))[None]
        with torch.no_grad():
            acts = models.run_to_hooks(model, ids, sae.config.hooks)
            z = sae.encode(torch.cat([acts[h] for h in sae.config.hooks], dim=-1))[0].double().numpy()
        z[[t in special for t in rows[i].tolist()]] = 0
        out[rows.offsets[i] : rows.offsets[i + 1]] = z
    return out


def build(sae, model, rows, batch_tokens, shards, folder):
    if shards == 1:
        return LatentIndex.build(
            model, sae, rows, path=folder / "all", batch_tokens=batch_tokens, progress=False
        )
    parts = [folder / f"part{i}" for i in range(shards)]
    for i, part in enumerate(parts):
        LatentIndex.build(
            model, sae, rows, path=part, batch_tokens=batch_tokens, shard=(i, shards), progress=False
        )
    return LatentIndex.merge(parts[::-1], folder / "all")


@pytest.mark.parametrize("kind", KINDS)
@given(
    seed=st.integers(0, 2**20),
    batch_tokens=st.sampled_from([1, 7, 50, 8192]),
    shards=st.sampled_from([1, 2, 3]),
)
@settings(max_examples=3, deadline=None)
def test_equal_brute_force_whatever_the_batches_and_shards(tiny, kind, seed, batch_tokens, shards):
    options = dict(KINDS[kind])
    sae = random_sae(**options, seed=seed, d_sae=48, k=4 if ARCHS[options["arch"]].needs_k else None)
    rows = models.tokenize_texts(tiny, TEXTS)
    folder = Path(tempfile.mkdtemp(prefix="saelab-test-"))
    try:
        index = build(sae, tiny, rows, batch_tokens, shards, folder)
        want, z = brute_force(sae, tiny, rows), index_dense(index).astype(np.float64)
        # a sum of floats depends on the shape of the batch in its last digits, so a value there may be 0 or not
        np.testing.assert_allclose(z, want, atol=2e-5)
        check_statistics(index, z[index.counted])
        for latent in np.flatnonzero((z > 0).any(0))[:12]:
            check_histogram_and_top(index, z[:, latent], int(latent))
    finally:
        shutil.rmtree(folder)


def check_statistics(index, z):
    n, stats = len(z), index.stats()
    fires = (z > 0).sum(0)
    alive = fires > 0
    assert stats["n"].tolist() == fires.tolist()
    assert stats["dead"].tolist() == (~alive).tolist()
    np.testing.assert_allclose(stats["density"], fires / n, rtol=1e-12)
    np.testing.assert_allclose(stats["max"], z.max(0), rtol=1e-12)
    np.testing.assert_allclose(stats["mean"][alive], z.sum(0)[alive] / fires[alive], rtol=1e-9)
    second = (z**2).mean(0)
    np.testing.assert_allclose(stats["mean_sq"], second, rtol=1e-9)
    np.testing.assert_allclose(stats["skew"][alive], (z**3).mean(0)[alive] / second[alive] ** 1.5, rtol=1e-9)
    np.testing.assert_allclose(
        stats["kurtosis"][alive], (z**4).mean(0)[alive] / second[alive] ** 2, rtol=1e-9
    )
    assert stats[["mean", "skew", "kurtosis"]][~alive].isna().all(axis=None)


def check_histogram_and_top(index, a, latent):
    positive = a[a > 0]
    counts, edges = np.histogram(positive, bins=np.linspace(0, positive.max(), 11))
    histogram = index.histogram(latent, 10)
    np.testing.assert_allclose(histogram["hi"], edges[1:], rtol=1e-12)
    assert histogram["count"].tolist() == counts.tolist()
    seen, best = set(), []
    for token in np.argsort(-a, kind="stable"):
        if a[token] <= 0:
            break
        ids, _, centre = index.window(int(token))
        row, _ = index.rows.locate(np.array([token]))
        at_start = int(token) - centre == index.rows.offsets[row[0]]
        key = (ids.tobytes(), centre, at_start)
        if key not in seen:
            seen.add(key)
            best.append((int(token), a[token]))
    top = index.top(latent, 8, one_per_document=False)
    assert list(zip(top["token_index"], top["value"].astype(float), strict=True)) == best[:8]
    assert index.top(latent, 10**4, one_per_document=False)["count"].sum() == len(positive)

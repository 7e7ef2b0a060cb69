from __future__ import annotations

import numpy as np

from saelab.widgets import columns


def unpacked(body: bytes, n: int) -> dict[str, np.ndarray]:
    kinds = {"latent": "<u4", "count": "<u4", "mean": "<f4", "max": "<f4", "token": "<u4"}
    return {k: np.frombuffer(body, t, n, 4 * n * i) for i, (k, t) in enumerate(kinds.items())}


def test_columns_say_what_the_index_says(index):
    body, tokens = columns.pack(index)
    got, want = unpacked(body, index.d_sae), index.to_frame()
    assert len(body) == 20 * index.d_sae
    assert got["latent"].tolist() == list(range(index.d_sae))
    assert got["count"].tolist() == want["n"].tolist()
    np.testing.assert_allclose(got["max"], want["max"], rtol=1e-6)
    np.testing.assert_allclose(got["mean"], want["mean"].fillna(0), rtol=1e-6)
    assert [tokens[t] for t in got["token"]] == want["top_token"].tolist()
    assert len(set(tokens)) == len(tokens)
    assert tokens[0] == ""


def test_some_latents_in_their_order(index):
    body, tokens = columns.pack(index, [7, 3])
    got = unpacked(body, 2)
    assert got["latent"].tolist() == [7, 3]
    assert got["count"].tolist() == index.counts[[7, 3]].tolist()
    assert columns.pack(index, []) == (b"", [""])

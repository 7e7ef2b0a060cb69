"""Statistics of latents, exact: from the full posting lists, summed in float64 when the index was made."""

from __future__ import annotations

from typing import Any

import numpy as np

from saelab import intervals
from saelab.index.columns import Columns
from saelab.index.storage.arrays import blocks, pointers, ranges

_ENTRIES = 1 << 22  # postings looked at together


def density_intervals(index: Columns, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of the densities of ``latents`` (m,), documents being what is counted; NaN where none holds."""
    size = index.documents[1]
    documents = int((size > 0).sum())
    if documents < intervals.LEAST:
        nothing = np.full(len(latents), np.nan)
        return nothing, nothing.copy()
    squares, products, with_hit, full = by_document(index, latents)
    return intervals.of_shares(
        index.counts[latents], size.sum(), squares, products, int((size**2).sum()), documents, with_hit,
        documents - full, float((size / index.copies).sum()),
    )  # fmt: skip


def by_document(index: Columns, latents: np.ndarray) -> np.ndarray:
    """(4, m) of ``latents`` (m,), over documents: sum of hits², of hits times counted tokens, documents with a hit, and
    with nothing but hits."""
    doc, size = index.documents
    in_order = bool((np.diff(doc) >= 0).all())
    ptr, tokens = index.arrays["post_ptr"], index.arrays["post_token"]
    counts = index.counts[latents]
    found = np.zeros((4, len(latents)), np.int64)
    for a, b in blocks(pointers(counts), _ENTRIES):
        token = tokens[ranges(ptr[latents[a:b]], counts[a:b])]
        row = np.searchsorted(index.rows.offsets, token, side="right") - 1
        key = np.repeat(np.arange(a, b), counts[a:b]) * len(size) + doc[row]
        if not in_order:
            key.sort()
        begin = np.flatnonzero(np.diff(key, prepend=-1))
        hits = np.diff(begin, append=len(key))  # of a latent in a document
        latent, where = np.divmod(key[begin], len(size))
        for line, values in zip(
            found, (hits**2, hits * size[where], hits > 0, hits == size[where]), strict=True
        ):
            line += np.bincount(latent, values, minlength=len(latents)).astype(np.int64)
    return found


def columns(index: Columns, latents: np.ndarray) -> dict[str, np.ndarray]:
    """What :meth:`LatentIndex.stats` says of ``latents`` (m,), (m,) each."""
    n, counted = index.counts[latents], index.n_counted
    s1, s2, s3, s4, largest = index.arrays["moments"][latents].T  # sums of a, a², a³, a⁴, and the maximum
    low, high = density_intervals(index, latents)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_sq = s2 / counted if counted else np.full(len(n), np.nan)
        fires = n > 0
        return {
            "n": n,
            "density": n / counted if counted else np.full(len(n), np.nan),
            "density_lo": low,
            "density_hi": high,
            "mean": np.where(fires, s1 / n, np.nan),
            "mean_sq": mean_sq,
            "skew": np.where(fires, s3 / counted / mean_sq**1.5, np.nan),
            "kurtosis": np.where(fires, s4 / counted / mean_sq**2, np.nan),
            "max": largest,
            "dead": ~fires,
        }


def histogram(value: np.ndarray, bins: int, log: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Edges (bins + 1) and counts (bins) of positive activations, from 0 or the smallest to the largest."""
    if len(value) == 0:
        return np.zeros(0), np.zeros(0, np.int64)
    exact = value.astype(np.float64)
    low, high = exact.min(), exact.max()
    if log and low == high:
        return np.array([low, high]), np.array([len(value)])
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(0, high, bins + 1)
    edges[-1] = high
    if log:
        edges[0] = low
    place = np.searchsorted(edges[1:-1], exact, side="right")
    return edges, np.bincount(place, minlength=bins)


def f1(tp: Any, predicted: Any, fires: Any) -> Any:
    """F1 from hits, predictions and firings (numbers or arrays); 0 where there is neither of the last two."""
    return 2 * tp / np.maximum(predicted + fires, 1)


def best_keys(
    n: np.ndarray,
    hits: np.ndarray,
    fires: int,
    *,
    tp: int = 0,
    predicted: int = 0,
    cost: float = 0.0,
    least: int = 1,
) -> np.ndarray:
    """Ids, ascending, of the keys (tokens, pairs) that together have the best F1 beyond ``cost`` each, those of the highest
    rate ``hits / n`` first, beside ``tp`` hits of ``predicted`` places that are predicted already; none if none gains."""
    order = np.flatnonzero(hits >= least)
    order = order[np.lexsort((order, -hits[order], -hits[order] / n[order]))]
    worth = f1(tp + np.cumsum(hits[order]), predicted + np.cumsum(n[order]), fires)
    worth = worth - cost * np.arange(1, len(order) + 1)
    if not len(order) or worth.max() <= f1(tp, predicted, fires):
        return order[:0]
    return np.sort(order[: int(np.argmax(worth)) + 1])

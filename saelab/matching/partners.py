"""The best partner of every latent, without an array of all latents by all latents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

_CELLS = 1 << 21  # pairs of latents looked at together
_COPY = 0.7  # latents of one SAE that are at least so similar share half of what they do
_TOGETHER = 512  # latents, or a few more, whose copies are looked for together

Blocks = Iterator[
    tuple[int, np.ndarray]
]  # the first latent of a, and (few, latents of b) similarities; NaN: none


class Best(NamedTuple):
    """Of each latent: its most similar one of the other SAE (-1: none), how similar it and the second are."""

    partner: np.ndarray
    score: np.ndarray
    second: np.ndarray

    @classmethod
    def none(cls, n: int) -> Best:
        """Nobody has a partner yet."""
        return cls(np.full(n, -1), np.full(n, np.nan), np.full(n, np.nan))


def best_of(blocks: Blocks, n_a: int, n_b: int) -> tuple[Best, Best]:
    """Best partners of the latents of a, and of those of b, in one pass over ``blocks``."""
    a, b = Best.none(n_a), Best.none(n_b)
    top, next_, who = np.full(n_b, -np.inf), np.full(n_b, -np.inf), np.full(n_b, -1)
    for start, similar in blocks:
        few, all_b = np.arange(len(similar)), np.arange(n_b)
        cells = np.where(np.isnan(similar), -np.inf, similar)
        best = cells.argmax(0)  # (n_b) the best of these latents of a for each of b
        first = cells[best, all_b]
        rest = cells.copy()
        rest[best, all_b] = -np.inf
        next_ = np.maximum(np.maximum(next_, rest.max(0)), np.minimum(top, first))
        better = first > top
        who[better], top = start + best[better], np.maximum(top, first)
        best = cells.argmax(1)  # (few)
        place = slice(start, start + len(few))
        a.score[place] = cells[few, best]
        cells[few, best] = -np.inf
        a.partner[place], a.second[place] = best, cells.max(1)
    b.partner[:], b.score[:], b.second[:] = who, top, next_
    for side in (a, b):
        side.partner[np.isneginf(side.score)] = -1
        for values in (side.score, side.second):
            values[np.isneginf(values)] = np.nan
    return a, b


def copies(partner: np.ndarray, alike: Callable[[np.ndarray], Blocks]) -> np.ndarray:
    """(n,) of how many latents of one SAE each is one: they have its partner, and are copies of one another.

    ``alike`` gives the similarities of some latents with one another.
    """
    out = np.ones(len(partner))
    order = np.argsort(partner, kind="stable")
    order = order[partner[order] >= 0]
    if not len(order):
        return out
    begin = np.flatnonzero(np.diff(partner[order], prepend=-1))  # of those with one partner
    for some in np.split(order, begin[1:][np.diff(begin // _TOGETHER) > 0]):
        for start, similar in alike(some):
            these = some[start : start + len(similar)]
            same = (similar >= _COPY) & (partner[these][:, None] == partner[some])
            out[these] = np.maximum(same.sum(1), 1)
    return out


def cosines(a: Tensor, b: Tensor) -> Blocks:
    """Of directions (n_a, d) and (n_b, d); NaN for one of length 0."""
    a, b = (torch.nn.functional.normalize(x.detach().float(), dim=1) for x in (a, b))
    nothing_a, nothing_b = (x.norm(dim=1) == 0 for x in (a, b))
    start = 0
    for part in a.split(max(1, _CELLS // len(b))):
        similar = part @ b.T
        similar[nothing_a[start : start + len(part)]] = torch.nan
        similar[:, nothing_b] = torch.nan
        yield start, similar.cpu().numpy()
        start += len(part)


class Moments(NamedTuple):
    """Per latent, over all positions: mean and standard deviation, of activations that are 0 where it is silent."""

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, values: Any) -> Moments:
        """Of a sparse (positions, latents) array."""
        n = values.shape[0]
        mean = np.asarray(values.sum(0)).ravel() / n
        square = np.bincount(values.indices, values.data.astype(np.float64) ** 2, values.shape[1]) / n
        return cls(mean, np.sqrt(np.maximum(square - mean**2, 0)))


def correlations(a: Any, b: Any) -> Blocks:
    """Pearson's r of sparse activations (positions, n_a) and (positions, n_b), float64 CSR.

    Two latents that never fire together have no partner in each other (NaN): their r is at most 0. One product of
    sparse matrices, a few latents of a at a time.
    """
    n, (mean_a, sd_a), (mean_b, sd_b) = a.shape[0], Moments.of(a), Moments.of(b)
    columns = a.T.tocsr()
    few = max(1, _CELLS // b.shape[1])
    for start in range(0, a.shape[1], few):
        product = (columns[start : start + few] @ b).toarray()
        here = slice(start, start + len(product))
        with np.errstate(divide="ignore", invalid="ignore"):
            r = (product / n - np.outer(mean_a[here], mean_b)) / np.outer(sd_a[here], sd_b)
        r[(product == 0) | ~np.isfinite(r)] = np.nan
        yield start, r


def dense(blocks: Callable[[], Blocks], n_a: int, n_b: int) -> np.ndarray:
    """(n_a, n_b) float32 of all similarities, 0 where there is none: for an assignment of some thousand latents."""
    out = np.zeros((n_a, n_b), np.float32)
    for start, similar in blocks():
        out[start : start + len(similar)] = np.nan_to_num(similar)
    return out

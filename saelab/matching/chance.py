"""What a best score is worth: beside the best scores that chance gives to latents that fire about as often."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_LEAST = 40  # latents in a group of similar rate, so that its mean and spread under chance are known


class Verdict(NamedTuple):
    """Of each latent: the share of chance's best scores (of its group) below its own; its false-discovery rate."""

    quantile: np.ndarray
    q: np.ndarray


def groups_of(rate: np.ndarray | None, n: int, most: int = 10, least: int = _LEAST) -> np.ndarray:
    """(n,) groups of latents of similar rate, equally many in each; one group where rates are not known."""
    if rate is None:
        return np.zeros(n, int)
    groups = min(most, max(1, n // least))
    order = np.argsort(np.argsort(rate, kind="stable"), kind="stable")
    return order * groups // max(n, 1)


def verdict(score: np.ndarray, null: np.ndarray, group: np.ndarray) -> Verdict:
    """Compare best scores (n,) with those of chance (draws, n), group by group.

    Scores are measured in standard deviations of their group under chance, so that latents that fire rarely, which
    agree by chance more easily, are not favored. The false-discovery rate of a score is then the number of chance's
    scores at or above it (one is added, as in knock-offs: Barber and Candès 2015, arXiv 1404.5609), per draw, over
    the number of real ones at or above it, made monotone.
    """
    quantile, q = np.full(len(score), np.nan), np.ones(len(score))
    z, z_null = np.full(len(score), -np.inf), []
    for g in np.unique(group):
        mine = np.flatnonzero((group == g) & np.isfinite(score))
        chance = null[:, group == g]
        chance = np.sort(chance[np.isfinite(chance)])
        if not len(chance):  # chance finds no partner at all for such latents
            quantile[mine], z[mine] = 1.0, np.inf
            continue
        quantile[mine] = np.searchsorted(chance, score[mine]) / len(chance)
        spread = max(float(chance.std()), 1e-9)
        z[mine] = (score[mine] - chance.mean()) / spread
        z_null.append((chance - chance.mean()) / spread)
    pooled = np.sort(np.concatenate(z_null)) if z_null else np.zeros(0)
    order = np.argsort(-z, kind="stable")
    order = order[np.isfinite(score[order])]
    if len(order):
        above = len(pooled) - np.searchsorted(pooled, z[order])  # chance's at or above
        rank = len(order) - np.searchsorted(z[order][::-1], z[order])  # real ones at or above
        raw = (1 + above) / (len(null) * rank)
        q[order] = np.minimum(1, np.minimum.accumulate(raw[::-1])[::-1])
    return Verdict(quantile, q)

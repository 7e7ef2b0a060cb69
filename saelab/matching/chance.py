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


def verdict(score: np.ndarray, null: np.ndarray, group: np.ndarray, copies: np.ndarray | int = 1) -> Verdict:
    """Compare best scores (n,) with those of chance (draws, n), group by group.

    Scores are measured in standard deviations of their group under chance, so that latents that fire rarely, which
    agree by chance more easily, are not favored. The false-discovery rate of a score is then the number of chance's
    scores at or above it (one is added, as in knock-offs: Barber and Candès 2015, arXiv 1404.5609), per draw, over
    the number of real ones at or above it, made monotone. ``copies`` (n,) says of how many latents alike each is one:
    together they count as one, or one chance agreement would be as many discoveries.
    """
    weight = 1 / np.broadcast_to(copies, score.shape)
    quantile, q = np.full(len(score), np.nan), np.ones(len(score))
    z, z_null, weight_null = np.full(len(score), -np.inf), [], []
    for g in np.unique(group):
        mine = np.flatnonzero((group == g) & np.isfinite(score))
        drawn = null[:, group == g]
        known = np.isfinite(drawn)
        chance = np.sort(drawn[known])
        if not len(chance):  # chance finds no partner at all for such latents
            quantile[mine], z[mine] = 1.0, np.inf
            continue
        quantile[mine] = np.searchsorted(chance, score[mine]) / len(chance)
        spread = max(float(chance.std()), 1e-9)
        z[mine] = (score[mine] - chance.mean()) / spread
        z_null.append((drawn[known] - chance.mean()) / spread)
        weight_null.append(np.broadcast_to(weight[group == g], drawn.shape)[known])
    order = np.argsort(-z, kind="stable")
    order = order[np.isfinite(score[order])]
    if len(order):
        pooled = np.concatenate([np.zeros(0), *z_null]), np.concatenate([np.zeros(0), *weight_null])
        above, rank = (_above(*some, z[order]) for some in (pooled, (z[order], weight[order])))
        raw = (1 + above) / (len(null) * rank + 1e-9)  # a sum of shares may be a little less than 1
        q[order] = np.minimum(1, np.minimum.accumulate(raw[::-1])[::-1])
    return Verdict(quantile, q)


def _above(z: np.ndarray, weight: np.ndarray, at: np.ndarray) -> np.ndarray:
    """What those of ``z`` weigh together that are at or above each of ``at``."""
    order = np.argsort(-z)
    return np.r_[0.0, np.cumsum(weight[order])][np.searchsorted(-z[order], -at, side="right")]

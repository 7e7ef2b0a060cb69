"""Blocks: sets of tokens that fire after sets of tokens, proposed from the pairs of the train documents.

A latent often fires on any of some tokens after any of others. Listed pair by pair that is long; here a single
token (or the token before it) is taken with all its partners, then all tokens that fire after these partners
taken together, then all partners of those tokens, which is how dense blocks of a table of pairs are found
(Cheng and Church 2000 grow them the same way). A pair counts as firing if its rate is one at which the F1 of
all such pairs is best, so the blocks of a latent that is hard to tell may be less sure than those of a clear one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.rules import f1
from saelab.n2g.fit.select import Items
from saelab.n2g.graph.tree import Item

_SEEDS = 48  # tokens with most firings, and as many of the tokens before them, that a block is grown from
_LEAST_RATE = 0.2


@dataclass(frozen=True)
class _Pairs:
    """Tokens the latent fires on, the tokens ``d`` before them: how often, and how often it fires."""

    sides: tuple[np.ndarray, np.ndarray]  # (n_pairs,) each: the token, the one before
    n: np.ndarray
    hits: np.ndarray
    size: int

    @classmethod
    def of(cls, c: Corpus, y: np.ndarray, d: int) -> _Pairs:
        ids, size, train = c.tokens.ids, c.tokens.n_vocab, c.train_positions
        fires_on = np.zeros(size, dtype=bool)
        fires_on[ids[train[y[train]]]] = True
        at = train[fires_on[ids[train]] & (c.tokens.place[train] >= d)]
        keys, which = np.unique(ids[at].astype(np.int64) * size + ids[at - d], return_inverse=True)
        n = np.bincount(which, minlength=len(keys))
        return cls((keys // size, keys % size), n, np.bincount(which[y[at]], minlength=len(keys)), size)

    def best_rate(self, fires: int) -> float:
        """The lowest rate a pair may have to raise the F1 of all pairs above it: half of the best F1."""
        order = np.argsort(-self.hits / self.n, kind="stable")
        reached = f1(np.cumsum(self.hits[order]), np.cumsum(self.n[order]), fires)
        return max(float(np.max(reached, initial=0.0)) / 2, _LEAST_RATE)

    def partners(self, side: int, group: np.ndarray, rate: float) -> np.ndarray:
        """(size,) bool: tokens on the other side that fire often enough with those of ``group``, taken together."""
        inside = group[self.sides[side]]
        other = self.sides[1 - side][inside]
        n = np.bincount(other, self.n[inside], minlength=self.size)
        hits = np.bincount(other, self.hits[inside], minlength=self.size)
        return (hits > 0) & (hits >= rate * n)


def blocks(c: Corpus, y: np.ndarray, fires: int, d: int = 1) -> Iterator[Items]:
    """Patterns "one of these, ``d`` tokens after one of those"; ``y``: where the latent fires, ``fires`` times."""
    pairs = _Pairs.of(c, y, d)
    if not len(pairs.n):
        return
    rate = pairs.best_rate(fires)
    wild: Items = (("any", (), 0, 0),) * (d - 1)
    for side in (0, 1):
        often = np.bincount(pairs.sides[side], pairs.hits, minlength=pairs.size)
        for seed in np.argsort(-often, kind="stable")[:_SEEDS]:
            groups = [np.zeros(pairs.size, dtype=bool)] * 2
            groups[side] = groups[side].copy()
            groups[side][seed] = True
            for turn in (side, 1 - side, side):
                groups[1 - turn] = pairs.partners(turn, groups[turn], rate)
                if not groups[1 - turn].any():
                    break
                yield (_any_of(groups[0]), *wild, _any_of(groups[1]))


def _any_of(group: np.ndarray) -> Item:
    return ("tok", tuple(np.flatnonzero(group).tolist()), 0, 0)

"""Which patterns stay: those that are worth their cost on the train and the valid documents together.

Patterns are proposed from the train documents alone. What was seen there once and by chance does not come again
on the valid ones, so counting both keeps it out, and counts twice as much evidence for what is rare.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from saelab.index.stats import best_keys, f1
from saelab.n2g.corpus import Corpus
from saelab.n2g.graph.tree import Item

FEW = 10  # firings in a part below which the text proposes no pattern

_TRIALS = 8  # broad patterns that the choice is tried without

Items = tuple[Item, ...]


@dataclass(frozen=True)
class Costs:
    """F1 that a node and an alternative must each gain."""

    node: float
    alternative: float

    def of(self, items: Iterable[Item]) -> float:
        """Cost of a pattern by itself."""
        return sum(
            self.node * (0.5 if kind == "any" else 1.0) + self.alternative * max(0, len(ids) - 1)
            for kind, ids, _, _ in items
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """A pattern, where it matches on train and valid, and whether the model itself showed it."""

    items: Items
    train: np.ndarray
    valid: np.ndarray
    probed: bool

    @cached_property
    def at(self) -> np.ndarray:
        """Matches in both parts."""
        return np.concatenate([self.train, self.valid])


class Counted:
    """Hits and predictions of what is explained so far, on the positions that are ``known`` (n_tokens,)."""

    def __init__(self, y: np.ndarray, known: np.ndarray, explained: Iterable[np.ndarray]):
        self.y, self.free = y, known.copy()
        for at in explained:
            self.free[at] = False
        self.fires = int((y & known).sum())
        self.least = 2 if self.fires >= 50 else 1  # hits of a pair, or of a token of a rule
        taken = known & ~self.free
        self.tp, self.predicted = int((y & taken).sum()), int(taken.sum())

    def take(self, at: np.ndarray) -> None:
        """Count what a pattern predicts, (n_tokens,) bool."""
        at = at & self.free
        self.tp, self.predicted = self.tp + int((at & self.y).sum()), self.predicted + int(at.sum())
        self.free &= ~at

    def best(self, keys: np.ndarray, cost: float, least: int) -> np.ndarray:
        """The keys (numbers of tokens or pairs, by position) that together gain most F1 beyond ``cost`` each."""
        size = int(keys.max()) + 1
        n, hits = (np.bincount(keys[at], minlength=size) for at in (self.free, self.free & self.y))
        return best_keys(n, hits, self.fires, tp=self.tp, predicted=self.predicted, cost=cost, least=least)


class Selector:
    """Chooses among candidates for one latent.

    Attributes
    ----------
    y
        (n_tokens,) bool, where the latent fires.
    """

    def __init__(self, c: Corpus, latent: int, costs: Costs):
        self.c, self.costs = c, costs
        at, _, part = c.truth(latent)
        self.y = np.zeros(len(c.tokens), dtype=bool)
        self.y[at] = True
        self.fires = int((part == 0).sum())
        self.fires_valid = int((part == 1).sum())
        self.fires_both = self.fires + self.fires_valid
        self.pool: dict[Items, Candidate] = {}

    def add(self, patterns: Iterable[Items], probed: bool) -> None:
        """Further candidates."""
        for items in patterns:
            if items not in self.pool:
                at = self.c.tokens.match(items)
                part = self.c.part[at]
                self.pool[items] = Candidate(items, at[part == 0], at[part == 1], probed)

    def on_train(self) -> Selector:
        """The same candidates, to be chosen by what they do on the train documents alone."""
        other = copy(self)
        other.fires_both = self.fires
        other.pool = {items: replace(p, valid=p.valid[:0]) for items, p in self.pool.items()}
        return other

    def choose(self) -> list[Candidate]:
        """Greedy choice, made again without one of its broad patterns as long as that is better.

        A broad pattern taken early hides the narrow ones that would have done the same with fewer false alarms.
        """
        banned: set[Items] = set()
        chosen = self.greedy(banned)
        worth = self._worth(chosen)
        for _ in range(_TRIALS):
            broad = self._broadest(chosen, banned)
            if broad is None:
                break
            banned.add(broad.items)
            other = self.greedy(banned)
            value = self._worth(other)
            if value > worth:
                chosen, worth = other, value
        return chosen

    def _worth(self, chosen: Sequence[Candidate]) -> float:
        if not chosen:
            return 0.0
        at = np.unique(np.concatenate([p.at for p in chosen]))
        value = float(f1(int(self.y[at].sum()), len(at), self.fires_both))
        return value - sum(self.costs.of(p.items) for p in chosen)

    def _broadest(self, chosen: Sequence[Candidate], banned: set[Items]) -> Candidate | None:
        """The pattern with most false alarms, if they are enough to matter."""
        alarms = [(int((~self.y[p.at]).sum()), i) for i, p in enumerate(chosen) if p.items not in banned]
        most, i = max(alarms, default=(0, 0))
        return chosen[i] if most > 0.01 * self.fires_both + 2 else None

    def greedy(self, banned: Collection[Items] = ()) -> list[Candidate]:
        """Candidates in the order in which each gains most F1 beyond its cost.

        Gains are kept in a heap and brought up to date when they come to the top (lazy greedy, Minoux 1978);
        F1 is nearly submodular, so little is missed.
        """
        covered = np.zeros(len(self.y), dtype=bool)
        tp = predicted = 0
        chosen: list[Candidate] = []
        candidates = [p for p in self.pool.values() if p.items not in banned]
        heap = [(-np.inf, i, -1) for i in range(len(candidates))]
        while heap:
            _, i, seen = heapq.heappop(heap)
            candidate = candidates[i]
            if seen < len(chosen):
                gain = self._gain(candidate, covered, tp, predicted)
                if gain > 0:
                    heapq.heappush(heap, (-gain, i, len(chosen)))
                continue
            chosen.append(candidate)
            new = candidate.at[~covered[candidate.at]]
            tp, predicted = tp + int(self.y[new].sum()), predicted + len(new)
            covered[new] = True
        return chosen

    def _gain(self, candidate: Candidate, covered: np.ndarray, tp: int, predicted: int) -> float:
        new = candidate.at[~covered[candidate.at]]
        after = f1(tp + int(self.y[new].sum()), predicted + len(new), self.fires_both)
        return float(after - f1(tp, predicted, self.fires_both)) - self.costs.of(candidate.items)

    def uncovered(self, chosen: Sequence[Candidate]) -> np.ndarray:
        """Train positions where the latent fires and no chosen pattern matches, ascending."""
        left = self.y.copy()
        left[self.c.part != 0] = False
        for candidate in chosen:
            left[candidate.train] = False
        return np.flatnonzero(left)

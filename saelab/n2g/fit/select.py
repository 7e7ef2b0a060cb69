"""Which patterns stay: those that are worth their cost on the train and the valid documents together.

Patterns are proposed from the train documents alone. What was seen there once and by chance does not come again
on the valid ones, so counting both keeps it out, and counts twice as much evidence for what is rare.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.rules import Costs, f1
from saelab.n2g.graph.tree import Item

FEW = 10  # firings in a part below which the text neither proposes a pattern nor speaks against one

_TRIALS = 8  # broad patterns that the choice is tried without

Items = tuple[Item, ...]


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
                self.pool[items] = self.candidate(items, probed)

    def candidate(self, items: Items, probed: bool) -> Candidate:
        """A pattern with its matches."""
        at = self.c.tokens.match(items)
        part = self.c.part[at]
        return Candidate(items, at[part == 0], at[part == 1], probed)

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
        return float(after) - float(f1(tp, predicted, self.fires_both)) - self.costs.of(candidate.items)

    def uncovered(self, chosen: Sequence[Candidate]) -> np.ndarray:
        """Train positions where the latent fires and no chosen pattern matches, ascending."""
        left = self.y.copy()
        left[self.c.part != 0] = False
        for candidate in chosen:
            left[candidate.train] = False
        return np.flatnonzero(left)

    # ------------------------------------------------------------------------------------------- pruning

    def prune(self, chosen: list[Candidate]) -> list[Candidate]:
        """Take away patterns and far ends of patterns that the others have made needless, and alternatives
        that do not hold on valid."""
        if self.fires_valid < FEW:
            return [p for p in chosen if 2 * int(self.y[p.valid].sum()) >= len(p.valid)]
        union = _Union(self, [self._without_false_alternatives(p) for p in chosen])
        changed = True
        while changed:
            changed = False
            for old in reversed(list(union.patterns)):
                for new in [None, self._shorter(old)]:
                    if union.try_instead(old, new):
                        changed = True
                        break
        return union.patterns

    def _shorter(self, p: Candidate) -> Candidate | None:
        """The pattern without its earliest item."""
        items = list(p.items[:-1])
        while len(items) > 1 and items[-1][0] in ("any", "gap"):
            items.pop()
        return self.candidate(tuple(items), p.probed) if items else None

    def _without_false_alternatives(self, p: Candidate) -> Candidate:
        """Without the alternatives that on valid only ever meant false alarms."""
        kinds = [kind for kind, *_ in p.items]
        items = list(p.items)
        for back in range(kinds.index("gap") if "gap" in kinds else len(kinds)):
            kind, ids, lo, hi = items[back]
            if kind == "tok" and len(ids) > 1:
                there = self.c.tokens.ids[p.valid - back]
                bad = set(np.setdiff1d(there[~self.y[p.valid]], there[self.y[p.valid]]).tolist())
                left = tuple(i for i in ids if i not in bad)
                if left:
                    items[back] = (kind, left, lo, hi)
        return p if tuple(items) == p.items else self.candidate(tuple(items), p.probed)


class _Union:
    """Several patterns together on train and valid, kept up to date while one is exchanged."""

    def __init__(self, selector: Selector, patterns: list[Candidate]):
        self.y, self.fires, self.costs = selector.y, selector.fires_both, selector.costs
        self.patterns = patterns
        self.times = np.zeros(len(self.y), dtype=np.int32)  # patterns that match at each position
        for p in patterns:
            self.times[p.at] += 1
        at = np.flatnonzero(self.times)
        self.tp, self.predicted = int(self.y[at].sum()), len(at)

    def try_instead(self, old: Candidate, new: Candidate | None) -> bool:
        """Put ``new`` (or nothing) in the place of ``old`` if F1 less cost does not fall by it."""
        lost = old.at[self.times[old.at] == 1]
        self.times[old.at] -= 1
        won = new.at[self.times[new.at] == 0] if new else old.at[:0]
        tp = self.tp - int(self.y[lost].sum()) + int(self.y[won].sum())
        predicted = self.predicted - len(lost) + len(won)
        change = float(f1(tp, predicted, self.fires)) - float(f1(self.tp, self.predicted, self.fires))
        saved = self.costs.of(old.items) - (self.costs.of(new.items) if new else 0.0)
        if change + saved >= 0:
            if new:
                self.times[new.at] += 1
            at = self.patterns.index(old)
            self.patterns[at : at + 1] = [new] if new else []
            self.tp, self.predicted = tp, predicted
            return True
        self.times[old.at] += 1
        return False

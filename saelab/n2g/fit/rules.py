"""Patterns with alternatives, proposed from the train documents.

Probing shows which *places* matter for an example; the text shows which *other tokens* can stand there. A
rule is a conjunction of literals "a token of set A stands d tokens before" (or within a window); the sets are
found by counting, for every token, how often the latent fires with it there, and taking the tokens of highest
rate as long as the F1 of all rules together gains. Rules are grown one literal at a time, added one after
another on what is not yet explained (as in FOIL and RIPPER: Quinlan 1990, Cohen 1995), and each node and each
alternative must gain its cost. What they are worth is decided later on other documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.select import Costs
from saelab.n2g.graph.tree import Item
from saelab.n2g.score import f1

_ENOUGH_FIRINGS = 2000  # firings to learn from; for frequent latents a part of the documents has as many
_LEAST_TOKENS = 200_000
_EXCLUDED = 12  # tokens an exclusion may name
_LONGEST = 4  # literals of a rule


@dataclass(frozen=True)
class Literal:
    """A token of ``ids`` stands ``lo`` to ``hi`` tokens before the one that fires; no ids: any token does.

    ``negative``: none of ``ids`` stands there (nor need any token at all).
    """

    lo: int
    hi: int
    ids: tuple[int, ...]
    negative: bool = False


Rule = tuple[Literal, ...]  # in order of distance; only the last may be a window
Grown = tuple[float, Rule, np.ndarray]  # gain after cost, rule, indices of the positions it matches


def items_of(rule: Rule) -> tuple[Item, ...]:
    """A rule as the items of a pattern."""
    items: list[Item] = []
    at = 0
    for literal in rule:
        items += [("any", (), 0, 0)] * (literal.lo - at)
        if literal.hi > literal.lo:
            items.append(("gap", (), 0, literal.hi - literal.lo))
        kind = "not" if literal.negative else "tok"
        items.append((kind, literal.ids, 0, 0) if literal.ids else ("any", (), 0, 0))
        at = literal.hi + 1
    return tuple(items)


class Learner:
    """Grows rules for one latent."""

    def __init__(
        self,
        corpus: Corpus,
        latent: int,
        costs: Costs,
        *,
        offsets: Sequence[int],
        windows: Sequence[int],
        negation: bool,
        rng: np.random.Generator,
    ):
        self.ids, self.place, self.n_vocab = corpus.tokens.ids, corpus.tokens.place, corpus.tokens.n_vocab
        fires = corpus.fires(latent, 0)[0].astype(np.int64)
        self.positions = _sample(corpus.train_positions, len(fires), rng)  # ascending, to learn from
        self.y = np.zeros(len(self.ids), dtype=bool)
        self.y[fires] = True
        self.fires = int(self.y[self.positions].sum())
        self.costs, self.offsets, self.windows, self.negation = costs, offsets, windows, negation
        self.free = np.ones(len(self.positions), dtype=bool)  # not yet predicted by a rule
        self.tp = self.predicted = 0

    def explain_already(self, matches: Iterable[np.ndarray]) -> None:
        """Leave out positions that other patterns predict; their hits and false alarms count."""
        taken = np.zeros(len(self.y), dtype=bool)
        for at in matches:
            taken[at] = True
        self._take(np.flatnonzero(taken[self.positions]))

    def _take(self, rows: np.ndarray) -> None:
        self.free[rows] = False
        self.tp += int(self.y[self.positions[rows]].sum())
        self.predicted += len(rows)

    def learn(self, most: int) -> list[Rule]:
        """Up to ``most`` rules, each of which gained more than its cost."""
        rules: list[Rule] = []
        while len(rules) < most and self.fires > self.tp:
            free = np.flatnonzero(self.free)
            begins = [Literal(0, 0, ()), self._literal(free, 0, 0, False)]
            gain, rule, rows = max((self._grow(b, free) for b in begins if b), key=lambda grown: grown[0])
            if gain <= 0:
                break
            rules.append(rule)
            self._take(rows)
        return rules

    def _grow(self, begin: Literal, rows: np.ndarray) -> Grown:
        """Add literals while the gain grows; ``rows`` are the positions (indices) that may be matched."""
        best = self._with((), begin, rows)
        while len(best[1]) < _LONGEST:
            _, rule, rows = best
            longer = [self._with(rule, literal, rows) for literal in self._options(rule, rows)]
            better = max(longer, key=lambda grown: grown[0], default=best)
            if better[0] <= best[0]:
                break
            best = better
        return best

    def _with(self, rule: Rule, literal: Literal, rows: np.ndarray) -> Grown:
        longer = tuple(sorted([*rule, literal], key=lambda x: x.lo))
        rows = rows[self._holds(literal, self.positions[rows])]
        tp = self.tp + int(self.y[self.positions[rows]].sum())
        gain = f1(tp, self.predicted + len(rows), self.fires) - f1(self.tp, self.predicted, self.fires)
        return float(gain) - self.costs.of(items_of(longer)), longer, rows

    def _options(self, rule: Rule, rows: np.ndarray) -> Iterator[Literal]:
        """The best literal of each place: single ones anywhere free, windows beyond the rest."""
        used = {d for literal in rule for d in range(literal.lo, literal.hi + 1)}
        last, window = max(used), next((x.lo for x in rule if x.hi > x.lo), None)
        places = [(d, d) for d in self.offsets if d not in used and (window is None or d < window)]
        places += [(last + 1, last + w) for w in self.windows if window is None]
        for lo, hi in places:
            for negative in (False, True)[: 1 + (self.negation and lo == hi)]:
                literal = self._literal(rows, lo, hi, negative)
                if literal is not None:
                    yield literal

    def _column(self, at: np.ndarray, d: int) -> np.ndarray:
        """Token ``d`` before each position, ``n_vocab`` beyond the row's start."""
        return np.where(self.place[at] >= d, self.ids[np.maximum(at - d, 0)], self.n_vocab)

    def _holds(self, literal: Literal, at: np.ndarray) -> np.ndarray:
        if not literal.ids:
            return np.ones(len(at), dtype=bool)
        table = np.zeros(self.n_vocab + 1, dtype=bool)
        table[list(literal.ids)] = True
        out = np.zeros(len(at), dtype=bool)
        for d in range(literal.lo, literal.hi + 1):
            out |= table[self._column(at, d)]
        return ~out if literal.negative else out

    def _literal(self, rows: np.ndarray, lo: int, hi: int, negative: bool) -> Literal | None:
        """The token set at distance ``lo … hi``, or to exclude there, that leads to the best F1."""
        at, size = self.positions[rows], self.n_vocab + 1
        y = self.y[at]
        columns = [self._column(at, d) for d in range(lo, hi + 1)]
        n = np.bincount(np.concatenate(columns), minlength=size)
        hits = np.bincount(np.concatenate([x[y] for x in columns]), minlength=size)
        n[-1] = hits[-1] = 0  # beyond the row's start
        if negative:
            use = 0.4 * (n - hits) - 0.6 * hits  # F1 gains by a set of rate below F1 / 2
            order = np.argsort(-use, kind="stable")[:_EXCLUDED]
            order = order[use[order] > 0]
        else:
            usable = np.flatnonzero(hits >= (2 if self.fires >= 50 else 1))
            order = usable[np.lexsort((usable, -hits[usable], -hits[usable] / (n[usable] + 1.0)))]
        if not len(order):
            return None
        rank = np.full(size, len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        first = reduce(np.minimum, (rank[x] for x in columns))
        tp, predicted = (np.cumsum(np.bincount(x, minlength=len(order) + 1)[:-1]) for x in (first[y], first))
        if negative:
            tp, predicted = y.sum() - tp, len(y) - predicted
        gains = f1(self.tp + tp, self.predicted + predicted, self.fires)
        best = int(np.argmax(gains - self.costs.alternative * np.arange(len(order))))
        return Literal(lo, hi, tuple(sorted(order[: best + 1].tolist())), negative)


def _sample(train: np.ndarray, fires: int, rng: np.random.Generator) -> np.ndarray:
    share = max(_ENOUGH_FIRINGS / max(fires, 1), _LEAST_TOKENS / max(len(train), 1))
    if share >= 1:
        return train
    blocks = train >> 12  # neighbouring tokens stay together, so that whole contexts are seen
    keep = rng.random(int(blocks[-1]) + 1) < share
    return train[keep[blocks]]

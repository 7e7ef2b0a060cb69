"""Patterns with alternatives, proposed from the train documents.

Probing shows which *places* matter for an example; the text shows which *other tokens* can stand there. A
rule is a conjunction of literals "a token of set A stands d tokens before"; the sets are found by counting, for
every token, how often the latent fires with it there, and taking the tokens of highest rate as long as the F1
of all rules together gains. Rules are grown one literal at a time, added one after another on what is not yet
explained (as in FOIL and RIPPER: Quinlan 1990, Cohen 1995), and each node and each alternative must gain its
cost. What they are worth is decided later, on the valid documents too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from saelab.index.stats import f1
from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.select import Costs
from saelab.n2g.graph.tree import Item

_ENOUGH_FIRINGS = 2000  # firings to learn from; for frequent latents a part of the documents has as many
_LEAST_TOKENS = 200_000
_LONGEST = 4  # literals of a rule

Literal = tuple[int, tuple[int, ...]]  # (d, ids): one of ids stands d tokens before; no ids: any token does
Rule = tuple[Literal, ...]  # in order of distance
Grown = tuple[float, Rule, np.ndarray]  # gain after cost, rule, indices of the positions it matches


def items_of(rule: Rule) -> tuple[Item, ...]:
    """A rule as the items of a pattern."""
    items: list[Item] = []
    for d, ids in rule:
        items += [("any", (), 0, 0)] * (d - len(items))
        items.append(("tok", ids, 0, 0) if ids else ("any", (), 0, 0))
    return tuple(items)


class Learner:
    """Grows rules for one latent."""

    def __init__(
        self, corpus: Corpus, latent: int, costs: Costs, offsets: Sequence[int], rng: np.random.Generator
    ):
        self.ids, self.place, self.n_vocab = corpus.tokens.ids, corpus.tokens.place, corpus.tokens.n_vocab
        fires = corpus.fires(latent, 0)[0].astype(np.int64)
        self.positions = _sample(corpus.train_positions, len(fires), rng)  # ascending, to learn from
        self.y = np.zeros(len(self.ids), dtype=bool)
        self.y[fires] = True
        self.fires = int(self.y[self.positions].sum())
        self.costs, self.offsets = costs, offsets
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
            begins = [(0, ()), self._literal(free, 0)]
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
            places = [d for d in self.offsets if d not in {at for at, _ in rule}]
            literals = [self._literal(rows, d) for d in places]
            longer = [self._with(rule, literal, rows) for literal in literals if literal]
            better = max(longer, key=lambda grown: grown[0], default=best)
            if better[0] <= best[0]:
                break
            best = better
        return best

    def _with(self, rule: Rule, literal: Literal, rows: np.ndarray) -> Grown:
        longer = tuple(sorted([*rule, literal]))
        d, ids = literal
        if ids:
            table = np.zeros(self.n_vocab + 1, dtype=bool)
            table[list(ids)] = True
            rows = rows[table[self._column(self.positions[rows], d)]]
        tp = self.tp + int(self.y[self.positions[rows]].sum())
        gain = f1(tp, self.predicted + len(rows), self.fires) - f1(self.tp, self.predicted, self.fires)
        return float(gain) - self.costs.of(items_of(longer)), longer, rows

    def _column(self, at: np.ndarray, d: int) -> np.ndarray:
        """Token ``d`` before each position, ``n_vocab`` beyond the row's start."""
        return np.where(self.place[at] >= d, self.ids[np.maximum(at - d, 0)], self.n_vocab)

    def _literal(self, rows: np.ndarray, d: int) -> Literal | None:
        """The token set at distance ``d`` that leads to the best F1."""
        y, column = self.y[self.positions[rows]], self._column(self.positions[rows], d)
        n, hits = (np.bincount(x, minlength=self.n_vocab + 1)[:-1] for x in (column, column[y]))
        usable = np.flatnonzero(hits >= (2 if self.fires >= 50 else 1))
        if not len(usable):
            return None
        order = usable[np.lexsort((usable, -hits[usable], -hits[usable] / (n[usable] + 1.0)))]
        tp, predicted = np.cumsum(hits[order]), np.cumsum(n[order])
        gains = f1(self.tp + tp, self.predicted + predicted, self.fires)
        best = int(np.argmax(gains - self.costs.alternative * np.arange(len(order))))
        return d, tuple(sorted(order[: best + 1].tolist()))


def _sample(train: np.ndarray, fires: int, rng: np.random.Generator) -> np.ndarray:
    share = max(_ENOUGH_FIRINGS / max(fires, 1), _LEAST_TOKENS / max(len(train), 1))
    if share >= 1:
        return train
    blocks = train >> 12  # neighbouring tokens stay together, so that whole contexts are seen
    keep = rng.random(int(blocks[-1]) + 1) < share
    return train[keep[blocks]]

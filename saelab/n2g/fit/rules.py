"""Patterns with alternatives, proposed from the train documents.

Probing shows which *places* matter for an example; the text shows which *other tokens* can stand there. A
rule is a conjunction of literals "a token of set A stands d tokens before"; the sets are found by counting, for
every token, how often the latent fires with it there, and taking the tokens of highest rate as long as the F1
of all rules together gains. Rules are grown one literal at a time, added one after another on what is not yet
explained (as in FOIL and RIPPER: Quinlan 1990, Cohen 1995), and each node and each alternative must gain its
cost. What they are worth is decided later, on the valid documents too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saelab.index.stats import f1
from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.select import Costs, Counted
from saelab.n2g.graph.tree import Item

_ENOUGH_FIRINGS = 2000  # firings to learn from; for frequent latents a part of the documents has as many
_LEAST_TOKENS = 200_000
_LONGEST = 4  # literals of a rule

Literal = tuple[int, tuple[int, ...]]  # (d, ids): one of ids stands d tokens before; no ids: any token does
Rule = tuple[Literal, ...]  # in order of distance
Grown = tuple[float, Rule, np.ndarray]  # gain after cost, rule, positions it matches


def items_of(rule: Rule) -> tuple[Item, ...]:
    """A rule as the items of a pattern."""
    items: list[Item] = []
    for d, ids in rule:
        items += [("any", (), 0, 0)] * (d - len(items))
        items.append(("tok", ids, 0, 0) if ids else ("any", (), 0, 0))
    return tuple(items)


class Learner:
    """Grows rules for one latent, for what is not explained ``so_far``."""

    def __init__(self, c: Corpus, so_far: Counted, costs: Costs, offsets: Sequence[int]):
        self.ids, self.place, self.n_vocab = c.tokens.ids, c.tokens.place, c.tokens.n_vocab
        self.so_far, self.costs, self.offsets = so_far, costs, offsets

    def learn(self, most: int) -> list[Rule]:
        """Up to ``most`` rules, each of which gained more than its cost."""
        rules: list[Rule] = []
        while len(rules) < most and self.so_far.fires > self.so_far.tp:
            free = np.flatnonzero(self.so_far.free)
            begins = [(0, ()), self._literal(free, 0)]
            gain, rule, rows = max((self._grow(b, free) for b in begins if b), key=lambda grown: grown[0])
            if gain <= 0:
                break
            rules.append(rule)
            self.so_far.take(np.bincount(rows, minlength=len(self.ids)) > 0)
        return rules

    def _grow(self, begin: Literal, rows: np.ndarray) -> Grown:
        """Add literals while the gain grows; ``rows`` are the positions that may be matched."""
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
            rows = rows[table[self._column(rows, d)]]
        now = self.so_far
        more = f1(now.tp + int(now.y[rows].sum()), now.predicted + len(rows), now.fires)
        gain = more - f1(now.tp, now.predicted, now.fires)
        return float(gain) - self.costs.of(items_of(longer)), longer, rows

    def _column(self, at: np.ndarray, d: int) -> np.ndarray:
        """Token ``d`` before each position, ``n_vocab`` beyond the row's start."""
        return np.where(self.place[at] >= d, self.ids[np.maximum(at - d, 0)], self.n_vocab)

    def _literal(self, rows: np.ndarray, d: int) -> Literal | None:
        """The token set at distance ``d`` that leads to the best F1."""
        now, column = self.so_far, self._column(rows, d)
        n, hits = (np.bincount(x, minlength=self.n_vocab + 1)[:-1] for x in (column, column[now.y[rows]]))
        usable = np.flatnonzero(hits >= now.least)
        if not len(usable):
            return None
        order = usable[np.lexsort((usable, -hits[usable], -hits[usable] / (n[usable] + 1.0)))]
        tp, predicted = np.cumsum(hits[order]), np.cumsum(n[order])
        gains = f1(now.tp + tp, now.predicted + predicted, now.fires)
        best = int(np.argmax(gains - self.costs.alternative * np.arange(len(order))))
        return d, tuple(sorted(order[: best + 1].tolist()))


def to_learn_from(c: Corpus, fires: int, rng: np.random.Generator) -> np.ndarray:
    """(n_tokens,) bool, the train positions, or a part of them that has enough firings."""
    train = c.train_positions
    share = max(_ENOUGH_FIRINGS / max(fires, 1), _LEAST_TOKENS / max(len(train), 1))
    if share >= 1:
        return c.part == 0
    blocks = train >> 12  # neighbouring tokens stay together, so that whole contexts are seen
    keep = rng.random(int(blocks[-1]) + 1) < share
    return np.bincount(train[keep[blocks]], minlength=len(c.part)) > 0

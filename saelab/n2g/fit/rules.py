"""Patterns with alternatives, proposed from the train documents.

Probing shows which *places* matter for an example; the text shows which *other tokens* can stand there. A
rule is a conjunction of literals "a token of set A stands d tokens before" (or within a window); the sets are
found by counting, for every token, how often the latent fires with it there, and taking the tokens of highest
rate as long as the F1 of all rules together gains. Rules are grown one literal at a time, added one after
another on what is not yet explained (as in FOIL and RIPPER: Quinlan 1990, Cohen 1995), and each node and each
alternative must gain its cost. What they are worth is decided later on other documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from saelab.n2g.corpus import Corpus
from saelab.n2g.graph.tree import Item

ENOUGH_FIRINGS = 2000  # firings to learn from; for frequent latents a part of the documents has as many
LEAST_TOKENS = 200_000
_EXCLUDED = 12  # tokens an exclusion may name
_SILENT = 30_000  # silent positions looked at when a literal is sought
_STARTS = (0.5, 0.2, 0.05)  # rates of firing above which a token may begin a rule that context makes precise


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


def items_of(rule: Rule) -> tuple[Item, ...]:
    """A rule as the items of a pattern."""
    items: list[Item] = []
    at = 0
    for literal in rule:
        while at < literal.lo:
            items.append(("any", (), 0, 0))
            at += 1
        if literal.hi > literal.lo:
            items.append(("gap", (), 0, literal.hi - literal.lo))
        kind = "not" if literal.negative else "tok"
        items.append((kind, literal.ids, 0, 0) if literal.ids else ("any", (), 0, 0))
        at = literal.hi + 1
    return tuple(items)


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


def f1(tp: np.ndarray | float, predicted: np.ndarray | float, fires: float) -> np.ndarray | float:
    """F1 from hits, predictions and firings."""
    return 2 * tp / np.maximum(predicted + fires, 1)


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
        seed: int,
    ):
        self.ids, self.place = corpus.tokens.ids, corpus.tokens.place
        at, a, part = corpus.truth(latent)
        fires = at[part == 0].astype(np.int64)
        self.negation = negation
        self._rng = np.random.default_rng(seed)
        self.positions = self._sample(corpus, fires)  # ascending train positions to learn from
        self.y = np.zeros(len(self.ids), dtype=bool)
        self.y[fires] = True
        self.fires = int(self.y[self.positions].sum())
        self.costs, self.offsets, self.windows = costs, list(offsets), list(windows)
        self.n_vocab = corpus.tokens.n_vocab
        self.free = np.ones(len(self.positions), dtype=bool)  # not yet predicted by a rule
        self.tp = self.predicted = 0

    def _sample(self, corpus: Corpus, fires: np.ndarray) -> np.ndarray:
        train = corpus.train_positions
        share = max(ENOUGH_FIRINGS / max(len(fires), 1), LEAST_TOKENS / max(len(train), 1))
        if share >= 1:
            return train
        blocks = train >> 12  # neighbouring tokens stay together, so that whole contexts are seen
        keep = self._rng.random(int(blocks[-1]) + 1) < share
        return train[keep[blocks]]

    def explain_already(self, matches: Iterable[np.ndarray]) -> None:
        """Leave out positions that other patterns predict; their hits and false alarms count."""
        taken = np.zeros(len(self.y), dtype=bool)
        for at in matches:
            taken[at] = True
        self.free &= ~taken[self.positions]
        self.predicted = int((~self.free).sum())
        self.tp = int(self.y[self.positions[~self.free]].sum())

    @property
    def score(self) -> float:
        """F1 of the rules so far."""
        return float(f1(self.tp, self.predicted, self.fires))

    def learn(self, most: int) -> list[Rule]:
        """Up to ``most`` rules, each of which gained more than its cost."""
        rules: list[Rule] = []
        while len(rules) < most and self.fires > self.tp:
            best = max(self._candidates(), key=lambda c: c[0], default=None)
            if best is None or best[0] <= 0:
                break
            _, rule, mask = best
            rules.append(rule)
            self.tp += int(self.y[self.positions[mask]].sum())
            self.predicted += int(mask.sum())
            self.free &= ~mask
        return rules

    def _candidates(self) -> Iterable[tuple[float, Rule, np.ndarray]]:
        """(gain after cost, rule, mask over positions) of rules grown from several beginnings."""
        free = np.flatnonzero(self.free)
        at = self.positions[free]
        y, ids = self.y[at], self.ids[at]
        n, hits = self._count(ids, y)
        rate = hits / (n + 1.0)
        beginnings = {self._best_prefix(n, hits, rate): True}
        for least in _STARTS:
            beginnings[tuple(np.flatnonzero((rate >= least) & (hits > 0)).tolist())] = True
        beginnings.pop((), None)
        beginnings[()] = True
        for begin in beginnings:
            if begin:
                table = np.zeros(self.n_vocab, dtype=bool)
                table[list(begin)] = True
                inside = table[ids]
            else:
                inside = np.ones(len(ids), dtype=bool)
            rule: Rule = (Literal(0, 0, begin),)
            yield self._grow(rule, free[inside])

    def _gain(self, rule: Rule, rows: np.ndarray) -> float:
        tp = int(self.y[self.positions[rows]].sum())
        return (
            float(f1(self.tp + tp, self.predicted + len(rows), self.fires))
            - self.score
            - self.costs.of(items_of(rule))
        )

    def _grow(self, rule: Rule, rows: np.ndarray) -> tuple[float, Rule, np.ndarray]:
        """Add literals while the gain grows; ``rows`` are the positions (indices) the rule matches."""
        gain = self._gain(rule, rows)
        while len(rule) < 4:
            sample, weight = self._thin(rows)
            places = self._places(rule)
            options = [self._literal(sample, weight, lo, hi) for lo, hi in places]
            if self.negation:
                options += [self._exclusion(sample, weight, lo) for lo, hi in places if lo == hi]
            usable = [o for o in options if o is not None]
            if not usable:
                break
            best = max(usable, key=lambda o: o[0])
            longer = tuple(sorted([*rule, best[1]], key=lambda x: x.lo))
            fewer = rows[self._holds(best[1], self.positions[rows])]
            after = self._gain(longer, fewer)
            if after <= gain:
                break
            gain, rule, rows = after, longer, fewer
        mask = np.zeros(len(self.positions), dtype=bool)
        mask[rows] = True
        return gain, rule, mask

    def _thin(self, rows: np.ndarray) -> tuple[np.ndarray, float]:
        """All positions that fire and at most so many that do not, each of which then stands for several."""
        fires = self.y[self.positions[rows]]
        silent = rows[~fires]
        if len(silent) <= _SILENT:
            return rows, 1.0
        kept = self._rng.choice(silent, _SILENT, replace=False)
        return np.concatenate([rows[fires], kept]), len(silent) / _SILENT

    def _column(self, at: np.ndarray, d: int) -> np.ndarray:
        """Token ``d`` before each position, ``n_vocab`` beyond the row's start."""
        return np.where(self.place[at] >= d, self.ids[np.maximum(at - d, 0)], self.n_vocab)

    def _holds(self, literal: Literal, at: np.ndarray) -> np.ndarray:
        table = np.zeros(self.n_vocab + 1, dtype=bool)
        table[list(literal.ids)] = True
        out = np.zeros(len(at), dtype=bool)
        for d in range(literal.lo, literal.hi + 1):
            out |= table[self._column(at, d)]
        return ~out if literal.negative else out

    def _places(self, rule: Rule) -> list[tuple[int, int]]:
        """Distances at which a literal may be added: single ones anywhere free, windows beyond the rest."""
        used = {d for literal in rule for d in range(literal.lo, literal.hi + 1)}
        last = max(used)
        has_window = any(literal.hi > literal.lo for literal in rule)
        farthest = min((x.lo for x in rule if x.hi > x.lo), default=1 << 30)
        single = [(d, d) for d in self.offsets if d not in used and d < farthest]
        windows = [] if has_window else [(last + 1, last + w) for w in self.windows]
        return single + windows

    def _literal(self, rows: np.ndarray, weight: float, lo: int, hi: int) -> tuple[float, Literal] | None:
        """Best token set at distance ``lo … hi``, by an estimate of the F1 it leads to.

        Positions of ``rows`` that do not fire count ``weight`` times.
        """
        at = self.positions[rows]
        y = self.y[at]
        columns = [self._column(at, d) for d in range(lo, hi + 1)]
        everything = np.concatenate(columns)
        hits = np.bincount(np.concatenate([x[y] for x in columns]), minlength=self.n_vocab + 1)
        n = hits + weight * (np.bincount(everything, minlength=self.n_vocab + 1) - hits)
        hits[-1] = 0  # beyond the row's start
        usable = np.flatnonzero(hits >= (2 if self.fires >= 50 else 1))
        if not len(usable):
            return None
        rate = hits[usable] / (n[usable] + 1.0)
        order = usable[np.lexsort((usable, -hits[usable], -rate))]
        rank = np.full(self.n_vocab + 1, len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        first = rank[columns[0]]
        for column in columns[1:]:
            np.minimum(first, rank[column], out=first)
        tp = np.cumsum(np.bincount(first[y], minlength=len(order) + 1)[:-1])
        wrong = np.cumsum(np.bincount(first[~y], minlength=len(order) + 1)[:-1]) * weight
        gains = f1(self.tp + tp, self.predicted + tp + wrong, self.fires)
        gains = gains - self.costs.alternative * np.arange(len(order))
        best = int(np.argmax(gains))
        cost = self.costs.of(items_of((Literal(0, 0, ()), Literal(max(lo, 1), max(hi, 1), (0,)))))
        return float(gains[best]) - cost, Literal(lo, hi, tuple(sorted(order[: best + 1].tolist())))

    def _exclusion(self, rows: np.ndarray, weight: float, d: int) -> tuple[float, Literal] | None:
        """Best few tokens to exclude at a distance, by an estimate of the F1 it leads to."""
        at = self.positions[rows]
        y = self.y[at]
        column = self._column(at, d)
        hits = np.bincount(column[y], minlength=self.n_vocab + 1)
        wrong = weight * (np.bincount(column, minlength=self.n_vocab + 1) - hits)
        hits, wrong = hits[:-1], wrong[:-1]
        use = 0.4 * wrong - 0.6 * hits  # F1 gains by a set of rate below F1 / 2
        order = np.argsort(-use, kind="stable")[:_EXCLUDED]
        order = order[use[order] > 0]
        if not len(order):
            return None
        tp = y.sum() - np.cumsum(hits[order])
        left = weight * (~y).sum() - np.cumsum(wrong[order])
        gains = f1(self.tp + tp, self.predicted + tp + left, self.fires)
        gains = gains - self.costs.alternative * np.arange(len(order))
        best = int(np.argmax(gains))
        cost = self.costs.of(items_of((Literal(0, 0, ()), Literal(d, d, (0,)))))
        return float(gains[best]) - cost, Literal(d, d, tuple(sorted(order[: best + 1].tolist())), True)

    def _count(self, ids: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.bincount(ids, minlength=self.n_vocab), np.bincount(ids[y], minlength=self.n_vocab)

    def _best_prefix(self, n: np.ndarray, hits: np.ndarray, rate: np.ndarray) -> tuple[int, ...]:
        usable = np.flatnonzero(hits)
        order = usable[np.lexsort((usable, -hits[usable], -rate[usable]))]
        if not len(order):
            return ()
        gains = f1(self.tp + np.cumsum(hits[order]), self.predicted + np.cumsum(n[order]), self.fires)
        best = int(np.argmax(gains - self.costs.alternative * np.arange(len(order))))
        return tuple(sorted(order[: best + 1].tolist()))

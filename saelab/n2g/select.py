"""Which patterns stay: gained on the train documents, held on the valid ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from saelab.n2g.corpus import Corpus
from saelab.n2g.rules import Costs, f1
from saelab.n2g.tree import Item

_MOST = 60  # candidates looked at one by one
FEW = 10  # firings in a part below which the text neither proposes a pattern nor speaks against one


@dataclass(frozen=True)
class Chosen:
    """A pattern and where it matches (train, valid)."""

    items: tuple[Item, ...]
    train: np.ndarray
    valid: np.ndarray


def select(c: Corpus, latent: int, candidates: Iterable[tuple[Item, ...]], costs: Costs) -> list[Chosen]:
    """Greedy choice by train F1 minus cost, then pruning by valid F1 minus cost."""
    pool = [_positions(c, items) for items in dict.fromkeys(candidates)]
    y = np.zeros(len(c.tokens), dtype=bool)
    at, _, part = c.truth(latent)
    y[at] = True
    chosen = _greedy(pool, y, int((part == 0).sum()), costs)
    return _prune(c, chosen, y, int((part == 1).sum()), costs)


def _positions(c: Corpus, items: tuple[Item, ...]) -> Chosen:
    at = c.tokens.match(items)
    part = c.part[at]
    return Chosen(items, at[part == 0], at[part == 1])


def _greedy(pool: list[Chosen], y: np.ndarray, fires: int, costs: Costs) -> list[Chosen]:
    new = np.ones(len(y), dtype=bool)
    tp = predicted = 0
    chosen: list[Chosen] = []
    alone = [float(f1(int(y[p.train].sum()), len(p.train), fires)) - costs.of(p.items) for p in pool]
    pool = [pool[i] for i in np.argsort(alone, kind="stable")[::-1][:_MOST]]
    while pool:
        now = float(f1(tp, predicted, fires))
        gains = []
        for p in pool:
            fresh = p.train[new[p.train]]
            after = f1(tp + int(y[fresh].sum()), predicted + len(fresh), fires)
            gains.append(float(after) - now - costs.of(p.items))
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        p = pool.pop(best)
        chosen.append(p)
        fresh = p.train[new[p.train]]
        tp, predicted = tp + int(y[fresh].sum()), predicted + len(fresh)
        new[fresh] = False
        pool = [q for q, g in zip(pool, gains[:best] + gains[best + 1 :], strict=True) if g > -0.05]
    return chosen


class _Union:
    """F1 of several patterns together on one part."""

    def __init__(self, y: np.ndarray, fires: int, costs: Costs):
        self.y, self.fires, self.costs = y, fires, costs

    def worth(self, patterns: list[Chosen]) -> float:
        if not patterns:
            return 0.0
        at = np.unique(np.concatenate([p.valid for p in patterns]))
        value = float(f1(int(self.y[at].sum()), len(at), self.fires))
        return value - sum(self.costs.of(p.items) for p in patterns)


def _prune(c: Corpus, chosen: list[Chosen], y: np.ndarray, fires: int, costs: Costs) -> list[Chosen]:
    """Take away patterns, far ends of patterns and alternatives that do not earn their cost on valid."""
    if fires < FEW:
        return [p for p in chosen if 2 * int(y[p.valid].sum()) >= len(p.valid)]
    union = _Union(y, fires, costs)
    chosen = [_drop_alternatives(c, p, y) for p in chosen]
    worth = union.worth(chosen)
    changed = True
    while changed:
        changed = False
        for i in reversed(range(len(chosen))):
            for shorter in _simpler(c, chosen[i]):
                trial = [*chosen[:i], *([shorter] if shorter else []), *chosen[i + 1 :]]
                value = union.worth(trial)
                if value >= worth:
                    chosen, worth, changed = trial, value, True
                    break
    return chosen


def _simpler(c: Corpus, p: Chosen) -> Iterable[Chosen | None]:
    """Nothing at all; the pattern without its earliest item."""
    yield None
    items = list(p.items)
    if len(items) > 1:
        items.pop()
        while len(items) > 1 and items[-1][0] in ("any", "gap"):
            items.pop()
        yield _positions(c, tuple(items))


def _drop_alternatives(c: Corpus, p: Chosen, y: np.ndarray) -> Chosen:
    """Without the alternatives that, on valid, only ever meant false alarms."""
    if any(item[0] == "gap" for item in p.items):
        where = next(i for i, item in enumerate(p.items) if item[0] == "gap")
    else:
        where = len(p.items)
    items = list(p.items)
    for back in range(where):
        kind, ids, lo, hi = items[back]
        if kind != "tok" or len(ids) < 2:
            continue
        there = c.tokens.ids[p.valid - back]
        bad = np.setdiff1d(there[~y[p.valid]], there[y[p.valid]])
        left = tuple(i for i in ids if i not in set(bad.tolist()))
        if left and len(left) < len(ids):
            items[back] = (kind, left, lo, hi)
    return p if tuple(items) == p.items else replace(_positions(c, tuple(items)))

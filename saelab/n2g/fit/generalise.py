"""From the pattern of one example to patterns that hold for more of the text.

Probing tells which tokens matter; what else could stand in their place is looked up in the train documents:
with one token of the pattern left open and the others kept, which tokens stand there when the latent fires,
and does it fire most times they do?
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.instance import Instance
from saelab.n2g.fit.select import Items
from saelab.n2g.graph.tree import Item

RATE, LEAST = 0.6, 1  # an alternative fires in this share of its places, and this often
_WIDEST = 24
_EXCLUDED, _WORTH = 12, 0.3  # tokens an exclusion names at most, and the share of false alarms it takes away


def variants(instance: Instance, gaps: bool) -> list[Items]:
    """The pattern as found, without its earliest tokens, and with runs of wildcards as gaps."""
    items = list(instance.items)
    out = [tuple(items)]
    if instance.start:
        return out
    while items:
        while items and items[-1][0] == "any":
            items.pop()
        if items:
            out.append(tuple(items))
            items.pop()
    if len(out) > 1 and gaps:
        out += [gapped for plain in out[1:] if (gapped := with_gaps(plain)) is not None]
    return list(dict.fromkeys(out))


def with_gaps(items: Items) -> Items | None:
    """The pattern with its longest run of wildcards as a gap of up to twice that many tokens and two more."""
    runs: list[tuple[int, int]] = []
    i = 0
    while i < len(items):
        j = i
        while j < len(items) and items[j][0] == "any":
            j += 1
        if j > i and i > 0:
            runs.append((j - i, i))
        i = max(j, i + 1)
    if not runs:
        return None
    length, at = max(runs)
    gap: Item = ("gap", (), 0, min(2 * length + 2, _WIDEST))
    return (*items[:at], gap, *items[at + length :])


def alternatives(c: Corpus, y: np.ndarray, items: Items) -> Items | None:
    """The pattern with further tokens in each exact place, one place after another; None if there are none.

    Places beyond a gap, and a token that is all the pattern has, are left as they are.
    """
    found = list(items)
    kinds = [kind for kind, *_ in items]
    if kinds.count("tok") < 2:
        return None
    for back in range(kinds.index("gap") if "gap" in kinds else len(kinds)):
        kind, ids, lo, hi = found[back]
        if kind == "tok":
            more = _others(c, y, tuple(found), back)
            found[back] = (kind, tuple(sorted({*ids, *more})), lo, hi)
    return tuple(found) if tuple(found) != items else None


def _others(c: Corpus, y: np.ndarray, items: Items, back: int) -> list[int]:
    opened = (*items[:back], ("any", (), 0, 0), *items[back + 1 :])
    at = c.tokens.match(opened)
    at = at[c.part[at] == 0]
    there = c.tokens.ids[at - back]
    ids, which = np.unique(there, return_inverse=True)
    n = np.bincount(which, minlength=len(ids))
    hits = np.bincount(which[y[at]], minlength=len(ids))
    return ids[(hits >= LEAST) & (hits >= RATE * n)].tolist()


def exclusion(c: Corpus, y: np.ndarray, items: Items) -> Items | None:
    """The pattern with a few tokens excluded before it: those before its false alarms and before no hit.

    None unless they are few and take away a good part of the false alarms.
    """
    if items[-1][0] == "start" or any(kind == "gap" for kind, *_ in items):
        return None
    at = c.tokens.match(items)
    at = at[c.part[at] == 0]
    hit, back = y[at], len(items)
    inside = c.tokens.place[at] >= back
    before = c.tokens.ids[at[inside] - back]
    size = c.tokens.n_vocab
    alarms = np.bincount(before[~hit[inside]], minlength=size)
    lost = np.bincount(before[hit[inside]], minlength=size)
    ids = np.flatnonzero((alarms >= LEAST) & (lost <= alarms * (1 - RATE) / 2))
    ids = ids[np.argsort(lost[ids] - alarms[ids], kind="stable")][:_EXCLUDED]
    if not len(ids) or alarms[ids].sum() < _WORTH * (~hit).sum():
        return None
    return (*items, ("not", tuple(sorted(ids.tolist())), 0, 0))


def proposals(c: Corpus, y: np.ndarray, items: Items, negation: bool) -> Iterator[Items]:
    """A pattern, and what it becomes with alternatives and with exclusions."""
    for wider in (items, alternatives(c, y, items)):
        if wider is not None:
            yield wider
            if negation and (narrower := exclusion(c, y, wider)) is not None:
                yield narrower


def pairs(c: Corpus, y: np.ndarray, d: int) -> Iterator[Items]:
    """For each token that fires at times: the tokens ``d`` before it with which it fires most times."""
    ids, size = c.tokens.ids, c.tokens.n_vocab
    train = c.train_positions
    hits = np.bincount(ids[train[y[train]]], minlength=size)
    doubtful = (hits >= 2 * LEAST) & (hits < 0.9 * c.token_counts[0])
    at = train[doubtful[ids[train]] & (c.tokens.place[train] >= d)]
    keys, which = np.unique(ids[at].astype(np.int64) * size + ids[at - d], return_inverse=True)
    n, fires = np.bincount(which, minlength=len(keys)), np.bincount(which[y[at]], minlength=len(keys))
    good = keys[(fires >= LEAST) & (fires >= RATE * n)]
    wild: Items = (("any", (), 0, 0),) * (d - 1)
    for token in np.unique(good // size).tolist():
        before = (good[good // size == token] % size).tolist()
        yield (("tok", (token,), 0, 0), *wild, ("tok", tuple(before), 0, 0))

"""What tables of tokens and of pairs say about firings that no pattern explains, written as patterns.

On a real model much of what a latent does is a list: these tokens, but not after those, and these pairs. A table of pairs
that falls back on the token where a pair was never seen says that much, and three kinds of pattern say the same: the
tokens with the best F1; those before which they do not fire, excluded; and the pairs that are left. As a table they are
read from the train and the valid documents together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from saelab.index.stats import f1
from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.select import Candidate, Costs, Counted, Items

_RIGHT = 0.7  # share of a pattern's matches at which the latent fires


def completed(
    c: Corpus, y: np.ndarray, chosen: Sequence[Candidate], costs: Costs, most: int, negation: bool = True
) -> tuple[list[Candidate], list[Items]]:
    """Those of ``chosen`` that are worth more than what tables say in their place, and the patterns that tables add.

    Tried on the valid documents, with tables of the train documents: all that were chosen, those that look further back
    than a pair, those that are mostly right, both, none.
    """
    sure = [p for p in chosen if len(p.valid) and y[p.valid].mean() >= _RIGHT]
    far = [p for p in chosen if len(p.items) > 2 or any(item[0] == "gap" for item in p.items)]
    valid, fires = c.part == 1, int(y[c.part == 1].sum())
    best, kept = -1.0, list(chosen)
    for some in (list(chosen), far, sure, [p for p in far if p in sure], []):
        said = np.zeros(len(y), bool)
        for p in some:
            said[p.valid] = True
        more = leftover(c, y, [p.train for p in some], costs, most, negation, parts=1)
        for items in more:
            said[c.tokens.match(items)] = True
        said &= valid
        worth = float(f1(int((y & said).sum()), int(said.sum()), fires))
        worth -= sum(costs.of(items) for items in (*(p.items for p in some), *more))
        if worth > best:
            best, kept = worth, some
    return kept, leftover(c, y, [p.at for p in kept], costs, most, negation)


def leftover(
    c: Corpus,
    y: np.ndarray,
    explained: Iterable[np.ndarray],
    costs: Costs,
    most: int,
    negation: bool = True,
    parts: int = 2,
) -> list[Items]:
    """Patterns for the firings that ``explained`` leaves: one of tokens, and up to ``most`` of pairs, most hits first.
    Read from the train documents, with two ``parts`` from the valid ones too."""
    counted = Counted(y, c.part < parts, explained)
    ids, size = c.tokens.ids.astype(np.int64), c.tokens.n_vocab
    before = np.where(c.tokens.place > 0, np.roll(ids, 1), size)  # ``size`` is the row's start
    out: list[Items] = []
    alone = counted.best(ids, costs.alternative, 1)
    if len(alone):
        fires = np.isin(ids, alone)
        bad = counted.worst(before, fires, costs.alternative)
        bad = bad[bad < size] if negation else bad[:0]
        items: Items = (("tok", tuple(alone.tolist()), 0, 0),)
        if len(bad):
            items = (*items, ("not", tuple(bad.tolist()), 0, 0))
            fires &= ~np.isin(before, bad) & (before < size)
        out.append(items)
        counted.take(fires)
    pair, second, _ = c.pairs
    first = np.empty(len(second), np.int64)
    first[pair] = before
    good = counted.best(pair, costs.alternative, counted.least)
    good = good[first[good] < size]
    return out + list(_grouped(counted, good, first, second, pair, costs))[:most]


def _grouped(
    counted: Counted, good: np.ndarray, first: np.ndarray, second: np.ndarray, pair: np.ndarray, costs: Costs
) -> Iterator[Items]:
    """Pairs as patterns, those with one token in common together, on the side that gives fewer patterns."""
    hits = np.bincount(pair[counted.free & counted.y], minlength=len(second))
    by_second = len(np.unique(second[good])) <= len(np.unique(first[good]))
    one, other = (second, first) if by_second else (first, second)
    groups: dict[tuple[int, ...], tuple[list[int], int]] = {}
    for token in np.unique(one[good]).tolist():
        some = good[one[good] == token]
        key = tuple(np.unique(other[some]).tolist())
        tokens, count = groups.get(key, ([], 0))
        groups[key] = ([*tokens, token], count + int(hits[some].sum()))
    for key, (tokens, count) in sorted(groups.items(), key=lambda group: -group[1][1]):
        sets = (tuple(tokens), key) if by_second else (key, tuple(tokens))
        items: Items = tuple(("tok", tuple(ids), 0, 0) for ids in sets)
        # F1 gains about as much as the share of the firings
        if count / max(counted.fires, 1) > costs.of(items):
            yield items

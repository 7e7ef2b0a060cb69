"""What a table of pairs says about firings that no pattern explains, written as patterns.

On a real model much of what a latent does is a list: these tokens, but not after those, and these pairs. A table of pairs
that falls back on the token where a pair was never seen says that much, and as a prefix tree it is short enough: under a
token either those that must stand before it or those that must not, tokens with the same list together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from saelab.index.stats import f1
from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.select import Candidate, Counted, Items

_RIGHT = 0.7  # share of a pattern's matches at which the latent fires
_CLEARLY = 0.01  # F1 on the valid documents that patterns and a table together must gain over either


def completed(
    c: Corpus,
    y: np.ndarray,
    trial: Sequence[Candidate],
    chosen: Sequence[Candidate],
    most: int,
    negation: bool = True,
) -> tuple[list[Candidate], list[Items]]:
    """Those of ``chosen`` that are worth more than what the table says in their place, and the patterns that it adds.

    ``chosen`` come from the train and the valid documents, so these cannot say what they are worth. What can is
    ``trial``, which come from the train documents alone, on the valid ones: all of them, those that look further back
    than a pair, those that are mostly right, both; by themselves, or with a table of the train documents for the rest.
    With it they must be clearly better than without, and than the table alone.
    """
    valid = c.part == 1
    fires = int((y & valid).sum())

    def tables(some: Sequence[Candidate], width: int, parts: int) -> list[Items]:
        return table(c, y, [c.tokens.match(p.items) for p in some], width, negation, parts)

    def worth(some: Sequence[Candidate], more: Sequence[Items]) -> float:
        said = np.zeros(len(y), bool)
        for items in (*(p.items for p in some), *more):
            said[c.tokens.match(items)] = True
        said &= valid
        return float(f1(int((y & said).sum()), int(said.sum()), fires))

    best, kept, rest = -1.0, "none", most
    for name, some in _options(y, trial).items():
        more = tables(some, most, 1)
        for width in (0, most):
            value = worth(some, more[:width]) - (_CLEARLY if some and width else 0.0)
            if value > best:
                best, kept, rest = value, name, width
    # of the same kind those chosen with the valid documents, too, unless they lose there
    final = max(
        (_options(y, some)[kept] for some in (chosen, trial)),
        key=lambda some: worth(some, tables(some, rest, 1)),
    )
    return final, tables(final, rest, 2)


def _options(y: np.ndarray, patterns: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Which patterns may be kept; how often one is right is always counted on the train documents."""
    sure = [p for p in patterns if len(p.train) and y[p.train].mean() >= _RIGHT]
    far = [p for p in patterns if len(p.items) > 2 or any(item[0] == "gap" for item in p.items)]
    return {
        "all": list(patterns), "far": far, "sure": sure, "both": [p for p in far if p in sure], "none": [],
    }  # fmt: skip


def table(
    c: Corpus,
    y: np.ndarray,
    explained: Iterable[np.ndarray],
    most: int,
    negation: bool = True,
    parts: int = 2,
) -> list[Items]:
    """What the table of pairs says about the places that ``explained`` leaves, as up to ``most`` patterns, most hits first.
    Read from the train documents, with two ``parts`` from the valid ones too."""
    counted = Counted(y, c.part < parts, explained)
    pair, second, _ = c.pairs
    ids, size = c.tokens.ids.astype(np.int64), c.tokens.n_vocab
    alone, good = np.zeros(size, bool), np.zeros(len(second), bool)
    alone[counted.best(ids, 0.0, 1)] = True
    good[counted.best(pair, 0.0, 1)] = True
    n, hits = (np.bincount(pair[at], minlength=len(second)) for at in (counted.free, counted.free & y))
    before = np.empty(len(second), np.int64)
    before[pair] = np.where(c.tokens.place > 0, np.roll(ids, 1), size)  # ``size`` is the row's start
    used = np.flatnonzero((n > 0) & (alone[second] | good))
    used = used[np.lexsort((before[used], second[used]))]
    groups: dict[Items, tuple[list[int], int]] = {}
    for some in np.split(used, np.flatnonzero(np.diff(second[used])) + 1) if len(used) else ():
        token, right = int(second[some[0]]), good[some]
        listed = some[~right if alone[token] else right]
        tokens = tuple(before[listed][before[listed] < size].tolist())
        under: list[Items] = []
        if alone[token]:
            under = [(("not", tokens, 0, 0),)] if tokens and negation else [()]
        else:
            under = [(("tok", tokens, 0, 0),)] if tokens else []
            if len(tokens) < len(listed):
                under.append((("start", (), 0, 0),))
        for rest in under:
            members, count = groups.get(rest, ([], 0))
            groups[rest] = ([*members, token], count + int(hits[some[right]].sum()))
    ordered = sorted(groups.items(), key=lambda group: -group[1][1])
    return [(("tok", tuple(members), 0, 0), *rest) for rest, (members, _) in ordered[:most]]

"""What tables say, as patterns: a list of tokens, what must not stand before them, and pairs."""

from __future__ import annotations

import numpy as np
import pytest

from saelab.n2g.fit.leftover import completed, leftover
from saelab.n2g.fit.select import Candidate, Costs
from saelab.n2g.graph.match import Tokens
from saelab.n2g.score import f1

COSTS = Costs(0.0005, 0.00005)


class Text:
    """As much of a corpus as tables need: rows of tokens, split in three."""

    def __init__(self, ids: np.ndarray, vocab: int):
        rows, length = ids.shape
        self.tokens = Tokens(ids.ravel(), np.arange(rows + 1) * length, False)
        self.part = np.repeat(np.arange(rows) % 4, length).clip(max=2).astype(np.uint8)
        flat, place = ids.ravel().astype(np.int64), self.tokens.place
        before = np.where(place > 0, np.roll(flat, 1), vocab)
        keys, pair = np.unique(before * vocab + flat, return_inverse=True)
        counts = np.stack([np.bincount(pair[self.part == p], minlength=len(keys)) for p in range(3)])
        self.pairs = pair.astype(np.int32), (keys % vocab).astype(np.int32), counts


@pytest.fixture
def planted():
    """Fires on token 1 unless 2 to 5 stand before it, and on 7 after 8 or 9; one firing in twenty by chance."""
    rng = np.random.default_rng(0)
    ids = rng.choice(60, (800, 30), p=np.r_[np.full(10, 0.04), np.full(50, 0.012)])
    before = np.roll(ids, 1, axis=1)
    before[:, 0] = -1
    y = ((ids == 1) & ~np.isin(before, [2, 3, 4, 5])) | ((ids == 7) & np.isin(before, [8, 9]))
    y[:, 0] = False
    return Text(ids, 60), y.ravel()


def said(c, patterns, at=()):
    found = np.zeros(len(c.tokens), bool)
    for items in patterns:
        found[c.tokens.match(items)] = True
    for some in at:
        found[some] = True
    return found


def test_what_is_planted_is_found_and_holds_on_test_documents(planted):
    c, y = planted
    patterns = leftover(c, y, [], COSTS, 48)
    assert (("tok", (1,), 0, 0), ("not", (2, 3, 4, 5), 0, 0)) in patterns
    assert (("tok", (7,), 0, 0), ("tok", (8, 9), 0, 0)) in patterns
    found, test = said(c, patterns), c.part == 2
    assert f1(int((found & y & test).sum()), int((found & test).sum()), int((y & test).sum())) > 0.97


def test_what_is_explained_is_not_said_again(planted):
    c, y = planted
    ones = c.tokens.match(((("tok"), (1,), 0, 0), ("not", (2, 3, 4, 5), 0, 0)))
    patterns = leftover(c, y, [ones], COSTS, 48)
    assert not any(1 in ids for kind, ids, *_ in (items[0] for items in patterns) if kind == "tok")
    assert (("tok", (7,), 0, 0), ("tok", (8, 9), 0, 0)) in patterns


def test_test_documents_are_not_looked_at(planted):
    c, y = planted
    other = y.copy()
    other[c.part == 2] = np.random.default_rng(1).random(int((c.part == 2).sum())) < 0.5
    assert leftover(c, y, [], COSTS, 48) == leftover(c, other, [], COSTS, 48)
    of_train = y.copy()
    of_train[c.part == 1] = False
    assert leftover(c, y, [], COSTS, 48, parts=1) == leftover(c, of_train, [], COSTS, 48, parts=1)


def test_no_more_pairs_than_asked_for_and_nothing_from_nothing(planted):
    c, y = planted
    assert len(leftover(c, y, [], COSTS, 0)) == 1  # the tokens alone
    assert leftover(c, np.zeros_like(y), [], COSTS, 48) == []
    dear = Costs(1.0, 1.0)
    assert leftover(c, y, [], dear, 48) == []


def test_a_broad_pattern_gives_way_to_the_tables_and_a_sure_one_stays(planted):
    c, y = planted
    at = c.tokens.match((("tok", (1,), 0, 0),))
    broad = Candidate((("tok", (1,), 0, 0),), at[c.part[at] == 0], at[c.part[at] == 1], probed=True)
    kept, more = completed(c, y, [broad], COSTS, 48)
    assert kept == []
    assert (("tok", (1,), 0, 0), ("not", (2, 3, 4, 5), 0, 0)) in more
    items = (("tok", (7,), 0, 0), ("tok", (8, 9), 0, 0))
    at = c.tokens.match(items)
    sure = Candidate(items, at[c.part[at] == 0], at[c.part[at] == 1], probed=True)
    kept, more = completed(c, y, [sure], COSTS, 48)
    assert said(c, more, [p.at for p in kept])[y & (c.part < 2)].mean() > 0.97

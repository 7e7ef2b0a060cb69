"""What tables say, as patterns: a list of tokens, what must not stand before them, and pairs."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import FakeIndex, random_documents, rows_of

from saelab.index.stats import best_keys, f1
from saelab.n2g.corpus import corpus
from saelab.n2g.fit.leftover import completed, table
from saelab.n2g.fit.select import Candidate
from saelab.n2g.graph.match import Tokens


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
    """Fires on token 1 unless 2 to 5 stand before it, and on 7 after 8 or 9."""
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


def candidate(c, *items):
    at = c.tokens.match(items)
    return Candidate(items, at[c.part[at] == 0], at[c.part[at] == 1], probed=True)


def tok(*ids):
    return ("tok", ids, 0, 0)


def test_what_is_planted_is_found_and_holds_on_test_documents(planted):
    c, y = planted
    patterns = table(c, y, [], 48)
    assert (tok(1), ("not", (2, 3, 4, 5), 0, 0)) in patterns
    assert (tok(7), tok(8, 9)) in patterns
    found, test = said(c, patterns), c.part == 2
    assert f1(int((found & y & test).sum()), int((found & test).sum()), int((y & test).sum())) > 0.97


def test_patterns_say_what_the_table_of_pairs_says():
    """On random text and firings: a pair that was seen decides, a pair that was not is decided by its token."""
    rng = np.random.default_rng(3)
    rate = rng.random((40, 40)) ** 3
    index = FakeIndex(
        [lambda t: float(len(t) > 1 and rng.random() < rate[t[-1] % 40, t[-2] % 40])],
        rows_of(random_documents(300, 20, 40, seed=4)),
    )
    c = corpus(index, 0)
    y = index._a[0] > 0
    pair, second, counts = c.pairs
    at = np.flatnonzero(y & (c.part < 2))
    good, alone = np.zeros(len(second), bool), np.zeros(c.tokens.n_vocab, bool)
    good[best_keys(counts[:2].sum(0), np.bincount(pair[at], minlength=len(second)), len(at))] = True
    hits = np.bincount(c.tokens.ids[at], minlength=len(alone))
    alone[best_keys(c.token_counts[:2].sum(0), hits, len(at))] = True
    by_pair = np.where(counts[:2].sum(0) > 0, good, alone[second])
    found = said(c, table(c, y, [], 10_000))
    inside = c.tokens.place > 0  # at a row's start a list of what must not stand before says nothing
    assert good.sum() > 100
    assert np.array_equal(found[inside], by_pair[pair][inside])


def test_what_is_explained_is_not_said_again(planted):
    c, y = planted
    ones = c.tokens.match((tok(1), ("not", (2, 3, 4, 5), 0, 0)))
    patterns = table(c, y, [ones], 48)
    assert not any(1 in items[0][1] for items in patterns)
    assert (tok(7), tok(8, 9)) in patterns


def test_test_documents_are_not_looked_at(planted):
    c, y = planted
    other = y.copy()
    other[c.part == 2] = np.random.default_rng(1).random(int((c.part == 2).sum())) < 0.5
    assert table(c, y, [], 48) == table(c, other, [], 48)
    of_train = y.copy()
    of_train[c.part == 1] = False
    assert table(c, y, [], 48, parts=1) == table(c, of_train, [], 48, parts=1)


def test_no_more_pairs_than_asked_for_and_nothing_from_nothing(planted):
    c, y = planted
    assert table(c, y, [], 1) == table(c, y, [], 48)[:1]
    assert table(c, y, [], 0) == []
    assert table(c, np.zeros_like(y), [], 48) == []
    assert all(item[0] != "not" for items in table(c, y, [], 48, negation=False) for item in items)


def test_patterns_give_way_to_the_table_unless_they_are_clearly_better(planted):
    c, y = planted
    for some in (candidate(c, tok(1)), candidate(c, tok(7), tok(8, 9))):
        kept, more = completed(c, y, [some], [some], 48)
        assert kept == []
        assert more == table(c, y, [], 48)
    far = candidate(c, tok(20), ("any", (), 0, 0), tok(21, 22, 23))
    new = y.copy()
    new[np.concatenate([far.at, c.tokens.match(far.items)])] = True
    kept, more = completed(c, new, [far], [far], 48)
    assert kept == [far]
    assert (tok(7), tok(8, 9)) in more

"""What is chosen: patterns that hold on train and valid together."""

import numpy as np
import pytest
from synthetic import FakeIndex, random_documents, rows_of

from saelab.n2g.corpus import corpus
from saelab.n2g.fit.select import Costs, Selector

A, B, C = 1, 2, 3


def tok(*ids):
    return ("tok", ids, 0, 0)


@pytest.fixture(scope="module")
def index():
    return FakeIndex(
        [lambda t: 1.0 * (len(t) > 1 and t[-2:] == (A, C))], rows_of(random_documents(200, 16, 6, seed=4))
    )


def selector(index, *patterns, changed=None):
    c = corpus(index, 0)
    out = Selector(c, 0, Costs(0.001, 0.0001))
    if changed is not None:
        out.y = changed
    out.add(patterns, probed=False)
    return out


def test_the_right_pattern_wins(index):
    right = (tok(C), tok(A))
    mine = selector(index, (tok(C),), right, (tok(C), tok(A, B)), (tok(C), tok(A), tok(B)))
    assert [p.items for p in mine.choose()] == [right]


def test_what_was_chance_on_train_is_not_chosen(index):
    """`a → b` fires on six of ten of its train matches, which would be worth it there, and on none on valid."""
    c = corpus(index, 0)
    y = index._a[0] > 0
    at = c.tokens.match((tok(B), tok(A)))
    some = at[c.part[at] == 0]
    y[some[: int(0.6 * len(some))]] = True
    mine = selector(index, (tok(C), tok(A)), (tok(B), tok(A)), changed=y)
    assert [p.items for p in mine.choose()] == [(tok(C), tok(A))]


def test_test_documents_do_not_matter(index):
    c = corpus(index, 0)
    patterns = [(tok(C),), (tok(C), tok(A)), (tok(B), tok(A))]
    y = index._a[0] > 0
    flipped = np.where(c.part == 2, ~y, y)
    chosen = [
        [p.items for p in s.choose()]
        for s in (selector(index, *patterns, changed=y), selector(index, *patterns, changed=flipped))
    ]
    assert chosen[0] == chosen[1]

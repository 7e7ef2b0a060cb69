"""Blocks of pairs: which sets of tokens fire after which."""

import numpy as np
from synthetic import FakeIndex, random_documents, rows_of

from saelab.n2g.corpus import corpus
from saelab.n2g.fit.blocks import blocks

FIRST, SECOND = {1, 2, 5}, {3, 7}


def found(rule, d=1):
    index = FakeIndex([rule], rows_of(random_documents(80, 16, 8, seed=2)))
    c = corpus(index, 0)
    at, _, part = c.truth(0)
    y = np.zeros(index.n_tokens, dtype=bool)
    y[at] = True
    return c, list(blocks(c, y, int((part == 0).sum()), d))


def test_a_block_is_found_whole():
    def rule(t):
        return 1.0 * (len(t) > 1 and t[-1] in SECOND and t[-2] in FIRST)

    _, patterns = found(rule)
    whole = (("tok", tuple(sorted(SECOND)), 0, 0), ("tok", tuple(sorted(FIRST)), 0, 0))
    assert whole in patterns
    assert ("any", (), 0, 0) not in {item for p in patterns for item in p}


def test_two_blocks_and_a_distance():
    """Blocks that share no token stay apart; those of distance 2 have a wildcard between."""

    def rule(t):
        return 1.0 * (len(t) > 2 and (t[-3], t[-1]) in {(1, 3), (2, 3), (4, 5), (4, 6)})

    _, patterns = found(rule, d=2)
    wild = ("any", (), 0, 0)
    for second, first in (((3,), (1, 2)), ((5, 6), (4,))):
        assert (("tok", second, 0, 0), wild, ("tok", first, 0, 0)) in patterns


def test_blocks_come_from_the_train_documents_alone():
    """A latent that fires nowhere else in train has no blocks, whatever it does on valid."""
    index = FakeIndex([lambda t: 1.0 * (t[-1] == 3)], rows_of(random_documents(80, 16, 8, seed=2)))
    c = corpus(index, 0)
    y = np.zeros(index.n_tokens, dtype=bool)
    y[np.flatnonzero((c.part != 0) & (index._a[0] > 0))] = True
    assert list(blocks(c, y, 0)) == []

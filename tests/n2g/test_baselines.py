"""Lookups by brute force, and beside the graph that says the same."""

import math

import numpy as np
import pytest
from synthetic import LETTERS, C, FakeIndex, after_a, graph_for, random_documents, rows_of

from saelab.n2g.corpus import corpus


def lookup_by_hand(index, key, learn=(0,), split=1, seed=0):
    """F1 of the best table key -> fires, by trying every length of the sorted list."""
    c = corpus(index, seed)
    a = index._a[0]
    keys = [key(c, i) for i in range(len(a))]
    table = {}
    for i in np.flatnonzero(np.isin(c.part, learn)):
        n, hits = table.get(keys[i], (0, 0))
        table[keys[i]] = (n + 1, hits + (a[i] > 0))
    fired = sorted(
        (k for k in table if table[k][1]), key=lambda k: (-table[k][1] / table[k][0], -table[k][1])
    )

    def f1(chosen, parts):
        at = list(np.flatnonzero(np.isin(c.part, parts)))
        tp = sum(a[i] > 0 and keys[i] in chosen for i in at)
        return 2 * tp / max(sum(keys[i] in chosen for i in at) + sum(a[i] > 0 for i in at), 1)

    best = max(range(len(fired)), key=lambda n: f1(fired[: n + 1], learn))
    return f1(set(fired[: best + 1]), [split])


def test_baselines_by_brute_force():
    index = FakeIndex([after_a], rows_of(random_documents(60, 14, 4, seed=5)), LETTERS)
    found = graph_for(index, []).baselines()
    assert found["token"].f1 == pytest.approx(lookup_by_hand(index, lambda c, i: c.tokens.ids[i]))

    def pair(c, i):
        return (c.tokens.ids[i - 1] if c.tokens.place[i] > 0 else -1, c.tokens.ids[i])

    assert found["bigram"].f1 == pytest.approx(lookup_by_hand(index, pair))  # every pair is seen in train
    more = graph_for(index, []).baselines(split="test", learn=("train", "valid"))
    assert more["bigram"].f1 == pytest.approx(lookup_by_hand(index, pair, learn=(0, 1), split=2))
    density = float((index._a[0][corpus(index, 0).part == 1] > 0).mean())
    assert found["always"].precision == pytest.approx(density)
    assert found["always"].recall == 1.0


def test_lookup_sums_are_those_of_the_equal_graph():
    """A token lookup and the graph with the same table have the same score in every number."""
    index = FakeIndex([after_a], rows_of(random_documents(60, 14, 4, seed=6)), LETTERS)
    table = graph_for(index, []).baselines()["token"]
    graph = graph_for(index, [([C], 1.0)])
    for name, number in graph.score().to_dict().items():
        if isinstance(number, float) and name != "scale":
            assert math.isclose(number, table.to_dict()[name], rel_tol=1e-6), name
        elif name != "scale" and not isinstance(number, tuple):
            assert number == table.to_dict()[name], name

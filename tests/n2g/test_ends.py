"""Values of patterns."""

import numpy as np
import pytest
from synthetic import A, C, graph_for, pairs_of_documents

from saelab.n2g.corpus import corpus


@pytest.fixture(scope="module")
def index():
    return pairs_of_documents()


def test_refit_is_the_mean_with_zeros(index):
    graph = graph_for(index, [([C], 9.0), ([A, C], 9.0), ([4], 7.0), ([5, C], 0.0)])
    graph.refit()
    values = {p["text"]: p["value"] for p in graph.paths()}
    assert values["`a` → `c`"] == 2.0
    assert values["→ `d`"] == 7.0  # nothing to learn from
    assert values["`e` → `c`"] == 0.0  # an exception stays one
    c = corpus(index, 0)
    rest = [i for i in np.flatnonzero(c.part == 0) if c.tokens.ids[i] == C and c.tokens.ids[i - 1] != A]
    assert values["→ `c`"] == pytest.approx(float(index._a[0][rest].mean()))
    graph.undo()
    assert graph.patterns()[0].end.value in (0.0, 7.0, 9.0)


def test_add_path_takes_its_value_from_the_text(index):
    graph = graph_for(index, [])
    node = graph.add_path([A, C])
    assert graph.tree.nodes[node].end.value == 2.0


def test_a_token_that_the_fit_had_not_seen_is_shown_as_text(index):
    graph = graph_for(index, [])
    graph.labels.clear()
    graph.add_path([A, C], value=1.0)
    assert "`a` → `c`" in graph.text()
    graph.undo()
    graph.add_path([len(index.vocab) + 5], value=1.0)  # of no vocabulary: its number
    assert f"`#{len(index.vocab) + 5}`" in graph.text()

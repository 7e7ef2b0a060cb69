"""Search, similarity and duplicates on graphs made by hand."""

import pytest
from synthetic import FakeIndex, rows_of

from saelab.errors import SaelabError
from saelab.n2g import PatternGraph, duplicates, search, similar

A, B, C, D = 1, 2, 3, 4


def graph(latent, *paths):
    g = PatternGraph(target={"latent": latent}, labels={A: "a", B: " b", C: "c", D: "d"})
    for items in paths:
        g.add_path(items, value=1.0 + latent)
    return g


@pytest.fixture
def graphs():
    return {
        0: graph(0, [A, C], [B, C]),
        1: graph(1, [[A, B], C]),
        2: graph(2, [A, C]),
        3: graph(3, [D], [A, "*", B]),
        4: PatternGraph(target={"latent": 4}, reason="silent"),
    }


def test_search_by_activating_and_context(graphs):
    assert set(search(graphs, activating=C)["latent"]) == {0, 1, 2}
    assert set(search(graphs, activating="b")["latent"]) == {3}
    both = search(graphs, activating=C, context=B)
    assert set(both["latent"]) == {0, 1}
    assert "` b` → `c`" in both["text"].tolist()
    assert search(graphs, context=[D]).empty
    assert search(graphs, activating="nowhere").empty
    with pytest.raises(SaelabError, match="activating"):
        search(graphs)


def test_a_pattern_of_value_zero_is_found_but_not_compared():
    g = graph(0, [A, C])
    g.add_path([B, C], value=0.0)
    assert len(search([g], context=B)) == 1
    assert similar([g, graph(1, [A, C])], 0)["similarity"].tolist() == [1.0]


def test_similar_by_tokens(graphs):
    table = similar(graphs, 0)
    assert table["latent"].tolist() == [1, 2]
    assert table["similarity"].tolist() == [1.0, 0.5]  # context sets {a, b} and {a}
    with pytest.raises(SaelabError, match="no graph of latent 9"):
        similar(graphs, 9)
    with pytest.raises(SaelabError, match="tokens"):
        similar(graphs, 0, by="token")


def test_similar_by_predictions(graphs):
    index = FakeIndex([lambda t: 0.0] * 5, rows_of([[A, C, B, C], [B, C, D]] * 8))
    table = similar(graphs, 0, by="predictions", index=index, split="train")
    assert table["latent"].tolist()[:2] == [1, 2]
    assert table["similarity"].tolist()[0] == 1.0
    assert 0 < table["similarity"].tolist()[1] < 1


def test_duplicates_and_subsets(graphs):
    table = duplicates(graphs)
    assert table[["a", "b"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 2]]
    assert table["similarity"].tolist() == [1.0, 0.5, 0.5]
    assert table["subset"].tolist() == [1.0, 1.0, 1.0]
    assert duplicates({}).empty

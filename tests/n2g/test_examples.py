"""Hits, misses, false alarms, suggestions and the scores of single patterns."""

import pytest
from synthetic import A, C, graph_for, pairs_of_documents

from saelab.errors import SaelabError


@pytest.fixture(scope="module")
def index():
    return pairs_of_documents()


def test_examples_are_what_they_say(index):
    graph = graph_for(index, [([C], 1.0), ([A, C], 0.0)])
    misses, alarms = graph.examples(kind="miss", n=1000), graph.examples(kind="false_alarm", n=1000)
    assert len(misses) == graph.score().fn
    assert len(alarms) == graph.score().fp
    assert (misses["value"] == 2.0).all()
    assert (alarms["value"] == 0.0).all()
    assert (alarms["node"] == 1).all()
    hits = graph.examples(kind="hit", node=1, n=3)
    assert len(hits) == 3
    assert (hits["value"] == 1.0).all()
    assert hits["text"].str.contains("bc").all()
    with pytest.raises(SaelabError, match="false_alarm"):
        graph.examples(kind="false-alarm")


def test_suggest_counts_what_would_be_gained(index):
    graph = graph_for(index, [([A, C], 2.0)])
    (row,) = graph.suggest(2).to_dict("records")
    before = graph.score(split="train")
    assert (row["text"], row["fp"]) == ("b", 0)
    graph.add_alternative(2, [row["token"]])
    assert graph.score(split="train").tp - before.tp == row["tp"]


def test_node_scores_add_up(index):
    graph = graph_for(index, [([C], 1.0), ([A, C], 2.0)])
    table, score = graph.node_scores(), graph.score()
    assert table["hits"].sum() == score.tp
    assert table["false_alarms"].sum() == score.fp

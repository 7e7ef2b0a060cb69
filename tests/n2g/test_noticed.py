"""Small things of a graph that a mutation tester found unnoticed."""

import numpy as np
import pytest
from synthetic import http

from saelab.errors import SaelabError
from saelab.index.stats import best_keys
from saelab.n2g import PatternGraph
from saelab.n2g.baselines import _lookup
from saelab.n2g.graph import render


def two(**values):
    graph = PatternGraph(labels={1: "a", 2: "b", 3: "c"})
    graph.add_path([1, 3], value=values.get("one", 2.0))
    graph.add_path([2, 3], value=values.get("two", 4.0))
    return PatternGraph(graph.tree, labels=graph.labels)


def ends(graph):
    return {p.end.value: p.node for p in graph.tree.patterns}


@pytest.mark.parametrize("value", [1.0, 3.0])
def test_a_value_that_rose_or_fell_is_revalued_and_another_is_not(value):
    graph = two()
    graph.set_value(ends(graph)[2.0], value)
    assert graph.diff() == {"added": [], "removed": [], "revalued": ["`a` → `c`"]}


def test_a_path_without_a_value_gets_the_mean_of_the_others():
    assert two().likely_value([1]) == 3.0


def test_only_alternatives_that_are_there_can_be_removed():
    graph = two()
    node = graph.tree.path(ends(graph)[2.0])[-1]
    graph.add_alternative(node, [5, 6])
    with pytest.raises(SaelabError, match="token 7 is not among"):
        graph.remove_alternative(node, [5, 7])
    graph.remove_alternative(node, [5])
    assert graph.tree.nodes[node].ids == (1, 6)


def test_every_step_of_the_history_has_its_own_words():
    graph = http()
    before = graph.tree
    said = render_words(graph, before, "set_value", {"node": 1, "value": 2.0})
    assert said == "value of `example`: 2"
    assert render_words(graph, before, "lock", {"node": 1, "on": False}) == "unlock `example`"


def render_words(graph, tree, op, args):
    from saelab.n2g.graph.edits import words

    return words(graph.labels, tree, op, args)


def test_text_names_the_strongest_first_and_says_how_many_are_left_out():
    graph = two()
    shown = render.text(graph.tree, graph.labels, n=1)
    assert shown.splitlines() == ["`b` → `c`  (4)", "… 1 more"]
    assert "more" not in render.text(graph.tree, graph.labels, n=2)
    assert "more" not in render.text(graph.tree, graph.labels)


def test_patterns_stand_in_the_order_of_what_they_explain():
    from dataclasses import replace

    tree = two().tree
    sums = {2.0: 9.0, 4.0: 1.0}  # the weaker pattern explains more
    nodes = {
        i: n if n.end is None else replace(n, end=replace(n.end, sum=sums[n.end.value]))
        for i, n in tree.nodes.items()
    }
    assert [p.end.value for p in render.best_first(replace(tree, nodes=nodes))] == [2.0, 4.0]


def test_the_token_a_graph_fires_on_is_red_in_graphviz_and_no_other():
    lines = render.dot(two().tree, {1: "a", 2: "b", 3: "c"}).splitlines()
    assert ["`c`" in line for line in lines if "#c03030" in line] == [True]
    assert sum("label=" in line for line in lines) == 3


def test_a_label_that_only_repeats_the_number_is_not_kept():
    graph = PatternGraph(labels={3: "c"})
    graph.add_path([7, 3], value=1.0)
    again = PatternGraph.from_json(graph.to_json())
    assert again.labels == {3: "c"}


def test_a_lookup_takes_the_keys_that_are_surest_while_f1_rises():
    """Key 0 fires 3 of 3 times, key 1 5 of 10, key 2 1 of 100; key 3 never."""
    keys = np.repeat([0, 1, 2], [3, 5, 1])
    value = _lookup(keys, np.full(9, 2.0), np.array([3, 10, 100, 7]))
    # f1 of {0} 0.5, of {0, 1} 0.73, of all 0.15
    assert value.tolist() == [2.0, 1.0, 0.0, 0.0]


def test_of_keys_as_sure_the_more_frequent_comes_first():
    """Both fire half of the time: alone the frequent one has f1 0.53, the rare one 0.13, together 0.59; a third adds no hit
    worth its false ones."""
    keys = np.repeat([0, 1], [1, 8])
    value = _lookup(keys, np.ones(9), np.array([4, 32, 0, 0]))
    assert value.tolist() == [0.25, 0.25, 0.0, 0.0]
    value = _lookup(np.repeat([0, 1, 2], [1, 1, 6]), np.ones(8), np.array([1, 50, 6, 0]))
    assert value.tolist() == [1.0, 0.0, 1.0, 0.0]


def test_keys_that_make_f1_no_better_are_not_taken():
    n, hits = np.array([10, 0, 20]), np.array([1, 0, 2])
    assert best_keys(n, hits, 9, tp=6, predicted=6).tolist() == []  # surer is what is predicted already
    assert best_keys(n, hits, 9).tolist() == [0, 2]
    assert best_keys(n, hits, 9, least=2).tolist() == [2]
    assert best_keys(n, hits, 9, cost=0.2).tolist() == []


STEPS = {
    "delete": ({"node": 4}, "delete `Host`"), "wildcard": ({"node": 3}, "any token for `:`"),
    "specialise": ({"node": 3, "ids": [4]}, "` x` for `:`"),
    "add_alternative": ({"node": 3, "ids": [4]}, "` x` beside `:`"),
    "add_path": ({"items": [1, 3], "value": 1.0}, "add `Host` → `example`"),
    "exclude": ({"node": 4, "ids": [2]}, "not after `:`: `Host`"), "gap": ({"node": 2, "lo": 0, "hi": 3}, "gap 0–3 at *"),
    "anchor_start": ({"node": 4}, "only at the start: `Host`"),
    "set_value": ({"node": 4, "value": 0.25}, "value of `Host`: 0.25"),
    "set_ends": ({"ends": {"4": [1, 1, 1, 1, 1]}}, "fit the value again"),
    "lock": ({"node": 4, "on": True}, "lock `Host`"),
}  # fmt: skip


@pytest.mark.parametrize("op", STEPS)
def test_a_step_of_the_history_is_said_in_words(op):
    args, words = STEPS[op]
    graph = http()
    graph.apply(op, args)
    assert graph.steps() == [words]


def test_steps_that_take_something_back_are_said_in_words():
    graph = http()
    for op, args, words in (
        ("add_alternative", {"node": 3, "ids": [4]}, "` x` beside `:`"),
        ("split", {"node": 3}, "split `:`|` x`"),
        ("merge", {"a": 3, "b": 5}, "merge `:` with its neighbour"),
        ("remove_alternative", {"node": 3, "ids": [4]}, "no longer ` x`"),
        ("lock", {"node": 3, "on": True}, "lock `:`"),
        ("lock", {"node": 3, "on": False}, "unlock `:`"),
        ("anchor_start", {"node": 4, "on": True}, "only at the start: `Host`"),
        ("anchor_start", {"node": 4, "on": False}, "anywhere: `Host`"),
        ("set_ends", {"ends": {"4": [1, 1, 1, 1, 1], "3": [2, 1, 1, 1, 1]}}, "fit the values again"),
        ("set_value", {"node": 3, "value": None}, "value of `:`: no pattern ends here"),
    ):
        graph.apply(op, args)
        assert graph.steps()[-1] == words

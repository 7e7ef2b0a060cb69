"""Undo, redo, replay, notes: whatever is edited can be taken back, done again and read from a file."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import http

from saelab.errors import SaelabError
from saelab.n2g import PatternGraph
from saelab.n2g.graph.tree import check


def test_history_notes_and_diff():
    graph = http()
    graph.wildcard(3, note="any separator will do")
    graph.annotate("any separator")
    assert graph.history == [{"op": "wildcard", "args": {"node": 3}, "note": "any separator", "delta": None}]
    assert graph.diff() == {
        "added": ["`Host` * * → `example`"],
        "removed": ["`Host` `:` * → `example`"],
        "revalued": [],
    }


def test_dry_run_leaves_the_graph():
    graph = http()
    assert len(graph.dry_run("delete", {"node": 1})) == 0
    assert len(graph) == 4
    assert graph.history == []


# random edits: everything an editor could send, most of it refused
node_ = st.integers(1, 12)
ids_ = st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True)
item_ = st.one_of(st.integers(1, 5), ids_, st.just("*"), st.builds(lambda i: {"not": i}, ids_))
edit_ = st.one_of(
    st.tuples(st.sampled_from(["delete", "wildcard"]), st.fixed_dictionaries({"node": node_})),
    st.tuples(
        st.sampled_from(["specialise", "add_alternative", "remove_alternative", "exclude", "split"]),
        st.fixed_dictionaries({"node": node_, "ids": ids_}),
    ),
    st.tuples(
        st.just("add_path"),
        st.fixed_dictionaries({"items": st.lists(item_, min_size=1, max_size=4), "value": st.just(1.5)}),
    ),
    st.tuples(
        st.just("gap"),
        st.fixed_dictionaries({"node": node_, "lo": st.integers(0, 2), "hi": st.integers(0, 3)}),
    ),
    st.tuples(
        st.sampled_from(["anchor_start", "lock"]), st.fixed_dictionaries({"node": node_, "on": st.booleans()})
    ),
    st.tuples(
        st.just("set_value"),
        st.fixed_dictionaries({"node": node_, "value": st.sampled_from([None, 0.0, 2.0])}),
    ),
    st.tuples(st.just("merge"), st.fixed_dictionaries({"a": node_, "b": node_})),
)


@settings(max_examples=120)
@given(st.lists(edit_, max_size=14), st.integers(0, 14))
def test_undo_redo_replay_and_json(edits, back):
    graph = PatternGraph(labels={i: f"t{i}" for i in range(6)})
    graph.add_path([1, "*", [2, 3]], value=1.0)
    graph.add_path([4, 2], value=2.0)
    graph = PatternGraph(graph.tree, labels=graph.labels)
    trees = [graph.tree]
    for op, args in edits:
        try:
            graph.apply(op, args)
        except SaelabError:
            assert graph.tree == trees[-1]
        else:
            check(graph.tree)
            trees.append(graph.tree)
    last = graph.tree
    again = PatternGraph.from_json(json.loads(json.dumps(graph.to_json())))
    assert again.tree == last
    assert again.to_json() == graph.to_json()
    steps = min(back, len(trees) - 1)
    for i in range(steps):
        graph.undo()
        assert graph.tree == trees[-2 - i]
    replayed = PatternGraph(trees[0], labels=graph.labels)
    for edit in graph.history:
        replayed.apply(edit["op"], edit["args"])
    assert replayed.tree == graph.tree
    for _ in range(steps):
        graph.redo()
    assert graph.tree == last

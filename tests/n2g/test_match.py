"""The matcher against a brute-force reading of its rules."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import openai, rows_of

from saelab.errors import SaelabError
from saelab.n2g import PatternGraph, Tokens
from saelab.n2g.graph.match import winners

VOCAB = 4


def matches(items, tokens, i):
    """Whether a pattern (activating token first) matches backwards from position i of one row."""

    def rest(k, j):
        if k == len(items):
            return True
        kind, ids, lo, hi = items[k]
        if kind == "start":
            return j == -1 and rest(k + 1, j)
        if kind == "gap":
            return any(rest(k + 1, j - w) for w in range(lo, hi + 1) if w == 0 or j - w >= -1)
        if kind == "not":
            return (j < 0 or tokens[j] not in ids) and rest(k + 1, j - 1)
        return j >= 0 and (kind == "any" or tokens[j] in ids) and rest(k + 1, j - 1)

    return rest(0, i)


def brute(graph, documents):
    """Predicted values: most exact tokens, then longest, then highest value."""
    out = []
    for tokens in documents:
        for i in range(len(tokens)):
            here = [p.rank for p in graph.patterns() if matches(p.items, tokens, i)]
            out.append(max(here, default=(0, 0, 0.0))[2])
    return out


tokens_ = st.integers(1, VOCAB)
documents_ = st.lists(st.lists(tokens_, min_size=1, max_size=9), min_size=1, max_size=5)
ids_ = st.lists(tokens_, min_size=1, max_size=3, unique=True)
value_ = st.sampled_from([0.0, 0.5, 1.0, 2.0])
simple_ = st.one_of(tokens_, ids_, st.just("*"))
rich_ = st.one_of(simple_, st.builds(lambda i: {"not": i}, ids_))


@st.composite
def path_(draw, item=rich_, gaps=True):
    items = draw(st.lists(item, min_size=1, max_size=4))
    if gaps and len(items) > 1 and draw(st.booleans()):
        lo = draw(st.integers(0, 2))
        items.insert(draw(st.integers(1, len(items) - 1)), {"gap": [lo, lo + draw(st.integers(1, 2))]})
    return (["^"] if draw(st.booleans()) else []) + items


def graph_of(paths, **config):
    graph = PatternGraph(config=config, labels={i: "abcd"[i - 1] for i in range(1, VOCAB + 1)})
    for items, value in paths:
        graph.add_path(items, value=value)
    return graph


@settings(max_examples=150)
@given(st.lists(st.tuples(path_(), value_), min_size=1, max_size=6), documents_, st.booleans())
def test_specific_rule_is_brute_force(paths, documents, bos):
    graph = graph_of(paths)
    rows = rows_of(documents, bos=bos)
    predicted = graph.predict(rows)
    keep = np.ones(len(predicted), dtype=bool)
    if bos:
        keep[rows.offsets[:-1]] = False
        assert not predicted[~keep].any()
    assert predicted[keep].tolist() == brute(graph, documents)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(path_(simple_, gaps=False), value_), min_size=1, max_size=6),
    documents_,
    st.sampled_from(["first", "longest"]),
)
def test_greedy_rules_are_the_published_ones(paths, documents, rule):
    graph = graph_of(paths, match=rule)
    trie = graph.to_openai()
    names = [["abcd"[t - 1] for t in d] for d in documents]
    expected = [v for d in names for v in openai(trie, d, longest=rule == "longest")]
    assert graph.predict(rows_of(documents, bos=False)).tolist() == expected


def test_rows_never_mix():
    graph = graph_of([([1, 2], 1.0)])
    assert graph.predict(rows_of([[1], [2], [1, 2]], bos=False)).tolist() == [0, 0, 0, 1]
    assert graph.predict(rows_of([[1], [2], [1, 2]])).tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_bos_is_no_token_and_start_is_after_it():
    graph = graph_of([(["^", "*"], 1.0)])
    assert graph.predict(rows_of([[3, 3], [2]])).tolist() == [0, 1, 0, 0, 1]
    everything = graph_of([([{"not": [4]}], 1.0)])
    assert everything.predict(rows_of([[3, 4]])).tolist() == [0, 1, 0]


def test_backtracking_finds_what_a_greedy_walk_hides():
    """`d * c` beside `b c a`-like paths: the exact child `a` must not hide the wildcard."""
    paths = [([2, 1, 3], 1.0), ([4, "*", 3], 2.0)]
    text = [4, 1, 3]
    assert graph_of(paths).predict(text).tolist() == [0, 0, 2.0]
    assert graph_of(paths, match="first").predict(text).tolist() == [0, 0, 0]


def test_longer_pattern_of_higher_value_is_not_hidden():
    paths = [([3], 1.0), ([2, 3], 5.0)]
    assert graph_of(paths).predict([2, 3]).tolist() == [0, 5.0]
    assert graph_of(paths, match="first").predict([2, 3]).tolist() == [0, 1.0]
    assert graph_of(paths, match="longest").predict([2, 3]).tolist() == [0, 5.0]


def test_value_zero_is_an_exception():
    graph = graph_of([([3], 1.0), ([2, 3], 0.0)])
    assert graph.predict([2, 3, 3]).tolist() == [0, 0, 1.0]


def test_gap_under_a_greedy_rule_is_refused():
    graph = graph_of([([1, {"gap": [0, 2]}, 2], 1.0)], match="first")
    with pytest.raises(SaelabError, match="no gaps"):
        graph.predict([1, 2])


def test_unknown_rule_names_the_nearest():
    with pytest.raises(SaelabError, match="longest"):
        winners(Tokens.of([1]), graph_of([([1], 1.0)]).tree, "longst")


def test_ids_outside_the_text_match_nothing():
    graph = graph_of([([99, 3], 1.0), ([[3, 77]], 2.0), ([{"not": [1000]}, 1], 3.0)])
    assert graph.predict([3, 1]).tolist() == [2.0, 3.0]


def test_empty_inputs():
    assert PatternGraph().predict([1, 2]).tolist() == [0, 0]
    assert graph_of([([1], 1.0)]).predict(np.zeros(0, dtype=np.int32)).tolist() == []
    with pytest.raises(SaelabError, match="one sequence"):
        PatternGraph().predict(np.zeros((2, 2), dtype=int))


def test_speed_on_a_million_tokens():
    """At least 20M tokens a second of processor time for 16 patterns."""
    rng = np.random.default_rng(0)
    ids = (rng.zipf(1.3, 1_000_000) % 20_000).astype(np.int32)
    tokens = Tokens(ids, np.arange(0, 1_000_001, 100), bos=True)
    graph = PatternGraph()
    for _ in range(16):
        at, k = int(rng.integers(10, 900_000)), int(rng.integers(1, 5))
        graph.add_path([int(i) for i in ids[at : at + k]], value=1.0)
    best = np.inf
    for _ in range(5):
        tokens._kept.clear()
        begun = time.thread_time()
        winners(tokens, graph.tree)
        best = min(best, time.thread_time() - begun)
    assert best < 0.05

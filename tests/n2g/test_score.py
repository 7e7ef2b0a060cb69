"""Scores by hand, baselines by brute force, and the split into documents."""

import math

import numpy as np
import pytest
from synthetic import FakeIndex, FakeVocab, random_documents, rows_of

from saelab.errors import SaelabError
from saelab.n2g import PatternGraph
from saelab.n2g.corpus import corpus
from saelab.n2g.score import wilson

A, B, C = 1, 2, 3
VOCAB = FakeVocab(["<bos>", "a", "b", "c", "d", "e"])


def after_a(tokens):
    """Fires with 2 on c after a, with 1 on c after b."""
    if tokens[-1] != C or len(tokens) < 2:
        return 0.0
    return {A: 2.0, B: 1.0}.get(tokens[-2], 0.0)


def graph_for(index, paths, **config):
    graph = PatternGraph(target={"latent": 0}, config=config, labels={i: VOCAB.label(i) for i in range(6)})
    graph.index = index
    for items, value in paths:
        graph.add_path(items, value=value)
    return graph


@pytest.fixture(scope="module")
def index():
    documents = [[A, C, B, C, C], [C, A, C]] * 20
    return FakeIndex([after_a], rows_of(documents), VOCAB)


def test_counts_by_hand(index):
    """Each pair of documents has: c after a twice, c after b once, c after c or at the start twice."""
    graph = graph_for(index, [([C], 1.0)])
    c = corpus(index, 0)
    kind = (np.asarray(index.rows.doc) % 2)[c.part[index.rows.offsets[:-1] + 1] == 1]
    long, short = int((kind == 0).sum()), int((kind == 1).sum())  # valid documents of either kind
    score = graph.score()
    assert score.tokens == 5 * long + 3 * short
    assert (score.tp, score.fp, score.fn) == (2 * long + short, long + short, 0)
    assert score.precision == pytest.approx((2 * long + short) / (3 * long + 2 * short))
    assert score.recall == 1.0
    assert score.weighted_recall == 1.0
    assert score.unit == "document"


def test_weighted_recall_and_r2(index):
    graph = graph_for(index, [([A, C], 5.0)])
    train, valid = graph.score(split="train"), graph.score()
    assert valid.precision == 1.0
    assert train.scale == pytest.approx(2.0 / 5.0)  # sum s·a / sum s² with s = 5, a = 2 everywhere
    ones = valid.fn  # c after b, activation 1
    assert valid.weighted_recall == pytest.approx(2 * valid.tp / (2 * valid.tp + ones))
    total, squares, n = 2 * valid.tp + ones, 4 * valid.tp + ones, valid.tokens
    assert valid.r2 == pytest.approx(1 - ones / (squares - total**2 / n))


def test_hard_negatives(index):
    """On tokens c where the latent is silent: the pattern `c` is wrong on all, `a c` on none."""
    assert graph_for(index, [([C], 1.0)]).score().hard_specificity == 0.0
    right = graph_for(index, [([A, C], 1.0)]).score()
    assert right.hard_specificity == 1.0
    assert right.hard_negatives == graph_for(index, [([C], 1.0)]).score().fp


def test_silent_graph_has_no_precision(index):
    score = graph_for(index, [([4], 1.0)]).score()
    assert score.precision is None
    assert score.precision_interval is None
    assert score.recall == 0.0
    assert score.f1 == 0.0
    assert score.scale is None
    empty = graph_for(index, []).score()
    assert empty.precision is None
    assert "undefined" in repr(empty)


def test_latent_that_never_fires_in_the_split(index):
    silent = FakeIndex([lambda t: 0.0], index.rows, VOCAB)
    score = graph_for(silent, []).score()
    assert (score.precision, score.recall, score.f1, score.r2) == (None, None, None, None)
    assert {b.f1 for n, b in graph_for(silent, []).baselines().items() if n != "always"} == {None}


def test_threshold_splits_weak_and_strong(index):
    graph = graph_for(index, [([C], 1.0)])
    strong = graph.score(threshold=1.5)
    assert strong.tp + strong.fn < graph.score().tp + graph.score().fn
    with pytest.raises(SaelabError, match="threshold"):
        graph.score(threshold=-1)
    with pytest.raises(SaelabError, match="valid"):
        graph.score(split="valdi")


def test_wilson_by_hand():
    """8 of 10 at z = 1.96: (0.4902, 0.9433), the textbook values."""
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert wilson(0, 0) is None
    assert wilson(0, 5)[0] == 0.0


def test_split_is_by_document_and_complete():
    documents = random_documents(40, 10, 5)
    docs = [i // 4 for i in range(40)]  # ten documents of four rows
    index = FakeIndex([after_a], rows_of(documents, docs=docs), VOCAB)
    c = corpus(index, 3)
    row, _ = index.rows.locate(np.arange(index.n_tokens))
    doc = index.rows.doc[row]
    inside = c.part != 255
    assert (inside == index.counted).all()
    for d in range(10):
        assert len(set(c.part[inside & (doc == d)].tolist())) == 1
    assert [len(set(doc[c.part == p].tolist())) for p in range(3)] == [5, 3, 2]
    assert (corpus(index, 4).part != c.part).any()


def test_few_documents_are_split_by_row():
    index = FakeIndex([after_a], rows_of(random_documents(12, 8, 5), docs=[0] * 12), VOCAB)
    assert corpus(index, 0).unit == "row"
    assert (corpus(index, 0).sizes > 0).all()


def lookup_by_hand(index, key, seed=0):
    """F1 on valid of the best table key -> fires, by trying every length of the sorted list."""
    c = corpus(index, seed)
    a = index._a[0]
    keys = [key(c, i) for i in range(len(a))]
    table = {}
    for i in np.flatnonzero(c.part == 0):
        n, hits = table.get(keys[i], (0, 0))
        table[keys[i]] = (n + 1, hits + (a[i] > 0))
    fired = sorted(
        (k for k in table if table[k][1]), key=lambda k: (-table[k][1] / table[k][0], -table[k][1])
    )

    def f1(chosen, part):
        at = list(np.flatnonzero(c.part == part))
        tp = sum(a[i] > 0 and keys[i] in chosen for i in at)
        return 2 * tp / max(sum(keys[i] in chosen for i in at) + sum(a[i] > 0 for i in at), 1)

    best = max(range(len(fired)), key=lambda n: f1(fired[: n + 1], 0))
    return f1(set(fired[: best + 1]), 1)


def test_baselines_by_brute_force():
    index = FakeIndex([after_a], rows_of(random_documents(60, 14, 4, seed=5)), VOCAB)
    found = graph_for(index, []).baselines()
    assert found["token"].f1 == pytest.approx(lookup_by_hand(index, lambda c, i: c.tokens.ids[i]))

    def pair(c, i):
        return (c.tokens.ids[i - 1] if c.tokens.place[i] > 0 else -1, c.tokens.ids[i])

    assert found["bigram"].f1 == pytest.approx(lookup_by_hand(index, pair))  # every pair is seen in train
    density = float((index._a[0][corpus(index, 0).part == 1] > 0).mean())
    assert found["always"].precision == pytest.approx(density)
    assert found["always"].recall == 1.0


def test_lookup_sums_are_those_of_the_equal_graph():
    """A token lookup and the graph with the same table have the same score in every number."""
    index = FakeIndex([after_a], rows_of(random_documents(60, 14, 4, seed=6)), VOCAB)
    table = graph_for(index, []).baselines()["token"]
    graph = graph_for(index, [([C], 1.0)])
    for name, number in graph.score().to_dict().items():
        if isinstance(number, float) and name != "scale":
            assert math.isclose(number, table.to_dict()[name], rel_tol=1e-6), name
        elif name != "scale" and not isinstance(number, tuple):
            assert number == table.to_dict()[name], name


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


def test_preview_is_the_score_after_the_edit(index):
    graph = graph_for(index, [([C], 1.0)])
    seen = graph.preview("exclude", node=1, ids=[C])
    before = graph.score()
    graph.exclude(1, [C])
    assert seen["before"] == before
    assert seen["after"] == graph.score()
    assert seen["delta"]["fp"] == graph.score().fp - before.fp < 0
    assert len(graph.history) == 2


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


def test_add_path_takes_its_value_from_the_text(index):
    graph = graph_for(index, [])
    node = graph.add_path([A, C])
    assert graph.tree.nodes[node].end.value == 2.0

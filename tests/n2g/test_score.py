"""Scores by hand, and the split into documents."""

import numpy as np
import pytest
from synthetic import (
    LETTERS,
    A,
    B,
    C,
    FakeIndex,
    after_a,
    graph_for,
    pairs_of_documents,
    random_documents,
    rows_of,
)

from saelab.errors import SaelabError
from saelab.intervals import of_share
from saelab.n2g import PatternGraph
from saelab.n2g.corpus import corpus, text_of


@pytest.fixture(scope="module")
def index():
    return pairs_of_documents()


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


def test_the_scale_is_learned_on_train_documents_alone():
    """Twice as strong outside them: the scale of a score on the valid documents does not know it."""
    index = pairs_of_documents()
    index._a[:, corpus(index, 0).part == 1] *= 2
    graph = graph_for(index, [([A, C], 5.0)])
    assert graph.score().scale == graph.score(split="train").scale == pytest.approx(2 / 5)
    assert graph.score().r2 < graph_for(pairs_of_documents(), [([A, C], 5.0)]).score().r2


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
    silent = FakeIndex([lambda t: 0.0], index.rows, LETTERS)
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


def test_D31_a_score_says_what_it_is_on(index):
    graph = graph_for(index, [([C], 1.0)])
    assert "held out" not in graph.score().on + graph.score(split="test").on  # made by hand: nothing is known
    graph.fit_info = {"text": None, "seed": 0}  # as a fit on this index leaves it
    assert "valid" in graph.score().on
    assert "chosen on" in graph.score().on
    assert "chosen on" in graph.score(split="train").on
    held_out = graph.score(split="test")
    assert held_out.on.endswith("held out")
    assert held_out.chosen_on == ("train", "valid")
    for shown in (repr(held_out), held_out._repr_html_()):
        assert held_out.on in shown
    graph.fit_info = {"text": "another"}
    assert graph.score().chosen_on == ()


def test_D31_lookups_learn_from_what_the_fit_had(index):
    graph = graph_for(index, [([C], 1.0)])
    assert graph.baselines()["token"].chosen_on == ("train",)
    graph.fit_info = {"text": None, "seed": 0}
    for split in ("valid", "test"):
        fair = graph.baselines(split=split, learn=("train", "valid"))
        assert graph.baselines(split=split) == fair
        assert fair["bigram"].chosen_on == graph.score(split=split).chosen_on


def test_D30_intervals_of_a_score_count_documents():
    """Forty valid documents; by hand from what each has."""
    index = FakeIndex([lambda t: float(t[-1] == C and (len(t) < 2 or t[-2] != B))],
                      rows_of(random_documents(160, 12, 5, seed=3)), LETTERS)  # fmt: skip
    score, c = graph_for(index, [([C], 1.0)]).score(), corpus(index, 0)
    row, _ = index.rows.locate(np.arange(index.n_tokens))
    inside = c.part == 1
    says, fires = (c.tokens.ids == C) & inside, (index._a[0] > 0) & inside
    docs = np.unique(row[inside])
    tp, predicted = (np.bincount(row[on], minlength=160)[docs] for on in (says & fires, says))
    assert score.units == len(docs) == 40
    assert score.precision_interval == pytest.approx(of_share(tp, predicted))
    assert score.precision_interval[0] < score.precision < score.precision_interval[1]
    assert score.recall_interval is None  # nothing is missed: no document tells how much could be


def test_split_is_by_document_and_complete():
    documents = random_documents(40, 10, 5)
    docs = [i // 4 for i in range(40)]  # ten documents of four rows
    index = FakeIndex([after_a], rows_of(documents, docs=docs), LETTERS)
    c = corpus(index, 3)
    row, _ = index.rows.locate(np.arange(index.n_tokens))
    doc = index.rows.doc[row]
    inside = c.part != 255
    assert (inside == index.counted).all()
    for d in range(10):
        assert len(set(c.part[inside & (doc == d)].tolist())) == 1
    assert [len(set(doc[c.part == p].tolist())) for p in range(3)] == [5, 3, 2]
    assert (corpus(index, 4).part != c.part).any()


def test_D62_copies_of_a_document_are_in_one_part_of_the_split():
    documents = random_documents(40, 10, 5)
    once, twice = (FakeIndex([after_a], rows_of(some), LETTERS) for some in (documents, documents * 2))
    alone, both = corpus(once, 3), corpus(twice, 3)
    assert both.part.tolist() == alone.part.tolist() * 2
    assert [len(m) for m in both.members] == [len(m) for m in alone.members]
    few = FakeIndex([after_a], rows_of(random_documents(4, 10, 5) * 6), LETTERS)
    assert corpus(few, 0).unit == "row"
    assert [len(m) for m in corpus(few, 0).members] == [2, 1, 1]


def test_D62_a_graph_from_before_copies_were_kept_together_is_held_out_from_nothing():
    documents = random_documents(40, 10, 5)
    for some, algorithm, chosen in (
        (documents * 2, 4, ("train", "valid", "test")),
        (documents * 2, 5, ("train", "valid")),
        (documents, 4, ("train", "valid")),
    ):
        graph = graph_for(FakeIndex([after_a], rows_of(some), LETTERS), [([C], 1.0)])
        graph.fit_info = {"algorithm": algorithm, "text": None, "seed": 0}
        assert graph.score(split="test").chosen_on == chosen


def test_few_documents_are_split_by_row():
    index = FakeIndex([after_a], rows_of(random_documents(12, 8, 5), docs=[0] * 12), LETTERS)
    assert corpus(index, 0).unit == "row"
    assert (corpus(index, 0).sizes > 0).all()


def test_preview_is_the_score_after_the_edit(index):
    graph = graph_for(index, [([C], 1.0)])
    seen = graph.preview("exclude", node=1, ids=[C])
    before = graph.score()
    graph.exclude(1, [C])
    assert seen["before"] == before
    assert seen["after"] == graph.score()
    assert seen["delta"]["fp"] == graph.score().fp - before.fp < 0
    assert len(graph.history) == 2


def test_D73_who_edits_with_a_look_at_the_test_documents_is_told(index):
    graph = graph_for(index, [([C], 1.0)])
    graph.fit_info = {"text": None, "seed": 0}
    graph.score(split="valid")
    assert graph.held_out()
    looks = [
        lambda g: g.score(split="test"),
        lambda g: g.examples(split="test", kind="miss"),
        lambda g: g.node_scores(split="test"),
        lambda g: g.suggest(g.nodes()[0]["id"], split="test"),
        lambda g: g.preview("delete", split="test", node=g.nodes()[-1]["id"]),
    ]
    for n, look in enumerate(looks, 1):
        graph.add_path([A, B, n % 3], value=float(n))
        look(graph)
        twice = graph.score(split="test")  # of the same version
        assert twice.versions == n + (n == len(looks))  # before the first edit, and what a preview shows
        assert twice.on.endswith(f"looked at with {twice.versions} other version{'s' * (n > 1)} of the graph")
    for other in (graph.copy(), PatternGraph.from_json(graph.to_json())):
        assert other == graph
        assert not other.held_out(index)
        assert other.score(index, split="test").versions == len(looks) + 1


def test_D73_a_shard_of_a_text_is_cut_into_other_parts_than_the_whole():
    index = pairs_of_documents()
    graph = graph_for(index, [([C], 1.0)])
    graph.fit_info = {"text": text_of(index), "seed": 0}
    assert graph.held_out(index)
    index.config = index.config | {"shard": [0, 2]}
    assert not graph.held_out(index)
    assert graph.score(split="test").chosen_on == ()
    first = text_of(index)
    index.config = index.config | {"shard": [1, 2]}
    assert text_of(index) != first


def test_D65_only_the_split_of_the_fit_is_held_out(index):
    graph = graph_for(index, [([C], 1.0)])
    graph.fit_info = {"text": None, "seed": 0}
    assert graph.score(split="test").on.endswith("held out")
    graph.config["seed"] = 7
    assert graph.score(split="test").chosen_on == ("train", "valid", "test")
    graph.config["seed"], graph.fit_info = 0, {"text": None}  # of a fit that did not say its seed
    assert "held out" not in graph.score(split="test").on
    graph.config, graph.fit_info = {}, {"text": None, "seed": 3}
    assert "held out" not in graph.score(split="test").on

from __future__ import annotations

import json

import numpy as np
import pytest

from saelab.errors import SaelabError
from saelab.n2g import PatternGraph
from saelab.widgets import N2GEditor


@pytest.fixture
def fresh(graph):
    """The graph as if it came from a fit, without edits."""
    made = PatternGraph.from_json(graph.to_json())
    made._done.clear()
    made.index = graph.index
    return made


def asked(widget, method, **params):
    """The answer to what a view asks."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._receive(widget, {"request": "1", "method": method, "params": params}, [])
    json.dumps(sent)  # it can be sent
    if "error" in sent[-1]:
        raise SaelabError(sent[-1]["error"])
    return sent[-1]["result"]


def counts(score):
    return score["tp"], score["fp"], score["fn"]


def test_it_shows_the_graph_and_its_score(fresh, index):
    w = N2GEditor(fresh)
    assert [n["id"] for n in w.nodes] == [n["id"] for n in fresh.nodes()]
    score = fresh.score(index, split="valid")
    assert counts(w.score) == (score.tp, score.fp, score.fn)
    assert w.before == w.score
    assert set(w.baselines) == {"token lookup", "bigram lookup"}
    unseen = fresh.baselines(
        index, split="valid", learn=("train",)
    )  # not learned from what they are scored on
    assert counts(w.baselines["bigram lookup"]) == counts(vars(unseen["bigram"]))


def test_undo_redo_and_going_to_a_step(fresh, index):
    w = N2GEditor(fresh)
    before, n = w.score, len(w.nodes)
    node = fresh.paths()[0]["nodes"][0]
    w.delete(node, note="too general")
    assert node not in [i["id"] for i in fresh.nodes()]
    assert len(w.nodes) < n
    assert w.score["tp"] == fresh.score(index, split="valid").tp
    assert w.before == before
    assert [(s["op"], s["note"]) for s in w.history] == [("delete", "too general")]
    after = w.score
    w.undo()
    assert (w.score, len(w.nodes), w.done, len(w.history)) == (before, n, 0, 1)
    w.redo()
    assert (w.score, w.done) == (after, 1)
    w.apply("set_value", {"node": fresh.paths()[0]["node"], "value": 5.0})
    asked(w, "go_to", step=0)
    assert (w.score, w.done, [s["op"] for s in w.history]) == (before, 0, ["delete", "set_value"])
    asked(w, "go_to", step=2)
    assert (w.done, fresh.paths()[0]["value"]) == (2, 5.0)
    with pytest.raises(SaelabError, match="0…2"):
        asked(w, "go_to", step=3)


def edits(graph, index):
    """One of every edit the editor knows, on two patterns."""
    end, first = graph.paths()[0]["node"], graph.paths()[0]["nodes"][0]
    other = int(index.rows[1][3])
    return {
        "delete": {"node": end}, "wildcard": {"node": end}, "specialise": {"node": end, "ids": [other]},
        "add_alternative": {"node": end, "ids": [other]}, "add_path": {"items": [other, "*", 5], "value": None},
        "exclude": {"node": end, "ids": [other]}, "anchor_start": {"node": end, "on": True},
        "gap": {"node": end, "lo": 0, "hi": 3}, "set_value": {"node": end, "value": 7.5},
        "refit": {"node": end}, "mark": {"node": first, "on": True}, "lock": {"node": first, "on": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    "op",
    ["delete", "wildcard", "specialise", "add_alternative", "add_path", "exclude", "anchor_start", "gap",
     "set_value", "refit", "mark", "lock"],
)  # fmt: skip
def test_a_preview_says_what_the_edit_then_does(fresh, index, op):
    w = N2GEditor(fresh)
    tree, before = fresh.tree, w.score
    args = edits(fresh, index)[op]
    seen = asked(w, "preview", op=op, args=args)
    assert fresh.tree is tree
    assert w.score == before
    focus = asked(w, "apply", op=op, args=args, note="why")
    assert fresh.tree != tree or op == "refit"  # the pattern wins nowhere in train and keeps its value
    assert seen["after"] == w.score
    assert seen["delta"] == {k: w.score[k] - before[k] for k in ("tp", "fp", "fn")} == w.history[0]["delta"]
    assert seen["text"] == w.history[0]["text"]
    assert w.selected in (focus, None)
    replayed = PatternGraph.from_json(json.loads(asked(w, "export", kind="json")))
    assert replayed.tree == fresh.tree
    assert replayed.history[0]["note"] == "why"
    w.undo()
    assert fresh.tree == tree
    assert w.score == before


def test_a_mark_takes_the_mean_activation_of_its_matches(fresh, index, latent):
    w = N2GEditor(fresh)
    first = fresh.paths()[0]["nodes"][0]
    w.apply("mark", {"node": first})
    (end,) = [p for p in fresh.paths() if p["node"] == first]
    token = fresh.tree.nodes[first].ids[0]
    from saelab.n2g.corpus import corpus

    at = np.flatnonzero((np.asarray(index.rows.ids) == token) & (corpus(index, 0).part == 0))
    where, value = index.postings(latent)
    a = dict(zip(where.tolist(), value.tolist(), strict=True))
    assert end["value"] == pytest.approx(np.mean([a.get(int(i), 0.0) for i in at]), rel=1e-5)
    w.apply("mark", {"node": first, "on": False})
    assert first not in [p["node"] for p in fresh.paths()]


def test_errors_are_shown_and_change_nothing(fresh):
    w = N2GEditor(fresh)
    for method, params, words in [
        ("apply", {"op": "delete", "args": {"node": 999}}, "no node 999"),
        ("preview", {"op": "delte", "args": {}}, "delete"),
        ("undo", {}, "no edit to undo"),
        ("export", {"kind": "jsn"}, "json"),
        ("tokens", {"text": ""}, "at least one character"),
        ("compose", {"token_index": 0}, "place of a token"),
        ("verify", {"node": 999}, "no pattern ends"),
    ]:
        with pytest.raises(SaelabError, match=words):
            asked(w, method, **params)
        assert w.error["message"]
    assert fresh.history == []


def test_rows_are_the_matches_misses_and_false_alarms(fresh, index):
    w = N2GEditor(fresh)
    for kind in ("hit", "miss", "false_alarm"):
        node = None if kind == "miss" else fresh.paths()[0]["node"]
        found = asked(w, "rows", kind=kind, node=node)
        everything = fresh.examples(index, kind, node=node, n=10**6)
        assert found["total"] == len(everything)
        assert {r["token_index"] for r in found["rows"]} <= set(everything.token_index)
        for row in found["rows"]:
            assert row["values"][row["centre"]] == pytest.approx(row["value"], rel=1e-3)
            assert (kind == "false_alarm") == (row["before"] is not None)
    facts = dict(asked(w, "facts", node=fresh.paths()[0]["node"]))
    assert facts["false alarms"] == len(
        fresh.examples(index, "false_alarm", node=fresh.paths()[0]["node"], n=10**6)
    )
    assert facts["matches"] == facts["hits"] + facts["false alarms"]


def test_a_false_alarm_names_what_to_exclude(fresh, index):
    """Excluding the token before the pattern silences that very false alarm, and says when there is none."""
    token = int(np.bincount(np.asarray(index.rows.ids)[np.asarray(index.counted)]).argmax())
    fresh.delete(fresh.paths()[0]["nodes"][0])
    node = fresh.add_path([token], value=1.0)
    fresh._done.clear()
    w = N2GEditor(fresh)
    alarms = asked(w, "rows", kind="false_alarm", node=node)["rows"]
    assert alarms
    for row in alarms:
        if "id" in row["before"]:
            assert index.vocab.label(row["before"]["id"]) == row["before"]["text"]
            seen = fresh.dry_run("exclude", {"node": row["node"], "ids": [row["before"]["id"]]})
            assert seen.predict(index.rows)[row["token_index"]] == 0
        else:
            assert row["position"] == 1
            assert "no token before" in row["before"]["reason"]


def test_a_path_from_a_miss_matches_it(fresh, index):
    w = N2GEditor(fresh)
    miss = asked(w, "rows", kind="miss")["rows"][0]
    made = asked(w, "compose", token_index=miss["token_index"])
    at = miss["token_index"]
    assert [t["id"] for t in made["tokens"]] == index.rows.ids[at + 1 - len(made["tokens"]) : at + 1].tolist()
    assert 1 <= made["length"] <= len(made["tokens"])
    items = [t["id"] for t in made["tokens"][-made["length"] :]]
    gained = asked(w, "preview", op="add_path", args={"items": items, "value": None})["delta"]
    assert gained["tp"] >= 1
    asked(w, "apply", op="add_path", args={"items": items, "value": None})
    assert fresh.predict(index.rows)[at] > 0


def test_tokens_are_found_by_their_text(fresh, index):
    found = asked(N2GEditor(fresh), "tokens", text="The")
    assert found[0]["text"] == "The"
    assert all("The" in t["text"] for t in found)
    assert asked(N2GEditor(fresh), "tokens", text="no such text") == []


def test_the_test_score_is_made_when_asked(fresh, index):
    w = N2GEditor(fresh)
    assert w.final is None
    asked(w, "final_score")
    score = fresh.score(index, split="test")
    assert counts(w.final) == (score.tp, score.fp, score.fn)
    w.delete(fresh.paths()[0]["node"])
    assert w.final["done"] == 0  # the view says that it is of an earlier graph
    assert w.done == 1


def test_verify_needs_the_model(fresh, index, tiny, sae):
    w = N2GEditor(fresh)
    node = fresh.paths()[0]["node"]
    assert 0 <= asked(w, "verify", node=node)["sufficiency"] <= 1
    model, index.model = index.model, None
    try:
        with pytest.raises(SaelabError, match="attach model"):
            asked(w, "verify", node=node)
    finally:
        index.model = model


def test_export(fresh, tmp_path):
    w = N2GEditor(fresh)
    w.delete(fresh.paths()[0]["node"])
    assert PatternGraph.load(w.export(tmp_path / "g.json")) == fresh
    assert w.export(tmp_path / "g.dot").read_text() == fresh.to_dot()
    assert w.export(tmp_path / "g.txt").read_text() == fresh.text()
    with pytest.raises(SaelabError, match="jsn"):
        w.export(tmp_path / "g.jsn")


def test_edits_made_by_other_means_are_drawn_after_refresh(fresh):
    w = N2GEditor(fresh)
    fresh.delete(fresh.paths()[0]["nodes"][0])
    w.refresh()
    assert [n["id"] for n in w.nodes] == [n["id"] for n in fresh.nodes()]
    assert (len(w.history), w.done) == (1, 1)
    w.undo()
    assert w.done == 0


def test_without_an_index_it_is_drawn_without_scores(fresh):
    fresh.index = None
    w = N2GEditor(fresh)
    assert w.score is None
    assert "attached to no index" in w.score_reason
    assert asked(w, "preview", op="delete", args={"node": fresh.paths()[0]["nodes"][0]})["delta"] is None
    w.delete(fresh.paths()[0]["nodes"][0])
    assert w.score is None
    with pytest.raises(SaelabError, match="attached to no index"):
        asked(w, "rows", kind="miss")


def test_a_static_picture_keeps_the_direction_of_a_token_in_its_quotes():
    graph = PatternGraph(labels={1: " שלום", 2: "x"})
    graph.add_path([1, 2], value=1.3)
    page = N2GEditor(graph).fallback()
    assert 'dir="ltr"><bdi >` שלום`</bdi> → <bdi >`x`</bdi>  (1.3)</bdi>' in page


def test_an_empty_graph_says_why(index):
    w = N2GEditor(PatternGraph(target={"latent": 3}, reason="it never fires"), index)
    assert w.nodes == []
    assert "it never fires" in w.fallback()
    assert w.score["precision"] is None  # undefined, not 1
    assert len(w.to_frame()) == 0


def test_frame_has_a_row_per_node(fresh):
    frame = N2GEditor(fresh).to_frame()
    assert frame.id.tolist() == [n["id"] for n in fresh.nodes()]
    assert frame.value.notna().sum() == len(fresh.paths())


def test_the_widget_of_a_graph(fresh):
    w = fresh.edit(selected=1)
    assert isinstance(w, N2GEditor)
    assert w.selected == 1
    assert w.export_state()["read_only"]
    with pytest.raises(SaelabError, match="splt"):
        fresh.edit(splt="test")


def test_L12_a_preview_names_tokens_that_are_new_to_the_graph(fresh, index):
    end = fresh.paths()[0]["node"]
    new = len(index.vocab) - 1
    fresh.labels.pop(new, None)
    found = asked(N2GEditor(fresh), "preview", op="specialise", args={"node": end, "ids": [new]})
    assert f"#{new}" not in found["text"]
    assert fresh.dry_run("specialise", {"node": end, "ids": [new]}).steps()[-1] == found["text"]
    assert fresh.labels[new] == index.vocab.label(new)

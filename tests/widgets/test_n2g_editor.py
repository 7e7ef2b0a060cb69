from __future__ import annotations

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


def test_it_shows_the_graph_and_its_score(fresh, index):
    w = N2GEditor(fresh)
    assert [n["id"] for n in w.nodes] == [n["id"] for n in fresh.nodes()]
    score = fresh.score(index, split="valid")
    assert (w.score["tp"], w.score["fp"], w.score["fn"]) == (score.tp, score.fp, score.fn)
    assert w.before == w.score
    assert set(w.baselines) == {"token lookup", "bigram lookup"}


def test_delete_undo_redo_edit_the_graph_itself(fresh, index):
    w = N2GEditor(fresh)
    before, n = w.score, len(w.nodes)
    node = fresh.paths()[0]["nodes"][0]
    w.delete(node)
    assert node not in [i["id"] for i in fresh.nodes()]
    assert len(w.nodes) < n
    assert w.score["tp"] == fresh.score(index, split="valid").tp
    assert w.before == before
    assert [s["op"] for s in w.history] == ["delete"]
    after = w.score
    w.undo()
    assert (w.score, len(w.nodes), w.history, w.can_redo) == (before, n, [], True)
    w.redo()
    assert (w.score, w.can_redo) == (after, False)


def test_errors_are_shown_and_change_nothing(fresh):
    w = N2GEditor(fresh)
    sent = []
    w.send = lambda content, buffers=None: sent.append(content)
    w._receive(w, {"request": "1", "method": "delete", "params": {"node": 999}}, [])
    assert "no node 999" in w.error["message"]
    assert fresh.history == []
    w._receive(w, {"request": "2", "method": "undo", "params": {}}, [])
    assert "no edit to undo" in sent[-1]["error"]


def test_details_count_matches_and_false_alarms(fresh, index):
    w = N2GEditor(fresh)
    for path in fresh.paths():
        w.methods()["details"](path["node"])
        facts = dict(w.details["facts"])
        alarms = fresh.examples(index, "false_alarm", node=path["node"], n=10**6)
        assert facts["false alarms"] == len(alarms)
        assert facts["matches"] == facts["hits"] + facts["false alarms"]
        assert len(w.details["hits"]) <= 5


def test_notes_on_edits(fresh):
    w = N2GEditor(fresh)
    w.delete(fresh.paths()[0]["nodes"][0])
    w.methods()["annotate"](0, "too general")
    assert fresh.history[0]["note"] == "too general"
    assert w.history[0]["note"] == "too general"


def test_edits_made_by_other_means_are_drawn_after_refresh(fresh):
    w = N2GEditor(fresh)
    fresh.delete(fresh.paths()[0]["nodes"][0])
    w.refresh()
    assert [n["id"] for n in w.nodes] == [n["id"] for n in fresh.nodes()]
    assert len(w.history) == 1
    w.undo()
    assert w.history == []


def test_without_an_index_it_is_drawn_without_scores(fresh):
    fresh.index = None
    w = N2GEditor(fresh)
    assert w.score is None
    assert "attached to no index" in w.score_reason
    w.delete(fresh.paths()[0]["nodes"][0])
    assert w.score is None


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
    assert w.export_state()["read_only"]
    with pytest.raises(SaelabError, match="splt"):
        fresh.edit(splt="test")

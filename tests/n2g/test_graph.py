"""The graph: edits, files, text."""

import json

import pytest
from synthetic import LABELS, http

from saelab.errors import SaelabError
from saelab.n2g import End, PatternGraph
from saelab.n2g.graph.tree import Branch, Node, Tree, check, freeze


def texts(graph):
    return [p["text"] for p in graph.paths()]


def test_text_reads_in_the_order_of_the_text():
    assert http().text() == "`Host` `:` * → `example`  (2)"


def test_nodes_are_reversed_from_the_activating_token():
    nodes = http().nodes()
    assert [(n["id"], n["parent"], n["kind"], n["ids"], n["text"]) for n in nodes] == [
        (1, 0, "tok", [3], ["example"]),
        (2, 1, "any", [], []),
        (3, 2, "tok", [2], [":"]),
        (4, 3, "tok", [1], ["Host"]),
    ]
    assert nodes[3]["end"]["value"] == 2.0
    assert nodes[0]["end"] is None


def test_delete_removes_what_then_leads_nowhere():
    graph = http()
    graph.add_path([4, 3], value=1.0)
    graph.delete(3)
    assert texts(graph) == ["` x` → `example`"]
    graph.delete(5)
    assert len(graph) == 0


def test_wildcard_joins_the_one_beside_it():
    graph = PatternGraph(labels=LABELS)
    graph.add_path(["*", 3], value=1.0)
    graph.add_path([2, 1, 3], value=3.0)
    (one,) = [n["id"] for n in graph.nodes() if n["ids"] == [1]]
    kept = graph.wildcard(one)
    assert kept == 2
    assert sorted(texts(graph)) == ["* → `example`", "`:` * → `example`"]


def test_alternatives_and_disjoint_siblings():
    graph = PatternGraph(labels=LABELS)
    graph.add_path([1, 3], value=1.0)
    graph.add_alternative(2, [2])
    assert texts(graph) == ["`Host`|`:` → `example`"]
    graph.add_path([4, 3], value=1.0)
    with pytest.raises(SaelabError, match="already matched by node 2"):
        graph.add_alternative(3, [1])
    graph.remove_alternative(2, [1])
    assert sorted(texts(graph)) == ["` x` → `example`", "`:` → `example`"]
    with pytest.raises(SaelabError, match="delete the node instead"):
        graph.remove_alternative(2, [2])


def test_adding_a_path_through_some_alternatives_cuts_the_node():
    graph = PatternGraph(labels=LABELS)
    graph.add_path([[1, 2], 3], value=1.0)
    graph.add_path([4, 1, 3], value=5.0)
    assert graph.predict([4, 1, 3]).tolist() == [0, 0, 5.0]
    assert graph.predict([4, 2, 3]).tolist() == [0, 0, 1.0]
    assert graph.predict([3, 1, 3]).tolist() == [0, 0, 1.0]


def test_exclude_moves_the_end_behind_a_not():
    graph = PatternGraph(labels=LABELS)
    graph.add_path([3], value=1.0)
    graph.exclude(1, [1])
    assert texts(graph) == ["¬(`Host`) → `example`"]
    graph.exclude(1, [2])
    assert texts(graph) == ["¬(`Host`|`:`) → `example`"]
    assert graph.predict([3, 1, 3, 4, 3]).tolist() == [1.0, 0, 0, 0, 1.0]


def test_exclude_takes_the_last_alternative_with_its_path():
    graph = PatternGraph()
    graph.add_path([1, 3], value=1.0)
    graph.exclude(1, [1])
    assert len(graph) == 0


def test_gap_between_nodes_and_back():
    graph = PatternGraph(labels=LABELS)
    graph.add_path([1, 3], value=1.0)
    graph.gap(2, 0, 3)
    assert texts(graph) == ["`Host` …{0,3} → `example`"]
    assert graph.predict([1, 4, 4, 4, 3]).tolist()[-1] == 1.0
    assert graph.predict([1, 4, 4, 4, 4, 3]).tolist()[-1] == 0.0
    (gap,) = [n["id"] for n in graph.nodes() if n["kind"] == "gap"]
    graph.gap(gap, 0, 0)
    assert texts(graph) == ["`Host` → `example`"]
    with pytest.raises(SaelabError, match="token the latent fires on"):
        graph.gap(1, 0, 2)


def test_anchor_on_and_off():
    graph = PatternGraph(labels=LABELS)
    graph.add_path([3], value=1.0)
    graph.anchor_start(1)
    assert texts(graph) == ["^ → `example`"]
    assert graph.predict([3, 3]).tolist() == [1.0, 0]
    graph.anchor_start(1, False)
    assert graph.predict([3, 3]).tolist() == [1.0, 1.0]


def test_merge_and_split():
    graph = PatternGraph(labels=LABELS)
    graph.add_path([1, 3], value=1.0)
    graph.add_path([2, 3], value=2.0)
    graph.merge(2, 3)
    assert texts(graph) == ["`Host`|`:` → `example`"]
    assert graph.patterns()[0].end.value == 1.5
    graph.split(2)
    assert sorted(texts(graph)) == ["`:` → `example`", "`Host` → `example`"]


def test_locked_nodes_are_left_alone():
    graph = http()
    graph.lock(3)
    for edit in (lambda: graph.delete(1), lambda: graph.wildcard(3), lambda: graph.specialise(3, [1])):
        with pytest.raises(SaelabError, match="locked"):
            edit()
    graph.lock(3, False)
    graph.delete(1)
    assert len(graph) == 0


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda g: g.delete(99), "no node 99"),
        (lambda g: g.apply("delte", {}), "delete"),
        (lambda g: g.apply("delete", {"nod": 1}), "arguments"),
        (lambda g: g.specialise(1, []), "token ids"),
        (lambda g: g.specialise(1, [-1]), "token ids"),
        (lambda g: g.set_value(1, float("nan")), "finite"),
        (lambda g: g.add_path([], value=1.0), "reading order"),
        (lambda g: g.add_path(["^"], value=1.0), "at least one token"),
        (lambda g: g.add_path([1, "^", 2], value=1.0), "earliest end"),
        (lambda g: g.add_path([{"gap": [0, 2]}, 1], value=1.0), "between two"),
        (lambda g: g.add_path([1, {"gap": [3, 2]}, 1], value=1.0), "lo ≤ hi"),
        (lambda g: g.merge(1, 2), "kind"),
        (lambda g: g.undo(), "no edit"),
        (lambda g: g.redo(), "no edit"),
        (lambda g: g.score(), "not attached"),
    ],
)
def test_bad_edits_say_why_and_change_nothing(edit, words):
    graph = http()
    before = graph.to_json()
    with pytest.raises(SaelabError, match=words):
        edit(graph)
    assert graph.to_json() == before


def test_file_round_trip(tmp_path):
    graph = http()
    graph.set_value(4, 3.25, note="stärker")
    assert PatternGraph.load(graph.save(tmp_path / "g.json")) == graph


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format="x"), "not a pattern graph"),
        (lambda d: d.update(version=2), "version 2"),
        (lambda d: d.update(nodes=None), "no list of nodes"),
        (lambda d: d["nodes"].append({"id": "q"}), "form it should have"),
        (lambda d: d["nodes"].append(d["nodes"][0]), "twice"),
        (lambda d: d["nodes"][0].update(parent=3), "not connected"),
        (lambda d: d["nodes"][0].update(kind="maybe"), "kind"),
        (lambda d: d["nodes"][3].update(end=None), "must end"),
        (lambda d: d["nodes"][3]["end"].update(value=-1), "≥ 0"),
        (lambda d: d["edits"][0].update(op="explode"), "replayed"),
        (lambda d: d["nodes"][3]["end"].update(value=9.0), "history does not lead"),
        (lambda d: d.pop("base"), "'base'"),
    ],
)
def test_damaged_files_are_refused(change, words):
    graph = http()
    graph.set_value(4, 3.0)
    data = json.loads(json.dumps(graph.to_json()))
    change(data)
    with pytest.raises(SaelabError, match=words):
        PatternGraph.from_json(data)


def test_siblings_must_be_disjoint():
    nodes = {i: Node(i, 0, "tok", ids, end=End(1.0)) for i, ids in [(1, (5, 6)), (2, (6,))]}
    with pytest.raises(SaelabError, match="nodes 1 and 2 are siblings"):
        check(Tree(nodes, 3))


def test_freeze_gives_new_ids_only_to_new_branches():
    root = Branch("root", id=0)
    root.put(Branch("tok", (1,), end=End(1.0), id=5))
    root.put(Branch("tok", (2,), end=End(1.0)))
    assert list(freeze(root, 7).nodes) == [5, 7]


def test_openai_round_trip():
    trie = {"c": {"a": {"token(^)": {"<saliency>": 2.0}}, "token(*)": {"b": {"<saliency>": 1.0}}}}
    graph = PatternGraph.from_openai({"trie": trie}, {"a": 1, "b": 2, "c": 3})
    assert graph.rule == "first"
    assert graph.to_openai() == trie
    assert graph.predict([1, 3, 2, 1, 3]).tolist() == [0, 2.0, 0, 0, 0]  # exact `a` hides `b * c`: their rule
    with pytest.raises(SaelabError, match="not a token"):
        PatternGraph.from_openai({"z": {"<saliency>": 1.0}}, {"a": 1})
    graph.apply("exclude", {"node": 1, "ids": [2]})
    with pytest.raises(SaelabError, match="no not node"):
        graph.to_openai()


HOSTILE = [
    "<script>alert(1)</script>",
    '"',
    "`",
    "\\",
    "\n",
    "\u202e",
    "token(*)",
    "<saliency>",
    "",
    "\x00",
    "💥",
]


def test_hostile_tokens_are_only_text():
    graph = PatternGraph(labels=dict(enumerate(HOSTILE)))
    for i in range(len(HOSTILE)):
        graph.add_path([i, (i + 1) % len(HOSTILE)], value=1.0)
    assert PatternGraph.from_json(json.loads(json.dumps(graph.to_json()))).labels == graph.labels
    assert len(graph.text().splitlines()) == len(HOSTILE)  # no token breaks a line
    assert "\u202e" not in graph.text()
    dot = graph.to_dot()
    assert dot.count("[label=") == len(graph)
    for line in dot.splitlines()[3:-1]:
        assert line.endswith(";")
    with pytest.raises(SaelabError, match="reserves"):
        graph.to_openai()


def test_empty_graph_says_why():
    graph = PatternGraph(reason="latent 3 never fires")
    assert graph.text() == "(empty: latent 3 never fires)"
    assert "never fires" in repr(graph)
    assert graph.nodes() == []


def test_D71_a_graph_of_other_kinds_of_values_is_refused_when_it_is_read():
    graph = PatternGraph(config={"seed": 3}, target={"latent": 1})
    graph.add_path([4, 7], value=1.5)
    twin = graph.copy()
    twin.config["seed"] = 7
    assert graph.config["seed"] == 3  # a copy's own
    graph.fit_info = {"vocabulary": "", "mismatch": []}
    for path, wrong in [
        (("config", "seed"), "x"), (("config", "seed"), -1), (("target", "sae"), 5), (("fit", "vocabulary"), True),
        (("fit", "mismatch"), 5), (("base",), 5), (("next_id",), 10**30), (("next_id",), 2**40), (("nodes", 0, "id"), 1.9),
        (("nodes", 0, "text"), 5), (("nodes", 0, "locked"), "false"), (("nodes", 1, "end", "n"), 1.5),
    ]:  # fmt: skip
        data = json.loads(json.dumps(graph.to_json()))
        inner = data
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = wrong
        with pytest.raises(SaelabError):
            PatternGraph.from_json(data)

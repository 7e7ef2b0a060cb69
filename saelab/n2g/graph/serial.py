"""Reading the JSON form of a graph, with errors that say what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from saelab.errors import SaelabError
from saelab.n2g.graph.tree import End, Node, Tree, check

if TYPE_CHECKING:
    from saelab.n2g.pattern_graph import PatternGraph

FORMAT, VERSION = "saelab.n2g", 1


def from_json(cls: type[PatternGraph], data: Mapping[str, Any]) -> PatternGraph:
    """See :meth:`PatternGraph.from_json`."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise SaelabError(f"this is not a pattern graph: its format is not {FORMAT!r}")
    if data.get("version") != VERSION:
        raise SaelabError(
            f"the graph has version {data.get('version')!r}; this saelab reads version {VERSION}"
        )
    labels = _labels(data.get("labels"))
    tree = _tree(data.get("nodes"), data.get("next_id"), labels)
    base = data.get("base")
    edits = data.get("edits") or []
    if edits and not base:
        raise SaelabError("the graph has edits but not the nodes they began with ('base')")
    begin = _tree(base.get("nodes"), base.get("next_id"), labels) if base else tree
    graph = cls(
        begin, target=data.get("target"), config=data.get("config"), labels=labels, reason=data.get("reason")
    )
    for step, edit in enumerate(edits):
        try:
            graph.apply(edit["op"], edit["args"], edit.get("note", ""), edit.get("delta"))
        except (KeyError, TypeError, SaelabError) as error:
            raise SaelabError(f"edit {step} of the history cannot be replayed: {error}") from None
    if graph.tree != tree:
        raise SaelabError(
            "the history does not lead to the nodes of this graph; one of them was changed by hand"
        )
    graph.scale, graph.metrics = data.get("scale"), data.get("metrics")
    graph.fit_info = dict(data.get("fit") or {})
    return graph


def _tree(entries: Any, next_id: Any, labels: dict[int, str]) -> Tree:
    if not isinstance(entries, list):
        raise SaelabError("the graph has no list of nodes")
    nodes: dict[int, Node] = {}
    for entry in entries:
        node = _node(entry)
        if node.id in nodes:
            raise SaelabError(f"node {node.id} appears twice")
        nodes[node.id] = node
        texts = entry.get("text") or []
        named = zip(entry.get("ids") or [], texts, strict=False)
        labels |= {i: str(t) for i, t in named if i not in labels and t != f"#{i}"}
    least = max(nodes, default=0) + 1
    tree = Tree(nodes, max(least, next_id if isinstance(next_id, int) else least))
    check(tree)
    return tree


def _labels(pairs: Any) -> dict[int, str]:
    try:
        return {int(i): str(text) for i, text in pairs or []}
    except (TypeError, ValueError):
        raise SaelabError("the labels of the graph are not pairs of token id and text") from None


def _node(entry: Any) -> Node:
    try:
        end = entry.get("end")
        made = end and End(
            float(end["value"]), int(end.get("n", 0)), int(end.get("n_fire", 0)),
            float(end.get("sum", 0.0)), float(end.get("sumsq", 0.0)),
        )  # fmt: skip
        imp = entry.get("imp")
        return Node(
            int(entry["id"]), int(entry["parent"]), str(entry["kind"]),
            tuple(sorted(int(i) for i in entry.get("ids") or ())),
            int(entry.get("lo") or 0), int(entry.get("hi") or 0),
            None if imp is None else float(imp), made or None, str(entry.get("origin", "fit")),
            bool(entry.get("locked", False)),
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SaelabError(f"a node of the graph cannot be read ({error!r}): {str(entry)[:120]}") from None

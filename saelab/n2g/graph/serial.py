"""The JSON form of a graph: reading it, with errors that say what is wrong, and the form of one node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from saelab.errors import SaelabError, check_count
from saelab.files import check_form
from saelab.n2g.graph import render
from saelab.n2g.graph.tree import End, Node, Tree, check

FORMAT, VERSION = "saelab.n2g", 1
_NONE = type(None)
_FORM = {
    "target": (dict, _NONE), "config": (dict, _NONE), "reason": (str, _NONE), "scale": (float, _NONE),
    "metrics": (dict, _NONE), "fit": (dict, _NONE), "edits": ([dict], _NONE), "base": (dict, _NONE), "next_id": (int, _NONE),
    "seen": ([str], _NONE),
}  # fmt: skip
_INSIDE = {
    "target": {"model": str, "hook": str, "sae": str, "bos": bool}, "config": {"seed": int, "match": str},
    "fit": {"text": str, "vocabulary": str, "algorithm": int, "seed": int, "mismatch": [str]},
}  # fmt: skip
_NODE = {
    "ids": [int],
    "text": [str],
    "lo": int,
    "hi": int,
    "imp": float,
    "end": dict,
    "origin": str,
    "locked": bool,
}
_END = {"value": float, "n": int, "n_fire": int, "sum": float, "sumsq": float}
_MOST = 1 << 24  # nodes


@dataclass(frozen=True)
class Saved:
    """What a file says of the tree: as it is, as it was before its edits, and the texts of its tokens."""

    tree: Tree
    begin: Tree
    edits: list[dict[str, Any]]
    labels: dict[int, str]


def read(data: Mapping[str, Any]) -> Saved:
    """Check the form and read the trees.

    Raises
    ------
    SaelabError
        If the data are of another form or version, or a tree breaks a rule.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise SaelabError(f"this is not a pattern graph: its format is not {FORMAT!r}")
    if data.get("version") != VERSION:
        raise SaelabError(
            f"the graph has version {data.get('version')!r}; this saelab reads version {VERSION}"
        )
    for name, form in _FORM.items():
        check_form("the graph", data.get(name), form, name)
    for name, forms in _INSIDE.items():
        _optional(f"{name} of the graph", data.get(name) or {}, forms)
    if (seed := (data.get("config") or {}).get("seed")) is not None:
        check_count("the seed of the graph", seed, 0)
    if (latent := (data.get("target") or {}).get("latent")) is not None:
        check_count("the latent of the graph", latent, 0)
    try:
        labels = {int(i): str(text) for i, text in data.get("labels") or []}
    except (TypeError, ValueError):
        raise SaelabError("the labels of the graph are not pairs of token id and text") from None
    tree = _tree(data.get("nodes"), data.get("next_id"), labels)
    base, edits = data.get("base"), data.get("edits") or []
    if edits and not base:
        raise SaelabError("the graph has edits but not the nodes they began with ('base')")
    begin = _tree(base.get("nodes"), base.get("next_id"), labels) if base else tree
    return Saved(tree, begin, edits, labels)


def _optional(what: str, value: Mapping[str, Any], forms: Mapping[str, Any]) -> None:
    for name, form in forms.items():
        check_form(what, value.get(name), (form, _NONE), name)


def _tree(entries: Any, next_id: Any, labels: dict[int, str]) -> Tree:
    if not isinstance(entries, list):
        raise SaelabError("the graph has no list of nodes")
    nodes: dict[int, Node] = {}
    for entry in entries:
        node = _node(entry)
        if node.id in nodes:
            raise SaelabError(f"node {node.id} appears twice")
        nodes[node.id] = node
        named = zip(entry.get("ids") or [], entry.get("text") or [], strict=False)
        labels |= {i: str(t) for i, t in named if i not in labels and t != f"#{i}"}
    least = max(nodes, default=0) + 1
    tree = Tree(nodes, check_count("next_id of the graph", max(least, next_id or 0), high=_MOST))
    check(tree)
    return tree


def _node(entry: Any) -> Node:
    check_form("a node of the graph", entry, {"id": int, "parent": int, "kind": str})
    _optional(f"node {entry['id']} of the graph", entry, _NODE)
    _optional(f"the end of node {entry['id']} of the graph", entry.get("end") or {}, _END)
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


def node_dict(labels: Mapping[int, str], node: Node) -> dict[str, Any]:
    """A node as JSON: id, parent, kind, ids, text, lo, hi, imp, end, origin, locked."""
    ids = render.ordered(labels, node.ids)
    return {
        "id": node.id, "parent": node.parent, "kind": node.kind, "ids": ids,
        "text": [render.label_of(labels, i) for i in ids], "lo": node.lo, "hi": node.hi,
        "imp": node.imp, "end": node.end and asdict(node.end), "origin": node.origin, "locked": node.locked,
    }  # fmt: skip

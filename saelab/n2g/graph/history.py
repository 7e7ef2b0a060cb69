"""Editing with a history: every edit by name with JSON arguments, taken back and done again, with notes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from saelab.errors import SaelabError
from saelab.n2g.graph import edits, render, serial
from saelab.n2g.graph.tree import Pattern, Tree, check


@dataclass(frozen=True)
class GraphEdit:
    """One step of a graph's history."""

    op: str
    args: dict[str, Any]
    note: str = ""
    delta: dict[str, int] | None = None  # change in tp, fp, fn on the valid split, where it was measured

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON.

        >>> sl.n2g.GraphEdit("delete", {"node": 3}).to_dict()["op"]
        'delete'
        """
        return {"op": self.op, "args": self.args, "note": self.note, "delta": self.delta}


class Editable:
    """A pattern tree that is edited; :class:`saelab.n2g.PatternGraph` adds what it explains.

    Every edit takes a ``note``, is one step of :attr:`history`, and returns the node to look at afterwards.

    Examples
    --------
    >>> g = sl.n2g.PatternGraph(labels={1: "Host", 2: ":", 3: "example"})
    >>> node = g.add_path([1, 2, 3], value=2.0)
    >>> g.wildcard(2, note="any separator will do")
    2
    >>> g.undo()["op"], g.redo()["op"], g.steps()[-1]
    ('wildcard', 'wildcard', 'any token for `:`')
    """

    def __init__(self, tree: Tree | None, labels: Mapping[int, str] | None):
        self.tree = tree or Tree()
        check(self.tree)
        self.labels: dict[int, str] = render.Labels(labels or {})
        self._done: list[tuple[Tree, GraphEdit]] = []  # the tree before each edit
        self._undone: list[tuple[Tree, GraphEdit]] = []  # the tree after each edit that was taken back

    @property
    def dense(self) -> bool:
        """Whether some pattern says nothing about the activating token."""
        return any(self.tree.nodes[i].kind in ("any", "not") for i in self.tree.children[0])

    def __len__(self) -> int:
        return len(self.tree.nodes)

    def patterns(self) -> tuple[Pattern, ...]:
        """All patterns, lowest rank first.

        >>> len(graph.patterns()) == len(graph.paths())
        True
        """
        return self.tree.patterns

    def paths(self) -> list[dict[str, Any]]:
        """One dict per pattern: text, value, counts, nodes from the activating token on.

        >>> sorted(graph.paths()[0])
        ['n', 'n_fire', 'node', 'nodes', 'text', 'value']
        """
        return [
            {
                "node": p.node, "text": render.pattern(self.labels, p), "value": p.end.value, "n": p.end.n,
                "n_fire": p.end.n_fire, "nodes": list(p.path),
            }
            for p in reversed(self.tree.patterns)
        ]  # fmt: skip

    def nodes(self) -> list[dict[str, Any]]:
        """One dict per node, parents first: id, parent, kind, ids, text, lo, hi, imp, end, origin, locked.

        >>> graph.nodes()[0]["id"]
        1
        """
        return [serial.node_dict(self.labels, node) for node in self.tree.nodes.values()]

    def to_dot(self) -> str:
        """Graphviz source.

        >>> graph.to_dot()[:11]
        'digraph n2g'
        """
        return render.dot(self.tree, self.labels)

    def apply(
        self, op: str, args: Mapping[str, Any], note: str = "", delta: dict[str, int] | None = None
    ) -> int:
        """Do an edit by name with JSON arguments; returns the id of the node to look at (0 for the root)."""
        after, focus = edits.apply(self.tree, op, dict(args))
        self._done.append((self.tree, GraphEdit(op, dict(args), note, delta)))
        self._undone.clear()
        self.tree = after
        return focus

    @property
    def history(self) -> list[dict[str, Any]]:
        """The edits in effect, oldest first: op, args, note, delta."""
        return [edit.to_dict() for _, edit in self._done]

    @property
    def undone(self) -> list[dict[str, Any]]:
        """The edits that were taken back and can be done again, the next one first."""
        return [edit.to_dict() for _, edit in reversed(self._undone)]

    def steps(self) -> list[str]:
        """Every edit of :attr:`history` and then of :attr:`undone`, in words."""
        undone = self._undone[::-1]
        trees = [*(before for before, _ in self._done), self.tree, *(after for after, _ in undone)]
        made = [edit for _, edit in [*self._done, *undone]]
        return [edits.words(self.labels, tree, e.op, e.args) for tree, e in zip(trees, made, strict=False)]

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to do again."""
        return bool(self._undone)

    def undo(self) -> dict[str, Any]:
        """Take back the last edit, and return it."""
        if not self._done:
            raise SaelabError("there is no edit to undo")
        before, edit = self._done.pop()
        self._undone.append((self.tree, edit))
        self.tree = before
        return edit.to_dict()

    def redo(self) -> dict[str, Any]:
        """Do the edit again that was last taken back, and return it."""
        if not self._undone:
            raise SaelabError("there is no edit to redo")
        after, edit = self._undone.pop()
        self._done.append((self.tree, edit))
        self.tree = after
        return edit.to_dict()

    def annotate(self, note: str, step: int = -1) -> None:
        """Write a note to an edit of the history (the last one by default)."""
        if not -len(self._done) <= step < len(self._done):
            raise SaelabError(f"there is no edit {step}; the history has {len(self._done)}")
        before, edit = self._done[step]
        self._done[step] = (before, GraphEdit(edit.op, edit.args, str(note), edit.delta))

    def at(self, step: int) -> Tree:
        """The tree after the first ``step`` edits of the history; 0 is the graph as it was fitted."""
        if not 0 <= step <= len(self._done):
            raise SaelabError(f"step must be in 0…{len(self._done)}, got {step}")
        return self._done[step][0] if step < len(self._done) else self.tree

    def diff(self, step: int = 0) -> dict[str, list[str]]:
        """Patterns that were added and removed since ``step`` (0: since the fit), as text."""
        was = {p.items: p for p in self.at(step).patterns}
        now = {p.items: p for p in self.tree.patterns}
        return {
            "added": [render.pattern(self.labels, p) for k, p in now.items() if k not in was],
            "removed": [render.pattern(self.labels, p) for k, p in was.items() if k not in now],
            "revalued": [
                render.pattern(self.labels, p) for k, p in now.items()
                if k in was and was[k].end.value != p.end.value
            ],
        }  # fmt: skip

    def dry_run(self, op: str, args: Mapping[str, Any]) -> Self:
        """A graph as it would be after an edit; this one stays as it is.

        >>> len(graph.dry_run("delete", {"node": graph.nodes()[0]["id"]})) < len(graph)
        True
        """
        twin = self.copy()
        twin.apply(op, args)
        return twin

    def copy(self) -> Self:
        """The same graph with a history of its own.

        >>> graph.copy() == graph
        True
        """
        twin = copy.copy(self)
        vars(twin).update({name: dict(value) for name, value in vars(self).items() if type(value) is dict})
        twin._done, twin._undone = list(self._done), list(self._undone)
        return twin

    def delete(self, node: int, *, note: str = "") -> int:
        """Remove a node with everything below it."""
        return self.apply("delete", {"node": node}, note)

    def wildcard(self, node: int, *, note: str = "") -> int:
        """Let a node match any token."""
        return self.apply("wildcard", {"node": node}, note)

    def specialise(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let a node match these tokens alone."""
        return self.apply("specialise", {"node": node, "ids": plain(ids)}, note)

    def add_alternative(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let a node match these tokens too."""
        return self.apply("add_alternative", {"node": node, "ids": plain(ids)}, note)

    def remove_alternative(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let a node no longer match these tokens."""
        return self.apply("remove_alternative", {"node": node, "ids": plain(ids)}, note)

    def exclude(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let patterns through a node no longer match where the token before it is one of ``ids``."""
        return self.apply("exclude", {"node": node, "ids": plain(ids)}, note)

    def gap(self, node: int, lo: int, hi: int, *, note: str = "") -> int:
        """Allow ``lo`` to ``hi`` tokens between a node and the one after it (or set the width of a gap)."""
        return self.apply("gap", {"node": node, "lo": int(lo), "hi": int(hi)}, note)

    def anchor_start(self, node: int, on: bool = True, *, note: str = "") -> int:
        """Let the pattern that ends at a node match only at the row's start, or anywhere again."""
        return self.apply("anchor_start", {"node": node, "on": bool(on)}, note)

    def merge(self, a: int, b: int, *, note: str = "") -> int:
        """Make two sibling nodes one with the alternatives of both."""
        return self.apply("merge", {"a": a, "b": b}, note)

    def split(self, node: int, ids: Sequence[int] | None = None, *, note: str = "") -> int:
        """Give some alternatives (by default each) a node of their own."""
        return self.apply("split", {"node": node, "ids": None if ids is None else plain(ids)}, note)

    def lock(self, node: int, on: bool = True, *, note: str = "") -> int:
        """Protect a node from edits, or release it."""
        return self.apply("lock", {"node": node, "on": bool(on)}, note)


def plain(ids: Any) -> Any:
    """numpy integers and arrays -> what JSON knows; anything else is left for the edit to judge."""
    if isinstance(ids, np.integer):
        return int(ids)
    if isinstance(ids, np.ndarray):
        return ids.tolist()
    if isinstance(ids, (list, tuple, set, frozenset)):
        return [int(i) if isinstance(i, np.integer) else i for i in ids]
    if isinstance(ids, Iterable) and not isinstance(ids, (str, Mapping)):
        return list(ids)
    return ids

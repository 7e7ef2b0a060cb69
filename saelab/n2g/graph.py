"""PatternGraph: an explanation of one latent that a person can read, edit, undo and score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab import files
from saelab.errors import SaelabError
from saelab.n2g import edits, match, render, trie
from saelab.n2g.tree import End, Item, Node, Pattern, Tree, check

if TYPE_CHECKING:
    import pandas as pd

    from saelab.n2g.score import Score

FORMAT, VERSION = "saelab.n2g", 1


@dataclass(frozen=True)
class Edit:
    """One step of a graph's history."""

    op: str
    args: dict[str, Any]
    note: str = ""
    delta: dict[str, int] | None = None  # change in tp, fp, fn on the valid split, where it was measured

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"op": self.op, "args": self.args, "note": self.note, "delta": self.delta}


class PatternGraph:
    """Patterns over token ids that say where one latent fires, and how strongly.

    Parameters
    ----------
    tree
        The patterns (see :mod:`saelab.n2g.tree`); empty by default.
    target
        What is explained: ``latent``, ``model``, ``hook``, ``tokenizer``, ``bos``.
    config
        How it was fitted; ``seed`` also decides which documents are train, valid and test.
    labels
        Token id -> text, for display only: ids alone decide what matches. Alternatives are shown in the order
        the tokens have here.
    reason
        Why the graph is empty, when it is.

    Attributes
    ----------
    index
        The LatentIndex that ``score()`` and its like use when given none; not saved.
    history
        The edits in effect, oldest first.

    Examples
    --------
    >>> from saelab.n2g import PatternGraph
    >>> g = PatternGraph(labels={1: "Host", 2: ":", 3: "example"})
    >>> g.add_path([1, 2, "*", 3], value=2.0)
    4
    >>> print(g.text())
    `Host` `:` * → `example`  (2)
    >>> g.predict([1, 2, 9, 3, 3]).tolist()
    [0.0, 0.0, 0.0, 2.0, 0.0]
    """

    def __init__(
        self,
        tree: Tree | None = None,
        *,
        target: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        labels: Mapping[int, str] | None = None,
        reason: str | None = None,
    ):
        self.tree = tree or Tree()
        check(self.tree)
        self.target: dict[str, Any] = dict(target or {})
        self.config: dict[str, Any] = dict(config or {})
        self.labels: dict[int, str] = render.Labels(labels or {})
        self.reason = reason
        self.scale: float | None = None
        self.metrics: dict[str, Any] | None = None
        self.fit_info: dict[str, Any] = {}
        self.index: Any = None
        self._done: list[tuple[Tree, Edit]] = []  # the tree before each edit
        self._undone: list[tuple[Tree, Edit]] = []  # the tree after each edit that was taken back

    # ------------------------------------------------------------------------------------------ reading

    @property
    def latent(self) -> int | None:
        """The latent that is explained."""
        return self.target.get("latent")

    @property
    def rule(self) -> str:
        """The matching rule, see :mod:`saelab.n2g.match`."""
        return self.config.get("match", "specific")

    @property
    def dense(self) -> bool:
        """Whether some pattern says nothing about the activating token."""
        return any(self.tree.nodes[i].kind in ("any", "not") for i in self.tree.children[0])

    def __len__(self) -> int:
        return len(self.tree.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PatternGraph) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def patterns(self) -> tuple[Pattern, ...]:
        """All patterns, lowest rank first."""
        return self.tree.patterns

    def paths(self) -> list[dict[str, Any]]:
        """One dict per pattern: text, value, counts, nodes from the activating token on."""
        return [
            {
                "node": p.node,
                "text": render.pattern(self.labels, p),
                "value": p.end.value,
                "n": p.end.n,
                "n_fire": p.end.n_fire,
                "nodes": list(p.path),
            }
            for p in reversed(self.tree.patterns)
        ]

    def nodes(self) -> list[dict[str, Any]]:
        """One dict per node, parents first: id, parent, kind, ids, text, lo, hi, imp, end, origin, locked."""
        return [self._node_dict(node) for node in self.tree.nodes.values()]

    def _node_dict(self, node: Node) -> dict[str, Any]:
        ids = render.ordered(self.labels, node.ids)
        end = node.end and {"value": node.end.value, "n": node.end.n, "n_fire": node.end.n_fire,
                            "sum": node.end.sum, "sumsq": node.end.sumsq}  # fmt: skip
        return {
            "id": node.id, "parent": node.parent, "kind": node.kind, "ids": ids,
            "text": [render.label_of(self.labels, i) for i in ids], "lo": node.lo, "hi": node.hi,
            "imp": node.imp, "end": end, "origin": node.origin, "locked": node.locked,
        }  # fmt: skip

    def text(self, n: int | None = None) -> str:
        """One readable line per pattern, the one that explains most activation first; ``n`` lines at most."""
        if not self.tree.nodes:
            return f"(empty: {self.reason or 'no patterns'})"
        return render.text(self.tree, self.labels, n=n)

    def to_dot(self) -> str:
        """Graphviz source."""
        return render.dot(self.tree, self.labels)

    def __repr__(self) -> str:
        name = "" if self.latent is None else f" of latent {self.latent}"
        head = f"PatternGraph{name}: {len(self.tree.patterns)} patterns, {len(self)} nodes"
        return f"{head}\n{self.text(12)}"

    # ----------------------------------------------------------------------------------------- matching

    def predict(self, rows: Any) -> np.ndarray:
        """Predicted activations.

        Parameters
        ----------
        rows
            ``TokenRows`` (BOS is honoured), or one sequence of token ids without BOS.

        Returns
        -------
        ndarray
            (n_tokens,) float32; 0 where no pattern matches, and at BOS.
        """
        tokens = match.Tokens.of(rows)
        positions, nodes = match.winners(tokens, self.tree, self.rule)
        out = np.zeros(len(tokens), dtype=np.float32)
        out[positions] = match.values(self.tree, nodes)
        return out

    def matches(self, rows: Any) -> pd.DataFrame:
        """Where patterns match: columns ``token_index``, ``node`` (that ends the winning one), ``value``."""
        import pandas as pd

        positions, nodes = match.winners(match.Tokens.of(rows), self.tree, self.rule)
        return pd.DataFrame(
            {"token_index": positions, "node": nodes, "value": match.values(self.tree, nodes)}
        )

    # ------------------------------------------------------------------------------------------ scoring

    def _index(self, index: Any) -> Any:
        index = self.index if index is None else index
        if index is None:
            raise SaelabError("this graph is not attached to an index; pass one, or set graph.index")
        if self.latent is None:
            raise SaelabError("this graph does not say which latent it explains; set graph.target['latent']")
        return index

    def score(self, index: Any = None, split: str = "valid", threshold: float = 0.0) -> Score:
        """How well the patterns say where the latent fires; see :class:`saelab.n2g.Score`."""
        from saelab.n2g import score

        return score.score(self, self._index(index), split=split, threshold=threshold)

    def baselines(self, index: Any = None, split: str = "valid") -> dict[str, Score]:
        """``token`` and ``bigram`` lookup learned on the train split, and ``always``; scored on ``split``."""
        from saelab.n2g import score

        index = self._index(index)
        assert self.latent is not None
        return score.baselines(index, self.latent, split=split, seed=self.seed)

    @property
    def seed(self) -> int:
        """Seed of the split into train, valid and test documents."""
        return int(self.config.get("seed", 0))

    def node_scores(self, index: Any = None, split: str = "valid") -> pd.DataFrame:
        """Per pattern: matches it wins, of these hits and false alarms, precision, mean activation."""
        from saelab.n2g import score

        return score.node_scores(self, self._index(index), split=split)

    def examples(
        self, index: Any = None, kind: str = "match", *, node: int | None = None, split: str = "valid",
        n: int = 20, seed: int = 0,
    ) -> pd.DataFrame:  # fmt: skip
        """Random positions of one kind: match, hit, miss, false_alarm; ``node`` keeps patterns through it."""
        from saelab.n2g import score

        return score.examples(self, self._index(index), kind, node=node, split=split, n=n, seed=seed)

    def preview(self, op: str, index: Any = None, split: str = "valid", **args: Any) -> dict[str, Any]:
        """What an edit would do to the score, without doing it: ``{"before", "after", "delta"}``."""
        from saelab.n2g import score

        return score.preview(self, self._index(index), op, args, split=split)

    def suggest(self, node: int, index: Any = None, k: int = 20, split: str = "train") -> pd.DataFrame:
        """Tokens a node could also match, best first: token, text, tp (hits), fp (false alarms) gained."""
        from saelab.n2g import score

        return score.suggest(self, self._index(index), node, k=k, split=split)

    def fitted_ends(self, index: Any = None) -> dict[int, tuple[float, int, int, float, float]]:
        """Per pattern, by the node that ends it, what :meth:`refit` would set: the mean activation where it wins
        in train, positions, firings, sum of activations, sum of their squares."""
        from saelab.n2g import score

        return score.fitted_ends(self, self._index(index))

    def refit(self, index: Any = None, note: str = "") -> None:
        """Set every value to the mean activation where its pattern wins in train, zeros included."""
        ends = self.fitted_ends(index)
        self.apply("set_ends", {"ends": {str(k): list(v) for k, v in ends.items()}}, note)

    def verify(self, node: int, model: Any, sae: Any, *, m: int = 16, seed: int = 0) -> dict[str, float]:
        """Ask the model: how often does it fire on the pattern ending at ``node``, all else being random?

        Returns ``{"sufficiency": share of m fillings with activation > 0, "mean": their mean activation}``.
        """
        from saelab.n2g import verifying

        return verifying.verify(self, node, model, sae, m=m, seed=seed)

    def edit(self, **options: Any) -> Any:
        """The editor widget."""
        from saelab.widgets import N2GEditor

        return N2GEditor(self, **options)

    # ------------------------------------------------------------------------------------------ editing

    def apply(
        self, op: str, args: Mapping[str, Any], note: str = "", delta: dict[str, int] | None = None
    ) -> int:
        """Do an edit by name with JSON arguments; returns the id of the node to look at (0 for the root)."""
        after, focus = edits.apply(self.tree, op, dict(args))
        self._done.append((self.tree, Edit(op, dict(args), note, delta)))
        self._undone.clear()
        self.tree = after
        return focus

    def dry_run(self, op: str, args: Mapping[str, Any]) -> PatternGraph:
        """A graph as it would be after an edit; this one stays as it is."""
        twin = self.copy()
        twin.apply(op, args)
        return twin

    def copy(self) -> PatternGraph:
        """The same graph with a history of its own."""
        twin = PatternGraph(
            self.tree, target=self.target, config=self.config, labels=self.labels, reason=self.reason
        )
        twin.scale, twin.metrics, twin.index = self.scale, self.metrics, self.index
        twin.fit_info = dict(self.fit_info)
        twin._done, twin._undone = list(self._done), list(self._undone)
        return twin

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
        trees = [before for before, _ in self._done] + [self.tree]
        trees += [after for after, _ in reversed(self._undone)]
        edits_ = [edit for _, edit in self._done] + [edit for _, edit in reversed(self._undone)]
        return [render.edit(self.labels, tree, e.op, e.args) for tree, e in zip(trees, edits_, strict=False)]

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
        self._done[step] = (before, Edit(edit.op, edit.args, str(note), edit.delta))

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

    def delete(self, node: int, *, note: str = "") -> int:
        """Remove a node with everything below it."""
        return self.apply("delete", {"node": node}, note)

    def wildcard(self, node: int, *, note: str = "") -> int:
        """Let a node match any token."""
        return self.apply("wildcard", {"node": node}, note)

    def specialise(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let a node match these tokens alone."""
        return self.apply("specialise", {"node": node, "ids": _plain(ids)}, note)

    def add_alternative(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let a node match these tokens too."""
        return self.apply("add_alternative", {"node": node, "ids": _plain(ids)}, note)

    def remove_alternative(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let a node no longer match these tokens."""
        return self.apply("remove_alternative", {"node": node, "ids": _plain(ids)}, note)

    def add_path(self, items: Sequence[Any], value: float | None = None, *, note: str = "") -> int:
        """Add a pattern given in reading order: ids, lists of ids, ``"*"``, ``"^"`` first for the row's
        start, ``{"not": [ids]}``, ``{"gap": [lo, hi]}``. Without ``value``: the mean activation of its
        matches on the train split of the attached index, or else of the graph's other patterns, or 1."""
        items = [_plain(i) for i in items]
        if value is None:
            value = self.likely_value(items)
        return self.apply("add_path", {"items": items, "value": float(value)}, note)

    def likely_value(self, items: Sequence[Any]) -> float:
        """The value :meth:`add_path` gives a path when told none."""
        return self._mean_where(tuple(edits.parse_items([_plain(i) for i in items])))

    def value_at(self, node: int) -> float:
        """The value a pattern that ends at ``node`` would get: the mean activation in train where it matches."""
        if node not in self.tree.nodes:
            raise SaelabError(f"no node {node!r} in this graph")
        path = [self.tree.nodes[i] for i in self.tree.path(node)]
        return self._mean_where(tuple((n.kind, n.ids, n.lo, n.hi) for n in path))

    def _mean_where(self, items: tuple[Item, ...]) -> float:
        ends = [p.end.value for p in self.tree.patterns if p.end.value > 0]
        fallback = float(np.mean(ends)) if ends else 1.0
        if self.index is None or self.latent is None:
            return fallback
        from saelab.n2g import score

        return score.mean_where(self.index, self.latent, items, self.seed) or fallback

    def exclude(self, node: int, ids: Sequence[int], *, note: str = "") -> int:
        """Let patterns through a node no longer match where the token before it is one of ``ids``."""
        return self.apply("exclude", {"node": node, "ids": _plain(ids)}, note)

    def gap(self, node: int, lo: int, hi: int, *, note: str = "") -> int:
        """Allow ``lo`` to ``hi`` tokens between a node and the one after it (or set the width of a gap)."""
        return self.apply("gap", {"node": node, "lo": int(lo), "hi": int(hi)}, note)

    def anchor_start(self, node: int, on: bool = True, *, note: str = "") -> int:
        """Let the pattern that ends at a node match only at the row's start, or anywhere again."""
        return self.apply("anchor_start", {"node": node, "on": bool(on)}, note)

    def set_value(self, node: int, value: float | str | None, *, note: str = "") -> int:
        """Set the predicted activation; ``"refit"``: from the attached index; None: no pattern ends here."""
        if value == "refit":
            ends = self.fitted_ends()
            if node not in ends:
                raise SaelabError(f"no pattern ends at node {node}")
            return self.apply("set_ends", {"ends": {str(node): list(ends[node])}}, note)
        return self.apply("set_value", {"node": node, "value": None if value is None else float(value)}, note)

    def merge(self, a: int, b: int, *, note: str = "") -> int:
        """Make two sibling nodes one with the alternatives of both."""
        return self.apply("merge", {"a": a, "b": b}, note)

    def split(self, node: int, ids: Sequence[int] | None = None, *, note: str = "") -> int:
        """Give some alternatives (by default each) a node of their own."""
        return self.apply("split", {"node": node, "ids": None if ids is None else _plain(ids)}, note)

    def lock(self, node: int, on: bool = True, *, note: str = "") -> int:
        """Protect a node from edits, or release it."""
        return self.apply("lock", {"node": node, "on": bool(on)}, note)

    # ------------------------------------------------------------------------------------------- files

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, ``saelab.n2g`` version 1; with a history, the nodes it began with are in ``base``."""
        out = {
            "format": FORMAT,
            "version": VERSION,
            "target": self.target,
            "config": self.config,
            "nodes": self.nodes(),
            "labels": [[i, text] for i, text in self.labels.items()],
            "scale": self.scale,
            "metrics": self.metrics,
            "fit": self.fit_info,
            "reason": self.reason,
            "edits": self.history,
        }
        if self._done:
            base = self._done[0][0]
            out["base"] = {
                "next_id": base.next_id,
                "nodes": [self._node_dict(n) for n in base.nodes.values()],
            }
        out["next_id"] = self.tree.next_id
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PatternGraph:
        """The graph of :meth:`to_json`; its history is replayed, so undo works.

        Raises
        ------
        SaelabError
            If the data are of another form or version, break a rule of the tree, or the history does not lead
            to the nodes.
        """
        from saelab.n2g import serial

        return serial.from_json(cls, data)

    def save(self, path: str | Path) -> Path:
        """Write the JSON form to a file."""
        files.write_json(path, self.to_json())
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> PatternGraph:
        """Read a file written by :meth:`save`."""
        return cls.from_json(files.read_json(path))

    def to_openai(self) -> dict[str, Any]:
        """OpenAI's trie of token texts (``NtgExplanation.trie``), which knows no gaps and no exclusions."""
        return trie.to_trie(self.tree, lambda i: render.label_of(self.labels, i))

    @classmethod
    def from_openai(
        cls,
        data: Mapping[str, Any],
        vocabulary: Mapping[str, int],
        *,
        target: Mapping[str, Any] | None = None,
    ) -> PatternGraph:
        """A graph of OpenAI's trie, with their matching rule. ``vocabulary`` maps token text to id."""

        def token_id(text: str) -> int:
            if text not in vocabulary:
                raise SaelabError(f"{text!r} is not a token of this vocabulary")
            return vocabulary[text]

        tree = trie.from_trie(data.get("trie", data), token_id)
        used = {i for node in tree.nodes.values() for i in node.ids}
        labels = {i: text for text, i in vocabulary.items() if i in used}
        return cls(tree, target=target, config={"match": "first"}, labels=labels)


def _plain(ids: Any) -> Any:
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


__all__ = ["Edit", "End", "Node", "Pattern", "PatternGraph", "Tree"]

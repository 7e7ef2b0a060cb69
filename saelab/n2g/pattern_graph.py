"""PatternGraph: an explanation of one latent that a person can read, edit, undo and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab import files
from saelab.display import escape
from saelab.errors import SaelabError
from saelab.n2g import baselines, ends, examples, score
from saelab.n2g.graph import edits, match, render, serial, trie
from saelab.n2g.graph.history import Editable, plain
from saelab.n2g.graph.tree import Item, Node, Pattern, Tree

if TYPE_CHECKING:
    import pandas as pd

    from saelab.n2g.score import Score


class PatternGraph(Editable):
    """Patterns over token ids that say where one latent fires, and how strongly.

    Parameters
    ----------
    tree
        The patterns (see :mod:`saelab.n2g.graph.tree`); empty by default.
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
        super().__init__(tree, labels)
        self.target: dict[str, Any] = dict(target or {})
        self.config: dict[str, Any] = dict(config or {})
        self.reason = reason
        self.scale: float | None = None
        self.metrics: dict[str, Any] | None = None
        self.fit_info: dict[str, Any] = {}
        self.index: Any = None

    # ------------------------------------------------------------------------------------------ reading

    @property
    def latent(self) -> int | None:
        """The latent that is explained."""
        return self.target.get("latent")

    @property
    def rule(self) -> str:
        """The matching rule, see :mod:`saelab.n2g.graph.match`."""
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

    def _repr_html_(self) -> str:
        name = "" if self.latent is None else f" of latent {self.latent}"
        head = f"<b>PatternGraph{name}</b>: {len(self.tree.patterns)} patterns, {len(self)} nodes"
        body = (
            render.to_html(self.tree, self.labels) if self.tree.nodes else f"<div>{escape(self.text())}</div>"
        )
        hint = "<div style='opacity:.7'><code>.edit()</code> opens the editor, <code>.score()</code> scores it</div>"
        return (
            f'<div class="tex2jax_ignore mathjax_ignore">{head}{body}{hint if self.tree.nodes else ""}</div>'
        )

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
        return score.score(self, self._index(index), split=split, threshold=threshold)

    def baselines(
        self, index: Any = None, split: str = "valid", learn: Sequence[str] = ("train",)
    ) -> dict[str, Score]:
        """``token`` and ``bigram`` lookup learned on the splits ``learn``, and ``always``; scored on ``split``."""
        index = self._index(index)
        assert self.latent is not None
        return baselines.baselines(index, self.latent, split=split, seed=self.seed, learn=learn)

    @property
    def seed(self) -> int:
        """Seed of the split into train, valid and test documents."""
        return int(self.config.get("seed", 0))

    def node_scores(self, index: Any = None, split: str = "valid") -> pd.DataFrame:
        """Per pattern: matches it wins, of these hits and false alarms, precision, mean activation."""
        return examples.node_scores(self, self._index(index), split=split)

    def examples(
        self, index: Any = None, kind: str = "match", *, node: int | None = None, split: str = "valid",
        n: int = 20, seed: int = 0,
    ) -> pd.DataFrame:  # fmt: skip
        """Random positions of one kind: match, hit, miss, false_alarm; ``node`` keeps patterns through it."""
        return examples.examples(self, self._index(index), kind, node=node, split=split, n=n, seed=seed)

    def preview(self, op: str, index: Any = None, split: str = "valid", **args: Any) -> dict[str, Any]:
        """What an edit would do to the score, without doing it: ``{"before", "after", "delta"}``."""
        return score.preview(self, self._index(index), op, args, split=split)

    def suggest(self, node: int, index: Any = None, k: int = 20, split: str = "train") -> pd.DataFrame:
        """Tokens a node could also match, best first: token, text, tp (hits), fp (false alarms) gained."""
        return examples.suggest(self, self._index(index), node, k=k, split=split)

    def fitted_ends(self, index: Any = None) -> dict[int, tuple[float, int, int, float, float]]:
        """Per pattern, by the node that ends it, what :meth:`refit` would set: the mean activation where it wins
        in train, positions, firings, sum of activations, sum of their squares."""
        return ends.fitted_ends(self, self._index(index))

    def refit(self, index: Any = None, note: str = "") -> None:
        """Set every value to the mean activation where its pattern wins in train, zeros included."""
        fitted = self.fitted_ends(index)
        self.apply("set_ends", {"ends": {str(k): list(v) for k, v in fitted.items()}}, note)

    def verify(self, node: int, model: Any, sae: Any, *, m: int = 16, seed: int = 0) -> dict[str, float]:
        """Ask the model: how often does it fire on the pattern ending at ``node``, all else being random?

        Returns ``{"sufficiency": share of m fillings with activation > 0, "mean": their mean activation}``.
        """
        from saelab.n2g.fit import verifying

        return verifying.verify(self, node, model, sae, m=m, seed=seed)

    def edit(self, **options: Any) -> Any:
        """The editor widget."""
        from saelab.widgets import N2GEditor

        return N2GEditor(self, **options)

    # ------------------------------------------------------------------------------------------ editing

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

    def add_path(self, items: Sequence[Any], value: float | None = None, *, note: str = "") -> int:
        """Add a pattern given in reading order: ids, lists of ids, ``"*"``, ``"^"`` first for the row's
        start, ``{"not": [ids]}``, ``{"gap": [lo, hi]}``. Without ``value``: the mean activation of its
        matches on the train split of the attached index, or else of the graph's other patterns, or 1."""
        items = [plain(i) for i in items]
        if value is None:
            value = self.likely_value(items)
        return self.apply("add_path", {"items": items, "value": float(value)}, note)

    def set_value(self, node: int, value: float | str | None, *, note: str = "") -> int:
        """Set the predicted activation; ``"refit"``: from the attached index; None: no pattern ends here."""
        if value == "refit":
            fitted = self.fitted_ends()
            if node not in fitted:
                raise SaelabError(f"no pattern ends at node {node}")
            return self.apply("set_ends", {"ends": {str(node): list(fitted[node])}}, note)
        return self.apply("set_value", {"node": node, "value": None if value is None else float(value)}, note)

    def likely_value(self, items: Sequence[Any]) -> float:
        """The value :meth:`add_path` gives a path when told none."""
        return self._mean_where(tuple(edits.parse_items([plain(i) for i in items])))

    def value_at(self, node: int) -> float:
        """The value a pattern that ends at ``node`` would get: the mean activation in train where it matches."""
        if node not in self.tree.nodes:
            raise SaelabError(f"no node {node!r} in this graph")
        path = [self.tree.nodes[i] for i in self.tree.path(node)]
        return self._mean_where(tuple((n.kind, n.ids, n.lo, n.hi) for n in path))

    def _mean_where(self, items: tuple[Item, ...]) -> float:
        known = [p.end.value for p in self.tree.patterns if p.end.value > 0]
        fallback = float(np.mean(known)) if known else 1.0
        if self.index is None or self.latent is None:
            return fallback
        return ends.mean_where(self.index, self.latent, items, self.seed) or fallback

    # ------------------------------------------------------------------------------------------- files

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, ``saelab.n2g`` version 1; with a history, the nodes it began with are in ``base``."""
        out = {
            "format": serial.FORMAT,
            "version": serial.VERSION,
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

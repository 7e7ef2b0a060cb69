"""PatternGraph: an explanation of one latent that a person can read, edit, undo and score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saelab import files
from saelab.display import escape
from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.index import LatentIndex
from saelab.models import HookedModel
from saelab.n2g.corpus import bos_id, model_and_sae
from saelab.n2g.fit import verifying
from saelab.n2g.graph import render, serial, trie
from saelab.n2g.graph.tree import Tree
from saelab.n2g.scored import Scored
from saelab.sae import SAE


@door
class PatternGraph(Scored):
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
        super().__init__(tree, labels, target, config)
        self.reason = reason
        self.scale: float | None = None
        self.metrics: dict[str, Any] | None = None

    # ------------------------------------------------------------------------------------------ reading

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PatternGraph) and {**self.to_json(), "seen": other.seen} == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def text(self, n: int | None = None) -> str:
        """One readable line per pattern, the one that explains most activation first; ``n`` lines at most.

        >>> "→" in graph.text(1)
        True
        """
        if not self.tree.nodes:
            return f"(empty: {self.reason or 'no patterns'})"
        return render.text(self.tree, self.labels, n=n)

    def _head(self) -> str:
        name = "" if self.latent is None else f" of latent {self.latent}"
        mixed = "".join(f"; {note}" for note in self.fit_info.get("mismatch", ()))
        return f"PatternGraph{name}: {len(self.tree.patterns)} patterns, {len(self)} nodes{mixed}"

    def __repr__(self) -> str:
        return f"{self._head()}\n{self.text(12)}"

    def _repr_html_(self) -> str:
        head, counts = self._head().split(":", 1)
        body = f"<div>{escape(self.text())}</div>"
        if self.tree.nodes:
            hint = "<code>.edit()</code> opens the editor, <code>.score()</code> scores it"
            body = f"{render.to_html(self.tree, self.labels)}<div style='opacity:.7'>{hint}</div>"
        return f'<div class="tex2jax_ignore mathjax_ignore"><b>{head}</b>:{escape(counts)}{body}</div>'

    def verify(
        self, node: int, index: LatentIndex | None = None, *, model: HookedModel | None = None,
        sae: SAE | None = None, m: int = verifying.PROMPTS, seed: int = 0,
    ) -> dict[str, float]:  # fmt: skip
        """Ask the model: how often does it fire on the pattern ending at ``node``, all else being random?

        Parameters
        ----------
        model, sae
            For an index that was opened without them.
        m
            Number of random fillings.

        Returns
        -------
        dict
            ``sufficiency``: share of the fillings with activation > 0, with its 95 % interval ``low`` and ``high`` (NaN
            below 20 fillings); ``mean``: their mean activation.

        Examples
        --------
        >>> 0 <= graph.verify(graph.paths()[0]["node"])["sufficiency"] <= 1
        True
        """
        check_count("m", m, high=1 << 12)
        pattern = next((p for p in self.patterns() if p.node == node), None)
        if pattern is None:
            raise SaelabError(f"no pattern ends at node {node}")
        index = self._attached(index)
        model, sae = model_and_sae(index, model, sae)
        return verifying.verify(
            pattern, self._known_latent(), self.corpus(index), model, sae, bos_id(index), m=m, seed=seed
        )

    def edit(self, **options: Any) -> Any:
        """The editor widget.

        >>> type(graph.edit()).__name__
        'N2GEditor'
        """
        from saelab.widgets import N2GEditor

        return N2GEditor(self, **options)

    # ------------------------------------------------------------------------------------------- files

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, ``saelab.n2g`` version 1; with a history, the nodes it began with are in ``base``.

        >>> graph.to_json()["format"]
        'saelab.n2g'
        """
        out: dict[str, Any] = {
            "format": serial.FORMAT, "version": serial.VERSION, "target": self.target, "config": self.config,
            "nodes": self.nodes(), "labels": [[i, text] for i, text in self.labels.items()],
            "scale": self.scale, "metrics": self.metrics, "fit": self.fit_info, "reason": self.reason,
            "edits": self.history, "seen": self.seen,
        }  # fmt: skip
        if self._done:
            base = self._done[0][0]
            nodes = [serial.node_dict(self.labels, n) for n in base.nodes.values()]
            out["base"] = {"next_id": base.next_id, "nodes": nodes}
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

        Examples
        --------
        >>> sl.n2g.PatternGraph.from_json(graph.to_json()) == graph
        True
        """
        saved = serial.read(data)
        graph = cls(
            saved.begin, target=data.get("target"), config=data.get("config"), labels=saved.labels,
            reason=data.get("reason"),
        )  # fmt: skip
        for step, edit in enumerate(saved.edits):
            try:
                graph.apply(edit["op"], edit["args"], edit.get("note", ""), edit.get("delta"))
            except (KeyError, TypeError, SaelabError) as error:
                raise SaelabError(f"edit {step} of the history cannot be replayed: {error}") from None
        if graph.tree != saved.tree:
            raise SaelabError(
                "the history does not lead to the nodes of this graph; one of them was changed by hand"
            )
        graph.scale, graph.metrics = data.get("scale"), data.get("metrics")
        graph.seen = list(data.get("seen") or [])
        graph.fit_info = dict(data.get("fit") or {})
        return graph

    def save(self, path: str | Path) -> Path:
        """Write the JSON form to a file.

        >>> graph.save(folder / "graph.json").name
        'graph.json'
        """
        files.write_json(path, self.to_json(), checked=True)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> PatternGraph:
        """Read a file written by :meth:`save`.

        >>> sl.n2g.PatternGraph.load(graph.save(folder / "graph.json")) == graph
        True
        """
        with files.reading(path):
            return cls.from_json(files.read_json(path))

    def to_openai(self) -> dict[str, Any]:
        """OpenAI's trie of token texts (``NtgExplanation.trie``), which knows no gaps and no exclusions.

        >>> g = sl.n2g.PatternGraph(labels={4: "a", 9: "b"})
        >>> node = g.add_path([4, 9], value=1.5)
        >>> g.to_openai()
        {'b': {'a': {'<saliency>': 1.5}}}
        """
        return trie.to_trie(self.tree, lambda i: render.label_of(self.labels, i))

    @classmethod
    def from_openai(
        cls,
        data: Mapping[str, Any],
        vocabulary: Mapping[str, int],
        *,
        target: Mapping[str, Any] | None = None,
    ) -> PatternGraph:
        """A graph of OpenAI's trie, with their matching rule. ``vocabulary`` maps token text to id.

        >>> g = sl.n2g.PatternGraph.from_openai({"b": {"a": {"<saliency>": 1.5}}}, {"a": 4, "b": 9})
        >>> g.predict([4, 9]).tolist()
        [0.0, 1.5]
        """

        def token_id(text: str) -> int:
            if text not in vocabulary:
                raise SaelabError(f"{text!r} is not a token of this vocabulary")
            return vocabulary[text]

        tree = trie.from_trie(data.get("trie", data), token_id)
        used = {i for node in tree.nodes.values() for i in node.ids}
        labels = {i: text for text, i in vocabulary.items() if i in used}
        return cls(tree, target=target, config={"match": "first"}, labels=labels)

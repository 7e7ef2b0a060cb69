"""N2GEditor: a pattern graph drawn, edited and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from saelab.errors import SaelabError
from saelab.widgets.base import Widget, asset
from saelab.widgets.dashboard import examples
from saelab.widgets.page import plain
from saelab.widgets.tokens import MONO, escape, frame

if TYPE_CHECKING:
    import pandas as pd

_SCORED = ("split", "tokens", "tp", "fp", "fn", "precision", "recall", "f1")


class N2GEditor(Widget):
    """Draws a :class:`saelab.n2g.PatternGraph` and edits it: delete, undo, redo; the score after each edit.

    The graph itself is edited, so ``graph.text()`` or ``graph.save(path)`` in the next cell see the edits.

    Parameters
    ----------
    graph
        The graph.
    index
        Where to score it; the graph's own index by default. Without one, the graph is drawn without scores.
    split
        Documents the score is of; not those it was fitted to.
    state
        Traits to begin with, such as ``selected``.

    Attributes
    ----------
    selected
        Id of the selected node, or None.
    score, before
        Score now and before any edit: precision (None when nothing is predicted), recall, f1, tp, fp, fn.
    """

    module = "n2g_editor"
    _esm = asset("n2g_editor.js")
    _css = asset("n2g_editor.css")

    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    # set by Python alone
    latent = traitlets.Int(None, allow_none=True).tag(sync=True)
    nodes = traitlets.List(traitlets.Dict()).tag(sync=True)
    reason = traitlets.Unicode("").tag(sync=True)
    score = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    before = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    baselines = traitlets.Dict().tag(sync=True)
    score_reason = traitlets.Unicode("").tag(sync=True)
    history = traitlets.List(traitlets.Dict()).tag(sync=True)
    can_redo = traitlets.Bool(False).tag(sync=True)
    details = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)

    def __init__(self, graph: Any, index: Any = None, *, split: str = "valid", **state: Any):
        index = graph.index if index is None else index
        self._split = split
        super().__init__(**{"latent": graph.latent, **state})
        self._held = (graph, index)
        self._scores: list[dict[str, Any] | None] = []  # after each edit that was made here
        with self.hold_sync():
            self.before = self._measure()
            self.baselines = self._baselines()
            self._refresh()

    @property
    def _graph(self) -> Any:
        return self._source[0]

    @property
    def _index(self) -> Any:
        return self._source[1]

    # ----------------------------------------------------------------------------------------- measuring

    def _measure(self) -> dict[str, Any] | None:
        if self._index is None:
            self.score_reason = (
                "Not scored: the graph is attached to no index. Pass one: graph.edit(index=index)."
            )
            return None
        try:
            found = self._graph.score(self._index, split=self._split)
        except SaelabError as error:
            self.score_reason = str(error)
            return None
        return plain({k: getattr(found, k) for k in _SCORED if hasattr(found, k)})

    def _baselines(self) -> dict[str, Any]:
        if self.before is None or not hasattr(self._graph, "baselines"):
            return {}
        names = {"token": "token lookup", "bigram": "bigram lookup"}
        found = self._graph.baselines(self._index, split=self._split)
        return plain(
            {
                names[k]: {f: getattr(s, f) for f in _SCORED if hasattr(s, f)}
                for k, s in found.items()
                if k in names
            }
        )

    def _refresh(self, focus: int | None = None) -> None:
        graph = self._graph
        self._edits_known = len(graph.history)
        with self.hold_sync():
            self.nodes = plain(graph.nodes())
            self.reason = getattr(graph, "reason", None) or ""
            self.score = self._measure() if self._scores else self.before
            self.history = self._steps()
            self.can_redo = bool(getattr(graph, "can_redo", False))
            self.details = None
            known = {n["id"] for n in self.nodes}
            self.selected = focus if focus in known else None

    def _steps(self) -> list[dict[str, Any]]:
        edits = self._graph.history
        scores = [None] * (
            len(edits) - len(self._scores)
        ) + self._scores  # edits made before the widget have none
        texts = getattr(self, "_texts", {})
        return [
            {"op": e["op"], "text": texts.get(i, ""), "note": e.get("note") or "", "f1": s and s["f1"]}
            for i, (e, s) in enumerate(zip(edits, scores, strict=False))
        ]

    # ------------------------------------------------------------------------------------------ requests

    def methods(self) -> dict[str, Any]:
        return {
            "delete": self.delete, "undo": self.undo, "redo": self.redo, "details": self._details,
            "annotate": self._annotate,
        }  # fmt: skip

    def delete(self, node: int) -> None:
        """Delete a node with everything to its left."""
        graph = self._graph
        said = next((n for n in graph.nodes() if n["id"] == node), None)
        graph.delete(node)
        self._texts = {**getattr(self, "_texts", {}), len(graph.history) - 1: _words(said)}
        self._scores.append(self._measure())
        self._refresh(said and said["parent"])

    def undo(self) -> None:
        """Take back the last edit."""
        self._graph.undo()
        if self._scores:
            self._scores.pop()
        self._refresh(self.selected)

    def redo(self) -> None:
        """Do the edit again that was last taken back."""
        self._graph.redo()
        self._scores.append(self._measure())
        self._refresh(self.selected)

    def refresh(self) -> None:
        """Draw the graph again after it was edited by other means."""
        self._scores = [None] * len(self._graph.history)
        if self._scores:
            self._scores[-1] = self._measure()
        self._refresh(self.selected)

    def _annotate(self, step: int, note: str) -> None:
        self._graph.annotate(note, step)
        self.history = self._steps()

    def _details(self, node: int) -> None:
        graph, index = self._graph, self._index
        found: dict[str, Any] = {"node": node, "facts": [], "hits": [], "false_alarms": [], "high": 0.0}
        if index is not None and hasattr(graph, "examples"):
            hits, alarms = (
                graph.examples(index, kind, node=node, split=self._split, n=10**6)
                for kind in ("hit", "false_alarm")
            )
            n = len(hits) + len(alarms)
            found["facts"] = [
                ["matches", n], ["hits", len(hits)], ["false alarms", len(alarms)],
                ["precision", len(hits) / n if n else None],
            ]  # fmt: skip
            found["high"] = float(index.latent_stats(graph.latent)["max"])
            for name, part in (("hits", hits), ("false_alarms", alarms)):
                found[name] = self._samples(part)
        self.details = plain(found)

    def _samples(self, part: pd.DataFrame, n: int = 5) -> list[dict[str, Any]]:
        chosen = part.iloc[:: max(1, len(part) // n)][:n].assign(count=1)
        shown = examples(self._index, self._graph.latent, chosen, before=6, after=3)
        return [{k: e[k] for k in ("text", "values", "centre")} for e in shown]

    # -------------------------------------------------------------------------------------------- export

    def to_frame(self) -> pd.DataFrame:
        """One row per node: id, parent, kind, text, ids, imp, value (of the pattern that ends here), n."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "id": n["id"], "parent": n["parent"], "kind": n["kind"], "text": n["text"],
                    "ids": n["ids"], "imp": n["imp"], "value": n["end"]["value"] if n["end"] else None,
                    "n": n["end"]["n"] if n["end"] else None,
                }
                for n in self.nodes
            ],
            columns=["id", "parent", "kind", "text", "ids", "imp", "value", "n"],
        )  # fmt: skip

    def export_state(self, **options: Any) -> dict[str, Any]:
        return {**self.state(), "read_only": True, "selected": None, "details": None, "error": {}}

    def title(self) -> str:
        return f"Latent {self.latent}: patterns" if self.latent is not None else "Patterns"

    def fallback(self) -> str:
        head = f"<b>{escape(self.title())}</b>"
        if not self.nodes:
            return frame(head, escape(f"No patterns. {self.reason}"))
        if self.score:
            shown = {
                k: "–" if self.score[k] is None else f"{100 * self.score[k]:.1f} %"
                for k in ("precision", "recall", "f1")
            }
            head += f" precision {shown['precision']}, recall {shown['recall']}, F1 {shown['f1']}"
        lines = self._graph.text(30).split("\n")
        return frame(head, *(f'<bdi style="display:block;{MONO}">{escape(line)}</bdi>' for line in lines))


def _words(node: dict[str, Any] | None) -> str:
    """What a node says, short."""
    if node is None:
        return ""
    if node["kind"] in ("tok", "not"):
        return "|".join(node["text"][:2]) + ("|…" if len(node["text"]) > 2 else "")
    return "*" if node["kind"] == "any" else str(node["kind"])

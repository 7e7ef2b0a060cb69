"""N2GEditor: a pattern graph drawn, edited and scored."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets

from saelab import files
from saelab.display import isolated
from saelab.doors import door
from saelab.errors import SaelabError, check_choice
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.n2g import PatternGraph, Score
from saelab.widgets import n2g_rows as rows_of
from saelab.widgets.base import Widget
from saelab.widgets.page import plain
from saelab.widgets.tokens import MONO, escape, frame

_COUNTS, _RATES = ("tp", "fp", "fn"), ("precision", "recall", "f1")
_SCORED = ("split", "on", "tokens", *_COUNTS, *_RATES, *(f"{rate}_interval" for rate in _RATES))
FORMATS = ("json", "dot", "text")
_NO_INDEX = "the graph is attached to no index; pass one: graph.edit(index=index)"


@door
class N2GEditor(Widget):
    """Draws a :class:`saelab.n2g.PatternGraph` and edits it; each edit shows what it would change first.

    The graph itself is edited, so ``graph.text()`` or ``graph.save(path)`` in the next cell see the edits.
    Scores are of ``split``: by default the valid documents, which patterns were not taken from but were chosen
    by, so they flatter a little. Those of the test documents are made only when asked for
    (:meth:`final_score`): who edits until they look good has made them worthless.

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
    history
        All edits, those that were taken back too: op, text, note, delta (change in tp, fp, fn), f1 after it.
    done
        How many of them are in effect.
    final
        Score on the test documents and ``done`` at that time, once it was asked for.
    """

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
    done = traitlets.Int(0).tag(sync=True)
    final = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self, graph: PatternGraph, index: LatentIndex | None = None, *, split: str = "valid", **state: Any
    ):
        index = graph.index if index is None else index
        self._split = split
        super().__init__(**{"latent": graph.latent, **state})
        self._held = (graph, index)
        self._f1: dict[int, float | None] = {}  # after each edit that was made here, by number of edits
        with self.hold_sync():
            self.before = self._measure(graph)
            self.baselines = self._baselines()
            self._draw(self.selected)

    @property
    def _graph(self) -> PatternGraph:
        return self._source[0]

    @property
    def _index(self) -> LatentIndex | None:
        return self._source[1]

    def _indexed(self) -> LatentIndex:
        if self._index is None:
            raise SaelabError(_NO_INDEX)
        return self._index

    # ----------------------------------------------------------------------------------------- measuring

    def _measure(self, graph: PatternGraph, split: str | None = None) -> dict[str, Any] | None:
        if self._index is None:
            self.score_reason = f"Not scored: {_NO_INDEX}"
            return None
        try:
            return _numbers(graph.score(self._index, split=split or self._split))
        except SaelabError as error:
            self.score_reason = str(error)
            return None

    def _baselines(self) -> dict[str, Any]:
        if self.before is None:
            return {}
        # not from the documents that they are scored on, as the graph's patterns are not
        learn = ("train",) if self._split == "valid" else None
        found = self._graph.baselines(self._index, split=self._split, learn=learn)
        return {f"{name} lookup": _numbers(found[name]) for name in ("token", "bigram")}

    def _draw(self, focus: int | None = None, score: dict[str, Any] | None = None) -> None:
        """Bring all traits up to date; ``score`` where it is known already."""
        graph = self._graph
        with self.hold_sync():
            self.nodes = plain(graph.nodes())
            self.reason = graph.reason or ""
            self.score = score or self._measure(graph)
            self.done = len(graph.history)
            self._f1[self.done] = self.score["f1"] if self.score else None
            self.history = self._steps()
            known = {n["id"] for n in self.nodes}
            self.selected = focus if focus in known else None

    def _steps(self) -> list[dict[str, Any]]:
        edits = [*self._graph.history, *self._graph.undone]
        return [
            {"op": e["op"], "text": text, "note": e["note"], "delta": e["delta"], "f1": self._f1.get(i + 1)}
            for i, (e, text) in enumerate(zip(edits, self._graph.steps(), strict=True))
        ]

    # ------------------------------------------------------------------------------------------- editing

    def methods(self) -> dict[str, Any]:
        def on_text(call: Callable[..., Any]) -> Callable[..., Any]:
            return lambda **params: plain(call(self._graph, self._indexed(), **params))

        return {
            "preview": self.preview, "apply": self.apply, "undo": self.undo, "redo": self.redo,
            "go_to": self.go_to, "annotate": self.annotate, "final_score": self.final_score,
            "export": self._export, "rows": on_text(partial(rows_of.rows, split=self._split)),
            "facts": on_text(partial(rows_of.facts, split=self._split)), "compose": on_text(rows_of.compose),
            "tokens": on_text(lambda _, index, text: rows_of.tokens_like(index, text)),
            "suggest": on_text(lambda graph, index, node: graph.suggest(node, index, n=24).to_dict("records")),
            "verify": on_text(lambda graph, index, node: graph.verify(node, index)),
        }  # fmt: skip

    def _arguments(self, op: str, args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """What a view leaves open is decided here, so that the history says it all and can be replayed."""
        if self._index is not None:  # steps name tokens that are new to the graph
            given = [i for i in [*(args.get("ids") or ()), *(args.get("items") or ())] if isinstance(i, int)]
            new = [i for i in given if i in range(len(self._index.vocab)) and i not in self._graph.labels]
            self._graph.labels.update(zip(new, self._index.vocab.labels(new), strict=True))
        if op == "refit":
            ends = self._graph.fitted_ends(self._indexed())
            node = args.get("node")
            if node is not None and node not in ends:
                raise SaelabError(f"no pattern ends at node {node}")
            return "set_ends", {"ends": {str(k): list(v) for k, v in ends.items() if node in (None, k)}}
        if op == "mark":  # a pattern ends here, or not
            on = args.get("on", True)
            value = self._graph.value_at(args["node"]) if on else None
            return "set_value", {"node": args["node"], "value": value}
        if op == "add_path" and args.get("value") is None:
            return op, {**args, "value": self._graph.likely_value(args["items"])}
        return op, args

    def preview(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """What an edit would change: ``delta`` (tp, fp, fn), scores ``before`` and ``after``, and patterns
        ``added``, ``removed`` and ``revalued`` as text (the first five of each). The graph stays as it is.

        >>> editor = graph.copy().edit(index=index)
        >>> sorted(editor.preview("delete", {"node": graph.nodes()[-1]["id"]}))[:3]
        ['after', 'before', 'delta']
        """
        op, args = self._arguments(op, args)
        twin = self._graph.dry_run(op, args)
        after = self._measure(twin)
        changed = twin.diff(len(twin.history) - 1)
        return plain({
            "text": twin.steps()[-1], "before": self.score, "after": after,
            "delta": _delta(self.score, after), "patterns": {k: v[:5] for k, v in changed.items()},
        })  # fmt: skip

    def apply(self, op: str, args: dict[str, Any], note: str = "") -> int:
        """Make an edit; returns the node to look at. The change in hits and false alarms goes to its history.

        >>> editor = graph.copy().edit(index=index)
        >>> focus = editor.apply("delete", {"node": graph.nodes()[-1]["id"]}, note="too rare")
        >>> len(editor.history)
        1
        """
        op, args = self._arguments(op, args)
        graph, before = self._graph, self.score
        after = self._measure(graph.dry_run(op, args))
        focus = graph.apply(op, args, note, _delta(before, after))
        self._f1 = {k: v for k, v in self._f1.items() if k < len(graph.history)}
        self._draw(focus, after)
        return focus

    def delete(self, node: int, note: str = "") -> None:
        """Delete a node with everything to its left.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.delete(graph.nodes()[-1]["id"])
        >>> len(editor.history)
        1
        """
        self.apply("delete", {"node": node}, note)

    def undo(self) -> None:
        """Take back the last edit.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.delete(graph.nodes()[-1]["id"])
        >>> editor.undo()
        >>> editor.done
        0
        """
        self._graph.undo()
        self._draw(self.selected)

    def redo(self) -> None:
        """Do the edit again that was last taken back.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.delete(graph.nodes()[-1]["id"])
        >>> editor.undo()
        >>> editor.redo()
        >>> editor.done
        1
        """
        self._graph.redo()
        self._draw(self.selected)

    def go_to(self, step: int) -> None:
        """Go back or forward in the history, to after its first ``step`` edits.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.delete(graph.nodes()[-1]["id"])
        >>> editor.go_to(0)
        >>> editor.done
        0
        """
        graph = self._graph
        total = len(graph.history) + len(graph.undone)
        if not 0 <= step <= total:
            raise SaelabError(f"step must be in 0…{total}, got {step}")
        while len(graph.history) > step:
            graph.undo()
        while len(graph.history) < step:
            graph.redo()
        self._draw(self.selected)

    def refresh(self) -> None:
        """Draw the graph again after it was edited by other means.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.refresh()
        """
        self._f1 = {}
        self._draw(self.selected)

    def annotate(self, step: int, note: str) -> None:
        """Write a note to an edit of the history.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.delete(graph.nodes()[-1]["id"])
        >>> editor.annotate(0, "a rare token")
        """
        self._graph.annotate(note, step)
        self.history = self._steps()

    # ------------------------------------------------------------------------------------------- export

    def final_score(self) -> None:
        """Score on the test documents, which no number shown before has looked at.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.final_score()
        >>> editor.final is not None
        True
        """
        self._indexed()
        found = self._measure(self._graph, "test")
        self.final = found and {**found, "done": self.done}

    def _export(self, kind: str) -> str:
        check_choice("format", kind, FORMATS)
        if kind == "json":
            return json.dumps(self._graph.to_json(), ensure_ascii=False, indent=1)
        return self._graph.to_dot() if kind == "dot" else self._graph.text()

    def export(self, path: str | Path) -> Path:
        """Write the graph as ``.json`` (with its history; ``PatternGraph.load`` reads it), ``.dot`` or ``.txt``.

        The picture (SVG) is made by the view: its export button.

        >>> editor = graph.copy().edit(index=index)
        >>> editor.export(folder / "latent.txt").name
        'latent.txt'
        """
        kind = {".txt": "text"}.get(Path(path).suffix, Path(path).suffix[1:])
        text = self._export(kind)
        with files.atomic_write(Path(path)) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return Path(path)

    def to_frame(self) -> pd.DataFrame:
        """One row per node: id, parent, kind, text, ids, imp, value (of the pattern that ends here), n.

        >>> list(graph.edit(index=index).to_frame().columns[:3])
        ['id', 'parent', 'kind']
        """
        columns = ["id", "parent", "kind", "text", "ids", "imp", "value", "n"]
        return TextFrame(
            [{"value": None, "n": None, **n, **(n["end"] or {})} for n in self.nodes], columns=columns
        )

    def export_state(self, **options: Any) -> dict[str, Any]:
        return {**super().export_state(), "selected": None}

    def title(self) -> str:
        return f"Latent {self.latent}: patterns" if self.latent is not None else "Patterns"

    def fallback(self) -> str:
        head = f"<b>{escape(self.title())}</b>"
        if not self.nodes:
            return frame(head, escape(f"No patterns. {self.reason}"))
        if self.score:
            shown = {k: "–" if self.score[k] is None else f"{100 * self.score[k]:.1f} %" for k in _RATES}
            head += f" precision {shown['precision']}, recall {shown['recall']}, F1 {shown['f1']} on {self.score['on']}"
        lines = self._graph.text(30).split("\n")
        return frame(
            head, *(f'<bdi style="display:block;{MONO}" dir="ltr">{_apart(line)}</bdi>' for line in lines)
        )


def _apart(line: str) -> str:
    """A line of ``graph.text()``: the direction of a token does not leave its quotes."""
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(isolated(p, "", escape(p)) if i % 2 else escape(p) for i, p in enumerate(parts))


def _numbers(score: Score) -> dict[str, Any]:
    return plain({k: getattr(score, k) for k in _SCORED})


def _delta(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, int] | None:
    return {k: after[k] - before[k] for k in _COUNTS} if before and after else None

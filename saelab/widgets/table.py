"""LatentTable: every latent of an index, to sort, filter and search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from saelab.doors import door
from saelab.errors import SaelabError, check_latents, unknown
from saelab.index import LatentIndex, spans
from saelab.index.examples import Parts, texts
from saelab.index.firings import Firings
from saelab.widgets import columns
from saelab.widgets.all_latents import AllLatents
from saelab.widgets.base import Number, Packed, Widget
from saelab.widgets.page import plain
from saelab.widgets.tokens import escape, frame

if TYPE_CHECKING:
    import pandas as pd

MODES = ("text", "regex", "name")
SORTS = ("latent", "count", "mean", "max", "token", "label", "measure", "f1", "precision", "recall", "hits")
_FOUND = 2000  # most latents a search shows: the rest fire on the text by chance
_TEXTS = 500  # most latents whose examples a saved table holds
_SHORT = 12  # rows of the fallback


@door
class LatentTable(AllLatents, Widget):
    """All latents of an index as a table that scrolls smoothly however many there are.

    Numbers come to the view as arrays, once, when it is drawn; only the rows in sight are elements of the
    page.

    Parameters
    ----------
    index
        A :class:`saelab.LatentIndex`.
    latent
        The row to begin on; None: the latent that fires most.
    state
        Traits to begin with: ``query``, ``mode``, ``sort``, ``descending``, ``density``, ``show_dead``, …

    Attributes
    ----------
    latent
        The row the cursor is on. ``ipywidgets.link((table, "latent"), (dashboard, "latent"))`` makes a
        dashboard follow it.
    selected
        Latents that were picked (Space, Enter, Ctrl-click, Shift-click).
    query, mode
        What is searched for. ``"text"`` and ``"regex"`` ask the index which latents fire on its matches and
        not elsewhere; ``"name"`` looks in labels and in the tokens latents are strongest on.
    sort, descending
        Column the rows are in order of.
    density
        ``[lowest, highest]`` share of tokens, or None.
    measure
        Which of the columns kept beside the index is shown, one of ``measures``: what :meth:`LatentIndex.interest`,
        :func:`saelab.steering_scores` and :func:`saelab.calibrate` found until the table was made; ``""``: none.
    show_dead, only_labelled
        Whether latents that never fire are shown; whether only those with a label are.

    Examples
    --------
    >>> table = index.table(query="fox")
    >>> table.sort
    'f1'
    """

    query = traitlets.Unicode("").tag(sync=True)
    mode = traitlets.Enum(MODES, "text").tag(sync=True)
    sort = traitlets.Enum(SORTS, "count").tag(sync=True)
    descending = traitlets.Bool(True).tag(sync=True)
    density = traitlets.List(Number(), allow_none=True, default_value=None).tag(sync=True)
    only_labelled = traitlets.Bool(False).tag(sync=True)
    measure = traitlets.Unicode("").tag(sync=True)
    # set by Python alone
    measures = traitlets.List(traitlets.Unicode()).tag(sync=True)
    found = traitlets.Dict(help="what the search found").tag(sync=True)
    # in a saved page: the text of each latent's examples to search in
    texts = traitlets.List(traitlets.Unicode(), allow_none=True, default_value=None).tag(sync=True)

    def __init__(self, index: LatentIndex, latent: int | None = None, **state: Any):
        for name, allowed in (("mode", MODES), ("sort", SORTS)):
            if name in state and state[name] not in allowed:
                raise unknown(name, state[name], allowed)
        query, mode = state.pop("query", ""), state.pop("mode", "text")
        kept = index.kept.all()[0]
        if state.get("measure") and state["measure"] not in kept:
            raise unknown("measure", state["measure"], kept)
        self._measured = list(kept.values())
        super().__init__(index, latent, **{"measures": list(kept), "measure": next(iter(kept), ""), **state})
        self.mode, self.query = mode, query

    # ------------------------------------------------------------------------------------------- search

    @traitlets.observe("query", "mode")
    def _asked(self, change: Any) -> None:
        if getattr(self, "_held", None) is None:
            return
        try:
            self.clear_error()
            self._search()
        except SaelabError as error:  # an exception in an observer is shown by nobody
            self.show_error(error)
            self.found = {"query": self.query, "mode": self.mode, "rows": [], "failed": str(error)}

    def _search(self) -> None:
        query, mode = self.query, self.mode
        if not query or mode == "name":
            self.found = {}
            return
        if (self.found.get("query"), self.found.get("mode")) == (query, mode):
            return
        lines = self._found_in(mode, query)
        names = ["latent", "hits", "precision", "recall", "f1"]
        rows = [[_short(v) for v in line] for line in lines[names].itertuples(index=False)]
        found = {"query": query, "mode": mode, "rows": rows, "matches": lines.attrs["matches"]}
        with self.hold_sync():
            self.found = plain(found)
            self.sort, self.descending = "f1", True

    def found_frame(self) -> pd.DataFrame:
        """What the present search found: latent, hits, precision, recall, mean, f1, best first.

        Examples
        --------
        >>> index.table(query="fox").found_frame().index.name or "latent"
        'latent'
        """
        if not self.query or self.mode == "name":
            raise SaelabError("nothing is searched for: set query, and mode to 'text' or 'regex'")
        return self._found_in(self.mode, self.query)

    def _found_in(self, mode: str, query: str) -> pd.DataFrame:
        """As ``index.search``, but nothing found is an empty table here, which says so."""
        pattern = spans.pattern(**{"text": None, "regex": None, mode: query}, ignore_case=False)
        return spans.search(self._source, pattern, _FOUND)

    # ----------------------------------------------------------------------------------------- requests

    def methods(self) -> dict[str, Any]:
        return {"columns": self._columns, "label": self._label}

    def _columns(self) -> Packed:
        body, tokens = columns.pack(self._source, None, self._measured)
        return Packed({"tokens": tokens}, (body,))

    def _label(self, latent: int, text: str) -> None:
        self._source.set_label(latent, text)

    # ------------------------------------------------------------------------------------------- export

    @property
    def frame(self) -> pd.DataFrame:
        """All latents: :meth:`LatentIndex.to_frame`."""
        return self._source.to_frame()

    def to_frame(self, *, selected: bool = False) -> pd.DataFrame:
        """All latents with their statistics, top token and label; with ``selected`` those that were picked.

        Examples
        --------
        >>> len(index.table().to_frame())
        64
        """
        whole = self.frame
        return whole.loc[self.selected] if selected else whole

    def export_state(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, Any]:
        """The columns of ``latents`` (None: all) and, if there are at most 500, examples to search in.

        Examples
        --------
        >>> len(index.table().export_state(latents=[1, 2])["texts"])
        2
        """
        index = self._source
        chosen = None if latents is None else check_latents(latents, index.d_sae)
        body, tokens = columns.pack(index, chosen, self._measured)
        held = range(index.d_sae) if chosen is None else chosen
        shown = _examples(index, held) if len(held) <= _TEXTS else None
        return {
            **super().export_state(), "packed": body, "tokens": tokens, "found": {},
            "latent": self.latent if self.latent in held or not len(held) else held[0],
            "query": "", "sort": self.sort if self.sort in SORTS[:7] else "count",
            "selected": [i for i in self.selected if i in held],
            "texts": shown, "mode": "name" if shown is None else "text",
        }  # fmt: skip

    def title(self) -> str:
        return f"{self.d_sae:,} latents"

    def fallback(self) -> str:
        index = self._source
        dense = [int(i) for i in np.argsort(-index.counts, kind="stable")[:_SHORT] if index.counts[i]]
        body, tokens = columns.pack(index, dense)
        token = np.frombuffer(body, "<u4")[4 * len(dense) :]
        lines = [
            f"{i}: fires on {int(index.counts[i]):,} tokens, strongest on "
            f'<bdi style="font-family:monospace">{escape(tokens[t])}</bdi> {escape(index.label(i))}'
            for i, t in zip(dense, token, strict=True)
        ]
        alive = int((index.counts > 0).sum())
        head = f"<b>{index.d_sae:,} latents</b>, {alive:,} fire on {index.n_counted:,} tokens; the densest:"
        return frame(head, *lines)


def _examples(index: Any, latents: Sequence[int], n: int = 8) -> list[str]:
    """Of each latent the text of its strongest examples, one a line of its own."""
    out = []
    for firings in Firings.groups(index, latents):
        whole = Parts.whole(index, firings)
        found = whole.found(*whole.strongest(n))
        lines = texts(index, found.token)
        out += ["\n\n".join(lines[a:b]) for a, b in found.each(len(firings))]
    return out


def _short(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else int(value)

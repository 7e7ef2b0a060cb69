"""LatentDashboard: everything an index knows about one latent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from saelab.doors import door
from saelab.errors import SaelabError, check_choice, check_count, check_latent, check_latents
from saelab.experiments import effects
from saelab.index import LatentIndex
from saelab.widgets.base import Number, Widget
from saelab.widgets.effect_map import most, packed, plain_lines
from saelab.widgets.latest import LatestOnlyWorker
from saelab.widgets.page import request_key
from saelab.widgets.payload import examples, payload, payloads, sides, values_at
from saelab.widgets.prompt import Prompt
from saelab.widgets.tokens import MONO, TokenText, escape, frame, spans

if TYPE_CHECKING:
    import pandas as pd

    from saelab.experiments import Effects

_DETACHED = "trying a text and ablating need the SAE and the model: LatentIndex.open(path, sae=…, model=…)"


def check_context(context: Any) -> int | None:
    """``context`` as a whole number that is not negative, or None."""
    return None if context is None else check_count("context", context, 0)


@door
class LatentDashboard(Widget):
    """Statistics, histogram, examples, votes and neighbours of one latent, with label and note.

    Parameters
    ----------
    index
        A :class:`saelab.LatentIndex`. Decoder and encoder neighbours need its ``sae``, the logit lens also
        its ``model``.
    latent
        The latent to open.
    n
        Examples of each kind.
    state
        Traits to begin with: ``tab``, ``brush``, ``prompt``, ``context``, ``vmax``, …

    Attributes
    ----------
    latent
        The latent shown; assign to open another one.
    tab
        ``"top"``, ``"interval"`` or ``"random"``.
    brush
        ``[lo, hi]``, the range of activations marked in the histogram, or None.
    selected_sequence, selected_token
        Row of the index and position in it of the example that was clicked, or None.
    vmin, vmax
        Ends of the colours; None: 0 and the latent's maximum. Set, they stay for every latent.
    context
        Tokens shown on each side of an example; 0: the whole row; None: ten before and five after.
    one_per_document
        Whether a document shows its strongest example alone.
    prompt
        A text of your own; the view shows where this latent and which others fire on it, while it is typed.
        Needs the index's ``sae`` and ``model``.
    ablated
        What ablating this latent in the row of an example changes, asked for by :meth:`ablate` or in the view;
        empty before. Needs the index's ``sae`` and ``model``.
    label, note
        What a person wrote about the latent; kept beside the index.
    payload
        What is drawn, plain JSON; see :func:`saelab.widgets.payload.payloads`.
    """

    latent = traitlets.Int(0, help="the latent shown").tag(sync=True)
    tab = traitlets.Enum(("top", "interval", "random"), "top").tag(sync=True)
    brush = traitlets.List(Number(), allow_none=True, default_value=None).tag(sync=True)
    selected_sequence = traitlets.Int(None, allow_none=True).tag(sync=True)
    selected_token = traitlets.Int(None, allow_none=True).tag(sync=True)
    show_whitespace = traitlets.Bool(False).tag(sync=True)
    vmin = Number(None, allow_none=True, help="low end of the colours; None: 0").tag(sync=True)
    vmax = Number(None, allow_none=True, help="high end; None: the maximum").tag(sync=True)
    context = traitlets.Int(None, allow_none=True, help="tokens on each side of an example").tag(sync=True)
    one_per_document = traitlets.Bool(True, help="of each document the strongest alone").tag(sync=True)
    prompt = traitlets.Unicode("", help="a text of your own").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    # set by Python alone
    source = traitlets.Unicode("", help="who or what wrote the label, and its score").tag(sync=True)
    payload = traitlets.Dict().tag(sync=True)
    tried = traitlets.Dict(help="what fires on the prompt").tag(sync=True)
    ablated = traitlets.Dict(help="effects of ablating this latent in one row").tag(sync=True)
    cannot_try = traitlets.Unicode("", help="why a text cannot be run").tag(sync=True)
    available = traitlets.List(traitlets.Int(), allow_none=True, default_value=None).tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)

    _writing = False
    _waiting: tuple[Prompt | LatestOnlyWorker, ...] = ()

    def __init__(self, index: LatentIndex, latent: int = 0, *, n: int = 20, **state: Any):
        latent = check_latent(latent, index.d_sae)
        self._n = n
        check_context(state.get("context"))
        self._waiting = self._trying, self._ablating = (
            Prompt(self._tried), LatestOnlyWorker(self._effects_in, self._shown_effects),
        )  # fmt: skip
        self._effects: Effects | None = None
        prompt = state.pop("prompt", "")
        super().__init__(**{"latent": latent, **state})
        self._held = index
        self._say(getattr(index, "mismatch", ()))
        self.cannot_try = "" if index.sae is not None and index.model is not None else _DETACHED
        self._load()
        self.prompt = prompt
        index.notes.watch(self)

    # ------------------------------------------------------------------------------------------- opening

    @traitlets.validate("latent")
    def _in_range(self, proposal: Any) -> int:
        index = getattr(self, "_held", None)
        return proposal.value if index is None else check_latent(proposal.value, index.d_sae)

    @traitlets.observe("latent")
    def _opened(self, change: Any) -> None:
        if getattr(self, "_held", None) is not None:
            self._load()

    def _load(self) -> None:
        index, latent = self._source, self.latent
        with self._lock, self.hold_sync():
            self.payload = payload(index, latent, n=self._n, **self._examples())
            if self.tried:
                self.tried = self._trying.of_latent(self.tried, latent)
            self.label, self.note = index.label(latent), index.note(latent)
            self.source = index.notes.source(latent)
            self.brush, self.selected_sequence, self.selected_token = None, None, None
            if self.ablated.get("latent", latent) != latent:
                self.ablated, self._effects = {}, None
            if self.tab == "interval":
                self.tab = "top"

    @traitlets.validate("context")
    def _context_in_range(self, proposal: Any) -> int | None:
        return check_context(proposal.value)

    def _examples(self) -> dict[str, Any]:
        return {"context": self.context, "one_per_document": self.one_per_document}

    @traitlets.observe("context", "one_per_document")
    def _widened(self, change: Any) -> None:
        if getattr(self, "_held", None) is not None:
            self._load()

    def labels_changed(self) -> None:
        """Called by the index when a label or note was written, wherever that was.

        Examples
        --------
        >>> w = index.dashboard(latent)
        >>> index.set_label(latent, "mine")
        >>> w.label
        'mine'
        >>> index.set_label(latent, "")
        """
        index = self._held
        if index is None:
            return
        with self.hold_sync():
            if not self._writing:
                self.label, self.note = index.label(self.latent), index.note(self.latent)
            self.source = index.notes.source(self.latent)

    # --------------------------------------------------------------------------------------- own prompt

    @traitlets.observe("prompt")
    def _typed(self, change: Any) -> None:
        index = getattr(self, "_held", None)
        if index is None:
            return
        if not change.new:
            self.tried = {}
        elif self.cannot_try:
            self.show_error(SaelabError(self.cannot_try))
        else:
            self._trying.ask(index, change.new)

    def _tried(self, found: dict[str, Any] | Exception) -> None:
        """Called by the thread that tries prompts."""
        if self._released or not self.prompt:
            return
        if isinstance(found, Exception):
            self.show_error(found)
            return
        self.clear_error()
        self.tried = self._trying.of_latent(found, self.latent)

    # ---------------------------------------------------------------------------------------- ablation

    def ablate(self, row: int | None = None, position: int | None = None, *, wait: bool = True) -> None:
        """Show what ablating this latent changes in a row of the index.

        Parameters
        ----------
        row, position
            Of the index, and which token to look at first; None: the strongest example.
        wait
            Return when the effects are there; otherwise at once, and they are shown when they are.

        Raises
        ------
        SaelabError
            If there is no such row, the latent never fires and no row is named, or the SAE or the model is missing.

        Examples
        --------
        >>> w = index.dashboard(latent)
        >>> w.ablate(row=0)
        >>> w.ablated["row"]
        0
        """
        index = self._source
        if self.cannot_try:
            raise SaelabError(self.cannot_try)
        if row is None:
            if not index.counts[self.latent]:
                raise SaelabError(
                    f"latent {self.latent} never fires here; name a row to ablate it in all the same"
                )
            place, centre = index.rows.locate(index.arrays["peak"][self.latent])
            row, position = int(place), int(centre)
        length = index.row_length(row)
        if position is not None and not 0 <= position < length:
            raise SaelabError(f"position {position} is out of range: row {row} has positions 0…{length - 1}")
        self.ablated = {"latent": self.latent, "row": int(row), "running": True}
        thread = self._ablating.ask(index, self.latent, int(row), position)
        if wait:
            thread.join()

    def _effects_in(self, index: Any, latent: int, row: int, position: int | None) -> tuple[Any, ...]:
        try:
            return latent, row, position, effects(index.model, index.sae, index.rows[row], latent)
        except Exception as error:
            return latent, row, position, error

    def _shown_effects(self, found: Any) -> None:
        """Called by the thread that ablates."""
        if self._released:
            return
        latent, row, position, effects = found
        if (self.ablated.get("latent"), self.ablated.get("row")) != (latent, row):
            return  # another one was opened or asked for meanwhile
        if isinstance(effects, Exception):
            self.ablated, self._effects = {}, None
            self.show_error(effects)
            return
        self._effects = effects
        at = most(effects.frame) if position is None else position
        self.ablated = {**packed(effects), "row": row, "selected": at}

    @traitlets.observe("label", "note")
    def _noted(self, change: Any) -> None:
        index = getattr(self, "_held", None)
        if index is None or not self.payload or self.payload["latent"] != self.latent:
            return  # being filled in, not written by a person
        kept = {"label": index.label, "note": index.note}[change.name](self.latent)
        if change.new.strip() != kept:
            self._writing = True  # the index tells all widgets, this one too
            try:
                {"label": index.set_label, "note": index.set_note}[change.name](self.latent, change.new)
            finally:
                self._writing = False

    # ------------------------------------------------------------------------------------------ requests

    def methods(self) -> dict[str, Any]:
        return {
            "open": self._open, "step": self._step, "interval": self._interval, "random": self._random,
            "row": self._row, "save": self._save, "ablate": self._ablate,
        }  # fmt: skip

    def _open(self, latent: int) -> None:
        self.latent = check_latent(latent, self._source.d_sae)

    def _step(self, by: int | str) -> None:
        index = self._source
        if by == "random":
            alive = np.flatnonzero(index.counts)
            if len(alive) == 0:
                raise SaelabError("no latent of this index ever fires")
            self.latent = int(np.random.default_rng().choice(alive))
        else:
            self.latent = (self.latent + int(by)) % index.d_sae

    def _interval(self, lo: float, hi: float) -> dict[str, Any]:
        index, latent = self._source, self.latent
        value = np.asarray(index.postings(latent).value, dtype=np.float64)
        found = index.interval(latent, lo, hi, self._n)
        inside = int(((value >= lo) & (value <= hi)).sum())
        return {"total": inside, "examples": examples(index, latent, found, **sides(self.context))}

    def _random(self, seed: int) -> list[dict[str, Any]]:
        index = self._source
        found = index.random(self.latent, self._n, seed)
        return examples(index, self.latent, found, **sides(self.context))

    def _row(self, row: int) -> dict[str, Any]:
        index = self._source
        text = TokenText.of_vocab(index.vocab, index.rows[row])
        values = values_at(index, self.latent, int(index.rows.offsets[row]), len(text))
        return {"text": text.to_dict(), "values": values}

    def _ablate(self, row: int | None, position: int | None) -> None:
        self.ablate(row, position, wait=False)

    def _save(self, latent: int, label: str, note: str) -> None:
        index = self._source
        self._writing = True
        try:
            index.set_label(latent, label)
            index.set_note(latent, note)
        finally:
            self._writing = False
        if latent == self.latent:
            self.label, self.note = label, note

    # -------------------------------------------------------------------------------------------- export

    def to_frame(self, kind: str = "top") -> pd.DataFrame:
        """A DataFrame: examples (``kind`` is ``top``, ``random`` or ``interval``, of ``brush``), ``prompt`` or ``ablation``.

        ``prompt`` gives every latent that fires on the prompt: position, id, token, latent, activation; ``ablation``
        what :meth:`ablate` found, with the columns of :func:`saelab.effects`.

        Examples
        --------
        >>> len(index.dashboard(latent, n=3).to_frame())
        3
        """
        index = self._source
        if kind == "ablation":
            if self._effects is None:
                raise SaelabError(f"latent {self.latent} was not ablated here; call ablate() first")
            return self._effects.frame
        if kind == "prompt":
            return self._trying.to_frame(index, self.prompt)
        if kind == "interval":
            lo, hi = self.brush or (None, None)
            return index.interval(self.latent, lo, hi, self._n)
        check_choice("kind", kind, ("top", "random", "interval", "prompt", "ablation"))
        if kind == "top":
            return index.top(self.latent, self._n, one_per_document=self.one_per_document)
        return index.random(self.latent, self._n)

    def export_options(self) -> tuple[str, ...]:
        return ("latents",)

    def _exported(self, latents: Iterable[int] | None) -> list[int]:
        return [self.latent] if latents is None else check_latents(latents, self._source.d_sae)

    def replies(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, dict[str, Any]]:
        """With ``latents=[…]`` a saved page holds those, and one can go from one to the other.

        Examples
        --------
        >>> len(index.dashboard(latent).replies(latents=[latent, 1]))
        2
        """
        super().replies(**options)
        opened = self._opened_states(self._exported(latents))
        return {request_key("open", latent=state["latent"]): state for state in opened}

    def _opened_states(self, latents: list[int]) -> Iterator[dict[str, Any]]:
        index = self._source
        for found in payloads(index, latents, n=self._n, **self._examples()):
            latent = found["latent"]
            mine = self._effects is not None and latent == self._effects.latent
            yield {
                "payload": found, "ablated": self.ablated if mine else {},
                "tried": self._trying.of_latent(self.tried, latent) if self.tried else {},
                "label": index.label(latent), "note": index.note(latent), "source": index.notes.source(latent),
                "brush": None, "tab": "top", "selected_sequence": None, "selected_token": None,
                "latent": latent,
            }  # fmt: skip

    def export_state(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, Any]:
        available = self._exported(latents)
        first = self.latent if self.latent in available else available[0]
        return {
            **super().export_state(), "ablated": self.ablated if self._effects is not None else {},
            **({} if first == self.latent else next(self._opened_states([first]))), "available": available,
        }  # fmt: skip

    def release(self) -> None:
        super().release()
        for jobs in self._waiting:
            jobs.forget()

    def title(self) -> str:
        return f"Latent {self.latent}" + (f": {self.label}" if self.label else "")

    def fallback(self) -> str:
        data = self.payload
        stats, high = data["stats"], self.vmax if self.vmax is not None else data["stats"]["max"]
        written = f' <span style="opacity:.7">({escape(self.source)})</span>' if self.source else ""
        head = f"<b>Latent {self.latent}</b> {escape(self.label)}{written}"
        if not stats["n"]:
            return frame(head, f"0 of {data['counted']:,} tokens; never active in this sample.")
        line = (
            f"fires on {stats['n']:,} of {data['counted']:,} tokens ({100 * stats['density']:.3g} %), "
            f"mean {stats['mean']:.3g}, max {stats['max']:.3g}"
        )
        rows = [
            f'<span style="opacity:.6">{e["value"]:.3g}</span> '
            f'<bdi style="{MONO}">{spans(e["text"], e["values"], high)}</bdi>'
            for e in data["examples"]["top"][:10]
        ]
        return frame(head, line, *rows, *(plain_lines(self._effects) if self._effects is not None else []))

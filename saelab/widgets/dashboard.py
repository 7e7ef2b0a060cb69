"""LatentDashboard: everything an index knows about one latent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from saelab.errors import SaelabError, check_latent
from saelab.widgets.base import Widget, asset
from saelab.widgets.page import plain, request_key
from saelab.widgets.tokens import MONO, TokenText, escape, frame, spans

if TYPE_CHECKING:
    import pandas as pd

_KINDS = ("decoder", "encoder", "coactivation")


# ------------------------------------------------------------------------------------------------ payload


def payload(index: Any, latent: int, *, n: int = 20, seed: int = 0, bins: int = 40) -> dict[str, Any]:
    """All that the dashboard draws of one latent, as plain JSON.

    Parameters
    ----------
    index
        A :class:`saelab.LatentIndex`.
    n
        Examples of each kind.
    seed
        Of the random examples.

    Returns
    -------
    dict
        latent, d_sae, counted, excluded (positions), stats, histogram, examples (top, random), logits and
        nearest; where something cannot be had, ``{"reason": …}`` stands in its place.
    """
    latent = check_latent(latent, index.d_sae)
    stats = index.latent_stats(latent)
    histogram = index.histogram(latent, bins)
    return plain(
        {
            "latent": latent,
            "d_sae": index.d_sae,
            "counted": index.n_counted,
            "excluded": index.n_tokens - index.n_counted,
            "stats": {k: _short(v) for k, v in stats.items() if k != "latent"},
            "histogram": {c: histogram[c].tolist() for c in ("lo", "hi", "count")},
            "examples": {
                "top": examples(index, latent, index.top(latent, n)),
                "random": examples(index, latent, index.random(latent, n, seed)),
            },
            "logits": _or_reason(lambda: _logits(index, latent)),
            "nearest": {by: _or_reason(lambda by=by: _nearest(index, latent, by)) for by in _KINDS},
        }
    )


def examples(
    index: Any, latent: int, found: pd.DataFrame, *, before: int = 10, after: int = 5
) -> list[dict[str, Any]]:
    """Lines of ``index.top``, ``random`` or ``interval`` with their tokens and the activation on each."""
    out = []
    for line in found.to_dict("records"):
        row, position = int(line["row"]), int(line["position"])
        whole = TokenText.of_vocab(index.vocab, index.rows[row])
        shown = whole.cut(max(0, position - before), position + after + 1)
        first = int(index.rows.offsets[row]) + shown.start
        out.append(
            {
                "text": shown.text.to_dict(), "values": _values(index, latent, first, len(shown.text)),
                "centre": position - shown.start, "start": shown.start, "row": row, "position": position,
                "doc": int(line["doc"]), "value": _short(float(line["value"])), "count": int(line["count"]),
            }
        )  # fmt: skip
    return out


def _values(index: Any, latent: int, first: int, n: int) -> list[float]:
    """Activation on ``n`` tokens from flat index ``first`` on."""
    token, value = index.postings(latent)
    a, b = np.searchsorted(token, [first, first + n])
    values = np.zeros(n)
    values[np.asarray(token[a:b]) - first] = value[a:b]
    return [_short(v) for v in values.tolist()]


def _short(value: Any) -> Any:
    """Four significant digits: what is drawn, and a smaller message."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _or_reason(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except SaelabError as error:  # no SAE attached, a hook point without a logit lens: said in its place
        return {"reason": str(error)}


def _logits(index: Any, latent: int) -> dict[str, list[list[Any]]]:
    table = index.logit_lens(latent)
    return {
        side: [
            [t, _short(float(v))] for t, v in zip(table[f"{side}_token"], table[f"{side}_value"], strict=True)
        ]
        for side in ("up", "down")
    }


def _nearest(index: Any, latent: int, by: str, n: int = 8) -> list[dict[str, Any]]:
    lines = index.nearest(latent, by, n).to_dict("records")
    return [
        {
            "latent": int(line["latent"]), "similarity": _short(float(line["similarity"])),
            "label": index.label(int(line["latent"])), "token": _top_token(index, int(line["latent"])),
        }
        for line in lines
    ]  # fmt: skip


def _top_token(index: Any, latent: int) -> str | None:
    """Label of the token a latent fires on most; None when it never fires."""
    token, value = index.postings(latent)
    return index.vocab.label(index.rows.ids[token[int(np.argmax(value))]]) if len(token) else None


# ------------------------------------------------------------------------------------------------- widget


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
        Traits to begin with: ``tab``, ``brush``, ``show_whitespace``, …

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
    label, note
        What a person wrote about the latent; kept beside the index.
    payload
        What is drawn, plain JSON; see :func:`payload`.
    """

    module = "dashboard"
    _esm = asset("dashboard.js")
    _css = asset("dashboard.css")

    latent = traitlets.Int(0, help="the latent shown").tag(sync=True)
    tab = traitlets.Enum(("top", "interval", "random"), "top").tag(sync=True)
    brush = traitlets.List(traitlets.Float(), allow_none=True, default_value=None).tag(sync=True)
    selected_sequence = traitlets.Int(None, allow_none=True).tag(sync=True)
    selected_token = traitlets.Int(None, allow_none=True).tag(sync=True)
    show_whitespace = traitlets.Bool(False).tag(sync=True)
    vmax = traitlets.Float(None, allow_none=True, help="high end of the colours; None: the maximum").tag(
        sync=True
    )
    label = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    # set by Python alone
    payload = traitlets.Dict().tag(sync=True)
    available = traitlets.List(traitlets.Int(), allow_none=True, default_value=None).tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)

    def __init__(self, index: Any, latent: int = 0, *, n: int = 20, **state: Any):
        latent = check_latent(latent, index.d_sae)
        self._n = n
        super().__init__(**{"latent": latent, **state})
        self._held = index
        self._load()

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
            self.payload = payload(index, latent, n=self._n)
            self.label, self.note = index.label(latent), index.note(latent)
            self.brush, self.selected_sequence, self.selected_token = None, None, None
            if self.tab == "interval":
                self.tab = "top"

    @traitlets.observe("label", "note")
    def _noted(self, change: Any) -> None:
        index = getattr(self, "_held", None)
        if index is None or not self.payload or self.payload["latent"] != self.latent:
            return  # being filled in, not written by a person
        kept = {"label": index.label, "note": index.note}[change.name](self.latent)
        if change.new.strip() != kept:
            {"label": index.set_label, "note": index.set_note}[change.name](self.latent, change.new)

    # ------------------------------------------------------------------------------------------ requests

    def methods(self) -> dict[str, Any]:
        return {
            "open": self._open, "step": self._step, "interval": self._interval, "random": self._random,
            "row": self._row, "save": self._save,
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
        return plain({"total": inside, "examples": examples(index, latent, found)})

    def _random(self, seed: int) -> list[dict[str, Any]]:
        index = self._source
        return plain(examples(index, self.latent, index.random(self.latent, self._n, seed)))

    def _row(self, row: int) -> dict[str, Any]:
        index = self._source
        text = TokenText.of_vocab(index.vocab, index.rows[row])
        return plain(
            {
                "text": text.to_dict(),
                "values": _values(index, self.latent, int(index.rows.offsets[row]), len(text)),
            }
        )

    def _save(self, latent: int, label: str, note: str) -> None:
        index = self._source
        index.set_label(latent, label)
        index.set_note(latent, note)
        if latent == self.latent:
            self.label, self.note = label, note

    # -------------------------------------------------------------------------------------------- export

    def to_frame(self, kind: str = "top") -> pd.DataFrame:
        """The examples as a DataFrame: ``kind`` is ``top``, ``random`` or ``interval`` (of ``brush``)."""
        index = self._source
        if kind == "interval":
            lo, hi = self.brush or (None, None)
            return index.interval(self.latent, lo, hi, self._n)
        if kind not in ("top", "random"):
            from saelab.errors import unknown

            raise unknown("kind", kind, ("top", "random", "interval"))
        return getattr(index, kind)(self.latent, self._n)

    def export_options(self) -> tuple[str, ...]:
        return ("latents",)

    def _exported(self, latents: Iterable[int] | None) -> list[int]:
        wanted = [] if latents is None else [check_latent(i, self._source.d_sae) for i in latents]
        return list(dict.fromkeys(wanted)) or [self.latent]

    def replies(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, dict[str, Any]]:
        """With ``latents=[…]`` a saved page holds those, and one can go from one to the other."""
        super().replies(**options)
        return {request_key("open", latent=i): self._opened_state(i) for i in self._exported(latents)}

    def _opened_state(self, latent: int) -> dict[str, Any]:
        index = self._source
        return {
            "payload": payload(index, latent, n=self._n),
            "label": index.label(latent),
            "note": index.note(latent),
            "brush": None,
            "tab": "top",
            "selected_sequence": None,
            "selected_token": None,
            "latent": latent,
        }

    def export_state(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, Any]:
        available = self._exported(latents)
        first = self.latent if self.latent in available else available[0]
        return {
            **self.state(), **({} if first == self.latent else self._opened_state(first)),
            "available": available, "read_only": True, "error": {},
        }  # fmt: skip

    def title(self) -> str:
        return f"Latent {self.latent}" + (f": {self.label}" if self.label else "")

    def fallback(self) -> str:
        data = self.payload
        stats, high = data["stats"], self.vmax if self.vmax is not None else data["stats"]["max"]
        head = f"<b>Latent {self.latent}</b> {escape(self.label)}"
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
        return frame(head, line, *rows)

"""ActivationHeatmap: latents over texts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import traitlets

from saelab import models
from saelab.doors import door
from saelab.errors import SaelabError, check_array, check_count, check_latent, check_latents
from saelab.identity import noted
from saelab.index import LatentIndex
from saelab.models.hooks import HookedModel
from saelab.sae import SAE
from saelab.widgets.base import Number, Widget
from saelab.widgets.codes_source import CodesSource
from saelab.widgets.tokens import MONO, TokenText, escape, frame, spans

if TYPE_CHECKING:
    import pandas as pd

_PAGE_TOKENS = 4096  # drawn at a time: more elements make a notebook slow
_PAGE_VALUES = 150_000  # float32 sent at a time: one display stays under 1 MB


class HeatmapState(TypedDict, total=False):
    """Traits that a heatmap may begin with."""

    latent: int
    together: bool
    page: int
    vmin: float | None
    vmax: float | None
    show_whitespace: bool
    selected_sequence: int | None
    selected_token: int | None


@door
class ActivationHeatmap(Widget):
    """Activations of latents on the tokens of texts: one latent at a time, or all at once.

    Parameters
    ----------
    texts
        The texts, each a :class:`saelab.widgets.TokenText` or a list of token strings.
    values
        Per text an array (tokens, latents), or (tokens,) for one latent.
    latents
        Ids of the columns; 0, 1, … by default.
    percentiles
        Per text an array like ``values`` with the share of the latent's firings that are weaker; optional.
    names
        What to call the latents, one each; optional.
    state
        Traits to begin with: ``latent``, ``vmin``, ``vmax`` (None: from the data), ``show_whitespace``, …

    Attributes
    ----------
    latent
        The latent that is drawn.
    together
        Whether all latents are drawn at once: each token in the color of the latent that is there at the largest
        share of its own maximum.
    selected_sequence, selected_token
        What was clicked, or None.
    selected_span
        ``[sequence, start, stop]`` that was dragged over, or None.
    page
        Which page of texts is drawn.

    Examples
    --------
    >>> w = sl.widgets.ActivationHeatmap([["The", " cat", " sat"]], [np.array([0.0, 3.0, 1.0])], latents=[7])
    >>> w.to_frame()["activation"].tolist()
    [0.0, 3.0, 1.0]
    """

    latents = traitlets.List(traitlets.Int(), help="ids of the latents").tag(sync=True)
    names = traitlets.List(traitlets.Unicode(), help="what the latents are called").tag(sync=True)
    latent = traitlets.Int(allow_none=True, default_value=None, help="the latent drawn").tag(sync=True)
    together = traitlets.Bool(False, help="all latents at once, each in a color of its own").tag(sync=True)
    page = traitlets.Int(0, help="page of texts drawn").tag(sync=True)
    vmin = Number(None, allow_none=True, help="low end of the colours; None: 0").tag(sync=True)
    vmax = Number(None, allow_none=True, help="high end; None: the latent's maximum").tag(sync=True)
    show_whitespace = traitlets.Bool(False).tag(sync=True)
    selected_sequence = traitlets.Int(None, allow_none=True).tag(sync=True)
    selected_token = traitlets.Int(None, allow_none=True).tag(sync=True)
    selected_span = traitlets.List(traitlets.Int(), allow_none=True, default_value=None).tag(sync=True)
    # set by Python alone
    tokens = traitlets.List(traitlets.Unicode(allow_none=True), help="what each is strongest on").tag(
        sync=True
    )
    sequences = traitlets.List(traitlets.Dict()).tag(sync=True)
    values = traitlets.Bytes().tag(sync=True)
    percentiles = traitlets.Bytes().tag(sync=True)
    maxima = traitlets.List(Number()).tag(sync=True)
    first = traitlets.Int(0).tag(sync=True)
    n_sequences = traitlets.Int(0).tag(sync=True)
    n_pages = traitlets.Int(1).tag(sync=True)
    can_ask = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        texts: Sequence[TokenText | Sequence[str]],
        values: Sequence[Any],
        latents: Sequence[int] | None = None,
        *,
        percentiles: Sequence[Any] | None = None,
        names: Sequence[str] = (),
        **state: Unpack[HeatmapState],
    ):
        self._texts = [t if isinstance(t, TokenText) else TokenText.of_strings(t) for t in texts]
        self._values = _columns(self._texts, values, "values")
        width = self._values[0].shape[1] if self._values else 0
        given = range(width) if latents is None else latents
        latents = check_latents(given, 1 << 31, least=0, once=False)
        if len(latents) != width:
            raise SaelabError(f"{len(latents)} latents, but values have {width} columns")
        if len(set(latents)) != len(latents):
            raise SaelabError(f"a latent is named twice in {latents}")
        self._percentiles = None if percentiles is None else _columns(self._texts, percentiles, "percentiles")
        if names and len(names) != len(latents):
            raise SaelabError(f"{len(names)} names for {len(latents)} latents")
        super().__init__(latents=latents, names=list(names), n_sequences=len(self._texts), **state)
        if self.latent is None and latents:
            self.latent = latents[0]
        self._refresh()

    # --------------------------------------------------------------------------------------------- pages

    @property
    def _pages(self) -> list[tuple[int, int]]:
        """First and last+1 text of every page."""
        room = max(1, min(_PAGE_TOKENS, _PAGE_VALUES // max(1, len(self.latents))))
        pages, begin, used = [], 0, 0
        for i, text in enumerate(self._texts):
            if i > begin and used + len(text) > room:
                pages.append((begin, i))
                begin, used = i, 0
            used += len(text)
        return [*pages, (begin, len(self._texts))]

    def _page_state(self, page: int) -> dict[str, Any]:
        a, b = self._pages[page]

        def pack(arrays: list[np.ndarray] | None) -> bytes:
            if arrays is None or a == b:
                return b""
            # (latents, tokens)
            return np.ascontiguousarray(np.concatenate(arrays[a:b]).T, dtype="<f4").tobytes()

        return {
            "page": page, "first": a, "sequences": [t.to_dict() for t in self._texts[a:b]],
            "values": pack(self._values), "percentiles": pack(self._percentiles),
        }  # fmt: skip

    def _refresh(self) -> None:
        pages = self._pages
        stacked = np.concatenate(self._values) if self._values else np.zeros((0, len(self.latents)))
        with self.hold_sync():
            self.n_pages = len(pages)
            # of what is finite: an infinite end would make all other values look alike
            self.maxima = np.where(np.isfinite(stacked), stacked, 0).max(axis=0, initial=0.0).tolist()
            self._go(min(self.page, len(pages) - 1))

    def _go(self, page: int) -> None:
        page = check_count("page", page, 0)
        if page >= self.n_pages:
            raise SaelabError(f"page {page} is out of range: there are pages 0…{self.n_pages - 1}")
        with self.hold_sync():
            for name, value in self._page_state(page).items():
                setattr(self, name, value)

    @traitlets.observe("page")
    def _turn(self, change: Any) -> None:
        if self.sequences and self.first != self._pages[min(change.new, self.n_pages - 1)][0]:
            self._go(change.new)

    @traitlets.validate("latent")
    def _known(self, proposal: Any) -> Any:
        if proposal.value is not None and self.latents and proposal.value not in self.latents:
            if self._held is not None:  # made from a model: what a linked widget opens is shown here too
                self._add(check_latent(proposal.value, self._held.sae.config.d_sae))
                return proposal.value
            shown = ", ".join(map(str, self.latents))
            raise SaelabError(
                f"latent {proposal.value} was not computed for this heatmap; available: {shown}"
            )
        return proposal.value

    # ------------------------------------------------------------------------------------------ requests

    def methods(self) -> dict[str, Any]:
        return {"page": self._go, "span": self._span, "add": self.add_latent, "remove": self.remove_latent}

    def _span(self, sequence: int, start: int, stop: int) -> list[dict[str, Any]]:
        if self._source is None:
            raise SaelabError("this heatmap was made from numbers alone, so it knows no other latents")
        return self._source.span(sequence, start, stop)

    def add_latent(self, latent: int) -> None:
        """Show one more latent. Only for a heatmap that was made from a model and an SAE.

        Examples
        --------
        >>> w = sl.heatmap(model, sae, texts[0], [latent])
        >>> w.add_latent(5)
        >>> w.latents == [latent, 5]
        True
        """
        if self._source is None:
            raise SaelabError(
                "this heatmap was made from numbers alone; make it with saelab.heatmap to add latents"
            )
        latent = check_latent(latent, self._source.sae.config.d_sae)
        self._add(latent)
        self.latent = latent

    def remove_latent(self, latent: int) -> None:
        """Take a latent away; one stays. Only for a heatmap that was made from a model and an SAE.

        Examples
        --------
        >>> w = sl.heatmap(model, sae, texts[0], [latent, 5])
        >>> w.remove_latent(latent)
        >>> w.latents
        [5]
        """
        if latent not in self.latents:
            raise SaelabError(f"latent {latent} is not shown; shown are {', '.join(map(str, self.latents))}")
        if self._source is None or len(self.latents) == 1:
            raise SaelabError(
                f"latent {latent} stays: it is the only one, or the heatmap was made from numbers alone"
            )
        left = [i for i in self.latents if i != latent]
        self._choose(left, left[0] if self.latent == latent else self.latent)

    def _add(self, latent: int) -> None:
        if latent not in self.latents:
            self._choose([*self.latents, latent], self.latent)

    def _choose(self, latents: list[int], latent: int | None) -> None:
        """Show these latents, and draw one of them."""
        self._values = self._source.columns(latents)
        self._percentiles = self._source.percentiles(latents)
        with self.hold_sync():
            self.latents, self.names = latents, self._source.names(latents)
            self.tokens, self.latent = self._source.tokens(latents), latent
            self._refresh()

    # -------------------------------------------------------------------------------------------- export

    def to_frame(self) -> pd.DataFrame:
        """One row per text, token and latent: sequence, position, id, token, latent, activation.

        Examples
        --------
        >>> sl.heatmap(model, sae, texts[0], [latent]).to_frame()["latent"].unique().tolist() == [latent]
        True
        """
        import pandas as pd

        from saelab.frames import TextFrame

        parts = [
            TextFrame(
                {
                    "sequence": i, "position": np.arange(len(text)), "id": text.ids, "token": text.labels,
                    "latent": latent, "activation": values[:, column],
                }
            )
            for i, (text, values) in enumerate(zip(self._texts, self._values, strict=True))
            for column, latent in enumerate(self.latents)
        ]  # fmt: skip
        return noted(pd.concat(parts, ignore_index=True), getattr(self._held, "mismatch", ()))

    def replies(self, **options: Any) -> dict[str, dict[str, Any]]:
        from saelab.widgets.page import request_key

        super().replies(**options)
        return {
            request_key("page", page=p): self._page_state(p) for p in range(self.n_pages) if self.n_pages > 1
        }

    def title(self) -> str:
        return f"Latent {', '.join(map(str, self.latents[:6]))}: activations"

    def fallback(self) -> str:
        latent = self.latent
        column = self.latents.index(latent) if latent is not None and latent in self.latents else 0
        high = self.vmax if self.vmax is not None else (self.maxima[column] if self.maxima else 0.0)
        lines, shown = [], 0
        for text, values in zip(self._texts, self._values, strict=True):
            if shown > 1500:
                lines.append(f"… {len(self._texts) - len(lines)} more texts")
                break
            body = spans(
                text.to_dict(), values[:, column] if values.shape[1] else [], high, low=self.vmin or 0.0
            )
            lines.append(f'<bdi style="display:block;{MONO}" dir="auto">{body}</bdi>')
            shown += len(text)
        name = f" {escape(self.names[column])}" if self.names else ""
        silent = ["It fires on no token of these texts."] if self.maxima and not self.maxima[column] else []
        return frame(f"<b>Latent {self.latent}</b>{name}, 0 to {high:.4g}", *silent, *lines)


@door
def heatmap(
    model: HookedModel | None,
    sae: SAE,
    texts: models.Texts,
    latents: int | Sequence[int] | None = None,
    *,
    index: LatentIndex | None = None,
    **state: Unpack[HeatmapState],
) -> ActivationHeatmap:
    """Heatmap of latents on your own text.

    Parameters
    ----------
    texts
        One text or several: strings, token ids, which are shown as they are, or what :func:`saelab.generate` wrote.
        One longer than the model's context is shown in parts, each read from its own beginning. Without a model (None)
        an :class:`saelab.ActivationStore`, whose documents are shown by their labels.
    latents
        Which latents; None takes the five that fire strongest.
    index
        A LatentIndex; with it the tooltip says how strong an activation is among all of the latent's firings.
    state
        Traits to begin with, such as ``vmax=5.0`` or ``show_whitespace=True``.

    Raises
    ------
    SaelabError
        For an empty text, or a latent out of range, before the model runs.

    Examples
    --------
    >>> sl.heatmap(model, sae, "The red fox", [latent], index=index).latents == [latent]
    True
    """
    if isinstance(several := state.get("latent"), (list, tuple)):
        raise SaelabError(f"latent is the one that is shown first; for several say latents={several}")
    source = CodesSource(model, sae, index)
    wanted = [] if latents is None else check_latents(latents, sae.config.d_sae)
    source.run(texts)
    if source.notice:
        warnings.warn(source.notice, stacklevel=2)
    wanted = wanted or source.strongest()
    shown = ActivationHeatmap(
        source.texts, source.columns(wanted), wanted, percentiles=source.percentiles(wanted),
        names=source.names(wanted), **state,
    )  # fmt: skip
    shown._held, shown.can_ask, shown.tokens = source, True, source.tokens(wanted)
    shown._say(source.mismatch)
    return shown


def _columns(texts: Sequence[TokenText], values: Sequence[Any], what: str) -> list[np.ndarray]:
    values = list(values)
    if len(values) != len(texts):
        raise SaelabError(f"{len(texts)} texts but {what} for {len(values)}")
    out = []
    for i, (text, one) in enumerate(zip(texts, values, strict=True)):
        array = check_array(what, one)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or len(array) != len(text):
            raise SaelabError(f"text {i} has {len(text)} tokens, but its {what} are of shape {np.shape(one)}")
        out.append(array)
    if len({a.shape[1] for a in out}) > 1:
        raise SaelabError(f"{what} must have the same number of latents for every text")
    return out

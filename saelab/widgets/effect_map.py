"""EffectMap: what taking a latent away changes, position by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import traitlets

from saelab.doors import door
from saelab.errors import SaelabError
from saelab.experiments import Effects, effects
from saelab.interventions import Direction
from saelab.interventions.targets import check_target, headline, label, title
from saelab.models import HookedModel
from saelab.widgets.base import Number, Widget
from saelab.widgets.tokens import FULL, HEAT, MONO, TokenText, escape, frame

MEASURES = ("loss_diff", "kl", "activation")
COOL = (79, 146, 207)  # the same blue as --sl-cool


@door
class EffectMap(Widget):
    """A text colored by what ablating a latent changes, and the tokens it votes up and down at each place.

    Colors and numbers at a token are about the prediction of the token *after* it. A loss difference above 0
    means that the loss rises without the latent: it helps there.

    Parameters
    ----------
    effects
        What :func:`saelab.effects` gave.
    state
        Traits to begin with: ``measure``, ``selected_token``, ``direct``, ``vmax``, ``show_whitespace``.

    Attributes
    ----------
    measure
        What colors the text: ``loss_diff``, ``kl`` or ``activation``.
    direct
        Show the direct effect through the last layer's residual stream, where that was computed.
    selected_token
        The position whose votes are shown.

    Examples
    --------
    >>> found = sl.effects(model, sae, "The red fox", latent)
    >>> sl.effect_map(found, measure="kl").latent == latent
    True
    >>> sl.effect_map(model, sae, "The red fox", latent).can_ask  # for other latents
    True
    """

    measure = traitlets.Enum(MEASURES, "loss_diff").tag(sync=True)
    direct = traitlets.Bool(False).tag(sync=True)
    selected_token = traitlets.Int(None, allow_none=True).tag(sync=True)
    vmax = Number(None, allow_none=True, help="end of the colors; None: the largest").tag(sync=True)
    show_whitespace = traitlets.Bool(False).tag(sync=True)
    # set by Python alone
    latent = traitlets.Union([traitlets.Int(), traitlets.Unicode()], default_value=0).tag(sync=True)
    d_sae = traitlets.Int(0).tag(sync=True)
    text = traitlets.Dict().tag(sync=True)
    following = traitlets.List(traitlets.Unicode(allow_none=True)).tag(sync=True)
    edited = traitlets.List(traitlets.Int()).tag(sync=True)
    numbers = traitlets.Dict(help="column -> (n,) little-endian float32").tag(sync=True)
    votes = traitlets.Dict(help="up, down, direct_up, direct_down -> per position its tokens").tag(sync=True)
    weights = traitlets.Dict(help="the same -> (n, top) float32, NaN where there is no token").tag(sync=True)
    has_direct = traitlets.Bool(False).tag(sync=True)
    can_ask = traitlets.Bool(False).tag(sync=True)

    def __init__(self, effects: Effects, **state: Any):
        if not isinstance(effects, Effects):
            raise SaelabError(
                "give what saelab.effects gave, or a model, an SAE, a text and a latent; "
                f"got {type(effects).__name__}"
            )
        super().__init__(**{"can_ask": False, **state})
        self._show(effects)

    @classmethod
    def of(
        cls,
        model: HookedModel,
        sae: Any,
        text: Any,
        latent: int | Direction,
        *,
        direct: bool = False,
        **options: Any,
    ) -> EffectMap:
        """Compute the effects; the view can then ask for those of other latents. See :func:`saelab.effects`.

        Examples
        --------
        >>> sl.widgets.EffectMap.of(model, sae, "The red fox", latent).latent == latent
        True
        """
        names = ("top", "special")
        how = {"direct": direct, **{k: options.pop(k) for k in names if k in options}}
        made = cls(effects(model, sae, text, latent, **how), **options)
        made._held = (model, sae, text, how)
        with made.hold_sync():
            made.can_ask, made.d_sae = True, sae.config.d_sae
        return made

    def _show(self, effects: Effects) -> None:
        self._effects = effects
        with self.hold_sync():
            for name, value in packed(effects).items():
                setattr(self, name, value)
            self.direct = self.direct and self.has_direct
            if self.selected_token is None or not 0 <= self.selected_token < len(effects):
                self.selected_token = most(effects.frame)

    @traitlets.validate("selected_token")
    def _inside(self, proposal: Any) -> Any:
        n = len(self.following)
        if proposal.value is not None and n and not 0 <= proposal.value < n:
            raise SaelabError(f"token {proposal.value} is out of range: the text has tokens 0…{n - 1}")
        return proposal.value

    def methods(self) -> dict[str, Any]:
        return {"ablate": self.ablate}

    def ablate(self, latent: int) -> None:
        """Show another latent's effects. Only for a map that was made from a model and an SAE.

        Examples
        --------
        >>> shown = sl.effect_map(model, sae, "The red fox", latent)
        >>> shown.ablate(3)
        >>> shown.latent
        3
        """
        if self._source is None:
            raise SaelabError(
                "this map was made from effects that were computed before; make it with saelab.effect_map to "
                "ask for other latents"
            )
        model, sae, text, how = self._source
        found = effects(model, sae, text, check_target(latent, sae), **how)
        with self.hold_sync():
            self.vmax = None
            self._show(found)

    # -------------------------------------------------------------------------------------------- export

    def to_frame(self) -> pd.DataFrame:
        """One row per position; the columns are named in :func:`saelab.effects`.

        Examples
        --------
        >>> list(sl.effect_map(model, sae, "The red fox", latent).to_frame())[:3]
        ['position', 'token', 'id']
        """
        return self._effects.frame

    def title(self) -> str:
        return f"Effects of ablating {title(self._effects.latent)}"

    def fallback(self) -> str:
        return frame(*plain_lines(self._effects))


def packed(effects: Effects) -> dict[str, Any]:
    """What widgets/effects.js takes.

    Returns
    -------
    dict
        latent; text; following: the token after each; edited: positions where the latent was set to 0; numbers:
        column -> (n,) little-endian float32; votes: up, down, direct_up, direct_down -> the tokens at each position;
        weights: the same -> (n, top) float32, NaN where there is no token; has_direct.
    """
    data = effects.frame
    kinds = ["up", "down", *(["direct_up", "direct_down"] if "direct_up" in data else [])]
    names = [c for c in ("activation", "loss", "loss_diff", "kl", "direct_kl") if c in data]
    labels = tuple(str(t) for t in data["token"])
    text = TokenText(tuple(effects.ids), tuple(effects.groups), labels, effects.special)
    return {
        "latent": label(effects.latent),
        "text": text.to_dict(),
        "following": [t if isinstance(t, str) else None for t in data["next"]],
        "edited": [int(i) for i in np.flatnonzero(data["edited"])],
        "numbers": {c: _pack(data[c].to_numpy(dtype=np.float32)) for c in names},
        "votes": {k: [[str(token) for token, _ in row] for row in data[k]] for k in kinds},
        "weights": {k: _pack(_square([[v for _, v in row] for row in data[k]])) for k in kinds},
        "has_direct": "direct_up" in data,
    }


def most(data: Any) -> int | None:
    """Where the latent matters most: the largest loss difference, else the largest KL."""
    change = np.nan_to_num(np.abs(data["loss_diff"].to_numpy(dtype=float)))
    if not change.any():
        change = data["kl"].to_numpy(dtype=float)
    return int(change.argmax()) if len(change) and change.any() else None


def plain_lines(effects: Effects) -> list[str]:
    """HTML of a caption, the text with its loss differences, and the places where they are largest."""
    data = effects.frame
    change = np.nan_to_num(data["loss_diff"].to_numpy(dtype=float))
    high = float(np.abs(change).max(initial=0.0)) or 1.0
    pieces = []
    for start, stop, piece in effects.groups:
        value = float(max(change[start:stop], key=abs, default=0.0))
        color = HEAT if value > 0 else COOL
        share = min(1.0, abs(value) / high)
        style = f"background-color:rgba({color[0]},{color[1]},{color[2]},{FULL * share:.2f})"
        pieces.append(
            f'<span style="{style}" title="{value:+.4g}">{escape(piece)}</span>'
            if share > 0.02
            else f"<span>{escape(piece)}</span>"
        )
    undefined = bool(data["loss_diff"].isna().all())  # one token, or an encoder
    lines = [f'<bdi style="display:block;{MONO}" dir="auto">{"".join(pieces)}</bdi>']
    for i in np.argsort(-np.abs(change), kind="stable")[:5]:
        if change[i]:
            row = data.iloc[int(i)]
            lines.append(
                f"{int(i)} {escape(repr(row['token']))} before {escape(repr(row['next']))}: loss difference "
                f"{change[i]:+.3g}, KL {row['kl']:.3g}; up {_said(row['up'])}; down {_said(row['down'])}"
            )
    if undefined:
        return [
            f"<b>{escape(headline(effects.latent))} ablated</b>: the loss is undefined, no next token is predicted",
            *lines,
        ]
    about = (
        f"<b>{escape(headline(effects.latent))} ablated</b>: loss without it minus loss with it (nats), about the token "
        f"after each; orange where it helps, blue where it harms, at most {high:.3g}"
    )
    return [about, *lines]


def _said(votes: list[tuple[str, float]]) -> str:
    return ", ".join(f"{escape(repr(token))} {value:+.2g}" for token, value in votes[:3]) or "none"


def _square(rows: list[list[float]]) -> np.ndarray:
    """(n, longest) with NaN behind shorter rows."""
    out = np.full((len(rows), max(map(len, rows), default=0)), np.nan, dtype=np.float32)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out


def _pack(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()

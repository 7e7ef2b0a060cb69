"""EffectMap: what taking a latent away changes, position by position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from saelab.errors import SaelabError, check_latent
from saelab.widgets.base import Widget
from saelab.widgets.effects import most, packed, plain_lines
from saelab.widgets.tokens import frame

if TYPE_CHECKING:
    import pandas as pd

    from saelab.interventions.effects import Effects

MEASURES = ("loss_diff", "kl", "activation")


class EffectMap(Widget):
    """A text coloured by what ablating a latent changes, and the tokens it votes up and down at each place.

    Colours and numbers at a token are about the prediction of the token *after* it. A loss difference above 0
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
        What colours the text: ``loss_diff``, ``kl`` or ``activation``.
    direct
        Show the direct effect through the last layer's residual stream, where that was computed.
    selected_token
        The position whose votes are shown.

    Examples
    --------
    >>> sl.effects(model, sae, "GET /index.html HTTP/1.1", 123)  # doctest: +SKIP
    >>> sl.effect_map(model, sae, "GET /index.html HTTP/1.1", 123)  # asks for other latents, too  # doctest: +SKIP
    """

    measure = traitlets.Enum(MEASURES, "loss_diff").tag(sync=True)
    direct = traitlets.Bool(False).tag(sync=True)
    selected_token = traitlets.Int(None, allow_none=True).tag(sync=True)
    vmax = traitlets.Float(None, allow_none=True, help="end of the colours; None: the largest").tag(sync=True)
    show_whitespace = traitlets.Bool(False).tag(sync=True)
    # set by Python alone
    latent = traitlets.Int(0).tag(sync=True)
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
        super().__init__(**{"can_ask": False, **state})
        self._effects = effects
        self._show(effects)

    @classmethod
    def of(
        cls, model: Any, sae: Any, text: str, latent: int, *, direct: bool = False, **options: Any
    ) -> EffectMap:
        """Compute the effects; the view can then ask for those of other latents. See :func:`saelab.effects`."""
        from saelab.interventions.effects import effects

        names = ("top", "special")
        how = {"direct": direct, **{k: options.pop(k) for k in names if k in options}}
        made = cls(effects(model, sae, text, latent, **how), **options)
        made._held = (model, sae, text, how)
        with made.hold_sync():
            made.can_ask, made.d_sae = True, sae.config.d_sae
        return made

    def _show(self, effects: Effects) -> None:
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
        """Show another latent's effects. Only for a map that was made from a model and an SAE."""
        if self._source is None:
            raise SaelabError(
                "this map was made from effects that were computed before; make it with saelab.effect_map to "
                "ask for other latents"
            )
        from saelab.interventions.effects import effects

        model, sae, text, how = self._source
        self._effects = effects(model, sae, text, check_latent(latent, sae.config.d_sae), **how)
        with self.hold_sync():
            self.vmax = None
            self._show(self._effects)

    # -------------------------------------------------------------------------------------------- export

    def to_frame(self) -> pd.DataFrame:
        """One row per position; the columns are named in :func:`saelab.effects`."""
        return self._effects.frame

    def export_state(self, **options: Any) -> dict[str, Any]:
        return {**self.state(), "can_ask": False, "error": {}}

    def title(self) -> str:
        return f"Effects of ablating latent {self.latent}"

    def fallback(self) -> str:
        return frame(*plain_lines(self._effects))

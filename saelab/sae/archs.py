"""The registry of architectures: to add one, write its file and one row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from saelab.sae import batchtopk, gated, jumprelu, relu, topk
from saelab.sae.objective import Options, Parts, Task

if TYPE_CHECKING:
    from saelab.sae.config import SAEConfig
    from saelab.sae.sae import SAE

Parameters = dict[str, tuple[tuple[int, ...], float]]


@dataclass(frozen=True)
class Arch:
    """One architecture: all that the rest of the library asks about it.

    Attributes
    ----------
    activate
        ``(sae, pre (rows, d_sae)) -> latents (rows, d_sae)``, differentiable; each row for itself.
    loss
        What training minimizes on a batch; see :mod:`saelab.sae.objective`.
    options
        The dataclass of its settings in training.
    select
        ``(sae, pre) -> (values (rows, m), indices (rows, m))`` where the architecture bounds the number of
        active latents per row; None: the support is read off ``activate``.
    settings
        Fields of :class:`SAEConfig` that only some architectures have, and this one has: k, floor, prefixes.
    parameters
        ``config -> {name: (shape, initial value)}`` beyond the common ones.
    tracked
        Those of them that training sets by itself and no gradient moves.
    scaled
        Those of them that are multiplied by c, as the encoder and ``b_enc`` are, to multiply one latent by c;
        None: one latent cannot be scaled alone, as the largest k depend on all.
    trained_as
        The architecture with a threshold for each latent that it is once trained; empty: none but itself.
    unit_decoder
        ``options -> bool``: whether training keeps decoder rows at length 1.
    normalize
        What training does with the input when nothing is asked for. Penalties and thresholds have a scale, so
        architectures with them want inputs of a known one.
    advice
        The options to change when L0 stays where it should not.
    """

    activate: Callable[[SAE, Tensor], Tensor]
    loss: Callable[[Task], Parts]
    options: type[Options]
    select: Callable[[SAE, Tensor], tuple[Tensor, Tensor]] | None = None
    settings: tuple[str, ...] = ()
    parameters: Callable[[SAEConfig], Parameters] = lambda config: {}
    tracked: tuple[str, ...] = ()
    scaled: tuple[str, ...] | None = None
    trained_as: str = ""
    unit_decoder: Callable[[Any], bool] = lambda options: True
    normalize: str = "none"
    advice: str = ""

    @property
    def needs_k(self) -> bool:
        """Whether ``k`` is part of the configuration."""
        return "k" in self.settings


ARCHS: dict[str, Arch] = {
    "topk": Arch(topk.activate, topk.loss, topk.Options, topk.select, settings=("k", "floor")),
    "batchtopk": Arch(
        batchtopk.activate, batchtopk.loss, batchtopk.Options, settings=("k",),
        parameters=batchtopk.parameters, tracked=("threshold",), trained_as="jumprelu",
    ),
    "matryoshka": Arch(
        batchtopk.activate, batchtopk.matryoshka_loss, batchtopk.Options, settings=("k", "prefixes"),
        parameters=batchtopk.parameters, tracked=("threshold",), trained_as="jumprelu",
    ),
    "relu": Arch(
        relu.activate, relu.loss, relu.Options, scaled=(), unit_decoder=lambda o: o.form == "unit",
        normalize="scale", advice="l1 or target_l0",
    ),
    "gated": Arch(
        gated.activate, gated.loss, gated.Options, parameters=gated.parameters, scaled=("b_mag",),
        normalize="scale", advice="l1 or target_l0",
    ),
    "jumprelu": Arch(
        jumprelu.activate, jumprelu.loss, jumprelu.Options, parameters=jumprelu.parameters,
        scaled=("threshold",), normalize="scale", advice="strength or bandwidth",
    ),
}  # fmt: skip

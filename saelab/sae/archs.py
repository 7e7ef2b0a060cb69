"""The registry of architectures. Each is a small file that says what its latents are and how they are
learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from saelab.sae import batchtopk, gated, jumprelu, matryoshka, relu, topk
from saelab.sae.objective import Parts, Task

if TYPE_CHECKING:
    from saelab.sae.sae import SAE


@dataclass(frozen=True)
class Arch:
    """One architecture.

    Attributes
    ----------
    activate
        ``(sae, pre (rows, d_sae)) -> latents (rows, d_sae)``, differentiable; each row for itself.
    loss
        What training minimises on a batch; see :mod:`saelab.sae.objective`.
    options
        The dataclass of its settings in training.
    select
        ``(sae, pre) -> (values (rows, m), indices (rows, m))`` where the architecture bounds the number of
        active latents per row; None: the support is read off ``activate``.
    needs_k
        Whether ``k`` is part of the configuration.
    parameters
        ``config -> {name: (shape, initial value)}`` beyond the common ones.
    tracked
        Those of them that training sets by itself and no gradient moves.
    unit_decoder
        ``options -> bool``: whether training keeps decoder rows at length 1.
    normalize
        What training does with the input when nothing is asked for. Penalties and thresholds have a scale, so
        architectures with them want inputs of a known one.
    """

    activate: Callable[[SAE, Tensor], Tensor]
    loss: Callable[[Task], Parts]
    options: type
    select: Callable[[SAE, Tensor], tuple[Tensor, Tensor]] | None = None
    needs_k: bool = False
    parameters: Callable[[Any], dict[str, tuple[tuple[int, ...], float]]] = field(default=lambda config: {})
    tracked: tuple[str, ...] = ()
    unit_decoder: Callable[[Any], bool] = field(default=lambda options: True)
    normalize: str = "none"


def _threshold(config: Any) -> dict[str, tuple[tuple[int, ...], float]]:
    return {"threshold": ((), -1.0)}  # below 0: not set yet, every positive pre-activation is active


ARCHS: dict[str, Arch] = {
    "topk": Arch(topk.activate, topk.loss, topk.Options, topk.select, needs_k=True),
    "batchtopk": Arch(
        batchtopk.activate, batchtopk.loss, batchtopk.Options, needs_k=True,
        parameters=_threshold, tracked=("threshold",),
    ),
    "matryoshka": Arch(
        matryoshka.activate, matryoshka.loss, matryoshka.Options, needs_k=True,
        parameters=_threshold, tracked=("threshold",),
    ),
    "relu": Arch(
        relu.activate, relu.loss, relu.Options, unit_decoder=lambda o: o.form == "unit", normalize="scale"
    ),
    "gated": Arch(gated.activate, gated.loss, gated.Options, parameters=gated.parameters, normalize="scale"),
    "jumprelu": Arch(
        jumprelu.activate, jumprelu.loss, jumprelu.Options, parameters=jumprelu.parameters, normalize="scale"
    ),
}  # fmt: skip

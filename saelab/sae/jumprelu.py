"""JumpReLU: a latent is active, with its full pre-activation, when that exceeds a threshold of its own
(Rajamanoharan et al. 2024b).

The jump has no useful gradient; a rectangle of width ``bandwidth`` around the threshold stands in for it
(straight-through estimator). The threshold itself is the parameter, not its logarithm: Adam moves it by
about the learning rate per step, a logarithm only by that times the threshold, which for small thresholds
is nothing.

Penalties: ``target_l0`` gives ``strength * (L0 / target - 1)²``; ``l0`` gives ``l0 * L0 / d_sae``;
``kernel="tanh"`` replaces L0 by ``Σ tanh(scale · z ‖w‖)``, which also moves the other parameters
(Anthropic, January 2025 update)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from saelab.errors import check_choice, check_number
from saelab.sae import objective
from saelab.sae.objective import Parts, Task, aux_loss, check_positive, ramp

if TYPE_CHECKING:
    from saelab.sae.sae import SAE

KERNELS = ("step", "tanh")


@dataclass(frozen=True)
class Options(objective.Options):
    """How a JumpReLU SAE is trained."""

    sparsity: ClassVar[tuple[str, ...]] = ("l0", "target_l0")
    target_l0: float | None = None
    l0: float | None = None  # coefficient of the penalty, instead of a target
    strength: float = 1.0  # of the target form
    kernel: str = "step"
    scale: float = 4.0  # of the tanh kernel, in units of the root mean square input
    bandwidth: float | None = None  # of the estimator; None: 0.1 root mean square inputs
    threshold: float | None = None  # at the beginning; None: where L0 of the first sample is near the target
    warm: float = 0.05  # share of the run over which the penalty rises from 0

    def __post_init__(self) -> None:
        self.check_sparsity()
        check_choice("kernel", self.kernel, KERNELS)
        check_positive(self, ("strength", "scale", "bandwidth", "threshold"))
        check_number("warm", self.warm, 0.0, 1.0)


def parameters(config: Any) -> dict[str, tuple[tuple[int, ...], float]]:
    """``threshold`` (d_sae,)."""
    return {"threshold": ((config.d_sae,), 0.01)}


def activate(sae: SAE, pre: Tensor) -> Tensor:
    """Latents (rows, d_sae): pre-activations above their threshold."""
    return torch.where(pre <= sae.threshold.clamp_min(0), 0, pre)


def jump(v: Tensor, t: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """``v`` where it exceeds ``t``, else 0; and 1 there, else 0: (nnz,) each, with the straight-through gradients."""
    on, inside = (v > t).to(v.dtype), (v - t).abs() < width / 2
    zero = t - t.detach()  # in value; its gradient is the slope that stands in for the step's
    return v * on - zero * inside / width * t.detach(), on - zero * inside / width


def loss(task: Task) -> Parts:
    """``fvu + penalty + aux_coef * aux``."""
    o: Options = task.options
    unit = float(task.variance / task.y.shape[1]) ** 0.5
    width = o.bandwidth or 0.1 * unit
    threshold = task.p.extra["threshold"]  # (d_sae,)
    # entries below the rectangle have no value and no gradient
    entries, pre = task.above((threshold.detach() - width / 2).clamp_min(0), dead=True)
    v, t = task.encode(entries, pre), threshold[entries.indices]  # (nnz,)
    z, on = jump(v, t, width)  # (nnz,)
    recon = task.decode(z, entries)
    if o.kernel == "tanh":
        on = on * (o.scale / unit * z * task.norms()[entries.indices]).tanh()
    l0 = task.ranks.sum(on.sum(), "numbers") / len(task.x)  # ()
    target = o.target_l0
    penalty = (o.l0 or 0.0) * l0 / task.d_sae if target is None else o.strength * (l0 / target - 1).square()
    penalty = penalty * ramp(task.progress, o.warm)
    aux = aux_loss(task, recon)
    total = task.fvu(recon) + penalty + task.aux_coef * aux
    return Parts(total, recon, entries.indices[z > 0], aux, penalty.detach())

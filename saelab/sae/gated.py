"""Gated: one half of the encoder says whether a latent is active, the other how strongly (Rajamanoharan et
al. 2024a). ``gate = x W_enc + b_enc``; ``magnitude = exp(r_mag) · x W_enc + b_mag``; ``z =
relu(magnitude)`` where gate > 0.

Loss: ``fvu(z) + sparsity_coef * Σ relu(gate) + fvu(relu(gate))``, the last with the decoder held fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saelab.sae import ops, relu
from saelab.sae.objective import Parts, Task

if TYPE_CHECKING:
    from saelab.sae.sae import SAE


@dataclass(frozen=True)
class Options(relu.Penalty):
    """How a gated SAE is trained."""

    resample: int = 4  # how often, in the first half of the run, dead latents are made anew


def parameters(config: Any) -> dict[str, tuple[tuple[int, ...], float]]:
    """``r_mag`` and ``b_mag`` (d_sae,)."""
    return {"r_mag": ((config.d_sae,), 0.0), "b_mag": ((config.d_sae,), 0.0)}


def activate(sae: SAE, pre: Tensor) -> Tensor:
    """Latents (rows, d_sae) from the gate's pre-activations."""
    magnitude = sae.r_mag.exp() * (pre - sae.b_enc) + sae.b_mag  # (rows, d_sae)
    return torch.where(pre <= 0, 0, magnitude.relu())


def loss(task: Task) -> Parts:
    """See the module's docstring."""
    p = task.p
    entries, pre = task.above(0.0)
    i = entries.indices
    gate = task.encode(entries, pre)  # (nnz,)
    # the step at gate = 0 has no gradient: the shared direction learns through the magnitude
    magnitude = p.extra["r_mag"].exp()[i] * (gate - p.b_enc[i]) + p.extra["b_mag"][i]  # (nnz,)
    z = magnitude.relu()
    recon = task.decode(z, entries)
    fixed = task.ranks.sum(ops.decode_at(gate, p.dec.detach(), entries)) + p.b_dec.detach()
    if p.skip is not None:
        fixed = fixed + task.x @ p.skip.detach().T
    penalty = task.sparsity_coef * relu.size(task, gate, entries, weighted=False)
    total = task.fvu(recon) + penalty + task.fvu(fixed)
    return Parts(total, recon, i[z > 0], penalty=penalty.detach())

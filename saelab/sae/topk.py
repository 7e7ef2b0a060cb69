"""TopK: keep the k largest pre-activations of each row, then ReLU (Gao et al. 2024, eq. 1-2; the ReLU is
in their released code)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from saelab.sae.sae import SAE


def select(sae: SAE, pre: Tensor) -> tuple[Tensor, Tensor]:
    """The k largest of each row: values (rows, k), not below 0, and latent ids (rows, k)."""
    values, indices = pre.topk(sae.config.k, dim=-1, sorted=False)  # (rows, k)
    return values.relu(), indices


def activate(sae: SAE, pre: Tensor) -> Tensor:
    """Latents (rows, d_sae), zero outside the k largest."""
    values, indices = select(sae, pre)
    return torch.zeros_like(pre).scatter(-1, indices, values)  # (rows, d_sae)

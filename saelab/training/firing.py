"""How often latents fired lately, and which of them are rare.

A latent is *dead* when it has not fired for ``dead_after`` tokens (:class:`TrainConfig`). It is *rare* when it
is not dead, but fired on fewer than 1 in 100,000 of the last one to two million tokens (of all tokens, in
shorter runs): latents of this density are mostly not interpretable (Bricken et al. 2023, "ultralow density
cluster"). Before 100,000 tokens are counted nothing can be said to be that rare.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

RARE = 1e-5  # share of tokens
WINDOW = 1_000_000  # tokens: ten firings of a latent at the limit


class Firing:
    """Firings of each latent in this window of tokens and in the one before."""

    def __init__(self, d_sae: int, device: Any = None, window: int = WINDOW):
        self.window = window
        self.counts = torch.zeros(2, d_sae, dtype=torch.long, device=device)  # (2, d_sae)
        self.tokens = [0, 0]

    def add(self, active: Tensor, n: int) -> None:
        """Count a batch of ``n`` tokens; ``active`` (nnz,) has a latent's id once for each firing."""
        if self.tokens[0] >= self.window:
            self.counts[1] = self.counts[0]
            self.counts[0] = 0
            self.tokens = [0, self.tokens[0]]
        self.counts[0].index_add_(0, active, torch.ones_like(active))  # a GPU waits in bincount
        self.tokens[0] += n

    def rare(self, dead: Tensor) -> int:
        """Number of rare latents; ``dead`` (d_sae,) bool are not counted."""
        seen = sum(self.tokens)
        if seen * RARE < 1:
            return 0
        return int(((self.counts.sum(0) < seen * RARE) & ~dead).sum())

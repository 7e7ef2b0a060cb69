"""The registry of architectures. Each is a small file that says what its latents are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from saelab.sae import topk

if TYPE_CHECKING:
    from saelab.sae.sae import SAE


@dataclass(frozen=True)
class Arch:
    """One architecture.

    Attributes
    ----------
    activate
        ``(sae, pre (rows, d_sae)) -> latents (rows, d_sae)``, differentiable.
    select
        ``(sae, pre) -> (values (rows, m), indices (rows, m))`` where the architecture bounds the number of
        active latents per row; None: the support is read off ``activate``.
    needs_k
        Whether ``k`` is part of the configuration.
    parameters
        ``config -> {name: (shape, initial value)}`` beyond the common ones.
    """

    activate: Callable[[SAE, Tensor], Tensor]
    select: Callable[[SAE, Tensor], tuple[Tensor, Tensor]] | None = None
    needs_k: bool = False
    parameters: Callable[[Any], dict[str, tuple[tuple[int, ...], float]]] = field(default=lambda config: {})


ARCHS: dict[str, Arch] = {
    "topk": Arch(topk.activate, topk.select, needs_k=True),
}

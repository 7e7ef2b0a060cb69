"""TopK: keep the k largest pre-activations of each row, then ReLU (Gao et al. 2024, eq. 1-2; the ReLU is
in their released code). Multi-TopK (ibid., §4.3) asks the 4k largest to reconstruct as well.

A floor leaves out weak activations. A token that needs few latents fills its k with weak ones that mean
nothing: they carry little of the variance, but make every latent fire on almost any text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from saelab.errors import SaelabError, check_count
from saelab.sae import objective, ops
from saelab.sae.objective import Parts, Task, aux_loss

if TYPE_CHECKING:
    from saelab.sae.sae import SAE


@dataclass(frozen=True)
class Options(objective.Options):
    """How a TopK SAE is trained."""

    multi: float = 0.0  # weight of the reconstruction from 4k latents; 1/8 in Gao et al.
    k_start: int | None = None  # k at the beginning, falling to k in a straight line
    k_until: float = 0.2  # share of the run at which k is reached
    # activations up to this share of sqrt(V / k), the size of one of k equal parts, are none
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.multi < 0:
            raise SaelabError(f"multi is a weight of at least 0, got {self.multi}")
        if not 0 <= self.floor < float("inf"):
            raise SaelabError(f"floor is a share of at least 0, such as 0.5; got {self.floor}")
        if self.k_start is not None:
            check_count("k_start", self.k_start)
        if not 0 < self.k_until <= 1:
            raise SaelabError(f"k_until is a share of the run in (0, 1], got {self.k_until}")

    def k(self, k: int, progress: float, d_sae: int) -> int:
        """The k in use when ``progress`` of the run is done."""
        if self.k_start is None or progress >= self.k_until:
            return k
        return min(d_sae, round(self.k_start + (k - self.k_start) * progress / self.k_until))


def cut(values: Tensor, floor: float) -> Tensor:
    """Values above the floor, zeros in place of the others; with a floor of 0 it is the ReLU. NaN stays NaN."""
    return torch.where(values <= floor, 0.0, values)


def select(sae: SAE, pre: Tensor) -> tuple[Tensor, Tensor]:
    """The k largest of each row: values (rows, k), 0 where not above the floor, and latent ids (rows, k)."""
    indices = ops.top_columns(pre.detach(), min(int(sae.config.k or 0), pre.shape[1]))  # (rows, k)
    return cut(pre.gather(1, indices), sae.config.floor), indices


def activate(sae: SAE, pre: Tensor) -> Tensor:
    """Latents (rows, d_sae), zero outside the k largest."""
    values, indices = select(sae, pre)
    return torch.zeros_like(pre).scatter(-1, indices, values)  # (rows, d_sae)


@torch.no_grad()
def largest(task: Task, k: int) -> tuple[Tensor, Tensor]:
    """k largest pre-activations of each row, in descending order: values (B, k) and latent ids (B, k).

    ``task.fast`` looks for them in bfloat16 and takes k + 8 candidates, whose values are then computed in
    full precision and cut to the k largest; a latent is missed only if bfloat16 ranks it more than 8 places
    too low."""
    d_sae = len(task.p.dec)
    count, found = min(k + 8, d_sae) if task.fast else k, []
    for _, first, pre in task.tiles(dead=True):  # (rows, n)
        columns = ops.top_columns(pre, min(count, pre.shape[1]))
        best = pre.gather(1, columns), columns + first if first else columns
        found.append(ops.best_of(found.pop(), best, count) if first else best)
    values, ids = (torch.cat(parts) for parts in zip(*found, strict=True))  # (B, count)
    if task.fast:
        rows = torch.arange(len(ids), device=ids.device).repeat_interleave(ids.shape[1])
        values = task.exact(rows, ids.reshape(-1)).reshape(ids.shape)  # (B, count)
    values, place = values.topk(k, dim=-1)  # (B, k)
    return values, ids.gather(1, place)


def loss(task: Task) -> Parts:
    """``fvu(k) + multi * fvu(4k) + aux_coef * aux``."""
    options: Options = task.options
    assert task.k is not None
    k = options.k(task.k, task.progress, task.d_sae)
    wide = min(4 * k, task.d_sae) if options.multi else k
    values, indices = largest(task, min(wide, len(task.p.dec)))
    entries, pre, inner = task.among(values, indices, wide, task.floor, k)
    z = cut(task.encode(entries, pre), task.floor)  # (nnz,)
    if inner is None:
        recon = task.decode(z, entries)
        total = task.fvu(recon)
    else:
        whole = task.decode(z, entries)
        entries, pre = entries.at(inner), pre[inner]
        recon = task.decode(z[inner], entries)
        total = task.fvu(recon) + options.multi * task.fvu(whole)
    active = entries.indices[pre > task.floor]
    aux = aux_loss(task, recon)
    return Parts(total + task.aux_coef * aux, recon, active, aux)

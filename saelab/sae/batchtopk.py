"""BatchTopK: in training the k·B largest pre-activations of a batch of B rows are kept, so that a row may
use more or fewer than k (Bussmann, Leask & Nanda 2024). Afterwards a row must not depend on its neighbors:
a latent is active when it exceeds one threshold, the running mean of the smallest value that training kept.

Matryoshka: a BatchTopK SAE whose first m latents must also reconstruct by themselves, for each m of
``config.prefixes`` (Bussmann et al. 2025). General features settle in the small dictionaries instead of being
split up by the large one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saelab.errors import SaelabError
from saelab.sae import ops, topk
from saelab.sae.objective import Parts, Ranks, Task, aux_loss
from saelab.sae.ops import Entries, Places

if TYPE_CHECKING:
    from saelab.sae.sae import SAE


@dataclass(frozen=True)
class Options(topk.Options):
    """How a BatchTopK SAE is trained."""

    threshold_rate: float = 0.02  # how fast the running threshold follows the batch's

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.multi:
            raise SaelabError("multi belongs to topk: a batchtopk SAE has no fixed k per row")
        if not 0 < self.threshold_rate <= 1:
            raise SaelabError(f"threshold_rate is in (0, 1], got {self.threshold_rate}")


def parameters(config: Any) -> dict[str, tuple[tuple[int, ...], float]]:
    """``threshold`` (); below 0 it is not set yet, and every positive pre-activation is active."""
    return {"threshold": ((), -1.0)}


def activate(sae: SAE, pre: Tensor) -> Tensor:
    """Latents (rows, d_sae): what exceeds the threshold, each row for itself."""
    return torch.where(pre <= sae.threshold.clamp_min(0), 0, pre)


@torch.no_grad()
def largest(task: Task, count: int) -> tuple[Entries, Tensor]:
    """The up to ``count`` largest positive pre-activations of the whole batch: places, and values (nnz,).

    A floor that a sample puts safely below the smallest one wanted leaves few candidates to sort; it is
    lowered until there are enough, so the choice is exact."""
    wanted = count + count // 4 if task.fast else count  # bfloat16 may rank some too low
    best, parts, held, apart = task.x_in.new_zeros(()), [], 0, False
    for first, a, pre in task.tiles(len(task.x_in), dead=True):
        apart |= a > 0  # a row's latents are in several tiles
        floor = torch.maximum(_floor(pre, wanted).to(best.dtype), best)
        part = Places.where(pre > floor, pre, first, a)
        if len(part.rows) < wanted and floor > best:
            part = Places.where(pre > best, pre, first, a)
        parts, held = [*parts, part], held + len(part.rows)
        if held > 2 * wanted and len(parts) > 1:  # the values kept so far are a floor for the tiles to come
            parts = [_strongest(Places.joined(parts), wanted)]
            best, held = parts[0].values.min().to(best.dtype), wanted
    found = Places.joined(parts)
    found = found.in_order() if apart else found
    if task.fast:
        found = _strongest(found, wanted)
        found = found._replace(values=task.exact(found.rows, found.indices))
    found = _strongest(found._replace(values=found.values.to(task.x_in.dtype)), count)
    if not task.ranks.alone:
        found = _of_all_ranks(task.ranks, found, count)
    if task.fast:  # else all of them are above the floor
        found = found.at((found.values > 0).nonzero().squeeze(-1))
    return Entries(found.rows, found.indices, (len(task.x_in), len(task.p.dec))), found.values


def _strongest(found: Places, count: int) -> Places:
    """The up to ``count`` largest, in the order they had."""
    return found.at(found.values.topk(min(count, len(found.values)), sorted=False).indices.sort().values)


def _of_all_ranks(ranks: Ranks, found: Places, count: int) -> Places:
    """Those of this rank that are among the ``count`` largest of all. Rows that are equal have equal values: of those at the
    cut, the ranks take as many as are wanted, in their order."""
    kth = ranks.kth_value(found.values.sort(descending=True).values[None], count)  # (1,)
    keep, ties = found.values > kth, (found.values == kth).nonzero().squeeze(-1)
    counts = ranks.gather(ties.new_tensor([[int(keep.sum()), len(ties)]]), "numbers", dim=0)  # (ranks, 2)
    room = count - int(counts[:, 0].sum()) - int(counts[: ranks.rank, 1].sum())
    keep[ties[: max(0, room)]] = True
    return found.at(keep.nonzero().squeeze(-1))


def _floor(pre: Tensor, count: int) -> Tensor:
    flat = pre.reshape(-1)
    step = max(1, len(flat) // (1 << 17)) | 1  # odd, so that it does not always meet the same latents
    sample = flat[::step].float()
    rank = int(1.3 * count / step) + 16
    none = sample.new_zeros(())
    return none if rank >= len(sample) else sample.topk(rank, sorted=False).values.min().clamp_min(0)


def chosen(task: Task) -> tuple[Entries, Tensor, dict[str, Tensor]]:
    """Places, differentiable latents (nnz,), and the new threshold."""
    options: Options = task.options
    assert task.k is not None
    entries, values = largest(task, options.k(task.k, task.progress, task.d_sae) * len(task.x))
    z = task.encode(entries, values).relu()  # (nnz,)
    old = task.p.extra["threshold"].detach()
    smallest = torch.cat([values, values.new_full((1,), torch.inf)]).min().to(old.dtype)
    smallest = task.ranks.total(smallest, op="MIN")
    new = torch.where(old < 0, smallest, old + options.threshold_rate * (smallest - old))
    return entries, z, {"threshold": torch.where(smallest.isfinite(), new, old)}


def loss(task: Task) -> Parts:
    """``fvu + aux_coef * aux``."""
    entries, z, updates = chosen(task)
    recon = task.decode(z, entries)
    aux = aux_loss(task, recon)
    return Parts(task.fvu(recon) + task.aux_coef * aux, recon, entries.indices, aux, updates=updates)


def matryoshka_loss(task: Task) -> Parts:
    """Mean over prefixes of ``fvu``, plus ``aux_coef * aux``."""
    entries, z, updates = chosen(task)
    batch, d_sae = entries.shape
    sizes = torch.tensor(task.prefixes, device=z.device)
    # (nnz,) which prefix a latent first is in
    shell = torch.searchsorted(sizes, entries.indices + task.first, right=True)
    # one decode for all: row s * B + b of it holds what shell s adds to row b
    rows, order = (shell * batch + entries.rows).sort(stable=True)
    spread = Entries(rows, entries.indices[order], (len(sizes) * batch, d_sae))
    shells = task.ranks.sum(ops.decode_at(z[order], task.p.dec, spread))  # (S * B, d_out)
    recons = task.finish(shells.reshape(len(sizes), batch, -1).cumsum(0))  # (S, B, d_out)
    fvu = sum(task.fvu(r) for r in recons) / len(sizes)
    aux = aux_loss(task, recons[-1])
    return Parts(fvu + task.aux_coef * aux, recons[-1], entries.indices, aux, updates=updates)

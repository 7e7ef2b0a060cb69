"""Several processes train one SAE: what they say to each other, and what each holds.

Each rank holds some of the latents and sees every row. So nothing of size (rows, latents) or (latents, d) is ever sent,
the gradient of a latent's weights is made where they are, and what is common to all latents (biases of input and output,
a skip path) has the same gradient everywhere.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig
from saelab.sae.objective import ALONE, Ranks, shares

_RANKS = [ALONE]  # the last is that of runs that begin now


class Several(Ranks):
    """Rank ``rank`` of ``size``, which talk through ``torch.distributed``'s default group."""

    alone = False

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size
        self.sent: dict[str, int] = {}  # type: ignore[misc]

    def _count(self, what: str, received: int) -> None:
        self.sent[what] = self.sent.get(what, 0) + received

    @torch.no_grad()
    def total(self, x: Tensor, what: str = "numbers", op: str = "SUM") -> Tensor:
        out = x.detach().clone().contiguous()
        dist.all_reduce(out, getattr(dist.ReduceOp, op))
        self._count(what, 2 * out.numel() * out.element_size() * (self.size - 1) // self.size)
        return out

    def any(self, flag: bool) -> bool:
        return bool(self.total(torch.tensor(float(flag)), op="MAX"))

    def sum(self, x: Tensor, what: str = "reconstruction") -> Tensor:
        return _Sum.apply(x, self, what)

    @torch.no_grad()
    def gather(self, x: Tensor, what: str, dim: int = 1) -> Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, x.contiguous())
        self._count(what, x.numel() * x.element_size() * (self.size - 1))
        return torch.cat(parts, dim)

    @torch.no_grad()
    def kth_value(self, best: Tensor, k: int, shown: int = 0, what: str = "candidates") -> Tensor:
        """Each rank shows twice its fair share. One whose last shown value is still above the answer may hide more; the rows
        where that is so, and only they, are asked again, with twice as many."""
        if best.shape[1] < k:
            best = F.pad(best, (0, k - best.shape[1]), value=-torch.inf)
        shown = min(k, shown or -(-2 * k // self.size))
        top = best[:, :shown]
        kth = self.gather(top, what).topk(k, dim=1).values[:, -1]  # (rows,)
        if shown < k:
            hides = self.total((top[:, -1] > kth).float(), what, "MAX") > 0
            if bool(hides.any()):
                kth[hides] = self.kth_value(best[hides], k, 2 * shown, "asked again")
        return kth


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, ranks, what):
        return ranks.total(x, what)

    @staticmethod
    def backward(ctx, *grads):
        return grads[0], None, None


def ranks() -> Ranks:
    """Of runs that begin now."""
    return _RANKS[-1]


@contextlib.contextmanager
def together(timeout: float = 600.0) -> Iterator[Ranks]:
    """Runs inside are those of the processes that ``torchrun`` began; without it there is one. A rank that hears nothing of
    another one for ``timeout`` seconds gives up."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    own = Several(dist.get_rank(), dist.get_world_size())
    _RANKS.append(own)
    try:
        yield own
    except SaelabError as error:
        raise SaelabError(f"rank {own.rank} of {own.size}: {error}") from error
    except RuntimeError as error:  # torch has no class of its own for what gloo says
        if not any(word in str(error) for word in ("Connection", "Timed out", "gloo", "NCCL")):
            raise
        raise SaelabError(
            f"rank {own.rank} of {own.size} cannot reach another one, which ended or hangs (torchrun names the first "
            f"that failed): {str(error).splitlines()[0]}. Start again with resume to go on from the last checkpoint"
        ) from None
    finally:
        _RANKS.pop()
    dist.destroy_process_group()


def config_of_part(whole: SAEConfig, ranks: Ranks) -> SAEConfig:
    """Of an SAE with the latents of this rank alone; k and prefixes of the whole are cut to what there is."""
    if ranks.alone:
        return whole
    mine = ranks.share(whole.d_sae)
    n = mine.stop - mine.start
    return replace(whole, d_sae=n, k=whole.k and min(whole.k, n), prefixes=whole.prefixes and (n,))


@torch.no_grad()
def part_of(sae: SAE, ranks: Ranks) -> SAE:
    """A copy of the latents of this rank; alone, the SAE itself."""
    if ranks.alone:
        return sae
    mine, part = ranks.share(sae.config.d_sae), SAE(config_of_part(sae.config, ranks))
    for name, own in part.named_parameters():
        axis = latent_axis(sae, name)
        whole = getattr(sae, name)
        own.copy_(whole if axis is None else whole.narrow(axis, mine.start, mine.stop - mine.start))
    return part.to(sae.W_dec.device)


def latent_axis(sae: SAE, name: str) -> int | None:
    """Along which axis of a parameter latents lie; None: it belongs to all of them."""
    shape = getattr(sae, name).shape
    if name in ("b_dec", "own_b_in", "W_skip") or not shape:
        return None
    return 1 if name == "W_enc" else 0


@torch.no_grad()
def whole_of(part: SAE, config: SAEConfig, ranks: Ranks) -> SAE:
    """The SAE whose latents the ranks hold, in the memory of the first; the others get back their own part."""
    if ranks.alone:
        return part
    whole = SAE(config) if ranks.rank == 0 else part
    begins = shares(config.d_sae, ranks.size)
    for name, own in part.named_parameters():
        axis = latent_axis(part, name)
        if axis is None or ranks.rank:
            if axis is not None:
                dist.send(own.detach().cpu().contiguous(), 0)
            elif ranks.rank == 0:
                getattr(whole, name).copy_(own)
            continue
        for i, (a, b) in enumerate(itertools.pairwise(begins)):
            target = getattr(whole, name).narrow(axis, a, b - a)
            found = own if i == 0 else torch.empty(target.shape, dtype=own.dtype)
            if i:
                dist.recv(found, i)
            target.copy_(found)
    return whole


# ------------------------------------------------------------------------------------------ slices of a checkpoint


def sliced_axis(name: str, tensor: Tensor) -> int | None:
    """Along which axis of a tensor of :meth:`Trainer.state_dict` latents lie; None: it is the same on all ranks."""
    kind, _, rest = name.partition(".")
    if kind in ("silent", "fired"):
        return tensor.ndim - 1
    shared = not tensor.ndim or rest.split(".")[0] in ("b_dec", "b_in", "skip")
    return None if shared or kind not in ("param", "average", "adam") else 0


def joined(slices: list[tuple[int, dict[str, Tensor]]], low: int, high: int) -> dict[str, Tensor]:
    """Latents ``low … high`` of tensors in slices, each with its first latent."""
    out: dict[str, list[Tensor]] = {}
    for first, tensors in slices:
        for name, tensor in tensors.items():
            axis = sliced_axis(name, tensor)
            if axis is None:
                out[name] = [tensor]
                continue
            a, b = max(low - first, 0), min(high - first, tensor.shape[axis])
            if a < b:
                out.setdefault(name, []).append(tensor.narrow(axis, a, b - a))
    return {n: torch.cat(t, sliced_axis(n, t[0]) or 0) if t[0].ndim else t[0] for n, t in out.items()}

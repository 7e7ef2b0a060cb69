"""Several processes train one SAE: what they say to each other, and what each holds.

Each rank holds some of the latents and sees every row. So nothing of size (rows, latents) or (latents, d) is ever sent,
the gradient of a latent's weights is made where they are, and what is common to all latents (biases of input and output,
a skip path) has the same gradient everywhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from saelab import files
from saelab.errors import SaelabError
from saelab.formats import load_sae
from saelab.sae import SAE, SAEConfig, saving
from saelab.sae.objective import ALONE, Ranks

_PIECE = 1 << 24  # numbers that are written together
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


def whole_of(part: SAE, config: SAEConfig, ranks: Ranks, folder: Path | None) -> SAE:
    """The SAE whose latents the ranks hold. Each writes its own into one file in ``folder``, which the first opens without
    reading it: the whole is in no process's memory. The others get back their own part, as one process does."""
    if ranks.alone or folder is None:
        return part
    path, errors = folder / saving.WEIGHTS, list[Exception]()
    with torch.device("meta"):
        whole = {n: p.to(part.W_dec.dtype) for n, p in SAE(config).named_parameters()}
    inside = {"format": saving.FORMAT, "config": json.dumps(config.to_dict())}
    head, places, size = saving.tensors_head(whole, inside)

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        files.write_json(folder / saving.CONFIG, saving.head_of(config))
        path.write_bytes(head)
        os.truncate(path, size)

    def fill() -> None:
        with path.open("r+b") as f:
            for name, own in part.named_parameters():
                _write_part(f, places[name], own.detach(), latent_axis(part, name), config.d_sae, ranks)

    for act in (begin, fill):
        try:
            if ranks.rank == 0 or act is fill:
                act()
        except (OSError, SaelabError) as error:
            errors.append(error)
        if ranks.any(bool(errors)):
            raise SaelabError(f"the SAE could not be written to {path}: {(*errors, 'see another rank')[0]}")
    return part if ranks.rank else load_sae(folder, lazy=True)


def _write_part(f: BinaryIO, place: int, own: Tensor, axis: int | None, d_sae: int, ranks: Ranks) -> None:
    """Write the latents of this rank where they are in the tensor of all, which begins at ``place``."""
    low = ranks.share(d_sae).start
    if axis is None:
        lines = [(place, own)] if ranks.rank == 0 else []
    elif axis == 0:
        lines = [(place + low * own[0].numel() * own.element_size(), own)]
    else:  # some of each row
        lines = [(place + (i * d_sae + low) * own.element_size(), own[i]) for i in range(len(own))]
    for at, line in lines:
        f.seek(at)
        for piece in line.reshape(-1).split(_PIECE):
            f.write(piece.contiguous().cpu().view(torch.uint8).numpy().data)


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

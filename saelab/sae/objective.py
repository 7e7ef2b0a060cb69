"""What the losses of all architectures have in common, and what training asks of their settings.

A loss sees the parameters as leaves of autograd that share memory with the module's, each latent in one
contiguous row, and it works on chosen entries of the latents only (:mod:`saelab.sae.ops`): it is written as
plain differentiable code, while the gradients of the two large products are written by hand and sparse.

Every loss is ``mean over rows of ‖y - ŷ‖² / V`` plus what the architecture adds, with V the total variance of
the target, a constant of the run: so rates and coefficients do not depend on the scale of the activations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from saelab.errors import SaelabError
from saelab.sae import ops
from saelab.sae.ops import Entries

if TYPE_CHECKING:
    from saelab.sae.sae import SAE

BLOCK = 2**23  # pre-activations that are made and searched at a time on a CPU
ROWS = 512  # at least so many rows at a time: the weights are read once for all of them


class Options:
    """An architecture's settings in training; each has a dataclass of its own, with what applies to it."""

    sparsity: ClassVar[tuple[str, ...]] = ()  # the settings of which one says how sparse the SAE is to be
    target_l0: float | None = None  # wanted number of active latents, where it is not k
    resample: int | None = None  # how often, in the first half of the run, dead latents are made anew
    threshold: float | None = None  # at the beginning
    floor: float = 0.0  # see saelab.sae.topk

    def check_sparsity(self) -> None:
        """Of ``sparsity`` exactly one must be given, and be positive."""
        given = {n: getattr(self, n) for n in self.sparsity if getattr(self, n) is not None}
        if len(given) != 1:
            raise SaelabError(f"give either {' or '.join(self.sparsity)}, got {given}")
        check_positive(self, self.sparsity)

    def sparsity_coef(self, tuned: float, progress: float) -> float:
        """The penalty's coefficient when ``progress`` of the run is done; ``tuned`` is that of :meth:`tune`."""
        return 0.0

    def tune(self, coef: float, l0: float, n_steps: int) -> float:
        """``coef`` moved towards what gives the wanted L0, after a step that gave ``l0``."""
        return coef


def check_positive(options: Any, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise SaelabError(f"{name} must be positive, got {value}")


def ramp(progress: float, warm: float) -> float:
    """From 0 to 1 over the share ``warm`` of the run."""
    return min(1.0, progress / warm) if warm else 1.0


@dataclass(frozen=True)
class Leaves:
    """An SAE's parameters for training; ``b_in`` is ``b_dec``, a vector of its own, or None."""

    enc: Tensor  # (d_sae, d_in); the same tensor as dec when tied
    b_enc: Tensor  # (d_sae,)
    dec: Tensor  # (d_sae, d_out)
    b_dec: Tensor  # (d_out,)
    b_in: Tensor | None  # (d_in,)
    skip: Tensor | None  # (d_out, d_in)
    extra: dict[str, Tensor]  # the architecture's own

    @classmethod
    def of(cls, sae: SAE) -> Leaves:
        def leaf(p: Tensor) -> Tensor:
            return p.detach().requires_grad_()

        dec, b_dec = leaf(sae.W_dec), leaf(sae.b_dec)
        bias = sae.config.input_bias
        return cls(
            enc=dec if sae.config.tied else leaf(sae.W_enc.T),
            b_enc=leaf(sae.b_enc),
            dec=dec,
            b_dec=b_dec,
            b_in=b_dec if bias == "decoder" else leaf(sae.own_b_in) if bias == "own" else None,
            skip=leaf(sae.W_skip) if sae.config.skip else None,
            extra={name: leaf(getattr(sae, name)) for name in sae.arch.parameters(sae.config)},
        )

    def named(self) -> dict[str, Tensor]:
        """Each distinct tensor under one name."""
        own_enc = {} if self.enc is self.dec else {"enc": self.enc}
        out = own_enc | {"b_enc": self.b_enc, "dec": self.dec, "b_dec": self.b_dec}
        if self.b_in is not None and self.b_in is not self.b_dec:
            out["b_in"] = self.b_in
        if self.skip is not None:
            out["skip"] = self.skip
        return out | self.extra


@dataclass
class Task:
    """One batch, and where in the run it comes."""

    p: Leaves
    x: Tensor  # (B, d_in) normalized input
    y: Tensor  # (B, d_out) normalized target
    k: int | None
    variance: float
    options: Any
    progress: float = 0.0  # share of the run that is done
    sparsity_coef: float = 0.0
    dead: Tensor | None = None  # (d_sae,) bool; None where none can be
    aux_k: int = 0
    aux_coef: float = 0.0
    fast: bool = False  # look for candidates in bfloat16
    floor: float = 0.0  # activations at or below it are none
    prefixes: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    # memory for so many rows of pre-activations, kept from step to step: to ask for it anew costs a sixth of the step
    room: Callable[[int], Tensor] | None = None

    @functools.cached_property
    def x_in(self) -> Tensor:
        """(B, d_in) what the encoder matrix multiplies."""
        return (self.x if self.p.b_in is None else self.x - self.p.b_in).detach()

    @torch.no_grad()
    def blocks(self, rows: int | None = None) -> Iterator[Tensor]:
        """Pre-activations of some rows after the others, (rows, d_sae) each, not differentiable, in memory that the next
        ones overwrite; bfloat16 when ``fast``. So memory does not grow with the batch, and what is searched is still
        near the processor."""
        if rows is None:
            cpu = self.x_in.device.type == "cpu"
            rows = max(ROWS, (BLOCK if cpu else 32 * BLOCK) // len(self.p.enc))
        if self.fast:
            x, enc, bias = self.x_in.bfloat16(), self.p.enc.bfloat16(), self.p.b_enc.bfloat16()
        else:
            x, enc, bias = self.x_in, self.p.enc, self.p.b_enc
        space = self.room(min(rows, len(x))) if self.room else None
        for part in x.split(rows):
            out = None if space is None else space[: len(part)]
            yield torch.addmm(bias, part, enc.T, out=out)

    @functools.cached_property
    def pre(self) -> Tensor:
        """(B, d_sae) pre-activations, not differentiable; bfloat16 when ``fast``."""
        return next(self.blocks(len(self.x_in)))

    @functools.cached_property
    def dead_ids(self) -> Tensor:
        """(n,) ids of the latents that the auxiliary loss is to revive."""
        if self.dead is None or self.aux_coef == 0:
            return self.p.b_enc.new_zeros(0, dtype=torch.long)
        return self.dead.nonzero().squeeze(-1)

    def strongest_dead(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """The up to ``aux_k`` largest values in ``pre`` (rows, d_sae) of dead latents, and their ids: (rows, k)."""
        k = min(self.aux_k, len(self.dead_ids))
        values, place = pre[:, self.dead_ids].to(self.x_in.dtype).topk(k, dim=-1, sorted=False)  # (rows, k)
        return values, self.dead_ids[place]

    def encode(self, entries: Entries, values: Tensor | None = None) -> Tensor:
        """(nnz,) pre-activations at ``entries``, differentiable; ``values`` if they are known already."""
        if values is None:
            rows, indices = entries.rows, entries.indices
            values = self.exact(rows, indices) if self.fast else self.pre[rows, indices]
        return ops.encode_at(self.x_in, self.p.b_in, self.p.enc, self.p.b_enc, entries, values.detach())

    @torch.no_grad()
    def exact(self, rows: Tensor, indices: Tensor) -> Tensor:
        """(nnz,) pre-activations in full precision at places found in bfloat16."""
        return ops.row_dots(self.p.enc, indices, rows, self.x_in) + self.p.b_enc[indices]

    def decode(self, values: Tensor, entries: Entries) -> Tensor:
        """(nnz,) -> (B, d_out) reconstruction."""
        return self.finish(ops.decode_at(values, self.p.dec, entries))

    def finish(self, out: Tensor) -> Tensor:
        """Add what does not come from latents."""
        out = out + self.p.b_dec
        return out if self.p.skip is None else out + self.x @ self.p.skip.T

    def fvu(self, recon: Tensor) -> Tensor:
        """() fraction of variance unexplained: mean over rows of ‖y - ŷ‖² / V."""
        return (self.y - recon).square().sum() / (len(self.y) * self.variance)

    def norms(self) -> Tensor:
        """(d_sae,) length of decoder rows; for a crosscoder the sum over its hook points."""
        widths = list(self.widths or (self.p.dec.shape[1],))
        parts = [w.norm(dim=1) for w in self.p.dec.split(widths, dim=1)]
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)


@dataclass
class Parts:
    """What a loss found; only ``loss`` carries gradients."""

    loss: Tensor  # ()
    recon: Tensor  # (B, d_out)
    active: Tensor  # (nnz,) latents above 0, one for each row they are active on
    aux: Tensor | float = 0.0
    penalty: Tensor | float = 0.0  # the sparsity term, its coefficient included
    updates: dict[str, Tensor] = field(default_factory=dict)  # new values of tracked parameters


def aux_loss(task: Task, recon: Tensor, strongest: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """() AuxK: the dead latents reconstruct what is left (Gao et al. 2024, appendix A.2).

    ``mean ‖e - ê‖² / Var(e)`` with ``e = y - ŷ`` held fixed, and ``ê`` made from the ``aux_k`` largest dead
    latents, without a bias: ``b_dec`` is already in ``ŷ``. 0 when no latent is dead. ``strongest`` is what
    :meth:`Task.strongest_dead` gave, where that is known."""
    if len(task.dead_ids) == 0:
        return task.y.new_zeros(())
    residual = (task.y - recon).detach()  # (B, d_out)
    batch = len(residual)
    spread = (residual - residual.mean(0)).square().sum() / batch  # ()
    # a batch of one, or of equal rows, has no spread but for rounding: to divide by that would drown the step
    real = spread > 1e-9 * residual.square().sum() / batch  # (), never asked for: a GPU would be waited for
    values, ids = task.strongest_dead(task.pre) if strongest is None else strongest  # (B, k)
    entries = Entries.per_row(ids, len(task.p.dec))
    z = task.encode(entries, values.reshape(-1)).relu()  # (B * k,)
    miss = ops.decode_at(z, task.p.dec, entries) - residual  # (B, d_out)
    return miss.square().sum() / batch / torch.where(real, spread, 1) * real

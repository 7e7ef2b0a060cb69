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
from saelab.sae.ops import Entries, Places

if TYPE_CHECKING:
    from saelab.sae.sae import SAE

BLOCK = 2**23  # pre-activations that are made and searched at a time on a CPU
TILE = 2**26  # and never more than this at a time, whatever the number of rows and latents
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


class Ranks:
    """The processes that train one SAE: one, that has all latents, and nothing is asked of anybody.

    With several (:class:`saelab.training.sharded.Several`) each holds some of the latents, one after the other, and sees
    every row. A loss that adds up over latents says :meth:`sum`; one that chooses among them asks :meth:`kth_value`. All
    ask the same in the same order."""

    rank, size, alone = 0, 1, True
    sent: ClassVar[dict[str, int]] = {}  # bytes received, by what they were for

    def share(self, d_sae: int) -> slice:
        """Which latents this rank holds."""
        begins = shares(d_sae, self.size)
        return slice(begins[self.rank], begins[self.rank + 1])

    def sum(self, x: Tensor, what: str = "reconstruction") -> Tensor:
        """The sum over the ranks. Its gradient is that of each part: all ranks go on with the same sum."""
        return x

    def total(self, x: Tensor, what: str = "numbers", op: str = "SUM") -> Tensor:
        """The sum over the ranks (or ``MIN``, ``MAX``), not differentiable."""
        return x

    def any(self, flag: bool) -> bool:
        """Whether it is so on one rank at least."""
        return flag

    def gather(self, x: Tensor, what: str, dim: int = 1) -> Tensor:
        """(rows, n) -> (rows, n · ranks), those of all ranks side by side, or one after the other with ``dim=0``."""
        return x

    def kth_value(self, best: Tensor, k: int) -> Tensor:
        """(rows,) the k-th largest value of each row over all ranks, exactly; -inf where there are fewer. ``best`` (rows, m)
        are this rank's largest in descending order: k of them, or all there are."""
        return best[:, k - 1]


def shares(d_sae: int, size: int) -> list[int]:
    """(size + 1,) where the latents of each rank begin, as even as can be."""
    return [d_sae * i // size for i in range(size + 1)]


ALONE = Ranks()


def tile_shape(rows: int | None, batch: int, d_sae: int, device: str) -> tuple[int, int]:
    """Rows and latents of a tile of pre-activations on a kind of device; see :meth:`Task.tiles`."""
    if rows is None:
        rows = max(ROWS, (BLOCK if device == "cpu" else 32 * BLOCK) // d_sae)
    rows = max(1, min(rows, batch, max(ROWS, TILE // d_sae)))
    return rows, min(d_sae, max(1, TILE // rows))


@dataclass(frozen=True)
class Leaves:
    """An SAE's parameters for training; ``b_in`` is ``b_dec``, a vector of its own, or None. ``apart``: a leaf of its own
    for ``b_dec`` as the input's bias, whose gradient comes from the latents of one rank."""

    enc: Tensor  # (d_sae, d_in); the same tensor as dec when tied
    b_enc: Tensor  # (d_sae,)
    dec: Tensor  # (d_sae, d_out)
    b_dec: Tensor  # (d_out,)
    b_in: Tensor | None  # (d_in,)
    skip: Tensor | None  # (d_out, d_in)
    extra: dict[str, Tensor]  # the architecture's own

    @classmethod
    def of(cls, sae: SAE, apart: bool = False) -> Leaves:
        def leaf(p: Tensor) -> Tensor:
            return p.detach().requires_grad_()

        dec, b_dec = leaf(sae.W_dec), leaf(sae.b_dec)
        bias = sae.config.input_bias
        return cls(
            enc=dec if sae.config.tied else leaf(sae.W_enc.T),
            b_enc=leaf(sae.b_enc),
            dec=dec,
            b_dec=b_dec,
            b_in=(leaf(sae.b_dec) if apart else b_dec)
            if bias == "decoder"
            else leaf(sae.own_b_in)
            if bias == "own"
            else None,
            skip=leaf(sae.W_skip) if sae.config.skip else None,
            extra={name: leaf(getattr(sae, name)) for name in sae.arch.parameters(sae.config)},
        )

    def named(self) -> dict[str, Tensor]:
        """Each distinct tensor under one name."""
        own_enc = {} if self.enc is self.dec else {"enc": self.enc}
        out = own_enc | {"b_enc": self.b_enc, "dec": self.dec, "b_dec": self.b_dec}
        if self.b_in is not None and self.b_in.data_ptr() != self.b_dec.data_ptr():
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
    ranks: Ranks = ALONE  # each holds some of the latents: those of ``p`` are the ones from ``first`` on,
    first: int = 0
    total: int = 0  # of so many; 0: of those of ``p``
    # memory for so many pre-activations, kept from step to step: to ask for it anew costs a sixth of the step
    room: Callable[[int], Tensor] | None = None
    _strongest: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # of each stretch of rows

    @property
    def d_sae(self) -> int:
        """Number of latents of all ranks."""
        return self.total or len(self.p.enc)

    @functools.cached_property
    def x_in(self) -> Tensor:
        """(B, d_in) what the encoder matrix multiplies."""
        return (self.x if self.p.b_in is None else self.x - self.p.b_in).detach()

    @torch.no_grad()
    def tiles(self, rows: int | None = None, dead: bool = False) -> Iterator[tuple[int, int, Tensor]]:
        """Pre-activations of some latents on some rows, (rows, latents) each, one such tile after the other, with its first
        row and its first latent. Not differentiable, in memory that the next one overwrites; bfloat16 when ``fast``. So
        memory grows neither with the batch nor with the number of latents, and what is searched is still near the
        processor. ``rows``: in a tile, as far as :data:`TILE` lets them; None: those of a :data:`BLOCK`. ``dead``: also
        look for what :meth:`strongest_dead` gives."""
        d_sae = len(self.p.enc)
        rows, wide = tile_shape(rows, len(self.x_in), d_sae, self.x_in.device.type)
        x, enc, bias = self.x_in, self.p.enc, self.p.b_enc
        if self.fast:
            x, enc, bias = x.bfloat16(), enc.bfloat16(), bias.bfloat16()
        space = self.room(rows * wide) if self.room else None
        self._strongest = []
        for first in range(0, len(x), rows):
            part = x[first : first + rows]
            for a in range(0, d_sae, wide):
                some = slice(a, a + wide)
                shape = len(part), len(bias[some])
                out = None if space is None else space[: shape[0] * shape[1]].view(shape)
                pre = torch.addmm(bias[some], part, enc[some].T, out=out)
                if dead and len(self.dead_ids):
                    self._note_dead(a, pre)
                yield first, a, pre

    def above(self, bound: Tensor | float, dead: bool = False) -> tuple[Entries, Tensor]:
        """The places whose pre-activation exceeds ``bound``, one number or one for each latent, and those pre-activations
        (nnz,). ``dead`` as in :meth:`tiles`."""
        shape = len(self.x_in), len(self.p.enc)
        found, apart = [], False
        for first, a, pre in self.tiles(shape[0], dead):
            apart |= a > 0
            limit = bound[a : a + pre.shape[1]] if isinstance(bound, Tensor) else bound
            found.append(Places.where(pre > limit, pre, first, a))
        places = Places.joined(found)
        places = places.in_order() if apart else places
        entries = Entries(places.rows, places.indices, shape)
        return entries, self.exact(places.rows, places.indices) if self.fast else places.values

    @functools.cached_property
    def dead_ids(self) -> Tensor:
        """(n,) ids of the latents of this rank that the auxiliary loss is to revive."""
        if self.dead is None or self.aux_coef == 0:
            return self.p.b_enc.new_zeros(0, dtype=torch.long)
        return self.dead.nonzero().squeeze(-1)

    @functools.cached_property
    def n_dead(self) -> int:
        """How many those are on all ranks."""
        n = len(self.dead_ids)
        if self.ranks.alone or self.dead is None or self.aux_coef == 0:
            return n
        return int(self.ranks.total(self.dead.new_tensor(n, dtype=torch.long)))

    def _note_dead(self, first: int, pre: Tensor) -> None:
        k, ids = min(self.aux_k, len(self.dead_ids)), self.dead_ids
        if pre.shape[1] < len(self.p.enc):
            a, b = torch.searchsorted(ids, ids.new_tensor([first, first + pre.shape[1]])).tolist()
            ids = ids[a:b]
        more = first > 0  # of rows that have some already
        for some in ids.split(max(k, BLOCK // len(pre))):  # where most are dead: no second tile
            values = pre[:, some - first].to(self.x_in.dtype)  # (rows, n)
            values, place = values.topk(min(k, len(some)), dim=-1, sorted=False)  # (rows, k)
            found = values, some[place]
            self._strongest.append(ops.best_of(self._strongest.pop(), found, k) if more else found)
            more = True

    def strongest_dead(self) -> tuple[Tensor, Tensor]:
        """The up to ``aux_k`` largest pre-activations of dead latents of this rank, and their ids, (B, k) each: of the last
        :meth:`tiles`, which were to look for them."""
        if not self._strongest:
            none = self.x_in.new_zeros(len(self.x_in), 0)
            return none, none.long()
        values, ids = zip(*self._strongest, strict=True)
        return torch.cat(values), torch.cat(ids)

    def among(
        self, values: Tensor, ids: Tensor, k: int, floor: float = 0.0, inner: int | None = None
    ) -> tuple[Entries, Tensor, Tensor | None]:
        """Of the largest of each row on this rank, (B, m) in descending order, those among the k largest of all ranks:
        places, and pre-activations there (nnz,); and with ``inner`` below k, which of these are among that many."""
        d_sae, places = len(self.p.dec), None
        if self.ranks.alone:
            if inner not in (None, k):
                places = torch.arange(values.numel(), device=ids.device).view(-1, k)[:, :inner].reshape(-1)
            return Entries.per_row(ids, d_sae), values.reshape(-1), places
        kth = self.ranks.kth_value(values, k)
        keep = (values >= kth[:, None]) & (values > floor)  # what is not above the floor adds nothing
        rows, place = keep.nonzero(as_tuple=True)
        found = values[rows, place]
        if inner not in (None, k):
            places = (found >= self.ranks.kth_value(values, inner)[rows]).nonzero().squeeze(-1)
        return Entries(rows, ids[rows, place], (len(values), d_sae)), found, places

    def encode(self, entries: Entries, values: Tensor) -> Tensor:
        """(nnz,) the pre-activations ``values`` at ``entries``, differentiable."""
        return ops.encode_at(self.x_in, self.p.b_in, self.p.enc, self.p.b_enc, entries, values.detach())

    @torch.no_grad()
    def exact(self, rows: Tensor, indices: Tensor) -> Tensor:
        """(nnz,) pre-activations in full precision at places found in bfloat16."""
        return ops.row_dots(self.p.enc, indices, rows, self.x_in) + self.p.b_enc[indices]

    def decode(self, values: Tensor, entries: Entries) -> Tensor:
        """(nnz,) -> (B, d_out) reconstruction."""
        return self.finish(self.ranks.sum(ops.decode_at(values, self.p.dec, entries)))

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


def aux_loss(task: Task, recon: Tensor) -> Tensor:
    """() AuxK: the dead latents reconstruct what is left (Gao et al. 2024, appendix A.2).

    ``mean ‖e - ê‖² / Var(e)`` with ``e = y - ŷ`` held fixed, and ``ê`` made from the ``aux_k`` largest dead
    latents, without a bias: ``b_dec`` is already in ``ŷ``. 0 when no latent is dead. The tiles of
    the batch were made with ``dead=True``."""
    if task.n_dead == 0:
        return task.y.new_zeros(())
    residual = (task.y - recon).detach()  # (B, d_out)
    batch = len(residual)
    spread = (residual - residual.mean(0)).square().sum() / batch  # ()
    # a batch of one, or of equal rows, has no spread but for rounding: to divide by that would drown the step
    real = spread > 1e-9 * residual.square().sum() / batch  # (), never asked for: a GPU would be waited for
    values, ids = task.strongest_dead()  # (B, k)
    if not task.ranks.alone:
        values, place = values.sort(dim=1, descending=True)
        ids = ids.gather(1, place)
    entries, values, _ = task.among(values, ids, min(task.aux_k, task.n_dead))
    z = task.encode(entries, values).relu()  # (nnz,)
    miss = task.ranks.sum(ops.decode_at(z, task.p.dec, entries)) - residual  # (B, d_out)
    return miss.square().sum() / batch / torch.where(real, spread, 1) * real

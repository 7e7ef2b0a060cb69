"""Edits at work: what is added to the activations of a pass.

A generation loop comes here once per token, so nothing is computed that does not matter: edits that depend on
nothing in the pass are one addition, latents that are read are computed alone, and where no latent would move
nothing is done.
"""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
from torch import Tensor

from saelab.errors import SaelabError
from saelab.interventions.edits import Edit, Intervention, directions
from saelab.interventions.passes import Pass, Watch
from saelab.interventions.sites import Clock, Site, count
from saelab.sae import SAE
from saelab.sae.columns import Columns
from saelab.sae.config import PER_ROW


class Steered(Site):
    """One SAE's edits at work."""

    def __init__(self, model: Any, sae: SAE, intervention: Intervention, clock: Clock):
        super().__init__(model, sae)
        self.edits, self.clock = intervention.edits, clock
        moved = [e for e in self.edits if e.mode != "project"]
        # a control writes elsewhere than its latent, so it has a column of its own
        self.keys = list(dict.fromkeys((int(e.latent or 0), e.control) for e in moved))
        self.rows = directions(sae, self.keys) if self.keys else None  # (m, d_out)
        self.moved = [(e, self.keys.index((int(e.latent or 0), e.control))) for e in moved]
        self.projected = [e for e in self.edits if e.mode == "project"]
        keys = [(int(e.latent or 0), e.control) for e in self.projected]
        self.onto = directions(sae, keys) if keys else None  # (p, d_out)
        if self.projected and self.crosscoder:
            raise SaelabError(
                "project is not defined for a crosscoder: it has a decoder row at every hook point"
            )
        read = {int(e.latent or 0) for e in moved if e.reads} | {
            e.when for e in self.edits if e.when is not None
        }
        self.find = {latent: column for column, latent in enumerate(sorted(read))}  # latent -> column
        self.columns = Columns(sae, sorted(read)) if read else None
        self.lines = self._lines()
        self.idle = all(self._idle(e) for e, _ in self.moved)  # where every latent that is read is 0
        self.still: Tensor | None = None
        self.needs_input = bool(read) or sae.config.normalize in PER_ROW
        self.fixed = None if self.needs_input or self.projected else self._fixed()

    def _fixed(self) -> list[tuple[Edit, Tensor]] | None:
        """(edit, (d_out) what it adds), where nothing in the pass matters but the position; else None."""
        assert self.rows is not None
        unit = self._unit(torch.zeros(1, self.sae.config.d_in, device=self.rows.device))
        merged: dict[Any, tuple[Edit, Tensor]] = {}
        for e, column in self.moved:
            row = e.amount * self.rows[column] * (1.0 if unit is None else unit[0].float())  # (d_out)
            same = (e.positions, e.schedule)
            merged[same] = (e, row if same not in merged else merged[same][1] + row)
        return list(merged.values())

    def _lines(self) -> tuple[Tensor, Tensor] | None:
        """(m,) slopes and (m,) starts: each latent's move where it is a straight line of its activation, and nothing else
        in the pass matters but the position; else None."""
        only = all(e.when is None and e.schedule is None for e in self.edits)
        alone = len(self.moved) == len(self.keys) and len({e.positions for e in self.edits}) == 1
        if not self.moved or not only or not alone or [latent for latent, _ in self.keys] != list(self.find):
            return None
        slopes, starts = torch.tensor([_line(e) for e, _ in self.moved], dtype=torch.float64).unbind(1)
        return slopes, starts

    def _unit(self, rows: Tensor) -> Tensor | None:
        """(n, 1 or d_out): what activation times decoder row is multiplied by on the way out; None is 1."""
        if self.sae.config.normalize == "none":
            return None
        return (self.sae.normalize(rows.to(self.sae.W_dec.dtype))[1] or (None, None))[1]

    def plan(self, p: Pass, watch: Watch) -> int:
        """Find where this pass is edited; returns at how many positions."""
        where: dict[Any, Tensor] = {}
        for e in self.edits:
            if e.positions not in where:
                where[e.positions] = self.clock.on(e)
        self.where, self.done = where, None
        self.union = functools.reduce(torch.logical_or, where.values())  # (B, T)
        self.count = count(self.union)
        self.begin(p, watch, self.needs_input and self.count > 0)
        return self.count

    def change(self, hook: str, x: Tensor) -> Tensor | None:
        """(B, T, d) what is added at ``hook``, or something that broadcasts to it; None where nothing is."""
        part = self.slices[hook]
        self.check_width(hook, x, part.stop - part.start)
        if self.count == 0:
            return None
        if self.fixed is not None:
            return self._add_fixed(x, part)
        if self.done is None or self.projected:
            self.done = self._delta(x)
        if self.done is False:
            return None
        assert isinstance(self.done, Tensor)
        delta = _cut(self.done, part).to(x.device)  # (n, d)
        if self.count == self.union.numel():
            return delta.reshape(x.shape)
        out = x.new_zeros(x.shape, dtype=delta.dtype)
        out[self.union.to(x.device)] = delta
        return out

    def _add_fixed(self, x: Tensor, part: slice) -> Tensor | None:
        assert self.fixed is not None
        total: Tensor | None = None
        for i, (e, row) in enumerate(self.fixed):
            if self.clock.is_over(e):
                continue
            if row.device != x.device:
                self.fixed[i] = (e, row := row.to(x.device))
            added = _cut(row, part)  # (d)
            on = self.where[e.positions].to(x.device)  # (B, T)
            if e.schedule is not None:
                share = self.clock.share(e).to(x.device)  # (B, T)
                if not share.any():
                    continue
                added = (on * share)[..., None] * added
            elif self.count != self.union.numel() or len(self.where) > 1:
                added = on[..., None] * added  # (B, T, d)
            total = added if total is None else total + added
        return total

    def _delta(self, x: Tensor) -> Tensor | bool:
        """(n, d_out) in float32 at least, one row per edited position; False where nothing moves."""
        device, dtype = self.sae.W_dec.device, torch.promote_types(x.dtype, torch.float32)
        every = self.count == self.union.numel()
        on = None if every else self.union.to(x.device)
        rows = self.input(on) if self.needs_input else None  # (n, d_in)
        unit = None
        if rows is not None:
            rows, stats = self.sae.normalize(rows.to(self.sae.W_dec.dtype))
            unit = None if stats is None else stats[1].to(dtype)  # (n, 1 or d_out)
        elif self.sae.config.normalize != "none":
            unit = self._unit(torch.zeros(1, self.sae.config.d_in, device=device))
        old = None if self.columns is None or rows is None else self.columns(rows)  # (n, read latents)
        old = None if old is None else old.to(dtype)
        delta: Tensor | bool = False
        if old is None and unit is None and self.lines is not None and not self.idle:
            delta = self._rest(device, dtype).expand(self.count, -1)  # (n, d_out)
        elif self.rows is not None:
            moves = self._moves(old, device, dtype)  # (n, m)
            if moves is not None:
                delta = moves @ self.rows.to(device, dtype)  # (n, d_out)
                delta = delta if unit is None else delta * unit
        if self.onto is not None:
            here = x.flatten(0, 1) if on is None else x[on]
            projected = self._projection(here.to(device, dtype), old, unit)
            delta = projected if delta is False else delta + projected
        return delta

    def _rest(self, device: Any, dtype: torch.dtype) -> Tensor:
        """(1, d_out) what the lines add where every latent that is read is 0: the same in every step."""
        if self.still is None or self.still.dtype != dtype or self.still.device != device:
            assert self.lines is not None
            assert self.rows is not None
            self.still = self.lines[1].to(device, dtype)[None] @ self.rows.to(device, dtype)
        return self.still

    def _activation(self, old: Tensor | None, latent: int, like: Tensor) -> Tensor:
        """(n,) of a latent that is read."""
        return like.new_zeros(self.count) if old is None else old[:, self.find[latent]]

    def _share(self, e: Edit, old: Tensor | None, like: Tensor) -> Tensor | None:
        """(n,) the part of an edit that is applied on each row, 0 where it is not; None: all of it."""
        part: Tensor | None = None
        if len(self.where) > 1:
            part = self.where[e.positions][self.union].to(like)
        if e.schedule is not None:
            scheduled = self.clock.share(e)[self.union].to(like)
            part = scheduled if part is None else part * scheduled
        if e.when is not None:
            fires = (self._activation(old, e.when, like) > e.above).to(like)
            part = fires if part is None else part * fires
        return part

    def _moves(self, old: Tensor | None, device: Any, dtype: torch.dtype) -> Tensor | None:
        """(n, m) by how much each latent goes up; None where none does."""
        if old is None and self.idle:
            return None
        if old is not None and self.lines is not None:
            slopes, starts = self.lines = self.lines[0].to(old), self.lines[1].to(old)
            return torch.addcmul(starts, old, slopes)
        like = torch.empty(0, device=device, dtype=dtype)
        moves: list[Tensor | None] = [None] * len(self.keys)
        for e, column in self.moved:
            latent, move = self.keys[column][0], moves[column]
            a = self._activation(old, latent, like) if latent in self.find else like.new_zeros(self.count)
            share = self._share(e, old, like)
            step = _step(e, a if move is None else a + move)  # (n,)
            step = step if share is None else share * step
            moves[column] = step if move is None else move + step
        return torch.stack(cast(list[Tensor], moves), 1)

    def _idle(self, e: Edit) -> bool:
        """Whether an edit does nothing where every latent that is read is 0."""
        if e.when is not None and e.above >= 0:
            return True
        # a latent may be moved by one edit and then scaled by the next
        alone = sum(other.latent == e.latent for other, _ in self.moved) == 1
        return alone and e.reads and _line(e)[1] == 0

    def _projection(self, x: Tensor, old: Tensor | None, unit: Tensor | None) -> Tensor:
        """(n, d_out). Rows that the same edits apply to are solved together."""
        assert self.onto is not None
        every = [self._share(e, old, x) for e in self.projected]
        shares = torch.stack([x.new_ones(len(x)) if s is None else s for s in every], 1)  # (n, p)
        unit = x.new_ones(len(x), 1) if unit is None else unit.to(x).expand(len(x), -1)
        delta = torch.zeros_like(x)
        patterns, which = torch.unique(shares != 0, dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            if not pattern.any():
                continue
            here = which == i
            basis = self.onto.to(x)[pattern]  # (q, d_out)
            found = x[here] @ torch.linalg.pinv(basis)  # (rows, q) least squares, in units before ``unit``
            wanted = x.new_tensor([e.amount for e in self.projected])[pattern] * unit[here]  # (rows, q)
            delta[here] = ((wanted - found) * shares[here][:, pattern]) @ basis
        return delta


def _line(e: Edit) -> tuple[float, float]:
    """(slope, start) of what an edit adds, as a function of the activation."""
    return {
        "add": (0.0, e.amount),
        "scale": (e.amount - 1, 0.0),
        "clamp": (-1.0, e.amount),
        "ablate": (-1.0, 0.0),
    }[e.mode]


def _step(e: Edit, a: Tensor) -> Tensor:
    """(n,) from the activation ``a`` to what the edit makes of it."""
    slope, start = _line(e)
    return start + slope * a if e.reads else torch.full_like(a, start)


def _cut(x: Tensor, part: slice) -> Tensor:
    """``x[..., part]``; ``x`` itself where that is all of it."""
    return x if part.stop - part.start == x.shape[-1] else x[..., part]

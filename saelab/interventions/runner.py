"""Edits at work: what is added to the activations of a pass.

A generation loop comes here once per token, so nothing is computed that does not matter: edits that depend on
nothing in the pass are one addition, and where no latent would move nothing is done.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saelab.errors import SaelabError
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Edit, Intervention
from saelab.interventions.passes import Pass, Watch
from saelab.interventions.sites import EditSchedule, SAEAtHook
from saelab.interventions.targets import Target, rows_of
from saelab.models import HookedModel
from saelab.sae import SAE
from saelab.sae.config import PER_ROW


class EditRunner(SAEAtHook):
    """One SAE's edits at work."""

    def __init__(self, model: HookedModel, sae: SAE, intervention: Intervention, schedule: EditSchedule):
        super().__init__(model, sae)
        self.edits, self.schedule = intervention.edits, schedule
        schedule.needs_prompt |= any(e.needs_prompt for e in self.edits)
        moved = [e for e in self.edits if e.how.change is not None]
        self.projected = [e for e in self.edits if e.how.change is None]
        if self.projected and self.crosscoder:
            raise SaelabError(
                "project is not defined for a crosscoder: it has a decoder row at every hook point"
            )
        # a control writes elsewhere than its latent, so it has a column of its own
        self.keys = list(dict.fromkeys(e.key for e in moved))
        self.moved = [(e, self.keys.index(e.key)) for e in moved]
        self.rows = self._written(self.keys)  # (m, d_out)
        self.onto = self._written([e.key for e in self.projected])  # (p, d_out)
        # of each latent or direction whose activation matters, the place among those that are read, latents first
        read = {e.key[0] for e in moved if e.how.reads} | {e.when for e in self.edits if e.when is not None}
        latents = sorted(t for t in read if isinstance(t, int))
        self.along = [t for t in read if isinstance(t, Direction)]
        self.place = {target: i for i, target in enumerate([*latents, *self.along])}
        self.latents = latents
        with torch.no_grad():
            weight = sae.W_enc.T[latents]  # (r, d_in)
            self.encoder = weight, sae.b_enc[latents] - weight @ sae.b_in
        # a pre-activation alone may be rounded otherwise than in the whole product
        slack = 2**13 * torch.finfo(weight.dtype).eps * max(1.0, float(weight.norm()))
        self.least = sae.config.floor - slack
        own = all(
            isinstance(target, Direction) for target, _ in [*self.keys, *(e.key for e in self.projected)]
        )
        self.needs_input = bool(latents) or (sae.config.normalize in PER_ROW and not own)
        self.idle = all(self._idle(e) for e, _ in self.moved)  # where every latent that is read is 0
        self.fixed = None if self.needs_input or self.along or self.projected else self._fixed()

    def _written(self, keys: list[tuple[Target, int | None]]) -> Tensor | None:
        """(len(keys), d_out) what one unit of activation adds to the output; a row's own scale aside."""
        return rows_of(self.sae, keys) if keys else None

    @staticmethod
    def _units(keys: Sequence[tuple[Target, int | None]], unit: Tensor) -> Tensor:
        """(n, len(keys)) each row's own scale ``unit`` (n, 1), which a direction does not have."""
        own = torch.tensor([isinstance(target, Direction) for target, _ in keys], device=unit.device)
        return torch.where(own, torch.ones_like(unit), unit)

    def _fixed(self) -> list[tuple[Edit, Tensor]]:
        """(edit, (d_out) what it adds), for edits to which nothing in the pass matters but the position."""
        assert self.rows is not None
        merged: dict[Any, tuple[Edit, Tensor]] = {}
        for e, column in self.moved:
            row, same = e.amount * self.rows[column], (e.positions, e.schedule)  # (d_out)
            merged[same] = (e, row if same not in merged else merged[same][1] + row)
        return list(merged.values())

    def _idle(self, e: Edit) -> bool:
        """Whether an edit does nothing where every latent that is read is 0."""
        if e.when is not None and e.above >= 0:
            return True
        # a latent may be moved by one edit and then scaled by the next
        return e.how.idle(e.amount) and sum(other.latent == e.latent for other, _ in self.moved) == 1

    def plan(self, p: Pass, watch: Watch) -> int:
        """Find where this pass is edited; returns at how many positions."""
        self.where = {e.positions: self.schedule.on(e) for e in self.edits}
        self.union = functools.reduce(torch.logical_or, self.where.values())  # (B, T)
        self.count = int(self.union.count_nonzero())
        self.delta: list[Tensor | None] = []  # (n, d_out), once it is known
        self.begin(p, watch, self.needs_input and self.count > 0)
        return self.count

    def change(self, hook: str, x: Tensor) -> Tensor | None:
        """(B, T, d) what is added at ``hook``, or something that broadcasts to it; None where nothing is."""
        part = self.slices[hook]
        self.check_width(hook, x, part.stop - part.start)
        if self.count == 0:
            return None
        if self.fixed is not None:
            added = [self._added(e, row, x) for e, row in self.fixed if not self.schedule.is_over(e)]
            return functools.reduce(torch.add, added)[..., part] if added else None
        if not self.delta:
            self.delta.append(self._delta(x))
        if self.delta[0] is None:
            return None
        delta = self.delta[0][:, part].to(x.device)  # (n, d)
        if self.count == self.union.numel():
            return delta.reshape(x.shape)
        out = x.new_zeros(x.shape, dtype=delta.dtype)
        out[self.union.to(x.device)] = delta
        return out

    def _added(self, e: Edit, row: Tensor, x: Tensor) -> Tensor:
        """(B, T, d_out) or (d_out): ``row`` where ``e`` applies."""
        row, on = row.to(x.device), self.where[e.positions].to(x.device)  # (B, T)
        if e.schedule is not None:
            return (on * self.schedule.share(e).to(x.device))[..., None] * row
        return row if self.count == on.numel() and len(self.where) == 1 else on[..., None] * row

    def _delta(self, x: Tensor) -> Tensor | None:
        """(n, d_out) in float32 at least, one row per edited position; None where nothing moves."""
        every = self.count == self.union.numel()
        on = None if every else self.union.to(x.device)
        like = torch.empty(0, device=self.sae.W_dec.device, dtype=torch.promote_types(x.dtype, torch.float32))
        old = unit = None  # (n, latents that are read), (n, 1)
        if self.needs_input:
            rows, stats = self.sae.normalize(self.input(on))
            old = self._activations(rows) if self.latents else None
            old = None if old is None else old.to(like)
            if self.sae.config.normalize in PER_ROW and stats is not None:
                unit = stats[1].to(like)
        delta, here = None, x[:0].flatten(0, 1)
        if self.along or self.onto is not None:
            here = (x.flatten(0, 1) if on is None else x[on]).to(like)  # (n, d_out)
        if self.along:
            old = like.new_zeros(self.count, len(self.latents)) if old is None else old
            old = torch.cat([old, here @ torch.stack([d.vector for d in self.along], 1).to(like)], 1)
        if self.rows is not None and not (self.idle and old is None):
            moves = self._moves(old, like)
            delta = (moves if unit is None else moves * self._units(self.keys, unit)) @ self.rows.to(like)
        if self.onto is not None:
            projected = self._projection(here, old, unit)
            delta = projected if delta is None else delta + projected
        return delta

    def _activations(self, rows: Tensor) -> Tensor | None:
        """(n, d_in) normalized -> (n, latents that are read), None where all are 0.

        An active latent is above the floor in any case, so only rows with such a one are encoded.
        """
        pre = F.linear(rows, *self.encoder)  # (n, r)
        near = ~(pre <= self.least).all(1)  # NaN is near
        if not near.any():
            return None
        out = torch.zeros_like(pre)
        every = self.sae.pre_activations(rows[near])
        out[near] = self.sae.arch.activate(self.sae, every)[:, self.latents]
        return out

    def _share(self, e: Edit, old: Tensor | None, like: Tensor) -> Tensor | float:
        """(n,) the part of an edit that is applied on each row, 0 where it is not; 1.0: all of it everywhere."""
        share = 1.0 if len(self.where) == 1 else self.where[e.positions][self.union].to(like)
        if e.schedule is not None:
            share = share * self.schedule.share(e)[self.union].to(like)
        if e.when is not None:
            fires = e.above < 0 if old is None else (old[:, self.place[e.when]] > e.above).to(like)
            share = share * fires
        return share

    def _moves(self, old: Tensor | None, like: Tensor) -> Tensor:
        """(n, m) by how much each latent goes up."""
        moves = [like.new_zeros(self.count) for _ in self.keys]
        for e, column in self.moved:
            place = self.place.get(e.key[0])
            a = moves[column] if old is None or place is None else old[:, place] + moves[column]  # (n)
            moves[column] = moves[column] + self._share(e, old, like) * e.how.change(e.amount, a)  # type: ignore[misc]
        return torch.stack(moves, 1)

    def _projection(self, x: Tensor, old: Tensor | None, unit: Tensor | None) -> Tensor:
        """(n, d_out). Rows that the same edits apply to are solved together."""
        assert self.onto is not None
        every = [x.new_ones(len(x)) * self._share(e, old, x) for e in self.projected]
        shares = torch.stack(every, 1)  # (n, p)
        units = self._units([e.key for e in self.projected], x.new_ones(len(x), 1) if unit is None else unit)
        delta = torch.zeros_like(x)
        patterns, which = torch.unique(shares != 0, dim=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            if not pattern.any():
                continue
            here = which == i
            basis = self.onto.to(x)[pattern]  # (q, d_out)
            found = x[here] @ torch.linalg.pinv(basis)  # (rows, q) least squares, in units before ``unit``
            wanted = (
                x.new_tensor([e.amount for e in self.projected])[pattern] * units[here][:, pattern]
            )  # (rows, q)
            delta[here] = ((wanted - found) * shares[here][:, pattern]) @ basis
        return delta

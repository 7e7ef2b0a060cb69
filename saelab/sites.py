"""An SAE's edits at work: where it reads and writes, which positions are meant, and what is added there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from saelab import models
from saelab.edits import Edit, Intervention, directions
from saelab.errors import HookError, SaelabError
from saelab.passes import Pass, Watch
from saelab.sae import SAE


class Site:
    """Where one SAE reads and writes; holds what it read until the pass is over.

    A crosscoder has several hook points, side by side in its input. It can only encode once the last of them
    is reached, behind the first place it writes to, so its latents come from a clean pass made beforehand.
    """

    def __init__(self, model: Any, sae: SAE):
        self.model, self.sae = model, sae
        self.reads, self.writes = hook_points(sae.config.hook_in), hook_points(sae.config.hook_out)
        for hook in (*self.reads, *self.writes):
            models.check_hook(model, hook)
        widths = getattr(sae.config, "widths", None) or (sae.W_dec.shape[1],)
        ends = torch.tensor(widths).cumsum(0).tolist()
        self.slices = {h: slice(e - w, e) for h, w, e in zip(self.writes, widths, ends, strict=True)}
        self.crosscoder = len(self.reads) > 1
        self.x: Tensor | None = None  # (B, T, d_in) at the hook point it reads

    def begin(self, p: Pass, watch: Watch, needed: bool) -> None:
        self.x = None
        if self.crosscoder and needed:
            if p.past:
                raise SaelabError("a crosscoder's latents need the whole text in one pass; use cache=False")
            watch.off = True
            try:
                mask = None if p.mask is None else p.mask.bool()
                found = models.run_to_hooks(self.model, p.ids, list(self.reads), mask)
            finally:
                watch.off = False
            self.x = torch.cat([found[h] for h in self.reads], -1)

    def read(self, hook: str, x: Tensor) -> None:
        if not self.crosscoder and hook == self.reads[0]:
            self.check_width(hook, x, self.sae.config.d_in)
            self.x = x

    def input(self, on: Tensor) -> Tensor:
        """(n, d_in) rows of the input where ``on`` (B, T), on the SAE's device."""
        if self.x is None:
            raise HookError(f"{self.writes[0]!r} comes before {self.reads[0]!r}, where this SAE reads")
        return self.x[on].to(self.sae.W_dec.device)

    def check_width(self, hook: str, x: Tensor, width: int) -> None:
        if x.shape[-1] != width:
            raise HookError(
                f"hook point {hook!r} is {x.shape[-1]} wide in this model, the SAE is for {width}"
            )

    def unit(self, rows: Tensor) -> Tensor:
        """(n, 1 or d_out): what activation times decoder row is multiplied by on the way out."""
        _, stats = self.sae.normalise(rows.to(self.sae.W_dec.dtype))
        return rows.new_ones(len(rows), 1) if stats is None else stats[1]


def hook_points(hook: str) -> tuple[str, ...]:
    """The hook points in a config's ``hook_in`` or ``hook_out``: one, or a crosscoder's several."""
    if not hook:
        raise SaelabError("this SAE does not say which hook point it belongs to; set hook_in in its config")
    return tuple(hook.split("+"))


AnySite = TypeVar("AnySite", bound=Site)


def by_hook(
    sites: Sequence[AnySite], write: Callable[[AnySite, str, Tensor, Pass], Tensor | None]
) -> dict[str, Callable[[Tensor, Pass], Tensor | None]]:
    """One function per hook point. All SAEs there read what came in, before any of them writes."""

    def at(hook: str) -> Callable[[Tensor, Pass], Tensor | None]:
        def fn(x: Tensor, p: Pass) -> Tensor | None:
            for site in sites:
                site.read(hook, x)
            changes = [write(s, hook, x, p) for s in sites if hook in s.writes]
            changes = [c for c in changes if c is not None]
            return sum_into(x, changes) if changes else None

        return fn

    return {hook: at(hook) for hook in dict.fromkeys(h for s in sites for h in (*s.reads, *s.writes))}


def sum_into(x: Tensor, changes: list[Tensor]) -> Tensor:
    """``x`` plus all changes (B, T, d), added in float32 at least and given back in x's dtype."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    for change in changes:
        wide = wide + change.to(wide)
    return wide.to(x.dtype)


class Clock:
    """Which positions an edit means, in each pass."""

    def __init__(self, model: Any, special: bool, prompt_tokens: int | None, needs_prompt: bool):
        self.model, self.special, self.needs_prompt = model, special, needs_prompt
        self.fixed = prompt_tokens
        special_ids = models.special_ids(model)
        size = max((models.vocab_size(model), *(i + 1 for i in special_ids)))
        self.is_special = torch.zeros(size, dtype=torch.bool)  # a look-up: torch.isin takes ten times as long
        self.is_special[list(special_ids)] = True
        self.prompt: Tensor | None = None  # (B,)
        self.begun: Tensor | None = None  # ids of the last pass that began a text
        self.wanted: set[int] = set()
        self.reached: set[int] = set()

    @property
    def longest_prompt(self) -> int | None:
        return None if self.prompt is None else int(self.prompt.max())

    def begin(self, p: Pass) -> None:
        if self.fixed is not None:
            if self.prompt is None or self.prompt.shape != p.lengths.shape:
                self.prompt = torch.full_like(p.lengths, self.fixed)
        elif p.past == 0:
            self._refuse_a_loop_without_cache(p)
            self.prompt, self.begun = p.lengths, p.ids
        elif self.needs_prompt and (self.prompt is None or len(self.prompt) != len(p.ids)):
            raise SaelabError("this pass continues a text that began outside the block; pass prompt_tokens")
        self.p = p
        self.allowed = p.real  # (B, T)
        if not self.special:
            if self.is_special.device != p.ids.device:
                self.is_special = self.is_special.to(p.ids.device)
            self.allowed = p.real & ~self.is_special[p.ids]

    def _refuse_a_loop_without_cache(self, p: Pass) -> None:
        old = self.begun
        if not self.needs_prompt or old is None or old.shape != (len(p.ids), p.ids.shape[1] - 1):
            return
        if old.device == p.ids.device and torch.equal(old, p.ids[:, :-1]):
            raise SaelabError(
                "these passes grow by one token, as in generation without a cache: where the prompt ends "
                "cannot be seen. Use saelab.generate, a cache, or prompt_tokens=…"
            )

    def on(self, edit: Edit) -> Tensor:
        """(B, T) bool: where ``edit`` applies, conditions on latents aside."""
        place = self.p.position  # (B, T)
        if edit.positions == "all":
            return self.allowed
        if isinstance(edit.positions, tuple):
            return self._listed(edit.positions)
        assert self.prompt is not None
        end = self.prompt[:, None]  # (B, 1)
        if edit.positions == "prompt":
            return self.allowed & (place < end)
        return self.allowed & (place >= (end if edit.positions == "generated" else end - 1))

    def _listed(self, places: tuple[int, ...]) -> Tensor:
        self.wanted.update(places)
        on = torch.zeros_like(self.p.real)  # (B, T)
        for place in places:
            assert place >= 0 or self.prompt is not None
            target = place if place >= 0 else self.prompt[:, None] + place  # type: ignore[index]
            here = self.p.real & (self.p.position == target)  # (B, T)
            if here.any():
                self.reached.add(place)
            barred = here & ~self.allowed
            if barred.any():
                label = models.token_labels(self.model, self.p.ids[barred][:1].tolist())[0]
                raise SaelabError(
                    f"position {place} is the special token {label}; pass special=True to edit it"
                )
            on |= here
        return on

    def share(self, edit: Edit) -> Tensor:
        """(B, T) float: the part of the edit that its schedule gives each position."""
        assert edit.schedule is not None
        assert self.prompt is not None
        step = (self.p.position - self.prompt[:, None]).clamp(0, len(edit.schedule) - 1)  # (B, T)
        return torch.tensor(edit.schedule, device=step.device)[step]

    def check_reached(self) -> None:
        never = sorted(self.wanted - self.reached)
        if never:
            raise SaelabError(f"positions {never} were never reached: every text in the block was shorter")


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
        self.read_latents = sorted(read)
        self.find = torch.full((sae.config.d_sae,), -1)  # latent -> column of what is read
        self.find[self.read_latents] = torch.arange(len(self.read_latents))
        self.needs_input = bool(read) or sae.config.normalize == "layer_norm"
        self.fixed = None if self.needs_input or self.projected else self._fixed()

    def _fixed(self) -> dict[Any, Tensor] | None:
        """positions -> (d_out) what is added there, where that depends on nothing in the pass; else None."""
        if any(e.schedule is not None for e in self.edits):
            return None
        assert self.rows is not None
        unit = self.unit(torch.zeros(1, self.sae.config.d_in, device=self.rows.device)).float()[
            0
        ]  # (1 or d_out)
        out: dict[Any, Tensor] = {}
        for e, column in self.moved:
            out[e.positions] = out.get(e.positions, 0) + e.amount * self.rows[column] * unit
        return out

    def plan(self, p: Pass, watch: Watch) -> int:
        """Find where this pass is edited; returns at how many positions."""
        self.begin(p, watch, self.needs_input)
        where: dict[Any, Tensor] = {}
        for e in self.edits:
            if e.positions not in where:
                where[e.positions] = self.clock.on(e)
        self.where = where
        self.union, self.done = functools.reduce(torch.logical_or, where.values()), None
        return int(self.union.sum())

    def change(self, hook: str, x: Tensor) -> Tensor | None:
        """(B, T, d) what is added at ``hook``, or None where nothing is."""
        part = self.slices[hook]
        self.check_width(hook, x, part.stop - part.start)
        if self.fixed is not None:
            for positions, row in self.fixed.items():
                if row.device != x.device:
                    self.fixed[positions] = row.to(x.device)
            parts = [self.where[at].to(x.device)[..., None] * row[part] for at, row in self.fixed.items()]
            return functools.reduce(torch.add, parts)
        if not self.union.any():
            return None
        if self.done is None or self.projected:
            self.done = self._delta(x)  # (n, d_out)
        out = x.new_zeros(x.shape, dtype=self.done.dtype)
        out[self.union.to(x.device)] = self.done[:, part].to(x.device)
        return out

    def _delta(self, x: Tensor) -> Tensor:
        device, dtype = self.sae.W_dec.device, torch.promote_types(x.dtype, torch.float32)
        on = self.union.to(x.device)
        rows = self.input(on) if self.needs_input else None  # (n, d_in)
        n = int(on.sum())
        blank = rows if rows is not None else torch.zeros(n, self.sae.config.d_in, device=device)
        unit = self.unit(blank).to(device, dtype)  # (n, 1 or d_out)
        old = self._activations(rows, n, device, dtype)  # (n, read latents)
        delta = torch.zeros(n, self.sae.W_dec.shape[1], device=device, dtype=dtype)
        if self.rows is not None:
            delta = delta + (self._moves(old, n, device, dtype) @ self.rows.to(device, dtype)) * unit
        if self.onto is not None:
            delta = delta + self._projection(x[on].to(device, dtype), old, unit)
        return delta

    def _activations(self, rows: Tensor | None, n: int, device: Any, dtype: torch.dtype) -> Tensor:
        out = torch.zeros(n, len(self.read_latents), device=device, dtype=dtype)
        if rows is not None and self.read_latents:
            codes = self.sae.encode_sparse(rows)
            column = self.find.to(device)[codes.indices]  # (nnz,)
            hit = column >= 0
            out[codes.rows()[hit], column[hit]] = codes.values[hit].to(dtype)
        return out

    def _share(self, e: Edit, old: Tensor) -> Tensor:
        """(n,) the part of an edit that is applied on each row: 0 where it is not."""
        part = self.where[e.positions][self.union].to(old)
        if e.schedule is not None:
            part = part * self.clock.share(e)[self.union].to(old)
        if e.when is not None:
            part = part * (old[:, int(self.find[e.when])] > e.above)
        return part

    def _moves(self, old: Tensor, n: int, device: Any, dtype: torch.dtype) -> Tensor:
        """(n, m) by how much each latent goes up."""
        start = torch.zeros(n, len(self.keys), device=device, dtype=dtype)
        for column, (latent, _) in enumerate(self.keys):
            if self.find[latent] >= 0:
                start[:, column] = old[:, int(self.find[latent])]
        now = start.clone()
        for e, column in self.moved:
            a = now[:, column].clone()  # (n,)
            aim = {"add": a + e.amount, "scale": a * e.amount}.get(e.mode)
            aim = torch.full_like(a, e.amount if e.mode == "clamp" else 0.0) if aim is None else aim
            now[:, column] = a + self._share(e, old) * (aim - a)
        return now - start

    def _projection(self, x: Tensor, old: Tensor, unit: Tensor) -> Tensor:
        """(n, d_out). Rows that the same edits apply to are solved together."""
        assert self.onto is not None
        shares = torch.stack([self._share(e, old) for e in self.projected], 1)  # (n, p)
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

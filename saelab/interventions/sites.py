"""Where an SAE reads and writes in a pass, and which positions an edit means there."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from saelab import models
from saelab.errors import HookError, SaelabError
from saelab.identity import check_pair
from saelab.interventions.edits import Edit
from saelab.interventions.passes import Pass, Watch
from saelab.models import HookedModel
from saelab.sae import SAE


class SAEAtHook:
    """Where one SAE reads and writes; holds what it read until the pass is over.

    A crosscoder has several hook points, side by side in its input. It can only encode once the last of them
    is reached, behind the first place it writes to, so its latents come from a clean pass made beforehand.
    """

    def __init__(self, model: HookedModel, sae: SAE):
        self.mismatch = check_pair(model, sae)
        self.model, self.sae = model, sae
        self.reads, self.writes = hook_points(sae.config.hook_in), hook_points(sae.config.hook_out)
        for hook in dict.fromkeys((*self.reads, *self.writes)):
            models.check_hook(model, hook)
        widths = sae.config.widths or (sae.W_dec.shape[1],)
        ends = torch.tensor(widths).cumsum(0).tolist()
        self.slices = {h: slice(e - w, e) for h, w, e in zip(self.writes, widths, ends, strict=True)}
        self.crosscoder = len(self.reads) > 1
        self.x: Tensor | None = None  # (B, T, d_in) at the hook point it reads

    def begin(self, p: Pass, watch: Watch, needed: bool) -> None:
        """Forget the pass before; a crosscoder whose latents are ``needed`` makes its clean pass."""
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
        """Keep what comes in at the hook point that is read."""
        if not self.crosscoder and hook == self.reads[0]:
            self.check_width(hook, x, self.sae.config.d_in)
            self.x = x

    def input(self, on: Tensor | None) -> Tensor:
        """(n, d_in) rows of the input where ``on`` (B, T), or all of them, on the SAE's device."""
        if self.x is None:
            raise HookError(f"{self.writes[0]!r} comes before {self.reads[0]!r}, where this SAE reads")
        x = self.x.flatten(0, 1) if on is None else self.x[on]
        return x.to(self.sae.W_dec.device)

    def check_width(self, hook: str, x: Tensor, width: int) -> None:
        """Refuse a model that is not as wide as the SAE."""
        if x.shape[-1] != width:
            raise HookError(
                f"hook point {hook!r} is {x.shape[-1]} wide in this model, the SAE is for {width}"
            )


def hook_points(hook: str) -> tuple[str, ...]:
    """The hook points in a config's ``hook_in`` or ``hook_out``: one, or a crosscoder's several."""
    if not hook:
        raise SaelabError("this SAE does not say which hook point it belongs to; set hook_in in its config")
    return tuple(hook.split("+"))


def unseen(sae: SAE, n: int) -> str:
    """What to say of ``n`` tokens where the SAE was trained on shorter rows, else nothing."""
    own = sae.config.context
    if own is None or n <= own:
        return ""
    return (
        f"the text has {n} tokens and this SAE was trained on rows of at most {own}: it has seen no activation "
        f"from position {own} on"
    )


def warn_if_long(saes: SAE | Sequence[SAE], n: int) -> None:
    """Warn the caller's caller of :func:`unseen`, once."""
    notices = [unseen(sae, n) for sae in ([saes] if isinstance(saes, SAE) else saes)]
    if notice := max(notices, default="", key=len):
        warnings.warn(notice, stacklevel=3)


AnySite = TypeVar("AnySite", bound=SAEAtHook)


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
    if all(c.dtype == x.dtype == torch.float32 and c.device == x.device for c in changes):
        return functools.reduce(
            torch.add, changes, x
        )  # a step of a generation loop has no time to convert nothing
    wide = torch.promote_types(x.dtype, torch.float32)
    return functools.reduce(lambda total, c: total + c.to(x.device, wide), changes, x.to(wide)).to(x.dtype)


class EditSchedule:
    """Which positions an edit means in each pass, and how much of it each of them gets.

    Attributes
    ----------
    prompt
        (B,) or (1,) tokens before generation begins; None when no pass has shown it.
    allowed
        (B, T) bool of the present pass: positions that may be edited.
    planned
        Whether it was asked before that every listed place is reached. Then the text is not lost to a sample that
        ends early, or to a special token that the model writes at such a place (which is not edited).
    """

    def __init__(self, model: HookedModel, *, special: bool = False, prompt_tokens: int | None = None):
        self.model, self.special, self.fixed = model, special, prompt_tokens
        special_ids = models.special_ids(model)
        size = max((models.vocab_size(model), *(i + 1 for i in special_ids)))
        self.ordinary = torch.ones(size, dtype=torch.bool)  # a look-up: torch.isin takes ten times as long
        self.ordinary[list(special_ids)] = False
        self.needs_prompt = False  # set by the edits that do
        self.planned = False
        self.prompt: Tensor | None = None
        self.over: dict[
            tuple[float, ...], int
        ] = {}  # schedule -> columns in the cache when it had ended in 0
        self.begun: Tensor | None = None  # ids of the last pass that began a text
        self.wanted: set[int] = set()
        self.reached: set[int] = set()

    def begin(self, p: Pass) -> None:
        """Look at a pass before it runs."""
        if p.past == 0:
            self.over.clear()
        if self.fixed is not None:
            if self.prompt is None:
                self.prompt = torch.tensor([self.fixed], device=p.ids.device)  # the same for every row
        elif p.past == 0:
            self._refuse_a_loop_without_cache(p)
            self.prompt, self.begun = p.lengths, p.ids
        elif self.needs_prompt and (self.prompt is None or len(self.prompt) != len(p.ids)):
            raise SaelabError("this pass continues a text that began outside the block; pass prompt_tokens")
        self.p = p
        self.ordinary = self.ordinary.to(p.ids.device)
        self.allowed = p.real if self.special else self.ordinary.take(p.ids) & p.real  # (B, T)

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
        if edit.positions == "all":
            return self.allowed
        if isinstance(edit.positions, tuple):
            return self._listed(edit.positions)
        assert self.prompt is not None
        place, end = self.p.position, self.prompt[:, None]  # (B, T), (B, 1)
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
            if self.planned:
                assert self.prompt is not None
                barred &= self.p.position < self.prompt[:, None]
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
        if self.p.past and edit.schedule[-1] == 0 and int(step.min()) == len(edit.schedule) - 1:
            self.over[edit.schedule] = self.p.past
        return torch.tensor(edit.schedule, device=step.device).take(step)

    def is_over(self, edit: Edit) -> bool:
        """Whether a schedule that ends in 0 had ended before this pass, as every later token's has then."""
        return edit.schedule is not None and self.p.past > self.over.get(edit.schedule, self.p.past)

    def check_reached(self) -> None:
        """Refuse a place in the text that no pass came to."""
        never = [] if self.planned else sorted(self.wanted - self.reached)
        if never:
            raise SaelabError(f"positions {never} were never reached: every text in the block was shorter")

"""Many directions at once: every row of a batch is pushed along its own.

A latent's effect is measured on few tokens, and thousands of latents are to be measured: one pass takes as many
of them as a batch has rows. Text comes out as from :func:`saelab.generate` with each push alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saelab import models
from saelab.errors import HookError, SaelabError
from saelab.experiments import decoding
from saelab.experiments.decoding import ROWS, Decoder, Picker
from saelab.experiments.written import Sample
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Edit, Intervention
from saelab.interventions.passes import Pass, text_begins, watched
from saelab.interventions.runner import EditRunner
from saelab.interventions.sites import EditSchedule, by_hook
from saelab.interventions.targets import rows_of
from saelab.models import HookedModel
from saelab.sae import SAE
from saelab.sae.config import PER_ROW


@dataclass(frozen=True, eq=False)
class Push:
    """``row`` (d_out) is added at every position; of it, what ``schedule`` gives (see :class:`saelab.Edit`).

    ``own``: it is in units of the activations, as a direction's vector is and a decoder row need not be."""

    row: Tensor
    schedule: tuple[float, ...] | None = None
    own: bool = False

    @classmethod
    def of(cls, sae: SAE, edit: Edit) -> Push:
        """What an edit adds that depends on nothing."""
        own = isinstance(edit.latent, Direction)
        return cls(rows_of(sae, [edit.key])[0] * edit.amount, edit.schedule, own)


class _RowRunner(EditRunner):
    """Adds to each row of a batch its own direction."""

    def __init__(self, model: HookedModel, sae: SAE, pushes: Sequence[Push], schedule: EditSchedule):
        super().__init__(model, sae, Intervention.make(sae, {0: 0.0}), schedule)
        rows = torch.stack([p.row.float() for p in pushes])[:, None]  # (B, 1, d_out)
        self.own = torch.tensor([p.own for p in pushes])[:, None, None]
        groups: dict[Any, list[float]] = {}
        for place, push in enumerate(pushes):
            groups.setdefault(push.schedule, [0.0] * len(pushes))[place] = 1.0
        self.fixed = []
        for at, members in groups.items():
            edit = Edit(latent=0, schedule=at)
            self.fixed.append((edit, rows * torch.tensor(members)[:, None, None].to(rows)))
        self.edits = tuple(edit for edit, _ in self.fixed)
        schedule.needs_prompt |= any(edit.needs_prompt for edit in self.edits)

    def change(self, hook: str, x: Tensor) -> Tensor | None:
        if self.count and x.shape[0] not in (1, self.fixed[0][1].shape[0]):
            raise HookError(f"{x.shape[0]} rows pass, but {self.fixed[0][1].shape[0]} pushes were given")
        added = super().change(hook, x)
        if added is None or self.sae.config.normalize not in PER_ROW:
            return added
        _, stats = self.sae.normalize(self.input(None))
        if stats is None:
            return added
        scale = stats[1].reshape(*x.shape[:2], 1).to(added)
        return added * torch.where(self.own.to(added.device), torch.ones_like(scale), scale)


@contextlib.contextmanager
def pushed(model: HookedModel, sae: SAE, pushes: Sequence[Push], *, special: bool = False) -> Iterator[None]:
    """Push row i of every pass in this block along ``pushes[i]``. A pass of one row becomes as many rows as there are
    pushes at the hook point: what comes before it is computed once."""
    planned = EditSchedule(model, special=special)
    runner = _RowRunner(model, sae, pushes, planned)

    def begin(p: Pass, watch: Any) -> None:
        planned.begin(p)
        runner.plan(p, watch)

    hooks = by_hook([runner], lambda r, hook, x, p: r.change(hook, x))
    with text_begins(model, [sae]), watched(model, hooks, begin):
        yield


def next_logp(model: HookedModel, ids: Tensor) -> Tensor:
    """(B, T) -> (B, V) log-probabilities after the last token, the only one that is unembedded."""
    hook = model.unembed.register_forward_pre_hook(lambda m, args: (args[0][:, -1:], *args[1:]))
    try:
        return models.forward(model, ids)[:, -1].float().log_softmax(-1)
    finally:
        hook.remove()


# ----------------------------------------------------------------------------------------------- writing


def write(
    model: HookedModel,
    sae: SAE,
    prompt: list[int],
    pushes: Sequence[Push],
    *,
    n: int,
    seed: int = 0,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_k: int | None = None,
    special: bool = False,
    told: Callable[[int], Any] = lambda tokens: None,
) -> list[tuple[Sample, ...]]:
    """``n`` samples for each push; sample i of every push is drawn with the same random numbers. ``told`` hears of new
    tokens as they come."""
    end, out = models.eos_id(model), []
    over = decoding.ending(model, end)
    some = max(1, ROWS // n)
    for first in range(0, len(pushes), some):
        now = pushes[first : first + some]
        each = [Picker(model, n, seed, temperature=temperature, top_k=top_k) for _ in now]
        each[0].generators = [g for pick in each for g in pick.generators]
        rows = [push for push in now for _ in range(n)]

        def step(*_: Any, count: int = len(rows)) -> None:
            told(count)

        with torch.no_grad(), pushed(model, sae, rows, special=special):
            new, logprobs, _ = decoding.write(
                Decoder(model), prompt, len(rows), max_new_tokens, each[0], over, step
            )
        samples = [Sample.of(model, prompt, i, lp, end) for i, lp in zip(new, logprobs, strict=True)]
        out += [tuple(samples[i : i + n]) for i in range(0, len(samples), n)]
    return out


def different(prompts: Sequence[list[int]]) -> list[list[int]]:
    """Each prompt once: behind equal ones the same random numbers write the same text, which is no evidence of its own."""
    return [list(ids) for ids in dict.fromkeys(map(tuple, prompts))]


def draws(n: int, temperature: float, top_k: int | None) -> int:
    """How many different texts ``n`` samples behind one prompt can be: without random numbers there is one."""
    return 1 if temperature == 0 or top_k == 1 else n


def beginning(model: HookedModel, prompt: Any, sae: SAE, new: int) -> list[int]:
    """Ids of a prompt with room for ``new`` tokens; None is BOS alone."""
    if prompt is not None:
        return models.one_text(model, prompt, bos=sae.config.bos, new=new, name="prompt")
    first = models.bos_id(model)
    if first is None:
        raise SaelabError("this model's tokenizer has no BOS token; give a prompt")
    return models.one_text(model, [first], bos=sae.config.bos, new=new, name="prompt")

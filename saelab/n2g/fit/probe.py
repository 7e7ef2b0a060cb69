"""Ask the model about made-up prompts: pooled, stopped at the hook, never asked twice."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from saelab import models
from saelab.models import HookedModel
from saelab.n2g.graph.tree import Item
from saelab.sae import SAE

Prompt = tuple[int, ...]
Answer = TypeVar("Answer")
Question = Generator[list[Prompt], np.ndarray, Answer]  # yields prompts, is sent their activations

_REMEMBERED = 400_000_000  # bytes of answers
_SPARE = 256  # tokens of padding that are worth a pass


def activations(model: HookedModel, sae: SAE, ids: Tensor, last: Tensor, latents: Sequence[int]) -> Tensor:
    """(B, n) activations of ``latents``, each once, at position ``last`` (B,) of each row of ``ids`` (B, T).

    A forward pass to the SAE's hook point, no further, and the SAE on one position of each row. What is after
    it in the row is padding: a causal model does not see it, so no mask is needed.
    """
    hook = sae.config.hook_in
    with models.lock(model), torch.no_grad():
        found = models.run_to_hooks(model, ids, [hook], finite=False)[hook]  # (B, T, d_in)
        x = found[torch.arange(len(ids)), last.to(found.device)]  # (B, d_in)
        z = sae.encode_sparse(x).columns(latents).float()  # (B, n)
        z = torch.cat([z, x.isfinite().all().to(z).expand(len(z), 1)], 1).cpu()
    if not z[0, -1]:
        models.check_finite(model, f"hook point {hook!r}", found, ids)
    return z[:, :-1]


class Prober:
    """Activations of some latents at the last token of prompts, remembered.

    Attributes
    ----------
    limit
        Longest prompt the model takes, BOS not counted.
    forwards, tokens
        Forward passes made so far, and tokens in them.
    """

    def __init__(
        self, model: HookedModel, sae: SAE, latents: Sequence[int], bos: int | None, batch_tokens: int = 4096
    ):
        self.model, self.sae, self.batch_tokens = model, sae, batch_tokens
        self.head = () if bos is None else (bos,)
        self.latents = list(latents)
        self.column = {latent: i for i, latent in enumerate(latents)}
        self.limit = models.context_length(model) - len(self.head)
        self.forwards = self.tokens = 0
        self._known: dict[Prompt, np.ndarray] = {}

    def ask(self, prompts: Sequence[Prompt]) -> None:
        """Find out about all of ``prompts`` (given without BOS) that are not known yet."""
        if len(self._known) * (len(self.latents) * 4 + 200) > _REMEMBERED:
            self._known.clear()
        batch: list[Prompt] = []
        real = 0  # tokens of the batch that are not padding
        for prompt in sorted((p for p in dict.fromkeys(prompts) if p not in self._known), key=len):
            width = len(self.head) + len(prompt)
            padded = width * (len(batch) + 1)
            # some padding costs less than another pass
            spare = _SPARE + (real + width) // 3
            if batch and (padded > self.batch_tokens or padded - real - width > spare):
                self._run(batch)
                batch, real = [], 0
            batch.append(prompt)
            real += width
        if batch:
            self._run(batch)

    def _run(self, prompts: list[Prompt]) -> None:
        width = len(prompts[-1])
        ids = torch.tensor([self.head + p + (0,) * (width - len(p)) for p in prompts], dtype=torch.long)
        last = torch.tensor([len(self.head) + len(p) - 1 for p in prompts])
        found = activations(self.model, self.sae, ids, last, self.latents).numpy()  # (B, n)
        self.forwards += 1
        self.tokens += ids.numel()
        self._known.update(zip(prompts, found, strict=True))

    def values(self, latent: int, prompts: Sequence[Prompt]) -> np.ndarray:
        """(len(prompts),) activations of one latent."""
        column = self.column[latent]
        return np.array([self._known[p][column] for p in prompts], dtype=np.float64)

    def run(
        self,
        questions: Sequence[tuple[int, Question[Answer]]],
        answered: Callable[[float], Any] | None = None,
    ) -> list[Answer]:
        """Run many (latent, question) side by side: each round asks the prompts of all of them together.

        ``answered`` is told which share of the questions has been answered since it was last told.
        """
        results: list[Any] = [None] * len(questions)
        waiting: dict[int, list[Prompt]] = {}

        def go_on(i: int, sent: np.ndarray | None) -> None:
            try:
                waiting[i] = questions[i][1].send(sent)  # type: ignore[arg-type]
            except StopIteration as end:
                results[i] = end.value

        for i in range(len(questions)):
            go_on(i, None)
        told = 0.0
        while waiting:
            now, waiting = waiting, {}
            self.ask([p for prompts in now.values() for p in prompts])
            for i, prompts in now.items():
                go_on(i, self.values(questions[i][0], prompts))
            if answered is not None:
                share = 1 - len(waiting) / len(questions)
                answered(share - told)
                told = share
        return results


@dataclass(frozen=True)
class Filled:
    """One filling of a pattern: tokens in reading order, which item each is of (-1: random), tokens before."""

    tokens: Prompt
    items: tuple[int, ...]
    pad: Prompt

    @property
    def prompt(self) -> Prompt:
        """What is asked."""
        return self.pad + self.tokens

    def without(self, item: int, filler: int) -> Prompt:
        """The prompt with the token of one item replaced."""
        body = tuple(filler if i == item else t for t, i in zip(self.tokens, self.items, strict=True))
        return self.pad + body


class Fillers:
    """Random tokens in the frequencies of the text, special tokens left out; ``limit``: longest prompt."""

    def __init__(self, counts: np.ndarray, seed: int | list[int], limit: int):
        self._rng = np.random.default_rng(seed)
        self._cumulative = np.cumsum(counts, dtype=np.float64)
        self.limit = limit

    def draw(self, n: int, without: Sequence[int] = ()) -> Prompt:
        """``n`` tokens, none of ``without`` as far as a few tries can do."""
        total = self._cumulative[-1] if len(self._cumulative) else 0
        if n == 0 or total == 0:
            return ()
        for _ in range(20):
            place = np.searchsorted(self._cumulative, self._rng.random(n) * total, side="right")
            drawn = tuple(np.minimum(place, len(self._cumulative) - 1).tolist())
            if not set(drawn) & set(without):
                break
        return drawn

    def fill(self, items: Sequence[Item], m: int, pads: Sequence[int]) -> list[Filled]:
        """``m`` fillings of a pattern: all but its exact tokens random, random tokens before it too."""
        lengths = (0, *pads)
        return [self._fill(items, lengths[i % len(lengths)]) for i in range(m)]

    def _fill(self, items: Sequence[Item], pad: int) -> Filled:
        tokens: list[int] = []
        which: list[int] = []
        for place, (kind, ids, lo, hi) in enumerate(items):
            if kind == "tok":
                tokens.append(int(self._rng.choice(ids)))
                which.append(place)
            elif kind == "start":
                pad = 0
            else:
                width = int(self._rng.integers(lo, hi + 1)) if kind == "gap" else 1
                tokens += self.draw(width, without=ids)
                which += [-1] * width
        tokens, which = tokens[: self.limit], which[: self.limit]
        pad = max(0, min(pad, self.limit - len(tokens)))
        return Filled(tuple(tokens[::-1]), tuple(which[::-1]), self.draw(pad))

"""Ask the model about made-up prompts: pooled, stopped at the hook, never asked twice."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from saelab import models

Prompt = tuple[int, ...]
Answer = TypeVar("Answer")
Question = Generator[list[Prompt], np.ndarray, Answer]  # yields prompts, is sent their activations

_REMEMBERED = 400_000_000  # bytes of answers
_SPARE = 256  # tokens of padding that are worth a pass


def activations(
    model: Any, sae: Any, ids: torch.Tensor, last: torch.Tensor, latents: torch.Tensor
) -> torch.Tensor:
    """(B, len(latents)) activations at position ``last`` (B,) of each row of ``ids`` (B, T).

    A forward pass to the SAE's hook point, no further, and the SAE on one position of each row. What is after
    it in the row is padding: a causal model does not see it, so no mask is needed.
    """
    hook = sae.config.hook_in
    with models.lock(model), torch.no_grad():
        x = models.run_to_hooks(model, ids, [hook])[hook]  # (B, T, d_in)
        x = x[torch.arange(len(ids)), last.to(x.device)]  # (B, d_in)
        return sae.encode(x.to(next(sae.parameters()).dtype))[:, latents].float().cpu()  # (B, n)


class Prober:
    """Activations of some latents at the last token of prompts, remembered.

    Attributes
    ----------
    forwards, tokens
        Forward passes made so far, and tokens in them.
    """

    def __init__(
        self, model: Any, sae: Any, latents: Sequence[int], bos: int | None, batch_tokens: int = 4096
    ):
        self.model, self.sae, self.bos, self.batch_tokens = model, sae, bos, batch_tokens
        self.latents = torch.tensor(list(latents), dtype=torch.long)
        self.column = {latent: i for i, latent in enumerate(latents)}
        self.limit = models.context_length(model) - (bos is not None)
        self.forwards = self.tokens = 0
        self._known: dict[Prompt, np.ndarray] = {}

    def ask(self, prompts: Sequence[Prompt]) -> None:
        """Find out about all of ``prompts`` (given without BOS) that are not known yet."""
        if len(self._known) * (len(self.latents) * 4 + 200) > _REMEMBERED:
            self._known.clear()
        new = sorted((p for p in dict.fromkeys(prompts) if p not in self._known), key=len)
        head, i = int(self.bos is not None), 0
        while i < len(new):
            j = i + 1
            real = head + len(new[i])
            while j < len(new):
                width = head + len(new[j])
                padded = width * (j + 1 - i)
                # some padding costs less than another pass
                if padded > self.batch_tokens or padded - real - width > _SPARE + (real + width) // 3:
                    break
                real += width
                j += 1
            self._run(new[i:j])
            i = j

    def _run(self, prompts: list[Prompt]) -> None:
        head = () if self.bos is None else (self.bos,)
        width = len(prompts[-1])
        ids = torch.tensor([head + p + (0,) * (width - len(p)) for p in prompts], dtype=torch.long)  # (B, T)
        last = torch.tensor([len(head) + len(p) - 1 for p in prompts])  # (B,)
        found = activations(self.model, self.sae, ids, last, self.latents).numpy()  # (B, n)
        self.forwards += 1
        self.tokens += ids.numel()
        self._known.update(zip(prompts, found, strict=True))

    def values(self, latent: int, prompts: Sequence[Prompt]) -> np.ndarray:
        """(len(prompts),) activations of one latent."""
        column = self.column[latent]
        return np.array([self._known[p][column] for p in prompts], dtype=np.float64)

    def run(self, questions: Sequence[tuple[int, Question[Answer]]]) -> list[Answer]:
        """Run many (latent, question) side by side: each round asks the prompts of all of them together."""
        results: list[Any] = [None] * len(questions)
        waiting: dict[int, list[Prompt]] = {}

        def go_on(i: int, sent: np.ndarray | None) -> None:
            try:
                waiting[i] = questions[i][1].send(sent)  # type: ignore[arg-type]
            except StopIteration as end:
                results[i] = end.value

        for i in range(len(questions)):
            go_on(i, None)
        while waiting:
            now, waiting = waiting, {}
            self.ask([p for prompts in now.values() for p in prompts])
            for i, prompts in now.items():
                go_on(i, self.values(questions[i][0], prompts))
        return results


class Fillers:
    """Random tokens in the frequencies of the text, special tokens left out."""

    def __init__(self, counts: np.ndarray, seed: int):
        self._rng = np.random.default_rng(seed)
        self._cumulative = np.cumsum(counts, dtype=np.float64)

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

"""The loop that writes: logits, the next token, when a text is over; and reading again what was written.

What a sampling option means is transformers' own: its logits processors and stopping criteria are called here, in the
order of its ``generate``. The loop stays ours for what ``generate`` cannot give: noise of its own for each sample, so that a
text is drawn again whatever else runs; a callback that sees all samples and cancels; a cache that is checked; and models
that are not of transformers.

:class:`Decoder` generates with a key-value cache that really is one. Transformers renamed the cache it hands from layer to
layer (``past_key_values`` became ``cache``), and the attention of a TransformerLens 4.3 bridge looks for the old name only:
its cache stays empty, every new token attends to itself alone, and the text is wrong without an error.
:func:`saelab.models.load.repair` gives the old name back, and the decoder checks that the cache grows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab import models
from saelab.errors import SaelabError, check_count, check_number, check_text
from saelab.models import HookedModel
from saelab.models.load import repair

OnToken = Callable[[int, list[list[int]]], Any]
ROWS = 256  # texts written or read together
_LOGITS = 1 << 26  # read together
_LEAST = 1e-20  # temperature: logits divided by less overflow in float32


class Picker:
    """Chooses one token per sample, by the Gumbel-max rule with noise from a generator of its own for each sample.

    So a seed gives the same text whatever else ran before, sample 3 of 5 is sample 3 of 50, and two runs with the same
    seed differ only where the steering made them."""

    def __init__(
        self,
        model: HookedModel,
        n: int,
        seed: Any = 0,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float | None = None,
    ):
        from transformers.generation import logits_process as made

        self.greedy = check_number("temperature", temperature, 0.0) == 0
        every: list[Any] = []  # in the order of transformers
        if repetition_penalty is not None:
            penalty = check_number("repetition_penalty", repetition_penalty, 0.0, open_low=True)
            every.append(made.RepetitionPenaltyLogitsProcessor(penalty))
        if not self.greedy:
            if temperature < _LEAST:
                raise SaelabError(
                    f"temperature must be 0 (the most probable token) or at least {_LEAST:g}, got {temperature:g}"
                )
            every.append(made.TemperatureLogitsWarper(float(temperature)))
        if top_k is not None:
            every.append(made.TopKLogitsWarper(min(check_count("top_k", top_k), models.vocab_size(model))))
        if top_p is not None:
            every.append(made.TopPLogitsWarper(check_number("top_p", top_p, 0.0, 1.0, open_low=True)))
        if min_p is not None:
            every.append(made.MinPLogitsWarper(check_number("min_p", min_p, 0.0, 1.0)))
        self.process = made.LogitsProcessorList(every)
        seed = check_count("seed", seed, 0)
        streams = [np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0] for i in range(n)]
        self.generators = [torch.Generator().manual_seed(int(s) >> 1) for s in streams]

    def __call__(self, ids: Any, logits: Any) -> Tensor:
        """The texts so far (n, T) and logits (n, V) -> (n,) ids."""
        score = self.process(ids, logits)
        if self.greedy:
            return score.argmax(-1)
        noise = torch.stack(
            [torch.rand(score.shape[1], generator=g, dtype=torch.double) for g in self.generators]
        )
        return (score.double() - torch.log(-torch.log(noise.clamp_min(1e-300)))).argmax(-1)


def ending(model: HookedModel, end: int | None, stop: str | Sequence[str] | None = None) -> Any:
    """Texts (n, T) -> (n,) bool, which are over: the last token is ``end``, or completes a string of ``stop``."""
    from transformers.generation import stopping_criteria as made

    strings = [stop] if isinstance(stop, str) else list(stop or ())
    for string in strings:
        if not check_text("stop", string):
            raise SaelabError("stop has an empty string, at which every text would be over")
        models.tokenize(model, string, bos=False)  # which refuses what no tokenizer reads
    every: list[Any] = [] if end is None else [made.EosTokenCriteria(end)]
    if strings:
        every.append(made.StopStringCriteria(model.tokenizer, strings))
    over = made.StoppingCriteriaList(every)
    return lambda ids: over(ids, None)


def write(
    decoder: Decoder, prompt: list[int], n: int, steps: int, pick: Picker, over: Any, on_token: OnToken | None
) -> tuple[list[list[int]], list[list[float]], bool]:
    """New ids and their log-probabilities for every sample, and whether ``on_token`` cancelled."""
    ids = torch.tensor([prompt] * n)  # (n, T)
    new: list[list[int]] = [[] for _ in range(n)]
    logprobs: list[list[float]] = [[] for _ in range(n)]
    done = torch.zeros(n, dtype=torch.bool)
    for step in range(steps):
        logits = decoder(ids).float().cpu()  # (n, V)
        logp = logits.log_softmax(-1)
        if torch.isnan(logp).any():
            raise SaelabError(
                f"the model's logits are not numbers at step {step}; is an edit too strong for its dtype?"
            )
        chosen = pick(ids, logits)  # (n,)
        for i in (~done).nonzero()[:, 0].tolist():
            new[i].append(int(chosen[i]))
            logprobs[i].append(float(logp[i, chosen[i]]))
        ids = torch.cat([ids, chosen[:, None]], 1)
        if on_token is not None and on_token(step, [list(row) for row in new]) is False:
            return new, logprobs, True
        done |= over(ids)
        if done.all():
            break
    return new, logprobs, False


class Decoder:
    """Logits of the next token for rows that grow; feeds only what is new when ``cache`` is on.

    A model without Hugging Face's cache of keys and values (TransformerLens 3, Mamba) is run on the whole rows each
    time: slower, and the same numbers.
    """

    def __init__(self, model: HookedModel, *, cache: bool = True):
        self.model = model
        inner = getattr(model, "original_model", None)
        # a recurrent state (Mamba) has no positions: what of the text it holds cannot be checked
        self.cached = cache and inner is not None and not getattr(inner, "_is_stateful", False)
        self._kept: Any = None
        self._seen = 0
        if self.cached:
            repair(model)
            names = inspect.signature(model.original_model.forward).parameters
            self._name = "cache" if "cache" in names else "past_key_values"

    def __call__(self, ids: Tensor) -> Tensor:
        """ids (B, T), the last call's with new tokens behind them -> (B, V) logits after the last."""
        with models.lock(self.model):
            return self._step(ids) if self.cached else models.forward(self.model, ids)[:, -1]

    def _step(self, ids: Tensor) -> Tensor:
        device = models.device(self.model)
        options: dict[str, Any] = {"use_cache": True, "return_type": "logits_and_cache"}
        if self._kept is not None:
            options[self._name] = self._kept
            options["attention_mask"] = torch.ones_like(ids, device=device)
        logits, self._kept = self.model(ids[:, self._seen :].to(device), **options)
        self._seen = ids.shape[1]
        try:
            held = None if self._kept is None else int(self._kept.get_seq_length())
        except (ValueError, AttributeError):  # of another kind
            held = None
        if held != self._seen:
            raise SaelabError(
                f"the model's key-value cache holds {held} positions after {self._seen} tokens: its text "
                "would be wrong; use cache=False"
            )
        return logits[:, -1]


def padded(prompt: list[int], new: Sequence[list[int]]) -> tuple[list[Tensor], Tensor, Tensor]:
    """Each text with its prompt, all as one batch (n, T), and which of it (n, T) is text."""
    texts = [torch.tensor([*prompt, *ids]) for ids in new]
    ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    return texts, ids, torch.arange(ids.shape[1]) < torch.tensor([[len(t)] for t in texts])


def portions(model: HookedModel, prompt: list[int], new: Sequence[list[int]]) -> Iterator[tuple[int, Any]]:
    """The number of the first text, and what :func:`padded` gives, of as many texts as are read together."""
    longest = len(prompt) + max((len(ids) for ids in new), default=0)
    some = max(1, min(ROWS, _LOGITS // (longest * models.vocab_size(model))))
    for first in range(0, len(new), some):
        yield first, padded(prompt, new[first : first + some])


def read_logprobs(model: HookedModel, batch: Any, start: int) -> list[Tensor]:
    """(new tokens,) log-probabilities for each text of a portion, whose first ``start`` tokens are the prompt."""
    texts, ids, mask = batch
    logits = models.forward(model, ids, mask)  # (n, T, V)
    out = []
    for row, text in enumerate(texts):
        logp = logits[row, start - 1 : len(text) - 1].float().log_softmax(-1).cpu()
        out.append(logp.gather(-1, text[start:, None])[:, 0])
    return out

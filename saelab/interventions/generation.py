"""Let a model write, as it is and steered, and show both side by side.

Sampling uses the Gumbel-max rule with noise from a generator of its own for each sample, so a seed gives the
same text whatever else ran before, sample 3 of 5 is sample 3 of 50, and two runs with the same seed differ
only where the steering made them.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.display import escape
from saelab.errors import SaelabError, check_count, check_model, unknown
from saelab.interventions.attach import interventions, paired, steer
from saelab.interventions.cache import Decoder
from saelab.sae import SAE

OnToken = Callable[[int, list[list[int]]], Any]


@dataclass(frozen=True)
class Sample:
    """One continuation.

    Attributes
    ----------
    ids, tokens
        The new tokens: ids, and a readable label each.
    text
        The new text.
    logprobs
        Natural-log probability of each new token under the model that wrote it, before temperature and top-k.
    groups
        ``(start, stop, text)`` runs of tokens that make whole characters; what a display should show.
    """

    ids: list[int]
    tokens: list[str]
    text: str
    logprobs: list[float]
    groups: list[tuple[int, int, str]]


@dataclass(frozen=True)
class Generation:
    """What :func:`generate` gives; ``ids``, ``text`` and ``logprobs`` are those of the first sample."""

    prompt: str
    prompt_ids: list[int]
    samples: tuple[Sample, ...]
    seed: int
    cancelled: bool = False
    steered_by: str = ""

    @property
    def ids(self) -> list[int]:
        return self.samples[0].ids

    @property
    def text(self) -> str:
        return self.samples[0].text

    @property
    def texts(self) -> list[str]:
        """The new text of every sample."""
        return [s.text for s in self.samples]

    @property
    def logprobs(self) -> list[float]:
        return self.samples[0].logprobs

    def to_frame(self) -> pd.DataFrame:
        """One row per new token: sample, step, id, token, logprob."""
        rows = [
            (n, step, *entry)
            for n, s in enumerate(self.samples)
            for step, entry in enumerate(zip(s.ids, s.tokens, s.logprobs, strict=True))
        ]
        return pd.DataFrame(rows, columns=["sample", "step", "id", "token", "logprob"])

    def __str__(self) -> str:
        return "\n---\n".join(self.prompt + t for t in self.texts)

    def _repr_html_(self) -> str:
        cells = [f"{_span(self.prompt, _PROMPT)}{_marked(s, set(), _DIFFERS)}" for s in self.samples]
        rows = "".join(f"<tr>{_cell(c)}</tr>" for c in cells)
        return _page(f"<div {_QUIET}>{escape(self._caption())}</div><table {_TABLE}>{rows}</table>")

    def _caption(self) -> str:
        said = self.steered_by or "the model as it is"
        return f"{said}, seed {self.seed}" + (", cancelled" if self.cancelled else "")


@dataclass(frozen=True)
class Comparison:
    """The same prompt and seed with and without steering."""

    baseline: Generation
    steered: Generation

    def differences(self, sample: int = 0) -> tuple[list[bool], list[bool]]:
        """Which new tokens of the baseline, and of the steered text, have no partner in the other."""
        a, b = self.baseline.samples[sample].ids, self.steered.samples[sample].ids
        in_a, in_b = [True] * len(a), [True] * len(b)
        for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
            in_a[block.a : block.a + block.size] = [False] * block.size
            in_b[block.b : block.b + block.size] = [False] * block.size
        return in_a, in_b

    def to_frame(self) -> pd.DataFrame:
        """One row per new token: side, sample, step, id, token, logprob, differs."""
        frames = []
        for index, (side, made) in enumerate((("baseline", self.baseline), ("steered", self.steered))):
            flags = [f for n in range(len(made.samples)) for f in self.differences(n)[index]]
            frames.append(made.to_frame().assign(side=side, differs=np.array(flags, dtype=bool)))
        columns = ["side", "sample", "step", "id", "token", "logprob", "differs"]
        return pd.DataFrame(pd.concat(frames, ignore_index=True)[columns])

    def __str__(self) -> str:
        return f"baseline\n{self.baseline}\n\nsteered ({self.steered.steered_by})\n{self.steered}"

    def _repr_html_(self) -> str:
        rows = []
        for n, (a, b) in enumerate(zip(self.baseline.samples, self.steered.samples, strict=True)):
            in_a, in_b = ({i for i, f in enumerate(flags) if f} for flags in self.differences(n))
            prompt = _span(self.baseline.prompt, _PROMPT)
            left = _cell(prompt + _marked(a, in_a, _GONE))
            rows.append(f"<tr>{left}{_cell(prompt + _marked(b, in_b, _DIFFERS))}</tr>")
        titles = (("as it is", self.baseline), (self.steered.steered_by, self.steered))
        head = "".join(
            f'<th style="text-align:left;width:50%">{escape(t)}{" (cancelled)" if g.cancelled else ""}</th>'
            for t, g in titles
        )
        legend = (
            f'<div {_QUIET}>seed {self.baseline.seed}; <span style="{_GONE}">only without</span> and '
            f'<span style="{_DIFFERS}">only with</span> steering</div>'
        )
        return _page(f"<table {_TABLE}><tr>{head}</tr>{''.join(rows)}</table>{legend}")


# ----------------------------------------------------------------------------------------------- writing


def generate(
    model: Any,
    prompt: str | Sequence[int],
    *,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    n: int = 1,
    edits: Any = None,
    sae: SAE | Sequence[tuple[SAE, Any]] | None = None,
    bos: bool | None = None,
    stop_at_end: bool = True,
    cache: bool = True,
    on_token: OnToken | None = None,
    **steering: Any,
) -> Generation:
    """Continue a prompt, steered if ``edits`` are given.

    Parameters
    ----------
    prompt
        Text, or token ids that are used as they are (``[bos]`` alone lets the model begin by itself).
    temperature
        0 takes the most probable token every time.
    top_k
        Sample among the k most probable tokens only.
    n
        Samples of the same prompt.
    edits, sae, steering
        As for :func:`saelab.steer`: ``mode``, ``positions``, ``relative``, ``when``, ``schedule``, …
    bos
        Begin with BOS; None follows the SAE, or the tokenizer when there is none.
    stop_at_end
        A sample ends at the tokenizer's end-of-text token, which is kept in its ids and left out of its text.
    cache
        Keep keys and values between steps; the text is the same without, only slower.
    on_token
        Called as ``on_token(step, ids)`` after each step with the new ids of every sample so far; False
        cancels. What was written until then is returned.

    Raises
    ------
    SaelabError
        Before anything runs: empty prompt, text that does not fit the context, wrong names or latents.

    Examples
    --------
    >>> sl.generate(model, "Once upon", seed=1, sae=sae, edits={123: 8.0}).text  # doctest: +SKIP
    """
    check_model(model)
    _check_keywords(steering)
    if sae is not None:
        paired(sae)
    max_new_tokens, n, seed = check_count("max_new_tokens", max_new_tokens), check_count("n", n), _seed(seed)
    temperature, top_k = _temperature(temperature), _top_k(model, top_k)
    ids = _prompt_ids(model, prompt, _bos(sae, bos))
    room = models.context_length(model) - len(ids)
    if max_new_tokens > room:
        raise SaelabError(
            f"the prompt has {len(ids)} tokens and the model's context {models.context_length(model)}: there "
            f"is room for {max(room, 0)} new ones, not {max_new_tokens}"
        )
    if (edits is not None or steering) and sae is None:
        raise SaelabError("edits need the sae whose latents they change")
    decoder = Decoder(model, cache=cache)
    pick = _Picker(n, seed, temperature, top_k)
    end = model.tokenizer.eos_token_id if stop_at_end else None
    with _steered(model, sae, edits, len(ids), steering) as state, torch.no_grad():
        new, logprobs, cancelled = _write(decoder, ids, n, max_new_tokens, pick, end, on_token)
        said = "" if state is None else str(state)
    samples = tuple(_sample(model, i, lp, end) for i, lp in zip(new, logprobs, strict=True))
    shown = models.decode(model, [i for i in ids if i not in models.special_ids(model)])
    return Generation(shown, ids, samples, seed, cancelled, said)


def compare(
    model: Any,
    sae: SAE | Sequence[tuple[SAE, Any]],
    prompt: str | Sequence[int],
    edits: Any = None,
    *,
    on_baseline: OnToken | None = None,
    on_token: OnToken | None = None,
    **options: Any,
) -> Comparison:
    """Generate with and without steering, from the same random numbers.

    Parameters
    ----------
    edits, options
        As for :func:`generate` and :func:`saelab.steer`.
    on_baseline, on_token
        Called during the first and the second run; False from either cancels what is left.
    """
    _check_keywords(options)
    plain = {k: v for k, v in options.items() if k in _PLAIN_OPTIONS}
    steering = {k: v for k, v in options.items() if k not in _PLAIN_OPTIONS}
    # checked before the baseline costs time
    relevant = {k: v for k, v in steering.items() if k not in ("special", "prompt_tokens")}
    checked = interventions(model, sae, edits, **relevant)
    plain["bos"] = _bos(sae, plain.get("bos"))
    baseline = generate(model, prompt, on_token=on_baseline, **plain)
    if baseline.cancelled:
        nothing = tuple(Sample([], [], "", [], []) for _ in baseline.samples)
        said = " | ".join(str(i) for _, i in checked)
        return Comparison(baseline, replace(baseline, samples=nothing, steered_by=said))
    return Comparison(
        baseline, generate(model, prompt, sae=sae, edits=edits, on_token=on_token, **plain, **steering)
    )


_PLAIN_OPTIONS = ("max_new_tokens", "temperature", "top_k", "seed", "n", "bos", "stop_at_end", "cache")
_STEERING = tuple(n for n, p in inspect.signature(steer).parameters.items() if p.kind is p.KEYWORD_ONLY)


def _check_keywords(options: dict[str, Any]) -> None:
    for name in options:
        if name not in (*_PLAIN_OPTIONS, *_STEERING):
            raise unknown("keyword", name, (*_PLAIN_OPTIONS, *_STEERING, "edits", "sae", "on_token"))


@contextlib.contextmanager
def _steered(model: Any, sae: Any, edits: Any, prompt_tokens: int, options: dict[str, Any]):
    if sae is None or (edits is None and isinstance(sae, SAE)):
        yield None
        return
    with steer(model, sae, edits, **{"prompt_tokens": prompt_tokens, **options}) as state:
        yield state


def _write(
    decoder: Decoder,
    prompt: list[int],
    n: int,
    steps: int,
    pick: _Picker,
    end: int | None,
    on_token: OnToken | None,
) -> tuple[list[list[int]], list[list[float]], bool]:
    ids = torch.tensor([prompt] * n)  # (n, T)
    new: list[list[int]] = [[] for _ in range(n)]
    logprobs: list[list[float]] = [[] for _ in range(n)]
    for step in range(steps):
        logp = decoder(ids).float().log_softmax(-1).cpu()  # (n, V)
        if torch.isnan(logp).any():
            raise SaelabError(
                f"the model's logits are not numbers at step {step}; is an edit too strong for its dtype?"
            )
        chosen = pick(logp)  # (n,)
        for i, token in enumerate(chosen.tolist()):
            if end is None or end not in new[i][-1:]:
                new[i].append(token)
                logprobs[i].append(float(logp[i, token]))
        ids = torch.cat([ids, chosen[:, None]], 1)
        if on_token is not None and on_token(step, [list(row) for row in new]) is False:
            return new, logprobs, True
        if end is not None and all(end in row[-1:] for row in new):
            break
    return new, logprobs, False


class _Picker:
    """Chooses one token per sample."""

    def __init__(self, n: int, seed: int, temperature: float, top_k: int | None):
        self.temperature, self.top_k = temperature, top_k
        streams = [np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0] for i in range(n)]
        self.generators = [torch.Generator().manual_seed(int(s) >> 1) for s in streams]

    def __call__(self, logp: Tensor) -> Tensor:
        """(n, V) log-probabilities -> (n,) ids."""
        if self.temperature == 0:
            return logp.argmax(-1)
        score = logp.double() / self.temperature
        if self.top_k is not None:
            least = score.topk(self.top_k, dim=-1).values[:, -1:]  # (n, 1)
            score = score.masked_fill(score < least, -torch.inf)
        noise = torch.stack(
            [torch.rand(logp.shape[1], generator=g, dtype=torch.double) for g in self.generators]
        )
        return (score - torch.log(-torch.log(noise.clamp_min(1e-300)))).argmax(-1)


def _sample(model: Any, ids: list[int], logprobs: list[float], end: int | None) -> Sample:
    shown = ids[:-1] if end is not None and end in ids[-1:] else ids
    text, groups = models.decode(model, shown), models.token_groups(model, shown)
    return Sample(ids, models.token_labels(model, ids), text, logprobs, groups)


# ---------------------------------------------------------------------------------------------- checking


def _bos(sae: Any, bos: bool | None) -> bool | None:
    """Whether to begin with BOS, as far as the SAE says; None leaves it to the tokenizer."""
    if bos is not None or sae is None:
        return bos
    first = sae if isinstance(sae, SAE) else next(iter(sae))
    return (first if isinstance(first, SAE) else first[0]).config.bos


def _prompt_ids(model: Any, prompt: Any, bos: bool | None) -> list[int]:
    if isinstance(prompt, str):
        return models.tokenize(model, prompt, bos=models.default_bos(model) if bos is None else bos)
    ids = [check_count("token id", i, 0) for i in prompt]
    if not ids:
        raise SaelabError("the prompt is empty; give text, or [bos] to let the model begin by itself")
    if max(ids) >= models.vocab_size(model):
        raise SaelabError(f"token id {max(ids)} is outside the vocabulary 0…{models.vocab_size(model) - 1}")
    return ids


def _seed(seed: Any) -> int:
    return check_count("seed", seed, 0)


def _temperature(value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or not 0 <= value < float("inf")
    ):
        raise SaelabError(f"temperature must be a number that is 0 or more, got {value!r}")
    return float(value)


def _top_k(model: Any, value: Any) -> int | None:
    if value is None:
        return None
    return min(check_count("top_k", value), models.vocab_size(model))


# ----------------------------------------------------------------------------------------------- drawing

_TABLE = 'style="width:100%;border-collapse:collapse;table-layout:fixed"'
_QUIET = 'style="opacity:.7;font-size:90%"'
_PROMPT = "opacity:.6"
_DIFFERS = "background:rgba(255,140,0,.28);border-radius:2px"
_GONE = "background:rgba(90,140,255,.24);border-radius:2px"


def _span(text: str, style: str) -> str:
    return f'<span style="{style}">{escape(text)}</span>' if text else ""


def _marked(sample: Sample, differing: set[int], style: str) -> str:
    parts = []
    for start, stop, text in sample.groups:
        other = any(i in differing for i in range(start, stop))
        parts.append(_span(text, style) if other else escape(text))
    return "".join(parts)


def _cell(inner: str) -> str:
    style = "text-align:left;vertical-align:top;padding:4px 10px;white-space:pre-wrap;overflow-wrap:anywhere"
    style += ";font-family:monospace;border-top:1px solid rgba(128,128,128,.35)"
    return f'<td style="{style}" dir="auto">{inner}</td>'


def _page(inner: str) -> str:
    return f'<div class="tex2jax_ignore mathjax_ignore">{inner}</div>'

"""Let a model write, as it is and steered, and show both side by side.

:class:`Decoder` generates with a key-value cache that really is one. Transformers renamed the cache it hands from layer to
layer (``past_key_values`` became ``cache``), and the attention of a TransformerLens 4.3 bridge looks for the old name only:
its cache stays empty, every new token attends to itself alone, and the text is wrong without an error.
:func:`saelab.models.load.repair` gives the old name back, and the decoder checks that the cache grows.

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
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_model, unknown
from saelab.frames import TextFrame
from saelab.identity import Facts, Mark, meet
from saelab.interventions.edits import Intervention
from saelab.interventions.sites import warn_if_long
from saelab.interventions.steering import Steering, housed, interventions, paired, steer
from saelab.models import HookedModel
from saelab.models.load import repair
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
    vocabulary: str = ""  # digest of what the ids are of

    def _facts(self) -> Facts:
        return Facts("this generation", "generation", {"tokenizer": lambda: Mark(self.vocabulary)})

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

    @property
    def frame(self) -> pd.DataFrame:
        """One row per new token: sample, step, id, token, logprob."""
        rows = [
            (n, step, *entry)
            for n, s in enumerate(self.samples)
            for step, entry in enumerate(zip(s.ids, s.tokens, s.logprobs, strict=True))
        ]
        return TextFrame(rows, columns=["sample", "step", "id", "token", "logprob"])

    def __str__(self) -> str:
        return "\n---\n".join(self.prompt + t for t in self.texts)

    def _repr_html_(self) -> str:
        title = f"{self._title('the model as it is')}, seed {self.seed}"
        return _table([title], [[_cell(self.prompt, s, set(), "")] for s in self.samples])

    def _title(self, bare: str) -> str:
        return (self.steered_by or bare) + (" (cancelled)" if self.cancelled else "")


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

    @property
    def frame(self) -> pd.DataFrame:
        """One row per new token: side, sample, step, id, token, logprob, differs."""
        frames = []
        for index, (side, made) in enumerate((("baseline", self.baseline), ("steered", self.steered))):
            flags = [f for n in range(len(made.samples)) for f in self.differences(n)[index]]
            frames.append(made.frame.assign(side=side, differs=np.array(flags, dtype=bool)))
        columns = ["side", "sample", "step", "id", "token", "logprob", "differs"]
        return TextFrame(pd.concat(frames, ignore_index=True)[columns])

    def __str__(self) -> str:
        return f"baseline\n{self.baseline}\n\nsteered ({self.steered.steered_by})\n{self.steered}"

    def _repr_html_(self) -> str:
        rows, prompt = [], self.baseline.prompt
        for n, (a, b) in enumerate(zip(self.baseline.samples, self.steered.samples, strict=True)):
            in_a, in_b = ({i for i, f in enumerate(flags) if f} for flags in self.differences(n))
            rows.append([_cell(prompt, a, in_a, _GONE), _cell(prompt, b, in_b, _DIFFERS)])
        legend = (
            f'seed {self.baseline.seed}; <span style="{_GONE}">only without</span> and '
            f'<span style="{_DIFFERS}">only with</span> steering'
        )
        return _table([g._title("as it is") for g in (self.baseline, self.steered)], rows, legend)


# ----------------------------------------------------------------------------------------------- writing


@door
def generate(
    model: HookedModel,
    sae: SAE | Sequence[tuple[SAE, Any]] | None,
    prompt: models.Text,
    edits: Any = None,
    *,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    n: int = 1,
    bos: bool | None = None,
    stop_at_end: bool = True,
    cache: bool = True,
    on_token: OnToken | None = None,
    **steering: Any,
) -> Generation:
    """Continue a prompt, steered if ``edits`` are given. The bare model: ``sl.generate(model, None, prompt)``.
    Along directions alone, whose edits say where they belong: ``sl.generate(model, None, prompt, {direction: 2.0})``.

    Parameters
    ----------
    prompt
        Text, token ids that are used as they are (``[bos]`` alone lets the model begin by itself), or what this
        function wrote before, to be continued.
    sae, edits, steering
        As for :func:`saelab.steer`: ``mode``, ``positions``, ``relative``, ``when``, ``schedule``, …
    temperature
        0 takes the most probable token every time.
    top_k
        Sample among the k most probable tokens only.
    n
        Samples of the same prompt.
    bos
        Begin with BOS; None follows the SAE, or the tokenizer when there is none.
    stop_at_end
        A sample ends at the tokenizer's end-of-text token, which is kept in its ids and left out of its text.
    cache
        Keep keys and values between steps; the text is the same without, only slower. A model that has none, such as
        Mamba, runs on the whole text at every step.
    on_token
        Called as ``on_token(step, ids)`` after each step with the new ids of every sample so far; False
        cancels. What was written until then is returned.

    Raises
    ------
    SaelabError
        Before anything runs: empty prompt, text that does not fit the context, wrong names or latents.

    Examples
    --------
    >>> steered = sl.generate(model, sae, "Once upon", {latent: 8.0}, max_new_tokens=5, stop_at_end=False)
    >>> len(steered.ids), steered.steered_by == f"latent {latent}: add 8"
    (5, True)
    """
    check_model(model)
    models.check_predicts(model, "generation")
    _check_keywords(steering)
    sae = housed(model, sae, edits)
    pairs = [] if sae is None else paired(sae)
    for one, _ in pairs:
        meet(model, one)
    if sae is None and steering:
        raise SaelabError(
            "these keywords are of edits, and edits of latents need the sae whose latents they change"
        )
    max_new_tokens, n = check_count("max_new_tokens", max_new_tokens), check_count("n", n, high=1 << 16)
    pick = _Picker(model, n, seed, temperature, top_k)
    ids = prompt_ids(model, sae, prompt, max_new_tokens, bos)
    warn_if_long([s for s, _ in pairs], len(ids) + max_new_tokens)
    end = models.eos_id(model) if stop_at_end else None
    steered = contextlib.nullcontext("")
    if sae is not None and not (edits is None and isinstance(sae, SAE)):
        steered = steer(model, sae, edits, **{"prompt_tokens": len(ids), **steering})
    with steered as state, torch.no_grad():
        if isinstance(state, Steering):
            check_reach(state.interventions, len(ids), max_new_tokens)
            state.schedule.planned = True
        new, logprobs, cancelled = _write(
            Decoder(model, cache=cache), ids, n, max_new_tokens, pick, end, on_token
        )
    samples = tuple(_sample(model, i, lp, end) for i, lp in zip(new, logprobs, strict=True))
    shown = models.decode(model, [i for i in ids if i not in models.special_ids(model)])
    return Generation(shown, ids, samples, seed, cancelled, str(state), models.vocabulary(model))


@door
def compare(
    model: HookedModel,
    sae: SAE | Sequence[tuple[SAE, Any]] | None,
    prompt: models.Text,
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

    Examples
    --------
    >>> sl.compare(model, sae, "Once upon", {latent: 8.0}, max_new_tokens=5).frame.side.unique().tolist()
    ['baseline', 'steered']
    """
    _check_keywords(options)
    plain = {k: options.pop(k) for k in _PLAIN if k in options}
    passes = {k: options.pop(k) for k in _PASSES if k in options}
    pairs = interventions(model, sae, edits, **options)  # checked before the baseline costs time
    new = check_count("max_new_tokens", plain.setdefault("max_new_tokens", 40))
    prompt = prompt_ids(model, pairs, prompt, new, plain.pop("bos", None))
    check_reach(pairs, len(prompt), new)
    baseline = generate(model, None, prompt, on_token=on_baseline, **plain)
    if baseline.cancelled:
        nothing = tuple(Sample([], [], "", [], []) for _ in baseline.samples)
        steered_by = " | ".join(str(i) for _, i in pairs)
        return Comparison(baseline, replace(baseline, samples=nothing, steered_by=steered_by))
    return Comparison(baseline, generate(model, pairs, prompt, on_token=on_token, **plain, **passes))


_PLAIN = ("max_new_tokens", "temperature", "top_k", "seed", "n", "bos", "stop_at_end", "cache")
_PASSES = ("special", "prompt_tokens")  # options of steering that are not an edit's
_STEERING = tuple(n for n, p in inspect.signature(steer).parameters.items() if p.kind is p.KEYWORD_ONLY)


def _check_keywords(options: dict[str, Any]) -> None:
    for name in options:
        if name not in (*_PLAIN, *_STEERING):
            raise unknown("keyword", name, (*_PLAIN, *_STEERING, "edits", "sae", "on_token"))


def _write(
    decoder: Decoder,
    prompt: list[int],
    n: int,
    steps: int,
    pick: _Picker,
    end: int | None,
    on_token: OnToken | None,
) -> tuple[list[list[int]], list[list[float]], bool]:
    """New ids and their log-probabilities for every sample, and whether ``on_token`` cancelled."""
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


class _Picker:
    """Chooses one token per sample."""

    def __init__(self, model: HookedModel, n: int, seed: Any, temperature: Any, top_k: Any):
        seed = check_count("seed", seed, 0)
        number = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
        if not number or not 0 <= temperature < float("inf"):
            raise SaelabError(f"temperature must be a number that is 0 or more, got {temperature!r}")
        self.temperature = float(temperature)
        self.top_k = None if top_k is None else min(check_count("top_k", top_k), models.vocab_size(model))
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


def _sample(model: HookedModel, ids: list[int], logprobs: list[float], end: int | None) -> Sample:
    shown = ids[:-1] if end is not None and end in ids[-1:] else ids
    text, groups = models.decode(model, shown), models.token_groups(model, shown)
    return Sample(ids, models.token_labels(model, ids), text, logprobs, groups)


def prompt_ids(
    model: HookedModel, sae: Any, prompt: models.Text, new: int, bos: bool | None = None
) -> list[int]:
    """Ids of a prompt with room for ``new`` ones; it begins as the SAE says, or without one the tokenizer."""
    if bos is None:
        bos = models.default_bos(model) if sae is None else paired(sae)[0][0].config.bos
    return models.one_text(model, prompt, bos=bos, new=new, name="prompt")


def check_reach(pairs: list[tuple[SAE, Intervention]], prompt: int, new: int) -> None:
    """Refuse edits at places that no text with that prompt and as many new tokens has."""
    for _, intervention in pairs:
        for edit in intervention.edits:
            edit.check_reach(prompt, prompt + new - 1)


_DIFFERS = "background:rgba(255,140,0,.28);border-radius:2px"
_GONE = "background:rgba(90,140,255,.24);border-radius:2px"


def _cell(prompt: str, sample: Sample, differing: set[int], style: str) -> str:
    """The prompt, and what was written behind it with the tokens that differ in ``style``."""
    parts = [_span(prompt, "opacity:.6")]
    for start, stop, text in sample.groups:
        parts.append(_span(text, style) if differing & set(range(start, stop)) else escape(text))
    look = "text-align:left;vertical-align:top;padding:4px 10px;white-space:pre-wrap;overflow-wrap:anywhere"
    look += ";font-family:monospace;border-top:1px solid rgba(128,128,128,.35)"
    return f'<td style="{look}" dir="auto">{"".join(parts)}</td>'


def _span(text: str, style: str) -> str:
    return f'<span style="{style}">{escape(text)}</span>' if text else ""


def _table(titles: list[str], rows: list[list[str]], legend: str = "") -> str:
    head = "".join(f'<th style="text-align:left">{escape(t)}</th>' for t in titles)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return (
        '<div class="tex2jax_ignore mathjax_ignore"><table style="width:100%;border-collapse:collapse;'
        f'table-layout:fixed"><tr>{head}</tr>{body}</table><div style="opacity:.7;font-size:90%">{legend}</div></div>'
    )

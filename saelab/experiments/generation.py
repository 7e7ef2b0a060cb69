"""Let a model write, as it is and steered, and show both side by side."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from saelab import models
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_model, unknown
from saelab.experiments.decoding import Decoder, OnToken, Picker, ending, portions, read_logprobs, write
from saelab.experiments.written import Comparison, Generation, Sample
from saelab.identity import changes, meet
from saelab.interventions.edits import Intervention
from saelab.interventions.sites import warn_if_long
from saelab.interventions.steering import Steering, housed, interventions, paired, steer
from saelab.models import HookedModel
from saelab.sae import SAE


@door
def generate(
    model: HookedModel,
    sae: SAE | Sequence[tuple[SAE, Any]] | None,
    prompt: models.Texts | None = None,
    edits: Any = None,
    *,
    messages: Sequence[Mapping[str, str]] | None = None,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    stop: str | Sequence[str] | None = None,
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
        function wrote before, to be continued; or several of them, each of which is continued as it would be alone.
    messages
        In place of a prompt, a conversation in the tokenizer's chat template: ``[{"role": "user", "content": "Hello"}]``.
    sae, edits, steering
        As for :func:`saelab.steer`: ``mode``, ``positions``, ``relative``, ``when``, ``schedule``, …
    temperature
        0 takes the most probable token every time.
    top_k, top_p, min_p, repetition_penalty
        As in ``generate`` of transformers: sample among the k most probable tokens, among the most probable ones that
        together have the probability ``top_p``, among those with at least ``min_p`` times the largest; divide the
        logits of tokens that occurred before (multiply, where they are negative). None: not used.
    stop
        A sample ends with the token that completes one of these strings, which is kept.
    n
        Samples of each prompt.
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
        Before anything runs: empty prompt, text that does not fit the context, wrong names or latents, a tokenizer
        without a chat template.

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
    sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    pick = partial(Picker, model, n, seed, **sampling, repetition_penalty=repetition_penalty)
    pick()  # names are wrong before anything runs
    end = models.eos_id(model) if stop_at_end else None
    over = ending(model, end, stop)
    prompts = prompt_ids(model, sae, prompt, max_new_tokens, bos, messages)
    warn_if_long([s for s, _ in pairs], max(map(len, prompts)) + max_new_tokens)
    alone = sae is None or (edits is None and isinstance(sae, SAE))
    if not alone:
        kept = interventions(model, sae, edits, **{k: v for k, v in steering.items() if k not in _PASSES})
        for ids in prompts:
            check_reach(kept, len(ids), max_new_tokens)
    found: list[Sample] = []
    around = changes(model)
    steered_by, cancelled = " | ".join(around), False
    for number, ids in enumerate(prompts):
        if cancelled:
            found += [Sample.of(model, ids, [], []) for _ in range(n)]
            continue
        steered: Any = contextlib.nullcontext("") if alone else steer(
            model, sae, edits, **{"prompt_tokens": len(ids), **steering})  # fmt: skip
        told = on_token and _told(on_token, [s.ids for s in found], n * (len(prompts) - number - 1))
        with steered as state, torch.no_grad():
            if isinstance(state, Steering):
                state.schedule.planned, steered_by = True, " | ".join([*around, str(state)])
            new, logprobs, cancelled = write(
                Decoder(model, cache=cache), ids, n, max_new_tokens, pick(), over, told
            )
        plain = logprobs if alone else _as_it_is(model, ids, new)
        found += [Sample.of(model, ids, *row, end, p) for *row, p in zip(new, logprobs, plain, strict=True)]
    return Generation(tuple(found), seed, cancelled, steered_by, models.vocabulary(model))


def _told(on_token: OnToken, before: list[list[int]], after: int) -> OnToken:
    """``on_token`` for one of several prompts."""
    return lambda step, ids: on_token(step, [*map(list, before), *ids, *([] for _ in range(after))])


@torch.no_grad()
def _as_it_is(model: HookedModel, prompt: list[int], new: list[list[int]]) -> list[list[float]]:
    """The log-probabilities of what was written for the model that reads it."""
    out = []
    for _, batch in portions(model, prompt, new):
        with models.lock(model):
            out += [logp.tolist() for logp in read_logprobs(model, batch, len(prompt))]
    return out


@door
def compare(
    model: HookedModel,
    sae: SAE | Sequence[tuple[SAE, Any]] | None,
    prompt: models.Texts | None = None,
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
    prompt = prompt_ids(model, pairs, prompt, new, plain.pop("bos", None), plain.pop("messages", None))
    for ids in prompt:
        check_reach(pairs, len(ids), new)
    baseline = generate(model, None, prompt, on_token=on_baseline, **plain)
    if baseline.cancelled:
        nothing = tuple(Sample.of(model, s.prompt_ids, [], []) for s in baseline.samples)
        steered_by = " | ".join(str(i) for _, i in pairs)
        return Comparison(baseline, replace(baseline, samples=nothing, steered_by=steered_by))
    return Comparison(baseline, generate(model, pairs, prompt, on_token=on_token, **plain, **passes))


def _keywords(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(n for n, p in inspect.signature(function).parameters.items() if p.kind is p.KEYWORD_ONLY)


_PLAIN = tuple(n for n in _keywords(generate) if n != "on_token")
_PASSES = ("special", "prompt_tokens")  # options of steering that are not an edit's
_STEERING = _keywords(steer)


def _check_keywords(options: dict[str, Any]) -> None:
    for name in options:
        if name not in (*_PLAIN, *_STEERING):
            raise unknown("keyword", name, (*_PLAIN, *_STEERING, "edits", "sae", "on_token"))


def prompt_ids(
    model: HookedModel,
    sae: Any,
    prompt: models.Texts | None,
    new: int,
    bos: bool | None = None,
    messages: Sequence[Mapping[str, str]] | None = None,
) -> list[list[int]]:
    """Ids of each prompt with room for ``new`` ones; it begins as the SAE says, or without one the tokenizer."""
    if (prompt is None) == (messages is None):
        raise SaelabError("give a prompt, or messages=[{'role': 'user', 'content': …}], and not both")
    if messages is not None:
        prompt, bos = _chat(model, messages), False
    if bos is None:
        bos = models.default_bos(model) if sae is None else paired(sae)[0][0].config.bos
    several = list(models.each_text(prompt, "prompt", model))
    if not several:
        raise SaelabError("the prompt is empty")
    return [models.one_text(model, [p], bos=bos, new=new, name="prompt") for p in several]


def _chat(model: HookedModel, messages: Sequence[Mapping[str, str]]) -> str:
    from jinja2 import TemplateError

    if getattr(model.tokenizer, "chat_template", None) is None:
        raise SaelabError("this model's tokenizer has no chat template; write the prompt as text")
    if (
        isinstance(messages, (str, Mapping))
        or not messages
        or not all(isinstance(m, Mapping) for m in messages)
    ):
        raise SaelabError(f"messages is a list of {{'role': …, 'content': …}}, got {messages!r:.200}")
    try:
        return model.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    except (TemplateError, TypeError) as error:
        raise SaelabError(f"the tokenizer's chat template does not take these messages: {error}") from None


def check_reach(pairs: list[tuple[SAE, Intervention]], prompt: int, new: int) -> None:
    """Refuse edits at places that no text with that prompt and as many new tokens has."""
    for _, intervention in pairs:
        for edit in intervention.edits:
            edit.check_reach(prompt, prompt + new - 1)

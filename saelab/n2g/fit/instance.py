"""One activating example -> the pattern that makes the latent fire there, by asking the model.

1. *Minimal suffix*: lengths 1, 2, 3, … (the activation is not monotone in length, so no binary search) up to
   the first that keeps ``keep`` of the activation right after BOS, and also with random tokens before it.
   The second condition is waived for the whole text up to the token: that may be a pattern of position.
2. *Position*: if random tokens before the whole text destroy the activation, the pattern begins at the row's
   start.
3. *Wildcards*: a token whose replacement by random ones costs less than ``wild`` of the activation.
4. *Joint verification*: all wildcards random together. While too few fillings keep the activation, the most
   important wildcard gets its token back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from saelab.n2g.fit.probe import Fillers, Prompt, Question
from saelab.n2g.graph.tree import Item

_LENGTHS = (1, 1, 1, 1, 4, 8)  # suffix lengths asked together
_RESTORED = (1, 1, 2, 4, 8)  # numbers of restored wildcards asked together
_DOUBT = 0.25  # how near the border a kept share must be for more replacements


@dataclass(frozen=True)
class Example:
    """Where a latent fires: the tokens up to it (at most ``max_len``); ``whole``: from the row's start on."""

    position: int
    tokens: Prompt
    whole: bool
    value: float


@dataclass(frozen=True)
class Instance:
    """The pattern of one example.

    Attributes
    ----------
    tokens
        The minimal suffix in reading order.
    wild
        Which of them are wildcards.
    imp
        Per token, the share of the activation lost when it is replaced.
    start
        Whether the pattern begins at the row's start.
    value
        Activation on the suffix right after BOS.
    sufficiency
        Share of joint fillings that keep ``keep`` of it.
    """

    example: Example
    tokens: Prompt
    wild: tuple[bool, ...]
    imp: tuple[float, ...]
    start: bool
    value: float
    sufficiency: float

    @property
    def items(self) -> tuple[Item, ...]:
        """From the activating token backwards; wildcards at the far end stay."""
        parts: list[Item] = [
            ("any", (), 0, 0) if w else ("tok", (t,), 0, 0)
            for t, w in zip(reversed(self.tokens), reversed(self.wild), strict=True)
        ]
        return tuple([*parts, ("start", (), 0, 0)] if self.start else parts)


@dataclass(frozen=True)
class Probing:
    """The numbers of :class:`saelab.n2g.N2GConfig` that the questions need."""

    keep: float
    wild: float
    pads: tuple[int, ...]
    fillers: int
    joint: int
    joint_min: float
    limit: int  # longest prompt the model takes, BOS not counted


def generalise(found: Instance, how: Probing, fillers: Fillers) -> Question[Instance]:
    """Steps 3 and 4 of the module's docstring: from a minimal suffix to a pattern."""
    found = yield from _wildcards(found, how, fillers)
    return (yield from _joint(found, how, fillers))


def minimal(example: Example, how: Probing, fillers: Fillers) -> Question[Instance | None]:
    tokens = example.tokens
    for lengths in _in_steps(range(1, len(tokens) + 1), _LENGTHS):
        suffixes = [tokens[len(tokens) - n :] for n in lengths]
        values = yield suffixes
        strong = [
            (s, float(v))
            for s, v in zip(suffixes, values, strict=True)
            if v > 0 and v >= how.keep * example.value
        ]
        anywhere = yield from _hold_anywhere(strong, how, fillers)
        for (suffix, value), holds in zip(strong, anywhere, strict=True):
            if holds or (example.whole and len(suffix) == len(tokens)):
                n = len(suffix)
                return Instance(example, suffix, (False,) * n, (1.0,) * n, not holds, value, 1.0)
    return None


def _in_steps(things: Sequence[Any], sizes: Sequence[int]) -> Iterator[Sequence[Any]]:
    """Cut a sequence: one by one where the answer is likely, many at once where it would take long."""
    at = 0
    for size in (*sizes, len(things)):
        if at < len(things):
            yield things[at : at + size]
        at += size


def _pads(length: int, how: Probing, fillers: Fillers) -> list[Prompt]:
    lengths = [min(p, how.limit - length) for p in how.pads]
    return [fillers.draw(p) for p in lengths if p > 0]


def _hold_anywhere(
    strong: Sequence[tuple[Prompt, float]], how: Probing, fillers: Fillers
) -> Question[list[bool]]:
    """Which suffixes keep their activation with random tokens before them."""
    padded = [[pad + suffix for pad in _pads(len(suffix), how, fillers)] for suffix, _ in strong]
    if not any(padded):
        return [True] * len(strong)  # the suffix fills the context: there is nowhere else
    values = iter((yield [p for prompts in padded for p in prompts]))
    out = []
    for (_, value), prompts in zip(strong, padded, strict=True):
        kept = [next(values) >= how.keep * value for _ in prompts]
        out.append(2 * sum(kept) >= len(kept))
    return out


def _wildcards(found: Instance, how: Probing, fillers: Fillers) -> Question[Instance]:
    """Two replacements of each token; as many more as ``fillers`` allows where those two leave a doubt."""
    places = list(range(len(found.tokens)))
    kept: list[list[float]] = [[] for _ in places]
    for m in (min(2, how.fillers), how.fillers - min(2, how.fillers)):
        if not places or not m:
            break
        values = yield [_replaced(found.tokens, j, fillers) for j in places for _ in range(m)]
        for j, some in zip(places, np.minimum(values / found.value, 1.0).reshape(-1, m), strict=True):
            kept[j] += some.tolist()
        places = [
            j for j in places if max(kept[j]) > 1 - how.wild - _DOUBT and min(kept[j]) < 1 - how.wild + _DOUBT
        ]
    imp = tuple(1 - sum(k) / len(k) for k in kept)
    return replace(found, imp=imp, wild=tuple(i < how.wild for i in imp))


def _replaced(tokens: Prompt, j: int, fillers: Fillers) -> Prompt:
    return (*tokens[:j], *fillers.draw(1), *tokens[j + 1 :])


def fill(
    tokens: Prompt, wild: Sequence[bool], start: bool, how: Probing, fillers: Fillers, m: int
) -> list[Prompt]:
    """``m`` prompts with every wildcard random, and random tokens before unless the start matters."""
    out = []
    for i in range(m):
        body = tuple(fillers.draw(1)[0] if w else t for t, w in zip(tokens, wild, strict=True))
        lengths = (0, *how.pads)
        pad = 0 if start else min(lengths[i % len(lengths)], how.limit - len(body))
        out.append(fillers.draw(pad) + body)
    return out


def _joint(found: Instance, how: Probing, fillers: Fillers) -> Question[Instance]:
    """Give wildcards their tokens back, most important first, until enough fillings keep the activation."""
    wild = list(found.wild)
    # of equal importance, the nearer to the token that fires
    order = sorted((i for i, w in enumerate(wild) if w), key=lambda i: (found.imp[i], i), reverse=True)
    for counts in _in_steps(range(len(order)), _RESTORED):
        trials = [[w and i not in order[:n] for i, w in enumerate(wild)] for n in counts]
        values = yield [
            p for t in trials for p in fill(found.tokens, t, found.start, how, fillers, how.joint)
        ]
        kept = (values >= how.keep * found.value).reshape(len(trials), -1).mean(axis=1)
        for trial, share in zip(trials, kept.tolist(), strict=True):
            if share >= how.joint_min:
                return replace(found, wild=tuple(trial), sufficiency=share)
    return replace(found, wild=(False,) * len(wild), sufficiency=1.0)

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

from saelab.n2g.config import N2GConfig
from saelab.n2g.fit.probe import Fillers, Prompt, Question
from saelab.n2g.graph.tree import Item

_LENGTHS = (1, 1, 1, 1, 4, 8)  # suffix lengths asked together
_RESTORED = (1, 1, 2, 4, 8)  # numbers of restored wildcards asked together


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
    """

    example: Example
    tokens: Prompt
    wild: tuple[bool, ...]
    imp: tuple[float, ...]
    start: bool
    value: float

    @property
    def items(self) -> tuple[Item, ...]:
        """From the activating token backwards; wildcards at the far end stay."""
        parts: list[Item] = [
            ("any", (), 0, 0) if w else ("tok", (t,), 0, 0)
            for t, w in zip(reversed(self.tokens), reversed(self.wild), strict=True)
        ]
        return tuple([*parts, ("start", (), 0, 0)] if self.start else parts)


def minimal(example: Example, config: N2GConfig, fillers: Fillers) -> Question[Instance | None]:
    """Steps 1 and 2 of the module's docstring."""
    tokens = example.tokens
    for lengths in _in_steps(range(1, len(tokens) + 1), _LENGTHS):
        suffixes = [tokens[len(tokens) - n :] for n in lengths]
        values = yield suffixes
        strong = [
            (s, float(v))
            for s, v in zip(suffixes, values, strict=True)
            if v > 0 and v >= config.keep * example.value
        ]
        anywhere = yield from _hold_anywhere(strong, config, fillers)
        for (suffix, value), holds in zip(strong, anywhere, strict=True):
            if holds or (example.whole and len(suffix) == len(tokens)):
                n = len(suffix)
                return Instance(example, suffix, (False,) * n, (1.0,) * n, not holds, value)
    return None


def generalise(found: Instance, config: N2GConfig, fillers: Fillers) -> Question[Instance]:
    """Steps 3 and 4: from a minimal suffix to a pattern."""
    tokens, m = found.tokens, config.fillers
    values = yield [
        (*tokens[:j], *fillers.draw(1), *tokens[j + 1 :]) for j in range(len(tokens)) for _ in range(m)
    ]
    kept = np.minimum(values / found.value, 1.0).reshape(-1, m).mean(axis=1)
    imp = tuple((1 - kept).tolist())
    found = replace(found, imp=imp, wild=tuple(i < config.wild for i in imp))
    return (yield from _joint(found, config, fillers))


def _in_steps(things: Sequence[Any], sizes: Sequence[int]) -> Iterator[Sequence[Any]]:
    """Cut a sequence: one by one where the answer is likely, many at once where it would take long."""
    at = 0
    for size in (*sizes, len(things)):
        if at < len(things):
            yield things[at : at + size]
        at += size


def _hold_anywhere(
    strong: Sequence[tuple[Prompt, float]], config: N2GConfig, fillers: Fillers
) -> Question[list[bool]]:
    """Which suffixes keep their activation with random tokens before them."""
    lengths = [[min(p, fillers.limit - len(suffix)) for p in config.pads] for suffix, _ in strong]
    padded = [
        [fillers.draw(n) + suffix for n in some if n > 0]
        for (suffix, _), some in zip(strong, lengths, strict=True)
    ]
    if not any(padded):
        return [True] * len(strong)  # the suffix fills the context: there is nowhere else
    values = iter((yield [p for prompts in padded for p in prompts]))
    out = []
    for (_, value), prompts in zip(strong, padded, strict=True):
        kept = [next(values) >= config.keep * value for _ in prompts]
        out.append(2 * sum(kept) >= len(kept))
    return out


def _joint(found: Instance, config: N2GConfig, fillers: Fillers) -> Question[Instance]:
    """Give wildcards their tokens back, most important first, until enough fillings keep the activation."""
    wild = found.wild
    # of equal importance, the nearer to the token that fires
    order = sorted((i for i, w in enumerate(wild) if w), key=lambda i: (found.imp[i], i), reverse=True)
    for counts in _in_steps(range(len(order)), _RESTORED):
        trials = [
            replace(found, wild=tuple(w and i not in order[:n] for i, w in enumerate(wild))) for n in counts
        ]
        values = yield [
            filled.prompt for t in trials for filled in fillers.fill(t.items, config.joint, config.pads)
        ]
        kept = (values >= config.keep * found.value).reshape(len(trials), -1).mean(axis=1)
        for trial, share in zip(trials, kept.tolist(), strict=True):
            if share >= config.joint_min:
                return trial
    return replace(found, wild=(False,) * len(wild))

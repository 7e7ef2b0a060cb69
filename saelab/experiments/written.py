"""What a model wrote, and how it is shown."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saelab import models
from saelab.display import escape
from saelab.frames import TextFrame
from saelab.identity import Facts, Mark
from saelab.models import HookedModel


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
        Natural-log probability of each new token under the model that wrote it, before any sampling option.
    groups
        ``(start, stop, text)`` runs of tokens that make whole characters; what a display should show.
    prompt, prompt_ids
        What it continues.
    changes
        By how much steering raised the log-probability of each new token, in nats: 0 where nothing steers.
    """

    ids: list[int]
    tokens: list[str]
    text: str
    logprobs: list[float]
    groups: list[tuple[int, int, str]]
    prompt: str
    prompt_ids: list[int]
    changes: list[float]

    @classmethod
    def of(
        cls,
        model: HookedModel,
        prompt_ids: list[int],
        ids: list[int],
        logprobs: list[float],
        end: int | None = None,
        plain: Sequence[float] | None = None,
    ) -> Sample:
        """``end``: the token that ends a text, and is none of it. ``plain``: what the model as it is says of ``ids``."""
        shown = ids[:-1] if end is not None and end in ids[-1:] else ids
        text, groups = models.decode(model, shown), models.token_groups(model, shown)
        prompt = models.decode(model, [i for i in prompt_ids if i not in models.special_ids(model)])
        changes = np.subtract(logprobs, logprobs if plain is None else plain).tolist()
        return cls(ids, models.token_labels(model, ids), text, logprobs, groups, prompt, prompt_ids, changes)


@dataclass(frozen=True)
class Generation:
    """What :func:`generate` gives; ``prompt``, ``prompt_ids``, ``ids``, ``text`` and ``logprobs`` are of the first sample.

    Of several prompts, ``samples`` has first those of the first one. In a notebook each token of a steered text is colored
    by how much steering changed its log-probability; :func:`saelab.heatmap` takes a generation and shows latents on it."""

    samples: tuple[Sample, ...]
    seed: int
    cancelled: bool = False
    steered_by: str = ""
    vocabulary: str = ""  # digest of what the ids are of

    def _facts(self) -> Facts:
        return Facts("this generation", "generation", {"tokenizer": lambda: Mark(self.vocabulary)})

    @property
    def prompt(self) -> str:
        return self.samples[0].prompt

    @property
    def prompt_ids(self) -> list[int]:
        return self.samples[0].prompt_ids

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
        """One row per new token: sample, step, id, token, logprob, change (see :class:`Sample`)."""
        rows = [
            (n, step, *entry)
            for n, s in enumerate(self.samples)
            for step, entry in enumerate(zip(s.ids, s.tokens, s.logprobs, s.changes, strict=True))
        ]
        return TextFrame(rows, columns=["sample", "step", "id", "token", "logprob", "change"])

    def __str__(self) -> str:
        return "\n---\n".join(s.prompt + s.text for s in self.samples)

    def _repr_html_(self) -> str:
        title = f"{self._title('the model as it is')}, seed {self.seed}"
        legend = f"steering made a token {_span('more probable', _tint(4.0))} or {_span('less probable', _tint(-4.0))}"
        return _table([title], [[_cell(s, _changed)] for s in self.samples], legend * bool(self.steered_by))

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
        """One row per new token: side, sample, step, id, token, logprob, change, differs."""
        frames = []
        for index, (side, made) in enumerate((("baseline", self.baseline), ("steered", self.steered))):
            flags = [f for n in range(len(made.samples)) for f in self.differences(n)[index]]
            frames.append(made.frame.assign(side=side, differs=np.array(flags, dtype=bool)))
        columns = ["side", "sample", "step", "id", "token", "logprob", "change", "differs"]
        return TextFrame(pd.concat(frames, ignore_index=True)[columns])

    def __str__(self) -> str:
        return f"baseline\n{self.baseline}\n\nsteered ({self.steered.steered_by})\n{self.steered}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = []
        for n, pair in enumerate(zip(self.baseline.samples, self.steered.samples, strict=True)):
            marked = zip(pair, self.differences(n), (_GONE, _DIFFERS), strict=True)
            rows.append(
                [_cell(s, lambda s, a, b, f=f, look=look: look * any(f[a:b])) for s, f, look in marked]
            )
        legend = (
            f'seed {self.baseline.seed}; <span style="{_GONE}">only without</span> and '
            f'<span style="{_DIFFERS}">only with</span> steering'
        )
        return _table([g._title("as it is") for g in (self.baseline, self.steered)], rows, legend)


_DIFFERS = "background:rgba(255,140,0,.28);border-radius:2px"
_GONE = "background:rgba(90,140,255,.24);border-radius:2px"


def _tint(change: float) -> str:
    """The color of so many nats."""
    color = "255,140,0" if change > 0 else "90,140,255"
    return f"background:rgba({color},{min(abs(change) / 8, 0.5):.2f});border-radius:2px"


def _changed(sample: Sample, start: int, stop: int) -> str:
    change = sum(sample.changes[start:stop])
    return _tint(change) if abs(change) >= 0.1 else ""


def _cell(sample: Sample, look: Callable[[Sample, int, int], str]) -> str:
    """The prompt, and what was written behind it: each run of tokens in the style that ``look`` gives."""
    parts = [_span(sample.prompt, "opacity:.6")]
    for start, stop, text in sample.groups:
        style = look(sample, start, stop)
        parts.append(_span(text, style) if style else escape(text))
    box = "text-align:left;vertical-align:top;padding:4px 10px;white-space:pre-wrap;overflow-wrap:anywhere"
    box += ";font-family:monospace;border-top:1px solid rgba(128,128,128,.35)"
    return f'<td style="{box}" dir="auto">{"".join(parts)}</td>'


def _span(text: str, style: str) -> str:
    return f'<span style="{style}">{escape(text)}</span>' if text else ""


def _table(titles: list[str], rows: list[list[str]], legend: str = "") -> str:
    head = "".join(f'<th style="text-align:left">{escape(t)}</th>' for t in titles)
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return (
        '<div class="tex2jax_ignore mathjax_ignore"><table style="width:100%;border-collapse:collapse;'
        f'table-layout:fixed"><tr>{head}</tr>{body}</table><div style="opacity:.7;font-size:90%">{legend}</div></div>'
    )

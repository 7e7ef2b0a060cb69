"""One latent as a record that leaves the index: what the exporters write and the importers give back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from saelab.errors import SaelabError, check_latents
from saelab.frames import TextFrame
from saelab.index.examples import Found
from saelab.index.firings import Firings
from saelab.index.passages import around
from saelab.index.queries import Queries
from saelab.index.storage.digits import shortest


@dataclass(frozen=True)
class Example:
    """A stretch of text with the latent's activation on every token.

    ``tokens``, ``token_ids`` (or None) and ``values`` have one entry per token; ``center`` is the token the
    example is about. ``extra`` keeps what a foreign file has beside these, so that it is not lost on the way
    through.
    """

    tokens: tuple[str, ...]
    values: tuple[float, ...]
    center: int
    token_ids: tuple[int, ...] | None = None
    doc: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.tokens)
        if len(self.values) != n or (self.token_ids is not None and len(self.token_ids) != n):
            ids = "no" if self.token_ids is None else len(self.token_ids)
            raise SaelabError(
                f"an example has {n} tokens, {len(self.values)} activations and {ids} token ids"
            )
        if not 0 <= self.center < n:
            raise SaelabError(f"an example of {n} tokens cannot be about token {self.center}")


@dataclass(frozen=True)
class LatentRecord:
    """What another tool's file says of one latent.

    ``groups`` are its examples by kind (``"top"``, ``"random"``, or a range of activations); ``facts`` the
    numbers, under the names of the file they came from.
    """

    latent: int | None
    groups: dict[str, tuple[Example, ...]]
    facts: dict[str, Any]

    def to_frame(self) -> pd.DataFrame:
        """One line per example: group, token, value, text, doc."""
        lines = [
            (group, e.tokens[e.center], e.values[e.center], "".join(e.tokens), e.doc)
            for group, examples in self.groups.items()
            for e in examples
        ]
        return TextFrame(lines, columns=["group", "token", "value", "text", "doc"])


def wanted(index: Queries, latents: Iterable[int] | None) -> list[int]:
    """``latents`` once each and in range; None: all."""
    return check_latents(range(index.d_sae) if latents is None else latents, index.d_sae)


def to_json(value: Any) -> str:
    """One line of JSON; NaN is refused: other readers cannot parse it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def examples(
    index: Queries, firings: Firings, found: Found, before: int, after: int
) -> Iterator[list[Example]]:
    """Latent by latent what was found with its neighbors; ``found.part`` is the number of its latent in ``firings``."""
    shown = around(index, firings, found.part, found.token, before, after)
    tokens, ids = tuple(index.vocab.labels(shown.ids)), tuple(shown.ids.tolist())
    values = tuple(shortest(shown.values).tolist())
    cuts, center, doc = shown.ptr.tolist(), shown.center.tolist(), index.rows.doc[shown.row].tolist()

    def example(i: int) -> Example:
        a, b = cuts[i], cuts[i + 1]
        return Example(tokens[a:b], values[a:b], center[i], ids[a:b], doc[i])

    return ([example(i) for i in range(a, b)] for a, b in found.each(len(firings)))

"""One latent as a record that leaves the index: what the exporters write and the importers give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from saelab.errors import SaelabError
from saelab.frames import TextFrame

if TYPE_CHECKING:
    from saelab.index.latent_index import LatentIndex


@dataclass(frozen=True)
class Example:
    """A stretch of text with the latent's activation on every token.

    ``tokens``, ``token_ids`` (or None) and ``values`` have one entry per token; ``centre`` is the token the
    example is about. ``extra`` keeps what a foreign file has beside these, so that it is not lost on the way
    through.
    """

    tokens: tuple[str, ...]
    values: tuple[float, ...]
    centre: int
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
        if not 0 <= self.centre < n:
            raise SaelabError(f"an example of {n} tokens cannot be about token {self.centre}")


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
        return TextFrame(
            [
                {
                    "group": group,
                    "token": e.tokens[e.centre],
                    "value": e.values[e.centre],
                    "text": "".join(e.tokens),
                    "doc": e.doc,
                }
                for group, examples in self.groups.items()
                for e in examples
            ],
            columns=["group", "token", "value", "text", "doc"],
        )


def example(index: LatentIndex, latent: int, token: int, before: int, after: int) -> Example:
    """The firing of ``latent`` at flat token index ``token`` with its neighbours."""
    ids, _, centre = index.window(token, before, after)
    low = token - centre
    where, value = index.postings(latent)
    a, b = np.searchsorted(where, [low, low + len(ids)])
    acts = np.zeros(len(ids), np.float32)
    acts[where[a:b] - low] = value[a:b]
    row, _ = index.rows.locate(token)
    return Example(
        tokens=tuple(index.vocab.labels(ids)),
        values=tuple(shortest(acts)),
        centre=centre,
        token_ids=tuple(ids.tolist()),
        doc=int(index.rows.doc[row]),
    )


def shortest(values: np.ndarray) -> list[float]:
    """float32 numbers as Python floats of the fewest digits that still give the same float32."""
    return [float(str(v)) for v in np.asarray(values, dtype=np.float32)]

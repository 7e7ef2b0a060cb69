"""One latent as a record that leaves the index: what the exporters write and the importers give back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelab.display import TextFrame
from saelab.errors import SaelabError
from saelab.index.examples import Found
from saelab.index.firings import Firings
from saelab.index.passages import around
from saelab.index.storage.digits import shortest

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


def examples(
    index: LatentIndex, firings: Firings, found: Found, before: int, after: int
) -> Iterator[list[Example]]:
    """Latent by latent what was found with its neighbours; ``found.part`` is the number of its latent in ``firings``."""
    shown = around(index, firings, found.part, found.token, before, after)
    tokens, ids = tuple(index.vocab.labels(shown.ids)), tuple(shown.ids.tolist())
    values = tuple(shortest(shown.values).tolist())
    cuts, centre, doc = shown.ptr.tolist(), shown.centre.tolist(), index.rows.doc[shown.row].tolist()

    def example(i: int) -> Example:
        a, b = cuts[i], cuts[i + 1]
        return Example(tokens[a:b], values[a:b], centre[i], ids[a:b], doc[i])

    return ([example(i) for i in range(a, b)] for a, b in found.each(len(firings)))

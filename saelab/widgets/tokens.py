"""Tokens as the widgets draw them, and as script-free HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saelab import display, models
from saelab.doors import door
from saelab.errors import SaelabError
from saelab.index.storage.vocab import Vocab
from saelab.models import HookedModel

HEAT = (245, 147, 33)  # the same orange as --sl-heat
FULL = 0.5  # opacity of the strongest: the text on it can be read on a light and on a dark background
_MARKS: dict[str, str] = {"\n": "↵\n", "\r": "␍", "\t": "⇥\t"}


@door
@dataclass(frozen=True)
class TokenText:
    """A text as tokens.

    Attributes
    ----------
    ids
        (n,) token ids.
    groups
        Runs ``(start, stop, text)`` of tokens that together are whole characters; most are one token long.
    labels
        (n,) one readable label per token, distinct where tokens are.
    special
        Positions that statistics leave out (BOS, padding): drawn grey.
    name
        What to call the text; empty for its number.
    """

    ids: tuple[int, ...]
    groups: tuple[tuple[int, int, str], ...]
    labels: tuple[str, ...]
    special: frozenset[int] = field(default_factory=frozenset)
    name: str = ""

    @classmethod
    def of_model(cls, model: HookedModel, ids: Sequence[int], name: str = "") -> TokenText:
        """Tokens of a model's vocabulary.

        Examples
        --------
        >>> ids = sl.models.tokenize(model, "The fox")
        >>> len(sl.widgets.TokenText.of_model(model, ids)) == len(ids)
        True
        """
        numbers = [int(i) for i in ids]
        groups, labels = models.token_groups(model, numbers), models.token_labels(model, numbers)
        special = models.special_ids(model)
        marked = frozenset(k for k, i in enumerate(numbers) if i in special)
        return cls(tuple(numbers), tuple(groups), tuple(labels), marked, name)

    @classmethod
    def of_vocab(cls, vocab: Vocab, ids: Sequence[int], name: str = "") -> TokenText:
        """Tokens of an index's vocabulary (:class:`saelab.index.storage.vocab.Vocab`): no model is needed.

        Examples
        --------
        >>> text = sl.widgets.TokenText.of_vocab(index.vocab, index.rows[0])
        >>> sorted(text.special)
        [0]
        """
        numbers = [int(i) for i in ids]
        groups, labels = vocab.characters(numbers), vocab.labels(numbers)
        marked = frozenset(k for k, i in enumerate(numbers) if i in vocab.special)
        return cls(tuple(numbers), tuple(groups), tuple(labels), marked, name)

    @classmethod
    def of_strings(cls, tokens: Sequence[str], ids: Sequence[int] | None = None, name: str = "") -> TokenText:
        """Tokens given as strings; their ids are their places when none are given.

        Examples
        --------
        >>> sl.widgets.TokenText.of_strings(["The", " fox"]).labels
        ('The', ' fox')
        """
        if isinstance(tokens, str):
            raise SaelabError("tokens must be a list of strings, one per token, got one string")
        numbers = range(len(tokens)) if ids is None else ids
        if len(numbers) != len(tokens):
            raise SaelabError(f"{len(tokens)} tokens but {len(numbers)} ids")
        # half a surrogate pair cannot be sent or written as UTF-8
        labels = tuple(str(t).encode("utf-8", "backslashreplace").decode() for t in tokens)
        groups = tuple((i, i + 1, t) for i, t in enumerate(labels))
        return cls(tuple(int(i) for i in numbers), groups, labels, name=name)

    def __len__(self) -> int:
        return len(self.ids)

    def to_dict(self) -> dict[str, Any]:
        """What the view takes; see ``TokenText`` in widgets/text.js.

        Examples
        --------
        >>> sl.widgets.TokenText.of_strings(["The", " fox"]).to_dict()
        {'ids': [0, 1], 'text': ['The', ' fox']}
        """
        texts, sizes = [text for *_, text in self.groups], [b - a for a, b, _ in self.groups]
        out: dict[str, Any] = {"ids": list(self.ids), **grouped(texts, sizes, self.labels)}
        if self.special:
            out["special"] = sorted(self.special)
        if self.name:
            out["name"] = self.name
        return out


def grouped(texts: list[str], sizes: list[int], labels: Sequence[str]) -> dict[str, Any]:
    """Text of each group; sizes and labels where these are not the same as one token and its text."""
    out: dict[str, Any] = {"text": texts}
    if len(texts) != len(labels):
        out["size"] = sizes
    odd, start = {}, 0
    for text, size in zip(texts, sizes, strict=True):
        for i in range(start, start + size):
            if labels[i] != text:
                odd[str(i)] = labels[i]
        start += size
    if odd:
        out["labels"] = odd
    return out


# ------------------------------------------------------------------------------------------ plain HTML


def escape(text: str) -> str:
    """Text for HTML. ``$`` and ``\\`` get an element of their own: no front end takes them for maths."""
    return display.escape(text).replace("\\", "<span>\\</span>")


def attribute(text: str) -> str:
    """Text for a quoted HTML attribute."""
    return html.escape(text, quote=True)


def spans(text: Mapping[str, Any], values: Iterable[float], high: float, *, low: float = 0.0) -> str:
    """Token spans with inline styles of what :meth:`TokenText.to_dict` gives.

    Shade is opacity of one hue, so it works on light and dark backgrounds.
    """
    numbers = np.asarray(list(values), dtype=np.float64)
    special = set(text.get("special", ()))
    sizes = text.get("size") or [1] * len(text["text"])
    out, start = [], 0
    for piece, size in zip(text["text"], sizes, strict=True):
        value = float(numbers[start : start + size].max(initial=0.0))  # NaN if one of them is
        shown = escape("".join(_MARKS.get(c) or c for c in piece))
        share = 0.0
        if value > low:
            share = min(1.0, 0.07 + 0.93 * (value - low) / (high - low)) if high > low else 1.0
        style = f"background-color:rgba({HEAT[0]},{HEAT[1]},{HEAT[2]},{FULL * share:.2f})" if share else ""
        if start in special:
            style = "opacity:.7"
        if np.isnan(value):
            style = "outline:1px dashed"  # neither silent nor active
        note = f' title="{value:.4g}"' if share or np.isnan(value) else ""
        look = f' style="{style}"{note}' if style else ""
        out.append(
            f'<bdi dir="ltr"{look}>{shown}</bdi>' if start in special else f"<span{look}>{shown}</span>"
        )
        start += size
    return "".join(out)


def frame(*parts: str) -> str:
    """A script-free fallback: parts under each other, with a line that says how to get the live widget."""
    body = "".join(f"<div>{part}</div>" for part in parts)
    # the classes keep MathJax away where a front end honours them; escape() is for those that do not
    return (
        f'<div class="tex2jax_ignore mathjax_ignore" style="max-width:72em">{body}'
        '<div style="opacity:.6;font-size:85%">Static picture. Run the cell for the live widget; if it stays away, '
        "sl.check_environment() says what is missing.</div></div>"
    )


MONO = "font-family:monospace;white-space:pre-wrap;line-height:1.7"

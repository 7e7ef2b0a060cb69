"""Text to token rows.

A row is one context of the model and never mixes documents: a document longer than the context is cut into
several rows, a shorter one makes a short row. Every row begins with BOS (when the model has one), so what
the model computes for a row is what it computes for that text alone, wherever it is asked again: in a
heatmap, in a probe, in a steered run.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saelab import identity
from saelab.display import facts_html
from saelab.errors import SaelabError, check_count, check_flag, check_model
from saelab.models.hooks import HookedModel, check_ids
from saelab.models.tokens import (
    Texts,
    beginning,
    context_length,
    default_bos,
    each_text,
    is_empty,
    special_ids,
    text_ids,
    vocabulary,
)

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


def parse_tokens(amount: int | float | str) -> int:
    """A token budget: ``2_000_000``, ``2e6`` or ``"2M"`` -> 2000000 (units K, M, B).

    >>> sl.models.parse_tokens("2M")
    2000000
    """
    if isinstance(amount, str):
        found = re.fullmatch(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([KkMmBb]?)\s*", amount)
        if not found:
            raise SaelabError(f"a token budget is a number such as 500_000 or '2M', got {amount!r}")
        # 1.001 * 10**6 is no whole float
        exact = Decimal(found[1].replace("_", "")) * _UNITS[found[2].upper()]
        amount = int(exact) if exact == int(exact) else float(exact)
    if isinstance(amount, bool) or not isinstance(amount, (int, float, np.integer)) or amount % 1 != 0:
        raise SaelabError(f"a token budget is a whole number of tokens, got {amount!r}")
    if amount < 1:
        raise SaelabError(f"a token budget must be at least 1, got {amount!r}")
    return int(amount)


class Batch(NamedTuple):
    """Some rows, padded on the right."""

    row: np.ndarray  # (B,) which rows
    ids: Tensor  # (B, T) long
    mask: Tensor  # (B, T) bool, True where a token is real
    flat: np.ndarray  # (B, T) int64 index into TokenRows.ids, -1 at padding


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Ragged token rows; see the module's docstring.

    Attributes
    ----------
    ids
        (n_tokens,) int32, all rows one after another.
    offsets
        (n_rows + 1,) int64, where each row begins.
    doc
        (n_rows,) int32, which document a row is of.
    start
        (n_rows,) int32, position in its document (in tokens) of the row's first token after BOS.
    bos
        Whether every row begins with BOS.
    vocabulary
        Digest of the vocabulary that the ids are of (:func:`saelab.models.vocabulary`); empty where it is not known.
    empty
        Documents without text (empty or None), which have no row.
    """

    ids: np.ndarray
    offsets: np.ndarray
    doc: np.ndarray
    start: np.ndarray
    bos: bool
    vocabulary: str = ""
    empty: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def _facts(self) -> identity.Facts:
        marks = {
            "tokenizer": lambda: identity.Mark(self.vocabulary),
            "text": lambda: identity.Mark(identity.digest(self.ids, self.offsets)),
        }
        return identity.Facts("these token rows", "rows", marks)

    def __repr__(self) -> str:
        return f"TokenRows({len(self):,} rows, {self.n_tokens:,} tokens)"

    def _repr_html_(self) -> str:
        length = np.diff(self.offsets)
        return facts_html(
            "Token rows",
            [
                ("rows", f"{len(self):,} of {len(np.unique(self.doc)):,} documents"),
                ("tokens", f"{self.n_tokens:,}"),
                ("length", f"{length.min()} to {length.max()} tokens" if len(self) else "no rows"),
                ("begin with BOS", "yes" if self.bos else "no"),
                *([("documents without text", f"{self.empty:,}")] if self.empty else []),
            ],
        )

    def __getitem__(self, row: int) -> np.ndarray:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} is out of range: there are {len(self)} rows")
        row %= len(self)
        return self.ids[self.offsets[row] : self.offsets[row + 1]]

    @property
    def n_tokens(self) -> int:
        """All tokens, BOS included."""
        return len(self.ids)

    def locate(self, token_index: Any) -> tuple[np.ndarray, np.ndarray]:
        """Row and position in it of flat token indices (any shape).

        >>> rows = sl.tokenize_texts(model, texts)
        >>> row, position = rows.locate(rows.offsets[2])
        >>> int(row), int(position)
        (2, 0)
        """
        token_index = np.asarray(token_index, dtype=np.int64)
        row = np.searchsorted(self.offsets, token_index, side="right") - 1
        return row, token_index - self.offsets[row]

    def distinct(self, of: np.ndarray | None = None) -> np.ndarray:
        """(n_rows,) number of each row's document, documents with the same tokens being one: copies are no evidence of
        their own. ``of`` (n_rows,) are other units, such as the rows themselves. Compared by 64 bits.

        >>> sl.tokenize_texts(model, ["The fox", "An ant", "The fox"]).distinct()
        array([0, 1, 0])
        """
        _, of_row = np.unique(self.doc if of is None else of, return_inverse=True)
        if not len(of_row):
            return of_row
        units, rows = int(of_row.max()) + 1, np.argsort(of_row, kind="stable")
        begin = np.searchsorted(of_row[rows], np.arange(units))
        first = np.minimum.reduceat(self.start[rows], begin)  # where in its document a unit begins
        hashed = np.empty(len(self), np.uint64)
        for a in range(0, len(self), 1 << 14):
            part = slice(a, min(a + (1 << 14), len(self)))
            ends = self.offsets[part.start : part.stop + 1] - self.offsets[a]
            place = np.arange(ends[-1]) - np.repeat(
                ends[:-1] - self.start[part] + first[of_row[part]], np.diff(ends)
            )
            ids = self.ids[self.offsets[a] : self.offsets[part.stop]].astype(np.uint64)
            x = (ids + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + place.astype(np.uint64) * np.uint64(
                0xD1B54A32D192ED03
            )
            # splitmix64, by Steele, Lea and Flood 2014
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            total = np.append(np.uint64(0), np.cumsum(x ^ (x >> np.uint64(31)), dtype=np.uint64))
            hashed[part] = total[ends[1:]] - total[ends[:-1]]
        _, at, same = np.unique(np.add.reduceat(hashed[rows], begin), return_index=True, return_inverse=True)
        number = np.argsort(np.argsort(at))  # in the order in which they first come
        return number[same][of_row]

    def batches(self, max_tokens: int = 8192) -> Iterator[Batch]:
        """Rows in groups of at most ``max_tokens`` padded tokens (at least one row), each group of similar
        lengths so that little is padding. The grouping depends only on the rows and ``max_tokens``.

        >>> rows = sl.tokenize_texts(model, texts)
        >>> sum(int(b.mask.sum()) for b in rows.batches()) == rows.n_tokens
        True
        """
        lengths = np.diff(self.offsets)
        # sorted by length inside a window only, so that memory-mapped rows are read about in order
        window = max(64, 16 * max_tokens // max(int(lengths.max(initial=1)), 1))
        for first in range(0, len(self), window):
            yield from self.batches_of(np.arange(first, min(first + window, len(self))), max_tokens)

    def batches_of(self, rows: np.ndarray, max_tokens: int) -> Iterator[Batch]:
        """The rows of these numbers, sorted by length, in groups as those of :meth:`batches`.

        >>> rows = sl.tokenize_texts(model, texts)
        >>> sum(len(b.row) for b in rows.batches_of(np.arange(3), 64))
        3
        """
        lengths = self.offsets[rows + 1] - self.offsets[rows]  # (n,)
        order = np.argsort(lengths, kind="stable")
        rows, lengths = rows[order], lengths[order]
        i = 0
        while i < len(rows):
            j = i + 1
            while j < len(rows) and lengths[j] * (j + 1 - i) <= max_tokens:
                j += 1
            yield self.batch(rows[i:j])
            i = j

    def batch(self, rows: np.ndarray | list[int]) -> Batch:
        """The given rows as one padded batch.

        >>> rows = sl.tokenize_texts(model, texts)
        >>> rows.batch([0, 1]).ids.shape[0]
        2
        """
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.offsets[rows + 1] - self.offsets[rows]  # (B,)
        width = int(lengths.max(initial=0))
        place = np.arange(width)[None, :]  # (1, T)
        mask = place < lengths[:, None]  # (B, T)
        flat = np.where(mask, self.offsets[rows][:, None] + place, -1)  # (B, T)
        ids = np.where(mask, self.ids[flat], 0)  # (B, T)
        return Batch(rows, torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(mask), flat)

    def cut(self, context: int) -> TokenRows:
        """Rows of at most ``context`` tokens: longer ones are cut, and each part begins with BOS if the row did.

        >>> rows = sl.tokenize_texts(model, texts)
        >>> int(np.diff(rows.cut(8).offsets).max())
        8
        """
        if int(np.diff(self.offsets).max(initial=0)) <= context:
            return self
        lead = int(self.bos)
        parts = [
            (int(doc), int(start) + begin, [*row[:lead], *row[lead:][begin : begin + context - lead]])
            for row, doc, start in zip(self, self.doc, self.start, strict=True)  # type: ignore[call-overload]
            for begin in range(0, max(len(row) - lead, 1), context - lead)
        ]
        return replace(rows_from(parts, self.bos, self.vocabulary), empty=self.empty)

    @classmethod
    def concatenate(cls, parts: list[TokenRows]) -> TokenRows:
        """Several sets of rows as one; their document numbers are taken as they are.

        >>> rows = sl.tokenize_texts(model, texts)
        >>> len(sl.models.TokenRows.concatenate([rows, rows])) == 2 * len(rows)
        True
        """
        if not parts:
            raise SaelabError("no rows to concatenate")
        if len({p.bos for p in parts}) > 1:
            raise SaelabError("cannot join rows that begin with BOS and rows that do not")
        identity.meet(*parts, only="tokenizer")  # the texts may well differ
        sizes = np.cumsum([0, *(p.n_tokens for p in parts)])
        return cls(
            np.concatenate([p.ids for p in parts]),
            np.concatenate([p.offsets[:-1] + n for p, n in zip(parts, sizes, strict=False)] + [sizes[-1:]]),
            np.concatenate([p.doc for p in parts]),
            np.concatenate([p.start for p in parts]),
            parts[0].bos,
            parts[0].vocabulary,
        )


def stream_rows(
    model: HookedModel, texts: Texts, *, context: int | None = None, bos: bool | None = None, skip: int = 0
) -> Iterator[tuple[int, int, list[int]]]:
    """Rows one at a time: (document number, start in it, ids). ``skip`` documents are passed over.

    >>> number, start, ids = next(sl.models.stream_rows(model, texts))
    """
    context = context_length(model) if context is None else _checked_context(model, context)
    bos = default_bos(model) if bos is None else bos
    first = beginning(model, bos)
    body = context - len(first)
    for number, text in enumerate(each_text(texts, model=model, endless=True)):
        if number < skip or is_empty(text):
            continue
        ids = text_ids(model, text, bos=bos, name="texts")
        ids = ids[1:] if bos and ids[0] == first[0] else ids
        for begin in range(0, len(ids), body):
            yield number, begin, [*first, *ids[begin : begin + body]]


def _checked_context(model: HookedModel, context: int) -> int:
    context, limit = check_count("context", context, None), context_length(model)
    if not 2 <= context <= limit:
        raise SaelabError(f"context must be between 2 and the model's {limit} tokens, got {context}")
    return context


def rows_from(parts: Iterable[tuple[int, int, list[int]]], bos: bool, vocabulary: str = "") -> TokenRows:
    """Collect the output of :func:`stream_rows`; ``vocabulary`` is that of its model.

    >>> len(sl.models.rows_from([(0, 0, [0, 5, 7])], bos=True))
    1
    """
    parts = list(parts)
    offsets = np.cumsum([0, *(len(ids) for _, _, ids in parts)], dtype=np.int64)
    ids = itertools.chain.from_iterable(ids for _, _, ids in parts)
    flat = np.fromiter(ids, dtype=np.int32, count=int(offsets[-1]))  # (tokens,)
    doc = np.array([d for d, _, _ in parts], dtype=np.int32)
    start = np.array([s for _, s, _ in parts], dtype=np.int32)
    return TokenRows(flat, offsets, doc, start, bos, vocabulary)


def tokenize_texts(
    model: HookedModel,
    texts: Texts,
    *,
    context: int | None = None,
    bos: bool | None = None,
    tokens: int | str | None = None,
) -> TokenRows:
    """Token rows of ``texts`` (see the module's docstring).

    Parameters
    ----------
    texts
        One text or many: strings (a list, an iterator, a column of a data set), token ids (a list, a list of lists,
        an array or a tensor of one or two axes, ``{"input_ids": …}``), or what :func:`saelab.generate` wrote. Ids are
        cut into rows as texts are, and a BOS they begin with counts once. Rows that were made before are taken
        whole, if they are of this model's tokenizer and agree with ``bos``, and cut where they are longer than
        ``context``.
    context
        Longest row in tokens, BOS included; None is the model's own limit.
    bos
        Begin every row with BOS; None means: if the tokenizer has one.
    tokens
        Stop after this many tokens (the last row is kept whole); None takes all texts, which must then end.

    Raises
    ------
    SaelabError
        If there is no text at all, an argument is out of range, or rows are of another tokenizer.

    >>> rows = sl.tokenize_texts(model, texts, context=16)
    >>> rows.bos
    True
    """
    check_model(model)
    bos = None if bos is None else check_flag("bos", bos)
    if isinstance(texts, TokenRows):
        checked_rows(model, texts, bos=bos)
        return texts if context is None else texts.cut(_checked_context(model, context))
    bos = default_bos(model) if bos is None else bos
    budget = None if tokens is None else parse_tokens(tokens)
    parts, seen, empty = [], 0, 0

    def watched() -> Iterator[Any]:
        nonlocal empty
        for text in each_text(texts, model=model, endless=budget is not None):
            empty += is_empty(text)
            yield text

    for part in stream_rows(model, watched(), context=context, bos=bos):
        parts.append(part)
        seen += len(part[2])
        if budget is not None and seen >= budget:
            break
    if not parts:
        raise SaelabError("there is no text: every document was empty, or the iterator was already used up")
    return replace(rows_from(parts, bos, vocabulary(model)), empty=empty)


def checked_rows(model: HookedModel, rows: TokenRows, *, bos: bool | None = None) -> TokenRows:
    """Rows that were made before, if the model can read them.

    >>> rows = sl.tokenize_texts(model, texts)
    >>> sl.models.checked_rows(model, rows) is rows
    True
    """
    if bos is not None and bos != rows.bos:
        raise SaelabError(f"bos={bos} was asked for, but these rows were made with bos={rows.bos}")
    longest, limit = int(np.diff(rows.offsets).max(initial=0)), context_length(model)
    if longest > limit:
        raise SaelabError(f"a row of {longest} tokens is longer than the model's context of {limit}")
    identity.meet(rows, model)
    check_ids(model, rows.ids)
    return rows


def valid_mask(model: HookedModel, ids: Any, mask: Any = None) -> Any:
    """True where statistics count: not padding, and not a special token, wherever it stands.

    Works on tensors and arrays of any shape and returns the same kind.

    >>> sl.models.valid_mask(model, torch.tensor([0, 5]))
    tensor([False,  True])
    """
    special = sorted(special_ids(model))
    if isinstance(ids, Tensor):
        keep = ~torch.isin(ids, torch.tensor(special, dtype=ids.dtype, device=ids.device))
    else:
        keep = ~np.isin(ids, special)
    return keep if mask is None else keep & mask

"""Stretches of text around firings, with the latent's activation on every token, for many firings at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from saelab.errors import check_count
from saelab.index.columns import Columns
from saelab.index.firings import Firings
from saelab.index.storage import windows
from saelab.index.storage.arrays import pointers, ranges

_MARGIN = 4  # tokens looked at on each side for where a character begins and ends
Groups = tuple[list[str], list[int]]  # text and number of tokens of each


@dataclass(frozen=True)
class Passages:
    """Some stretches of text.

    Attributes
    ----------
    row, start, center
        (E,) row of the index, position in it of the first token, and which of the tokens each is about.
    ptr
        (E + 1,) where each one's tokens begin in the next two.
    ids, values
        (M,) token ids and activations.
    groups
        Of stretches with tokens that are no text of their own, by the number of the stretch: text and length of the
        runs that together are whole characters. In all others every token is a run.
    """

    row: np.ndarray
    start: np.ndarray
    center: np.ndarray
    ptr: np.ndarray
    ids: np.ndarray
    values: np.ndarray
    groups: dict[int, Groups] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row)


def around(
    index: Columns,
    firings: Firings,
    which: np.ndarray,
    token: np.ndarray,
    before: int,
    after: int,
    *,
    characters: bool = False,
) -> Passages:
    """Up to ``before`` tokens, the token, up to ``after`` tokens, never beyond the row.

    Parameters
    ----------
    which
        (E,) number in ``firings`` of the latent that the activations are of.
    token
        (E,) flat token indices.
    characters
        Widen a stretch so that no character is cut in two, and find the groups.
    """
    before, after = check_count("before", before, 0), check_count("after", after, 0)
    rows = index.rows
    row, position = rows.locate(token)
    low, high = windows.bounds(rows, token, before, after)
    groups = _widened(index, row, low, high) if characters else {}
    begin, end = firings.between(which, low, high)
    sizes = high - low
    ptr = pointers(sizes)
    fires = ranges(begin, end - begin)
    values = np.zeros(int(ptr[-1]), np.float32)
    values[firings.token[fires] + np.repeat(ptr[:-1] - low, end - begin)] = firings.value[fires]
    start = position - (token - low)
    return Passages(row, start, token - low, ptr, rows.ids[ranges(low, sizes)], values, groups)


def _widened(index: Columns, row: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[int, Groups]:
    """Widen ``low`` and ``high`` in place to whole characters; the groups of stretches with tokens that are none."""
    rows, vocab = index.rows, index.vocab
    begin, end = rows.offsets[row], rows.offsets[row + 1]
    first, last = np.maximum(low - _MARGIN, begin), np.minimum(high + _MARGIN, end)
    sizes = last - first
    place, owner = ranges(first, sizes), np.repeat(np.arange(len(low)), sizes)
    all_ids = rows.ids[place]
    is_whole = vocab.whole(all_ids)
    # the token before may have begun a character
    inside = (place >= low[owner] - 1) & (place < high[owner])
    odd = np.unique(owner[inside & ~is_whole])
    ids, labels, whole = all_ids.tolist(), vocab.labels(all_ids), is_whole.tolist()
    cuts = pointers(sizes).tolist()
    out: dict[int, Groups] = {}
    for i, zero, a, b in zip(
        odd.tolist(), first[odd].tolist(), low[odd].tolist(), high[odd].tolist(), strict=True
    ):
        u, v = cuts[i], cuts[i + 1]
        names, own, line = ids[u:v], labels[u:v], whole[u:v]
        start, stop = _clean(line, a - zero, b - zero)
        if (start == 0 and zero != begin[i]) or (stop > v - u and last[i] != end[i]):  # a long way to go
            zero, whole_row = int(begin[i]), rows[int(row[i])]
            names, own, line = whole_row.tolist(), vocab.labels(whole_row), vocab.whole(whole_row).tolist()
            start, stop = _clean(line, a - zero, b - zero)
        zero += start
        pieces = vocab.characters_of(names[start:stop], own[start:stop], line[start:stop])
        kept = [g for g in pieces if zero + g[0] < b and zero + g[1] > a]
        low[i], high[i] = zero + kept[0][0], zero + kept[-1][1]
        out[i] = [text for *_, text in kept], [g[1] - g[0] for g in kept]
    return out


def _clean(whole: list[bool], start: int, stop: int) -> tuple[int, int]:
    """``start`` moved back to behind a token that is text of its own, ``stop`` moved on to behind the next such one.

    Behind such a token a character begins, however the one before it ended.
    """
    while start and not whole[start - 1]:
        start -= 1
    while stop < len(whole) and not whole[stop]:
        stop += 1
    return start, stop + 1

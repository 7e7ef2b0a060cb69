"""Where latents fire: strongest, random, and within ranges of activations; every text once, with its count.

All of it is about several latents at once; one latent is several of which there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from saelab.errors import SaelabError, check_count
from saelab.frames import TextFrame
from saelab.index.columns import Columns
from saelab.index.firings import Firings
from saelab.index.storage import windows
from saelab.index.storage.arrays import highest, pointers, stable_order
from saelab.index.storage.layout import AFTER, BEFORE

_KEPT = 1024  # most numbers in a draw that is remembered


class Found(NamedTuple):
    """Chosen firings: the number of the part each is of (ascending), flat token index, activation."""

    part: np.ndarray
    token: np.ndarray
    value: np.ndarray

    def each(self, parts: int) -> Iterable[tuple[int, int]]:
        """Where those of each of ``parts`` parts begin and end."""
        return pairwise(np.searchsorted(self.part, np.arange(parts + 1)).tolist())


@dataclass(frozen=True)
class Parts:
    """Firings in parts that examples are chosen from: all of a latent's, or those in a range of activations.

    Attributes
    ----------
    token, value
        (N,) int32 and float32, part after part, in each in the order of the text.
    ptr
        (P + 1,) where each part begins.
    before, after
        Tokens beside the firing one by which two texts are told apart.
    """

    index: Columns
    token: np.ndarray
    value: np.ndarray
    ptr: np.ndarray
    before: int = BEFORE
    after: int = AFTER

    @classmethod
    def whole(cls, index: Columns, firings: Firings, before: int = BEFORE, after: int = AFTER) -> Parts:
        """One part for each latent: all its firings."""
        longest = int(np.diff(index.rows.offsets).max(initial=0))  # no window reaches beyond its row
        before, after = (
            min(check_count("before", before, 0), longest),
            min(check_count("after", after, 0), longest),
        )
        return cls(index, firings.token, firings.value, firings.ptr, before, after)

    @classmethod
    def in_ranges(cls, index: Columns, firings: Firings, edges: np.ndarray) -> Parts:
        """For each latent, one part for each range between its ``edges`` (L, R + 1) ascending, strongest first.

        A range is open below. Each of the latent's activations lies above the first of its edges and not above the
        last.
        """
        n = edges.shape[1] - 1
        part = firings.owner * n
        for i, line in enumerate(edges):
            own = slice(int(firings.ptr[i]), int(firings.ptr[i + 1]))
            part[own] += n - np.clip(np.searchsorted(line, firings.value[own], side="left"), 1, n)
        order = stable_order(part)
        ptr = pointers(np.bincount(part, minlength=len(edges) * n))
        return cls(index, firings.token[order], firings.value[order], ptr)

    def between(self, low: float, high: float) -> Parts:
        """Of one part the firings with ``low <= value <= high``."""
        if not low <= high:
            raise SaelabError(f"an interval needs lo <= hi, got lo={low!r}, hi={high!r}")
        exact = self.value.astype(np.float64)
        inside = np.flatnonzero((exact >= low) & (exact <= high))
        ptr = np.array([0, len(inside)])
        return replace(self, token=self.token[inside], value=self.value[inside], ptr=ptr)

    def __len__(self) -> int:
        return len(self.ptr) - 1

    @cached_property
    def sizes(self) -> np.ndarray:
        """(P,) firings in each."""
        return np.diff(self.ptr)

    def keys(self, part: np.ndarray, place: np.ndarray | slice) -> np.ndarray:
        """(n,) uint64, equal for firings of one part with the same tokens around them."""
        token = self.token[place]
        if (self.before, self.after) == (BEFORE, AFTER):
            same = self.index.arrays["window"][token]
        else:
            same = windows.fingerprints(self.index.rows, token, self.before, self.after)
        return same ^ windows.mix(part.astype(np.uint64))

    @cached_property
    def _every_key(self) -> np.ndarray:
        return np.sort(self.keys(np.repeat(np.arange(len(self)), self.sizes), slice(None)))

    # ------------------------------------------------------------------------------------------- choosing

    def strongest(self, n: int, one_per_document: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Of each part the ``n`` highest values with different windows; equal values in order of the text.

        Returns part and place of each, parts ascending, highest first. With ``one_per_document`` a document is there
        with its highest value alone; one whose highest has the window of a higher one is not there.
        """

        def best(i: int, take: int) -> np.ndarray:
            return highest(self.value[self.ptr[i] : self.ptr[i + 1]], take)

        return self._different(check_count("n", n), best, one_per_document)

    def at_random(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each part ``n`` drawn evenly, with different windows, in the order they were drawn in."""

        def drawn(i: int, take: int) -> np.ndarray:
            size, first = int(self.sizes[i]), 4 * n + 64
            return _draw(size, min(size, first), seed, take > first)

        return self._different(check_count("n", n), drawn)

    def by_value(self, part: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What was chosen, highest first in each part."""
        order = np.lexsort((-self.value[place], part))
        return part[order], place[order]

    def found(self, part: np.ndarray, place: np.ndarray) -> Found:
        """What was chosen, for those who show it."""
        return Found(part, self.token[place].astype(np.int64), self.value[place])

    def copies(self, part: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(n,) how many firings of its part have the window of each chosen one."""
        mine = self.keys(part, place)
        return np.searchsorted(self._every_key, mine, "right") - np.searchsorted(self._every_key, mine)

    def _different(
        self, n: int, candidates: Callable[[int, int], np.ndarray], one_per_document: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first ``n`` of each part with different windows, sought among a few candidates, then among all."""
        parts, places, which = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], np.flatnonzero(self.sizes)
        for take in (4 * n + 64, 1 << 60):
            some = [self.ptr[i] + candidates(i, take) for i in which.tolist()]
            part = np.repeat(which, [len(s) for s in some])
            part, place = self._first_of_each(part, np.concatenate([places[0], *some]), n, one_per_document)
            missing = (np.bincount(part, minlength=len(self)) < n) & (self.sizes > take)
            enough = ~missing[part]
            parts.append(part[enough])
            places.append(place[enough])
            which = np.flatnonzero(missing)
        part, place = np.concatenate(parts), np.concatenate(places)
        order = np.argsort(part, kind="stable")
        return part[order], place[order]

    def _first_of_each(
        self, part: np.ndarray, place: np.ndarray, n: int, one_per_document: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of each part (ascending) the first ``n`` with different windows."""
        if one_per_document:
            row, _ = self.index.rows.locate(self.token[place])
            part, place = _firsts(np.stack([part, self.index.rows.doc[row]]), part, place)
        part, place = _firsts(self.keys(part, place), part, place)
        near = np.arange(len(part)) - np.searchsorted(part, part) < n
        return part[near], place[near]

    def frame(self, part: np.ndarray, place: np.ndarray) -> pd.DataFrame:
        """A line per chosen firing; ``count`` is how many firings of its part have its window."""
        index, (_, token, value) = self.index, self.found(part, place)
        row, position = index.rows.locate(token)
        where = {"token_index": token, "row": row, "position": position, "doc": index.rows.doc[row]}
        labels, around = (
            index.vocab.labels(index.rows.ids[token]),
            texts(index, token, self.before, self.after),
        )
        said = {"token": labels, "value": value, "text": around, "count": self.copies(part, place)}
        return TextFrame(where | said)


def _firsts(key: np.ndarray, *of: np.ndarray) -> tuple[np.ndarray, ...]:
    """What stands where each ``key`` (one number, or a column of several) is for the first time."""
    _, first = np.unique(key, return_index=True, axis=-1)
    first.sort()
    return tuple(values[first] for values in of)


def _draw(size: int, take: int, seed: int, whole: bool) -> np.ndarray:
    """``take`` of ``size`` places drawn without repeats; with ``whole`` all others after them."""
    if not whole and take <= _KEPT and isinstance(seed, int):
        return _remembered(size, take, seed)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(size, take, replace=False)
    return np.concatenate([drawn, rng.permutation(np.setdiff1d(np.arange(size), drawn))]) if whole else drawn


@lru_cache(4096)  # at most 32 MB
def _remembered(size: int, take: int, seed: int) -> np.ndarray:
    """Making a generator takes longer than drawing: parts of one size share their draw."""
    return np.random.default_rng(seed).choice(size, take, replace=False)


def texts(index: Columns, token: np.ndarray, before: int = BEFORE, after: int = AFTER) -> list[str]:
    """Text around each of the flat token indices ``token``, BOS left out."""
    row, _ = index.rows.locate(token)
    low, high = windows.bounds(index.rows, token, before, after)
    low += index.rows.bos & (low == index.rows.offsets[row]) & (low < token)  # BOS is no text
    ids = index.rows.ids
    return [index.vocab.decode(ids[a:b]) for a, b in zip(low, high, strict=True)]

"""Where a latent fires: strongest, random, and within a range of activations; every text once, with its
count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from saelab.errors import SaelabError, check_count
from saelab.frames import TextFrame
from saelab.index import windows
from saelab.index.arrays import highest
from saelab.index.layout import AFTER, BEFORE

if TYPE_CHECKING:
    from saelab.index.queries import Queries

COLUMNS = ["token_index", "row", "position", "doc", "token", "value", "text", "count"]


class Examples:
    """The postings of one latent (perhaps only a part of them) with the fingerprints of their windows."""

    def __init__(self, index: Queries, token: np.ndarray, value: np.ndarray, before: int, after: int):
        self.index, self.token, self.value = index, token, value
        self.before, self.after = check_count("before", before, 0), check_count("after", after, 0)

    def fingerprint(self, which: np.ndarray | slice) -> np.ndarray:
        """(n,) fingerprints of the chosen postings' windows."""
        token = self.token[which]
        if (self.before, self.after) == (BEFORE, AFTER):
            return self.index.arrays["window"][token]
        return windows.fingerprints(self.index.rows, token, self.before, self.after)

    def strongest(self, n: int) -> np.ndarray:
        """Places of the ``n`` highest values with different windows; equal values in order of the text."""
        take = 4 * n + 64
        while True:
            best = highest(self.value, take)
            chosen = _first_of_each(best, self.fingerprint(best), n)
            if len(chosen) == n or take >= len(self.value):
                return chosen
            take *= 8

    def at_random(self, n: int, seed: int) -> np.ndarray:
        """Places of ``n`` postings drawn evenly, with different windows."""
        rng, size = np.random.default_rng(seed), len(self.value)
        take = min(size, 4 * n + 64)
        drawn = rng.choice(size, take, replace=False) if size else np.zeros(0, np.int64)
        chosen = _first_of_each(drawn, self.fingerprint(drawn), n)
        if len(chosen) < n and take < size:
            drawn = np.concatenate([drawn, rng.permutation(np.setdiff1d(np.arange(size), drawn))])
            chosen = _first_of_each(drawn, self.fingerprint(drawn), n)
        return chosen

    def frame(self, chosen: np.ndarray) -> pd.DataFrame:
        """A line per chosen posting; ``count`` is how many of all these postings have its window."""
        index, token = self.index, self.token[chosen].astype(np.int64)
        row, position = index.rows.locate(token)
        low, high = windows.bounds(index.rows, token, self.before, self.after)
        low += index.rows.bos & (low == index.rows.offsets[row]) & (low < token)  # BOS is no text
        ids, vocab = index.rows.ids, index.vocab
        return TextFrame(
            {
                "token_index": token,
                "row": row,
                "position": position,
                "doc": index.rows.doc[row],
                "token": vocab.labels(ids[token]),
                "value": self.value[chosen],
                "text": [vocab.decode(ids[a:b]) for a, b in zip(low, high, strict=True)],
                "count": self._copies(chosen),
            },
            columns=COLUMNS,
        )

    def _copies(self, chosen: np.ndarray) -> np.ndarray:
        if len(chosen) == 0:
            return np.zeros(0, np.int64)
        mine = self.fingerprint(chosen)
        order = np.argsort(mine)
        every = self.fingerprint(slice(None))
        place = np.minimum(np.searchsorted(mine[order], every), len(mine) - 1)
        counts = np.bincount(place[mine[order][place] == every], minlength=len(mine))
        out = np.empty(len(mine), np.int64)
        out[order] = counts
        return out


def _first_of_each(place: np.ndarray, kind: np.ndarray, n: int) -> np.ndarray:
    _, first = np.unique(kind, return_index=True)
    return place[np.sort(first)[:n]]


def top(index: Queries, latent: int, n: int, before: int, after: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.top`."""
    all_of_it = Examples(index, *index.postings(latent), before, after)
    return all_of_it.frame(all_of_it.strongest(check_count("n", n)))


def random(index: Queries, latent: int, n: int, seed: int, before: int, after: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.random`."""
    all_of_it = Examples(index, *index.postings(latent), before, after)
    return all_of_it.frame(all_of_it.at_random(check_count("n", n), seed))


def interval(
    index: Queries,
    latent: int,
    lo: float | None,
    hi: float | None,
    n: int,
    seed: int,
    before: int,
    after: int,
) -> pd.DataFrame:
    """See :meth:`LatentIndex.interval`."""
    low, high = (0.0 if lo is None else float(lo)), (np.inf if hi is None else float(hi))
    if not low <= high:
        raise SaelabError(f"an interval needs lo <= hi, got lo={lo!r}, hi={hi!r}")
    token, value = index.postings(latent)
    exact = value.astype(np.float64)
    inside = (exact >= low) & (exact <= high)
    part = Examples(index, token[inside], value[inside], before, after)
    chosen = part.at_random(check_count("n", n), seed)
    return part.frame(chosen[np.argsort(-part.value[chosen], kind="stable")])

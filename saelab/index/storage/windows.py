"""The tokens around a position, and a fingerprint by which equal windows are found without comparing text."""

from __future__ import annotations

import numpy as np

from saelab.index.storage.layout import AFTER, BEFORE
from saelab.models.rows import TokenRows

_CHUNK = 1 << 18
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ / golden ratio


def bounds(rows: TokenRows, token: np.ndarray, before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last+1 flat index of the window around each position; a window never leaves its row."""
    row, _ = rows.locate(token)
    return np.maximum(token - before, rows.offsets[row]), np.minimum(token + after + 1, rows.offsets[row + 1])


def fingerprints(rows: TokenRows, token: np.ndarray, before: int = BEFORE, after: int = AFTER) -> np.ndarray:
    """(n,) uint64: equal for two positions whose windows hold the same ids at the same places.

    64 bits: among 10 million different windows the chance that any two agree is about 3 in a million.
    """
    out = np.empty(len(token), dtype=np.uint64)
    for i in range(0, len(token), _CHUNK):
        out[i : i + _CHUNK] = _hash(rows, np.asarray(token[i : i + _CHUNK], dtype=np.int64), before, after)
    return out


def _hash(rows: TokenRows, token: np.ndarray, before: int, after: int) -> np.ndarray:
    low, high = bounds(rows, token, before, after)
    h = np.zeros(len(token), dtype=np.uint64)
    for step in range(-before, after + 1):
        place = token + step
        inside = (place >= low) & (place < high)
        # 0 stands for "outside the row", so that an edge never equals a token
        value = np.where(inside, rows.ids[np.where(inside, place, token)].astype(np.int64) + 1, 0)
        h = mix(h * _ODD + value.astype(np.uint64))
    return h


def mix(h: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014): every input bit moves every output bit."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))

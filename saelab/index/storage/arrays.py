"""Arrays in files that grow, and small tools for compressed sparse rows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from saelab.errors import SaelabError


class GrowingArray:
    """A one-dimensional ``.npy`` file that is appended to; its header is brought up to date by :meth:`close`.

    ``keep`` goes on with an existing file after that many elements and drops what lies behind.
    """

    def __init__(self, path: Path, dtype: np.dtype | type, keep: int = 0):
        self.path, self.dtype, self.length = path, np.dtype(dtype), keep
        head = self._header()
        have = path.stat().st_size if path.exists() else 0
        if keep and have < len(head) + keep * self.dtype.itemsize:
            raise SaelabError(
                f"{path} is shorter ({have} bytes) than its journal says; remove the folder and build again"
            )
        self.file = path.open("r+b" if path.exists() else "w+b")
        self.file.write(head)
        self.file.truncate(len(head) + keep * self.dtype.itemsize)
        self.file.seek(0, os.SEEK_END)

    def _header(self) -> bytes:
        import io

        # NumPy leaves room in the header for the first axis to grow, so its length is the same for any length
        buffer = io.BytesIO()
        shape = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(buffer, shape)
        return buffer.getvalue()

    def append(self, values: np.ndarray) -> None:
        """Add values at the end."""
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def sync(self) -> None:
        """Force what was appended to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Finish the header and close."""
        if self.file.closed:
            return
        with self.file:  # also where the disk is full
            self.file.seek(0)
            self.file.write(self._header())
            self.sync()

    def __enter__(self) -> GrowingArray:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pointers(counts: np.ndarray) -> np.ndarray:
    """(n + 1,) int64, where each of the compressed rows of ``counts`` (n,) entries begins, and the last ends."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concatenation of ``arange(starts[i], starts[i] + counts[i])``: where compressed rows lie."""
    before = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) + np.repeat(starts - before, counts)


def blocks(ptr: np.ndarray, limit: int, first: int = 0, last: int | None = None):
    """Cut compressed rows ``first … last`` into ``(a, b)`` of at most ``limit`` entries, or one row."""
    last = len(ptr) - 1 if last is None else last
    a = first
    while a < last:
        b = int(np.searchsorted(ptr, ptr[a] + limit, side="right")) - 1
        b = min(max(b, a + 1), last)
        yield a, b
        a = b


def highest(score: np.ndarray, n: int) -> np.ndarray:
    """Places of the ``n`` highest scores, highest first, equal ones in order of place; -inf is left out."""
    border = np.partition(score, len(score) - n)[len(score) - n] if n < len(score) else -np.inf
    place = np.flatnonzero(score >= border if border > -np.inf else score > border)
    return place[np.argsort(-score[place], kind="stable")][:n]


def stable_order(keys: np.ndarray) -> np.ndarray:
    """Stable argsort of non-negative integers below 2³¹, by 16 bits at a time.

    NumPy's stable sort is a radix sort for 16-bit types and a merge sort, seven times slower, for wider ones.
    """
    if keys.dtype == np.uint16:
        return np.argsort(keys, kind="stable")
    order = np.argsort((keys & 0xFFFF).astype(np.uint16), kind="stable")
    return order[np.argsort((keys >> 16).astype(np.uint16)[order], kind="stable")]

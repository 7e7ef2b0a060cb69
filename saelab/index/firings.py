"""The posting lists of several latents one after another: what is asked about many latents at once is asked of
them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from saelab.index.columns import Columns
from saelab.index.storage.arrays import blocks, pointers, ranges

_LATENTS, _FIRINGS = 256, 1 << 18  # looked at together: bounds memory


@dataclass(frozen=True)
class Firings:
    """Where several latents fire.

    Attributes
    ----------
    latents
        (L,) which.
    ptr
        (L + 1,) where each one's firings begin in the other two.
    token, value
        (N,) flat token indices, ascending for each latent, and activations.
    """

    latents: np.ndarray
    ptr: np.ndarray
    token: np.ndarray
    value: np.ndarray
    n_tokens: int

    @classmethod
    def of(cls, index: Columns, latents: Sequence[int] | np.ndarray) -> Firings:
        """Those of ``latents`` (in range), in this order; of neighbors they are views of the files."""
        wanted = np.asarray(latents, dtype=np.int64)
        begin, count = index.arrays["post_ptr"][wanted], index.counts[wanted]
        place: slice | np.ndarray = (
            slice(int(begin[0]), int(begin[-1] + count[-1])) if len(wanted) else slice(0)
        )
        if (np.diff(wanted) != 1).any():
            place = ranges(begin, count)
        ptr = pointers(count)
        arrays = index.arrays
        return cls(wanted, ptr, arrays["post_token"][place], arrays["post_value"][place], index.n_tokens)

    @classmethod
    def groups(cls, index: Columns, latents: Sequence[int] | np.ndarray) -> Iterator[Firings]:
        """Those of many latents, a bounded number at a time."""
        wanted = np.asarray(latents, dtype=np.int64)
        for start in range(0, len(wanted), _LATENTS):
            part = wanted[start : start + _LATENTS]
            for a, b in blocks(pointers(index.counts[part]), _FIRINGS):
                yield cls.of(index, part[a:b])

    def __len__(self) -> int:
        return len(self.latents)

    @cached_property
    def owner(self) -> np.ndarray:
        """(N,) which of the latents each firing is of, by its place in ``latents``."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    @cached_property
    def _order(self) -> np.ndarray:
        return self.token if len(self) == 1 else self.owner * self.n_tokens + self.token

    def between(self, which: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the firings of latent number ``which`` (E,) on tokens ``low … high - 1`` begin and end."""
        ends = np.stack([low, high]) + which * (self.n_tokens if len(self) > 1 else 0)
        begin, end = np.searchsorted(self._order, ends.astype(self._order.dtype))
        return begin, end

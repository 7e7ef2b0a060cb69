"""Numbers in few digits, many at a time: the same as Python's and NumPy's own formatting of each."""

from __future__ import annotations

import numpy as np

_TEN = 10.0 ** np.arange(23)  # powers of ten that are exact in float64


def significant(value: np.ndarray, digits: int) -> np.ndarray:
    """``float(f"{v:.{digits}g}")`` of each of float32 numbers ``value``, as float64; NaN and infinity stay.

    In float64 a float32 number times 10ᵈ is exact up to d = 12, so that rounding it and dividing again rounds the
    decimal number itself, half to even, and gives the nearest float64. Other numbers are formatted one by one.
    """
    exact = np.asarray(value, dtype=np.float32).astype(np.float64)
    out, size = exact.copy(), np.abs(exact)
    place = np.flatnonzero((size >= 10.0 ** (digits - 12)) & (size < 10.0**digits))
    size = size[place]
    shift = digits - 1 - np.floor(np.log10(size)).astype(np.int64)
    shift -= size * _TEN[shift] >= _TEN[digits]  # the logarithm may be off by its last bit
    shift += size * _TEN[shift] < _TEN[digits - 1]
    simple = (shift >= 0) & (shift <= 12)
    place, shift = place[simple], shift[simple]
    rest = np.isfinite(exact) & (exact != 0)
    rest[place] = False
    out[place] = np.rint(exact[place] * _TEN[shift]) / _TEN[shift]
    for i in np.flatnonzero(rest).tolist():
        out[i] = float(f"{exact[i]:.{digits}g}")
    return out


def shortest(value: np.ndarray) -> np.ndarray:
    """float32 numbers as the float64 numbers of the fewest digits that still give the same float32."""
    exact = np.asarray(value, dtype=np.float32)
    whole = exact.astype(np.float64)
    there = np.flatnonzero(exact)  # most activations in a text are 0
    value = exact[there]
    out = significant(value, 6)  # whatever has fewer digits is found too
    for digits in (7, 8, 9):
        place = np.flatnonzero((out.astype(np.float32) != value) & np.isfinite(value))
        if not len(place):
            break
        out[place] = significant(value[place], digits)
    # beside a power of two the gaps differ, and the nearest of a length need not be the shortest that will do
    odd = (np.frexp(value)[0] == 0.5) | (np.abs(value) < np.finfo(np.float32).tiny)
    for i in np.flatnonzero(odd).tolist():
        out[i] = float(str(value[i]))
    whole[there] = out
    return whole

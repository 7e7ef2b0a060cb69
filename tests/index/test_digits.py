"""Digits of many numbers at once are those of Python's and NumPy's own formatting of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelab.index.storage.digits import shortest, significant

numbers = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=30)
AWKWARD = [
    0.0, -0.0, 1.0, 0.001, 0.01, 0.1, 9.9995, 9.99949, 99995, 0.00099995, 999949.0, 1e-4, 1.2345, 1.2355, 12345.0,
    12355.0, 2.5, 0.125, 16777216.0, 1e10, 3e38, 1e-38, 1e-45, 2**-20, 2.0**60, -7.25, 5e-9, 1e-8, 1.0000001,
]  # fmt: skip


@given(numbers, st.integers(1, 9))
def test_significant_digits(values, digits):
    exact = np.array(values, np.float32)
    want = [float(f"{v:.{digits}g}") for v in exact.astype(np.float64).tolist()]
    assert significant(exact, digits).tolist() == want


@given(numbers)
def test_shortest_digits(values):
    exact = np.array(values, np.float32)
    assert shortest(exact).tolist() == [float(str(v)) for v in exact]


@pytest.mark.parametrize("digits", range(1, 10))
def test_numbers_beside_powers_of_ten_and_two(digits):
    exact = np.array(AWKWARD, np.float32)
    exact = np.concatenate(
        [exact, np.nextafter(exact, np.float32(np.inf)), np.nextafter(exact, np.float32(0))]
    )
    exact = np.concatenate([exact, np.float32(2.0) ** np.arange(-149, 128, dtype=np.float32)])
    assert significant(exact, digits).tolist() == [float(f"{float(v):.{digits}g}") for v in exact]
    assert shortest(exact).tolist() == [float(str(v)) for v in exact]


def test_what_is_no_number_stays():
    for found in (
        significant(np.float32([np.nan, np.inf, -np.inf]), 4),
        shortest(np.float32([np.nan, np.inf])),
    ):
        assert np.isnan(found[0])
        assert found[1] == np.inf
    assert shortest(np.zeros(0, np.float32)).tolist() == []

"""95 % intervals of numbers that come from text. Tokens of one document are alike, so documents are what is counted, and
copies of one are one (:meth:`saelab.models.TokenRows.distinct`).

- :func:`of_sums`: any function of sums over tokens, by leaving out one document at a time (jackknife, Tukey 1958).
- :func:`of_shares`: how often something is so among tokens: Clopper and Pearson's interval at the number of independent
  tokens that would be as uncertain as these documents are (Korn and Graubard 1998), at most ``EVEN`` times their number:
  with no more than their number, recall's intervals covered 98 %.

An interval stands only where it holds: simulated on zoo and SmolLM2 text (``tests/evaluation/test_coverage.py``), those
that are shown cover in 0.90 to 0.98 of the cases. Below ``LEAST`` documents there is none, and none for a share with
fewer than ``FEW`` documents on either side. Metrics of a report take more (:class:`saelab.evaluation.metrics.Metric`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special  # scipy.stats takes half a second to import

LEAST = 20  # documents
FEW = 5  # documents with what is counted, and documents with what is not
EVEN = 2  # documents may be so much more alike than independent tokens: half of all recalls are, as an event is one firing
LEVEL = 0.95

Sums = Mapping[str, np.ndarray]
Interval = tuple[float, float]


def of_sums(sums: Sums, numbers: Callable[[Sums], Mapping[str, np.ndarray]]) -> dict[str, Interval]:
    """Intervals of numbers that are functions of sums.

    Parameters
    ----------
    sums
        name -> (documents,) sum over each document's tokens.
    numbers
        From sums (each of any one shape) to named numbers of that shape; NaN where one is undefined.

    Returns
    -------
    dict
        Numbers that stay defined whichever document is left out; nothing at all below ``LEAST`` documents.
    """
    n = len(next(iter(sums.values())))
    if n < LEAST:
        return {}
    whole = {name: np.asarray(values, np.float64).sum() for name, values in sums.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        here = numbers(whole)
        without = numbers({name: whole[name] - values for name, values in sums.items()})
    half = float(special.stdtrit(n - 1, (1 + LEVEL) / 2)) * np.sqrt(n - 1)
    out = {}
    for name, values in without.items():
        reach = half * float(np.std(values))  # NaN where one is
        if np.isfinite(reach):
            out[name] = (float(here[name]) - reach, float(here[name]) + reach)
    return out


def of_shares(
    hits: Any, tries: Any, squares: Any, products: Any, tries_squares: Any, documents: Any, with_hit: Any, with_miss: Any,
    once: Any = np.inf,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Intervals of shares hits / tries, (m,) each, NaN where none holds.

    Parameters
    ----------
    hits, tries
        Sums over all documents.
    squares, products, tries_squares
        Sums over documents of hits², hits · tries and tries².
    documents, with_hit, with_miss
        How many documents have a try, a hit, a try that is no hit.
    once
        The tries when each copy of a document is left out.
    """
    hits, tries, documents = (np.asarray(x, np.float64) for x in (hits, tries, documents))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / tries
        left = squares - 2 * share * products + share**2 * tries_squares  # sum of (hits - share · tries)²
        variance = documents / (documents - 1) * left / tries**2
        t = special.stdtrit(np.maximum(documents - 1, 1), (1 + LEVEL) / 2)
        size = (
            np.minimum(share * (1 - share) / variance, EVEN * np.minimum(tries, once))
            * (special.ndtri((1 + LEVEL) / 2) / t) ** 2
        )
        x, tail = share * size, (1 - LEVEL) / 2
        low = special.betaincinv(x, size - x + 1, tail)
        high = special.betaincinv(x + 1, size - x, 1 - tail)
    holds = (np.minimum(with_hit, with_miss) >= FEW) & np.isfinite(low) & np.isfinite(high)
    return np.where(holds, low, np.nan), np.where(holds, high, np.nan)


def of_share(hits: np.ndarray, tries: np.ndarray) -> Interval | None:
    """The interval of one share from each document's hits and tries, (documents,) each; None where none holds."""
    if len(tries) < LEAST:
        return None
    y, n = hits.astype(np.float64), tries.astype(np.float64)
    low, high = of_shares(
        y.sum(), n.sum(), (y * y).sum(), (y * n).sum(), (n * n).sum(), (n > 0).sum(), (y > 0).sum(), (n > y).sum()
    )  # fmt: skip
    return None if np.isnan(low) else (float(low), float(high))


def of_means(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Student's intervals of means (m,) over documents, values (documents, m); NaN below ``LEAST`` documents."""
    n = len(values)
    if n < LEAST:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing.copy()
    reach = float(special.stdtrit(n - 1, (1 + LEVEL) / 2)) * values.std(0, ddof=1) / np.sqrt(n)
    return values.mean(0) - reach, values.mean(0) + reach


def of_trials(hits: int, trials: int) -> Interval | None:
    """Wilson's interval (1927) of a share of independent trials, such as texts drawn one by one; None below ``LEAST``."""
    if trials < LEAST:
        return None
    z = float(special.ndtri((1 + LEVEL) / 2))
    share, scale = hits / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * float(np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)))
    # at the ends the formula is exactly 0 or 1; rounding must not leave 1e-19
    return (0.0 if hits == 0 else middle - half, 1.0 if hits == trials else middle + half)

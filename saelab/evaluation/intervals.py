"""Confidence intervals of ratios of sums, by resampling documents.

Tokens of one document are alike, so it is documents that are drawn, with replacement. Every number of a report
is a function of sums over tokens; the sums of a drawn set are the drawn documents' sums added up. The activations'
mean, which some sums are about, is held at its value in all documents: its own uncertainty is of a smaller order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Sums = Mapping[str, np.ndarray]
Interval = tuple[float, float]


def bootstrap(
    sums: Sums,
    numbers: Callable[[Sums], Mapping[str, np.ndarray]],
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals.

    Parameters
    ----------
    sums
        name -> (documents,) sum over each document's tokens.
    numbers
        From sums (each of any one shape) to named numbers of that shape; NaN where one is undefined.
    resamples, seed, level
        How many sets are drawn, from which seed, and the share of them an interval holds.

    Returns
    -------
    dict
        Only numbers that are defined in at least 95 % of the drawn sets; nothing at all for one document.
    """
    names = list(sums)
    table = np.stack([np.asarray(sums[n], np.float64) for n in names], 1)  # (documents, sums)
    documents = len(table)
    if documents < 2:
        return {}
    rng = np.random.default_rng(seed)
    step = max(1, (1 << 22) // documents)
    drawn = []
    for i in range(0, resamples, step):
        times = rng.multinomial(documents, np.full(documents, 1 / documents), size=min(step, resamples - i))
        drawn.append(times @ table)  # (sets, sums)
    total = np.concatenate(drawn)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = numbers({n: total[:, i] for i, n in enumerate(names)})
    out = {}
    for name, values in found.items():
        defined = values[np.isfinite(values)]
        if len(defined) >= 0.95 * resamples:
            low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
            out[name] = (float(low), float(high))
    return out

"""Statistics of latents, exact: from the full posting lists, summed in float64 when the index was made."""

from __future__ import annotations

import numpy as np

Z95 = 1.959963984540054  # 97.5 % point of the normal distribution


def wilson(hits: np.ndarray, n: int, z: float = Z95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval (1927) for a share of ``hits`` out of ``n``; NaN when ``n`` is 0.

    Unlike the normal approximation it never leaves 0…1 and says something about a latent that was never seen.
    """
    hits = np.asarray(hits, dtype=np.float64)
    if n == 0:
        nothing = np.full(hits.shape, np.nan)
        return nothing, nothing.copy()
    share, scale = hits / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # at the ends the formula is exactly 0 or 1; rounding must not leave 1e-19
    low = np.where(hits == 0, 0.0, np.maximum(middle - half, 0))
    return low, np.where(hits == n, 1.0, np.minimum(middle + half, 1))


def columns(n: np.ndarray, moments: np.ndarray, n_counted: int) -> dict[str, np.ndarray]:
    """What is known of each latent, (d_sae,) each.

    ``n`` (d_sae,) is how often each fires, ``moments`` (d_sae, 5) its sums of a, a², a³, a⁴ and its maximum.
    """
    s1, s2, s3, s4, largest = moments.T
    low, high = wilson(n, n_counted)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_sq = s2 / n_counted if n_counted else np.full(len(n), np.nan)
        fires = n > 0
        return {
            "n": n,
            "density": n / n_counted if n_counted else np.full(len(n), np.nan),
            "density_lo": low,
            "density_hi": high,
            "mean": np.where(fires, s1 / n, np.nan),
            "mean_sq": mean_sq,
            "skew": np.where(fires, s3 / n_counted / mean_sq**1.5, np.nan),
            "kurtosis": np.where(fires, s4 / n_counted / mean_sq**2, np.nan),
            "max": largest,
            "dead": ~fires,
        }


def histogram(value: np.ndarray, bins: int, log: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Edges (bins + 1) and counts (bins) of positive activations, from 0 or the smallest to the largest."""
    if len(value) == 0:
        return np.zeros(0), np.zeros(0, np.int64)
    exact = value.astype(np.float64)
    low, high = exact.min(), exact.max()
    if log and low == high:
        return np.array([low, high]), np.array([len(value)])
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(0, high, bins + 1)
    edges[-1] = high
    if log:
        edges[0] = low
    place = np.searchsorted(edges[1:-1], exact, side="right")
    return edges, np.bincount(place, minlength=bins)

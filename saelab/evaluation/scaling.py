"""How the loss falls with the number of latents n and of active latents k (Gao et al. 2024, §3.1):

    L(n, k) = exp(α + β_k log k + β_n log n + γ log k log n) + exp(ζ + η log k)

The second term is what no number of latents removes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.special import expit

from saelab.doors import door
from saelab.errors import SaelabError

NAMES = ("alpha", "beta_k", "beta_n", "gamma", "zeta", "eta")
_HOLD = 1e-9


@dataclass(frozen=True)
class ScalingLaw:
    """A fitted law; call it with n and k to predict a loss.

    Attributes
    ----------
    alpha, beta_k, beta_n, gamma, zeta, eta
        As in the module's formula, natural logarithms.
    error
        Root mean square of ``log(predicted / measured)`` over the points it was fitted to: 0.02 is about 2 %.
    left_out
        The same, each point predicted from a fit to all the others: what to expect of a new point between them.
    points
        The measurements: ``n``, ``k``, ``loss``, ``predicted``.

    Examples
    --------
    >>> law = sl.evaluation.fit_scaling([512, 1024, 2048, 4096] * 2, [8] * 4 + [32] * 4, [9, 8, 7, 6, 5, 4, 3, 2])
    >>> law(8192, 16) < law(512, 16)
    True
    """

    alpha: float
    beta_k: float
    beta_n: float
    gamma: float
    zeta: float
    eta: float
    error: float
    left_out: float
    points: pd.DataFrame

    def __call__(self, n: Any, k: Any) -> Any:
        values = np.array([getattr(self, name) for name in NAMES])  # (6,)
        found = np.exp(_predict(values, *(np.log(np.asarray(v, dtype=float)) for v in (n, k))))
        return float(found) if found.ndim == 0 else found

    @property
    def formula(self) -> str:
        """The law with its numbers, as text."""
        return (
            f"L(n, k) = exp({self.alpha:.3g} {self.beta_k:+.3g} log k {self.beta_n:+.3g} log n "
            f"{self.gamma:+.3g} log k log n) + exp({self.zeta:.3g} {self.eta:+.3g} log k)"
        )

    def __repr__(self) -> str:
        errors = f"error {self.error:.1%}, left out {self.left_out:.1%}"
        return f"{self.formula}   ({errors}, {len(self.points)} SAEs)"

    def plot(self) -> Any:
        """A plotly figure: loss against n, one line of the law for each k, the measurements as points.

        Examples
        --------
        >>> law = sl.evaluation.fit_scaling([512, 1024, 2048, 4096] * 2, [8] * 4 + [32] * 4, [9, 8, 7, 6, 5, 4, 3, 2])
        >>> len(law.plot().data)  # for each of two k a line and its points
        4
        """
        import plotly.graph_objects as go
        from plotly.colors import sample_colorscale

        from saelab.evaluation.comparison import style

        figure = go.Figure()
        ks = sorted(self.points["k"].unique())
        n = np.geomspace(self.points["n"].min(), self.points["n"].max(), 50)
        for k, ink in zip(ks, sample_colorscale("Viridis", np.linspace(0.15, 0.85, len(ks))), strict=True):
            part = self.points[self.points["k"] == k]
            figure.add_scatter(
                x=n, y=self(n, np.full(len(n), k)), mode="lines", line={"color": ink}, name=f"k = {k}",
                legendgroup=str(k), hoverinfo="skip",
            )  # fmt: skip
            figure.add_scatter(
                x=part["n"].tolist(), y=part["loss"].tolist(), mode="markers", showlegend=False,
                legendgroup=str(k), marker={"color": ink, "size": 9},
                hovertemplate=f"n %{{x}}, k {k}<br>loss %{{y:.4f}}<extra></extra>",
            )  # fmt: skip
        style(figure)
        figure.update_xaxes(type="log", title_text="latents n", tickvals=sorted(self.points["n"].unique()))
        figure.update_yaxes(type="log", title_text="fraction of variance unexplained")
        return figure


def _predict(values: np.ndarray, log_n: np.ndarray, log_k: np.ndarray) -> np.ndarray:
    """log L for each point."""
    a, bk, bn, g, z, e = values
    return np.logaddexp(a + bk * log_k + bn * log_n + g * log_k * log_n, z + e * log_k)


def _fit(log_n: np.ndarray, log_k: np.ndarray, log_loss: np.ndarray) -> np.ndarray:
    """(6,) the least squares of the logarithm, the best of several starts."""
    rng = np.random.default_rng(0)
    # around the middle of the data the six are almost independent
    mean_n, mean_k = (log_n.mean(), log_k.mean())
    n, k, middle = log_n - mean_n, log_k - mean_k, log_loss.mean()

    x = np.stack([np.ones_like(n), k, n, n * k], 1)  # (points, 4)
    # what the data do not determine; too weak to be seen in what they do
    hold = np.sqrt(_HOLD) * np.eye(6)[1:]

    def miss(v: np.ndarray) -> np.ndarray:
        return np.concatenate([_predict(v, n, k) - log_loss, hold @ v])

    def slope(v: np.ndarray) -> np.ndarray:
        share = expit(x @ v[:4] - x[:, :2] @ v[4:])[:, None]  # of the first term in the loss
        return np.vstack([np.hstack([share * x, (1 - share) * x[:, :2]]), hold])

    starts = [np.array([middle, -0.5, -0.2, 0.0, middle - depth, -0.1]) for depth in (0.5, 1.0, 2.0, 4.0)]
    starts += [s + rng.normal(size=6) * 0.4 for s in starts]
    how: dict[str, Any] = {"jac": slope, "method": "lm", "x_scale": "jac", "ftol": 1e-12, "xtol": 1e-10}
    fits = [least_squares(miss, start, **how) for start in starts]
    a, bk, bn, g, z, e = min(fits, key=lambda f: f.cost).x
    first = [a - bk * mean_k - bn * mean_n + g * mean_n * mean_k, bk - g * mean_n, bn - g * mean_k, g]
    return np.array([*first, z - e * mean_k, e])


@door
def fit_scaling(n: Sequence[int], k: Sequence[int], loss: Sequence[float]) -> ScalingLaw:
    """Fit the law to trained SAEs.

    Parameters
    ----------
    n, k, loss
        One number per SAE: latents, active latents, ``fvu`` of its report.
        At least eight SAEs, of two or more different n and k.

    Raises
    ------
    SaelabError
        For too few points, or losses that are not positive.

    Examples
    --------
    >>> law = sl.evaluation.fit_scaling([512, 1024, 2048, 4096] * 2, [8] * 4 + [32] * 4, [9, 8, 7, 6, 5, 4, 3, 2])
    >>> law.error < law.left_out
    True
    """
    n, k, loss = list(n), list(k), list(loss)
    if not len(n) == len(k) == len(loss):
        raise SaelabError(f"n, k and loss must be of one length, got {len(n)}, {len(k)} and {len(loss)}")
    points = pd.DataFrame({"n": n, "k": k, "loss": [float(x) for x in loss]})
    different = len(set(n)), len(set(k))
    if len(points) < 8 or min(different) < 2:
        raise SaelabError(
            f"six numbers are fitted: give at least 8 SAEs with 2 different n and k, got {len(points)} with "
            f"{different[0]} and {different[1]}"
        )
    if not all(x > 0 for x in [*n, *k, *loss]):
        raise SaelabError("n, k and loss must be positive")
    log_n, log_k, log_loss = (np.log(points[c].to_numpy(dtype=float)) for c in ("n", "k", "loss"))
    values = _fit(log_n, log_k, log_loss)
    predicted = _predict(values, log_n, log_k)
    left = []
    for i in range(len(points)):
        others = np.arange(len(points)) != i
        one = _fit(log_n[others], log_k[others], log_loss[others])
        left.append(_predict(one, log_n[i], log_k[i]) - log_loss[i])
    points["predicted"] = np.exp(predicted)
    error, left_out = (float(np.sqrt(np.mean(np.square(x)))) for x in (predicted - log_loss, left))
    named = dict(zip(NAMES, values.tolist(), strict=True))
    return ScalingLaw(**named, error=error, left_out=left_out, points=points)

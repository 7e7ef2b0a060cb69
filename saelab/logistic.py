"""Logistic regression: of one variable, for many variables at once, by Newton's method; and of several together."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def loss(score: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy in nats of scores (n, \\*) for labels ``y`` (n,) bool -> (\\*)."""
    sign = (2 * y.to(score) - 1).reshape(-1, *[1] * (score.ndim - 1))  # (n, 1…)
    return F.softplus(-sign * score).mean(0)


def single(z: Tensor, y: Tensor, *, steps: int = 60, ridge: float = 1e-6) -> tuple[Tensor, Tensor]:
    """The best ``sigmoid(w z + b)`` for every column of ``z`` by itself.

    Parameters
    ----------
    z
        (n, m).
    y
        (n,) bool.
    steps
        At most this many of Newton's; each is halved until the loss falls.
    ridge
        Weight of ``w² / 2`` (of the standardized column) beside the mean loss, so that a column that tells
        the classes apart without a mistake has a finite ``w``.

    Returns
    -------
    w, b
        (m,) each.
    """
    middle, spread = z.mean(0), z.std(0, correction=0)
    spread = torch.where(spread > 1e-6 * (1e-6 + middle.abs()), spread, 1.0)
    u = (z - middle) / spread  # (n, m)
    t = y.to(u)[:, None]  # (n, 1)
    w = u.new_zeros(u.shape[1])
    b = w + torch.logit(t.mean().clamp(1e-6, 1 - 1e-6))

    def value(u: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return loss(u * w + b, y) + ridge / 2 * w.square()  # (m,)

    now = value(u, w, b)
    for _ in range(steps):
        p = torch.sigmoid(u * w + b)  # (n, m)
        gw, gb = ((p - t) * u).mean(0) + ridge * w, (p - t).mean(0)
        p = p * (1 - p)
        hww, hwb, hbb = (p * u.square()).mean(0) + ridge, (p * u).mean(0), p.mean(0) + 1e-9
        det = (hww * hbb - hwb.square()).clamp_min(1e-12)
        dw, db = (hbb * gw - hwb * gb) / det, (hww * gb - hwb * gw) / det
        new = value(u, w - dw, b - db)
        for _ in range(8):
            worse = (new > now).nonzero()[:, 0]
            dw[worse], db[worse] = dw[worse] / 2, db[worse] / 2
            new[worse] = value(u[:, worse], (w - dw)[worse], (b - db)[worse])
        better = new < now
        w, b = torch.where(better, w - dw, w), torch.where(better, b - db, b)
        fell, now = now - torch.minimum(new, now), torch.minimum(new, now)
        if float(fell.max()) < 1e-6:
            break
    return w / spread, b - w * middle / spread


def several(x: Tensor, y: Tensor, *, ridge: float | None = None) -> tuple[Tensor, Tensor]:
    """One ``sigmoid(x · w + b)`` of all columns.

    ``x`` (n, d), ``y`` (n,) bool -> ``w`` (d,) and ``b`` (), float64. ``ridge`` weighs ``‖w‖² / 2`` (of
    standardized columns) beside the mean loss; None is 1 / n.
    """
    from scipy.optimize import minimize  # takes longer to import than the rest of the module
    from scipy.special import expit

    x = x.double()
    middle, spread = x.mean(0), x.std(0, correction=0)
    spread = torch.where(spread > 1e-12 * (1 + middle.abs()), spread, 1.0)
    u, t = ((x - middle) / spread).numpy(), y.double().numpy()
    weight = 1 / len(u) if ridge is None else ridge

    def value(v: np.ndarray) -> tuple[float, np.ndarray]:
        score = u @ v[:-1] + v[-1]
        off = (expit(score) - t) / len(u)  # (n,)
        cost = np.logaddexp(0, score).mean() - score @ t / len(u) + weight / 2 * v[:-1] @ v[:-1]
        return cost, np.append(u.T @ off + weight * v[:-1], off.sum())

    options = {"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-7}
    found = minimize(value, np.zeros(u.shape[1] + 1), jac=True, method="L-BFGS-B", options=options).x
    v = torch.from_numpy(found)
    return v[:-1] / spread, v[-1] - (v[:-1] * middle / spread).sum()

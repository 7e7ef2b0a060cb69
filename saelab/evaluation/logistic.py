"""Logistic regression by Newton's method: of one variable, for many variables at once, and of several together."""

from __future__ import annotations

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
        Weight of ``w² / 2`` (of the standardised column) beside the mean loss, so that a column that tells
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
    live = torch.arange(len(w), device=w.device)  # columns whose loss still falls

    def value(u: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return loss(u * w + b, y) + ridge / 2 * w.square()  # (m,)

    now = value(u, w, b)
    for _ in range(steps):
        v = u[:, live] if len(live) < len(w) else u  # (n, l)
        wl, bl, old = w[live], b[live], now[live]
        p = torch.sigmoid(v * wl + bl)  # (n, l)
        gw, gb = ((p - t) * v).mean(0) + ridge * wl, (p - t).mean(0)
        p = p * (1 - p)
        hwb, hbb = (p * v).mean(0), p.mean(0) + 1e-9
        hww = (p * v.square()).mean(0) + ridge
        det = (hww * hbb - hwb.square()).clamp_min(1e-12)
        dw, db = (hbb * gw - hwb * gb) / det, (hww * gb - hwb * gw) / det
        size, new = torch.ones_like(wl), value(v, wl - dw, bl - db)
        for _ in range(8):
            worse = (new > old).nonzero()[:, 0]
            if not len(worse):
                break
            size[worse] /= 2
            s = size[worse]
            new[worse] = value(v[:, worse], wl[worse] - s * dw[worse], bl[worse] - s * db[worse])
        size[new > old] = 0.0
        w[live], b[live], now[live] = wl - size * dw, bl - size * db, torch.minimum(new, old)
        live = live[old - new > 1e-6]
        if not len(live):
            break
    return w / spread, b - w * middle / spread


def several(x: Tensor, y: Tensor, *, steps: int = 30, ridge: float | None = None) -> tuple[Tensor, Tensor]:
    """One ``sigmoid(x · w + b)`` of all columns.

    ``x`` (n, d), ``y`` (n,) bool -> ``w`` (d,) and ``b`` (). ``ridge`` weighs ``‖w‖² / 2`` (of standardised
    columns) beside the mean loss; None is 1 / n.
    """
    x = x.double()
    middle, spread = x.mean(0), x.std(0, correction=0)
    spread = torch.where(spread > 1e-12 * (1 + middle.abs()), spread, 1.0)
    u = torch.cat([(x - middle) / spread, torch.ones_like(x[:, :1])], 1)  # (n, d + 1)
    t = y.double()
    penalty = torch.full_like(u[0], 1 / len(u) if ridge is None else ridge)  # (d + 1)
    penalty[-1] = 1e-9
    w = torch.zeros_like(u[0])

    def value(w: Tensor) -> Tensor:
        return loss(u @ w, y) + (penalty * w * w).sum() / 2

    now = value(w)
    for _ in range(steps):
        p = torch.sigmoid(u @ w)  # (n,)
        gradient = u.T @ (p - t) / len(u) + penalty * w  # (d + 1)
        hessian = (u * (p * (1 - p))[:, None]).T @ u / len(u) + torch.diag(penalty)  # (d + 1, d + 1)
        step = torch.linalg.solve(hessian, gradient)
        size = 1.0
        while (new := value(w - size * step)) > now and size > 1e-4:
            size /= 2
        if new > now:
            break
        w, fell, now = w - size * step, float(now - new), new
        if fell < 1e-9:
            break
    return w[:-1] / spread, w[-1] - (w[:-1] * middle / spread).sum()

"""Latents in the plane: by neighbors, PCA or UMAP of their directions."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab.errors import SaelabError, check_choice
from saelab.index.columns import Columns

METHODS = ("neighbors", "pca", "umap")
_MOST = 20_000  # directions whose neighbors are looked for: the time grows with the square
_NEAR, _EPOCHS, _AWAY = 12, 200, 4
_ROWS = 1 << 14  # directions looked at together: bounds memory


def default_method(d_sae: int) -> str:
    """UMAP where it is installed, else neighbors; PCA where there are too many latents for these."""
    return "umap" if importlib.util.find_spec("umap") else "neighbors" if d_sae <= _MOST else "pca"


def positions(index: Columns, method: str, by: str, seed: int) -> pd.DataFrame:
    check_choice("method", method, METHODS)
    check_choice("by", by, ("decoder", "encoder"))
    if method == "umap" and not importlib.util.find_spec("umap"):
        raise SaelabError(
            "method='umap' needs the package umap-learn (pip install umap-learn); or use 'neighbors'"
        )
    sae = index.need_sae(f"positions(by={by!r})")
    table = (sae.W_dec if by == "decoder" else sae.W_enc.T).detach()  # (d_sae, d)
    good = (table.norm(dim=1) > 0).nonzero()[:, 0]  # (n)
    attrs: dict[str, object] = {"method": method, "by": by}
    if len(good) < 3:
        place = np.zeros((len(good), 2))
    elif method == "pca":
        place, attrs["explained"] = _pca(table, good)
    elif method == "umap":
        place = _umap(table, good, seed)
    else:
        place = _by_neighbors(_unit(table, good).cpu(), _pca(table, good)[0], seed)
    out = np.full((len(table), 2), np.nan, dtype=np.float32)
    out[good.cpu().numpy()] = _fitted(place)
    frame = pd.DataFrame(out, columns=["x", "y"], index=pd.RangeIndex(len(out), name="latent"))
    frame.attrs.update(attrs)
    return frame


def _unit(table: Tensor, rows: Tensor) -> Tensor:
    part = table[rows].float()  # (n, d)
    return part / part.norm(dim=1, keepdim=True)


def _pca(table: Tensor, good: Tensor) -> tuple[np.ndarray, list[float]]:
    """Two directions of most variance of the unit directions, from their (d, d) covariance."""
    d = table.shape[1]
    total = torch.zeros(d, dtype=torch.float64)
    squares = torch.zeros(d, d, dtype=torch.float64)
    for rows in good.split(_ROWS):
        x = _unit(table, rows).double().cpu()  # (n, d)
        total += x.sum(0)
        squares += x.T @ x
    mean = total / len(good)  # (d)
    covariance = squares / len(good) - mean.outer(mean)  # (d, d)
    value, vector = torch.linalg.eigh(covariance)
    # (d, 2)
    axes = vector[:, [-1, -2]] if d > 1 else torch.cat([vector, torch.zeros(1, 1, dtype=vector.dtype)], 1)
    largest = axes.abs().argmax(0)
    axes = axes * axes[largest, torch.arange(2)].sign()  # a sign of its own, or two runs may be mirrored
    place = [(_unit(table, rows).double().cpu() - mean) @ axes for rows in good.split(_ROWS)]
    shares = value.clamp(min=0).flip(0)[:2] / value.clamp(min=0).sum().clamp(min=1e-30)
    return torch.cat(place).numpy(), shares.tolist()


def _by_neighbors(x: Tensor, begin: np.ndarray, seed: int) -> np.ndarray:
    """Places (n, 2) where directions ``x`` (n, d) that are alike are near: each is drawn to its nearest by cosine and
    pushed away from others that are drawn at random, the steps growing smaller (after UMAP: McInnes, Healy and
    Melville 2018, with the kernel 1 / (1 + distance²))."""
    if len(x) > _MOST:
        raise SaelabError(f"method='neighbors' takes up to {_MOST:,} latents, got {len(x):,}; use 'pca'")
    near = min(_NEAR, len(x) - 1)
    found = []
    for rows in torch.arange(len(x)).split(1024):
        alike = x[rows] @ x.T
        alike[torch.arange(len(rows)), rows] = -2.0
        found.append(alike.topk(near).indices)
    one = torch.arange(len(x)).repeat_interleave(near)  # (n · near)
    two = torch.cat(found).flatten()
    draw = torch.Generator().manual_seed(seed)
    y = torch.tensor(begin, dtype=torch.float32)
    y = 5 * y / y.std().clamp(min=1e-9) + 1e-3 * torch.randn(y.shape, generator=draw)
    for epoch in range(_EPOCHS):
        rate = 1 - epoch / _EPOCHS
        apart = y[one] - y[two]
        pull = (-2 / (1 + apart.square().sum(1, keepdim=True)) * apart).clamp(-4, 4)
        move = torch.zeros_like(y).index_add_(0, one, pull).index_add_(0, two, -pull)
        for _ in range(_AWAY):
            other = torch.randint(len(y), (len(one),), generator=draw)
            apart = y[one] - y[other]
            far = apart.square().sum(1, keepdim=True)
            move.index_add_(0, one, (2 / ((0.01 + far) * (1 + far)) * apart).clamp(-4, 4))
        y += rate * move / near
    return y.double().numpy()


def _umap(table: Tensor, good: Tensor, seed: int) -> np.ndarray:
    import warnings

    import umap  # type: ignore[import-not-found]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "n_jobs overridden to 1 by setting random_state"
        made = umap.UMAP(metric="cosine", random_state=seed, n_neighbors=min(15, len(good) - 1))
        return np.asarray(made.fit_transform(_unit(table, good).cpu().numpy()), dtype=np.float64)


def _fitted(place: np.ndarray) -> np.ndarray:
    """Moved and scaled, both axes alike, to lie in -1 … 1."""
    if len(place) == 0:
        return place
    low, high = place.min(0), place.max(0)
    size = float((high - low).max()) or 1.0
    return (place - (low + high) / 2) * (2 / size)

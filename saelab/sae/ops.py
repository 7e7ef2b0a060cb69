"""Sparse kernels in plain torch: no dense (rows, d_sae) array is made for what is mostly zeros.

The weight gradient of a sparse decoder is itself a sparse-times-dense product with rows and latents swapped;
sorting the active entries by latent turns it into an ``embedding_bag``, many times faster than ``index_add_``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_rows(table: Tensor, indices: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Sum of ``weights[j] * table[indices[j]]`` over each segment.

    ``table`` (n, d), ``indices`` and ``weights`` (nnz,), ``offsets`` (segments + 1,) -> (segments, d).
    """
    if len(offsets) == 1:
        return table.new_zeros(0, table.shape[1])
    return F.embedding_bag(
        indices, table, offsets, per_sample_weights=weights.to(table.dtype), mode="sum", include_last_offset=True
    )


def row_dots(table: Tensor, indices: Tensor, rows: Tensor, other: Tensor, chunk: int = 1 << 17) -> Tensor:
    """``table[indices[j]] . other[rows[j]]`` for each j: (nnz,)."""
    if len(indices) == 0:
        return other.new_zeros(0)
    if table.device.type == "cpu" and table.dtype == torch.float32 == other.dtype:
        # the kernel behind embedding_bag's gradient: it gathers and multiplies without a (nnz, d) copy
        counts_from = torch.searchsorted(rows, torch.arange(len(other)))
        return torch.ops.aten._embedding_bag_per_sample_weights_backward(
            other, table, indices, counts_from, rows, 0
        )
    parts = [
        (table[indices[i : i + chunk]] * other[rows[i : i + chunk]]).sum(-1)
        for i in range(0, len(indices), chunk)
    ]
    return torch.cat(parts)


def by_latent(indices: Tensor, d_sae: int) -> tuple[Tensor, Tensor]:
    """Order that groups active entries by latent, and each latent's segment: ((nnz,), (d_sae + 1,))."""
    ordered, order = indices.sort(stable=True)
    return order, torch.searchsorted(ordered, torch.arange(d_sae + 1, device=indices.device))

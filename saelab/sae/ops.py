"""Sparse kernels in plain torch: no dense (rows, d_sae) array is made for what is mostly zeros.

The weight gradient of a sparse decoder is itself a sparse-times-dense product with rows and latents
swapped; sorting the active entries by latent turns it into an ``embedding_bag``, many times faster than
``index_add_``."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 8  # columns in a group of top_columns: wider ones cost more in the second stage, narrower ones in the first


def weighted_rows(table: Tensor, indices: Tensor, offsets: Tensor, weights: Tensor) -> Tensor:
    """Sum of ``weights[j] * table[indices[j]]`` over each segment.

    ``table`` (n, d), ``indices`` and ``weights`` (nnz,), ``offsets`` (segments + 1,) -> (segments, d).
    """
    if len(offsets) == 1:
        return table.new_zeros(0, table.shape[1])
    return F.embedding_bag(
        indices,
        table,
        offsets,
        per_sample_weights=weights.to(table.dtype),
        mode="sum",
        include_last_offset=True,
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


def paired_dots(a: Tensor, b: Tensor, chunk: int = 2048) -> Tensor:
    """Dot product of each row of ``a`` with the same row of ``b``: (n, d), (n, d) -> (n, 1).

    In chunks: a (n, d) product made and thrown away costs more than the sums."""
    return torch.cat(
        [(x * y).sum(1, keepdim=True) for x, y in zip(a.split(chunk), b.split(chunk), strict=True)]
    )


def top_columns(table: Tensor, k: int) -> Tensor:
    """Where the k largest of each row are, in no particular order: (rows, columns) -> (rows, k).

    Wide rows on a CPU are searched in stages: the k largest lie in the k column groups with the largest maxima,
    those maxima are searched in the same way, and a maximum over strided groups is one fast pass; columns that no group
    has are looked at as they are. Where equal values straddle the cut, which of them is taken is not defined, as for
    ``Tensor.topk``."""
    rows, columns = table.shape
    if not rows or table.device.type != "cpu":
        return table.topk(k, dim=-1, sorted=False).indices
    if columns < 3 * GROUP * max(k, 1):
        return _rank(table).topk(k, dim=-1, sorted=False).indices  # (rows, k)
    stride = columns // GROUP
    grouped = table[:, : GROUP * stride].unflatten(1, (GROUP, stride))
    groups = top_columns(grouped.amax(1), k)  # (rows, k)
    members = groups[:, None, :] + torch.arange(0, GROUP * stride, stride)[None, :, None]  # (rows, GROUP, k)
    rest = torch.arange(GROUP * stride, columns).expand(rows, -1)
    members = torch.cat([members.flatten(1), rest], 1)
    place = _rank(table.gather(1, members)).topk(k, dim=-1, sorted=False).indices  # (rows, k)
    return members.gather(1, place)


def best_of(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row of two (values, ids), (rows, m) and (rows, n) each."""
    values, ids = torch.cat([a[0], b[0]], 1), torch.cat([a[1], b[1]], 1)
    values, place = values.topk(min(k, values.shape[1]), dim=-1, sorted=False)
    return values, ids.gather(1, place)


def _rank(values: Tensor) -> Tensor:
    """Whole numbers in the order of the floating-point ``values``, which are found in two thirds of the time: a
    comparison need not ask for NaN. The bits of a positive number are in order already, those of a negative one
    backwards."""
    whole = {2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
    bits = values.view(whole)
    return bits ^ ((bits >> (8 * values.element_size() - 1)) & torch.iinfo(whole).max)


def by_latent(indices: Tensor, d_sae: int) -> tuple[Tensor, Tensor]:
    """Order that groups active entries by latent, and each latent's segment: ((nnz,), (d_sae + 1,))."""
    ordered, order = indices.sort(stable=True)
    return order, torch.searchsorted(ordered, torch.arange(d_sae + 1, device=indices.device))


class Entries:
    """Places in a (rows, d_sae) array that are worked on, row after row.

    Attributes
    ----------
    rows, indices
        (nnz,) int64 row and latent of each place.
    shape
        (number of rows, d_sae).
    """

    # share of all places from which on dense products cost less than gathering (an estimate; both give the same numbers)
    DENSE = 0.06

    def __init__(self, rows: Tensor, indices: Tensor, shape: tuple[int, int]):
        self.rows, self.indices, self.shape = rows, indices, shape

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dense(self) -> bool:
        """Whether so many places are taken that dense matrix products are the better way."""
        return len(self.rows) > self.DENSE * self.shape[0] * self.shape[1]

    def at(self, some: Tensor) -> Entries:
        """Some of them, in their order."""
        return Entries(self.rows[some], self.indices[some], self.shape)

    @functools.cached_property
    def offsets(self) -> Tensor:
        """(rows + 1,) where each row begins."""
        return torch.searchsorted(self.rows, torch.arange(self.shape[0] + 1, device=self.rows.device))

    @functools.cached_property
    def by_latent(self) -> tuple[Tensor, Tensor, Tensor]:
        """(order (nnz,), rows in that order (nnz,), where each latent begins (d_sae + 1,))."""
        order, segments = by_latent(self.indices, self.shape[1])
        return order, self.rows[order], segments

    def fill(self, values: Tensor) -> Tensor:
        """(nnz,) -> (rows, d_sae) with zeros elsewhere."""
        out = values.new_zeros(self.shape)
        out[self.rows, self.indices] = values
        return out

    @classmethod
    def per_row(cls, indices: Tensor, d_sae: int) -> Entries:
        """The same number of places in each row: ``indices`` (rows, k)."""
        rows, k = indices.shape
        entries = cls(
            torch.arange(rows, device=indices.device).repeat_interleave(k), indices.reshape(-1), (rows, d_sae)
        )
        entries.offsets = torch.arange(0, rows * k + 1, max(k, 1), device=indices.device)[: rows + 1]
        return entries


class Places(NamedTuple):
    """Places that were found in a (rows, d_sae) array, and what stands there: (nnz,) each."""

    rows: Tensor
    indices: Tensor
    values: Tensor

    @classmethod
    def where(cls, mask: Tensor, values: Tensor, row: int = 0, latent: int = 0) -> Places:
        """Where ``mask`` is true in a tile that begins at ``row`` and ``latent``; ``values`` has its shape."""
        rows, indices = mask.nonzero(as_tuple=True)
        found = values[rows, indices]
        return cls(rows + row if row else rows, indices + latent if latent else indices, found)

    @classmethod
    def joined(cls, parts: Sequence[Places]) -> Places:
        """All of them, in the order given."""
        return parts[0] if len(parts) == 1 else cls(*map(torch.cat, zip(*parts, strict=True)))

    def at(self, some: Tensor) -> Places:
        """Some of them."""
        return Places(self.rows[some], self.indices[some], self.values[some])

    def in_order(self) -> Places:
        """Row after row, as :class:`Entries` wants them; latents ascend in a row where those of tiles did. Tiles that hold
        whole rows are in order as they come: to ask would be to wait for the device."""
        return self.at(self.rows.argsort(stable=True))


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x_in, b_in, enc, b_enc, entries, values):
        ctx.save_for_backward(x_in, enc)
        ctx.entries = entries
        return values.clone()

    @staticmethod
    def backward(ctx, *grads):
        (g,) = grads  # (nnz,)
        x_in, enc = ctx.saved_tensors
        e: Entries = ctx.entries
        if e.dense:
            full = e.fill(g)  # (rows, d_sae)
            d_enc, d_bias = full.T @ x_in, full.sum(0)
        else:
            order, rows, segments = e.by_latent
            d_enc = weighted_rows(x_in, rows, segments, g[order])  # (d_sae, d_in)
            d_bias = g.new_zeros(e.shape[1]).index_add_(0, e.indices, g)  # (d_sae,)
        # through x - b_in: the sum over rows needs no (rows, d_sae) by d_in product
        d_in = -(d_bias @ enc) if ctx.needs_input_grad[1] else None
        return None, d_in, d_enc, d_bias, None, None


def encode_at(
    x_in: Tensor, b_in: Tensor | None, enc: Tensor, b_enc: Tensor, entries: Entries, values: Tensor
) -> Tensor:
    """Pre-activations at ``entries`` only, differentiable in ``b_in``, ``enc`` and ``b_enc``.

    ``x_in`` (rows, d_in) is the input less ``b_in``; ``enc`` (d_sae, d_in); ``values`` (nnz,) are the
    pre-activations there, which the caller has already -> (nnz,).
    """
    return _Encode.apply(x_in, b_in, enc, b_enc, entries, values)


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, dec, entries):
        ctx.save_for_backward(values, dec)
        ctx.entries = entries
        if entries.dense:
            return entries.fill(values) @ dec
        return weighted_rows(dec, entries.indices, entries.offsets, values)

    @staticmethod
    def backward(ctx, *grads):
        g = grads[0].contiguous()  # (rows, d_out)
        values, dec = ctx.saved_tensors
        e: Entries = ctx.entries
        need_values, need_dec = ctx.needs_input_grad[:2]
        d_values = d_dec = None
        if e.dense:
            if need_values:
                d_values = (g @ dec.T)[e.rows, e.indices]
            if need_dec:
                d_dec = e.fill(values).T @ g
            return d_values, d_dec, None
        if need_values:
            d_values = row_dots(dec, e.indices, e.rows, g)  # (nnz,)
        if need_dec:
            order, rows, segments = e.by_latent
            d_dec = weighted_rows(g, rows, segments, values[order])  # (d_sae, d_out)
        return d_values, d_dec, None


def decode_at(values: Tensor, dec: Tensor, entries: Entries) -> Tensor:
    """``z @ dec`` where ``z`` has ``values`` (nnz,) at ``entries`` and zeros elsewhere, differentiable in
    both:
    ``dec`` (d_sae, d_out) -> (rows, d_out)."""
    return _Decode.apply(values, dec, entries)

"""Sparse latents: which latents are active on which row, and how strongly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saelab.display import facts_html
from saelab.doors import door
from saelab.errors import SaelabError, called, check_latent, check_latents, check_width

Stats = tuple[Tensor, Tensor]  # (shift (rows, 1), scale (rows, 1)) that undo the normalization of the input


@door
@dataclass(frozen=True, eq=False)
class Codes:
    """Latents of many rows in compressed-sparse-row form; only active ones (value > 0, or NaN) are stored.

    Attributes
    ----------
    values
        (nnz,) activations, row after row.
    indices
        (nnz,) int64 latent ids, ascending inside a row or in order of selection.
    offsets
        (rows + 1,) int64, where each row begins.
    lead
        Leading shape of the input, such as (batch, position); its product is the number of rows.
    d_sae
        Number of latents.
    stats
        What input normalization needs to undo itself: (shift (rows, 1), scale (rows, 1)) or None.
    skip
        (rows, d_out) what reaches the output beside the latents, or None; only for an SAE with ``skip``.

    Examples
    --------
    >>> sl.Codes.from_dense(torch.tensor([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]))
    Codes(2 × 3 latents, 3 active)
    """

    values: Tensor
    indices: Tensor
    offsets: Tensor
    lead: tuple[int, ...]
    d_sae: int
    stats: Stats | None = None
    skip: Tensor | None = None

    def __repr__(self) -> str:
        return f"Codes({self._shape()} latents, {len(self.values):,} active)"

    def _repr_html_(self) -> str:
        active = self.offsets.diff()
        most = f"{int(active.min())} to {int(active.max())}" if self.n_rows else "none"
        mean = len(self.values) / max(self.n_rows, 1)
        return facts_html(
            "Codes",
            [
                ("shape", self._shape()),
                ("active", f"{len(self.values):,}, {mean:.1f} per row ({most})"),
                ("dense", ".dense() fills in the zeros, .column(latent) gives one latent"),
            ],
        )

    def _shape(self) -> str:
        return " × ".join(f"{n:,}" for n in (*self.lead, self.d_sae))

    @property
    def n_rows(self) -> int:
        """Number of rows.

        Examples
        --------
        >>> sl.Codes.from_dense(torch.eye(4)).n_rows
        4
        """
        return len(self.offsets) - 1

    def rows(self) -> Tensor:
        """(nnz,) row of each stored value.

        Examples
        --------
        >>> sl.Codes.from_dense(torch.tensor([[1.0, 2.0], [0.0, 3.0]])).rows()
        tensor([0, 0, 1])
        """
        counts = self.offsets.diff()
        row = torch.arange(self.n_rows, device=counts.device)
        return torch.repeat_interleave(row, counts, output_size=len(self.values))

    def dense(self) -> Tensor:
        """(\\*lead, d_sae) with zeros filled in.

        Examples
        --------
        >>> torch.equal(sl.Codes.from_dense(torch.eye(4)).dense(), torch.eye(4))
        True
        """
        out = self.values.new_zeros(self.n_rows, self.d_sae)
        out[self.rows(), self.indices] = self.values
        return out.reshape(*self.lead, self.d_sae)

    def column(self, latent: int) -> Tensor:
        """(\\*lead) activation of one latent.

        Examples
        --------
        >>> sl.Codes.from_dense(torch.eye(3)).column(1)
        tensor([0., 1., 0.])
        """
        latent = check_latent(latent, self.d_sae)
        out = self.values.new_zeros(self.n_rows)
        hit = self.indices == latent
        out[self.rows()[hit]] = self.values[hit]
        return out.reshape(self.lead)

    def columns(self, latents: Iterable[int]) -> Tensor:
        """(\\*lead, n) activations of some latents, each once.

        Examples
        --------
        >>> sl.Codes.from_dense(torch.eye(3)).columns([2, 0])[0]
        tensor([0., 1.])
        """
        wanted = check_latents(latents, self.d_sae)
        place = self.indices.new_full((self.d_sae,), len(wanted))
        place[wanted] = torch.arange(len(wanted), device=place.device)
        # the last column takes all others: no device is asked
        out = self.values.new_zeros(self.n_rows, len(wanted) + 1)
        out[self.rows(), place[self.indices]] = self.values
        return out[:, :-1].reshape(*self.lead, len(wanted))

    def l0(self) -> Tensor:
        """(\\*lead) number of active latents.

        Examples
        --------
        >>> sl.Codes.from_dense(torch.eye(3)).l0()
        tensor([1, 1, 1])
        """
        return self.offsets.diff().reshape(self.lead)

    @classmethod
    def from_dense(cls, z: Tensor, stats: Stats | None = None, skip: Tensor | None = None) -> Codes:
        """Codes of a dense (\\*lead, d_sae) tensor; entries <= 0 are not active.

        Examples
        --------
        >>> sl.Codes.from_dense(torch.zeros(2, 5, 64))
        Codes(2 × 5 × 64 latents, 0 active)
        """
        check_width("z", z, z.shape[-1] if z.ndim else 0)
        # (rows, d_sae)
        flat = z.reshape(-1, z.shape[-1]) if z.numel() else z.new_zeros(z.shape[:-1].numel(), z.shape[-1])
        active = ~(flat <= 0)  # NaN is no silence
        row, index = active.nonzero(as_tuple=True)
        counts = active.sum(-1)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return cls(flat[row, index], index, offsets, tuple(z.shape[:-1]), z.shape[-1], stats, skip)

    @classmethod
    def joined(
        cls, parts: Sequence[Codes], lead: tuple[int, ...],
        stats: Stats | None = None, skip: Tensor | None = None,
    ) -> Codes:  # fmt: skip
        """Codes of all rows from those of some after others.

        Examples
        --------
        >>> one = sl.Codes.from_dense(torch.eye(4))
        >>> sl.Codes.joined([one, one], (8,)).n_rows
        8
        """
        if not len(parts):
            raise SaelabError("parts is empty: give at least one Codes")
        first = parts[0]
        if len(parts) == 1:
            return cls(first.values, first.indices, first.offsets, lead, first.d_sae, stats, skip)
        counts = torch.cat([p.offsets.diff() for p in parts])
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        values, indices = (torch.cat([getattr(p, n) for p in parts]) for n in ("values", "indices"))
        return cls(values, indices, offsets, lead, first.d_sae, stats, skip)

    @classmethod
    def beside(cls, parts: Sequence[Codes]) -> Codes:
        """Codes of all latents from those of the first ones, the next ones and so on, of the same rows.

        Examples
        --------
        >>> one = sl.Codes.from_dense(torch.eye(4))
        >>> sl.Codes.beside([one, one]).indices
        tensor([0, 4, 1, 5, 2, 6, 3, 7])
        """
        if not len(parts):
            raise SaelabError("parts is empty: give at least one Codes")
        first = parts[0]
        if len(parts) == 1:
            return first
        rows, order = torch.cat([p.rows() for p in parts]).sort(stable=True)
        begins = torch.tensor([0, *(p.d_sae for p in parts)]).cumsum(0).tolist()
        indices = torch.cat([p.indices + a for p, a in zip(parts, begins, strict=False)])[order]
        offsets = torch.searchsorted(rows, torch.arange(first.n_rows + 1, device=rows.device))
        values = torch.cat([p.values for p in parts])[order]
        return cls(values, indices, offsets, first.lead, begins[-1], first.stats, first.skip)

    @classmethod
    def from_topk(
        cls, values: Tensor, indices: Tensor, lead: tuple[int, ...], d_sae: int,
        stats: Stats | None = None, skip: Tensor | None = None,
    ) -> Codes:  # fmt: skip
        """Codes of (rows, k) selected values and latent ids; values <= 0 are dropped.

        Examples
        --------
        >>> sl.Codes.from_topk(torch.tensor([[2.0, 0.0]]), torch.tensor([[7, 9]]), (1,), 64).indices
        tensor([7])
        """
        if values.ndim != 2 or values.shape != indices.shape:
            raise SaelabError(
                f"values and indices must both be (rows, k), got {called(values)} and {called(indices)}"
            )
        active = ~(values <= 0)  # (rows, k)
        counts = active.sum(-1)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        place = active.flatten().nonzero().squeeze(1)  # once for both: a GPU is waited for each time
        return cls(values.flatten()[place], indices.flatten()[place], offsets, lead, d_sae, stats, skip)

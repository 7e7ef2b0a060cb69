"""The gradients of one training step of a TopK SAE, written out.

Loss (Gao et al. 2024, §2.3-2.4 and their released code)::

    L = mean_rows ‖x - x̂‖² / V + aux_coef * mean_rows ‖e - ê‖² / Var(e)

with V the total variance of the data (a constant of the run, so the learning rate does not depend on the
scale of the activations), ``e = x - x̂`` held fixed, and ``ê`` made from the ``aux_k`` largest latents that have
been dead for long, without a bias: ``b_dec`` is already in ``x̂``.

Only the selected entries are touched: per row k latents forwards and backwards. ``tests/training/test_step.py``
checks every gradient against autograd.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from saelab.sae import ops


class Rows(NamedTuple):
    """The SAE's parameters as the step wants them: both matrices with one latent per row. They share memory
    with the module's parameters."""

    enc: Tensor  # (d_sae, d_in)
    b_enc: Tensor  # (d_sae,)
    dec: Tensor  # (d_sae, d_in)
    b_dec: Tensor  # (d_in,)


class Step(NamedTuple):
    """What a step found."""

    error: Tensor  # () mean over rows of ‖x - x̂‖²
    aux: Tensor  # () normalised auxiliary error, 0 when no latent is dead
    l0: Tensor  # () mean number of latents above 0
    active: Tensor  # (nnz,) ids of latents that were above 0
    grads: Rows


def select(pre_input: Tensor, p: Rows, k: int, fast: bool) -> tuple[Tensor, Tensor, Tensor]:
    """k largest pre-activations of each row: (values (B, k) before the ReLU, indices (B, k), all (B, d_sae)).

    ``fast`` looks for them in bfloat16 and takes k + 8 candidates, whose values are then computed in float32
    and cut to the k largest; a latent is missed only if bfloat16 ranks it more than 8 places too low.
    """
    if not fast:
        pre = F.linear(pre_input, p.enc, p.b_enc)  # (B, d_sae)
        values, indices = pre.topk(k, dim=-1, sorted=False)  # (B, k)
        return values, indices, pre
    pre = F.linear(pre_input.bfloat16(), p.enc.bfloat16(), p.b_enc.bfloat16())  # (B, d_sae)
    wide = min(k + 8, pre.shape[1])
    candidates = pre.topk(wide, dim=-1, sorted=False).indices  # (B, wide)
    flat = candidates.reshape(-1)  # (B * wide,)
    rows = torch.arange(len(pre_input)).repeat_interleave(wide)  # (B * wide,)
    exact = (ops.row_dots(p.enc, flat, rows, pre_input) + p.b_enc[flat]).reshape(-1, wide)  # (B, wide)
    values, place = exact.topk(k, dim=-1, sorted=False)  # (B, k)
    return values, candidates.gather(1, place), pre


def _sparse_grads(
    x_in: Tensor, g: Tensor, p: Rows, values: Tensor, indices: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of (enc, b_enc, dec) when ``g`` (B, d) is the gradient of the decoder's output."""
    batch, k = indices.shape
    d_sae = len(p.dec)
    flat = indices.reshape(-1)  # (B * k,)
    rows = torch.arange(batch).repeat_interleave(k)  # (B * k,)
    d_values = ops.row_dots(p.dec, flat, rows, g) * (values.reshape(-1) > 0)  # (B * k,)
    order, segments = ops.by_latent(flat, d_sae)
    rows = rows[order]  # (B * k,)
    dec = ops.weighted_rows(g, rows, segments, values.reshape(-1)[order])  # (d_sae, d)
    enc = ops.weighted_rows(x_in, rows, segments, d_values[order])  # (d_sae, d)
    b_enc = torch.zeros(d_sae).index_add_(0, flat, d_values)  # (d_sae,)
    return enc, b_enc, dec


@torch.no_grad()
def topk_step(
    x: Tensor, p: Rows, k: int, variance: float, *, dead: Tensor | None = None, aux_k: int = 0,
    aux_coef: float = 0.0, fast: bool = False,
) -> Step:  # fmt: skip
    """Loss parts and gradients for a batch ``x`` (B, d) with ``b_in`` = ``b_dec``.

    ``dead`` (d_sae,) bool says which latents have not fired for long; None or none dead: no auxiliary loss.
    """
    batch = len(x)
    x_in = x - p.b_dec  # (B, d)
    values, indices, pre = select(x_in, p, k, fast)
    values = values.relu()  # (B, k)
    starts = torch.arange(0, batch * k + 1, k)
    recon = ops.weighted_rows(p.dec, indices.reshape(-1), starts, values.reshape(-1)) + p.b_dec  # (B, d)
    residual = x - recon  # (B, d)
    g = residual * (-2 / (batch * variance))  # (B, d)
    enc, b_enc, dec = _sparse_grads(x_in, g, p, values, indices)
    b_dec = g.sum(0)  # (d,)

    aux = x.new_zeros(())
    if dead is not None and aux_coef > 0:
        ids = dead.nonzero().squeeze(-1)  # (n_dead,)
        if len(ids):
            aux = _add_aux(x_in, residual, pre, p, ids, min(aux_k, len(ids)), aux_coef, enc, b_enc, dec)
    b_dec -= b_enc @ p.enc  # through x - b_dec in the encoder: no (B, d_sae) by d product is needed
    positive = values > 0
    return Step(
        residual.square().sum() / batch, aux, positive.sum() / batch, indices[positive], Rows(enc, b_enc, dec, b_dec)
    )


def _add_aux(
    x_in: Tensor, residual: Tensor, pre: Tensor, p: Rows, ids: Tensor, aux_k: int, coef: float,
    enc: Tensor, b_enc: Tensor, dec: Tensor,
) -> Tensor:  # fmt: skip
    """Add the auxiliary loss's gradients for the dead latents ``ids``; returns the normalised loss."""
    batch = len(x_in)
    values, place = pre[:, ids].float().topk(aux_k, dim=-1, sorted=False)  # (B, aux_k)
    values = values.relu()
    sub = Rows(p.enc[ids], p.b_enc[ids], p.dec[ids], p.b_dec)
    starts = torch.arange(0, batch * aux_k + 1, aux_k)
    guess = ops.weighted_rows(sub.dec, place.reshape(-1), starts, values.reshape(-1))  # (B, d)
    spread = (residual - residual.mean(0)).square().sum() / batch  # ()
    # a batch of one, or of equal rows, has no spread but for rounding: to divide by that would drown the step
    if spread <= 1e-9 * residual.square().sum() / batch:
        return residual.new_zeros(())
    miss = guess - residual  # (B, d)
    g_enc, g_b, g_dec = _sparse_grads(x_in, miss * (2 * coef / (batch * spread)), sub, values, place)
    enc.index_add_(0, ids, g_enc)
    b_enc.index_add_(0, ids, g_b)
    dec.index_add_(0, ids, g_dec)
    return miss.square().sum() / batch / spread

"""Factors moved from one place of an SAE to another, so that it reconstructs the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from saelab.errors import SaelabError, check_whole
from saelab.sae.config import PER_ROW

if TYPE_CHECKING:
    from saelab.sae.sae import SAE

_SAME = 1e-5  # lengths this close to each other, relatively, are the same: float32 rounds them


@torch.no_grad()
def scale(sae: SAE) -> SAE:
    """A copy that does the same without ``normalize="scale"``: the factor is multiplied into the weights.

    ``W_enc · s``, ``W_dec / s``, ``b_dec / s``, ``b_in / s``; ``b_enc`` and thresholds act on pre-activations,
    which stay the same.

    Raises
    ------
    SaelabError
        If the input is normalized row by row, which no weights can do.
    """
    c = sae.config
    if c.normalize in PER_ROW:
        raise SaelabError(f"{c.normalize} divides each row by its own size: it cannot be folded into weights")
    wide = sae.b_dec.new_empty(0, dtype=torch.promote_types(sae.b_dec.dtype, torch.float32))
    s_in, s_out = sae._input_scale(wide), sae._target_scale(wide)
    if c.normalize == "none":
        s_in, s_out = torch.ones_like(s_in), torch.ones_like(s_out)
    # the encoder and the decoder are multiplied by different factors, so they are not tied any more; a
    # transcoder's two scales differ too, and b_dec can then not stand in for the input's bias
    bias = "own" if c.input_bias == "decoder" and c.scale_out not in (None, c.scale) else c.input_bias
    tied = c.tied and c.normalize == "none"
    new = _copy(sae, normalize="none", scale=1.0, scale_out=None, tied=tied, input_bias=bias)
    if not tied:
        new.W_enc.mul_(s_in[:, None])
    new.W_dec.div_(s_out)
    new.b_dec.div_(s_out)
    if bias == "own":
        new.own_b_in.copy_(sae.b_in / s_in)
    if c.skip:
        new.W_skip.mul_(s_in).div_(s_out.expand(len(new.W_skip))[:, None])
    return new


@torch.no_grad()
def norms(sae: SAE) -> SAE:
    """A copy whose decoder rows have length 1 and whose latents are multiplied by the lengths they had.

    With ``n`` a row's length: ``W_dec / n``, ``W_enc · n``, ``b_enc · n``, and what else acts on pre-activations
    (``b_mag``, thresholds) ``· n``. The same latents are active and the reconstruction is the same. One threshold
    for all latents becomes one for each, so a BatchTopK or Matryoshka SAE comes back as the JumpReLU SAE that it
    is once it has been trained. Rows of length 0 stay. A crosscoder's row is taken over all its hook points.

    TopK and tied SAEs whose lengths are 1 within 1 %, as half precision rounds them, come back as they are.

    Raises
    ------
    SaelabError
        For TopK whose lengths differ: multiplied activations would rank otherwise, and other latents survive. For
        a tied SAE whose lengths are not 1 already: the encoder would not be the decoder's transpose any more.
    """
    c, n = sae.config, row_lengths(sae)  # (d_sae,)
    if (c.tied or sae.arch.select is not None) and _are_one(n):
        n = torch.ones_like(n)
    if sae.arch.select is not None and float(n.max() / n.min()) > 1 + _SAME:
        raise SaelabError(
            f"decoder rows have lengths from {float(n.min()):.3g} to {float(n.max()):.3g}: multiplied by them, "
            f"activations of a {c.arch} SAE would rank otherwise and other latents would be among the k largest"
        )
    if c.tied and float((n - 1).abs().max()) > _SAME:
        raise SaelabError(
            "a tied SAE has one matrix: its decoder rows cannot be shortened without the encoder's"
        )
    new = (
        jumprelu(sae)
        if sae.arch.trained_as
        else _copy(sae, floor=c.floor * float(n.max()) if c.floor else 0.0)
    )
    shorten(new, n)
    return new


@torch.no_grad()
def jumprelu(sae: SAE) -> SAE:
    """A JumpReLU copy with the threshold that ``sae`` has for all latents.

    BatchTopK and Matryoshka: the same SAE once it is trained. TopK with a floor: the floor becomes the threshold and
    the limit of k is lost, so a token on which more than k latents exceed the floor has more of them on; every other
    token has the same latents.

    Raises
    ------
    SaelabError
        For an SAE without such a threshold.
    """
    c = sae.config
    if c.arch == "jumprelu":
        return _copy(sae)
    if not (sae.arch.trained_as or c.floor):
        raise SaelabError(
            f"a {c.arch} SAE{' without a floor' * (c.arch == 'topk')} has no threshold that would make it JumpReLU"
        )
    new = _copy(sae, arch="jumprelu", k=None, prefixes=None, floor=0.0)
    new.threshold.copy_(torch.full((), c.floor) if c.floor else sae.threshold.clamp_min(0))
    return new


@torch.no_grad()
def shorten(sae: SAE, n: Tensor) -> None:
    """Divide decoder rows by ``n`` (d_sae) and multiply by it what makes the latents; a tied SAE's matrix stays."""
    for name in ("b_enc", *(sae.arch.scaled or ())):
        getattr(sae, name).mul_(n)
    if not sae.config.tied:
        sae.W_enc.mul_(n)
        sae.W_dec.div_(n[:, None])


def row_lengths(sae: SAE) -> Tensor:
    """(d_sae) lengths of decoder rows, 1 for those of length 0: nothing can make them longer."""
    n = sae.W_dec.detach().float().norm(dim=1)  # (d_sae,)
    return torch.where(n > 0, n, 1.0)


def lengths(sae: SAE) -> str:
    """Those of decoder rows, in words."""
    if sae.lazy:
        return "not read (lazy=True)"
    n = row_lengths(sae)
    return "1" if _are_one(n) else f"{float(n.min()):.2g} to {float(n.max()):.2g}; fold_norms() makes them 1"


def _are_one(n: Tensor) -> bool:
    return float((n - 1).abs().max()) < 0.01  # half precision rounds a little


def _copy(sae: SAE, **changes: object) -> SAE:
    """A new SAE with the same numbers under a changed configuration, in float32: half precision would round what is
    multiplied next."""
    check_whole(sae, "a changed copy")
    new = type(sae)(replace(sae.config, dtype="float32", **changes))  # type: ignore[arg-type]
    new = new.to(sae.W_dec.device, torch.promote_types(sae.W_dec.dtype, torch.float32))
    own = dict(new.named_parameters())
    for name, parameter in sae.named_parameters():
        if name in own and own[name].shape == parameter.shape:
            own[name].copy_(parameter)
    if sae.config.tied and not new.config.tied:
        new.W_enc.copy_(sae.W_enc)
    new.history, new.record = sae.history.copy(), dict(sae.record)
    return new

"""Weights to start from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saelab.sae import SAE
from saelab.sae.objective import Options


def geometric_median(x: Tensor, steps: int = 50) -> Tensor:
    """(n, d) -> (d,) point of least summed distance (Weiszfeld's iteration)."""
    y = x.mean(0)  # (d,)
    for _ in range(steps):
        w = 1 / (x - y).norm(dim=-1, keepdim=True).clamp_min(1e-8)  # (n, 1)
        y = (w * x).sum(0) / w.sum()  # (d,)
    return y


def total_variance(x: Tensor) -> float:
    """(n, d) -> mean of ‖x - x̄‖²."""
    return float((x - x.mean(0)).square().sum(-1).mean())


def unit_scale(x: Tensor) -> float:
    """(n, d) -> the factor that brings the mean norm of the rows to sqrt(d)."""
    return float(x.shape[1] ** 0.5 / x.norm(dim=-1).mean().clamp_min(1e-12))


def part_size(samples: Sequence[Tensor], scales: Sequence[float], k: int, normalize: str) -> float:
    """sqrt(V / k): how large an activation is when k equal orthogonal parts make up the whole variance V of the
    normalized input, ``samples`` being one (n, d) per hook point."""
    if normalize == "layer_norm":
        samples = [(s - s.mean(-1, keepdim=True)) / (s.std(-1, keepdim=True) + 1e-5) for s in samples]
    elif normalize == "constant_norm":
        samples = [s * (s.shape[1] ** 0.5 / s.norm(dim=-1, keepdim=True).clamp_min(1e-12)) for s in samples]
    total = sum(total_variance(s) * scale**2 for s, scale in zip(samples, scales, strict=True))
    return (total / k) ** 0.5


@torch.no_grad()
def initialize(
    sae: SAE, sample: Tensor, seed: int, target: Tensor | None = None, options: Options | None = None
) -> float:
    """Weights to start from; returns the total variance of the (normalized) target.

    Biases of input and output are geometric medians. Decoder rows are random unit directions and the
    encoder is their transpose (Gao et al. 2024, appendix A), scaled so that the first reconstruction has
    the size of the data; a transcoder's decoder rows point where the target goes when the latent fires.
    Thresholds, and the encoder bias of L1-trained SAEs, begin where the first sample has about the wanted
    number of active latents (four times as many for L1), because what starts out dense takes most of a
    short run to become sparse.

    ``sample`` (n, d_in), ``target`` (n, d_out) are in the model's units.
    """
    c, options = sae.config, options or Options()
    x, _ = sae.normalize(sample)  # (n, d_in)
    y = x if target is None else sae.normalize_target(target)  # (n, d_out)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(c.d_sae, c.d_in, generator=generator)  # (d_sae, d_in)
    directions /= directions.norm(dim=1, keepdim=True)
    sae.b_dec.copy_(geometric_median(y))
    sae.b_enc.zero_()
    if c.input_bias == "own":
        sae.own_b_in.copy_(geometric_median(x))
    if c.tied:
        sae.W_dec.copy_(directions)
    else:
        sae.W_enc.T.copy_(directions)
        sae.W_dec.copy_(directions if target is None else _towards(sae, x, y, generator))
    _calibrate(sae, x, options)
    if not c.tied:
        _match_size(sae, x, y)
    if options.threshold is not None:
        sae.threshold.fill_(options.threshold)
    return total_variance(y)


def _towards(sae: SAE, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """(d_sae, d_out) unit rows: the mean of the centered target, weighted by the latent."""
    z = sae.pre_activations(x[:2048]).relu()  # (n, d_sae)
    rows = (z - z.mean(0)).T @ (y[:2048] - sae.b_dec)  # (d_sae, d_out)
    noise = torch.randn(rows.shape, generator=generator)
    rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12) + 0.1 * noise / noise.shape[1] ** 0.5
    return rows / rows.norm(dim=1, keepdim=True)


def _calibrate(sae: SAE, x: Tensor, options: Options) -> None:
    """Set thresholds or the encoder's bias from the sample's pre-activations."""
    if sae.arch.select is not None:
        return
    wanted = sae.config.k or options.target_l0 or min(64.0, sae.config.d_sae / 4)
    has_threshold = "threshold" in sae.arch.parameters(sae.config)
    pre = sae.pre_activations(x[:1024])  # (n, d_sae)
    share = wanted * (1 if has_threshold else 4) / sae.config.d_sae
    if share >= 0.5:
        cut = 0.0
    else:
        flat = pre.reshape(-1)
        cut = max(0.0, float(flat.topk(max(1, int(share * len(flat))), sorted=False).values.min()))
    if has_threshold:
        sae.threshold.fill_(cut)
    elif not sae.config.tied:
        sae.b_enc.fill_(-cut)


def _match_size(sae: SAE, x: Tensor, y: Tensor) -> None:
    """Multiply pre-activations by the one factor that brings the first reconstruction closest to the data."""
    # a few rows at a time: all at once they would need more memory than the training that follows
    parts = [sae.arch.activate(sae, sae.pre_activations(part)) @ sae.W_dec for part in x[:2048].split(256)]
    guess = torch.cat(parts)  # (n, d_out)
    centered = y[:2048] - sae.b_dec  # (n, d_out)
    factor = ((guess * centered).sum() / guess.square().sum().clamp_min(1e-12)).clamp_min(1e-3)
    sae.W_enc.mul_(factor)
    sae.b_enc.mul_(factor)
    if "threshold" in sae.arch.parameters(sae.config):
        sae.threshold.mul_(factor)

"""Weights to start from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from saelab.sae import SAE, Codes, SAEConfig, ops
from saelab.sae.objective import ALONE, Options, Ranks

# latents that are made at a time, so that no second matrix is. Torch draws normal numbers in groups of 16: with a multiple
# of that the numbers are those of one draw, so a latent's weights depend on its number and the seed alone
_LATENTS = 1 << 16


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
    sae: SAE, sample: Tensor, seed: int, target: Tensor | None = None, options: Options | None = None,
    ranks: Ranks = ALONE, whole: SAEConfig | None = None,
) -> float:  # fmt: skip
    """Weights to start from; returns the total variance of the (normalized) target.

    Biases of input and output are geometric medians. Decoder rows are random unit directions and the
    encoder is their transpose (Gao et al. 2024, appendix A), scaled so that the first reconstruction has
    the size of the data; a transcoder's decoder rows point where the target goes when the latent fires.
    Thresholds, and the encoder bias of L1-trained SAEs, begin where the first sample has about the wanted
    number of active latents (four times as many for L1), because what starts out dense takes most of a
    short run to become sparse.

    ``sample`` (n, d_in), ``target`` (n, d_out) are in the model's units. With several ``ranks``, ``sae`` has the latents of
    this one, and ``whole`` is the configuration of all.
    """
    c, options = sae.config, options or Options()
    d_sae, k = (whole or c).d_sae, int((whole or c).k or 0)
    mine = ranks.share(d_sae)
    x, _ = sae.normalize(sample)  # (n, d_in)
    y = x if target is None else sae.normalize_target(target)  # (n, d_out)
    generator = torch.Generator().manual_seed(seed)
    enc = sae.W_dec if c.tied else sae.W_enc.T  # (d_sae, d_in)
    for here, drawn in _drawn(d_sae, c.d_in, mine, generator):
        enc[here] = drawn / drawn.norm(dim=1, keepdim=True)
    sae.b_dec.copy_(geometric_median(y))
    sae.b_enc.zero_()
    if c.input_bias == "own":
        sae.own_b_in.copy_(geometric_median(x))
    if target is not None:
        _towards(sae, x[:2048], y[:2048], _drawn(d_sae, y.shape[1], mine, generator))
    elif not c.tied:
        sae.W_dec.copy_(enc)
    _calibrate(sae, x, options, ranks, d_sae, k)
    if not c.tied:
        _match_size(sae, x, y, ranks, k)
    if options.threshold is not None:
        sae.threshold.fill_(options.threshold)
    return total_variance(y)


def _drawn(d_sae: int, width: int, mine: slice, generator: torch.Generator) -> Iterator[tuple[slice, Tensor]]:
    """Normal numbers for latents ``mine`` of ``d_sae``: where they are among these, and (latents, width). What is of others
    is drawn too, so that a latent's numbers do not depend on who else is there."""
    for a in range(0, d_sae, _LATENTS):
        drawn = torch.randn(min(_LATENTS, d_sae - a), width, generator=generator)
        low, high = max(mine.start, a), min(mine.stop, a + len(drawn))
        if low < high:
            yield slice(low - mine.start, high - mine.start), drawn[low - a : high - a]


def _towards(sae: SAE, x: Tensor, y: Tensor, drawn: Iterable[tuple[slice, Tensor]]) -> None:
    """Decoder rows of length 1: the mean of the centered target, weighted by the latent."""
    y = y - sae.b_dec
    for here, noise in drawn:
        z = sae._pre(x, here).relu()  # (n, latents)
        rows = (z - z.mean(0)).T @ y  # (latents, d_out)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12) + 0.1 * noise / noise.shape[1] ** 0.5
        sae.W_dec[here] = rows / rows.norm(dim=1, keepdim=True)


def _calibrate(sae: SAE, x: Tensor, options: Options, ranks: Ranks, d_sae: int, k: int) -> None:
    """Set thresholds or the encoder's bias from the sample's pre-activations."""
    if sae.arch.select is not None:
        return
    wanted = k or options.target_l0 or min(64.0, d_sae / 4)
    has_threshold = "threshold" in sae.arch.parameters(sae.config)
    share = wanted * (1 if has_threshold else 4) / d_sae
    if share >= 0.5:
        cut = 0.0
    else:
        x, best = x[:1024], x.new_empty(0)
        count = max(1, int(share * len(x) * d_sae))
        for a in range(0, sae.config.d_sae, _LATENTS):
            best = torch.cat([best, sae._pre(x, slice(a, a + _LATENTS)).reshape(-1)])
            best = best.topk(min(count, len(best)), sorted=False).values
        cut = float(
            best.min() if ranks.alone else ranks.kth_value(best.sort(descending=True).values[None], count)
        )
        cut = max(0.0, cut)
    if has_threshold:
        sae.threshold.fill_(cut)
    elif not sae.config.tied:
        sae.b_enc.fill_(-cut)


def _match_size(sae: SAE, x: Tensor, y: Tensor, ranks: Ranks, k: int) -> None:
    """Multiply pre-activations by the one factor that brings the first reconstruction closest to the data."""
    guess = torch.cat([_decoded(sae, part, ranks, k) for part in x[:2048].split(256)])  # (n, d_out)
    centered = y[:2048] - sae.b_dec  # (n, d_out)
    factor = ((guess * centered).sum() / guess.square().sum().clamp_min(1e-12)).clamp_min(1e-3)
    sae.W_enc.mul_(factor)
    sae.b_enc.mul_(factor)
    if "threshold" in sae.arch.parameters(sae.config):
        sae.threshold.mul_(factor)


def _decoded(sae: SAE, x: Tensor, ranks: Ranks, k: int) -> Tensor:
    """(n, d_in) -> what the latents of all ranks add up to, (n, d_out)."""
    if ranks.alone and sae.config.d_sae <= _LATENTS:
        return sae.arch.activate(sae, sae.pre_activations(x)) @ sae.W_dec
    codes = sae._codes(x)
    if sae.arch.select is not None and not ranks.alone:
        values, ids = sae._best(x)
        kth = ranks.kth_value(values.sort(dim=1, descending=True).values, k)
        codes = Codes.from_topk(
            torch.where(values >= kth[:, None], values, 0), ids, (len(x),), sae.config.d_sae
        )
    return ranks.total(ops.weighted_rows(sae.W_dec, codes.indices, codes.offsets, codes.values), "start")

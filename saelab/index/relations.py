"""Latents against all others, and against the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from saelab import models
from saelab.errors import check_choice, check_count
from saelab.index.columns import Columns
from saelab.index.firings import Firings
from saelab.index.storage.arrays import blocks, highest, pointers, ranges
from saelab.models.lens import residual_direction, token_votes

_ENTRIES = 1 << 15  # codes looked at together: they and their sums stay in the cache
_CELLS = 1 << 20  # pairs of latents looked at together
_LOGITS = 1 << 22  # pairs of latent and token looked at together
_ROWS = 1 << 16
_KINDS = ("decoder", "encoder", "coactivation")

Near = list[tuple[np.ndarray, np.ndarray]]  # latents and their similarity, highest first


def nearest(index: Columns, firings: Firings, by: str, n: int) -> Near:
    """Of each latent of ``firings`` the most similar ones of all by one of ``_KINDS``, and their similarity."""
    check_count("n", n)
    check_choice("by", by, _KINDS)
    if by == "coactivation":
        return coactive(index, firings, n)
    sae = index.need_sae(f"nearest(by={by!r})")
    table = sae.W_dec if by == "decoder" else sae.W_enc.T  # (d_sae, d)
    with torch.no_grad():
        norms = torch.cat([part.float().norm(dim=1) for part in table.split(_ROWS)])  # (d_sae)
        out: Near = []
        for wanted in torch.from_numpy(firings.latents).to(table.device).split(max(1, _CELLS // len(table))):
            mine = table[wanted].float() / norms[wanted, None]  # (few, d)
            cosine = torch.cat([mine @ part.float().T for part in table.split(_ROWS)], dim=1)  # (few, d_sae)
            cosine /= norms
            # a latent itself, and those without a direction, which are near to nothing
            cosine[torch.arange(len(wanted)), wanted] = torch.nan
            for row in torch.where(cosine.isnan(), -torch.inf, cosine).cpu().numpy():
                best = highest(row, n)
                out.append((best, row[best]))
    return out


def coactive(index: Columns, firings: Firings, n: int) -> Near:
    """Of each latent of ``firings`` those that fire at the same positions, by cosine of the activations."""
    _, size = index.code_span(firings.token)
    codes = pointers(size)[firings.ptr]  # codes up to each latent's first firing
    length = np.sqrt(index.arrays["moments"][:, 1])  # (d_sae)
    out: Near = []
    each = max(1, _CELLS // index.d_sae)
    for start in range(0, len(firings), each):
        for a, b in blocks(codes, _ENTRIES, start, min(start + each, len(firings))):
            few = Firings.of(index, firings.latents[a:b])
            for latent, product in zip(few.latents.tolist(), products(index, few), strict=True):
                other = np.flatnonzero(product)  # activations are above 0
                other = other[other != latent]
                cosine = product[other] / (length[other] * length[latent])
                best = highest(cosine, n)
                out.append((other[best], cosine[best]))
    return out


def products(index: Columns, firings: Firings) -> np.ndarray:
    """(L, d_sae) sums over positions of the product of two activations, of each latent with every other."""
    product = np.zeros(len(firings) * index.d_sae)
    begin, size = index.code_span(firings.token)
    for a, b in blocks(pointers(size), max(_ENTRIES, len(product))):
        part, sizes = slice(a, b), size[a:b]
        place = ranges(begin[part], sizes)
        # floats are added to float64 by their latent; a value and its weight are exact in it
        weight = index.arrays["code_value"][place] * np.repeat(firings.value[part].astype(np.float64), sizes)
        other = index.arrays["code_latent"][place]
        if len(firings) > 1:
            other = np.repeat(firings.owner[part] * index.d_sae, sizes) + other
        product += np.bincount(other, weights=weight, minlength=len(product))
    return product.reshape(len(firings), index.d_sae)


def meetings(index: Columns, latent: int, others: np.ndarray) -> np.ndarray:
    """(len(others),) at how many positions ``latent`` and each of ``others`` both fire."""
    mine = index.postings(latent).token
    return np.array([np.isin(index.postings(i).token, mine, assume_unique=True).sum() for i in others], int)


class LogitLens(NamedTuple):
    """Labels of the tokens whose logits a latent raises and lowers most, and by how much (float32)."""

    up: list[str]
    up_id: np.ndarray
    up_value: np.ndarray
    down: list[str]
    down_value: np.ndarray


def logit_lens(index: Columns, latents: Sequence[int] | np.ndarray, n: int) -> list[LogitLens]:
    """Of each latent the ``n`` tokens it raises and the ``n`` it lowers most."""
    check_count("n", n)
    sae, model = index.need_sae("logit_lens"), index.need_model("logit_lens")
    # of a crosscoder's hook points the last is nearest to the logits
    hook, width = sae.config.hook_out.split("+")[-1], (sae.config.widths or (sae.W_dec.shape[1],))[-1]
    wanted = torch.as_tensor(np.asarray(latents, dtype=np.int64), device=sae.W_dec.device)
    n = min(n, models.vocab_size(model))
    out: list[LogitLens] = []
    with models.lock(model), torch.no_grad():
        direction = residual_direction(model, sae.W_dec[wanted, -width:].float(), hook)  # (L, d_model)
        for some in direction.split(max(1, _LOGITS // models.vocab_size(model))):
            logits = token_votes(model, some)  # (few, V)
            ends = [x.cpu().numpy() for up in (True, False) for x in logits.topk(n, dim=1, largest=up)]
            for up_value, up, down_value, down in zip(*ends, strict=True):
                labels = (models.token_labels(model, ids.tolist()) for ids in (up, down))
                out.append(LogitLens(next(labels), up, up_value, next(labels), down_value))
    return out

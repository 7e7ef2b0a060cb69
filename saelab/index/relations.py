"""One latent against all others, and against the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.display import TextFrame
from saelab.errors import check_count, unknown
from saelab.index.firings import Firings
from saelab.index.storage.arrays import blocks, highest_rows, ranges
from saelab.models.lens import residual_direction, token_votes

if TYPE_CHECKING:
    from saelab.index.queries import Queries

_ENTRIES = 1 << 15  # codes looked at together: they and their sums stay in the cache
_CELLS = 1 << 20  # pairs of latents, or of latent and token, looked at together
_VOTES = 1 << 22  # votes of latents on tokens looked at together
_ROWS = 1 << 16
_STRETCH = 64

Near = list[tuple[np.ndarray, np.ndarray]]  # latents and their similarity, highest first


def coactive(index: Queries, latent: int, n: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.coactive`."""
    check_count("n", n)
    firings = Firings.of(index, [latent])
    together, both = _together(index, firings)
    ((found, similarity),) = highest_rows(_cosines_of(index, firings, together), n)
    fires, shared = index.counts, both[0, found]
    return pd.DataFrame(
        {
            "latent": found,
            "similarity": similarity,
            "both": shared,
            "share": shared / max(len(firings.token), 1),
            "jaccard": shared / np.maximum(fires[found] + len(firings.token) - shared, 1),
        }
    )


def _together(index: Queries, firings: Firings, count: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(L, d_sae) sums of products of activations with every latent, and, with ``count``, at how many positions."""
    shape = len(firings), index.d_sae
    product = np.zeros(shape[0] * shape[1])
    both = np.zeros(product.shape if count else 0, dtype=np.int64)
    begin, size = index.code_span(firings.token)
    ends = np.concatenate([[0], np.cumsum(size)])
    for a, b in blocks(ends, max(_ENTRIES, len(product))):
        part, sizes = slice(a, b), size[a:b]
        place = ranges(begin[part], sizes)
        # floats are added to float64 by their latent; a value and its weight are exact in it
        weight = index.arrays["code_value"][place] * np.repeat(firings.value[part].astype(np.float64), sizes)
        other = index.arrays["code_latent"][place]
        if len(firings) > 1:
            other = np.repeat(firings.owner[part] * index.d_sae, sizes) + other
        product += np.bincount(other, weights=weight, minlength=len(product))
        if count:
            both += np.bincount(other, minlength=len(product))
    return product.reshape(shape), both.reshape(shape if count else 0)


def _cosines_of(index: Queries, firings: Firings, product: np.ndarray) -> Tensor:
    """(L, d_sae) cosines from sums of products; -inf for the latent itself and where two never meet."""
    length = np.sqrt(index.arrays["moments"][:, 1])
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = product / (length * length[firings.latents][:, None])
    cosine[product == 0] = -np.inf  # activations are above 0
    cosine[np.arange(len(firings)), firings.latents] = -np.inf
    return torch.from_numpy(cosine)


def coactive_of(index: Queries, firings: Firings, n: int) -> Near:
    """Of each latent of ``firings`` the co-active ones and their similarity, as :func:`coactive` finds them."""
    _, size = index.code_span(firings.token)
    codes = np.concatenate([[0], np.cumsum(size)])[firings.ptr]  # codes up to each latent's first firing
    out: Near = []
    each = max(1, _CELLS // index.d_sae)
    for start in range(0, len(firings), each):
        for a, b in blocks(codes, _ENTRIES, start, min(start + each, len(firings))):
            few = Firings.of(index, firings.latents[a:b])
            out += highest_rows(_cosines_of(index, few, _together(index, few, count=False)[0]), n)
    return out


def nearest(index: Queries, latent: int, by: str, n: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.nearest`."""
    ((order, similarity),) = nearest_of(index, Firings.of(index, [latent]), by, n)
    return pd.DataFrame({"latent": order, "similarity": similarity})


def nearest_of(index: Queries, firings: Firings, by: str, n: int) -> Near:
    """Of each latent of ``firings`` the most similar ones of all, and their similarity."""
    check_count("n", n)
    kinds = ("decoder", "encoder", "coactivation")
    if by not in kinds:
        raise unknown("by", by, kinds)
    if by == "coactivation":
        return coactive_of(index, firings, n)
    sae = index.need_sae(f"nearest(by={by!r})")
    table = sae.W_dec if by == "decoder" else sae.W_enc.T  # (d_sae, d)
    with torch.no_grad():
        norms = torch.cat([table[i : i + _ROWS].float().norm(dim=1) for i in range(0, len(table), _ROWS)])
        out: Near = []
        each = max(1, _CELLS // len(table))
        for start in range(0, len(firings), each):
            wanted = torch.from_numpy(firings.latents[start : start + each]).to(table.device)
            mine = table[wanted].float() / norms[wanted, None]  # (few, d)
            cosine = torch.empty(len(wanted), len(table), device=table.device)  # (few, d_sae)
            for i in range(0, len(table), _ROWS):
                part = table[i : i + _ROWS].float()  # (rows, d)
                torch.matmul(mine, part.T, out=cosine[:, i : i + _ROWS])
            cosine /= norms
            # a latent itself, and those without a direction, which are near to nothing
            cosine[torch.arange(len(wanted)), wanted] = torch.nan
            out += highest_rows(torch.where(cosine.isnan(), -torch.inf, cosine), n)
    return out


# ------------------------------------------------------------------------------------------- logit lens


def logit_lens(index: Queries, latent: int, n: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.logit_lens`."""
    ((up, up_value, down, down_value),) = votes_of(index, [latent], n)
    return TextFrame(
        {
            "rank": np.arange(1, len(up) + 1),
            "up_token": up,
            "up_value": up_value,
            "down_token": down,
            "down_value": down_value,
        }
    )


class Votes(NamedTuple):
    """Labels of the tokens a latent votes up and down most, and by how much (float32)."""

    up: list[str]
    up_value: np.ndarray
    down: list[str]
    down_value: np.ndarray


def votes_of(index: Queries, latents: Sequence[int] | np.ndarray, n: int) -> list[Votes]:
    """The ``n`` tokens each latent votes up and down most; see :meth:`LatentIndex.logit_lens`."""
    check_count("n", n)
    sae, model = index.need_sae("logit_lens"), index.need_model("logit_lens")
    hooks = sae.config.hook_out.split("+")
    # of a crosscoder's hook points the last is nearest to the logits
    width = sae.config.widths[-1] if sae.config.widths else sae.config.d_out
    wanted = torch.as_tensor(np.asarray(latents, dtype=np.int64), device=sae.W_dec.device)
    out: list[Votes] = []
    with models.lock(model), torch.no_grad():
        written = sae.W_dec[wanted, -width:].float()  # (L, d_out)
        direction = residual_direction(model, written, hooks[-1])  # (L, d_model)
        for some in direction.split(max(1, _VOTES // models.vocab_size(model))):
            votes = token_votes(model, some)  # (few, V)
            n = min(n, votes.shape[1])
            found = extreme_rows(votes, n)
            for a, i, b, j in zip(*(x.cpu().numpy() for pair in found for x in pair), strict=True):
                labels = (models.token_labels(model, place.tolist()) for place in (i, j))
                out.append(Votes(next(labels), a, next(labels), b))
    return out


def extreme_rows(x: Tensor, n: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Values and places (R, n) of the ``n`` largest and of the ``n`` smallest of each row of ``x`` (R, N), in order.

    They are in the ``n`` stretches with the most extreme members: nothing else is sorted.
    """
    length = x.shape[1] // _STRETCH * _STRETCH
    if n * _STRETCH * 4 > length:
        high, low = x.topk(n, dim=1), x.topk(n, dim=1, largest=False)
        return (high.values, high.indices), (low.values, low.indices)
    ends = x[:, :length].unflatten(1, (-1, _STRETCH)).aminmax(dim=-1)  # (R, N / 64)
    inner = torch.arange(_STRETCH, device=x.device)
    rest = torch.arange(length, x.shape[1], device=x.device).expand(len(x), -1)  # (R, < 64)
    out = []
    for outer, largest in ((ends.max, True), (ends.min, False)):
        stretch = outer.topk(n, dim=1, largest=largest).indices  # (R, n)
        place = torch.cat(
            [(stretch[:, :, None] * _STRETCH + inner).flatten(1), rest], dim=1
        )  # (R, n * 64 + …)
        best = x.gather(1, place).topk(n, dim=1, largest=largest)
        out.append((best.values, place.gather(1, best.indices)))
    return out[0], out[1]

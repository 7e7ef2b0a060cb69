"""One latent against all others, and against the vocabulary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.errors import SaelabError, check_count, unknown
from saelab.frames import TextFrame
from saelab.index.arrays import highest, ranges

if TYPE_CHECKING:
    from saelab.index.queries import Queries

_ENTRIES = 1 << 22  # codes looked at together: bounds memory
_ROWS = 1 << 16


def coactive(index: Queries, latent: int, n: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.coactive`."""
    check_count("n", n)
    token, value = index.postings(latent)
    both = np.zeros(index.d_sae, dtype=np.int64)
    product = np.zeros(index.d_sae)
    begin, count = index.code_span(token)
    ends = np.concatenate([[0], np.cumsum(count)])
    a = 0
    while a < len(token):
        b = max(a + 1, int(np.searchsorted(ends, ends[a] + _ENTRIES, side="right")) - 1)
        place = ranges(begin[a:b], count[a:b])
        other = index.arrays["code_latent"][place]
        weight = index.arrays["code_value"][place].astype(np.float64)
        weight *= np.repeat(value[a:b].astype(np.float64), count[a:b])
        both += np.bincount(other, minlength=index.d_sae)
        product += np.bincount(other, weights=weight, minlength=index.d_sae)
        a = b
    both[latent] = 0
    found = np.flatnonzero(both)
    fires, squares = index.counts, index.arrays["moments"][:, 1]
    similarity = product[found] / np.sqrt(squares[found] * squares[latent])
    order = highest(similarity, n)
    found = found[order]
    shared = both[found]
    return pd.DataFrame(
        {
            "latent": found,
            "similarity": similarity[order],
            "both": shared,
            "share": shared / max(len(token), 1),
            "jaccard": shared / np.maximum(fires[found] + len(token) - shared, 1),
        }
    )


def nearest(index: Queries, latent: int, by: str, n: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.nearest`."""
    check_count("n", n)
    kinds = ("decoder", "encoder", "coactivation")
    if by not in kinds:
        raise unknown("by", by, kinds)
    if by == "coactivation":
        return coactive(index, latent, n).filter(["latent", "similarity"])
    sae = index.need_sae(f"nearest(by={by!r})")
    table = sae.W_dec if by == "decoder" else sae.W_enc.T  # (d_sae, d)
    with torch.no_grad():
        similarity = _cosines(table, latent)
    similarity[latent] = np.nan  # as for latents without a direction, which are near to nothing
    similarity = np.where(np.isnan(similarity), -np.inf, similarity)
    order = highest(similarity, n)
    order = order[np.isfinite(similarity[order])]
    return pd.DataFrame({"latent": order, "similarity": similarity[order]})


def _cosines(table: Tensor, latent: int) -> np.ndarray:
    mine = table[latent].float()  # (d)
    mine = mine / mine.norm()
    out = np.empty(len(table), dtype=np.float32)
    for i in range(0, len(table), _ROWS):
        part = table[i : i + _ROWS].float()  # (rows, d)
        out[i : i + _ROWS] = (part @ mine / part.norm(dim=1)).cpu().numpy()
    return out


# ------------------------------------------------------------------------------------------- logit lens


def logit_lens(index: Queries, latent: int, n: int) -> pd.DataFrame:
    """See :meth:`LatentIndex.logit_lens`."""
    check_count("n", n)
    sae, model = index.need_sae("logit_lens"), index.need_model("logit_lens")
    hooks = sae.config.hook_out.split("+")
    with models.lock(model), torch.no_grad():
        # of a crosscoder's hook points the last is nearest to the logits
        width = sae.config.widths[-1] if sae.config.widths else sae.config.d_out
        direction = residual_direction(model, sae.W_dec[latent, -width:].float(), hooks[-1])  # (d_model)
        votes = token_votes(model, direction)  # (V)
    n = min(n, len(votes))
    up, down = torch.topk(votes, n), torch.topk(-votes, n)
    return TextFrame(
        {
            "rank": np.arange(1, n + 1),
            "up_token": models.token_labels(model, up.indices.tolist()),
            "up_value": up.values.cpu().numpy(),
            "down_token": models.token_labels(model, down.indices.tolist()),
            "down_value": -down.values.cpu().numpy(),
        }
    )


_RESIDUAL = re.compile(
    r"(hook_resid_(pre|mid|post)|hook_(mlp|attn)_out|blocks\.\d+\.(attn\.|mlp\.)?hook_out|hook_embed)$"
)


def residual_direction(model: Any, direction: Tensor, hook: str) -> Tensor:
    """What writing ``direction`` (d_out) at ``hook`` adds to the residual stream: (d_model).

    Raises
    ------
    SaelabError
        If the hook point does not write to the residual stream, neither directly nor through one linear map.
    """
    names = {hook, str(getattr(model.hook_dict.get(hook), "name", None) or hook)}
    layer = models.hook_layer(hook)
    if any(_RESIDUAL.search(name) for name in names):
        return direction
    if layer is not None and any(re.search(r"mlp\.(hook_post|out\.hook_in)$", name) for name in names):
        return direction.to(model.blocks[layer].mlp.W_out.device) @ model.blocks[layer].mlp.W_out.float()
    if layer is not None and any(re.search(r"attn\.(hook_z|o\.hook_in)$", name) for name in names):
        w_o = model.blocks[layer].attn.W_O  # (heads, d_head, d_model)
        return direction.to(w_o.device) @ w_o.flatten(0, 1).float()
    raise SaelabError(
        f"the logit lens has no meaning at {hook!r}: what is written there reaches the residual stream only "
        "through a nonlinearity. It is defined for hook_resid_*, hook_mlp_out, hook_attn_out, mlp.hook_post "
        "and attn.hook_z"
    )


def token_votes(model: Any, direction: Tensor) -> Tensor:
    """(V): change of the logits per unit of ``direction`` (d_model), up to the final norm's scale.

    The final norm's gain is applied and, for a LayerNorm, its centring; its division by the standard
    deviation depends on the text and is left out. The mean over the vocabulary is subtracted: it does not
    change probabilities.
    """
    norm = model.ln_final
    gain = getattr(norm, "weight", None)
    gain = getattr(norm, "w", None) if gain is None else gain
    if not str(getattr(model.cfg, "normalization_type", "LN")).upper().startswith("RMS"):
        direction = direction - direction.mean()
    if gain is not None:
        offset = 1.0 if getattr(model.cfg, "rmsnorm_uses_offset", False) else 0.0  # Gemma stores gain - 1
        direction = direction.to(gain.device) * (gain.float() + offset)
    w_u = model.W_U  # (d_model, V)
    votes = direction.to(w_u.device) @ w_u.float()  # (V)
    return votes - votes.mean()

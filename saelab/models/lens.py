"""From what is written at a hook point to the residual stream, to logits, and how far two predictions lie apart."""

from __future__ import annotations

import re

import torch
from jaxtyping import Float
from torch import Tensor

from saelab.errors import SaelabError
from saelab.models.hooks import HookedModel, hook_layer

_RESIDUAL = re.compile(
    r"(hook_resid_(pre|mid|post)|hook_(mlp|attn)_out|blocks\.\d+\.(attn\.|mlp\.|ln\d_post\.)?hook_out|hook_embed)$"
)

# Gemma 2 and 3, OLMo 2: a norm behind the part, in the block
_NORMED = {".attn.": "ln1_post", ".mlp.": "ln2_post"}


def residual_direction(
    model: HookedModel, direction: Float[Tensor, "*n d_out"], hook: str
) -> Float[Tensor, "*n d_model"]:
    """What writing ``direction`` at ``hook`` adds to the residual stream.

    Raises
    ------
    SaelabError
        If the hook point does not write to the residual stream, neither directly nor through one linear map.
    """
    names = {hook, str(getattr(model.hook_dict.get(hook), "name", None) or hook)}
    layer = hook_layer(hook)
    behind = next((norm for part, norm in _NORMED.items() if all(part in name for name in names)), None)
    if behind is not None and layer is not None and hasattr(model.blocks[layer], behind):
        raise SaelabError(
            f"the logit lens has no meaning at {hook!r}: this model puts a norm ({behind}) between it and the "
            f"residual stream; an SAE of blocks.{layer}.{behind}.hook_out writes straight into the stream"
        )
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


def token_votes(model: HookedModel, direction: Float[Tensor, "*n d_model"]) -> Float[Tensor, "*n vocab"]:
    """Change of the logits per unit of ``direction`` in the residual stream, up to the final norm's scale.

    The final norm's gain is applied and, for a LayerNorm, its centring; its division by the standard
    deviation depends on the text and is left out. The mean over the vocabulary is subtracted: it does not
    change probabilities.
    """
    norm = model.ln_final
    gain = getattr(norm, "weight", None)
    gain = getattr(norm, "w", None) if gain is None else gain
    if not str(getattr(model.cfg, "normalization_type", "LN")).upper().startswith("RMS"):
        direction = direction - direction.mean(-1, keepdim=True)
    if gain is not None:
        offset = 1.0 if getattr(model.cfg, "rmsnorm_uses_offset", False) else 0.0  # Gemma stores gain - 1
        direction = direction.to(gain.device) * (gain.float() + offset)
    w_u = model.W_U  # (d_model, V)
    votes = direction.to(w_u.device) @ w_u.float()  # (…, V)
    return votes.sub_(votes.mean(-1, keepdim=True))


def kl_divergence(logp: Float[Tensor, "*n vocab"], logq: Float[Tensor, "*n vocab"]) -> Float[Tensor, "*n"]:
    """KL(p ‖ q) from log-probabilities, in nats. Entries with p = 0 count as 0, also when masked logits make
    both -inf."""
    return torch.where(logp == -torch.inf, 0.0, logp.exp() * (logp - logq)).sum(-1)

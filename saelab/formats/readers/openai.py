"""OpenAI's ``.pt`` files (openai/sparse_autoencoder): a state dict with two entries that are not tensors.

``pre_bias (d_in)``, ``encoder.weight (d_sae, d_in)``, ``latent_bias (d_sae)``, ``decoder.weight (d_in,
d_sae)`` (left out, or named ``decoder.linear.weight``, when tied), three statistics of training,
``activation`` and ``activation_state_dict {k, postact_fn}``. ``pre_bias`` is subtracted from the input and
added to the output. With TopK each row is layer-normalised first: that is how the code reads files whose
activation is TopK."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saelab import files
from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble, is_transcoder, need, parameters, refuse, scale_folded
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "openai"
STATISTICS = ("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")
HOOKS = {
    "mlp_post_act": "mlp.hook_post",
    "resid_delta_mlp": "hook_mlp_out",
    "resid_delta_attn": "hook_attn_out",
    "resid_post_attn": "hook_resid_mid",
    "resid_post_mlp": "hook_resid_post",
}


def detect(src: Source) -> bool:
    """Whether this is a file of that library."""
    path = src.only(".pt")
    return path is not None and {"pre_bias", "latent_bias", "encoder.weight"} <= set(src.pickle(path))


def read(src: Source) -> SAE:
    """Read a file."""
    path = src.only(".pt")
    if path is None:
        raise SaelabError(f"{src} is not, and does not hold, exactly one .pt file; found: {src.inside()}")
    data = dict(src.pickle(path))
    facts = _activation(src, data, path)
    w = Weights(data, path)
    w.skip(*STATISTICS)
    encoder = w.take("encoder.weight", "d_sae", "d_in")
    tensors: dict[str, Tensor] = {
        "b_dec": w.take("pre_bias", "d_in"),
        "b_enc": w.take("latent_bias", "d_sae"),
    }
    if "decoder.weight" in w:
        tensors["W_enc"] = encoder.T  # (d_in, d_sae)
        tensors["W_dec"] = w.take("decoder.weight", "d_in", "d_sae").T  # (d_sae, d_in)
    else:
        w.skip("decoder.linear.weight")  # the encoder's, stored twice
        tensors["W_dec"], facts["tied"] = encoder, True
    place = _place(str(src.hint) if src.path.is_dir() else str(src.path))
    return assemble(src, w, tensors, form=NAME, **facts, **place)


def _activation(src: Source, data: dict[str, Any], path: Path) -> dict[str, Any]:
    state = Keys(data.pop("activation_state_dict", {}), f"activation_state_dict of {path}")
    name = data.pop("activation", None)
    for key in ("k", "postact_fn"):  # the library stores these twice
        if data.pop(f"activation.{key}", None) not in (None, state.peek(key)):
            raise SaelabError(f"{path}: activation.{key} and activation_state_dict do not agree")
    if name is None:
        arch = need(
            src,
            "arch",
            "no 'activation' is stored. The first files of this format (v1, v4) leave it out and mean "
            "'relu'; in a later one it is lost",
        )
        name = {"relu": "ReLU", "topk": "TopK"}.get(arch)
    if name == "ReLU":
        state.finish()
        return {"arch": "relu"}
    if name != "TopK":
        raise unknown(f"activation in {path}:", name, ("ReLU", "TopK"))
    post = state.take("postact_fn")
    if post != "ReLU":
        raise SaelabError(
            f"{path}: TopK followed by {post!r}; only ReLU is known, without it latents may be negative"
        )
    facts = {"arch": "topk", "k": state.take("k", kind=int)}
    state.finish()
    # not stored: TopK means layer norm, unless the user knows that training went without
    return facts | {"normalize": src.given.get("normalize", "layer_norm")}


def _place(path: str) -> dict[str, Any]:
    match = re.search(r"(mlp_post_act|resid_\w+?_(?:mlp|attn))(?:_v4|_v5_\w+k)?/autoencoders/(\d+)\.pt", path)
    if match is None:
        return {}
    return {"hook_in": f"blocks.{match[2]}.{HOOKS[match[1]]}", "model": "gpt2"} if match[1] in HOOKS else {}


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` as one file; ``path`` may be a folder, then as ``autoencoder.pt`` in it."""
    sae = scale_folded(sae)
    c = sae.config
    if c.arch not in ("relu", "topk"):
        raise refuse(sae, NAME, "the format has ReLU and TopK only")
    wanted = "layer_norm" if c.arch == "topk" else "none"
    if c.normalize != wanted:
        raise refuse(
            sae, NAME, f"its readers take {c.arch} to mean normalize={wanted!r}, this one has {c.normalize!r}"
        )
    if is_transcoder(sae) or c.skip or c.widths:
        raise refuse(sae, NAME, "input and output are the same activations there")
    p = parameters(sae, input_bias="decoder")
    out: dict[str, Any] = {
        "pre_bias": p["b_dec"],
        "latent_bias": p["b_enc"],
        "stats_last_nonzero": torch.zeros(c.d_sae, dtype=torch.long),
        "latents_activation_frequency": torch.ones(c.d_sae),
        "latents_mean_square": torch.zeros(c.d_sae),
        "encoder.weight": p["W_enc"].T.contiguous(),
        "decoder.weight": p["W_dec"].T.contiguous(),
        "activation": "TopK" if c.arch == "topk" else "ReLU",
        "activation_state_dict": {"k": c.k, "postact_fn": "ReLU"} if c.arch == "topk" else {},
    }
    path = path if path.suffix == ".pt" else path / "autoencoder.pt"
    with files.atomic_write(path) as temporary:
        torch.save({k: v.cpu() if isinstance(v, Tensor) else v for k, v in out.items()}, temporary)
    return path

"""Language-Model-SAEs (llamascopium): ``config.json`` with ``sae_type`` and ``sae_weights.safetensors`` with
``W_E (d_in, d_sae)``, ``b_E``, ``W_D (d_sae, d_out)``, ``b_D (d_out)`` and perhaps
``activation_function.log_jumprelu_threshold (d_sae)``; nothing is subtracted from the input.

``norm_activation`` says what the weights expect: ``inference`` raw activations; ``dataset-wise`` activations
times √d over the average norm that is stored beside them; ``token-wise`` rows of length √d. With
``sparsity_include_decoder_norm`` pre-activations are compared in units of the decoder row's length."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble, by_length, said_dtype
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Weights
from saelab.sae import SAE

NAME = "llamascopium"
CONFIG, WEIGHTS = "config.json", "sae_weights.safetensors"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
TENSORS = {"W_enc": "W_E", "b_enc": "b_E", "W_dec": "W_D"}
THRESHOLD = "activation_function.log_jumprelu_threshold"
ACTIVATIONS = ("relu", "jumprelu", "topk")
NORMS = {"inference": "none", "dataset-wise": "scale", "token-wise": "constant_norm"}
AVERAGE = "dataset_average_activation_norm."


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and set(TENSORS.values()) <= src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    keys, w = src.config(CONFIG), src.weights(WEIGHTS)
    kind = keys.take("sae_type", kind=str)
    if kind != "sae":
        raise SaelabError(f"{keys.where}: sae_type {kind!r} is not one that saelab reads; it reads 'sae'")
    keys.refuse({"use_glu_encoder": "saelab has no such encoder"})
    arch = str(keys.take("act_fn", kind=str)).lower()
    if arch == "batchtopk":
        raise SaelabError(
            f"{keys.where}: the library's batchtopk keeps the largest of each batch also in use, so what a "
            "token's latents are depends on the others; convert it to jumprelu there"
        )
    if arch not in ACTIVATIONS:
        raise unknown(f"act_fn in {keys.where}:", arch, ACTIVATIONS)
    width, factor = keys.take("d_model", kind=int), keys.take("expansion_factor", kind=(int, float))
    w.expect(str(keys.where), d_in=width, d_out=width, d_sae=int(width * factor))
    tensors = w.map(TENSORS, out="d_out")
    biased = keys.take("use_decoder_bias", True, kind=bool)
    tensors["b_dec"] = w.take("b_D", "d_out") if biased else tensors["W_dec"].new_zeros(w.sizes["d_out"])
    if arch == "jumprelu":
        tensors["threshold"] = w.take(THRESHOLD, "d_sae").exp()
    if keys.take("sparsity_include_decoder_norm", kind=bool):
        _in_units(tensors, arch, src)
    hooks = {f"hook_{way}": keys.take(f"hook_point_{way}", kind=str) for way in ("in", "out")}
    normalize = keys.choose("norm_activation", NORMS)
    scales = _scales(w, hooks, width) if normalize == "scale" else {}
    # there whether or not they were ever set
    w.skip(*(AVERAGE + hook for hook in hooks.values()))
    return assemble(
        src, w, tensors, NAME, arch=arch, k=keys.take("top_k", kind=int) if arch == "topk" else None,
        input_bias="none", normalize=normalize, dtype=said_dtype(keys), record=keys.rest(), **hooks, **scales,
    )  # fmt: skip


def _in_units(tensors: dict[str, Tensor], arch: str, src: SAEFiles) -> None:
    length = tensors["W_dec"].float().norm(dim=1)  # (d_sae)
    if arch == "jumprelu":
        tensors["threshold"] = by_length(tensors["threshold"], tensors["W_dec"])
    elif arch == "topk" and not bool(((length - 1).abs() < 1e-2).all()):
        raise SaelabError(
            f"{src} picks its k latents by how far they move the output, with decoder rows of different "
            "lengths; saelab picks them by their own size. Make the rows length 1 there "
            "(transform_to_unit_decoder_norm with the encoder scaled along), then load it"
        )


def _scales(w: Weights, hooks: dict[str, str], width: int) -> dict[str, Any]:
    scales = {}
    for hook in dict.fromkeys(hooks.values()):
        average = w.number(AVERAGE + hook)
        if not (math.isfinite(average) and average > 1e-6):
            raise SaelabError(
                f"{w.where}: {AVERAGE}{hook} must be positive, got {average!r}; was it ever set?"
            )
        scales[hook] = math.sqrt(width) / average
    scale, scale_out = scales[hooks["hook_in"]], scales[hooks["hook_out"]]
    return {"scale": scale, "scale_out": None if scale_out == scale else scale_out}

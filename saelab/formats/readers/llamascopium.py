"""Language-Model-SAEs (llamascopium): ``config.json`` with ``sae_type`` and ``sae_weights.safetensors`` with
``W_E (d_in, d_sae)``, ``b_E``, ``W_D (d_sae, d_out)``, ``b_D (d_out)`` and perhaps
``activation_function.log_jumprelu_threshold (d_sae)``; nothing is subtracted from the input.

``norm_activation`` says what the weights expect: ``inference`` raw activations; ``dataset-wise`` activations
times √d over the average norm that is stored beside them; ``token-wise`` rows of length √d. With
``sparsity_include_decoder_norm`` pre-activations are compared in units of the decoder row's length."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "llamascopium"
CONFIG, WEIGHTS = "config.json", "sae_weights.safetensors"
ACTIVATIONS = ("relu", "jumprelu", "topk")
NORMS = ("inference", "dataset-wise", "token-wise")
AVERAGE = "dataset_average_activation_norm."
THRESHOLD = "activation_function.log_jumprelu_threshold"


def detect(src: Source) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and {"W_E", "b_E", "W_D"} <= src.keys(WEIGHTS)


def read(src: Source) -> SAE:
    """Read a folder."""
    where = src.folder / CONFIG
    keys = Keys(src.json(CONFIG), where)
    kind = keys.take("sae_type", kind=str)
    if kind != "sae":
        raise SaelabError(f"{where}: sae_type {kind!r} is not one that saelab reads; it reads 'sae'")
    if keys.take("use_glu_encoder", False):
        raise SaelabError(f"{where}: use_glu_encoder is set; saelab has no such encoder")
    arch = str(keys.take("act_fn", kind=str)).lower()
    if arch == "batchtopk":
        raise SaelabError(
            f"{where}: the library's batchtopk keeps the largest of each batch also in use, so what a token's "
            "latents are depends on the others; convert it to jumprelu there"
        )
    if arch not in ACTIVATIONS:
        raise unknown(f"act_fn in {where}:", arch, ACTIVATIONS)
    by_length = keys.take("sparsity_include_decoder_norm", kind=bool)
    w = Weights(src.tensors(WEIGHTS), src.folder / WEIGHTS)
    width, factor = keys.take("d_model", kind=int), keys.take("expansion_factor", kind=(int, float))
    w.expect(str(where), d_in=width, d_out=width, d_sae=int(width * factor))
    tensors = {
        "W_enc": w.take("W_E", "d_in", "d_sae"),
        "b_enc": w.take("b_E", "d_sae"),
        "W_dec": w.take("W_D", "d_sae", "d_out"),
    }
    biased = keys.take("use_decoder_bias", True, kind=bool)
    tensors["b_dec"] = w.take("b_D", "d_out") if biased else tensors["W_dec"].new_zeros(w.sizes["d_out"])
    if arch == "jumprelu":
        tensors["threshold"] = w.take(THRESHOLD, "d_sae").exp()
    k = keys.take("top_k", kind=int) if arch == "topk" else None
    if by_length:
        _in_units(tensors, arch, src)
    hooks = {
        "hook_in": keys.take("hook_point_in", kind=str),
        "hook_out": keys.take("hook_point_out", kind=str),
    }
    norm = _norm(keys, w, where, hooks, width)
    values = keys.rest()
    record = {name: v for name, v in values.items() if isinstance(v, (str, int, float, bool))}
    return assemble(
        src, w, tensors, form=NAME, arch=arch, k=k, input_bias="none", record=record, **hooks, **norm
    )


def _in_units(tensors: dict[str, Tensor], arch: str, src: Source) -> None:
    length = tensors["W_dec"].float().norm(dim=1).to(tensors["W_dec"].dtype)  # (d_sae)
    if arch == "jumprelu":
        tensors["threshold"] = tensors["threshold"] / length
    elif arch == "topk" and not bool(((length - 1).abs() < 1e-2).all()):
        raise SaelabError(
            f"{src} picks its k latents by how far they move the output, with decoder rows of different "
            "lengths; saelab picks them by their own size. Make the rows length 1 there "
            "(transform_to_unit_decoder_norm with the encoder scaled along), then load it"
        )


def _norm(keys: Keys, w: Weights, where: Path, hooks: dict[str, str], width: int) -> dict[str, Any]:
    name = keys.take("norm_activation", kind=str)
    if name not in NORMS:
        raise SaelabError(
            f"{where}: norm_activation={name!r} is not known; known: {', '.join(map(repr, NORMS))}"
        )
    if name != "dataset-wise":
        # there whether or not they were ever set
        w.skip(*(AVERAGE + hook for hook in dict.fromkeys(hooks.values())))
        return {"normalize": "none" if name == "inference" else "constant_norm"}
    scales = {}
    for hook in dict.fromkeys(hooks.values()):
        average = w.number(AVERAGE + hook)
        if not (math.isfinite(average) and average > 1e-6):
            raise SaelabError(
                f"{w.where}: {AVERAGE}{hook} must be positive, got {average!r}; was it ever set?"
            )
        scales[hook] = math.sqrt(width) / average
    scale, scale_out = scales[hooks["hook_in"]], scales[hooks["hook_out"]]
    return {"normalize": "scale", "scale": scale, "scale_out": None if scale_out == scale else scale_out}

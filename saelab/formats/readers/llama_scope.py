"""Llama Scope: ``hyperparams.json`` and ``checkpoints/final.safetensors`` with ``encoder.weight (d_sae,
d_in)``, ``encoder.bias``, ``decoder.weight (d_out, d_sae)``, ``decoder.bias``: JumpReLU with one threshold
for all latents, nothing subtracted from the input. Weights are for activations scaled to mean length √d;
the stored threshold is not, it is scaled along.

The R1-distilled ones are ``config.json`` and ``sae_weights.safetensors`` with the same names and
``log_jumprelu_threshold (d_sae)``, for activations scaled in the same way, by a factor that no file holds
(``saelab.catalog()`` knows those that are public); unless ``norm_activation`` is ``inference``."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from saelab.errors import SaelabError
from saelab.formats.common import assemble, by_length, need
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import LINEAR, Keys, Weights
from saelab.sae import SAE

NAME = "llama_scope"
CONFIG, WEIGHTS = "hyperparams.json", "checkpoints/final.safetensors"
DISTILLED = ("config.json", "sae_weights.safetensors")
LAYOUT = Layout(weights=(WEIGHTS, DISTILLED[1]), beside=(CONFIG, DISTILLED[0]))
LOG_THRESHOLD = "log_jumprelu_threshold"
REFUSED = {
    "use_glu_encoder": "saelab has no such encoder",
    "apply_decoder_bias_to_pre_encoder": "saelab has no such encoder",
}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these folders."""
    if src.has(CONFIG, WEIGHTS):
        return True
    return src.has(*DISTILLED) and {"encoder.weight", LOG_THRESHOLD} <= src.keys(DISTILLED[1])


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    distilled = src.has(*DISTILLED)
    config, weights = DISTILLED if distilled else (CONFIG, WEIGHTS)
    keys, w = src.config(config), src.weights(weights)
    keys.refuse(REFUSED)
    keys.choose("act_fn", {"jumprelu": True}, "jumprelu")
    tensors, norm = (_distilled if distilled else _original)(src, keys, w)
    hooks = {f"hook_{way}": keys.take(f"hook_point_{way}", None) for way in ("in", "out")}
    record = keys.rest()
    return assemble(src, w, tensors, NAME, arch="jumprelu", input_bias="none", record=record, **hooks, **norm)


def _original(src: SAEFiles, keys: Keys, w: Weights) -> tuple[dict[str, Tensor], dict[str, Any]]:
    d_in = keys.take("d_model", kind=int)
    w.expect(str(keys.where), d_in=d_in, d_sae=keys.take("d_sae", kind=int))
    norms = Keys(keys.take("dataset_average_activation_norm", kind=dict), f"average norms in {keys.where}")
    scale = _scale(norms, "in", d_in)
    scale_out = _scale(norms, "out", d_in) if "out" in norms else None
    jump = keys.take("jump_relu_threshold", kind=(int, float)) * scale
    tensors = w.map(LINEAR, out="d_out")
    threshold = tensors["b_enc"].new_full((w.sizes["d_sae"],), jump)
    if keys.take("sparsity_include_decoder_norm", False):  # compared in units of the row's length
        threshold = by_length(jump, tensors["W_dec"])
    tensors["threshold"] = threshold
    return tensors, {
        "normalize": "scale", "scale": scale, "scale_out": None if scale_out == scale else scale_out
    }  # fmt: skip


def _scale(norms: Keys, way: str, d_in: int) -> float:
    norm = norms.take(way, kind=(int, float))
    if not (math.isfinite(norm) and norm > 0):
        raise SaelabError(f"{norms.where}: an average activation norm must be positive, got {norm!r}")
    return math.sqrt(d_in) / norm


def _distilled(src: SAEFiles, keys: Keys, w: Weights) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = w.map(LINEAR, out="d_out")
    tensors["threshold"] = w.take(LOG_THRESHOLD, "d_sae").exp()
    known = {"dataset-wise": "scale", "inference": "none"}
    normalize = keys.choose("norm_activation", known, "dataset-wise")
    if normalize == "scale":
        why = "its weights are for activations times √d / (their mean length), which it does not hold"
        need(src, "scale", why)
    return tensors, {"normalize": normalize}

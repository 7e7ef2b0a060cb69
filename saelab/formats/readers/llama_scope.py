"""Llama Scope: ``hyperparams.json`` and ``checkpoints/final.safetensors`` with ``encoder.weight (d_sae,
d_in)``, ``encoder.bias``, ``decoder.weight (d_out, d_sae)``, ``decoder.bias``: JumpReLU with one threshold
for all latents, nothing subtracted from the input. Weights are for activations scaled to mean length √d;
the stored threshold is not, it is scaled along.

The R1-distilled ones are ``config.json`` and ``sae_weights.safetensors`` with the same names and
``log_jumprelu_threshold (d_sae)``, for activations scaled in the same way, by a factor that no file holds
(``saelab.catalog()`` knows those that are public); unless ``norm_activation`` is ``inference``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from saelab.errors import SaelabError
from saelab.formats.common import assemble, need
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "llama_scope"
CONFIG, WEIGHTS = "hyperparams.json", "checkpoints/final.safetensors"
DISTILLED = ("config.json", "sae_weights.safetensors")
LOG_THRESHOLD = "log_jumprelu_threshold"


def detect(src: Source) -> bool:
    """Whether this is one of these folders."""
    if src.has(CONFIG, WEIGHTS):
        return True
    return src.has(*DISTILLED) and {"encoder.weight", LOG_THRESHOLD} <= src.keys(DISTILLED[1])


def read(src: Source) -> SAE:
    """Read a folder."""
    return _distilled(src) if src.has(*DISTILLED) else _original(src)


def _linear(w: Weights) -> dict[str, Tensor]:
    return {
        "W_enc": w.take("encoder.weight", "d_sae", "d_in").T,
        "b_enc": w.take("encoder.bias", "d_sae"),
        "W_dec": w.take("decoder.weight", "d_out", "d_sae").T,
        "b_dec": w.take("decoder.bias", "d_out"),
    }


def _no_more(keys: Keys, where: Path) -> None:
    for name in ("use_glu_encoder", "apply_decoder_bias_to_pre_encoder"):
        if keys.take(name, False):
            raise SaelabError(f"{where}: {name} is set; saelab has no such encoder")
    act = keys.take("act_fn", "jumprelu")
    if act != "jumprelu":
        raise SaelabError(f"{where}: act_fn={act!r} is not known here; known: 'jumprelu'")


def _original(src: Source) -> SAE:
    where = src.folder / CONFIG
    keys = Keys(src.json(CONFIG), where)
    _no_more(keys, where)
    w = Weights(src.tensors(WEIGHTS), src.folder / WEIGHTS)
    d_in = keys.take("d_model", kind=int)
    w.expect(str(where), d_in=d_in, d_sae=keys.take("d_sae", kind=int))
    norms = Keys(keys.take("dataset_average_activation_norm", kind=dict), f"average norms in {where}")
    scale = math.sqrt(d_in) / _positive(norms.take("in", kind=(int, float)), where)
    scale_out = (
        math.sqrt(d_in) / _positive(norms.take("out", kind=(int, float)), where) if "out" in norms else None
    )
    jump = keys.take("jump_relu_threshold", kind=(int, float)) * scale
    tensors = _linear(w)
    if keys.take("sparsity_include_decoder_norm", False):
        tensors["threshold"] = jump / tensors["W_dec"].float().norm(
            dim=1
        )  # compared in units of the row's length
    else:
        tensors["threshold"] = tensors["b_enc"].new_full((w.sizes["d_sae"],), jump)
    tensors["threshold"] = tensors["threshold"].to(tensors["b_enc"].dtype)
    return assemble(
        src, w, tensors, form=NAME, arch="jumprelu", input_bias="none", normalize="scale", scale=scale,
        scale_out=None if scale_out == scale else scale_out,
        hook_in=keys.take("hook_point_in", None), hook_out=keys.take("hook_point_out", None),
        record=_plain(keys.rest()),
    )  # fmt: skip


def _distilled(src: Source) -> SAE:
    where = src.folder / DISTILLED[0]
    keys = Keys(src.json(where.name), where)
    _no_more(keys, where)
    w = Weights(src.tensors(DISTILLED[1]), src.folder / DISTILLED[1])
    tensors = _linear(w) | {"threshold": w.take(LOG_THRESHOLD, "d_sae").exp()}
    norm = keys.take("norm_activation", "dataset-wise")
    if norm not in ("dataset-wise", "inference"):
        raise SaelabError(
            f"{where}: norm_activation={norm!r} is not known here; known: dataset-wise, inference"
        )
    if norm == "dataset-wise":
        need(
            src,
            "scale",
            "its weights are for activations times √d / (their mean length), which it does not hold",
        )
    return assemble(
        src, w, tensors, form=NAME, arch="jumprelu", input_bias="none",
        normalize="scale" if norm == "dataset-wise" else "none",
        hook_in=keys.take("hook_point_in", None), hook_out=keys.take("hook_point_out", None),
        record=_plain(keys.rest()),
    )  # fmt: skip


def _positive(value: float, where: Path) -> float:
    if not (math.isfinite(value) and value > 0):
        raise SaelabError(f"{where}: an average activation norm must be positive, got {value!r}")
    return value


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if isinstance(v, (str, int, float, bool))}

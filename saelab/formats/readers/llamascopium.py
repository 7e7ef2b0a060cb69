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

from saelab.formats.common import assemble, by_length, k_of, unit_rows
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, DTYPE, FLAG, POSITIVE, TEXT, choice
from saelab.formats.readers.llama_scope import BATCH, NORMS, SHARED, norm_of
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Weights
from saelab.sae import SAE

NAME = "llamascopium"
CONFIG, WEIGHTS = "config.json", "sae_weights.safetensors"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
TENSORS = {"W_enc": "W_E", "b_enc": "b_E", "W_dec": "W_D"}
THRESHOLD = "activation_function.log_jumprelu_threshold"
AVERAGE = "dataset_average_activation_norm."
REFUSED = {"batchtopk": "keeps the largest of each batch also in use, so what a token's latents are depends on the "
           "others; convert it to jumprelu there"}  # fmt: skip
ACTIVATIONS = {name: name.lower() for name in ("relu", "jumprelu", "topk", "ReLU", "JumpReLU", "TopK")}
KEYS = SHARED | {
    "sparsity_include_decoder_norm": FLAG.absent(True),
    "sae_type": choice(("sae",)).needed, "act_fn": choice(ACTIVATIONS, refused=REFUSED).needed,
    "expansion_factor": POSITIVE.needed, "hook_point_in": TEXT.needed, "hook_point_out": TEXT.needed,
    "norm_activation": choice(NORMS, "scale", refused=BATCH), "top_k": COUNT, "dtype": DTYPE,
}  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and set(TENSORS.values()) <= src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    config, w = src.config(CONFIG, KEYS), src.weights(WEIGHTS)
    src.obstacles.check()
    arch, width = config["act_fn"], config["d_model"]
    w.expect(str(config.where), d_in=width, d_out=width, d_sae=int(width * config["expansion_factor"]))
    tensors = w.map(TENSORS, out="d_out")
    biased = config["use_decoder_bias"]
    tensors["b_dec"] = w.take("b_D", "d_out") if biased else tensors["W_dec"].new_zeros(w.sizes["d_out"])
    if arch == "jumprelu":
        tensors["threshold"] = w.take(THRESHOLD, "d_sae").exp()
    k = k_of(src, config, arch)
    if arch == "relu":  # of which the sign decides, in any units
        config.record["sparsity_include_decoder_norm"] = config["sparsity_include_decoder_norm"]
    if config["sparsity_include_decoder_norm"]:
        _in_units(tensors, arch, src)
    hooks = {f"hook_{way}": config[f"hook_point_{way}"] for way in ("in", "out")}
    normalize = norm_of(src, config)
    scales = _scales(w, hooks, width) if normalize == "scale" else {}
    # there whether or not they were ever set
    w.skip(*(AVERAGE + hook for hook in hooks.values()))
    return assemble(
        src, w, tensors, NAME, arch=arch, k=k, input_bias="none", normalize=normalize,
        dtype=config["dtype"] or "float32", **hooks, **scales,
    )  # fmt: skip


def _in_units(tensors: dict[str, Tensor], arch: str, src: SAEFiles) -> None:
    stored = tensors["W_dec"].dtype
    length = tensors["W_dec"].float().norm(dim=1)  # (d_sae)
    if arch == "jumprelu":
        tensors["threshold"] = by_length(tensors["threshold"], tensors["W_dec"])
    if arch != "topk":
        return
    rounding = 1e-5 if stored.itemsize > 2 else 1e-3  # of rows that were brought to length 1, and stored
    if bool(((length - 1).abs() < rounding).all()):
        # by rounding alone rows of equal rank would change places: in units of their rows they do not
        unit_rows(tensors)
        return
    off = float((length - 1).abs().max())
    src.obstacles.add(
        f"{src} picks its k latents by how far they move the output, with decoder rows of different lengths (up to "
        f"{off:.2g} off 1); saelab picks them by their own size. Make the rows length 1 there "
        "(transform_to_unit_decoder_norm with the encoder scaled along), then load it"
    )


def _scales(w: Weights, hooks: dict[str, str], width: int) -> dict[str, Any]:
    scales = {}
    for hook in dict.fromkeys(hooks.values()):
        average = w.number(AVERAGE + hook)
        if not (math.isfinite(average) and average > 1e-6):
            w.obstacles.add(f"{w.where}: {AVERAGE}{hook} must be positive, got {average!r}; was it ever set?")
            average = 1.0
        scales[hook] = math.sqrt(width) / average
    scale, scale_out = scales[hooks["hook_in"]], scales[hooks["hook_out"]]
    return {"scale": scale, "scale_out": None if scale_out == scale else scale_out}

"""Llama Scope: ``hyperparams.json`` and ``checkpoints/final.safetensors`` with ``encoder.weight (d_sae,
d_in)``, ``encoder.bias``, ``decoder.weight (d_out, d_sae)``, ``decoder.bias``: JumpReLU with one threshold
for all latents.

The R1-distilled ones are ``config.json`` and ``sae_weights.safetensors`` with the same names and
``log_jumprelu_threshold (d_sae)``.

``norm_activation`` says what the weights are for: ``dataset-wise`` activations times √d over their mean length
(which the R1-distilled ones do not hold; ``saelab.catalog()`` knows those that are public); ``token-wise`` rows
of length √d; ``inference`` and ``none`` raw activations. The one threshold is for raw activations, and is scaled
along. With ``sparsity_include_decoder_norm`` pre-activations are compared in units of the decoder row's length."""

from __future__ import annotations

import math
import re
from typing import Any

from saelab.formats.common import assemble, by_length, need
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, FLAG, NUMBER, POSITIVE, TABLE, TEXT, Config, choice, never, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import LINEAR
from saelab.sae import SAE

NAME = "llama_scope"
CONFIG, WEIGHTS = "hyperparams.json", "checkpoints/final.safetensors"
DISTILLED = ("config.json", "sae_weights.safetensors")
LAYOUT = Layout(weights=(WEIGHTS, DISTILLED[1]), beside=(CONFIG, DISTILLED[0]))
LOG_THRESHOLD = "log_jumprelu_threshold"
NORMS = {"dataset-wise": "scale", "token-wise": "constant_norm", "inference": "none", "none": "none"}
BATCH = {"batch-wise": "divides by the mean length of the batch, so a row's latents depend on the others"}
# what its library's later form shares
SHARED = {
    "d_model": COUNT.needed,
    "hook_point_in": TEXT,
    "hook_point_out": TEXT,
    "use_decoder_bias": FLAG.absent(True),
    "sparsity_include_decoder_norm": FLAG,
    "norm_activation": choice(NORMS, refused=BATCH),
    "use_glu_encoder": never("saelab has no such encoder"),
} | unused(
    "device seed dtype top_k sae_pretrained_name_or_path strict_loading use_triton_kernel jumprelu_threshold_window "
    "sparsity_threshold_for_triton_spmm_kernel"
)
KEYS = SHARED | {
    "d_sae": COUNT, "expansion_factor": POSITIVE, "act_fn": choice(("jumprelu",)), "jump_relu_threshold": NUMBER,
    "dataset_average_activation_norm": TABLE,
    # the versions that could subtract it always wrote the key
    "apply_decoder_bias_to_pre_encoder": FLAG.absent(False),
} | unused(
    "sae_type bias_init_method decoder_exactly_fixed_norm force_unit_decoder_norm init_decoder_norm init_encoder_norm "
    "init_encoder_with_decoder_transpose lp l1_coefficient l1_coefficient_warmup_steps initial_k k_warmup_steps "
    "use_batch_norm_mse use_ghost_grads tp_size ddp_size"
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these folders."""
    if src.has(CONFIG, WEIGHTS):
        return True
    return src.has(*DISTILLED) and {"encoder.weight", LOG_THRESHOLD} <= src.keys(DISTILLED[1])


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    distilled = src.has(*DISTILLED)
    name, weights = DISTILLED if distilled else (CONFIG, WEIGHTS)
    config, w = src.config(name, KEYS), src.weights(weights)
    if config["act_fn"] is None and need(src, "arch", f"{name} names no 'act_fn'") not in (None, "jumprelu"):
        src.obstacles.add(f"{src}: these files hold jumprelu SAEs")
    factor = config["expansion_factor"]
    for d_sae in (config["d_sae"], int(config["d_model"] * factor) if factor and config["d_model"] else None):
        w.expect(str(config.where), d_in=config["d_model"], d_sae=d_sae)
    biased = config["use_decoder_bias"]
    names = LINEAR if biased else {ours: theirs for ours, theirs in LINEAR.items() if ours != "b_dec"}
    tensors = w.map(names, out="d_out")
    if not biased:
        tensors["b_dec"] = tensors["W_dec"].new_zeros(tensors["W_dec"].shape[1])
    norm = _norm(src, config)
    in_units = config["sparsity_include_decoder_norm"]
    if in_units is None:  # the library's default; of R1-distilled ones SAELens's reader, which never looks
        in_units = not distilled
    scale, scale_out = norm.get("scale", 1.0), norm.get("scale_out") or norm.get("scale", 1.0)
    if distilled:
        threshold = w.take(LOG_THRESHOLD, "d_sae").exp()
    else:
        raw = config["jump_relu_threshold"]
        if raw is None:
            src.obstacles.add(f"{config.where} has no 'jump_relu_threshold'; refusing to guess it")
        # the library folds both scales into the weights before it measures a row
        shared = (raw or 0.0) * (scale_out if in_units else scale)
        threshold = tensors["b_enc"].new_full((w.sizes["d_sae"],), shared)
    tensors["threshold"] = by_length(threshold, tensors["W_dec"]) if in_units else threshold
    subtracts = config["apply_decoder_bias_to_pre_encoder"] and biased
    if subtracts and norm.get("scale_out") is not None:
        src.obstacles.add(f"{config.where}: the output's bias is subtracted from an input in other units")
    return assemble(
        src, w, tensors, NAME, arch="jumprelu", input_bias="decoder" if subtracts else "none",
        hook_in=config["hook_point_in"], hook_out=config["hook_point_out"], guess=_named(src.names), **norm,
    )  # fmt: skip


def norm_of(src: SAEFiles, config: Config) -> str | None:
    """How rows are normalized; a transcoder's output cannot have been brought to its own length."""
    normalize = config["norm_activation"]
    points = {config["hook_point_in"], config["hook_point_out"]} - {None}
    if normalize == "constant_norm" and len(points) > 1:
        src.obstacles.add(f"{config.where}: a transcoder whose rows are normalized one by one is not known")
    return normalize


def _norm(src: SAEFiles, config: Config) -> dict[str, Any]:
    averages = config["dataset_average_activation_norm"]
    normalize = norm_of(src, config)
    if normalize is None and (averages or src.has(*DISTILLED)):
        normalize = (
            "scale"  # what averages are for, and the library's own default since it writes config.json
        )
    if normalize is None:
        normalize = need(src, "normalize", "norm_activation is missing: what its weights expect is not known")
    if normalize != "scale":
        return {"normalize": normalize}
    if not averages:
        why = "its weights are for activations times √d / (their mean length), which it does not hold"
        need(src, "scale", why)
        return {"normalize": normalize}
    norms = src.table(averages, f"average norms in {config.where}", {"in": POSITIVE.needed, "out": POSITIVE})
    scales = {way: math.sqrt(config["d_model"] or 1) / norms[way] for way in ("in", "out") if norms[way]}
    scale, scale_out = scales.get("in", 1.0), scales.get("out")
    return {"normalize": normalize, "scale": scale, "scale_out": None if scale_out == scale else scale_out}


def _named(names: str) -> dict[str, str]:
    """The model, where the repository's name says it."""
    return {"model": "meta-llama/Llama-3.1-8B"} if re.search(r"Llama3_1-8B-Base-L", names) else {}

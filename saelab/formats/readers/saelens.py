"""SAELens: ``cfg.json`` and ``sae_weights.safetensors``.

Tensors are ``W_enc (d_in, d_sae)``, ``W_dec (d_sae, d_out)``, ``b_enc (d_sae)``, ``b_dec (d_out)``;
JumpReLU adds ``threshold (d_sae)``, gated has ``b_gate``, ``b_mag``, ``r_mag`` in place of ``b_enc``,
transcoders with a skip path have ``W_skip (d_out, d_in)``. Version 6 names its ``architecture`` and keeps
what concerns the model under ``metadata``; older configs are flat, and the oldest name only the activation
function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelab import files
from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble, check_can, is_transcoder, need, parameters, renamed, said_dtype
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME, Keys, Weights
from saelab.sae import SAE

NAME = "saelens"
CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
ARCHITECTURES = {
    "standard": "relu",
    "topk": "topk",
    "jumprelu": "jumprelu",
    "gated": "gated",
    "batchtopk": "batchtopk",
    "matryoshka_batchtopk": "matryoshka",
    "transcoder": "relu",
    "skip_transcoder": "relu",
    "jumprelu_transcoder": "jumprelu",
    "jumprelu_skip_transcoder": "jumprelu",
}
NOT_HERE = {
    "abstopk": "its latents may be negative",
    "temporal": "its latents depend on other positions",
    "matching_pursuit": "it encodes in a loop, not with a matrix",
}
GATES = {"b_enc": "b_gate", "b_mag": "b_mag", "r_mag": "r_mag"}
SKIP = {"W_skip": "W_skip"}
NORMALIZE = {
    None: "none", False: "none", True: "scale", "none": "none", "expected_average_only_in": "scale",
    "layer_norm": "layer_norm", "constant_norm_rescale": "constant_norm", "constant_norm": "constant_norm",
}  # fmt: skip
REFUSED = {"finetuning_scaling_factor": "what it does differs between versions"}
# keys that only steered training, or say where things ran
TRAINING = (
    "device", "l1_coefficient", "l1_warm_up_steps", "lp_norm", "noise_scale", "mse_loss_normalization",
    "decoder_init_norm", "aux_loss_coefficient", "topk_threshold_lr", "jumprelu_init_threshold",
    "jumprelu_bandwidth", "jumprelu_sparsity_loss_mode", "jumprelu_tanh_scale", "l0_coefficient",
    "l0_warm_up_steps", "pre_act_loss_coefficient", "use_sparse_activations", "sae_lens_version",
    "sae_lens_training_version", "jumprelu_ste_to_input", "target_l0", "use_matryoshka_aux_loss",
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and "W_dec" in src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    where, values = src.folder / CONFIG, dict(src.values(CONFIG))
    flat = "metadata" not in values
    for old, new in (("hook_point", "hook_name"), ("hook_point_head_index", "hook_head_index")):
        if flat and old in values:
            values.setdefault(new, values.pop(old))
    meta = None if flat else Keys(values.pop("metadata"), f"'metadata' in {where}")
    keys = Keys(values, where)
    meta = meta or keys
    architecture, k = _architecture(src, keys, flat)
    arch = ARCHITECTURES[architecture]
    w = src.weights(WEIGHTS)
    w.expect(str(where), **{axis: keys.take(axis, None) for axis in ("d_in", "d_sae", "d_out")})
    facts = {"arch": arch, "k": k, "skip": "skip" in architecture} | _inputs(src, keys, flat) | _meta(meta)
    if architecture.endswith("transcoder"):
        facts["input_bias"] = "none"
        if facts["normalize"] != "none":
            raise SaelabError(
                f"{where}: a transcoder whose input is normalized ({facts['normalize']}) is not known"
            )
    if facts["normalize"] == "scale":
        need(
            src,
            "scale",
            "it expects inputs scaled by a factor that it does not hold (√d_in / mean ‖x‖ over the "
            "training data); without it the latents would be wrong",
        )
    tensors = _tensors(w, architecture)
    if keys.take("rescale_acts_by_decoder_norm", False, kind=bool):
        _fold_norms(tensors)
    widths = keys.take("matryoshka_widths", None)
    if arch == "matryoshka":
        facts["prefixes"] = _prefixes(widths, w.sizes["d_sae"], where)
    said = said_dtype(keys)  # which the library follows where it loads from a disk, and not from the hub
    record = {"model_options": meta.take("model_from_pretrained_kwargs", None), "saelens": meta.rest()}
    if not flat:
        keys.skip(*TRAINING)
        keys.finish()
    return assemble(src, w, tensors, NAME, record=record, dtype="float32" if src.fetched else said, **facts)


def _architecture(src: SAEFiles, keys: Keys, flat: bool) -> tuple[str, int | None]:
    name, kwargs = keys.take("architecture", None), keys.take("activation_fn_kwargs", None)
    function = keys.take("activation_fn_str", keys.take("activation_fn", None))
    k = keys.take("k", kwargs.get("k") if isinstance(kwargs, dict) else None)
    if function is not None and function not in ("relu", "topk"):
        raise unknown(f"activation function in {keys.where}:", function, ("relu", "topk"))
    if name is None and function is None:
        why = (
            "the config names neither an 'architecture' nor an activation function, and the same tensors "
            "mean different things in different ones"
        )
        name = need(src, "arch", why)
        name = "standard" if name == "relu" else name
    elif function == "topk":
        name = "topk"  # architecture was "standard" then
    elif name is None:
        name = "standard"
    if name in NOT_HERE:
        raise SaelabError(
            f"{keys.where}: architecture {name!r} has no counterpart in saelab: {NOT_HERE[name]}"
        )
    if name not in ARCHITECTURES:
        raise unknown(f"architecture in {keys.where}:", name, ARCHITECTURES)
    if ARCHITECTURES[name] not in ("topk", "batchtopk", "matryoshka"):
        return name, None
    if isinstance(k, float) and k.is_integer():
        k = int(k)
    if not isinstance(k, int):
        raise SaelabError(f"{keys.where}: a {name} SAE needs 'k', a whole number; got {k!r}")
    return name, k


def _inputs(src: SAEFiles, keys: Keys, flat: bool) -> dict[str, Any]:
    # flat configs from before the keys existed always subtracted it; what normalize would say may be known elsewhere
    subtracts = keys.take("apply_b_dec_to_input", *((True,) if flat else ()), kind=bool)
    normalize = keys.choose("normalize_activations", NORMALIZE, *((src.fact("normalize"),) if flat else ()))
    keys.choose("reshape_activations", {"none": True, "hook_z": True}, "none")
    keys.refuse(REFUSED)
    return {"input_bias": "decoder" if subtracts else "none", "normalize": normalize}


def _meta(meta: Keys) -> dict[str, Any]:
    for name in ("hook_head_index", "hook_head_index_out"):
        head = meta.take(name, None)
        if head is not None:
            raise SaelabError(
                f"{meta.where}: it reads one attention head ({name}={head}); only whole hook points can be read"
            )
    context, bos = meta.take("context_size", None), meta.take("prepend_bos", None)
    return {
        "hook_in": meta.take("hook_name", None),
        "hook_out": meta.take("hook_name_out", None),
        "model": meta.take("model_name", None),
        "bos": bos if isinstance(bos, bool) else None,
        "context": context if isinstance(context, int) else None,
    }


def _tensors(w: Weights, architecture: str) -> dict[str, Tensor]:
    arch, out = ARCHITECTURES[architecture], "d_out" if architecture.endswith("transcoder") else "d_in"
    if "scaling_factor" in w:
        factor = w.take("scaling_factor", "d_sae")
        if not torch.allclose(factor, torch.ones_like(factor)):
            raise SaelabError(f"{w.where}: scaling_factor is not 1; what it does differs between versions")
    names = SAME | (GATES if arch == "gated" else {}) | (SKIP if "skip" in architecture else {})
    tensors = w.map(names, out=out)
    if arch == "jumprelu":
        log = "log_threshold" in w
        threshold = w.take("log_threshold" if log else "threshold", "d_sae")
        tensors["threshold"] = threshold.exp() if log else threshold
    if arch in ("batchtopk", "matryoshka"):
        tensors["threshold"] = w.take("topk_threshold")
    return tensors


def _prefixes(widths: Any, d_sae: int, where: Path) -> tuple[int, ...]:
    if not isinstance(widths, list) or not all(isinstance(n, int) for n in widths):
        raise SaelabError(
            f"{where}: a matryoshka SAE needs 'matryoshka_widths', a list of sizes; got {widths!r}"
        )
    return tuple(widths) if widths and widths[-1] == d_sae else (*widths, d_sae)


def _fold_norms(tensors: dict[str, Tensor]) -> None:
    """Latents were compared, and are given out, in units of their decoder row's length."""
    norm = tensors["W_dec"].float().norm(dim=1)  # (d_sae)
    tensors["W_enc"] = tensors["W_enc"] * norm
    tensors["b_enc"] = tensors["b_enc"] * norm  # a row of length 0: a latent that is never on
    tensors["W_dec"] = tensors["W_dec"] / torch.where(norm > 0, norm, 1.0)[:, None]


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``, in the form of version 6."""
    c = sae.config
    transcodes = is_transcoder(sae) or c.skip
    name = {"relu": "standard", "batchtopk": "jumprelu", "matryoshka": "jumprelu"}.get(c.arch, c.arch)
    check_can(
        sae, NAME,
        (c.widths, "the library has no crosscoders"),
        ("+" in c.hook_out, "the library's transcoders write to one hook point"),
        (name not in ARCHITECTURES, f"the library has no such architecture; it has {', '.join(ARCHITECTURES)}"),
        (transcodes and name not in ("standard", "jumprelu"), "the library's transcoders are ReLU or JumpReLU"),
        (transcodes and c.normalize != "none", "the library's transcoders do not normalize"),
    )  # fmt: skip
    if transcodes:
        name = f"{'jumprelu_' * (name == 'jumprelu')}{'skip_' * c.skip}transcoder"
    subtracts = not transcodes and c.input_bias != "none"
    p = parameters(sae, input_bias="decoder" if subtracts else "none")
    tensors = renamed(p, SAME | (GATES if name == "gated" else {}) | (SKIP if c.skip else {}))
    if "threshold" in p:
        # one threshold for all is how the library itself saves what it trained as BatchTopK
        tensors["threshold"] = p["threshold"].clamp_min(0).expand(c.d_sae)
    metadata = {
        "sae_lens_version": "6.0.0",
        "sae_lens_training_version": None,
        "model_name": c.model,
        "hook_name": c.hook_in,
        "hook_head_index": None,
        "prepend_bos": c.bos,
        "context_size": c.context,
        "exclude_special_tokens": False,
    } | ({"hook_name_out": c.hook_out} if transcodes else {})
    if options := sae.record.get("loaded", {}).get("model_options"):
        metadata["model_from_pretrained_kwargs"] = options
    config = {
        "d_in": c.d_in,
        "d_sae": c.d_sae,
        "dtype": str(tensors["W_enc"].dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": subtracts,
        "normalize_activations": "constant_norm_rescale" if c.normalize == "constant_norm" else c.normalize,
        "reshape_activations": "hook_z" if "hook_z" in c.hook_in else "none",
        "metadata": metadata,
        "architecture": name,
    }
    config |= {"k": c.k, "rescale_acts_by_decoder_norm": False} if name == "topk" else {}
    config |= {"d_out": c.d_out} if transcodes else {}
    files.write_tensors(path / WEIGHTS, tensors)
    files.write_json(path / CONFIG, config)
    return path

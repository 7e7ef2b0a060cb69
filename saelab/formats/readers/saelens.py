"""SAELens: ``cfg.json`` and ``sae_weights.safetensors``.

Tensors are ``W_enc (d_in, d_sae)``, ``W_dec (d_sae, d_out)``, ``b_enc (d_sae)``, ``b_dec (d_out)``;
JumpReLU adds ``threshold (d_sae)``, gated has ``b_gate``, ``b_mag``, ``r_mag`` in place of ``b_enc``,
transcoders with a skip path have ``W_skip (d_out, d_in)``. Version 6 names its ``architecture`` and keeps
what concerns the model under ``metadata``; older configs are flat, and the oldest name only the activation
function."""

from __future__ import annotations

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

NAME = "saelens"
CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
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
NORMALIZE = {None: "none", False: "none", True: "scale", "none": "none", "expected_average_only_in": "scale",
             "layer_norm": "layer_norm", "constant_norm_rescale": "constant_norm"}  # fmt: skip
# keys that only steered training, or say where things ran
TRAINING = (
    "device",
    "dtype",
    "l1_coefficient",
    "l1_warm_up_steps",
    "lp_norm",
    "noise_scale",
    "mse_loss_normalization",
    "decoder_init_norm",
    "aux_loss_coefficient",
    "topk_threshold_lr",
    "jumprelu_init_threshold",
    "jumprelu_bandwidth",
    "jumprelu_sparsity_loss_mode",
    "jumprelu_tanh_scale",
    "l0_coefficient",
    "l0_warm_up_steps",
    "pre_act_loss_coefficient",
    "use_sparse_activations",
    "sae_lens_version",
    "sae_lens_training_version",
    "jumprelu_ste_to_input",
    "target_l0",
    "use_matryoshka_aux_loss",
)


def detect(src: Source) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and "W_dec" in src.keys(WEIGHTS)


def read(src: Source) -> SAE:
    """Read a folder."""
    where = src.folder / CONFIG
    values = dict(src.json(CONFIG))
    flat = "metadata" not in values
    meta = Keys(values if flat else values.pop("metadata"), where if flat else f"'metadata' in {where}")
    if flat:
        for old, new in (("hook_point", "hook_name"), ("hook_point_head_index", "hook_head_index")):
            if old in values:
                values.setdefault(new, values.pop(old))
    keys = Keys(values, where)
    architecture, k = _architecture(src, keys, where, flat)
    w = Weights(src.tensors(WEIGHTS), src.folder / WEIGHTS)
    w.expect(
        str(where),
        d_in=keys.take("d_in", None),
        d_sae=keys.take("d_sae", None),
        d_out=keys.take("d_out", None),
    )
    meta = keys if flat else meta
    facts = _facts(src, keys, flat, where) | _meta(meta, where)
    transcodes = architecture.endswith("transcoder")
    if transcodes:
        facts["input_bias"] = "none"
        if facts["normalize"] != "none":
            raise SaelabError(
                f"{where}: a transcoder whose input is normalised ({facts['normalize']}) is not known"
            )
    if facts["normalize"] == "scale":
        need(
            src,
            "scale",
            "it expects inputs scaled by a factor that it does not hold (√d_in / mean ‖x‖ over the "
            "training data); without it the latents would be wrong",
        )
    rescale = keys.take("rescale_acts_by_decoder_norm", False, kind=bool)
    tensors = _tensors(w, architecture, facts)
    if rescale:
        _fold_norms(tensors)
    widths = keys.take("matryoshka_widths", None)
    if ARCHITECTURES[architecture] == "matryoshka":
        facts["prefixes"] = _prefixes(widths, w.sizes["d_sae"], where)
    record = {"saelens": {k: v for k, v in (keys if flat else meta).rest().items() if v is not None}}
    if not flat:
        keys.skip(*TRAINING)
        keys.finish()
    return assemble(src, w, tensors, form=NAME, arch=ARCHITECTURES[architecture], k=k, record=record, **facts)


def _architecture(src: Source, keys: Keys, where: Path, flat: bool) -> tuple[str, int | None]:
    name = keys.take("architecture", None)
    kwargs = keys.take("activation_fn_kwargs", None) or {}
    function = keys.take("activation_fn_str", keys.take("activation_fn", None))
    k = keys.take("k", kwargs.get("k") if isinstance(kwargs, dict) else None)
    if function is not None and function not in ("relu", "topk"):
        raise unknown(f"activation function in {where}:", function, ("relu", "topk"))
    if name is None and function is None:
        given = need(
            src,
            "arch",
            "the config names neither an 'architecture' nor an activation function, and the same "
            "tensors mean different things in different ones",
        )
        name = {"relu": "standard"}.get(given, given)
    elif function == "topk":
        name = "topk"  # architecture was "standard" then
    elif name is None:
        name = "standard"
    if name in NOT_HERE:
        raise SaelabError(f"{where}: architecture {name!r} has no counterpart in saelab: {NOT_HERE[name]}")
    if name not in ARCHITECTURES:
        raise unknown(f"architecture in {where}:", name, ARCHITECTURES)
    if ARCHITECTURES[name] not in ("topk", "batchtopk", "matryoshka"):
        return name, None
    if isinstance(k, float) and k.is_integer():
        k = int(k)
    if not isinstance(k, int):
        raise SaelabError(f"{where}: a {name} SAE needs 'k', a whole number; got {k!r}")
    return name, k


def _facts(src: Source, keys: Keys, flat: bool, where: Path) -> dict[str, Any]:
    # flat configs from before the key existed always subtracted it
    subtracts = keys.take("apply_b_dec_to_input", *((True,) if flat else ()), kind=bool)
    # flat configs without the key are older than it; what it would say may be known elsewhere
    default = (src.given.get("normalize"),) if flat else ()
    normalize = keys.take("normalize_activations", *default)
    normalize = "constant_norm_rescale" if normalize == "constant_norm" else normalize
    if normalize not in NORMALIZE:
        raise SaelabError(f"{where}: normalize_activations={normalize!r} is not supported; supported: "
                          + ", ".join(map(repr, NORMALIZE)))  # fmt: skip
    reshape = keys.take("reshape_activations", "none")
    if reshape not in ("none", "hook_z"):
        raise unknown(f"reshape_activations in {where}:", reshape, ("none", "hook_z"))
    if keys.take("finetuning_scaling_factor", False):
        raise SaelabError(f"{where}: finetuning_scaling_factor is set; what it does differs between versions")
    return {"input_bias": "decoder" if subtracts else "none", "normalize": NORMALIZE[normalize]}


def _meta(meta: Keys, where: Path) -> dict[str, Any]:
    for name in ("hook_head_index", "hook_head_index_out"):
        head = meta.take(name, None)
        if head is not None:
            raise SaelabError(
                f"{where}: it reads one attention head ({name}={head}); only whole hook points can be read"
            )
    context = meta.take("context_size", None)
    bos = meta.take("prepend_bos", None)
    return {
        "hook_in": meta.take("hook_name", None),
        "hook_out": meta.take("hook_name_out", None),
        "model": meta.take("model_name", None),
        "bos": bos if isinstance(bos, bool) else None,
        "context": context if isinstance(context, int) else None,
    }


def _tensors(w: Weights, architecture: str, facts: dict[str, Any]) -> dict[str, Tensor]:
    out = "d_out" if architecture.endswith("transcoder") else "d_in"
    tensors = {
        "W_enc": w.take("W_enc", "d_in", "d_sae"),
        "W_dec": w.take("W_dec", "d_sae", out),
        "b_dec": w.take("b_dec", out),
    }
    if "scaling_factor" in w:
        factor = w.take("scaling_factor", "d_sae")
        if not torch.allclose(factor, torch.ones_like(factor)):
            raise SaelabError(f"{w.where}: scaling_factor is not 1; what it does differs between versions")
    if architecture == "gated":
        gate = {"b_enc": "b_gate", "b_mag": "b_mag", "r_mag": "r_mag"}
        return tensors | {ours: w.take(theirs, "d_sae") for ours, theirs in gate.items()}
    tensors["b_enc"] = w.take("b_enc", "d_sae")
    if ARCHITECTURES[architecture] == "jumprelu":
        if "log_threshold" in w:
            tensors["threshold"] = w.take("log_threshold", "d_sae").exp()
        else:
            tensors["threshold"] = w.take("threshold", "d_sae")
    if ARCHITECTURES[architecture] in ("batchtopk", "matryoshka"):
        tensors["threshold"] = w.take("topk_threshold")
    if "skip" in architecture:
        facts["skip"] = True
        tensors["W_skip"] = w.take("W_skip", "d_out", "d_in")
    return tensors


def _prefixes(widths: Any, d_sae: int, where: Path) -> tuple[int, ...]:
    if not isinstance(widths, list) or not all(isinstance(n, int) for n in widths):
        raise SaelabError(
            f"{where}: a matryoshka SAE needs 'matryoshka_widths', a list of sizes; got {widths!r}"
        )
    return tuple(widths) if widths and widths[-1] == d_sae else (*widths, d_sae)


def _fold_norms(tensors: dict[str, Tensor]) -> None:
    """Latents were compared, and are given out, in units of their decoder row's length."""
    norm = tensors["W_dec"].norm(dim=1)  # (d_sae)
    tensors["W_enc"] = tensors["W_enc"] * norm
    tensors["b_enc"] = tensors["b_enc"] * norm
    tensors["W_dec"] = tensors["W_dec"] / norm[:, None]


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``, in the form of version 6."""
    sae = scale_folded(sae)
    c = sae.config
    if c.widths:
        raise refuse(sae, NAME, "the library has no crosscoders")
    if "+" in c.hook_out:
        raise refuse(sae, NAME, "the library's transcoders write to one hook point")
    transcodes = is_transcoder(sae) or c.skip
    name = _name(sae, transcodes)
    bias = "none" if transcodes or c.input_bias == "none" else "decoder"
    p = parameters(sae, input_bias=bias)
    tensors = {key: p[key] for key in ("W_enc", "W_dec", "b_dec")}
    if name == "gated":
        tensors |= {"b_gate": p["b_enc"], "b_mag": p["b_mag"], "r_mag": p["r_mag"]}
    else:
        tensors["b_enc"] = p["b_enc"]
    if "threshold" in p:
        # one threshold for all is how the library itself saves what it trained as BatchTopK
        tensors["threshold"] = p["threshold"].clamp_min(0).expand(c.d_sae)
    if c.skip:
        tensors["W_skip"] = p["W_skip"]
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
    config = {
        "d_in": c.d_in,
        "d_sae": c.d_sae,
        "dtype": c.dtype,
        "device": "cpu",
        "apply_b_dec_to_input": bias == "decoder",
        "normalize_activations": "constant_norm_rescale" if c.normalize == "constant_norm" else c.normalize,
        "reshape_activations": "hook_z" if "hook_z" in c.hook_in else "none",
        "metadata": metadata,
        "architecture": name,
    } | ({"k": c.k, "rescale_acts_by_decoder_norm": False} if name == "topk" else {})
    if transcodes:
        config["d_out"] = c.d_out
    files.write_tensors(path / WEIGHTS, tensors)
    files.write_json(path / CONFIG, config)
    return path


def _name(sae: SAE, transcodes: bool) -> str:
    arch = {"relu": "standard", "batchtopk": "jumprelu", "matryoshka": "jumprelu"}.get(
        sae.config.arch, sae.config.arch
    )
    if arch not in ARCHITECTURES:
        raise refuse(sae, NAME, f"the library has no such architecture; it has {', '.join(ARCHITECTURES)}")
    if not transcodes:
        return arch
    kind = {"standard": "", "jumprelu": "jumprelu_"}.get(arch)
    if kind is None:
        raise refuse(sae, NAME, "the library's transcoders are ReLU or JumpReLU")
    if sae.config.normalize != "none":
        raise refuse(sae, NAME, "the library's transcoders do not normalise")
    return kind + ("skip_" if sae.config.skip else "") + "transcoder"

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
from saelab.errors import SaelabError
from saelab.formats.common import assemble, check_can, is_transcoder, need, parameters, renamed, unit_rows
from saelab.formats.format import Layout
from saelab.formats.keys import (
    COUNT,
    DTYPE,
    FLAG,
    HEAD,
    POSITIVE,
    TABLE,
    TEXT,
    Config,
    Key,
    choice,
    never,
    unused,
)
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME, Weights
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
PICKY = ("topk", "batchtopk", "matryoshka_batchtopk")
NOT_HERE = {
    "abstopk": "has no counterpart in saelab: its latents may be negative",
    "temporal": "has no counterpart in saelab: its latents depend on other positions",
    "matching_pursuit": "has no counterpart in saelab: it encodes in a loop, not with a matrix",
}
GATES = {"b_enc": "b_gate", "b_mag": "b_mag", "r_mag": "r_mag"}
SKIP = {"W_skip": "W_skip"}
NORMALIZE = {
    False: "none", True: "scale", "none": "none", "expected_average_only_in": "scale",
    "layer_norm": "layer_norm", "constant_norm_rescale": "constant_norm", "constant_norm": "constant_norm",
}  # fmt: skip
# keys that only steered training, or say where things ran
TRAINING = unused(
    "device l1_coefficient l1_warm_up_steps lp_norm noise_scale mse_loss_normalization decoder_init_norm "
    "aux_loss_coefficient topk_threshold_lr jumprelu_init_threshold jumprelu_bandwidth jumprelu_sparsity_loss_mode "
    "jumprelu_tanh_scale l0_coefficient l0_warm_up_steps pre_act_loss_coefficient use_sparse_activations "
    "sae_lens_version sae_lens_training_version jumprelu_ste_to_input target_l0 use_matryoshka_aux_loss "
    "dataset_path model_class_name seqpos_slice exclude_special_tokens "
    "sequence_separator_token disable_concat_sequences neuronpedia_id dataset_trust_remote_code"
)
# what the whole settings of a run were, which the configs before version 6 may hold
RUN = unused(
    "hook_point_layer hook_eval hook_point_eval streaming is_dataset_tokenized use_cached_activations "
    "cached_activations_path b_dec_init_method expansion_factor normalize_sae_decoder from_pretrained_path "
    "decoder_orthogonal_init decoder_heuristic_init decoder_heuristic_init_norm init_encoder_as_decoder_transpose "
    "n_batches_in_buffer training_tokens total_training_tokens finetuning_tokens finetuning_method "
    "store_batch_size store_batch_size_prompts train_batch_size train_batch_size_tokens act_store_device seed autocast "
    "autocast_lm compile_llm llm_compilation_mode compile_sae sae_compilation_mode adam_beta1 adam_beta2 "
    "scale_sparsity_penalty_by_decoder_norm lr lr_scheduler_name lr_warm_up_steps lr_end lr_decay_steps "
    "n_restart_cycles use_ghost_grads feature_sampling_window feature_sampling_method resample_batches "
    "feature_reinit_scale dead_feature_window dead_feature_estimation_method dead_feature_threshold n_eval_batches "
    "n_eval_seqs eval_batch_size_prompts log_to_wandb log_activations_store_to_wandb log_optimizer_state_to_wandb "
    "wandb_project wandb_id wandb_entity wandb_log_frequency eval_every_n_wandb_logs run_name resume n_checkpoints "
    "checkpoint_path verbose model_kwargs tokens_per_buffer"
)


def _widths(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise SaelabError(f"must be a list of sizes, got {value!r:.80}")
    return tuple(COUNT.read(size) for size in value)


OPTIONS = {"model_from_pretrained_kwargs": TABLE}
KEYS = TRAINING | OPTIONS | {
    "d_in": COUNT, "d_sae": COUNT, "d_out": COUNT, "dtype": DTYPE, "k": POSITIVE,
    "architecture": choice(tuple(ARCHITECTURES), refused=NOT_HERE).needed,
    "apply_b_dec_to_input": FLAG.needed, "normalize_activations": choice(NORMALIZE, "none"),
    "reshape_activations": choice(("none", "hook_z")), "rescale_acts_by_decoder_norm": FLAG,
    "matryoshka_widths": Key(_widths), "metadata": TABLE,
    "finetuning_scaling_factor": never("what it does differs between versions"),
}  # fmt: skip
METADATA = (
    TRAINING
    | OPTIONS
    | unused("hf_hook_name hf_hook_name_out training_architecture training_architecture_details")
)
FLAT = KEYS | RUN | {
    "architecture": choice(tuple(ARCHITECTURES), refused=NOT_HERE),
    # configs from before the keys existed always subtracted it; what normalize would say may be known elsewhere
    "apply_b_dec_to_input": FLAG.absent(True), "normalize_activations": choice(NORMALIZE),
    "activation_fn_str": choice(("relu", "topk")), "activation_fn": choice(("relu", "topk")),
    "activation_fn_kwargs": TABLE, "hook_point": TEXT, "hook_point_head_index": HEAD,
}  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and "W_dec" in src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    flat = "metadata" not in src.values(CONFIG)
    config, w = src.config(CONFIG, FLAT if flat else KEYS), src.weights(WEIGHTS)
    meta = config if flat else src.table(config["metadata"] or {}, f"'metadata' in {config.where}", METADATA)
    options = config["model_from_pretrained_kwargs"] or meta["model_from_pretrained_kwargs"]
    name = _architecture(src, config, flat) or ""
    src.obstacles.check()
    w.expect(str(config.where), **{axis: config[axis] for axis in ("d_in", "d_sae", "d_out")})
    tensors = _tensors(w, name)
    if config["rescale_acts_by_decoder_norm"]:
        unit_rows(tensors)
    kept = _kept(src, config, name, w.sizes["d_sae"])
    if kept["arch"] == "jumprelu":
        tensors["threshold"] = tensors["threshold"].expand(w.sizes["d_sae"])
    # the config's dtype, which the library follows where it loads from a disk, and not from the hub
    dtype = "float32" if src.fetched else config["dtype"] or "float32"
    return assemble(
        src, w, tensors, NAME, guess={"normalize": "none"}, skip="skip" in name, dtype=dtype,
        hook_in=config.get("hook_point"), record={"model_options": options}, **kept, **_inputs(src, config, name),
    )  # fmt: skip


def _kept(src: SAEFiles, config: Config, name: str, d_sae: int) -> dict[str, Any]:
    """What decides which latents are on."""
    for key in ("k", "matryoshka_widths", "rescale_acts_by_decoder_norm"):
        if config[key] and name not in PICKY:
            src.obstacles.add(f"{config.where}: {key} is set, which a {name} SAE has no use for")
    if name not in PICKY:
        return {"arch": ARCHITECTURES[name]}
    k, widths = config["k"] or src.fact("k"), config["matryoshka_widths"]
    if k is None:
        src.obstacles.add(f"{config.where}: a {name} SAE needs 'k', a whole number of at least 1")
    elif not float(k).is_integer():
        if name != "topk":  # of the others only the threshold is used; k was the mean over a batch
            config.record["k"] = k
            return {"arch": "jumprelu"}
        src.obstacles.add(f"{config.where}: k must be a whole number, got {k}")
    facts = {"arch": ARCHITECTURES[name], "k": int(k or 1)}
    if name != "matryoshka_batchtopk":
        if widths:
            src.obstacles.add(f"{config.where}: matryoshka_widths is set, which a {name} SAE has no use for")
        return facts
    if not widths:
        src.obstacles.add(f"{config.where}: a matryoshka SAE needs 'matryoshka_widths', a list of sizes")
    return facts | {"prefixes": widths if not widths or widths[-1] == d_sae else (*widths, d_sae)}


def _architecture(src: SAEFiles, config: Config, flat: bool) -> str | None:
    """SAELens's name of it."""
    name = config["architecture"]
    if not flat:
        return name
    function = config.agree("activation_fn_str", "activation_fn")
    kwargs = src.table(config["activation_fn_kwargs"] or {}, f"kwargs in {config.where}", {"k": POSITIVE})
    config["k"] = config["k"] or kwargs["k"]
    if function == "topk" and name in (None, "standard", "topk"):
        return "topk"  # architecture was "standard" then
    if function == "topk":
        src.obstacles.add(
            f"{config.where} names the architecture {name!r} and the activation function 'topk'"
        )
    if name is None and function is None and config["hook_point"] is None:
        why = (
            "the config names neither an 'architecture' nor an activation function, and the same tensors "
            "mean different things in different ones"
        )
        said = need(src, "arch", why)
        # before hook_point became hook_name there was only this one
        return next((theirs for theirs, ours in ARCHITECTURES.items() if ours == said), None)
    return name or "standard"


def _inputs(src: SAEFiles, config: Config, name: str) -> dict[str, Any]:
    """How the input is prepared."""
    normalize = config["normalize_activations"]
    transcodes = name.endswith("transcoder")
    used = normalize or src.fact("normalize", "none")
    if transcodes and used != "none":
        src.obstacles.add(f"{config.where}: a transcoder whose input is normalized ({used}) is not known")
    if used == "scale":
        need(
            src,
            "scale",
            "it expects inputs scaled by a factor that it does not hold (√d_in / mean ‖x‖ over the "
            "training data); without it the latents would be wrong",
        )
    subtracts = config["apply_b_dec_to_input"]
    if transcodes and subtracts and "apply_b_dec_to_input" in config.given:
        src.obstacles.add(
            f"{config.where}: a transcoder that subtracts its output's bias from its input is not known"
        )
    return {"input_bias": "decoder" if subtracts and not transcodes else "none", "normalize": normalize}


def _tensors(w: Weights, architecture: str) -> dict[str, Tensor]:
    arch, out = ARCHITECTURES[architecture], "d_out" if architecture.endswith("transcoder") else "d_in"
    if "scaling_factor" in w:
        factor = w.take("scaling_factor", "d_sae")
        if not torch.allclose(factor, torch.ones_like(factor)):
            w.obstacles.add(f"{w.where}: scaling_factor is not 1; what it does differs between versions")
    names = SAME | (GATES if arch == "gated" else {}) | (SKIP if "skip" in architecture else {})
    tensors = w.map(names, out=out)
    if arch == "jumprelu":
        log = "log_threshold" in w
        threshold = w.take("log_threshold" if log else "threshold", "d_sae")
        tensors["threshold"] = threshold.exp() if log else threshold
    if arch in ("batchtopk", "matryoshka"):
        tensors["threshold"] = w.take("topk_threshold")
    return tensors


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

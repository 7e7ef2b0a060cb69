"""EleutherAI's sparsify: ``cfg.json`` and ``sae.safetensors`` in a folder named after the module they read.

``encoder.weight (d_sae, d_in)``, ``encoder.bias (d_sae)``, ``W_dec (d_sae, d_in)``, ``b_dec (d_in)`` and,
with ``skip_connection``, ``W_skip (d_in, d_in)``. ``b_dec`` is subtracted from the input unless
``transcode``. ``config.json`` of the run, in the folder above, names the model."""

from __future__ import annotations

from pathlib import Path

from saelab import files
from saelab.formats.common import (
    assemble,
    check_can,
    facts_of,
    hook_of_module,
    is_transcoder,
    parameters,
    renamed,
)
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, FLAG, INTEGER, POSITIVE, TEXT, UNUSED, choice, never, unused
from saelab.formats.source import SAEFiles
from saelab.sae import SAE

NAME = "sparsify"
CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
RUN = "../config.json"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG, RUN))
TENSORS = {"W_enc": "encoder.weight.T", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
SKIP = {"W_skip": "W_skip"}
REFUSED = {"groupmax": "keeps the largest of each group; saelab has no such SAE"}
KEYS = {
    "k": COUNT.needed, "d_in": COUNT.needed, "num_latents": INTEGER.absent(0), "expansion_factor": POSITIVE,
    # files without the key are older than the second choice; then there was only this one
    "activation": choice(("topk",), "topk", refused=REFUSED),
    "signed": never("signed latents may be negative; saelab's are not"),
    "transcode": FLAG.absent(False), "skip_connection": FLAG.absent(False),
} | unused("normalize_decoder multi_topk")  # fmt: skip
RUN_KEYS = {"model": TEXT, "ctx_len": COUNT, "sae": UNUSED} | unused(
    "batch_size grad_acc_steps micro_acc_steps loss_fn optimizer lr lr_warmup_steps k_decay_steps auxk_alpha "
    "dead_feature_threshold exclude_tokens hookpoints init_seeds layers layer_stride distribute_modules save_every "
    "save_best finetune log_to_wandb run_name wandb_log_frequency save_dir dataset split hf_token revision "
    "load_in_8bit max_examples resume text_column shuffle_seed data_preprocessing_num_proc data_args transcode "
    "attn_implementation distribute_layers eval_every_n_wandb_logs lr_warm_up_steps wandb_entity wandb_id"
)


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and "encoder.weight" in src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    config, w = src.config(CONFIG, KEYS), src.weights(WEIGHTS)
    above = src.values(RUN) if (src.folder / RUN).is_file() else {}
    ours = isinstance(above.get("sae"), dict)  # any other config.json is none of a run
    run = src.table(above if ours else {}, src.folder.parent / "config.json", RUN_KEYS)
    d_in, transcode, skip = config["d_in"], config["transcode"], config["skip_connection"]
    n, factor = config["num_latents"], config["expansion_factor"]
    if n and factor:
        config.record["expansion_factor"] = factor  # of which num_latents takes the place
    n = n or (int(d_in * factor) if factor and d_in else None)
    w.expect(str(config.where), d_in=d_in, d_out=d_in, d_sae=n)
    tensors = w.map(TENSORS | (SKIP if skip else {}), out="d_out")
    module = src.folder.name
    guess = {
        "hook_in": hook_of_module(module, reads=transcode),
        "hook_out": hook_of_module(module) if transcode else None,
    }
    return assemble(
        src, w, tensors, NAME, arch="topk", dtype=None, k=config["k"], input_bias="none" if transcode else "decoder",
        skip=skip, model=run["model"], context=run["ctx_len"], record={"module": module},
        guess={key: value for key, value in guess.items() if value},
    )  # fmt: skip


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    c = sae.config
    check_can(
        sae, NAME,
        (c.arch != "topk", "the format has TopK only (and GroupMax)"),
        (c.normalize != "none", f"it has no place for normalize={c.normalize!r}"),
        (c.d_in != c.d_out or c.widths, "input and output have the same width there"),
    )  # fmt: skip
    transcode = is_transcoder(sae) or c.skip
    p = parameters(sae, input_bias="none" if transcode else "decoder")
    config = {
        "activation": "topk",
        "expansion_factor": max(1, c.d_sae // c.d_in),
        "normalize_decoder": False,
        "num_latents": c.d_sae,
        "k": c.k,
        "multi_topk": False,
        "skip_connection": c.skip,
        "transcode": transcode,
        "d_in": c.d_in,
    } | facts_of(sae)
    files.write_tensors(path / WEIGHTS, renamed(p, TENSORS | (SKIP if c.skip else {})))
    files.write_json(path / CONFIG, config)
    return path

"""Numbered pairs ``25.pt`` and ``25_cfg.json`` (1L-Sparse-Autoencoder, and the attention SAEs made with the
same code): ``W_enc (d_in, d_sae)``, ``W_dec (d_sae, d_in)``, ``b_enc``, ``b_dec``: ReLU, ``b_dec`` is
subtracted from the input. The config gives ``act_size`` and ``dict_size``, and perhaps ``act_name``; the code of
October 2023 gives ``d_mlp`` and ``dict_mult``, and knew one hook point of one model."""

from __future__ import annotations

from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, DTYPE, TEXT, choice, never, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME
from saelab.sae import SAE

NAME = "numbered"
LAYOUT = Layout(single=r"(\d+)\.pt", beside=("{0}_cfg.json",))
FIRST = {"model": "gelu-1l", "hook_in": "blocks.0.mlp.hook_post"}
KEYS = {
    "act_size": COUNT, "d_mlp": COUNT, "dict_size": COUNT, "dict_mult": COUNT, "act_name": TEXT, "seq_len": COUNT,
    "enc_dtype": DTYPE, "head": choice(("cat",)), "per_head": never("it reads one attention head"),
} | unused(
    "seed batch_size buffer_mult lr num_tokens l1_coeff beta1 beta2 remove_rare_dir site layer device "
    "model_batch_size buffer_size buffer_batches name reinit concat_heads resample_scheme "
    "anthropic_neuron_resample_scale dead_direction_cutoff re_init_every anthropic_resample_last resample_factor "
    "num_resamples wandb_project_name wandb_entity save_state_dict_every b_dec_init sched_type sched_epochs "
    "sched_lr_factor sched_warmup_epochs sched_finish anthropic_resample_batches eval_every contiguous test"
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these pairs."""
    path = src.only(".pt")
    name = f"{path.stem}_cfg.json" if path is not None else ""
    if path is None or not (src.folder / name).is_file() or not {"act_size", "d_mlp"} & set(src.values(name)):
        return False
    data = src.tensors(path)
    return set(SAME) <= set(data) and getattr(data["W_enc"], "ndim", 0) == 2


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    config, w = src.config(f"{path.stem}_cfg.json", KEYS), src.weights(path)
    old = config["act_size"] is None
    width = config["d_mlp"] if old else config["act_size"]
    if width is None:
        src.obstacles.add(f"{config.where} has neither 'act_size' nor 'd_mlp'; refusing to guess it")
    made = width * config["dict_mult"] if width and config["dict_mult"] else None
    for d_sae in (config["dict_size"], made):
        w.expect(str(config.where), d_in=width, d_sae=d_sae)
    return assemble(
        src, w, w.map(SAME), NAME, arch="relu", hook_in=config["act_name"], context=config["seq_len"],
        dtype=config["enc_dtype"] or "float32", guess=FIRST if old else {},
    )  # fmt: skip

"""Crosscoders of crosscoder-model-diff-replication: ``cfg.json`` and ``cc_weights.pt`` (or ``0_cfg.json``
and ``0.pt``) with ``W_enc (models, d_model, d_sae)``, ``W_dec (d_sae, models, d_model)``, ``b_enc``,
``b_dec (models, d_model)``: ReLU, nothing subtracted from the input. Each model's activations are first
multiplied by a factor that no file holds."""

from __future__ import annotations

from pathlib import Path

from saelab.formats.common import assemble, need
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, DTYPE, TEXT, unused
from saelab.formats.source import SAEFiles
from saelab.sae import SAE

NAME = "crosscoder"
LAYOUT = Layout(weights=("cc_weights.pt",), single=r"(\d+)\.pt", beside=("cfg.json", "{0}_cfg.json"))
LETTERS = "abcdefgh"
KEYS = {
    "d_in": COUNT, "dict_size": COUNT, "hook_point": TEXT, "seq_len": COUNT, "enc_dtype": DTYPE,
    **{f"model_{letter}": TEXT for letter in LETTERS},
} | unused(  # model_name is that of the first model only
    "seed batch_size buffer_mult lr num_tokens l1_coeff beta1 beta2 model_name site device model_batch_size log_every "
    "save_every dec_init_norm wandb_project wandb_entity"
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    if path is None or not _config(path).is_file():
        return False
    return getattr(src.tensors(path).get("W_enc"), "ndim", 0) == 3


def _config(path: Path) -> Path:
    own = path.with_name(f"{path.stem}_cfg.json")
    return own if own.is_file() else path.with_name("cfg.json")


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    config, w = src.config(_config(path).name, KEYS), src.weights(path)
    w.expect(str(config.where), d_model=config["d_in"], d_sae=config["dict_size"])
    tensors = {
        "W_enc": w.take("W_enc", "models", "d_model", "d_sae").flatten(0, 1),  # (models · d_model, d_sae)
        "W_dec": w.take("W_dec", "d_sae", "models", "d_model").flatten(1),
        "b_enc": w.take("b_enc", "d_sae"),
        "b_dec": w.take("b_dec", "models", "d_model").flatten(),
    }
    models, width = w.sizes["models"], w.sizes["d_model"]
    w.sizes["d_in"] = models * width
    scale = need(src, "scale", f"the factors that the activations of its {models} models were multiplied by "
                 "(√d / mean ‖x‖, BOS left out) are not in the file")  # fmt: skip
    if isinstance(scale, tuple) and len(scale) != models:
        src.obstacles.add(
            f"{src}: scale must be one number or {models}, one for each model; got {len(scale)}"
        )
    hook, named = config["hook_point"], [config[f"model_{letter}"] for letter in LETTERS[:models]]
    names = "+".join(name or letter for name, letter in zip(named, LETTERS, strict=False))
    return assemble(
        src, w, tensors, NAME, arch="relu", input_bias="none", widths=(width,) * models, normalize="scale",
        hook_in="+".join([hook] * models) if hook else None, model=names if any(named) else None, scale=scale,
        context=config["seq_len"], dtype=config["enc_dtype"] or "float32", guess={"hook_in": names, "model": names},
    )  # fmt: skip

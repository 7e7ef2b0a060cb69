"""Crosscoders of crosscoder-model-diff-replication: ``cfg.json`` and ``cc_weights.pt`` (or ``0_cfg.json``
and ``0.pt``) with ``W_enc (models, d_model, d_sae)``, ``W_dec (d_sae, models, d_model)``, ``b_enc``,
``b_dec (models, d_model)``: ReLU, nothing subtracted from the input. Each model's activations are first
multiplied by a factor that no file holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saelab.errors import SaelabError
from saelab.formats.common import assemble, need
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "crosscoder"


def detect(src: Source) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    if path is None or not _config(path).is_file():
        return False
    encoder = src.pickle(path).get("W_enc")
    return getattr(encoder, "ndim", 0) == 3


def _config(path: Path) -> Path:
    own = path.with_name(f"{path.stem}_cfg.json")
    return own if own.is_file() else path.with_name("cfg.json")


def read(src: Source) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.only(".pt")
    if path is None:
        raise SaelabError(f"{src} is not, and does not hold, exactly one .pt file; found: {src.inside()}")
    cfg = Keys(src.json(_config(path).name), _config(path))
    w = Weights(src.pickle(path), path)
    w.expect(str(cfg.where), d_model=cfg.take("d_in", None), d_sae=cfg.take("dict_size", None))
    encoder = w.take("W_enc", "models", "d_model", "d_sae")
    decoder = w.take("W_dec", "d_sae", "models", "d_model")
    bias, b_dec = w.take("b_enc", "d_sae"), w.take("b_dec", "models", "d_model")
    models, width = w.sizes["models"], w.sizes["d_model"]
    w.sizes["d_in"] = models * width
    tensors = {
        "W_enc": encoder.flatten(0, 1),  # (models · d_model, d_sae)
        "b_enc": bias,
        "W_dec": decoder.flatten(1),
        "b_dec": b_dec.flatten(),
    }
    scale = need(src, "scale", f"the factors that the activations of its {models} models were multiplied by "
                 "(√d / mean ‖x‖, BOS left out) are not in the file")  # fmt: skip
    hook = cfg.take("hook_point", None)
    names = [cfg.take(f"model_{letter}", letter) for letter in "abcdefgh"[:models]]
    return assemble(
        src,
        w,
        tensors,
        form=NAME,
        arch="relu",
        input_bias="none",
        widths=(width,) * models,
        normalize="scale",
        hook_in="+".join([hook] * models) if isinstance(hook, str) else "+".join(map(str, names)),
        model="+".join(map(str, names)),
        scale=scale,
    )

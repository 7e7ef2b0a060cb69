"""Numbered pairs ``25.pt`` and ``25_cfg.json`` (1L-Sparse-Autoencoder, and the attention SAEs made with the
same code): ``W_enc (d_in, d_sae)``, ``W_dec (d_sae, d_in)``, ``b_enc``, ``b_dec``: ReLU, ``b_dec`` is
subtracted from the input. The config gives ``act_size`` and ``dict_size``, and perhaps ``act_name``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "numbered"
# code made from this one has other architectures and says so with one of these
OTHERS = (
    "sae_type",
    "top_k",
    "k",
    "activation",
    "activation_fn",
    "act_fn",
    "input_unit_norm",
    "is_transcoder",
)


def _config(path: Path) -> Path:
    return path.with_name(f"{path.stem}_cfg.json")


def detect(src: Source) -> bool:
    """Whether this is one of these pairs."""
    path = src.only(".pt")
    if path is None or not _config(path).is_file() or "act_size" not in src.json(_config(path).name):
        return False
    data = src.pickle(path)
    return {"W_enc", "W_dec", "b_enc", "b_dec"} <= set(data) and getattr(data["W_enc"], "ndim", 0) == 2


def read(src: Source) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.only(".pt")
    if path is None:
        raise SaelabError(f"{src} is not, and does not hold, exactly one .pt file; found: {src.inside()}")
    where = _config(path)
    keys = Keys(src.json(where.name), where)
    for name in OTHERS:
        if name in keys:
            raise SaelabError(
                f"{where} has {name!r}, which the code of this format does not know; what is it?"
            )
    w = Weights(src.pickle(path), path)
    w.expect(
        str(where),
        d_in=keys.take("act_size", kind=int),
        d_sae=keys.take("dict_size", None, kind=(int, type(None))),
    )
    tensors = {
        "W_enc": w.take("W_enc", "d_in", "d_sae"),
        "b_enc": w.take("b_enc", "d_sae"),
        "W_dec": w.take("W_dec", "d_sae", "d_in"),
        "b_dec": w.take("b_dec", "d_in"),
    }
    hook, model = keys.take("act_name", None), keys.take("model_name", None)
    values = keys.rest()
    return assemble(
        src, w, tensors, form=NAME, arch="relu", hook_in=hook if isinstance(hook, str) else None,
        model=model if isinstance(model, str) else None,
        record={k: v for k, v in values.items() if isinstance(v, (str, int, float, bool))},
    )  # fmt: skip

"""Numbered pairs ``25.pt`` and ``25_cfg.json`` (1L-Sparse-Autoencoder, and the attention SAEs made with the
same code): ``W_enc (d_in, d_sae)``, ``W_dec (d_sae, d_in)``, ``b_enc``, ``b_dec``: ReLU, ``b_dec`` is
subtracted from the input. The config gives ``act_size`` and ``dict_size``, and perhaps ``act_name``."""

from __future__ import annotations

from saelab.errors import SaelabError
from saelab.formats.common import assemble, said_dtype
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME
from saelab.sae import SAE

NAME = "numbered"
LAYOUT = Layout(single=r"(\d+)\.pt", beside=("{0}_cfg.json",))
# code made from this one has other architectures and says so with one of these
OTHERS = (
    "sae_type", "top_k", "k", "activation", "activation_fn", "act_fn", "input_unit_norm", "is_transcoder",
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these pairs."""
    path = src.only(".pt")
    config = path.with_name(f"{path.stem}_cfg.json") if path is not None else None
    if path is None or config is None or not config.is_file() or "act_size" not in src.values(config.name):
        return False
    data = src.tensors(path)
    return set(SAME) <= set(data) and getattr(data["W_enc"], "ndim", 0) == 2


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    keys, w = src.config(f"{path.stem}_cfg.json"), src.weights(path)
    for name in OTHERS:
        if name in keys:
            raise SaelabError(
                f"{keys.where} has {name!r}, which the code of this format does not know; what is it?"
            )
    d_in = keys.take("act_size", kind=int)
    w.expect(str(keys.where), d_in=d_in, d_sae=keys.take("dict_size", None, kind=(int, type(None))))
    return assemble(
        src, w, w.map(SAME), NAME, arch="relu", hook_in=keys.text("act_name"), model=keys.text("model_name"),
        dtype=said_dtype(keys, "enc_dtype"), record=keys.rest(),
    )  # fmt: skip

"""Gemma Scope 2 (Google DeepMind 2025): ``params.safetensors`` with ``w_enc (d_in, d_sae)``, ``w_dec
(d_sae, d_out)``, ``b_enc``, ``b_dec``, ``threshold (d_sae)`` and, for transcoders with a skip path,
``affine_skip_connection (d_in, d_out)``; ``config.json`` beside it. JumpReLU, nothing subtracted from the
input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from saelab.errors import SaelabError
from saelab.formats.common import assemble, need
from saelab.formats.source import Source
from saelab.formats.weights import Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "gemma_scope_2"
CONFIG, WEIGHTS = "config.json", "params.safetensors"


def detect(src: Source) -> bool:
    """Whether this is one of these folders."""
    return src.has(WEIGHTS) and {"w_enc", "w_dec", "threshold"} <= src.keys(WEIGHTS)


def read(src: Source) -> SAE:
    """Read a folder."""
    where = src.folder / CONFIG
    said = src.json(CONFIG) if where.is_file() else {}
    architecture = said.get("architecture")
    if architecture is None and need(src, "arch", f"{CONFIG} names no 'architecture'") != "jumprelu":
        raise SaelabError(f"{src}: these files hold jumprelu SAEs")
    if architecture not in (None, "jump_relu"):
        raise SaelabError(f"{where}: architecture {architecture!r} is not known; known: 'jump_relu'")
    w = Weights(src.tensors(WEIGHTS), src.folder / WEIGHTS)
    tensors = {
        "W_enc": w.take("w_enc", "d_in", "d_sae"),
        "b_enc": w.take("b_enc", "d_sae"),
        "W_dec": w.take("w_dec", "d_sae", "d_out"),
        "b_dec": w.take("b_dec", "d_out"),
        "threshold": w.take("threshold", "d_sae"),
    }
    skip = "affine_skip_connection" in w
    if skip:
        tensors["W_skip"] = w.take("affine_skip_connection", "d_in", "d_out").T
    facts = _place(said, f"{src.hint} {src.path}")
    record = {key: value for key, value in said.items() if isinstance(value, (str, int, float, bool))}
    return assemble(
        src, w, tensors, form=NAME, arch="jumprelu", input_bias="none", skip=skip, record=record, **facts
    )


def _place(said: dict[str, Any], names: str) -> dict[str, Any]:
    out = {"model": said.get("model_name")} if isinstance(said.get("model_name"), str) else {}
    layer = re.search(r"layer_(\d+)", names) or re.search(r"layers\.(\d+)", str(said.get("hf_hook_point_in")))
    kind = re.search(r"resid_post|attn_out|mlp_out|transcoder|clt", names)
    if layer is None or kind is None:
        return out
    block = f"blocks.{layer[1]}."
    if kind[0] in ("transcoder", "clt"):
        return out | {"hook_in": block + "mlp.hook_in", "hook_out": block + "hook_mlp_out"}
    point = {"resid_post": "hook_resid_post", "attn_out": "attn.hook_z", "mlp_out": "hook_mlp_out"}[kind[0]]
    return out | {"hook_in": block + point}

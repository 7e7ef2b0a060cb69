"""Gemma Scope 2 (Google DeepMind 2025): ``params.safetensors`` with ``w_enc (d_in, d_sae)``, ``w_dec
(d_sae, d_out)``, ``b_enc``, ``b_dec``, ``threshold (d_sae)`` and, for transcoders with a skip path,
``affine_skip_connection (d_in, d_out)``; ``config.json`` beside it. JumpReLU, nothing subtracted from the
input."""

from __future__ import annotations

import re

from saelab.errors import SaelabError
from saelab.formats.common import assemble, need
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.sae import SAE

NAME = "gemma_scope_2"
CONFIG, WEIGHTS = "config.json", "params.safetensors"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
TENSORS = {
    "W_enc": "w_enc",
    "b_enc": "b_enc",
    "W_dec": "w_dec",
    "b_dec": "b_dec",
    "threshold": "threshold",
}
SKIP = {"W_skip": "affine_skip_connection.T"}
POINTS = {"resid_post": "hook_resid_post", "attn_out": "attn.hook_z", "mlp_out": "hook_mlp_out"}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these folders."""
    return src.has(WEIGHTS) and {"w_enc", "w_dec", "threshold"} <= src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    keys, w = src.config(CONFIG, needed=False), src.weights(WEIGHTS)
    named = keys.choose("architecture", {"jump_relu": True, None: False}, None)
    if not named and need(src, "arch", f"{CONFIG} names no 'architecture'") != "jumprelu":
        raise SaelabError(f"{src}: these files hold jumprelu SAEs")
    skip = "affine_skip_connection" in w
    tensors = w.map(TENSORS | (SKIP if skip else {}), out="d_out")
    model, point = keys.text("model_name"), keys.text("hf_hook_point_in")
    record = src.config(CONFIG, needed=False).rest()
    return assemble(
        src, w, tensors, NAME, arch="jumprelu", input_bias="none", skip=skip, model=model, record=record,
        **_hooks(src.names, str(point)),
    )  # fmt: skip


def _hooks(names: str, point: str) -> dict[str, str]:
    layer = re.search(r"layer_(\d+)", names) or re.search(r"layers\.(\d+)", point)
    kind = re.search(r"resid_post|attn_out|mlp_out|transcoder|clt", names)
    if layer is None or kind is None:
        return {}
    block = f"blocks.{layer[1]}."
    if kind[0] in ("transcoder", "clt"):
        return {"hook_in": block + "mlp.hook_in", "hook_out": block + "hook_mlp_out"}
    return {"hook_in": block + POINTS[kind[0]]}

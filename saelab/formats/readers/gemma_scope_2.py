"""Gemma Scope 2 (Google DeepMind 2025): ``params.safetensors`` with ``w_enc (d_in, d_sae)``, ``w_dec
(d_sae, d_out)``, ``b_enc``, ``b_dec``, ``threshold (d_sae)`` and, for transcoders with a skip path,
``affine_skip_connection (d_in, d_out)``; ``config.json`` beside it, which some of its folders lack. JumpReLU,
nothing subtracted from the input."""

from __future__ import annotations

import re
from typing import Any

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, FLAG, Key, choice, unused
from saelab.formats.source import SAEFiles
from saelab.models import hook_layer
from saelab.sae import SAE

NAME = "gemma_scope_2"
CONFIG, WEIGHTS = "config.json", "params.safetensors"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
TENSORS = {"W_enc": "w_enc", "b_enc": "b_enc", "W_dec": "w_dec", "b_dec": "b_dec", "threshold": "threshold"}
SKIP = {"W_skip": "affine_skip_connection.T"}
POINTS = {"resid_post": "hook_resid_post", "attn_out": "attn.hook_z", "mlp_out": "hook_mlp_out"}
MODULES = {  # as its configs call the points, within a layer
    "output": "hook_resid_post", "self_attn.o_proj.input": "attn.hook_z",
    "post_feedforward_layernorm.output": "hook_mlp_out", "pre_feedforward_layernorm.output": "mlp.hook_in",
}  # fmt: skip


def _point(value: Any) -> str:
    match = re.fullmatch(r"(?:model\.|language_model\.)*layers\.(\d+)\.(.+)", str(value))
    if match is None or match[2] not in MODULES:
        raise SaelabError(f"{value!r} is no point of a layer that saelab knows: {', '.join(MODULES)}")
    return f"blocks.{match[1]}.{MODULES[match[2]]}"


def _model(value: Any) -> str:
    if not isinstance(value, str):
        raise SaelabError(f"must be a text, got {value!r}")
    name = value if "/" in value else f"google/{value}"  # its configs leave out who published the model
    name = name.replace("-v3-", "-3-")
    return name.removesuffix("-pt") if name.endswith("270m-pt") else name


KEYS = {
    "architecture": choice(("jump_relu",)), "model_name": Key(_model), "width": COUNT, "affine_connection": FLAG,
    "hf_hook_point_in": Key(_point), "hf_hook_point_out": Key(_point),
} | unused("l0 type")  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these folders."""
    return src.has(WEIGHTS) and {"w_enc", "w_dec", "threshold"} <= src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    config, w = src.config(CONFIG, KEYS, needed=False), src.weights(WEIGHTS)
    skip = "affine_skip_connection" in w
    if config["affine_connection"] not in (None, skip):
        said = config["affine_connection"]
        src.obstacles.add(f"{config.where} says affine_connection={said}, the tensors say {skip}")
    tensors = w.map(TENSORS | (SKIP if skip else {}), out="d_out")
    w.expect(str(config.where), d_sae=config["width"])
    hooks = {f"hook_{way}": config[f"hf_hook_point_{way}"] for way in ("in", "out")}
    guess = _named(src.names, hook_layer(hooks["hook_in"] or ""))
    return assemble(
        src, w, tensors, NAME, arch="jumprelu", input_bias="none", skip=skip, guess=guess, **hooks
    )


def _named(names: str, layer: int | None) -> dict[str, str]:
    """Model and hook points, as far as the names of repository and folder say."""
    repo = re.search(r"gemma-scope-2-(\w+)-(pt|it)", names)
    model = {"model": _model(f"gemma-3-{repo[1]}-{repo[2]}")} if repo else {}
    kind = re.search(r"resid_post|attn_out|mlp_out|transcoder|clt", names)
    if layer is None and (said := re.search(r"layer_(\d+)", names)):
        layer = int(said[1])
    if layer is None or kind is None:
        return model
    block = f"blocks.{layer}."
    if kind[0] in ("transcoder", "clt"):
        return model | {"hook_in": block + "mlp.hook_in", "hook_out": block + "hook_mlp_out"}
    return model | {"hook_in": block + POINTS[kind[0]]}

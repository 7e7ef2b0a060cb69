"""circuit-tracer cross-layer transcoders: for each layer ``W_enc_3.safetensors`` with ``W_enc_3 (d_sae,
d_in)``, ``b_enc_3``, ``b_dec_3 (d_in)`` and perhaps ``threshold_3 (d_sae)`` (JumpReLU, else ReLU), and
``W_dec_3.safetensors`` with ``W_dec_3 (d_sae, layers from 3 on, d_in)``; nothing is subtracted from the
input. ``config.yaml`` names the model and the hook points.

One layer's latents are one SAE. It reads that layer and writes to it and every later one, side by side: its
output is ``(layers · d_in)`` wide, and ``hook_out`` names the points in that order. ``b_dec`` of layer 3
stands in layer 3's SAE only, so what the SAEs of all layers write to a point adds up to the library's
reconstruction there."""

from __future__ import annotations

import re
from pathlib import Path

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import TEXT, choice, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Weights
from saelab.sae import SAE

NAME = "circuit_tracer_clt"
CONFIG = "config.yaml"
LAYOUT = Layout(single=r"W_enc_(\d+)\.safetensors", beside=(CONFIG, "W_dec_{0}.safetensors"))
KEYS = {
    "model_kind": choice(("cross_layer_transcoder",), "cross_layer_transcoder"),
    "feature_input_hook": TEXT,
    "feature_output_hook": TEXT,
} | unused("scan transcoders repo_id revision subfolder")


def _layers(folder: Path) -> list[int]:
    matches = (re.fullmatch(LAYOUT.single, p.name) for p in folder.iterdir() if p.is_file())
    return sorted(int(match[1]) for match in matches if match)


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files, or a folder of them."""
    if src.path.is_file():
        return re.fullmatch(LAYOUT.single, src.path.name) is not None
    return bool(_layers(src.folder))


def read(src: SAEFiles) -> SAE:
    """Read one layer's file."""
    match = re.fullmatch(LAYOUT.single, src.path.name)
    if match is None:
        names = [f"W_enc_{n}.safetensors" for n in _layers(src.folder)] if src.path.is_dir() else []
        raise SaelabError(
            f"{src} holds a cross-layer transcoder of {len(names)} layers; each is one SAE: say which with "
            f"sae_id={', '.join(map(repr, names[:3]))}" + (" …" if len(names) > 3 else "")
        )
    layer = int(match[1])
    decoder = f"W_dec_{layer}.safetensors"
    both = src.tensors(src.path.name), src.tensors(decoder)
    for name in both[0].keys() & both[1].keys():
        raise SaelabError(f"{name} is in {src.path.name} and in {decoder}; which one is it?")
    w = Weights({**both[0], **both[1]}, src.path, src.obstacles)
    tensors = w.map({"W_enc": f"W_enc_{layer}.T", "b_enc": f"b_enc_{layer}"})
    bias = w.take(f"b_dec_{layer}", "d_in")
    rows = w.take(f"W_dec_{layer}", "d_sae", "layers", "d_in")
    tensors["W_dec"] = rows.flatten(1)  # (d_sae, layers · d_in)
    tensors["b_dec"] = bias.new_zeros(tensors["W_dec"].shape[1])
    tensors["b_dec"][: len(bias)] = bias
    w.sizes["d_out"] = tensors["W_dec"].shape[1]
    arch = "relu"
    if f"threshold_{layer}" in w:
        arch, tensors["threshold"] = "jumprelu", w.take(f"threshold_{layer}", "d_sae")
    elif any(f"threshold_{n}" in src.keys(f"W_enc_{n}.safetensors") for n in _layers(src.folder)):
        src.obstacles.add(
            f"{src.path} has no threshold_{layer}, as other layers have; without it this is no JumpReLU"
        )
    config = src.config(CONFIG, KEYS, needed=False)
    said, guess = {}, {}  # where the config says none, those that the library takes
    for hook, point, otherwise in (
        ("hook_in", config["feature_input_hook"], "hook_resid_mid"),
        ("hook_out", config["feature_output_hook"], "hook_mlp_out"),
    ):
        layers = range(layer, layer + (rows.shape[1] if hook == "hook_out" else 1))
        (said if point else guess)[hook] = "+".join(f"blocks.{n}.{point or otherwise}" for n in layers)
    return assemble(src, w, tensors, NAME, arch=arch, input_bias="none", guess=guess, **said)

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
from typing import TYPE_CHECKING, Any

from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "circuit_tracer_clt"
CONFIG = "config.yaml"
ENCODER = re.compile(r"W_enc_(\d+)\.safetensors")


def _layers(folder: Path) -> list[int]:
    found = (ENCODER.fullmatch(p.name) for p in folder.iterdir() if p.is_file())
    return sorted(int(match[1]) for match in found if match)


def detect(src: Source) -> bool:
    """Whether this is one of these files, or a folder of them."""
    if src.path.is_file():
        return ENCODER.fullmatch(src.path.name) is not None
    return bool(_layers(src.folder))


def read(src: Source) -> SAE:
    """Read one layer's file."""
    match = ENCODER.fullmatch(src.path.name)
    if match is None:
        names = [f"W_enc_{n}.safetensors" for n in _layers(src.folder)] if src.path.is_dir() else []
        raise SaelabError(
            f"{src} holds a cross-layer transcoder of {len(names)} layers; each is one SAE: say which with "
            f"sae_id={', '.join(map(repr, names[:3]))}" + (" …" if len(names) > 3 else "")
        )
    layer = int(match[1])
    decoder = src.folder / f"W_dec_{layer}.safetensors"
    both = src.tensors(src.path.name), src.tensors(decoder.name)
    for name in both[0].keys() & both[1].keys():
        raise SaelabError(f"{name} is in {src.path.name} and in {decoder.name}; which one is it?")
    w = Weights({**both[0], **both[1]}, src.path)
    tensors = {
        "W_enc": w.take(f"W_enc_{layer}", "d_sae", "d_in").T,  # (d_in, d_sae)
        "b_enc": w.take(f"b_enc_{layer}", "d_sae"),
    }
    bias = w.take(f"b_dec_{layer}", "d_in")
    rows = w.take(f"W_dec_{layer}", "d_sae", "layers", "d_in")
    tensors["W_dec"] = rows.flatten(1)  # (d_sae, layers · d_in)
    tensors["b_dec"] = bias.new_zeros(tensors["W_dec"].shape[1])
    tensors["b_dec"][: len(bias)] = bias
    w.sizes["d_out"] = tensors["W_dec"].shape[1]
    arch = "relu"
    if f"threshold_{layer}" in w:
        arch, tensors["threshold"] = "jumprelu", w.take(f"threshold_{layer}", "d_sae")
    said = src.yaml(CONFIG) if (src.folder / CONFIG).is_file() else {}
    kind = said.get("model_kind", "cross_layer_transcoder")
    if kind != "cross_layer_transcoder":
        raise unknown(f"model_kind in {src.folder / CONFIG}:", kind, ("cross_layer_transcoder",))
    reads, writes = said.get("feature_input_hook"), said.get("feature_output_hook")
    hooks: dict[str, Any] = {}
    if isinstance(reads, str) and isinstance(writes, str):
        later = range(layer, layer + rows.shape[1])
        hooks = {
            "hook_in": f"blocks.{layer}.{reads}",
            "hook_out": "+".join(f"blocks.{n}.{writes}" for n in later),
        }
    model = said.get("model_name") if isinstance(said.get("model_name"), str) else None
    return assemble(src, w, tensors, form=NAME, arch=arch, input_bias="none", model=model, **hooks)

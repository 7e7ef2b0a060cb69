"""circuit-tracer transcoders: ``layer_8.safetensors`` with ``W_enc (d_sae, d_in)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec (d_out)`` and perhaps ``activation_function.threshold`` (JumpReLU) and ``W_skip
(d_out, d_in)``; nothing is subtracted from the input. ``config.yaml`` beside it names the model and the
hook points."""

from __future__ import annotations

import re

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME
from saelab.sae import SAE

NAME = "circuit_tracer"
CONFIG = "config.yaml"
LAYOUT = Layout(single=r"layer_?\d+\.safetensors", beside=(CONFIG,))
TENSORS = SAME | {"W_enc": "W_enc.T"}
THRESHOLD = "activation_function.threshold"


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".safetensors")
    if path is None or not re.fullmatch(r"layer_\d+\.safetensors", path.name):
        return False
    return set(SAME) <= src.keys(path)


def read(src: SAEFiles) -> SAE:
    """Read one layer's file."""
    path = src.one(".safetensors")
    keys, w = src.config(CONFIG, needed=False), src.weights(path)
    tensors = w.map(TENSORS, out="d_out")
    if "k" in w:
        raise SaelabError(f"{path}: the library's TopK keeps negative values; saelab has no such latents")
    arch = "relu"  # which of the two is decided by the threshold: the library writes it wherever there is one
    if THRESHOLD in w:
        arch = "jumprelu"
        wide = getattr(src.tensors(path)[THRESHOLD], "ndim", 1) == 2
        tensors["threshold"] = w.take(THRESHOLD, *((1, "d_sae") if wide else ("d_sae",))).reshape(-1)
    skip = "W_skip" in w
    if skip:
        tensors |= w.map({"W_skip": "W_skip"}, out="d_out")
    layer = re.search(r"layer_(\d+)", path.name)
    reads, writes = keys.text("feature_input_hook"), keys.text("feature_output_hook")
    return assemble(
        src, w, tensors, NAME, arch=arch, input_bias="none", skip=skip, model=keys.text("model_name"),
        hook_in=f"blocks.{layer[1]}.{reads}" if layer and reads else None,
        hook_out=f"blocks.{layer[1]}.{writes}" if layer and writes else None,
    )  # fmt: skip

"""circuit-tracer transcoders: ``layer_8.safetensors`` with ``W_enc (d_sae, d_in)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec (d_out)`` and perhaps ``activation_function.threshold`` (JumpReLU) and ``W_skip
(d_out, d_in)``; nothing is subtracted from the input. ``config.yaml`` beside it names the model and the
hook points."""

from __future__ import annotations

import re

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import TEXT, choice, never, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME
from saelab.sae import SAE

NAME = "circuit_tracer"
CONFIG = "config.yaml"
LAYOUT = Layout(single=r"layer_?\d+\.safetensors", beside=(CONFIG,))
TENSORS = SAME | {"W_enc": "W_enc.T"}
THRESHOLD = "activation_function.threshold"
NEGATIVE = "the library's TopK keeps negative values; saelab has no such latents"
TOPK = {"topk": f"is not here: {NEGATIVE}"}
KEYS = {
    "model_kind": choice(("transcoder_set",), "transcoder_set"),
    "feature_input_hook": TEXT,
    "feature_output_hook": TEXT,
    "activation": choice({"relu": "relu", "jump_relu": "jumprelu", "jumprelu": "jumprelu"}, refused=TOPK),
    "k": never(NEGATIVE),
} | unused("scan transcoders repo_id revision subfolder")


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".safetensors")
    if path is None or not re.fullmatch(r"layer_\d+\.safetensors", path.name):
        return False
    return set(SAME) <= src.keys(path)


def read(src: SAEFiles) -> SAE:
    """Read one layer's file."""
    path = src.one(".safetensors")
    config, w = src.config(CONFIG, KEYS, needed=False), src.weights(path)
    tensors = w.map(TENSORS, out="d_out")
    if "k" in w:
        raise SaelabError(f"{path}: {NEGATIVE}")
    arch = "relu"  # which of the two is decided by the threshold: the library writes it wherever there is one
    if THRESHOLD in w:
        arch = "jumprelu"
        wide = getattr(src.tensors(path)[THRESHOLD], "ndim", 1) == 2
        tensors["threshold"] = w.take(THRESHOLD, *((1, "d_sae") if wide else ("d_sae",))).reshape(-1)
    if config["activation"] not in (None, arch):
        src.obstacles.add(
            f"{config.where} says {config['activation']}, the tensors are those of a {arch} SAE"
        )
    skip = "W_skip" in w
    if skip:
        tensors |= w.map({"W_skip": "W_skip"}, out="d_out")
    layer = re.search(r"layer_(\d+)", path.name)
    reads, writes = config["feature_input_hook"], config["feature_output_hook"]
    return assemble(
        src, w, tensors, NAME, arch=arch, input_bias="none", skip=skip,
        hook_in=f"blocks.{layer[1]}.{reads}" if layer and reads else None,
        hook_out=f"blocks.{layer[1]}.{writes}" if layer and writes else None,
    )  # fmt: skip

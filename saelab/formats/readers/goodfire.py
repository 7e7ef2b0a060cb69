"""Goodfire: one ``.pt`` or ``.pth`` with ``encoder_linear.weight (d_sae, d_in)``, ``encoder_linear.bias``,
``decoder_linear.weight (d_in, d_sae)``, ``decoder_linear.bias``: ReLU, nothing subtracted from the input.
Model and layer stand in the file's name only (``Llama-3.1-8B-Instruct-SAE-l19.pth``)."""

from __future__ import annotations

import re

from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import Key
from saelab.formats.source import SAEFiles
from saelab.sae import SAE

NAME = "goodfire"
LAYOUT = Layout(single=r".*SAE-l\d+\.pth?")
KEYS: dict[str, Key] = {}  # there is no config
TENSORS = {
    "W_enc": "encoder_linear.weight.T",
    "b_enc": "encoder_linear.bias",
    "W_dec": "decoder_linear.weight.T",
    "b_dec": "decoder_linear.bias",
}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt", ".pth")
    return path is not None and "encoder_linear.weight" in src.keys(path)


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt", ".pth")
    w = src.weights(path)
    named = re.fullmatch(r"(.+)-SAE-l(\d+)", path.stem)
    guess = (
        {"model": f"meta-llama/{named[1]}", "hook_in": f"blocks.{named[2]}.hook_resid_post"} if named else {}
    )
    return assemble(src, w, w.map(TENSORS), NAME, arch="relu", input_bias="none", guess=guess)

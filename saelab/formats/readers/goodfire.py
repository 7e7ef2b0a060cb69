"""Goodfire: one ``.pt`` or ``.pth`` with ``encoder_linear.weight (d_sae, d_in)``, ``encoder_linear.bias``,
``decoder_linear.weight (d_in, d_sae)``, ``decoder_linear.bias``: ReLU, nothing subtracted from the input.
Model and layer stand in the file's name only (``Llama-3.1-8B-Instruct-SAE-l19.pth``)."""

from __future__ import annotations

import re

from saelab.formats.common import after_layer, assemble
from saelab.formats.format import Layout
from saelab.formats.keys import Key
from saelab.formats.source import SAEFiles
from saelab.formats.weights import linear
from saelab.sae import SAE

NAME = "goodfire"
LAYOUT = Layout(single=r".*SAE-l\d+\.pth?")
KEYS: dict[str, Key] = {}  # there is no config
TENSORS = linear("encoder_linear", "decoder_linear")


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt", ".pth")
    return path is not None and "encoder_linear.weight" in src.keys(path)


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt", ".pth")
    w = src.weights(path)
    guess = after_layer("meta-llama", re.fullmatch(r"(.+)-SAE-l(\d+)", path.stem))
    return assemble(src, w, w.map(TENSORS), NAME, arch="relu", input_bias="none", guess=guess)

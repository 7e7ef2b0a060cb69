"""One ``.pt`` with two linear layers and nothing else, as the SAEs of DeepSeek-R1 distillates are published:
``encoder.weight (d_sae, d_in)``, ``encoder.bias``, ``decoder.weight (d_in, d_sae)``, ``decoder.bias``;
nothing is subtracted from the input. The file does not say what comes between the layers; names such as
``DeepSeek-R1-Distill-Llama-8B-SAE-l19.pt`` mean ReLU, otherwise it must be said."""

from __future__ import annotations

import re

from saelab.errors import SaelabError
from saelab.formats.common import after_layer, assemble, need
from saelab.formats.format import Layout
from saelab.formats.keys import Key
from saelab.formats.source import SAEFiles
from saelab.formats.weights import LINEAR
from saelab.sae import SAE

NAME = "linear_pair"
LAYOUT = Layout(single=r".*SAE-l\d+\.pt")
KNOWN = re.compile(r"(DeepSeek-R1-.*?)-?SAE-l(\d+)")
KEYS: dict[str, Key] = {}  # there is no config


def detect(src: SAEFiles) -> bool:
    """Whether this is such a file, and no config beside it says more."""
    path = src.only(".pt")
    if path is None or (src.folder / "config.json").is_file() or (src.folder / "cfg.json").is_file():
        return False
    return src.keys(path) == {name.removesuffix(".T") for name in LINEAR.values()}


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    named = KNOWN.search(path.name)
    arch = "relu" if named else need(src, "arch", "the file does not say its activation function")
    if arch not in ("relu", None):
        raise SaelabError(f"{path} holds two linear layers, enough for 'relu' only; you say arch={arch!r}")
    w = src.weights(path)
    guess = after_layer("deepseek-ai", named)
    return assemble(src, w, w.map(LINEAR), NAME, arch="relu", input_bias="none", guess=guess)

"""Qwen Scope: ``layer8.sae.pt`` with ``W_enc (d_sae, d_in)``, ``W_dec (d_in, d_sae)``, ``b_enc``,
``b_dec``: TopK, nothing subtracted from the input. k stands in ``config.json``, where there is one, or in the
repository's name (``SAE-Res-…-W32K-L0_50``), as the model does."""

from __future__ import annotations

import re
from typing import Any

from saelab.formats.common import assemble, need
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, TEXT, unused
from saelab.formats.source import SAEFiles
from saelab.sae import SAE

NAME = "qwen_scope"
CONFIG = "config.json"
LAYOUT = Layout(single=r"layer_?\d+(?:\.sae)?\.pth?", beside=(CONFIG,))
TENSORS = {"W_enc": "W_enc.T", "b_enc": "b_enc", "W_dec": "W_dec.T", "b_dec": "b_dec"}
KEYS = {
    "k": COUNT, "top_k": COUNT, "d_model": COUNT, "d_in": COUNT, "hidden_size": COUNT, "d_sae": COUNT,
    "base_model": TEXT,
} | unused("num_layers layers expansion_factor hook_point dtype")  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files: other libraries use the same names for the transposed matrices."""
    path = src.only(".sae.pt")
    return path is not None and src.keys(path) == {"W_enc", "W_dec", "b_enc", "b_dec"}


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    config, w = src.config(CONFIG, KEYS, needed=False), src.weights(path)
    layer = re.search(r"layer_?(\d+)", path.name)
    guess: dict[str, Any] = {"hook_in": f"blocks.{layer[1]}.hook_resid_post"} if layer else {}
    if named := re.search(r"SAE-Res-(Qwen[^/ ]+)-W\d+K", src.names):
        guess["model"] = f"Qwen/{named[1]}"
    tensors, k = w.map(TENSORS), config.agree("k", "top_k")
    d_in = config.agree("d_in", "d_model", "hidden_size")
    w.expect(str(config.where), d_in=d_in, d_sae=config["d_sae"])
    if said := re.search(r"-L0_(\d+)", src.names):
        guess["k"] = int(said[1])
    elif k is None:
        need(src, "k", "the file does not hold k, and no name such as …-L0_50 says it")
    return assemble(
        src, w, tensors, NAME, arch="topk", input_bias="none", k=k, model=config["base_model"], guess=guess
    )

"""Qwen Scope: ``layer8.sae.pt`` with ``W_enc (d_sae, d_in)``, ``W_dec (d_in, d_sae)``, ``b_enc``,
``b_dec``: TopK, nothing subtracted from the input. k stands in the repository's name
(``SAE-Res-…-W32K-L0_50``) only."""

from __future__ import annotations

import re

from saelab.formats.common import assemble, need
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.sae import SAE

NAME = "qwen_scope"
LAYOUT = Layout(single=r"layer_?\d+(?:\.sae)?\.pth?")
TENSORS = {"W_enc": "W_enc.T", "b_enc": "b_enc", "W_dec": "W_dec.T", "b_dec": "b_dec"}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files: other libraries use the same names for the transposed matrices."""
    path = src.only(".sae.pt")
    return path is not None and src.keys(path) == {"W_enc", "W_dec", "b_enc", "b_dec"}


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    k = re.search(r"-L0_(\d+)", f"{src.hint} {path}")
    layer = re.search(r"layer_?(\d+)", path.name)
    w = src.weights(path)
    return assemble(
        src, w, w.map(TENSORS), NAME, arch="topk", input_bias="none",
        k=int(k[1]) if k else need(src, "k", "the file does not hold k, and no name such as …-L0_50 says it"),
        hook_in=f"blocks.{layer[1]}.hook_resid_post" if layer else None,
    )  # fmt: skip

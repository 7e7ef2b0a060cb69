"""Qwen Scope: ``layer8.sae.pt`` with ``W_enc (d_sae, d_in)``, ``W_dec (d_in, d_sae)``, ``b_enc``,
``b_dec``: TopK, nothing subtracted from the input. k stands in the repository's name
(``SAE-Res-…-W32K-L0_50``) only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from saelab.errors import SaelabError
from saelab.formats.common import assemble, need
from saelab.formats.source import Source
from saelab.formats.weights import Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "qwen_scope"


def detect(src: Source) -> bool:
    """Whether this is one of these files: other libraries use the same names for the transposed matrices."""
    path = src.only(".sae.pt")
    return path is not None and {"W_enc", "W_dec", "b_enc", "b_dec"} == set(src.pickle(path))


def read(src: Source) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.only(".pt")
    if path is None:
        raise SaelabError(f"{src} is not, and does not hold, exactly one .pt file; found: {src.inside()}")
    names = f"{src.hint} {path}"
    k = re.search(r"-L0_(\d+)", names)
    layer = re.search(r"layer_?(\d+)", path.name)
    w = Weights(src.pickle(path), path)
    tensors = {
        "W_enc": w.take("W_enc", "d_sae", "d_in").T,
        "b_enc": w.take("b_enc", "d_sae"),
        "W_dec": w.take("W_dec", "d_in", "d_sae").T,
        "b_dec": w.take("b_dec", "d_in"),
    }
    return assemble(
        src, w, tensors, form=NAME, arch="topk", input_bias="none",
        k=int(k[1]) if k else need(src, "k", "the file does not hold k, and no name such as …-L0_50 says it"),
        hook_in=f"blocks.{layer[1]}.hook_resid_post" if layer else None,
    )  # fmt: skip

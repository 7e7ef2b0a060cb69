"""Goodfire: one ``.pt`` or ``.pth`` with ``encoder_linear.weight (d_sae, d_in)``, ``encoder_linear.bias``,
``decoder_linear.weight (d_in, d_sae)``, ``decoder_linear.bias``: ReLU, nothing subtracted from the input.
Model and layer stand in the file's name only (``Llama-3.1-8B-Instruct-SAE-l19.pth``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "goodfire"


def detect(src: Source) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt", ".pth")
    return path is not None and "encoder_linear.weight" in src.pickle(path)


def read(src: Source) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.only(".pt", ".pth")
    if path is None:
        raise SaelabError(
            f"{src} is not, and does not hold, exactly one .pt or .pth file; found: {src.inside()}"
        )
    w = Weights(src.pickle(path), path)
    tensors = {
        "W_enc": w.take("encoder_linear.weight", "d_sae", "d_in").T,
        "b_enc": w.take("encoder_linear.bias", "d_sae"),
        "W_dec": w.take("decoder_linear.weight", "d_in", "d_sae").T,
        "b_dec": w.take("decoder_linear.bias", "d_in"),
    }
    named = re.fullmatch(r"(.+)-SAE-l(\d+)", path.stem)
    facts = (
        {"model": "meta-llama/" + named[1], "hook_in": f"blocks.{named[2]}.hook_resid_post"} if named else {}
    )
    return assemble(src, w, tensors, form=NAME, arch="relu", input_bias="none", **facts)

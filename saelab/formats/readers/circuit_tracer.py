"""circuit-tracer transcoders: ``layer_8.safetensors`` with ``W_enc (d_sae, d_in)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec (d_out)`` and perhaps ``activation_function.threshold`` (JumpReLU) and ``W_skip
(d_out, d_in)``; nothing is subtracted from the input. ``config.yaml`` beside it names the model and the
hook points."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "circuit_tracer"
CONFIG = "config.yaml"
THRESHOLD = "activation_function.threshold"


def detect(src: Source) -> bool:
    """Whether this is one of these files."""
    path = src.only(".safetensors")
    if path is None or not re.fullmatch(r"layer_\d+\.safetensors", path.name):
        return False
    return {"W_enc", "W_dec", "b_enc", "b_dec"} <= src.keys(path)


def read(src: Source) -> SAE:
    """Read one layer's file."""
    path = src.only(".safetensors")
    if path is None:
        raise SaelabError(f"{src}: give the file of one layer; found: {src.inside()}")
    said = src.yaml(CONFIG) if (src.folder / CONFIG).is_file() else {}
    w = Weights(src.tensors(path), path)
    tensors = {
        "W_enc": w.take("W_enc", "d_sae", "d_in").T,  # (d_in, d_sae)
        "b_enc": w.take("b_enc", "d_sae"),
        "W_dec": w.take("W_dec", "d_sae", "d_out"),
        "b_dec": w.take("b_dec", "d_out"),
    }
    if "k" in w:
        raise SaelabError(f"{path}: the library's TopK keeps negative values; saelab has no such latents")
    arch = "relu"  # which of the two is decided by the threshold: the library writes it wherever there is one
    if THRESHOLD in w:
        arch = "jumprelu"
        wide = getattr(src.tensors(path)[THRESHOLD], "ndim", 1) == 2
        tensors["threshold"] = w.take(THRESHOLD, *((1, "d_sae") if wide else ("d_sae",))).reshape(-1)
    skip = "W_skip" in w
    if skip:
        tensors["W_skip"] = w.take("W_skip", "d_out", "d_in")
    layer = re.search(r"layer_(\d+)", path.name)
    hooks = {}
    for ours, theirs in (("hook_in", "feature_input_hook"), ("hook_out", "feature_output_hook")):
        point = said.get(theirs)
        if isinstance(point, str) and layer:
            hooks[ours] = f"blocks.{layer[1]}.{point}"
    model = said.get("model_name") if isinstance(said.get("model_name"), str) else None
    return assemble(src, w, tensors, form=NAME, arch=arch, input_bias="none", skip=skip, model=model, **hooks)

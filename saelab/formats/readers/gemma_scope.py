"""Gemma Scope (Google DeepMind 2024): ``params.npz`` with ``W_enc (d_in, d_sae)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec`` and ``threshold (d_sae)``: JumpReLU, nothing subtracted from the input. Model
and hook point stand in the names of the repository (``gemma-scope-2b-pt-res``) and folder
(``layer_12/width_16k/average_l0_82``) only."""

from __future__ import annotations

import re
from typing import Any

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.keys import Key
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME, Weights
from saelab.sae import SAE

NAME = "gemma_scope"
LAYOUT = Layout(weights=("params.npz",))
KEYS: dict[str, Key] = {}  # there is no config
TENSORS = SAME | {"threshold": "threshold"}
POINTS = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".npz")
    return path is not None and {"w_enc", "w_dec", "threshold"} <= {name.lower() for name in src.keys(path)}


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".npz")
    if "embedding/" in src.names:
        raise SaelabError(
            f"{src} reads token embeddings, in units that the files do not say (before or after the model "
            "multiplies them by √d_in); saelab does not guess"
        )
    known = {name.lower(): name for name in TENSORS}
    w = Weights(
        {known.get(name.lower(), name): t for name, t in src.tensors(path).items()}, path, src.obstacles
    )
    tensors = w.map(TENSORS, out="d_out")
    return assemble(src, w, tensors, NAME, arch="jumprelu", input_bias="none", guess=_where(src.names))


def _where(names: str) -> dict[str, Any]:
    """Model and hook points, as far as the names of repository and folder say."""
    repo = re.search(r"gemma-scope-(2b|9b|27b)-(pt|it)(?:-(res|mlp|att|transcoders))?", names)
    layer = re.search(r"layer_(\d+)", names)
    if repo is None:
        return {}
    out = {"model": f"google/gemma-2-{repo[1]}" + ("-it" if repo[2] == "it" else "")}
    if layer is None:
        return out
    block = f"blocks.{layer[1]}."
    if repo[3] == "transcoders":
        return out | {"hook_in": block + "mlp.hook_in", "hook_out": block + "hook_mlp_out"}
    return out | ({"hook_in": block + POINTS[repo[3]]} if repo[3] else {})

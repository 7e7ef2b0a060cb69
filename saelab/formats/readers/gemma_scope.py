"""Gemma Scope (Google DeepMind 2024): ``params.npz`` with ``W_enc (d_in, d_sae)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec`` and ``threshold (d_sae)``: JumpReLU, nothing subtracted from the input. Model
and hook point stand in the names of the repository (``gemma-scope-2b-pt-res``) and folder
(``layer_12/width_16k/average_l0_82``) only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "gemma_scope"
WEIGHTS = "params.npz"
NAMES = ("W_enc", "W_dec", "b_enc", "b_dec", "threshold")


def detect(src: Source) -> bool:
    """Whether this is one of these files."""
    path = src.only(".npz")
    return path is not None and {"w_enc", "w_dec", "threshold"} <= {name.lower() for name in src.npz(path)}


def read(src: Source) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.only(".npz")
    if path is None:
        raise SaelabError(f"{src} is not, and does not hold, exactly one .npz file; found: {src.inside()}")
    if "embedding/" in f"{src.hint} {src.path}".replace("\\", "/"):
        raise SaelabError(
            f"{src} reads token embeddings, in units that the files do not say (before or after the model "
            "multiplies them by √d_in); saelab does not guess"
        )
    arrays = src.npz(path)
    known = {name.lower(): name for name in NAMES}
    w = Weights({known.get(name.lower(), name): t for name, t in arrays.items()}, path)
    tensors = {
        "W_enc": w.take("W_enc", "d_in", "d_sae"),
        "b_enc": w.take("b_enc", "d_sae"),
        "W_dec": w.take("W_dec", "d_sae", "d_out"),
        "b_dec": w.take("b_dec", "d_out"),
        "threshold": w.take("threshold", "d_sae"),
    }
    facts: dict[str, Any] = place(f"{src.hint} {src.path}")
    return assemble(src, w, tensors, form=NAME, arch="jumprelu", input_bias="none", **facts)


def place(names: str) -> dict[str, Any]:
    """Model and hook points, as far as the names of repository and folder say."""
    out: dict[str, Any] = {}
    repo = re.search(r"gemma-scope-(2b|9b|27b)-(pt|it)(?:-(res|mlp|att|transcoders))?", names)
    layer = re.search(r"layer_(\d+)", names)
    if repo is None:
        return out
    out["model"] = f"google/gemma-2-{repo[1]}" + ("-it" if repo[2] == "it" else "")
    if layer is None:
        return out
    block = f"blocks.{layer[1]}."
    if repo[3] == "transcoders":
        return out | {"hook_in": block + "mlp.hook_in", "hook_out": block + "hook_mlp_out"}
    point = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}.get(repo[3])
    return out | ({"hook_in": block + point} if point else {})

"""The code of the BatchTopK paper (bartbussmann/BatchTopK): ``sae.pt`` with ``W_enc (d_in, d_sae)``, ``W_dec
(d_sae, d_in)``, ``b_enc``, ``b_dec`` and, for JumpReLU, ``jumprelu.log_threshold (d_sae)``; ``config.json``
with ``sae_type`` and ``input_unit_norm`` (each row is layer-normalized, and that is undone on the output).

``b_enc`` is there but not used by TopK; ``b_dec`` is subtracted from the input except by JumpReLU. Its
BatchTopK keeps no threshold, so what a token's latents are would depend on the batch: refused."""

from __future__ import annotations

from saelab.formats.common import assemble, said_dtype
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME
from saelab.sae import SAE

NAME = "batchtopk_code"
CONFIG, WEIGHTS = "config.json", "sae.pt"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
KINDS = {"vanilla": "relu", "topk": "topk", "jumprelu": "jumprelu"}
REFUSED = {"batchtopk": "stores no threshold, so a token's latents depend on the batch it is in; measure one there "
           "and save it as jumprelu"}  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that code."""
    return src.has(CONFIG, WEIGHTS) and {"sae_type", "act_size", "dict_size"} <= set(src.values(CONFIG))


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    keys, w = src.config(CONFIG), src.weights(WEIGHTS)
    arch = keys.choose("sae_type", KINDS, refused=REFUSED)
    w.expect(str(keys.where), d_in=keys.take("act_size", kind=int), d_sae=keys.take("dict_size", kind=int))
    tensors = w.map(SAME)
    if arch == "topk":
        tensors["b_enc"] = tensors["b_enc"].new_zeros(w.sizes["d_sae"])
    if arch == "jumprelu":
        tensors["threshold"] = w.take("jumprelu.log_threshold", "d_sae").exp()
    return assemble(
        src, w, tensors, NAME, arch=arch, k=keys.take("top_k", kind=int) if arch == "topk" else None,
        normalize="layer_norm" if keys.take("input_unit_norm", False, kind=bool) else "none",
        input_bias="none" if arch == "jumprelu" else "decoder",
        hook_in=keys.text("hook_point"), model=keys.text("model_name"), dtype=said_dtype(keys), record=keys.rest(),
    )  # fmt: skip

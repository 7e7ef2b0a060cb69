"""The code of the BatchTopK paper (bartbussmann/BatchTopK): ``sae.pt`` with ``W_enc (d_in, d_sae)``, ``W_dec
(d_sae, d_in)``, ``b_enc``, ``b_dec`` and, for JumpReLU, ``jumprelu.log_threshold (d_sae)``; ``config.json``
with ``sae_type`` and ``input_unit_norm`` (each row is layer-normalised, and that is undone on the output).

``b_enc`` is there but not used by TopK; ``b_dec`` is subtracted from the input except by JumpReLU. Its
BatchTopK keeps no threshold, so what a token's latents are would depend on the batch: refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "batchtopk_code"
CONFIG, WEIGHTS = "config.json", "sae.pt"
KINDS = {"vanilla": "relu", "topk": "topk", "jumprelu": "jumprelu"}


def detect(src: Source) -> bool:
    """Whether this is a folder of that code."""
    return src.has(CONFIG, WEIGHTS) and {"sae_type", "act_size", "dict_size"} <= set(src.json(CONFIG))


def read(src: Source) -> SAE:
    """Read a folder."""
    where = src.folder / CONFIG
    keys = Keys(src.json(CONFIG), where)
    kind = keys.take("sae_type", kind=str)
    if kind == "batchtopk":
        raise SaelabError(
            f"{where}: this code's batchtopk stores no threshold, so a token's latents depend on the batch it is "
            "in; measure one there and save it as jumprelu"
        )
    if kind not in KINDS:
        raise unknown(f"sae_type in {where}:", kind, KINDS)
    arch = KINDS[kind]
    w = Weights(src.pickle(WEIGHTS), src.folder / WEIGHTS)
    w.expect(str(where), d_in=keys.take("act_size", kind=int), d_sae=keys.take("dict_size", kind=int))
    tensors = {
        "W_enc": w.take("W_enc", "d_in", "d_sae"),
        "b_enc": w.take("b_enc", "d_sae"),
        "W_dec": w.take("W_dec", "d_sae", "d_in"),
        "b_dec": w.take("b_dec", "d_in"),
    }
    if arch == "topk":
        tensors["b_enc"] = tensors["b_enc"].new_zeros(w.sizes["d_sae"])
    if arch == "jumprelu":
        tensors["threshold"] = w.take("jumprelu.log_threshold", "d_sae").exp()
    hook, model = keys.take("hook_point", None), keys.take("model_name", None)
    normed = keys.take("input_unit_norm", False, kind=bool)
    k = keys.take("top_k", kind=int) if arch == "topk" else None
    values = keys.rest()
    return assemble(
        src, w, tensors, form=NAME, arch=arch, k=k, normalize="layer_norm" if normed else "none",
        input_bias="none" if arch == "jumprelu" else "decoder",
        hook_in=hook if isinstance(hook, str) else None, model=model if isinstance(model, str) else None,
        record={k: v for k, v in values.items() if isinstance(v, (str, int, float, bool))},
    )  # fmt: skip

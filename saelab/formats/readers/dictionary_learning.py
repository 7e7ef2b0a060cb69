"""dictionary_learning: ``ae.pt`` (a state dict) and ``config.json`` with ``trainer.dict_class``.

The class decides what the tensors mean and whether the bias is subtracted from the input; two classes have
the same tensors, so without the class nothing is read. Files hold weights for raw activations: the factor
of training is multiplied in when they are saved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saelab import files
from saelab.errors import SaelabError
from saelab.formats.common import assemble, check_can, is_transcoder, parameters, renamed
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import LINEAR, SAME, Keys
from saelab.sae import SAE

NAME = "dictionary_learning"
CONFIG, WEIGHTS = "config.json", "ae.pt"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
GATES = {"b_enc": "gate_bias", "b_mag": "mag_bias", "r_mag": "r_mag", "b_dec": "decoder_bias"}


@dataclass(frozen=True)
class Class:
    """A class of the library: its architecture, names of its tensors, and what it subtracts from the input."""

    arch: str
    tensors: dict[str, str]
    input_bias: str = "decoder"


CLASSES = {
    "AutoEncoder": Class("relu", LINEAR | {"b_dec": "bias"}),
    "AutoEncoderNew": Class("relu", LINEAR, "none"),
    "GatedAutoEncoder": Class("gated", LINEAR | GATES),
    "AutoEncoderTopK": Class("topk", LINEAR | {"b_dec": "b_dec"}),
    "BatchTopKSAE": Class("batchtopk", LINEAR | {"b_dec": "b_dec"}),
    "MatryoshkaBatchTopKSAE": Class("matryoshka", SAME),
    "JumpReluAutoEncoder": Class("jumprelu", SAME | {"threshold": "threshold"}, "none"),
}


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and isinstance(src.values(CONFIG).get("trainer"), dict)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    whole, w = src.config(CONFIG), src.weights(WEIGHTS)
    keys = Keys(whole.take("trainer", kind=dict), f"'trainer' in {whole.where}")
    kind = keys.choose("dict_class", CLASSES)
    if "ae" in w and "optimizer" in w:
        raise SaelabError(
            f"{w.where} is a backup of a running training, whose weights are for scaled activations; load a "
            "file of the checkpoints folder, or the finished one"
        )
    w.expect(str(whole.where), d_in=keys.take("activation_dim", None), d_sae=keys.take("dict_size", None))
    facts: dict[str, Any] = {"arch": kind.arch, "input_bias": kind.input_bias}
    tensors, k = w.map(kind.tensors), keys.take("k", None)
    if kind.arch in ("topk", "batchtopk", "matryoshka"):
        facts["k"] = int(w.number("k")) if "k" in w else k
        if k not in (None, facts["k"]):
            raise SaelabError(
                f"{whole.where} says k={k}, the state dict says k={facts['k']}; which one is it? (k annealing?)"
            )
    if kind.arch == "topk":
        w.skip("threshold")  # kept for use on request; the class's own latents are the k largest
    if kind.arch in ("batchtopk", "matryoshka"):
        tensors["threshold"] = w.take("threshold")
    if kind.arch == "matryoshka":
        facts["prefixes"] = tuple(w.integers("group_sizes").cumsum(0).tolist())
    model, hook = (
        keys.take("lm_name", None),
        _hook(keys.take("submodule_name", None), keys.take("layer", None)),
    )
    return assemble(src, w, tensors, NAME, model=model, hook_in=hook, record=keys.rest(), **facts)


def _hook(submodule: Any, layer: Any) -> str | None:
    match = re.fullmatch(r"(resid_post|attention_out|attn_out|mlp_out)_layer_?(\d+)", str(submodule))
    if match is None or (isinstance(layer, int) and layer != int(match[2])):
        return None
    point = {"resid_post": "hook_resid_post", "mlp_out": "hook_mlp_out"}.get(match[1], "hook_attn_out")
    return f"blocks.{match[2]}.{point}"


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    c = sae.config
    fits = [name for name, kind in CLASSES.items() if kind.arch == c.arch]
    check_can(
        sae, NAME,
        (not fits, f"the library has no class for it; it has {', '.join(CLASSES)}"),
        (c.normalize != "none", f"it has no place for normalize={c.normalize!r}"),
        (is_transcoder(sae) or c.skip or c.widths, "input and output are the same activations there"),
    )  # fmt: skip
    name = next((n for n in fits if CLASSES[n].input_bias == c.input_bias), fits[0])
    kind = CLASSES[name]
    p = parameters(sae, input_bias=kind.input_bias)
    out = renamed(p, kind.tensors)
    if c.k:
        threshold = p.get("threshold", torch.tensor(-1.0)).float().cpu()
        out |= {"k": torch.tensor(c.k, dtype=torch.int), "threshold": threshold}
    if c.prefixes:
        sizes = torch.tensor(c.prefixes)
        out["group_sizes"] = sizes.diff(prepend=sizes.new_zeros(1))
    trainer = {
        "dict_class": name, "activation_dim": c.d_in, "dict_size": c.d_sae, "lm_name": c.model,
        "submodule_name": c.hook_in,
    } | ({"k": c.k} if c.k else {})  # fmt: skip
    with files.atomic_write(path / WEIGHTS) as temporary:
        torch.save(out, temporary)
    files.write_json(path / CONFIG, {"trainer": trainer, "buffer": {"ctx_len": c.context}})
    return path

"""dictionary_learning: ``ae.pt`` (a state dict) and ``config.json`` with ``trainer.dict_class``.

The class decides what the tensors mean and whether the bias is subtracted from the input; two classes have
the same tensors, so without the class nothing is read. Files hold weights for raw activations: the factor
of training is multiplied in when they are saved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saelab import files
from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble, is_transcoder, parameters, refuse, scale_folded
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "dictionary_learning"
CONFIG, WEIGHTS = "config.json", "ae.pt"
CLASSES = {
    "AutoEncoder": "relu",
    "AutoEncoderNew": "relu",
    "GatedAutoEncoder": "gated",
    "AutoEncoderTopK": "topk",
    "BatchTopKSAE": "batchtopk",
    "MatryoshkaBatchTopKSAE": "matryoshka",
    "JumpReluAutoEncoder": "jumprelu",
}


def detect(src: Source) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and isinstance(src.json(CONFIG).get("trainer"), dict)


def read(src: Source) -> SAE:
    """Read a folder."""
    where = src.folder / CONFIG
    trainer = Keys(Keys(src.json(CONFIG), where).take("trainer", kind=dict), f"'trainer' in {where}")
    name = trainer.take("dict_class", kind=str)
    if name not in CLASSES:
        raise unknown(f"dict_class in {where}:", name, CLASSES)
    data = src.pickle(WEIGHTS)
    if "ae" in data and "optimizer" in data:
        raise SaelabError(
            f"{src.folder / WEIGHTS} is a backup of a running training, whose weights are for scaled "
            f"activations; "
            "load a file of the checkpoints folder, or the finished one"
        )
    w = Weights(data, src.folder / WEIGHTS)
    w.expect(str(where), d_in=trainer.take("activation_dim", None), d_sae=trainer.take("dict_size", None))
    facts: dict[str, Any] = {"arch": CLASSES[name]}
    k = trainer.take("k", None)
    tensors = _READ[name](w, facts)
    if facts["arch"] in ("topk", "batchtopk", "matryoshka"):
        if "k" in facts and k is not None and facts["k"] != k:
            raise SaelabError(
                f"{where} says k={k}, the state dict says k={facts['k']}; which one is it? (k annealing?)"
            )
        facts.setdefault("k", k)
    model = trainer.take("lm_name", None)
    hook = _hook(trainer.take("submodule_name", None), trainer.take("layer", None))
    return assemble(
        src, w, tensors, form=NAME, model=model, hook_in=hook, record=_plain(trainer.rest()), **facts
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is None or isinstance(v, (str, int, float, bool))}


def _hook(submodule: Any, layer: Any) -> str | None:
    match = re.fullmatch(r"(resid_post|attention_out|attn_out|mlp_out)_layer_?(\d+)", str(submodule))
    if match is None or (isinstance(layer, int) and layer != int(match[2])):
        return None
    point = {"resid_post": "hook_resid_post", "mlp_out": "hook_mlp_out"}.get(match[1], "hook_attn_out")
    return f"blocks.{match[2]}.{point}"


def _linear(w: Weights) -> dict[str, Tensor]:
    return {
        "W_enc": w.take("encoder.weight", "d_sae", "d_in").T,  # (d_in, d_sae)
        "W_dec": w.take("decoder.weight", "d_in", "d_sae").T,  # (d_sae, d_in)
    }


def _direct(w: Weights) -> dict[str, Tensor]:
    return {
        "W_enc": w.take("W_enc", "d_in", "d_sae"),
        "b_enc": w.take("b_enc", "d_sae"),
        "W_dec": w.take("W_dec", "d_sae", "d_in"),
        "b_dec": w.take("b_dec", "d_in"),
    }


def _standard(w: Weights, facts: dict[str, Any]) -> dict[str, Tensor]:
    return _linear(w) | {"b_enc": w.take("encoder.bias", "d_sae"), "b_dec": w.take("bias", "d_in")}


def _new(w: Weights, facts: dict[str, Any]) -> dict[str, Tensor]:
    facts["input_bias"] = "none"
    return _linear(w) | {"b_enc": w.take("encoder.bias", "d_sae"), "b_dec": w.take("decoder.bias", "d_in")}


def _gated(w: Weights, facts: dict[str, Any]) -> dict[str, Tensor]:
    return _linear(w) | {
        "b_enc": w.take("gate_bias", "d_sae"),
        "b_mag": w.take("mag_bias", "d_sae"),
        "r_mag": w.take("r_mag", "d_sae"),
        "b_dec": w.take("decoder_bias", "d_in"),
    }


def _count(w: Weights, facts: dict[str, Any]) -> None:
    if "k" in w:
        facts["k"] = int(w.number("k"))


def _topk(w: Weights, facts: dict[str, Any]) -> dict[str, Tensor]:
    _count(w, facts)
    w.skip("threshold")  # kept for use on request; the class's own latents are the k largest
    return _linear(w) | {"b_enc": w.take("encoder.bias", "d_sae"), "b_dec": w.take("b_dec", "d_in")}


def _batchtopk(w: Weights, facts: dict[str, Any]) -> dict[str, Tensor]:
    _count(w, facts)
    return _linear(w) | {
        "b_enc": w.take("encoder.bias", "d_sae"),
        "b_dec": w.take("b_dec", "d_in"),
        "threshold": w.take("threshold"),
    }


def _matryoshka(w: Weights, facts: dict[str, Any]) -> dict[str, Tensor]:
    _count(w, facts)
    tensors = _direct(w) | {"threshold": w.take("threshold")}
    facts["prefixes"] = tuple(w.integers("group_sizes").cumsum(0).tolist())
    return tensors


def _jumprelu(w: Weights, facts: dict[str, Any]) -> dict[str, Tensor]:
    facts["input_bias"] = "none"
    return _direct(w) | {"threshold": w.take("threshold", "d_sae")}


_READ = {
    "AutoEncoder": _standard,
    "AutoEncoderNew": _new,
    "GatedAutoEncoder": _gated,
    "AutoEncoderTopK": _topk,
    "BatchTopKSAE": _batchtopk,
    "MatryoshkaBatchTopKSAE": _matryoshka,
    "JumpReluAutoEncoder": _jumprelu,
}


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    sae = scale_folded(sae)
    c = sae.config
    name = {arch: name for name, arch in CLASSES.items() if name != "AutoEncoderNew"}.get(c.arch)
    if name is None:
        raise refuse(sae, NAME, f"the library has no class for it; it has {', '.join(CLASSES)}")
    if c.normalize != "none":
        raise refuse(sae, NAME, f"it has no place for normalize={c.normalize!r}")
    if is_transcoder(sae) or c.skip or c.widths:
        raise refuse(sae, NAME, "input and output are the same activations there")
    if name == "AutoEncoder" and c.input_bias == "none":
        name = "AutoEncoderNew"
    no_bias = name in ("AutoEncoderNew", "JumpReluAutoEncoder")
    p = parameters(sae, input_bias="none" if no_bias else "decoder")
    out = {key: t.contiguous().cpu() for key, t in _state(name, p, c).items()}
    trainer = {
        "dict_class": name, "activation_dim": c.d_in, "dict_size": c.d_sae, "lm_name": c.model,
        "submodule_name": c.hook_in,
    } | ({"k": c.k} if c.k else {})  # fmt: skip
    with files.atomic_write(path / WEIGHTS) as temporary:
        torch.save(out, temporary)
    files.write_json(path / CONFIG, {"trainer": trainer, "buffer": {"ctx_len": c.context}})
    return path


def _state(name: str, p: dict[str, Tensor], c: Any) -> dict[str, Tensor]:
    if name in ("JumpReluAutoEncoder", "MatryoshkaBatchTopKSAE"):
        out = {key: p[key] for key in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")}
    else:
        out = {"encoder.weight": p["W_enc"].T, "decoder.weight": p["W_dec"].T}
    if name == "GatedAutoEncoder":
        return out | {
            "gate_bias": p["b_enc"], "mag_bias": p["b_mag"], "r_mag": p["r_mag"], "decoder_bias": p["b_dec"]
        }  # fmt: skip
    if "encoder.weight" in out:
        bias = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias"}.get(name, "b_dec")
        out |= {"encoder.bias": p["b_enc"], bias: p["b_dec"]}
    if c.k:
        unset = torch.tensor(-1.0)
        out |= {"k": torch.tensor(c.k, dtype=torch.int), "threshold": p.get("threshold", unset).float()}
    if name == "MatryoshkaBatchTopKSAE":
        sizes = torch.tensor(c.prefixes)
        out["group_sizes"] = sizes.diff(prepend=sizes.new_zeros(1))
    return out

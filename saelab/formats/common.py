"""What readers and writers of foreign formats share."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saelab.errors import SaelabError, unknown
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Keys, Weights, build, stored_dtype
from saelab.sae import SAE, SAEConfig

# facts a user may give because a file does not hold them
GIVEN = ("arch", "k", "hook_in", "hook_out", "model", "normalize", "scale", "bos", "context")


def check_given(given: dict[str, Any]) -> None:
    """Refuse facts that no reader knows."""
    for key in given:
        if key not in GIVEN:
            raise unknown("fact in given", key, GIVEN)


def need(src: SAEFiles, key: str, why: str) -> Any:
    """What the user (or the catalog) must say because the file cannot, or an error with the reason."""
    value = src.fact(key)
    if value is None:
        raise SaelabError(f"{src}: {why}. Say it: load_sae(…, given={{{key!r}: …}})")
    return value


def said_dtype(keys: Keys, name: str = "dtype") -> str:
    """The dtype that a config says its library computes in; float32 where it says none."""
    value = keys.text(name) or "float32"
    value = value.removeprefix("torch.")
    return {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "float64": "float32"}.get(value, value)


def assemble(
    src: SAEFiles, w: Weights, tensors: dict[str, Tensor], form: str, *, arch: str,
    dtype: str | None = "float32", record: dict[str, Any] | None = None, **facts: Any,
) -> SAE:  # fmt: skip
    """The SAE of ``tensors``, once every tensor of the file is accounted for and no fact contradicts
    another.

    ``dtype`` is what the library that owns the format computes in, however it stores: most load everything into
    float32. None: as stored, in torch's linear layers, which add the bias before they round.
    """
    w.finish()
    facts = {key: value for key, value in ({"arch": arch} | facts).items() if value is not None}
    for key, value in src.given.items():
        if facts.get(key, value) != value:
            raise SaelabError(f"you say {key}={value!r}, but {w.where} says {key}={facts[key]!r}")
        facts[key] = value
    scaled = facts.get("normalize") == "scale"
    unused = {"model_options"} if scaled else {"model_options", "scale"}
    facts = {key: value for key, value in src.listed.items() if key not in unused} | facts
    stored = stored_dtype(tensors.values(), w.where)
    config = SAEConfig(
        d_in=w.sizes["d_in"], d_sae=w.sizes["d_sae"], d_out=w.sizes.get("d_out"), dtype=dtype or stored,
        split_bias=dtype not in (None, "float32"), **facts,
    )  # fmt: skip
    sae = build(config, tensors, w.where)
    sae.record = {"loaded": {"format": form, "source": src.hint, **(record or {})}}
    options = sae.record["loaded"].pop("model_options", None) or src.listed.get("model_options")
    if options:
        sae.record["loaded"]["model_options"] = options
        _warn_of(options, sae)
    return sae


# what a model may be loaded with and still give the activations of its weights as published
NO_MATTER = ("device", "dtype", "n_devices", "cache_dir", "revision", "trust_remote_code", "center_unembed",
             "move_to_device", "local_files_only", "token", "output_logits_soft_cap", "tokenizer", "hf_model")  # fmt: skip


def _warn_of(options: dict[str, Any], sae: SAE) -> None:
    """Warn where the model was loaded with options that change its activations."""
    said = ", ".join(f"{key}={value!r}" for key, value in options.items() if value and key not in NO_MATTER)
    if said:
        warnings.warn(
            f"this SAE was trained on {sae.config.model or 'a model'} loaded with {said}: activations of sl.load_model, "
            "which takes weights as they are published, are others",
            stacklevel=2,
        )


def by_length(threshold: Tensor | float, rows: Tensor) -> Tensor:
    """(d_sae): a threshold that a library compares in units of the decoder ``rows``' lengths (d_sae, d_out); a latent
    whose row has length 0 is never on."""
    length = rows.float().norm(dim=1)
    return torch.where(length > 0, threshold / length, torch.finfo(torch.float32).max)


# ------------------------------------------------------------------------------------------------ hook points

_BLOCK = re.compile(
    r"^(?:model\.|transformer\.|gpt_neox\.|language_model\.)*(?:layers|h|blocks)\.(\d+)(?:\.([a-z_]+))?$"
)
_MLP, _ATTENTION = ("mlp", "feed_forward"), ("attn", "self_attn", "attention")


def hook_of_module(name: str, *, reads: bool = False) -> str | None:
    """The hook point at which a transformers module's output (``reads``: its input) is seen; None if unknown.

    >>> hook_of_module("model.layers.10"), hook_of_module("h.6.mlp")
    ('blocks.10.hook_resid_post', 'blocks.6.hook_mlp_out')
    """
    if ".hook_" in name or name.startswith("hook_"):
        return name
    match = _BLOCK.match(name)
    if match is None:
        return (
            "hook_embed" if name.split(".")[-1] in ("embed_tokens", "wte", "embed_in") and not reads else None
        )
    layer, part = match.groups()
    if part is None:
        return f"blocks.{layer}.hook_resid_pre" if reads else f"blocks.{layer}.hook_resid_post"
    if part in _MLP:
        return f"blocks.{layer}.mlp.hook_in" if reads else f"blocks.{layer}.hook_mlp_out"
    if part in _ATTENTION:
        return f"blocks.{layer}.attn.hook_in" if reads else f"blocks.{layer}.hook_attn_out"
    return None


# --------------------------------------------------------------------------------------------------- writing


def check_can(sae: SAE, form: str, *refusals: tuple[object, str]) -> None:
    """Refuse an SAE that the format cannot express: the reason of the first pair that holds."""
    for holds, why in refusals:
        if holds:
            raise SaelabError(f"a {sae.config.arch} SAE like this one cannot be saved as {form!r}: {why}")


@torch.no_grad()
def parameters(sae: SAE, *, input_bias: str) -> dict[str, Tensor]:
    """Copies of the parameters for a reader that subtracts ``b_dec`` (``"decoder"``) or nothing (``"none"``).

    ``(x - b) W + c = (x - b') W + (c + (b' - b) W)``: what differs moves into the encoder's bias.
    """
    p = {name: t.detach().clone() for name, t in sae.named_parameters() if name != "own_b_in"}
    p.setdefault("W_enc", sae.W_enc.detach().clone())
    if sae.config.input_bias == input_bias:
        return p
    p = {name: t.float() for name, t in p.items()}  # half precision would round what is added up here
    wanted = sae.b_dec if input_bias == "decoder" else torch.zeros_like(sae.b_in)
    shift = (wanted.float() - sae.b_in.float()) @ p["W_enc"]  # (d_sae)
    p["b_enc"] = p["b_enc"] + shift
    if "b_mag" in p:
        p["b_mag"] = p["b_mag"] + p["r_mag"].exp() * shift
    return p


def renamed(p: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The opposite of :meth:`Weights.map`: parameters under the names they have in the format."""
    return {
        theirs.removesuffix(".T"): (p[ours].T if theirs.endswith(".T") else p[ours]).contiguous().cpu()
        for ours, theirs in names.items()
    }


def is_transcoder(sae: SAE) -> bool:
    """Whether the output belongs elsewhere than the input."""
    return sae.config.hook_in != sae.config.hook_out or sae.config.d_in != sae.config.d_out

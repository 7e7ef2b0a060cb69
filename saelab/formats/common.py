"""What readers and writers of foreign formats share."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saelab.errors import SaelabError
from saelab.formats.catalog import MODELS
from saelab.formats.keys import FACTS, Config
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Weights, build, stored_dtype
from saelab.sae import SAE, SAEConfig


def need(src: SAEFiles, key: str, why: str) -> Any:
    """What the user or the catalog must say because the file cannot; an obstacle where neither does."""
    value = src.fact(key)
    if value is None:
        src.obstacles.add(f"{src}: {why}. Say it: load_sae(…, given={{{key!r}: …}})")
    return value


def assemble(
    src: SAEFiles, w: Weights, tensors: dict[str, Tensor], form: str, *, arch: str | None,
    dtype: str | None = "float32", guess: Mapping[str, Any] | None = None, record: Mapping[str, Any] | None = None,
    **facts: Any,
) -> SAE:  # fmt: skip
    """The SAE of ``tensors``, once every key and tensor of the files is accounted for.

    ``facts`` are what the files say, or what the format means whatever they say; they outrank the user, whose
    contradiction is an obstacle. The user outranks the catalog, and that ``guess``: what names say, and what the
    library takes where nothing is said.

    ``dtype`` is what the library that owns the format computes in, however it stores: most load everything into
    float32. None: as stored, in torch's linear layers, which add the bias before they round."""
    w.finish()
    settled = _settle(
        src, {key: v for key, v in ({"arch": arch} | facts).items() if v is not None}, guess or {}
    )
    src.obstacles.check()
    stored = stored_dtype(tensors.values(), w.where)
    config = SAEConfig(
        d_in=w.sizes["d_in"],
        d_sae=w.sizes["d_sae"],
        d_out=w.sizes.get("d_out"),
        dtype=dtype or stored,
        split_bias=dtype not in (None, "float32"),
        **settled,
    )
    sae = build(config, tensors, w.where)
    rest = {name: value for c in src.configs for name, value in c.record.items()}
    kept = {"config": rest, "given": src.given, "ignored": src.obstacles.ignored}
    options = (record or {}).get("model_options") or src.listed.get("model_options")
    loaded = {"format": form, "source": src.hint, **(record or {}), **kept, "model_options": options}
    sae.record = {"loaded": {key: value for key, value in loaded.items() if value}}
    if options:
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


def _settle(src: SAEFiles, said: dict[str, Any], guess: Mapping[str, Any]) -> dict[str, Any]:
    """Each fact from the highest authority that states it."""
    for config in src.configs:
        for theirs, ours in FACTS.items():
            value = config[theirs]
            value = (hook_of_module(value) or value) if value and ours.startswith("hook") else value
            if value not in (None, "") and _differ(ours, said.setdefault(ours, value), value):
                why = f"{config.where}: {theirs} {value!r} is not the {ours} {said[ours]!r} that is also said"
                src.obstacles.add(why)
    for key, value in src.given.items():
        if key in said and _differ(key, said[key], value):
            src.obstacles.add(f"you say {key}={value!r}, but {src} says {key}={said[key]!r}")
    listed = {key: value for key, value in src.listed.items() if key != "model_options"}
    settled = {**guess, **listed, **src.given, **said}
    if settled.get("normalize", "none") != "scale" and settled.pop("scale", None) and "scale" in src.given:
        src.obstacles.add(f"you say a scale, but {src} does not scale its input: it would have no effect")
    return settled


def _differ(key: str, one: Any, other: Any) -> bool:
    if key == "model":  # one model has several names
        one, other = MODELS.get(one, one), MODELS.get(other, other)
    return one != other


def after_layer(organization: str, named: re.Match[str] | None) -> dict[str, str]:
    """Model and hook point, where a file's name says both: model and number of the layer that it reads the output of."""
    if named is None:
        return {}
    return {"model": f"{organization}/{named[1]}", "hook_in": f"blocks.{named[2]}.hook_resid_post"}


def k_of(src: SAEFiles, config: Config, arch: str) -> int | None:
    """``top_k``, which some libraries write whatever the architecture; only a TopK SAE has a use for it."""
    k = config["top_k"]
    if arch == "topk" and k is None:
        src.obstacles.add(f"{config.where} has no 'top_k'; refusing to guess it")
    if arch != "topk" and k:
        config.record["top_k"] = k
    return k if arch == "topk" else None


def unit_rows(tensors: dict[str, Tensor]) -> None:
    """Bring decoder rows to length 1 and latents into their units, in which the library gives them out."""
    norm = tensors["W_dec"].float().norm(dim=1)  # (d_sae)
    tensors["W_enc"] = tensors["W_enc"] * norm
    tensors["b_enc"] = tensors["b_enc"] * norm  # a row of length 0: a latent that is never on
    tensors["W_dec"] = tensors["W_dec"] / torch.where(norm > 0, norm, 1.0)[:, None]


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


def facts_of(sae: SAE) -> dict[str, Any]:
    """What a format has no place for, as :data:`saelab.formats.keys.FACTS` calls it: the libraries pass over keys
    they do not know."""
    c = sae.config
    said = {"model_name": c.model, "hook_name": c.hook_in, "prepend_bos": c.bos, "context_size": c.context}
    said |= {"hook_name_out": c.hook_out} if c.hook_out != c.hook_in else {}
    return {name: value for name, value in said.items() if value not in (None, "")}


def is_transcoder(sae: SAE) -> bool:
    """Whether the output belongs elsewhere than the input."""
    return sae.config.hook_in != sae.config.hook_out or sae.config.d_in != sae.config.d_out

"""Training that goes on from an SAE that exists, one's own or a published one.

What the SAE is stays as it is: architecture, k, hook points, normalisation and its scale, what is
subtracted from the input, thresholds. Only the weights move, and where decoder rows are not of length 1
they keep lengths of their own unless the same SAE can be said with rows of length 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from saelab.errors import SaelabError
from saelab.identity import sae_digest
from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS
from saelab.training import start

# architectures in which z w = (c z) (w / c) holds for each latent alone; the largest k depend on all lengths
SCALABLE = ("relu", "gated", "jumprelu")
UNSET = (None, False)


def settle(settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` of one SAE with everything filled in that ``init`` decides, or else the defaults.

    Raises
    ------
    SaelabError
        If a setting contradicts ``init``, or the hook point or the number of latents is missing.
    """
    out, init = dict(settings), settings.get("init")
    if init is None:
        if out.get("hook") is None:
            raise SaelabError(
                "say which hook point: hook='blocks.…' (saelab.models.hook_names(model) lists them)"
            )
        if out.get("d_sae") is None:
            raise SaelabError("say how many latents: d_sae=… (or init=sae, to go on from an SAE)")
        out["arch"] = out.get("arch") or "topk"
        out["k"] = 32 if out.get("k") is None else out["k"]
        return out
    if not isinstance(init, SAE):
        raise SaelabError(f"init is an SAE, such as sl.load_sae(…) gives; got {type(init).__name__}")
    for name, own in _facts(init.config).items():
        got = out.get(name)
        got = tuple(got) if isinstance(got, list) else got
        if name == "hook" and isinstance(got, tuple):
            got = "+".join(got)
        if got in UNSET:
            out[name] = own
        elif got != own and own != "":  # an SAE may not know its hook point
            raise SaelabError(
                f"init has {name}={own!r}, you ask for {name}={got!r}: training that goes on from an SAE keeps "
                f"it. Leave {name} out"
            )
    if not out["hook"]:
        raise SaelabError("init does not say which hook point it reads; say it: hook='blocks.…'")
    if "floor" in (out.get("options") or {}):
        raise SaelabError(f"init keeps its own floor ({init.config.floor:g}); leave it out of options")
    return out


def _facts(c: SAEConfig) -> dict[str, Any]:
    facts: dict[str, Any] = {"hook": c.hook_in, "d_sae": c.d_sae, "arch": c.arch, "normalize": c.normalize}
    if ARCHS[c.arch].needs_k:
        facts["k"] = c.k
    if c.arch == "matryoshka":
        facts["prefixes"] = c.prefixes
    out = c.hook_out if c.hook_out != c.hook_in else None
    return facts | {"hook_out": out, "tied": c.tied, "skip": c.skip}


def config_for(
    init: SAE, hooks: list[str], target: str | None, width: dict[str, int], **place: Any
) -> SAEConfig:
    """``init``'s configuration on this model, whose hook points are ``width`` wide."""
    c = init.config
    wide = [(hook, width[hook], own) for hook, own in zip(hooks, c.widths or (c.d_in,), strict=True)]
    if target is not None:
        wide.append((target, width[target], int(c.d_out or c.d_in)))
    for hook, here, own in wide:
        if here != own:
            raise SaelabError(
                f"{hook} of {place['model']} is {here} wide, init wants {own}; it was made for "
                f"{c.model or 'another model'}"
            )
    return replace(c, hook_in="+".join(hooks), hook_out=target or "", dtype="float32", **place)


@torch.no_grad()
def begin(
    init: SAE, config: SAEConfig, sample: Tensor, target: Tensor | None, unit: bool
) -> tuple[SAE, float]:
    """A copy of ``init`` to be trained, and the total variance of the (normalised) target.

    ``sample`` (n, d_in), ``target`` (n, d_out) are in the model's units; ``unit``: decoder rows of length 1
    are wanted, and made where that changes no latent's part in the output.
    """
    sae = SAE(config)
    theirs = dict(init.named_parameters())
    for name, parameter in sae.named_parameters():
        parameter.copy_(theirs[name])
    if unit and config.arch in SCALABLE and not config.tied:
        _to_unit(sae)
    x, _ = sae.normalise(sample)  # (n, d_in)
    if target is None:
        return sae, start.total_variance(x)
    return sae, start.total_variance(
        target * sae.output_factor(target) if config.normalize == "scale" else target
    )


def _to_unit(sae: SAE) -> None:
    length = sae.W_dec.norm(dim=1).clamp_min(1e-12)  # (d_sae)
    sae.W_dec.div_(length[:, None])
    sae.W_enc.mul_(length)
    for name in ("b_enc", "threshold", "b_mag"):
        if hasattr(sae, name):
            getattr(sae, name).mul_(length)


def unit_rows(sae: SAE) -> bool:
    """Whether all decoder rows have length 1."""
    return bool(((sae.W_dec.norm(dim=1) - 1).abs() < 1e-3).all())


def origin(sae: SAE) -> dict[str, Any]:
    """For the record: what training went on from."""
    return {
        "digest": sae_digest(sae),
        **{k: v for k, v in sae.record.items() if k in ("loaded", "init", "tokens")},
    }

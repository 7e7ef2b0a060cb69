"""Training that goes on from an SAE that exists, one's own or a published one.

What the SAE is stays as it is: architecture, k, hook points, normalization and its scale, what is
subtracted from the input, thresholds. Only the weights move, and where decoder rows are not of length 1
they keep lengths of their own unless the same SAE can be said with rows of length 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from saelab.errors import SaelabError, check_whole
from saelab.identity import sae_digest
from saelab.sae import SAE, SAEConfig, folding
from saelab.sae.archs import ARCHS
from saelab.sae.config import HookPoints
from saelab.training import start


def settle(given: dict[str, Any]) -> dict[str, Any]:
    """``given`` settings of one SAE with everything filled in that ``given["init"]`` decides.

    Raises
    ------
    SaelabError
        If a setting contradicts ``init``, or nothing says which hook point is read.
    """
    init = given["init"]
    if not isinstance(init, SAE):
        raise SaelabError(f"init is an SAE, such as sl.load_sae(…) gives; got {type(init).__name__}")
    check_whole(init, "training that goes on from an SAE")
    out = {"k": None} | given
    for name, own in _facts(init.config).items():
        got = given.get(name)
        if got in (None, False):
            out[name] = own
        elif got != own and str(own):  # an SAE may not know its hook point
            mine, asked = (str(v) if isinstance(v, HookPoints) else v for v in (own, got))
            raise SaelabError(
                f"init has {name}={mine!r}, you ask for {name}={asked!r}: training that goes on from an SAE keeps "
                f"it. Leave {name} out"
            )
    if not str(out["hook"]):
        raise SaelabError("init does not say which hook point it reads; say it: hook='blocks.…'")
    if "floor" in given.get("options", {}):
        raise SaelabError(f"init keeps its own floor ({init.config.floor:g}); leave it out of options")
    return out


def _facts(c: SAEConfig) -> dict[str, Any]:
    own = [n for n in ARCHS[c.arch].settings if n != "floor"]
    kept = {n: getattr(c, n) for n in ("d_sae", "arch", "normalize", "tied", "skip", *own)}
    return {"hook": c.hooks, "hook_out": c.hook_out if c.hook_out != c.hook_in else None} | kept


def config_for(
    init: SAE, hooks: HookPoints, target: str | None, width: dict[str, int], **place: Any
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
    return replace(c, hook_in=str(hooks), hook_out=target or "", dtype="float32", **place)


@torch.no_grad()
def begin(
    init: SAE, config: SAEConfig, sample: Tensor, target: Tensor | None, unit: bool
) -> tuple[SAE, float]:
    """A copy of ``init`` to be trained, and the total variance of the (normalized) target.

    ``sample`` (n, d_in) and ``target`` (n, d_out) are in the model's units; ``unit``: decoder
    rows of length 1 are wanted, and made where that changes no latent's part in the output.
    """
    sae = SAE(config)
    theirs = dict(init.named_parameters())
    for name, parameter in sae.named_parameters():
        parameter.copy_(theirs[name])
    if unit and sae.arch.scaled is not None and not config.tied:
        folding.shorten(sae, folding.row_lengths(sae))
    y = sae.normalize(sample)[0] if target is None else sae.normalize_target(target)
    return sae, start.total_variance(y)


def unit_rows(sae: SAE) -> bool:
    """Whether all decoder rows have length 1."""
    return bool(((sae.W_dec.norm(dim=1) - 1).abs() < 1e-3).all())


def origin(sae: SAE) -> dict[str, Any]:
    """For the record: what training went on from."""
    kept = {k: v for k, v in sae.record.items() if k in ("loaded", "init", "tokens", "recipe")}
    return {"digest": sae_digest(sae)} | kept

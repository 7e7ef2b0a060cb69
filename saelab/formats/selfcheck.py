"""Does a loaded SAE reconstruct what its model computes? Wrong loads are silent otherwise.

A short text is run through the model; where the reconstruction is poor, the usual causes are tried one by
one, and the one that repairs it is named."""

from __future__ import annotations

import copy
import math
import re
import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saelab import models
from saelab.doors import door
from saelab.errors import SaelabError
from saelab.identity import check_pair
from saelab.models import HookedModel
from saelab.sae import SAE
from saelab.sae.config import PER_ROW

TEXT = (
    "The harbour was quiet that morning, and the boats lay close to the wall. A woman in a yellow coat "
    "walked along the quay, counting the crates that had come in overnight: eleven of apples, four of salt, "
    "one of books. She wrote each number down, closed the notebook, and asked the driver whether the road "
    "over the hill was open again. It was, he said, but only until noon, because the river was still rising. "
    "In 1998 it had taken the bridge with it; the new one, built from steel and paid for by the county, "
    "stood two metres higher. They left at ten, and before the rain began they had passed the mill, the "
    "school with its red roof, and the field where her brother used to fly kites."
)
POOR = 0.5  # explained variance below which something is likely to be wrong
REPAIRED = 0.2  # by how much a change must raise it to be named as the cause


@dataclass(frozen=True)
class SelfCheck:
    """What :func:`self_check` found.

    Attributes
    ----------
    explained_variance
        ``1 - Σ‖y - ŷ‖² / Σ‖y - ȳ‖²`` over the tokens of the text.
    l0
        Mean number of active latents per token.
    l0_said
        What the file, or the name it has, says about that; None if nothing.
    tokens
        How many tokens were counted.
    problems
        Sentences in plain language, empty if all is well.
    """

    explained_variance: float
    l0: float
    l0_said: float | None
    tokens: int
    problems: tuple[str, ...]


@door
@torch.no_grad()
def self_check(model: HookedModel, sae: SAE, *, text: models.Text = TEXT) -> SelfCheck:
    """Reconstruct the activations of ``text`` and warn, once, if that fails.

    Raises
    ------
    SaelabError
        If the SAE cannot read this model at all: it names no hook point, or one that is not there or not as
        wide.

    Examples
    --------
    >>> sl.self_check(sl.load_model("zoo"), sl.load_sae("zoo")).problems
    ()
    """
    problems = list(check_pair(model, sae))
    c = sae.config
    if not c.hook_in:
        raise SaelabError("the file names no hook point; say it: load_sae(…, given={'hook_in': 'blocks.…'})")
    for hook in (*c.hooks, c.hook_out):
        if c.widths is None:
            models.check_hook(model, hook)
    if c.widths is not None:
        raise SaelabError(
            "a crosscoder reads several models or hook points; the self-check knows one of each"
        )
    x, y = _activations(model, sae, text, c.bos)
    for name, wide, got in (("hook_in", c.d_in, x), ("hook_out", int(c.d_out or c.d_in), y)):
        if got.shape[1] != wide:
            raise SaelabError(
                f"{getattr(c, name)} of {models.model_name(model)} is {got.shape[1]} wide, the SAE wants {wide}; "
                f"it was made for {c.model or 'another model'}"
            )
    ev, l0 = _score(sae, x, y)
    if ev < POOR:
        problems.append(
            f"it explains {ev:.0%} of the variance at {c.hook_in}; {_cause(model, sae, text, x, y, ev)}"
        )
    stated = _l0_stated(sae)
    if stated is not None and not stated / 3 <= l0 <= stated * 3:
        problems.append(
            f"{l0:.0f} latents are active per token, the file's name or config says about {stated:.0f}"
        )
    result = SelfCheck(ev, l0, stated, len(x), tuple(problems))
    if problems:
        warnings.warn(
            "this SAE may be loaded wrongly, or belong elsewhere: " + "; ".join(problems), stacklevel=3
        )
    return result


def _activations(
    model: HookedModel, sae: SAE, text: models.Text, bos: bool, hooks: tuple[str, ...] = ()
) -> tuple[Tensor, ...]:
    """Activations (tokens, width) of the input, the output, and ``hooks``; special tokens left out."""
    c = sae.config
    wanted = (c.hook_in, c.hook_out, *hooks)
    rows = models.tokenize_texts(model, text, context=c.context, bos=bos)
    kept: list[list[Tensor]] = [[] for _ in wanted]
    with models.lock(model):
        for batch in rows.batches(2048):
            values = models.run_to_hooks(model, batch.ids, list(dict.fromkeys(wanted)), batch.mask)
            keep = models.valid_mask(model, batch.ids, batch.mask)
            for out, name in zip(kept, wanted, strict=True):
                out.append(values[name][keep.to(values[name].device)].float().to(sae.W_dec.device))
    return tuple(torch.cat(parts) for parts in kept)  # (tokens, width) each


def _score(sae: SAE, x: Tensor, y: Tensor) -> tuple[float, float]:
    codes = sae.encode_sparse(x)
    recon = sae.decode(codes).float()  # (tokens, d_out)
    error, spread = (y - recon).double().square().sum(), (y - y.mean(0)).double().square().sum()
    ev = 1 - float(error / spread) if spread > 0 else float("nan")
    return (ev if math.isfinite(ev) else -math.inf), float(codes.l0().float().mean())


def _cause(model: HookedModel, sae: SAE, text: str, x: Tensor, y: Tensor, ev: float) -> str:
    c = sae.config
    tried: dict[str, float] = {}
    if c.hook_in == c.hook_out:
        factor = math.sqrt(c.d_in) / float(x.norm(dim=1).mean())
        centered = x - x.mean(1, keepdim=True)
        given = f"given={{'normalize': 'scale', 'scale': {factor:.3g}}}"
        inputs = {
            f"the activations are multiplied by {factor:.3g} first (a scale that is not in the file: {given})":
                x * factor,
            "each activation's mean is removed (it was trained on a model with centered weights, "
            "center_writing_weights)": centered,
        }  # fmt: skip
        names = _neighbors(model, c.hook_in)
        for name, there in zip(names, _activations(model, sae, text, c.bos, names)[2:], strict=True):
            if there.shape[1] == c.d_in:
                inputs[f"it reads {name} instead (another hook point)"] = there
        tried = {why: _score(sae, other, other)[0] for why, other in inputs.items()}
        if c.normalize in PER_ROW:
            raw = copy.copy(sae)
            raw.config = replace(c, normalize="none")
            tried[f"it is used without {c.normalize} (given={{'normalize': 'none'}})"] = _score(raw, x, y)[0]
    if c.bos or models.bos_id(model) is not None:
        a, b = _activations(model, sae, text, not c.bos)[:2]
        tried[f"texts begin {'without' if c.bos else 'with'} BOS"] = _score(sae, a, b)[0]
    best = max(tried, key=lambda name: tried[name], default=None)
    if best is not None and tried[best] > max(ev + REPAIRED, POOR):
        return f"it would be {tried[best]:.0%} if {best}"
    return "neither scale, centering, BOS nor a neighboring hook point repairs it: is it the right model?"


def _neighbors(model: HookedModel, hook: str) -> tuple[str, ...]:
    match = re.match(r"blocks\.(\d+)\.", hook)
    if match is None:
        return ()
    layer, names = int(match[1]), set(models.hook_names(model))
    points = (
        "hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_mlp_out", "hook_attn_out",
        "mlp.hook_in", "mlp.hook_pre", "mlp.hook_post", "attn.hook_z",
    )  # fmt: skip
    near = [f"blocks.{n}.{p}" for n in (layer - 1, layer, layer + 1) for p in points]
    return tuple(name for name in near if name in names and name != hook)


def _l0_stated(sae: SAE) -> float | None:
    if sae.config.k is not None:
        # below a floor there are fewer, unknown how many
        return None if sae.config.floor else float(sae.config.k)
    loaded = sae.record.get("loaded", {})
    match = re.search(r"(?:average_l0|L0)_(\d+)", str(loaded.get("source", "")))
    return float(match[1]) if match else None

"""What an edit is about: a latent of an SAE, or a direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from saelab import models
from saelab.errors import SaelabError, check_latent, check_latents, check_number, is_scalar
from saelab.interventions.directions import Direction
from saelab.models import HookedModel
from saelab.sae import SAE

Target = int | Direction


def listed(targets: Any) -> list[Any]:
    """One latent or direction, or several, as a list."""
    several = (
        isinstance(targets, Iterable) and not isinstance(targets, (str, bytes)) and not is_scalar(targets)
    )
    return list(targets) if several else [targets]


def check_target(target: Any, sae: SAE) -> Target:
    """A latent of ``sae``, or a direction where it writes."""
    return target.at(sae) if isinstance(target, Direction) else check_latent(target, sae.config.d_sae)


def check_targets(targets: Any, sae: SAE) -> list[Target]:
    """One latent or direction or several, each once and in their order; two directions have two names."""
    found = list(dict.fromkeys(check_target(t, sae) for t in listed(targets)))
    if not found:
        check_latents([], sae.config.d_sae)
    names = [t.name for t in found if isinstance(t, Direction)]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise SaelabError(f"two directions are called {twice!r}; tables could not tell them apart")
    return found


def label(target: Target) -> Any:
    """What tables call it: a latent's number, a direction's name."""
    return target.name if isinstance(target, Direction) else target


def title(target: Target | None) -> str:
    """What sentences call it."""
    return f"direction {target}" if isinstance(target, Direction) else f"latent {target}"


def headline(target: Target) -> str:
    """The same at the beginning of a sentence."""
    return title(target)[0].upper() + title(target)[1:]


def activation(model: HookedModel, direction: Direction, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, T) component along ``direction``, float32 on the CPU."""
    x = models.run_to_hooks(model, ids, [direction.hook], mask)[direction.hook]
    if x.shape[-1] != len(direction.vector):
        raise SaelabError(
            f"direction {direction.name!r} is {len(direction.vector)} wide, {direction.hook!r} is {x.shape[-1]} here"
        )
    return (x.float() @ direction.vector.to(x.device)).cpu()


def rows_of(sae: SAE, keys: Sequence[tuple[Target, int | None]]) -> Tensor:
    """(len(keys), d_out) what one unit writes, a row's own scale aside; random directions as long for (target, seed)."""
    rows = []
    for target, seed in keys:
        own = isinstance(target, Direction)
        row = (
            (target.vector if isinstance(target, Direction) else sae.W_dec[target]).detach().float()
        )  # (d_out)
        row = row.to(sae.W_dec.device)
        if seed is not None:
            g = torch.Generator().manual_seed(seed)
            noise = torch.randn(len(row), generator=g).to(row.device)
            row = noise * (row.norm() / noise.norm())
        scaled = sae.config.normalize == "scale" and not own
        rows.append(row / sae._target_scale(row) if scaled else row)
    return torch.stack(rows)


def maximum(relative: Any, latent: Target, d_sae: int) -> float:
    """What ``relative`` says that strength 1 is: a direction has its own unless a dict names another."""
    named = isinstance(relative, Mapping) and latent in relative
    if isinstance(latent, Direction) and not named:
        return float(latent.maximum or 0.0)
    stats = getattr(relative, "stats", None)
    index = callable(stats)  # a LatentIndex
    table: Any = stats()["max"] if index else relative  # type: ignore[misc]
    if isinstance(table, Mapping) and latent not in table:
        raise SaelabError(f"relative gives no maximum for {title(latent)}")
    if (
        not index
        and not isinstance(table, Mapping)
        and (is_scalar(table) or not hasattr(table, "__len__") or len(table) != d_sae)
    ):
        raise SaelabError(
            f"relative is a LatentIndex, {{latent: maximum}}, or {d_sae} numbers, got {type(relative).__name__}"
        )
    value = check_number(f"relative[{label(latent)!r}]", table[latent])
    if not (math.isfinite(value) and value > 0):
        raise SaelabError(f"{title(latent)} has no maximum to be relative to (it never fired): {value}")
    return value

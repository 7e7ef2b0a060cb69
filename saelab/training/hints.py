"""What looks wrong in a run, in words, with the setting to change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saelab.training.trainer import Trainer


def hints(trainer: Trainer) -> list[str]:
    """The hints that hold at this point of the run; none when all is well."""
    if not trainer.curves:
        return []
    return [h for check in (_diverged, _dead, _flat, _left_out) for h in check(trainer)]


def _diverged(trainer: Trainer) -> list[str]:
    if trainer.progress > 0.2 and trainer.curves[-1]["explained_variance"] < 0:
        return ["the reconstruction is worse than the mean: lower lr, or lengthen warmup"]
    return []


def _dead(trainer: Trainer) -> list[str]:
    dead, n = int(trainer.curves[-1]["dead"]), trainer.whole.d_sae
    if dead <= 0.1 * n:
        return []
    cures = "lower lr, lengthen warmup"
    if trainer.options.resample is not None:
        cures += ", or raise options resample"
    elif trainer.config.aux_coef == 0:
        cures += ", or switch the auxiliary loss on (aux_coef=1/32)"
    else:
        cures += ", or raise aux_k"
    window = f"window {trainer.dead_after:,} tokens"
    centering = "; subtracting the input's mean helps too (input_bias)" if trainer.leaves.b_in is None else ""
    return [f"dead {dead:,}/{n:,} ({window}): {cures}{centering}"]


def _flat(trainer: Trainer) -> list[str]:
    """L0 that does not move although it is far from where it should be."""
    target = trainer.options.target_l0
    recent = [line["l0"] for line in trainer.curves[-8:]]
    if len(recent) < 8 or not all(map(math.isfinite, recent)):
        return []
    flat = max(recent) - min(recent) < 0.01 * max(max(recent), 1e-9)
    free = not trainer.sae.arch.needs_k and target is None
    far = target is not None and abs(recent[-1] / target - 1) > 0.25
    if not flat or not (far or (free and recent[-1] > 0.25 * trainer.whole.d_sae)):
        return []
    steps = int(trainer.curves[-1]["step"] - trainer.curves[-8]["step"])
    advice = trainer.sae.arch.advice
    return [f"L0 unchanged at {recent[-1]:.1f} for {steps} steps: change {advice} in options, or raise lr"]


def _left_out(trainer: Trainer) -> list[str]:
    return [f"{n:,} rows of activations were left out: {why}" for why, n in trainer.left_out.items() if n]

"""ReLU with a sparsity penalty.

``form="norm"`` (Anthropic, April 2024 update): penalty ``Σ z ‖w‖`` with decoder rows ``w`` of any length.
``form="unit"`` (Bricken et al. 2023): penalty ``Σ z`` with decoder rows of length 1.
``p_end`` below 1 lets the penalty become ``Σ z^p`` with p falling from 1 (p-annealing, Karvonen et al. 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from saelab.errors import SaelabError, check_choice, check_count, check_number
from saelab.sae import objective
from saelab.sae.objective import Parts, Task, ramp
from saelab.sae.ops import Entries

if TYPE_CHECKING:
    from saelab.sae.sae import SAE

_WARM = 0.05
FORMS = ("norm", "unit")


@dataclass(frozen=True)
class Penalty(objective.Options):
    """A penalty with a fixed coefficient, or with one that is tuned until L0 comes to ``target_l0``."""

    sparsity: ClassVar[tuple[str, ...]] = ("l1", "target_l0")
    l1: float | None = None  # coefficient; None: tuned
    target_l0: float | None = None
    warm: float = (
        _WARM  # share of the run over which l1 rises from 0; a tuned coefficient is tuned from the start
    )

    def __post_init__(self) -> None:
        self.check_sparsity()
        check_number("warm", self.warm, 0.0, 1.0)
        check_count("resample", self.resample or 0, 0)
        if self.l1 is None and self.warm not in (0.0, _WARM):
            raise SaelabError(
                f"warm={self.warm} does nothing with target_l0, whose coefficient is tuned from the start: give l1"
            )

    def sparsity_coef(self, tuned: float, progress: float) -> float:
        return tuned if self.l1 is None else self.l1 * ramp(progress, self.warm)

    def tune(self, coef: float, l0: float, n_steps: int) -> float:
        if self.target_l0 is None:
            return coef
        off = max(-1.0, min(1.0, math.log(max(l0, 1e-3) / self.target_l0)))
        speed = min(0.03, 8 / n_steps)  # short runs have to get there in fewer steps
        return min(1e3, max(1e-6, coef * math.exp(speed * off)))


@dataclass(frozen=True)
class Options(Penalty):
    """How a ReLU SAE is trained."""

    form: str = "norm"
    p_end: float = 1.0
    p_from: float = 0.3  # share of the run at which p begins to fall
    resample: int = 4  # how often, in the first half of the run, dead latents are made anew (Bricken et al.)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("p_from", self.p_from, 0.0, 1.0)
        check_choice("form", self.form, FORMS)
        if not 0 < self.p_end <= 1:
            raise SaelabError(f"p_end is in (0, 1], got {self.p_end}")

    def p(self, progress: float) -> float:
        """The exponent when ``progress`` of the run is done."""
        done = max(0.0, (progress - self.p_from) / max(1 - self.p_from, 1e-9))
        return 1 + (self.p_end - 1) * min(1.0, done)


def activate(sae: SAE, pre: Tensor) -> Tensor:
    """Latents (rows, d_sae)."""
    return pre.relu()


def size(task: Task, z: Tensor, entries: Entries, weighted: bool) -> Tensor:
    """() mean over rows of Σ z, or Σ z ‖w‖, in units of the target's standard deviation."""
    if weighted:
        z = z * task.norms()[entries.indices]  # (nnz,)
    return task.ranks.sum(z.sum(), "numbers") / (len(task.x) * task.variance**0.5)


def loss(task: Task) -> Parts:
    """``fvu + sparsity_coef * size``."""
    options: Options = task.options
    entries, pre = task.above(0.0)
    z = task.encode(entries, pre).relu()  # (nnz,)
    recon = task.decode(z, entries)
    p = options.p(task.progress)
    plain = size(task, z, entries, options.form == "norm")
    if p < 1:
        bent = size(task, (z + 1e-6) ** p, entries, options.form == "norm")
        # the same weight as with p = 1, so that annealing changes the shape and not the strength
        plain = bent * (plain / bent.clamp_min(1e-12)).detach()
    penalty = task.sparsity_coef * plain
    return Parts(task.fvu(recon) + penalty, recon, entries.indices, penalty=penalty.detach())

"""Settings of a run: of each SAE (:class:`SAESpec`), and what all SAEs share (:class:`RunSettings`)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from saelab.activations.store import Origin
from saelab.doors import door
from saelab.errors import SaelabError, check_number, unknown
from saelab.identity import sae_digest
from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS
from saelab.sae.config import LEAST, PER_ROW, HookPoints, check_counts
from saelab.sae.objective import Options
from saelab.training import finetune, start

PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What the SAEs of one run share. The names are those of :func:`train`."""

    tokens: int | float | str | None = None
    batch: int = 2048  # rows per step
    context: int | None = None
    bos: bool | None = None
    buffer: int = 1 << 16
    seed: int = 0  # of the order of the rows
    epochs: int = 1
    outlier: float | None = 20.0
    device: str | None = None  # None: the model's
    out: str | Path | None = None
    checkpoint_every: int | float | str | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        check_counts(self, ("batch", "context", "buffer", "seed", "epochs"))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one SAE is trained (Gao et al. 2024, appendix A, where nothing else is said)."""

    lr: float | None = None  # None: 2e-4 * sqrt(2**14 / d_sae), larger for short runs; see default_lr
    warmup: float = 0.05  # share of the steps over which the rate rises from 0
    decay: float = 0.5  # share of the steps, at the end, over which it falls to 0 in a straight line
    aux_coef: float = 1 / 32  # weight of the auxiliary loss that revives dead latents; 0: no such loss
    aux_k: int | None = None  # dead latents that share the work, at least 1; None: d_in / 2
    # tokens without firing until a latent counts as dead; None: a tenth of the run, at least 20 batches, at most 10M
    dead_after: int | None = None
    clip: float = 1.0  # largest norm of the whole gradient
    # bfloat16: candidates are searched in bfloat16, their values are float32; auto: that for architectures with a k,
    # where the processor has it (the curves coincide, see tests/benchmarks/precision.py), else float32
    precision: str = "auto"
    seed: int = 0
    ema: float = 0.0  # decay of the running mean of the weights that becomes the result; 0: the last weights

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        for name in ("warmup", "decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise SaelabError(f"{name} is a share of the steps in [0, 1], got {getattr(self, name)}")
        check_number("aux_coef", self.aux_coef, 0.0)
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SaelabError(f"{name} must be positive, got {value}")
        # no auxiliary loss at all is aux_coef=0
        check_counts(self, [f.name for f in fields(self) if f.name in LEAST])
        if not 0 <= self.ema < 1:
            raise SaelabError(f"ema is a decay in [0, 1), such as 0.999; got {self.ema}")


@door
@dataclass(frozen=True, kw_only=True)
class TrainConfig(Recipe):
    """The recipe of one SAE, with the length of its run."""

    tokens: int  # budget: rows of activations seen
    batch: int = 2048  # rows per step


@dataclass(frozen=True, kw_only=True)
class SAESpec(Recipe):
    """One SAE that is asked for. The names are those of :func:`train`."""

    d_sae: int
    hook: HookPoints
    hook_out: str | None = None
    arch: str = "topk"
    k: int | None = 32
    normalize: str | None = None  # None: the architecture's own
    tied: bool = False
    skip: bool = False
    prefixes: tuple[int, ...] | None = None
    options: dict[str, Any] | None = None
    init: SAE | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.arch not in ARCHS:
            raise unknown("architecture", self.arch, ARCHS)
        if self.hook_out is not None and len(self.hook) > 1:
            raise SaelabError(
                "a crosscoder writes where it reads: give several hook points or hook_out, not both"
            )

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> SAESpec:
        """From keywords of :func:`train`; ``init`` decides what it can of those that are None.

        Raises
        ------
        SaelabError
            If a name is unknown, a setting contradicts ``init``, or the hook point or ``d_sae`` is missing.
        """
        names = [f.name for f in fields(cls)]
        for name in settings:
            if name not in names:
                raise unknown("setting of one SAE", name, names)
        given = {name: value for name, value in settings.items() if value is not None}
        if "hook" in given:
            given["hook"] = HookPoints.of(given["hook"])
            if len(set(given["hook"])) != len(given["hook"]):
                raise SaelabError(f"a hook point is named twice in {given['hook']}")
        if "prefixes" in given:
            given["prefixes"] = tuple(given["prefixes"])
        if "init" in given:
            given = finetune.settle(given)
        if not any(given.get("hook", ())):
            raise SaelabError(
                "say which hook point: hook='blocks.…' (saelab.models.hook_names(model) lists them)"
            )
        if "d_sae" not in given:
            raise SaelabError(
                "say how many latents: an SAE needs d_sae=… (or init=sae, to go on from an SAE)"
            )
        return cls(**given)

    @property
    def target(self) -> str | None:
        """The hook point that is written, where it is another one."""
        return None if self.hook_out in (None, "", str(self.hook)) else self.hook_out

    def label(self) -> str:
        """A short name for people."""
        return label(self.arch, self.d_sae, self.k)

    def recipe(self, tokens: int, batch: int) -> TrainConfig:
        return TrainConfig(
            tokens=tokens, batch=batch, **{f.name: getattr(self, f.name) for f in fields(Recipe)}
        )

    @functools.cached_property
    def typed_options(self) -> Options:
        return make_options(self.arch, self.options, self.k)

    def identity(self) -> dict[str, Any]:
        """What must be the same when a run is resumed."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "init"}
        out["hook"] = str(self.hook)
        return out if self.init is None else out | {"init": sae_digest(self.init)}

    def sae_config(self, origin: Origin, sample: list[Tensor] | None = None) -> SAEConfig:
        """``sample`` has one (n, d) tensor per hook point that is read, and one for the target."""
        place = {"model": origin.model, "bos": origin.bos, "context": origin.context}
        if self.init is not None:
            return finetune.config_for(self.init, self.hook, self.target, origin.widths, **place)
        widths = tuple(origin.widths[h] for h in self.hook)
        normalize = ARCHS[self.arch].normalize if self.normalize is None else self.normalize
        if normalize in PER_ROW and self.target:
            raise SaelabError(
                f"{normalize} undoes itself with the input's size, which a transcoder's target does not have"
            )
        floor, scales, scale_out = self.typed_options.floor, (1.0,) * len(widths), None
        if sample is not None:
            if normalize == "scale":
                all_scales = tuple(start.unit_scale(s) for s in sample)
                scales, scale_out = all_scales[: len(widths)], all_scales[-1] if self.target else None
            if floor:
                floor *= start.part_size(sample[: len(widths)], scales, int(self.k or 1), normalize)
        several = len(widths) > 1 and scales != (1.0,) * len(widths)
        return SAEConfig(
            arch=self.arch, d_in=sum(widths), d_sae=self.d_sae,
            k=self.k if ARCHS[self.arch].needs_k else None,
            d_out=origin.widths[self.target] if self.target else None,
            hook_in=str(self.hook), hook_out=self.target or "",
            widths=widths if len(widths) > 1 else None,
            normalize=normalize, scale=scales if several else scales[0], scale_out=scale_out,
            input_bias="own" if self.target else "decoder", tied=self.tied, skip=self.skip,
            floor=floor, prefixes=self.prefixes, **place,
        )  # fmt: skip


def make_options(arch: str, given: dict[str, Any] | None, k: int | None) -> Any:
    """The architecture's typed settings; an unknown name is an error. Where a penalty decides how sparse an SAE
    is and nothing is said of it, it is tuned until ``k`` latents are active per token."""
    kind, given = ARCHS[arch].options, dict(given or {})
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in names:
            raise unknown(f"option of {arch}", name, names)
    if kind.sparsity and not given.keys() & set(kind.sparsity):
        if k is None:
            raise SaelabError(f"say how sparse a {arch} SAE is to be: k (mean latents per token) or options")
        given["target_l0"] = float(k)
    made = kind.__new__(kind)
    door(kind.__init__)(made, **given)  # each of the kind that its annotation says
    return made


def label(arch: str, d_sae: int, k: int | None) -> str:
    """A short name of an SAE, such as ``topk, 4,096 latents, k = 32``."""
    return f"{arch}, {d_sae:,} latents" + (f", k = {k}" if k and ARCHS[arch].needs_k else "")

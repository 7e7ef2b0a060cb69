"""One SAE in training: the recipe, the step, and the state of the run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saelab.errors import SaelabError, check_count, unknown
from saelab.sae import SAE
from saelab.sae.objective import Leaves, Parts, Task
from saelab.sae.ops import paired_dots
from saelab.training.firing import Firing
from saelab.training.hints import hints
from saelab.training.resample import resample

PRECISIONS = ("float32", "bfloat16", "auto")


@dataclass(frozen=True)
class TrainConfig:
    """The recipe (Gao et al. 2024, appendix A, where nothing else is said)."""

    tokens: int  # budget: rows of activations seen
    batch: int = 2048  # rows per step
    lr: float | None = (
        None  # None: 2e-4 * sqrt(2**14 / d_sae) for long runs, larger for short ones; see default_lr
    )
    warmup: float = 0.05  # share of the steps over which the rate rises from 0
    decay: float = 0.5  # share of the steps, at the end, over which it falls to 0 in a straight line
    aux_coef: float = 1 / 32  # weight of the auxiliary loss that revives dead latents; 0: no such loss
    aux_k: int | None = None  # dead latents that share the work, at least 1; None: d_in / 2
    dead_after: int | None = None  # tokens without firing until a latent counts as dead; None: see below
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
                raise SaelabError(
                    f"{name} is a share of the steps between 0 and 1, got {getattr(self, name)}"
                )
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SaelabError(f"{name} must be positive, got {value}")
        for name in ("aux_k", "dead_after"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))  # no auxiliary loss at all is aux_coef=0
        if not 0 <= self.ema < 1:
            raise SaelabError(f"ema is a decay in [0, 1), such as 0.999; got {self.ema}")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 matrices faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def default_lr(d_sae: int, n_steps: int) -> float:
    """Adam's rate: ``2e-4 * sqrt(2**14 / d_sae)`` after Gao et al., times up to 6 for runs of few steps, which would
    not get anywhere with a rate chosen for 100,000 of them (short runs on the zoo and on SmolLM2 did better)."""
    return 2e-4 * (2**14 / d_sae) ** 0.5 * min(6.0, max(1.0, (30_000 / max(n_steps, 1)) ** 0.5))


def make_options(arch: str, given: dict[str, Any] | None, k: int | None) -> Any:
    """The architecture's typed settings; an unknown name is an error. Where the number of active latents is
    led
    by a penalty and none is given, it is led to ``k`` per token."""
    from saelab.sae.archs import ARCHS

    kind, given = ARCHS[arch].options, dict(given or {})
    names = [f.name for f in fields(kind)]
    for name in given:
        if name not in names:
            raise unknown(f"option of {arch}", name, names)
    if "target_l0" in names and not {"target_l0", "l1", "l0"} & given.keys():
        if k is None:
            raise SaelabError(f"say how sparse a {arch} SAE is to be: k (mean latents per token) or options")
        given["target_l0"] = float(k)
    return kind(**given)


class Step(NamedTuple):
    """What a step found."""

    loss: Tensor  # () what was minimised
    error: Tensor  # () mean over rows of ‖y - ŷ‖²
    aux: Tensor  # () normalised auxiliary error, 0 when no latent is dead
    penalty: Tensor | float  # () sparsity term with its coefficient
    l0: Tensor  # () mean number of latents above 0
    active: Tensor  # (nnz,) ids of latents that were above 0


class Trainer:
    """State of a run: the SAE, Adam's moments, how long each latent has been silent, the curves.

    Parameters
    ----------
    sae
        Trained in place.
    variance
        Total variance of the (normalised) target: the unit of the loss.
    n_steps
        Length of the schedule.
    options
        The architecture's settings in training, such as ``saelab.sae.relu.Options``; None: its defaults.
    """

    def __init__(self, sae: SAE, config: TrainConfig, variance: float, n_steps: int, options: Any = None):
        c = sae.config
        self.sae, self.config, self.variance = sae, config, variance
        self.options = make_options(c.arch, None, c.k or 32) if options is None else options
        self.n_steps, self.done, self.tokens = n_steps, 0, 0
        self.leaves = Leaves.of(sae)
        self.learnt = {n: p for n, p in self.leaves.named().items() if n not in sae.arch.tracked}
        self.lr = config.lr or default_lr(c.d_sae, n_steps)
        usual = min(10_000_000, max(20 * config.batch, config.tokens // 10))
        self.dead_after = usual if config.dead_after is None else config.dead_after
        self.aux_k = max(1, c.d_in // 2) if config.aux_k is None else config.aux_k
        self.adam = torch.optim.Adam(
            list(self.learnt.values()), lr=self.lr, betas=(0.9, 0.999), eps=6.25e-10, fused=True
        )
        device = sae.W_dec.device
        self.silent = torch.zeros(
            c.d_sae, dtype=torch.long, device=device
        )  # tokens since each latent last fired
        self.firing = Firing(c.d_sae, device)
        self.average = {n: torch.zeros_like(p) for n, p in self.learnt.items()} if config.ema else {}
        self.pressure = 0.02  # sparsity coefficient that is led by the target, where there is one
        able = sae.arch.needs_k and has_fast_bfloat16(device)
        self.fast = config.precision == "bfloat16" or (config.precision == "auto" and able)
        self.unit = sae.arch.unit_decoder(self.options)
        self.resampled = 0
        self.left_out: dict[str, int] = {}  # rows of activations that were not used, by reason
        self.curves: list[dict[str, float]] = []
        self.stopped = False
        self.name = ""  # tells the SAEs of one run apart
        self.last: Step | None = None  # what the last step found
        self._open: dict[str, Tensor] | None = None  # sums behind a last line that may be replaced
        self._raw: dict[str, Tensor] = {}  # weights as they were before finish
        self._paused = 0.0
        self._sums: dict[str, Tensor] = {}
        self._space: Tensor | None = None
        self._began = time.monotonic()

    # -------------------------------------------------------------------------------------------- schedule

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return self.done / max(self.n_steps, 1)

    def rate(self) -> float:
        """Learning rate of the next step."""
        warm, fall = self.config.warmup * self.n_steps, self.config.decay * self.n_steps
        up = min(1.0, (self.done + 1) / warm) if warm else 1.0
        down = min(1.0, (self.n_steps - self.done) / fall) if fall else 1.0
        return self.lr * up * max(0.0, down)

    def seconds(self) -> float:
        """Time spent on the run, breaks left out."""
        return time.monotonic() - self._began

    def stop(self) -> None:
        """End the run after the step that is under way."""
        self.stopped = True

    def hints(self) -> list[str]:
        """What looks wrong so far, in words, with the setting to change."""
        return hints(self)

    # ------------------------------------------------------------------------------------------------ step

    def task(self, x: Tensor, y: Tensor | None = None) -> Task:
        """The batch as the loss wants it: ``x`` (B, d_in) and the target ``y`` (B, d_out) in the model's
        units."""
        c = self.sae.config
        x, _ = self.sae.normalise(x)
        if y is None:
            y = x
        elif c.normalize == "scale":
            y = y * self.sae.output_factor(y)
        return Task(
            self.leaves, x, y, c.k, self.variance, self.options, progress=self.progress,
            pressure=self._pressure(), dead=self.dead(), aux_k=self.aux_k,
            aux_coef=self.config.aux_coef, fast=self.fast, floor=c.floor,
            prefixes=c.prefixes or (), widths=c.widths or (), room=self._room,
        )  # fmt: skip

    def _room(self, rows: int) -> Tensor:
        """(rows, d_sae) memory for pre-activations, kept from step to step."""
        weights = self.sae.W_dec
        shape, dtype = (rows, self.sae.config.d_sae), torch.bfloat16 if self.fast else weights.dtype
        if self._space is None or self._space.shape != shape or self._space.dtype != dtype:
            self._space = torch.empty(shape, dtype=dtype, device=weights.device)
        return self._space

    def step(self, x: Tensor, y: Tensor | None = None) -> Step:
        """One update from a batch of activations ``x`` (B, d_in); ``y`` (B, d_out) is a transcoder's
        target."""
        task = self.task(x, y)
        with torch.enable_grad():
            parts = self.sae.arch.loss(task)
            parts.loss.backward()
        with torch.no_grad():
            found = self._found(task, parts)
            self._update(parts)
            self.silent += len(x)
            self.silent[found.active] = 0
            self.firing.add(found.active, len(x))
            self._lead(float(found.l0))
            self.done, self.tokens = self.done + 1, self.tokens + len(x)
            if self._resample_now():
                self.resampled += resample(self, task, parts)
            self._note(found)
        self.last = found
        return found

    @staticmethod
    def _found(task: Task, parts: Parts) -> Step:
        aux = torch.as_tensor(parts.aux).detach()
        error = (task.y - parts.recon.detach()).square().sum() / len(task.y)
        l0 = torch.tensor(len(parts.active) / len(task.y))
        return Step(parts.loss.detach(), error, aux, parts.penalty, l0, parts.active)

    def _update(self, parts: Parts) -> None:
        dec = self.leaves.dec
        if self.unit and dec.grad is not None:
            # decoder rows have norm 1: take out what would change it, so that Adam's moments do not carry it
            dec.grad.addcmul_(dec, paired_dots(dec.grad, dec), value=-1)
        grads = [p.grad for p in self.learnt.values() if p.grad is not None]
        norm = torch.stack([g.norm() for g in grads]).norm()
        scale = (self.config.clip / (norm + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(scale)
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        if self.unit:
            dec.div_(dec.norm(dim=1, keepdim=True).clamp_min(1e-12))
        if "threshold" in self.learnt:
            self.learnt["threshold"].clamp_min_(0)
        for name, value in parts.updates.items():
            self.leaves.extra[name].copy_(value)
        for name, mean in self.average.items():
            mean.lerp_(self.learnt[name].detach(), 1 - self.config.ema)

    # ------------------------------------------------------------------------------------------- sparsity

    def _pressure(self) -> float:
        l1 = getattr(self.options, "l1", None)
        if l1 is None:
            return self.pressure
        return l1 * (min(1.0, self.progress / self.options.warm) if self.options.warm else 1.0)

    def _lead(self, l0: float) -> None:
        """Move the L1 coefficient towards what gives the wanted L0."""
        target = getattr(self.options, "target_l0", None)
        if target is None or not hasattr(self.options, "l1"):
            return
        off = math.log(max(l0, 1e-3) / target)
        speed = min(0.03, 8 / self.n_steps)  # short runs have to get there in fewer steps
        self.pressure = min(1e3, max(1e-6, self.pressure * math.exp(speed * max(-1.0, min(1.0, off)))))

    def _resample_now(self) -> bool:
        times = getattr(self.options, "resample", 0)
        every = self.n_steps // (2 * times) if times else 0
        return every > 0 and self.done % every == 0 and self.done <= self.n_steps // 2

    # ---------------------------------------------------------------------------------------------- record

    def _note(self, found: Step) -> None:
        s = self._sums
        values = {"n": 1.0, "loss": found.loss, "error": found.error, "aux": found.aux, "l0": found.l0}
        for name, value in (values | {"penalty": found.penalty}).items():
            s[name] = s.get(name, torch.zeros((), dtype=torch.float64)) + value

    def dead(self) -> Tensor:
        """(d_sae,) bool: latents that have not fired for ``dead_after`` tokens."""
        return self.silent > self.dead_after

    def log(self, *, last: bool = False) -> dict[str, float]:
        """Means since the last call, as one line of the curves; after the ``last`` one a run may still go on
        (:meth:`go_on`), and takes that line back."""
        s, self._sums = self._sums, {}
        n = float(s["n"]) if s else 0
        if not n:
            return self.curves[-1] if self.curves else {}
        self._open = s if last else None
        unexplained = float(s["error"]) / n / self.variance
        dead = self.dead()
        line = {
            "step": self.done,
            "tokens": self.tokens,
            "loss": float(s["loss"]) / n,
            "unexplained": unexplained,
            "explained_variance": 1 - unexplained,
            "aux": float(s["aux"]) / n,
            "penalty": float(s["penalty"]) / n,
            "l0": float(s["l0"]) / n,
            "dead": int(dead.sum()),
            "rare": self.firing.rare(dead),
            "lr": self.rate(),
            "seconds": self.seconds(),
        }
        self.curves.append(line)
        return line

    @torch.no_grad()
    def finish(self) -> None:
        """Put the running mean of the weights, if one is kept, into the SAE."""
        self._paused = time.monotonic()
        if not self.average or not self.done:
            return
        self._raw = {n: p.detach().clone() for n, p in self.leaves.named().items()}
        for name, mean in self.average.items():
            self.learnt[name].copy_(mean / (1 - self.config.ema**self.done))
        if self.unit:
            self.leaves.dec.div_(self.leaves.dec.norm(dim=1, keepdim=True).clamp_min(1e-12))

    # -------------------------------------------------------------------------------------------- resuming

    @torch.no_grad()
    def go_on(self) -> None:
        """Undo of :meth:`finish` and of the last line of the curves: a run that was stopped goes on as if it
        had not been."""
        if self._open is not None:
            self._sums, self._open = self._open, None
            self.curves.pop()
        for name, raw in self._raw.items():
            self.leaves.named()[name].copy_(raw)
        self._raw, self.stopped = {}, False
        self._began += time.monotonic() - self._paused

    _COUNTERS = (
        "done",
        "tokens",
        "pressure",
        "resampled",
        "variance",
        "lr",
        "dead_after",
        "aux_k",
        "curves",
        "fast",
        "unit",
    )

    def state_dict(self) -> dict[str, Any]:
        """Everything a fresh trainer of the same configuration needs to go on exactly here."""
        tensors: dict[str, Tensor] = {"silent": self.silent, "fired": self.firing.counts}
        tensors |= {f"sum.{n}": v for n, v in self._sums.items()}
        for name, p in self.leaves.named().items():
            tensors[f"param.{name}"] = p.detach()
        for name, p in self.learnt.items():
            tensors |= {f"adam.{name}.{key}": v for key, v in self.adam.state[p].items()}
        tensors |= {f"average.{n}": v for n, v in self.average.items()}
        counters = {name: getattr(self, name) for name in self._COUNTERS}
        counters |= {"seconds": self.seconds(), "fired_tokens": list(self.firing.tokens)}
        return {"tensors": tensors, "counters": counters}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo of :meth:`state_dict`."""
        t, counters = state["tensors"], state["counters"]
        for name in self._COUNTERS:
            setattr(self, name, counters[name])
        self._began = time.monotonic() - counters["seconds"]
        self.silent.copy_(t["silent"])
        self.firing.counts.copy_(t["fired"])
        self.firing.tokens = list(counters["fired_tokens"])
        self._sums = {n.removeprefix("sum."): v for n, v in t.items() if n.startswith("sum.")}
        for name, p in self.leaves.named().items():
            p.copy_(t[f"param.{name}"])
        for name, p in self.learnt.items():
            keys = [n for n in t if n.startswith(f"adam.{name}.")]
            if keys:
                self.adam.state[p] = {n.rsplit(".", 1)[1]: t[n].clone() for n in keys}
        for name, mean in self.average.items():
            mean.copy_(t[f"average.{name}"])

"""One SAE in training: the step, and the state that a run goes on from."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig
from saelab.sae.objective import ALONE, Leaves, Options, Parts, Ranks, Task
from saelab.sae.ops import paired_dots
from saelab.training.firing import Firing
from saelab.training.hints import hints
from saelab.training.resample import resample
from saelab.training.spec import TrainConfig, make_options


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


class Diverged(SaelabError):
    """A loss or a weight is NaN or infinite: nothing of such a run is of use."""


class Step(NamedTuple):
    """What a step gave."""

    loss: Tensor  # () what was minimized
    error: Tensor  # () mean over rows of ‖y - ŷ‖²
    aux: Tensor  # () normalized auxiliary error, 0 when no latent is dead
    penalty: Tensor | float  # () sparsity term with its coefficient
    l0: Tensor  # () mean number of latents above 0
    active: Tensor  # (nnz,) ids of latents that were above 0


class Trainer:
    """State of a run: the SAE, Adam's moments, the tokens since each latent fired, the curves.

    Parameters
    ----------
    sae
        Trained in place.
    variance
        Total variance of the (normalized) target: the unit of the loss.
    n_steps
        Length of the schedule.
    options
        The architecture's settings in training, such as ``saelab.sae.relu.Options``; None: its defaults.
    ranks, whole
        With several processes (:mod:`saelab.training.sharded`): ``sae`` has the latents of this rank
        (:func:`saelab.training.sharded.part_of`), and ``whole`` is the configuration of all of them. Every rank is given
        the same rows.

    Examples
    --------
    >>> config = sl.training.TrainConfig(tokens=64, batch=32)
    >>> trainer = sl.training.Trainer(sl.SAE(sae.config), config, variance=16.0, n_steps=2)
    >>> _ = trainer.step(torch.randn(32, 16)), trainer.step(torch.randn(32, 16))
    >>> trainer.log()["tokens"]
    64
    """

    def __init__(
        self, sae: SAE, config: TrainConfig, variance: float, n_steps: int, options: Options | None = None,
        ranks: Ranks = ALONE, whole: SAEConfig | None = None,
    ):  # fmt: skip
        c, device = whole or sae.config, sae.W_dec.device
        self.ranks, self.whole, mine = ranks, c, ranks.share(c.d_sae)
        if sae.config.d_sae != mine.stop - mine.start:
            raise SaelabError(f"rank {ranks.rank} holds {sae.config.d_sae} latents, its share is {mine}")
        self.first = mine.start
        self.sae, self.config, self.variance = sae, config, variance
        self.options: Any = options or make_options(c.arch, None, c.k or 32)
        self.n_steps, self.done, self.tokens = n_steps, 0, 0
        self.leaves = Leaves.of(sae, apart=not ranks.alone)
        self.learnt = {n: p for n, p in self.leaves.named().items() if n not in sae.arch.tracked}
        self.lr = config.lr or default_lr(c.d_sae, n_steps)
        usual = min(10_000_000, max(20 * config.batch, config.tokens // 10))
        self.dead_after = usual if config.dead_after is None else config.dead_after
        self.aux_k = max(1, c.d_in // 2) if config.aux_k is None else config.aux_k
        self.adam = torch.optim.Adam(
            list(self.learnt.values()), lr=self.lr, betas=(0.9, 0.999), eps=6.25e-10, fused=True
        )
        self.tokens_since_fired = torch.zeros(sae.config.d_sae, dtype=torch.long, device=device)
        self.firing = Firing(sae.config.d_sae, device)
        self._counts = 0, 0
        self.average = {n: torch.zeros_like(p) for n, p in self.learnt.items()} if config.ema else {}
        self.sparsity_coef = 0.02  # tuned by its target, where there is one
        able = sae.arch.needs_k and has_fast_bfloat16(device)
        self.fast = config.precision == "bfloat16" or (config.precision == "auto" and able)
        self.unit = sae.arch.unit_decoder(self.options)
        self.resampled = 0
        self.left_out: dict[str, int] = {}  # rows of activations that were not used, by reason
        self.curves: list[dict[str, float]] = []
        self.stopped = False
        self.name = ""  # tells the SAEs of one run apart
        self.last: Step | None = None
        self._open: dict[str, Tensor] | None = None  # sums behind a last line that may be replaced
        self._raw: dict[str, Tensor] = {}  # weights as they were before finalize
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

    def step(self, x: Tensor, y: Tensor | None = None) -> Step:
        """One update from a batch of activations ``x`` (B, d_in); ``y`` (B, d_out) is a transcoder's
        target."""
        task = self.task(x, y)
        with torch.enable_grad():
            parts = self.sae.arch.loss(task)
            # any other device would be waited for at each step: there log looks
            if parts.loss.device.type == "cpu":
                self._check_finite("the loss", parts.loss)
            parts.loss.backward()
        with torch.no_grad():
            self.last = self._step(task, parts)
            self._update(parts)
            self.tokens_since_fired += len(x)
            self.tokens_since_fired[self.last.active] = 0
            self.firing.add(self.last.active, len(x))
            l0 = float(self.last.l0)
            self.sparsity_coef = self.options.tune(self.sparsity_coef, l0, self.n_steps)
            self.done, self.tokens = self.done + 1, self.tokens + len(x)
            if self._resample_now():
                self.resampled += resample(self, task, parts)
            self._count()
            self._note(self.last)
        return self.last

    def _check_finite(self, what: str, value: Tensor) -> None:
        if not bool(value.isfinite().all()):
            name = f" of SAE {self.name}" if self.name else ""
            raise Diverged(
                f"training diverged: {what}{name} is NaN or infinite at step {self.done + 1} of {self.n_steps}, with "
                f"lr={self.lr:.3g}. Take a smaller lr or normalize='scale', and look at the scale of the activations"
            )

    def task(self, x: Tensor, y: Tensor | None = None) -> Task:
        """The batch as the loss wants it: ``x`` (B, d_in) and the target ``y`` (B, d_out) in the model's
        units."""
        c = self.whole
        here = self.sae.W_dec.device
        x, _ = self.sae.normalize(x.to(here))
        y = x if y is None else self.sae.normalize_target(y.to(here))
        return Task(
            self.leaves, x, y, c.k, self.variance, self.options, progress=self.progress,
            sparsity_coef=self.options.sparsity_coef(self.sparsity_coef, self.progress),
            dead=self.dead() if self.tokens > self.dead_after else None, aux_k=self.aux_k,
            aux_coef=self.config.aux_coef, fast=self.fast, floor=c.floor,
            prefixes=c.prefixes or (), widths=c.widths or (), room=self._room,
            ranks=self.ranks, first=self.first, total=c.d_sae,
        )  # fmt: skip

    def _room(self, size: int) -> Tensor:
        """(size,) memory for pre-activations, kept from step to step."""
        weights = self.sae.W_dec
        dtype = torch.bfloat16 if self.fast else weights.dtype
        if self._space is None or len(self._space) != size or self._space.dtype != dtype:
            self._space = torch.empty(size, dtype=dtype, device=weights.device)
        return self._space

    def _step(self, task: Task, parts: Parts) -> Step:
        aux = torch.as_tensor(parts.aux).detach()
        error = (task.y - parts.recon.detach()).square().sum() / len(task.y)
        active = float(len(parts.active))
        if not self.ranks.alone:  # else the number is here already, and the device is not waited for
            active = float(self.ranks.total(torch.tensor(active, dtype=torch.float64, device=error.device)))
        l0 = torch.tensor(active / len(task.y))
        return Step(parts.loss.detach(), error, aux, parts.penalty, l0, parts.active)

    def _update(self, parts: Parts) -> None:
        dec = self.leaves.dec
        if self.unit and dec.grad is not None:
            # decoder rows have norm 1: take out what would change it, so that Adam's moments do not carry it
            dec.grad.addcmul_(dec, paired_dots(dec.grad, dec), value=-1)
        self._scale_grads()
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self._to_unit()
        if "threshold" in self.learnt:
            self.learnt["threshold"].clamp_min_(0)
        for name, value in parts.updates.items():
            self.leaves.extra[name].copy_(value)
        for name, mean in self.average.items():
            mean.lerp_(self.learnt[name].detach(), 1 - self.config.ema)

    def _scale_grads(self) -> None:
        """Bring the gradient of all parameters of all ranks to a norm of ``clip`` at most."""
        if not self.ranks.alone and (bias := self.leaves.b_in) is not None and bias.grad is not None:
            grad = self.ranks.total(
                bias.grad, "bias of the input"
            )  # what comes through the encoder of each rank
            own = self.leaves.b_dec if self.sae.config.input_bias == "decoder" else bias
            own.grad = grad if own is bias or own.grad is None else own.grad + grad
            if own is not bias:
                bias.grad = None
        grads = {n: p.grad for n, p in self.learnt.items() if p.grad is not None}
        norms = {n: g.norm() for n, g in grads.items()}
        norm = torch.stack(list(norms.values())).norm()
        if not self.ranks.alone:
            squares = [
                norm.new_zeros(()),
                norm.new_zeros(()),
            ]  # of all latents, and of what is the same on all ranks
            for n, own in norms.items():
                squares[not self._of_latents(n)] += own.square()
            norm = (self.ranks.total(squares[0]) + squares[1]).sqrt()
        scale = (self.config.clip / (norm + 1e-6)).clamp(max=1.0)
        for g in grads.values():
            g.mul_(scale)

    def _of_latents(self, name: str) -> bool:
        """Whether a parameter has a row for each latent; the others are the same on all ranks."""
        return name not in ("b_dec", "b_in", "skip") and self.learnt[name].ndim > 0

    def _to_unit(self) -> None:
        if self.unit:
            self.leaves.dec.div_(self.leaves.dec.norm(dim=1, keepdim=True).clamp_min(1e-12))

    def _resample_now(self) -> bool:
        times = self.options.resample or 0
        every = self.n_steps // (2 * times) if times else 0
        return every > 0 and self.done % every == 0 and self.done <= self.n_steps // 2

    # ---------------------------------------------------------------------------------------------- record

    def _note(self, step: Step) -> None:
        values = {"n": 1.0, "loss": step.loss, "error": step.error, "aux": step.aux, "l0": step.l0}
        for name, value in (values | {"penalty": step.penalty}).items():
            self._sums[name] = self._sums.get(name, torch.zeros((), dtype=torch.float64)) + value

    def dead(self) -> Tensor:
        """(d_sae,) bool: latents that have not fired for ``dead_after`` tokens."""
        return self.tokens_since_fired > self.dead_after

    def _count(self) -> None:
        """Of all ranks, after each step: a watcher of one must not ask the others."""
        if not self.ranks.alone:
            counts = self.ranks.total(torch.tensor(self._own_counts(), device=self.tokens_since_fired.device))
            self._counts = int(counts[0]), int(counts[1])

    def _own_counts(self) -> tuple[int, int]:
        dead = self.dead()
        return int(dead.sum()), self.firing.rare(dead)

    def counts(self) -> tuple[int, int]:
        """How many latents are dead, and how many rare."""
        return self._own_counts() if self.ranks.alone else self._counts

    def log(self, *, last: bool = False) -> dict[str, float]:
        """Means since the last call, as one line of the curves; after the ``last`` one a run may still go on
        (:meth:`resume`), and takes that line back."""
        sums, self._sums = self._sums, {}
        if not sums:
            return self.curves[-1] if self.curves else {}
        self._open = sums if last else None
        mean = {name: float(value) / float(sums["n"]) for name, value in sums.items()}
        self._check_finite("the loss", torch.tensor(mean["loss"]))
        fvu, (dead, rare) = mean["error"] / self.variance, self.counts()
        line = {
            "step": self.done,
            "tokens": self.tokens,
            "loss": mean["loss"],
            "fvu": fvu,
            "explained_variance": 1 - fvu,
            "aux": mean["aux"],
            "penalty": mean["penalty"],
            "l0": mean["l0"],
            "dead": dead,
            "rare": rare,
            "lr": self.rate(),
            "seconds": self.seconds(),
        }
        self.curves.append(line)
        return line

    @torch.no_grad()
    def finalize(self) -> None:
        """Put the running mean of the weights, if one is kept, into the SAE."""
        self._paused = time.monotonic()
        for name, p in self.leaves.named().items():
            self._check_finite(f"the weight {name}", p)
        if not self.average or not self.done:
            return
        self._raw = {n: p.detach().clone() for n, p in self.leaves.named().items()}
        for name, mean in self.average.items():
            self.learnt[name].copy_(mean / (1 - self.config.ema**self.done))
        self._to_unit()

    # -------------------------------------------------------------------------------------------- resuming

    @torch.no_grad()
    def resume(self) -> None:
        """Undo of :meth:`finalize` and of the last line of the curves: a run that was stopped goes on as if it
        had not been."""
        if self._open is not None:
            self._sums, self._open = self._open, None
            self.curves.pop()
        for name, raw in self._raw.items():
            self.leaves.named()[name].copy_(raw)
        self._raw, self.stopped = {}, False
        self._began += time.monotonic() - self._paused

    # names in checkpoints, and those of the attributes where they are others
    _COUNTERS = {"pressure": "sparsity_coef"} | {
        name: name
        for name in [
            "done",
            "tokens",
            "resampled",
            "variance",
            "lr",
            "dead_after",
            "aux_k",
            "curves",
            "fast",
            "unit",
        ]
    }

    def state_dict(self) -> dict[str, Any]:
        """Everything a fresh trainer of the same configuration needs to go on exactly here."""
        tensors: dict[str, Tensor] = {"silent": self.tokens_since_fired, "fired": self.firing.counts}
        tensors |= {f"sum.{n}": v for n, v in self._sums.items()}
        tensors |= {f"param.{n}": p.detach() for n, p in self.leaves.named().items()}
        tensors |= {f"average.{n}": v for n, v in self.average.items()}
        for name, p in self.learnt.items():
            tensors |= {f"adam.{name}.{key}": v for key, v in self.adam.state[p].items()}
        counters = {key: getattr(self, name) for key, name in self._COUNTERS.items()}
        counters |= {"seconds": self.seconds(), "fired_tokens": list(self.firing.tokens)}
        return {"tensors": tensors, "counters": counters}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo of :meth:`state_dict`."""
        t, counters = state["tensors"], state["counters"]
        for key, name in self._COUNTERS.items():
            setattr(self, name, counters[key])
        # of checkpoints written before it was called fvu
        self.curves = [{"fvu" if n == "unexplained" else n: v for n, v in c.items()} for c in self.curves]
        self._began = time.monotonic() - counters["seconds"]
        self.tokens_since_fired.copy_(t["silent"])
        self.firing.counts.copy_(t["fired"])
        self.firing.tokens = list(counters["fired_tokens"])
        self._sums = {n.removeprefix("sum."): v for n, v in t.items() if n.startswith("sum.")}
        for name, p in self.leaves.named().items():
            p.copy_(t[f"param.{name}"])
        for name, p in self.learnt.items():
            keys = [n for n in t if n.startswith(f"adam.{name}.")]
            if keys:
                self.adam.state[p] = {n.rsplit(".", 1)[1]: t[n].clone().to(p.device) for n in keys}
        for name, mean in self.average.items():
            mean.copy_(t[f"average.{name}"])

"""The training loop: a recipe, its state, and the one call a notebook makes."""

from __future__ import annotations

import hashlib
import platform
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from saelab import __version__, data, files, models
from saelab.activations import ActivationBuffer
from saelab.errors import SaelabError, check_count, unknown
from saelab.sae import SAE, SAEConfig
from saelab.training import step as steps

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainConfig:
    """The recipe (Gao et al. 2024, appendix A, where nothing else is said)."""

    tokens: int  # budget: rows of activations seen
    batch: int = 2048  # rows per step
    lr: float | None = None  # None: 2e-4 * sqrt(2**14 / d_sae) for long runs, larger for short ones; see default_lr
    warmup: float = 0.05  # share of the steps over which the rate rises from 0
    decay: float = 0.5  # share of the steps, at the end, over which it falls to 0 in a straight line
    aux_coef: float = 1 / 32  # weight of the auxiliary loss that revives dead latents
    aux_k: int | None = None  # dead latents that share the work; None: d_in / 2
    dead_after: int | None = None  # tokens without firing until a latent counts as dead; None: see below
    clip: float = 1.0  # largest norm of the whole gradient
    precision: str = "float32"  # bfloat16: candidates are searched in bfloat16, their values are float32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        for name in ("warmup", "decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise SaelabError(f"{name} is a share of the steps between 0 and 1, got {getattr(self, name)}")
        if self.lr is not None and self.lr <= 0:
            raise SaelabError(f"lr must be positive, got {self.lr}")


def default_lr(d_sae: int, n_steps: int) -> float:
    """Adam's rate: ``2e-4 * sqrt(2**14 / d_sae)`` after Gao et al., times up to 6 for runs of few steps, which
    would not get anywhere with a rate chosen for 100,000 of them (measured on the bundled zoo)."""
    return 2e-4 * (2**14 / d_sae) ** 0.5 * min(6.0, max(1.0, (30_000 / max(n_steps, 1)) ** 0.5))


class Trainer:
    """State of a run: the SAE, Adam's moments, how long each latent has been silent, the curves."""

    def __init__(self, sae: SAE, config: TrainConfig, variance: float, n_steps: int):
        self.sae, self.config, self.variance = sae, config, variance
        self.n_steps, self.done, self.tokens = n_steps, 0, 0
        # views that share memory with the module's parameters, each latent in a contiguous row
        self.rows = steps.Rows(
            sae.W_enc.detach().T, sae.b_enc.detach(), sae.W_dec.detach(), sae.b_dec.detach()
        )
        c = sae.config
        self.lr = config.lr or default_lr(c.d_sae, n_steps)
        self.dead_after = config.dead_after or min(10_000_000, max(20 * config.batch, config.tokens // 10))
        self.aux_k = config.aux_k or max(1, c.d_in // 2)
        self.adam = torch.optim.Adam(list(self.rows), lr=self.lr, betas=(0.9, 0.999), eps=6.25e-10, fused=True)
        self.silent = torch.zeros(c.d_sae, dtype=torch.long)  # tokens since each latent last fired
        self.curves: list[dict[str, float]] = []
        self._sums: dict[str, Any] = {}
        self._began = time.monotonic()

    def rate(self) -> float:
        """Learning rate of the next step."""
        warm, fall = self.config.warmup * self.n_steps, self.config.decay * self.n_steps
        up = min(1.0, (self.done + 1) / warm) if warm else 1.0
        down = min(1.0, (self.n_steps - self.done) / fall) if fall else 1.0
        return self.lr * up * down

    def step(self, x: Tensor) -> steps.Step:
        """One update from a batch (B, d) of activations."""
        k = self.sae.config.k
        assert k is not None
        dead = self.silent > self.dead_after  # (d_sae,)
        found = steps.topk_step(
            x, self.rows, k, self.variance, dead=dead, aux_k=self.aux_k,
            aux_coef=self.config.aux_coef, fast=self.config.precision == "bfloat16",
        )  # fmt: skip
        self._update(found.grads)
        self.silent += len(x)
        self.silent[found.active] = 0
        self.done, self.tokens = self.done + 1, self.tokens + len(x)
        self._note(found)
        return found

    @torch.no_grad()
    def _update(self, grads: steps.Rows) -> None:
        dec = self.rows.dec
        # decoder rows have norm 1: take out what would change it, so that Adam's moments do not carry it
        grads.dec.addcmul_(dec, (grads.dec * dec).sum(1, keepdim=True), value=-1)
        norm = torch.stack([g.norm() for g in grads]).norm()
        scale = (self.config.clip / (norm + 1e-6)).clamp(max=1.0)
        for parameter, g in zip(self.rows, grads, strict=True):
            parameter.grad = g.mul_(scale)
        for group in self.adam.param_groups:
            group["lr"] = self.rate()
        self.adam.step()
        dec.div_(dec.norm(dim=1, keepdim=True))

    def _note(self, found: steps.Step) -> None:
        s = self._sums
        s["n"] = s.get("n", 0) + 1
        for name in ("error", "aux", "l0"):
            s[name] = s.get(name, 0) + getattr(found, name)

    def log(self) -> dict[str, float]:
        """Means since the last call, as one line of the curves."""
        s, self._sums = self._sums, {}
        n = s.get("n", 0)
        if not n:
            return self.curves[-1] if self.curves else {}
        unexplained = float(s["error"]) / n / self.variance
        line = {
            "step": self.done,
            "tokens": self.tokens,
            "loss": unexplained + self.config.aux_coef * float(s["aux"]) / n,
            "unexplained": unexplained,
            "explained_variance": 1 - unexplained,
            "aux": float(s["aux"]) / n,
            "l0": float(s["l0"]) / n,
            "dead": int((self.silent > self.dead_after).sum()),
            "lr": self.rate(),
            "seconds": time.monotonic() - self._began,
        }
        self.curves.append(line)
        return line


def geometric_median(x: Tensor, steps: int = 50) -> Tensor:
    """(n, d) -> (d,) point of least summed distance (Weiszfeld's iteration)."""
    y = x.mean(0)  # (d,)
    for _ in range(steps):
        w = 1 / (x - y).norm(dim=-1, keepdim=True).clamp_min(1e-8)  # (n, 1)
        y = (w * x).sum(0) / w.sum()  # (d,)
    return y


@torch.no_grad()
def initialise(sae: SAE, sample: Tensor, seed: int) -> float:
    """Weights to start from; returns the total variance of ``sample`` (n, d).

    ``b_dec`` is the geometric median. Decoder rows are random unit directions, the encoder is their transpose
    (Gao et al. 2024, appendix A), scaled so that the first reconstruction has the size of the data.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(sae.W_dec.shape, generator=generator)  # (d_sae, d)
    directions /= directions.norm(dim=1, keepdim=True)
    sae.W_dec.copy_(directions)
    sae.b_dec.copy_(geometric_median(sample))
    sae.W_enc.T.copy_(directions)
    sae.b_enc.zero_()
    centred = sample - sae.b_dec  # (n, d)
    guess = sae.decode(sae.encode_sparse(sample)) - sae.b_dec  # (n, d)
    # least squares: the one factor that brings the first reconstruction closest to the data
    factor = (guess * centred).sum() / guess.square().sum().clamp_min(1e-12)
    sae.W_enc.mul_(factor.clamp_min(1e-3))
    return float((sample - sample.mean(0)).square().sum(-1).mean())


def train(
    model: Any,
    texts: Iterable[str],
    *,
    hook: str,
    d_sae: int,
    arch: str = "topk",
    k: int | None = 32,
    tokens: int | float | str = "2M",
    batch: int = 2048,
    lr: float | None = None,
    warmup: float = 0.05,
    decay: float = 0.5,
    aux_coef: float = 1 / 32,
    aux_k: int | None = None,
    dead_after: int | None = None,
    clip: float = 1.0,
    precision: str = "float32",
    context: int | None = None,
    bos: bool | None = None,
    buffer: int = 1 << 16,
    seed: int = 0,
    epochs: int = 1,
    out: str | Path | None = None,
    progress: bool = True,
    on_log: Callable[[Trainer], Any] | None = None,
) -> SAE:
    """Train an SAE on the activations of a hook point.

    Parameters
    ----------
    model
        From :func:`saelab.load_model`.
    texts
        Strings. A list is read again up to ``epochs`` times; an iterator is read once. If the text ends before
        ``tokens`` are seen, training ends there and the record says so.
    hook
        Hook point to read, such as ``"blocks.0.mlp.hook_post"``.
    d_sae, k
        Number of latents, and how many of them a token may use.
    tokens
        Budget, as a number or ``"2M"``.
    batch, lr, warmup, decay, aux_coef, aux_k, dead_after, clip, precision, seed
        The recipe; see :class:`TrainConfig`.
    context, bos
        Row length and whether rows begin with BOS; None: the model's own.
    buffer
        Activations held in memory for shuffling.
    out
        Save the SAE in this folder at the end (also after an interrupt, or when ``on_log`` fails). If the disk
        does not take it by then, a warning says so and the SAE is returned all the same.
    on_log
        Called about 50 times during the run; return False to stop early.

    Returns
    -------
    SAE
        With ``sae.history`` (curves, one line per log) and ``sae.record``. Interrupting the cell returns the SAE as
        it is by then.

    Raises
    ------
    SaelabError
        Before work starts, for anything that cannot work: an unknown hook, k > d_sae, a budget of less than one
        batch, no text.
    """
    models.check_hook(model, hook)
    budget = data.parse_tokens(tokens)
    recipe = TrainConfig(
        budget, check_count("batch", batch), lr, warmup, decay, aux_coef, aux_k, dead_after, clip, precision, seed
    )  # fmt: skip
    length = context or models.context_length(model)
    if budget < max(batch, length):
        raise SaelabError(
            f"a budget of {budget} tokens is less than one batch of {batch} tokens or one context of {length}; "
            "raise tokens or lower batch"
        )
    bos = models.default_bos(model) if bos is None else bos
    config = SAEConfig(
        arch=arch, d_in=models.hook_width(model, hook), d_sae=d_sae, k=k, hook_in=hook,
        model=models.model_name(model), bos=bos, context=length,
    )  # fmt: skip
    if out is not None:
        _try_folder(out)
    source = ActivationBuffer(
        model, texts, [hook], batch=batch, capacity=max(buffer, 2 * batch), limit=budget, context=length,
        bos=bos, seed=seed, epochs=epochs,
    )  # fmt: skip
    sample = source.peek(8192)[0] if _has_text(source) else None
    if sample is None or len(sample) < 2:
        raise SaelabError("there is no text to train on: the texts are empty, or the iterator was already used up")
    sae = SAE(config)
    variance = initialise(sae, sample, seed)
    if variance <= 0:
        raise SaelabError(f"the activations at {hook} are constant: there is nothing to learn")
    n_steps = -(-budget // batch)
    trainer = Trainer(sae, recipe, variance, n_steps)
    try:
        _run(trainer, source, budget, progress, on_log)
    finally:  # a callback that fails must not take the weights with it
        sae.history = pd.DataFrame(trainer.curves)
        sae.record = _record(recipe, trainer, source, sample)
        if out is not None:
            _keep(sae, out)
    return sae


def _try_folder(out: str | Path) -> None:
    """Write and remove a file in ``out``, so that a run does not end in a folder that cannot be written."""
    trial = Path(out).expanduser() / ".trial"
    try:
        files.write_text(trial, "")
        trial.unlink()
    except OSError as error:
        raise SaelabError(f"out={str(out)!r} is no folder that can be written: {error}") from None


def _keep(sae: SAE, out: str | Path) -> None:
    try:
        sae.save(out)
    except (OSError, SaelabError) as error:
        warnings.warn(f"trained, but not saved: {error}. Save it elsewhere with sae.save(…)", stacklevel=3)


def _has_text(source: ActivationBuffer) -> bool:
    source.peek(1)
    return bool(source.store) and source.filled > 0


def _run(
    trainer: Trainer, source: ActivationBuffer, budget: int, progress: bool, on_log: Callable | None
) -> None:
    every = max(1, trainer.n_steps // 50)
    with tqdm(total=budget, unit="tok", unit_scale=True, desc="train", disable=not progress, leave=False) as bar:
        try:
            for (x,) in source:
                x = x[: budget - trainer.tokens]
                trainer.step(x)
                bar.update(len(x))
                if trainer.done % every == 0 or trainer.done == trainer.n_steps:
                    line = trainer.log()
                    bar.set_postfix(ev=f"{line['explained_variance']:.3f}", dead=line["dead"])
                    if on_log is not None and on_log(trainer) is False:
                        break
                if trainer.tokens >= budget:
                    break
        except KeyboardInterrupt:
            pass  # the cell's stop button: what is learnt so far is the result
    trainer.log()


def _record(recipe: TrainConfig, trainer: Trainer, source: ActivationBuffer, sample: Tensor) -> dict[str, Any]:
    """What is needed to know how these weights came about."""
    digest = hashlib.sha256(np.ascontiguousarray(sample[:256].numpy()).tobytes()).hexdigest()[:16]
    versions = {p: metadata.version(p) for p in ("torch", "transformer-lens", "transformers")}
    notes = []
    if trainer.tokens < recipe.tokens:
        notes.append(f"{trainer.tokens} of {recipe.tokens} tokens seen")
    if source.epoch:
        notes.append(f"the texts were read {source.epoch + 1} times")
    if source.dropped:
        notes.append(f"{source.dropped} rows were left out: not finite")
    return {
        "recipe": {**asdict(recipe), "lr": trainer.lr, "aux_k": trainer.aux_k, "dead_after": trainer.dead_after},
        "tokens": trainer.tokens,
        "steps": trainer.done,
        "variance": trainer.variance,
        "data": {"sample_sha256": digest, "epochs": source.epoch + 1},
        "versions": {**versions, "saelab": __version__, "python": platform.python_version()},
        "notes": notes,
    }

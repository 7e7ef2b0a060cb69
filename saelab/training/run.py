"""A run: several SAEs on the same batches, its checkpoints, and the record it leaves."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from saelab import __version__, files, models
from saelab.activations.buffer import ActivationBuffer
from saelab.activations.harvest import Harvester
from saelab.activations.store import ActivationStore, Origin, Reader
from saelab.errors import SaelabError, check_count, check_model, unknown
from saelab.identity import sae_digest
from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS
from saelab.sae.config import PER_ROW
from saelab.training import checkpoint, finetune, start
from saelab.training.monitor import Monitor
from saelab.training.trainer import TrainConfig, Trainer, make_options

OnLog = Callable[[Trainer], Any]


@dataclass(frozen=True)
class Wanted:
    """One SAE that is asked for. The names are those of :func:`train`."""

    d_sae: int
    hook: str | tuple[str, ...]
    hook_out: str | None = None
    arch: str = "topk"
    k: int | None = 32
    normalize: str | None = None
    tied: bool = False
    skip: bool = False
    prefixes: tuple[int, ...] | None = None
    options: dict[str, Any] | None = None
    lr: float | None = None
    warmup: float = 0.05
    decay: float = 0.5
    aux_coef: float = 1 / 32
    aux_k: int | None = None
    dead_after: int | None = None
    clip: float = 1.0
    precision: str = "auto"
    ema: float = 0.0
    seed: int = 0
    init: SAE | None = None

    def __post_init__(self) -> None:
        hooks = (self.hook,) if isinstance(self.hook, str) else tuple(self.hook)
        object.__setattr__(self, "hook", "+".join(hooks))
        if self.arch not in ARCHS:
            raise unknown("architecture", self.arch, ARCHS)
        if self.hook_out is not None and len(self.hooks) > 1:
            raise SaelabError(
                "a crosscoder writes where it reads: give several hook points or hook_out, not both"
            )

    @property
    def hooks(self) -> list[str]:
        """The hook points that are read."""
        return str(self.hook).split("+")

    @property
    def target(self) -> str | None:
        """The hook point that is written, where it is another one."""
        return None if self.hook_out in (None, self.hook) else self.hook_out

    def label(self) -> str:
        """A short name for people."""
        return label(self.arch, self.d_sae, self.k)

    def recipe(self, tokens: int, batch: int) -> TrainConfig:
        names = {f.name for f in fields(TrainConfig)} - {"tokens", "batch"}
        return TrainConfig(tokens, batch, **{n: getattr(self, n) for n in names})

    def typed_options(self) -> Any:
        return make_options(self.arch, self.options, self.k)

    def identity(self) -> dict[str, Any]:
        """What must be the same when a run is resumed."""
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "init"}
        return out if self.init is None else out | {"init": sae_digest(self.init)}

    def sae_config(self, origin: Origin, sample: list[Tensor] | None = None) -> SAEConfig:
        """``sample`` has one (n, d) tensor per hook point that is read, and one for the target."""
        width = origin.widths
        place = {"model": origin.model, "bos": origin.bos, "context": origin.context}
        if self.init is not None:
            return finetune.config_for(self.init, self.hooks, self.target, width, **place)
        widths = [width[h] for h in self.hooks]
        normalize = ARCHS[self.arch].normalize if self.normalize is None else self.normalize
        if normalize in PER_ROW and self.target:
            raise SaelabError(
                f"{normalize} undoes itself with the input's size, which a transcoder's target does not have"
            )
        scale: float | tuple[float, ...] = 1.0
        scale_out = None
        if normalize == "scale" and sample is not None:
            scales = tuple(start.unit_scale(s) for s in sample)
            scale = scales[: len(widths)] if len(widths) > 1 else scales[0]
            scale_out = scales[-1] if self.target else None
        floor = float(getattr(self.typed_options(), "floor", 0.0))
        if floor and sample is not None:
            scales = scale if isinstance(scale, tuple) else (scale,) * len(widths)
            floor *= start.part_size(sample[: len(widths)], scales, int(self.k or 1), normalize)
        return SAEConfig(
            arch=self.arch, d_in=sum(widths), d_sae=self.d_sae,
            k=self.k if ARCHS[self.arch].needs_k else None,
            d_out=width[self.target] if self.target else None,
            hook_in=str(self.hook), hook_out=self.target or "",
            widths=tuple(widths) if len(widths) > 1 else None,
            normalize=normalize, scale=scale, scale_out=scale_out,
            input_bias="own" if self.target else "decoder", tied=self.tied, skip=self.skip,
            floor=floor, prefixes=self.prefixes, **place,
        )  # fmt: skip


@dataclass
class _Job:
    """One SAE in the making, and which hook points of the buffer are its own."""

    trainer: Trainer
    reads: list[int]
    writes: int | None

    def step(self, batch: list[Tensor]) -> None:
        x = torch.cat([batch[i] for i in self.reads], -1) if len(self.reads) > 1 else batch[self.reads[0]]
        self.trainer.step(x, None if self.writes is None else batch[self.writes])


class Run:
    """Several SAEs trained on the same batches.

    Everything that can be wrong with the settings is found here, before work starts.
    """

    def __init__(
        self, model: Any, texts: Iterable[str] | None, wanted: Sequence[Wanted], *,
        tokens: int | float | str | None,
        batch: int,
        context: int | None, bos: bool | None, buffer: int, seed: int, epochs: int, outlier: float | None,
        out: str | Path | None, resume: bool, checkpoint_every: int | float | str | None,
    ):  # fmt: skip
        self.wanted = list(wanted)
        self.hooks = list(
            dict.fromkeys(h for w in wanted for h in [*w.hooks, *([w.target] if w.target else [])])
        )
        self.batch = check_count("batch", batch)
        check_count("buffer", buffer)
        self.every = None if checkpoint_every is None else models.parse_tokens(checkpoint_every)
        stored = model if isinstance(model, ActivationStore) else None
        self.origin = (
            self._stored_origin(model, texts, context, bos)
            if stored is not None
            else self._model_origin(model, texts, context, bos)
        )
        if tokens is not None:
            self.budget = models.parse_tokens(tokens)
        else:
            self.budget = 2_000_000 if stored is None else len(stored) * check_count("epochs", epochs)
        length = self.origin.context or 1
        if self.budget < max(batch, length):
            raise SaelabError(
                f"a budget of {self.budget} tokens is less than one batch of {batch} tokens or one context "
                f"of {length}; raise tokens or lower batch"
            )
        if stored is not None and self.budget > len(stored) * epochs:
            raise SaelabError(
                f"the store holds {len(stored):,} rows and {self.budget:,} tokens are asked for: "
                f"say epochs={-(-self.budget // len(stored))}, or fewer tokens"
            )
        self.recipes = [w.recipe(self.budget, self.batch) for w in self.wanted]
        self.options = [w.typed_options() for w in self.wanted]
        for w in self.wanted:
            w.sae_config(self.origin)
        self.out = None if out is None else Path(out).expanduser()
        self._check_out(resume)
        if stored is None:
            assert texts is not None
            source = Harvester(
                model, texts, self.hooks, limit=self.budget, context=self.origin.context, bos=self.origin.bos,
                epochs=epochs, outlier=outlier,
            )  # fmt: skip
        else:
            source = Reader(stored, self.hooks, limit=self.budget, epochs=epochs, seed=seed, outlier=outlier)
        self.buffer = ActivationBuffer(source, batch=batch, capacity=max(buffer, 2 * batch), seed=seed)
        self.jobs: list[_Job] = []
        self.sample_digest = ""
        self.notes: list[str] = []
        self.ended = False  # whether the budget or the text is used up
        self.broken = False  # whether an interrupt cut a step in two
        self._stop = False
        self.identity = {
            **{f"sae{i}.{n}": v for i, w in enumerate(self.wanted) for n, v in w.identity().items()},
            "tokens": self.budget, "batch": batch, "context": self.origin.context, "bos": self.origin.bos,
            "buffer": buffer, "seed": seed, "epochs": epochs, "outlier": outlier, "model": self.origin.model,
            "model_weights": self.origin.weights, "store": None if stored is None else stored.digest,
        }  # fmt: skip

    def _model_origin(self, model: Any, texts: Any, context: int | None, bos: bool | None) -> Origin:
        check_model(model)
        if texts is None:
            raise SaelabError("give texts to train on (or an ActivationStore in place of the model)")
        inits = [w.init.config for w in self.wanted if w.init is not None]
        if bos is None and len({c.bos for c in inits}) > 1:
            raise SaelabError(
                "some of the SAEs to go on from were trained with BOS and some without: say bos=…"
            )
        origin = Origin.of_model(model, self.hooks, context, inits[0].bos if bos is None and inits else bos)
        own = [c.context for c in inits if c.context]
        if context is None and own:
            origin = replace(origin, context=min([*own, origin.context or own[0]]))
        return origin

    def _stored_origin(
        self, store: ActivationStore, texts: Any, context: int | None, bos: bool | None
    ) -> Origin:
        if texts is not None:
            raise SaelabError("an ActivationStore has its activations already: give no texts with it")
        for name, given in (("context", context), ("bos", bos)):
            own = getattr(store.origin, name)
            if given is not None and given != own:
                raise SaelabError(f"the store was harvested with {name}={own}, {name}={given} is asked for")
        for hook in self.hooks:
            if hook not in store.hooks:
                raise unknown("hook point of the store", hook, store.hooks)
        return store.origin

    def _check_out(self, resume: bool) -> None:
        if self.out is None:
            if resume or self.every is not None:
                raise SaelabError("resume and checkpoint_every need out, the folder that holds the run")
            return
        try:
            if self.out.is_file():
                raise SaelabError(f"out={str(self.out)!r} is a file; give a folder")
            # a run of hours must not end with a folder that cannot be written
            files.write_text(self.out / ".trial", "")
            (self.out / ".trial").unlink()
        except OSError as error:
            raise SaelabError(f"cannot write to out={str(self.out)!r}: {error}") from None
        if checkpoint.exists(self.out) and not resume:
            raise SaelabError(
                f"{self.out} holds the checkpoint of a run that did not end: give resume=True to go on with "
                "it, another folder, or remove its folder 'checkpoints'"
            )

    # --------------------------------------------------------------------------------------------- begin

    def begin(self) -> None:
        """Make the SAEs from the first activations."""
        first = self.buffer.peek(8192) if _has_text(self.buffer) else []
        if not first or len(first[0]) < 2:
            raise SaelabError(
                "there is no text to train on: the texts are empty, or the iterator was already used up"
            )
        self.sample_digest = hashlib.sha256(
            np.ascontiguousarray(first[0][:256].numpy()).tobytes()
        ).hexdigest()[:16]
        for w, recipe, options in zip(self.wanted, self.recipes, self.options, strict=True):
            reads, writes = self._places(w)
            sample = [first[i] for i in reads]
            target = None if writes is None else first[writes]
            all_of_them = sample if target is None else [*sample, target]
            config = w.sae_config(self.origin, all_of_them)
            if w.init is None:
                sae = SAE(config)
                variance = start.initialise(sae, torch.cat(sample, -1), w.seed, target, options)
            else:
                unit = ARCHS[config.arch].unit_decoder(options)
                sae, variance = finetune.begin(w.init, config, torch.cat(sample, -1), target, unit)
            if variance <= 0:
                raise SaelabError(
                    f"the activations at {w.target or w.hook} are constant: there is nothing to learn"
                )
            self._add(sae, recipe, options, variance, w)

    def _places(self, w: Wanted) -> tuple[list[int], int | None]:
        return [self.hooks.index(h) for h in w.hooks], None if w.target is None else self.hooks.index(
            w.target
        )

    def _add(self, sae: SAE, recipe: TrainConfig, options: Any, variance: float, w: Wanted) -> None:
        trainer = Trainer(sae, recipe, variance, -(-self.budget // self.batch), options)
        if w.init is not None:
            trainer.unit = trainer.unit and finetune.unit_rows(sae)
        trainer.name = str(len(self.jobs)) if len(self.wanted) > 1 else ""
        self.jobs.append(_Job(trainer, *self._places(w)))

    @property
    def trainers(self) -> list[Trainer]:
        return [j.trainer for j in self.jobs]

    @property
    def tokens(self) -> int:
        """Rows of activations seen so far."""
        return self.jobs[0].trainer.tokens

    # ----------------------------------------------------------------------------------------------- loop

    def stop(self) -> None:
        """End after the step that is under way; may be called from another thread."""
        self._stop = True
        for trainer in self.trainers:
            trainer.stop()

    def go_on(self) -> None:
        """Take back :meth:`end` of a run that was stopped, so that :meth:`go` goes on exactly there."""
        if self.ended:
            raise SaelabError("this run has ended: there is nothing to resume")
        if self.broken:
            raise SaelabError(
                "this run was broken off in the middle of a step; it can only go on from a checkpoint "
                "(train again with out, checkpoint_every and resume=True)"
            )
        self._stop = False
        for trainer in self.trainers:
            trainer.go_on()

    def go(self, progress: bool, on_log: OnLog | None, monitor: Monitor | None = None) -> None:
        """Train until the budget, the text, or patience ends."""
        n_steps = -(-self.budget // self.batch)
        every = max(1, n_steps // 50)
        lead = self.jobs[0].trainer
        saved, batch = self.tokens, []
        bar = tqdm(
            total=self.budget, initial=self.tokens, unit="tok", unit_scale=True, desc="train",
            disable=not progress, leave=False,
        )  # fmt: skip
        self.broken = True  # until the loop ends between two steps
        with bar, _stop_button(self.trainers), contextlib.suppress(KeyboardInterrupt):
            while self.tokens < self.budget and not (lead.stopped or self._stop):
                batch = next(self.buffer, None)
                if batch is None:
                    break
                batch = [b[: self.budget - self.tokens] for b in batch]
                for job in self.jobs:
                    job.step(batch)
                bar.update(len(batch[0]))
                if lead.done % every == 0 or lead.done == n_steps:
                    self._log(bar, on_log)
                if monitor is not None:
                    monitor.step(self)
                if self.every is not None and self.tokens - saved >= self.every and self.tokens < self.budget:
                    self._checkpoint()
                    saved = self.tokens
            stopped = lead.stopped or self._stop
            if stopped and (self.every is not None or (monitor is not None and self.out is not None)):
                self._checkpoint()
            self.broken = False
        self.ended = self.tokens >= self.budget or batch is None
        for trainer in self.trainers:
            trainer.log(last=not self.ended)

    def _log(self, bar: tqdm, on_log: OnLog | None) -> None:
        for trainer in self.trainers:
            trainer.left_out = {
                "not finite": self.buffer.source.screen.dropped,
                "norm far above the median": self.buffer.source.screen.outliers,
            }
            line = trainer.log()
            if not np.isfinite(line["loss"]):
                trainer.stop()  # nothing that comes after this can be of use
            if on_log is not None and on_log(trainer) is False:
                trainer.stop()
        first = self.trainers[0]
        bar.set_postfix(ev=f"{first.curves[-1]['explained_variance']:.3f}", dead=first.curves[-1]["dead"])
        if any(t.stopped for t in self.trainers):
            first.stop()

    # ------------------------------------------------------------------------------------------ resuming

    def _checkpoint(self) -> None:
        """Write a checkpoint; a disk that is full must not cost the run."""
        assert self.out is not None
        buffer = self.buffer.state_dict()
        tensors = {f"buffer.{n}": t for n, t in buffer["tensors"].items()}
        jobs = []
        for i, trainer in enumerate(self.trainers):
            state = trainer.state_dict()
            tensors |= {f"sae{i}.{n}": t for n, t in state["tensors"].items()}
            jobs.append({"config": trainer.sae.config.to_dict(), "counters": state["counters"]})
        state = {
            "identity": self.identity, "buffer": buffer["counters"], "jobs": jobs,
            "sample": self.sample_digest,
        }  # fmt: skip
        try:
            checkpoint.save(self.out, self.trainers[0].done, files.plain(state, str), tensors)
        except (OSError, SaelabError) as error:
            note = f"no checkpoint at {self.tokens} tokens: {error}"
            self.notes.append(note)
            warnings.warn(f"{note}; training goes on in memory", stacklevel=2)

    def restore(self) -> None:
        """Go on from the newest checkpoint in ``out``."""
        assert self.out is not None
        state, tensors = checkpoint.load(self.out)
        self.compare(state["identity"])
        self.buffer.load_state_dict({"counters": state["buffer"], "tensors": _under(tensors, "buffer.")})
        self.sample_digest = state["sample"]
        for i, (w, job) in enumerate(zip(self.wanted, state["jobs"], strict=True)):
            sae = SAE(SAEConfig.from_dict(job["config"]))
            self._add(sae, self.recipes[i], self.options[i], job["counters"]["variance"], w)
            self.jobs[-1].trainer.load_state_dict(
                {"counters": job["counters"], "tensors": _under(tensors, f"sae{i}.")}
            )

    def compare(self, earlier: dict[str, Any]) -> None:
        """An error that names the first setting in which this run is not the ``earlier`` one."""
        mine = files.plain(self.identity, str)
        for name in [*mine, *earlier]:
            if name.endswith(".init") and len(str(earlier.get(name))) == 16:
                continue  # the digest of an earlier saelab, which says nothing beside today's
            if mine.get(name) != earlier.get(name):
                shown = name.removeprefix("sae0.") if len(self.wanted) == 1 else name
                raise SaelabError(
                    f"cannot resume: {shown} was {earlier.get(name)!r} in the run in {self.out}, "
                    f"and is {mine.get(name)!r} now"
                )

    def finished(self) -> list[SAE] | None:
        """The SAEs in ``out``, if this run has ended before."""
        assert self.out is not None
        places = self.places()
        if not all((p / "record.json").is_file() and (p / "config.json").is_file() for p in places):
            return None
        from saelab.formats import load_sae

        saes = [load_sae(p) for p in places]
        if not all("identity" in s.record for s in saes):
            raise SaelabError(
                f"{self.out} holds an SAE that was not trained by this call: give another folder"
            )
        self.compare(saes[0].record["identity"])
        if not all(s.record["ended"] for s in saes):
            raise SaelabError(
                f"the run in {self.out} was stopped after {saes[0].record['tokens']} tokens and left no "
                "checkpoint to go on from (no checkpoint_every); give another folder, or resume=False"
            )
        return saes

    def places(self) -> list[Path]:
        """The folder of each SAE."""
        assert self.out is not None
        return [self.out] if len(self.wanted) == 1 else [self.out / str(i) for i in range(len(self.wanted))]

    # --------------------------------------------------------------------------------------------- ending

    def end(self) -> list[SAE]:
        """Records and files; returns the SAEs."""
        for trainer, w in zip(self.trainers, self.wanted, strict=True):
            trainer.finish()
            trainer.sae.history = pd.DataFrame(trainer.curves)
            trainer.sae.record = self._record(trainer, w)
        saes = [t.sae for t in self.trainers]
        if self.out is not None:
            try:
                for sae, place in zip(saes, self.places(), strict=True):
                    sae.save(place)
                if self.ended:
                    checkpoint.clear(self.out)
            except (OSError, SaelabError) as error:
                # the weights are worth more than the rule that errors are raised
                warnings.warn(
                    f"trained, but not saved: {error}. Save it elsewhere with sae.save(…)", stacklevel=3
                )
        return saes

    def _record(self, trainer: Trainer, w: Wanted) -> dict[str, Any]:
        """What is needed to know how these weights came about."""
        versions = {p: metadata.version(p) for p in ("torch", "transformer-lens", "transformers")}
        recipe, source = trainer.config, self.buffer.source
        screen = source.screen
        notes = list(self.notes)
        if trainer.tokens < recipe.tokens:
            notes.append(f"{trainer.tokens:,} of {recipe.tokens:,} tokens seen")
        if source.epoch:
            read = "texts were" if self.identity["store"] is None else "store was"
            notes.append(f"the {read} read {source.epoch + 1} times")
        if screen.dropped:
            notes.append(f"{screen.dropped:,} rows were left out: not finite")
        if screen.outliers:
            notes.append(
                f"{screen.outliers:,} rows were left out: norm above {screen.outlier:g} times the median"
            )
        return {
            "recipe": {
                **asdict(recipe),
                "lr": trainer.lr,
                "aux_k": trainer.aux_k,
                "dead_after": trainer.dead_after,
            },
            "options": asdict(trainer.options),
            "tokens": trainer.tokens,
            "ended": self.ended,
            "steps": trainer.done,
            "variance": trainer.variance,
            "data": {
                "sample_sha256": self.sample_digest,
                "epochs": source.epoch + 1,
                "sha256": source.digest,
            },
            "versions": {
                **versions,
                "saelab": __version__,
                "python": platform.python_version(),
            },
            "identity": files.plain(self.identity, str),
            **({} if w.init is None else {"init": finetune.origin(w.init)}),
            "notes": notes + trainer.hints(),
        }


def label(arch: str, d_sae: int, k: int | None) -> str:
    """A short name of an SAE, such as ``topk, 4,096 latents, k = 32``."""
    return f"{arch}, {d_sae:,} latents" + (f", k = {k}" if k and ARCHS[arch].needs_k else "")


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _has_text(buffer: ActivationBuffer) -> bool:
    buffer.peek(1)
    return bool(buffer.store) and buffer.filled > 0


@contextlib.contextmanager
def _stop_button(trainers: list[Trainer]) -> Iterator[None]:
    """The first interrupt ends the run after the step under way, so that its state is whole; a second one
    ends
    it at once. The handler that was there before comes back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: Any) -> None:
        if all(t.stopped for t in trainers):
            raise KeyboardInterrupt
        for trainer in trainers:
            trainer.stop()

    if before is not signal.default_int_handler:  # somebody else's; the notebook kernel uses the default
        yield
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

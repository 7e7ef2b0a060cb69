"""A run: several SAEs trained on the same batches."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab import files, identity, models
from saelab.activations.buffer import ActivationBuffer
from saelab.activations.harvest import Harvester
from saelab.activations.reader import Reader
from saelab.activations.store import ActivationStore, Origin
from saelab.display import Bar
from saelab.errors import SaelabError, check_device, check_model, free_memory, memory, unknown
from saelab.models import HookedModel
from saelab.sae import SAE, SAEConfig
from saelab.training import finetune, record, sharded, start
from saelab.training.folder import RunFolder, under
from saelab.training.monitor import Monitor
from saelab.training.spec import RunSettings, SAESpec
from saelab.training.trainer import Diverged, Trainer

_SMALLER = "Take fewer latents (d_sae), a smaller batch or a smaller buffer"
OnLog = Callable[[Trainer], Any]


class State(Enum):
    """Where a run stands."""

    READY = "not begun, or resumed"
    TRAINING = "in its loop"
    STOPPING = "the step under way is the last one"
    STOPPED = "between two steps; it can be resumed"
    BROKEN = "an error or an interrupt cut a step in two"
    ENDED = "the budget or the text is used up"


class Run:
    """Several SAEs trained on the same batches.

    Everything that can be wrong with the settings is found here, before work starts. :meth:`fit` trains;
    after :meth:`stop`, :meth:`resume` and another :meth:`fit` train the rest.
    """

    def __init__(
        self,
        model: HookedModel,
        texts: models.Texts | None,
        specs: Sequence[SAESpec],
        settings: RunSettings,
    ):
        s, self.ranks = settings, sharded.ranks()
        self.specs, self.batch = list(specs), s.batch
        self.hooks = list(dict.fromkeys(h for w in specs for h in (*w.hook, w.target) if h))
        self.every = None if s.checkpoint_every is None else models.parse_tokens(s.checkpoint_every)
        store = model if isinstance(model, ActivationStore) else None
        if store is not None:
            self.origin, here = _store_origin(store, texts, self.hooks, s), "cpu"
        else:
            self.origin, here = _origin(model, texts, self.hooks, specs, s), models.device(model)
        self.device = check_device(here if s.device is None else s.device)
        inits = [w.init for w in specs if w.init is not None]
        self.notes = [note for init in inits for note in identity.meet(model, init)]
        self.budget = self._budget(s, store)
        self.recipes = [w.recipe(self.budget, s.batch) for w in specs]
        self.capacity = max(s.buffer, 2 * s.batch)
        self._check_memory()
        self.identity = files.plain({
            **{f"sae{i}.{n}": v for i, w in enumerate(specs) for n, v in w.identity().items()},
            "tokens": self.budget, "batch": s.batch, "context": self.origin.context, "bos": self.origin.bos,
            "buffer": s.buffer, "seed": s.seed, "epochs": s.epochs, "outlier": s.outlier,
            "model": self.origin.model, "model_weights": self.origin.weights,
            "store": None if store is None else store.digest,
        }, str)  # fmt: skip
        if s.out is None and (s.resume or self.every is not None):
            raise SaelabError("resume and checkpoint_every need out, the folder that holds the run")
        self.folder = (
            None
            if s.out is None
            else RunFolder(Path(s.out).expanduser(), len(self.specs), self.identity, self.ranks)
        )
        if self.folder is not None:
            self.folder.check(s.resume)
        if store is not None:
            source = Reader(
                store, self.hooks, limit=self.budget, epochs=s.epochs, seed=s.seed, outlier=s.outlier
            )
        else:
            source = Harvester(
                model, [] if texts is None else texts, self.hooks, limit=self.budget, context=self.origin.context,
                bos=self.origin.bos, epochs=s.epochs, outlier=s.outlier, ranks=self.ranks,
            )  # fmt: skip
        self.buffer = ActivationBuffer(source, batch=s.batch, capacity=self.capacity, seed=s.seed)
        self.trainers: list[Trainer] = []
        self.sample_digest = ""
        self.state = State.READY
        self.exhausted = False  # whether the texts ended before the budget

    def _budget(self, s: RunSettings, store: ActivationStore | None) -> int:
        rows = None if store is None else len(store) * s.epochs
        budget = (rows or 2_000_000) if s.tokens is None else models.parse_tokens(s.tokens)
        length = self.origin.context or 1
        if s.tokens is None and rows is not None and rows < s.batch:
            raise SaelabError(
                f"the store has {rows:,} rows, less than one batch of {s.batch:,}: say batch={rows}, or less"
            )
        if budget < max(s.batch, length):
            raise SaelabError(
                f"a budget of {budget} tokens is less than one batch of {s.batch} tokens or one context "
                f"of {length}; raise tokens or lower batch"
            )
        if store is not None and budget > (rows or 0):
            raise SaelabError(
                f"the store holds {len(store):,} rows and {budget:,} tokens are asked for: "
                f"say epochs={-(-budget // len(store))}, or fewer tokens"
            )
        return budget

    # ------------------------------------------------------------------------------------------ training

    def fit(self, progress: bool, on_log: OnLog | None = None, monitor: Monitor | None = None) -> list[SAE]:
        """Train until the budget, the text, or patience ends; returns the SAEs with their records."""
        error: BaseException | None = None
        try:
            with (
                self.folder.lock() if self.folder else contextlib.nullcontext(),
                memory("training", sum(self._least().values()), _SMALLER),
            ):
                if not self.trainers:
                    self._begin()
                try:
                    self._loop(progress and monitor is None, on_log, monitor)
                except Diverged:
                    raise
                except BaseException:
                    if self.ranks.alone:  # a callback that fails must not take the weights with it
                        self.finalize()
                    raise
                saes = self.finalize()
        except BaseException as raised:
            error = raised
            raise
        finally:
            if monitor is not None:
                monitor.end(self, error)
        return saes

    def _least(self) -> dict[str, float]:
        """Bytes of what a run holds from its first step on."""
        weights = 0.0
        for c in (spec.sae_config(self.origin) for spec in self.specs):
            weights += 4 * -(-c.d_sae // self.ranks.size) * (c.d_in * (not c.tied) + int(c.d_out or c.d_in))
        rows = 4.0 * self.capacity * sum(self.origin.widths[h] for h in self.hooks)
        return {"weights": weights, "gradients": weights, "Adam's moments": 2 * weights, "the buffer": rows}

    def _check_memory(self) -> None:
        """Refuse a run that cannot fit: not after an hour of harvest, and not by the system's ending the process."""
        parts, free = self._least(), free_memory(self.device)
        free = free / self.ranks.size if str(self.device) == "cpu" else free  # ranks on one machine share it
        if sum(parts.values()) > free:
            shares = ", ".join(f"{name} {size / 1e9:.3g} GB" for name, size in parts.items())
            raise SaelabError(
                f"training takes at least {sum(parts.values()) / 1e9:.3g} GB ({shares}), and {free / 1e9:.3g} GB are "
                f"free on {self.device}. {_SMALLER}"
            )

    def check_texts(self, saes: Sequence[SAE]) -> None:
        """Refuse texts that are not those a finished run in the folder of this one was trained on."""
        data, source = saes[0].record.get("data", {}), self.buffer.source
        ended_early = saes[0].record["tokens"] < self.budget
        if isinstance(source, Harvester) and not source.is_of(data, whole=ended_early):
            raise SaelabError(
                f"the run in {self.folder and self.folder.path} has ended, and was trained on other texts: give another "
                "folder, or resume=False to train again"
            )

    def step(self, batch: list[Tensor]) -> None:
        """One update of each SAE from a batch of the buffer: (B, d) per hook point of the run."""
        for trainer, spec in zip(self.trainers, self.specs, strict=True):
            x, target = self.of(spec, batch)
            trainer.step(x[0] if len(x) == 1 else torch.cat(x, -1), target)

    def stop(self) -> None:
        """End after the step that is under way; may be called from another thread."""
        if self.state in (State.READY, State.TRAINING):
            self.state = State.STOPPING

    def resume(self) -> None:
        """Take back :meth:`finalize` of a run that was stopped, so that :meth:`fit` goes on exactly there."""
        if self.state is State.ENDED:
            raise SaelabError("this run has ended: there is nothing to resume")
        if self.state is State.BROKEN:
            raise SaelabError(
                "this run was broken off in the middle of a step; it can only go on from a checkpoint "
                "(train again with out, checkpoint_every and resume=True)"
            )
        self.state = State.READY
        for trainer in self.trainers:
            trainer.resume()

    def finalize(self) -> list[SAE]:
        """Records and files; returns the SAEs, which with several ranks only the first one has, in their files."""
        for trainer in self.trainers:
            trainer.finalize()
        places = self.folder.places if self.folder is not None else [None] * len(self.trainers)
        passing = [p and p / ".whole" for p in places]  # files that the ranks write together
        saes = [
            sharded.whole_of(t.sae, t.whole, self.ranks, p)
            for t, p in zip(self.trainers, passing, strict=True)
        ]
        if self.ranks.rank:
            return saes
        if isinstance(self.buffer.source, Harvester):
            self.buffer.source.ranks = None  # what is measured now the others do not hear of
        for trainer, spec, sae in zip(self.trainers, self.specs, saes, strict=True):
            record.keep(self, trainer, spec, sae, ended=self.state is State.ENDED)
        if self.folder is not None:
            self.folder.write(saes, ended=self.state is State.ENDED)
            for path in passing:
                shutil.rmtree(path or "", ignore_errors=True)
        return saes

    @property
    def tokens(self) -> int:
        """Rows of activations seen so far."""
        return self.trainers[0].tokens if self.trainers else 0

    # --------------------------------------------------------------------------------------------- begin

    def _begin(self) -> None:
        """Make the SAEs from the first activations."""
        if self.folder is not None and self.ranks.rank == 0:
            self.folder.describe()
        source, wanted = self.buffer.source, min(8192, self.budget)
        first = source.sample(wanted)
        if not first or len(first[0]) < 2:
            first = self.buffer.peek(wanted)
            self.notes.append("sizes are of the first rows: texts that are read once have no sample of all")
        if (not first or len(first[0]) < 2) and source.outliers.not_finite:
            where = source.outliers.places["not finite"][0]
            raise SaelabError(
                f"no row at {', '.join(self.hooks)} can be used: {source.outliers.not_finite:,} are not finite, the "
                f"first at document {where[0]}, position {where[1]}"
            )
        if not first or len(first[0]) < 2:
            raise SaelabError(
                "there is no text to train on: the texts are empty, or the iterator was already used up"
            )
        sample = np.ascontiguousarray(first[0][:256].numpy())
        self.sample_digest = hashlib.sha256(sample.tobytes()).hexdigest()[:16]
        for spec in self.specs:
            x, target = self.of(spec, first)
            config = spec.sae_config(self.origin, x if target is None else [*x, target])
            sample = torch.cat(x, -1)
            if spec.init is None:
                sae = SAE(sharded.config_of_part(config, self.ranks))
                variance = start.initialize(
                    sae, sample, spec.seed, target, spec.typed_options, self.ranks, config
                )
            else:
                unit = spec.init.arch.unit_decoder(spec.typed_options)
                sae, variance = finetune.begin(spec.init, config, sample, target, unit)
                sae = sharded.part_of(sae, self.ranks)
            if variance <= 0:
                raise SaelabError(
                    f"the activations at {spec.target or spec.hook} are constant: there is nothing to learn"
                )
            self._add(sae, variance, config)

    def of(self, spec: SAESpec, acts: list[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        """What an SAE reads of the run's hook points, and what it writes where that is another one."""
        target = None if spec.target is None else acts[self.hooks.index(spec.target)]
        return [acts[self.hooks.index(h)] for h in spec.hook], target

    def _add(self, sae: SAE, variance: float, whole: SAEConfig) -> Trainer:
        """A trainer for the next SAE of the run."""
        i = len(self.trainers)
        n_steps, spec = -(-self.budget // self.batch), self.specs[i]
        trainer = Trainer(
            sae.to(self.device), self.recipes[i], variance, n_steps, spec.typed_options, self.ranks, whole
        )
        if spec.init is not None:
            trainer.unit = trainer.unit and not self.ranks.any(not finetune.unit_rows(sae))
        trainer.name = str(i) if len(self.specs) > 1 else ""
        self.trainers.append(trainer)
        return trainer

    def restore(self, folder: RunFolder) -> None:
        """Go on from the newest checkpoint in ``folder``."""
        state, tensors = folder.load()
        with files.reading(folder.path / "checkpoints"):
            self._restore(state, tensors)

    def _restore(self, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        self.buffer.load_state_dict({"counters": state["buffer"], "tensors": under(tensors, "buffer.")})
        self.sample_digest = state["sample"]
        for i, job in enumerate(state["jobs"]):
            whole = SAEConfig.from_dict(job["config"])
            sae = SAE(sharded.config_of_part(whole, self.ranks))
            trainer = self._add(sae, job["counters"]["variance"], whole)
            trainer.load_state_dict({"counters": job["counters"], "tensors": under(tensors, f"sae{i}.")})

    # ----------------------------------------------------------------------------------------------- loop

    def _loop(self, progress: bool, on_log: OnLog | None, monitor: Monitor | None) -> None:
        n_steps, saved = -(-self.budget // self.batch), self.tokens
        if self.state is State.READY:
            self.state = State.TRAINING
        bar = Bar(
            total=self.budget, initial=self.tokens, unit="tok", unit_scale=True, desc="train",
            disable=not progress,
        )  # fmt: skip
        whole = False  # until the loop ends between two steps
        try:
            with bar, _stop_button(self), contextlib.suppress(KeyboardInterrupt):
                while self.tokens < self.budget and self.state is State.TRAINING:
                    batch = next(self.buffer, None)
                    self.exhausted = batch is None
                    if batch is None:
                        break
                    self.last = batch
                    batch = [b[: self.budget - self.tokens] for b in batch]
                    self.step(batch)
                    bar.update(len(batch[0]))
                    done = self.trainers[0].done
                    if done % max(1, n_steps // 50) == 0 or done == n_steps:
                        self._log(bar, on_log)
                    if monitor is not None:
                        monitor.step(self)
                    stopped = any(t.stopped for t in self.trainers) or self.state is State.STOPPING
                    if self.ranks.any(stopped):  # on one rank: all end after the same step
                        self.stop()
                    if self.every and self.tokens - saved >= self.every and self.tokens < self.budget:
                        self._checkpoint()
                        saved = self.tokens
                watched = self.ranks.any(monitor is not None)
                if self.state is State.STOPPING and (self.every or watched) and self.tokens > saved:
                    self._checkpoint()
                whole = True
        except BaseException:
            self.state = State.BROKEN
            raise
        ended = self.exhausted or self.tokens >= self.budget
        self.state = State.ENDED if ended else State.STOPPED if whole else State.BROKEN
        for trainer in self.trainers:
            trainer.log(last=not ended)
        if progress and self.tokens < self.budget and not self.ranks.rank:
            sys.stderr.write(f"train: {record.seen(self, self.trainers[0])}\n")

    def _log(self, bar: Bar, on_log: OnLog | None) -> None:
        for trainer in self.trainers:
            trainer.left_out = {
                "not finite": self.buffer.source.outliers.not_finite,
                "norm far above the median": self.buffer.source.outliers.too_large,
            }
            line = trainer.log()
            if on_log is not None and on_log(trainer) is False:
                trainer.stop()
        line = self.trainers[0].curves[-1]
        bar.set_postfix(ev=f"{line['explained_variance']:.3f}", dead=line["dead"])

    def _checkpoint(self) -> None:
        if self.folder is not None:
            note = self.folder.save(self.trainers, self.buffer, self.sample_digest)
            self.notes += [note] if note else []


def _origin(
    model: HookedModel,
    texts: models.Texts | None,
    hooks: list[str],
    specs: Sequence[SAESpec],
    s: RunSettings,
) -> Origin:
    """Of a model's activations; rows begin as those did that the SAEs to go on from were trained on."""
    check_model(model)
    if texts is None:
        raise SaelabError("give texts to train on (or an ActivationStore in place of the model)")
    inits = [w.init.config for w in specs if w.init is not None]
    if s.bos is None and len({c.bos for c in inits}) > 1:
        raise SaelabError("some of the SAEs to go on from were trained with BOS and some without: say bos=…")
    bos = inits[0].bos if s.bos is None and inits else s.bos
    bos = texts.bos if bos is None and isinstance(texts, models.TokenRows) else bos
    origin = Origin.of_model(model, hooks, s.context, bos)
    own = [c.context for c in inits if c.context]
    if s.context is None and own:
        origin = replace(origin, context=min([*own, origin.context or own[0]]))
    return origin


def _store_origin(
    store: ActivationStore, texts: models.Texts | None, hooks: Sequence[str], s: RunSettings
) -> Origin:
    if texts is not None:
        raise SaelabError("an ActivationStore has its activations already: give no texts with it")
    for name, given in (("context", s.context), ("bos", s.bos)):
        own = getattr(store.origin, name)
        if given is not None and given != own:
            raise SaelabError(f"the store was harvested with {name}={own}, {name}={given} is asked for")
    for hook in hooks:
        if hook not in store.hooks:
            raise unknown("hook point of the store", hook, store.hooks)
    return store.origin


@contextlib.contextmanager
def _stop_button(run: Run) -> Iterator[None]:
    """The first interrupt ends the run after the step under way, so that its state is whole; a second one ends
    it at once. The handler that was there before comes back."""
    # somebody else's handler stays (the notebook kernel uses the default), and only the main thread can set one
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return

    def handle(number: int, frame: Any) -> None:
        if run.state is State.STOPPING:
            raise KeyboardInterrupt
        run.stop()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""What an SAE keeps of the run that made it: curves, settings, versions, data, and what went wrong."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING

import pandas as pd

from saelab import __version__
from saelab.training import finetune

if TYPE_CHECKING:
    from saelab.training.run import Run
    from saelab.training.spec import SAESpec
    from saelab.training.trainer import Trainer


def keep(run: Run, trainer: Trainer, spec: SAESpec, ended: bool) -> None:
    """Give the SAE its ``history`` and its ``record``: what is needed to know how these weights came about."""
    versions = {p: metadata.version(p) for p in ("torch", "transformer-lens", "transformers")}
    source, decided = run.buffer.source, {n: getattr(trainer, n) for n in ("lr", "aux_k", "dead_after")}
    data = {"sample_sha256": run.sample_digest, "epochs": source.epoch + 1, "sha256": source.digest}
    if whole := getattr(source, "pass_digest", ""):
        data["pass_sha256"] = whole
    trainer.sae.history = pd.DataFrame(trainer.curves)
    trainer.sae.record = {
        "recipe": asdict(trainer.config) | decided,
        "options": asdict(trainer.options),
        "tokens": trainer.tokens,
        "ended": ended,
        "steps": trainer.done,
        "variance": trainer.variance,
        "data": data,
        "left_out": source.outliers.places
        | {"empty texts": source.empty},  # [document, position], the first of each
        "versions": versions | {"saelab": __version__, "python": platform.python_version()},
        "identity": run.identity,
        **({} if spec.init is None else {"init": finetune.origin(spec.init)}),
        "notes": [*run.notes, *_notes(run, trainer), *trainer.hints()],
    }


def _notes(run: Run, trainer: Trainer) -> list[str]:
    source, notes = run.buffer.source, []
    if trainer.tokens < trainer.config.tokens:
        notes.append(f"{trainer.tokens:,} of {trainer.config.tokens:,} tokens seen")
    if source.epoch:
        read = "texts were" if run.identity["store"] is None else "store was"
        notes.append(f"the {read} read {source.epoch + 1} times")
    found = source.outliers
    if found.not_finite:
        notes.append(f"{found.not_finite:,} rows were left out: not finite")
    if source.empty:
        notes.append(f"{source.empty:,} texts are empty or None")
    if found.too_large:
        notes.append(f"{found.too_large:,} rows were left out: norm above {found.outlier:g} times the median")
    return notes

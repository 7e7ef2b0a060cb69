"""What an SAE keeps of the run that made it: curves, settings, versions, data, and what went wrong."""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from importlib import metadata
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from saelab import __version__
from saelab.sae import SAE
from saelab.training import finetune

if TYPE_CHECKING:
    from saelab.training.run import Run
    from saelab.training.spec import SAESpec
    from saelab.training.trainer import Trainer


_MEASURED = 1 << 13  # rows that the SAE as it is given back is measured on


def keep(run: Run, trainer: Trainer, spec: SAESpec, sae: SAE, ended: bool) -> None:
    """Give the SAE its ``history`` and its ``record``: what is needed to know how these weights came about."""
    versions = {p: metadata.version(p) for p in ("torch", "transformer-lens", "transformers")}
    source, decided = run.buffer.source, {n: getattr(trainer, n) for n in ("lr", "aux_k", "dead_after")}
    data = {"sample_sha256": run.sample_digest, "epochs": source.epoch + 1, "sha256": source.digest}
    if (last := getattr(source, "cursor", (-1, -1))[0]) >= 0:
        data["documents"] = last + 1
    if whole := getattr(source, "pass_digest", ""):
        data["pass_sha256"] = whole
    sae.history = _history(run, trainer, spec, sae)
    sae.record = {
        "recipe": asdict(trainer.config) | decided,
        "options": asdict(trainer.options),
        "tokens": trainer.tokens,
        "seen": seen(run, trainer),
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


def _history(run: Run, trainer: Trainer, spec: SAESpec, sae: SAE) -> pd.DataFrame:
    """The curves; the last line is of the SAE as it is given back, where training saw other weights or activations."""
    history = pd.DataFrame(trainer.curves)
    if (trainer.config.ema or trainer.sae.arch.trained_as) and run.last and len(history):
        # rows that a run has which was broken off and resumed, too: those of all text, else what the buffer still holds
        rows = run.buffer.source.sample(_MEASURED) or [
            torch.cat([a, b]) for a, b in zip(run.last, run.buffer.peek(_MEASURED), strict=True)
        ]
        x, target = run.of(spec, rows)
        for name, value in _measured(sae, torch.cat(x, -1), target).items():
            history[name] = history[name].astype(float)
            history.loc[history.index[-1], name] = value
    return history


@torch.no_grad()
def _measured(sae: SAE, x: Tensor, target: Tensor | None) -> dict[str, float]:
    """The numbers of a line of the curves that depend on weights and activation, on rows ``x`` (n, d_in)."""
    error, active, wanted = 0.0, 0, []
    for i in range(0, len(x), 1024):
        part = x[i : i + 1024].to(sae.W_dec.device)
        y = (
            sae.normalize(part)[0]
            if target is None
            else sae.normalize_target(target[i : i + 1024].to(part.device))
        )
        codes = replace(
            sae.encode_sparse(part), stats=None
        )  # so that it is decoded to what training compares with
        error += float((y - sae.decode(codes)).double().square().sum())
        active += int((codes.values > 0).sum())
        wanted.append(y.cpu().double())
    whole = torch.cat(wanted)  # (n, d_out)
    fvu = error / max(float((whole - whole.mean(0)).square().sum()), 1e-300)
    return {"fvu": fvu, "explained_variance": 1 - fvu, "l0": active / len(x)}


def seen(run: Run, trainer: Trainer) -> str:
    """How far training came, and why no further."""
    if trainer.tokens >= trainer.config.tokens:
        return f"{trainer.tokens:,} tokens"
    said = f"{trainer.tokens:,} of {trainer.config.tokens:,} tokens"
    if not run.exhausted or trainer.tokens < run.tokens:
        return f"{said}: stopped"
    return f"{said}: the {'texts' if run.identity['store'] is None else 'rows of the store'} ended"


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

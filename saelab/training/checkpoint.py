"""Checkpoints of a run: a folder each, whole or absent.

``<out>/checkpoints/000000000123/`` holds ``state.json`` and ``tensors.safetensors``. A checkpoint is
written under another name, brought to the disk, and then renamed; only after that is the one before it
removed. So a kill at any moment leaves at least one whole checkpoint, and the highest number is the newest
whole one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from saelab import files
from saelab.errors import SaelabError


def _all(out: Path) -> list[Path]:
    """All checkpoints, the newest last."""
    return sorted(p for p in (out / "checkpoints").glob("*") if p.name.isdigit())


def exists(out: Path) -> bool:
    """Whether ``out`` holds a checkpoint."""
    return bool(_all(out))


def save(out: Path, step: int, state: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    """Write the checkpoint of ``step`` and remove older ones."""
    folder = out / "checkpoints"
    final = folder / f"{step:012d}"
    fresh = folder / f".new-{final.name}"
    _remove(fresh)
    fresh.mkdir(parents=True)
    try:
        files.write_tensors(fresh / "tensors.safetensors", tensors)
        files.write_json(fresh / "state.json", state)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)  # a full disk should at least get this back
        raise
    before = [p for p in _all(out) if p != final]
    if final.exists():  # the same step again: nothing else stands between it and the new one
        _remove(final)
    fresh.rename(final)
    files.sync_folder(folder)
    for old in before:
        _remove(old)
    return final


def state(out: Path) -> dict[str, Any]:
    """``state.json`` of the newest checkpoint, without its tensors."""
    return files.read_json(_all(out)[-1] / "state.json")


def load(out: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The newest checkpoint: (state, tensors)."""
    found = _all(out)
    if not found:
        raise SaelabError(f"no checkpoint in {out / 'checkpoints'}")
    try:
        return state(out), files.read_tensors(found[-1] / "tensors.safetensors")
    except SaelabError as error:
        older = f"; an older one is {found[-2]}" if len(found) > 1 else ""
        raise SaelabError(f"{error}{older}") from None


def clear(out: Path) -> None:
    """Remove all checkpoints."""
    _remove(out / "checkpoints")


def _remove(folder: Path) -> None:
    if folder.exists():
        # renamed first, so that a kill half way leaves nothing that looks like a checkpoint
        doomed = folder.with_name(f".old-{folder.name.lstrip('.')}")
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        shutil.rmtree(doomed)

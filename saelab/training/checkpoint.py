"""Checkpoints of a run: a folder each, whole or absent.

``<out>/checkpoints/000000000123/`` holds ``state.json`` and ``tensors.safetensors``, both with a checksum that is
looked at when they are read. A checkpoint is written under another name, brought to the disk, and then renamed; only
after that is the one before it removed. So a kill at any moment leaves at least one whole checkpoint, and the highest
number is the newest whole one. Another checkpoint of the same step gets ``-1`` behind its number, the next ``-2``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from saelab import files
from saelab.errors import SaelabError


def _all(out: Path) -> list[Path]:
    """All checkpoints, the newest last."""
    found = [p for p in (out / "checkpoints").glob("*") if re.fullmatch(r"\d+(-\d+)?", p.name)]
    return sorted(found, key=lambda p: [int(n) for n in p.name.split("-")])


def exists(out: Path) -> bool:
    """Whether ``out`` holds a checkpoint."""
    return bool(_all(out))


def save(out: Path, step: int, state: dict[str, Any], tensors: dict[str, Tensor]) -> Path:
    """Write the checkpoint of ``step`` and remove older ones."""
    folder, before = out / "checkpoints", _all(out)
    same = [p for p in before if int(p.name.split("-")[0]) == step]
    number = int(f"{same[-1].name}-0".split("-")[1]) + 1 if same else 0
    final = folder / (f"{step:012d}-{number}" if number else f"{step:012d}")
    with files.writing(folder):
        for left in folder.glob(".*"):  # by a writer that was killed
            shutil.rmtree(left, ignore_errors=True)
        fresh = folder / f".new-{final.name}"
        fresh.mkdir(parents=True)
        try:
            files.write_tensors(fresh / "tensors.safetensors", tensors)
            files.write_json(fresh / "state.json", state, checked=True)
            fresh.rename(final)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)  # a full disk should at least get this back
            raise
        files.sync_folder(folder)
        for old in before:
            _remove(old)
    return final


def state(out: Path) -> dict[str, Any]:
    """``state.json`` of the newest checkpoint, without its tensors."""
    return files.read_json(_all(out)[-1] / "state.json", dict)


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

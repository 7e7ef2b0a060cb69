"""Checkpoints of a run: a folder each, whole or absent.

``<out>/checkpoints/000000000123/`` holds ``state.json`` and ``tensors.safetensors``, both with a checksum that is
looked at when they are read. Where several ranks train one SAE, each writes what belongs to its latents in a slice,
``slice_0.safetensors`` and so on, and ``state.json`` says where each begins: any number of ranks goes on from them.
A checkpoint is written under another name, brought to the disk, and then renamed; only after that is the one before it
removed. So a kill at any moment leaves at least one whole checkpoint, and the highest number is the newest whole one.
Another checkpoint of the same step gets ``-1`` behind its number, the next ``-2``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from saelab import files
from saelab.errors import SaelabError
from saelab.sae.objective import ALONE, Ranks


def _all(out: Path) -> list[Path]:
    """All checkpoints, the newest last."""
    found = [p for p in (out / "checkpoints").glob("*") if re.fullmatch(r"\d+(-\d+)?", p.name)]
    return sorted(found, key=lambda p: [int(n) for n in p.name.split("-")])


def exists(out: Path) -> bool:
    """Whether ``out`` holds a checkpoint."""
    return bool(_all(out))


def save(
    out: Path, step: int, state: dict[str, Any], tensors: dict[str, Tensor],
    slices: dict[str, Tensor] | None = None, ranks: Ranks = ALONE,
) -> None:  # fmt: skip
    """Write the checkpoint of ``step`` and remove older ones. With several ranks all call this at the same step, each
    with the ``slices`` of its latents; the first one writes the rest."""
    folder, before = out / "checkpoints", _all(out)
    same = [p for p in before if int(p.name.split("-")[0]) == step]
    number = int(f"{same[-1].name}-0".split("-")[1]) + 1 if same else 0
    final = folder / (f"{step:012d}-{number}" if number else f"{step:012d}")
    fresh, lead, errors = folder / f".new-{final.name}", ranks.rank == 0, []

    def part(write: Callable[[], object]) -> None:
        """All do theirs, and all know whether it went well: nobody waits for one who has given up."""
        try:
            if not errors:
                write()
        except (OSError, SaelabError) as error:
            errors.append(error)
        if ranks.any(bool(errors)) and not errors:
            errors.append(SaelabError("another rank could not write its part"))

    def begin() -> None:
        if lead:
            for left in folder.glob(".*"):  # by a writer that was killed
                shutil.rmtree(left, ignore_errors=True)
            fresh.mkdir(parents=True)

    def write() -> None:
        if slices:
            files.write_tensors(fresh / f"slice_{ranks.rank}.safetensors", slices)
        if lead:
            files.write_tensors(fresh / "tensors.safetensors", tensors)

    def seal() -> None:
        if lead:
            files.write_json(fresh / "state.json", state, checked=True)
            fresh.rename(final)
            files.sync_folder(folder)
            for old in before:
                _remove(old)

    with files.writing(folder):
        try:
            for act in (begin, write, seal):
                part(act)
            if errors:
                raise errors[0]
        except BaseException:
            if lead:
                shutil.rmtree(fresh, ignore_errors=True)  # a full disk should at least get this back
            raise


def state(out: Path) -> dict[str, Any]:
    """``state.json`` of the newest checkpoint, without its tensors."""
    return files.read_json(_all(out)[-1] / "state.json", dict)


Slices = list[tuple[list[int], dict[str, Tensor]]]  # per slice, the first latent of each SAE, and tensors


def load(out: Path) -> tuple[dict[str, Any], dict[str, Tensor], Slices]:
    """The newest checkpoint: (state, tensors, slices)."""
    found = _all(out)
    if not found:
        raise SaelabError(f"no checkpoint in {out / 'checkpoints'}")
    try:
        said, slices = state(out), []
        for i, firsts in enumerate(said.get("slices", [])):
            slices.append((firsts, files.read_tensors(found[-1] / f"slice_{i}.safetensors")))
        return said, files.read_tensors(found[-1] / "tensors.safetensors"), slices
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

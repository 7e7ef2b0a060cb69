"""The rows of a store in portions: a file each, or arrays in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from saelab import files
from saelab.activations.harvest import Harvester, Part
from saelab.errors import SaelabError, check_dtype


@dataclass
class Shard:
    """``n`` rows, read in parts: tensors, or what safetensors gives for a tensor in a file."""

    n: int
    acts: Sequence[Any]  # per hook point (n, d)
    place: Any  # (n, 2) document and position
    path: Path | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, n_hooks: int) -> Shard:
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise SaelabError(f"the activation store lacks {path}")
        try:
            file = safe_open(path, "pt")
            acts, place = [file.get_slice(str(i)) for i in range(n_hooks)], file.get_slice("where")
        except SafetensorError as error:
            raise SaelabError(
                f"{path} ({path.stat().st_size} bytes) is not a whole shard of an activation store ({error})"
            ) from None
        return cls(int(place.get_shape()[0]), acts, place, path, dict(file.metadata() or {}))

    def __len__(self) -> int:
        return self.n

    def read(self, a: int, b: int) -> Part:
        return [x[a:b].float() for x in self.acts], self.place[a:b]

    def verify(self) -> None:
        """Compare a file with its checksum."""
        if self.path is not None:
            files.read_tensors(self.path)


def write_shard(path: Path, parts: list[Part], dtype: str, source: Harvester) -> None:
    """Write what was harvested, and where the harvest stands behind it."""
    tensors = {"where": torch.cat([place for _, place in parts])}
    for i, hook in enumerate(source.hooks):
        acts = torch.cat([a[i] for a, _ in parts])  # (n, d)
        kept = acts.to(check_dtype(dtype))  # (n, d)
        if not kept.isfinite().all():
            raise SaelabError(
                f"an activation of {float(acts.abs().max()):.3g} at {hook} is too large for {dtype} "
                f"(largest {torch.finfo(kept.dtype).max:.3g}): use dtype='bfloat16'"
            )
        tensors[str(i)] = kept
    files.write_tensors(path, tensors, {"state": json.dumps(source.state())})

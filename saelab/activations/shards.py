"""The rows of a store in portions: a file each, or arrays in memory."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from saelab import files
from saelab.activations.harvest import Harvester, Part
from saelab.errors import SaelabError, check_dtype


class MemoryShard:
    """Rows in memory."""

    def __init__(self, acts: list[Tensor], place: Tensor):
        self.acts, self.place = acts, place

    def __len__(self) -> int:
        return len(self.place)

    def read(self, a: int, b: int) -> Part:
        return [x[a:b] for x in self.acts], self.place[a:b]

    def verify(self) -> None:
        """Nothing can have happened to it."""


class FileShard:
    """Rows in a file, read in parts."""

    def __init__(self, path: Path, n_hooks: int):
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise SaelabError(f"the activation store lacks {path}")
        try:
            self.file = safe_open(path, "pt")
            self.metadata = dict(self.file.metadata() or {})
            self.slices = [self.file.get_slice(str(i)) for i in range(n_hooks)]
            self.place = self.file.get_slice("where")
        except SafetensorError as error:
            raise SaelabError(
                f"{path} ({path.stat().st_size} bytes) is not a whole shard of an activation store ({error})"
            ) from None
        self.path = path
        self.n = int(self.place.get_shape()[0])

    def __len__(self) -> int:
        return self.n

    def read(self, a: int, b: int) -> Part:
        return [s[a:b].float() for s in self.slices], self.place[a:b]

    def verify(self) -> None:
        files.read_tensors(self.path)


Shard = MemoryShard | FileShard


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

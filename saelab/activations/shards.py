"""The rows of a store in portions: a file each, or arrays in memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from saelab import files
from saelab.activations.harvest import Harvester, Part
from saelab.errors import SaelabError, check_dtype, check_tensor

BLOCK = 1024  # rows that are read together, and have one checksum
_STATE = {"harvested": int, "epoch": int, "done": bool, "digest": str, "cursor": [int], "screen": dict}


@dataclass
class Shard:
    """``n`` rows, read in parts: tensors, or what safetensors gives for a tensor in a file.

    What is read from a file is compared with the checksums of its blocks (those of earlier files have none).
    """

    n: int
    acts: Sequence[Any]  # per hook point (n, d)
    place: Any  # (n, 2) document and position
    path: Path | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    sums: Sequence[str] = ()

    @classmethod
    def open(cls, path: Path, widths: Sequence[int]) -> Shard:
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise SaelabError(f"the activation store lacks {path}")
        try:
            file = safe_open(path, "pt")
            acts, place = [file.get_slice(str(i)) for i in range(len(widths))], file.get_slice("where")
            metadata = dict(file.metadata() or {})
        except (SafetensorError, UnicodeDecodeError, OSError) as error:
            raise SaelabError(
                f"{path} ({path.stat().st_size} bytes) is not a whole shard of an activation store ({error})"
            ) from None
        shapes, n = [x.get_shape() for x in (*acts, place)], place.get_shape()[0] if place.get_shape() else 0
        types = {x.get_dtype() for x in acts} | {place.get_dtype()}
        if shapes != [[n, w] for w in (*widths, 2)] or not types <= {"F32", "F16", "BF16", "I32"}:
            raise SaelabError(
                f"{path} holds arrays of {shapes} ({', '.join(sorted(types))}), which do not fit the store"
            )
        sums = files.parse_json(metadata.get("blocks", "[]"), path)
        files.check_form(path, sums, [str])
        if sums and len(sums) != -(-n // BLOCK):
            raise SaelabError(f"{path} is damaged: it has checksums of {len(sums)} blocks")
        return cls(n, acts, place, path, metadata, sums)

    @property
    def state(self) -> dict[str, Any]:
        """Where the harvest stood behind this shard."""
        state = files.parse_json(self.metadata.get("state", "null"), str(self.path))
        files.check_form(str(self.path), state, _STATE)
        return state

    def __len__(self) -> int:
        return self.n

    def read(self, a: int, b: int) -> Part:
        low, high = a - a % BLOCK, min(-(-b // BLOCK) * BLOCK, self.n)
        acts, place = [x[low:high] for x in self.acts], self.place[low:high]
        for i in range(0, high - low, BLOCK) if self.sums else ():
            if _sum([x[i : i + BLOCK] for x in (place, *acts)]) != self.sums[(low + i) // BLOCK]:
                raise SaelabError(f"{self.path} is damaged: rows {low + i}… do not match their checksum")
        return [x[a - low : b - low].float() for x in acts], place[a - low : b - low]

    def verify(self) -> None:
        """Compare a file with its checksum."""
        if self.path is not None:
            files.read_tensors(self.path)


def _sum(parts: Sequence[torch.Tensor]) -> str:
    """Checksum of one block: places, then activations."""
    value = 0
    for x in parts:
        value = zlib.crc32(x.contiguous().reshape(-1).view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


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
    n = len(tensors["where"])
    sums = [_sum([x[i : i + BLOCK] for x in tensors.values()]) for i in range(0, n, BLOCK)]
    files.write_tensors(path, tensors, {"state": json.dumps(source.state()), "blocks": json.dumps(sums)})


def checked_places(where: Any, n: int) -> torch.Tensor:
    """(n, 2) document and position of each row as a caller gives them; −1 twice: not known."""
    place = torch.full((n, 2), -1) if where is None else check_tensor("where", where, "i").cpu()
    if place.shape != (n, 2):
        raise SaelabError(f"where must be ({n}, 2), got {tuple(place.shape)}")
    if int(place.max()) >= 1 << 31 or int(place.min()) < -1:
        raise SaelabError(
            f"where holds {int(place.max())} and {int(place.min())}; it goes from -1 to {(1 << 31) - 1:,}"
        )
    known = place[(place >= 0).all(1)].long()
    if bool(((place[:, 0] < 0) & (place[:, 1] >= 0)).any()):
        raise SaelabError(
            "where has rows with a position and no document (-1): documents are numbered from 0"
        )
    if len((known[:, 0] << 32 | known[:, 1]).unique()) < len(known):
        raise SaelabError("where names a place twice: no two rows are of the same document and position")
    return place

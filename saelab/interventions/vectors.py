"""Where directions come from: activations of texts, and files of other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab import files, identity, models
from saelab.errors import SaelabError, check_count, unknown
from saelab.models import HookedModel

FORMAT = "saelab.direction"
SAMPLE = 20_000  # tokens that a probe or principal components are found on


def activations(model: HookedModel, hook: str, texts: models.Texts, last: bool, places: bool = False) -> Any:
    """(n, d) float32 of all tokens but special ones, (n,) whose text each is, and where asked for (n,) where in it."""
    identity.check_unchanged(model, "a direction")
    models.check_hook(model, hook)
    rows = models.tokenize_texts(model, texts)
    ends = torch.from_numpy(np.append(np.diff(rows.doc) != 0, True))  # rows in which a text ends
    doc, start = (torch.from_numpy(np.asarray(a, np.int64)) for a in (rows.doc, rows.start))
    out: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in rows.batches():
        row, at = torch.from_numpy(batch.row)[:, None], torch.arange(batch.ids.shape[1])
        x = models.run_to_hooks(model, batch.ids, [hook], batch.mask)[hook].float().cpu()
        keep = models.valid_mask(model, batch.ids, batch.mask)  # (B, T)
        if last:
            newest = torch.where(keep, at, -1).amax(1, keepdim=True)
            keep = keep & (at == newest) & ends[row]
        out.append((x[keep], doc[row].expand(keep.shape)[keep], (at + start[row])[keep]))
    x, of, place = (torch.cat(parts) for parts in zip(*out, strict=True))
    if not len(x):
        raise SaelabError("the texts have no tokens but special ones")
    return (x, of, place) if places else (x, of)


def drawn(n: int, seed: int) -> Tensor:
    """(at most ``SAMPLE``,) places, in order."""
    return torch.from_numpy(
        np.sort(np.random.default_rng(check_count("seed", seed, 0)).permutation(n)[:SAMPLE])
    )


def read_vectors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Every tensor of a file by its name, and what our own form says beside them."""
    if not path.is_file():
        raise SaelabError(f"no file {path}")
    if path.suffix == ".safetensors":
        tensors, metadata = files.read_tensors_and_metadata(path)
        return tensors, files.parse_json(metadata["about"], path) if metadata.get("format") == FORMAT else {}
    with files.reading(path):
        if path.suffix == ".npy":
            return {"vector": torch.from_numpy(np.load(path, allow_pickle=False))}, {}
        if path.suffix == ".gguf":
            from gguf import GGUFReader

            found = {t.name: t for t in GGUFReader(path).tensors if t.name.startswith("direction.")}
            if not found:
                raise SaelabError("there is no control vector in it (no tensor direction.N)")
            return {n: torch.from_numpy(np.array(t.data, np.float32)) for n, t in found.items()}, {}
        if path.suffix in (".pt", ".pth", ".bin"):
            given = torch.load(path, map_location="cpu", weights_only=True)
            given = given if isinstance(given, Mapping) else {"vector": given}
            return {str(k): v for k, v in given.items() if isinstance(v, Tensor)}, {}
    raise unknown("kind of file", path.suffix, (".safetensors", ".pt", ".npy", ".gguf"))

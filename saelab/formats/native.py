"""saelab's own format: a folder with ``config.json`` (format name, version, SAEConfig), ``weights.safetensors``
(the parameters under their own names), and, when it was trained here, ``history.json`` and ``record.json``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from saelab import files
from saelab.errors import SaelabError, unknown
from saelab.sae.config import SAEConfig

if TYPE_CHECKING:
    from saelab.sae import SAE

FORMAT, VERSION = "saelab.sae", 1


def detect(folder: Path) -> bool:
    """Whether ``folder`` claims to be of this format."""
    path = folder / "config.json"
    return path.is_file() and files.read_json(path).get("format") == FORMAT


def save(sae: SAE, folder: str | Path, *, store: torch.dtype | None = None) -> Path:
    """Write ``sae``; ``store`` halves the file by storing weights in another dtype than they compute in."""
    folder = Path(folder).expanduser()
    if folder.is_file():
        raise SaelabError(f"{folder} is a file; an SAE is saved as a folder")
    tensors = {name: p.to(store or p.dtype) for name, p in sae.named_parameters()}
    # weights first: a folder with a config but no weights must not look whole
    files.write_tensors(folder / "weights.safetensors", tensors, {"format": FORMAT})
    if len(sae.history):
        files.write_json(folder / "history.json", sae.history.to_dict(orient="list"))
    if sae.record:
        files.write_json(folder / "record.json", sae.record)
    files.write_json(folder / "config.json", {"format": FORMAT, "version": VERSION, "sae": sae.config.to_dict()})
    return folder


def load(folder: Path) -> SAE:
    """Read what :func:`save` wrote; every tensor must be there, of the right shape, and no other."""
    from saelab.sae import SAE

    head = files.read_json(folder / "config.json")
    if head.get("version") != VERSION:
        raise SaelabError(f"{folder} has format version {head.get('version')!r}; this saelab reads version {VERSION}")
    sae = SAE(SAEConfig.from_dict(head["sae"]))
    path = folder / "weights.safetensors"
    tensors, wanted = files.read_tensors(path), dict(sae.named_parameters())
    for name in tensors:
        if name not in wanted:
            raise unknown(f"tensor in {path}:", name, wanted)
    with torch.no_grad():
        for name, parameter in wanted.items():
            if name not in tensors:
                raise SaelabError(f"{path} has no tensor {name!r}; found {', '.join(sorted(tensors))}")
            if tensors[name].shape != parameter.shape:
                raise SaelabError(
                    f"{path}: {name} has shape {tuple(tensors[name].shape)}, its config says {tuple(parameter.shape)}"
                )
            parameter.copy_(tensors[name])
    if (folder / "history.json").is_file():
        sae.history = pd.DataFrame(files.read_json(folder / "history.json"))
    if (folder / "record.json").is_file():
        sae.record = files.read_json(folder / "record.json")
    return sae

"""saelab's own format: a folder with ``config.json`` (format name, version, SAEConfig),
``weights.safetensors`` (the parameters under their own names), and, when it was trained here,
``history.json`` and ``record.json``.

Each file is replaced as a whole, the weights first. They carry a copy of the config, so that a save that was
cut off between two files is noticed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from saelab import files
from saelab.errors import SaelabError
from saelab.formats.source import Source
from saelab.formats.weights import build
from saelab.sae.config import SAEConfig

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "saelab"
FORMAT, VERSION = "saelab.sae", 1


def detect(src: Source) -> bool:
    """Whether the folder claims to be of this format."""
    return src.has("config.json") and src.json("config.json").get("format") == FORMAT


def read(src: Source) -> SAE:
    """Read a folder."""
    if src.given:
        raise SaelabError(
            f"{src} states every fact about itself; given={src.given} would contradict or repeat them"
        )
    return load(src.folder)


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    return save(sae, path)


def _head(path: Path) -> dict[str, Any]:
    head = files.read_json(path)
    return head if isinstance(head, dict) else {}


def save(sae: SAE, folder: str | Path, *, store: torch.dtype | None = None) -> Path:
    """Write ``sae``; ``store`` halves the file by storing weights in another dtype than they compute in."""
    folder = Path(folder).expanduser()
    if folder.is_file():
        raise SaelabError(f"{folder} is a file; an SAE is saved as a folder")
    tensors = {name: p.to(store or p.dtype) for name, p in sae.named_parameters()}
    config = sae.config.to_dict()
    # weights first: a folder with a config but no weights must not look whole
    files.write_tensors(
        folder / "weights.safetensors", tensors, {"format": FORMAT, "config": json.dumps(config)}
    )
    for name, value in (("history", sae.history.to_dict(orient="list")), ("record", sae.record)):
        if value:
            files.write_json(folder / f"{name}.json", _finite(value))
        else:  # one of an SAE that was here before would pass for this one's
            (folder / f"{name}.json").unlink(missing_ok=True)
    files.write_json(folder / "config.json", {"format": FORMAT, "version": VERSION, "sae": config})
    return folder


def _finite(value: Any) -> Any:
    """``value`` with NaN and infinity as None: a run that diverged is saved too."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load(folder: Path) -> SAE:
    """Read what :func:`save` wrote; every tensor must be there, of the right shape, and no other."""
    head = _head(folder / "config.json")
    if head.get("version") != VERSION:
        raise SaelabError(
            f"{folder} has format version {head.get('version')!r}; this saelab reads version {VERSION}"
        )
    if not isinstance(head.get("sae"), dict):
        raise SaelabError(f"{folder / 'config.json'} has no SAE config under 'sae'")
    path = folder / "weights.safetensors"
    tensors, metadata = files.read_tensors_and_metadata(path)
    _same_save(path, head["sae"], json.loads(metadata.get("config", "null")))
    sae = build(SAEConfig.from_dict(head["sae"]), tensors, path)
    if (folder / "history.json").is_file():
        curves = pd.DataFrame(files.read_json(folder / "history.json"))
        sae.history = curves.rename(columns={"unexplained": "fvu"})  # its name until it was fvu everywhere
    if (folder / "record.json").is_file():
        sae.record = files.read_json(folder / "record.json")
    return sae


def _same_save(path: Path, config: dict[str, Any], saved_with: dict[str, Any] | None) -> None:
    """Refuse a config and weights of two different saves: k or a scale of the one would fit the other."""
    differs = [k for k, v in (saved_with or {}).items() if config.get(k, v) != v]
    if saved_with and differs:
        key = differs[0]
        raise SaelabError(
            f"{path} was saved with {key}={saved_with[key]!r}, but the config.json beside it says "
            f"{key}={config[key]!r}; was a save cut off? Put back the one that is right."
        )

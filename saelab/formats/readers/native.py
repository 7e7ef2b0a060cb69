"""saelab's own form; see :mod:`saelab.sae.saving`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from saelab import files
from saelab.errors import SaelabError
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import build
from saelab.sae import SAE, SAEConfig, saving

NAME = "saelab"
LAYOUT = Layout(weights=(saving.WEIGHTS,), beside=(saving.CONFIG, "history.json", "record.json"))


def detect(src: SAEFiles) -> bool:
    """Whether the folder claims to be of this format."""
    return src.has(saving.CONFIG) and src.values(saving.CONFIG).get("format") == saving.FORMAT


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    if src.given:
        raise SaelabError(
            f"{src} states every fact about itself; given={src.given} would contradict or repeat them"
        )
    return load(src.folder)


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    return saving.save(sae, path)


def load(folder: Path) -> SAE:
    """Read what :meth:`saelab.SAE.save` wrote; every tensor must be there, of the right shape, and no other."""
    head = files.read_json(folder / saving.CONFIG)
    head = head if isinstance(head, dict) else {}
    if head.get("version") != saving.VERSION:
        raise SaelabError(
            f"{folder} has format version {head.get('version')!r}; this saelab reads version {saving.VERSION}"
        )
    if not isinstance(head.get("sae"), dict):
        raise SaelabError(f"{folder / saving.CONFIG} has no SAE config under 'sae'")
    path = folder / saving.WEIGHTS
    tensors, metadata = files.read_tensors_and_metadata(path)
    _same_save(path, head["sae"], json.loads(metadata.get("config", "null")))
    sae = build(SAEConfig.from_dict(head["sae"]), tensors, path)
    if (folder / "history.json").is_file():
        sae.history = pd.DataFrame(files.read_json(folder / "history.json"))
    if (folder / "record.json").is_file():
        sae.record = files.read_json(folder / "record.json")
    return sae


def _same_save(path: Path, config: dict[str, Any], saved_with: dict[str, Any] | None) -> None:
    """Refuse a config and weights of two different saves: k or a scale of the one would fit the other."""
    for key, value in (saved_with or {}).items():
        if config.get(key, value) != value:
            raise SaelabError(
                f"{path} was saved with {key}={value!r}, but the config.json beside it says "
                f"{key}={config[key]!r}; was a save cut off? Put back the one that is right."
            )

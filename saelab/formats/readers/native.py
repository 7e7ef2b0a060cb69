"""saelab's own form; see :mod:`saelab.sae.saving`."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from saelab import files
from saelab.errors import SaelabError, unknown
from saelab.formats.format import Layout
from saelab.formats.keys import Obstacles, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import build, not_finite
from saelab.sae import SAE, SAEConfig, saving

NAME = "saelab"
LAYOUT = Layout(weights=(saving.WEIGHTS,), beside=(saving.CONFIG, "history.json", "record.json"))
KEYS = unused("format version sae")


def detect(src: SAEFiles) -> bool:
    """Whether the folder claims to be of this format."""
    return src.has(saving.CONFIG) and src.values(saving.CONFIG).get("format") == saving.FORMAT


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    if src.given:
        raise SaelabError(
            f"{src} states every fact about itself; given={src.given} would contradict or repeat them"
        )
    src.config(saving.CONFIG, KEYS)
    sae = load(src.folder, src.obstacles)
    if src.obstacles.ignored:
        sae.record = {**sae.record, "ignored": src.obstacles.ignored}
    return sae


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    return saving.save(sae, path)


def load(folder: Path, obstacles: Obstacles | None = None) -> SAE:
    """Read what :meth:`saelab.SAE.save` wrote; every tensor must be there, of the right shape, and no other."""
    head = files.read_json(folder / saving.CONFIG)
    head = head if isinstance(head, dict) else {}
    if head.get("version") != saving.VERSION:
        raise SaelabError(
            f"{folder} has format version {head.get('version')!r}; this saelab reads version {saving.VERSION}"
        )
    if not isinstance(head.get("sae"), dict):
        raise SaelabError(f"{folder / saving.CONFIG} has no SAE config under 'sae'")
    obstacles = obstacles or Obstacles(folder)
    names = [f.name for f in fields(SAEConfig)]
    config = {key: value for key, value in head["sae"].items() if not obstacles.passes(key, value)}
    for key in config.keys() - set(names):
        obstacles.add(str(unknown("SAE config key", key, names)))
    path = folder / saving.WEIGHTS
    tensors, metadata = files.read_tensors_and_metadata(path)
    _same_save(path, config, json.loads(metadata.get("config", "null")))
    for name, t in tensors.items():
        if broken := not_finite(t):
            obstacles.add(f"{path}: {name} holds {broken}")
    obstacles.check()
    sae = build(SAEConfig.from_dict(config), tensors, path)
    if (folder / "history.json").is_file():
        curves = pd.DataFrame(files.read_json(folder / "history.json"))
        sae.history = curves.rename(columns={"unexplained": "fvu"})  # its name until it was fvu everywhere
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

"""saelab's own form; see :mod:`saelab.sae.saving`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pandas as pd

from saelab import files, identity
from saelab.errors import SaelabError, unknown
from saelab.formats.format import Layout
from saelab.formats.keys import Obstacles, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import build, not_finite
from saelab.sae import SAE, SAEConfig, saving

NAME = "saelab"
LAYOUT = Layout(weights=(saving.WEIGHTS,), beside=(saving.CONFIG, "history.json", "record.json"))
KEYS = unused("format version sae next")


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
    with files.reading(src.folder):
        sae = load(src.folder, src.obstacles, src.lazy)
    if src.obstacles.ignored:
        sae.record = {**sae.record, "ignored": src.obstacles.ignored}
    return sae


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    return saving.save(sae, path)


def load(folder: Path, obstacles: Obstacles | None = None, lazy: bool = False) -> SAE:
    """Read what :meth:`saelab.SAE.save` wrote; every tensor must be there, of the right shape, and no other. ``lazy``: the
    tensors stay in the file, whose checksum is not looked at."""
    saving.read_head(folder)
    path = folder / saving.WEIGHTS
    tensors, inside = (files.map_tensors if lazy else files.read_tensors_and_metadata)(path)
    said, curves, record = saving.about(folder, inside)
    obstacles = obstacles or Obstacles(folder)
    names = [f.name for f in fields(SAEConfig)]
    config = {key: value for key, value in said.items() if not obstacles.passes(key, value)}
    for key in config.keys() - set(names):
        obstacles.add(str(unknown("SAE config key", key, names)))
    for name, t in () if lazy else tensors.items():
        if not t.is_floating_point():
            obstacles.add(f"{path}: {name} must be a floating-point tensor, got {t.dtype}")
        elif broken := not_finite(t):
            obstacles.add(f"{path}: {name} holds {broken}")
    obstacles.check()
    with files.reading(folder / saving.CONFIG):
        built = SAEConfig.from_dict(config)
    for name, t in tensors.items() if lazy else ():
        if str(t.dtype) != f"torch.{built.dtype}":
            raise SaelabError(
                f"{path} stores {name} as {t.dtype}: with lazy=True it is not made {built.dtype}"
            )
    sae = build(built, tensors, path, own=not lazy)
    if lazy and saving.SAMPLE in inside:
        if inside[saving.SAMPLE] != identity.sample(sae):
            raise SaelabError(f"{path} holds other weights than were saved: it was damaged or written to")
        identity.know(sae, inside[saving.DIGEST])
    if curves:
        # its name until it was fvu everywhere
        sae.history = pd.DataFrame(curves).rename(columns={"unexplained": "fvu"})
    sae.record = record
    return sae

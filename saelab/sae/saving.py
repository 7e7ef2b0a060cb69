"""saelab's own form of an SAE: a folder with ``config.json`` (format name, version, SAEConfig),
``weights.safetensors`` (the parameters under their own names), and, when it was trained here,
``history.json`` and ``record.json``.

Each file is replaced as a whole, the weights first. They carry a copy of the config, so that a save that was
cut off between two files is noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from saelab import files
from saelab.errors import SaelabError, check_dtype

if TYPE_CHECKING:
    from saelab.sae.sae import SAE

FORMAT, VERSION = "saelab.sae", 1
CONFIG, WEIGHTS = "config.json", "weights.safetensors"


def save(sae: SAE, folder: str | Path, *, store: torch.dtype | None = None) -> Path:
    """Write ``sae``; ``store`` halves the file by storing weights in another dtype than they compute in."""
    folder = Path(folder).expanduser()
    if folder.is_file():
        raise SaelabError(f"{folder} is a file; an SAE is saved as a folder")
    check_dtype(
        str(store or sae.W_dec.dtype).removeprefix("torch.")
    )  # of another one the loaded SAE would be rounded
    tensors = {name: p.to(store or p.dtype) for name, p in sae.named_parameters()}
    config = sae.config.to_dict()
    # weights first: a folder with a config but no weights must not look whole
    files.write_tensors(folder / WEIGHTS, tensors, {"format": FORMAT, "config": json.dumps(config)})
    for name, value in (("history", sae.history.to_dict(orient="list")), ("record", sae.record)):
        if value:  # NaN and infinity as null: a run that diverged is saved too
            files.write_json(folder / f"{name}.json", files.plain(value))
        else:  # one of an SAE that was here before would pass for this one's
            (folder / f"{name}.json").unlink(missing_ok=True)
    files.write_json(folder / CONFIG, {"format": FORMAT, "version": VERSION, "sae": config})
    return folder

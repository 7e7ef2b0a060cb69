"""Columns about latents that were measured elsewhere, in ``columns.safetensors`` beside the index.

The file names the index it is about and, for each column, what it was made with. Of another index in the same
folder (another text, SAE or model) nothing is read, and the next write replaces it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saelab import files, identity
from saelab.errors import SaelabError, check_latent

FORMAT = "saelab-columns"


class Kept:
    """The kept columns of one index: name -> (d_sae,) float64, NaN where a latent was not measured."""

    def __init__(self, folder: Path, about: Mapping[str, Any], d_sae: int):
        self.path, self.d_sae = folder / "columns.safetensors", d_sae
        self.about = identity.digest(json.dumps(dict(about), sort_keys=True).encode())

    def all(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Every column, and for each what it was made with."""
        if not self.path.exists():
            return {}, {}
        tensors, metadata = files.read_tensors_and_metadata(self.path)
        if metadata.get("format") != FORMAT:
            raise SaelabError(f"{self.path} is not a file of columns of an index")
        if metadata.get("about") != self.about:
            return {}, {}
        for name, values in tensors.items():
            if tuple(values.shape) != (self.d_sae,):
                raise SaelabError(
                    f"{self.path}: column {name!r} has shape {tuple(values.shape)}, not ({self.d_sae},)"
                )
        made = files.parse_json(metadata["made"], self.path)
        return {name: tensors[name].numpy() for name in made}, made

    def calibrated(self, latent: int) -> dict[str, Any]:
        """Strength (in maxima) and schedule that :func:`saelab.calibrate` found best for a latent."""
        values, made = self.all()
        best = values["steer_best"][check_latent(latent, self.d_sae)] if "steer_best" in values else np.nan
        if np.isnan(best):
            raise SaelabError(
                f"'auto' needs a calibration of latent {latent}, kept beside the index: call "
                f"sl.calibrate(model, sae, [{latent}], prompts, relative=index)"
            )
        if best == 0:
            raise SaelabError(
                f"the calibration of latent {latent} found no strength with an effect inside its guard, so 'auto' would "
                "change nothing: give a number, calibrate with other prompts or strengths=, or take another latent"
            )
        return {"strength": float(best), "schedule": made["steer_best"]["schedule"]}

    def put(self, latents: np.ndarray, columns: Mapping[str, np.ndarray], made: Mapping[str, Any]) -> None:
        """Keep values (m,) of ``latents`` (m,). Those of other latents stay where they were made with the same."""
        import torch

        made = dict(files.plain(made))
        with files.folder_lock(self.path.parent, "keeping columns", wait=True, name=".columns.lock"):
            values, how = self.all()
            for name, some in columns.items():
                same = how.get(name) == made
                whole = values[name].copy() if same else np.full(self.d_sae, np.nan)
                whole[latents] = some
                values[name], how[name] = whole, made
            metadata = {"format": FORMAT, "about": self.about, "made": json.dumps(how, sort_keys=True)}
            tensors = {name: torch.from_numpy(column) for name, column in values.items()}
            files.write_tensors(self.path, tensors, metadata)

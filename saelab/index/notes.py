"""Labels and notes people give to latents, in ``labels.json`` beside the index.

They belong to the latents of one SAE: the file names it, and when an index of another SAE takes the folder,
the old file is set aside on the first write, never lost. Who writes reads the file again first, alone.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd

from saelab import files
from saelab.errors import SaelabError, check_latent
from saelab.frames import TextFrame

FORMAT = "saelab-labels"
_FORM = {"sae": str, "latents": {str: {str: str}}}


class Notes:
    """The labels and notes of one index. The file is read again whenever another program changed it."""

    def __init__(self, folder: Path, sae: str, d_sae: int):
        self.path, self.sae, self.d_sae = folder / "labels.json", sae, d_sae
        self._seen: tuple[int, int, int] | None = None
        self._latents: dict[int, dict[str, str]] = {}
        self._watching: weakref.WeakSet[Any] = weakref.WeakSet()

    def watch(self, view: Any) -> None:
        """Call ``view.labels_changed()`` whenever a label or note is written through this object."""
        self._watching.add(view)

    def all(self) -> dict[int, dict[str, str]]:
        """latent -> {"label": …, "note": …}; absent keys are empty."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._latents = None, {}
            return self._latents
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if state != self._seen:
            data = self._read()
            with files.reading(self.path):
                mine = data["latents"] if data["sae"] == self.sae else {}
                self._latents = {check_latent(int(k), self.d_sae): dict(v) for k, v in mine.items()}
            self._seen = state
        return self._latents

    def _read(self) -> dict[str, Any]:
        data = files.read_json(self.path)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise SaelabError(f"{self.path} is not a file of latent labels")
        files.check_form(self.path, data, _FORM)
        return data

    def get(self, latent: int, key: str) -> str:
        """The label or note; empty if there is none."""
        return self.all().get(latent, {}).get(key, "")

    def labels(self, latents: Iterable[int]) -> list[str]:
        """The label of each, read once."""
        notes = self.all()
        return [notes.get(i, {}).get("label", "") for i in latents]

    def set(self, key: str, texts: Mapping[int, str | None]) -> None:
        """Keep the text of each latent, all in one write; None or an empty text removes it."""
        for text in texts.values():
            if text is not None and not isinstance(text, str):
                raise SaelabError(f"a {key} is text, got {type(text).__name__}")
        with self._alone():
            latents = dict(self.all())
            for latent, text in texts.items():
                entry = {**latents.get(latent, {}), key: (text or "").strip()}
                latents[latent] = {k: v for k, v in entry.items() if v}
            self._write(latents)
        for view in list(self._watching):
            view.labels_changed()

    def _alone(self) -> AbstractContextManager[None]:
        """Nobody else writes meanwhile."""
        return files.folder_lock(self.path.parent, "labelling", wait=True, name=".labels.lock")

    def _write(self, latents: dict[int, dict[str, str]]) -> None:
        if self.path.exists():
            other = self._read()["sae"]
            if other != self.sae:
                self.path.rename(self._aside(re.sub(r"\W", "", other)[:8]))
        ordered = {str(k): latents[k] for k in sorted(latents) if latents[k]}
        files.write_json(self.path, {"format": FORMAT, "sae": self.sae, "latents": ordered}, checked=True)

    def _aside(self, name: str) -> Path:
        """A name for the labels of another SAE that is not taken."""
        path, n = self.path.with_name(f"labels-{name}.json"), 1
        while path.exists():
            path, n = self.path.with_name(f"labels-{name}-{n}.json"), n + 1
        return path

    def update(self, other: Notes) -> None:
        """Take over what is not set here yet."""
        if not (theirs := other.all()):
            return
        with self._alone():
            mine = self.all()
            self._write(
                {latent: {**theirs.get(latent, {}), **mine.get(latent, {})} for latent in {*mine, *theirs}}
            )

    def frame(self) -> pd.DataFrame:
        """One row per latent that has a label or a note."""
        latents = self.all()
        keys = sorted(latents)
        columns = {c: [latents[k].get(c, "") for k in keys] for c in ("label", "note")}
        return TextFrame({"latent": pd.array(keys, dtype="int64"), **columns})

"""Labels and notes people give to latents, in ``labels.json`` beside the index.

They belong to the latents of one SAE: the file names it, and when an index of another SAE takes the folder,
the old file is set aside on the first write, never lost.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from saelab.errors import SaelabError
from saelab.files import read_json, write_json
from saelab.frames import TextFrame

FORMAT = "saelab-labels"


class Notes:
    """The labels and notes of one index. The file is read again whenever another program changed it."""

    def __init__(self, folder: Path, sae: str):
        self.path, self.sae = folder / "labels.json", sae
        self._seen: tuple[int, int] | None = None
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
        state = (stat.st_mtime_ns, stat.st_size)
        if state != self._seen:
            data = self._read()
            mine = data["sae"] == self.sae
            self._latents = {int(k): dict(v) for k, v in data["latents"].items()} if mine else {}
            self._seen = state
        return self._latents

    def _read(self) -> dict[str, Any]:
        data = read_json(self.path)
        if (
            not isinstance(data, dict)
            or data.get("format") != FORMAT
            or not isinstance(data.get("latents"), dict)
        ):
            raise SaelabError(f"{self.path} is not a file of latent labels")
        return data

    def get(self, latent: int, key: str) -> str:
        """The label or note; empty if there is none."""
        return self.all().get(latent, {}).get(key, "")

    def labels(self, latents: Iterable[int]) -> list[str]:
        """The label of each, read once."""
        notes = self.all()
        return [notes.get(i, {}).get("label", "") for i in latents]

    def set(self, latent: int, key: str, text: str | None) -> None:
        """Keep ``text``; None or an empty text removes it."""
        if text is not None and not isinstance(text, str):
            raise SaelabError(f"a {key} is text, got {type(text).__name__}")
        # all() reads a changed file again: another notebook may have added some
        entry = {**self.all().get(latent, {}), key: (text or "").strip()}
        self._write({**self.all(), latent: {k: v for k, v in entry.items() if v}})
        for view in list(self._watching):
            view.labels_changed()

    def _write(self, latents: dict[int, dict[str, str]]) -> None:
        if self.path.exists():
            other = self._read()["sae"]
            if other != self.sae:
                self.path.rename(self.path.with_name(f"labels-{other[:8]}.json"))
        ordered = {str(k): latents[k] for k in sorted(latents) if latents[k]}
        write_json(self.path, {"format": FORMAT, "sae": self.sae, "latents": ordered})

    def update(self, other: Notes) -> None:
        """Take over what is not set here yet."""
        mine, theirs = self.all(), other.all()
        latents = {latent: {**theirs.get(latent, {}), **mine.get(latent, {})} for latent in {*mine, *theirs}}
        if latents:
            self._write(latents)

    def frame(self) -> pd.DataFrame:
        """One row per latent that has a label or a note."""
        latents = self.all()
        keys = sorted(latents)
        columns = {c: [latents[k].get(c, "") for k in keys] for c in ("label", "note")}
        return TextFrame({"latent": pd.array(keys, dtype="int64"), **columns})

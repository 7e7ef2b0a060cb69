"""Labels and notes people give to latents, in ``labels.json`` beside the index.

A label may say its source, who or what wrote it, and a score; both go when it is written over.

They belong to the latents of one SAE: the file names it, and when an index of another SAE takes the folder,
the old file is set aside on the first write, never lost. Who writes reads the file again first, alone.

Where there are thousands, a label more is a line in a file of changes beside it, ``labels.<changes>.jsonl``, which
belongs to the ``labels.json`` that names it and goes into the next one; each line begins with its checksum. So a label
costs the same however many there are.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import weakref
import zlib
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd

from saelab import files
from saelab.errors import SaelabError
from saelab.frames import TextFrame

FORMAT = "saelab-labels"
_FORM = {"sae": str, "latents": dict}
_MANY = 1000  # labels from which on changes are appended


class Notes:
    """The labels and notes of one index. The file is read again whenever another program changed it."""

    def __init__(self, folder: Path, sae: str, d_sae: int):
        self.path, self.sae, self.d_sae = folder / "labels.json", sae, d_sae
        self._seen: tuple[int, int, int] | None = None
        self._log: Path | None = None  # of changes, and how much of it was read
        self._read_to = 0
        self._latents: dict[int, dict[str, str]] = {}
        self._watching: weakref.WeakSet[Any] = weakref.WeakSet()

    def watch(self, view: Any) -> None:
        """Call ``view.labels_changed()`` whenever a label or note is written through this object."""
        self._watching.add(view)

    def all(self) -> dict[int, dict[str, str]]:
        """latent -> {"label": …, "note": …, "source": …, "score": …}; absent keys are empty."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._seen, self._latents, self._log = None, {}, None
            return self._latents
        state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if state != self._seen:
            data = self._read()
            mine = data if data["sae"] == self.sae else {"latents": {}}
            self._latents = {self._id(k): self._entry(v) for k, v in mine["latents"].items()}
            self._follow(mine.get("changes"))
            self._seen = state
        self._read_log()
        return self._latents

    def _follow(self, changes: Any) -> None:
        given = isinstance(changes, str) and re.fullmatch("[0-9a-f]{8}", changes)
        self._log, self._read_to = (self.path.with_name(f"labels.{changes}.jsonl") if given else None), 0

    def _id(self, latent: str) -> int:
        if not (latent.isascii() and latent.isdigit() and len(latent) < 10 and int(latent) < self.d_sae):
            raise SaelabError(
                f"{self.path}: {latent[:40]!r} is no latent; this SAE has latents 0…{self.d_sae - 1}"
            )
        return int(latent)

    def _entry(self, entry: Any) -> dict[str, str]:
        if not isinstance(entry, dict) or not all(isinstance(t, str) for t in entry.values()):
            raise SaelabError(f"{self.path}: {str(entry)[:80]!r} is no label and note; each is text")
        return entry

    def _read_log(self) -> None:
        """Take in the lines that were appended since; the last one is left where its writer was killed in it."""
        if self._log is None or not self._log.is_file() or self._log.stat().st_size == self._read_to:
            return
        with files.reading(self._log), self._log.open("rb") as f:
            f.seek(self._read_to)
            for line in f:
                if not line.endswith(b"\n"):
                    break
                if line[:8] != b"%08x" % zlib.crc32(line[9:]):
                    raise SaelabError(f"{self._log} is damaged: a line does not match its checksum")
                for latent, entry in files.parse_json(line[9:].decode(), self._log).items():
                    self._latents[self._id(latent)] = self._entry(entry)
                self._read_to += len(line)

    def _append(self, latents: dict[int, dict[str, str]]) -> None:
        assert self._log is not None
        text = json.dumps({str(k): v for k, v in latents.items()}, ensure_ascii=False).encode() + b"\n"
        with files.writing(self._log), self._log.open("ab") as f:
            f.truncate(self._read_to)  # half a line of a writer that was killed
            f.write(b"%08x " % zlib.crc32(text) + text)
            f.flush()
            os.fsync(f.fileno())

    def _read(self) -> dict[str, Any]:
        data = files.read_json(self.path)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise SaelabError(f"{self.path} is not a file of latent labels")
        files.check_form(self.path, data, _FORM)
        return data

    def get(self, latent: int, key: str) -> str:
        """The label or note; empty if there is none."""
        return self.all().get(latent, {}).get(key, "")

    def source(self, latent: int) -> str:
        """Who or what wrote the label, and its score, in one line; empty if nothing is known."""
        return said(self.all().get(latent, {}))

    def labels(self, latents: Iterable[int]) -> list[str]:
        """The label of each, read once."""
        notes = self.all()
        return [notes.get(i, {}).get("label", "") for i in latents]

    def set(
        self, key: str, texts: Mapping[int, str | None], about: Mapping[int, Mapping[str, str]] | None = None
    ) -> None:
        """Keep the text of each latent, all in one write; None or an empty text removes it.

        ``about`` says source and score of labels; a label that is written without loses those it had.
        """
        for text in texts.values():
            if text is not None and not isinstance(text, str):
                raise SaelabError(f"a {key} is text, got {type(text).__name__}")
        with self._alone():
            latents, changed = self.all(), {}
            for latent, text in texts.items():
                entry = {**latents.get(latent, {}), key: (text or "").strip()}
                if key == "label" and (about or entry["label"] != latents.get(latent, {}).get("label", "")):
                    entry |= {"source": "", "score": ""} | dict((about or {}).get(latent, {}) if text else {})
                changed[latent] = {k: v for k, v in entry.items() if v}
            if self._log is not None and 16 * max(len(changed), self._read_to // 64) < len(latents):
                self._append(changed)
            else:
                self._write({**latents, **changed})
        for view in list(self._watching):
            view.labels_changed()

    def _alone(self) -> AbstractContextManager[None]:
        """Nobody else writes meanwhile."""
        return files.folder_lock(self.path.parent, "labelling", wait=True, name=".labels.lock")

    def _write(self, latents: dict[int, dict[str, str]]) -> None:
        old, aside = self._log, False
        if self.path.exists():
            other = self._read()["sae"]
            if aside := other != self.sae:
                self.path.rename(self._aside(re.sub(r"\W", "", other)[:8]))
        ordered = {str(k): latents[k] for k in sorted(latents) if latents[k]}
        changes = {"changes": secrets.token_hex(4)} if len(ordered) > _MANY else {}
        whole = {"format": FORMAT, "sae": self.sae, **changes, "latents": ordered}
        files.write_json(self.path, whole, checked=True)
        if old is not None and not aside:
            old.unlink(missing_ok=True)

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
        keys = sorted(k for k, v in latents.items() if v)
        columns = {c: [latents[k].get(c, "") for k in keys] for c in ("label", "note", "source", "score")}
        return TextFrame({"latent": pd.array(keys, dtype="int64"), **columns})


def said(entry: Mapping[str, str]) -> str:
    """Source and score of a label in one line."""
    return ": ".join(entry[k] for k in ("source", "score") if entry.get(k))

"""Write an index while codes arrive: a journal that survives a crash, then the sort.

Codes of stretches of positions are appended, in order, to the files ``code_latent`` and ``code_value``;
after each stretch the data is forced to disk and the journal says how far it reaches. A build that was
killed goes on there. When all positions are written the codes are sorted by latent, and ``index.json`` is
written last. An index that is to be replaced stays whole until then.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from saelab.errors import SaelabError
from saelab.files import folder_lock, read_json, write_json, writing
from saelab.identity import changed
from saelab.index.storage import layout, windows
from saelab.index.storage.arrays import GrowingArray, pointers
from saelab.index.storage.transpose import transpose
from saelab.index.storage.vocab import Vocab
from saelab.models.rows import TokenRows

_SYNC_SECONDS = 2.0
_JOURNAL = {"identity": {str: str}}


class IndexWriter:
    """Writes the index of ``rows`` into ``folder``; a context manager.

    Parameters
    ----------
    counted
        (n_tokens,) bool, positions that count.
    config
        What goes into ``index.json`` beside the sizes; plain JSON data.
    identity
        Digests of all that decides the content. A half-written folder is gone on with only if they are the
        same.
    memory
        Bytes to sort in.
    overwrite
        Begin anew, and replace an index that is there when this one is whole.
    """

    def __init__(
        self, folder: Path, rows: TokenRows, counted: np.ndarray, d_sae: int, vocab: Vocab, *,
        config: dict[str, Any], identity: dict[str, str], memory: int, overwrite: bool = False,
    ):  # fmt: skip
        self.folder, self.rows, self.d_sae, self.memory = folder, rows, d_sae, memory
        self.config, self.identity = config, identity
        self.work = folder / ".build"
        self.n_counted = int(counted.sum())
        with contextlib.ExitStack() as stack:
            stack.enter_context(folder_lock(folder, "building an index"))
            stack.enter_context(writing(folder))
            journal, self.place = claim(folder, identity, overwrite)
            if "positions" not in journal:
                self._write_text(counted, vocab)
                journal |= {"positions": 0, "active": 0}
                write_json(self.work / "journal.json", journal, checked=True)
            self.positions, active = journal["positions"], journal["active"]  # what is before is on disk
            self._counts = stack.enter_context(
                GrowingArray(self.work / "counts.npy", np.int32, keep=self.positions)
            )
            latent_type = layout.latent_type(d_sae)
            self._latent = stack.enter_context(
                GrowingArray(layout.file(self.place, "code_latent"), latent_type, keep=active)
            )
            self._value = stack.enter_context(
                GrowingArray(layout.file(self.place, "code_value"), np.float32, keep=active)
            )
            self._arrays = self._counts, self._latent, self._value
            self._synced = time.monotonic()
            self._held = stack.pop_all()

    def _write_text(self, counted: np.ndarray, vocab: Vocab) -> None:
        rows = self.rows
        for name, array, dtype in (
            ("tokens", rows.ids, np.int32), ("counted", counted, np.bool_),
            ("row_offsets", rows.offsets, np.int64), ("row_doc", rows.doc, np.int32),
            ("row_start", rows.start, np.int32), ("vocab_ptr", vocab.ptr, np.int64),
            ("vocab_bytes", vocab.data, np.uint8),
            ("window", windows.fingerprints(rows, np.arange(rows.n_tokens)), np.uint64),
        ):  # fmt: skip
            layout.save(self.place, name, np.asarray(array, dtype=dtype))

    def append(self, stop: int, counts: np.ndarray, latent: np.ndarray, value: np.ndarray) -> None:
        """Codes of the positions up to ``stop``: how many each has (0 where not counted), and all of them."""
        if len(counts) != stop - self.positions or not int(counts.sum()) == len(latent) == len(value):
            raise SaelabError(f"codes of positions {self.positions}…{stop} do not fit together")
        self._counts.append(counts)
        self._latent.append(latent)
        self._value.append(value)
        self.positions = stop
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Force what was appended to disk and say so in the journal."""
        for array in self._arrays:
            array.sync()
        state = {"identity": self.identity, "positions": self.positions, "active": self._latent.length}
        write_json(self.work / "journal.json", state, checked=True)
        self._synced = time.monotonic()

    def finish(self, tick: Callable[[int], object] = lambda n: None) -> None:
        """Sort by latent and complete the index; ``tick`` hears of each entry twice."""
        if self.positions != self.rows.n_tokens:
            raise SaelabError(f"only {self.positions} of {self.rows.n_tokens} positions were written")
        self.checkpoint()
        for array in self._arrays:
            array.close()
        n_active = self._latent.length
        layout.save(self.place, "code_ptr", pointers(np.load(self.work / "counts.npy")))
        transpose(self.place, self.d_sae, self.memory, tick)
        sizes = {
            "d_sae": self.d_sae, "n_rows": len(self.rows), "n_tokens": self.rows.n_tokens,
            "n_counted": self.n_counted, "n_active": n_active,
        }  # fmt: skip
        layout.seal(self.folder, self.place, {**self.config, "identity": self.identity, **sizes})
        clear(self.folder, keep=self.place)
        self.close()

    def close(self) -> None:
        """Release files; what was checkpointed stays for the next attempt."""
        self._held.close()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self._held.__exit__(*error)


def claim(folder: Path, identity: dict[str, str], overwrite: bool) -> tuple[dict[str, Any], Path]:
    """The journal to go on with, without ``positions`` if work begins, and where the arrays go; in a folder one holds.

    Raises
    ------
    SaelabError
        If the folder holds a finished index, a half-written one of something else, or other files.
    """
    finished, work = layout.is_index(folder), folder / ".build"
    if finished and not overwrite:
        raise SaelabError(
            f"{folder} already holds an index; open it with LatentIndex.open, or pass overwrite=True"
        )
    others = [p for p in folder.iterdir() if not p.match("labels*.json*") and not p.name.startswith(".")]
    if others and not work.is_dir() and not finished:
        raise SaelabError(f"{folder} is not empty and holds no index; choose another folder")
    if overwrite:
        keep = None
        with contextlib.suppress(SaelabError):  # one that cannot be read needs no keeping
            keep = layout.place_of(folder, layout.read_config(folder))
        clear(folder, keep)
    work.mkdir(exist_ok=True)
    place = folder / f"arrays-{secrets.token_hex(4)}" if finished else folder
    place.mkdir(exist_ok=True)
    if not (work / "journal.json").exists():  # killed before its first journal: nothing to go on with
        return {"identity": identity}, place
    journal = read_json(work / "journal.json", _JOURNAL)
    differs = changed(journal["identity"], identity)
    if differs:
        raise SaelabError(
            f"{folder} holds an unfinished index with another {', '.join(differs)}; pass overwrite=True to "
            "start anew, or choose another folder"
        )
    return journal, place


def clear(folder: Path, keep: Path | None) -> None:
    """Remove what belongs to an index, finished or not, but ``index.json`` and the arrays in ``keep``."""
    shutil.rmtree(folder / ".build", ignore_errors=True)
    for place in (folder, *folder.glob("arrays-*")):
        if place != keep:
            for name in layout.ARRAYS:
                with contextlib.suppress(PermissionError):  # Windows: somebody has it open
                    layout.file(place, name).unlink(missing_ok=True)
            if place != folder:
                with contextlib.suppress(OSError):
                    place.rmdir()

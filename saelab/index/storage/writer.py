"""Write an index while codes arrive: a journal that survives a crash, then the sort.

Codes of stretches of positions are appended, in order, to the files ``code_latent`` and ``code_value``;
after each stretch the data is forced to disk and the journal says how far it reaches. A build that was
killed goes on there. When all positions are written the codes are sorted by latent, and ``index.json`` is
written last.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from saelab.errors import SaelabError
from saelab.files import read_json, write_json
from saelab.index.storage import layout, windows
from saelab.index.storage.arrays import GrowingArray, pointers
from saelab.index.storage.transpose import transpose
from saelab.index.storage.vocab import Vocab
from saelab.models.rows import TokenRows

_SYNC_SECONDS = 2.0


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
    """

    def __init__(
        self, folder: Path, rows: TokenRows, counted: np.ndarray, d_sae: int, vocab: Vocab, *,
        config: dict[str, Any], identity: dict[str, str], memory: int,
    ):  # fmt: skip
        self.folder, self.rows, self.d_sae, self.memory = folder, rows, d_sae, memory
        self.config, self.identity = config, identity
        self.work = folder / ".build"
        self.n_counted = int(counted.sum())
        journal = claim(folder, identity)
        self._lock = lock_folder(self.work)
        try:
            if journal is None:
                self._write_text(counted, vocab)
                journal = {"identity": identity, "positions": 0, "active": 0}
                write_json(self.work / "journal.json", journal)
            self.positions, active = journal["positions"], journal["active"]  # what is before is on disk
            self._counts = GrowingArray(self.work / "counts.npy", np.int32, keep=self.positions)
            latent_type = layout.latent_type(d_sae)
            self._latent = GrowingArray(layout.file(folder, "code_latent"), latent_type, keep=active)
            self._value = GrowingArray(layout.file(folder, "code_value"), np.float32, keep=active)
            self._arrays = self._counts, self._latent, self._value
            self._synced = time.monotonic()
        except BaseException:
            self._lock.close()
            raise

    def _write_text(self, counted: np.ndarray, vocab: Vocab) -> None:
        rows = self.rows
        for name, array, dtype in (
            ("tokens", rows.ids, np.int32), ("counted", counted, np.bool_),
            ("row_offsets", rows.offsets, np.int64), ("row_doc", rows.doc, np.int32),
            ("row_start", rows.start, np.int32), ("vocab_ptr", vocab.ptr, np.int64),
            ("vocab_bytes", vocab.data, np.uint8),
            ("window", windows.fingerprints(rows, np.arange(rows.n_tokens)), np.uint64),
        ):  # fmt: skip
            layout.save(self.folder, name, np.asarray(array, dtype=dtype))

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
        write_json(self.work / "journal.json", state)
        self._synced = time.monotonic()

    def finish(self, tick: Callable[[int], object] = lambda n: None) -> None:
        """Sort by latent and complete the index; ``tick`` hears of each entry twice."""
        if self.positions != self.rows.n_tokens:
            raise SaelabError(f"only {self.positions} of {self.rows.n_tokens} positions were written")
        self.checkpoint()
        for array in self._arrays:
            array.close()
        n_active = self._latent.length
        layout.save(self.folder, "code_ptr", pointers(np.load(self.work / "counts.npy")))
        transpose(self.folder, self.d_sae, self.memory, tick)
        sizes = {
            "d_sae": self.d_sae, "n_rows": len(self.rows), "n_tokens": self.rows.n_tokens,
            "n_counted": self.n_counted, "n_active": n_active,
        }  # fmt: skip
        layout.seal(self.folder, {**self.config, "identity": self.identity, **sizes})
        self.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def close(self) -> None:
        """Release files; what was checkpointed stays for the next attempt."""
        for array in self._arrays:
            array.close()
        self._lock.close()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def claim(folder: Path, identity: dict[str, str]) -> dict[str, Any] | None:
    """The journal to go on with, or None for a fresh folder, which is made.

    Raises
    ------
    SaelabError
        If the folder holds a finished index, a half-written one of something else, or other files.
    """
    if folder.exists() and not folder.is_dir():
        raise SaelabError(f"{folder} is a file; an index is a folder")
    if layout.is_index(folder):
        raise SaelabError(
            f"{folder} already holds an index; open it with LatentIndex.open, or pass overwrite=True"
        )
    work = folder / ".build"
    others = [p for p in folder.iterdir() if not p.match("labels*.json")] if folder.is_dir() else []
    if others and not work.is_dir():
        raise SaelabError(f"{folder} is not empty and holds no index; choose another folder")
    work.mkdir(parents=True, exist_ok=True)
    try:
        journal = read_json(work / "journal.json")
    except SaelabError:  # killed before its first journal: nothing to go on with
        return None
    differs = [k for k in identity if journal["identity"].get(k) != identity[k]]
    if differs:
        raise SaelabError(
            f"{folder} holds an unfinished index with another {', '.join(differs)}; pass overwrite=True to "
            "start anew, or choose another folder"
        )
    return journal


def lock_folder(work: Path) -> Any:
    """An open file that nobody else holds: two builds into one folder would mix their codes."""
    handle = (work / "lock").open("w")
    try:
        import fcntl
    except ImportError:  # Windows refuses a second writer of an open file by itself
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise SaelabError(f"another process is building an index in {work.parent} at this moment") from None
    return handle


def clear(folder: Path) -> None:
    """Remove an index (finished or not) and nothing else; ``index.json`` first: no half index can open."""
    (folder / "index.json").unlink(missing_ok=True)
    for name in layout.ARRAYS:
        layout.file(folder, name).unlink(missing_ok=True)
    shutil.rmtree(folder / ".build", ignore_errors=True)

"""A run as a file: ``spec.json`` beside what the run writes, which ``saelab train`` reads."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saelab import files, identity, models
from saelab.activations.store import ActivationStore
from saelab.errors import SaelabError, check_path

NAME = "spec.json"
OF_MODEL = ("model", "model_dtype", "model_digest")
NOT_IN_A_FILE = ("model", "texts", "progress", "on_log", "monitor", "ranks")


class TextFile:
    """The documents of a file, read when they are asked for: a ``.txt`` has one on each line, a ``.jsonl`` on each line a
    string, or an object with the document under ``text``."""

    def __init__(self, path: str | Path):
        self.path = Path(check_path("texts", path)).expanduser().absolute()
        if self.path.suffix not in (".txt", ".jsonl") or not self.path.is_file():
            raise SaelabError(f"texts is a .txt or .jsonl file that is there, got {str(path)!r}")

    def __iter__(self) -> Iterator[str]:
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines):
                yield self._parsed(line, number)

    def __len__(self) -> int:
        return len(self._begins)

    def __getitem__(self, number: int) -> str:
        with self.path.open("rb") as lines:
            lines.seek(self._begins[number])
            return self._parsed(lines.readline(), number)

    @functools.cached_property
    def _begins(self) -> np.ndarray:
        """(n,) int64, where each line begins."""
        with self.path.open("rb") as lines:
            sizes = np.fromiter(map(len, lines), np.int64)
        return np.cumsum(sizes) - sizes

    def _parsed(self, line: bytes, number: int) -> str:
        where = f"{self.path}, line {number + 1}"
        try:
            text = line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise SaelabError(f"{where}: {error}") from None
        value: Any = text if self.path.suffix == ".txt" else files.parse_json(text, where)
        value = value.get("text") if isinstance(value, dict) else value
        if not isinstance(value, str):
            raise SaelabError(f"{where}: neither a string nor an object with a string under 'text'")
        return value


def write(folder: Path, call: Callable[..., Any], source: Any, texts: Any, given: Mapping[str, Any]) -> None:
    """Write ``spec.json`` into the folder of a run that ``call`` begins: of ``given`` what is not as it is by itself. A list
    of strings goes into ``texts.jsonl``, an SAE to begin with into ``init``; other texts the reader must be told.
    """
    own = inspect.signature(call).parameters
    spec = {n: v for n, v in given.items() if n in own and n not in NOT_IN_A_FILE and v is not own[n].default}
    spec |= {"out": str(folder.absolute()), "resume": True}
    if given.get("init") is not None:
        spec["init"] = str(given["init"].save(folder.absolute() / "init"))
    if not isinstance(source, ActivationStore):
        spec |= {"model": models.model_name(source), "model_digest": models.digest(source)}
        spec["model_dtype"] = identity.dtype_of(spec["model_digest"])
    elif source.folder is not None:
        spec["store"] = str(source.folder.absolute())
    if isinstance(texts, (list, tuple)) and texts and all(isinstance(t, str) for t in texts):
        path = folder.absolute() / "texts.jsonl"
        with files.atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as f:
            f.writelines(json.dumps(t) + "\n" for t in texts)
        texts = TextFile(path)
    if isinstance(texts, TextFile):
        spec["texts"] = str(texts.path)
    files.write_json(folder / NAME, {n: v for n, v in files.plain(spec, other=str).items() if v is not None})

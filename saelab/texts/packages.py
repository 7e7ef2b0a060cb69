"""Real text that is on every machine: docstrings, licences and read-mes of the installed Python packages."""

from __future__ import annotations

import ast
import random
import warnings
import zlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from saelab.doors import door


@door
def package_texts(seed: int = 0, *, min_chars: int = 400, max_chars: int = 4000) -> Iterator[str]:
    """Documents from the installed packages, shuffled by ``seed``: docstrings, licences, read-mes (package
    metadata), and source files; each cut to ``max_chars``, so that no long file outweighs many short ones,
    and left out below ``min_chars``.

    A file is one document: a Python file gives its docstrings or its source, never both, else a held-out
    document would repeat one that was trained on. Ends when all are read (tens of MB on a usual machine).
    What is installed decides what comes, so two machines give different text; a run's record keeps a hash of
    what it saw.

    >>> text = next(sl.package_texts(max_chars=1000))
    >>> 400 <= len(text) <= 1000
    True
    """
    sources = _sources()
    random.Random(seed).shuffle(sources)
    seen: set[int] = set()  # one licence text ships with a hundred packages
    for path in sources:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        document = _document(path, text, min_chars)[:max_chars]
        key = hash(document)
        if len(document) >= min_chars and key not in seen:
            seen.add(key)
            yield document


def _sources() -> list[Path]:
    found: set[Path] = set()
    for distribution in metadata.distributions():
        for file in distribution.files or ():
            if file.suffix in (".py", ".md", ".txt", ".rst") or file.name in (
                "METADATA",
                "LICENSE",
                "COPYING",
            ):
                found.add(Path(str(distribution.locate_file(file))))
    return sorted(found)


def _document(path: Path, text: str, min_chars: int) -> str:
    """The file, or of every second Python file its docstrings, where they are long enough."""
    if path.suffix != ".py" or zlib.crc32(path.name.encode()) % 2:
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escapes are not our user's business
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return text
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    notes = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, nodes)]
    joined = "\n\n".join(n for n in notes if n)
    return joined if len(joined) >= min_chars else text

"""Neuronpedia's explanations, read as words for the latents of an index."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from saelab import files
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_text
from saelab.index import LatentIndex
from saelab.words.calls import clean
from saelab.words.explaining import LONGEST, Explanation, Explanations

_BYTES = 1 << 28  # of a file, unpacked


@door
def read_neuronpedia(index: LatentIndex, path: str | Path, *, model: str | None = None) -> Explanations:
    """Explanations that were saved from Neuronpedia: a file, or a folder of files.

    Their forms are the answer of ``/api/explanation/export``, the lines of the public data sets
    (``explanations/batch-N.jsonl.gz``), and uploads (:meth:`saelab.LatentIndex.to_neuronpedia`). Of several explanations of
    a latent the first is taken.

    Parameters
    ----------
    model
        Take those of this explaining model alone, such as ``"gpt-4o-mini"``.

    Raises
    ------
    SaelabError
        That names the file, if it is of none of these forms, has a latent that this SAE has not, or nothing fits.

    Examples
    --------
    >>> index.set_label(latent, "articles")
    >>> (path,) = index.to_neuronpedia(folder, [latent], model_id="tiny", source="0-res")
    >>> sl.words.read_neuronpedia(index, path)[latent]
    'articles'
    """
    if not (whole := Path(path)).exists():
        raise SaelabError(f"no file {path}")
    found: dict[int, Explanation] = {}
    names = set()
    for file in sorted(whole.rglob("*.json*")) if whole.is_dir() else [whole]:
        for latent, text, name in _lines(file):
            if not 0 <= latent < index.d_sae:
                raise SaelabError(
                    f"{file}: latent {latent} is out of range: this SAE has latents 0…{index.d_sae - 1}"
                )
            if latent not in found and model in (None, name) and (said := clean(text, LONGEST)):
                found[latent] = Explanation(said)
                names.add(name)
    if not found:
        raise SaelabError(f"{path} has no explanation" + (f" by {model!r}" if model else ""))
    only = f", {names.pop()}" if len(names) == 1 and names != {""} else ""
    return Explanations(index, clean(f"Neuronpedia{only}", 100), dict(sorted(found.items())))


def _lines(file: Path) -> list[tuple[int, str, str]]:
    """(latent, text, explaining model) of each explanation in a file."""
    with files.reading(file):
        packed = file.suffix == ".gz"
        with gzip.open(file) if packed else file.open("rb") as f:
            content = f.read(_BYTES + 1)
        if len(content) > _BYTES:
            raise SaelabError(f"{file} has more than {_BYTES:,} bytes")
        text = content.decode("utf-8-sig")
        several = ".jsonl" in file.suffixes
        data: Any = (
            [files.parse_json(x, file) for x in text.split("\n") if x.strip()]
            if several
            else files.parse_json(text, file)
        )
        if isinstance(data, dict):  # an upload, or one feature
            return [
                (_latent(f, file), _text(e, "text", file), str(e.get("modelName") or e.get("methodName") or ""))
                for f in data["features"] for e in f.get("explanations") or []
            ]  # fmt: skip
        return [
            (_latent(e, file), _text(e, "description", file), str(e.get("explanationModelName") or ""))
            for e in data
        ]


def _latent(line: dict[str, Any], file: Path) -> int:
    """The index of a latent; the public data sets have it as text."""
    given = line["index"]
    digits = isinstance(given, str) and given.strip().isascii() and given.strip().isdigit()
    return check_count(f"{file}: index", int(given) if digits else given, None)


def _text(line: dict[str, Any], name: str, file: Path) -> str:
    given = line.get(name, "") if name == "text" else line[name]
    none = given is None and name == "description"  # such lines of the data sets have none
    return "" if none else check_text(f"{file}: {name}", given)

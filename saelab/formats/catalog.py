"""Published SAEs by name, from ``catalog.json``: one entry per release, with a template for its SAEs.

A release states what is public about it: repository, path of each SAE, model, hook point, width,
architecture, format, and L0 where published. ``{layer}`` in a template runs over ``layers``; ``per_layer``
gives what differs from one to the next."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelab import files
from saelab.errors import SaelabError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from saelab.sae import SAE

COLUMNS = ("name", "model", "hook", "d_sae", "l0", "arch", "format", "repo", "id")
# names other libraries use for a model, and the one it is loaded by
MODELS = {
    "gpt2-small": "gpt2",
    "gemma-2-2b": "google/gemma-2-2b",
    "gemma-2-9b": "google/gemma-2-9b",
    "pythia-70m-deduped": "EleutherAI/pythia-70m-deduped",
    "pythia-160m-deduped": "EleutherAI/pythia-160m-deduped",
    "mistral-7b": "mistralai/Mistral-7B-v0.1",
}


@functools.cache
def entries() -> dict[str, dict[str, Any]]:
    """Every SAE of the catalogue: name -> its facts."""
    out: dict[str, dict[str, Any]] = {}
    for release in files.read_json(Path(__file__).with_name("catalog.json")):
        first, last = release["layers"]
        for i, layer in enumerate(range(first, last + 1)):
            fill = {
                "layer": layer,
                **{key: values[i] for key, values in release.get("per_layer", {}).items()},
            }
            entry = {key: release[key].format(**fill) for key in ("name", "id", "hook")}
            entry |= {key: release[key] for key in ("repo", "model", "d_sae", "arch", "format")}
            entry |= {"l0": fill.get("l0", release.get("l0")), "given": release.get("given", {})}
            out[entry["name"]] = entry
    return out


def names() -> list[str]:
    """Of all SAEs of the catalogue."""
    return list(entries())


def find(name: str) -> dict[str, Any] | None:
    """The facts of one SAE, or None if it is not in the catalogue."""
    return entries().get(name)


def catalog(query: str = "") -> pd.DataFrame:
    """Published SAEs whose name, model, hook point, architecture, format or repository contains ``query``.

    >>> import saelab as sl
    >>> sl.catalog("gemma-2-2b").columns.tolist()
    ['name', 'model', 'hook', 'd_sae', 'l0', 'arch', 'format', 'repo', 'id']

    Raises
    ------
    SaelabError
        If nothing matches; with the nearest models.
    """
    import pandas as pd

    table = pd.DataFrame(
        [{key: e[key] for key in COLUMNS} for e in entries().values()], columns=list(COLUMNS)
    )
    words = query.lower().split()
    text = table[["name", "model", "hook", "arch", "format", "repo"]].agg(" ".join, axis=1).str.lower()
    keep = pd.Series(True, index=table.index)
    for word in words:
        keep &= text.str.contains(word, regex=False)
    if words and not keep.any():
        raise unknown("model or release", query, sorted(set(table["model"]) | set(table["repo"])))
    return pd.DataFrame(table[keep]).reset_index(drop=True)


def load_model_for(sae: SAE, **options: Any) -> Any:
    """The model ``sae`` reads, as :func:`saelab.load_model` gives it: weights as published, neither centred
    nor folded.

    ``options`` are those of ``load_model``.

    Raises
    ------
    SaelabError
        If the SAE names no model.
    """
    from saelab import models

    name = sae.config.model
    if not name:
        raise SaelabError("this SAE does not say which model it reads; load it with sl.load_model(name)")
    if "+" in name:
        raise SaelabError(
            f"this crosscoder reads several models ({name}); load each with sl.load_model(name)"
        )
    return models.load_model(MODELS.get(name, name), **options)

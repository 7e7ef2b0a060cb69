"""Records of OpenAI's SAE viewer (github.com/openai/sparse_autoencoder, ``sae-viewer``): write and read.

One JSON file per latent, ``atoms/{latent}.json``, with the keys of the published records in their order:
``random`` and ``top`` (lists of windows with ``doc_id, idx, acts, act, token_ints, tokens``), ``hist`` (bin
``ceil(act / bin_width)``, ``"0"`` holds the zeros, the counts add up to ``total_count``), ``density``,
``mean_act``, ``mean_act_squared``, ``mean_pos_act``, ``skew``, ``kurtosis``, ``bin_width``, ``total_count``.
Moments are about zero. ``bin_width`` is 0.2 in all of them: the viewer has that number built in. What is
undefined (the mean of a latent that never fires) is ``null``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.files import read_json, write_text
from saelab.index.examples import Parts
from saelab.index.exports.records import Example, LatentRecord, examples, to_json, wanted
from saelab.index.firings import Firings
from saelab.index.queries import Queries

BIN_WIDTH = 0.2


@door
def write_openai(
    index: Queries, folder: str | Path, latents: Iterable[int] | None = None, *,
    n: int = 64, window: int = 64, seed: int = 0,
) -> Path:  # fmt: skip
    """Write records of OpenAI's SAE viewer, ``atoms/{latent}.json``.

    Parameters
    ----------
    latents
        Which; None takes all that fire.
    n
        Most windows in ``top`` and in ``random`` each; equal texts are there once.
    window
        Tokens per window, fewer where a row is shorter.

    Examples
    --------
    >>> (index.to_openai(folder, [latent]) / "atoms" / f"{latent}.json").exists()
    True
    """
    chosen = wanted(index, np.flatnonzero(index.counts) if latents is None else latents)
    records = openai_records(index, chosen, n=n, window=window, seed=seed)
    for latent, record in zip(chosen, records, strict=True):
        write_text(Path(folder) / "atoms" / f"{latent}.json", to_json(record))
    return Path(folder)


def openai_records(
    index: Queries, latents: Iterable[int], *, n: int = 64, window: int = 64, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """The records that :func:`write_openai` writes, as plain JSON data."""
    before = (check_count("window", window, high=1 << 20) - 1) // 2
    after = window - 1 - before
    for firings in Firings.groups(index, wanted(index, latents)):
        whole = Parts.whole(index, firings)
        random, top = (
            examples(index, firings, whole.found(*chosen), before, after)
            for chosen in (whole.at_random(n, seed), whole.strongest(n))
        )
        of_each = zip(firings.latents.tolist(), index.stats_of(firings.latents), random, top, strict=True)
        for latent, stats, *lists in of_each:
            yield _record(index, latent, stats, *([_sequence(e) for e in some] for some in lists))


def _record(index: Queries, latent: int, stats: dict[str, Any], random: list, top: list) -> dict[str, Any]:
    n_counted = index.n_counted
    mean = None if not n_counted else (stats["n"] * stats["mean"] / n_counted if stats["n"] else 0.0)
    record = {
        "random": random, "top": top, "hist": _histogram(index.postings(latent).value, n_counted),
        "density": stats["density"], "mean_act": mean, "mean_act_squared": stats["mean_sq"],
        "mean_pos_act": stats["mean"], "skew": stats["skew"], "kurtosis": stats["kurtosis"],
        "bin_width": BIN_WIDTH, "total_count": n_counted,
    }  # fmt: skip
    undefined = [k for k, v in record.items() if isinstance(v, float) and not np.isfinite(v)]
    return record | dict.fromkeys(undefined)


def _histogram(value: np.ndarray, total: int) -> dict[str, int]:
    place = np.ceil(value.astype(np.float64) / BIN_WIDTH).astype(np.int64)
    bins, count = np.unique(place, return_counts=True)
    return {"0": total - len(value), **{str(b): int(c) for b, c in zip(bins, count, strict=True)}}


def _sequence(e: Example) -> dict[str, Any]:
    return {
        "doc_id": e.doc, "idx": e.center, "acts": list(e.values), "act": e.values[e.center],
        "token_ints": None if e.token_ids is None else list(e.token_ids), "tokens": list(e.tokens), **e.extra,
    }  # fmt: skip


def read_openai(source: str | Path | dict[str, Any]) -> LatentRecord:
    """A record from a file or from parsed JSON, checked.

    Raises
    ------
    SaelabError
        If a key is missing or the record contradicts itself; the file, the key and the window are named.
    """
    if isinstance(source, dict):
        return _parse(source, "the record", None)
    path = Path(source)
    return _parse(read_json(path), str(path), int(path.stem) if path.stem.isdigit() else None)


def _parse(data: Any, name: str, latent: int | None) -> LatentRecord:
    if not isinstance(data, dict):
        raise SaelabError(f"{name} is not a record of OpenAI's viewer: it holds a {type(data).__name__}")
    # the viewer itself can do without the last four
    for key in ("random", "top", "hist", "density", "mean_act", "mean_act_squared"):
        if key not in data:
            raise SaelabError(f"{name} is not a record of OpenAI's viewer: it has no {key!r}")
    total = data.get("total_count")
    if total is not None and sum(data["hist"].values()) != total:
        raise SaelabError(
            f"{name}: hist counts {sum(data['hist'].values())} tokens, total_count says {total}"
        )
    groups = {
        key: tuple(_parse_sequence(s, f"{name}, {key}[{i}]") for i, s in enumerate(data[key]))
        for key in ("random", "top")
    }
    # all keys in the order of the file, so that writing gives the same text back
    facts = {key: None if key in groups else value for key, value in data.items()}
    return LatentRecord(latent, groups, facts)


def _parse_sequence(data: dict[str, Any], name: str) -> Example:
    for key in ("idx", "acts", "act", "tokens"):
        if key not in data:
            raise SaelabError(f"{name} has no {key!r}")
    known = ("doc_id", "idx", "acts", "act", "token_ints", "tokens")
    ids = data.get("token_ints")
    try:
        e = Example(
            tuple(data["tokens"]), tuple(data["acts"]), data["idx"], None if ids is None else tuple(ids),
            data.get("doc_id"), {k: v for k, v in data.items() if k not in known},
        )  # fmt: skip
    except SaelabError as error:
        raise SaelabError(f"{name}: {error}") from None
    if e.values[e.center] != data["act"]:
        raise SaelabError(f"{name}: act is {data['act']}, but acts[{e.center}] is {e.values[e.center]}")
    return e


def to_openai(record: LatentRecord) -> dict[str, Any]:
    """A record that was read, as the JSON data it came from."""
    return {
        key: [_sequence(e) for e in record.groups[key]] if key in record.groups else value
        for key, value in record.facts.items()
    }

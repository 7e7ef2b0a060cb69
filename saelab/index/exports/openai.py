"""Records of OpenAI's SAE viewer (github.com/openai/sparse_autoencoder, ``sae-viewer``): write and read.

One JSON file per latent, ``atoms/{latent}.json``, with the keys of the published records in their order:
``random`` and ``top`` (lists of windows with ``doc_id, idx, acts, act, token_ints, tokens``), ``hist`` (bin
``ceil(act / bin_width)``, ``"0"`` holds the zeros, the counts add up to ``total_count``), ``density``,
``mean_act``, ``mean_act_squared``, ``mean_pos_act``, ``skew``, ``kurtosis``, ``bin_width``, ``total_count``.
Moments are about zero. ``bin_width`` is 0.2 in all of them: the viewer has that number built in. What is
undefined (the mean of a latent that never fires) is ``null``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, check_count, check_latent
from saelab.files import read_json, write_text
from saelab.index.examples import Parts
from saelab.index.exports.records import Example, LatentRecord, examples
from saelab.index.firings import Firings

if TYPE_CHECKING:
    from saelab.index.latent_index import LatentIndex

KEYS = (
    "random", "top", "hist", "density", "mean_act", "mean_act_squared", "mean_pos_act", "skew", "kurtosis",
    "bin_width", "total_count",
)  # fmt: skip
_SEQUENCE = ("doc_id", "idx", "acts", "act", "token_ints", "tokens")
BIN_WIDTH = 0.2


def openai_records(
    index: LatentIndex, latents: Iterable[int], *, n: int = 64, window: int = 64, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """The records of latents as plain JSON data.

    Parameters
    ----------
    n
        Most windows in ``top`` and in ``random`` each; equal texts are there once.
    window
        Tokens per window, fewer where a row is shorter.
    """
    wanted = [check_latent(i, index.d_sae) for i in latents]
    before = (check_count("window", window) - 1) // 2
    after = window - 1 - before
    for firings in Firings.groups(index, wanted):
        whole = Parts.whole(index, firings)
        random, top = (
            examples(index, firings, whole.found(*chosen), before, after)
            for chosen in (whole.at_random(n, seed), whole.strongest(n))
        )
        of_each = zip(firings.latents.tolist(), index.stats_of(firings.latents), random, top, strict=True)
        for latent, stats, *lists in of_each:
            yield _record(index, latent, stats, *([_sequence(e) for e in some] for some in lists))


def _record(
    index: LatentIndex,
    latent: int,
    stats: dict[str, Any],
    random: list[dict[str, Any]],
    top: list[dict[str, Any]],
) -> dict[str, Any]:
    n_counted = index.n_counted
    mean = None if not n_counted else (stats["n"] * stats["mean"] / n_counted if stats["n"] else 0.0)
    values = {
        "random": random,
        "top": top,
        "hist": _histogram(index.postings(latent).value, n_counted),
        "density": stats["density"],
        "mean_act": mean,
        "mean_act_squared": stats["mean_sq"],
        "mean_pos_act": stats["mean"],
        "skew": stats["skew"],
        "kurtosis": stats["kurtosis"],
        "bin_width": BIN_WIDTH,
        "total_count": n_counted,
    }
    return {key: _defined(values[key]) for key in KEYS}


def _defined(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _histogram(value: np.ndarray, total: int) -> dict[str, int]:
    place = np.ceil(value.astype(np.float64) / BIN_WIDTH).astype(np.int64)
    bins, count = np.unique(place, return_counts=True)
    return {"0": total - len(value), **{str(b): int(c) for b, c in zip(bins, count, strict=True)}}


def _sequence(e: Example) -> dict[str, Any]:
    own = {
        "doc_id": e.doc, "idx": e.centre, "acts": list(e.values), "act": e.values[e.centre],
        "token_ints": None if e.token_ids is None else list(e.token_ids), "tokens": list(e.tokens),
    }  # fmt: skip
    return {**{k: own[k] for k in _SEQUENCE}, **e.extra}


def write_openai(
    index: LatentIndex, folder: str | Path, latents: Iterable[int] | None = None, **options: Any
) -> Path:
    """Write ``atoms/{latent}.json`` for ``latents`` (None: all that fire); see :func:`openai_records`."""
    chosen = np.flatnonzero(index.counts).tolist() if latents is None else list(latents)
    chosen = list(dict.fromkeys(check_latent(i, index.d_sae) for i in chosen))
    folder = Path(folder)
    for latent, record in zip(chosen, openai_records(index, chosen, **options), strict=True):
        write_text(
            folder / "atoms" / f"{latent}.json", json.dumps(record, ensure_ascii=False, allow_nan=False)
        )
    return folder


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
    try:
        e = Example(
            tokens=tuple(data["tokens"]), values=tuple(data["acts"]), centre=data["idx"],
            token_ids=None if data.get("token_ints") is None else tuple(data["token_ints"]),
            doc=data.get("doc_id"),
            extra={k: v for k, v in data.items() if k not in _SEQUENCE},
        )  # fmt: skip
    except SaelabError as error:
        raise SaelabError(f"{name}: {error}") from None
    if e.values[e.centre] != data["act"]:
        raise SaelabError(f"{name}: act is {data['act']}, but acts[{e.centre}] is {e.values[e.centre]}")
    return e


def to_openai(record: LatentRecord) -> dict[str, Any]:
    """A record that was read, as the JSON data it came from."""
    return {
        key: [_sequence(e) for e in record.groups[key]] if key in record.groups else value
        for key, value in record.facts.items()
    }

"""Join indexes that were made apart: shards of one text, or indexes of several texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saelab.errors import SaelabError, parse_bytes
from saelab.files import folder_lock, write_json, writing
from saelab.identity import digest, dtype_of, meet
from saelab.index.storage import layout
from saelab.index.storage.arrays import GrowingArray
from saelab.index.storage.transpose import transpose
from saelab.index.storage.writer import claim, clear

_JOINED = (
    "tokens", "counted", "window", "row_offsets", "row_doc", "row_start",
    "code_ptr", "code_latent", "code_value",
)  # fmt: skip


def merge(folders: Sequence[Path], out: Path, *, spill: int | str = "256MB", overwrite: bool = False) -> None:
    """Join indexes; see :meth:`LatentIndex.merge`."""
    memory = parse_bytes(spill)
    if not folders:
        raise SaelabError("there are no indexes to merge")
    resolved = [Path(f).resolve() for f in folders]
    if len(set(resolved)) < len(resolved):
        raise SaelabError("an index is named twice; its text would be counted twice")
    if Path(out).resolve() in resolved:
        raise SaelabError(f"{out} is one of the indexes to merge; write to another folder")
    parts, whole = _shard_order([(f, layout.read_config(Path(f))) for f in folders])
    arrays = [layout.open_arrays(Path(f), c) for f, c in parts]
    configs = [c for _, c in parts]
    known = [layout.facts(f, c, a) for (f, c), a in zip(parts, arrays, strict=True)]
    mismatch = tuple(note for other in known[1:] for note in meet(known[0], other))
    if not whole:
        _check_no_text_twice(parts)
    identity = {"merge of": repr([c["identity"] for c in configs])}
    with folder_lock(out, "building an index"), writing(out):
        _, place = claim(out, identity, overwrite)
        write_json(out / ".build" / "journal.json", {"identity": identity}, checked=True)
        _join(arrays, place, memory, configs[0]["d_sae"], renumber=not whole)
        noted = {"mismatch": mismatch} if mismatch else {}
        layout.seal(out, place, _joined_config(configs, whole, place) | noted)
        clear(out, keep=place)


def _joined_config(configs: list[dict[str, Any]], whole: bool, place: Path) -> dict[str, Any]:
    first = configs[0]
    config = {k: v for k, v in first.items() if k not in ("files", "format", "version", "arrays")}
    for key in ("n_rows", "n_tokens", "n_counted", "n_active"):
        config[key] = sum(c[key] for c in configs)
    times: Counter[str] = Counter()
    for c in configs:
        times.update(c["masked"]["tokens"])
    left_out = config["n_tokens"] - config["n_counted"]
    config["masked"] = {**first["masked"], "positions": left_out, "tokens": dict(times)}
    config["n_docs"] = len(np.unique(np.load(layout.file(place, "row_doc"), mmap_mode="r")))
    config["shard"] = None
    texts = [c["identity"]["text"] for c in configs]
    text = texts[0] if whole else digest(*(t.encode() for t in texts))
    config["identity"] = {**first["identity"], "text": text, "shard": repr(None)}
    return config


def _shard_order(parts: list[tuple[Path, dict[str, Any]]]) -> tuple[list[tuple[Path, dict[str, Any]]], bool]:
    """Parts in the order of the text, and whether they are the shards of one text; checked to fit."""
    first_path, first = parts[0]
    for path, config in parts[1:]:
        for what in ("threshold", "skip_special"):
            if config["identity"].get(what) != first["identity"].get(what):
                raise SaelabError(f"{path} and {first_path} cannot be merged: they have another {what}")
        kinds = {dtype_of(made) for c in (config, first) if "-" in (made := c["identity"].get("model", ""))}
        if len(kinds) > 1:
            raise SaelabError(
                f"{path} and {first_path} cannot be merged: the model was in {' and '.join(sorted(kinds))}"
            )
        if config["bos"] != first["bos"]:
            raise SaelabError(f"{path} and {first_path} cannot be merged: only one begins its rows with BOS")
    shards = [c["shard"] for _, c in parts]
    if None in shards or len({c["identity"]["text"] for _, c in parts}) > 1:
        return parts, False
    totals = {n for _, n in shards}
    have, n = sorted(i for i, _ in shards), max(totals)
    missing = sorted(set(range(n)) - set(have))
    if len(totals) > 1 or missing or len(have) != n:
        what = (
            f"shard {missing[0]} of {n} is missing"
            if missing
            else f"they are shards {have} of {sorted(totals)}"
        )
        raise SaelabError(f"these are not the shards of one text, each once: {what}")
    return sorted(parts, key=lambda p: p[1]["shard"][0]), True


def _check_no_text_twice(parts: list[tuple[Path, dict[str, Any]]]) -> None:
    held: dict[str, list[Any]] = {}
    for path, config in parts:
        before = held.setdefault(config["identity"]["text"], [])
        if before and (config["shard"] in before or None in (config["shard"], *before)):
            raise SaelabError(
                f"{path} holds text that another index to merge holds too; it would be counted twice"
            )
        before.append(config["shard"])


def _join(arrays: list[dict[str, np.ndarray]], out: Path, memory: int, d_sae: int, *, renumber: bool) -> None:
    n_tokens = np.cumsum([0, *(len(a["tokens"]) for a in arrays)])
    if n_tokens[-1] >= 1 << 31:
        raise SaelabError(f"{n_tokens[-1]} tokens are too many for one index (at most 2147483647)")
    n_active = np.cumsum([0, *(len(a["code_latent"]) for a in arrays)])
    docs = np.cumsum([0, *(int(a["row_doc"].max(initial=-1)) + 1 for a in arrays)]) * renumber
    shift = {"row_offsets": n_tokens, "code_ptr": n_active, "row_doc": docs}
    for name in _JOINED:
        with GrowingArray(layout.file(out, name), arrays[0][name].dtype) as joined:
            for i, part in enumerate(arrays):
                array = part[name]
                if name in ("row_offsets", "code_ptr") and i:
                    array = array[1:]  # the last end of one part is the first begin of the next
                for a in range(0, len(array), 1 << 20):
                    chunk = array[a : a + (1 << 20)]
                    joined.append(chunk + shift[name][i] if name in shift else chunk)
    for name in ("vocab_ptr", "vocab_bytes"):
        layout.save(out, name, arrays[0][name])
    transpose(out, d_sae, memory)

"""From the active latents of each position to the positions of each latent, in bounded memory.

An external sort. The codes are read in blocks that fit the memory allowed; each block, sorted by latent, is
a *run*: posting lists over a stretch of positions. Runs cover ascending stretches, so the posting list of a
latent is its lists in all runs, one after another. The same merge joins shards that were indexed apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saelab.index.storage import layout
from saelab.index.storage.arrays import GrowingArray, blocks, ranges, stable_order

_BYTES_PER_ENTRY = 48  # of working memory while a block is sorted or merged (measured)


@dataclass(frozen=True)
class Run:
    """Posting lists over a stretch of positions: ptr (d_sae + 1,), token (n,) + ``shift``, value (n,)."""

    ptr: np.ndarray
    token: np.ndarray
    value: np.ndarray
    shift: int = 0


def sort_runs(
    code_ptr: np.ndarray, latent: np.ndarray, value: np.ndarray, d_sae: int, folder: Path, memory: int,
    tick: Callable[[int], object] = lambda n: None,
) -> list[Run]:  # fmt: skip
    """Sorted runs of the codes, written to ``folder``; ``tick`` hears how many entries were done."""
    runs = []
    for number, (a, b) in enumerate(blocks(code_ptr, max(memory // _BYTES_PER_ENTRY, 1))):
        begin, end = int(code_ptr[a]), int(code_ptr[b])
        keys = latent[begin:end]
        order = stable_order(keys)
        ptr = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=d_sae))])
        token = np.repeat(np.arange(a, b, dtype=np.int32), np.diff(code_ptr[a : b + 1]))
        for name, array in (("ptr", ptr), ("token", token[order]), ("value", value[begin:end][order])):
            np.save(folder / f"run{number}_{name}.npy", array)
        runs.append(_map_run(folder, number))
        tick(end - begin)
    return runs


def _map_run(folder: Path, number: int) -> Run:
    names = ("ptr", "token", "value")
    ptr, token, value = (np.load(folder / f"run{number}_{name}.npy", mmap_mode="r") for name in names)
    return Run(np.asarray(ptr), np.asarray(token), np.asarray(value))


def merge_runs(
    runs: Sequence[Run], d_sae: int, folder: Path, memory: int, tick: Callable[[int], object] = lambda n: None
) -> None:
    """Write ``post_*``, ``moments`` and ``peak`` of runs that are in ascending order of position."""
    counts = np.zeros(d_sae, dtype=np.int64)
    for run in runs:
        counts += np.diff(run.ptr)
    ptr = np.concatenate([[0], np.cumsum(counts)])
    moments, peak = np.zeros((d_sae, 5)), np.full(d_sae, -1, dtype=np.int32)
    with (
        GrowingArray(layout.file(folder, "post_token"), np.int32) as tokens,
        GrowingArray(layout.file(folder, "post_value"), np.float32) as values,
    ):
        for a, b in blocks(ptr, max(memory // _BYTES_PER_ENTRY, 1)):
            token, value = _merge_block(runs, ptr, a, b)
            local = ptr[a : b + 1] - ptr[a]
            moments[a:b] = sums(local, value)
            alive, place = strongest(local, value)
            peak[a + alive] = token[place]
            tokens.append(token)
            values.append(value)
            tick(len(token))
    layout.save(folder, "post_ptr", ptr)
    layout.save(folder, "moments", moments)
    layout.save(folder, "peak", peak)


def _merge_block(runs: Sequence[Run], ptr: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    size = int(ptr[b] - ptr[a])
    token, value = np.empty(size, np.int32), np.empty(size, np.float32)
    cursor = ptr[a:b] - ptr[a]
    for run in runs:
        begin, end = int(run.ptr[a]), int(run.ptr[b])
        count = np.diff(run.ptr[a : b + 1])
        place = ranges(cursor, count) if len(runs) > 1 else slice(None)
        token[place] = run.token[begin:end] + np.int32(run.shift)
        value[place] = run.value[begin:end]
        cursor = cursor + count
    return token, value


def sums(ptr: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(latents, 5): sums of a, a², a³, a⁴ in float64 and the maximum, of compressed posting lists."""
    out = np.zeros((len(ptr) - 1, 5))
    alive = np.flatnonzero(np.diff(ptr))
    if len(alive):
        start = ptr[alive]
        power = x = value.astype(np.float64)
        for column in range(4):
            out[alive, column] = np.add.reduceat(power, start)
            power = power * x
        out[alive, 4] = np.maximum.reduceat(x, start)
    return out


def strongest(ptr: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latents that fire, and the place of the (first) maximum of each, of compressed posting lists."""
    count = np.diff(ptr)
    alive = np.flatnonzero(count)
    if not len(alive):
        return alive, alive
    largest = np.maximum.reduceat(value, ptr[alive])
    equal = np.flatnonzero(value == np.repeat(largest, count[alive]))
    return alive, equal[np.searchsorted(equal, ptr[alive])]

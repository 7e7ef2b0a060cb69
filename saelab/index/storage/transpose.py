"""From the active latents of each position to the positions of each latent, in bounded memory.

A counting sort: how often each latent fires says where its list lies in the file, and block after block of the
codes, sorted by latent, goes there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from saelab.errors import SaelabError
from saelab.index.storage import layout
from saelab.index.storage.arrays import blocks, pointers, ranges, stable_order

_BYTES_PER_ENTRY = 48  # of working memory while a block is sorted (measured)


def transpose(folder: Path, d_sae: int, memory: int, tick: Callable[[int], object] = lambda n: None) -> None:
    """Write ``post_*``, ``moments`` and ``peak`` of the codes in ``folder``; ``tick`` hears of each entry twice."""
    code_ptr, latent, value = (
        np.asarray(np.load(layout.file(folder, name), mmap_mode="r"))
        for name in ("code_ptr", "code_latent", "code_value")
    )
    entries = max(memory // _BYTES_PER_ENTRY, 1)
    # a map of a full disk ends the process, not the call
    if shutil.disk_usage(folder).free < 8 * len(latent):
        raise SaelabError(f"{folder}: the posting lists need {8 * len(latent):,} bytes, which are not free")
    counts = np.zeros(d_sae, dtype=np.int64)
    for i in range(0, len(latent), entries):
        counts += np.bincount(latent[i : i + entries], minlength=d_sae)
    ptr = pointers(counts)
    post_token, post_value = (
        np.lib.format.open_memmap(layout.file(folder, name), "w+", dtype, (len(latent),))
        for name, dtype in (("post_token", np.int32), ("post_value", np.float32))
    )
    end = ptr[:-1]  # of what each latent has so far
    for a, b in blocks(code_ptr, entries):
        part = slice(int(code_ptr[a]), int(code_ptr[b]))
        order = stable_order(latent[part])
        count = np.bincount(latent[part], minlength=d_sae)
        place = ranges(end, count)
        post_token[place] = np.repeat(np.arange(a, b, dtype=np.int32), np.diff(code_ptr[a : b + 1]))[order]
        post_value[place] = value[part][order]
        end = end + count
        tick(len(order))
    moments, peak = np.zeros((d_sae, 5)), np.full(d_sae, -1, dtype=np.int32)
    for a, b in blocks(ptr, entries):
        part, local = slice(int(ptr[a]), int(ptr[b])), ptr[a : b + 1] - ptr[a]
        moments[a:b] = sums(local, post_value[part])
        alive, place = strongest(local, post_value[part])
        peak[a + alive] = post_token[part][place]
        tick(int(local[-1]))
    post_token.flush()
    post_value.flush()
    for name, array in (("post_ptr", ptr), ("moments", moments), ("peak", peak)):
        layout.save(folder, name, array)


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

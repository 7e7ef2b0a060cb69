"""The folder of an index: which files, what is in them, and how they are checked when opened.

All arrays are plain one-dimensional ``.npy`` files (``moments`` has two axes), read by memory map, so any
tool that reads NumPy files reads an index.

=================  =====================  ==================================================================
file               shape and type         content
=================  =====================  ==================================================================
index.json                                what was indexed and how; written last: it makes an index
tokens.npy         (n_tokens,) int32      token ids, row after row, special tokens included
counted.npy        (n_tokens,) bool       False where a position is left out of everything
window.npy         (n_tokens,) uint64     fingerprint of the tokens around each position
row_offsets.npy    (n_rows + 1,) int64    where each row begins in ``tokens``
row_doc.npy        (n_rows,) int32        document a row is of
row_start.npy      (n_rows,) int32        position in its document of its first token after BOS
post_ptr.npy       (d_sae + 1,) int64     where each latent's posting list begins
post_token.npy     (n_active,) int32      where the latent fires (indices into ``tokens``), ascending
post_value.npy     (n_active,) float32    its activation there
code_ptr.npy       (n_tokens + 1,) int64  where each position's active latents begin
code_latent.npy    (n_active,) uint16     active latents; int32 when d_sae > 65536
code_value.npy     (n_active,) float32    their activations
moments.npy        (d_sae, 5) float64     per latent: sums of a, a², a³, a⁴, and the largest a
peak.npy           (d_sae,) int32         where each latent is strongest (first of equals); -1 if dead
vocab_ptr.npy      (n_vocab + 1,) int64   where each token's bytes begin
vocab_bytes.npy    (n,) uint8             bytes of every token: text is shown without the model
labels.json                               labels and notes people gave to latents
=================  =====================  ==================================================================

While a build runs, ``.build/`` holds its journal and sorted runs; :mod:`saelab.index.storage.writer` resumes from it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from saelab.errors import SaelabError
from saelab.files import read_json, write_json

FORMAT = "saelab-index"
VERSION = 1
# tokens beside the firing one that an example shows; two examples with the same window are duplicates
BEFORE, AFTER = 10, 5
ARRAYS = (
    "tokens", "counted", "window", "row_offsets", "row_doc", "row_start",
    "post_ptr", "post_token", "post_value",
    "code_ptr", "code_latent", "code_value", "moments", "peak", "vocab_ptr", "vocab_bytes",
)  # fmt: skip


def file(folder: Path, name: str) -> Path:
    """Path of an array."""
    return folder / f"{name}.npy"


def latent_type(d_sae: int) -> np.dtype:
    """Smallest type for latent ids: half the space, and a far quicker sort, for up to 65,536 latents."""
    return np.dtype(np.uint16 if d_sae <= 1 << 16 else np.int32)


def save(folder: Path, name: str, array: np.ndarray) -> None:
    """Write one array and force it to disk: ``index.json`` later vouches for it."""
    with file(folder, name).open("wb") as f:
        np.save(f, array, allow_pickle=False)
        f.flush()
        os.fsync(f.fileno())


def is_index(folder: Path) -> bool:
    """Whether a finished index is there."""
    return (folder / "index.json").is_file()


def seal(folder: Path, config: dict[str, Any]) -> None:
    """Write ``index.json``, which makes the folder an index."""
    files = {}
    for name in ARRAYS:
        array = np.load(file(folder, name), mmap_mode="r", allow_pickle=False)
        files[name] = {"shape": list(array.shape), "dtype": array.dtype.str}
    write_json(folder / "index.json", {"format": FORMAT, "version": VERSION, **config, "files": files})


def read_config(folder: Path) -> dict[str, Any]:
    """``index.json``, checked to be one of this version."""
    if not folder.is_dir():
        raise SaelabError(f"no index at {folder}: there is no such folder")
    if not is_index(folder):
        if (folder / ".build").is_dir():
            raise SaelabError(
                f"the index at {folder} was never finished; call LatentIndex.build with the same arguments "
                "to go on"
            )
        raise SaelabError(f"{folder} is not an index: it has no index.json")
    config = read_json(folder / "index.json")
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise SaelabError(f"{folder / 'index.json'} is not the description of a saelab index")
    if config.get("version") != VERSION:
        raise SaelabError(
            f"the index at {folder} has format version {config.get('version')!r}; this saelab reads {VERSION}"
        )
    missing = [name for name in ARRAYS if name not in config.get("files", {})]
    if missing:
        raise SaelabError(f"{folder / 'index.json'} does not describe {missing[0]}.npy; is it complete?")
    return config


def open_arrays(folder: Path, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every array, memory-mapped and read-only; an absent, cut or foreign file is named."""
    return {name: _open(file(folder, name), config["files"][name]) for name in ARRAYS}


def _open(path: Path, want: dict[str, Any]) -> np.ndarray:
    if not path.is_file():
        raise SaelabError(f"the index is incomplete: {path} is missing")
    size = path.stat().st_size
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except ValueError as error:
        raise SaelabError(f"{path} ({size} bytes) is not a NumPy file, or is cut short ({error})") from None
    if (list(array.shape), array.dtype.str) != (want["shape"], want["dtype"]):
        raise SaelabError(
            f"{path} holds {array.dtype} {array.shape}, but index.json says {want['dtype']} {want['shape']}: "
            "another index?"
        )
    if size != array.offset + array.nbytes:
        raise SaelabError(f"{path} has {size} bytes instead of {array.offset + array.nbytes}; it was changed")
    return np.asarray(array)  # a plain view of the map: slicing a np.memmap costs ten times as much

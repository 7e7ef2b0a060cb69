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

``columns.safetensors`` holds what other functions measured of every latent; see :mod:`saelab.index.kept`.
While a build runs, ``.build/`` holds its journal and sorted runs; :mod:`saelab.index.storage.writer` resumes from it.
An index that replaces another is written into a folder ``arrays-…`` of its own, which ``index.json`` names as
``arrays``: the one rename of ``index.json`` replaces all, and who has the old one open keeps it.

**To replace a shared index** build or merge with ``overwrite=True``, or rename the new folder into place. Files that are
copied over those of an open index end the process that reads them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from saelab import files, identity
from saelab.errors import SaelabError
from saelab.files import read_json, write_json

FORMAT = "saelab-index"
VERSION = 1
# tokens beside the firing one that an example shows; two examples with the same window are duplicates
BEFORE, AFTER = 10, 5
# per array its dtype (None: see latent_type) and its first axis, a size of index.json and what is added to it
ARRAYS: dict[str, tuple[Any, str, int]] = {
    "tokens": (np.int32, "n_tokens", 0), "counted": (np.bool_, "n_tokens", 0),
    "window": (np.uint64, "n_tokens", 0), "row_offsets": (np.int64, "n_rows", 1),
    "row_doc": (np.int32, "n_rows", 0), "row_start": (np.int32, "n_rows", 0),
    "post_ptr": (np.int64, "d_sae", 1), "post_token": (np.int32, "n_active", 0),
    "post_value": (np.float32, "n_active", 0), "code_ptr": (np.int64, "n_tokens", 1),
    "code_latent": (None, "n_active", 0), "code_value": (np.float32, "n_active", 0),
    "moments": (np.float64, "d_sae", 0), "peak": (np.int32, "d_sae", 0),
    "vocab_ptr": (np.int64, "", 0), "vocab_bytes": (np.uint8, "", 0),
}  # fmt: skip
_POINTERS = {
    "row_offsets": "tokens",
    "post_ptr": "post_token",
    "code_ptr": "code_latent",
    "vocab_ptr": "vocab_bytes",
}
_FORM = {
    "version": int, "d_sae": int, "n_rows": int, "n_tokens": int, "n_counted": int, "n_active": int, "n_docs": int,
    "sae": {"arch": str}, "model": (str, type(None)), "hook": (str, type(None)), "bos": bool, "threshold": float,
    "masked": {"positions": int, "tokens": {str: int}}, "shard": (type(None), [int]), "special_ids": [int],
    "bos_id": (int, type(None)), "tokenizer": str, "identity": {"SAE": str, "text": str},
    "files": {str: {"shape": [int], "dtype": str}},
}  # fmt: skip


def file(folder: Path, name: str) -> Path:
    """Path of an array."""
    return folder / f"{name}.npy"


def latent_type(d_sae: int) -> np.dtype:
    """Smallest type for latent ids: half the space, and a far quicker sort, for up to 65,536 latents."""
    return np.dtype(np.uint16 if d_sae <= 1 << 16 else np.int32)


def save(folder: Path, name: str, array: np.ndarray) -> None:
    """Write one array and force it to disk: ``index.json`` later vouches for it."""
    with files.writing(file(folder, name)), file(folder, name).open("wb") as f:
        np.save(f, array, allow_pickle=False)
        f.flush()
        os.fsync(f.fileno())


def is_index(folder: Path) -> bool:
    """Whether a finished index is there."""
    return (folder / "index.json").is_file()


def seal(folder: Path, place: Path, config: dict[str, Any]) -> None:
    """Write ``index.json``, which makes the folder an index; its arrays are in ``place``."""
    described = {}
    for name, array in _mapped(place, config).items():
        described[name] = {
            "shape": list(array.shape), "dtype": array.dtype.str, files.CHECKSUM: files.crc32(array)
        }  # fmt: skip
    where = {} if place == folder else {"arrays": place.name}
    files.sync_folder(place)
    whole = {"format": FORMAT, "version": VERSION, **config, **where, "files": described}
    write_json(folder / "index.json", whole, checked=True)


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
    files.check_form(folder / "index.json", config, _FORM)
    missing = [name for name in ARRAYS if name not in config["files"]]
    if missing:
        raise SaelabError(f"{folder / 'index.json'} does not describe {missing[0]}.npy; is it complete?")
    return config


def place_of(folder: Path, config: dict[str, Any]) -> Path:
    """Where the arrays of an index are: beside ``index.json``, or in a folder there."""
    name = config.get("arrays", "")
    if not re.fullmatch(r"(arrays-[0-9a-f]{8})?", str(name)):
        raise SaelabError(f"{folder / 'index.json'}: {name!r} is no folder of arrays")
    return folder / name


def facts(folder: Path, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> identity.Facts:
    """What an index says of itself."""
    made, model = config["identity"], config["model"]
    return identity.Facts(
        f"the index in {folder}",
        "index",
        {
            "SAE": lambda: identity.Mark(made.get("SAE", "")),
            "tokenizer": lambda: identity.Mark(
                identity.vocab_digest(arrays["vocab_ptr"], arrays["vocab_bytes"], config["special_ids"]),
                model,
            ),
            "model": lambda: identity.Mark(made.get("model", ""), model),
        },
    )


def open_arrays(folder: Path, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every array, memory-mapped and read-only; an absent, cut or foreign file is named."""
    return _mapped(place_of(folder, config), config)


def _mapped(place: Path, config: dict[str, Any]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, (dtype, size, more) in ARRAYS.items():
        shape = (config[size] + more if size else None, *((5,) if name == "moments" else ()))
        arrays[name] = files.map_array(file(place, name), dtype or latent_type(config["d_sae"]), shape)
    for name, of in _POINTERS.items():
        ptr = arrays[name]
        if not len(ptr) or ptr[0] != 0 or ptr[-1] != len(arrays[of]):
            raise SaelabError(
                f"{file(place, name)} does not divide the {len(arrays[of])} entries of {of}.npy"
            )
    return arrays


def verify(folder: Path, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Read every array, compare it with its checksum, and see that each points into the others."""
    place = place_of(folder, config)
    for name, array in arrays.items():
        wanted = config["files"][name].get(files.CHECKSUM)
        if wanted is not None and wanted != files.crc32(array):
            raise SaelabError(f"{file(place, name)} is damaged: its contents do not match its checksum")
    n_vocab = len(arrays["vocab_ptr"]) - 1
    ends = {
        "tokens": (0, n_vocab), "post_token": (0, config["n_tokens"]), "code_latent": (0, config["d_sae"]),
        "peak": (-1, config["n_tokens"]), "row_doc": (0, 1 << 31), "row_start": (0, 1 << 31),
    }  # fmt: skip
    for name, (low, high) in ends.items():
        if len(a := arrays[name]) and not (a.min() >= low and a.max() < high):
            raise SaelabError(f"{file(place, name)} holds values outside {low}…{high - 1}")
    for name in _POINTERS:
        if (np.diff(arrays[name]) < 0).any():
            raise SaelabError(f"{file(place, name)} runs backwards")

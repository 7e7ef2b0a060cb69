"""saelab's own form of an SAE: a folder with ``config.json`` (format name, version, SAEConfig),
``weights.safetensors`` (the parameters under their own names), and, when it was trained here,
``history.json`` and ``record.json``.

The weights hold the config, history and record too, under one checksum, and are replaced as a whole: that is the save.
The other files are copies for people and other tools. While the weights are replaced ``config.json`` says the config of
before and, as ``next``, the one to come; so a save that was cut off leaves the SAE of before or the new one."""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saelab import files, identity
from saelab.errors import SaelabError, check_dtype

if TYPE_CHECKING:
    from saelab.sae.config import SAEConfig
    from saelab.sae.sae import SAE

FORMAT, VERSION = "saelab.sae", 1
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
DIGEST, SAMPLE = "digest", "sample"  # of identity, for who opens the file without reading it


def save(sae: SAE, folder: str | Path, *, store: torch.dtype | None = None) -> Path:
    """Write ``sae``; ``store`` halves the file by storing weights in another dtype than they compute in."""
    folder = Path(folder).expanduser()
    if folder.is_file():
        raise SaelabError(f"{folder} is a file; an SAE is saved as a folder")
    if foreign := _foreign(folder):
        raise SaelabError(f"{folder} holds {foreign}: save the SAE elsewhere")
    # of another one the loaded SAE would be rounded
    check_dtype(str(store or sae.W_dec.dtype).removeprefix("torch."))
    tensors = {name: p.to(store or p.dtype) for name, p in sae.named_parameters()}
    head = head_of(sae.config)
    beside = {"history": sae.history.to_dict(orient="list"), "record": sae.record}
    beside = {k: files.plain(v) for k, v in beside.items()}  # NaN as null: a run that diverged is saved too
    inside = {"format": FORMAT, "config": json.dumps(head["sae"])} | {
        k: json.dumps(v) for k, v in beside.items()
    }
    if store in (None, sae.W_dec.dtype):
        inside |= {DIGEST: identity.sae_digest(sae), SAMPLE: identity.sample(sae)}
    with files.folder_lock(folder, "saving an SAE", wait=True):
        if (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file():
            before = None
            with contextlib.suppress(SaelabError):  # a damaged one needs no care
                before = read_config(folder)
            if before:
                files.write_json(folder / CONFIG, {**head, "sae": before, "next": head["sae"]})
        files.write_tensors(folder / WEIGHTS, tensors, inside)
        for name, value in beside.items():
            if value:
                files.write_json(folder / f"{name}.json", value)
            else:  # one of an SAE that was here before would pass for this one's
                (folder / f"{name}.json").unlink(missing_ok=True)
        files.write_json(folder / CONFIG, head)
    return folder


def tensors_head(tensors: dict[str, Tensor], metadata: dict[str, str]) -> tuple[bytes, dict[str, int], int]:
    """What a safetensors file of tensors like these (their numbers are not looked at) begins with, where in it each begins,
    and how long it is: for who writes them by parts."""
    kinds = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
    entries: dict[str, Any] = {}
    end = 0
    for name, t in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        begin, end = end, end + t.numel() * t.element_size()
        kind = kinds[str(t.dtype).removeprefix("torch.")]
        entries[name] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [begin, end]}
    text = json.dumps({"__metadata__": metadata, **entries}).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    return head, {n: len(head) + e["data_offsets"][0] for n, e in entries.items()}, len(head) + end


def give_back(tensor: Tensor) -> None:
    """Let the system take back the pages of a mapped tensor that were read; what was changed in them stays."""
    if sys.platform == "linux":
        begin = tensor.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
        size = tensor.data_ptr() + tensor.numel() * tensor.element_size() - begin
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), 21)  # MADV_PAGEOUT


def _foreign(folder: Path) -> str:
    """What a folder holds that an SAE would be written over; empty if nothing."""
    if holds_index(folder):
        return "an index"
    with contextlib.suppress(SaelabError):  # a damaged one is replaced
        if (folder / CONFIG).is_file() and "sae" not in (
            files.read_json(folder / CONFIG, dict) or {"sae": None}
        ):
            return f"a {CONFIG} of something else, such as a model"
    return ""


def holds_index(folder: Path) -> bool:
    """Whether a folder is an index, which is of a room above."""
    return (folder / "index.json").is_file()


def head_of(config: SAEConfig) -> dict[str, Any]:
    """What ``config.json`` holds."""
    return {"format": FORMAT, "version": VERSION, "sae": config.to_dict()}


def read_head(folder: Path) -> dict[str, Any]:
    """``config.json`` in ``folder``, of this version."""
    head = files.read_json(folder / CONFIG, dict)
    if head.get("version") != VERSION:
        raise SaelabError(
            f"{folder} has format version {head.get('version')!r}; this saelab reads version {VERSION}"
        )
    if not isinstance(head.get("sae"), dict):
        raise SaelabError(f"{folder / CONFIG} has no SAE config under 'sae'")
    return head


def read_config(folder: Path, inside: dict[str, str] | None = None) -> dict[str, Any]:
    """The config in ``folder``, which must be the one in the metadata of its weights."""
    head = read_head(folder)
    weights = folder / WEIGHTS
    inside = files.read_metadata(weights) if inside is None else inside
    saved = files.parse_json(inside.get("config", "null"), weights)
    config = head["next"] if saved and head.get("next") == saved else head["sae"]
    for key, value in (saved or {}).items():  # k or a scale of the one would fit the other
        if config.get(key, value) != value:
            raise SaelabError(
                f"{weights} was saved with {key}={value!r}, but the config.json beside it says "
                f"{key}={config[key]!r}; was one of them replaced? Put back the one that is right."
            )
    return config


def about(
    folder: Path, inside: dict[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Config, curves (name -> values) and record of the SAE in ``folder``, of the weights file where it has them."""
    weights = folder / WEIGHTS
    inside = files.read_metadata(weights) if inside is None else inside
    config = read_config(folder, inside)
    beside: list[dict[str, Any]] = []
    for name in ("history", "record"):
        path = folder / f"{name}.json"
        if name in inside:
            value = files.parse_json(inside[name], weights)
        else:  # of an earlier saelab
            value = files.read_json(path) if path.is_file() else {}
        files.check_form(path, value, {str: [object] if name == "history" else object})
        beside.append(value)
    curves, record = beside
    if len({len(v) for v in curves.values()}) > 1:
        raise SaelabError(f"{folder / 'history.json'} has curves of different lengths")
    return config, curves, record

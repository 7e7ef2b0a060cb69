"""Files that are either whole or absent: write beside, fsync, rename; read with errors that name the file."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from saelab.errors import SaelabError


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it replaces ``path``, else it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.touch(exist_ok=False)
    mode = (
        temporary.stat().st_mode
    )  # as the umask has it: a saved SAE is shared, and some writers are private
    try:
        yield temporary
        with temporary.open("rb+") as f:
            os.fsync(f.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Bring renames and removals in ``folder`` to the disk."""
    if os.name == "nt":  # Windows cannot open a folder for fsync
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as JSON (NaN is refused: other readers cannot parse it)."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def plain(
    value: Any,
    undefined: Callable[[float], Any] = lambda number: None,
    other: Callable[[Any], Any] = lambda value: value,
) -> Any:
    """``value`` as it comes back from JSON: NumPy's numbers and arrays as Python's, tuples as lists, keys as text.

    ``undefined`` says what stands for a number that is not finite, ``other`` for what JSON does not know.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v, undefined, other) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, undefined, other) for v in value]
    if hasattr(value, "dtype"):
        return plain(value.tolist(), undefined, other)
    if isinstance(value, float) and not math.isfinite(value):
        return undefined(value)
    return value if value is None or isinstance(value, (str, int, float)) else other(value)


def read_json(path: str | Path) -> Any:
    """Read JSON, or raise :class:`SaelabError` that names the file."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SaelabError(f"no file {path}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SaelabError(
            f"{path} is not valid JSON ({error}); is it cut short or of another format?"
        ) from None


def write_tensors(path: str | Path, tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> None:
    """Write torch tensors as safetensors, atomically, with a checksum that :func:`read_tensors` looks at.

    Raises
    ------
    SaelabError
        If the disk does not take the file: its name, its size and what is free.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    tensors = {k: v.detach().contiguous().cpu() for k, v in tensors.items()}
    metadata = metadata or {}
    try:
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, {**metadata, "crc32": _crc32(tensors, metadata)})
    except (OSError, SafetensorError) as error:
        size = sum(t.numel() * t.element_size() for t in tensors.values())
        where = next(p for p in path.absolute().parents if p.is_dir())
        free = shutil.disk_usage(where).free
        raise SaelabError(
            f"could not write {path}: {size:,} bytes of tensors, {free:,} bytes free ({error})"
        ) from error


def _crc32(tensors: dict[str, Any], metadata: dict[str, str]) -> str:
    import torch

    value = zlib.crc32(json.dumps(metadata, sort_keys=True).encode())
    for name, t in sorted(tensors.items()):
        value = zlib.crc32(f"{name} {t.dtype} {tuple(t.shape)}".encode(), value)
        value = zlib.crc32(t.contiguous().reshape(-1).view(torch.uint8).numpy(), value)
    return f"{value:08x}"


def read_tensors(path: str | Path) -> dict[str, Any]:
    """Read a safetensors file, or raise :class:`SaelabError` that names it and its size.

    A file that :func:`write_tensors` wrote is also checked for damage inside.
    """
    return read_tensors_and_metadata(path)[0]


def read_tensors_and_metadata(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """As :func:`read_tensors`, with the file's metadata."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    path = Path(path)
    if not path.exists():
        raise SaelabError(f"no file {path}")
    try:
        with safe_open(path, "pt") as f:
            metadata = dict(f.metadata() or {})
        tensors = load_file(path)
    except (SafetensorError, UnicodeDecodeError) as error:
        raise SaelabError(
            f"{path} ({path.stat().st_size} bytes) is not a whole safetensors file ({error}); "
            "it may be cut short"
        ) from None
    wanted = metadata.pop("crc32", None)
    if wanted is not None and wanted != _crc32(tensors, metadata):
        raise SaelabError(f"{path} is damaged: its contents do not match its checksum")
    return tensors, metadata

"""Files that are either whole or absent: write beside, fsync, rename; read with errors that name the file."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from saelab.errors import SaelabError

CHECKSUM = "crc32"  # the key of a checksum, in JSON and in the metadata of safetensors
_JSON_BYTES, _JSON_DEPTH = 1 << 28, 100


@contextlib.contextmanager
def writing(path: str | Path, size: int | None = None) -> Iterator[None]:
    """Turn what the system says of a full disk or a folder that is read-only into an error that names ``path``.

    ``size`` is how many bytes were to be written, where that is known.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise SaelabError(
            f"could not write {path}: the text holds half a character, {error.object[error.start]!r}"
        ) from None
    except IsADirectoryError as error:
        raise SaelabError(f"could not write {path}: it is a folder; give the file's name, too") from error
    except OSError as error:
        wanted = "" if size is None else f"{size:,} bytes of tensors, "
        raise SaelabError(
            f"could not write {path}: {wanted}{_free(Path(path)):,} bytes free ({error})"
        ) from error


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong while the contents of ``path`` are taken in into an error that names it."""
    try:
        yield
    except SaelabError as error:
        raise (error if str(path) in str(error) else type(error)(f"{path}: {error}")) from error.__cause__
    except Exception as error:
        raise SaelabError(
            f"{path} is not of the form it should have ({type(error).__name__}: {error}); is it damaged?"
        ) from error


def _free(path: Path) -> int:
    return shutil.disk_usage(next(p for p in (path.absolute(), *path.absolute().parents) if p.is_dir())).free


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it replaces ``path``, else it is removed.

    What reads the old file, or has it mapped, keeps the old file. A temporary file that a killed writer left behind
    is removed by the next writer of the same file.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, owned = _own(path)
        # as the umask has it: a saved SAE is shared, and some writers are private
        mode = os.fstat(owned).st_mode & 0o777
        try:
            yield temporary
            with temporary.open("rb+") as f:
                os.fsync(f.fileno())
            temporary.chmod(mode)
            if os.name == "nt":  # no file that is open can be replaced there
                os.close(owned)
                owned = -1
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            if owned >= 0:
                os.close(owned)


def _own(path: Path) -> tuple[Path, int]:
    """A new temporary file for ``path`` and its descriptor, which holds it for as long as this process lives."""
    for number in itertools.count():
        temporary, beside = (path.with_name(f".{path.name}.{n:08x}") for n in (number, number + 1))
        if not (_removed(temporary), _removed(beside))[0]:
            continue  # its writer lives
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:  # another writer was quicker
            continue
        if _flock(descriptor) and _names(temporary, descriptor):
            return temporary, descriptor
        os.close(descriptor)  # somebody took it for a dead writer's between the two lines above
    raise AssertionError("there is always a name")


def _removed(path: Path) -> bool:
    """Remove a temporary file, if no living process writes it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    except PermissionError:
        return False
    try:
        if free := _flock(descriptor):
            path.unlink(missing_ok=True)
        return free
    except PermissionError:  # Windows, of a file that is open elsewhere
        return False
    finally:
        os.close(descriptor)


def _flock(descriptor: int, wait: bool = False) -> bool:
    """Whether nobody else holds this file; ends with the process, however that ends."""
    try:
        import fcntl
    except ImportError:  # Windows refuses to remove an open file by itself
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks (some network drives)
        return True
    return True


def _names(path: Path, descriptor: int) -> bool:
    """Whether ``path`` is still the file that is open."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def folder_lock(folder: Path, doing: str, wait: bool = False, name: str = ".lock") -> Iterator[None]:
    """Be the one writer of ``folder``, which is made; a second one waits, or is told what the first is ``doing``.

    The lock ends with its process, so that one that was killed leaves nothing to clear away.
    """
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise SaelabError(f"{folder} is a file; a folder is wanted")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _flock(descriptor, wait):
                os.close(descriptor)
                raise SaelabError(f"another process is {doing} in {folder} at this moment")
            if _names(path, descriptor):
                break
            os.close(descriptor)  # the one before removed it when it was done
    try:
        yield
    finally:
        try:
            if os.name != "nt":
                path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
        if os.name == "nt":  # no open file can be removed there
            with contextlib.suppress(OSError):
                path.unlink()


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


def write_json(path: str | Path, value: Any, *, checked: bool = False) -> None:
    """Write ``value`` as JSON (NaN is refused: other readers cannot parse it).

    ``checked`` adds a checksum to a dict, which :func:`read_json` looks at.
    """
    if checked:
        value = {**value, CHECKSUM: _json_crc32(value)}
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _json_crc32(value: Any) -> str:
    return f"{zlib.crc32(json.dumps(value, sort_keys=True).encode()):08x}"


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


def read_json(path: str | Path, form: Any = object, *, by_hand: bool = True) -> Any:
    """Read JSON of a form (see :func:`check_form`), or raise :class:`SaelabError` that names the file.

    ``by_hand``: whether it may be edited, so that the error of a wrong checksum says how.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _JSON_BYTES:
            raise SaelabError(
                f"{path} has {path.stat().st_size:,} bytes; JSON of up to {_JSON_BYTES:,} is read"
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SaelabError(f"no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _not_json(path, error) from None
    value = parse_json(text, path)
    if isinstance(value, dict) and isinstance(value.get(CHECKSUM), str):
        wanted = value.pop(CHECKSUM)
        if wanted != _json_crc32(value):
            advice = f"; in the latter case remove its line {CHECKSUM!r}" if by_hand else ""
            raise SaelabError(
                f"{path} does not match its checksum: it is damaged, or was edited by hand{advice}"
            )
    check_form(path, value, form)
    return value


def parse_json(text: str, path: str | Path) -> Any:
    """JSON from a file ``path``, nested at most 100 deep and without halves of characters."""
    try:
        value = json.loads(text, object_pairs_hook=each_key_once)
        if "\\ud" in text.lower():  # half a character of UTF-16 could never be written or shown again
            json.dumps(value, ensure_ascii=False).encode()
    except SaelabError as error:
        raise SaelabError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:  # too deep; not JSON; a number of thousands of digits
        raise _not_json(path, error) from None
    level = [value]
    for _ in range(_JSON_DEPTH):
        level = [
            c
            for v in level
            if isinstance(v, (dict, list))
            for c in (v.values() if isinstance(v, dict) else v)
        ]
        if not level:
            return value
    raise SaelabError(f"{path} is nested more than {_JSON_DEPTH} deep")


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON or YAML; readers differ in which of two values of one key they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise SaelabError(f"the key {twice!r:.80} stands twice in one object; which one is it?")
    return found


def _not_json(path: str | Path, error: Exception) -> SaelabError:
    return SaelabError(f"{path} is not valid JSON ({error}); is it cut short or of another format?")


def check_form(path: str | Path, value: Any, form: Any, at: str = "") -> None:
    """Refuse a ``value`` read from ``path`` that is not of this form.

    A form is a type; a tuple of forms, one of which must fit; ``[form]`` for a list; ``{key: form}`` for a dict with at
    least these keys; ``{str: form}`` for one with any. An ``int`` fits into 64 bits, and is a ``float`` too.
    """
    if not _fits(value, form):
        raise SaelabError(
            f"{path} is not of the form it should have: {at or 'the whole'} is {str(value)[:60]!r}"
        )
    if isinstance(form, list):
        for i, v in enumerate(value):
            check_form(path, v, form[0], f"{at}[{i}]")
    elif isinstance(form, dict):
        for key, inner in dict.fromkeys(value, form[str]).items() if str in form else form.items():
            if key not in value:
                raise SaelabError(
                    f"{path} is not of the form it should have: it lacks {f'{at}.{key}'.lstrip('.')!r}"
                )
            check_form(path, value[key], inner, f"{at}.{key}".lstrip("."))
    elif isinstance(form, tuple):
        check_form(path, value, next(f for f in form if _fits(value, f)), at)


def _fits(value: Any, form: Any) -> bool:
    if isinstance(form, tuple):
        return any(_fits(value, f) for f in form)
    if form in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
        return whole or (form is float and isinstance(value, float))
    return isinstance(value, type(form) if isinstance(form, (dict, list)) else form)


def map_array(path: Path, dtype: Any, shape: tuple[int | None, ...]) -> Any:
    """A ``.npy`` file as a read-only map, which must be of exactly this dtype and shape (None: any length).

    Nothing in the file decides how its bytes are understood: a stranger's ``dtype`` could be one of pointers.
    """
    import numpy as np

    if not path.is_file():
        raise SaelabError(f"the index is incomplete: {path} is missing")
    size, dtype = path.stat().st_size, np.dtype(dtype)
    try:
        with path.open("rb") as f:
            version = np.lib.format.read_magic(f)
            if version != (1, 0):
                raise ValueError(f"version {version}")
            found, fortran, has = np.lib.format.read_array_header_1_0(f)
            offset = f.tell()
    except Exception as error:  # the header is Python source, and each of the parser's errors can come
        raise SaelabError(f"{path} ({size} bytes) is not a NumPy file, or is cut short ({error})") from None
    fits = len(shape) == len(found) and all(b in (None, a) for a, b in zip(found, shape, strict=True))
    if has != dtype or has.hasobject or fortran or not fits or min(found, default=0) < 0:
        raise SaelabError(f"{path} holds {has} {found}, but {dtype} {shape} belongs there: another index?")
    if size != (end := offset + dtype.itemsize * math.prod(found)):
        raise SaelabError(f"{path} has {size} bytes instead of {end}; it was cut short or changed")
    # a plain view of the map: slicing a np.memmap costs ten times as much
    return np.asarray(np.memmap(path, dtype, "r", offset, found))


def crc32(array: Any) -> str:
    """Checksum of an array's bytes, read by and by."""
    value, flat = 0, array.reshape(-1)
    for a in range(0, len(flat), 1 << 22):
        value = zlib.crc32(flat[a : a + (1 << 22)].view("u1").data, value)
    return f"{value:08x}"


def write_tensors(path: str | Path, tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> None:
    """Write torch tensors as safetensors, atomically, with a checksum that :func:`read_tensors` looks at.

    Raises
    ------
    SaelabError
        If the disk does not take the file: its name, its size and what is free.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {k: v.detach().contiguous().cpu() for k, v in tensors.items()}
    metadata = metadata or {}
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    with atomic_write(path) as temporary, writing(path, size):
        try:
            save_file(tensors, temporary, {**metadata, CHECKSUM: _crc32(tensors, metadata)})
        except SafetensorError as error:
            raise OSError(str(error)) from error


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


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a safetensors file, with its checksum, which is not looked at."""
    from safetensors import safe_open

    with _whole(Path(path)), safe_open(path, "pt") as f:
        return dict(f.metadata() or {})


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    from safetensors import SafetensorError

    if not path.exists():
        raise SaelabError(f"no file {path}")
    try:
        yield
    except (SafetensorError, UnicodeDecodeError, OSError) as error:
        raise SaelabError(
            f"{path} ({path.stat().st_size} bytes) is not a whole safetensors file ({error}); "
            "it may be cut short"
        ) from None


def map_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors of a safetensors file, each page of which is read when it is asked for, and the file's metadata. Its
    checksum is not looked at."""
    from safetensors.torch import load_file

    metadata = read_metadata(path)
    with _whole(Path(path)):
        return load_file(path), metadata


def read_tensors_and_metadata(path: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """As :func:`read_tensors`, with the file's metadata."""
    tensors, metadata = map_tensors(path)
    wanted = metadata.pop(CHECKSUM, None)
    if wanted is not None and wanted != _crc32(tensors, metadata):
        raise SaelabError(f"{path} is damaged: its contents do not match its checksum")
    return tensors, metadata

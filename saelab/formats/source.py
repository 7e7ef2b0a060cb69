"""Where an SAE is read from: a folder or one file. Everything that opens files nobody here wrote is in this
file.

Pickles are only read as plain tensors and numbers; sizes that a file claims are compared with its length
before anything is allocated."""

from __future__ import annotations

import io
import math
import pickletools
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab import files
from saelab.errors import SaelabError
from saelab.formats.keys import Config, Key, Obstacles
from saelab.formats.weights import Weights

PICKLE_BYTES = 1 << 24  # a state dict's names and shapes take kilobytes
SQUEEZE = 20  # floats do not compress to a twentieth; a file that says so would only fill the memory
# what reading a damaged archive raises; a broken name in it is a UnicodeDecodeError, a ValueError
DAMAGE = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
    zlib.error,
)
# what a state dict is made of; anything else in a pickle is a program
PLAIN = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in (
        "Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool",
    )),
}  # fmt: skip


class SAEFiles:
    """A folder, or one file, and what has been read of it so far.

    Attributes
    ----------
    path
        The folder or file.
    folder
        The folder (of the file).
    given
        What the user says about the SAE because the file does not, such as ``{"k": 50}``.
    hint
        Name the files are known by, such as the hub repository; formats that keep facts in names read it.
    listed
        What the catalog says about the SAE; it yields to the files and to the user.
    fetched
        Whether they are from the hub.
    lazy
        Whether tensors stay in the file.
    obstacles
        What stands in the way so far.
    configs
        The configs that were checked so far.
    """

    def __init__(
        self, path: Path, given: Mapping[str, Any] | None = None, hint: str = "",
        listed: Mapping[str, Any] | None = None, fetched: bool = False, ignore: tuple[str, ...] = (), lazy: bool = False,
    ):  # fmt: skip
        self.path = path
        self.folder = path if path.is_dir() else path.parent
        self.given, self.listed, self.hint = dict(given or {}), dict(listed or {}), hint or str(path)
        self.fetched, self.lazy = fetched, lazy
        self.obstacles, self.configs = Obstacles(self, ignore), list[Config]()
        self._read: dict[tuple[str, Path], Any] = {}

    def __str__(self) -> str:
        return str(self.path)

    def fact(self, key: str, default: Any = None) -> Any:
        """What the user says about the SAE, or else the catalog."""
        return self.given.get(key, self.listed.get(key, default))

    @property
    def names(self) -> str:
        """Where facts may stand in names: the hint and the path."""
        return f"{self.hint} {self.path}".replace("\\", "/")

    def has(self, *names: str) -> bool:
        """Whether these files are in the folder (or one of them is the file itself, the others beside it)."""
        if self.path.is_file() and self.path.name not in {Path(n).name for n in names}:
            return False
        return all((self.folder / n).is_file() for n in names)

    def only(self, *suffixes: str) -> Path | None:
        """The file itself, or the folder's one file, with such an ending; None if there is none or more
        than one."""
        if self.path.is_file():
            return self.path if self.path.name.endswith(suffixes) else None
        paths = [p for p in self.path.iterdir() if p.is_file() and p.name.endswith(suffixes)]
        return paths[0] if len(paths) == 1 else None

    def one(self, *suffixes: str) -> Path:
        """As :meth:`only`, or an error."""
        path = self.only(*suffixes)
        if path is None:
            kinds = " or ".join(suffixes)
            raise SaelabError(
                f"{self} is not, and does not hold, exactly one {kinds} file; found: {self.inside()}"
            )
        return path

    def _once(self, read: Callable[[Path], Any], name: str | Path) -> Any:
        key = (read.__name__, self.folder / name)
        if key not in self._read:
            self._read[key] = read(self.folder / name)
        return self._read[key]

    def values(self, name: str | Path) -> dict[str, Any]:
        """A JSON object or YAML mapping, {} where the file holds something else; unreadable files are errors."""
        value = self._once(_read_yaml if str(name).endswith(".yaml") else files.read_json, name)
        return value if isinstance(value, dict) else {}

    def config(self, name: str | Path, keys: Mapping[str, Key], *, needed: bool = True) -> Config:
        """The same, each key checked; unless ``needed``, a missing file has none."""
        there = needed or (self.folder / name).is_file()
        return self.table(self.values(name) if there else {}, self.folder / name, keys)

    def table(self, values: Any, where: object, keys: Mapping[str, Key]) -> Config:
        """Keys that stand in a file beside others."""
        self.configs.append(Config(values, where, keys, self.obstacles))
        return self.configs[-1]

    def tensors(self, name: str | Path) -> dict[str, Any]:
        """What a safetensors, ``.npz`` or ``torch.save`` file holds, by name."""
        read = {".safetensors": files.read_tensors, ".npz": read_npz}.get(Path(name).suffix, read_pickle)
        return self._once(read, name)

    def weights(self, name: str | Path) -> Weights:
        """The same, for tensors to be taken from."""
        return Weights(self.tensors(name), self.folder / name, self.obstacles)

    def keys(self, name: str | Path) -> set[str]:
        """Names of a file's tensors; of a safetensors file only the header is read."""
        header = Path(name).suffix == ".safetensors"
        return self._once(_safetensors_keys, name) if header else set(self.tensors(name))

    def inside(self) -> str:
        """The first few names in the folder, for messages."""
        if not self.path.is_dir():
            return self.path.name
        names = sorted(p.name + ("/" if p.is_dir() else "") for p in self.path.iterdir())
        return ", ".join(names[:8]) + (" …" if len(names) > 8 else "") if names else "nothing"


def _read_yaml(path: Path) -> Any:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        if "&" in text and "*" in text and len(text) > 1 << 16:
            raise SaelabError(f"{path} repeats parts of itself by reference; refusing to expand it")
        each, seen = [yaml.compose(text, yaml.SafeLoader)], set[int]()
        while each:  # the loader itself keeps the last of two values
            node = each.pop()
            inner = node.value if isinstance(node, yaml.CollectionNode) and id(node) not in seen else []
            if isinstance(node, yaml.MappingNode) and inner:
                files.each_key_once(
                    [(key.value, value) for key, value in inner if isinstance(key.value, str)]
                )
                inner = [value for _, value in inner]
            seen.add(id(node))
            each += inner
        return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise SaelabError(f"{path} is not valid YAML ({_brief(error)})") from None


def _safetensors_keys(path: Path) -> set[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as f:
            return set(f.keys())
    except (SafetensorError, OSError, UnicodeDecodeError, ValueError) as error:
        raise SaelabError(
            f"{path} ({path.stat().st_size} bytes) is not a whole safetensors file ({_brief(error)}); "
            "it may be cut short"
        ) from None


def _brief(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:160]}" if text else type(error).__name__


def _zip(path: Path) -> zipfile.ZipFile:
    size = path.stat().st_size
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise SaelabError(
            f"{path} ({size} bytes) is not a whole archive ({_brief(error)}); it may be cut short, or written "
            "by a PyTorch older than 1.6 (then load and save it there once more)"
        ) from None
    claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > SQUEEZE * size:
        archive.close()
        raise SaelabError(f"{path} ({size:,} bytes) claims to unpack to {claimed:,} bytes; refusing to")
    return archive


def read_pickle(path: Path) -> dict[str, Any]:
    """A dictionary of tensors and plain values written by ``torch.save``; its tensors are views of the file.

    Raises
    ------
    SaelabError
        If the file is cut or damaged, or would need more than plain data to be built: nothing in it is run.
    """
    if not path.is_file():
        raise SaelabError(f"no file {path}")
    with _zip(path) as archive:
        entries = archive.infolist()
        programs = [e for e in entries if e.filename.endswith("/data.pkl")]
        if len(programs) != 1:
            raise SaelabError(f"{path} is an archive, but not one of torch.save: it has no data.pkl")
        if programs[0].file_size > PICKLE_BYTES:
            raise SaelabError(
                f"{path}: its index takes {programs[0].file_size:,} bytes; that is no state dict"
            )
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise SaelabError(f"{path} is compressed, which torch.save never does")
        try:
            program = archive.read(programs[0])  # verifies its checksum
        except DAMAGE as error:
            raise SaelabError(f"{path} is damaged ({_brief(error)})") from None
    _only_plain(path, program)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about typed storages, of no use to a user
            value = torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except Exception as error:  # a damaged pickle can raise anything
        raise SaelabError(f"{path} cannot be read as tensors ({_brief(error)})") from None
    if not isinstance(value, dict):
        raise SaelabError(f"{path} holds a {type(value).__name__}, not a dictionary of tensors")
    return value


def _only_plain(path: Path, program: bytes) -> None:
    """Refuse a pickle that names anything but the parts of a state dict."""
    try:
        for op, arg, _ in pickletools.genops(program):
            if op.name == "GLOBAL" and arg not in PLAIN:
                raise SaelabError(
                    f"{path} holds a pickled {str(arg).replace(' ', '.')!r}: building it could run code, so it "
                    "is refused. Where you trust the file, load it in the library that wrote it and save its "
                    "state dict"
                )
            if op.name in ("STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"):
                raise SaelabError(f"{path} holds pickled objects ({op.name}), not only tensors: refused")
    except SaelabError:
        raise
    except Exception as error:  # pickletools raises whatever the bytes lead it to
        raise SaelabError(f"{path} is damaged ({_brief(error)})") from None


def check_crc(path: Path) -> None:
    """Compare every entry of an archive with its checksum: torch itself never looks."""
    with _zip(path) as archive:
        try:
            bad = archive.testzip()
        except DAMAGE as error:
            raise SaelabError(f"{path} is damaged ({_brief(error)})") from None
    if bad is not None:
        raise SaelabError(f"{path} is damaged: {bad} in it does not match its checksum")


def read_npz(path: Path) -> dict[str, Tensor]:
    """The arrays of a numpy archive as tensors; checksums are verified, pickled arrays refused."""
    if not path.is_file():
        raise SaelabError(f"no file {path}")
    out: dict[str, Tensor] = {}
    with _zip(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            try:
                with archive.open(entry) as f:
                    _check_npy(f, entry.file_size)
                out[name] = torch.from_numpy(np.load(io.BytesIO(archive.read(entry)), allow_pickle=False))
            except Exception as error:  # damaged headers raise anything, from SyntaxError to zlib.error
                raise SaelabError(f"{path}: array {name!r} cannot be read ({_brief(error)})") from None
    return out


def _check_npy(f: Any, size: int) -> None:
    version = np.lib.format.read_magic(f)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(f)
    if dtype.kind not in "fiu":
        raise ValueError(f"dtype {dtype} is not a number")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"shape {shape} does not fit its {size} bytes")

"""Errors that say what was given, what is allowed, and what was probably meant."""

from __future__ import annotations

import contextlib
import difflib
import functools
import inspect
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DTYPES = ("float32", "bfloat16", "float16")  # what a model or an SAE may be in


class SaelabError(ValueError):
    """Something a user can put right; the message says how.

    A notebook shows the message alone; ``%xmode Verbose`` and then ``%tb`` show the whole traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints: one sentence in place of pages of the library's source."""
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is not None and shell.InteractiveTB.mode in ("Verbose", "Docs"):
            return shell.InteractiveTB.structured_traceback(type(self), self, self.__traceback__)
        return [f"{type(self).__name__}: {self}"]


class HookError(SaelabError):
    """A hook point that does not exist, cannot fire, or did not fire."""


def nearest(got: str, allowed: Iterable[str], n: int = 3, cutoff: float = 0.4) -> list[str]:
    """The up to ``n`` names of ``allowed`` that look most like ``got``."""
    return difflib.get_close_matches(str(got), [str(a) for a in allowed], n=n, cutoff=cutoff)


def unknown(
    kind: str, got: object, allowed: Iterable[object], error: type[SaelabError] = SaelabError
) -> SaelabError:
    """An error (to be raised by the caller) for a name that is not one of ``allowed``."""
    names = [str(a) for a in allowed]
    close = nearest(str(got), names)
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
    shown = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
    return error(f"unknown {kind} {got!r}.{hint} Allowed: {shown or 'none'}.")


def check_model(model: object) -> None:
    """Refuse what cannot be a model with hook points, such as its name or an SAE in its place."""
    if model is None:
        raise SaelabError(
            "this needs a model; activations alone (an ActivationStore) can be indexed, evaluated and drawn as a heatmap"
        )
    # a bridge collects all its hook points whenever the attribute is read
    if inspect.getattr_static(model, "hook_dict", None) is None and not hasattr(model, "hook_dict"):
        raise SaelabError(f"model must be a model, such as load_model('zoo') gives; got {_said(model)}")


def check_sae(sae: object) -> None:
    """Refuse what cannot be an SAE, such as the name of one or a model in its place."""
    if not (hasattr(sae, "encode_sparse") and hasattr(sae, "config")):
        raise SaelabError(f"sae must be an SAE, such as load_sae('zoo') gives; got {_said(sae)}")


def _said(value: object) -> str:
    if isinstance(value, str):
        return f"the text {value[:80]!r}: load it first"
    if hasattr(value, "encode_sparse"):
        return "an SAE: are model and sae in each other's place?"
    if hasattr(value, "hook_dict"):
        return "a model: are model and sae in each other's place?"
    return called(value)


def called(value: object) -> str:
    """What an error says was given: a plain value as it is written, of anything else what it is."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)) or is_scalar(value):
        text = repr(value)
        text = text if len(text) < 80 else f"{text[:76]} …"
        return f"the bytes {text}" if isinstance(value, bytes) else text
    kind, shape = type(value).__name__, getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        return f"{kind} of shape {tuple(shape)} and dtype {value.dtype}"  # type: ignore[attr-defined]
    sized = isinstance(value, (list, tuple, set, frozenset, dict))
    return f"an empty {kind}" if sized and not value else f"a {kind}"


def is_scalar(value: object) -> bool:
    """Whether it is one number of numpy or torch."""
    number = hasattr(value, "dtype") and hasattr(value, "item") and not isinstance(value, (str, bytes))
    return number and getattr(value, "ndim", None) == 0


def is_bool(value: object) -> bool:
    """Whether it is True or False, which are never numbers here."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")


def check_number(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False
) -> float:
    """``value`` as a finite float from ``low`` (with ``open_low``: above it) to ``high``."""
    number = None
    if (
        not is_bool(value)
        and not isinstance(value, (str, bytes))
        and (isinstance(value, (int, float)) or is_scalar(value) or not hasattr(value, "shape"))
    ):
        with contextlib.suppress(TypeError, ValueError, OverflowError, AttributeError):
            number = value.__float__()  # type: ignore[attr-defined]
    if number is None or not math.isfinite(number):
        raise SaelabError(f"{name} must be a finite number, got {called(value)}")
    if not low <= number <= high or (open_low and number == low):
        least = f"above {low:g}" if open_low else f"at least {low:g}"
        sized = (
            f"between {low:g} and {high:g}"
            if math.isfinite(low) and math.isfinite(high)
            else (f"at most {high:g}" if math.isfinite(high) else least)
        )
        raise SaelabError(f"{name} must be {sized}, got {called(value)}")
    return number


def check_count(name: str, value: object, low: int | None = 1, high: int | None = None) -> int:
    """``value`` as an int from ``low`` to ``high``; numpy and torch integers are fine, floats and bools are not."""
    number = None
    if not is_bool(value):
        with contextlib.suppress(TypeError, ValueError, AttributeError, RuntimeError):
            number = value.__index__()  # type: ignore[attr-defined]
    if number is None:
        raise SaelabError(f"{name} must be a whole number, got {called(value)}")
    if low is not None and number < low:
        raise SaelabError(f"{name} must be at least {low}, got {number}")
    if high is not None and number > high:
        raise SaelabError(f"{name} must be at most {high:,}, got {number:,}")
    return number


def check_latent(latent: object, d_sae: int) -> int:
    """``latent`` as an int in ``0 … d_sae - 1``."""
    try:
        value = check_count("latent", latent, None)
    except SaelabError:
        raise SaelabError(f"a latent is an integer in 0…{d_sae - 1}, got {called(latent)}") from None
    if not 0 <= value < d_sae:
        raise SaelabError(f"latent {value} is out of range: this SAE has latents 0…{d_sae - 1}")
    return value


def check_latents(latents: object, d_sae: int, *, least: int = 1, once: bool = True) -> list[int]:
    """One latent or several, at least ``least``, as a list in their order, ``once`` each."""
    plural = isinstance(latents, Iterable) and not isinstance(latents, (str, bytes, Mapping))
    many = latents if plural and not is_scalar(latents) else [latents]
    found = [check_latent(i, d_sae) for i in many]  # type: ignore[union-attr]
    if len(found) < least:
        raise SaelabError(f"latents is empty: name at least one in 0…{d_sae - 1}")
    return list(dict.fromkeys(found)) if once else found


def check_device(name: object) -> torch.device:
    """The device of this name, if numbers can be put on it here."""
    import torch

    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    here += ["mps"] if torch.backends.mps.is_available() else []
    try:
        device = torch.device(name)  # type: ignore[arg-type]
    except (RuntimeError, TypeError):
        raise unknown("device", name, here) from None
    try:
        torch.zeros(1, device=device).cpu()  # "meta" has no numbers to give back
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0]
        raise SaelabError(
            f"device {str(device)!r} is not available here; available: {', '.join(here)} ({why})"
        ) from None
    return device


_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


@contextlib.contextmanager
def memory(what: str, size: float | None, hint: str) -> Iterator[None]:
    """Say what did not fit and what to do, not what an allocator says; ``size``: bytes that ``what`` takes at least."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _NO_MEMORY.search(str(error)):
            raise
        takes = "" if size is None else f", which takes at least {size / 1e9:.3g} GB"
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise SaelabError(f"out of memory: {what}{takes}. {hint} ({said[0][:200]})") from error


def free_memory(device: object = "cpu") -> float:
    """Bytes that can still be had on a device; of the CPU no more than the container's limit."""
    import psutil
    import torch

    if torch.device(str(device)).type == "cuda":
        free, _ = torch.cuda.mem_get_info(torch.device(str(device)))
        return free + torch.cuda.memory_reserved(torch.device(str(device)))
    free = psutil.virtual_memory().available + psutil.swap_memory().free
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        free = min(free, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return float(free)


def check_dtype(name: object) -> torch.dtype:
    """The number format of this name, one of ``DTYPES``."""
    import torch

    if name not in DTYPES:
        raise unknown("dtype", name, DTYPES)
    return getattr(torch, str(name))


# ----------------------------------------------------------------------------------------------- doors


def check_flag(name: str, value: object) -> bool:
    """``value`` if it is True or False."""
    if not is_bool(value) or getattr(value, "ndim", 0):
        raise SaelabError(f"{name} must be True or False, got {called(value)}")
    return bool(value)


def check_text(name: str, value: object) -> str:
    """``value`` if it is a string."""
    if not isinstance(value, str):
        raise SaelabError(f"{name} must be a string, got {called(value)}")
    return value


def check_path(name: str, value: object) -> str | os.PathLike[str]:
    """``value`` if it can be the name of a file or folder."""
    if not isinstance(value, (str, os.PathLike)) or str(value) == "" or "\0" in str(value):
        raise SaelabError(f"{name} must be a path, got {called(value)}")
    return value


def check_callable(name: str, value: object) -> object:
    """``value`` if it can be called."""
    if not callable(value):
        raise SaelabError(f"{name} must be a function, got {called(value)}")
    return value


def check_tensor(name: str, value: object, kinds: str = "f") -> Tensor:
    """``value`` as a tensor that shares its memory; torch and numpy are fine, lists and other kinds of numbers are not.

    ``kinds``: ``f`` numbers with a fraction, ``i`` whole ones, ``b`` True and False.
    """
    import numpy as np
    import torch

    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        with warnings.catch_warnings():  # an array that is mapped read-only is not written to here
            warnings.simplefilter("ignore", UserWarning)
            value = torch.from_numpy(
                np.ascontiguousarray(native) if min(native.strides, default=1) < 0 else native
            )
    kind = (
        ""
        if not isinstance(value, torch.Tensor) or value.is_complex()
        else ("b" if value.dtype == torch.bool else "f" if value.is_floating_point() else "i")
    )
    if kind not in kinds or not kind:
        words = {"f": "of floats", "i": "of whole numbers", "b": "of True and False"}
        allowed = " or ".join(words[k] for k in kinds)
        raise SaelabError(f"{name} must be an array or a tensor {allowed}, got {called(value)}")
    return value  # type: ignore[return-value]


Check = Callable[
    [str, Any], Any
]  # (name of the argument, what was given) -> it, as a plain value where it is one
_KINDS: dict[str, tuple[str, Check]] = {  # annotation -> what it allows in words, and its check
    "int": ("a whole number", lambda name, value: check_count(name, value, None)),
    "float": ("a number", check_number),
    "bool": ("True or False", check_flag),
    "str": ("a string", check_text),
    "Path": ("a path", check_path),
    "HookedModel": ("a model", lambda name, value: check_model(value) or value),
    "SAE": ("an SAE", lambda name, value: check_sae(value) or value),
    "Tensor": ("a tensor", lambda name, value: check_tensor(name, value, "fib")),
    "Float": ("a tensor", check_tensor),
    "Callable": ("a function", check_callable),
}


def _split(annotation: str, mark: str) -> list[str]:
    """The parts of an annotation between ``mark``, what is in brackets left whole."""
    parts, depth = [""], 0
    for letter in annotation:
        depth += (letter in "[(") - (letter in "])")
        if letter == mark and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts]


def _check_of(annotation: str, scope: Mapping[str, Any]) -> tuple[str, Check] | None:
    """What an annotation allows, in words, and its check; None: anything."""
    members = _split(annotation, "|")
    if len(members) > 1:
        found = [_check_of(m, scope) for m in members if m != "None"]
        return None if None in found else _any_of([f for f in found if f], "None" in members)
    outer, _, inner = annotation.partition("[")
    if outer in _KINDS:
        return _KINDS[outer]
    if outer in ("Sequence", "Iterable", "list", "tuple"):
        kinds = _split(inner.removesuffix("]"), ",")
        return _several(_check_of(kinds[0], scope) if len(kinds) == 1 or kinds[1] == "..." else None)
    value = scope.get(outer)
    if "collections.abc.Callable" in str(value):
        return _KINDS["Callable"]
    if outer in ("Mapping", "dict"):
        return _kind("a dict", lambda given: isinstance(given, Mapping))
    if outer in ("Any", "object", "Never"):
        return None
    if isinstance(value, type) or (value is None and outer.isidentifier()):
        # by name: a class may be imported for type checkers alone
        return _kind(f"a {outer}", lambda given: outer in [c.__name__ for c in type(given).__mro__])
    return None


def _kind(words: str, fits: Callable[[Any], bool]) -> tuple[str, Check]:
    def check(name: str, value: Any) -> Any:
        if not fits(value):
            raise SaelabError(f"{name} must be {words}, got {called(value)}")
        return value

    return words, check


def _any_of(parts: list[tuple[str, Check]], none: bool) -> tuple[str, Check]:
    words = " or ".join([*(p[0] for p in parts), *(["None"] if none else [])])

    def check(name: str, value: Any) -> Any:
        if value is None and none:
            return None
        for _, one in parts:
            try:
                return one(name, value)
            except SaelabError:
                if len(parts) == 1:
                    raise
        raise SaelabError(f"{name} must be {words}, got {called(value)}")

    return words, check


def _several(each: tuple[str, Check] | None) -> tuple[str, Check]:
    """A list; of plain values an array or an iterator becomes one."""
    plain = each is not None and each not in (_KINDS["SAE"], _KINDS["Tensor"]) and "list" not in each[0]
    words = f"a list of {each[0].removeprefix('a ')}s" if plain and each else "a list"

    def check(name: str, value: Any) -> Any:
        if isinstance(value, (str, bytes, Mapping)) or is_scalar(value) or not isinstance(value, Iterable):
            raise SaelabError(f"{name} must be {words}, got {called(value)}")
        return [each[1](name, v) for v in value] if plain and each else value

    return words, check


Door = TypeVar("Door", bound=Callable[..., Any])


def door(function: Door) -> Door:
    """A public function, or all public methods of a class: each argument is of the kind that its annotation says.

    Anything else is refused before the body runs. A bool is no number; numbers of numpy and torch come in as plain
    ones, and numpy arrays as tensors that share their memory where the annotation says Tensor.
    """
    if isinstance(function, type):
        for name, value in list(vars(function).items()):
            if name != "__init__" and name.startswith("_"):
                continue
            if isinstance(value, classmethod):
                setattr(function, name, classmethod(door(value.__func__)))
            elif inspect.isfunction(value):
                setattr(function, name, door(value))
        return function
    parameters = inspect.signature(function).parameters.values()
    places = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]

    @functools.cache  # at the first call: what is imported further down in a module is known by then
    def checks() -> dict[str, Check]:
        scope = vars(sys.modules[function.__module__])
        found = {p.name: _check_of(str(p.annotation), scope) for p in parameters if p.kind != p.VAR_KEYWORD}
        return {n: f[1] for n, f in found.items() if f is not None and n not in ("self", "cls")}

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        known = checks()
        given = [known[n](n, v) if n in known else v for n, v in zip(places, args, strict=False)]
        named = {n: known[n](n, v) if n in known else v for n, v in options.items()}
        return function(*given, *args[len(given) :], **named)

    return checked  # type: ignore[return-value]

"""Errors that say what was given, what is allowed, and what was probably meant."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import math
import os
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

Choice = TypeVar("Choice")
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


class ArgumentError(SaelabError, TypeError):
    """An argument that a function does not have, gets twice, or lacks."""


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


def check_choice(kind: str, got: Choice, allowed: Collection[object]) -> Choice:
    """``got`` if it is one of ``allowed``."""
    with contextlib.suppress(TypeError, ValueError):  # what has no hash, an array
        if got in allowed:
            return got
    raise unknown(kind, got, allowed)


def check_model(model: object, name: str = "model") -> None:
    """Refuse what cannot be a model with hook points, such as its name or an SAE in its place."""
    if model is None:
        raise SaelabError(
            "this needs a model; activations alone (an ActivationStore) can be indexed, evaluated and drawn as a heatmap"
        )
    # a bridge collects all its hook points whenever the attribute is read
    if inspect.getattr_static(model, "hook_dict", None) is None and not hasattr(model, "hook_dict"):
        raise SaelabError(f"{name} must be a model, such as load_model('zoo') gives; got {_said(model)}")


def check_sae(sae: object, name: str = "sae") -> None:
    """Refuse what cannot be an SAE, such as the name of one or a model in its place."""
    if not (hasattr(sae, "encode_sparse") and hasattr(sae, "config")):
        raise SaelabError(f"{name} must be an SAE, such as load_sae('zoo') gives; got {_said(sae)}")


def check_whole(sae: object, what: str) -> None:
    """Refuse ``what`` would copy all weights of an SAE that is larger than memory."""
    if getattr(sae, "lazy", False):
        raise SaelabError(
            f"{what} copies all weights, and this SAE was loaded with lazy=True: load it without, where it fits"
        )


def check_index(index: object, name: str = "index") -> None:
    """Refuse what cannot be a LatentIndex."""
    if not (hasattr(index, "postings") and hasattr(index, "n_counted")):
        raise SaelabError(f"{name} must be a LatentIndex, got {called(index)}")


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
    return f"an empty {kind}" if sized and not value else with_article(kind)


def with_article(kind: str) -> str:
    """The name of a class as one is spoken of: a Store, an Index, an SAE."""
    return f"{'an' if kind[0] in 'AEIOaeio' or kind.startswith('SAE') else 'a'} {kind}"


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
            f"between {low:g} and {high:g}" + (f", {low:g} itself left out" if open_low else "")
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
    except (RuntimeError, TypeError, ValueError):
        raise unknown("device", name, here) from None
    try:
        torch.zeros(1, device=device).cpu()  # "meta" has no numbers to give back
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0]
        raise SaelabError(
            f"device {str(device)!r} is not available here; available: {', '.join(here)} ({why})"
        ) from None
    return device


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
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


def parse_bytes(size: int | str) -> int:
    """An amount of memory: ``256_000_000`` or ``"256MB"`` -> bytes (units KB, MB, GB); at least 1 MB."""
    if isinstance(size, str):
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMG]?)B?\s*", size.upper())
        if not found:
            raise SaelabError(f"an amount of memory is written like '256MB', got {size!r}")
        size = int(float(found[1]) * _UNITS[found[2]])
    if isinstance(size, bool) or not isinstance(size, int) or size < 10**6:
        raise SaelabError(f"the memory to work in must be at least 1MB, got {size!r}")
    return size


def check_dtype(name: object) -> torch.dtype:
    """The number format of this name, one of ``DTYPES``."""
    import torch

    if not isinstance(name, str) or name not in DTYPES:
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
    with contextlib.suppress(UnicodeEncodeError, TypeError):
        if isinstance(value, (str, os.PathLike)) and os.fspath(value) and b"\0" not in os.fsencode(value):
            return value
    raise SaelabError(f"{name} must be a path, got {called(value)}")


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


def check_width(name: str, x: Tensor, width: int) -> Tensor:
    """``x`` if its last axis is ``width`` long."""
    if x.ndim == 0 or x.shape[-1] != width:
        raise SaelabError(f"the last axis of {name} must be {width} long, got {called(x)}")
    return x


def check_array(name: str, value: object) -> np.ndarray:
    """``value`` as a float32 array; lists, torch and numpy of any kind of real number are fine."""
    import numpy as np

    if isinstance(value, (list, tuple)):
        with contextlib.suppress(ValueError, TypeError):
            value = np.array(value)
    return check_tensor(name, value, "fib").detach().cpu().float().numpy()

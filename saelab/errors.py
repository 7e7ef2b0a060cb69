"""Errors that say what was given, what is allowed, and what was probably meant."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

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
    # a bridge collects all its hook points whenever the attribute is read
    if inspect.getattr_static(model, "hook_dict", None) is None and not hasattr(model, "hook_dict"):
        raise SaelabError(f"model must be a model, such as load_model('zoo') gives; got {_said(model)}")


def check_sae(sae: object) -> None:
    """Refuse what cannot be an SAE, such as the name of one or a model in its place."""
    if not (hasattr(sae, "encode_sparse") and hasattr(sae, "config")):
        raise SaelabError(f"sae must be an SAE, such as load_sae('zoo') gives; got {_said(sae)}")


def check_pair(model: object, sae: object) -> None:
    """Refuse a model and an SAE that are not what they are called."""
    check_model(model)
    check_sae(sae)


def _said(value: object) -> str:
    if isinstance(value, str):
        return f"the text {value[:80]!r}: load it first"
    if hasattr(value, "encode_sparse"):
        return "an SAE: are model and sae in each other's place?"
    if hasattr(value, "hook_dict"):
        return "a model: are model and sae in each other's place?"
    return f"{type(value).__name__}"


def check_latent(latent: object, d_sae: int) -> int:
    """``latent`` as an int in ``0 … d_sae - 1``; numpy and torch integers are fine, floats are not."""
    try:
        value = latent.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        raise SaelabError(f"a latent is an integer in 0…{d_sae - 1}, got {latent!r}") from None
    if not 0 <= value < d_sae:
        raise SaelabError(f"latent {value} is out of range: this SAE has latents 0…{d_sae - 1}")
    return value


def check_count(name: str, value: object, low: int = 1) -> int:
    """``value`` as an int that is at least ``low``."""
    try:
        number = value.__index__()  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        raise SaelabError(f"{name} must be a whole number, got {value!r}") from None
    if number < low:
        raise SaelabError(f"{name} must be at least {low}, got {number}")
    return number


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


def check_dtype(name: object) -> torch.dtype:
    """The number format of this name, one of ``DTYPES``."""
    import torch

    if name not in DTYPES:
        raise unknown("dtype", name, DTYPES)
    return getattr(torch, str(name))

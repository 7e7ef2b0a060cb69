"""Every kind of thing given in place of each argument of each public function, for test_doors.py.

A function's valid call is the first one its own example makes; a public function without an example fails
test_docs.py.
"""

from __future__ import annotations

import contextlib
import doctest
import inspect
import random
import resource
import signal
import types
from pathlib import Path

import numpy as np
import torch

from saelab.errors import SaelabError


def kinds(folder: Path, sae) -> dict[str, object]:
    """What is given; made anew for each call, as iterators are used up."""
    return {
        "None": None, "True": True, "1.0": 1.0, "1": 1, "-1": -1, "10**9": 10**9, "nan": float("nan"), "inf": float("inf"),
        "0": 0, "1j": 1j, "empty text": "", "text": "abc", "bytes": b"abc", "[]": [], "{}": {}, "()": (), "object": object(),
        "np.int64": np.int64(1), "np.float32": np.float32(2), "np.bool_": np.bool_(True), "np.str_": np.str_("a"),
        "tensor(1)": torch.tensor(1), "tensor(1.5)": torch.tensor(1.5), "tensor(True)": torch.tensor(True),
        "tensor bf16": torch.ones(2, dtype=torch.bfloat16), "empty array": np.zeros(0), "rank 3": np.zeros((2, 3, 4)),
        "rank 2": np.zeros((3, 5)), "array of text": np.array(["a"]), "complex": np.full(3, 1j),
        "array of objects": np.array([None, {}], dtype=object), "iterator": iter([1, 2]), "empty iterator": iter([]),
        "no such path": folder / "no" / "such", "set": {1},
        "function": lambda *given, **named: 0, "SAE": sae, "[None]": [None],
        "[True]": [True], "[1.5]": [1.5], "['a']": ["a"], "[nan]": [float("nan")], "[[1]]": [[1]], "[10**9]": [10**9],
        "{text: 1}": {"a": 1}, "{1: text}": {1: "a"}, "{1: nan}": {1: float("nan")}, "class": Thing, "module": types,
        "10**30": 10**30, "surrogate": "\ud800", "nul": "a\0b",
    }  # fmt: skip


class Thing:
    """What nothing takes."""

    def __init__(self, *given, **named):
        pass


class Hang(BaseException):
    pass


WRONG = (
    "bytes",
    "object",
    "1j",
    "complex",
    "module",
    "tensor bf16",
)  # no argument takes these: an error names them


@contextlib.contextmanager
def bounded(seconds: float, more_bytes: int):
    """No call takes longer, or more memory."""

    def ring(*_):
        raise Hang

    before, limits = signal.signal(signal.SIGALRM, ring), resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm")
    used = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 0
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + more_bytes, limits[1]))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def state(model) -> tuple:
    """What a call must leave as it was."""
    points = {id(p): p for p in model.hook_dict.values()}.values()
    hooks = [len(p.fwd_hooks) for p in points], len(model._forward_hooks), len(model._forward_pre_hooks)
    chance = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    return hooks, chance, torch.is_grad_enabled(), torch.get_default_dtype(), Path.cwd()


def owner_of(face, name: str):
    """What holds a public name, and its last part: (saelab, "train") or (the class, "method")."""
    *parents, last = name.split(".")
    for parent in parents:
        face = getattr(face, parent)
    return face, last


def recorded(face, name: str, names: dict) -> tuple:
    """(function, args, options) of the first call that the example of ``name`` makes of it."""
    owner, last = owner_of(face, name)
    public = inspect.getattr_static(owner, last)
    text = inspect.getdoc(getattr(owner, last)) or ""
    if inspect.isclass(public):
        owner, last, public = public, "__init__", public.__init__
    function = public.__func__ if isinstance(public, classmethod) else public
    calls: list = []

    def spy(*args, **options):
        calls.append((args, options))
        return function(*args, **options)

    example = doctest.DocTestParser().get_doctest(text, dict(names), name, None, None)
    inherited = last not in vars(owner)
    setattr(owner, last, classmethod(spy) if isinstance(public, classmethod) else spy)
    try:
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False).run(
            example, out=lambda text: None, clear_globs=False
        )
    finally:
        if inherited:
            delattr(owner, last)
        else:
            setattr(owner, last, public)
    return (function, *calls[0]) if calls else (function, None, None)


def tried(function, args, options, parameter: str, value, model, wrong: bool) -> str:
    """What is wrong with how ``function`` takes ``value`` for ``parameter``; empty when all is well."""
    given = inspect.signature(function).bind_partial(*args, **options)
    named = inspect.signature(function).parameters.get(parameter)
    if named is not None and named.kind is named.VAR_POSITIONAL:
        given.arguments[parameter] = (value,)
    elif named is not None:
        given.arguments[parameter] = value
    options = dict(given.kwargs) | ({parameter: value} if named is None else {})
    try:
        with bounded(20, 6 << 30):
            out = function(*given.args, **options)
            if isinstance(out, contextlib.AbstractContextManager) and not hasattr(out, "read"):
                with out:
                    model(torch.tensor([[0, 5, 7]]))
            elif isinstance(out, types.GeneratorType):
                next(out, None)
    except SaelabError as error:
        said, name = str(error).lower(), parameter.replace("_", " ")
        about = (
            parameter,
            name,
            name.rstrip("s"),
            repr(value)[:12],
            type(value).__name__,
            "text",
            "latent",
            "intervention",
            "complex",
        )
        return "" if not wrong or any(n.lower() in said for n in about) else f"says only: {error}"
    except Hang:
        return "hangs"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:150]}"
    return ""


def parameters(function) -> list[str]:
    """Names of the arguments, those of a typed ``**state`` too."""
    names = []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.VAR_KEYWORD:
            state = str(p.annotation).removeprefix("Unpack[").removesuffix("]")
            names += getattr(inspect.getmodule(function), state, object).__dict__.get("__annotations__", {})
        elif p.kind is not p.VAR_POSITIONAL and p.name not in ("self", "cls"):
            names.append(p.name)
    return names

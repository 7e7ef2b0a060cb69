"""Doors: what a public function is given is of the kind that its annotation says, or is refused before work starts."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from saelab.errors import (
    ArgumentError,
    SaelabError,
    called,
    check_callable,
    check_count,
    check_flag,
    check_index,
    check_model,
    check_number,
    check_path,
    check_sae,
    check_tensor,
    check_text,
    is_bool,
    is_scalar,
    unknown,
    with_article,
)

# (name of the argument, what was given) -> it, as a plain value where it is one
Check = Callable[[str, Any], Any]
_KINDS: dict[str, tuple[str, Check]] = {  # annotation -> what it allows in words, and its check
    "int": ("a whole number", lambda name, value: _whole(name, value)),
    "float": ("a number", check_number),
    "bool": ("True or False", check_flag),
    "str": ("a string", check_text),
    "Path": ("a path", check_path),
    "HookedModel": ("a model", lambda name, value: check_model(value, name) or value),
    "SAE": ("an SAE", lambda name, value: check_sae(value, name) or value),
    "Tensor": ("a tensor", lambda name, value: check_tensor(name, value, "fib")),
    "Float": ("a tensor", check_tensor),
    "Callable": ("a function", check_callable),
    "LatentIndex": ("a LatentIndex", lambda name, value: check_index(value, name) or value),
}


_HOW = {
    "TokenRows": "; rows = sl.tokenize_texts(model, texts) makes them"
}  # what to give, where texts are no answer
_OF = {"candidates": " {concept: its latents}", "examples": " {concept: its texts}"}


def _whole(name: str, value: object) -> int:
    if name == "latent" and not (hasattr(value, "__index__") and not is_bool(value)):
        raise SaelabError(f"a latent is an integer, got {called(value)}")
    return check_count(name, value, 0 if name == "seed" else None, 2**63 - 1)


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
    if "Path" in members:
        members = [m for m in members if m != "str"]  # a path's rules are the stricter ones
    annotation = members[0]
    if len(members) > 1:
        found = [_check_of(m, scope) for m in members if m != "None"]
        return None if None in found else _any_of([f for f in found if f], "None" in members)
    outer, _, inner = annotation.partition("[")
    if outer in _KINDS:
        return _KINDS[outer]
    if outer in ("Sequence", "Iterable", "list", "tuple"):
        kinds = _split(inner.removesuffix("]"), ",")
        one = _check_of(kinds[0], scope) if len(kinds) == 1 or kinds[1] == "..." else None
        return _several(one, tuple if outer == "tuple" else list)
    value = functools.reduce(
        lambda at, name: getattr(at, name, None), outer.split(".")[1:], scope.get(outer.split(".")[0])
    )
    if "collections.abc.Callable" in str(value):
        return _KINDS["Callable"]
    if outer in ("Mapping", "dict"):
        return _mapping([_check_of(k, scope) for k in _split(inner.removesuffix("]"), ",") if k])
    if value is Any or outer in ("Any", "object", "Never") or getattr(value, "_is_protocol", False):
        return None
    if isinstance(value, type) or (value is None and outer.isidentifier()):
        # by name: a class may be imported for type checkers alone
        name = getattr(value, "__name__", outer)
        return _kind(
            with_article("LatentIndex" if name == "Columns" else name),  # as users know it
            lambda given: name in [c.__name__ for c in type(given).__mro__],
            _HOW.get(name, ""),
        )
    return None


def _kind(words: str, fits: Callable[[Any], bool], how: str = "") -> tuple[str, Check]:
    def check(name: str, value: Any) -> Any:
        if not fits(value):
            raise SaelabError(f"{name} must be {words}, got {called(value)}{how}")
        return value

    return words, check


def _mapping(kinds: list[tuple[str, Check] | None]) -> tuple[str, Check]:
    def check(name: str, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise SaelabError(f"{name} must be a dict{_OF.get(name, '')}, got {called(value)}")
        for pair in value.items():
            for one, kind in zip(pair, kinds, strict=False):
                if kind is not None:
                    kind[1](f"{name}, at {pair[0]!r}," if kind is kinds[-1] else f"a key of {name}", one)
        return value

    return "a dict", check


def _any_of(parts: list[tuple[str, Check]], none: bool) -> tuple[str, Check]:
    words = " or ".join([*(p[0] for p in parts), *(["None"] if none else [])])

    def check(name: str, value: Any) -> Any:
        if value is None and none:
            return None
        for kind, one in parts:
            try:
                return one(name, value)
            except SaelabError:
                # right but for what is in it, or a name where the thing itself is wanted: those words are the better ones
                inside = (kind.startswith("a list") and isinstance(value, (list, tuple))) or (
                    kind == "a dict" and isinstance(value, Mapping)
                )
                if (
                    len(parts) == 1
                    or inside
                    or (kind == "an SAE" and isinstance(value, str) and "a path" not in words)
                ):
                    raise
        raise SaelabError(f"{name} must be {words}, got {called(value)}")

    return words, check


def _several(each: tuple[str, Check] | None, made: type = list) -> tuple[str, Check]:
    """A list; of plain values an array or an iterator becomes one."""
    plain = each is not None and each != _KINDS["Tensor"] and "list" not in each[0]
    words = f"a list of {_plural(each[0])}" if plain and each else "a list"

    def check(name: str, value: Any) -> Any:
        if isinstance(value, (str, bytes, Mapping)) or is_scalar(value) or not isinstance(value, Iterable):
            raise SaelabError(f"{name} must be {words}, got {called(value)}")
        return made(each[1](name, v) for v in value) if plain and each else value

    return words, check


def _plural(words: str) -> str:
    """Of "a number or None" or "an Edit": what has an article is several, and a name that is a plural stays as it is."""
    out = []
    for part in words.split(" or "):
        article, _, name = part.partition(" ")
        several = name if name.endswith("s") else f"{name}{'es' if name.endswith('ch') else 's'}"
        out.append(several if article in ("a", "an") else part)
    return " or ".join(out)


_OTHERS = {"n_latents": "d_sae", "dict_size": "d_sae", "layer": "hook"}  # what other libraries call it


def _order(places: list[str]) -> str:
    return f"({', '.join(n for n in places if n not in ('self', 'cls'))})"


def _check_names(
    function: Callable[..., Any], places: list[str], given: int, options: Mapping[str, Any], names: list[str]
) -> None:
    """Refuse keywords that the function does not have, and those whose place is taken."""
    for name in options:
        if name not in names:
            meant = _OTHERS.get(name)
            if meant in names:
                raise ArgumentError(
                    f"unknown keyword {name!r} of {function.__name__}. Did you mean {meant!r}?"
                )
            others = [n for n in names if n not in ("self", "cls")]
            raise unknown(f"keyword of {function.__name__}:", name, others, ArgumentError)
        if name in places[:given]:
            raise ArgumentError(
                f"{name} is given by name and by place too: the order of {function.__name__} is {_order(places)}"
            )


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
        return function  # type: ignore[return-value]
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    rest = next((str(p.annotation) for p in parameters if p.kind is p.VAR_KEYWORD), None)
    told = rest and re.fullmatch(r"Unpack\[(\w+)\]", rest)
    names += list(function.__globals__[told[1]].__annotations__) if told else []
    open_end = rest is not None and not told
    old_order = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    places = [p.name for p in parameters if p.kind <= p.POSITIONAL_OR_KEYWORD]

    @functools.cache  # at the first call: what is imported further down in a module is known by then
    def checks() -> dict[str, Check]:
        scope = vars(sys.modules[function.__module__])
        found = {p.name: _check_of(str(p.annotation), scope) for p in parameters if p.kind != p.VAR_KEYWORD}
        # latents are checked with the range of the SAE, and an index where the old order of arguments is explained
        elsewhere = {"self", "cls", "latents"} | ({"index", "graphs"} if old_order else set())
        return {n: f[1] for n, f in found.items() if f is not None and n not in elsewhere}

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if not (old_order or open_end):
            _check_names(function, places, len(args), options, names)
        known = checks()
        given = [known[n](n, v) if n in known else v for n, v in zip(places, args, strict=False)]
        named = {n: known[n](n, v) if n in known else v for n, v in options.items()}
        left = [n for n in needed if n not in options and n not in places[: len(args)]]
        if left and not old_order:
            raise ArgumentError(
                f"{function.__name__} needs {' and '.join(left)}; its order is {_order(places)}"
            )
        return function(*given, *args[len(given) :], **named)

    return checked  # type: ignore[return-value]

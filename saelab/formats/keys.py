"""What the keys of a config mean: each reader declares all it knows, and one function checks them all.

A key is read, known to say nothing about how the SAE computes (``UNUSED``, kept in the record), or refused.
One that no reader knows is an obstacle, and so is a value that cannot be followed. Obstacles are collected, so
that one message names them all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from saelab.errors import SaelabError, check_choice, nearest

NEEDED = object()  # the default of a key that must be there
# what a config may say about model and text, in SAELens's words: people write them into every format
FACTS = {
    "model_name": "model", "hook_name": "hook_in", "hook_name_out": "hook_out", "prepend_bos": "bos",
    "context_size": "context",
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """What one key may hold: a value that ``read`` turns into its meaning, or refuses with the reason.

    ``default`` is what the library takes where the key is absent or null; ``NEEDED``: there is no such thing."""

    read: Callable[[Any], Any]
    default: Any = None
    used: bool = True

    @property
    def needed(self) -> Key:
        return replace(self, default=NEEDED)

    def absent(self, default: Any) -> Key:
        """The same with another default."""
        return replace(self, default=default)


def _typed(what: str, *kinds: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise SaelabError(f"must be {what}, got {value!r:.80}")
        return value

    return read


def _count(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():  # JSON of other languages
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SaelabError(f"must be a whole number, got {value!r:.80}")
    if value < 1:
        raise SaelabError(f"must be at least 1, got {value}")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise SaelabError(f"must be a finite number, got {value!r:.80}")
    return value


def _positive(value: Any) -> Any:
    if isinstance(value, (list, tuple)):  # one for each hook point
        return tuple(float(_positive(v)) for v in value)
    if _number(value) <= 0:
        raise SaelabError(f"must be positive, got {value!r:.80}")
    return value


TEXT, FLAG, TABLE = (
    Key(_typed("a text", str)),
    Key(_typed("true or false", bool)),
    Key(_typed("a table", dict)),
)
COUNT, NUMBER, POSITIVE = Key(_count), Key(_number), Key(_positive)
UNUSED = Key(lambda value: value, used=False)


def choice(known: Iterable[Any], default: Any = None, refused: Mapping[Any, str] | None = None) -> Key:
    """One of ``known``, perhaps with what each means; ``refused``: values that are understood but not here."""
    meaning = known if isinstance(known, Mapping) else {value: value for value in known}

    def read(value: Any) -> Any:
        if isinstance(value, Hashable) and value in meaning:
            return meaning[value]
        readable = f"it reads {', '.join(map(repr, meaning))}"
        if isinstance(value, Hashable) and value in (refused or {}):
            raise SaelabError(f"{value!r} {(refused or {})[value]}. saelab does not read it; {readable}")
        close = nearest(str(value), map(str, meaning), n=1)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise SaelabError(f"{value!r:.80} is not one that saelab reads; {readable}{hint}")

    return Key(read, default)


def never(why: str) -> Key:
    """Anything but false (or 0, null, empty) is refused."""

    def read(value: Any) -> None:
        if value:
            raise SaelabError(f"is {value!r:.80}; {why}")

    return Key(read)


def unused(names: str) -> dict[str, Key]:
    """Keys that only steered training, or say where things ran."""
    return dict.fromkeys(names.split(), UNUSED)


def _head(value: Any) -> None:
    raise SaelabError(f"is {value!r}: it reads one attention head; only whole hook points can be read")


INTEGER, HEAD = Key(_typed("a whole number", int)), Key(_head)
DTYPE = choice({
    "float32": "float32", "fp32": "float32", "float64": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16",
    "float16": "float16", "fp16": "float16", "torch.float32": "float32", "torch.float64": "float32",
    "torch.bfloat16": "bfloat16", "torch.float16": "float16",
})  # fmt: skip
FACT_KEYS: dict[str, Key] = {
    "model_name": TEXT, "hook_name": TEXT, "hook_name_out": TEXT, "prepend_bos": FLAG, "context_size": COUNT,
    "hook_layer": INTEGER, "hook_head_index": HEAD, "hook_head_index_out": HEAD,
}  # fmt: skip


@dataclass
class Obstacles:
    """What stands in the way of reading one source, and what the user lets pass."""

    where: object
    ignore: tuple[str, ...] = ()
    found: list[str] = field(default_factory=list)
    ignored: dict[str, Any] = field(default_factory=dict)

    def add(self, why: str) -> None:
        if why not in self.found:
            self.found.append(why)

    def passes(self, name: str, value: Any = None) -> bool:
        """Whether the user leaves this key or tensor out of account."""
        if name not in self.ignore:
            return False
        self.ignored[name] = value
        return True

    def error(self, last: str | None = None) -> SaelabError:
        """All of them in one message, with ``last`` where reading ended."""
        if last is not None and last == str(self.error()):
            return self.error()
        found = [*self.found, *([last] if last and last not in self.found else [])]
        if len(found) == 1:
            return SaelabError(found[0])
        lines = "".join(f"\n  {i}. {why}" for i, why in enumerate(found, 1))
        return SaelabError(f"{self.where} is not loaded, for {len(found)} reasons:{lines}")

    def check(self) -> None:
        """One error with all of them, if there are any."""
        if self.found:
            raise self.error()


class Config(dict[str, Any]):
    """The keys of a config, checked: what each one that is declared means, its default where it is absent."""

    def __init__(self, values: Any, where: object, keys: Mapping[str, Key], obstacles: Obstacles):
        super().__init__()
        self.where, self.obstacles = where, obstacles
        self.record: dict[str, Any] = {}  # what was there and not used
        self.given: set[str] = set()  # what was there
        if not isinstance(values, dict):
            kind = type(values).__name__
            raise SaelabError(f"{where} must hold an object with named values, got {kind}")
        keys = FACT_KEYS | dict(keys)
        for name, value in values.items():
            if not obstacles.passes(name, value):
                self._take(name, value, keys)
        for name, key in keys.items():
            if name not in self:
                self[name] = None if key.default is NEEDED else key.default
                if key.default is NEEDED and name not in self.given:
                    there = ", ".join(map(str, values)) or "nothing"
                    obstacles.add(f"{where} has no {name!r}; refusing to guess it. It has: {there:.400}")
        layer, hook = self["hook_layer"], self["hook_name"]
        if layer is not None and hook is not None and re.search(rf"\.{layer}(\.|$)", hook) is None:
            obstacles.add(f"{where}: hook_layer {layer} is not the layer of hook_name {hook!r}")

    def _take(self, name: str, value: Any, keys: Mapping[str, Key]) -> None:
        key = keys.get(name)
        if key is None:
            close = nearest(str(name), keys, n=1, cutoff=0.7)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            self.obstacles.add(
                f"{self.where} has {name!r}, which the code of this format does not know; its value is {value!r:.60}."
                f"{hint} ignore=({name!r},) leaves it out of account"
            )
        elif value is not None:
            self.given.add(name)
            if not key.used:
                self.record[name] = value
                return
            try:
                self[name] = key.read(value)
            except SaelabError as error:
                self.obstacles.add(f"{self.where}: {name} {error}")

    def agree(self, *names: str) -> Any:
        """What these keys say, which all mean the same; those that are absent say nothing."""
        said = {name: self[name] for name in names if self.get(name) is not None}
        if len({repr(value) for value in said.values()}) > 1:
            self.obstacles.add(f"{self.where} contradicts itself: {said}")
        return next(iter(said.values()), None)


# what a user may say because a file does not hold it
GIVEN: dict[str, Key] = {
    "arch": TEXT, "k": COUNT, "hook_in": TEXT, "hook_out": TEXT, "model": TEXT, "normalize": TEXT,
    "scale": POSITIVE, "bos": FLAG, "context": COUNT,
}  # fmt: skip


def check_given(given: Mapping[str, Any]) -> dict[str, Any]:
    """The facts, each of its kind; one that no reader knows is refused."""
    checked = {}
    for name, value in given.items():
        check_choice("fact in given", name, GIVEN)
        try:
            checked[name] = GIVEN[name].read(value)
        except SaelabError as error:
            raise SaelabError(f"given: {name} {error}") from None
    return checked

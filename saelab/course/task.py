"""What an exercise asks, and what a grade says."""

from __future__ import annotations

import copy
import reprlib
from dataclasses import dataclass
from typing import Any, NoReturn

from saelab.display import facts_html, table_html
from saelab.errors import SaelabError, called, is_scalar, unknown


class Task:
    """What one exercise asks of one student; its parts are attributes. A student works with a :meth:`copy`."""

    def __init__(self, key: str, said: str, shown: dict[str, Any], truth: dict[str, Any] | None = None):
        # tried: how many other answers there were before, by the record as it is when a check begins
        vars(self).update(key=key, said=said, _shown=shown, _truth=truth or {}, tried=0)

    def copy(self) -> Task:
        """The same with parts of its own: what is done to them changes nothing that a check looks at."""
        return Task(self.key, self.said, {n: _copied(v) for n, v in self._shown.items()}, self._truth)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise SaelabError(
            f"task.{name} is what is asked and cannot be set; give your own value a name of its own"
        )

    def __getattr__(self, name: str) -> Any:
        shown = self.__dict__.get("_shown", {})
        if name in shown:
            return shown[name]
        raise AttributeError(str(unknown("part of this task", name, shown)))

    def __dir__(self) -> list[str]:
        return ["key", "said", *self._shown]

    def _lines(self) -> list[tuple[str, str]]:
        return [(f"task.{name}", _short(value)) for name, value in self._shown.items()]

    def __repr__(self) -> str:
        tables = [f"task.{n}:\n{v.to_string(index=False)}" for n, v in self._shown.items() if _few_lines(v)]
        return "\n".join([f"{self.key}: {self.said}", *(f"  {n} = {v}" for n, v in self._lines()), *tables])

    def _repr_html_(self) -> str:
        facts = facts_html(f"{self.key}: {self.said}", self._lines())
        return facts + "".join(table_html(f"task.{n}", v) for n, v in self._shown.items() if _few_lines(v))


def _copied(value: Any) -> Any:
    if hasattr(value, "postings"):
        return value  # an index, which no check reads
    return value.copy() if hasattr(value, "history") and hasattr(value, "to_json") else copy.deepcopy(value)


def _few_lines(value: Any) -> bool:
    return hasattr(value, "columns") and len(value) <= 12


def _short(value: Any) -> str:
    size = len(value) if hasattr(value, "__len__") else 0
    text = repr(value) if isinstance(value, (str, int, float, list, tuple, dict)) else called(value)
    if (columns := getattr(value, "columns", None)) is not None:
        text = f"a table of {size} lines: {', '.join(map(str, columns))}"
    if isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        text = "".join(f"\n{i}: {v!r}" for i, v in enumerate(value)).lstrip("\n")
    return text if len(text) < 2000 else f"{text[:1997]}…"


@dataclass(frozen=True)
class Grade:
    """What a check found.

    ``mistake`` is the name of a typical mistake, ``score`` what a board ranks by, ``then`` what to do about this very
    fault: a sentence, or the number of the exercise's hint that fits; without it the hints go in their order.
    """

    passed: bool
    said: str
    mistake: str = ""
    score: float | None = None
    then: str | int = ""


def right(said: str, score: float | None = None) -> Grade:
    """The answer passes."""
    return Grade(True, said, score=score)


def wrong(said: str, mistake: str = "", score: float | None = None, *, then: str | int = "") -> Grade:
    """The answer does not pass; ``mistake`` if it is a typical one, which has a hint of its own."""
    return Grade(False, said, mistake, score, then)


def ill(key: str, wanted: str, got: object) -> NoReturn:
    """Refuse an answer of the wrong kind: no try is counted."""
    held = f" of {len(got)}: {reprlib.repr(got)}" if isinstance(got, (list, tuple, dict)) and got else ""
    raise SaelabError(f"{key} takes {wanted}; got {called(got)}{held}")


def whole(answer: Any) -> Any:
    """A whole float as an integer, which a table's row makes of one; anything else as it is."""
    number = answer.item() if is_scalar(answer) else answer
    return int(number) if isinstance(number, float) and number.is_integer() else answer


def folded(text: Any) -> str:
    """A text without what is no difference: case, spaces."""
    return " ".join(str(text).split()).lower()


def mapping(answer: Any) -> Any:
    """A column of a table as a dict; anything else as it is."""
    return answer.to_dict() if hasattr(answer, "to_dict") and getattr(answer, "ndim", 1) == 1 else answer


def one_each(key: str, answer: Any, names: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """The answer, if it gives each name one of the kinds."""
    given = mapping(answer)
    if not isinstance(given, dict) or sorted(map(folded, given)) != sorted(names):
        ill(key, f"a dict such as {dict(zip(names, kinds, strict=True))}, in the right order", answer)
    for kind in given.values():
        if folded(kind) not in kinds:
            raise unknown("kind", kind, kinds)
    return {folded(k): folded(v) for k, v in given.items()}


def right_ones(given: dict[str, str], true: dict[str, str]) -> str:
    """How many of the names have their kind; and that each kind is there once, if the answer has one twice."""
    said = f"{sum(given[k] == true[k] for k in true)} of {len(true)} are right"
    return said if len(set(given.values())) == len(true) else f"{said}, and each kind is there once"

"""What an exercise asks, and what a grade says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from saelab.display import facts_html, table_html
from saelab.errors import SaelabError, called, unknown


class Task:
    """What one exercise asks of one student; its parts are attributes."""

    def __init__(self, key: str, said: str, shown: dict[str, Any], truth: dict[str, Any] | None = None):
        self.key, self.said, self._shown, self._truth = key, said, shown, truth or {}
        self.tried = 0  # how often, by the record as it is when a check begins

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
    """What a check found; ``mistake`` is the name of a typical mistake, ``score`` what a board ranks by."""

    passed: bool
    said: str
    mistake: str = ""
    score: float | None = None


def right(said: str, score: float | None = None) -> Grade:
    """The answer passes."""
    return Grade(True, said, score=score)


def wrong(said: str, mistake: str = "", score: float | None = None) -> Grade:
    """The answer does not pass; ``mistake`` if it is a typical one."""
    return Grade(False, said, mistake, score)


def ill(key: str, wanted: str, got: object) -> NoReturn:
    """Refuse an answer of the wrong kind: no try is counted."""
    raise SaelabError(f"{key} takes {wanted}; got {called(got)}")


def one_each(key: str, answer: Any, names: str, kinds: tuple[str, ...]) -> dict[str, str]:
    """The answer, if it gives each name one of the kinds, all different."""
    if not isinstance(answer, dict) or sorted(map(str, answer)) != sorted(names):
        example = dict.fromkeys(names, "…")
        ill(key, f"a dict such as {example}", answer)
    for kind in answer.values():
        if kind not in kinds:
            raise unknown("kind", kind, kinds)
    return {str(k): str(v) for k, v in answer.items()}

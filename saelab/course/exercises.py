"""All exercises by their key, and what a check does: grade, write down, give one hint."""

from __future__ import annotations

import functools
import hashlib
import html
import importlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from saelab.course.student import Student, honest
from saelab.course.task import Grade, Task, folded
from saelab.errors import SaelabError, unknown

PARTS = {
    "w1": "Read a latent",
    "w2": "Train one, see it die, revive it",
    "w3": "Edit a graph until it beats the fitted one",
    "w4": "Predict the sign, then ablate and attribute",
    "w5": "Steer with controls",
    "w6": "Are they the same?",
}


@dataclass(frozen=True)
class Exercise:
    """``ask(student) -> Task``, ``grade(task, answer) -> Grade``; ``minutes`` and ``level`` (1 to 5) for the student."""

    key: str
    title: str
    ask: Callable[[Student], Task]
    grade: Callable[[Task, Any], Grade]
    hints: tuple[str, str, str]
    minutes: int
    level: int


@functools.cache
def exercises() -> dict[str, Exercise]:
    """Every exercise by its key, in order."""
    parts = [importlib.import_module(f"saelab.course.parts.{name}") for name in (*PARTS, "tutorials")]
    return {e.key: e for part in parts for e in part.EXERCISES}


def known(key: str) -> Exercise:
    """The exercise of this key, in whatever case."""
    if (found := exercises().get(folded(key))) is None:
        raise unknown("exercise", key, exercises())
    return found


_TASKS: dict[tuple[str, str], Task] = {}


def task_of(key: str, student: Student) -> Task:
    """See :func:`saelab.course.task`; made once in a session, because some train an SAE."""
    exercise = known(key)
    place = (folded(key), str(student.path))
    if place not in _TASKS:
        _TASKS[place] = exercise.ask(student)
    return _TASKS[place]


def untried(student: Student) -> None:
    """Give the student the titles of the workshop's exercises, so that the record shows what is to come; of those of
    other notebooks only what was tried."""
    student.refresh()
    titles = {key: e.title for key, e in exercises().items()}
    student.titles = {k: t for k, t in titles.items() if k.partition(".")[0] in PARTS or k in student.record}


@dataclass(frozen=True)
class Verdict:
    """What :func:`saelab.course.check` says."""

    key: str
    passed: bool
    said: str
    hint: str = ""
    mistake: str = ""
    score: float | None = None

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        name = f" ({self.mistake})" if self.mistake else ""
        return "\n".join([f"{self.key} {self._mark}{name}: {self.said}", *([self.hint] if self.hint else [])])

    @property
    def _mark(self) -> str:
        return "passed" if self.passed else "not yet"

    def _repr_html_(self) -> str:
        color, sign = ("#2e9e5b", "✓") if self.passed else ("#d9822b", "✗")
        name = f" <i>{html.escape(self.mistake)}</i> —" if self.mistake else ""
        hint = (
            f'<div style="margin-top:.4em;opacity:.85;white-space:pre-line">{html.escape(self.hint)}</div>'
            if self.hint
            else ""
        )
        return (
            f'<div class="tex2jax_ignore mathjax_ignore" role="status" style="border-left:6px solid {color};'
            f'padding:.4em .8em;max-width:60em"><b>{sign} {self.key} {self._mark}</b>:{name} '
            f"{html.escape(self.said)}{hint}</div>"
        )


def checked(key: str, answer: object, student: Student) -> Verdict:
    """See :func:`saelab.course.check`."""
    exercise = known(key)
    key = folded(key)
    if answer is None or answer is ...:
        hint = _in_order(exercise, 1) if key.partition(".")[0] in PARTS else ""
        return Verdict(key, False, f"put your answer in place of {answer}, and run the cell again", hint)
    task = task_of(key, student)
    student.refresh()
    before = list(dict.fromkeys(t["answer"] for t in student.entry(key)["tries"]))  # each answer once
    try:
        told = digest(answer)
        vars(task)["tried"] = before.index(told) if told in before else len(before)
        grade = exercise.grade(task, answer)
    except SaelabError:
        raise
    except Exception as error:  # of an object that is no answer, or of the student's own function
        raise SaelabError(
            f'{key} takes what course.task("{key}") asks for; got a {type(answer).__name__} that cannot be graded: '
            f"{type(error).__name__}: {error}"
        ) from error
    entry = student.note(key, told, grade)
    hint = "" if grade.passed else _hint(exercise, grade, entry)
    return Verdict(key, grade.passed, grade.said, hint, grade.mistake, grade.score)


def _hint(exercise: Exercise, grade: Grade, entry: dict[str, Any]) -> str:
    """What fits this fault; if that was said before, or nothing is known to fit, the next of the three as well."""
    failed = [t for t in entry["tries"] if not t["passed"]]
    same = {t["answer"] for t in failed if t["mistake"] == grade.mistake}
    named = {t["mistake"] for t in failed if t["mistake"]}  # each had its own hint once
    told = [f"Hint: {grade.then}" if isinstance(grade.then, str) else _in_order(exercise, grade.then)]
    if not grade.then or len(same) > 1:
        told = [*told[: bool(grade.then)], _in_order(exercise, max(honest(entry) - len(named), 1))]
    return "\n".join(dict.fromkeys(told))


def _in_order(exercise: Exercise, number: int) -> str:
    if number > len(exercise.hints):
        return f'All three hints are given; course.solution("{exercise.key}") shows a solution.'
    return f"Hint {number} of {len(exercise.hints)}: {exercise.hints[number - 1]}"


def digest(answer: Any) -> str:
    """What tells two answers apart in the record."""
    return hashlib.sha256(_said(answer).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _said(answer: Any) -> str:
    if isinstance(answer, re.Pattern):
        return repr((answer.pattern, answer.flags))
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if isinstance(answer, dict):
        return json.dumps({str(k): _said(v) for k, v in answer.items()}, sort_keys=True)
    if isinstance(answer, (list, tuple)):
        return json.dumps([_said(a) for a in answer])
    if hasattr(answer, "encode_sparse"):
        from saelab.identity import sae_digest

        return sae_digest(answer)
    if hasattr(answer, "history") and hasattr(answer, "to_json"):
        return json.dumps(answer.to_json(), sort_keys=True, default=str)
    if hasattr(answer, "__code__"):
        held = {f"in it {i}": cell.cell_contents for i, cell in enumerate(answer.__closure__ or ())}
        held |= {f"default {i}": value for i, value in enumerate(answer.__defaults__ or ())}
        return _names(held, answer.__globals__, seen := set()) + _code(
            answer.__code__, answer.__globals__, seen
        )
    return repr(answer)


def _code(code: Any, around: dict[str, Any], seen: set[Any]) -> str:
    """What a function does: its code with all in it, the names it uses, and what those of the notebook are."""
    told = [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames)]
    told += [_code(c, around, seen) if hasattr(c, "co_code") else repr(c) for c in code.co_consts]
    return json.dumps(told) + _names({n: around[n] for n in code.co_names if n in around}, around, seen)


def _names(held: dict[str, Any], around: dict[str, Any], seen: set[Any]) -> str:
    told = []
    for name, value in held.items():
        if (
            isinstance(value, FunctionType) and value.__code__ not in seen
        ):  # one that calls itself is told once
            seen.add(value.__code__)
            told.append((name, _code(value.__code__, around, seen)))
        elif isinstance(value, (str, int, float, list, tuple, dict, re.Pattern)):
            told.append((name, _said(value)))
    return json.dumps(told)

"""The workshop's notebooks as a student runs them: stubs, solutions, wrong answers, neighbors. Each part runs once."""

from __future__ import annotations

import json
import re
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace as Variables
from typing import Any

import answers
import pandas as pd
import pytest

from saelab import bundled, course
from saelab.course import student as students
from saelab.course.exercises import PARTS, Verdict, digest, exercises, task_of
from saelab.course.parts import w5
from saelab.course.solving import code_of
from saelab.course.task import Task

KEYS = [key for key in exercises() if key.startswith("w")]
NOTEBOOKS = sorted((bundled.notebooks() / "workshop").glob("w*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


class Part:
    """One notebook run with the solutions: verdicts of stubs and solutions, tasks, answers, variables, time."""

    def __init__(self, path: Path, folder: Path):
        self.stubs: dict[str, Verdict] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.answers: dict[str, Any] = {}
        self.tasks: dict[str, Any] = {}
        self.variables: dict[str, Variables] = {}
        names: dict[str, Any] = {"display": lambda *_: None}
        begun = time.process_time()
        for cell in cells(path):
            if cell["cell_type"] != "code":
                continue
            source = "".join(cell["source"]).replace("your name here", "Ada")
            key = cell["metadata"].get("saelab", {}).get("exercise")
            source = source.replace(f'course.check("{key}", answer)', "")
            exec(compile(source, path.name, "exec"), names)
            if key:
                self.stubs[key] = course.check(key, names["answer"])
                exec(compile(code_of(key), f"solution of {key}", "exec"), names)
                self.tasks[key], self.answers[key] = names["task"], names["answer"]
                self.verdicts[key] = course.check(key, names["answer"])
                self.variables[key] = Variables(**names)
        self.seconds = time.process_time() - begun


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """part -> what happened in it."""
    folder = tmp_path_factory.mktemp("workshop")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)

    @cache
    def one(part: str) -> Part:
        ada = course.join("Ada")
        assert ada.folder.resolve() == folder
        return Part(next(p for p in NOTEBOOKS if p.name.startswith(part)), folder)

    yield one
    patch.undo()
    students._NOW.clear()


def part_of(key: str) -> str:
    return key.split(".")[0]


@pytest.mark.parametrize("key", KEYS)
def test_an_untouched_stub_gets_the_first_hint(run, key):
    verdict = run(part_of(key)).stubs[key]
    assert not verdict
    assert verdict.hint == f"Hint 1 of 3: {exercises()[key].hints[0]}"


@pytest.mark.parametrize("key", KEYS)
def test_the_solution_passes(run, key):
    verdict = run(part_of(key)).verdicts[key]
    assert verdict.passed, verdict
    assert not verdict.hint
    assert "passed" in verdict._repr_html_()


@pytest.mark.parametrize("key", KEYS)
def test_wrong_answers_are_refused_and_typical_ones_named(run, key):
    part = run(part_of(key))
    exercise, task = exercises()[key], part.tasks[key]
    wrong = getattr(answers, key.replace(".", "_"))(task, part.answers[key], part.variables[key])
    assert len(wrong) >= 3
    assert any(name for _, name in wrong)
    assert len({digest(a) for a, _ in wrong} | {digest(part.answers[key])}) >= 3
    for answer, name in wrong:
        grade = exercise.grade(task, answer)
        assert not grade.passed, (answer, grade)
        if name:
            assert grade.mistake == name, (answer, grade)
        assert grade.then or not grade.mistake, grade  # a mistake with a name has a hint of its own


@pytest.mark.parametrize("key", KEYS)
def test_neighbors_are_asked_other_things(run, key):
    ada = run(part_of(key)).tasks[key]
    bob = task_of(key, students.Student("Bob", Path.cwd()))
    assert digest_of_task(ada) != digest_of_task(bob)


def digest_of_task(task: Any) -> str:
    shown = {name: value for name, value in task._shown.items() if not hasattr(value, "postings")}
    return digest({k: v.to_json() if hasattr(v, "to_json") else v for k, v in shown.items()})


def test_all_parts_compute_less_than_twenty_minutes(run, capsys):
    seconds = {part: run(part).seconds for part in PARTS}
    with capsys.disabled():
        print("\nworkshop, seconds of one core: " + ", ".join(f"{k} {v:.0f}" for k, v in seconds.items()))
        print(f"in all {sum(seconds.values()) / 60:.1f} minutes")
    assert sum(seconds.values()) < 20 * 60


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_says_what_for_how_long_and_why(path):
    held = cells(path)
    text = "\n".join("".join(c["source"]) for c in held)
    part = path.name[:2]
    assert "".join(held[0]["source"]).startswith(f"# {part} · {PARTS[part]}")
    assert "**Goals:**" in text
    assert re.search(r"\*\*Minutes:\*\* 25", text)
    assert "**Next:**" in text or part == "w6"
    mine = [key for key in KEYS if part_of(key) == part]
    assert 3 <= len(mine) <= 5
    assert [c["metadata"]["saelab"]["exercise"] for c in held if c["metadata"].get("saelab")] == mine
    for key in mine:
        e = exercises()[key]
        dots = "●" * e.level + "○" * (5 - e.level)
        assert f"## {key} · {e.title}\n**{e.minutes} minutes, difficulty {dots}.** *Why:* " in text
    assert sum(exercises()[key].minutes for key in mine) <= 25
    assert all(not c.get("outputs") for c in held)


def test_every_exercise_has_three_hints_and_a_sealed_solution():
    for key, e in exercises().items():
        assert len(set(e.hints)) == 3
        assert "answer" in code_of(key)


@pytest.mark.parametrize(("ratio", "mistake"), [(50.0, "the text is broken"), (3.0, "")])
def test_a_latent_that_breaks_text_at_every_strength_shows_nothing_of_causes(monkeypatch, ratio, mistake):
    frame = pd.DataFrame({"effect": 0.0, "ratio": [1.0, *[ratio] * 4]}, index=[0.0, *w5.STRENGTHS])
    monkeypatch.setattr(w5, "pushed", lambda *_, **__: frame)
    monkeypatch.setattr(w5, "_sure", lambda genre: pd.DataFrame({"recall": [0.2]}, index=[7]))
    monkeypatch.setattr(w5, "held_out", lambda: Variables(index=None))
    grade = w5.grade_reads(Task("w5.2", "", {"genres": ["python"]}), ("python", 7))
    assert (grade.passed, grade.mistake) == (not mistake, mistake)

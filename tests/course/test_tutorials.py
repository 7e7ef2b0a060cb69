"""The exercise at the end of each of the notebooks 00 to 10."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest

from saelab import bundled
from saelab.course.exercises import exercises
from saelab.course.solving import code_of
from saelab.course.student import Student

QUICK = [
    k for k in exercises() if not k.startswith("w") and k != "03.1"
]  # that needs an index; w1.4 is the same


@pytest.mark.parametrize("key", QUICK)
def test_the_solution_passes_and_typical_mistakes_are_named(key, tmp_path):
    e = exercises()[key]
    task = e.ask(Student("Ada", tmp_path))
    names = {"task": task}
    exec(compile(code_of(key), key, "exec"), names)
    assert e.grade(task, names["answer"]).passed
    if key == "05.1":
        wrong = [dict(zip("abc", p, strict=True)) for p in permutations(names["answer"].values())]
        grades = [e.grade(task, w) for w in wrong if w != names["answer"]]
        assert {"a broken text counted as success", "no control"} <= {g.mistake for g in grades}
    else:
        grades = [
            e.grade(task, value)
            for value in (*(v for v, _ in task._truth["mistakes"].values()), 12345.6, -1.0)
        ]
        assert [g.mistake for g in grades] == [*task._truth["mistakes"], "", ""]
    assert not any(g.passed for g in grades)
    assert all(bool(g.then) == bool(g.mistake) for g in grades)
    assert len(grades) >= 3


@pytest.mark.parametrize("key", QUICK)
def test_students_have_other_numbers(key, tmp_path):
    tasks = [exercises()[key].ask(Student(name, tmp_path)) for name in ("Ada", "Bob", "Chen")]
    assert len({repr(t._shown) + repr(t._truth) for t in tasks}) > 1


@pytest.mark.parametrize("key", [k for k in exercises() if not k.startswith("w")])
def test_a_notebook_asks_it_before_its_last_cell(key):
    (path,) = bundled.notebooks().glob(f"{key[:2]}_*.ipynb")
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    asked = [c for c in cells if c["metadata"].get("saelab", {}).get("exercise") == key]
    assert len(asked) == 1
    assert f'course.check("{key}", answer)' in "".join(asked[0]["source"])
    assert exercises()[key].title in "".join(cells[cells.index(asked[0]) - 1]["source"])

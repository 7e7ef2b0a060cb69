"""A student's record: hints one by one, the seal of solutions, names, files."""

from __future__ import annotations

import json

import pytest

from saelab import course
from saelab.course import exercises as table
from saelab.course import student as students
from saelab.course.exercises import Exercise
from saelab.course.student import Student, state
from saelab.course.task import Task, right, wrong
from saelab.errors import SaelabError


@pytest.fixture
def ada(tmp_path, monkeypatch):
    """A student of an exercise whose answer is 7."""

    def grade(task, answer):
        if not isinstance(answer, int):
            raise SaelabError("x.1 takes a number")
        return (
            right("yes", 0.5)
            if answer == task._truth["number"]
            else wrong("no", "one too many" * (answer == 8))
        )

    one = Exercise(
        "w1.1",
        "Seven",
        lambda s: Task("w1.1", "?", {"shown": 3}, {"number": 7}),
        grade,
        ("a", "b", "c"),
        1,
        1,
    )
    monkeypatch.setattr(table, "exercises", lambda: {"w1.1": one})
    table._TASKS.clear()
    yield course.join("Ada", tmp_path)
    table._TASKS.clear()
    students._NOW.clear()


def test_each_new_answer_gets_the_next_hint_and_the_same_one_does_not(ada):
    hints = [course.check("w1.1", a).hint for a in (1, 1, 2, 1, 3, 4)]
    assert [h[:11] for h in hints] == ["Hint 1 of 3"] * 2 + ["Hint 2 of 3"] * 2 + [
        "Hint 3 of 3",
        "All three h",
    ]


def test_a_stub_is_no_try_and_an_answer_of_the_wrong_kind_neither(ada):
    assert course.check("w1.1").hint == "Hint 1 of 3: a"
    assert course.check("w1.1", ...).hint == "Hint 1 of 3: a"
    with pytest.raises(SaelabError, match="takes a number"):
        course.check("w1.1", "seven")
    assert not ada.record.get("w1.1", {}).get("tries")


def test_the_untouched_stub_of_a_tutorial_says_what_to_do_and_a_small_table_is_shown(ada, monkeypatch):
    import pandas as pd

    shown = {"few": pd.DataFrame({"strength": [17, 23]}), "many": pd.DataFrame({"x": range(99)})}
    task = Task("00.1", "?", shown)
    assert "task.few:" in repr(task)
    assert "task.many:" not in repr(task)
    assert "<td>23</td>" in task._repr_html_()
    assert "<td>98</td>" not in task._repr_html_()
    one = Exercise("00.1", "Seven", lambda s: task, lambda t, a: right("yes"), ("a", "b", "c"), 1, 1)
    monkeypatch.setattr(table, "exercises", lambda: {"00.1": one})
    said = course.check("00.1")
    assert (said.passed, said.hint) == (False, "")
    assert said.said == "put your answer in place of None, and run the cell again"


def test_a_typical_mistake_is_named_and_written_down(ada):
    verdict = course.check("w1.1", 8)
    assert verdict.mistake == "one too many"
    assert "one too many" in verdict._repr_html_()
    assert json.loads(ada.path.read_text())["exercises"]["w1.1"]["tries"][0]["mistake"] == "one too many"


def test_a_solution_opens_after_two_honest_tries_and_the_record_says_so(ada):
    for answer in (1, 1):
        course.check("w1.1", answer)
        with pytest.raises(SaelabError, match="two different answers|2 different answers"):
            course.solution("w1.1")
    course.check("w1.1", 2)
    assert "answer" in course.solution("w1.1").code
    assert json.loads(ada.path.read_text())["exercises"]["w1.1"]["solution"] is True
    assert state(ada.record["w1.1"]) == "open, 3 tries, solution opened"


def test_a_pass_stays_and_opens_the_solution(ada):
    assert course.check("w1.1", 7)
    assert not course.check("w1.1", 8)
    assert students.read(ada.path).record["w1.1"]["passed"]
    assert course.solution("w1.1")
    assert "exercises passed: 1" in repr(course.progress())
    assert "passed, 2 tries" in course.progress()._repr_html_()


def test_the_one_student_of_a_folder_goes_on_without_a_name(ada, tmp_path):
    course.check("w1.1", 1)
    students._NOW.clear()
    again = course.join(folder=tmp_path)
    assert (again.name, len(again.record["w1.1"]["tries"])) == ("Ada", 1)
    course.join("Bob", tmp_path)
    with pytest.raises(SaelabError, match="say who you are"):
        course.join(folder=tmp_path)


def test_two_notebooks_open_at_once_keep_each_others_tries(ada, monkeypatch):
    one = table.exercises()["w1.1"]
    monkeypatch.setattr(table, "exercises", lambda: {"w1.1": one, "w2.1": one})
    other = students.read(ada.path)  # the notebook of another part
    table.checked("w2.1", 1, other)
    course.check("w1.1", 7)
    table.checked("w2.1", 7, other)
    for record in (students.read(ada.path).record, other.record, course.progress().record):
        assert [len(record[k]["tries"]) for k in ("w1.1", "w2.1")] == [1, 2]
        assert record["w1.1"]["passed"]
        assert record["w2.1"]["passed"]


def test_progress_lists_the_workshop_and_of_other_notebooks_what_was_tried(tmp_path):
    bea = course.join("Bea", tmp_path)
    assert "00.1" not in repr(course.progress())
    bea.note("00.1", "x", right("yes"))
    assert "00.1 Which strength?" in repr(course.progress())
    assert "w6.4 The blind case" in repr(course.progress())
    students._NOW.clear()


@pytest.mark.parametrize("name", ["", "  ", "your name here", "!?"])
def test_a_name_is_wanted(tmp_path, name):
    with pytest.raises(SaelabError, match="needs your own name"):
        course.join(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_of_any_script_have_files_of_their_own(tmp_path):
    names = ["Ada", "Ada L.", "Ada-L", "שרה", "陈", "a/b"]
    paths = {Student(n, tmp_path).path for n in names}
    assert len(paths) == len(names)
    assert all(p.parent == tmp_path for p in paths)


def test_what_is_hidden_depends_on_the_name_and_not_on_its_case(tmp_path):
    draw = {n: Student(n, tmp_path).rng("w1.1").integers(1 << 40) for n in ("Ada", "ada ", "Bob")}
    assert draw["Ada"] == draw["ada "] != draw["Bob"]


def test_a_damaged_record_names_its_file(tmp_path):
    path = tmp_path / "course-ada.json"
    for text in ("{", "[]", '{"course": "other"}', '{"course": "saelab", "version": 99, "exercises": {}}'):
        path.write_text(text)
        with pytest.raises(SaelabError, match="course-ada"):
            students.read(path)


def test_an_unknown_exercise_and_part_name_the_nearest(ada):
    with pytest.raises(SaelabError, match=r"w1\.1"):
        course.check("w1.l", 1)
    with pytest.raises(AttributeError, match="shown"):
        _ = course.task("w1.1").show

"""A student's record: hints one by one, the seal of solutions, names, files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from saelab import course
from saelab.course import exercises as table
from saelab.course import student as students
from saelab.course.exercises import Exercise, digest
from saelab.course.parts import w1, w4, w6
from saelab.course.student import Student, state
from saelab.course.task import Task, right, wrong
from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig


@pytest.fixture
def ada(tmp_path, monkeypatch):
    """A student of an exercise whose answer is 7."""

    def grade(task, answer):
        if not isinstance(answer, int):
            raise SaelabError("x.1 takes a number")
        return (
            right("yes", 0.5)
            if answer == task._truth["number"]
            else wrong(
                "no", "too many" * (answer > 7), then="count again" if answer > 7 else 3 * (answer < 0)
            )
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
    assert verdict.mistake == "too many"
    assert "too many" in verdict._repr_html_()
    assert "(too many)" in repr(verdict)
    assert json.loads(ada.path.read_text())["exercises"]["w1.1"]["tries"][0]["mistake"] == "too many"


def test_the_hint_is_that_of_the_mistake_and_the_three_go_on_where_none_fits(ada):
    hints = [course.check("w1.1", a).hint for a in (8, 1, 8, 2, 9, -1, -2, 3)]
    own, a, b, c = "Hint: count again", "Hint 1 of 3: a", "Hint 2 of 3: b", "Hint 3 of 3: c"
    assert hints[:2] == [own, a]
    assert hints[2] == own  # the same answer says the same
    assert hints[3] == b
    assert hints[4] == f"{own}\n{c}"  # the mistake again: its own did not help
    assert hints[5].startswith(c)  # a number names the one of the three that fits


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


def test_tries_are_counted_from_the_record_after_joining_again(ada, monkeypatch):
    one = table.exercises()["w1.1"]
    tried = Exercise("w1.1", "", one.ask, lambda t, a: wrong(str(t.tried)), one.hints, 1, 1)
    monkeypatch.setattr(table, "exercises", lambda: {"w1.1": tried})
    said = []
    for answer in range(4):
        course.join(" ADA", ada.folder)
        said.append(course.check("w1.1", answer).said)
    assert said == ["0", "1", "2", "3"]


def test_two_processes_that_write_one_record_lose_no_try(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from saelab.course.student import Student; from saelab.course.task import wrong\n"
        "for i in range(30): Student('Ada', Path(sys.argv[1])).note('w1.1', sys.argv[2] + str(i), wrong(''))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, tmp_path, x]) for x in "ab"]
    assert [r.wait() for r in runs] == [0, 0]
    assert len(students.read(Student("Ada", tmp_path).path).record["w1.1"]["tries"]) == 60
    assert len(list(tmp_path.iterdir())) == 1


def test_the_record_stays_where_it_was_when_the_notebook_goes_elsewhere(ada, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    course.join("Gus", ".")
    (tmp_path / "sub").mkdir()
    os.chdir("sub")
    course.check("w1.1", 1)
    assert len(students.read(tmp_path / "course-gus.json").record["w1.1"]["tries"]) == 1


def test_one_name_written_two_ways_is_one_student(tmp_path):
    for a, b in (("Zo\u00eb", "Zoe\u0308"), ("Ada Lovelace", "ada  lovelace "), ("Stra\u00dfe", "STRASSE")):
        one, two = Student(a, tmp_path), Student(b, tmp_path)
        assert one.path == two.path
        assert one.rng("w1.1").integers(1 << 40) == two.rng("w1.1").integers(1 << 40)


@pytest.mark.parametrize("name", ["\ud800x", "a\0b", "a" * 10_000])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    with pytest.raises(SaelabError, match="a name has up to 100"):
        course.join(name, tmp_path)
    assert course.join("\u674e" * 100, tmp_path).path.is_file()


def test_an_edited_record_is_refused_without_a_way_round(ada):
    course.check("w1.1", 1)
    ada.path.write_text(ada.path.read_text().replace("false", "true", 1))
    with pytest.raises(SaelabError, match="does not match its checksum") as found:
        students.read(ada.path)
    assert "remove" not in str(found.value)


class Odd:
    def __getattr__(self, name):
        raise RuntimeError("odd")


def test_what_cannot_be_graded_is_refused_in_a_sentence_and_is_no_try(ada, monkeypatch):
    def grade(task, answer):
        return right(str(answer.odd))

    one = table.exercises()["w1.1"]
    monkeypatch.setattr(
        table, "exercises", lambda: {"w1.1": Exercise("w1.1", "", one.ask, grade, one.hints, 1, 1)}
    )
    with pytest.raises(
        SaelabError, match=r"w1\.1 takes .*; got a Odd that cannot be graded: RuntimeError: odd"
    ):
        course.check("w1.1", Odd())
    assert not ada.record["w1.1"]["tries"]


def test_arrays_are_answers_as_lists_are():
    truth = [True, False] * 4
    task = Task("w1.2", "", {}, {"fires": truth})
    for answer in (np.array(truth), pd.Series(truth), torch.tensor(truth)):
        assert w1.grade_places(task, answer).passed
        assert digest(answer) == digest(truth)
    with pytest.raises(SaelabError, match="here: 7"):
        w1.grade_places(task, truth[:7])


@pytest.mark.parametrize(
    "answer", ["+\u2013+\u2013", "+ - + -", "+,-,+,-", np.array(["+", "-"] * 2), pd.Series(["+", "-"] * 2)]
)
def test_signs_are_taken_as_they_are_typed(answer):
    assert w4.grade_sign(Task("w4.1", "", {}, {"signs": ["+", "-"] * 2}), answer).passed


def test_a_compiled_expression_is_a_rule(monkeypatch):
    monkeypatch.setattr(w6, "_unseen", lambda number: (_ for _ in ()).throw(KeyError(number)))
    for answer in ("a", re.compile("a")):
        with pytest.raises(KeyError):  # it is taken, and graded
            w6.grade_blind(Task("w6.4", "", {}, {"sae": None}), answer)
    assert digest(re.compile("a" * 300)) != digest(re.compile("a" * 300 + "b"))


def test_of_three_saes_neither_record_nor_norms_tell_which_is_which(tmp_path, monkeypatch):
    def seeded(seed):
        torch.manual_seed(seed)
        sae = SAE(SAEConfig("topk", d_in=8, d_sae=w6.WIDTH, k=4))
        sae.record = {"recipe": {"seed": seed}}
        return sae

    monkeypatch.setattr(w6, "seeded", seeded)
    task = w6.ask_hidden(Student("Ada", tmp_path))
    norms = [getattr(task, n).W_dec.norm(dim=1).sort().values for n in "axyz"]
    assert all(not getattr(task, n).record for n in "axyz")
    assert all(torch.allclose(n, norms[0], atol=1e-5) for n in norms)

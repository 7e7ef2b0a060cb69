"""The page of a class from the students' files."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from saelab import cli
from saelab.course.board import board, records, tables
from saelab.course.exercises import exercises
from saelab.course.student import Student, read
from saelab.course.task import right, wrong
from saelab.errors import SaelabError


@pytest.fixture
def folder(tmp_path):
    ada, bob = Student("Ada", tmp_path), Student("<b>Bob</b>", tmp_path / "two")
    bob.folder.mkdir()
    for key in exercises():
        ada.note(key, "x", right("yes", 0.9 if key == "w6.4" else None))
    bob.note("w1.1", "x", wrong("no", "too wide"))
    bob.note("w1.1", "y", wrong("no", "too wide"))
    bob.note("w6.4", "y", wrong("no", "", 0.3))
    bob.note("w6.4", "z", wrong("no", ""))  # a try that no longer counts
    return tmp_path


def test_the_tables_say_who_passed_and_where_they_are_stuck(folder):
    made = tables([read(p) for p in sorted(folder.rglob("course-*.json"))])
    passed = made["passed"].set_index("student")
    assert passed.loc["Ada", "passed"] == passed.loc["Ada", "of"]
    assert passed.loc["<b>Bob</b>", "w1"] == "✗○○○"
    stuck = made["stuck"].set_index("exercise")
    assert (stuck.loc["w1.1", "stuck"], stuck.loc["w1.1", "passed"]) == (1, 1)
    assert stuck.loc["w1.1", "commonest mistake"] == "too wide (2)"
    assert made["blind"].values.tolist() == [["Ada", 0.9, 1], ["<b>Bob</b>", 0.3, 1]]


def test_the_page_needs_no_network_and_names_are_inert(folder, capsys):
    assert cli.main(["course", "board", str(folder)]) == 0
    text = (folder / "board.html").read_text(encoding="utf-8")
    assert "Ada" in text
    assert "<b>Bob</b>" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert capsys.readouterr().out.strip().endswith("board.html")


def test_of_two_copies_the_fuller_one_counts(folder):
    old = Student("Ada", folder / "old", begun=read(folder / "course-ada.json").begun)
    old.folder.mkdir()
    old.record = {"w1.1": copy.deepcopy(read(folder / "course-ada.json").record["w1.1"])}
    old.save()
    students, left = records(folder)
    assert [s.name for s in students] == ["<b>Bob</b>", "Ada"]
    assert len(students[1].record) > 1
    assert not left


def test_two_students_of_one_name_have_a_line_each(folder):
    other = Student("ADA ", folder / "three")
    other.note("w1.1", "of another", wrong("no"))
    names = [s.name for s in records(folder)[0]]
    assert names == ["<b>Bob</b>", "Ada (course-ada.json)", "ADA (three/course-ada.json)"]


def test_one_bad_record_is_left_out_and_the_page_says_why(folder):
    good = json.loads((folder / "course-ada.json").read_text(encoding="utf-8"))
    del good["crc32"]
    bad: dict[str, Any] = {"score": "0.9", "at": 5, "answer": ["x"], "mistake": ["x"], "passed": "yes"}
    for key, value in [*bad.items(), ("score", 10**400), ("score", 99), ("score", float("nan"))]:
        held = copy.deepcopy(good)
        held["exercises"]["w6.4"]["tries"][0][key] = value
        (folder / f"course-{key}-{str(value)[:3]}.json").write_text(json.dumps(held))
    for name, text in {"cut": '{"course": "sael', "notes": '{"a": 1}', "list": "[]"}.items():
        (folder / f"course-{name}.json").write_text(text)
    (folder / "course-folder.json").mkdir()
    students, left = records(folder)
    assert [s.name for s in students] == ["<b>Bob</b>", "Ada"]
    assert len(left) == 12
    assert all(left.values())
    page = board(folder).read_text(encoding="utf-8")
    assert "course-folder.json" in page
    assert "files left out: 12, see below" in page
    assert "it lacks &#x27;course&#x27;" in page or "it lacks 'course'" in page


def test_a_pass_without_a_passed_try_is_none(tmp_path):
    eve = Student("Eve", tmp_path)
    eve.record = {"w1.1": {"tries": [], "passed": True, "solution": False}}
    eve.save()
    assert not read(eve.path).record["w1.1"]["passed"]


def test_an_empty_folder_says_what_to_put_there(tmp_path):
    with pytest.raises(SaelabError, match="collect the students' files"):
        board(tmp_path)
    with pytest.raises(SaelabError, match="no folder"):
        board(tmp_path / "nowhere")

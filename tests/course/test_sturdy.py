"""What students did to break the workshop: a kernel stopped in the middle, tasks changed, rules that read too much."""

from __future__ import annotations

import copy
import importlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import saelab as sl
from saelab import bundled, course, n2g
from saelab.course import exercises as table
from saelab.course import student as students
from saelab.course.board import board, records, tables
from saelab.course.exercises import Exercise, digest, exercises
from saelab.course.parts import w1, w2, w3, w4, w5, w6
from saelab.course.solving import code_of
from saelab.course.student import Student
from saelab.course.task import Task, one_each, right, whole, wrong
from saelab.errors import SaelabError
from saelab.index.storage import layout
from saelab.sae import SAE, SAEConfig

material = importlib.import_module("saelab.course.material")  # the package has a function of this name


@pytest.fixture
def class_(tmp_path, monkeypatch):
    """A folder with a student of one exercise, whose task can be changed."""

    def ask(student):
        return Task("w1.1", "?", {"least": 7, "settings": {"lr": 1}}, {})

    def grade(task, answer):
        good = answer == task.least + task.settings["lr"]
        return right("yes") if good else wrong(f"try {task.tried}")

    monkeypatch.setattr(
        table, "exercises", lambda: {"w1.1": Exercise("w1.1", "", ask, grade, ("a", "b", "c"), 1, 1)}
    )
    table._TASKS.clear()
    course.join("Ada", tmp_path)
    yield tmp_path
    table._TASKS.clear()
    students._NOW.clear()


def test_material_goes_on_after_it_was_stopped(tmp_path, monkeypatch):
    few = sl.zoo.labelled_rows(material.model_and_sae()[0], 8, seed=3)
    monkeypatch.setattr(material, "_rows", lambda n, seed: few)
    with monkeypatch.context() as stopped:
        stopped.setattr(layout, "seal", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            material.opened(tmp_path)
    assert (tmp_path / "workshop-index").is_dir()
    n = material.opened(tmp_path).index.n_tokens
    material._OPEN.clear()
    assert material.opened(tmp_path).index.n_tokens == n > 0


def test_the_store_of_w2_is_written_by_a_call_that_goes_on():
    text = (bundled.notebooks() / "workshop" / "w2_train.ipynb").read_text(encoding="utf-8")
    (cell,) = ("".join(c["source"]) for c in json.loads(text)["cells"] if "w2-store" in "".join(c["source"]))
    assert "ActivationStore.write" in cell
    assert "is_dir" not in cell


@pytest.mark.parametrize("i", [0, 1, 7, 15, 16, 20])
def test_solutions_of_w1_pass_for_students_whom_they_failed(tmp_path, monkeypatch, i):
    model, sae = material.model_and_sae()
    me = Student(f"Student {i}", tmp_path)
    places, pair = w1.ask_places(me), w1.ask_pair(me)
    monkeypatch.setattr(course, "task", lambda key: places)
    for task, grade in ((places, w1.grade_places), (pair, w1.grade_pair)):
        names = {"sl": sl, "course": course, "model": model, "sae": sae, "task": task}
        exec(code_of(task.key), names)
        found = grade(task, names["answer"])
        assert found.passed, found
        assert found.score in (None, 1.0)
    assert sum(places._truth["fires"]) == 4


@pytest.fixture(scope="module")
def few():
    model, sae = material.model_and_sae()
    return sl.LatentIndex.build(model, sae, sl.zoo.labelled_rows(model, w3.FEW, seed=5)[0], progress=False)


@pytest.fixture(scope="module")
def index():
    model, sae = material.model_and_sae()
    rows = material._rows(material.DOCUMENTS, material.SEED)[0]
    return sl.LatentIndex.build(model, sae, rows, progress=False)


@pytest.mark.parametrize("concept", w3.CONCEPTS)
def test_each_graph_of_w3_has_both_faults_and_more_to_gain_than_is_asked(few, index, concept):
    best = material.readable(0.0).set_index("concept")["latent"]
    latent = int(best[concept])
    graph = n2g.fit(few, [latent], progress=False)[latent]
    graph.index = index
    for kind in ("false_alarm", "miss"):
        assert len(graph.examples(kind=kind, split="train", n=1))
    task = Task("w3.2", "", {"graph": graph, "latent": latent}, {"fitted": graph.copy()})
    names = {"sl": sl, "index": index, "model": material.model_and_sae()[0], "task": task}
    exec(code_of("w3.1"), names)
    assert w3.grade_fail(task, names["answer"]).passed
    exec(code_of("w3.2"), names)
    before, now = w3.on_new_text(graph)[0], w3.on_new_text(names["answer"])[0]
    assert now - before > w3.GAIN + 0.025
    assert w3.grade_edit(task, names["answer"]).passed


def test_a_graph_fitted_anew_is_no_edit(few):
    latent = int(material.readable(0.0).set_index("concept")["latent"]["log.module"])
    one, other = (n2g.PatternGraph(target={"latent": latent}) for _ in range(2))
    one.add_path([5], value=1.0)
    anew = n2g.PatternGraph(
        one.tree, target={"latent": latent}
    )  # begins with what an edit of the other would end with
    task = Task("w3.2", "", {"graph": other}, {"fitted": other.copy()})
    assert w3.grade_edit(task, anew).mistake == "fitted anew"


def test_equal_scores_of_w3_3_are_a_tie_in_either_order(monkeypatch):
    class Score:
        def __init__(self, f1):
            self.f1 = self.precision = self.recall = f1

    scores = {"graph": Score(0.925), "token": Score(0.89), "bigram": Score(0.923)}
    monkeypatch.setattr(w3, "_scores", lambda graph, split: scores)
    task = Task("w3.3", "", {"graph": None})
    for answer in (
        {"graph": 0.925, "token": 0.89, "bigram": 0.923},
        pd.Series({"graph": 0.923, "token": 0.89, "bigram": 0.925}),
    ):
        grade = w3.grade_than(task, answer)
        assert grade.passed
        assert "a tie: the graph and the list of pairs" in grade.said


# ------------------------------------------------------------------------------------------------ the blind case


@pytest.fixture
def blind(index, monkeypatch):
    monkeypatch.setattr(w6, "_unseen", lambda number: index)
    latent = int(np.argmax(np.where(index.counts < 400, index.counts, 0)))
    return Task("w6.4", "", {"index": index, "latent": latent}, {"sae": None})


def test_a_rule_that_asks_the_sae_is_refused(blind):
    sae = material.model_and_sae()[1]
    for asked in (lambda text: sae.W_dec.sum() and [], lambda text: torch.ones(3).sum() and []):
        with pytest.raises(SaelabError, match="reads the text alone"):
            w6.grade_blind(blind, asked)


def test_a_function_that_fails_after_it_has_read_is_a_try(blind):
    read = []

    def spy(text):
        read.append(text)
        return [] if len(read) < 3 else read[99]

    grade = w6.grade_blind(blind, spy)
    assert (grade.mistake, grade.score) == ("the rule fails", 0.0)
    with pytest.raises(ZeroDivisionError):
        w6.grade_blind(blind, lambda text: 1 / 0)  # at the first: it cannot have learned anything


def test_empty_matches_are_none_and_negative_spans_an_error(blind):
    for nothing in ("(?=[a-z])", "zqzqzq*?(?=x)(?!x)", lambda text: [(3, 3)]):
        assert w6.grade_blind(blind, nothing).mistake == "it matches nothing"
    for odd in ([(-5, -1)], [(5, 2)], [(0.5, 1.5)]):
        with pytest.raises(SaelabError, match="a rule gives"):
            w6.grade_blind(blind, lambda text, odd=odd: odd)


def test_functions_are_told_apart_by_what_they_do():
    def made(pattern):
        return lambda text: [m.span() for m in re.finditer(pattern, text)]

    around = {"one": len, "two": repr, "re": re}
    same = [eval("lambda t: [m.span() for m in re.finditer('a', t)]", around) for _ in range(2)]
    assert digest(same[0]) == digest(same[1])
    assert digest(made("a")) == digest(made("a")) != digest(made("b"))
    assert digest(eval("lambda t: one(t)", around)) != digest(eval("lambda t: two(t)", around))


def test_the_same_answer_again_is_no_new_try(class_):
    assert [course.check("w1.1", a).said for a in (1, 2, 1, 3)] == ["try 0", "try 1", "try 0", "try 2"]


# --------------------------------------------------------------------------------------------------------- tasks


def test_a_task_cannot_be_set_and_its_parts_are_copies(class_):
    task = course.task("W1.1 ")
    with pytest.raises(SaelabError, match=r"task\.least is what is asked"):
        task.least = 0
    task.settings["lr"] = -7
    assert not course.check("w1.1", 0)
    assert course.task("w1.1").settings == {"lr": 1}
    graph = n2g.PatternGraph()
    shown = Task("w3.1", "", {"graph": graph}).copy().graph
    shown.add_path([1], value=1.0)
    sae = SAE(SAEConfig("topk", d_in=8, d_sae=16, k=4))
    twin = Task("w2.4", "", {"a": sae}).copy().a
    with torch.no_grad():
        twin.W_dec.fill_(1)
    assert not sae.W_dec.any()  # a new one is 0
    assert shown != graph
    assert not graph.patterns()


def test_a_folder_that_was_renamed_is_an_error(class_):
    class_.rename(class_.with_name("elsewhere"))
    with pytest.raises(SaelabError, match="no longer there"):
        course.check("w1.1", 1)
    assert not class_.exists()


def test_a_revived_sae_began_as_the_sick_one(monkeypatch):
    sick = {"lr": 0.06, "seed": 5, "aux_coef": 0.0}
    sae = SAE(SAEConfig("topk", d_in=8, d_sae=w2.WIDTH, k=w2.L0, hook_in=w2.HOOK, hook_out=w2.HOOK))
    report = type("R", (), {"l0": 16.0, "explained_variance": 0.8, "density": np.ones(w2.WIDTH)})
    monkeypatch.setattr(w2, "measured", lambda sae: report)
    task = Task("w2.3", "", {"d_sae": w2.WIDTH, "k": w2.L0, "dead": 100, "variance": 0.7}, {"sick": sick})
    fresh = {"lr": 4e-3, "seed": 0, "aux_coef": 0.03}
    for made, good in (
        (None, False), ({}, False), ({"recipe": sick}, True), ({"recipe": sick | {"aux_coef": 0.03}}, False),
        ({"recipe": fresh, "init": {"recipe": fresh}}, False), ({"recipe": fresh, "init": {"digest": "x"}}, False),
        ({"recipe": fresh, "init": {"recipe": sick}}, True),
    ):  # fmt: skip
        sae.record = made  # type: ignore[assignment]
        assert w2.grade_revive(task, sae).mistake == ("" if good else "trained anew")
    broken = copy.deepcopy(sae)
    with torch.no_grad():
        broken.W_dec[0, 0] = float("nan")
    with pytest.raises(SaelabError, match="W_dec of this one holds NaN"):
        w2.grade_revive(task, broken)


# ------------------------------------------------------------------------------------------ answers as they are typed


def test_answers_are_taken_in_the_forms_that_tables_give():
    assert [whole(x) for x in (560.0, np.float64(3), torch.tensor(4.0), 2.5)] == [560, 3, 4, 2.5]
    assert one_each("w2.4", pd.Series({"A": "Trained ", "b": "uses  more"}), "ab", w2.KINDS) == {
        "a": "trained", "b": "uses more",
    }  # fmt: skip
    fires = Task("w1.2", "", {}, {"fires": [True, False] * 4})
    assert w1.grade_places(fires, [1, 0] * 4).passed
    assert w1.grade_places(fires, np.array([1.0, 0.0] * 4)).passed
    with pytest.raises(SaelabError, match="without quotes"):
        w1.grade_places(fires, [2, 0] * 4)
    signs = Task("w4.1", "", {}, {"signs": ["+", "-"] * 2})
    for answer in ([1, -1] * 2, np.sign([0.3, -2.0] * 2)):
        assert w4.grade_sign(signs, answer).passed
    for nan in (float("nan"), np.float32("nan"), torch.tensor(float("nan"))):
        assert w4.grade_ablate(Task("w4.2", "", {}), nan).mistake == "the last token counted"
    partners = Task("w6.3", "", {"latents": [1, 2]}, {"partners": {1: 269, 2: None}, "best": {1: 269, 2: 3}})
    for answer in ({1: 269, 2: pd.NA}, {1.0: 269.0, 2.0: float("nan")}, pd.Series({1: 269.0, 2: np.nan})):
        assert w6.grade_partners(partners, answer).passed
    with pytest.raises(SaelabError, match=r"got 269\.9"):
        w6.grade_partners(partners, {1: 269.9, 2: None})


def test_no_share_is_no_cut(monkeypatch):
    frame = pd.DataFrame({"matched": [True, False], "mutual": True, "score": 0.2})
    value = type("V", (), {"value": 0.2})
    found = type("M", (), {"frame": frame, "mmcs": value, "null_mmcs": value})
    monkeypatch.setattr(w6, "match", lambda a, b: found)
    assert w6.grade_share(Task("w6.1", "", {"a": 0, "b": 0}), 0).mistake == ""


def test_hints_name_what_is_in_the_notebook():
    assert not any("material()" in h for e in exercises().values() for h in e.hints)
    assert "max_new_tokens=task.max_new_tokens" in exercises()["w5.1"].hints[1]
    assert "arithmetic" not in w5.READS


# --------------------------------------------------------------------------------------------- names and the board


def test_two_of_one_name_are_two_rows_and_a_copy_is_none(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with Student("Ada", tmp_path / name).writing():
            pass
    ada = students.read(tmp_path / "a" / "course-ada.json")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "course-ada.json").write_text(ada.path.read_text())
    ada.note("w1.1", "x", right("yes"))
    assert [s.name for s in records(tmp_path)[0]] == ["Ada (a/course-ada.json)", "Ada (b/course-ada.json)"]
    (tmp_path / "old" / "course-ada.json").write_text(ada.path.read_text())
    ada.record["w1.1"]["solution"] = True
    ada.save()
    ada.path.rename(tmp_path / "z.json")
    (tmp_path / "zz").mkdir()
    (tmp_path / "z.json").rename(tmp_path / "zz" / "course-ada.json")
    assert tables(records(tmp_path)[0])["passed"]["solutions opened"].tolist() == [0, 1]


def test_three_tries_of_the_blind_case_are_believed(tmp_path):
    eve = Student("Eve", tmp_path)
    for answer, score in zip("aabcdef", (0.1, 0.9, 0.2, 0.3, 0.9, 0.9, 0.9), strict=True):
        eve.note("w6.4", answer, wrong("no", score=score))
    assert tables([eve])["blind"].values.tolist() == [["Eve", 0.3, 3]]


def test_marks_that_are_not_seen_are_no_part_of_a_name(tmp_path):
    for name in ("\u202eAda", "Ada\u200b", "\ufeffAda"):
        assert course.join(name, tmp_path).name == "Ada"
    assert [p.name for p in tmp_path.iterdir()] == ["course-ada.json"]
    students._NOW.clear()


def test_a_student_is_printed_on_any_terminal(tmp_path):
    repr(Student("Ada", Path("/x"))).encode("ascii")
    assert "\u2068שרה\u2069" in repr(Student("שרה", tmp_path))


def test_a_page_that_is_a_folder_is_said_to_be_one(tmp_path):
    Student("Ada", tmp_path).note("w1.1", "x", right("yes"))
    with pytest.raises(SaelabError, match="it is a folder"):
        board(tmp_path, tmp_path)

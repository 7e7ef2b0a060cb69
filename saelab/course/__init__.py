"""The workshop: exercises that are graded against the zoo's truth, a record of each student, the board of a class.

    from saelab import course
    course.join("Ada")                       # once; makes course-ada.json in this folder
    task = course.task("w1.1")               # what is asked of Ada, and of nobody else
    course.check("w1.1", "http.header_name")  # passed, or one hint

The notebooks are ``notebooks/workshop/w1…w6`` (``saelab lab`` copies them). A check looks at the answer and never at how
it was found. What is hidden depends on the student's name, so neighbors have other answers; in w2.1, w5.1 and w5.2 it
is drawn from a few, and two neighbors may have the same.
"""

from __future__ import annotations

from pathlib import Path

from saelab.course.exercises import Verdict, checked, task_of, untried
from saelab.course.material import Material, opened
from saelab.course.solving import Solution, solution_of
from saelab.course.student import Student, current, joined
from saelab.course.task import Task
from saelab.doors import door

__all__ = ["check", "join", "material", "progress", "solution", "task"]


@door
def join(name: str | None = None, folder: str | Path = ".") -> Student:
    """Begin the workshop, or go on with it.

    Parameters
    ----------
    name
        The student's name, which decides what is hidden; None: the one who worked in ``folder`` before.
    folder
        Where the record ``course-NAME.json`` is kept, and the index of the zoo's texts.

    Raises
    ------
    SaelabError
        Without a name, if there is no record in the folder, or more than one.
    """
    return joined(name, Path(folder))


@door
def task(key: str) -> Task:
    """What exercise ``key`` asks of this student; its parts are attributes, such as ``task.latent``, a fresh copy each time.

    Raises
    ------
    SaelabError
        For an unknown exercise, or before :func:`join`.
    """
    return task_of(key, current()).copy()


@door
def check(key: str, answer: object = None) -> Verdict:
    """Grade an answer: passed, or what is wrong with it and a hint: that of a typical mistake, else the next of three.

    An answer of the wrong kind is an error and no try. ``None`` and ``...`` are an untouched stub: what to do, and in
    the workshop the first hint.

    Raises
    ------
    SaelabError
        For an unknown exercise, an answer of the wrong kind, or before :func:`join`.
    """
    return checked(key, answer, current())


@door
def solution(key: str) -> Solution:
    """The solution of an exercise, after two honest tries or a pass; the record says that it was opened.

    Raises
    ------
    SaelabError
        For an unknown exercise, or after fewer than two different answers.
    """
    return solution_of(key, current())


@door
def material() -> Material:
    """The zoo's model, SAE, an index of 1,500 documents with labels; made once and kept in the student's folder."""
    return opened(current().folder)


@door
def progress() -> Student:
    """This student's record; shows what is passed and what is not."""
    untried(current())
    return current()

"""The class on one offline page: who passed what, where they are stuck, the blind case by F1."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from saelab.course.exercises import exercises
from saelab.course.student import Student, honest, read
from saelab.doors import door
from saelab.errors import SaelabError

BLIND, TRIES = "w6.4", 3


def records(folder: Path) -> tuple[list[Student], dict[str, str]]:
    """The students whose records lie in a folder or below it, by name, and why a file is left out.

    An older copy of a record is no student; two that bear one name are told apart by their files.
    """
    if not folder.is_dir():
        raise SaelabError(f"{folder} is no folder; give the one that holds the students' course-NAME.json")
    found: list[tuple[Student, str]] = []
    left: dict[str, str] = {}
    for path in sorted(folder.rglob("course-*.json")):
        at = path.relative_to(folder).as_posix()
        try:
            student = read(path)
            if not all(0 <= score <= 1 for score in _scores(student)):
                raise SaelabError(f"{path}: an F1 is from 0 to 1")
            found.append((student, at))
        except SaelabError as error:
            left[at] = str(error).replace(str(path), "").lstrip(": ")
    if not found:
        why = "".join(f"\n{at}: {said}" for at, said in left.items())
        raise SaelabError(f"no course-NAME.json to read in {folder}; collect the students' files there{why}")
    kept: list[tuple[Student, str]] = []
    for student, at in sorted(found, key=lambda pair: (-len(_tries(pair[0])), -_opened(pair[0]))):
        if not any(_older(student, s) for s, _ in kept):
            kept.append((student, at))
    names = Counter(s.folded for s, _ in kept)
    for student, at in kept:
        if names[student.folded] > 1:
            student.name += f" ({at})"
    return sorted((s for s, _ in kept), key=lambda s: s.name.casefold()), left


def _older(a: Student, b: Student) -> bool:
    """Whether ``a`` is an earlier copy of the record ``b``; a record of an earlier saelab does not say when it began."""
    one = a.begun == b.begun or (_tries(a) and "unknown" in (a.begun, b.begun))
    return bool(one) and a.folded == b.folded and _tries(a) <= _tries(b)


def _opened(student: Student) -> int:
    return sum(e["solution"] for e in student.record.values())


def _tries(student: Student) -> set[tuple[str, str, str]]:
    return {(key, t["at"], t["answer"]) for key, e in student.record.items() for t in e["tries"]}


def _scores(student: Student) -> list[float]:
    """Of the tries that count: the first three different rules, whatever the record says of later ones."""
    tries = student.record.get(BLIND, {"tries": []})["tries"]
    first = {t["answer"]: t["score"] for t in reversed(tries)}  # of the same rule the first
    counted = list(dict.fromkeys(t["answer"] for t in tries))[:TRIES]
    return [first[x] for x in counted if first[x] is not None]


def tables(students: list[Student]) -> dict[str, pd.DataFrame]:
    """``passed`` (student x part), ``stuck`` (exercise), ``blind`` (student by F1)."""
    keys = [key for key in exercises() if key.startswith("w")]
    parts = sorted({key.partition(".")[0] for key in keys})
    passed, blind, stuck = [], [], []
    for s in students:
        done = {key for key in keys if s.record.get(key, {}).get("passed")}
        marks = {part: "".join(_mark(s, key) for key in keys if key.startswith(f"{part}.")) for part in parts}
        passed.append(
            {"student": s.name, **marks, "passed": len(done), "of": len(keys), "solutions opened": _opened(s)}
        )
        if scores := _scores(s):
            blind.append({"student": s.name, "F1": max(scores), "tries": len(scores)})
    for key in keys:
        entries = [s.record[key] for s in students if key in s.record]
        open_ = [e for e in entries if e["tries"] and not e["passed"]]
        mistakes = Counter(t["mistake"] for e in entries for t in e["tries"] if t["mistake"])
        stuck.append({
            "exercise": key, "title": exercises()[key].title, "passed": sum(e["passed"] for e in entries),
            "stuck": len(open_), "hints": round(sum(min(honest(e), 3) for e in entries) / max(len(entries), 1), 1),
            "commonest mistake": " · ".join(f"{name} ({n})" for name, n in mistakes.most_common(2)),
        })  # fmt: skip
    ranked: Any = pd.DataFrame(blind, columns=["student", "F1", "tries"])
    return {
        "passed": pd.DataFrame(passed), "stuck": pd.DataFrame(stuck),
        "blind": ranked.sort_values("F1", ascending=False, kind="stable"),
    }  # fmt: skip


def _mark(student: Student, key: str) -> str:
    entry = student.record.get(key)
    if not entry or not entry["tries"]:
        return "○"
    return "✓" if entry["passed"] else "✗"


@door
def board(folder: str | Path, out: str | Path | None = None) -> Path:
    """Write the page of a class; no server, no network.

    Parameters
    ----------
    folder
        Holds the students' records, ``course-NAME.json``, in it or in folders below.
    out
        The page; None: ``board.html`` in the folder.

    Raises
    ------
    SaelabError
        If there is no record; a file that is none is left out, and the page says why.
    """
    from saelab.widgets import BarChart, Facts, Heading, Paragraph, Table, page

    students, left = records(Path(folder))
    made = tables(students)
    passed, stuck, blind = made["passed"], made["stuck"], made["blind"]
    whole = int(passed["of"].iloc[0])
    facts = Facts({
        "students": (len(students), f"files left out: {len(left)}, see below") if left else len(students),
        "exercises passed": (f"{passed['passed'].mean():.1f}", f"mean, of {whole}"),
        "stuck most on": _most(stuck),
        "blind case": (f"{blind['F1'].max():.2f}", f"best F1, {blind['student'].iloc[0]}") if len(blind) else "not yet",
    })  # fmt: skip
    blocks: list[Any] = [
        facts, Heading("Who passed what"),
        Table(passed, "✓ passed, ✗ tried and open, ○ not tried; one mark an exercise, in order"),
        Heading("Where they are stuck"),
        Table(stuck, "stuck: tried and not passed; hints: mean of those who tried", {"hints": ".1f"}),
        Heading("The blind case, by F1"),
    ]  # fmt: skip
    if len(blind):
        blocks.append(
            BarChart(blind["student"].tolist(), blind["F1"].tolist(), "F1 on unseen text", format=".2f")
        )
    else:
        blocks.append(Paragraph("Nobody has handed in a rule yet."))
    if left:
        table = pd.DataFrame(left.items(), columns=["file", "why"])
        blocks += [
            Heading("Left out"),
            Table(table, "files that are no record of a student, or a damaged one"),
        ]
    return page("The class", blocks, Path(folder) / "board.html" if out is None else Path(out))


def _most(stuck: pd.DataFrame) -> Any:
    worst = stuck.loc[stuck["stuck"].idxmax()]
    return (
        (worst["exercise"], f"{worst['title']}: {worst['stuck']} students") if worst["stuck"] else "nothing"
    )

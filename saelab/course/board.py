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

BLIND = "w6.4"


def records(folder: Path) -> list[Student]:
    """The students whose records lie in a folder or below it, by name; of one student in two places the fuller record."""
    if not folder.is_dir():
        raise SaelabError(f"{folder} is no folder; give the one that holds the students' course-NAME.json")
    found: dict[str, Student] = {}
    for path in sorted(folder.rglob("course-*.json")):
        student = read(path)
        known = found.get(student.name)
        if known is None or _size(student) > _size(known):
            found[student.name] = student
    if not found:
        raise SaelabError(f"no course-NAME.json in {folder}; collect the students' files there")
    return sorted(found.values(), key=lambda s: s.name.casefold())


def _size(student: Student) -> int:
    return sum(len(e["tries"]) for e in student.record.values())


def tables(students: list[Student]) -> dict[str, pd.DataFrame]:
    """``passed`` (student x part), ``stuck`` (exercise), ``blind`` (student by F1)."""
    keys = [key for key in exercises() if key.startswith("w")]
    parts = sorted({key.partition(".")[0] for key in keys})
    passed, blind, stuck = [], [], []
    for s in students:
        done = {key for key in keys if s.record.get(key, {}).get("passed")}
        marks = {part: "".join(_mark(s, key) for key in keys if key.startswith(f"{part}.")) for part in parts}
        opened = sum(e["solution"] for e in s.record.values())
        passed.append(
            {"student": s.name, **marks, "passed": len(done), "of": len(keys), "solutions opened": opened}
        )
        scores = [t["score"] for t in s.record.get(BLIND, {"tries": []})["tries"] if t["score"] is not None]
        if scores:
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
        return "·"
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
        If there is no record, or a file is none.
    """
    from saelab.widgets import BarChart, Facts, Heading, Paragraph, Table, page

    students = records(Path(folder))
    made = tables(students)
    passed, stuck, blind = made["passed"], made["stuck"], made["blind"]
    whole = int(passed["of"].iloc[0])
    facts = Facts({
        "students": len(students),
        "exercises passed": (f"{passed['passed'].mean():.1f}", f"mean, of {whole}"),
        "stuck most on": _most(stuck),
        "blind case": (f"{blind['F1'].max():.2f}", f"best F1, {blind['student'].iloc[0]}") if len(blind) else "not yet",
    })  # fmt: skip
    blocks: list[Any] = [
        facts, Heading("Who passed what"),
        Table(passed, "✓ passed, ✗ tried and open, · not tried; one mark an exercise, in order"),
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
    return page("The class", blocks, Path(folder) / "board.html" if out is None else Path(out))


def _most(stuck: pd.DataFrame) -> Any:
    worst = stuck.loc[stuck["stuck"].idxmax()]
    return (
        (worst["exercise"], f"{worst['title']}: {worst['stuck']} students") if worst["stuck"] else "nothing"
    )

"""A student: a name, a folder, and the record of what was tried, kept as JSON after every check."""

from __future__ import annotations

import datetime
import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from saelab import files
from saelab.display import facts_html
from saelab.errors import SaelabError, called

VERSION = 1
_KEYS = {"passed": False, "solution": False}


class Student:
    """Who works here. ``record``: exercise -> ``{"tries": [...], "passed": bool, "solution": bool}``."""

    def __init__(self, name: str, folder: Path, record: dict[str, Any] | None = None):
        self.name, self.folder = name, folder
        self.record: dict[str, Any] = record or {}
        self.titles: dict[str, str] = {}

    @property
    def path(self) -> Path:
        """The record's file."""
        letters = re.sub(r"\W+", "-", self.name.casefold()).strip("-")
        known = (
            letters if letters == self.name.casefold() else f"{letters}-{zlib.crc32(self.name.encode()):08x}"
        )
        return self.folder / f"course-{known}.json"

    def rng(self, key: str) -> np.random.Generator:
        """The random numbers of one exercise: the same for the same name, on every machine."""
        digest = hashlib.sha256(f"{self.name.strip().casefold()}\0{key}".encode()).digest()
        return np.random.default_rng(list(digest[:16]))

    def entry(self, key: str) -> dict[str, Any]:
        """The record of one exercise, made if it is not there."""
        return self.record.setdefault(key, {"tries": [], **_KEYS})

    def note(self, key: str, digest: str, grade: Any) -> int:
        """Write a try down; returns how many different honest answers failed so far, this one included."""
        self.refresh()
        entry = self.entry(key)
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = {
            "at": at,
            "answer": digest,
            "passed": grade.passed,
            "mistake": grade.mistake,
            "score": grade.score,
        }
        entry["tries"].append(line)
        entry["passed"] |= grade.passed
        self.save()
        return honest(entry)

    def refresh(self) -> None:
        """Take over what another notebook of this student wrote since: two are open at once, and one file holds both."""
        if not self.path.is_file():
            return
        for key, there in read(self.path).record.items():
            entry = self.entry(key)
            entry["tries"] += [t for t in there["tries"] if t not in entry["tries"]]
            entry["tries"].sort(key=lambda t: t["at"])
            entry.update({k: entry[k] or there[k] for k in _KEYS})

    def save(self) -> None:
        """Write the record, whole or not at all."""
        files.write_json(
            self.path,
            {"course": "saelab", "version": VERSION, "student": self.name, "exercises": self.record},
            checked=True,
        )

    def _lines(self) -> list[tuple[str, str]]:
        keys = list(dict.fromkeys([*self.titles, *self.record]))
        return [(f"{key} {self.titles.get(key, '')}", state(self.record.get(key))) for key in keys]

    def __repr__(self) -> str:
        return self._title() + "".join(f"\n  {name:<44} {said}" for name, said in self._lines())

    def _repr_html_(self) -> str:
        return facts_html(self._title(), self._lines())

    def _title(self) -> str:
        done = sum(e["passed"] for e in self.record.values())
        # isolated, because a name may be written from right to left
        return f"\u2068{self.name}\u2069 · exercises passed: {done} · kept in \u2068{self.path}\u2069"


def honest(entry: dict[str, Any]) -> int:
    """How many different answers failed."""
    return len({t["answer"] for t in entry["tries"] if not t["passed"]})


def state(entry: dict[str, Any] | None) -> str:
    """One exercise in a few words."""
    if not entry or not (entry["tries"] or entry["solution"]):
        return "not tried"
    n = len(entry["tries"])
    after = f", {n} {'try' if n == 1 else 'tries'}"
    opened = ", solution opened" if entry["solution"] else ""
    return ("passed" if entry["passed"] else "open") + after + opened


def read(path: Path) -> Student:
    """The student of a record's file."""
    held = files.read_json(path, dict)
    with files.reading(path):
        if held.get("course") != "saelab" or held["version"] > VERSION:
            raise SaelabError("it is no record of this course, or of a newer saelab")
        record = {}
        for key, entry in held["exercises"].items():
            tries = [
                {k: t[k] for k in ("at", "answer", "passed", "mistake", "score")} for t in entry["tries"]
            ]
            record[str(key)] = {"tries": tries, **{k: bool(entry[k]) for k in _KEYS}}
        return Student(str(held["student"]), path.parent, record)


_NOW: list[Student] = []


def joined(name: str | None, folder: Path) -> Student:
    """See :func:`saelab.course.join`."""
    if name is None:
        found = sorted(folder.glob("course-*.json"))
        if len(found) != 1:
            there = ", ".join(p.name for p in found) or "none"
            raise SaelabError(f'say who you are: join("your name"); records in {folder.resolve()}: {there}')
        student = read(found[0])
    else:
        if not name.strip() or not re.search(r"\w", name) or "your name" in name:
            raise SaelabError(f'join needs your own name, such as join("Ada"), got {called(name)}')
        student = Student(name.strip(), folder)
        if student.path.is_file():
            student = read(student.path)
        else:
            student.save()
    _NOW[:] = [student]
    return student


def current() -> Student:
    """The student who joined in this session, or the only one of this folder."""
    return _NOW[0] if _NOW else joined(None, Path())

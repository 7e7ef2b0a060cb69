"""A student: a name, a folder, and the record of what was tried, kept as JSON after every check."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import re
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from saelab import files
from saelab.display import facts_html
from saelab.errors import SaelabError, called

VERSION = 1
_KEYS = {"passed": False, "solution": False}
_TRY = {"at": str, "answer": str, "passed": bool, "mistake": str, "score": (float, type(None))}
_FORM = {"student": str, "exercises": {str: {"tries": [_TRY], "passed": bool, "solution": bool}}}
LONGEST = 100  # characters of a name
# what turns the text around it, or is not seen at all; joiners of letters stay
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


class Student:
    """Who works here. ``record``: exercise -> ``{"tries": [...], "passed": bool, "solution": bool}``."""

    def __init__(self, name: str, folder: Path, record: dict[str, Any] | None = None, begun: str = ""):
        self.name, self.folder = name, folder.resolve()  # a notebook may go to another folder
        self.record: dict[str, Any] = record or {}
        self.begun = begun or datetime.datetime.now(datetime.UTC).isoformat()  # tells two of one name apart
        self.titles: dict[str, str] = {}

    @property
    def folded(self) -> str:
        """The name without what is no difference: case, spaces, the way an accent is written."""
        return unicodedata.normalize("NFC", " ".join(self.name.split()).casefold())

    @property
    def path(self) -> Path:
        """The record's file."""
        name = self.folded
        letters = re.sub(r"\W+", "-", name).strip("-")[:40]
        known = letters if letters == name else f"{letters}-{zlib.crc32(name.encode()):08x}"
        return self.folder / f"course-{known}.json"

    def rng(self, key: str) -> np.random.Generator:
        """The random numbers of one exercise: the same for the same name, on every machine."""
        digest = hashlib.sha256(f"{self.folded}\0{key}".encode()).digest()
        return np.random.default_rng(list(digest[:16]))

    def entry(self, key: str) -> dict[str, Any]:
        """The record of one exercise, made if it is not there."""
        return self.record.setdefault(key, {"tries": [], **_KEYS})

    def note(self, key: str, digest: str, grade: Any) -> dict[str, Any]:
        """Write a try down; returns the record of the exercise, this try included."""
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        line = {
            "at": at,
            "answer": digest,
            "passed": grade.passed,
            "mistake": grade.mistake,
            "score": grade.score,
        }
        with self.writing():
            entry = self.entry(key)
            entry["tries"].append(line)
            entry["passed"] |= grade.passed
        return entry

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one who writes this record, which holds what others wrote before and is saved after."""
        lock = f".{self.path.name}.lock"
        with files.folder_lock(self.folder, "writing a record", wait=True, name=lock):
            self.refresh()
            yield
            self.save()

    def refresh(self) -> None:
        """Take over what another notebook of this student wrote since: two are open at once, and one file holds both."""
        if not self.path.is_file():
            return
        kept = read(self.path)
        self.begun = kept.begun
        for key, there in kept.record.items():
            entry = self.entry(key)
            entry["tries"] += [t for t in there["tries"] if t not in entry["tries"]]
            entry["tries"].sort(key=lambda t: t["at"])
            entry.update({k: entry[k] or there[k] for k in _KEYS})

    def save(self) -> None:
        """Write the record, whole or not at all."""
        files.write_json(
            self.path,
            {
                "course": "saelab",
                "version": VERSION,
                "student": self.name,
                "begun": self.begun,
                "exercises": self.record,
            },
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
        name, path = (_isolated(str(x)) for x in (self.name, self.path))
        return f"{name}: exercises passed: {done}; kept in {path}"


def _isolated(text: str) -> str:
    """Marked, if it is written from right to left; else as it is, which any terminal can print."""
    return f"\u2068{text}\u2069" if {"R", "AL"} & {*map(unicodedata.bidirectional, text)} else text


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
    held = files.read_json(path, {"course": str, "version": int}, by_hand=False)
    if held["course"] != "saelab" or held["version"] > VERSION:
        raise SaelabError(f"{path} is no record of this course, or of a newer saelab")
    files.check_form(path, held, _FORM)
    record = {}
    for key, entry in held["exercises"].items():
        tries = [{k: t[k] for k in _TRY} for t in entry["tries"]]
        passed = any(t["passed"] for t in tries)
        record[key] = {"tries": tries, "passed": passed, "solution": entry["solution"]}
    return Student(_named(held["student"]), path.parent, record, str(held.get("begun", "unknown")))


def _named(name: str) -> str:
    """A name as it is shown, if it can be one."""
    name = unicodedata.normalize("NFC", " ".join(_UNSEEN.sub("", name).split()))
    if not re.search(r"\w", name) or "your name" in name:
        raise SaelabError(f'join needs your own name, such as join("Ada"), got {called(name)}')
    if len(name) > LONGEST or {"Cc", "Cs"} & {unicodedata.category(c) for c in name}:
        raise SaelabError(
            f"a name has up to {LONGEST} characters, all of which can be written; got {called(name)}"
        )
    return name


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
        student = Student(_named(name), folder)
        if student.path.exists():
            student = read(student.path)
        else:
            with student.writing():
                pass
    _NOW[:] = [student]
    return student


def current() -> Student:
    """The student who joined in this session, or the only one of this folder."""
    if _NOW and not _NOW[0].folder.is_dir():
        raise SaelabError(
            f"{_NOW[0].folder} is no longer there: was it renamed or moved? Restart the kernel, and join where it is now"
        )
    return _NOW[0] if _NOW else joined(None, Path())

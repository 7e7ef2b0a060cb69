"""Solutions: sealed until two honest tries."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

from saelab.course.exercises import known
from saelab.course.student import Student, honest
from saelab.course.task import folded
from saelab.errors import SaelabError

TRIES = 2


@dataclass(frozen=True)
class Solution:
    """Code that solves an exercise; ``code`` ends with the line that sets ``answer``."""

    key: str
    code: str

    def __repr__(self) -> str:
        return f"# {self.key}\n{self.code}"

    def _repr_html_(self) -> str:
        return f'<pre class="tex2jax_ignore mathjax_ignore">{html.escape(repr(self))}</pre>'


def code_of(key: str) -> str:
    """The solution's code, from ``saelab/course/solutions``."""
    name = key.partition(".")[0] if key.startswith("w") else "tutorials"
    text = (Path(__file__).parent / "solutions" / f"{name}.txt").read_text(encoding="utf-8")
    parts = re.split(r"^# %% (\S+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[key].strip() + "\n"


def solution_of(key: str, student: Student) -> Solution:
    """See :func:`saelab.course.solution`."""
    known(key)
    key = folded(key)
    with student.writing():
        entry = student.entry(key)
        tried = honest(entry)
        if not entry["passed"] and tried < TRIES:
            raise SaelabError(
                f"the solution of {key} opens after {TRIES} different answers, or a pass; so far {tried}. Your last hint "
                "stands under your last check"
            )
        entry["solution"] = True
    return Solution(key, code_of(key))

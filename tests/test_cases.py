"""``CASES.md`` and the codes in tests say the same."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
CODE = re.compile(r"(?<![A-Za-z0-9\\])([Cc]|D)(\d\d)(?![A-Za-z0-9])")  # not the \xc3 of a byte


def all_tests() -> str:
    """All tests as one text."""
    files = [*HERE.rglob("*.py"), *HERE.parent.glob("widgets/test/**/*.js")]
    return "\n".join(f.read_text(encoding="utf-8") for f in files if f != Path(__file__))


def lines() -> dict[str, str]:
    """id -> its line of the table."""
    table = (HERE / "CASES.md").read_text(encoding="utf-8").splitlines()
    found = [line for line in table if re.match(r"\| [CD]\d", line)]
    named = {line.split("|")[1].strip(): line for line in found}
    assert len(named) == len(found), "an id has two lines"
    return named


def test_every_code_has_a_line_and_every_line_a_test():
    assert {f"{kind.upper()}{n}" for kind, n in CODE.findall(all_tests())} == set(lines())


def test_the_tests_that_are_named_exist():
    text = all_tests()
    names = {name for line in lines().values() for name in re.findall(r"`(test_\w+)`", line)}
    assert not {n for n in names if f"def {n}(" not in text}

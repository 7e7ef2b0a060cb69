"""The prompts: plain files beside this one, the system's part above a line ``---`` and the user's below."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from saelab.doors import door
from saelab.errors import SaelabError
from saelab.files import reading, writing
from saelab.words.calls import Messages

_HERE = Path(__file__).parent / "prompts"
_NEEDS = {
    "explanation": ("texts",), "detection": ("explanation", "texts", "n"), "fuzzing": ("explanation", "texts", "n"),
    "simulation": ("explanation", "texts", "n"),
}  # fmt: skip


@door
def copy_prompts(path: str | Path) -> Path:
    """Copy the prompts into a folder, to read and change; ``prompts=path`` then uses them.

    >>> sorted(p.name for p in sl.words.copy_prompts(folder / "prompts").iterdir())
    ['detection.txt', 'explanation.txt', 'fuzzing.txt', 'simulation.txt']
    """
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)
        for name in _NEEDS:
            if not (to := Path(path) / f"{name}.txt").exists():  # what was changed stays
                shutil.copyfile(_HERE / to.name, to)
    return Path(path)


class Prompt:
    """One prompt, with places in braces that are filled in."""

    def __init__(self, name: str, folder: str | Path | None):
        file = (_HERE if folder is None else Path(folder)) / f"{name}.txt"
        if not file.is_file():
            raise SaelabError(f"no prompt {file}; sl.words.copy_prompts(folder) writes all of them")
        with reading(file):
            self._parts = file.read_text(encoding="utf-8").split("\n---\n", 1)
        missing = [w for w in _NEEDS[name] if f"{{{w}}}" not in self._parts[-1]]
        if len(self._parts) < 2 or missing:
            raise SaelabError(
                f"{file} must have a line --- and below it {', '.join(f'{{{w}}}' for w in _NEEDS[name])}"
                + (f"; it lacks {', '.join(missing)}" if missing else "")
            )

    def fill(self, **values: str) -> Messages:
        """As messages. What is filled in is filled in as it is, braces too."""
        user = re.sub("{([a-z]+)}", lambda found: values.get(found[1], found[0]), self._parts[1])
        return [
            {"role": "system", "content": self._parts[0].strip()},
            {"role": "user", "content": user.strip()},
        ]


def quoted(text: str) -> str:
    """As a JSON string: whatever it holds, it ends where it ends."""
    return json.dumps(text, ensure_ascii=False)

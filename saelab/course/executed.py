"""The workshop's notebooks with their solutions in place of the stubs, executed: for the teacher."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

from saelab import bundled, files
from saelab.course.solving import code_of
from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError


def filled(notebook: Any, name: str) -> Any:
    """A notebook whose stubs are the solutions, for a student of this name."""
    out = copy.deepcopy(notebook)
    for cell in out["cells"]:
        # named in each, because the folder may hold another student's record
        source = re.sub(
            r'course\.join\((?:"your name here")?\)',
            lambda _: f"course.join({name!r})",
            "".join(cell["source"]),
        )
        key = cell["metadata"].get("saelab", {}).get("exercise")
        if key:
            source = f'{code_of(key)}\ncourse.check("{key}", answer)'
        cell["source"] = source
    return out


@door
def solutions(folder: str | Path, name: str = "Teacher") -> list[Path]:
    """Execute every workshop notebook with its solutions, which takes some minutes, and write them into ``folder``.

    Parameters
    ----------
    name
        For which student: what is hidden depends on it.

    Raises
    ------
    SaelabError
        If a cell fails; the notebook is written as far as it came.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for path in Bar(sorted((bundled.notebooks() / "workshop").glob("w*.ipynb")), desc="notebooks"):
        notebook: Any = nbformat.from_dict(filled(files.read_json(path), name))
        target = folder / path.name
        client = NotebookClient(
            notebook,
            timeout=1200,
            resources={"metadata": {"path": str(folder)}},
            extra_arguments=[
                "--IPKernelApp.log_level=40"
            ],  # its warning of TCP would stand in the teacher's terminal
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise SaelabError(f"{path.name} with its solutions failed: {error}") from error
        finally:
            files.write_text(target, nbformat.writes(notebook))
        out.append(target)
    return out

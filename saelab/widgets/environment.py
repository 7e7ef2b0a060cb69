"""Whether widgets can be shown here: versions, and what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys

from saelab.doors import door
from saelab.errors import SaelabError

# package -> lowest version widgets are known to work with; None: any
NEEDED = {"ipywidgets": "8.1", "anywidget": "0.11", "jupyterlab_widgets": "3.0", "jupyterlab": "4.2"}
OTHERS = ("ipykernel", "traitlets", "torch", "transformer-lens", "pandas", "numpy")


def version(package: str) -> str | None:
    """Version of an installed package, None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", text)[:3])


def front_end() -> str:
    """What shows this session's output, as far as the kernel can tell."""
    if "google.colab" in sys.modules:
        return "Colab"
    if os.environ.get("VSCODE_PID") or os.environ.get("VSCODE_CWD"):
        return "VS Code"
    if os.environ.get("JPY_SESSION_NAME") or os.environ.get("JPY_PARENT_PID"):
        return "Jupyter"
    ipython = sys.modules.get("IPython")
    return "IPython" if ipython and ipython.get_ipython() else "Python"


def problems() -> list[str]:
    """What would keep a widget from being drawn, with what to do about it; empty when nothing is known."""
    out = []
    for package, least in NEEDED.items():
        have = version(package)
        if have is None and package in ("jupyterlab", "jupyterlab_widgets"):
            out.append(
                f"{package} is not installed beside this kernel. If JupyterLab runs in another environment, "
                f"it must be there; else: pip install '{package}>={least}', restart JupyterLab, reload the page"
            )
        elif have is None or _numbers(have) < _numbers(least):
            found = "it is not installed" if have is None else f"version {have} is installed"
            out.append(
                f"widgets need {package} {least} or newer, but {found}: pip install -U '{package}>={least}'"
            )
    if front_end() == "Colab":
        out.append(
            "in Colab widgets of other packages are off until google.colab.output.enable_custom_widget_manager()"
        )
    return out


def require_widgets() -> None:
    """Raise a :class:`SaelabError` if the packages that widgets are made with are missing or too old."""
    wrong = [p for p in problems() if p.startswith("widgets need")]
    if wrong:
        raise SaelabError("; ".join(wrong))


class Environment:
    """The report of :func:`check_environment`: ``front_end``, ``versions``, ``problems``."""

    def __init__(self) -> None:
        self.front_end = front_end()
        self.versions = {p: version(p) for p in ("saelab", *NEEDED, *OTHERS)}
        self.problems = problems()

    def __repr__(self) -> str:
        lines = [f"Python {sys.version.split()[0]}, output shown by: {self.front_end}"]
        lines += [f"  {name:<20} {have or 'not installed'}" for name, have in self.versions.items()]
        advice = self.problems or ["nothing is known to be wrong"]
        return "\n".join([*lines, *(f"- {p}" for p in advice)])


@door
def check_environment() -> Environment:
    """What is installed, what shows the output, and what would keep a widget from being drawn.

    Examples
    --------
    >>> sl.check_environment().versions["saelab"] == sl.__version__
    True
    """
    return Environment()

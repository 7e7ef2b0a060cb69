"""What objects show at the end of a notebook cell, and the bar of long work."""

from __future__ import annotations

import html
import re
import sys
import time
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tqdm.std import tqdm

if TYPE_CHECKING:
    import pandas as pd

_QUIET = 'style="text-align:left;vertical-align:top;opacity:.7;white-space:nowrap"'
_VALUE = 'style="text-align:left;white-space:pre-wrap"'
_BYTES = re.compile(r"(?:\\x[0-9a-f]{2})+")


def facts_html(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """``title`` in bold over one line per (name, value); every text is escaped and ``$`` is not drawn as maths."""
    rows = "".join(
        f"<tr><td {_QUIET}>{escape(name)}</td><td {_VALUE}>{escape(str(value))}</td></tr>"
        for name, value in facts
    )
    return f'<div class="tex2jax_ignore mathjax_ignore"><b>{escape(title)}</b><table>{rows}</table></div>'


def table_html(caption: str, frame: pd.DataFrame, **options: Any) -> str:
    """``frame`` below one line of text; every cell is escaped and ``$`` is not drawn as maths."""
    table = frame.to_html(index=False, **options).replace("$", "<span>$</span>")
    return f'<div class="tex2jax_ignore mathjax_ignore"><div>{escape(caption)}</div>{table}</div>'


def escape(text: str) -> str:
    """As HTML; a dollar alone in an element is not taken for maths, and an escaped byte not read backwards."""
    return _BYTES.sub(r'<bdi dir="ltr">\g<0></bdi>', html.escape(text).replace("$", "<span>$</span>"))


def isolated(label: str, look: str, inner: str) -> str:
    """``inner``, the HTML of a token's ``label``, in an element that its direction does not leave."""
    # an escaped byte beside a right-to-left letter would be shown with its backslash on the wrong side
    direction = ' dir="ltr"' if "\\x" in label else ""
    return f"<bdi {look}{direction}>{inner}</bdi>"


# ------------------------------------------------------------------------------------------------- progress

_LOG_SECONDS = 10.0


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython.get_ipython() if ipython else None, "kernel")


class _Nowhere:
    encoding = "utf-8"

    def write(self, _: str) -> None: ...

    def flush(self) -> None: ...


class Bar(tqdm):
    """tqdm's bar, which leaves nothing behind when the work is done.

    A terminal gets it as it is. A notebook gets HTML and no Jupyter widget: that would stand at 0 % in a saved notebook.
    Anything else, such as a log file, gets a line every ten seconds, and none of what is over before.
    """

    def __init__(self, *args: Any, **options: Any):
        self._notebook = in_notebook()
        self._plain = not self._notebook and sys.stderr.isatty()
        self._said, self._id = time.monotonic(), ""
        if not self._plain:
            options |= {"file": _Nowhere(), "ncols": 90}
        if self._notebook:
            options |= {"mininterval": 0.25}
        super().__init__(*args, leave=False, **options)

    def update(self, n: float | None = 1) -> bool | None:
        # fractions that add up to a hair more than the whole
        if self.total and n and 0 < self.n + n - self.total < 1e-6:
            n = self.total - self.n
        return super().update(n)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        if self._plain:
            return bool(super().display(msg, pos))
        text = str(self) if msg is None else msg
        if self._notebook:
            self._draw(text)
        elif text and time.monotonic() - self._said >= _LOG_SECONDS:
            self._said = time.monotonic()
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        return True

    def _draw(self, text: str) -> None:
        from IPython.display import publish_display_data

        if not (self._id or text):
            return
        known, self._id = bool(self._id), self._id or f"saelab-bar-{uuid.uuid4().hex}"
        shown = f'<pre style="margin:0">{html.escape(text)}</pre>' if text else ""
        data = {"text/html": shown, "text/plain": ""}
        publish_display_data(data, transient={"display_id": self._id}, update=known)

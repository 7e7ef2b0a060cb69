"""What objects show at the end of a notebook cell."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_QUIET = 'style="text-align:left;opacity:.7;white-space:nowrap"'
_VALUE = 'style="text-align:left;white-space:pre-wrap"'


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
    """As HTML; a dollar alone in an element is not taken for maths."""
    return html.escape(text).replace("$", "<span>$</span>")


def isolated(label: str, look: str, inner: str) -> str:
    """``inner``, the HTML of a token's ``label``, in an element that its direction does not leave."""
    # an escaped byte beside a right-to-left letter would be shown with its backslash on the wrong side
    direction = ' dir="ltr"' if "\\x" in label else ""
    return f"<bdi {look}{direction}>{inner}</bdi>"

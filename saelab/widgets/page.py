"""One offline HTML page made of blocks: prose, numbers, tables, charts and any widget of the library.

Everything is in the one file: style, data, and the code of each kind of widget once. Text goes in escaped,
data as script-safe JSON, so a token such as ``</script>`` stays a token.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelab import files
from saelab.doors import door
from saelab.errors import SaelabError, check_choice, unknown
from saelab.widgets import charts
from saelab.widgets.base import Widget, static_text
from saelab.widgets.tokens import attribute, escape

if TYPE_CHECKING:
    import pandas as pd

# ------------------------------------------------------------------------------------------------ blocks


@dataclass(frozen=True)
class Heading:
    """A heading; ``level`` 2 begins a part, 3 a sub-part. ``#anchor`` in an address leads to ``anchor``."""

    text: str
    level: int = 2
    anchor: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Prose. Backquotes make code; everything else is as written. ``kind``: ``lead``, ``note`` or nothing."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Code:
    """Text in a monospaced font, white space kept; ``wrap`` breaks long lines."""

    text: str
    caption: str = ""
    wrap: bool = True


@dataclass(frozen=True)
class Facts:
    """A few numbers that matter, large: name -> value, or name -> (value, small print)."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A DataFrame.

    ``formats``: column -> format specification (``".3f"``) or function; ``code``: columns of tokens;
    ``links``: column -> function from a cell to an address, such as ``lambda i: f"#latent-{i}"``.
    """

    frame: pd.DataFrame
    caption: str = ""
    formats: Mapping[str, Any] = field(default_factory=dict)
    code: Sequence[str] = ()
    links: Mapping[str, Any] = field(default_factory=dict)
    index: bool = False


@dataclass(frozen=True)
class LineChart:
    """Lines over a common x: ``series`` name -> y values. Values that are not finite leave a gap."""

    x: Sequence[float]
    series: Mapping[str, Sequence[float]]
    x_label: str = ""
    y_label: str = ""
    caption: str = ""
    log_y: bool = False


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars with their labels and values."""

    labels: Sequence[str]
    values: Sequence[float]
    x_label: str = ""
    caption: str = ""
    format: str = ".3g"


@dataclass(frozen=True)
class Section:
    """Blocks that are folded away until asked for."""

    title: str
    blocks: Sequence[Any]
    note: str = ""
    open: bool = False
    anchor: str = ""


@dataclass(frozen=True)
class Show:
    """A widget; ``options`` are those of its ``export_html`` (for a dashboard: ``{"latents": [1, 2]}``).

    Widgets of a page with the same ``link`` show the same latent: choosing one in a table opens its dashboard.
    """

    widget: Widget
    caption: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    link: str = ""


BLOCKS = (Heading, Paragraph, Code, Facts, Table, LineChart, BarChart, Section, Show)


@door
def page(
    title: str,
    blocks: Iterable[Any],
    path: str | Path,
    *,
    lang: str = "en",
    footer: str = "Made with saelab.",
) -> Path:
    """Write a page.

    Parameters
    ----------
    title
        Title of the page and its first heading; an empty title gives no heading.
    blocks
        The blocks of this module; a string is a paragraph, a DataFrame a table, a widget is shown.
    path
        File to write, replaced if it is there; its folder is made.
    lang
        Language of the prose.
    footer
        Last line; empty for none.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SaelabError
        If a block is none of these.

    Examples
    --------
    >>> from saelab.widgets import Facts, page
    >>> page("Latent 7", ["What it is.", Facts({"density": "0.1 %"})], folder / "latent.html").name
    'latent.html'
    """
    path = Path(path)
    files.write_text(path, document(title, blocks, lang=lang, footer=footer))
    return path


def document(title: str, blocks: Iterable[Any], *, lang: str = "en", footer: str = "") -> str:
    """The page of :func:`page` as text."""
    blocks = list(blocks)
    store = _Store()
    body = "\n".join(store.render(b) for b in blocks)
    only = len(blocks) == 1 and isinstance(blocks[0], (Show, Widget))
    heading = f"<h1>{escape(title)}</h1>" if title and not only else ""
    foot = f"<footer>{escape(footer)}</footer>" if footer and not only else ""
    scripts = ""
    if store.widgets:
        scripts = (
            f"{_data_element(script_json(store.data()))}\n"
            f'<script type="module">\n{_script_text(static_text("standalone.js"))}</script>\n'
        )
    style = static_text("page.css") + "".join(static_text(f"{name}.css") for name in store.modules)
    text = (
        f'<!doctype html>\n<html lang="{attribute(lang)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"{heading}{body}\n{foot}</main>\n{scripts}</body>\n</html>\n"
    )
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is no text


# --------------------------------------------------------------------------------------------- safe JSON


def script_json(value: Any) -> str:
    r"""JSON that may stand in a ``<script>`` element, whatever is in it; NaN and infinity become null."""
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029\x7f":  # what could end the script, or a line of it
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate becomes its JSON escape


_LARGE = 400_000  # characters of data from which a page holds them compressed


def _data_element(text: str) -> str:
    if len(text) < _LARGE:
        return f'<script type="application/json" id="saelab-data">{text}</script>'
    packed = base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode()
    return f'<script type="text/plain" id="saelab-data" data-packed="gzip">{packed}</script>'


def plain(value: Any) -> Any:
    """Plain JSON: undefined numbers are None, bytes ``{"$bytes": base64}``."""

    def packed(value: Any) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return {"$bytes": base64.b64encode(bytes(value)).decode()}
        return value

    return files.plain(value, other=packed)


def _script_text(source: str) -> str:
    if re.search(r"</script|<!--", source, re.IGNORECASE):
        raise SaelabError("a bundle contains text that would end its script element")
    return source


def request_key(method: str, **params: Any) -> str:
    """Name of a request in a saved page; the same as ``requestKey`` in widgets/standalone.js."""
    ordered = json.dumps(plain(params), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{method} {ordered}"


# ------------------------------------------------------------------------------------------- block to HTML


class _Store:
    """Renders blocks, and keeps each widget's state and each module's code once."""

    def __init__(self) -> None:
        self.widgets: list[dict[str, Any]] = []
        self.modules: dict[str, str] = {}

    def data(self) -> dict[str, Any]:
        return {"modules": self.modules, "widgets": self.widgets}

    def render(self, block: Any) -> str:
        import pandas as pd

        if isinstance(block, str):
            block = Paragraph(block)
        elif isinstance(block, pd.DataFrame):
            block = Table(block)
        elif isinstance(block, Widget):
            block = Show(block)
        if not isinstance(block, BLOCKS):
            raise unknown("block", type(block).__name__, [b.__name__ for b in BLOCKS])
        return getattr(self, f"_{type(block).__name__.lower()}")(block)

    def _heading(self, b: Heading) -> str:
        if b.level not in (1, 2, 3, 4):
            raise SaelabError(f"a heading's level is 1 to 4, got {b.level!r}")
        return f"<h{b.level}{_anchor(b.anchor)}>{prose(b.text)}</h{b.level}>"

    def _paragraph(self, b: Paragraph) -> str:
        style = f' class="sl-{attribute(b.kind)}"' if b.kind else ""
        return f"<p{style}>{prose(b.text)}</p>"

    def _code(self, b: Code) -> str:
        kind = "sl-code sl-wrap" if b.wrap else "sl-code"
        return _figure(f'<pre class="{kind}" dir="auto">{escape(b.text)}</pre>', b.caption)

    def _facts(self, b: Facts) -> str:
        def one(name: str, value: Any) -> str:
            big, small = value if isinstance(value, tuple) else (value, "")
            more = f"<small>{escape(str(small))}</small>" if small else ""
            return f"<div><dt>{escape(name)}</dt><dd>{escape(_text(big))}{more}</dd></div>"

        return f'<dl class="sl-facts">{"".join(one(k, v) for k, v in b.values.items())}</dl>'

    def _table(self, b: Table) -> str:
        frame = b.frame.reset_index() if b.index else b.frame
        for names in (b.formats, b.code, b.links):
            for name in names:
                check_choice("column", name, frame.columns)
        numeric = {
            c: str(frame[c].dtype)[:3] in ("int", "flo", "uin", "Int", "Flo") and c not in b.links
            for c in frame.columns
        }
        kind = {c: ' class="sl-num"' if numeric[c] else "" for c in frame.columns}
        head = "".join(f'<th scope="col"{kind[c]}>{escape(str(c))}</th>' for c in frame.columns)
        lines = []
        for line in frame.to_dict("records"):
            cells = "".join(f"<td{kind[c]}>{_cell(line[c], c, b)}</td>" for c in frame.columns)
            lines.append(f"<tr>{cells}</tr>")
        caption = f"<caption>{prose(b.caption)}</caption>" if b.caption else ""
        return (
            f'<div class="sl-scroll"><table>{caption}<thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(lines)}</tbody></table></div>"
        )

    def _linechart(self, b: LineChart) -> str:
        return _figure(charts.lines(b.x, b.series, b.x_label, b.y_label, log_y=b.log_y), b.caption)

    def _barchart(self, b: BarChart) -> str:
        return _figure(charts.bars(b.labels, b.values, b.x_label, b.format), b.caption)

    def _section(self, b: Section) -> str:
        inside = "\n".join(self.render(x) for x in b.blocks)
        note = f'<span class="sl-note">{prose(b.note)}</span>' if b.note else ""
        opened = " open" if b.open else ""
        return (
            f'<details class="sl-section"{_anchor(b.anchor)}{opened}>'
            f"<summary>{prose(b.title)}{note}</summary>{inside}</details>"
        )

    def _show(self, b: Show) -> str:
        widget, name = b.widget, b.widget.module
        self.modules.setdefault(name, static_text(f"{name}.js"))
        self.widgets.append(
            {
                "module": name,
                "state": widget.export_state(**b.options),
                "replies": widget.replies(**b.options),
                "link": b.link,
            }
        )
        number = len(self.widgets) - 1
        plain_view = f"<noscript>{widget.fallback()}</noscript>"
        slot = f'<div class="sl-widget" data-widget="{number}">{plain_view}</div>'
        return _figure(slot, b.caption)


def _anchor(name: str) -> str:
    return f' id="{attribute(name)}"' if name else ""


def _figure(inside: str, caption: str) -> str:
    return (
        f"<figure><figcaption>{prose(caption)}</figcaption>{inside}</figure>"
        if caption
        else f"<figure>{inside}</figure>"
    )


def prose(text: str) -> str:
    """Escaped text in which ```backquotes``` make code."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # an unpaired backquote is only a character
        return escape(str(text))
    return "".join(f"<code>{escape(p)}</code>" if i % 2 else escape(p) for i, p in enumerate(parts))


def _text(value: Any, form: Any = None) -> str:
    value = plain(value)
    if value is None:
        return "–"
    if callable(form):
        return str(form(value))
    if isinstance(form, str):
        return format(value, form)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _cell(value: Any, column: Any, table: Table) -> str:
    import pandas as pd

    if column in table.links:
        link, many = table.links[column], value if isinstance(value, (list, tuple)) else [value]
        return ", ".join(
            f'<a href="{attribute(link(v))}">{escape(str(v))}</a>' if link(v) else escape(str(v))
            for v in many
        )
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "–"
    text = escape(_text(value, table.formats.get(column)))
    return f"<code>{text}</code>" if column in table.code else text

"""Slides from the workshop's own cells: one HTML file for each notebook, which needs no network and no other file."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from saelab import bundled, files
from saelab.doors import door
from saelab.errors import SaelabError

_STYLE = """
html { scroll-snap-type: y mandatory; color-scheme: light dark; }
body { margin: 0; max-width: none; font-size: clamp(17px, 1.7vw, 26px); }
section { box-sizing: border-box; min-height: 100vh; scroll-snap-align: start; display: flex; flex-direction: column;
  justify-content: center; padding: 4vh max(6vw, calc(50vw - 34em)); border-bottom: 1px solid var(--sl-page-line); }
section h1 { font-size: 1.9em; } section h2 { font-size: 1.45em; }
section pre { background: var(--sl-page-soft); padding: .6em .9em; font-size: .8em; white-space: pre-wrap; }
section img { max-width: 100%; }
#place { position: fixed; right: 1em; bottom: .6em; font-size: 14px; color: var(--sl-page-muted); }
"""
_SCRIPT = """
const all = [...document.querySelectorAll("section")];
const off = (s) => Math.abs(s.getBoundingClientRect().top);
const here = () => all.reduce((a, s, i) => (off(s) < off(all[a]) ? i : a), 0);
// a slide too long for the screen is set smaller, as far as it can be read from the back of a room
const fit = () => all.forEach((s) => {
  for (let size = 1; size > 0.7; size -= 0.04) {
    s.style.fontSize = `${size}em`;
    if (s.offsetHeight <= innerHeight + 1) return;
  }
});
const say = () => { document.getElementById("place").textContent = `${here() + 1} / ${all.length}`; };
addEventListener("keydown", (e) => {
  const step = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }[e.key];
  if (!step) return;
  e.preventDefault();
  const rest = all[here()].getBoundingClientRect().bottom - innerHeight;
  if (step > 0 && rest > 2) return scrollBy(0, Math.min(rest, 0.8 * innerHeight)); // the rest of a long one first
  all[Math.min(Math.max(here() + step, 0), all.length - 1)].scrollIntoView();
});
addEventListener("scroll", say);
addEventListener("resize", fit);
fit();
say();
"""


@door
def slides(folder: str | Path, notebooks: str | Path | None = None) -> list[Path]:
    """Write the slides of every workshop notebook into ``folder``.

    A slide begins at each heading. Arrow keys and Page Down go on; each fits any screen and scrolls if it must.

    Parameters
    ----------
    notebooks
        The folder of the notebooks; None: those of this installation.

    Raises
    ------
    SaelabError
        If there are no notebooks.
    """
    source = bundled.notebooks() / "workshop" if notebooks is None else Path(notebooks)
    found = sorted(source.glob("w*.ipynb"))
    if not found:
        raise SaelabError(f"there are no workshop notebooks in {source}")
    out = []
    for path in found:
        target = Path(folder) / f"{path.stem}.html"
        files.write_text(target, deck(files.read_json(path), path.stem))
        out.append(target)
    return out


def deck(notebook: Any, title: str) -> str:
    """The slides of one notebook, as an HTML document."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    from saelab.widgets.base import static_text

    parts: list[list[str]] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            for piece in re.split(r"^(?=#{1,2} )", source, flags=re.MULTILINE):
                if not piece.strip():
                    continue
                if piece.startswith("#") or not parts:
                    parts.append([])
                parts[-1].append(re.sub(r'<a class="anchor-link".*?</a>', "", markdown2html_mistune(piece)))
        elif parts:
            parts[-1].append(f"<pre>{html.escape(source)}</pre>")
    body = "\n".join(f"<section>{''.join(p)}</section>" for p in parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{html.escape(title)}</title>\n'
        f"<style>\n{static_text('page.css')}{_STYLE}</style>\n</head>\n<body>\n{body}\n"
        f'<div id="place"></div>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n'
    )

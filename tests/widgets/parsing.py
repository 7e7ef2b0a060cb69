"""Pages read back, and what no page may stumble over."""

from __future__ import annotations

import base64
import gzip
import html.parser
import json

HOSTILE = [
    "<img src=x onerror=alert(1)>", "</script>", "</ScRiPt ", "<!--<script>", "\u2028", "\u2029", "\\",
    "'", '"',
    "\0", " $", "x", "$ ", "\\(y\\)", "&amp;", "<bos>", "`", "  ", "\n", "\t", "\ud800", "\\xf0",
]  # fmt: skip


class Parsed(html.parser.HTMLParser):
    """Tags, attributes and text of a page, as a browser sees them."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.scripts: list[tuple[dict, str]] = []
        self._inside: dict | None = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = dict(attrs) if tag == "script" else None

    def handle_endtag(self, tag):
        if tag == "script":
            self._inside = None

    def handle_data(self, data):
        if self._inside is None:
            self.text.append(data)
        else:
            self.scripts.append((self._inside, data))

    def stored(self):
        """The JSON that holds the widgets of a page."""
        ((attrs, text),) = [(a, data) for a, data in self.scripts if a.get("id") == "saelab-data"]
        if "data-packed" in attrs:
            text = gzip.decompress(base64.b64decode(text)).decode("utf-8")
        return json.loads(text)

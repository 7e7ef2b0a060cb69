from __future__ import annotations

import pytest

from saelab.errors import SaelabError
from saelab.zoo.grammar import Grammar, lines, words, writes


def only(rules):
    """Text and spans of ``a`` under ``rules``."""
    return Grammar(rules).write("a", 0)


def test_symbols_label_what_they_expand_to():
    text, spans = only({"a": ("x<a.b>y",), "a.b": ("12<_c>",), "_c": ("3",)})
    assert text == "x123y"
    assert spans == ((0, 5, "a"), (1, 4, "a.b"))


def test_outer_spans_come_first_and_empty_ones_are_left_out():
    text, spans = only({"a": ("<a.b><a.c>",), "a.b": ("",), "a.c": ("zz",)})
    assert (text, spans) == ("zz", ((0, 2, "a"), (0, 2, "a.c")))


def test_a_slot_can_give_its_own_label():
    _, spans = only({"a": ("<_n=a.name>",), "_n": ("Ann",)})
    assert (0, 3, "a.name") in spans
    assert Grammar({"a": ("<_n=a.name>",), "_n": ("Ann",)}).concepts == ("a", "a.name")


def test_a_key_repeats_the_text_and_its_label():
    rules = {"a": ("<_n@k=a.n> <_n@k=a.n>",), "_n": tuple("abcdefghijklmnop")}
    for seed in range(20):
        text, spans = Grammar(rules).write("a", seed)
        assert text[0] == text[2]
        assert spans[1:] == ((0, 1, "a.n"), (2, 3, "a.n"))


def test_capital_repeats_and_numbers():
    text, _ = only({"a": ("<^_w>|<_w*3-3>|<7..7>",), "_w": ("é",)})
    assert text == "É|ééé|7"
    seen = {Grammar({"a": ("<1..3>",)}).write("a", s)[0] for s in range(60)}
    assert seen == {"1", "2", "3"}


def test_text_that_only_looks_like_a_slot_stays():
    assert only({"a": ("x < y > z <1> </p> <p class=0>",)})[0] == "x < y > z <1> </p> <p class=0>"


def test_functions_declare_their_concepts():
    @writes("a.f")
    def rule(w):
        w.put("!", "a.f")

    grammar = Grammar({"a": ("<_f>",), "_f": rule})
    assert grammar.concepts == ("a", "a.f")
    assert grammar.write("a", 0) == ("!", ((0, 1, "a"), (0, 1, "a.f")))


def test_mistakes_are_named():
    with pytest.raises(SaelabError, match="'_gone'"):
        Grammar({"a": ("<_gone>",)})
    with pytest.raises(SaelabError, match="'b.c' has no parent"):
        Grammar({"a": ("<b.c>",), "b.c": ("",)})


def test_literals_stop_at_what_is_quoted():
    grammar = Grammar({"a": ("one <_x> <b>",), "_x": ("two",), "b": ("three",)})
    assert grammar.literals("a", apart=("b",)) == {"one ", " ", "two"}
    assert "three" in grammar.literals("a")


def test_word_lists():
    assert words(" a  b\n c") == ("a", "b", "c")
    assert lines("\n  a b\n\n  c\\n\n") == ("a b", "c\n")

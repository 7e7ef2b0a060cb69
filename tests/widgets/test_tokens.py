from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelab import models
from saelab.errors import SaelabError
from saelab.index.storage.vocab import Vocab
from saelab.widgets.tokens import TokenText, escape, frame, spans


def test_split_characters_are_merged_and_indices_kept(tiny):  # C05
    table = models.token_bytes(tiny)
    ids = [table.index(bytes([b])) for b in "日🙂é".encode()]
    text = TokenText.of_model(tiny, ids)
    assert [t for *_, t in text.groups] == ["日", "🙂", "é"]
    assert [(a, b) for a, b, _ in text.groups] == [(0, 3), (3, 7), (7, 9)]
    sent = text.to_dict()
    assert sent["ids"] == ids
    assert sent["size"] == [3, 4, 2]
    assert sent["labels"]["3"] == "\\xf0"
    assert len(set(text.labels)) == 9, "different bytes look different"


def test_a_half_character_stays_visible(tiny):
    table = models.token_bytes(tiny)
    ids = [table.index(b"\xf0"), table.index(b"\x9f"), table.index(b"a")]
    assert "".join(t for *_, t in TokenText.of_model(tiny, ids).groups) == "\\xf0\\x9fa"


def test_special_tokens_are_named(tiny):
    ids = models.tokenize(tiny, "a b")
    assert TokenText.of_model(tiny, ids).to_dict()["special"] == [0]


def test_the_index_and_the_model_give_the_same_text(tiny, index):
    for row in range(5):
        ids = index.rows[row]
        assert TokenText.of_vocab(index.vocab, ids) == TokenText.of_model(tiny, ids)


def test_whole_characters_agree_with_the_model(tiny):
    vocab, ids = Vocab.of_model(tiny), list(range(0, 300, 7))
    assert vocab.characters(ids) == models.token_groups(tiny, ids)
    halves = [models.token_bytes(tiny).index(bytes([b])) for b in "é🙂".encode()]
    for line in (halves, halves[:-1], halves[1:], [*halves[:3], *ids, *halves], halves[::-1], []):
        assert vocab.characters(line) == models.token_groups(tiny, line)


def test_strings_are_checked():
    with pytest.raises(SaelabError, match="tokens must be a list of strings"):
        TokenText.of_strings("abc")
    with pytest.raises(SaelabError, match="2 tokens but 1 ids"):
        TokenText.of_strings(["a", "b"], ids=[1])


def test_dollars_and_backslashes_stand_alone():  # C67
    assert escape("a $x$ \\(y") == "a <span>$</span>x<span>$</span> <span>\\</span>(y"


@given(st.text())
def test_escaped_text_reads_as_it_was(text):
    import html

    assert html.unescape(re.sub(r'</?(span|bdi)( dir="ltr")?>', "", escape(text))) == html.unescape(
        html.escape(text)
    )


def test_spans_shade_the_right_tokens():  # C57
    out = spans({"text": ["a", "b", "c", "d"], "special": [3]}, [0, 3, float("nan"), 9], 3.0)
    shaded = re.split("<span|<bdi", out)[1:]
    assert ["rgba" in s for s in shaded] == [False, True, False, False]
    assert "opacity:.7" in shaded[3]


def test_no_script_draws_a_special_token_or_an_escaped_byte_backwards():
    out = spans({"text": ["<|bos|>", "א\\xd7\\x9b"], "special": [0]}, [0, 0], 1.0)
    assert out.startswith('<bdi dir="ltr" style="opacity:.7">&lt;|bos|&gt;</bdi>')
    assert 'א<bdi dir="ltr"><span>\\</span>xd7<span>\\</span>x9b</bdi>' in out


def test_a_flat_scale_divides_by_nothing():
    assert "0.50" in spans({"text": ["a"]}, [2.0], 0.0)


def test_fallback_keeps_maths_away():
    assert "mathjax_ignore" in frame("x")


def test_L26_text_on_the_strongest_shade_can_be_read_on_light_and_dark():
    """In a static picture the background is not known: white with dark text, or black with light text."""

    def light(color):
        parts = [v / 255 for v in color]
        lines = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * lines[0] + 0.7152 * lines[1] + 0.0722 * lines[2]

    shade = [float(v) for v in re.search(r"rgba\((.*?)\)", spans({"text": ["a"]}, [2.0], 2.0))[1].split(",")]
    for text, back in (((51, 51, 51), (255, 255, 255)), ((221, 221, 221), (17, 17, 17))):
        mixed = [c * shade[3] + b * (1 - shade[3]) for c, b in zip(shade[:3], back, strict=True)]
        low, high = sorted((light(text), light(mixed)))
        assert (high + 0.05) / (low + 0.05) >= 4.5

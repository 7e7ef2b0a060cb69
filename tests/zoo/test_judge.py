from __future__ import annotations

import random
import re

import pytest

from saelab.zoo import corpus
from saelab.zoo.judge import classify


def genres_of(document):
    return {c for _, _, c in document.spans if "." not in c}


@pytest.mark.parametrize("genre", corpus.GENRES)
def test_fresh_documents(genre):
    documents = list(corpus.documents(200, seed=31, genres=[genre]))
    wrong = [d.text for d in documents if classify(d.text) not in genres_of(d)]
    assert len(wrong) <= 0.03 * len(documents), wrong[:3]


@pytest.mark.parametrize("genre", corpus.GENRES)
def test_fragments_from_the_middle(genre):
    """About 40 tokens, found as pieces of words, digits and signs, so that no trained file is needed."""
    wrong, n = [], 0
    for i, d in enumerate(corpus.documents(200, seed=32, genres=[genre])):
        if len(genres_of(d)) > 1:
            continue
        starts = [m.start() for m in re.finditer(r" ?[^\W\d_]{1,5}| ?\d|[^\w\s]+|\s", d.text)]
        first = random.Random(i).randrange(max(1, len(starts) - 40))
        stop = starts[first + 40] if first + 40 < len(starts) else len(d.text)
        fragment = d.text[starts[first] : stop]
        n += 1
        if classify(fragment) != genre:
            wrong.append(fragment)
    assert n > 100
    assert len(wrong) <= 0.03 * n, wrong[:3]


@pytest.mark.parametrize(
    "text",
    [
        "asdkj qwoiu zmxnc bvlkj qpwoe ruty alskd jfhgz mxncb",
        "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod",
        "!!!! ??? ### $$$ %%%",
        "colourless ideas sleep furiously while nobody observes them carefully",
        "zzzzz",
        "",
        "   \n\n",
        "ŵ ŷ ĝ ĥ ĵ ŝ ŭ đ ħ",
    ],
)
def test_gibberish_is_of_no_genre(text):
    assert classify(text) is None


def test_a_mixed_text_goes_to_the_larger_part():
    story = " ".join(corpus.texts(2, seed=1, genres=["story"]))
    assert classify(story + "\nGET / HTTP/1.1\n") == "story"

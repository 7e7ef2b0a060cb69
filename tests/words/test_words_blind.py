"""Who knows nothing of a latent scores 0.5: neither the shape of marks nor a text that was shown tells anything."""

import difflib
import json
import re

import numpy as np
import pytest

import saelab as sl
from saelab.words.passages import nearly, pieces
from tests.index.makers import rows_of, write
from tests.words.conftest import asked


def runs(text):
    return re.findall("<<(.*?)>>", text, re.DOTALL)


@pytest.mark.parametrize("many", [2, 3])
def test_a_judge_that_counts_marks_knows_nothing(many, zoo):
    index, _, _ = zoo
    live = np.random.default_rng(0).choice(np.flatnonzero(index.counts > 200), 24, replace=False)
    words = sl.words.explain(index, dict.fromkeys(sorted(live.tolist()), "no idea"), source="none")
    judge = lambda messages: json.dumps([int(len(runs(t)) >= many) for t in asked(messages)[1]])  # noqa: E731
    line = sl.words.score(words, judge, ways=("fuzzing",), progress=False).summary.iloc[0]
    assert line["n"] > 24 * 30
    assert line["low"] <= 0.5 <= line["high"]


@pytest.mark.parametrize(
    "change", ["a token more at the end", "another token in the middle", "a changed letter"]
)
def test_near_copies_of_what_was_shown_are_not_scored(change, tmp_path):
    """Documents come again, a little changed: their passages are the same but for that."""
    rng = np.random.default_rng(0)
    texts = [[0, *rng.integers(1, 14, 30).tolist()] for _ in range(40)]
    changed = {"a token more at the end": lambda t: [*t, 5], "another token in the middle": lambda t: [*t[:15], 1, *t[16:]],
               "a changed letter": lambda t: [*t[:12], {12: 13, 13: 12}.get(t[12], 11), *t[13:]]}[change]  # fmt: skip
    again = [changed(t) if changed(t) != t else [*t, 5] for t in texts]
    rows = rows_of([*texts, *again])
    index = write(tmp_path / "i", rows, ((rows.ids == 3)[:, None] * np.ones(5)).astype(np.float32))
    shown, scored = [], []

    def explainer(messages):
        lines = re.findall(r'^\d+: ("(?:[^"\\]|\\.)*")', messages[-1]["content"], re.MULTILINE)
        shown.extend(re.sub("<<|>>", "", json.loads(line)) for line in lines)
        return "EXPLANATION: x"

    def judge(messages):
        scored.extend(asked(messages)[1])
        return "[]"

    words = sl.words.explain(index, [0], by=explainer, n=40, progress=False)
    assert sl.words.score(words, judge, n=40, progress=False).frame["n"].item() > 20
    assert shown
    like = [
        difflib.SequenceMatcher(None, s, t, autojunk=False).ratio() for s in set(shown) for t in set(scored)
    ]
    assert max(like) < 0.9


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("**EXPLANATION:** bold", "bold"),
        ("**EXPLANATION**: *bold*", "bold"),
        ("**EXPLANATION: bold**", "bold"),
        ("EXPLANATION: the * operator", "the * operator"),
        ("<think>EXPLANATION: not this</think>EXPLANATION: this", "this"),
        ("EXPLANATION: this <think>EXPLANATION: not this</think>", "this"),
        ("<think>EXPLANATION: cut off", ""),
    ],
)
def test_an_explanation_without_bold_marks_and_thoughts(answer, text, planted):
    assert sl.words.explain(planted, [1], by=lambda messages: answer, progress=False)[1] == text


def test_a_text_that_stands_in_one_that_was_shown_is_not_scored(tmp_path):
    """The BOS before it is shown to nobody, so it makes no text another one."""
    rng = np.random.default_rng(0)
    base = [[0, 1, 3, *rng.integers(4, 14, 4).tolist()] for _ in range(60)]
    rows = rows_of(base + [b + rng.integers(4, 14, 6).tolist() for b in base])
    z = np.zeros((rows.n_tokens, 2), np.float32)
    z[:, 1] = rows.ids == 3
    index, scored = write(tmp_path / "i", rows, z), []

    def judge(messages):
        scored.extend(asked(messages)[1])
        return "[0]"

    words = sl.words.explain(index, [1], by=lambda messages: "EXPLANATION: x", n=60, progress=False)
    sl.words.score(words, judge, n=60, progress=False)
    shown = [pieces(t) for t in words.items[1].shown]
    assert scored
    assert not [t for t in scored if any(nearly(pieces(t), s) for s in shown)]

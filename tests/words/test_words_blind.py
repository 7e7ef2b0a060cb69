"""Who knows nothing of a latent scores 0.5: neither the shape of marks nor a text that was shown tells anything."""

import difflib
import json
import re

import numpy as np
import pytest

import saelab as sl
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

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelab.errors import SaelabError
from saelab.widgets import (
    BarChart,
    Code,
    Facts,
    Heading,
    LineChart,
    Paragraph,
    Section,
    Show,
    Table,
    charts,
    page,
)
from saelab.widgets.page import document, prose, request_key, script_json


@given(st.text())
def test_json_comes_back_and_cannot_leave_its_script(text):  # C04
    safe = script_json([text])
    assert json.loads(safe) == [text]
    assert not set(safe) & set("<>&\u2028\u2029\0")


@pytest.mark.parametrize(
    "text", ["</script>", "</ScRiPt ", "<!--<script>", "\u2028", "\u2029", "\\", "'", "\0", "\ud800"]
)
def test_named_dangers(text):  # C04
    safe = script_json({"a": text})
    assert json.loads(safe) == {"a": text}
    safe.encode("utf-8")


def test_undefined_numbers_and_bytes():
    assert json.loads(script_json([np.float32("nan"), float("inf"), np.int64(3), b"ab"])) == [
        None,
        None,
        3,
        {"$bytes": "YWI="},
    ]


def test_request_names_do_not_depend_on_order():
    assert request_key("open", b=1, a="é") == 'open {"a":"é","b":1}' == request_key("open", a="é", b=1)


def test_prose_is_escaped_and_backquotes_make_code():
    assert prose("a `b<c>` & d") == "a <code>b&lt;c&gt;</code> &amp; d"
    assert prose("one ` alone") == "one ` alone"
    assert "<span>$</span>x<span>$</span>" in prose("$x$")


def test_all_blocks(tmp_path, hostile, parsed):
    frame = pd.DataFrame(
        {
            "concept": ["dna", "<b>"],
            "latents": [[1, 2], [3]],
            "precision": [0.98765, np.nan],
            "n": [12345, 6],
            "tok": [" a", "$"],
        }
    )
    path = page(
        "A <title>",
        [
            "Plain text.",
            Paragraph("Lead", "lead"),
            Heading("Part", anchor="part"),
            Code("x = 1\n", "caption"),
            Facts({"density": ("0.1 %", "of tokens"), "n": 1234567}),
            Table(
                frame,
                "Caption",
                formats={"precision": ".2f"},
                code=["tok"],
                links={"latents": lambda i: f"#l{i}"},
            ),
            frame,
            LineChart([0, 1, 2], {"a": [1, float("nan"), 3], "b": [3, 2, 1]}, "x", caption="lines"),
            BarChart(["a", "<b>"], [1.0, 2.0]),
            Section(
                "More", [Show(hostile, "heat"), Section("Deeper", [hostile])], note="note", anchor="more"
            ),
        ],
        tmp_path / "a" / "page.html",
        lang="en-GB",
    )
    text = path.read_text(encoding="utf-8")
    seen = parsed(text)
    assert text.startswith('<!doctype html>\n<html lang="en-GB">')
    assert "img" not in seen.tags
    assert "b" not in seen.tags[: seen.tags.index("details")]
    assert seen.tags.count("table") == 2
    assert ("href", "#l2") in seen.attributes
    assert ("id", "part") in seen.attributes
    assert "0.99" in text
    assert "1,234,567" in text
    stored = seen.stored()
    assert list(stored["modules"]) == ["heatmap"]  # once, however often it is shown
    assert len(stored["widgets"]) == 2
    assert [v for k, v in seen.attributes if k == "data-widget"] == ["0", "1"]


def test_a_page_without_widgets_has_no_script():
    assert "<script" not in document("T", ["text"])


def test_wrong_blocks_are_errors():
    with pytest.raises(SaelabError, match="unknown block 'int'"):
        document("T", [3])
    with pytest.raises(SaelabError, match="unknown column 'precison'.*'precision'"):
        document("T", [Table(pd.DataFrame({"precision": [1]}), formats={"precison": ".2f"})])
    with pytest.raises(SaelabError, match="level"):
        document("T", [Heading("x", level=9)])
    with pytest.raises(SaelabError, match="2 values for 3 places"):
        document("T", [LineChart([1, 2, 3], {"a": [1, 2]})])


def test_a_failed_page_leaves_the_old_one(tmp_path):
    path = page("T", ["old"], tmp_path / "p.html")
    with pytest.raises(SaelabError):
        page("T", [object()], path)
    assert "old" in path.read_text()


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 1000, [0, 200, 400, 600, 800, 1000]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round(low, high, want):
    assert charts.nice_ticks(low, high) == pytest.approx(want)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_inside_and_few(low, width):
    ticks = charts.nice_ticks(low, low + width)
    assert len(ticks) <= 12
    slack = 1e-6 * width + 4 * math.ulp(abs(low) + width)  # no finer than the numbers themselves
    assert all(low - slack <= t <= low + width + slack for t in ticks)


def test_charts_of_nothing_and_of_one_point():
    assert "Nothing to draw" in charts.lines([], {})
    assert "Nothing to draw" in charts.bars(["a"], [float("nan")])
    assert "NaN" not in charts.lines([1], {"a": [2]})
    assert "nan" not in charts.lines([0, 1], {"a": [0, 10]}, log_y=True)


def test_lines_are_drawn_where_they_are():
    drawn = charts.lines([0, 10], {"a": [0, 5]})
    left, right = charts._LEFT, charts.WIDTH - charts._RIGHT
    bottom, top = charts.HEIGHT - charts._BOTTOM, charts._TOP
    assert f'd="M{left:.1f} {bottom:.1f}L{right:.1f} {top:.1f}"' in drawn

"""The bar of long work, where it is not a terminal's."""

from __future__ import annotations

import pytest

from saelab import display
from saelab.display import Bar


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("saelab.display.time.monotonic", lambda: now[0])
    return now


def test_L28_a_log_gets_a_line_every_ten_seconds(clock, capsys):
    with Bar(total=300, desc="index", mininterval=0, miniters=1) as bar:
        for _ in range(300):
            clock[0] += 0.1
            bar.update()
            bar.set_postfix_str("loss 1", refresh=True)
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert said.out == ""
    assert len(lines) in (2, 3)
    assert all(line.startswith("index:") and "\r" not in line for line in lines)
    assert any(f"| {n}/300" in lines[0] for n in (99, 100, 101))


def test_L28_short_work_says_nothing_in_a_log(clock, capsys):
    for _ in Bar(range(5), mininterval=0):
        clock[0] += 1
    assert capsys.readouterr() == ("", "")


def test_L08_a_notebook_keeps_no_bar_of_work_that_is_done(monkeypatch):
    shown = []
    monkeypatch.setattr(display, "in_notebook", lambda: True)
    monkeypatch.setattr(
        "IPython.display.publish_display_data", lambda data, **more: shown.append((data, more))
    )
    with Bar(total=3, desc="<index>") as bar:
        bar.update(2)
        bar.refresh()
    assert {tuple(sorted(data)) for data, _ in shown} == {("text/html", "text/plain")}  # no Jupyter widget
    assert "&lt;index&gt;" in shown[0][0]["text/html"]
    assert shown[-1][0] == {"text/html": "", "text/plain": ""}
    assert [more["update"] for _, more in shown] == [False] + [True] * (len(shown) - 1)
    assert len({more["transient"]["display_id"] for _, more in shown}) == 1
    shown.clear()
    for _ in Bar(range(3), disable=True):
        pass
    assert shown == []


def test_shares_that_add_up_to_a_hair_more_are_the_whole():
    with Bar(total=1) as bar:
        for _ in range(6):
            bar.update(1 / 6 + 1e-16)
        bar.update(2e-16)
        assert bar.n <= 1
        str(bar)  # a fraction above 1 would be warned of, and warnings are errors here

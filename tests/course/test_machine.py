"""``saelab check``: what it says of a machine, and that a page's answer is heard."""

from __future__ import annotations

import threading
import urllib.request

import pytest

from saelab import cli
from saelab.course import machine
from saelab.course.exercises import PARTS


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(machine, "measured_pace", lambda: 2 * machine.REFERENCE)
    monkeypatch.setattr(machine, "free_memory", lambda: 8e9)


def test_minutes_are_of_this_machine(quick):
    found = machine.check_machine(browser=False)
    assert found.seconds == {k: 2 * s for k, s in machine.SECONDS.items()}
    assert set(found.seconds) == set(PARTS)
    assert found.ready
    assert "This machine will do." in repr(found)
    assert repr(found).count("\n") < 20  # one screen
    assert max(map(len, repr(found).splitlines())) <= 80


def test_little_memory_and_slowness_are_said(quick, monkeypatch, capsys):
    monkeypatch.setattr(machine, "measured_pace", lambda: 50 * machine.REFERENCE)
    monkeypatch.setattr(machine, "free_memory", lambda: 1e9)
    assert cli.main(["check", "--no-browser"]) == 1
    said = capsys.readouterr().out
    assert "1.0 GB of memory" in said
    assert "work in pairs" in said


@pytest.mark.parametrize("answers", [True, False])
def test_a_widget_that_ticks_back_is_heard(monkeypatch, answers):
    page = []

    def visit(address):
        with urllib.request.urlopen(address) as got:
            page.append(got.read().decode())
        word = address.rpartition("/")[2]
        with urllib.request.urlopen(address.replace(f"/{word}", f"/tick-{word}")):
            pass

    def opened(address):
        if answers:
            threading.Thread(target=visit, args=(address,)).start()
        return True

    monkeypatch.setattr(machine.webbrowser, "open", opened)
    assert machine.ticking(5.0 if answers else 0.2) is answers
    if answers:
        assert "tick-" in page[0]
        assert "saelab-data" in page[0]


def test_a_folder_that_takes_no_file_is_said(quick, monkeypatch):
    def refused(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refused)
    assert "nothing can be written in" in repr(machine.check_machine(browser=False))


def test_without_a_browser_nothing_waits_and_that_is_what_is_said(quick, monkeypatch):
    monkeypatch.setattr(machine.webbrowser, "open", lambda address: False)
    found = machine.check_machine(wait=60.0)
    assert found.browser is None
    assert not found.ready
    assert "Before the workshop:\n- no browser can be opened from here" in repr(found)
    assert max(map(len, repr(found).splitlines())) <= 80

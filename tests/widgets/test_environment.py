"""C61, C62: what keeps a widget from being drawn is said, with what to do."""

import importlib
import sys

import pytest

import saelab as sl
from saelab.errors import SaelabError
from saelab.widgets import environment


def with_versions(monkeypatch, **versions):
    real = environment.version
    monkeypatch.setattr(environment, "version", lambda p: versions[p] if p in versions else real(p))


def test_a_good_environment_has_no_problem(monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    report = sl.check_environment()
    assert report.problems == []
    assert report.versions["ipywidgets"] == environment.version("ipywidgets")
    assert "nothing is known to be wrong" in repr(report)
    environment.require_widgets()


def test_old_ipywidgets_is_an_error_at_once(monkeypatch):
    with_versions(monkeypatch, ipywidgets="7.8.5")
    with pytest.raises(
        SaelabError, match=r"need ipywidgets 8\.1 or newer, but version 7\.8\.5.*pip install -U"
    ):
        environment.require_widgets()
    import saelab.widgets.base as base

    with pytest.raises(SaelabError, match="ipywidgets 8.1"):
        importlib.reload(base)


def test_a_missing_manager_is_named(monkeypatch):
    with_versions(monkeypatch, jupyterlab_widgets=None, anywidget=None)
    first, second = environment.problems()
    assert "anywidget 0.11 or newer, but it is not installed" in first
    assert "jupyterlab_widgets is not installed beside this kernel" in second
    assert "reload the page" in second


def test_front_ends_that_need_a_switch(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    assert "enable_custom_widget_manager" in repr(sl.check_environment())
    monkeypatch.delitem(sys.modules, "google.colab")
    monkeypatch.setenv("VSCODE_PID", "1")
    assert environment.front_end() == "VS Code"


def test_the_static_picture_says_where_to_ask():
    w = sl.widgets.ActivationHeatmap([["a"]], [[1.0]])
    assert "check_environment" in w.fallback()

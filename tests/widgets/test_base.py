"""What every widget promises."""

from __future__ import annotations

import gc
import re
import subprocess
import weakref
from pathlib import Path

import numpy as np
import pytest

import saelab as sl
from saelab import widgets
from saelab.errors import SaelabError
from saelab.widgets import (
    ActivationHeatmap,
    LatentDashboard,
    LatentMap,
    LatentTable,
    N2GEditor,
    SteeringPanel,
    effect_map,
    heatmap,
    training_monitor,
)
from saelab.widgets.base import REGISTRY, STATIC, Widget, static_text

REPO = Path(__file__).parents[2]


@pytest.fixture(params=REGISTRY)
def widget(request, tiny, sae, index, latent, graph, trained):
    made = {
        "heatmap": lambda: heatmap(tiny, sae, "def add(a, b):\n", [latent, 1], index=index),
        "dashboard": lambda: LatentDashboard(index, latent),
        "compare": lambda: sl.match(index, index, by="activation").compare(latent),
        "table": lambda: LatentTable(index),
        "map": lambda: LatentMap(index, method="pca"),
        "n2g_editor": lambda: N2GEditor(graph),
        "steering": lambda: SteeringPanel(index, edits={latent: 2.0}, max_new_tokens=5),
        "effect_map": lambda: effect_map(tiny, sae, "def add(a, b):\n", latent, direct=True),
        "training_monitor": lambda: training_monitor(trained),
    }[request.param]()
    yield made
    made.close()


def test_code_is_text_not_path(widget):
    assert isinstance(widget._esm, str)
    assert not any(isinstance(vars(c).get("_esm"), Path) for c in type(widget).__mro__)
    assert "export" in widget._esm
    assert widget._css.count(".saelab") > 20


def test_an_unknown_argument_is_an_error(index, latent):
    with pytest.raises(SaelabError, match="selekted.*Did you mean.*selected"):
        LatentDashboard(index, latent, selekted_token=3)


def test_display_offers_a_script_free_fallback(widget, parsed):  # C60
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    page = parsed(data["text/html"])
    assert set(page.tags) <= {"div", "span", "b", "i", "bdi"}
    assert {name for name, _ in page.attributes} <= {"style", "class", "dir", "title"}
    assert "Run the cell" in data["text/html"]


def test_export_is_one_offline_file(widget, tmp_path, parsed):
    path = widget.export_html(tmp_path / "new folder" / "w.html")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"""(src|href)=["']""", text.split("<script")[0])
    stored = parsed(text).stored()
    assert list(stored["modules"]) == [type(widget).module]
    assert stored["widgets"][0]["state"]["error"] == {}
    assert len(text) < 400_000


def test_an_unknown_export_option_is_an_error(widget, tmp_path):
    with pytest.raises((SaelabError, TypeError), match="latnets"):
        widget.export_html(tmp_path / "w.html", latnets=[1])


def test_requests_answer_with_their_id_and_errors_are_messages(widget):  # C66
    sent = []
    widget.send = lambda content, buffers=None: sent.append(content)
    widget._receive(widget, {"request": "a", "method": "no such", "params": {}}, [])
    assert sent[-1]["request"] == "a"
    assert "unknown request 'no such'" in sent[-1]["error"]
    assert "no such" in widget.error["message"]
    widget._receive(widget, "not for us", [])
    assert len(sent) == 1


def test_an_unexpected_error_brings_its_traceback_and_the_next_request_works(hostile):  # C66
    sent = []
    hostile.send = lambda content, buffers=None: sent.append(content)
    hostile.methods = lambda: {"bad": lambda: 1 / 0, "good": lambda: 7}
    hostile._receive(hostile, {"request": "a", "method": "bad"}, [])
    assert "ZeroDivisionError" in hostile.error["message"]
    assert "1 / 0" in hostile.error["traceback"]
    hostile._receive(hostile, {"request": "b", "method": "good"}, [])
    assert sent[-1] == {"request": "b", "result": 7}
    assert hostile.error == {}


def test_closing_lets_go_of_everything():  # C54
    values = np.ones((1, 1), dtype=np.float32)
    made = ActivationHeatmap([["a"]], [values])
    made._held = type("Big", (), {})()
    held = weakref.ref(made._held)
    itself = weakref.ref(made)
    made.close()
    assert held() is None
    del made
    gc.collect()
    assert itself() is None


def test_running_a_cell_again_lets_go_of_what_it_made_before(monkeypatch):  # C54
    from saelab.widgets import base

    run = ["cell 1", "message 1"]
    monkeypatch.setattr(base, "_running_cell", lambda: tuple(run))

    def make():
        made = ActivationHeatmap([["a"]], [np.ones((1, 1))])
        made._held = "a model"
        return made

    one, two = make(), make()
    assert one._held == two._held == "a model", "two widgets of one run"
    run[:] = "cell 2", "message 2"
    other = make()
    run[:] = "cell 1", "message 3"
    three = make()
    assert one._held is two._held is None
    assert other._held == three._held == "a model"
    with pytest.raises(SaelabError, match="its cell was run again"):
        one.add_latent(1)
    assert one.to_frame().activation.tolist() == [1.0]


def test_bundles_are_built_from_these_sources():
    """Each bundle names the sources it was made of; all of them exist, and none is minified or has a map."""
    for name in (*REGISTRY, "standalone"):
        text = static_text(f"{name}.js")
        named = re.findall(r"^// ([\w./-]+\.js)$", text, re.MULTILINE)
        assert f"{name}.js" in named
        for source in named:
            assert source.startswith("node_modules/d3-hierarchy/") or (REPO / "widgets" / source).is_file(), (
                source
            )
        assert "sourceMappingURL" not in text
    assert {p.suffix for p in STATIC.iterdir()} == {".js", ".css"}


def test_the_only_package_in_a_bundle_is_d3_hierarchy_and_its_licence_comes_along():
    text = static_text("n2g_editor.js")
    assert "Mike Bostock" in text
    for path in STATIC.glob("*.js"):
        packages = set(
            re.findall(r"^// node_modules/([^/]+)/", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
        assert packages <= {"d3-hierarchy"}


def test_the_lockfile_names_no_registry():
    text = (REPO / "widgets" / "package-lock.json").read_text()
    assert "resolved" not in text
    assert "integrity" in text


def test_node_modules_are_not_kept():
    if not (REPO / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "widgets"], cwd=REPO, capture_output=True, text=True, check=True
    )
    assert "node_modules" not in listed.stdout


def test_every_widget_says_its_module():
    assert {cls.module: cls.__name__ for cls in Widget.__subclasses__()} == REGISTRY
    for name, cls in REGISTRY.items():
        assert getattr(widgets, cls).module == name
        assert (STATIC / f"{name}.js").is_file()

"""The standalone page, opened from disk by a browser without a network."""

from __future__ import annotations

import json

import numpy as np
import pytest
from things import HOSTILE

import saelab as sl
from saelab.widgets import ActivationHeatmap, Section, page


@pytest.fixture
def heatmap():
    values = np.zeros((len(HOSTILE), 1), dtype=np.float32)
    values[0] = 2
    return ActivationHeatmap([HOSTILE], [values], latents=[5])


def test_hostile_tokens_are_text(saved, heatmap, tmp_path):  # C04
    shown = saved(heatmap.export_html(tmp_path / "a b.html"), dark=True)
    tokens = shown.locator(".sl-tok")
    tokens.first.wait_for()
    assert tokens.evaluate_all("es => es.map(e => e.textContent)") == HOSTILE
    assert shown.evaluate("window.__hit") is None
    assert shown.locator("main img, main script").count() == 0
    tokens.nth(4).click()
    shown.locator('.sl-tok[aria-selected="true"]').wait_for()
    assert shown.asked == []
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


def test_dashboard_goes_from_latent_to_latent(saved, things, tmp_path):
    index = sl.LatentIndex.open(things["index"])
    latent = int(things["latent"])
    others = [int(i) for i in np.argsort(-index.counts)[1:3]]
    path = index.dashboard(latent).export_html(tmp_path / "dashboard.html", latents=[latent, *others])
    shown = saved(path)
    view = shown.locator(".saelab-dashboard")
    box = view.locator(".sl-head input")
    view.locator(".sl-example").first.wait_for()
    view.get_by_role("button", name="Next latent").click()
    shown.wait_for_function("n => document.querySelector('.sl-head input').value === n", arg=str(others[0]))
    top = index.top(others[0], 1).iloc[0]
    assert float(view.locator(".sl-act").first.inner_text()) == pytest.approx(top["value"], rel=0.01)
    missing = next(i for i in range(index.d_sae) if i not in (latent, *others))
    box.fill(str(missing))
    box.press("Enter")
    view.locator(".sl-alert", has_text="not in this page").wait_for()  # C59
    assert box.input_value() == str(others[0])


def test_page_of_blocks(saved, heatmap, things, tmp_path):
    graph = sl.n2g.PatternGraph.load(things["graph"])
    path = page(
        "Report", ["Some `code` and $x$.", heatmap, Section("Folded", [graph.edit()])], tmp_path / "r.html"
    )
    shown = saved(path, width=420)
    shown.locator(".saelab-heatmap .sl-tok").first.wait_for()
    assert shown.locator(".saelab-n2g").count() == 0  # drawn when it is opened
    shown.get_by_text("Folded").click()
    shown.locator(".saelab-n2g .sl-node").first.wait_for()
    assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "the page is wider than the screen"
    )
    stored = json.loads(shown.locator("#saelab-data").text_content())
    assert sorted(stored["modules"]) == ["heatmap", "n2g_editor"]
    assert shown.asked == []


def test_a_saved_index_keeps_search_table_and_dashboards(saved, things, tmp_path):
    index = sl.LatentIndex.open(things["index"])
    chosen = [int(i) for i in np.argsort(-index.counts)[:5]]
    shown = saved(index.export_html(tmp_path / "index.html", latents=chosen), dark=True)
    rows = shown.locator(".saelab-table .sl-tall > .sl-row:not([hidden])")
    rows.first.wait_for()
    assert [int(t) for t in rows.locator(".sl-c-latent").all_inner_texts()] == chosen
    box = shown.locator(".saelab-dashboard .sl-head input")
    rows.nth(3).click()
    shown.wait_for_function("n => document.querySelector('.sl-head input').value === n", arg=str(chosen[3]))
    shown.get_by_role("button", name="Previous latent").click()
    shown.locator(".sl-current .sl-c-latent", has_text=str(chosen[2])).wait_for()
    word = index.top(chosen[4], 1)["text"].item()[:9]
    shown.locator(".sl-query").fill(word)
    shown.locator(".sl-c-hits", has_text="examples").wait_for()
    texts = {i: "\n".join(index.top(i, 8)["text"]) for i in chosen}
    assert sorted(int(t) for t in rows.locator(".sl-c-latent").all_inner_texts()) == sorted(
        i for i in chosen if word in texts[i]
    )
    rows.first.click()
    assert box.input_value() in map(str, chosen)
    assert shown.asked == []


@pytest.mark.parametrize("kind", ["SVG", "PNG"])
def test_a_widget_becomes_a_figure(saved, heatmap, tmp_path, kind):
    shown = saved(heatmap.export_html(tmp_path / "w.html"))
    shown.locator(".sl-tok").first.wait_for()
    shown.get_by_text("figure", exact=True).click()
    with shown.expect_download() as waiting:
        shown.get_by_role("button", name=f"Save as {'an SVG file' if kind == 'SVG' else 'a picture'}").click()
    content = waiting.value.path().read_bytes()
    assert waiting.value.suggested_filename == f"latent-5-heatmap.{kind.lower()}"
    if kind == "PNG":
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert len(content) > 3000
        return
    import xml.etree.ElementTree as ET

    root = ET.fromstring(content.decode("utf-8"))
    drawn = "".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
    for token in (HOSTILE[0], HOSTILE[1], "<b>bold</b>", "\\(y\\)", "&amp;"):  # C03: text, nothing else
        assert token.replace(" ", "") in drawn.replace(" ", "")
    tags = {node.tag.split("}")[1] for node in root.iter()}
    assert tags <= {"svg", "rect", "text", "g", "clipPath", "line", "defs", "linearGradient", "stop"}


def test_effects_and_steered_text_become_figures(saved, tmp_path):  # C03
    import xml.etree.ElementTree as ET

    from helpers import random_sae, shared_tiny

    model, sae = shared_tiny(), random_sae(k=6)
    steering = sl.steering_panel(model=model, sae=sae, edits={3: 4.0}, prompt="<b>$x$", max_new_tokens=3)
    steering.run(wait=True)
    effects = sl.widgets.effect_map(model, sae, "<b>the fox</b>", 3)
    shown = saved(page("Figures", [effects, steering], tmp_path / "f.html"))
    for name, file, text in (
        ("effects", "effects-of-latent-3", "<b>thefox</b>"),
        ("steering", "steering", "<b>$x$"),
    ):
        view = shown.locator(f".saelab-{name}")
        view.get_by_text("figure", exact=True).click()
        with shown.expect_download() as waiting:
            view.get_by_role("button", name="Save as an SVG file").click()
        assert waiting.value.suggested_filename == f"{file}.svg"
        root = ET.parse(waiting.value.path()).getroot()
        drawn = "".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
        assert text in drawn.replace(" ", "").replace("\u00a0", "")


def test_training_curves(saved, tmp_path):
    from toy import ToyModel, texts

    small = {"d_sae": 48, "k": 4, "tokens": 4000, "batch": 100, "buffer": 1000, "progress": False}
    sae = sl.train(ToyModel(), texts(200), hook="first", **small)
    shown = saved(sl.training_monitor(sae).export_html(tmp_path / "run.html"), dark=True)
    view = shown.locator(".saelab-training-monitor")
    chart = view.locator(".sl-lines").nth(1)
    chart.locator("path.sl-series").wait_for()
    value = view.locator(".sl-lines-key").nth(1).locator("b").first
    assert float(value.inner_text()) == pytest.approx(sae.history["explained_variance"].iloc[-1], rel=0.01)
    box = chart.bounding_box()
    shown.mouse.move(box["x"] + box["width"] * 0.15, box["y"] + box["height"] / 2)
    # in all four; a line has no width, which passes for hidden
    view.locator('.sl-cross[visibility="visible"]').nth(3).wait_for(state="attached")
    assert float(value.inner_text()) < sae.history["explained_variance"].iloc[-1]
    names = view.get_by_role("button").all_inner_texts()
    assert all("figure" in n.lower() or "Save" in n for n in names)  # nothing that needs Python
    assert shown.asked == []

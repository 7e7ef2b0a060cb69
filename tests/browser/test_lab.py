"""Every widget in a real JupyterLab: it draws, reacts, and Python sees what was done."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from lab import READY, eventually, open_notebook, use_theme, wait_for_subshell
from things import HOSTILE

HEATMAP = f"""
from saelab.widgets import ActivationHeatmap
import numpy as np
tokens = {HOSTILE!r}
values = np.zeros((len(tokens), 2), dtype=np.float32)
values[0, 0], values[4, 0], values[7, 1] = 2.0, 1.0, 5.0
w = ActivationHeatmap([tokens, ["a", " b", " c"]], [values, np.eye(3, 2)], latents=[11, 12])
w
"""


def background(page, locator) -> str:
    return locator.evaluate("e => getComputedStyle(e).backgroundColor")


def luminance(page, locator, what: str) -> float:
    """0 dark … 1 light, of the colour as it is painted over white or black."""
    return locator.evaluate(
        """(e, what) => {
            const c = document.createElement('canvas').getContext('2d');
            c.fillStyle = getComputedStyle(e)[what];
            c.fillRect(0, 0, 1, 1);
            const [r, g, b] = c.getImageData(0, 0, 1, 1).data;
            return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
        }""",
        what,
    )


def test_heatmap_hostile_tokens_and_selection(notebook):  # C03, C57, C67
    page, ask = notebook(HEATMAP)
    tokens = page.locator(".saelab-heatmap .sl-sequence").first.locator(".sl-tok")
    tokens.first.wait_for()
    assert tokens.evaluate_all("es => es.map(e => e.textContent)") == HOSTILE
    assert (
        page.locator(
            ".saelab-heatmap img, .saelab-heatmap script, .saelab-heatmap b:not(.sl-status b)"
        ).count()
        == 0
    )
    assert page.evaluate("window.__hit") is None
    hot = tokens.evaluate_all("es => es.flatMap((e, i) => e.classList.contains('sl-hot') ? [i] : [])")
    assert hot == [0, 4]
    tokens.nth(4).click()
    page.locator('.sl-tok[aria-selected="true"]', has_text="x").wait_for()
    eventually(page, ask, "[w.selected_sequence, w.selected_token]", [0, 4])
    page.keyboard.press("ArrowRight")
    page.locator(".sl-status", has_text="position 5").wait_for()
    eventually(page, ask, "w.selected_token", 5)
    tip, view = page.locator(".sl-tip.sl-open"), page.viewport_size
    last = page.locator(".saelab-heatmap .sl-sequence").last.locator(".sl-tok").last
    for token, activation in (
        (last, "activation\n0"),
        (tokens.nth(4), "activation\n1"),
    ):  # C68: wherever it is
        token.hover()
        tip.wait_for()
        assert activation in tip.inner_text()
        box = tip.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= view["width"]
        assert box["y"] + box["height"] <= view["height"]
        # nothing lies over it; it lets the pointer through, so it is asked for without that
        top = page.evaluate(
            "([x, y]) => { const t = document.querySelector('.sl-tip.sl-open'); t.style.pointerEvents = 'auto';"
            " const e = document.elementFromPoint(x, y); t.style.pointerEvents = ''; return t.contains(e); }",
            [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2],
        )
        assert top


def test_heatmap_span_and_python_side(notebook):
    page, ask = notebook(HEATMAP)
    tokens = page.locator(".saelab-heatmap .sl-sequence").nth(1).locator(".sl-tok")
    a, b = tokens.nth(0), tokens.nth(2)
    a.hover()
    page.mouse.down()
    b.hover()
    page.mouse.up()
    page.locator(".sl-in-span").nth(2).wait_for()
    eventually(page, ask, "w.selected_span", [1, 0, 3])
    ask("setattr(w, 'latent', 12)")
    page.locator('.sl-latents button[aria-pressed="true"]', has_text="12").wait_for()
    page.locator(".sl-tok.sl-hot", has_text="bold").wait_for()
    assert ask("w.latent") == 12
    of_cell = "__import__('saelab.widgets.base', fromlist=['x'])._of_cell"
    assert ask(f"[len(w) for _, w in {of_cell}.values()]") == [1], "the cell that made it is not known"
    page.keyboard.press("Escape")
    page.locator(".sl-in-span").first.wait_for(state="detached")
    eventually(page, ask, "w.selected_span", None)


def test_light_and_dark(notebook):
    page, _ = notebook(HEATMAP)
    token = page.locator(".saelab-heatmap .sl-tok", has_text=" b").first
    token.wait_for()
    assert luminance(page, token, "color") < 0.3
    use_theme(page, dark=True)
    page.wait_for_function(
        "e => getComputedStyle(e).color !== 'rgba(0, 0, 0, 0.87)'", arg=token.element_handle()
    )
    assert luminance(page, token, "color") > 0.7


def test_fallback_in_an_untrusted_notebook_is_plain_html(notebook, lab):  # C60, C67
    source = HEATMAP.replace("\nw\n", "\nfrom IPython.display import HTML\nHTML(w.fallback())\n")
    page, _ = notebook(source)
    output = page.locator(".jp-OutputArea-output .tex2jax_ignore")
    output.wait_for()
    assert " $x$ \\(y\\)<b>bold</b>" in output.inner_text()
    assert output.locator("mjx-container, img, script").count() == 0


def test_dashboard(notebook, things):
    latent = things["latent"]
    page, ask = notebook(
        f"import saelab as sl\nindex = sl.LatentIndex.open({things['index']!r})\n"
        f"w = index.dashboard({latent})\nw"
    )
    view = page.locator(".saelab-dashboard")
    view.locator(".sl-example").first.wait_for()
    assert (
        f"{ask('int(index.latent_stats(' + str(latent) + ')[' + repr('n') + '])')}"
        in view.locator(".sl-stats").inner_text()
    )
    # the brush asks for exactly the examples of a range
    box = view.locator(".sl-histogram").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=4)
    page.mouse.up()
    view.locator(".sl-main").get_by_text("firings").wait_for()
    eventually(page, ask, "w.tab", "interval")
    lo, hi = ask("w.brush")
    shown = [float(t) for t in view.locator(".sl-example .sl-act").all_inner_texts()]
    assert shown
    assert all(lo * 0.99 <= v <= hi * 1.01 for v in shown)
    # a label is kept beside the index
    view.get_by_label("Label of this latent").fill("foxes <b>")
    view.get_by_label("Note on this latent").fill("a note")
    view.get_by_label("Note on this latent").press("Tab")
    view.locator(".sl-example").first.click()
    view.locator('.sl-example[aria-selected="true"]').wait_for()
    first = ask("[int(w.to_frame('interval')[c].iloc[0]) for c in ('row', 'position')]")
    eventually(page, ask, "[w.selected_sequence, w.selected_token]", first)
    eventually(page, ask, f"[index.label({latent}), index.note({latent})]", ["foxes <b>", "a note"])
    # next latent, by key; a number out of range is a message
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "n => document.querySelector('.saelab-dashboard .sl-head input').value === n", arg=str(latent + 1)
    )
    eventually(page, ask, "[w.latent, w.brush]", [latent + 1, None])
    page.keyboard.press("/")
    page.keyboard.type("9999")
    page.keyboard.press("Enter")
    view.locator(".sl-alert", has_text="0 to 63").wait_for()
    eventually(page, ask, "w.latent", latent + 1)
    assert page.evaluate("window.__hit") is None


def editor(things):
    return (
        "from helpers import random_sae, tiny_model\nimport saelab as sl\n"
        f"index = sl.LatentIndex.open({things['index']!r}, sae=random_sae(k=6), model=tiny_model())\n"
        f"graph = sl.n2g.PatternGraph.load({things['graph']!r}); graph.index = index\nw = graph.edit()\nw"
    )


def test_n2g_editor_every_edit_and_its_undo(notebook, things):
    page, ask = notebook(editor(things))
    view = page.locator(".saelab-n2g")
    view.locator(".sl-node").first.wait_for()
    assert view.locator(".sl-node").count() == ask("len(graph)")
    fitted, score = ask("repr(graph.tree)"), ask("w.score")
    strip, preview = view.locator(".sl-pending"), view.locator(".sl-pending-text")
    # the first path: context node (ends the pattern) and the token it fires on
    end, first = ask("[graph.paths()[0]['node'], graph.paths()[0]['nodes'][0]]")

    def commit(op: str) -> None:
        """What was previewed is what is done, and undone."""
        preview.wait_for()
        said, shown = preview.inner_text(), strip.locator("b").last.inner_text()
        page.locator(".saelab-n2g .sl-graph").focus()
        page.keyboard.press("Enter")
        eventually(page, ask, "[e['op'] for e in graph.history]", [op])
        page.wait_for_function(
            "() => document.querySelectorAll('.sl-history li').length === 2 && !document.querySelector('.sl-undone')"
        )
        f1 = ask("w.score['f1']")
        assert shown == ("–" if f1 is None else f"{100 * f1:.1f} %")
        assert view.locator(".sl-history li").nth(1).inner_text().split("\n")[0] in said
        page.keyboard.press("Control+z")
        eventually(page, ask, "len(graph.history)", 0)
        page.wait_for_function("() => document.querySelector('.sl-undone')")
        assert ask("repr(graph.tree)") == fitted
        assert ask("w.score") == score

    def choose(node: int) -> None:
        view.locator(f'.sl-node[data-id="{node}"]').click()
        view.locator(f'.sl-node[data-id="{node}"][aria-selected="true"]').wait_for()
        eventually(page, ask, "w.selected", node)

    for key, op, node in [
        ("Delete", "delete", end), ("w", "wildcard", end), ("^", "anchor_start", end), ("m", "set_value", first),
        ("l", "lock", end),
    ]:  # fmt: skip
        choose(node)
        page.keyboard.press(key)
        commit(op)
    for key, op in [("s", "specialise"), ("a", "add_alternative"), ("x", "exclude")]:
        choose(end)
        page.keyboard.press(key)
        view.get_by_label("Find a token").fill("fox")
        view.locator(".sl-choice", has_text="fox").first.locator("input").check()
        commit(op)
    choose(end)
    page.keyboard.press("g")
    view.get_by_label("At most so many tokens").fill("3")
    commit("gap")
    choose(end)
    page.keyboard.press("v")
    view.get_by_label("Predicted activation", exact=True).fill("9.5")
    commit("set_value")
    page.locator(".saelab-n2g .sl-graph").focus()
    page.keyboard.press("Escape")
    view.locator('.sl-node[aria-selected="true"]').wait_for(state="detached")
    view.get_by_role("button", name="Add a path from this miss").first.click()
    preview.wait_for()
    before = preview.inner_text()
    view.locator(".sl-steps button").last.click()  # any token
    page.wait_for_function(
        "(was) => document.querySelector('.sl-pending-text')?.innerText !== was", arg=before
    )
    commit("add_path")
    view.get_by_role("tab", name="False alarms").click()
    view.get_by_role("button", name="Not where the token before").first.click()
    commit("exclude")
    assert ask("w.error") == {}


def test_n2g_editor_notes_verdict_test_score_and_files(notebook, things, tmp_path):
    page, ask = notebook(editor(things))
    view = page.locator(".saelab-n2g")
    view.locator(".sl-node").first.click()
    view.locator('.sl-node[aria-selected="true"]').wait_for()
    page.keyboard.press("Delete")
    view.get_by_label("Note on this edit").fill("too <b>general")
    view.get_by_role("button", name="Make this edit").click()
    eventually(page, ask, "[(e['op'], e['note']) for e in graph.history]", [["delete", "too <b>general"]])
    view.get_by_label("Note on edit 1").fill("as said")
    view.get_by_label("Note on edit 1").press("Tab")
    eventually(page, ask, "graph.history[0]['note']", "as said")
    assert ask("w.final") is None
    view.get_by_role("button", name="Score on the test documents").click()
    view.locator(".sl-final").wait_for()
    assert ask("[w.final[k] for k in ('tp', 'fp', 'fn')]") == ask(
        "[getattr(graph.score(split='test'), k) for k in ('tp', 'fp', 'fn')]"
    )
    view.get_by_role("button", name="as it began").click()
    eventually(page, ask, "[w.done, len(w.history)]", [0, 1])
    view.locator(".sl-has-end").first.click()
    view.get_by_role("button", name="Ask the model").click()
    view.locator(".sl-verdict", has_text="of the prompts").wait_for()
    view.get_by_text("figure", exact=True).click()
    for kind, name in (("SVG", "Save as an SVG file"), ("JSON", "as JSON"), ("DOT", "as DOT")):
        with page.expect_download() as waiting:
            view.get_by_role("button", name=name).click()
        waiting.value.save_as(tmp_path / kind)
    assert json.loads((tmp_path / "JSON").read_text())["format"] == "saelab.n2g"
    assert (tmp_path / "DOT").read_text() == ask("graph.to_dot()")
    drawn = ElementTree.parse(tmp_path / "SVG").getroot()
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}text"))) >= ask("len(graph)")


def test_n2g_editor_hostile_large_and_empty(notebook):
    page, ask = notebook(
        f"""
from saelab.n2g import End, Node, PatternGraph, Tree
tokens = {HOSTILE!r}
n = len(tokens)
nodes = [Node(1 + i, 0, "tok", (i,), end=End(1.0 + i)) for i in range(n)]
nodes += [Node(101 + i, 1 + i % n, "tok", (200 + i,), end=End(0.5)) for i in range(500)]
labels = dict(enumerate(tokens)) | {{i: f"t{{i}}" for i in range(n, 1000)}}
graph = PatternGraph(Tree({{node.id: node for node in nodes}}, 700), target={{"latent": 1}}, labels=labels)
w = graph.edit()
w""",
        "empty = PatternGraph(target={'latent': 2}, reason='latent 2 never fires on the text').edit()\nempty",
    )
    view = page.locator(".saelab-n2g").first
    view.locator(".sl-node").first.wait_for()
    assert ask("len(graph)") > 500
    assert view.locator(".sl-node").count() < 90
    more = view.locator(".sl-more", has_text="beside").last
    before = view.locator(".sl-node").count()
    more.dispatch_event("pointerdown", {"button": 0})
    more.dispatch_event("pointerup", {"button": 0, "bubbles": True})
    page.wait_for_function("n => document.querySelectorAll('.saelab-n2g .sl-node').length > n", arg=before)
    ask(f"setattr(w, 'selected', {ask('graph.nodes()[-1][' + repr('id') + ']')})")
    view.locator('.sl-node[aria-selected="true"]').wait_for()
    assert page.evaluate("window.__hit") is None
    assert page.locator(".saelab-n2g img, .saelab-n2g script").count() == 0
    page.locator(".saelab-n2g .sl-empty", has_text="latent 2 never fires on the text").wait_for()


STEER = """
from helpers import tiny_model, random_sae
import saelab as sl
w = sl.steering_panel(model=tiny_model(), sae=random_sae(k=6), edits={3: 40.0}, prompt="", max_new_tokens=12)
w
"""


def test_steering_while_a_cell_runs(notebook, tmp_path):  # C66
    gate = tmp_path / "go"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.05)"
    page, ask = notebook(STEER, wait)
    view = page.locator(".saelab-steering")
    run = view.get_by_role("button", name="Write both texts")
    run.wait_for()
    wait_for_subshell(page)
    run.click()
    view.locator(".sl-alert", has_text="the prompt is empty").wait_for()
    view.get_by_label("Prompt").fill("The red")
    run.click()
    view.locator(".sl-side").nth(1).locator(".sl-differs").first.wait_for()
    view.locator(".sl-alert").wait_for(state="hidden")
    running = page.locator(".jp-CodeCell").nth(1).locator(".jp-InputPrompt")
    assert running.inner_text() == "[*]:", "the cell must still run, or this shows nothing"
    gate.touch()
    assert ask("[len(w.result.baseline.ids), len(w.result.steered.ids), w.running]") == [12, 12, False]
    assert run.is_enabled()


LINKED = """
import saelab as sl
from helpers import tiny_model, random_sae
from ipywidgets import VBox, link
index = sl.LatentIndex.open({index!r}, sae=random_sae(k=6), model=tiny_model())
table, dashboard, map_ = index.table({latent}), index.dashboard({latent}), index.map(method="pca")
link((table, "latent"), (dashboard, "latent")), link((map_, "latent"), (table, "latent"))
VBox([table, map_, dashboard])
"""


def test_table_map_and_dashboard_move_together(notebook, things):
    page, ask = notebook(LINKED.format(**things))
    table, map_ = page.locator(".saelab-table"), page.locator(".saelab-map")
    rows = table.locator(".sl-tall > .sl-row:not([hidden])")
    rows.first.wait_for()
    opened = page.locator(".saelab-dashboard .sl-head input")
    # a row, by pointer and by key
    rows.nth(1).click()
    second = rows.nth(1).locator(".sl-c-latent").inner_text()
    page.wait_for_function(
        "n => document.querySelector('.saelab-dashboard .sl-head input').value === n", arg=second
    )
    eventually(page, ask, "[table.latent, dashboard.latent, map_.latent]", [int(second)] * 3)
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    third = int(rows.nth(2).locator(".sl-c-latent").inner_text())
    eventually(page, ask, "[dashboard.latent, table.selected]", [third, [third]])
    assert ask("table.to_frame(selected=True).index.tolist()") == [third]
    shows = "n => document.querySelector('.saelab-dashboard .sl-head input').value === n"
    page.wait_for_function(shows, arg=str(third))
    # the index's search
    page.keyboard.press("/")
    page.keyboard.type("fox")
    page.keyboard.press("Enter")
    table.locator(".sl-c-f1", has_text="F1").wait_for()
    found = ask("index.search('fox', n=2000).latent.tolist()")
    table.get_by_text(f"{len(found)} of 64 latents").wait_for()
    assert [int(t) for t in rows.locator(".sl-c-latent").all_inner_texts()][:3] == found[:3]
    # a label written in the dashboard is in the table and on the map
    page.locator(".saelab-dashboard").get_by_label("Label of this latent").fill("foxes <b>")
    page.locator(".saelab-dashboard").get_by_label("Label of this latent").press("Tab")
    mine = f"[w.labels.get({str(third)!r}) for w in (table, map_)]"  # another test labels another latent
    eventually(page, ask, mine, ["foxes <b>"] * 2)
    # the lasso
    map_.locator(".sl-legend .sl-key").first.wait_for()
    canvas = map_.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y, w, h = (box[k] for k in ("x", "y", "width", "height"))
    page.mouse.move(x + 2, y + 2)
    page.mouse.down()
    for dx, dy in ((w / 2, 2), (w / 2, h - 2), (2, h - 2)):
        page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    places = "map_.positions[index.counts > 0]"
    eventually(page, ask, "sorted(map_.selected)", ask(f"{places}.query('x < 0').index.tolist()"))
    assert opened.input_value() == str(third)
    assert page.evaluate("window.__hit") is None


def test_typing_in_the_prompt_box_while_a_cell_runs(notebook, things, tmp_path):  # C03, C67
    gate = tmp_path / "go"
    source = LINKED.format(**things).replace("VBox([table, map_, dashboard])", "dashboard")
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    page, ask = notebook(source, wait)
    box = page.get_by_label("A text of your own")
    box.wait_for()
    wait_for_subshell(page)
    text = "<i onload=x()>$x$ 日</i>"  # with BOS it fits the tiny model's context
    box.type(text, delay=5)
    page.wait_for_function(
        "want => [...document.querySelectorAll('.sl-tried .sl-tok')].slice(1).map(e => e.textContent).join('') === want",
        arg=text,
    )
    assert page.locator(".sl-tried i, .sl-tried mjx-container").count() == 0
    # ablating waits for no cell either, and the arrows in its text do not open another latent
    page.get_by_role("button", name="Set this latent to 0 in the whole row").click()
    ablated = page.locator(".sl-ablation")
    ablated.locator(".sl-place").wait_for()
    ablated.locator(".sl-tok").nth(1).click()
    page.keyboard.press("ArrowRight")
    ablated.locator(".sl-place", has_text="position2").wait_for()
    assert page.locator(".saelab-dashboard .sl-head input").input_value() == str(things["latent"])
    link = page.locator(".sl-fires .sl-link").first
    other = link.inner_text()
    link.click()
    page.wait_for_function(
        "n => document.querySelector('.saelab-dashboard .sl-head input').value === n", arg=other
    )
    assert page.locator(".jp-CodeCell").nth(1).locator(".jp-InputPrompt").inner_text() == "[*]:"
    gate.touch()
    ids = ask("dashboard.tried['text']['ids']")
    assert ids == ask("__import__('saelab').models.tokenize(index.model, dashboard.prompt)")
    assert ids.count(0) == 1


TRAIN = """
import time
from toy import ToyModel, texts
import saelab as sl
pages = texts(400)
def train(**more):
    return sl.train(ToyModel(), pages, hook="first", d_sae=64, k=4, tokens=20_000, batch=20, buffer=1000, **more)
monitor = sl.training_monitor()
released = []  # filled by the cell behind the run: what is left then goes on without a break
def hold(trainer):
    if not released and trainer.done < 200: time.sleep(0.1)
    while not released and trainer.done == 200 and monitor.phase == "running": time.sleep(0.02)
monitor
"""


def test_training_is_watched_stopped_while_the_cell_runs_and_resumed(notebook):
    page, ask = notebook(
        TRAIN, "sae = train(monitor=monitor, on_log=hold)", "released.append(1); sae.record['steps']"
    )
    view = page.locator(".saelab-training-monitor")
    # in all four; a line that is flat has no height, which passes for hidden
    view.locator("path.sl-series").nth(3).wait_for(state="attached")
    page.wait_for_function(  # the first drawing is of step 1, and others follow while the cell runs
        "() => +document.querySelector('.saelab-training-monitor [role=progressbar]').ariaValueNow > 20"
    )
    wait_for_subshell(page)
    running = page.locator(".jp-CodeCell").nth(1).locator(".jp-InputPrompt")
    assert running.inner_text() == "[*]:", "the cell must still run, or this shows nothing"
    view.get_by_role("button", name="End the run").click()
    view.locator('.sl-phase[data-phase="stopped"]').wait_for()
    steps = page.locator(".jp-CodeCell").nth(2).locator(".jp-OutputArea-output pre")
    steps.wait_for()  # the next cell came to its turn
    assert 0 < int(steps.inner_text()) <= 200
    view.get_by_role("button", name="Train the rest").click()
    view.locator('.sl-phase[data-phase="ended"]').wait_for()
    assert view.locator(".sl-alert").is_hidden()
    assert ask("[sae.record['steps'], monitor.wait() is sae]") == [1000, True]
    assert ask("bool(__import__('torch').equal(sae.W_dec, train(progress=False).W_dec))")


REOPENED = """
index = sl.LatentIndex.open({index!r}, sae=random_sae(k=6), model=tiny_model())
graph = sl.n2g.PatternGraph.load({graph!r})
w = index.dashboard({latent})
w"""


def test_L07_L09_widgets_leave_a_picture_and_say_that_python_is_gone(notebook, things, lab, browser):
    page, ask = notebook(
        "import saelab as sl\nfrom helpers import random_sae, tiny_model" + REOPENED.format(**things),
        "panel = sl.steering_panel(index, edits={3: 4.0}, prompt='The red', max_new_tokens=5); panel",
        "closed = index.table(); closed",
        "graph.edit()",
        "panel.run(wait=True)",
        "closed.close()",
    )
    said, view = "steered", page.locator(".saelab-dashboard")
    view.locator(".sl-example").first.wait_for()
    # the live view stands for its picture; what was closed leaves it
    statics = page.locator(".saelab-static")
    page.wait_for_function("() => document.querySelectorAll('.saelab-static').length === 4")
    eventually(page, ask, "closed._released", True)
    page.locator(".saelab-static:visible", has_text="64 latents").wait_for()
    assert statics.locator("visible=true").count() == 1
    page.wait_for_function(
        "(s) => document.querySelectorAll('.saelab-static')[1].textContent.includes(s)", arg=said
    )
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    # the kernel starts anew: a request, and a change that is drawn here alone
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.model.dirty")
    page.wait_for_function(READY)
    for act, where in (
        (lambda: view.get_by_role("button", name="Next latent").click(), view),
        (lambda: page.locator(".saelab-n2g .sl-node").first.click(), page.locator(".saelab-n2g")),
    ):
        act()
        where.locator(".sl-alert", has_text="Python").wait_for(timeout=20_000)
    # opened again, with JupyterLab's defaults and no kernel that knows them
    name = page.url.split("/")[-1].split("?")[0]
    again = browser.new_page()
    open_notebook(again, lab, name, run=False)
    again.wait_for_function(
        "() => [...document.querySelectorAll('.saelab-static')].filter((e) => e.checkVisibility()).length === 4"
    )
    again.wait_for_function("() => document.body.textContent.includes('model not found')")
    errors = again.get_by_text("model not found")
    assert not any(errors.nth(i).is_visible() for i in range(errors.count()))
    again.close()

"""A notebook with every widget after ``jupyter nbconvert --to html``: hostile text is in it as it was, and inert."""

from __future__ import annotations

import html.parser
import json
import os
import subprocess
import sys

from lab import REPO, write_notebook

HOSTILE = [
    "</script>", "</ScRiPt ", "<!--<script>", "\u2028", "\u2029", "\\", "'", "\0", "$x$",
    "<script>window.__hit=1</script>", "<img src=x onerror='window.__hit=2'>",
]  # fmt: skip
TEXT = "".join(HOSTILE)

PREPARE = f"""
import warnings; warnings.simplefilter("ignore")
import tempfile
import numpy as np
import saelab as sl
from helpers import random_sae, tiny_model
from saelab.widgets import ActivationHeatmap
from toy import ToyModel, texts
H = {HOSTILE!r}
model, sae = tiny_model(), random_sae(k=6)
index = sl.LatentIndex.build(model, sae, H * 2, path=tempfile.mkdtemp() + "/i", progress=False)
latent = int(index.counts.argmax())
index.set_label(latent, {TEXT!r}); index.set_note(latent, {TEXT!r})
graph = sl.n2g.PatternGraph(target={{"latent": latent}}, labels={{i: index.vocab.label(i) for i in range(len(index.vocab))}})
for row in (0, 4): graph.add_path([int(i) for i in index.rows[row][1:3]], value=1.0)
graph.index = index
"""
CELLS = {
    "heatmap": "v = np.zeros((len(H), 1), np.float32); v[:3] = 1\nActivationHeatmap([H], [v], latents=[latent])",
    "dashboard": "w = index.dashboard(latent); w.ablate(); w",
    "compare": "sl.match(index, index, by='activation').compare(latent)",
    "table": "index.table(latent)",
    "map": "index.map(method='pca')",
    "n2g": "w = graph.edit(); w.delete(graph.nodes()[-1]['id'], note=''.join(H)); w",
    "steering": "w = sl.steering_panel(index, edits={latent: 2.0}, prompt=H[0] + H[8], max_new_tokens=3)\n"
    "w.run(wait=True); w",
    "effects": "sl.effect_map(model, sae, H[2] + H[3], latent)",
    "training-monitor": "t = sl.train(ToyModel(), texts(200), hook='first', d_sae=48, k=4, tokens=4000, batch=100,"
    " buffer=1000, progress=False)\nt.record['notes'] = [''.join(H)]; sl.training_monitor(t)",
}
STORED = 'script[type="application/vnd.jupyter.widget-state+json"]'
# as the page's own widget manager would, which comes from a network that is not there
DRAW = """async () => {
    const stored = document.querySelector('script[type="application/vnd.jupyter.widget-state+json"]');
    for (const { state, buffers = [] } of Object.values(JSON.parse(stored.textContent).state)) {
        if (!state._esm) continue;
        for (const { path, data } of buffers) {
            const at = path.slice(0, -1).reduce((o, key) => o[key], state);
            at[path.at(-1)] = new DataView(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer);
        }
        const url = URL.createObjectURL(new Blob([state._esm], { type: 'text/javascript' }));
        const [style, el] = ['style', 'main'].map((tag) => document.createElement(tag));
        style.textContent = state._css;
        document.body.append(style, el);
        const nothing = { on() {}, off() {}, save_changes() {}, send() {} };
        const model = { ...nothing, get: (k) => state[k], set: (k, v) => { state[k] = v; } };
        await (await import(url)).default.render({ model, el, signal: new AbortController().signal });
    }
}"""


class Scripts(html.parser.HTMLParser):
    """Script elements of a page: type -> text."""

    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._type: str | None = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self._type = dict(attrs).get("type", "") if tag == "script" else None

    def handle_data(self, data):
        if self._type is not None:
            self.found.append((self._type, data))
            self._type = None


def test_every_widget_after_nbconvert(browser, tmp_path):  # C03, C04, C67
    path = tmp_path / "n.ipynb"
    write_notebook(path, (PREPARE, *CELLS.values()))
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(REPO), str(REPO / "tests")]), "OMP_NUM_THREADS": "1",
        **{f"JUPYTER_{d}_DIR": str(tmp_path / d) for d in ("CONFIG", "DATA", "RUNTIME")},
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--execute", str(path)],
        env=env, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    text = path.with_suffix(".html").read_text(encoding="utf-8")
    scripts = Scripts(text).found
    (stored,) = [data for kind, data in scripts if kind == "application/vnd.jupyter.widget-state+json"]
    views = [data for kind, data in scripts if kind == "application/vnd.jupyter.widget-view+json"]
    states = json.loads(stored)["state"]
    shown = [states[json.loads(v)["model_id"]]["state"] for v in views]
    assert len(shown) == len(CELLS)
    state = dict(zip(CELLS, shown, strict=True))
    assert state["heatmap"]["sequences"][0]["text"] == HOSTILE
    assert (state["dashboard"]["label"], state["dashboard"]["note"]) == (TEXT, TEXT)
    assert TEXT in state["table"]["labels"].values()
    assert TEXT in state["map"]["labels"].values()
    assert state["n2g"]["history"][-1]["note"] == TEXT
    assert state["steering"]["prompt"] == HOSTILE[0] + HOSTILE[8]
    assert "".join(state["effects"]["text"]["text"][1:]) == HOSTILE[2] + HOSTILE[3]
    assert state["training-monitor"]["hints"] == [TEXT]

    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 850})
    page = context.new_page()
    page.goto(path.with_suffix(".html").as_uri())
    # L08: no script of a network comes, and every widget is there all the same
    assert page.locator(".saelab-static:visible").count() == len(CELLS)
    # nbconvert leaves "<!--<script" in the element: whether it ends where it should, a browser must say
    assert page.locator(STORED).text_content() == stored
    page.evaluate(DRAW)
    for name in CELLS:
        page.locator(f".saelab-{name}").first.wait_for()  # a comparison is a dashboard too
    tokens = page.locator(".saelab-heatmap .sl-tok").evaluate_all("es => es.map((e) => e.textContent)")
    assert tokens == HOSTILE
    for name, part in (
        ("dashboard", ".sl-example"), ("dashboard", ".sl-ablation .sl-tok"), ("n2g", ".sl-node"),
        ("steering", ".sl-tok"), ("effects", ".sl-tok"), ("training-monitor", "path.sl-series"),
    ):  # fmt: skip
        assert page.locator(f".saelab-{name} {part}").count(), (name, part)
    assert page.locator(".saelab-training-monitor").get_by_text("window.__hit=1").count()
    assert page.locator(".saelab img, .saelab script").count() == 0
    assert page.evaluate("window.__hit") is None
    context.close()

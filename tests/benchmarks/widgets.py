"""How quick the widgets are in JupyterLab: the next latent, typing a prompt, a table of 100,000 rows, a map.

usage: python tests/benchmarks/widgets.py

Everything is measured in the page, from the key to the frame after the last change. The dashboard shows the bundled
zoo; the table and the map show 100,000 latents with random codes. JupyterLab and Chromium run on this machine, so a
figure holds the kernel, the server and the browser.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "browser"), str(HERE.parent), str(HERE.parents[1])]

from lab import CHROMIUM, jupyterlab, open_notebook, wait_for_subshell, write_notebook  # noqa: E402

ZOO = """
import warnings; warnings.simplefilter("ignore")
import saelab as sl
model, sae = sl.load_model("zoo"), sl.zoo.load_sae()
index = sl.LatentIndex.build(model, sae, sl.zoo.texts(1500, seed=3), path={path!r}, progress=False)
index.dashboard(int(index.counts.argmax()))
"""
MANY = """
from pathlib import Path
import numpy as np, torch
from index.makers import open_writer, random_rows
rng, d_sae = np.random.default_rng(0), 100_000
rows = random_rows(rng, 4000, 60)
counted = rows.ids != 0
with open_writer(Path({path!r}), rows, counted, d_sae, 10**8) as writer:
    count = np.where(counted, 12, 0)
    latent = np.sort(np.stack([rng.choice(d_sae, 12, replace=False) for _ in range(int(counted.sum()))]), axis=1)
    writer.append(rows.n_tokens, count, latent.ravel(), rng.random(latent.size).astype(np.float32) + 0.01)
    writer.finish()
many = sl.LatentIndex.open({path!r})
many.table()
"""
MAP = "many.map(positions=rng.normal(size=(d_sae, 2)))"
BUSY = {
    "while a cell computes in Python": "import time\nend = time.time() + 25\nwhile time.time() < end: sum(range(1000))",
    "while a cell runs the same model": "import time\nend = time.time() + 25\nids = torch.zeros(4, 64, dtype=torch.long)\n"
    "with torch.no_grad():\n    while time.time() < end: sl.models.run_to_hooks(model, ids, [sae.config.hook_in])",
}

# resolves two frames after the last change inside `where` that `act` causes: then it is on the screen
PAINTED = """
const painted = (where, act, quiet = 30) => new Promise((done, fail) => {
  const t0 = performance.now(); let last = 0, timer;
  const late = setTimeout(() => fail(new Error('nothing was drawn in 20 s')), 20000);
  const seen = new MutationObserver(() => {
    clearTimeout(timer);
    requestAnimationFrame(() => requestAnimationFrame(() => { last = performance.now(); }));
    timer = setTimeout(() => { seen.disconnect(); clearTimeout(late); done(last - t0); }, 60 + quiet);
  });
  seen.observe(where, { childList: true, subtree: true, characterData: true });
  act();
});
"""
NEXT = (
    "async (n) => {" + PAINTED + """
  const view = document.querySelector('.saelab-dashboard'), out = [];
  view.scrollIntoView(); view.focus();
  const where = view.querySelector('.sl-main'); // examples and votes, the last to be drawn
  const next = () => view.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
  for (let i = 0; i < n; i += 1) out.push(await painted(where, next));
  return out;
}"""
)  # fmt: skip
TYPE = (
    "async (n) => {" + PAINTED + """
  const view = document.querySelector('.saelab-dashboard'), out = [];
  const field = view.querySelector('.sl-prompt textarea'), where = view.querySelector('.sl-tried');
  view.scrollIntoView(); field.value = '';
  for (let i = 0; i < n; i += 1) out.push(await painted(where, () => {
    field.value += 'GET /index HTTP'[i % 15];
    field.dispatchEvent(new Event('input'));
  }));
  field.value = ''; field.dispatchEvent(new Event('input'));
  return out;
}"""
)  # fmt: skip
SCROLL = """
async ([frames, step]) => {
  const grid = document.querySelector('.saelab-table .sl-grid'), out = [];
  grid.scrollIntoView({ block: 'center' });
  await new Promise((r) => setTimeout(r, 500)); // the notebook lays out what came into sight
  let blank = 0, before = await new Promise(requestAnimationFrame);
  for (let i = 0; i < frames; i += 1) {
    grid.scrollTop += step;
    const now = await new Promise(requestAnimationFrame);
    out.push(now - before); before = now;
    await new Promise((r) => setTimeout(r)); // what was drawn for this frame
    const box = grid.getBoundingClientRect(), middle = document.elementFromPoint(box.left + 40, box.top + box.height / 2);
    if (!middle?.closest('.sl-tall > .sl-row')) blank += 1;
  }
  return [out, blank];
}
"""
SORT = (
    "async () => {" + PAINTED + """
  const table = document.querySelector('.saelab-table'), out = [];
  for (const name of ['max', 'mean', 'latent', 'density', 'max', 'strongest']) {
    const head = [...table.querySelectorAll('.sl-th')].find((b) => b.textContent.includes(name));
    out.push(await painted(table.querySelector('.sl-tall'), () => head.click()));
  }
  return out;
}"""
)  # fmt: skip
DRAW = """
async (n) => {
  const canvas = document.querySelector('.saelab-map canvas'), stage = canvas.parentElement, out = [];
  stage.scrollIntoView();
  for (let i = 0; i < n; i += 1) {
    const t0 = performance.now();
    stage.dispatchEvent(new KeyboardEvent('keydown', { key: i % 2 ? '-' : '+', bubbles: true }));
    await new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)));
    out.push(performance.now() - t0);
  }
  return out;
}
"""


def say(name: str, times: list[float], note: str = "") -> None:
    """One line of results, milliseconds."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    print(
        f"{name:<58} median {statistics.median(times):6.0f} ms   p95 {p95:6.0f}   max {ordered[-1]:6.0f}   "
        f"n {len(times)}   {note}",
        flush=True,
    )


def main() -> None:
    """Print all figures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p:
        (state := Path(folder) / "state").mkdir()
        (root := Path(folder) / "notebooks").mkdir()
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cells = (
            ZOO.format(path=str(root / "zoo")),
            MANY.format(path=str(root / "many")),
            MAP,
            *BUSY.values(),
        )
        with jupyterlab(root, state) as lab:
            write_notebook(root / "b.ipynb", cells)
            page = browser.new_page(viewport={"width": 1250, "height": 900})
            page.set_default_timeout(300_000)
            open_notebook(page, lab, "b.ipynb", run=False)

            def run(cell: int, ready: str) -> None:
                page.evaluate(
                    cell,
                    "(i) => { const n = window.jupyterapp.shell.currentWidget.content; n.activeCellIndex = i; "
                    "window.jupyterapp.commands.execute('notebook:run-cell'); }",
                )
                page.locator(ready).first.wait_for()

            run(0, ".saelab-dashboard .sl-example")
            run(1, ".saelab-table .sl-tall > .sl-row")
            run(2, ".saelab-map .sl-legend .sl-key")
            wait_for_subshell(page)
            page.evaluate(3, NEXT)
            say("next latent: key to painted dashboard", page.evaluate(40, NEXT))
            say("a letter typed to its painted prompt, kernel idle", page.evaluate(25, TYPE))
            frames, blank = page.evaluate([240, 700], SCROLL)
            say("table of 100,000 rows: frames while scrolling 700 px each", frames, f"blank {blank}")
            frames, blank = page.evaluate([120, 19000], SCROLL)
            say("the same, 19,000 px each", frames, f"blank {blank}")
            say("sorting 100,000 rows, click to painted", page.evaluate(SORT))
            say("map of 100,000 points: zoom to painted", page.evaluate(30, DRAW))
            for number, name in enumerate(BUSY, 3):
                run(number, f".jp-CodeCell >> nth={number} >> text='[*]:'")
                say(f"a letter typed to its painted prompt, {name}", page.evaluate(15, TYPE))
                page.locator(f".jp-CodeCell >> nth={number} >> text=/^\\[\\d+\\]:$/").first.wait_for()
        browser.close()


if __name__ == "__main__":
    main()

"""Pictures of every widget, in JupyterLab (light and dark) and as saved pages, to look at before a release.

usage: python tests/browser/screenshots.py FOLDER [NAME …]

Uses the bundled zoo, so that the pictures show latents with a meaning. Look at every picture: spacing, cut texts,
contrast, what is empty.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import product
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from lab import CHROMIUM, jupyterlab, open_notebook, use_theme, write_notebook  # noqa: E402

PREPARE = """
import warnings; warnings.simplefilter("ignore")
import saelab as sl
model = sl.load_model("zoo"); sae = sl.zoo.load_sae()
rows, labels = sl.zoo.labelled_rows(model, 900, seed=3)
index = sl.LatentIndex.build(model, sae, rows, path={index!r}, progress=False)
found = index.concepts(labels)
found = found[(found.precision > 0.9) & (found.fires >= 40)].sort_values("f1", ascending=False)
best = {{c: int(found[found.concept == c].latent.iloc[0]) for c in ("dna", "http", "hebrew", "recipe")}}
texts = [next(sl.zoo.texts(1, seed=9, genres=[g]))[:260] for g in best] + ["日本語、é <b>$x$</b>"]
latents = list(best.values())
judge = sl.words.LLM(sl.zoo.Reader(list(sl.zoo.documents(900, seed=3))), name="reader")
truth = {{i: found[found.latent == i].concept.iloc[0] for i in latents}}
sl.words.check_judge(index, truth, judge, progress=False)
sl.words.score(sl.words.explain(index, latents[1:], by="tokens"), judge, progress=False).label()
index.set_label(latents[0], "DNA")
dead = int(index.counts.argmin())
"""
GRAPH = "graph = sl.n2g.fit(index, latents[1:2], progress=False)[latents[1]]"
CELLS = {
    "heatmap": "w = sl.heatmap(model, sae, texts, latents, index=index, selected_sequence=0, selected_token=9); w",
    "dashboard": "w = index.dashboard(latents[0], prompt='> fox gene\\nATGGCGTACCGGTTA\\nthe end')\n"
    "w._trying.jobs.thread.join(); w",
    "compare": "twin = sl.load_model('zoo-twin'); same = sl.zoo.labelled_rows(twin, 900, seed=3)[0]\n"
    "other = sl.LatentIndex.build(twin, sl.load_sae('zoo-twin'), same, progress=False)\n"
    "w = sl.match(index, other, by='activation').compare(latents[0]); w",
    "dashboard-ablated": "w = index.dashboard(latents[1]); w.ablate(); w",
    "dashboard-hebrew": "w = index.dashboard(latents[2]); w",
    "dashboard-rare": "w = index.dashboard(dead); w",
    "table": "w = index.table(query='Host', selected=latents[1:3]); w",
    "table-labelled": "w = index.table(only_labelled=True); w",
    "map": "groups = {int(i): c.split('.')[0] for c, i, f in found[['concept', 'latent', 'f1']].values if f > 0.5}\n"
    "w = index.map(latents[0], groups=groups, colour='label'); w",
    "n2g": "w = graph.edit(); w.delete(graph.nodes()[-1]['id'], note='a sign, not a cause');"
    "w.selected = graph.nodes()[0]['id']; w",
    "steering": "w = sl.steering_panel(index, edits={latents[0]: 12.0}, prompt='The', max_new_tokens=60)\n"
    "w.run(wait=True); w.sweep(wait=True); w",
    "effects": "w = sl.effect_map(model, sae, texts[1][:200], latents[1], direct=True); w",
    "training": "small = dict(hook='blocks.0.mlp.hook_post', k=32, tokens='100k', batch=512)\n"
    "pages = list(sl.zoo.texts(1500, seed=1))\nw = sl.training_monitor()\n"
    "stop = lambda t: w.stop() if t.progress > 0.7 else None\n"
    "a = sl.train(model, pages, d_sae=2048, dead_after=3000, monitor=w, on_log=stop, **small); w",
    "training-several": "b = sl.train(model, pages, d_sae=1024, arch='relu', progress=False, **small)\n"
    "w = sl.training_monitor([a, b]); w",
}
WIDTHS = (1440, 800)
WAIT = {
    "heatmap": ".sl-tok", "n2g": ".sl-node", "steering": ".sl-differs", "table": ".sl-tall .sl-row",
    "table-labelled": ".sl-tall .sl-row",
    "map": ".sl-legend .sl-key", "training": ".sl-series", "training-several": ".sl-series",
    "effects": ".sl-vote", "dashboard-ablated": ".sl-ablation .sl-vote",
}  # fmt: skip


def main(out: Path, only: list[str]) -> None:
    """Write the pictures."""
    cells = {name: code for name, code in CELLS.items() if not only or name in only}
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as p:
        (state := Path(folder) / "state").mkdir()
        (root := Path(folder) / "notebooks").mkdir()
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        prepare = PREPARE.format(index=str(root / "index")) + (GRAPH if "n2g" in cells else "")
        saves = "\n".join(
            f"{code}\nw.export_html({str(root / f'{name}.html')!r})" for name, code in cells.items()
        )
        with jupyterlab(root, state) as lab:
            # one notebook, one kernel: what is shown is made once, each cell shows one widget
            write_notebook(root / "all.ipynb", (prepare, *cells.values(), saves + "\nprint('saved all')"))
            page = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
            page.set_default_timeout(600_000)
            open_notebook(page, lab, "all.ipynb")
            failed = page.locator(
                '.jp-RenderedText[data-mime-type*="stderr"], .jp-OutputArea-output pre .ansi-red-fg'
            )
            done = page.locator(".jp-OutputArea-output pre", has_text="saved all")
            done.or_(failed).first.wait_for()
            if not done.count():
                raise SystemExit(page.locator(".jp-OutputArea-output").last.inner_text()[-3000:])
            for dark, width in product((False, True), WIDTHS):
                page.set_viewport_size({"width": width, "height": 900})
                use_theme(page, dark)
                for i, name in enumerate(cells):
                    widget = page.locator(".jp-OutputArea-output .saelab").nth(i)
                    widget.evaluate("e => e.scrollIntoView()")  # the top of it, however tall it is
                    widget.locator(WAIT.get(name, ".sl-stats dd")).first.wait_for()
                    if name == "effects" and (dark, width) == (False, WIDTHS[0]):
                        widget.locator("button.sl-link").click()
                    if name == "dashboard-ablated":
                        widget.locator(".sl-ablation").scroll_into_view_if_needed()
                    if name == "heatmap":
                        widget.locator(".sl-tok.sl-hot").nth(3).hover()
                    page.wait_for_timeout(300)  # for the eye alone: fonts and theme have settled
                    page.screenshot(path=out / f"lab-{name}-{'dark' if dark else 'light'}-{width}.png")
        for name in cells:
            for dark, width in product((False, True), WIDTHS):
                context = browser.new_context(
                    viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
                )
                page = context.new_page()
                page.goto((root / f"{name}.html").as_uri())
                page.locator(".saelab").first.wait_for()
                page.screenshot(
                    path=out / f"page-{name}-{'dark' if dark else 'light'}-{width}.png", full_page=True
                )
                context.close()
        browser.close()
    print(f"{len(list(out.glob('*.png')))} pictures in {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(CELLS))
    given = parser.parse_args()
    if unknown := set(given.names) - set(CELLS):
        parser.error(f"there is no widget {sorted(unknown)[0]!r}; there are {', '.join(CELLS)}")
    main(given.folder, given.names)

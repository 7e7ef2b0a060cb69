"""LatentCompare in a real JupyterLab: the next pair by key, any pair by a click in the table of matches."""

from __future__ import annotations

from lab import eventually, use_theme
from things import TEXTS

CELL = """
import saelab as sl
from helpers import random_sae, tiny_model
index = sl.LatentIndex.open({index!r}, sae=random_sae(k=6), model=tiny_model())
other = sl.LatentIndex.build(tiny_model(), random_sae(k=3), {texts!r} * 6, progress=False)
w = sl.match(index, other, by="activation").compare()
w
"""
# of every token what it is shown as
SHOWN = (
    "ts => ts.map(t => ['sl-hot', 'sl-alone', 'sl-missed'].filter(c => t.classList.contains(c)).join(' '))"
)


def test_pairs_by_key_and_by_click(notebook, things):
    page, ask = notebook(CELL.format(**things, texts=TEXTS), "index.dashboard(int(index.counts.argmax()))")
    view = page.locator(".saelab-compare")
    rows = view.locator(".sl-pairs .sl-pair")
    rows.first.wait_for()
    listed = ask("[p['latent'] for p in w.pairs]")
    assert [int(n) for n in rows.evaluate_all("rs => rs.map(r => r.dataset.latent)")] == listed
    assert len(listed) > 3

    def shows(latent: int) -> None:
        view.locator("h2", has_text=f"Latent {latent} ").first.wait_for()
        rows.locator("xpath=self::*[@aria-selected='true']").wait_for()
        assert view.locator('.sl-pair[aria-selected="true"]').get_attribute("data-latent") == str(latent)
        eventually(page, ask, "[w.latent, w.payload['latent']]", [latent] * 2)

    shows(listed[0])
    view.focus()
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        shows(listed[place])
    for _ in range(2):  # faster than answers: none is lost
        page.keyboard.press("ArrowRight")
    shows(listed[3])
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    shows(listed[-1])  # round again from the end
    wanted = next(
        i for i in listed if {"a", "both"} <= set(ask(f"w._held.pair({i})['fires'].unique().tolist()"))
    )
    view.locator(f'.sl-pair[data-latent="{wanted}"]').click()
    shows(wanted)
    # colors say who fires
    for kind, mine, theirs in (
        ("both", "sl-hot", "sl-hot"),
        ("a", "sl-hot sl-alone", "sl-missed"),
    ):
        sides = view.locator(f'section[data-kind="{kind}"] .sl-two').first.locator(".sl-example")
        for side, mark in ((0, mine), (1, theirs)):
            assert mark in sides.nth(side).locator(".sl-tok").evaluate_all(SHOWN)
    # also where another widget's styles come later in the page
    page.locator(".saelab-dashboard:not(.saelab-compare)").wait_for()
    chip = "(es => getComputedStyle(es[0]).backgroundColor)"
    keys = view.locator(".sl-key")
    assert keys.locator(".sl-alone").evaluate_all(chip) != keys.locator(".sl-hot").evaluate_all(chip)
    ask(f"setattr(w, 'latent', {listed[-1]})")
    shows(listed[-1])
    # nothing is wider than the cell, at either width, in either theme
    for dark, width in ((False, 1440), (True, 800)):
        page.set_viewport_size({"width": width, "height": 850})
        use_theme(page, dark)
        assert view.evaluate("e => e.scrollWidth <= e.clientWidth")
        page.wait_for_function(  # the chosen pair is in sight, at whatever height the list has
            "() => { const l = document.querySelector('.sl-pairs').getBoundingClientRect();"
            " const r = document.querySelector('.sl-pairs [aria-selected=true]').getBoundingClientRect();"
            " return r.top >= l.top - 1 && r.bottom <= l.bottom + 1; }"
        )
        apart = view.evaluate(
            "e => [getComputedStyle(e).color, getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor]"
        )
        assert apart[0] != apart[1]

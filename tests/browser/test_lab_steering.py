"""The steering panel and the map of effects in a real JupyterLab."""

from __future__ import annotations

from lab import eventually

STEER = """
from helpers import tiny_model, random_sae
import saelab as sl
w = sl.steering_panel(model=tiny_model(), sae=random_sae(k=6), edits={3: 40.0}, prompt="", max_new_tokens=12)
w
"""


def test_steering_is_cancelled_and_swept(notebook):
    slow = (
        STEER.replace(
            "w = sl",
            "import time\nmodel = tiny_model()\n"
            "model.original_model.register_forward_pre_hook(lambda *a: time.sleep(model.wait))\nmodel.wait = 0.3\nw = sl",
        )
        .replace("sl.steering_panel(model=tiny_model()", "sl.steering_panel(model=model")
        .replace('prompt=""', 'prompt="The"')
    )
    page, ask = notebook(slow)
    view = page.locator(".saelab-steering")
    run, cancel = (view.get_by_role("button", name=n) for n in ("Write both texts", "Stop writing"))
    run.wait_for()
    assert cancel.is_disabled()
    run.click()
    view.locator('[role="status"]', has_text="token").wait_for()
    assert run.is_disabled()
    cancel.click()
    view.locator('[role="status"]', has_text="cancelled").wait_for()
    assert 1 <= ask("len(w.baseline['ids']) + len(w.steered['ids'])") < 24
    ask("setattr(model, 'wait', 0)")
    view.get_by_label("Factors of the sweep").fill("0, 1")
    view.get_by_role("button", name="Write with each latent alone").click()
    rows = view.locator(".sl-swept tbody tr")
    rows.nth(1).wait_for()
    eventually(page, ask, "w.running", False)
    assert rows.count() == 2
    assert ask("w.to_frame('sweep').strength.tolist()") == [0, 40]


def test_the_panel_says_what_went_wrong_and_writes_one_prompt_after_another(notebook):
    page, ask = notebook(STEER)
    view = page.locator(".saelab-steering")
    run, alert = view.get_by_role("button", name="Write both texts"), view.locator(".sl-alert")
    run.click()
    view.locator(".sl-alert", has_text="prompt is empty").wait_for()
    box = view.get_by_label("Prompt")
    for prompt in ("The red fox", "<b>A</b> dog $x$"):
        box.fill(prompt)
        run.click()
        eventually(page, ask, "(w.running, w.said.get('prompt'))", [False, prompt])
        alert.wait_for(state="hidden")
        assert ask("w.result.steered.prompt_ids == sl.models.tokenize(w._source[0], w.prompt)") is True
        assert ask("w.steered['ids'] == w.result.steered.ids") is True
        assert view.locator(".sl-texts b").count() == 0
    # what goes wrong in the thread that writes is said as well, and the next run works
    ask("w.set_trait('max_new_tokens', 10_000)")
    run.click()
    view.locator(".sl-alert", has_text="context").wait_for()
    ask("w.set_trait('max_new_tokens', 5)")
    run.click()
    eventually(page, ask, "(w.running, len(w.result.steered.ids))", [False, 5])
    alert.wait_for(state="hidden")


EFFECTS = """
from helpers import tiny_model, random_sae
import saelab as sl
model, sae = tiny_model(), random_sae(k=6)
sl.effect_map(sl.effects(model, sae, "The red fox <b>x</b> $y$", 3, direct=True))
"""
EFFECT_MAP = "w = sl.effect_map(model, sae, 'The red fox ran', 3)\nw"


def test_effects_end_a_cell_with_their_map(notebook):
    page, ask = notebook(EFFECTS, EFFECT_MAP)
    shown, live = page.locator(".saelab-effects").nth(0), page.locator(".saelab-effects").nth(1)
    shown.locator(".sl-tok").first.wait_for()
    assert "".join(shown.locator(".sl-tok").all_inner_texts()).endswith("The red fox <b>x</b> $y$")
    assert shown.locator(".sl-tok b, mjx-container").count() == 0
    shown.locator(".sl-tok").nth(2).click()
    shown.locator('.sl-tok[aria-selected="true"]').wait_for()
    page.keyboard.press("ArrowRight")
    shown.locator(".sl-place", has_text="position3").wait_for()
    live.get_by_label("Latent to ablate").fill("9")
    live.get_by_label("Latent to ablate").press("Enter")
    live.locator("h2", has_text="Latent 9 ablated").wait_for()
    assert ask("w.latent") == 9
    live.get_by_role("button", name="all positions as a table").click()
    live.locator(".sl-table tbody tr").nth(ask("len(w.to_frame())") - 1).wait_for()
    live.get_by_label("Latent to ablate").fill("64")
    live.get_by_label("Latent to ablate").press("Enter")
    live.locator(".sl-alert", has_text="0 to 63").wait_for()

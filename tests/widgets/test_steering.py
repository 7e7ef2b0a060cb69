from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest

import saelab as sl
from saelab.errors import SaelabError
from saelab.experiments import compare, sweep
from saelab.interventions import MODES
from saelab.widgets import SteeringPanel, steering_panel


@pytest.fixture
def panel(tiny, sae, index, latent):
    made = SteeringPanel(
        index, edits={latent: 30.0}, prompt="The red", max_new_tokens=8, temperature=1.0, seed=3
    )
    yield made
    made.close()


def text(side):
    return "".join(side["text"])


def test_it_writes_what_compare_writes(panel, tiny, sae, latent):
    panel.run(wait=True)
    assert panel.error == {}
    want = compare(tiny, sae, "The red", {latent: 30.0}, max_new_tokens=8, temperature=1.0, seed=3)
    assert text(panel.baseline) == want.baseline.text
    assert text(panel.steered) == want.steered.text
    left, right = want.differences()
    assert panel.baseline["differs"] == [i for i, d in enumerate(left) if d]
    assert panel.steered["differs"] == [i for i, d in enumerate(right) if d]
    assert (panel.running, panel.status) == (False, "")
    assert panel.to_frame().equals(want.frame)


def test_mistakes_are_said_before_anything_runs(panel):  # C66
    sent = []
    panel.send = lambda content, buffers=None: sent.append(content)

    def press():
        panel._receive(panel, {"request": "1", "method": "run", "params": {}}, [])
        if panel._thread is not None:
            panel._thread.join()
        return panel.error.get("message", "")

    panel.prompt = ""
    assert "prompt is empty" in press()
    panel.prompt = "a"
    edits, panel.edits = panel.edits, []
    assert "no latent" in press()
    panel.edits = [{"latent": 9999, "strength": 1.0}]
    assert "latent 9999 is out of range" in press()
    panel.edits = [{"latent": 1, "strength": float("nan")}]
    assert "finite" in press()
    panel.edits, panel.max_new_tokens = edits, 500
    assert "context 32" in press()
    panel.max_new_tokens = 3
    assert press() == ""  # and the next press works
    assert not panel.running
    assert len(panel.steered["ids"]) == 3


def test_a_model_that_raises_is_an_error_in_the_panel(panel, monkeypatch):  # C66
    def broken(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("saelab.widgets.steering.compare", broken)
    panel.run(wait=True)
    assert panel.error["message"] == "RuntimeError: out of memory"
    assert "broken" in panel.error["traceback"]
    assert not panel.running


def test_cancel_keeps_what_was_written(panel, monkeypatch):
    reached, go = threading.Event(), threading.Event()
    stream = panel._stream

    def slow(side, model):
        inner = stream(side, model)

        def on_token(step, ids):
            reached.set()
            go.wait(20)
            return inner(step, ids)

        return on_token

    monkeypatch.setattr(panel, "_stream", slow)
    panel.run()
    assert reached.wait(20)
    assert panel.running
    with pytest.raises(SaelabError, match="already writing"):
        panel.run()
    panel.cancel()
    go.set()
    panel._thread.join(20)
    assert (panel.running, panel.status) == (False, "cancelled")
    assert 1 <= len(panel.baseline["ids"]) < 8


def test_it_waits_for_the_model_without_holding_up_the_caller(panel, tiny):
    from saelab import models

    with models.lock(tiny):
        panel.run()  # another cell is using the model: this returns at once
        assert panel.running
        assert panel.status == "waiting for the model"
    panel._thread.join(20)
    assert len(panel.steered["ids"]) == 8


def test_sliders_begin_at_the_usual_maximum(panel, index, latent):
    other = (latent + 1) % 64
    panel.add(other)
    panel.add(other)
    assert [e["latent"] for e in panel.edits] == [latent, other]
    assert panel.edits[1]["strength"] == pytest.approx(index.latent_stats(other)["max"], rel=0.01)
    assert panel.about[str(other)]["token"] is not None
    with pytest.raises(SaelabError, match="0…63"):
        panel.add(64)


def test_latents_and_choices_are_checked_when_it_is_made(tiny, sae):
    with pytest.raises(SaelabError, match="out of range"):
        steering_panel(model=tiny, sae=sae, edits=[64])
    with pytest.raises(SaelabError, match="unknown mode 'ad'.*'add'"):
        steering_panel(model=tiny, sae=sae, mode="ad")
    with pytest.raises(SaelabError, match="unknown argument"):
        steering_panel(model=tiny, sae=sae, promt="x")


def test_an_index_is_enough_and_the_old_order_is_named(tiny, sae, index):
    made = steering_panel(index)
    assert made._held == (tiny, sae, index)
    assert list(made.modes) == list(MODES)
    bare = sl.LatentIndex.open(index.path)
    with pytest.raises(SaelabError, match="give model= and sae="):
        steering_panel(bare)
    assert steering_panel(bare, model=tiny, sae=sae)._held == (tiny, sae, bare)
    for old in [(tiny, sae, index), (tiny, sae), (tiny,)]:
        with pytest.raises(
            SaelabError, match=r"write steering_panel\(index\), or steering_panel\(model=…, sae=…\)"
        ):
            steering_panel(*old)


def test_before_the_first_run(panel):
    with pytest.raises(SaelabError, match="nothing was written yet"):
        panel.to_frame()
    assert "Nothing was written" in panel.fallback()
    (edit,) = panel.edits
    assert f"</b>: {edit['latent']} + {edit['strength']:.3g} (" in panel.fallback()


def test_closing_lets_go_of_model_and_sae(tiny, sae):  # C54
    made = steering_panel(model=tiny, sae=sae)
    made.close()
    assert made._held is None
    with pytest.raises(SaelabError, match="run the cell that makes it"):
        made.add(3)


def test_a_sweep_gives_what_sweep_gives(panel, tiny, sae, latent):
    panel.factors = [0.0, 2.0]
    panel.add(latent - 1, 7.0)
    panel.sweep(wait=True)
    assert panel.error == {}
    options = {"max_new_tokens": 8, "temperature": 1.0, "seed": 3, "progress": False}
    want = [
        sweep(tiny, sae, "The red", [i], [0.0, 2 * s], **options).frame
        for i, s in ((latent, 30.0), (latent - 1, 7.0))
    ]
    got = panel.to_frame("sweep")
    assert got["factor"].tolist() == [0, 2, 0, 2]
    pd.testing.assert_frame_equal(got.drop(columns="factor"), pd.concat(want, ignore_index=True))
    assert [r["text"] for r in panel.swept] == got["text"].tolist()
    assert (panel.running, panel.status) == (False, "")
    with pytest.raises(SaelabError, match="unknown table 'sweeep'"):
        panel.to_frame("sweeep")


def test_a_sweep_can_be_cancelled_and_says_what_it_cannot_do(panel, monkeypatch):
    with pytest.raises(SaelabError, match="nothing was swept"):
        panel.to_frame("sweep")
    panel.mode = "ablate"
    with pytest.raises(SaelabError, match="no strength to sweep"):
        panel.sweep()
    panel.mode, panel.factors = "add", []
    with pytest.raises(SaelabError, match="no factors"):
        panel.sweep()
    panel.factors = [1.0, 2.0, 3.0]
    made = []

    def counted(*args, **options):
        made.append(1)
        if len(made) == 2:
            panel.cancel()
        return sweep(*args, **options)

    monkeypatch.setattr("saelab.widgets.steering.sweep", counted)
    panel.sweep(wait=True)
    assert panel.status == "cancelled after 1 of 3"
    assert len(panel.to_frame("sweep")) == 1
    assert not panel.running


def test_a_direction_has_a_slider_by_its_name(tiny, sae, index, latent):
    along = sl.Direction(np.eye(16)[0], sae.config.hook_out, name="along")
    panel = SteeringPanel(
        index, edits={along: 3.0, latent: 1.0}, prompt="The", max_new_tokens=4, temperature=1.0
    )
    assert panel.edits == [{"latent": "along", "strength": 3.0}, {"latent": latent, "strength": 1.0}]
    assert panel.about["along"]["max"] == 1.0
    panel.run(wait=True)
    assert panel.error == {}
    want = compare(tiny, sae, "The", {along: 3.0, latent: 1.0}, max_new_tokens=4, temperature=1.0)
    assert panel.result.steered.ids == want.steered.ids
    assert panel.said["edits"] == [["along", 3.0], [latent, 1.0]]
    panel.factors = [1.0]
    panel.sweep(wait=True)
    assert [row["latent"] for row in panel.swept] == ["along", latent]
    panel.edits = []
    panel.add("along")
    assert panel.edits == [{"latent": "along", "strength": 1.0}]
    with pytest.raises(SaelabError, match="another direction is called 'along'"):
        panel.add(sl.Direction(np.eye(16)[1], sae.config.hook_out, name="along"))
    with pytest.raises(SaelabError, match="unknown direction 'alongs'. Did you mean 'along'"):
        panel.add("alongs")
    assert panel.title() == "Steering with along"
    panel.close()

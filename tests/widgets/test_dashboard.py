from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from helpers import SENTENCES

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.widgets import LatentDashboard
from saelab.widgets.codes_source import CodesSource
from saelab.widgets.payload import payload


def test_payload_says_what_the_index_says(index, latent):
    data = payload(index, latent)
    stats = index.stats().loc[latent]
    assert data["stats"]["n"] == stats["n"]
    assert data["stats"]["density"] == pytest.approx(stats["density"], rel=1e-3)
    assert sum(data["histogram"]["count"]) == stats["n"]
    assert (data["counted"], data["excluded"]) == (index.n_counted, index.n_tokens - index.n_counted)
    top = index.top(latent, 20)
    assert [e["row"] for e in data["examples"]["top"]] == top["row"].tolist()
    assert [n["latent"] for n in data["nearest"]["decoder"]] == index.nearest(
        latent, "decoder", 8
    ).latent.tolist()
    assert len(data["logits"]["up"]) == 10


def test_the_latent_fires_on_the_centre_of_every_example(index, latent):
    for kind in ("top", "random"):
        for e in payload(index, latent)["examples"][kind]:
            assert e["values"][e["centre"]] == pytest.approx(e["value"], rel=1e-3)
            assert len(e["values"]) == len(e["text"]["ids"])
            row = index.activations([latent], e["row"])[:, 0]
            np.testing.assert_allclose(
                e["values"], row[e["start"] : e["start"] + len(e["values"])], rtol=1e-3
            )
            assert e["start"] + e["centre"] == e["position"]


def test_no_character_is_cut_at_the_edge_of_an_example(index):  # C05
    for latent in np.argsort(-index.counts)[:20]:
        for e in payload(index, int(latent))["examples"]["top"]:
            assert "\\x" not in "".join(e["text"]["text"])


def test_special_tokens_are_greyed_and_never_centres(index, latent):  # C15
    for e in payload(index, latent, n=100)["examples"]["top"]:
        assert e["centre"] not in e["text"].get("special", [])


def test_a_dead_latent(tiny, sae, tmp_path):  # C55
    import copy

    dead = copy.deepcopy(sae)
    with torch.no_grad():
        dead.W_enc[:, 5], dead.b_enc[5] = 0, -100
    index = sl.LatentIndex.build(tiny, dead, SENTENCES, path=tmp_path / "i", progress=False)
    data = payload(index, 5)
    assert data["stats"]["n"] == 0
    assert data["stats"]["mean"] is None
    assert data["examples"] == {"top": [], "random": []}
    w = LatentDashboard(index, 5)
    assert f"0 of {index.n_counted:,} tokens" in w.fallback()
    assert w.export_html(tmp_path / "w.html").stat().st_size > 1000
    w.latent = int(index.counts.argmax())
    assert w.payload["stats"]["n"] > 0


def test_opening_another_latent(index, latent):
    w = LatentDashboard(index, latent)
    w.brush, w.tab, w.selected_sequence = [0.0, 1.0], "interval", 3
    w.latent = latent + 1
    assert w.payload["latent"] == latent + 1
    assert (w.brush, w.tab, w.selected_sequence) == (None, "top", None)
    for wrong in (-1, 64):
        with pytest.raises(SaelabError, match="0…63"):
            w.latent = wrong
        with pytest.raises(SaelabError, match="0…63"):
            LatentDashboard(index, wrong)
    assert w.latent == latent + 1


def test_steps_wrap_and_random_ones_are_alive(index):
    w = LatentDashboard(index, 63)
    w.methods()["step"](1)
    assert w.latent == 0
    w.methods()["step"](-1)
    assert w.latent == 63
    for _ in range(5):
        w.methods()["step"]("random")
        assert index.counts[w.latent] > 0


def test_an_interval_gives_exactly_its_examples(index, latent):
    w = LatentDashboard(index, latent)
    value = np.asarray(index.postings(latent).value, dtype=np.float64)
    lo, hi = np.quantile(value, [0.3, 0.6])
    found = w.methods()["interval"](float(lo), float(hi))
    assert found["total"] == ((value >= lo) & (value <= hi)).sum()
    assert found["examples"]
    assert all(lo * 0.999 <= e["value"] <= hi * 1.001 for e in found["examples"])
    w.brush = [float(lo), float(hi)]
    assert w.to_frame("interval").value.between(lo, hi).all()


def test_label_and_note_are_kept_beside_the_index(tiny, sae, tmp_path):
    index = sl.LatentIndex.build(tiny, sae, SENTENCES, path=tmp_path / "i", progress=False)
    w = LatentDashboard(index, 3)
    w.label = "foxes <b>"
    w.methods()["save"](4, "ants", "a note")
    again = sl.LatentIndex.open(tmp_path / "i")
    assert (again.label(3), again.label(4), again.note(4)) == ("foxes <b>", "ants", "a note")
    assert w.label == "foxes <b>"
    w.latent = 4
    assert (w.label, w.note) == ("ants", "a note")
    assert index.label(3) == "foxes <b>"


def test_without_sae_and_model_the_reason_stands_in_their_place(index, latent):
    bare = sl.LatentIndex.open(index.path)
    data = payload(bare, latent)
    assert "needs the SAE" in data["logits"]["reason"]
    assert "needs the SAE" in data["nearest"]["decoder"]["reason"]
    assert isinstance(data["nearest"]["coactivation"], list)


def test_an_export_holds_the_latents_asked_for(index, latent, tmp_path, parsed):
    w = LatentDashboard(index, latent)
    text = w.export_html(tmp_path / "w.html", latents=[1, 2, 2]).read_text()
    (stored,) = parsed(text).stored()["widgets"]
    assert stored["state"]["available"] == [1, 2]
    assert stored["state"]["latent"] == 1
    assert stored["state"]["payload"]["latent"] == 1
    assert sorted(stored["replies"]) == ['open {"latent":1}', 'open {"latent":2}']
    assert stored["state"]["read_only"]
    with pytest.raises(SaelabError, match="0…63"):
        w.export_html(tmp_path / "x.html", latents=[64])


def test_frames(index, latent):
    w = LatentDashboard(index, latent, n=5)
    assert len(w.to_frame()) <= 5
    assert w.to_frame("random").value.gt(0).all()
    with pytest.raises(SaelabError, match="unknown kind"):
        w.to_frame("tpo")


def tried(w, text):
    """Type a text and wait for the thread that tries it."""
    w.prompt = text
    w._trying.jobs.thread.join(60)
    return w.tried


def test_a_prompt_says_what_fires_on_each_token(tiny, sae, index, latent):
    w = LatentDashboard(index, latent)
    found = tried(w, "the red fox")
    ids = models.tokenize(tiny, "the red fox")
    assert found["text"]["ids"] == ids
    hook = sae.config.hook_in
    x = models.run_to_hooks(tiny, torch.tensor([ids]), [hook])[hook][0]
    z = sae.encode(x).detach().numpy()
    z[0] = 0  # BOS is not counted
    np.testing.assert_allclose(found["values"], z[:, latent], rtol=1e-3)
    for row, pairs in zip(z, found["strongest"], strict=True):
        want = np.argsort(-row, kind="stable")[: min(8, (row > 0).sum())]
        assert [i for i, _ in pairs] == want.tolist()
        np.testing.assert_allclose([v for _, v in pairs], row[want], rtol=1e-3)
    frame = w.to_frame("prompt")
    assert len(frame) == (z > 0).sum()
    assert frame.columns.tolist() == ["position", "id", "token", "latent", "activation"]
    # another latent: its own values, without running the model again
    w.latent = int(np.argsort(-z.max(0))[0])
    np.testing.assert_allclose(w.tried["values"], z[:, w.latent], rtol=1e-3)
    w.prompt = ""
    assert w.tried == {}


def test_a_prompt_has_one_bos(tiny, index, latent):
    bos = models.token_labels(tiny, [models.bos_id(tiny)])[0]
    found = tried(LatentDashboard(index, latent), f"{bos}{bos}the fox")
    assert found["text"]["ids"].count(models.bos_id(tiny)) == 1
    assert found["text"]["special"] == [0]


def test_a_prompt_that_was_replaced_is_not_run(tiny, index, latent, monkeypatch):
    ran = []
    real = models.run_to_hooks

    def slow(model, ids, hooks, mask=None):
        ran.append(models.decode(tiny, ids[0].tolist()[1:]))
        gate.wait(60)
        return real(model, ids, hooks, mask)

    gate = threading.Event()
    monkeypatch.setattr(models, "run_to_hooks", slow)
    w = LatentDashboard(index, latent)
    w.prompt = "a"
    while not ran:
        time.sleep(0.01)
    thread = w._trying.jobs.thread
    for text in ("a ", "a l", "a lo", "a log"):
        w.prompt = text  # returns at once although the model is busy
    gate.set()
    thread.join(60)
    assert ran == ["a", "a log"]
    assert w.tried["prompt"] == "a log"


def test_L17_of_a_long_prompt_the_first_part_is_shown_and_that_is_said(index, latent):
    found = tried(LatentDashboard(index, latent), "x " * 200)
    assert len(found["text"]["ids"]) == len(found["values"]) == 32
    assert found["notice"].startswith(
        "the text is longer than the model's context: these are its first 32 tokens"
    )


def test_a_prompt_that_cannot_be_run_is_a_message(index, latent, monkeypatch):  # C66
    w = LatentDashboard(index, latent)
    with monkeypatch.context() as patched:
        patched.setattr(CodesSource, "run", lambda *_: (_ for _ in ()).throw(SaelabError("the model's gone")))
        tried(w, "fox ran")
    assert "the model's gone" in w.error["message"]
    assert tried(w, "fox")["prompt"] == "fox"
    assert w.error == {}
    bare = sl.LatentIndex.open(index.path).dashboard(latent)
    assert "need the SAE and the model" in bare.cannot_try
    bare.prompt = "fox"
    assert "need the SAE and the model" in bare.error["message"]


def test_a_prompt_stays_in_a_saved_page(index, latent, tmp_path, parsed):
    w = LatentDashboard(index, latent)
    tried(w, "the fox")
    other = (latent + 1) % 64
    text = w.export_html(tmp_path / "w.html", latents=[latent, other]).read_text()
    (stored,) = parsed(text).stored()["widgets"]
    assert stored["state"]["tried"]["latent"] == latent
    reply = stored["replies"][f'open {{"latent":{other}}}']
    assert reply["tried"]["latent"] == other
    w.close()
    assert w._trying._last is None


def test_context_is_the_tokens_on_each_side(index, latent):
    w = LatentDashboard(index, latent, context=1)
    for e in w.payload["examples"]["top"]:
        assert e["centre"] <= 3  # one token, and what it takes to cut no character
    w.context = 0
    for e in w.payload["examples"]["top"]:
        assert len(e["text"]["ids"]) == index.row_length(e["row"])
    for wrong in (-1, -5):
        with pytest.raises(SaelabError, match="context must be at least 0"):
            w.context = wrong
    with pytest.raises(SaelabError, match="context must be at least 0"):
        LatentDashboard(index, latent, context=-1)


# ---------------------------------------------------------------------------------------------- ablation


def test_ablating_shows_the_effects_in_the_row_of_an_example(tiny, sae, index, latent, tmp_path, parsed):
    w = LatentDashboard(index, latent)
    assert w.ablated == {}
    with pytest.raises(SaelabError, match="was not ablated here"):
        w.to_frame("ablation")
    w.ablate()
    top = index.top(latent, 1).iloc[0]
    assert (w.ablated["latent"], w.ablated["row"], w.ablated["selected"]) == (
        latent,
        top["row"],
        top["position"],
    )
    ids = index.rows[int(top["row"])].tolist()
    assert w.ablated["text"]["ids"] == ids
    want = sl.effects(tiny, sae, ids, latent)
    for column in ("loss_diff", "kl", "activation"):
        np.testing.assert_array_equal(
            np.frombuffer(w.ablated["numbers"][column], "<f4"), np.float32(want[column])
        )
    assert w.to_frame("ablation").equals(want.frame)
    assert w.ablated["votes"]["up"] == [[t for t, _ in votes] for votes in want["up"]]
    assert "ablated</b>" in w.fallback()
    # the saved page keeps them for this latent alone
    other = (latent + 1) % 64
    text = w.export_html(tmp_path / "w.html", latents=[latent, other]).read_text()
    (stored,) = parsed(text).stored()["widgets"]
    assert stored["state"]["ablated"]["row"] == top["row"]
    assert stored["replies"][f'open {{"latent":{other}}}']["ablated"] == {}
    assert stored["replies"][f'open {{"latent":{latent}}}']["ablated"]["text"]["ids"] == ids
    w.latent = other
    assert w.ablated == {}
    assert "ablated</b>" not in w.fallback()


def test_what_was_asked_for_too_late_is_not_shown(tiny, index, latent):
    w = LatentDashboard(index, latent)
    rows = index.top(latent, 2)["row"].tolist()
    with models.lock(tiny):
        for row in rows:
            w.methods()["ablate"](row, None)  # returns at once although the model is busy
        assert w.ablated == {"latent": latent, "row": rows[-1], "running": True}
        w.methods()["open"]((latent + 1) % 64)
        thread = w._ablating.thread
        w.prompt = ""  # and other requests are answered meanwhile
    thread.join(60)
    assert w.ablated == {}
    with models.lock(tiny):
        w.methods()["ablate"](rows[0], 1)
        w.close()
    w._ablating.thread.join(60)
    assert w.ablated == {"latent": (latent + 1) % 64, "row": rows[0], "running": True}


def test_an_ablation_that_cannot_be_run_is_a_message(index, latent, monkeypatch):
    bare = sl.LatentIndex.open(index.path).dashboard(latent)
    with pytest.raises(SaelabError, match="need the SAE and the model"):
        bare.ablate()
    w = LatentDashboard(index, latent)
    for row, position, message in (
        (10**6, None, "row 1000000 is out of range"),
        (0, 99, "position 99 is out of range"),
    ):
        with pytest.raises(SaelabError, match=message):
            w.ablate(row, position)
    assert w.ablated == {}
    w.latent = int(index.counts.argmin())
    if not index.counts[w.latent]:
        with pytest.raises(SaelabError, match="never fires here; name a row"):
            w.ablate()
    w.ablate(0)
    assert w.ablated["row"] == 0

    def broken(*_):
        raise MemoryError("no memory left")

    monkeypatch.setattr("saelab.widgets.dashboard.effects", broken)
    w.ablate(1)
    assert w.ablated == {}
    assert "no memory left" in w.error["message"]

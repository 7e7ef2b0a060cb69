"""The monitor in Python: what it shows of runs that go on and of runs that are over, stop and resume."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from helpers import random_sae
from toy import SMALL, ToyModel, texts

import saelab as sl
from saelab.errors import SaelabError
from saelab.training.monitor import COLUMNS
from saelab.widgets import TrainingMonitor, training_monitor


@pytest.fixture
def toy():
    return ToyModel()


@pytest.fixture
def monitor():
    made = training_monitor()
    yield made
    made.close()


def train(model, **changes):
    return sl.train(model, texts(200), **(SMALL | changes))


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def points(monitor):
    flat = np.frombuffer(monitor.points, dtype="<f4")
    return flat.reshape(len(monitor.names), -1, len(COLUMNS))


def ask(monitor, method):
    """A click in the view, as it arrives in Python; returns the answer."""
    sent = []
    monitor.send = lambda content, buffers=None: sent.append(content)
    monitor._receive(monitor, {"request": "1", "method": method, "params": {}}, [])
    return sent[-1]


def stop_at(step, monitor):
    return lambda trainer: monitor.stop() if trainer.done == step else None


def test_it_follows_a_run_and_changes_nothing_in_it(toy, monitor, trained):
    seen = []
    monitor.observe(lambda change: seen.append(change.new), names="phase")
    sae = train(toy, monitor=monitor)
    assert same(sae, trained)
    assert seen == ["preparing", "running", "ended"]
    assert (monitor.tokens, monitor.budget, monitor.can_resume) == (4000, 4000, False)
    assert monitor.heading == "SAE: topk, 48 latents, k = 4 on first"
    assert (monitor.target, monitor.d_sae, monitor.dead_after) == ([4], [48], [2000])
    last = dict(zip(COLUMNS, points(monitor)[0, -1], strict=True))
    assert last["tokens"] == 4000
    assert last["dead"] == sae.history["dead"].iloc[-1]
    assert monitor.wait() is sae
    assert "4,000 of 4,000 tokens" in repr(monitor)


def test_a_click_stops_the_run_and_another_one_resumes_it(toy, monitor, trained):
    reached, go = threading.Event(), threading.Event()

    def hold(trainer):
        if trainer.done == 10:
            reached.set()
            assert go.wait(20)

    found = []
    cell = threading.Thread(target=lambda: found.append(train(toy, monitor=monitor, on_log=hold)))
    cell.start()
    assert reached.wait(20)
    answer = ask(monitor, "stop")
    assert (answer["result"], monitor.phase, monitor.error) == (None, "stopping", {})
    go.set()
    cell.join(20)
    (sae,) = found
    assert sae.record["steps"] == 10
    assert (monitor.phase, monitor.can_resume, monitor.tokens) == ("stopped", True, 1000)
    assert any("1,000 of 4,000 tokens seen" in h for h in monitor.hints)
    assert "error" in ask(monitor, "stop")
    assert "nothing to stop: stopped" in monitor.error["message"]
    assert ask(monitor, "resume")["result"] is None
    assert monitor.wait() is sae
    assert same(sae, trained)
    assert (monitor.phase, monitor.can_resume, monitor.error) == ("ended", False, {})
    assert monitor._held is None, "the buffer is let go"
    assert "nothing to resume" in ask(monitor, "resume")["error"]
    tokens = points(monitor)[0, :, COLUMNS.index("tokens")]
    assert (np.diff(tokens) > 0).all()


def test_stop_while_the_first_text_is_read(toy, monitor):
    monitor.observe(lambda c: monitor.stop() if c.new == "preparing" else None, names="phase")
    sae = train(toy, monitor=monitor)
    assert (sae.record["steps"], monitor.phase, monitor.can_resume) == (0, "stopped", True)


def test_interrupting_wait_stops_the_run(toy, monitor, monkeypatch):
    train(toy, monitor=monitor, on_log=stop_at(10, monitor))
    go, inside, first = threading.Event(), threading.Event(), []
    step = monitor.step

    def slow(run):
        inside.set()
        go.wait(20)
        step(run)

    monkeypatch.setattr(monitor, "step", slow)
    monitor.resume()

    class Thread:
        is_alive = monitor._thread.is_alive

        def join(self, timeout):
            if not first:
                first.append(1)
                assert inside.wait(20)  # before its first step there would be nothing to interrupt
                raise KeyboardInterrupt
            go.set()
            monitor_thread.join(timeout)

    monitor_thread, monitor._thread = monitor._thread, Thread()
    sae = monitor.wait()
    assert 10 < sae.record["steps"] < 40
    assert monitor.phase == "stopped"


def test_a_failure_is_shown(toy, monitor):
    def broken(trainer):
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError):
        train(toy, monitor=monitor, on_log=broken)
    assert (monitor.phase, monitor.can_resume) == ("failed", False)
    assert monitor.error["message"] == "RuntimeError: the disk is on fire"
    with pytest.raises(SaelabError, match="no text"):
        sl.train(toy, [], monitor=monitor, **SMALL)
    assert "no text" in monitor.error["message"]
    train(toy, monitor=monitor)  # and it can be used again
    assert (monitor.phase, monitor.error) == ("ended", {})


def test_a_run_that_fails_in_the_thread_is_shown(toy, monitor, monkeypatch):
    train(toy, monitor=monitor, on_log=stop_at(10, monitor))
    monkeypatch.setattr("saelab.models.run_to_hooks", lambda *a, **k: 1 / 0)
    monitor.resume()
    monitor.wait()
    assert monitor.phase == "failed"
    assert "ZeroDivisionError" in monitor.error["message"]


def test_a_diverged_run_cannot_be_resumed(toy, monitor):
    with pytest.raises(SaelabError, match="diverged"):
        train(toy, monitor=monitor, lr=1e30, clip=1e30)
    assert not monitor.can_resume
    assert "diverged" in monitor.error["message"]


def test_one_monitor_watches_one_run_at_a_time(toy, monitor):
    def again(trainer):
        train(toy, monitor=monitor)

    with pytest.raises(SaelabError, match="has not ended"):
        train(toy, monitor=monitor, on_log=again)


def test_several_saes(toy, monitor):
    shared = {k: v for k, v in SMALL.items() if k not in ("d_sae", "k")}
    configs = [{"d_sae": 48, "k": 4}, {"d_sae": 24, "arch": "relu", "k": 3}]
    saes = sl.train_many(toy, texts(200), configs, monitor=monitor, **shared)
    assert monitor.names == ["topk, 48 latents, k = 4", "relu, 24 latents"]
    assert monitor.target == [4, 3]
    assert monitor.heading == "2 SAEs on first"
    assert monitor.wait() == saes
    table = monitor.to_frame()
    assert table.groupby("sae")["tokens"].max().tolist() == [4000, 4000]
    beside = training_monitor(saes)
    assert beside.names == monitor.names
    assert points(beside).shape[:2] == (2, 40)


def test_of_a_run_that_is_over(toy, trained, tmp_path):
    shown = training_monitor(trained)
    history = trained.history
    assert points(shown)[0, :, COLUMNS.index("l0")] == pytest.approx(history["l0"], rel=1e-6)
    aux = points(shown)[0, :, COLUMNS.index("aux")]
    assert aux == pytest.approx(history["aux"] / 32, rel=1e-5)
    assert (shown.phase, shown.budget, shown.can_resume) == ("ended", 4000, False)
    trained.save(tmp_path / "sae")
    assert training_monitor(tmp_path / "sae").points == shown.points
    assert training_monitor(sl.load_sae(tmp_path / "sae")).points == shown.points
    short = train(toy, on_log=lambda t: t.done < 10)
    both = training_monitor([trained, short])
    assert len(both.to_frame()) == 50
    assert (both.phase, training_monitor(short).phase) == ("ended", "stopped")
    assert f"{both.names[1]}: 1,000 of 4,000 tokens seen" in both.hints
    with pytest.raises(SaelabError, match="no training curves"):
        training_monitor(random_sae(k=6))
    with pytest.raises(SaelabError, match="there is no folder"):
        training_monitor(tmp_path / "nothing")


def test_of_the_folder_of_a_run_that_left_only_a_checkpoint(toy, tmp_path):
    train(toy, out=tmp_path, checkpoint_every=1000, on_log=lambda t: t.done < 13)
    for name in ("config.json", "history.json", "record.json"):
        (tmp_path / name).unlink()
    shown = training_monitor(tmp_path)
    assert (shown.phase, shown.tokens, shown.budget) == ("stopped", 1300, 4000)
    assert shown.dead_after == [2000]
    assert np.isfinite(points(shown)).all()


def test_of_the_folder_of_several_saes(toy, tmp_path):
    shared = {k: v for k, v in SMALL.items() if k not in ("d_sae", "k")}
    sl.train_many(toy, texts(200), [{"d_sae": 48, "k": 4}, {"d_sae": 24, "k": 2}], out=tmp_path, **shared)
    assert training_monitor(tmp_path).names == ["topk, 48 latents, k = 4", "topk, 24 latents, k = 2"]


def test_a_run_that_had_ended_before_is_shown(toy, monitor, tmp_path):
    train(toy, out=tmp_path)
    sae = train(toy, out=tmp_path, resume=True, monitor=monitor)
    assert monitor.phase == "ended"
    assert monitor.wait() is sae


def test_at_most_a_few_updates_a_second(toy, monitor):
    sent = []
    monitor.observe(lambda change: sent.append(time.monotonic()), names="points")
    train(toy, monitor=monitor, tokens=12_000, buffer=500, batch=50)  # 240 steps in about a second
    took = sent[-1] - sent[0]
    assert len(sent) <= took / 0.4 + 4


def test_true_shows_one_in_a_notebook_and_writes_text_elsewhere(toy, trained, monkeypatch, capsys):
    assert same(train(toy, monitor=True), trained)
    assert "explained variance" in capsys.readouterr().out
    shown = []
    monkeypatch.setattr("saelab.training.calls.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    train(toy, monitor=True)
    assert [isinstance(w, TrainingMonitor) for w in shown] == [True]
    assert shown[0].phase == "ended"
    shown[0].close()


def test_running_the_cell_again_ends_a_run_that_goes_on_in_a_thread(toy, monitor, monkeypatch):
    sae = train(toy, monitor=monitor, on_log=stop_at(10, monitor))
    go, step = threading.Event(), monitor.step

    def slow(run):
        go.wait(20)
        step(run)

    monkeypatch.setattr(monitor, "step", slow)
    monitor.resume()
    monitor.release()
    go.set()
    monitor._thread.join(20)
    assert sae.record["steps"] < 40
    assert not monitor.can_resume
    with pytest.raises(SaelabError, match="nothing to resume"):
        monitor.resume()


def test_fallback_has_the_curves_and_escapes(trained, parsed):
    shown = training_monitor(trained)
    shown.hints = ["<img src=x> $x$"]
    page = parsed(shown.fallback())
    assert "img" not in page.tags
    assert "explained variance" in shown.fallback()
    assert "█" in shown.fallback()


def test_an_empty_one(monitor):
    assert monitor.phase == "empty"
    assert len(monitor.to_frame()) == 0
    assert "no run yet" in monitor.fallback()
    with pytest.raises(SaelabError, match="no run yet"):
        monitor.wait()


@pytest.mark.parametrize(
    "sent", [{"metadata": {"cellId": "a"}}, {"content": {"code": "sl.train(…)"}, "metadata": {}}]
)
def test_D44_a_cell_run_again_lets_go_of_its_saes(toy, monkeypatch, sent):
    import gc
    import types
    import weakref

    import IPython
    from IPython import display

    shown, run = [], [0]  # Jupyter keeps every widget
    shell = types.SimpleNamespace(
        kernel=None, get_parent=lambda: {**sent, "header": {"msg_id": f"run {run[0]}"}}
    )
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(display, "display", shown.append)
    earlier = []
    for run[0] in range(3):
        sae = train(toy, monitor=True)
        assert shown[-1].wait() is sae
        earlier.append(weakref.ref(sae))
        del sae
    gc.collect()
    assert [e() is None for e in earlier] == [True, True, False]
    assert len(shown) == 3

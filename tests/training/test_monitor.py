"""Watching a run changes nothing in it; stopping and going on changes nothing either."""

import re
import threading

import numpy as np
import pytest
import torch
from toy import SMALL, ToyModel, texts

import saelab as sl
from saelab.errors import SaelabError
from saelab.training import TextMonitor, checkpoint
from saelab.training.monitor import COLUMNS, Meter, from_curves
from saelab.training.text_monitor import duration, sparkline


@pytest.fixture(scope="module")
def toy():
    return ToyModel()


def train(model, **changes):
    return sl.train(model, texts(200), **(SMALL | changes))


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


class Stops:
    """Stops a run after some of its steps; keeps what it was given."""

    def __init__(self, *steps):
        self.steps, self.saes, self.errors = list(steps), [], []

    def begin(self, run, resume):
        self.run, self.resume = run, resume

    def step(self, run):
        if run.trainers[0].done in self.steps:
            run.stop()

    def end(self, run, error):
        self.errors.append(error)

    def finished(self, saes):
        self.saes = saes


@pytest.mark.parametrize("kind", ["topk", "ema", "jumprelu", "crosscoder"])
def test_stopped_and_resumed_in_memory_is_the_run(toy, kind):
    more = {
        "topk": {},
        "ema": {"ema": 0.9},
        "jumprelu": {"arch": "jumprelu"},
        "crosscoder": {"hook": ("first", "second"), "arch": "batchtopk"},
    }[kind]
    whole = train(toy, **more)
    watch = Stops(13, 14, 29)
    sae = train(toy, monitor=watch, **more)
    assert sae.record["steps"] == 13
    assert not sae.record["ended"]
    assert "1,300 of 4,000 tokens seen" in sae.record["notes"]
    so_far = train(toy, on_log=lambda t: t.done < 13, **more)
    assert same(sae, so_far)
    for steps in (14, 29, 40):
        thread = threading.Thread(target=watch.resume)
        thread.start()
        thread.join()
        assert sae.record["steps"] == steps
    assert same(sae, whole)
    columns = [c for c in whole.history.columns if c != "seconds"]
    assert sae.history[columns].equals(whole.history[columns])
    assert sae.record["notes"] == whole.record["notes"]
    assert watch.errors == [None] * 4
    with pytest.raises(SaelabError, match="has ended"):
        watch.resume()


def test_a_stop_leaves_a_checkpoint_that_goes_on_exactly(toy, tmp_path):
    whole = train(toy)
    stopped = train(toy, monitor=Stops(13), out=tmp_path)
    assert checkpoint.exists(tmp_path)
    assert same(sl.load_sae(tmp_path), stopped)
    with pytest.raises(SaelabError, match="give resume=True"):
        train(toy, out=tmp_path)
    again = train(toy, out=tmp_path, resume=True, monitor=Stops())
    assert same(again, whole)
    assert again.history["rare"].equals(whole.history["rare"])
    assert not checkpoint.exists(tmp_path)
    watch = Stops()
    train(toy, out=tmp_path, resume=True, monitor=watch)
    assert same(watch.saes[0], whole)


def test_stopped_before_the_first_step(toy):
    class AtOnce(Stops):
        def begin(self, run, resume):
            super().begin(run, resume)
            run.stop()

    watch = AtOnce()
    sae = train(toy, monitor=watch)
    assert (sae.record["steps"], len(sae.history)) == (0, 0)
    assert "Sparse autoencoder" in sae._repr_html_()
    watch.resume()
    assert same(sae, train(toy))


def test_a_run_cut_in_the_middle_of_a_step_is_not_gone_on_with(toy, monkeypatch):
    from saelab.training import Trainer

    step = Trainer.step

    def cut(self, x, y=None):
        if self.done == 5:
            raise KeyboardInterrupt
        return step(self, x, y)

    monkeypatch.setattr(Trainer, "step", cut)
    watch = Stops()
    assert train(toy, monitor=watch).record["steps"] == 5
    with pytest.raises(SaelabError, match="in the middle of a step"):
        watch.resume()


def test_an_error_is_passed_on_and_told(toy):
    def broken(trainer):
        raise RuntimeError("full")

    watch = Stops()
    with pytest.raises(RuntimeError, match="full"):
        train(toy, monitor=watch, on_log=broken)
    assert [str(e) for e in watch.errors] == ["full"]
    with pytest.raises(SaelabError, match="no text"):
        sl.train(toy, [], monitor=watch, **SMALL)
    assert "no text" in str(watch.errors[1])


@pytest.mark.parametrize("wrong", ["txet", 3, None])
def test_what_is_no_monitor_is_refused(toy, wrong):
    with pytest.raises(SaelabError, match="unknown monitor"):
        train(toy, monitor=wrong)


# ------------------------------------------------------------------------------------------------- meter


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_the_meter_takes_means_between_two_points(toy):
    clock, made = Clock(), []

    class Watch(Stops):
        def begin(self, run, resume):
            self.meter = Meter(1, interval=1.0, clock=clock)

        def step(self, run):
            made.append(float(run.trainers[0].last.loss))
            clock.now += 0.3
            self.meter.step(run.trainers)

        def end(self, run, error):
            self.rate = self.meter.rate()
            self.meter.flush(run.trainers)
            self.live = self.meter.array()
            self.meter.pause(run.trainers)

    watch = Watch()
    sae = train(toy, monitor=watch)
    points = watch.live
    tokens, loss = (points[0, :, COLUMNS.index(n)] for n in ("tokens", "loss"))
    assert tokens.tolist() == [100, *range(500, 4000, 400), 4000]
    assert loss[0] == pytest.approx(made[0])
    assert loss[1] == pytest.approx(np.mean(made[1:5]))
    assert watch.rate == pytest.approx(100 / 0.3)
    last = dict(zip(COLUMNS, points[0, -1], strict=True))
    assert last["loss"] == pytest.approx(last["fvu"] + last["aux"] + last["penalty"], rel=1e-4)
    assert last["dead"] == sae.history["dead"].iloc[-1]
    assert watch.meter.array()[0, :, COLUMNS.index("loss")].tolist() == sae.history["loss"].tolist()


def test_many_points_become_fewer_and_keep_their_means():
    meter = Meter(2, limit=4)
    meter.points = [np.full((2, len(COLUMNS)), float(i)) for i in range(5)]
    meter._weights = [1, 3, 1, 1, 1]
    meter._shorten()
    array = meter.array()
    assert array.shape == (2, 3, len(COLUMNS))
    assert array[0, :, COLUMNS.index("loss")].tolist() == [0.75, 2.5, 4]
    assert array[1, :, COLUMNS.index("dead")].tolist() == [1, 3, 4]
    assert meter._weights == [4, 2, 1]


def test_curves_of_older_records_have_gaps():
    points = from_curves([{"tokens": 5, "unexplained": 0.2, "aux": 0.5, "loss": None}], aux_coef=0.1)
    found = dict(zip(COLUMNS, points[0], strict=True))
    assert (found["tokens"], found["fvu"], found["aux"]) == (5, 0.2, 0.05)
    assert np.isnan([found["loss"], found["rare"]]).all()


# -------------------------------------------------------------------------------------------------- text


def test_text_has_every_number_and_the_curves_at_the_end(toy, capsys):
    plain = train(toy)
    lines = []
    assert same(train(toy, monitor=TextMonitor(every=0, write=lines.append)), plain)
    first = re.fullmatch(
        r" *2% +100 tokens  loss (\S+) = fvu (\S+) \+ aux (\S+) \+ penalty (\S+), explained variance (\S+), "
        r"L0 (\S+), dead \d+, rare 0.*",
        lines[0],
    )
    loss, fvu, aux, penalty, ev, l0 = map(float, first.groups())
    assert loss == pytest.approx(fvu + aux + penalty, abs=2e-4)
    assert ev == pytest.approx(plain.history["explained_variance"].iloc[0], abs=1e-3)
    assert 0 < l0 <= 4
    assert any("tokens/s" in line and "left" in line for line in lines)
    curve = next(line for line in lines if line.lstrip().startswith("explained variance"))
    assert re.search(r"[▁-█]{40}", curve)
    assert lines[-1].startswith("ended after 4,000 of 4,000 tokens")
    train(toy, monitor="text")
    assert "ended after 4,000" in capsys.readouterr().out


def test_text_says_a_hint_once_and_names_the_sae(toy):
    lines = []
    shared = {k: v for k, v in SMALL.items() if k not in ("d_sae", "k")}
    configs = [{"d_sae": 2000, "k": 4, "dead_after": 1, "aux_coef": 0.0}, {"d_sae": 48, "k": 4}]
    sl.train_many(toy, texts(200), configs, monitor=TextMonitor(0, lines.append), **shared)
    said = [line for line in lines if line.startswith("  ! [0] dead")]
    assert len(said) == 1
    assert "aux_coef=1/32" in said[0]
    assert "[1]" in lines


def test_sparkline():
    assert sparkline([0, 1, 2, 3]) == "▁▃▆█"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([0, float("nan"), 1]) == "▁ █"
    assert sparkline([float("nan")]) == " "
    assert sparkline([]) == ""
    assert sparkline(range(100), width=4) == "▁▃▆█"


def test_duration():
    assert [duration(s) for s in (5, 61, 3723, None, float("inf"))] == ["0:05", "1:01", "1:02:03", "–", "–"]

"""Experiment trackers: fakes with their interface, and the real ones where they are installed."""

import importlib.util
import json

import pytest
from toy import ToyModel, texts

import saelab as sl
from saelab.training import tensorboard_logger, wandb_logger

SMALL = {"hook": "first", "d_sae": 48, "k": 4, "tokens": 1000, "batch": 100, "buffer": 400, "progress": False}


class FakeRun:
    def __init__(self):
        self.lines = []

    def log(self, values, step):
        self.lines.append((step, values))


class FakeWriter:
    def __init__(self):
        self.values = {}

    def add_scalar(self, name, value, global_step):
        self.values.setdefault(name, []).append((global_step, value))


def test_every_line_of_the_curves_is_logged():
    run, writer = FakeRun(), FakeWriter()
    log, write = wandb_logger(run), tensorboard_logger(writer, prefix="sae ")
    sae = sl.train(ToyModel(), texts(), on_log=lambda t: (log(t), write(t)), **SMALL)
    assert [step for step, _ in run.lines] == sae.history["step"].tolist() == list(range(1, 11))
    assert [v["train/loss"] for _, v in run.lines] == sae.history["loss"].tolist()
    assert writer.values["sae dead"] == list(zip(sae.history["step"], sae.history["dead"], strict=True))
    assert "sae step" not in writer.values


def test_several_saes_keep_names_of_their_own():
    run = FakeRun()
    shared = {k: v for k, v in SMALL.items() if k not in ("d_sae", "k")}
    sl.train_many(
        ToyModel(),
        texts(),
        [{"d_sae": 24, "k": 4}, {"d_sae": 36, "k": 2}],
        on_log=wandb_logger(run),
        **shared,
    )
    names = {name for _, values in run.lines for name in values}
    assert {"train/0/loss", "train/1/loss"} <= names
    assert "train/loss" not in names


def test_a_logger_that_fails_is_said_once_and_does_not_end_the_run():
    class Broken:
        calls = 0

        def log(self, values, step):
            self.calls += 1
            raise ConnectionError("no network")

    broken = Broken()
    with pytest.warns(UserWarning, match="no network.*goes on without") as said:
        sae = sl.train(ToyModel(), texts(), on_log=wandb_logger(broken), **SMALL)
    assert len(said) == broken.calls == 1
    assert sae.record["steps"] == 10


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_a_real_summary_writer(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        sae = sl.train(ToyModel(), texts(), on_log=tensorboard_logger(writer), **SMALL)
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [e.step for e in found.Scalars("train/l0")] == sae.history["step"].tolist()
    assert [e.value for e in found.Scalars("train/l0")] == pytest.approx(sae.history["l0"].tolist())


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
@pytest.mark.filterwarnings("ignore")  # of wandb's own
def test_a_real_wandb_run(tmp_path, monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_SILENT", "true")
    with wandb.init(mode="disabled", dir=str(tmp_path), settings={"console": "off"}) as run:
        sae = sl.train(ToyModel(), texts(), on_log=wandb_logger(run), **SMALL)
        summary = json.loads(json.dumps(dict(run.summary), default=float))
    assert sae.record["steps"] == 10
    assert summary == {} or summary["train/tokens"] == 1000


def test_neither_library_is_imported_by_ours():
    import subprocess
    import sys

    program = (
        "import sys, saelab.training.callbacks as c\n"
        "print(sorted({'wandb', 'tensorboard', 'torch.utils.tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

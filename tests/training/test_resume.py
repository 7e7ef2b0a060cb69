"""A run that is broken off ends in the same bits as one that is not."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from faults import Killed, dies_at
from toy import SMALL, ToyModel, texts

import saelab as sl
from saelab import files
from saelab.errors import SaelabError
from saelab.training import checkpoint

HERE = Path(__file__).parents[1]
KINDS = {
    "topk": {"ema": 0.9},
    "bfloat16": {"precision": "bfloat16"},
    "batchtopk": {"arch": "batchtopk"},
    "relu": {"arch": "relu"},
    "gated": {"arch": "gated"},
    "jumprelu": {"arch": "jumprelu", "tied": True},
    "crosscoder": {"arch": "matryoshka", "hook": ("first", "second")},
    "skip_transcoder": {"hook_out": "second", "skip": True},
}


@pytest.fixture(scope="module")
def toy():
    return ToyModel()


def train(model, source=None, **changes):
    return sl.train(model, texts(200) if source is None else source, **(SMALL | changes))


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def until(step):
    return lambda t: t.done < step


@pytest.mark.parametrize("kind", KINDS)
def test_C48_a_run_in_three_parts_is_the_run(toy, tmp_path, kind):
    whole = train(toy, **KINDS[kind])
    parts = {"out": tmp_path, "checkpoint_every": 700, "resume": True, **KINDS[kind]}
    first = train(toy, on_log=until(13), **parts)
    assert first.record["steps"] == 13
    assert not same(first, whole)
    second = train(toy, iter(texts(200)), on_log=until(29), **parts)
    assert second.record["steps"] == 29
    third = train(toy, **parts)
    assert same(third, whole)
    columns = [c for c in whole.history.columns if c != "seconds"]
    done = whole.history["step"] <= 13
    assert third.history[columns][done].equals(whole.history[columns][done])
    assert third.history["step"].tolist() == whole.history["step"].tolist()
    assert third.record["data"] == whole.record["data"]
    assert not checkpoint.exists(tmp_path)


def test_C48_a_run_that_has_ended_takes_no_step(toy, tmp_path):
    parts = {"out": tmp_path, "checkpoint_every": 700, "resume": True}
    whole = train(toy, **parts)
    toy.calls = 0
    again = train(toy, iter([]), **parts)
    assert same(again, whole)
    assert toy.calls < 5
    assert again.history.equals(whole.history)
    with pytest.raises(SaelabError, match=r"cannot resume: tokens was 4000 .* and is 5000 now"):
        train(toy, **parts, tokens=5000)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"d_sae": 40}, "d_sae"), ({"lr": 1e-3}, "lr"), ({"seed": 1}, "seed"), ({"batch": 50}, "batch"),
        ({"hook": "second"}, "hook"), ({"arch": "batchtopk"}, "arch"), ({"options": {"k_start": 8}},
        "options"),
        ({"context": 16}, "context"), ({"buffer": 500}, "buffer"), ({"tokens": 5000}, "tokens"),
        ({"normalize": "scale"}, "normalize"), ({"outlier": None}, "outlier"), ({"bos": False}, "bos"),
    ],
)  # fmt: skip
def test_C48_another_setting_is_named(toy, tmp_path, change, name):
    parts = {"out": tmp_path, "checkpoint_every": 700, "resume": True}
    train(toy, on_log=until(13), **parts)
    with pytest.raises(SaelabError, match=f"cannot resume: {name} was .* now"):
        train(toy, **(parts | change))


def test_C48_other_texts_are_noticed(toy, tmp_path):
    parts = {"out": tmp_path, "checkpoint_every": 700, "resume": True}
    train(toy, on_log=until(13), **parts)
    other = texts(200)
    other[3] = "changed " + other[3]
    with pytest.raises(SaelabError, match="the texts differ"):
        train(toy, other, **parts)
    with pytest.raises(SaelabError, match="the texts end after 2 documents"):
        train(toy, texts(2), **parts)
    with pytest.raises(SaelabError, match="cannot resume: model_weights"):
        train(ToyModel(seed=1), **parts)


def test_a_broken_run_is_not_overwritten(toy, tmp_path):
    train(toy, on_log=until(13), out=tmp_path, checkpoint_every=700)
    with pytest.raises(SaelabError, match="resume=True"):
        train(toy, out=tmp_path)
    other = tmp_path / "other"
    sae = sl.load_sae(tmp_path)
    sae.record = {"note": 1}
    sae.save(other)
    with pytest.raises(SaelabError, match="not trained by this call"):
        train(toy, out=other, resume=True)


def test_several_saes_are_resumed_together(toy, tmp_path):
    shared = {n: v for n, v in SMALL.items() if n not in ("hook", "d_sae", "k")}
    configs = [{"d_sae": 48, "k": 4}, {"d_sae": 24, "arch": "relu", "k": 3, "hook": "second"}]
    whole = sl.train_many(toy, texts(200), configs, hook="first", **shared)
    parts = {"hook": "first", "out": tmp_path, "checkpoint_every": "1K", "resume": True, **shared}
    sl.train_many(toy, texts(200), configs, on_log=until(21), **parts)
    again = sl.train_many(toy, texts(200), configs, **parts)
    assert all(same(a, b) for a, b in zip(again, whole, strict=True))


def test_C51_a_cut_checkpoint_is_named(toy, tmp_path):
    train(toy, on_log=until(13), out=tmp_path, checkpoint_every=700)
    (path,) = (tmp_path / "checkpoints").glob("*/tensors.safetensors")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(SaelabError, match=r"tensors\.safetensors \(\d+ bytes\)"):
        train(toy, out=tmp_path, checkpoint_every=700, resume=True)


def test_C51_a_full_disk_costs_a_checkpoint_and_not_the_run(toy, tmp_path, monkeypatch):
    def full(path, *_):
        raise SaelabError(f"could not write {path}: 10 bytes of tensors, 1 bytes free")

    monkeypatch.setattr(files, "write_tensors", full)
    with pytest.warns(UserWarning, match="1 bytes free") as caught:
        sae = train(toy, out=tmp_path, checkpoint_every=1500)
    assert sae.record["tokens"] == 4000
    assert any("no checkpoint at 1500 tokens" in n for n in sae.record["notes"])
    assert "with sae.save" in str(caught[-1].message)
    monkeypatch.undo()
    sae.save(tmp_path / "elsewhere")
    assert same(sl.load_sae(tmp_path / "elsewhere"), train(toy))


def test_D46_a_finished_run_is_of_these_texts_or_refused(toy, tmp_path):
    whole = train(toy, out=tmp_path)
    assert same(train(toy, out=tmp_path, resume=True), whole)
    with pytest.raises(SaelabError, match="was trained on other texts"):
        train(toy, ["other words"] * 200, out=tmp_path, resume=True)


def test_D49_two_runs_do_not_write_one_folder(toy, tmp_path):
    seen = []

    def second(trainer):
        if not seen:
            seen.append(trainer)
            with pytest.raises(SaelabError, match="another process is training in"):
                train(toy, out=tmp_path)

    train(toy, out=tmp_path, on_log=second)
    assert seen


def test_D53_a_run_that_cannot_fit_is_refused_before_work(toy):
    toy.calls = 0
    with pytest.raises(
        SaelabError, match=r"takes at least .* GB \(weights .* GB, gradients .* Adam.* buffer"
    ):
        train(toy, d_sae=1 << 40)
    assert toy.calls <= 1  # the width of the hook point is asked for


@pytest.mark.parametrize("n", range(1, 40))
def test_D47_another_checkpoint_of_a_step_leaves_one_whole_at_every_operation(tmp_path, monkeypatch, n):
    checkpoint.save(tmp_path, 1, {"v": 1.0}, {"w": torch.full((3,), 1.0)})
    names = ("rename", "unlink", "rmdir", "fsync", "mkdir", "replace", "open")
    with monkeypatch.context() as patch:
        killed = dies_at(patch, n, names)
        try:
            checkpoint.save(tmp_path, 1, {"v": 2.0}, {"w": torch.full((3,), 2.0)})
        except Killed:
            assert killed
    state, tensors, _ = checkpoint.load(tmp_path)
    assert tensors["w"].tolist() == [state["v"]] * 3
    assert killed or state["v"] == 2
    checkpoint.save(tmp_path, 1, {"v": 3.0}, {"w": torch.full((3,), 3.0)})
    assert checkpoint.load(tmp_path)[0] == {"v": 3.0}
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


@pytest.mark.parametrize("stop", range(1, 16))
def test_C51_a_checkpoint_is_whole_or_absent_at_every_file_operation(tmp_path, monkeypatch, stop):
    """Fail at the n-th rename, removal or sync; what is there afterwards loads, and is the old or the new
    one."""
    checkpoint.save(tmp_path, 1, {"step": 1}, {"w": torch.full((3,), 1.0)})
    count = 0

    class Killed(BaseException):
        pass

    def watch(function):
        def run(*args, **kwargs):
            nonlocal count
            count += 1
            if count >= stop:  # a killed process does nothing afterwards either
                raise Killed
            return function(*args, **kwargs)

        return run

    for place, name in [
        (os, "fsync"),
        (Path, "rename"),
        (Path, "replace"),
        (shutil, "rmtree"),
        (Path, "mkdir"),
    ]:
        monkeypatch.setattr(place, name, watch(getattr(place, name)))
    ended = True
    try:
        checkpoint.save(tmp_path, 2, {"step": 2}, {"w": torch.full((3,), 2.0)})
    except Killed:
        ended = False
    monkeypatch.undo()
    state, tensors, _ = checkpoint.load(tmp_path)
    assert tensors["w"].tolist() == [state["step"]] * 3
    assert not ended or state["step"] == 2
    checkpoint.save(tmp_path, 3, {"step": 3}, {"w": torch.full((3,), 3.0)})
    assert checkpoint.load(tmp_path)[0] == {"step": 3}


CHILD = """
import json, sys
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
import saelab as sl
from toy import ToyModel, texts
print("ready", flush=True)
sl.train(ToyModel(), texts(600), on_log=lambda t: print("step", flush=True), **json.loads(sys.argv[1]))
print("ended", flush=True)
"""


def test_C51_sigkill_at_random_moments_ends_in_the_same_bits(tmp_path):
    kills, chance = int(os.environ.get("SAELAB_KILLS", "3")), random.Random(0)
    settings = SMALL | {"tokens": 16000, "arch": "batchtopk"}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = sl.train(ToyModel(), texts(600), **settings)
    finally:
        torch.set_num_threads(threads)
    settings |= {"out": str(tmp_path), "checkpoint_every": 1000, "resume": True}
    command = [sys.executable, "-W", "ignore", "-c", CHILD.format(here=str(HERE)), json.dumps(settings)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    killed, seen = 0, []
    while killed < kills:
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
            assert child.stdout.readline() == "ready\n"
            for _ in range(chance.randint(1, 16)):
                child.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
            child.send_signal(signal.SIGKILL)
            ended = "ended" in child.stdout.read()
        if ended:  # it was faster: begin again, so that every kill counts
            assert same(sl.load_sae(tmp_path), whole)
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()
            continue
        killed += 1
        seen += [p.name for p in (tmp_path / "checkpoints").glob("0*")]
    assert len(set(seen)) >= 2, "the kills came before there was a checkpoint"
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, timeout=300)
    assert same(sl.load_sae(tmp_path), whole)

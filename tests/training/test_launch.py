"""``saelab train spec.json``, by one process and by several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from toy import SMALL, ToyModel, texts

import saelab as sl
from saelab.errors import SaelabError
from saelab.training import checkpoint, launch
from saelab.training.written import TextFile

HERE = Path(__file__).parent
SETTINGS = {n: v for n, v in SMALL.items() if n != "progress"} | {
    "d_sae": 49,
    "arch": "batchtopk",
    "ema": 0.9,
}


def written(folder: Path, out: str, **more) -> Path:
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts()))
    spec = SETTINGS | {"model": "toy", "texts": str(folder / "texts.jsonl"), "out": str(folder / out)} | more
    path = folder / f"{out}.json"
    path.write_text(json.dumps(spec))
    return path


def by_ranks(
    size: int, spec: Path, kill: str = "-1:0", command: str = "train"
) -> subprocess.CompletedProcess:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"KILL": kill, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launch, str(HERE / "launch_worker.py"), str(spec), command],
        env=environment, text=True, capture_output=True, timeout=300,
    )  # fmt: skip


def same(a: sl.SAE, b: sl.SAE) -> None:
    for (name, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-3, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")
    columns = ["loss", "fvu", "aux", "l0", "dead", "rare"]
    torch.testing.assert_close(
        torch.tensor(a.history[columns].to_numpy(float)), torch.tensor(b.history[columns].to_numpy(float)),
        atol=1e-5, rtol=1e-4,
    )  # fmt: skip
    assert a.config == b.config
    assert a.record["identity"] == b.record["identity"]


@pytest.fixture
def one(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "load_model", lambda name, dtype: ToyModel())
    assert "trained by one process" in launch.run(written(tmp_path, "one"), progress=False)
    return sl.load_sae(tmp_path / "one")


def test_T20_a_killed_rank_ends_all_and_another_number_of_ranks_goes_on(one, tmp_path):
    often = {"checkpoint_every": 1000, "resume": True}
    broken = by_ranks(3, written(tmp_path, "some", **often), kill="1:25")
    assert broken.returncode != 0
    assert "rank      : 1" in broken.stderr, broken.stderr
    assert "Signal 9" in broken.stderr
    state, _, slices = checkpoint.load(tmp_path / "some")
    assert [begins for begins, _ in slices] == state["slices"] == [[0], [16], [32]]
    assert state["jobs"][0]["counters"]["done"] == 20
    whole = by_ranks(2, tmp_path / "some.json")
    assert whole.returncode == 0, whole.stderr
    assert "trained by 2 ranks" in whole.stdout
    same(sl.load_sae(tmp_path / "some"), one)
    assert not checkpoint.exists(tmp_path / "some")


def test_T20_one_process_goes_on_with_what_ranks_began(one, tmp_path):
    spec = written(tmp_path, "some", checkpoint_every=1000, resume=True)
    began = time.monotonic()
    assert by_ranks(2, spec, kill="0:30").returncode != 0
    assert time.monotonic() - began < 240
    launch.run(spec, progress=False)
    same(sl.load_sae(tmp_path / "some"), one)


def test_T20_a_file_that_cannot_be_run_is_refused_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "load_model", lambda name, dtype: ToyModel())
    for more, words in [
        ({"d_saes": 3}, "Did you mean 'd_sae'"),
        ({"store": "x"}, "either a store, or a model and texts"),
        ({"texts": str(tmp_path / "none.txt")}, "file that is there"),
    ]:
        path = written(tmp_path, "bad", **more)
        with pytest.raises(SaelabError, match=words):
            launch.run(path)
    path.write_text(json.dumps({"model": "toy", "texts": "a.txt"}))
    with pytest.raises(SaelabError, match="does not say where"):
        launch.run(path)
    (tmp_path / "texts.jsonl").write_text('"one"\n{"words": 1}\n')
    lines = iter(TextFile(tmp_path / "texts.jsonl"))
    assert next(lines) == "one"
    with pytest.raises(SaelabError, match="line 2"):
        next(lines)


def test_T20_a_run_writes_the_file_that_runs_it_again(tmp_path, monkeypatch):
    model, given = ToyModel(), SETTINGS | {"hook": "first", "lr": 2e-3}
    first = sl.SAE(sl.SAEConfig("topk", 12, 49, k=4, hook_in="first"))
    torch.nn.init.normal_(first.W_dec)
    for i, (source, more) in enumerate(
        [(texts(), {}), (texts(), {"init": first, "arch": "topk"}), (TextFile(_lines(tmp_path)), {"k": 3})]
    ):
        out = tmp_path / str(i)
        sae = sl.train(model, source, out=out, progress=False, **given | more)
        spec = json.loads((out / "spec.json").read_text())
        assert spec["model"] == "org/toy"
        assert "warmup" not in spec  # it was not asked for
        monkeypatch.setattr(launch, "load_model", lambda name, dtype: ToyModel())
        launch.run(out / "spec.json", progress=False)  # a run that has ended gives what it made
        again = tmp_path / f"again{i}.json"
        again.write_text(json.dumps(spec | {"out": str(tmp_path / f"again{i}")}))
        launch.run(again, progress=False)
        other = sl.load_sae(tmp_path / f"again{i}")
        assert all(torch.equal(p, q) for p, q in zip(sae.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_D72_a_run_goes_on_from_its_file_in_its_dtype_and_with_its_weights(tmp_path, monkeypatch, dtype):
    model, out, asked = ToyModel().to(getattr(torch, dtype)), tmp_path / "run", []
    stop = {"checkpoint_every": 500, "on_log": lambda trainer: trainer.tokens < 1000}
    sl.train(model, texts(), out=out, progress=False, **SETTINGS, **stop)

    def load(name, dtype, seed=0):
        asked.append(dtype)
        return ToyModel(seed=seed).to(getattr(torch, dtype))

    monkeypatch.setattr(launch, "load_model", lambda name, dtype: load(name, dtype, seed=1))
    with pytest.raises(SaelabError, match="other weights .*another checkpoint"):
        launch.run(out / "spec.json", progress=False)
    monkeypatch.setattr(launch, "load_model", load)
    launch.run(out / "spec.json", progress=False)
    assert asked == [dtype, dtype]
    whole = sl.train(model, texts(), progress=False, **SETTINGS)
    assert all(
        torch.equal(p, q) for p, q in zip(whole.parameters(), sl.load_sae(out).parameters(), strict=True)
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_D72_no_work_goes_on_in_another_dtype(tmp_path, dtype):
    other, given = ToyModel().to(getattr(torch, dtype)), SETTINGS | {"progress": False}
    stop = {"checkpoint_every": 500, "on_log": lambda trainer: trainer.tokens < 1000}
    sl.train(ToyModel(), texts(), out=tmp_path / "run", **given, **stop)
    with pytest.raises(
        SaelabError, match=f"cannot resume: model_weights was .* in float32 .* in {dtype} now"
    ):
        sl.train(other, texts(), out=tmp_path / "run", resume=True, **given)
    sl.ActivationStore.write(ToyModel(), texts(), ["first"], tmp_path / "store", tokens=500, progress=False)
    with pytest.raises(SaelabError, match=f"weights=.* in float32, this call says .* in {dtype}"):
        sl.ActivationStore.write(other, texts(), ["first"], tmp_path / "store", tokens=500, progress=False)


def _lines(folder: Path) -> Path:
    path = folder / "lines.txt"
    path.write_text("\n".join(["first\u2028line", "", *texts()]), encoding="utf-8")
    return path


def test_T20_a_file_of_texts_is_a_list_of_them(tmp_path):
    path = _lines(tmp_path)
    found = TextFile(path)
    assert list(found) == [found[i] for i in range(len(found))] == ["first\u2028line", "", *texts()]


def test_T20_texts_that_no_file_holds_must_be_said(tmp_path):
    sl.train(ToyModel(), iter(texts()), out=tmp_path / "run", progress=False, **SETTINGS)
    with pytest.raises(SaelabError, match=r"a \.txt or \.jsonl file"):
        launch.read_spec(tmp_path / "run" / "spec.json")


def test_T20_ranks_harvest_one_store_and_go_on_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "load_model", lambda name, dtype: ToyModel())
    given = {"model": "toy", "texts": str(_lines(tmp_path)), "hooks": ["first", "second"], "tokens": 4000}
    given |= {"shard_rows": 500, "harvest_tokens": 400, "dtype": "float32"}
    paths = {}
    for name in ("one", "some"):
        paths[name] = tmp_path / f"{name}.json"
        paths[name].write_text(json.dumps(given | {"path": str(tmp_path / name)}))
    assert "rows at first (12), second (24)" in launch.harvest(paths["one"], progress=False)
    broken = by_ranks(2, paths["some"], kill="1:2000", command="harvest")
    assert broken.returncode != 0
    assert 0 < len(list((tmp_path / "some").glob("rows-*"))) < 8
    with pytest.raises(SaelabError, match="did not end"):
        sl.ActivationStore.open(tmp_path / "some")
    whole = by_ranks(3, paths["some"], command="harvest")
    assert whole.returncode == 0, whole.stderr
    one, some = (sl.ActivationStore.open(tmp_path / name) for name in ("one", "some"))
    assert len(one) == len(some) >= 4000
    assert torch.equal(one.where(0, len(one)), some.where(0, len(one)))
    for hook in one.hooks:
        torch.testing.assert_close(one.rows(0, len(one), hook), some.rows(0, len(one), hook))
    ends = [json.loads((tmp_path / name / "store.json").read_text())["end"] for name in ("one", "some")]
    assert ends[0] == ends[1]
    paths["one"].write_text(json.dumps(given))
    with pytest.raises(SaelabError, match="does not say path"):
        launch.harvest(paths["one"])


def test_D69_a_name_in_a_spec_that_is_none_is_refused_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "load_model", lambda name, dtype: ToyModel())
    path = written(tmp_path, "null")
    whole = json.loads(path.read_text())
    for name in ("out", "texts"):
        for wrong in (None, 5, [], True, ""):
            path.write_text(json.dumps(whole | {name: wrong}))
            with pytest.raises(SaelabError, match=f"{name}.* must be a path"):
                launch.run(path)
    spec = {"model": "toy", "texts": None, "hooks": ["x"], "path": str(tmp_path / "store")}
    path.write_text(json.dumps(spec))
    with pytest.raises(SaelabError, match="texts must be a path"):
        launch.harvest(path)

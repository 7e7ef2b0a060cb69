import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import SENTENCES
from test_buffer import HOOK, OTHER, wanted

import saelab as sl
from saelab import models
from saelab.activations.buffer import ActivationBuffer
from saelab.activations.reader import Reader
from saelab.activations.store import ActivationStore
from saelab.errors import HookError, SaelabError

TEXTS = SENTENCES * 6


def write(model, path, hooks=HOOK, texts=TEXTS, **options):
    defaults = {"tokens": 10_000, "dtype": "float32", "harvest_tokens": 64, "shard_rows": 100}
    return ActivationStore.write(model, texts, hooks, path, progress=False, **{**defaults, **options})


@pytest.fixture(scope="module")
def stored(tiny, tmp_path_factory):
    return write(tiny, tmp_path_factory.mktemp("store") / "s", [HOOK, OTHER])


def test_every_row_is_there_once_at_every_hook_point(tiny, stored):
    assert len(stored.shards) >= 3
    for hook in (HOOK, OTHER):
        want = wanted(tiny, TEXTS, hook)
        got = stored.rows(0, len(stored), hook)
        assert got.shape == want.shape
        order, want_order = (x.double().sum(1).sort().indices for x in (got, want))
        torch.testing.assert_close(got[order], want[want_order], atol=1e-4, rtol=0)


def test_C30_each_row_knows_its_text_and_position(tiny, stored):
    for i in (0, 57, len(stored) - 1):
        document, position = stored.where(i, i + 1)[0].tolist()
        ids = models.tokenize(tiny, TEXTS[document])
        alone = models.run_to_hooks(tiny, torch.tensor([ids]), [HOOK])[HOOK][0, 1 + position]
        torch.testing.assert_close(stored.rows(i, i + 1, HOOK)[0], alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("dtype", "error"), [("bfloat16", 2**-8), ("float16", 2**-11)])
def test_half_precision_is_the_rounded_value(tiny, stored, tmp_path, dtype, error):
    half = write(tiny, tmp_path / "h", dtype=dtype)
    exact = stored.rows(0, len(stored), HOOK)
    assert ((half.rows(0, len(half)) - exact).abs() <= error * exact.abs() + 1e-6).all()


def test_a_number_too_large_for_float16_is_an_error(tiny, tmp_path):
    with (
        models.hooked(tiny, {HOOK: lambda x: x * 1e6}),
        pytest.raises(SaelabError, match=r"too large for float16.*bfloat16"),
    ):
        write(tiny, tmp_path / "h", dtype="float16")


def test_a_reader_gives_every_row_in_each_epoch_in_an_order_that_follows_the_seed(stored, monkeypatch):
    monkeypatch.setattr("saelab.activations.reader.BLOCK", 16)

    def rows(seed, epochs=1, hooks=(OTHER,)):
        source = Reader(stored, hooks, limit=10**6, epochs=epochs, seed=seed, outlier=None)
        return torch.cat([x for (x,) in ActivationBuffer(source, batch=8, capacity=64, seed=seed)])

    one = rows(0)
    want = stored.rows(0, len(stored), OTHER)
    assert torch.equal(one.double().sum(1).sort().values, want.double().sum(1).sort().values)
    assert torch.equal(one, rows(0))
    assert not torch.equal(one, rows(1))
    assert len(rows(0, epochs=3)) == 3 * len(one)


def test_C48_a_resumed_reader_gives_bit_equal_batches(stored, monkeypatch):
    monkeypatch.setattr("saelab.activations.reader.BLOCK", 16)

    def fresh():
        source = Reader(stored, [HOOK, OTHER], limit=10**6, epochs=2, seed=3, outlier=20.0)
        return ActivationBuffer(source, batch=8, capacity=64, seed=3)

    whole = list(fresh())
    for stop in (0, 1, 17, len(whole) - 1, len(whole)):
        first = fresh()
        for _ in range(stop):
            next(first)
        second = fresh()
        second.load_state_dict(first.state_dict())
        rest = list(second)
        assert len(rest) == len(whole) - stop
        assert all(
            torch.equal(a, b)
            for got, want in zip(rest, whole[stop:], strict=True)
            for a, b in zip(got, want, strict=True)
        )


def test_a_harvest_that_was_broken_off_goes_on_to_the_same_bits(tiny, stored, tmp_path, monkeypatch):
    calls, real = 0, models.run_to_hooks

    def fail(*args, **options):
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(models, "run_to_hooks", fail)
        with pytest.raises(KeyboardInterrupt):
            write(tiny, tmp_path / "s", [HOOK, OTHER])
    assert list((tmp_path / "s").glob("rows-*"))
    with pytest.raises(SaelabError, match="did not end"):
        ActivationStore.open(tmp_path / "s")
    again = write(tiny, tmp_path / "s", [HOOK, OTHER], texts=iter(TEXTS))
    assert torch.equal(again.rows(0, len(again), OTHER), stored.rows(0, len(stored), OTHER))
    assert torch.equal(again.where(0, len(again)), stored.where(0, len(stored)))
    assert again.digest == stored.digest


KILLED = """
import sys
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/activations"]
from helpers import shared_tiny
from test_store import TEXTS, HOOK, OTHER, write
import torch, time
torch.set_num_threads(1)
def slow():
    for text in TEXTS:
        time.sleep(0.02)
        yield text
write(shared_tiny(), sys.argv[1], [HOOK, OTHER], texts=slow())
"""


def test_C48_kill_minus_nine_while_harvesting(stored, tmp_path):
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "s"), tests]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "s").glob("rows-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
        assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(command, check=True)
    again = ActivationStore.open(tmp_path / "s")
    again.verify()
    assert torch.equal(again.where(0, len(again)), stored.where(0, len(stored)))
    torch.testing.assert_close(
        again.rows(0, len(again), HOOK), stored.rows(0, len(stored), HOOK), atol=1e-5, rtol=0
    )


def test_other_texts_are_noticed_when_a_harvest_goes_on(tiny, tmp_path):
    write(tiny, tmp_path / "s", tokens=150)
    meta = json.loads((tmp_path / "s/store.json").read_text())
    del meta["end"], meta["crc32"]
    (tmp_path / "s/store.json").write_text(json.dumps(meta))
    with pytest.raises(SaelabError, match="the texts differ"):
        write(tiny, tmp_path / "s", tokens=150, texts=["something else"] * 50)


def test_other_settings_are_named(tiny, stored):
    with pytest.raises(SaelabError, match="dtype='float32', this call says 'bfloat16'"):
        write(tiny, stored.folder, [HOOK, OTHER], dtype="bfloat16")
    with pytest.raises(SaelabError, match="with widths="):
        write(tiny, stored.folder)


def test_D46_a_finished_store_is_of_these_texts_or_refused(tiny, stored, tmp_path, monkeypatch):
    monkeypatch.setattr("saelab.models.run_to_hooks", None)  # nothing is harvested again
    folder, hooks = stored.folder, [HOOK, OTHER]
    assert len(write(tiny, folder, hooks)) == len(stored)
    assert len(write(tiny, folder, hooks, texts=iter(TEXTS))) == len(stored)
    for other in (TEXTS[:-1], [*TEXTS, "more"], ["x", *TEXTS[1:]], ["other"] * 30):
        with pytest.raises(SaelabError, match="was made from other texts"):
            write(tiny, folder, hooks, texts=other)


def test_D46_a_second_pass_does_not_hide_other_texts(tiny, tmp_path):
    for tokens in ("2M", 40):
        parts = {"tokens": tokens, "epochs": 2, "context": 16}
        write(tiny, tmp_path / f"{tokens}", texts=TEXTS[:3], **parts)
        with pytest.raises(SaelabError, match="other texts"):
            write(tiny, tmp_path / f"{tokens}", texts=[*TEXTS[:2], "other"], **parts)


def test_D48_a_flipped_bit_is_named_by_the_training_that_reads_it(tiny, tmp_path):
    store = write(tiny, tmp_path / "s")
    path = store.folder / "rows-00000.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-99] + bytes([whole[-99] ^ 16]) + whole[-98:])
    again = ActivationStore.open(store.folder)
    with pytest.raises(SaelabError, match=r"rows-00000.*damaged: rows 0"):
        again.rows(0, 3)
    with pytest.raises(SaelabError, match=r"rows-00000.*damaged"):
        sl.train(again, d_sae=32, k=4, batch=32, progress=False)


def test_truncated_missing_and_damaged_shards_are_named(tiny, tmp_path):
    store = write(tiny, tmp_path / "s")
    path = store.folder / "rows-00001.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with pytest.raises(SaelabError, match=r"rows-00001.*not a whole shard"):
        ActivationStore.open(store.folder)
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 16]) + whole[-8:])
    with pytest.raises(SaelabError, match=r"rows-00001.*damaged"):
        ActivationStore.open(store.folder).verify()
    path.unlink()
    with pytest.raises(SaelabError, match=r"lacks .*rows-00001"):
        ActivationStore.open(store.folder)


def test_bad_requests(tiny, stored, tmp_path):
    with pytest.raises(HookError):
        write(tiny, tmp_path / "a", "blocks.0.hook_resid_pots")
    with pytest.raises(SaelabError, match="bfloat16"):
        write(tiny, tmp_path / "a", dtype="bf16")
    with pytest.raises(SaelabError, match="no text"):
        write(tiny, tmp_path / "a", texts=[""])
    with pytest.raises(SaelabError, match="context must be at least 2"):
        write(tiny, tmp_path / "a", context=0)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/novel.txt").write_text("x")
    with pytest.raises(SaelabError, match="give another folder"):
        write(tiny, tmp_path / "b")
    with pytest.raises(SaelabError, match="no activation store"):
        ActivationStore.open(tmp_path / "b")
    with pytest.raises(SaelabError, match="say which hook point"):
        stored.rows(0, 1)
    with pytest.raises(SaelabError, match="rows 5:5"):
        stored.rows(5, 5, HOOK)
    assert "hook_resid_post" in stored._repr_html_()
    assert "rows at blocks.0" in repr(stored)


# --------------------------------------------------------------------------------------------- training

SMALL = {"d_sae": 64, "k": 4, "batch": 16, "buffer": 64, "progress": False}


def test_training_reads_a_store_and_resumes_to_the_same_bits(stored, tmp_path):
    sae = sl.train(stored, hook=HOOK, epochs=4, **SMALL)
    assert sae.history.iloc[-1].tokens == 4 * len(stored)
    assert sae.config.hook_in == HOOK
    assert sae.config.model == stored.origin.model
    assert any("store was read 4 times" in note for note in sae.record["notes"])

    def stop(trainer):
        return trainer.tokens < 300

    part = sl.train(
        stored, hook=HOOK, epochs=4, out=tmp_path / "r", checkpoint_every=100, on_log=stop, **SMALL
    )
    assert part.record["tokens"] < len(stored) * 4
    rest = sl.train(
        stored, hook=HOOK, epochs=4, out=tmp_path / "r", checkpoint_every=100, resume=True, **SMALL
    )
    assert torch.equal(rest.W_dec, sae.W_dec)
    assert torch.equal(rest.W_enc, sae.W_enc)


def test_a_transcoder_and_a_crosscoder_from_a_store(stored):
    coder = sl.train(stored, hook=HOOK, hook_out=OTHER, epochs=2, **SMALL)
    assert coder.W_dec.shape == (64, 64)
    cross = sl.train(stored, hook=[HOOK, OTHER], epochs=2, **SMALL)
    assert cross.config.widths == (16, 64)
    shared = {"batch": 16, "buffer": 64, "progress": False}
    configs = [{"hook": h, "d_sae": 64, "k": 4} for h in (HOOK, OTHER)]
    assert [s.config.d_in for s in sl.train_many(stored, None, configs, **shared)] == [16, 64]


def test_arrays_of_ones_own():
    g = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(8, 16, generator=g), dim=1)
    z = (torch.rand(4000, 8, generator=g) < 0.1) * torch.rand(4000, 8, generator=g)
    store = ActivationStore.of({"toy": z @ features})
    assert store.where(0, 1).tolist() == [[-1, -1]]
    sae = sl.train(store, d_sae=16, k=2, epochs=10, batch=64, lr=3e-3, progress=False)
    assert sae.history.iloc[-1].explained_variance > 0.8
    assert sae.config.hook_in == "toy"


def test_what_a_store_cannot_do_is_said(tiny, stored):
    with pytest.raises(SaelabError, match="give no texts"):
        sl.train(stored, TEXTS, hook=HOOK, **SMALL)
    with pytest.raises(SaelabError, match="hook point of the store .*Did you mean"):
        sl.train(stored, hook="blocks.0.hook_resid_pots", **SMALL)
    with pytest.raises(SaelabError, match="say epochs="):
        sl.train(stored, hook=HOOK, tokens=10 * len(stored), **SMALL)
    with pytest.raises(SaelabError, match="harvested with context"):
        sl.train(stored, hook=HOOK, context=8, **SMALL)
    with pytest.raises(SaelabError, match="give texts"):
        sl.train(tiny, hook=HOOK, **SMALL)
    with pytest.raises(SaelabError, match="same number of rows"):
        ActivationStore.of({"a": torch.zeros(3, 2), "b": torch.zeros(4, 2)})
    with pytest.raises(SaelabError, match="joins those of a crosscoder"):
        ActivationStore.of({"a+b": torch.zeros(3, 2)})


def test_D38_a_store_takes_arrays_and_copies_none(tmp_path):
    data = np.random.default_rng(0).normal(size=(60_000, 64)).astype(np.float16)
    np.save(tmp_path / "acts.npy", data)
    mapped = np.load(tmp_path / "acts.npy", mmap_mode="r")
    store = sl.ActivationStore.of({"mine": mapped})
    assert store.shards[0].acts[0].data_ptr() == mapped.ctypes.data
    torch.testing.assert_close(store.rows(5, 9), torch.from_numpy(data[5:9]).float())
    assert sl.ActivationStore.of({"mine": torch.from_numpy(data)}).digest == store.digest
    sl.train(store, d_sae=8, k=2, tokens=2048, batch=512, progress=False)
    for kind in (
        data.astype(np.float64),
        torch.from_numpy(data).bfloat16(),
        data[::-1],
        data.astype(">f4"),
        data[:, ::2],
    ):
        store = sl.ActivationStore.of({"mine": kind}, where=np.tile(np.arange(60_000)[:, None], 2))
        wanted = (
            torch.as_tensor(np.ascontiguousarray(kind).astype(np.float32))
            if isinstance(kind, np.ndarray)
            else kind.float()
        )
        assert torch.equal(store.rows(0, 7), wanted[:7])


@pytest.mark.parametrize(
    "wrong",
    [
        None, [], {}, {"a": None}, {"a": [[1.0]]}, {"a": "abc"}, {"a": np.ones((3, 2), int)},
        {"a": np.ones((3, 2), complex)},
        {"a": np.ones(3)}, {"a": np.ones((3, 2, 2))}, {"a": np.ones((0, 2))}, {"a": np.array([["x"]])}, {"a": np.float32(1)},
        {3: np.ones((3, 2))}, {"a": np.ones((3, 2)), "b": np.ones((4, 2))}, {"a": np.ones((3, 2), bool)}, np.ones((3, 2)),
    ],
)  # fmt: skip
def test_D38_what_is_no_array_of_rows_is_refused(wrong):
    with pytest.raises(SaelabError):
        sl.ActivationStore.of(wrong)
    with pytest.raises(SaelabError, match="where"):
        sl.ActivationStore.of({"a": np.ones((3, 2))}, where=np.zeros((3, 2)))

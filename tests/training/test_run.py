"""Training from text to an SAE."""

import re
import signal
import sys
import threading

import pandas as pd
import pytest
import torch
from toy import SMALL as SHORT
from toy import ToyModel, texts

import saelab as sl
from saelab import models
from saelab.errors import HookError, SaelabError

SMALL = SHORT | {"tokens": 6000}


@pytest.fixture(scope="module")
def toy():
    return ToyModel()


def train(model, source=None, **changes):
    return sl.train(model, texts() if source is None else source, **(SMALL | changes))


def same(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


KINDS = {
    "topk": {},
    "multi": {"options": {"multi": 0.125, "k_start": 12}},
    "tied": {"tied": True},
    "skip": {"skip": True},
    "layer_norm": {"normalize": "layer_norm"},
    "bfloat16": {"precision": "bfloat16"},
    "batchtopk": {"arch": "batchtopk"},
    "matryoshka": {"arch": "matryoshka", "prefixes": [6, 12, 48]},
    "relu": {"arch": "relu"},
    "p_anneal": {"arch": "relu", "options": {"p_end": 0.4}},
    "gated": {"arch": "gated"},
    "jumprelu": {"arch": "jumprelu"},
    "transcoder": {"hook_out": "second", "normalize": "scale"},
    "skip_transcoder": {"hook_out": "second", "skip": True, "arch": "batchtopk"},
    "crosscoder": {"hook": ["first", "second"], "arch": "relu"},
    "crosscoder_topk": {"hook": ("first", "second")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains_from_the_same_call(toy, kind, tmp_path):
    sae = train(toy, tokens=20_000, lr=3e-3, out=tmp_path, **KINDS[kind])
    last = sae.history.iloc[-1]
    assert last["explained_variance"] > (0.9 if "skip" in kind else 0.55)
    assert 1.5 < last["l0"] < 9
    again = sl.load_sae(tmp_path)
    assert again.config == sae.config
    assert same(sae, again)
    assert again.record["options"] == sae.record["options"]


def test_C07_C16_the_scale_is_of_counted_tokens_saved_and_folds(toy, tmp_path):
    sae = train(toy, normalize="scale", out=tmp_path)
    ids = [t for text in texts(100) for t in models.tokenize(toy, text)]
    x = models.run_to_hooks(toy, torch.tensor([ids[:32]]), ["first"])["first"][0, 1:]
    mean_norm = float((x * sae.config.scale).norm(dim=-1).mean())
    assert mean_norm == pytest.approx(12**0.5, rel=0.1)
    again = sl.load_sae(tmp_path)
    folded = again.fold()
    recon = again.decode(again.encode_sparse(x)).detach()
    torch.testing.assert_close(folded.decode(folded.encode_sparse(x)), recon, atol=1e-4, rtol=1e-4)
    error = (recon - x).square().sum() / (x - x.mean(0)).square().sum()
    assert float(error) < 0.5


def test_C16_by_hand():
    from saelab.training.start import unit_scale

    x = torch.zeros(63, 16)
    x[:, 0] = 10
    assert unit_scale(x) == pytest.approx(0.4)
    with_bos = torch.cat([x, torch.full((1, 16), 3000 / 4)])
    assert unit_scale(with_bos) == pytest.approx(0.07052, abs=1e-5)


def test_C46_seeds_and_the_global_random_state(toy):
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    one = train(toy)
    assert torch.equal(torch.randn(3), expected)
    assert same(one, train(toy))
    assert not same(one, train(toy, seed=1))
    assert same(one, train(toy, on_log=lambda t: t.hints()))


def test_C47_the_record_says_how_it_came_about(toy):
    record = train(toy, normalize="scale").record
    assert record["steps"] == 60
    assert record["recipe"]["seed"] == 0
    assert set(record["versions"]) >= {"torch", "saelab", "python"}
    assert len(record["data"]["sha256"]) == 64
    other = train(toy, texts(seed=1), normalize="scale").record
    assert other["data"] != record["data"]


def test_C49_text_that_ends_early_gives_what_was_learnt(toy, tmp_path, capsys):
    short = [t[:20] for t in texts(10)]
    sae = train(toy, short, tokens=10_000, out=tmp_path)
    assert "200 of 10,000 tokens seen" in sae.record["notes"]
    assert "200 of 10,000 tokens: the texts ended" in sae._repr_html_()
    train(toy, short, tokens=10_000, progress=True)
    assert capsys.readouterr().err.endswith("train: 200 of 10,000 tokens: the texts ended\n")
    assert same(sl.load_sae(tmp_path), sae)
    wrapped = train(toy, short, tokens=1000, epochs=100)
    assert wrapped.record["tokens"] == 1000
    assert "the texts were read 5 times" in wrapped.record["notes"]


def test_C49_no_text_is_an_error(toy):
    used = iter(texts(3))
    list(used)
    for nothing in (used, [], [""]):
        with pytest.raises(SaelabError, match="no text to train on"):
            train(toy, nothing)


def test_C50_a_folder_that_cannot_be_written_is_found_before_the_first_step(toy, tmp_path):
    (tmp_path / "file").write_text("")
    calls = toy.calls
    for bad in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(SaelabError, match="out="):
            train(toy, out=bad)
    assert toy.calls - calls < 20  # looking up widths, no harvest
    train(toy, out=tmp_path / "a: b" / ".. c", tokens=200)
    assert (tmp_path / "a: b" / ".. c" / "config.json").is_file()


def test_C53_nothing_behind_the_hook_is_computed(toy):
    seen = []
    toy.hook_dict["second"].fwd_hooks.append(type("H", (), {"fn": lambda self, x, h: seen.append(1)})())
    try:
        train(toy, tokens=300)
    finally:
        toy.hook_dict["second"].fwd_hooks.clear()
    assert not seen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": 99}, "99 tokens is less than one batch of 100"),
        ({"tokens": 20, "batch": 10}, "one context of 32"),
        ({"k": 49}, "k=49 is more than the d_sae=48"),
        ({"k": 0}, "at least 1"),
        ({"arch": "topkk"}, "Did you mean 'topk'"),
        ({"options": {"mutli": 1.0}}, "Did you mean 'multi'"),
        ({"normalize": "scael"}, "Did you mean 'scale'"),
        ({"hook": None}, "which hook point"),
        ({"d_sae": None}, "how many latents"),
        ({"hook": ("first", "second"), "hook_out": "first"}, "crosscoder"),
        ({"hook_out": "second", "normalize": "layer_norm"}, "layer_norm"),
        ({"outlier": 0.5}, "outlier"),
        ({"checkpoint_every": 100}, "need out"),
        ({"resume": True}, "need out"),
        ({"ema": 2.0}, "ema"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"context": 0}, "context must be at least 1, got 0"),
        ({"buffer": 0}, "buffer must be at least 1, got 0"),
        ({"aux_k": 0}, "aux_k must be at least 1, got 0"),
        ({"dead_after": 0}, "dead_after must be at least 1, got 0"),
    ],
)
def test_C71_what_cannot_work_is_refused_before_work(toy, changes, message):
    source = iter(texts())
    with pytest.raises(SaelabError, match=message):
        train(toy, source, **changes)
    assert next(source) == texts()[0]


def test_unknown_names(toy):
    with pytest.raises(HookError, match="first"):
        train(toy, hook="frist")
    with pytest.raises(TypeError, match="resume_from"):
        train(toy, resume_from="x")
    for name, meant in (("n_tokens", "tokens"), ("n_latents", "d_sae"), ("architecture", "arch")):
        with pytest.raises(SaelabError, match=f"{name}.*Did you mean '{meant}'"):
            train(toy, **{name: 1})
    store = sl.ActivationStore.of({"mine": torch.randn(1000, 8)})
    with pytest.raises(
        SaelabError, match=r"the store has 1,000 rows, less than one batch of 2,048: say batch=1000"
    ):
        sl.train(store, d_sae=16, k=2)


def test_rows_that_are_not_finite_or_far_out_are_left_out_and_said(toy):
    def spoil(x):
        x = x.clone()
        x[:, 1:2] = float("nan")
        x[:, 2:3] *= 1000
        return x

    calls = toy.calls
    with models.hooked(toy, {"first": spoil}):
        sae = train(toy)
    assert toy.calls > calls
    notes = " ".join(sae.record["notes"])
    assert re.search(r"\d+ rows were left out: not finite", notes)
    assert re.search(r"\d+ rows were left out: norm above 20 times the median", notes)
    assert sae.history.iloc[-1]["explained_variance"] > 0.5
    plain = train(toy, outlier=None)
    assert not any("median" in n for n in plain.record["notes"])


def test_C81_one_bar_that_vanishes(toy, capsys, monkeypatch):
    train(toy, progress=True)
    assert capsys.readouterr().err == ""  # a log gets nothing of short work
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    train(toy, progress=True)
    err = capsys.readouterr().err
    assert err.count("\n") <= 5
    assert "100%" in err


@pytest.fixture
def default_interrupt():
    """The handler a notebook has; a process started in the background of a shell ignores interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("default_interrupt")
def test_interrupts_return_the_sae_and_restore_the_handler(toy, tmp_path):
    before = signal.getsignal(signal.SIGINT)

    def press(t):
        if t.done >= 10:
            signal.raise_signal(signal.SIGINT)

    sae = train(toy, on_log=press, out=tmp_path)
    assert sae.record["steps"] == 10
    assert re.fullmatch(r"[\d,]+ of [\d,]+ tokens: stopped", sae.record["seen"])
    assert signal.getsignal(signal.SIGINT) is before
    assert same(sl.load_sae(tmp_path), sae)

    def fail(t):
        raise KeyboardInterrupt

    assert train(toy, on_log=fail).record["steps"] == 1
    assert train(toy, on_log=lambda t: t.done < 5).record["steps"] == 5


def test_training_in_another_thread(toy):
    found = []
    thread = threading.Thread(target=lambda: found.append(train(toy)))
    thread.start()
    thread.join()
    assert same(found[0], train(toy))


def test_a_run_that_diverges_stops(toy):
    with pytest.raises(SaelabError, match="diverged: the loss is NaN or infinite at step 2 of 60"):
        train(toy, lr=1e30, clip=1e30)


def test_several_from_one_pass_equal_each_alone(toy, tmp_path):
    configs = [
        {"d_sae": 48, "k": 4},
        {"d_sae": 32, "k": 2, "arch": "batchtopk", "lr": 1e-3},
        {"d_sae": 24, "arch": "jumprelu", "k": 3},
    ]
    shared = {n: v for n, v in SMALL.items() if n not in ("hook", "d_sae", "k")}
    toy.calls = 0
    saes = sl.train_many(toy, texts(), configs, hook="first", out=tmp_path, **shared)
    together = toy.calls
    for sae, config in zip(saes, configs, strict=True):
        assert same(sae, train(toy, **config))
    toy.calls = 0
    train(toy)
    assert together < 2 * toy.calls
    assert same(sl.load_sae(tmp_path / "1"), saes[1])


def test_several_hook_points_in_one_pass(toy):
    shared = {n: v for n, v in SMALL.items() if n not in ("hook", "d_sae", "k")}
    configs = [
        {"hook": "second", "d_sae": 48, "k": 4},
        {"hook": "first", "hook_out": "second", "d_sae": 48, "k": 4},
    ]
    second, across = sl.train_many(toy, texts(), configs, **shared)
    assert second.config.d_in == 24
    assert (across.config.d_in, across.config.d_out) == (12, 24)
    assert same(second, train(toy, hook="second"))


def test_configs_of_many_are_checked(toy):
    with pytest.raises(SaelabError, match="Did you mean 'd_sae'"):
        sl.train_many(toy, texts(), [{"dsae": 3}], hook="first")
    with pytest.raises(SaelabError, match="which hook point"):
        sl.train_many(toy, texts(), [{"d_sae": 3}])
    with pytest.raises(SaelabError, match="needs d_sae"):
        sl.train_many(toy, texts(), [{"k": 3}], hook="first")
    with pytest.raises(SaelabError, match="configs is empty"):
        sl.train_many(toy, texts(), [])


def test_a_grid_is_a_table(toy):
    shared = {n: v for n, v in SMALL.items() if n not in ("hook", "d_sae", "k")}
    table = sl.grid(toy, texts(), hook="first", d_sae=32, k=[2, 6], arch=["topk", "batchtopk"], shared=shared)
    assert isinstance(table, pd.DataFrame)
    assert len(table) == 4
    assert list(table.columns[:2]) == ["k", "arch"]
    assert table["l0"].round().tolist() == [2, 2, 6, 6]
    by_k = table.groupby("k")["explained_variance"].mean()
    assert by_k[6] > by_k[2]
    assert table["sae"][0].config.k == 2

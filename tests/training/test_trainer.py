import itertools
import json
import math

import pytest
import torch
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab.errors import HookError, SaelabError
from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS
from saelab.training import TrainConfig, Trainer
from saelab.training.start import geometric_median, initialize
from saelab.training.trainer import default_lr

HOOK = "blocks.0.hook_resid_post"


def train(model, texts=None, **options):
    defaults = {
        "hook": HOOK,
        "d_sae": 48,
        "k": 4,
        "tokens": 2000,
        "batch": 50,
        "buffer": 400,
        "progress": False,
    }
    texts = itertools.cycle(SENTENCES) if texts is None else texts
    return sl.train(model, texts, **{**defaults, **options})


def weights(sae):
    return {n: p.detach().clone() for n, p in sae.named_parameters()}


def same(a, b):
    return all(torch.equal(a[n], b[n]) for n in a)


@pytest.fixture(scope="module")
def trained(tiny):
    return train(tiny)


# ------------------------------------------------------------------------------------------------ train


def test_training_learns(trained):
    history = trained.history
    assert history["explained_variance"].iloc[-1] > history["explained_variance"].iloc[0] + 0.1
    assert history["explained_variance"].iloc[-1] > 0.5
    assert history["step"].iloc[-1] == 40
    assert history["tokens"].iloc[-1] == 2000
    assert (history["l0"] <= 4).all()
    assert history["step"].is_unique


def test_the_sae_knows_where_it_belongs(tiny, trained):
    c = trained.config
    assert (c.hook_in, c.hook_out, c.bos, c.context, c.k) == (HOOK, HOOK, True, 32, 4)
    assert c.model == str(tiny.cfg.model_name)


def test_decoder_rows_have_norm_1(trained):
    torch.testing.assert_close(trained.W_dec.norm(dim=1), torch.ones(48), atol=1e-5, rtol=0)
    assert not trained.W_dec.isnan().any()


def test_C47_the_record_says_how_it_was_made(trained):
    record = trained.record
    assert record["tokens"] == 2000
    assert record["recipe"]["seed"] == 0
    assert record["recipe"]["lr"] > 0
    assert {"torch", "saelab", "python"} <= set(record["versions"])
    json.dumps(record, allow_nan=False)


def test_the_record_does_not_need_an_installed_saelab(tiny, monkeypatch):
    """A run from a source tree must not fail when all the work is done."""
    from importlib import metadata

    real = metadata.version

    def version(name):
        if name == "saelab":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert train(tiny, tokens=100).record["versions"]["saelab"] == sl.__version__


def test_C46_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone(tiny):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = weights(train(tiny, tokens=500))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(one, weights(train(tiny, tokens=500)))
    assert not same(one, weights(train(tiny, tokens=500, seed=1)))


def test_C46_a_run_that_is_watched_gives_the_same_weights(tiny):
    texts = SENTENCES[:2]

    def watch(trainer):
        sl.evaluate(tiny, trainer.sae, texts, progress=False)

    assert same(weights(train(tiny, tokens=300, on_log=watch)), weights(train(tiny, tokens=300)))


def test_C22_C23_training_leaves_the_models_hooks_alone(tiny):
    from helpers import n_hooks

    calls = []
    handle = tiny.hook_dict[HOOK].add_hook(lambda x, hook: calls.append(1))
    try:
        train(tiny, tokens=100)
        assert calls
        assert n_hooks(tiny) == 1
    finally:
        tiny.reset_hooks()
    del handle


def test_C49_text_that_ends_early_is_no_error_and_the_record_says_so(tiny):
    sae = train(tiny, SENTENCES, tokens=10_000)
    seen = sae.record["tokens"]
    assert 50 <= seen < 10_000
    assert f"{seen:,} of 10,000 tokens seen" in sae.record["notes"]
    assert sae.history["tokens"].iloc[-1] == seen


def test_C49_a_list_is_read_again_when_epochs_allow_it(tiny):
    once, thrice = (train(tiny, SENTENCES, tokens=10_000, epochs=n).record for n in (1, 3))
    assert thrice["tokens"] == 3 * once["tokens"]
    assert "the texts were read 3 times" in thrice["notes"]


def test_C49_no_text_is_an_error(tiny):
    used = iter(["red fox"])
    list(used)
    for texts in ([], [""], used):
        with pytest.raises(SaelabError, match="no text to train on"):
            train(tiny, texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"tokens": 100, "batch": 128},
            "100 tokens is less than one batch of 128 tokens or one context of 32",
        ),
        ({"tokens": 20, "batch": 8}, "20 tokens is less than one batch of 8 tokens or one context of 32"),
        ({"tokens": "lots"}, "a token budget"),
        ({"k": 49}, "k=49 is more than the d_sae=48"),
        ({"k": 0}, "k must be at least 1"),
        ({"arch": "topkk"}, "Did you mean 'topk'"),
        ({"hook": "blocks.0.hook_resid_pots"}, "hook_resid_post"),
        ({"hook": "blocks.0.attn.hook_result"}, "use_attn_result"),
        ({"hook": "blocks.0.attn.hook_pattern"}, "no activations of shape"),
        ({"context": 40}, "between 2 and the model's 32"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"precision": "float8"}, "unknown precision 'float8'"),
        ({"warmup": 2}, "warmup is a share of the steps"),
        ({"lr": -1}, "lr must be positive"),
        ({"texts": b"bytes"}, "texts must be strings or token ids, got the bytes"),
    ],
)
def test_C71_what_cannot_work_is_refused_before_any_step(tiny, options, message):
    texts = options.pop("texts", None) if "texts" in options else None
    steps = []
    with pytest.raises(SaelabError, match=message):
        train(tiny, texts, **options, on_log=steps.append)
    assert not steps


def test_C11_an_unknown_hook_is_a_hook_error(tiny):
    with pytest.raises(HookError):
        train(tiny, hook="nope")


def test_C50_the_folder_is_tried_before_the_first_step(tiny, tmp_path):
    (tmp_path / "file").write_text("x")
    steps = []
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(SaelabError, match="out="):
            train(tiny, tokens=100, out=out, on_log=steps.append)
    assert not steps


@pytest.mark.parametrize("name", ["org/name", "a:b c", "..dots"])
def test_C50_the_result_is_saved_under_odd_names(tiny, tmp_path, name):
    sae = train(tiny, tokens=100, out=tmp_path / name)
    assert same(weights(sl.load_sae(tmp_path / name)), weights(sae))
    assert len(sl.load_sae(tmp_path / name).history) == len(sae.history)


def test_C50_a_logger_that_fails_does_not_lose_the_weights(tiny, tmp_path):
    def broken(trainer):
        if trainer.done == 20:
            raise RuntimeError("the tracker is down")

    with pytest.raises(RuntimeError, match="tracker"):
        train(tiny, out=tmp_path / "sae", on_log=broken)
    back = sl.load_sae(tmp_path / "sae")
    assert back.record["steps"] == 20


def test_C51_a_disk_that_is_full_at_the_end_does_not_lose_the_weights(tiny, tmp_path, monkeypatch):
    from saelab import files

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_tensors", full)
    with pytest.warns(UserWarning, match="not save.*No space left"):
        sae = train(tiny, tokens=100, out=tmp_path)
    assert sae.record["tokens"] == 100


def test_an_interrupt_gives_the_sae_as_it_is_by_then(tiny, tmp_path):
    def stop(trainer):
        if trainer.done == 10:
            raise KeyboardInterrupt

    sae = train(tiny, out=tmp_path, on_log=stop)
    assert sae.record["steps"] == 10
    assert "500 of 2,000 tokens seen" in sae.record["notes"]
    assert same(weights(sl.load_sae(tmp_path)), weights(sae))


def test_a_logger_can_stop_the_run(tiny):
    assert train(tiny, on_log=lambda trainer: trainer.done < 7).record["steps"] == 7


def test_C81_no_bar_when_none_is_wanted(tiny, capsys):
    train(tiny, tokens=100)
    out = capsys.readouterr()
    assert out.out == out.err == ""


def test_the_last_step_takes_what_is_left_of_the_budget(tiny):
    sae = train(tiny, tokens=130, batch=50)
    assert sae.record["steps"] == 3
    assert sae.record["tokens"] == 130


def test_C41_a_bfloat16_model_trains_a_float32_sae():
    from helpers import tiny_model

    sae = train(tiny_model(dtype="bfloat16"), tokens=500)
    assert sae.W_enc.dtype == torch.float32
    assert math.isfinite(sae.history["loss"].iloc[-1])


def test_a_search_in_bfloat16_trains_as_well(tiny, trained):
    fast = train(tiny, precision="bfloat16")
    wanted = trained.history["explained_variance"].iloc[-1]
    assert fast.history["explained_variance"].iloc[-1] == pytest.approx(wanted, abs=0.03)


# ----------------------------------------------------------------------------------- start and schedule


def test_geometric_median_of_a_line_is_its_median():
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0], [1000.0]])
    assert float(geometric_median(x, steps=500)) == pytest.approx(2, abs=0.05)


def test_geometric_median_of_equal_points():
    assert torch.allclose(geometric_median(torch.full((5, 3), 2.0)), torch.full((3,), 2.0))


def offset_data(n=4000):
    g = torch.Generator().manual_seed(0)
    direction = torch.randn(16, generator=g)
    return torch.randn(n, 16, generator=g) + 20 * direction / direction.norm()


def dead_share(sae, x):
    fires = torch.bincount(sae.encode_sparse(x).indices, minlength=sae.config.d_sae)
    return float((fires == 0).float().mean())


def test_C77_centering_keeps_latents_alive_at_the_start():
    x = offset_data()
    sae = SAE(SAEConfig("topk", 16, 64, k=4))
    variance = initialize(sae, x, seed=0)
    assert variance == pytest.approx(16, rel=0.05)
    assert dead_share(sae, x) < 0.05
    with torch.no_grad():
        sae.b_dec.zero_()
    assert dead_share(sae, x) > 0.5


def test_C46_initialize_is_its_own_seed():
    x = offset_data(100)
    made = []
    for seed in (0, 0, 1):
        sae = SAE(SAEConfig("topk", 16, 64, k=4))
        initialize(sae, x, seed)
        made.append(weights(sae))
    assert same(made[0], made[1])
    assert not same(made[0], made[2])
    torch.testing.assert_close(made[0]["W_dec"].norm(dim=1), torch.ones(64))


def trainer(n_steps=100, sae=None, **recipe):
    sae = random_sae() if sae is None else sae
    return Trainer(sae, TrainConfig(**{"tokens": 10_000, "batch": 100, **recipe}), 16.0, n_steps)


def test_the_rate_rises_stays_and_falls():
    t = trainer(lr=1.0, warmup=0.1, decay=0.5)
    rates = []
    for t.done in range(100):
        rates.append(t.rate())
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:50] == pytest.approx([1.0] * 40)
    assert rates[50:] == pytest.approx([(100 - i) / 50 for i in range(50, 100)])
    flat = trainer(lr=1.0, warmup=0, decay=0)
    assert flat.rate() == 1.0


def test_default_lr():
    assert default_lr(2**14, 10**6) == pytest.approx(2e-4)
    assert default_lr(2**12, 10**6) == pytest.approx(4e-4)
    assert default_lr(2**14, 1) == pytest.approx(12e-4)


def test_C39_C77_silence_is_counted_exactly_and_dead_follows_the_window():
    t = trainer(dead_after=250)
    with torch.no_grad():
        t.sae.b_enc[5] = -1e6
    x = torch.randn(100, 16, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        active = set(t.step(x).active.tolist())
        assert t.tokens_since_fired.dtype == torch.int64
        assert (t.tokens_since_fired[list(active)] == 0).all()
    assert int(t.tokens_since_fired[5]) == 300
    assert t.log()["dead"] >= 1


def test_C78_dead_latents_are_revived():
    """Latents that lie dead at the start fire again with the auxiliary loss, and stay dead without."""
    x = torch.randn(2000, 16, generator=torch.Generator().manual_seed(0))
    left = {}
    for coef in (0.0, 1.0):
        sae = SAE(SAEConfig("topk", 16, 64, k=4))
        initialize(sae, x, seed=0)
        with torch.no_grad():
            sae.b_enc[:20] = -1.0
        t = trainer(n_steps=300, sae=sae, aux_coef=coef, dead_after=200, lr=3e-2, batch=100, tokens=30_000)
        for i in range(300):
            t.step(x[100 * (i % 20) :][:100])
        left[coef] = dead_share(sae, x)
    assert left[1.0] < left[0.0]


def test_a_step_moves_the_modules_own_parameters():
    t = trainer()
    before = weights(t.sae)
    t.step(torch.randn(100, 16, generator=torch.Generator().manual_seed(0)))
    assert all(not torch.equal(before[n], p) for n, p in t.sae.named_parameters())


def test_log_gives_means_since_the_last_call():
    t = trainer()
    x = torch.randn(100, 16, generator=torch.Generator().manual_seed(0))
    errors = [float(t.step(x).error) for _ in range(4)]
    line = t.log()
    assert line["fvu"] == pytest.approx(sum(errors) / 4 / 16, rel=1e-4)
    assert line["explained_variance"] == pytest.approx(1 - line["fvu"])
    assert (line["step"], line["tokens"]) == (4, 400)
    assert t.log() is t.curves[-1], "no step since: no new line"
    assert len(t.curves) == 1


@pytest.mark.parametrize("more", [{}, {"tied": True}, {"input_bias": "own", "d_out": 9}], ids=str)
@pytest.mark.parametrize("arch", ["topk", "batchtopk", "relu", "jumprelu", "gated"])
def test_T20_first_weights_are_the_same_however_few_latents_are_made_at_a_time(arch, more, monkeypatch):
    if more.get("tied") and arch != "topk":
        return
    x = torch.randn(300, 7, generator=torch.Generator().manual_seed(1))
    y = x @ torch.randn(7, 9) if "d_out" in more else None
    options = ARCHS[arch].options(target_l0=3.0) if ARCHS[arch].options.sparsity else None

    def made():
        sae = SAE(SAEConfig(arch, 7, 85, k=3 if ARCHS[arch].needs_k else None, **more))
        return initialize(sae, x, 5, y, options), weights(sae)

    whole = made()
    monkeypatch.setattr("saelab.training.start._LATENTS", 16)
    few = made()
    assert few[0] == whole[0]
    torch.testing.assert_close(few[1], whole[1], atol=1e-5, rtol=1e-5)
    directions = few[1].get("W_enc", few[1]["W_dec"].T), whole[1].get("W_enc", whole[1]["W_dec"].T)
    unit = [d / d.norm(dim=0) for d in directions]
    torch.testing.assert_close(*unit, atol=1e-6, rtol=0)

import json
import math
import sys

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

import saelab as sl
from saelab import data, models
from saelab.errors import HookError, SaelabError
from saelab.evaluation.evaluate import kl_divergence
from saelab.sae import SAE, SAEConfig

HOOK = "blocks.0.hook_resid_post"


def evaluate(sae, model, texts=SENTENCES, **options):
    return sl.evaluate(sae, model, texts, progress=False, **options)


def perfect(hook=HOOK, d=16):
    """An SAE whose reconstruction is the input: latents for + and - of each direction."""
    sae = SAE(SAEConfig("topk", d_in=d, d_sae=2 * d, k=2 * d, hook_in=hook))
    eye = torch.eye(d)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([eye, -eye]).T)
        sae.W_dec.copy_(torch.cat([eye, -eye]))
    return sae


class Playing:
    """Give fixed activations, and an SAE with fixed reconstructions, to the code that scores them."""

    def __init__(self, monkeypatch, x, recon):
        self.x, self.recon = torch.tensor(x), torch.tensor(recon)
        self.monkeypatch = monkeypatch

    def report(self, model, batch_tokens=4096):
        """Row i of the text (after BOS) has activation x[i]; nothing of the model is replaced."""
        n, d = self.x.shape
        rows = data.rows_from([(i, 0, [0, 5 + i]) for i in range(n)], bos=True)

        def run_to_hooks(_, ids, hooks, mask=None):
            acts = torch.full((*ids.shape, d), 1e6)  # BOS has a norm that would drown all others
            for b, row in enumerate(ids.tolist()):
                acts[b, 1] = self.x[row[1] - 5]
            return {hooks[0]: acts}

        sae = SAE(SAEConfig("topk", d_in=d, d_sae=n, k=1, hook_in=HOOK, input_bias="none"))
        with torch.no_grad():  # latent i says: the input is x[i]
            unit = self.x / self.x.norm(dim=1, keepdim=True).clamp_min(1e-9)
            sae.W_enc.copy_(unit.T)
            sae.W_dec.copy_(self.recon / (self.x * unit).sum(1, keepdim=True).clamp_min(1e-9))
        with self.monkeypatch.context() as patch:
            patch.setattr(models, "run_to_hooks", run_to_hooks)
            # the package has a function of that name, which hides the module
            patch.setattr(sys.modules["saelab.evaluation.evaluate"], "_downstream", no_losses)
            return sl.evaluate(sae, model, rows, batch_tokens=batch_tokens, tokens=None, progress=False)


def no_losses(*args):
    return {f"{k}_{r}": 1.0 for k in ("ce", "kl") for r in ("clean", "sae", "zero", "mean")} | {
        "predictions": 1
    }


X = [[11.0, 5.0], [13.0, 5.0], [15.0, 8.0]]
RECON = [[11.0, 5.0], [13.0, 6.0], [15.0, 8.0]]


@pytest.mark.parametrize("batch_tokens", [1, 4, 4096])
def test_C06_explained_variance_is_a_ratio_of_sums_about_the_mean(tiny, monkeypatch, batch_tokens):
    report = Playing(monkeypatch, X, RECON).report(tiny, batch_tokens)
    assert report.explained_variance == pytest.approx(1 - 1 / 14, abs=1e-6)
    assert round(report.explained_variance, 6) == 0.928571
    assert report.mse == pytest.approx(1 / 3, rel=1e-5)
    assert report.tokens == 3
    assert report.excluded == 3
    assert report.norm_ratio == pytest.approx(
        sum(np.linalg.norm(r) for r in RECON) / sum(np.linalg.norm(r) for r in X), rel=1e-5
    )


def test_C06_predicting_the_mean_gives_0(tiny, monkeypatch):
    report = Playing(monkeypatch, X, [[13.0, 6.0]] * 3).report(tiny)
    assert report.explained_variance == pytest.approx(0, abs=1e-6)


def test_C06_a_constant_input_is_undefined(tiny, monkeypatch):
    report = Playing(monkeypatch, [[0.1, 0.7]] * 3, [[0.1, 0.7]] * 3).report(tiny)
    assert report.explained_variance is None
    assert any("do not vary" in n for n in report.notes)
    assert "undefined" in report._repr_html_()
    assert json.loads(report.to_json())["explained_variance"] is None


def test_C35_worse_than_the_mean_is_said_in_plain_words(tiny, monkeypatch):
    report = Playing(monkeypatch, X, [[5.0, 1.0]] * 3).report(tiny)
    assert report.explained_variance < 0
    assert any("worse than predicting the mean" in n for n in report.notes)


@pytest.mark.parametrize("n", [4, 64])
def test_C33_mse_is_summed_over_the_width_and_averaged_over_tokens(tiny, monkeypatch, n):
    x = 3 * torch.randn(n, 16, generator=torch.Generator().manual_seed(0))
    report = Playing(monkeypatch, x.tolist(), (x + 0.1).tolist()).report(tiny)
    assert report.mse == pytest.approx(0.16, rel=1e-3)
    meaning = report.to_frame().loc["mse", "meaning"]
    assert "summed over the width" in meaning
    assert "mean over tokens" in meaning


def test_C84_shrinkage_shows_as_a_norm_ratio(tiny, monkeypatch):
    x = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
    report = Playing(monkeypatch, x.tolist(), (0.8 * x).tolist()).report(tiny)
    variance = float((x - x.mean(0)).square().sum(1).mean())
    assert report.norm_ratio == pytest.approx(0.8, rel=1e-4)
    want = 1 - 0.04 * float(x.square().sum(1).mean()) / variance
    assert report.explained_variance == pytest.approx(want, rel=1e-4)


# --------------------------------------------------------------------------------------- whole reports


@pytest.mark.parametrize("hook", [HOOK, "blocks.1.hook_mlp_out", "blocks.0.attn.hook_z"])
def test_a_perfect_sae_spliced_in_is_the_model(tiny, hook):
    report = evaluate(perfect(hook), tiny)
    assert report.explained_variance == pytest.approx(1, abs=1e-6)
    assert report.ce_sae == pytest.approx(report.ce_clean, abs=1e-5)
    assert report.kl_sae == pytest.approx(0, abs=1e-5)
    assert report.loss_recovered_zero == pytest.approx(1, abs=1e-3)
    assert report.norm_ratio == pytest.approx(1, abs=1e-5)
    assert report.cosine == pytest.approx(1, abs=1e-5)


def test_losses_by_hand(tiny):
    """Each number again with plain loops: one text at a time, hooks of our own."""
    sae = random_sae()
    report = evaluate(sae, tiny)
    rows = [torch.from_numpy(r.astype(np.int64))[None] for r in data.tokenize_texts(tiny, SENTENCES)]
    acts = torch.cat([models.run_to_hooks(tiny, r, [HOOK])[HOOK][0, 1:] for r in rows])
    mean = acts.mean(0)
    with torch.no_grad():
        edits = {
            "clean": lambda x: x,
            "sae": lambda x: sae(x).recon,
            "zero": torch.zeros_like,
            "mean": lambda x: mean.expand_as(x),
        }
        n = sum(r.shape[1] - 2 for r in rows)  # not the prediction made at BOS
        logps = {}
        for name, edit in edits.items():

            def hook(x, edit=edit):
                x = x.clone()
                x[:, 1:] = edit(x[:, 1:])  # BOS stands at 0 and is left alone
                return x

            with models.hooked(tiny, {HOOK: hook}):
                logps[name] = [models.forward(tiny, r)[0, 1:-1].log_softmax(-1) for r in rows]
            ce = -sum(
                float(lp.gather(1, r[0, 2:, None]).sum()) for lp, r in zip(logps[name], rows, strict=True)
            )
            assert getattr(report, f"ce_{name}") == pytest.approx(ce / n, rel=1e-4)
            kl = sum(
                float((a.exp() * (a - b)).sum()) for a, b in zip(logps["clean"], logps[name], strict=True)
            )
            if name != "clean":
                assert getattr(report, f"kl_{name}") == pytest.approx(kl / n, rel=1e-3, abs=1e-6)
    z = sae.encode(acts)
    error = (acts - sae(acts).recon).square().sum().detach()
    assert report.predictions == n
    assert report.tokens == len(acts)
    assert report.excluded == len(rows)
    assert report.l0 == pytest.approx(float((z > 0).sum(1).float().mean()), rel=1e-6)
    assert report.dead == int(((z > 0).sum(0) == 0).sum())
    assert report.explained_variance == pytest.approx(
        float(1 - error / (acts - mean).square().sum()), abs=1e-5
    )
    assert report.loss_recovered_zero == pytest.approx(
        (report.ce_zero - report.ce_sae) / (report.ce_zero - report.ce_clean)
    )


def test_nothing_depends_on_the_batch_size(tiny):
    sae = random_sae()
    reports = [evaluate(sae, tiny, batch_tokens=n) for n in (1, 40, 4096)]
    for other in reports[1:]:
        for name, value in reports[0].to_dict().items():
            if isinstance(value, float):
                assert getattr(other, name) == pytest.approx(value, rel=1e-4, abs=1e-6), name
            else:
                assert getattr(other, name) == value, name


def test_C16_bos_is_never_replaced(tiny):
    seen = []

    class Watch(SAE):
        def encode_sparse(self, x):
            seen.append(x)
            return super().encode_sparse(x)

    bos = models.run_to_hooks(tiny, torch.tensor([[0]]), [HOOK])[HOOK][0, 0]
    sae = perfect()
    sae.__class__ = Watch
    clean = evaluate(sae, tiny).ce_clean
    first = seen[0]  # of the reconstruction pass: counted positions only
    assert (first - bos).norm(dim=1).min() > 1e-3
    one = [t[:1] for t in SENTENCES]  # BOS and about one token: the only prediction stands at BOS
    texts = [t for t in one if len(models.tokenize(tiny, t)) == 2]
    assert evaluate(sae, tiny, texts).predictions == 0
    assert math.isfinite(clean)


def test_C44_an_ablation_without_effect_leaves_loss_recovered_undefined(tiny):
    model, hook = tiny_model(), "blocks.1.mlp.hook_post"
    with torch.no_grad():  # what this MLP computes reaches nobody
        for name, p in model.named_parameters():
            if ".h.1." in name and "c_proj" in name and ".mlp." in name:
                p.zero_()
    report = evaluate(random_sae(d_in=64, hook_in=hook), model)
    assert report.loss_recovered_zero is None
    assert report.loss_recovered_mean is None
    assert sum("does not change the loss" in n for n in report.notes) == 2
    assert json.loads(report.to_json())["loss_recovered_zero"] is None


def test_C44_without_a_next_token_the_losses_are_undefined_not_0():
    model = tiny_model()
    sae = random_sae(bos=False)
    rows = data.rows_from([(i, 0, [20 + i]) for i in range(5)], bos=False)
    report = evaluate(sae, model, rows)
    assert report.predictions == 0
    assert report.ce_clean is report.ce_sae is report.kl_sae is report.loss_recovered_zero is None
    assert any("no next token" in n for n in report.notes)
    assert "undefined" in report._repr_html_()
    json.loads(report.to_json())


def test_C44_nothing_to_count_is_an_error(tiny):
    rows = data.rows_from([(0, 0, [0])], bos=True)
    with pytest.raises(SaelabError, match="every position is a special token or padding"):
        evaluate(random_sae(), tiny, rows)


def test_C44_C55_an_sae_without_a_live_latent(tiny):
    sae = random_sae()
    with torch.no_grad():
        sae.b_enc.fill_(-1e6)
    report = evaluate(sae, tiny)
    assert report.l0 == 0
    assert report.dead == 64
    assert report.rare == report.dense == 0
    assert math.isfinite(report.ce_sae)


def test_C77_dead_rare_and_dense_are_separate_counts(tiny):
    report = evaluate(perfect(), tiny)
    assert report.dense > 0
    assert report.dead + report.rare + report.dense <= 32
    assert "never fired" in report.to_frame().loc["dead", "meaning"]
    assert "dead ones not counted" in report.to_frame().loc["rare", "meaning"]


@pytest.mark.parametrize(("model_dtype", "sae_dtype"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_C41_dtypes_may_differ(model_dtype, sae_dtype):
    model = tiny_model(dtype=model_dtype)
    report = evaluate(random_sae(dtype=sae_dtype), model)
    assert math.isfinite(report.ce_sae)
    assert math.isfinite(report.explained_variance)
    json.loads(report.to_json())


def test_C46_evaluating_changes_neither_model_nor_sae_nor_the_global_generator(tiny):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    sae = random_sae()
    weights = {n: p.clone() for n, p in [*sae.named_parameters(), *tiny.named_parameters()]}
    evaluate(sae, tiny)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(p, weights[n]) for n, p in [*sae.named_parameters(), *tiny.named_parameters()])


def test_C22_no_hook_stays_when_the_sae_fails(tiny):
    from test_models import n_hooks

    with pytest.raises(SaelabError, match="must be d_in=8"):
        evaluate(random_sae(d_in=8), tiny)
    assert n_hooks(tiny) == 0


def test_a_hook_that_is_not_there_a_transcoder_and_no_text_are_refused(tiny):
    with pytest.raises(HookError, match="layers 0…1"):
        evaluate(random_sae(hook_in="blocks.7.hook_resid_post"), tiny)
    with pytest.raises(SaelabError, match="a transcoder is evaluated at its target"):
        evaluate(random_sae(hook_in=HOOK, hook_out="blocks.1.hook_resid_post", input_bias="none"), tiny)
    with pytest.raises(SaelabError, match="there is no text"):
        evaluate(random_sae(), tiny, [])
    with pytest.raises(SaelabError, match="bos=True was asked for"):
        evaluate(random_sae(), tiny, data.tokenize_texts(tiny, SENTENCES, bos=False))


def test_the_budget_stops_endless_text(tiny):
    import itertools

    report = evaluate(random_sae(), tiny, itertools.cycle(SENTENCES), tokens=300)
    assert 300 <= report.tokens + report.excluded < 300 + 32


def test_the_table_keeps_counts_whole_and_undefined_apart(tiny):
    report = evaluate(random_sae(), tiny)
    frame = report.to_frame()
    assert list(frame.columns) == ["value", "meaning"]
    assert isinstance(frame.loc["dead", "value"], int)
    assert frame["meaning"].str.len().min() > 5
    assert f"{report.tokens:,} tokens counted" in report._repr_html_()


# -------------------------------------------------------------------------------------------------- KL


def logp(*values):
    return torch.tensor(values).log_softmax(-1)


def test_C43_kl_of_far_apart_logits_is_finite_and_has_a_direction():
    p, q = logp(0.0, -200.0), logp(-200.0, 0.0)
    assert float(kl_divergence(p, q)) == pytest.approx(200)
    assert float(kl_divergence(logp(0.0, -1.0), logp(0.0, -9.0))) != pytest.approx(
        float(kl_divergence(logp(0.0, -9.0), logp(0.0, -1.0)))
    )


def test_C43_equal_logits_give_0_and_masked_vocabulary_is_left_out():
    inf = float("inf")
    assert float(kl_divergence(logp(1.0, 2.0), logp(1.0, 2.0))) == 0
    assert float(kl_divergence(logp(1.0, -inf), logp(5.0, -inf))) == 0
    want = float(kl_divergence(logp(1.0, 2.0), logp(0.0, 3.0)))
    assert float(kl_divergence(logp(1.0, 2.0, -inf), logp(0.0, 3.0, -inf))) == pytest.approx(want)
    assert math.isinf(float(kl_divergence(logp(1.0, 2.0), logp(1.0, -inf)))), "what p says and q forbids"
    assert math.isnan(float(kl_divergence(logp(1.0, float("nan")), logp(1.0, 2.0)))), "a NaN stays visible"


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=8), st.integers(0, 99))
@settings(deadline=None)
def test_C43_kl_is_never_negative(values, seed):
    p = torch.tensor(values, dtype=torch.float64).log_softmax(-1)
    q = torch.randn(
        len(values), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).log_softmax(-1)
    assert float(kl_divergence(p, q)) >= -1e-12


def test_C44_an_infinite_loss_is_null_in_json(tiny):
    from dataclasses import replace

    report = replace(evaluate(random_sae(), tiny), kl_zero=math.inf, ce_zero=math.nan)
    values = json.loads(report.to_json())
    assert values["kl_zero"] is values["ce_zero"] is None
    assert values["ce_clean"] == report.ce_clean

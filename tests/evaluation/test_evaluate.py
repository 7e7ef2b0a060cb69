import json
import math

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_model
from hypothesis import given
from hypothesis import strategies as st
from kinds import KINDS

import saelab as sl
from saelab import models
from saelab.errors import HookError, SaelabError
from saelab.interventions.passes import watched
from saelab.models.lens import kl_divergence
from saelab.sae import SAE, SAEConfig

HOOK = "blocks.0.hook_resid_post"


def evaluate(model, sae, texts=SENTENCES, **options):
    return sl.evaluate(model, sae, texts, progress=False, **options)


def perfect(hook=HOOK, d=16):
    """An SAE whose reconstruction is the input: latents for + and - of each direction."""
    sae = SAE(SAEConfig("topk", d_in=d, d_sae=2 * d, k=2 * d, hook_in=hook))
    eye = torch.eye(d)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([eye, -eye]).T)
        sae.W_dec.copy_(torch.cat([eye, -eye]))
    return sae


class Playing:
    """Give fixed activations of width up to 16 to a model's pass, and an SAE with fixed reconstructions."""

    def __init__(self, x, recon, bos=1e3):
        self.x, self.recon = wide(x), wide(recon)
        self.bos = bos  # BOS has a norm that would drown all others

    def report(self, model, batch_tokens=4096, **options):
        """Row i of the text (after BOS) has activation x[i]."""
        n = len(self.x)
        rows = models.rows_from([(i, 0, [0, 5 + i]) for i in range(n)], bos=True)
        sae = SAE(SAEConfig("topk", d_in=16, d_sae=n, k=1, hook_in=HOOK, input_bias="none"))
        with torch.no_grad():  # latent i says: the input is x[i]
            unit = self.x / self.x.norm(dim=1, keepdim=True).clamp_min(1e-9)
            sae.W_enc.copy_(unit.T)
            sae.W_dec.copy_(self.recon / (self.x * unit).sum(1, keepdim=True).clamp_min(1e-9))

        def play(_, p):
            table = torch.cat([torch.full((5, 16), self.bos), self.x])
            return table[p.ids]

        with watched(model, {HOOK: play}):
            return sl.evaluate(
                model, sae, rows, batch_tokens=batch_tokens, tokens=None, progress=False, **options
            )


def wide(x):
    x = torch.tensor(x)
    return torch.cat([x, torch.zeros(len(x), 16 - x.shape[1])], 1)


X = [[11.0, 5.0], [13.0, 5.0], [15.0, 8.0]]
RECON = [[11.0, 5.0], [13.0, 6.0], [15.0, 8.0]]


@pytest.mark.parametrize("batch_tokens", [1, 4, 4096])
def test_C06_explained_variance_is_a_ratio_of_sums_about_the_mean(tiny, batch_tokens):
    report = Playing(X, RECON).report(tiny, batch_tokens)
    assert report.explained_variance == pytest.approx(1 - 1 / 14, abs=1e-6)
    assert round(report.explained_variance, 6) == 0.928571
    assert report.mse == pytest.approx(1 / 3, rel=1e-5)
    assert report.tokens == 3
    assert report.excluded == 3
    assert report.norm_ratio == pytest.approx(
        sum(np.linalg.norm(r) for r in RECON) / sum(np.linalg.norm(r) for r in X), rel=1e-5
    )


def test_C06_predicting_the_mean_gives_0(tiny):
    report = Playing(X, [[13.0, 6.0]] * 3).report(tiny)
    assert report.explained_variance == pytest.approx(0, abs=1e-6)


def test_C06_a_constant_input_is_undefined(tiny):
    report = Playing([[0.1, 0.7]] * 3, [[0.1, 0.7]] * 3).report(tiny)
    assert report.explained_variance is None
    assert any("do not vary" in n for n in report.notes)
    assert "undefined" in report._repr_html_()
    assert json.loads(report.to_json())["explained_variance"] is None


def test_C35_worse_than_the_mean_is_said_in_plain_words(tiny):
    report = Playing(X, [[5.0, 1.0]] * 3).report(tiny)
    assert report.explained_variance < 0
    assert any("worse than predicting the mean" in n for n in report.notes)


@pytest.mark.parametrize("n", [4, 64])
def test_C33_mse_is_summed_over_the_width_and_averaged_over_tokens(tiny, n):
    x = 3 * torch.randn(n, 16, generator=torch.Generator().manual_seed(0))
    report = Playing(x.tolist(), (x + 0.1).tolist()).report(tiny)
    assert report.mse == pytest.approx(0.16, rel=1e-3)
    meaning = report.to_frame().loc["mse", "meaning"]
    assert "summed over the width" in meaning
    assert "mean over tokens" in meaning


def test_C84_shrinkage_shows_as_a_norm_ratio(tiny):
    x = torch.randn(20, 16, generator=torch.Generator().manual_seed(0))
    report = Playing(x.tolist(), (0.8 * x).tolist()).report(tiny)
    variance = float((x - x.mean(0)).square().sum(1).mean())
    assert report.norm_ratio == pytest.approx(0.8, rel=1e-4)
    want = 1 - 0.04 * float(x.square().sum(1).mean()) / variance
    assert report.explained_variance == pytest.approx(want, rel=1e-4)


# --------------------------------------------------------------------------------------- whole reports


@pytest.mark.parametrize("hook", [HOOK, "blocks.1.hook_mlp_out", "blocks.0.attn.hook_z"])
def test_a_perfect_sae_spliced_in_is_the_model(tiny, hook):
    report = evaluate(tiny, perfect(hook))
    assert report.explained_variance == pytest.approx(1, abs=1e-6)
    assert report.ce_sae == pytest.approx(report.ce_clean, abs=1e-5)
    assert report.kl_sae == pytest.approx(0, abs=1e-5)
    assert report.loss_recovered_zero == pytest.approx(1, abs=1e-3)
    assert report.norm_ratio == pytest.approx(1, abs=1e-5)
    assert report.cosine == pytest.approx(1, abs=1e-5)


def test_losses_by_hand(tiny):
    """Each number again with plain loops: one text at a time, hooks of our own."""
    sae = random_sae()
    report = evaluate(tiny, sae)
    rows = [torch.from_numpy(r.astype(np.int64))[None] for r in models.tokenize_texts(tiny, SENTENCES)]
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
    reports = [evaluate(tiny, sae, batch_tokens=n) for n in (1, 40, 4096)]
    for other in reports[1:]:
        for name, value in reports[0].to_dict().items():
            if isinstance(value, float):
                assert getattr(other, name) == pytest.approx(value, rel=1e-4, abs=1e-6), name
            elif name == "intervals":
                assert {k: pytest.approx(v, rel=1e-3, abs=1e-6) for k, v in value.items()} == other.intervals
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
    clean = evaluate(tiny, sae).ce_clean
    assert sum(int(((x - bos).norm(dim=1) < 1e-3).sum()) for x in seen) == len(SENTENCES), "for one number"
    one = [t[:1] for t in SENTENCES]  # BOS and about one token: the only prediction stands at BOS
    texts = [t for t in one if len(models.tokenize(tiny, t)) == 2]
    assert evaluate(tiny, sae, texts).predictions == 0
    assert math.isfinite(clean)


def test_C44_an_ablation_without_effect_leaves_loss_recovered_undefined(tiny):
    model, hook = tiny_model(), "blocks.1.mlp.hook_post"
    with torch.no_grad():  # what this MLP computes reaches nobody
        for name, p in model.named_parameters():
            if ".h.1." in name and "c_proj" in name and ".mlp." in name:
                p.zero_()
    report = evaluate(model, random_sae(d_in=64, hook_in=hook))
    assert report.loss_recovered_zero is None
    assert report.loss_recovered_mean is None
    assert sum("does not change the loss" in n for n in report.notes) == 2
    assert json.loads(report.to_json())["loss_recovered_zero"] is None


def test_C44_without_a_next_token_the_losses_are_undefined_not_0():
    model = tiny_model()
    sae = random_sae(bos=False)
    rows = models.rows_from([(i, 0, [20 + i]) for i in range(5)], bos=False)
    report = evaluate(model, sae, rows)
    assert report.predictions == 0
    assert report.ce_clean is report.ce_sae is report.kl_sae is report.loss_recovered_zero is None
    assert any("no next token" in n for n in report.notes)
    assert "undefined" in report._repr_html_()
    json.loads(report.to_json())


def test_C44_nothing_to_count_is_an_error(tiny):
    rows = models.rows_from([(0, 0, [0])], bos=True)
    with pytest.raises(SaelabError, match="every position is a special token or padding"):
        evaluate(tiny, random_sae(), rows)


def test_C44_C55_an_sae_without_a_live_latent(tiny):
    sae = random_sae()
    with torch.no_grad():
        sae.b_enc.fill_(-1e6)
    report = evaluate(tiny, sae)
    assert report.l0 == 0
    assert report.dead == 64
    assert report.dense == 0
    assert report.density_p50 is None
    assert math.isfinite(report.ce_sae)


def test_C77_dead_rare_and_dense_are_separate_counts(tiny):
    report = evaluate(tiny, perfect())
    assert report.dense > 0
    assert report.dead + report.dense <= 32
    assert report.rare is None, "so few tokens cannot tell"
    assert "never fired" in report.to_frame().loc["dead", "meaning"]
    assert "dead ones not counted" in report.to_frame().loc["rare", "meaning"]


@pytest.mark.parametrize(("model_dtype", "sae_dtype"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_C41_dtypes_may_differ(model_dtype, sae_dtype):
    model = tiny_model(dtype=model_dtype)
    report = evaluate(model, random_sae(dtype=sae_dtype))
    assert math.isfinite(report.ce_sae)
    assert math.isfinite(report.explained_variance)
    json.loads(report.to_json())


def test_C46_evaluating_changes_neither_model_nor_sae_nor_the_global_generator(tiny):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    sae = random_sae()
    weights = {n: p.clone() for n, p in [*sae.named_parameters(), *tiny.named_parameters()]}
    evaluate(tiny, sae)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(p, weights[n]) for n, p in [*sae.named_parameters(), *tiny.named_parameters()])


def test_C22_no_hook_stays_when_the_sae_fails(tiny):
    with pytest.raises(SaelabError, match="must be d_in=8"):
        evaluate(tiny, random_sae(d_in=8))
    assert not any(point.fwd_hooks for point in tiny.hook_dict.values())


def test_a_hook_that_is_not_there_and_no_text_are_refused(tiny):
    with pytest.raises(HookError, match="layers 0…1"):
        evaluate(tiny, random_sae(hook_in="blocks.7.hook_resid_post"))
    with pytest.raises(SaelabError, match="there is no text"):
        evaluate(tiny, random_sae(), [])
    with pytest.raises(SaelabError, match="bos=True was asked for"):
        evaluate(tiny, random_sae(), models.tokenize_texts(tiny, SENTENCES, bos=False))


def test_the_budget_stops_endless_text(tiny):
    import itertools

    report = evaluate(tiny, random_sae(), itertools.cycle(SENTENCES), tokens=300)
    assert 300 <= report.tokens + report.excluded < 300 + 32


def test_the_table_keeps_counts_whole_and_undefined_apart(tiny):
    report = evaluate(tiny, random_sae())
    frame = report.to_frame()
    assert list(frame.columns) == ["value", "low", "high", "meaning"]
    assert isinstance(frame.loc["dead", "value"], int)
    assert frame["meaning"].str.len().min() > 5
    assert f"{report.tokens:,} tokens of 5 documents counted" in report._repr_html_()


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
def test_C43_kl_is_never_negative(values, seed):
    p = torch.tensor(values, dtype=torch.float64).log_softmax(-1)
    q = torch.randn(
        len(values), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).log_softmax(-1)
    assert float(kl_divergence(p, q)) >= -1e-12


def test_C44_an_infinite_loss_is_null_in_json(tiny):
    from dataclasses import replace

    report = evaluate(tiny, random_sae())
    report = replace(report, values={**report.values, "kl_zero": math.inf, "ce_zero": math.nan})
    values = json.loads(report.to_json())
    assert values["kl_zero"] is values["ce_zero"] is None
    assert values["ce_clean"] == report.ce_clean


# ------------------------------------------------------------------ what counts, and numbers over latents


def test_C16_explained_variance_with_and_without_special_tokens():
    x, recon = wide([[0.0, 2.0], [0.0, -2.0]]), wide([[0.0, 1.0], [0.0, -1.0]])
    report = Playing([[0.0, 2.0], [0.0, -2.0]], recon.tolist(), bos=30.0).report(tiny_model())
    assert report.explained_variance == pytest.approx(1 - 2 / 8, rel=1e-5)
    # BOS stands twice, with the activation 30 · 1; no latent is meant for it, one of them fires: (0, 15, 0, …)
    every = torch.cat([x, torch.full((2, 16), 30.0)])
    bos_recon = torch.zeros(2, 16)
    bos_recon[:, 1] = 15.0  # unit · 30 = 30, times recon / (x · unit) = 1 / 2
    error = (every - torch.cat([recon, bos_recon])).square().sum()
    assert report.explained_variance_special == pytest.approx(
        float(1 - error / (every - every.mean(0)).square().sum()), rel=1e-5
    )
    assert "special tokens" in report.to_frame().loc["explained_variance_special", "meaning"]


def test_C14_C15_special_tokens_are_left_out_by_id_wherever_they_stand(tiny):
    rows = models.rows_from(
        [(0, 0, [20, 21]), (1, 0, [0, 20, 21, 22, 23]), (2, 0, [0, 20, 0, 21, 22])], bos=False
    )
    report = evaluate(tiny, random_sae(bos=False), rows)
    assert report.tokens == 9
    assert report.excluded == 3
    assert report.predictions == 1 + 3 + 1, "not from 20 to BOS, nor from BOS to 21"


def test_C12_C29_each_text_alone_gives_the_same_sums_as_all_in_one_padded_batch(tiny):
    sae = random_sae()
    rows = models.rows_from(
        [(0, 0, [0, 30]), (1, 0, [0, 31, 32, 33, 34, 35, 36]), (2, 0, [0, 37, 38, 39])], bos=True
    )
    together = evaluate(tiny, sae, rows)
    alone = [evaluate(tiny, sae, models.rows_from([(0, 0, rows[i].tolist())], bos=True)) for i in range(3)]
    assert together.tokens == sum(r.tokens for r in alone) == 10
    for name, weight in (
        ("mse", "tokens"),
        ("l0", "tokens"),
        ("cosine", "tokens"),
        ("ce_sae", "predictions"),
    ):
        parts = [(getattr(r, name), getattr(r, weight)) for r in alone if getattr(r, weight)]
        want = sum(v * n for v, n in parts) / sum(n for _, n in parts)
        assert getattr(together, name) == pytest.approx(want, rel=1e-4), name
    assert evaluate(tiny, random_sae(d_sae=1, k=1)).d_sae == 1


def test_fvu_is_the_error_beside_that_of_the_mean(tiny):
    report = Playing(X, RECON).report(tiny)
    assert report.fvu == pytest.approx(1 / 14, abs=1e-6)
    assert "predicting the mean" in report.to_frame().loc["fvu", "meaning"]


def test_cosine_by_hand(tiny):
    report = Playing([[3.0, 4.0], [5.0, 0.0]], [[4.0, 3.0], [0.0, 1.0]]).report(tiny)
    assert report.cosine == pytest.approx((24 / 25 + 0) / 2, abs=1e-5)


def test_quantiles_of_l0_and_density_by_brute_force(tiny):
    sae = random_sae("relu", k=None)
    report = evaluate(tiny, sae)
    rows = models.tokenize_texts(tiny, SENTENCES)
    acts = torch.cat(
        [
            models.run_to_hooks(tiny, torch.from_numpy(r.astype(np.int64))[None], [HOOK])[HOOK][0, 1:]
            for r in rows
        ]
    )
    on = (sae.encode(acts) > 0).numpy()
    l0, density = np.sort(on.sum(1)), np.sort(on.mean(0)[on.any(0)])
    for q in (5, 50, 95):
        assert getattr(report, f"l0_p{q}") == l0[math.ceil(q / 100 * len(l0)) - 1]
        assert getattr(report, f"density_p{q}") == pytest.approx(
            density[math.ceil(q / 100 * len(density)) - 1]
        )
    np.testing.assert_allclose(report.density, on.mean(0))
    assert report.dense == int((on.mean(0) > 0.1).sum())


def test_rare_is_counted_when_there_are_tokens_enough(tiny, monkeypatch):
    from saelab.evaluation import metrics as module

    monkeypatch.setattr(module, "_RARE", 20)
    report = evaluate(tiny, random_sae())
    assert report.rare == int(((report.density > 0) & (report.density < 1 / 20)).sum()) > 0


# ----------------------------------------------------------------------------- transcoders and crosscoders


def acts_of(model, hooks):
    rows = models.tokenize_texts(model, SENTENCES)
    out = {h: [] for h in hooks}
    for r in rows:
        found = models.run_to_hooks(model, torch.from_numpy(r.astype(np.int64))[None], list(hooks))
        for h in hooks:
            out[h].append(found[h][0, 1:])
    return rows, {h: torch.cat(x) for h, x in out.items()}


def ce_by_hand(model, rows, edits):
    """``edits``: hook -> (clean rows of that text after BOS) -> what to put there."""
    total = n = 0
    for i, r in enumerate(rows):
        ids = torch.from_numpy(r.astype(np.int64))[None]

        def put(x, i=i, edit=None):
            x = x.clone()
            x[0, 1:] = edit(i).detach()
            return x

        with (
            models.hooked(model, {h: lambda x, e=e: put(x, edit=e) for h, e in edits.items()}),
            torch.no_grad(),
        ):
            logp = models.forward(model, ids)[0, 1:-1].log_softmax(-1)
        total -= float(logp.gather(1, ids[0, 2:, None]).sum())
        n += ids.shape[1] - 2
    return total / n


def test_a_transcoder_is_measured_against_its_target_and_put_there(tiny):
    into, out = "blocks.0.mlp.hook_in", "blocks.0.hook_mlp_out"
    sae = random_sae(hook_in=into, hook_out=out, input_bias="none")
    report = evaluate(tiny, sae)
    rows, acts = acts_of(tiny, (into, out))
    recon = sae.decode(sae.encode_sparse(acts[into])).detach()
    y = acts[out]
    want = 1 - (y - recon).square().sum() / (y - y.mean(0)).square().sum()
    assert report.explained_variance == pytest.approx(float(want), rel=1e-4)
    parts = recon.split([len(r) - 1 for r in rows])
    assert report.ce_sae == pytest.approx(ce_by_hand(tiny, rows, {out: lambda i: parts[i]}), rel=1e-5)
    assert report.ce_zero == pytest.approx(
        ce_by_hand(tiny, rows, {out: lambda i: torch.zeros_like(parts[i])}), rel=1e-5
    )
    assert (report.hook, report.hook_out) == (into, out)
    assert "→" in report._repr_html_()


def test_a_crosscoder_is_put_at_all_its_hook_points_at_once(tiny):
    hooks = ("blocks.0.hook_resid_post", "blocks.1.hook_mlp_out")
    sae = random_sae(d_in=32, hook_in=hooks, widths=(16, 16))
    report = evaluate(tiny, sae)
    rows, acts = acts_of(tiny, hooks)
    x = torch.cat([acts[h] for h in hooks], 1)
    recon = sae(x).recon.detach()
    want = 1 - (x - recon).square().sum() / (x - x.mean(0)).square().sum()
    assert report.explained_variance == pytest.approx(float(want), rel=1e-4)
    edits = {}
    for i, h in enumerate(hooks):
        y, part = x[:, 16 * i : 16 * i + 16], recon[:, 16 * i : 16 * i + 16]
        want = 1 - (y - part).square().sum() / (y - y.mean(0)).square().sum()
        assert report.by_hook[h] == pytest.approx(float(want), rel=1e-4)
        edits[h] = part.split([len(r) - 1 for r in rows]).__getitem__
    assert report.ce_sae == pytest.approx(ce_by_hand(tiny, rows, edits), rel=1e-5)
    assert hooks[1] in report._repr_html_()
    assert set(json.loads(report.to_json())["by_hook"]) == set(hooks)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_sae_can_be_evaluated(tiny, kind):
    changed = {"d_in": 16, "hook_in": HOOK, "d_sae": 40}
    given = dict(KINDS[kind])
    if "widths" in given:
        given |= {"hook_in": (HOOK, "blocks.1.hook_mlp_out"), "widths": (16, 16)}
        changed = {"d_in": 32, "d_sae": 40}
    elif "hook_out" in given:
        given |= {"hook_in": HOOK, "hook_out": "blocks.1.hook_resid_post", "d_out": 16}
    report = evaluate(tiny, random_sae(**({"k": None} | changed | given)))
    assert math.isfinite(report.kl_sae)
    assert report.kl_sae > 0
    assert report.explained_variance < 1


def test_every_metric_has_its_row(tiny):
    from saelab.evaluation.metrics import METRICS

    report = evaluate(tiny, random_sae())
    assert list(report.values) == [m.name for m in METRICS] == list(report.to_frame().index)
    assert {m.name for m in METRICS} <= set(dir(report))
    with pytest.raises(AttributeError, match="Did you mean 'explained_variance'"):
        report.explained_varianc  # noqa: B018


def test_D62_copies_of_a_document_are_no_evidence_of_their_own(tiny):
    """Sixty copies gave intervals of no width."""
    report = sl.evaluate(tiny, random_sae(), ["The red fox ran over the hill"] * 60, progress=False)
    assert (report.documents, report.intervals) == (60, {})
    assert "59 documents are copies of others: intervals count the 1 that differ" in report.notes
    texts = [f"The red fox ran {i} times" for i in range(60)]
    once, thrice = (sl.evaluate(tiny, random_sae(), t, progress=False) for t in (texts, texts * 3))
    assert once.intervals
    for name, interval in once.intervals.items():
        assert thrice.intervals[name] == pytest.approx(interval, rel=1e-4), name


def test_D62_densities_of_copies_and_halves_of_a_probe(tiny):
    sae, texts = random_sae(), [f"The red fox ran {i} times" for i in range(30)]
    once, thrice = (sl.LatentIndex.build(tiny, sae, t, progress=False).stats() for t in (texts, texts * 3))
    assert once["density_lo"].notna().any()
    for side in ("density_lo", "density_hi"):
        np.testing.assert_allclose(thrice[side], once[side], rtol=1e-9)
    copies = sl.LatentIndex.build(tiny, sae, ["The red fox ran"] * 30, progress=False)
    assert copies.stats()["density_lo"].isna().all()
    with pytest.raises(SaelabError, match="one of the indexes has 1"):
        copies.diff(copies)

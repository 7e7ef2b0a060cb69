"""The trainer by itself, on activations made here."""

import dataclasses
import math

import pytest
import torch
from kinds import rows

from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS
from saelab.training import TrainConfig, Trainer, start
from saelab.training.spec import make_options
from saelab.training.trainer import default_lr


def trainer(arch="topk", d=16, d_sae=64, k=4, x=None, n_steps=100, options=None, seed=0, **recipe):
    sae = SAE(
        SAEConfig(
            arch=arch, d_in=d, d_sae=d_sae, k=k if arch in ("topk", "batchtopk", "matryoshka") else None
        )
    )
    typed = make_options(arch, options, k)
    x = rows(500, d=d) if x is None else x
    variance = start.initialize(sae, x, seed, None, typed)
    return Trainer(sae, TrainConfig(tokens=n_steps * 64, batch=64, **recipe), variance, n_steps, typed)


def test_C38_a_threshold_moves_by_the_learning_rate():
    """Direct parameter: 500 Adam steps of 3e-4 in one direction move it by 0.15; its logarithm from 0.01 by
    0.01 * (exp(0.15) - 1) = 0.0016."""
    t = trainer("jumprelu", options={"target_l0": 1e-6, "threshold": 0.01, "bandwidth": 50.0, "warm": 0.0},
                n_steps=500, lr=3e-4, warmup=0.0, decay=0.0, clip=1e9)  # fmt: skip
    assert t.sae.threshold.tolist() == pytest.approx([0.01] * 64)
    x = rows(64, d=16)
    for _ in range(500):
        t.step(x)
    moved = t.sae.threshold.detach().mean() - 0.01
    assert 0.12 < float(moved) < 0.16


def test_C39_masters_and_counters_are_wide():
    t = trainer("jumprelu")
    assert t.sae.threshold.dtype == torch.float32
    with torch.no_grad():
        t.sae.threshold.fill_(0.3).add_(3e-4)
    assert float(t.sae.threshold.detach()[0]) == pytest.approx(0.3003)
    assert t.tokens_since_fired.dtype == torch.int64
    t.step(rows(64, d=16))
    assert t._sums["l0"].dtype == torch.float64


def test_C80_steps_taken_are_steps_asked():
    t = trainer(precision="bfloat16")
    for i in range(7):
        t.step(rows(64, seed=i, d=16))
    assert t.done == 7
    assert {int(s["step"]) for s in t.adam.state.values()} == {7}


@pytest.mark.parametrize("arch", ["topk", "batchtopk", "matryoshka", "relu", "gated", "jumprelu"])
def test_every_architecture_learns_and_stays_in_its_constraints(arch):
    g = torch.Generator().manual_seed(3)
    features = torch.randn(24, 16, generator=g)

    def batch(i):
        g.manual_seed(1000 + i)
        on = (torch.rand(256, 24, generator=g) < 0.12) * torch.rand(256, 24, generator=g)
        return on @ features + 0.5

    k = 6 if arch == "relu" else 3  # an L1 penalty shrinks: it needs more latents for the same
    t = trainer(arch, x=batch(-1), n_steps=300, k=k, lr=3e-3)
    for i in range(300):
        found = t.step(batch(i))
        assert found.error.isfinite()
        if i % 60 == 59:
            t.log()
    assert t.curves[-1]["explained_variance"] > 0.6
    assert 0.5 * k < t.curves[-1]["l0"] < 2 * k
    if t.unit:
        torch.testing.assert_close(t.sae.W_dec.norm(dim=1), torch.ones(64), atol=1e-5, rtol=0)
    if arch != "topk" and "threshold" in t.sae.arch.parameters(t.sae.config):
        assert (t.sae.threshold >= 0).all()
    # what was trained is what inference does: each row for itself, about as sparse
    x = batch(999)
    codes = t.sae.encode_sparse(x)
    error = (t.sae.decode(codes).detach() - x).square().sum() / (x - x.mean(0)).square().sum()
    assert float(error) < 0.45
    assert float(codes.l0().float().mean()) == pytest.approx(t.curves[-1]["l0"], rel=0.3)


def test_schedule_rises_holds_and_falls():
    t = trainer(n_steps=100, lr=1.0, warmup=0.1, decay=0.5)
    rates = []
    for i in range(100):
        t.done = i
        rates.append(t.rate())
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == [1.0] * 42
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)
    assert default_lr(2**14, 10**6) == 2e-4


def test_k_is_annealed():
    o = make_options("topk", {"k_start": 20, "k_until": 0.5}, 4)
    assert [o.k(4, p, 64) for p in (0, 0.25, 0.5, 1)] == [20, 12, 4, 4]
    assert o.k(4, 0, 10) == 10


def test_p_is_annealed():
    o = make_options("relu", {"l1": 1.0, "p_end": 0.5, "p_from": 0.5}, None)
    assert [o.p(x) for x in (0, 0.5, 0.75, 1)] == [1, 1, 0.75, 0.5]


def test_the_running_mean_of_weights_is_corrected_for_its_beginning():
    t = trainer(ema=0.9)
    seen = []
    for i in range(3):
        t.step(rows(64, seed=i, d=16))
        seen.append(t.sae.b_enc.clone())
    t.finalize()
    weights = torch.tensor([0.9**2, 0.9, 1.0])
    expected = (torch.stack(seen) * weights[:, None]).sum(0) / weights.sum()
    torch.testing.assert_close(t.sae.b_enc.detach(), expected)


def test_clipping_bounds_the_whole_gradient():
    t = trainer(clip=1e-3)
    norms = []
    t.adam.register_step_pre_hook(
        lambda *_: norms.append(torch.stack([p.grad.norm() for p in t.learnt.values()]).norm())
    )
    t.step(rows(64, d=16) * 10)
    assert float(norms[0]) == pytest.approx(1e-3, rel=1e-3)


def test_resampling_gives_dead_latents_the_badly_reconstructed():
    t = trainer("relu", options={"l1": 0.1, "resample": 1}, n_steps=4, dead_after=100)
    with torch.no_grad():
        t.sae.b_enc[:10] = -1e6
    x = rows(64, d=16)
    t.step(x)
    assert t.resampled == 0
    t.step(x)
    assert t.resampled == 10
    assert (t.tokens_since_fired[:10] == 0).all()
    assert (t.sae.b_enc[:10] == 0).all()
    assert (t.sae.encode(x)[:, :10] > 0).any(0).all()
    moment = t.adam.state[t.leaves.dec]["exp_avg"]
    assert (moment[:10] == 0).all()
    assert (moment[10:] != 0).any()


def test_a_newcomer_is_a_fifth_as_long_and_has_no_past():
    t = trainer("relu", options={"l1": 0.1, "resample": 1}, n_steps=8, dead_after=100)
    x = rows(64, d=16)
    for _ in range(2):
        t.step(x)
    with torch.no_grad():
        t.sae.b_enc[:10] = -1e6
    t.step(x)
    moments = [
        t.adam.state[p][name] for p in (t.leaves.dec, t.leaves.enc) for name in ("exp_avg", "exp_avg_sq")
    ]
    assert all((m[:10] != 0).any() for m in moments), "they have learned"
    t.step(x)
    assert t.resampled == 10
    assert all((m[:10] == 0).all() and (m[10:] != 0).any() for m in moments)
    length = t.leaves.enc.detach().norm(dim=1)
    assert torch.allclose(length[:10], 0.2 * length[10:].mean(), rtol=1e-4)


def test_C77_centering_keeps_latents_alive_at_the_beginning():
    g = torch.Generator().manual_seed(0)
    offset = torch.randn(16, generator=g)
    x = torch.randn(4000, 16, generator=g) + 20 * offset / offset.norm()

    def dead(center):
        sae = SAE(SAEConfig(arch="topk", d_in=16, d_sae=64, k=4, input_bias="decoder" if center else "none"))
        start.initialize(sae, x, 0)
        return int((sae.encode(x) > 0).any(0).logical_not().sum())

    assert dead(True) <= 3
    assert dead(False) > 20


def test_C77_hints_name_the_settings():
    t = trainer(dead_after=64, aux_coef=0.0)
    with torch.no_grad():
        t.sae.b_enc[:30] = -1e6
    for i in range(3):
        t.step(rows(64, seed=i, d=16))
    t.log()
    (hint,) = t.hints()
    assert hint.startswith("dead 3")
    assert "/64 (window 64 tokens)" in hint
    for word in ("lr", "warmup", "aux"):
        assert word in hint
    t.left_out = {"not finite": 5}
    assert "5 rows of activations were left out: not finite" in t.hints()


def test_C38_a_flat_l0_is_pointed_out():
    t = trainer("jumprelu", options={"target_l0": 1.0, "threshold": 1e-9, "bandwidth": 1e-9})
    x = rows(64, d=16)
    for _ in range(8):
        t.lr = 1e-12
        t.step(x)
        t.log()
    assert any(h.startswith("L0 unchanged at") and "7 steps" in h for h in t.hints())


def test_D85_a_loss_that_is_not_a_number_ends_the_step():
    t = trainer()
    before = t.sae.W_enc.clone()
    with pytest.raises(SaelabError, match="the loss is NaN or infinite at step 1 of"):
        t.step(torch.full((64, 16), math.nan))
    assert torch.equal(before, t.sae.W_enc)


def test_the_sparsity_coefficient_is_tuned_to_the_target():
    t = trainer("relu", options={"target_l0": 5.0}, n_steps=100)
    before = t.sparsity_coef
    coef = t.options.tune(before, 50.0, 100)
    assert coef == pytest.approx(before * math.exp(0.03))
    coef = t.options.tune(coef, 5.0, 100)
    assert coef == pytest.approx(before * math.exp(0.03))
    coef = t.options.tune(coef, 1.0, 100)
    assert coef == pytest.approx(before)


@pytest.mark.parametrize(
    ("arch", "options", "message"),
    [
        ("relu", {"l2": 1}, "Did you mean 'l1'"),
        ("relu", {"l1": 1.0, "target_l0": 3}, "either l1 or target_l0"),
        ("relu", {"l1": -1.0}, "positive"),
        ("relu", {"l1": 1.0, "form": "unti"}, "Did you mean 'unit'"),
        ("jumprelu", {"kernel": "stpe"}, "Did you mean 'step'"),
        ("topk", {"k_until": 0}, "k_until"),
        ("batchtopk", {"multi": 0.1}, "multi belongs to topk"),
        ("batchtopk", {"threshold_rate": 2}, "threshold_rate"),
    ],
)
def test_options_are_checked(arch, options, message):
    with pytest.raises(SaelabError, match=message):
        make_options(arch, options, 4)


@pytest.mark.parametrize("arch", ARCHS)
def test_D80_numbers_of_options_are_of_their_range(arch):
    names = {f.name for f in dataclasses.fields(ARCHS[arch].options)}
    for name in names - {"form", "kernel"}:
        for bad in (-1, float("nan"), float("inf"), True, "8", [1]):
            with pytest.raises(SaelabError, match=name):
                make_options(arch, {name: bad}, 4)
    for name in names & {"warm", "p_from", "p_end", "k_until"}:  # shares of the run
        with pytest.raises(SaelabError, match=name):
            make_options(arch, {name: 2.5} | ({"l1": 1.0} if "l1" in names else {}), 4)


@pytest.mark.parametrize(
    "bad",
    [
        {"lr": 0.0},
        {"clip": -1.0},
        {"ema": 1.0},
        {"warmup": 2.0},
        {"precision": "float8"},
        {"aux_coef": -0.1},
        {"lr": "8"},
        {"lr": float("inf")},
        {"warmup": True},
        {"ema": [0.9]},
    ],
)
def test_recipes_are_checked(bad):
    with pytest.raises(SaelabError):
        TrainConfig(tokens=10, **bad)

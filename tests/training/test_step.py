"""The hand-written gradients of a training step against autograd in float64."""

from typing import NamedTuple

import pytest
import torch
from helpers import random_sae

from saelab.sae import objective, topk
from saelab.sae.objective import Leaves, Task

D, D_SAE = 16, 64


class Rows(NamedTuple):
    enc: torch.Tensor
    b_enc: torch.Tensor
    dec: torch.Tensor
    b_dec: torch.Tensor


class Step(NamedTuple):
    error: torch.Tensor
    aux: torch.Tensor
    l0: float
    active: torch.Tensor
    grads: Rows


def topk_step(x, p, k, variance, dead=None, aux_k=0, aux_coef=0.0, fast=False):
    """One step of a TopK SAE that subtracts ``b_dec`` from its input."""
    leaves = [t.detach().clone().requires_grad_() for t in p]
    task = Task(
        Leaves(*leaves, b_in=leaves[3], skip=None, extra={}), x, x, k, variance, topk.Options(), dead=dead,
        aux_k=aux_k, aux_coef=aux_coef, fast=fast,
    )  # fmt: skip
    parts = topk.loss(task)
    parts.loss.backward()
    error = (x - parts.recon.detach()).square().sum() / len(x)
    grads = Rows(*(t.grad for t in leaves))
    return Step(error, torch.as_tensor(parts.aux).detach(), len(parts.active) / len(x), parts.active, grads)


def setup(k=4, seed=0, rows=32, d_sae=D_SAE, bias=0.3):
    sae = random_sae(d_in=D, d_sae=d_sae, k=k, seed=seed)
    g = torch.Generator().manual_seed(100 + seed)
    x = 2 * torch.randn(rows, D, generator=g) + bias
    return x, Rows(sae.W_enc.detach().T, sae.b_enc.detach(), sae.W_dec.detach(), sae.b_dec.detach())


def by_autograd(x, p, k, variance, dead=None, aux_k=0, aux_coef=0.0):
    """(error, aux, gradients) from the formula in saelab.sae.objective, in float64, all dense."""
    x = x.double()
    enc, b_enc, dec, b_dec = (t.double().clone().requires_grad_() for t in p)
    pre = (x - b_dec) @ enc.T + b_enc
    best = pre.topk(k, dim=-1).indices
    z = torch.zeros_like(pre).scatter(1, best, pre.gather(1, best).relu())
    residual = x - (z @ dec + b_dec)
    error = residual.square().sum() / len(x)
    loss, aux = error / variance, torch.zeros(())
    e = residual.detach()
    spread = (e - e.mean(0)).square().sum() / len(x)
    if dead is not None and dead.any() and aux_coef and spread > 1e-9:
        ids = dead.nonzero().squeeze(-1)
        few = pre[:, ids]
        best = few.topk(min(aux_k, len(ids)), dim=-1).indices
        guess = torch.zeros_like(few).scatter(1, best, few.gather(1, best).relu()) @ dec[ids]
        aux = (guess - e).square().sum() / len(x) / spread
        loss = loss + aux_coef * aux
    loss.backward()
    return error.detach(), aux.detach(), Rows(enc.grad, b_enc.grad, dec.grad, b_dec.grad)


def dead_latents(*ids, d_sae=D_SAE):
    dead = torch.zeros(d_sae, dtype=torch.bool)
    dead[list(ids)] = True
    return dead


CASES = {
    "plain": {},
    "k = 1": {"k": 1},
    "C27 k = d_sae": {"k": D_SAE},
    "one latent": {"k": 1, "d_sae": 1},
    "C29 batch of one": {"rows": 1},
    "some dead": {"dead": dead_latents(1, 5, 9, 33), "aux_k": 2},
    "C78 fewer dead than aux_k": {"dead": dead_latents(7), "aux_k": 20},
    "C78 all dead": {"dead": torch.ones(D_SAE, dtype=torch.bool), "aux_k": 8},
    "none dead": {"dead": torch.zeros(D_SAE, dtype=torch.bool), "aux_k": 8},
    "batch of one with dead latents": {"rows": 1, "dead": dead_latents(1, 2), "aux_k": 2},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients(name, seed):
    options = dict(CASES[name])
    aux = {"dead": options.pop("dead", None), "aux_k": options.pop("aux_k", 0), "aux_coef": 0.5}
    x, p = setup(seed=seed, **options)
    compare(x, p, options.get("k", 4), aux)


def compare(x, p, k, aux, fast=False):
    found = topk_step(x, p, k, 7.0, **aux, fast=fast)
    error, aux_loss, want = by_autograd(x, p, k, 7.0, **aux)
    torch.testing.assert_close(found.error.double(), error, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.aux.double(), aux_loss.double(), atol=1e-5, rtol=1e-4)
    for name, got, expected in zip(Rows._fields, found.grads, want, strict=True):
        worst = (got.double() - expected).abs().max() / expected.abs().max().clamp_min(1e-3)
        assert worst < 1e-4, f"gradient of {name}: relative error {worst:.1e}"
    return found


def test_duplicated_rows():
    x, p = setup(rows=4)
    compare(x.repeat(5, 1), p, 4, {"dead": dead_latents(1, 2, 3), "aux_k": 2, "aux_coef": 0.5})


def test_equal_rows_have_no_spread_and_no_auxiliary_loss():
    """What rounding leaves of the spread must not be divided by."""
    x, p = setup(rows=1)
    for n in (1, 3, 7, 100):
        found = topk_step(x.repeat(n, 1), p, 4, 7.0, dead=dead_latents(1, 2, 3), aux_k=2, aux_coef=0.5)
        assert float(found.aux) == 0
        plain = topk_step(x.repeat(n, 1), p, 4, 7.0)
        assert all(torch.equal(a, b) for a, b in zip(found.grads, plain.grads, strict=True))


def test_a_loop_over_the_entries_agrees_on_what_is_active():
    x, p = setup()
    found = topk_step(x, p, 4, 1.0)
    pre = (x - p.b_dec) @ p.enc.T + p.b_enc
    best = pre.topk(4).indices
    active = [int(i) for row, b in enumerate(best) for i in b if pre[row, i] > 0]
    assert sorted(found.active.tolist()) == sorted(active)
    assert float(found.l0) == pytest.approx(len(active) / len(x))


def test_nothing_active_leaves_only_the_bias_to_learn():
    x, p = setup()
    p = p._replace(b_enc=torch.full((D_SAE,), -1e6))
    found = compare(x, p, 4, {})
    assert len(found.active) == 0
    assert float(found.l0) == 0
    assert found.grads.enc.abs().max() == found.grads.dec.abs().max() == 0


def test_C78_the_auxiliary_loss_touches_dead_latents_only_and_scales_with_its_coefficient():
    x, p = setup()
    p = p._replace(b_dec=torch.ones(D))
    dead = dead_latents(0, 1, 2, 60)
    p.b_enc[dead] = -50.0  # dead: never among the k largest
    p.enc[dead] *= 30  # but above 0 somewhere
    none, once, twice = (
        topk_step(x, p, 4, 1.0, dead=dead, aux_k=3, aux_coef=c).grads for c in (0.0, 0.25, 0.5)
    )
    for name in ("enc", "b_enc", "dec"):
        a, b, c = (getattr(g, name) for g in (none, once, twice))
        assert torch.equal(a[~dead], b[~dead]), f"{name} of live latents"
        assert (b - a)[dead].abs().max() > 1e-4, f"{name} of dead latents"
        torch.testing.assert_close(c - a, 2 * (b - a), atol=1e-4, rtol=1e-3)


def test_C78_the_target_is_the_residual_without_a_second_bias():
    """With b_dec = ones, adding the bias to the guess would move the loss; by hand for one dead latent."""
    x, p = setup(rows=6)
    p = p._replace(b_dec=torch.ones(D))
    found = topk_step(x, p, 4, 1.0, dead=dead_latents(3), aux_k=1, aux_coef=1.0)
    pre = (x - 1) @ p.enc.T + p.b_enc
    best = pre.topk(4)
    recon = torch.stack([v.relu() @ p.dec[i] for v, i in zip(*best, strict=True)]) + 1
    e = x - recon
    guess = pre[:, 3:4].relu() * p.dec[3]
    want = (e - guess).square().sum() / (e - e.mean(0)).square().sum()
    assert float(found.aux) == pytest.approx(float(want), rel=1e-4)


def test_a_search_in_bfloat16_finds_the_same_when_its_candidates_suffice():
    x, p = setup(d_sae=12)
    exact, fast = topk_step(x, p, 4, 1.0), topk_step(x, p, 4, 1.0, fast=True)
    for a, b in zip(exact.grads, fast.grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert sorted(exact.active.tolist()) == sorted(fast.active.tolist())


@pytest.mark.parametrize("fast", [False, True])
def test_the_rows_are_searched_block_after_block(fast):
    """1,300 rows are three blocks of at most 512 (of so few latents they would be one): nothing depends on it."""
    x, p = setup(rows=1300)
    dead = dead_latents(1, 5, 40)
    p.b_enc[dead] = -50.0
    p.enc[dead] *= 30
    task = Task(Leaves(*p, b_in=p.b_dec, skip=None, extra={}), x, x, 4, 1.0, topk.Options(), fast=fast)
    ((_, _, whole),) = task.tiles()
    whole = whole.clone()
    blocks = [block.clone() for _, _, block in task.tiles(512)]
    assert [len(block) for block in blocks] == [512, 512, 276]
    torch.testing.assert_close(torch.cat(blocks), whole, atol=1e-5, rtol=1e-2 if fast else 1e-5)
    whole = topk_step(x, p, 4, 1.0, dead=dead, aux_k=2, aux_coef=0.25, fast=fast)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective, "BLOCK", 512 * D_SAE)
        parts = topk_step(x, p, 4, 1.0, dead=dead, aux_k=2, aux_coef=0.25, fast=fast)
    assert float(parts.aux) == pytest.approx(float(whole.aux), rel=1e-4)
    for a, b in zip(whole.grads, parts.grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_a_search_in_bfloat16_is_close_on_many_latents():
    x, p = setup(d_sae=2000, rows=200)
    exact, fast = topk_step(x, p, 8, 1.0), topk_step(x, p, 8, 1.0, fast=True)
    assert abs(float(exact.error) - float(fast.error)) < 0.01 * float(exact.error)


def test_the_step_changes_no_parameter_and_builds_no_graph():
    x, p = setup()
    before = [t.clone() for t in p]
    found = topk_step(x, p, 4, 1.0, dead=dead_latents(1), aux_k=1, aux_coef=1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, p, strict=True))
    assert not any(g.requires_grad for g in found.grads)

"""Every loss against autograd on dense arrays, in float64: value and the gradient of every parameter."""

import math
from types import SimpleNamespace

import pytest
import torch
from kinds import D_SAE, KINDS, OPTIONS, make, rows

from saelab.errors import SaelabError
from saelab.sae import objective, ops
from saelab.sae.archs import ARCHS
from saelab.sae.batchtopk import _floor, largest
from saelab.sae.objective import Leaves, Task
from saelab.training.spec import make_options

CASES = [(kind, options) for kind in KINDS for options in OPTIONS[KINDS[kind]["arch"]]]
VARIANCE, PRESSURE, AUX_COEF, PROGRESS = 7.0, 0.3, 0.5, 0.1


def make_task(kind, options, dead=None, n=25, aux_k=3):
    sae = make(kind, torch.float64)
    c = sae.config
    x = rows(n, dtype=torch.float64)
    xn, _ = sae.normalize(x)
    yn = xn if c.hook_in == c.hook_out else rows(n, 2, torch.float64, int(c.d_out)) * (c.scale_out or 1)
    typed = make_options(c.arch, options, c.k)
    task = Task(
        Leaves.of(sae), xn, yn, c.k, VARIANCE, typed, progress=PROGRESS, sparsity_coef=PRESSURE, dead=dead,
        aux_k=aux_k,
        aux_coef=AUX_COEF, prefixes=c.prefixes or (), widths=c.widths or (), floor=c.floor,
    )  # fmt: skip
    return sae, task


def rectangle(v, t, width, kind):
    """Straight-through jump or step as a difference of detached terms."""
    inside = ((v - t).abs() < width / 2).to(v.dtype)
    on = (v > t).to(v.dtype)
    if kind == "step":
        return on.detach() + (-(t - t.detach()) / width) * inside
    return on * v - (t - t.detach()) * t.detach() / width * inside


def reference(task, arch):
    """The loss written with dense arrays and nothing by hand."""
    p, o, batch = task.p, task.options, len(task.x)
    x_in = task.x if p.b_in is None else task.x - p.b_in
    pre = x_in @ p.enc.T + p.b_enc
    finish = lambda out: out + p.b_dec + (0 if p.skip is None else task.x @ p.skip.T)  # noqa: E731
    fvu = lambda recon: (task.y - recon).square().sum() / batch / VARIANCE  # noqa: E731
    top = lambda a, k: torch.zeros_like(a).scatter(-1, a.topk(k).indices, 1.0)  # noqa: E731
    if arch == "topk":
        k = o.k(task.k, PROGRESS, D_SAE)
        above = (pre > max(task.floor, 0.0)).to(pre.dtype)
        recon = finish(pre * top(pre, k) * above @ p.dec)
        total = fvu(recon)
        if o.multi:
            total = total + o.multi * fvu(finish(pre * top(pre, 4 * k) * above @ p.dec))
    elif arch in ("batchtopk", "matryoshka"):
        z = (pre * top(pre.reshape(-1), task.k * batch).reshape(pre.shape)).relu()
        recon = finish(z @ p.dec)
        if arch == "batchtopk":
            total = fvu(recon)
        else:
            total = sum(fvu(finish(z[:, :m] @ p.dec[:m])) for m in task.prefixes) / len(task.prefixes)
    elif arch == "relu":
        z = pre.relu()
        recon = finish(z @ p.dec)
        w = sum(part.norm(dim=1) for part in p.dec.split(list(task.widths or (p.dec.shape[1],)), 1))
        weight = w if o.form == "norm" else torch.ones_like(w)
        plain = (z * weight).sum() / batch / VARIANCE**0.5
        q = o.p(PROGRESS)
        if q < 1:
            bent = torch.where(z > 0, (z + 1e-6) ** q * weight, 0.0).sum() / batch / VARIANCE**0.5
            plain = bent * (plain / bent).detach()
        total = fvu(recon) + PRESSURE * plain
    elif arch == "gated":
        on = (pre > 0).to(pre.dtype)
        z = on * (p.extra["r_mag"].exp() * (x_in @ p.enc.T) + p.extra["b_mag"]).relu()
        recon = finish(z @ p.dec)
        fixed = pre.relu() @ p.dec.detach() + p.b_dec.detach()
        total = fvu(recon) + PRESSURE * pre.relu().sum() / batch / VARIANCE**0.5 + fvu(fixed)
    else:
        t = p.extra["threshold"]
        width = o.bandwidth
        seen = (pre > 0).to(pre.dtype)
        z = rectangle(pre, t, width, "jump") * seen
        recon = finish(z @ p.dec)
        on = rectangle(pre, t, width, "step") * seen
        if o.kernel == "tanh":
            unit = (VARIANCE / task.y.shape[1]) ** 0.5
            on = on * (o.scale / unit * z * p.dec.norm(dim=1)).tanh()
        l0 = on.sum() / batch
        penalty = o.strength * (l0 / o.target_l0 - 1).square() if o.target_l0 else o.l0 * l0 / D_SAE
        total = fvu(recon) + penalty
    if task.dead is not None and arch not in ("relu", "gated"):
        ids = task.dead.nonzero().squeeze(-1)
        residual = (task.y - recon).detach()
        sub = pre[:, ids]
        guess = (sub * top(sub, min(task.aux_k, len(ids)))).relu() @ p.dec[ids]
        spread = (residual - residual.mean(0)).square().sum() / batch
        total = total + AUX_COEF * (guess - residual).square().sum() / batch / spread
    return total


@pytest.mark.parametrize("dense", [False, True], ids=["sparse", "dense"])
@pytest.mark.parametrize("dead", [False, True], ids=["alive", "dead"])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_gradients_equal_autograd(kind, options, dead, dense, monkeypatch):
    monkeypatch.setattr(ops.Entries, "DENSE", -1.0 if dense else 2.0)
    mask = torch.zeros(D_SAE, dtype=torch.bool)
    mask[::7] = True
    sae, task = make_task(kind, options, mask if dead else None)
    arch = sae.config.arch
    parts = sae.arch.loss(task)
    parts.loss.backward()
    got = {n: p.grad for n, p in task.p.named().items() if n not in sae.arch.tracked}
    assert ("enc" in got) != sae.config.tied
    assert {"b_enc", "dec", "b_dec"} <= got.keys()
    _, other = make_task(kind, options, mask if dead else None)
    expected = reference(other, arch)
    expected.backward()
    torch.testing.assert_close(parts.loss, expected, atol=1e-10, rtol=1e-10)
    for name, p in other.p.named().items():
        if name in sae.arch.tracked:
            continue
        want = torch.zeros_like(p) if p.grad is None else p.grad
        have = torch.zeros_like(p) if got[name] is None else got[name]
        torch.testing.assert_close(have, want, atol=1e-9, rtol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


def test_aux_has_the_right_target_and_reaches_only_dead_latents():  # C78
    def grads(coef, dead):
        _, task = make_task("topk", {}, dead)
        task.aux_coef = coef
        with torch.no_grad():
            task.p.b_dec.fill_(1.0)
        parts = make("topk").arch.loss(task)
        parts.loss.backward()
        return parts, task.p.dec.grad

    dead = torch.zeros(D_SAE, dtype=torch.bool)
    dead[:3] = True
    none, plain = grads(0.0, dead)
    once, one = grads(0.5, dead)
    twice, two = grads(1.0, dead)
    assert none.aux == 0
    torch.testing.assert_close(two - plain, 2 * (one - plain))
    assert ((one - plain)[3:].abs() < 1e-12).all()
    assert (one - plain)[:3].abs().sum() > 0
    assert torch.equal(once.aux, twice.aux)
    nobody, _ = grads(0.5, torch.zeros(D_SAE, dtype=torch.bool))
    assert nobody.aux == 0
    everybody, _ = grads(0.5, torch.ones(D_SAE, dtype=torch.bool))
    assert everybody.aux > 0


@pytest.mark.parametrize("count", [1, 40, 100, 5000])
def test_batch_selection_is_exact(count):
    sae = make("batchtopk")
    task = Task(Leaves.of(sae), rows(200), rows(200), 4, 1.0, None)
    entries, values = largest(task, count)
    pre = torch.addmm(task.p.b_enc, task.x_in, task.p.enc.T).detach()
    flat = pre.reshape(-1)
    expected = flat.topk(min(count, len(flat))).values
    expected = expected[expected > 0]
    torch.testing.assert_close(values.sort(descending=True).values, expected, atol=0, rtol=0)
    assert torch.equal(pre[entries.rows, entries.indices], values)
    assert (entries.rows.diff() >= 0).all()


@pytest.mark.parametrize("size", [D_SAE * 25, 25 * 7, 3 * 7])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=str)
def test_T20_a_loss_is_the_same_however_small_the_tiles_are(kind, options, size, monkeypatch):
    def found():
        dead = torch.zeros(D_SAE, dtype=torch.bool)
        dead[[1, 8, 9, 30]] = True
        sae, task = make_task(kind, options, dead)
        parts = sae.arch.loss(task)
        parts.loss.backward()
        return parts, {n: p.grad for n, p in task.p.named().items() if p.grad is not None}

    whole, grads = found()
    seen = []
    real = Task.tiles

    def tiles(self, *given, **more):
        for tile in real(self, *given, **more):
            seen.append(tile[2].shape)
            yield tile

    monkeypatch.setattr(Task, "tiles", tiles)
    monkeypatch.setattr(objective, "TILE", size)
    monkeypatch.setattr(objective, "ROWS", 3)
    parts, few = found()
    assert max(s.numel() for s in seen) <= size
    assert sum(s.numel() for s in seen) == 25 * D_SAE
    assert sorted(parts.active.tolist()) == sorted(whole.active.tolist())
    torch.testing.assert_close((parts.loss, parts.recon), (whole.loss, whole.recon))
    torch.testing.assert_close(few, grads)


class _Given:
    """What ``largest`` reads of a batch, with pre-activations of one's own."""

    fast, ranks = False, objective.ALONE

    def __init__(self, pre):
        self.pre, self.x_in, self.p = pre, torch.zeros(len(pre), 1), SimpleNamespace(dec=pre.T)

    def tiles(self, rows, dead):
        yield 0, 0, self.pre


@pytest.mark.parametrize("case", ["as usual", "the sample is too high", "mostly negative"])
def test_batch_selection_of_a_large_batch_is_exact_and_sorts_few(case):
    """Above 131,072 places a floor comes from a sample; whatever it says, the largest are found."""
    g = torch.Generator().manual_seed(0)
    pre = torch.randn(600, 1024, generator=g)
    if case == "the sample is too high":
        pre = pre.abs() * 0.01
        pre.view(-1)[::5] += 50.0  # every place the sample meets is large
    if case == "mostly negative":
        pre -= 4.0
    count = 200_000 if case == "the sample is too high" else 3000
    floor = _floor(pre, count)
    assert floor >= 0
    if case == "as usual":
        assert count <= (pre > floor).sum() <= 2 * count
    entries, values = largest(_Given(pre), count)
    expected = pre.flatten().topk(count).values
    torch.testing.assert_close(values.sort(descending=True).values, expected[expected > 0], atol=0, rtol=0)
    assert torch.equal(pre[entries.rows, entries.indices], values)


def test_a_given_penalty_rises_over_its_share_of_the_run_and_stays():
    options = ARCHS["relu"].options(l1=0.4, warm=0.1)
    assert [options.sparsity_coef(9.0, p) for p in (0.0, 0.05, 0.1, 1.0)] == [0.0, 0.2, 0.4, 0.4]
    assert ARCHS["relu"].options(target_l0=5.0).sparsity_coef(9.0, 0.01) == 9.0


@pytest.mark.parametrize(("l0", "step"), [(40.0, 1.0), (20.0, math.log(2)), (2.5, -1.0), (0.0, -1.0)])
def test_a_tuned_penalty_moves_by_how_far_l0_is_off_and_never_fast(l0, step):
    options = ARCHS["relu"].options(target_l0=10.0)
    assert options.tune(1.0, l0, 1000) == pytest.approx(math.exp(0.008 * step))
    assert options.tune(1.0, l0, 10) == pytest.approx(math.exp(0.03 * step))  # short runs take larger steps
    assert ARCHS["relu"].options(l1=0.4).tune(1.0, l0, 1000) == 1.0


def test_the_batch_threshold_follows_the_smallest_value_kept():
    sae, task = make_task("batchtopk", {"threshold_rate": 0.1})
    parts = sae.arch.loss(task)
    smallest = largest(task, task.k * len(task.x))[1].min()
    old = sae.threshold
    torch.testing.assert_close(parts.updates["threshold"], old + 0.1 * (smallest - old))


def test_gradient_of_nothing_active_is_zero():
    sae, task = make_task("relu", {"l1": 0.3})
    with torch.no_grad():
        task.p.b_enc.fill_(-1e6)
    parts = sae.arch.loss(task)
    parts.loss.backward()
    assert parts.active.numel() == 0
    assert (task.p.enc.grad == 0).all()
    assert task.p.b_dec.grad.abs().sum() > 0


@pytest.mark.parametrize("arch", ["relu", "gated"])
def test_D27_warm_without_the_coefficient_that_it_warms_is_refused(arch):
    with pytest.raises(SaelabError, match="warm=0.3 does nothing with target_l0"):
        ARCHS[arch].options(target_l0=5.0, warm=0.3)
    assert ARCHS[arch].options(l1=1.0, warm=0.5).sparsity_coef(9.0, 0.25) == 0.5
    assert ARCHS[arch].options(target_l0=5.0).sparsity_coef(9.0, 0.0) == 9.0


def test_D27_warm_of_jumprelu_acts_with_either_coefficient():
    for given in ({"target_l0": 3.0}, {"l0": 2.0}):
        full, half = (
            ARCHS["jumprelu"].loss(make_task("jumprelu", given | {"warm": warm})[1]).penalty
            for warm in (0.0, 2 * PROGRESS)
        )
        assert float(half) == pytest.approx(float(full) / 2)

import math

import pytest
import torch

from saelab.logistic import loss, several, single


def entropy(*counts):
    n = sum(counts)
    return -sum(c / n * math.log(c / n) for c in counts if c)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_loss_by_hand():
    y = torch.tensor([True, False])
    assert float(loss(torch.zeros(2), y)) == pytest.approx(math.log(2))
    assert float(loss(torch.tensor([2.0, 2.0]), y)) == pytest.approx(
        (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2))) / 2
    )
    assert float(loss(torch.tensor([1000.0, -1000.0]), y)) == 0
    assert loss(torch.zeros(2, 5), y).shape == (5,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_yes_or_no_column_leaves_the_conditional_entropy(dtype):
    # z = 1: 30 with the concept, 10 without; z = 0: 5 with, 15 without
    z = torch.cat([torch.ones(40), torch.zeros(20)])[:, None].to(dtype)
    y = torch.cat([torch.ones(30), torch.zeros(10), torch.ones(5), torch.zeros(15)]).bool()
    w, b = single(z, y)
    want = 40 / 60 * entropy(30, 10) + 20 / 60 * entropy(5, 15)
    assert float(loss(z * w + b, y)) == pytest.approx(want, abs=1e-5)
    assert float(torch.sigmoid(b)) == pytest.approx(5 / 20, abs=1e-2)
    assert float(torch.sigmoid(w + b)) == pytest.approx(30 / 40, abs=1e-2)


def test_a_column_that_knows_nothing_leaves_ln_2_and_one_that_knows_all_leaves_0():
    y = torch.arange(40) % 2 == 0
    z = torch.stack([torch.full((40,), 3.0), y.float(), -7 * y.float() + 1], 1)
    w, b = single(z, y)
    found = loss(z * w + b, y)
    assert float(found[0]) == pytest.approx(math.log(2), abs=1e-6)
    assert float(found[1:].max()) < 2e-3
    assert w.isfinite().all()
    assert w[1] > 0 > w[2]


def test_the_same_as_a_general_optimiser_column_by_column():
    z, y = normal(200, 6), normal(200, seed=1) > 0
    z[:, 0] += 2 * y
    z[:, 1] = z[:, 1] ** 5  # a few values far out
    w, b = single(z, y)
    for i in range(6):
        p = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        column = z[:, i].double() / z[:, i].std()
        optimiser = torch.optim.LBFGS([p], max_iter=200, line_search_fn="strong_wolfe")

        def closure(p=p, column=column, optimiser=optimiser):
            optimiser.zero_grad()
            value = loss(column * p[0] + p[1], y)
            value.backward()
            return value

        optimiser.step(closure)
        want = float(loss(column * p[0].detach() + p[1].detach(), y))
        assert float(loss(z[:, i] * w[i] + b[i], y)) == pytest.approx(want, abs=2e-4), i


def test_units_do_not_matter():
    z, y = normal(100, 1), normal(100, seed=1) > 0
    z = z + y[:, None]
    found = []
    for scaled in (z, 1e4 * z, 1e-3 * z + 5, -z):
        w, b = single(scaled.double(), y)
        found.append(float(loss(scaled.double() * w + b, y)))
    assert found == pytest.approx([found[0]] * 4, abs=1e-5)


def test_several_is_where_the_gradient_vanishes():
    x, y = normal(150, 5).double(), normal(150, seed=1) > 0
    x = x + y[:, None] * torch.tensor([1.0, 0, 0.3, 0, 0])
    w, b = several(x, y, ridge=0.01)
    spread = x.std(0, correction=0)
    w, b = w.requires_grad_(), b.requires_grad_()
    value = loss(x @ w + b, y) + 0.01 / 2 * (w * spread).square().sum()
    gw, gb = torch.autograd.grad(value, [w, b])
    assert float(gw.abs().max()) < 1e-5
    assert float(gb.abs()) < 1e-5


def test_several_with_one_column_is_single():
    z, y = normal(80, 1), normal(80, seed=1) + normal(80, 1)[:, 0] > 0
    a, b = single(z.double(), y, ridge=0.01), several(z, y, ridge=0.01)
    torch.testing.assert_close(a[0], b[0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(a[1][0], b[1], rtol=1e-3, atol=1e-4)


def test_several_with_more_columns_than_rows_and_a_constant_one():
    x, y = normal(20, 50), torch.arange(20) % 2 == 0
    x[:, 3] = 4.0
    w, b = several(x, y)
    assert w.isfinite().all()
    assert ((x.double() @ w + b > 0) == y).all()

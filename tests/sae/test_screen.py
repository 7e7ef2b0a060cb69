"""What a screen decides is what the whole row says, for any weights and any input."""

import copy
import weakref

import pytest
import torch
from helpers import random_sae
from hypothesis import given, settings
from hypothesis import strategies as st

from saelab.sae import SAE, SAEConfig, screen
from saelab.sae.columns import Columns
from saelab.sae.screen import Screen


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def small(monkeypatch):
    """Screens for SAEs of any size, none kept from before."""
    monkeypatch.setattr(screen, "SMALL", 0)
    monkeypatch.setattr(screen, "_kept", weakref.WeakKeyDictionary())


@pytest.fixture
def encoded(monkeypatch):
    """Numbers of rows that are encoded whole."""
    seen = []
    whole = SAE.pre_activations
    monkeypatch.setattr(SAE, "pre_activations", lambda s, x: (seen.append(len(x)), whole(s, x))[1])
    return seen


def truth(sae, x):
    """(n, d_sae) bool: among the k largest, and (n, d_sae) pre-activations, both in float64."""
    pre = (x.double() - sae.b_in.double()) @ sae.W_enc.double() + sae.b_enc.double()
    return pre >= pre.topk(sae.config.k, dim=-1).values[:, -1:], pre


def verdicts(sae, x):
    """(n, d_sae) of True, False, None."""
    made = Screen(sae.W_enc, sae.b_enc)
    assert made.works
    inner = x - sae.b_in
    pre = torch.nn.functional.linear(inner, sae.W_enc.T, sae.b_enc)
    return [made.among(row, values.tolist(), sae.config.k) for row, values in zip(inner, pre, strict=True)]


@st.composite
def saes(draw):
    """TopK SAEs with equal rows, rows of zeros, rows and inputs of very different sizes; and inputs."""
    d_in, d_sae = draw(st.integers(1, 24)), draw(st.integers(2, 40))
    floor = draw(st.sampled_from([0.0, 0.0, 0.3]))
    sae = SAE(SAEConfig("topk", d_in, d_sae, k=draw(st.integers(1, d_sae)), hook_in="a", floor=floor))
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    whole = draw(st.booleans())  # small whole numbers: many sums are equal to the last bit
    for p in (sae.W_enc, sae.b_enc, sae.b_dec):
        p.copy_(torch.randint(-2, 3, p.shape, generator=g) if whole else torch.randn(p.shape, generator=g))
    sae.W_enc *= draw(st.sampled_from([1.0, 1.0, 1e-25, 1e-12, 1e-3, 1e6]))
    sae.b_enc *= draw(st.sampled_from([0.0, 1.0, 100.0]))
    if draw(st.booleans()):  # one input in a few says almost everything
        sae.W_enc[: d_in // 2] *= 1e-3
    for _ in range(draw(st.integers(0, 3))):
        i, j = draw(st.integers(0, d_sae - 1)), draw(st.integers(0, d_sae - 1))
        sae.W_enc[:, i] = draw(st.sampled_from([0.0, 1.0, 1.0, 50.0])) * sae.W_enc[:, j]
        sae.b_enc[i] = sae.b_enc[j]
    shape = (draw(st.integers(1, screen.ROWS)), d_in)
    x = (torch.randint(-2, 3, shape, generator=g) if whole else torch.randn(shape, generator=g)).float()
    return sae, x * draw(st.sampled_from([0.0, 1e-25, 1e-3, 1.0, 1.0, 1e4, 1e15])) + sae.b_in


@settings(max_examples=400, deadline=None)
@given(saes())
def test_no_verdict_contradicts_exact_sums(drawn):
    sae, x = drawn
    among, pre = truth(sae, x)
    border = pre.topk(sae.config.k, dim=-1).values[:, -1]
    below = pre.sort(-1, descending=True).values[:, sae.config.k :]
    for row, found in enumerate(verdicts(sae, x)):
        for i, yes in enumerate(found):
            if yes is True:
                assert among[row, i]
                assert not below.shape[1] or pre[row, i] > below[row, 0]  # with those equal to it
            elif yes is False:
                assert pre[row, i] < border[row]


@settings(max_examples=400, deadline=None)
@given(saes(), st.data())
def test_columns_are_the_same_as_encode(drawn, data):
    sae, x = drawn
    size = data.draw(st.integers(1, sae.config.d_sae))
    latents = data.draw(st.permutations(range(sae.config.d_sae)))[:size]
    old, screen.SMALL = screen.SMALL, 0
    try:
        for row in x.split(1):  # alone, so that the whole row is summed in the same order both times
            some, expected = Columns(sae, latents)(row), sae.encode(row)[:, latents]
            some = torch.zeros_like(expected) if some is None else some
            assert torch.equal(some > 0, expected > 0)
            torch.testing.assert_close(some, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
    finally:
        screen.SMALL = old


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_worst_inputs_stay_within_the_bounds(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    sae = random_sae(d_in=64, d_sae=256, k=16)
    made = Screen(sae.W_enc, sae.b_enc)
    copied = torch.ops.quantized.embedding_bag_byte_unpack(made.table)  # (d_in, d_sae)
    x = (
        torch.nn.functional.normalize((sae.W_enc - copied).T, dim=1) * 7
    )  # (d_sae, d_in) along what each latent lost
    for i, row in enumerate(x):
        exact = row.double() @ sae.W_enc.double()
        lost = (made._whole(row)[0].double() - exact).abs()
        assert (lost <= made.rest.double() * 7).all()
        assert lost[i] > 0.5 * made.rest[i] * 7  # no wider than it must be
        top = row.square().topk(made.first).indices
        part = made._product(top, row[top], made.start)[0].double()
        left = row.index_fill(0, top, 0.0).norm()
        assert ((part - exact).abs() <= (made.size * left + made.rest * 7).double()).all()


def test_rows_that_it_decides_are_not_encoded_whole(small, encoded):
    sae = random_sae(d_in=64, d_sae=1024, k=128)
    x = torch.randn(200, 64, generator=torch.Generator().manual_seed(1))
    every = sae.encode(x)[:, [3, 500]]
    columns = Columns(sae, [3, 500])
    encoded.clear()
    for row, expected in zip(x.split(1), every.split(1), strict=True):
        some = columns(row)
        torch.testing.assert_close(torch.zeros(1, 2) if some is None else some, expected)
    assert (every > 0).sum(0).min() >= screen.ROWS
    assert len(encoded) < 40
    encoded.clear()
    active = (every > 0).any(1).nonzero()[: screen.ROWS, 0]
    torch.testing.assert_close(columns(x[active]), every[active])  # several rows at once
    assert sum(encoded) < screen.ROWS


def test_few_large_inputs_decide_by_themselves(monkeypatch):
    sae = random_sae(d_in=64, d_sae=512, k=16)
    x = torch.randn(64, generator=torch.Generator().manual_seed(1)) * 1e-3
    x[[3, 20, 41]] = torch.tensor([2.0, -3.0, 1.5])
    pre = torch.nn.functional.linear(x, sae.W_enc.T, sae.b_enc)
    made = Screen(sae.W_enc, sae.b_enc)
    monkeypatch.setattr(made, "_whole", lambda *_: pytest.fail("all inputs were looked at"))
    assert made.among(x, [float(pre.max())], 16) == [True]


def test_what_is_not_a_number_is_left_open(small):
    sae = random_sae(d_in=64, d_sae=512, k=16)
    made = Screen(sae.W_enc, sae.b_enc)
    for bad in (float("nan"), float("inf"), -float("inf"), 1e38):
        x = torch.randn(64, generator=torch.Generator().manual_seed(0))
        x[5] = bad
        assert made.among(x, [1.0, 1e38], 16) == [None, None]
    sae.W_enc[3, 7] = float("nan")
    assert not Screen(sae.W_enc, sae.b_enc).works


def test_changed_weights_are_noticed(small):
    sae = random_sae(d_in=64, d_sae=512, k=16)
    first = screen.of(sae)
    assert screen.of(sae) is first
    sae.W_enc.data[5, 9] += 0.01  # no version counter sees this
    second = screen.of(sae)
    assert second is not first
    sae.b_enc[2] += 1e-6
    assert screen.of(sae) is not second
    assert screen.of(copy.deepcopy(sae)) is not screen.of(sae)


def test_it_goes_with_its_sae(small):
    sae = random_sae(d_in=64, d_sae=512, k=16)
    screen.of(sae)
    assert len(screen._kept) == 1
    del sae
    assert len(screen._kept) == 0


def test_made_only_when_a_row_needs_it(small, monkeypatch):
    sae = random_sae(d_in=64, d_sae=512, k=16)
    x = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    pre = sae.pre_activations(x)[:, 3]
    columns = Columns(sae, [3])
    columns(x)  # many rows
    assert columns(x[pre < -0.1][:1]) is None
    assert len(screen._kept) == 0
    columns(x[pre > 0.1][:1])
    assert len(screen._kept) == 1


@pytest.mark.parametrize("missing", ["operator", "engine", "answer"])
def test_without_the_product_rows_are_encoded_whole(small, encoded, monkeypatch, missing):
    sae = random_sae(d_in=64, d_sae=512, k=16)
    x = torch.randn(40, 64, generator=torch.Generator().manual_seed(0))
    x = x[sae.pre_activations(x)[:, 3] > 0.1][:1]
    if missing == "operator":
        monkeypatch.setattr(torch.ops, "quantized", object())
    elif missing == "engine":
        monkeypatch.setattr(type(torch.backends.quantized), "supported_engines", ["qnnpack"])
    else:
        right = Screen._product
        monkeypatch.setattr(Screen, "_product", lambda *a: right(*a) * 1.01)
    encoded.clear()
    assert torch.equal(Columns(sae, [3])(x), sae.encode(x)[:, [3]])
    assert encoded == [1, 1]


def test_an_sae_in_bfloat16_or_small_has_none():
    assert not screen.possible(random_sae(d_in=64, d_sae=512, k=16))
    big = SAE(SAEConfig("topk", 512, 4096, k=16, hook_in="a"))
    assert screen.possible(big)
    assert not screen.possible(big.to(torch.bfloat16))


def test_on_the_bundled_model(encoded):
    import saelab as sl

    model, sae = sl.load_model("zoo"), sl.zoo.load_sae()
    rows, _ = sl.zoo.labelled_rows(model, 30, seed=5)
    ids = torch.as_tensor(rows.ids).flatten()[: 6 * 128].reshape(6, 128).long()
    x = sl.models.run_to_hooks(model, ids, [sae.config.hook_in])[sae.config.hook_in].flatten(0, 1)
    pre = sae.pre_activations(x)
    places = (pre > sae.config.floor).nonzero()
    places = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:400]]
    encoded.clear()
    for row, latent in places.tolist():
        some = Columns(sae, [latent])(x[row : row + 1])
        whole, count = sae.encode(x[row : row + 1])[:, [latent]], len(encoded)
        some = torch.zeros(1, 1) if some is None else some
        assert bool(some > 0) == bool(whole > 0)
        torch.testing.assert_close(some, whole)
    assert count - 400 < 20  # of 400 rows

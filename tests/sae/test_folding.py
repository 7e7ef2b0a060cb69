"""Scales and decoder norms moved into the weights: the same SAE, with other numbers."""

import dataclasses

import pytest
import torch
from kinds import KINDS, make, rows

from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig
from saelab.sae.config import PER_ROW


@pytest.mark.parametrize("kind", [k for k in KINDS if KINDS[k].get("normalize") not in PER_ROW])
def test_fold_is_exact_and_leaves_the_original(kind):  # C07
    sae, x = make(kind, torch.float64), rows(20, dtype=torch.float64)
    before = {n: p.clone() for n, p in sae.named_parameters()}
    folded = sae.fold()
    assert folded.config.normalize == "none"
    torch.testing.assert_close(folded.encode(x), sae.encode(x), atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(
        folded.decode(folded.encode_sparse(x)), sae.decode(sae.encode_sparse(x)), atol=1e-10, rtol=1e-10
    )
    assert all(torch.equal(before[n], p) for n, p in sae.named_parameters())


def test_fold_by_hand():  # C07
    sae, x = make("topk_scale"), rows(20)
    s = 0.37
    folded = sae.fold()
    torch.testing.assert_close(folded.W_enc, sae.W_enc * s)
    torch.testing.assert_close(folded.W_dec, sae.W_dec / s)
    torch.testing.assert_close(folded.b_dec, sae.b_dec / s)
    assert torch.equal(folded.b_enc, sae.b_enc)
    plain = SAE(dataclasses.replace(sae.config, normalize="none", scale=1.0))
    plain.load_state_dict(sae.state_dict())
    expected = plain.decode(plain.encode_sparse(x * s)) / s
    torch.testing.assert_close(folded.decode(folded.encode_sparse(x)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", PER_ROW)
def test_what_is_done_to_each_row_cannot_be_folded(name):
    with pytest.raises(SaelabError, match=name):
        make(f"topk_{name}").fold()


FREE = [k for k in KINDS if KINDS[k]["arch"] != "topk"]


@pytest.mark.parametrize("kind", FREE)
def test_norms_are_folded_exactly(kind):  # C25
    sae, x = make(kind, torch.float64), rows(20, dtype=torch.float64)
    with torch.no_grad():
        sae.W_dec.mul_(torch.linspace(0.5, 2, len(sae.W_dec))[:, None] / sae.W_dec.norm(dim=1, keepdim=True))
    before = {n: p.clone() for n, p in sae.named_parameters()}
    folded, n = sae.fold_norms(), sae.W_dec.norm(dim=1)
    torch.testing.assert_close(folded.W_dec.norm(dim=1), torch.ones_like(n), atol=1e-6, rtol=0)
    torch.testing.assert_close(folded.encode(x), sae.encode(x) * n, atol=1e-5, rtol=1e-5)
    assert torch.equal(folded.encode(x) > 0, sae.encode(x) > 0)
    torch.testing.assert_close(
        folded.decode(folded.encode_sparse(x)), sae.decode(sae.encode_sparse(x)), atol=1e-5, rtol=1e-5
    )
    assert all(torch.equal(before[k], p) for k, p in sae.named_parameters())
    assert sae.encode(x).any()


def test_norms_of_jumprelu_take_the_threshold_along():  # C25
    sae = make("jumprelu")
    torch.testing.assert_close(sae.fold_norms().threshold, sae.threshold * sae.W_dec.norm(dim=1))


@pytest.mark.parametrize(
    ("kind", "unset"), [("batchtopk", False), ("batchtopk", True), ("matryoshka", False)]
)
def test_one_threshold_becomes_one_for_each(kind, unset):  # C25
    sae, x = make(kind), rows(20)
    if unset:
        sae.threshold.data.fill_(-1.0)
    folded = sae.fold_norms()
    assert (folded.config.arch, folded.config.k, folded.threshold.shape) == ("jumprelu", None, (40,))
    assert torch.equal(folded.encode(x) > 0, sae.encode(x) > 0)


def test_topk_is_refused_unless_all_rows_are_as_long():  # C25
    with pytest.raises(SaelabError, match="other latents would be among the k largest"):
        make("topk").fold_norms()
    sae, x = make("topk_floor"), rows(20)
    with torch.no_grad():
        sae.W_dec.mul_(3 / sae.W_dec.norm(dim=1, keepdim=True))
    folded = sae.fold_norms()
    torch.testing.assert_close(folded.encode(x), sae.encode(x) * 3)
    torch.testing.assert_close(folded(x).recon, sae(x).recon)
    assert folded.config.floor == pytest.approx(3 * sae.config.floor)
    weak = x * torch.linspace(0, 0.5, len(x))[:, None]  # where the floor decides
    assert torch.equal(folded.encode(weak) > 0, sae.encode(weak) > 0)


def test_lengths_of_1_but_for_rounding_are_left():
    sae, x = make("topk"), rows(20)
    with torch.no_grad():
        sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True)).mul_(torch.linspace(0.998, 1.002, 40)[:, None])
    assert torch.equal(sae.fold_norms().encode(x), sae.encode(x))


def test_tied_is_refused_and_a_silent_row_stays():
    sae = SAE(SAEConfig("relu", 12, 40, hook_in="a", tied=True))
    with torch.no_grad():
        sae.W_dec.fill_(1.0)
    with pytest.raises(SaelabError, match="one matrix"):
        sae.fold_norms()
    sae, x = make("relu"), rows(5)
    with torch.no_grad():
        sae.W_dec[3] = 0
    folded = sae.fold_norms()
    torch.testing.assert_close(folded.encode(x)[:, 3], sae.encode(x)[:, 3])
    assert folded.W_dec.isfinite().all()


def test_an_sae_says_how_long_its_rows_are():  # C25
    assert "fold_norms() makes them 1" in make("relu")._repr_html_()
    assert "fold_norms" not in make("relu").fold_norms()._repr_html_()


# ------------------------------------------------------------------------------------------ half precision (D13)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("way", ["fold", "fold_norms", "as_jumprelu"])
@pytest.mark.parametrize("kind", KINDS)
def test_D13_folding_does_not_round_half_precision(kind, way, dtype):
    narrow = make(kind, dtype)
    wide = make(kind, dtype).to(torch.float32)  # the same rounded weights, computed with in float32
    try:
        folded, want = getattr(narrow, way)(), getattr(wide, way)()
    except SaelabError:
        return  # refused whatever the dtype is
    assert folded.config.dtype == "float32"
    assert all(p.dtype == torch.float32 for p in folded.parameters())
    for (name, a), b in zip(folded.named_parameters(), want.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6, msg=name)


def test_D15_one_threshold_becomes_one_for_each_latent():
    x = rows(200)
    for kind in ("batchtopk", "matryoshka"):
        sae = make(kind)
        torch.testing.assert_close(sae.as_jumprelu().encode(x), sae.encode(x))
    sae = make("topk_floor")
    x = x * torch.linspace(0, 1, len(x))[:, None]  # weak rows too
    on = (sae.pre_activations(x) > sae.config.floor).sum(1)
    few = on <= sae.config.k
    assert 0 < int(few.sum()) < len(x)
    same = sae.as_jumprelu().encode(x)
    torch.testing.assert_close(same[few], sae.encode(x)[few])
    assert torch.equal((same > 0).sum(1), on)
    for kind in ("topk", "relu", "gated"):
        with pytest.raises(SaelabError, match="has no threshold that would make it JumpReLU"):
            make(kind).as_jumprelu()

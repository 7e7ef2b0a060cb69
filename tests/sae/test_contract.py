"""What holds for every kind of SAE."""

import dataclasses

import pytest
import torch
from kinds import D_IN, D_SAE, KINDS, make, rows

import saelab as sl
from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS

every_kind = pytest.mark.parametrize("kind", KINDS)


def decode(sae, codes):
    return sae.decode(codes)


@every_kind
def test_saved_and_loaded_is_the_same_bits(kind, tmp_path):  # C52, C36
    sae, x = make(kind), rows(20)
    sae.save(tmp_path)
    again = sl.load_sae(tmp_path)
    assert again.config == sae.config
    for (name, p), (other, q) in zip(sae.named_parameters(), again.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(p, q)
    assert torch.equal(sae.encode(x), again.encode(x))
    assert torch.equal(sae.decode(sae.encode_sparse(x)), again.decode(again.encode_sparse(x)))


@every_kind
@pytest.mark.parametrize("lead", [(), (1,), (5,), (2, 3), (0,)])
def test_shapes_and_the_sparse_form_agree_with_the_dense_one(kind, lead):
    sae = make(kind)
    x = (
        rows(6)[: max(1, torch.Size(lead).numel())].reshape(*lead, D_IN)
        if 0 not in lead
        else torch.zeros(0, D_IN)
    )
    z, codes = sae.encode(x), sae.encode_sparse(x)
    d_out = sae.config.d_out
    assert z.shape == (*lead, D_SAE)
    assert torch.equal(codes.dense(), z)
    assert (codes.values > 0).all()
    recon = sae.decode(codes)
    assert recon.shape == (*lead, d_out)
    flat, stats = sae.normalize(x.reshape(-1, D_IN))
    skip = flat @ sae.W_skip.T if sae.config.skip else None
    torch.testing.assert_close(recon, sae.decode(z, stats, skip), atol=1e-5, rtol=1e-5)
    if sae.config.hook_in == sae.config.hook_out:
        out = sae(x)
        assert torch.equal(out.recon, recon)
        torch.testing.assert_close(out.error + out.recon, x)


@every_kind
def test_a_row_does_not_depend_on_its_batch(kind):
    sae, x = make(kind), rows(64)
    whole = sae.encode(x)
    for i in (0, 17, 63):
        torch.testing.assert_close(sae.encode(x[i]), whole[i], atol=1e-5, rtol=1e-5)


@every_kind
def test_some_latents_equal_columns_of_the_full_encoding(kind):  # C27
    sae, x = make(kind), rows(30)
    full, codes = sae.encode(x), sae.encode_sparse(x)
    for latent in (3, 7):
        assert torch.equal(codes.column(latent), full[:, latent])


@every_kind
def test_dtype_moves_there_and_back(kind):
    sae, x = make(kind), rows(16)
    fine = sae.decode(sae.encode_sparse(x))
    double = sae.double()
    exact = double.decode(double.encode_sparse(x))
    assert exact.dtype == torch.float64
    torch.testing.assert_close(exact.float(), fine, atol=1e-4, rtol=1e-4)
    half = double.bfloat16()
    codes = half.encode_sparse(x)
    assert codes.values.dtype == torch.bfloat16
    assert half.decode(codes).isfinite().all()


@every_kind
def test_encode_is_differentiable_by_autograd(kind):
    sae = make(kind, torch.float64)
    x = rows(3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: sae.encode(v), (x,), atol=1e-5)


@every_kind
def test_dead_latents_are_silent_and_harmless(kind):
    sae, x = make(kind), rows(16)
    before = sae.decode(sae.encode_sparse(x))
    with torch.no_grad():
        for name, p in sae.named_parameters():
            if name == "W_enc":
                p[:, 5] = 0
            elif name in ("b_enc", "b_mag"):
                p[5] = -100
        if sae.config.tied:
            sae.b_enc[5] = -1e4
    z = sae.encode(x)
    assert (z[:, 5] == 0).all()
    assert not (sae.encode_sparse(x).indices == 5).any()
    assert sae.decode(sae.encode_sparse(x)).isfinite().all()
    assert before.isfinite().all()


@every_kind
def test_the_global_random_state_is_left_alone(kind):  # C46
    torch.manual_seed(1)
    a = torch.randn(3)
    torch.manual_seed(1)
    sae = make(kind)
    sae.encode_sparse(rows(4))
    assert torch.equal(torch.randn(3), a)


def test_constant_norm_by_hand():
    sae, x = make("topk_constant_norm"), rows(20)
    x[3] = 0
    size = x.norm(dim=1, keepdim=True) / D_IN**0.5
    plain = SAE(dataclasses.replace(sae.config, normalize="none"))
    plain.load_state_dict(sae.state_dict())
    inner = x / size.clamp_min(1e-12)
    torch.testing.assert_close(inner[0].norm(), torch.tensor(D_IN**0.5))
    assert torch.equal(sae.encode(x), plain.encode(inner))
    torch.testing.assert_close(
        sae.decode(sae.encode_sparse(x)), plain.decode(plain.encode_sparse(inner)) * size
    )


def test_tied_has_one_matrix():
    sae = make("topk_tied")
    assert "W_enc" not in dict(sae.named_parameters())
    assert torch.equal(sae.W_enc, sae.W_dec.T)
    with pytest.raises(AttributeError):
        _ = sae.no_such_thing


def test_crosscoder_norms_and_scales():
    sae = make("crosscoder")
    norms = sae.decoder_norms()
    assert norms.shape == (D_SAE, 2)
    torch.testing.assert_close(norms[:, 0], sae.W_dec[:, :5].norm(dim=1))
    x = torch.ones(1, D_IN)
    assert sae.normalize(x)[0].tolist() == [[0.5] * 5 + [2.0] * 7]
    assert sae.config.hook_in == "a+b"
    assert sae.config.hooks == ("a", "b")


def test_batchtopk_uses_its_threshold():
    sae, x = make("batchtopk"), rows(50)
    pre = sae.pre_activations(x)
    assert torch.equal(sae.encode(x), pre * (pre > sae.threshold))
    assert not sae.threshold.requires_grad


def test_config_says_what_does_not_fit():
    good = {"arch": "topk", "d_in": 8, "d_sae": 16, "k": 2}
    for bad, text in [
        ({"widths": (3, 5)}, "one per hook point"),
        ({"hook_in": ("a", "b"), "widths": (3, 4)}, "add up"),
        ({"scale": (1.0, 2.0)}, "widths"),
        ({"prefixes": (4, 16)}, "matryoshka"),
        ({"tied": True, "d_out": 4, "input_bias": "own"}, "one matrix"),
        ({"arch": "matryoshka", "prefixes": (4, 8)}, "end at d_sae=16"),
        ({"arch": "relu"}, "no fixed k"),
        ({"scale": -1.0}, "positive"),
        ({"k": 17}, "17.*16"),
        ({"k": 0}, "at least 1"),
    ]:
        with pytest.raises(SaelabError, match=text):
            SAEConfig(**(good | bad))
    assert SAEConfig(**(good | {"k": 16})).k == 16
    with pytest.raises(SaelabError, match="Did you mean 'tied'"):
        SAEConfig.from_dict(good | {"tie": True})


def test_configs_saved_before_there_were_other_kinds_still_load():  # C52
    old = {
        "arch": "topk", "d_in": 8, "d_sae": 16, "k": 2, "d_out": 8, "hook_in": "h", "hook_out": "h",
        "model": "m",
        "normalize": "none", "scale": 1.0, "input_bias": "decoder", "bos": True, "context": None,
        "dtype": "float32",
    }  # fmt: skip
    config = SAEConfig.from_dict(old)
    assert not config.tied
    assert SAEConfig.from_dict(config.to_dict()) == config
    assert all(SAEConfig.from_dict(make(k).config.to_dict()) == make(k).config for k in KINDS)
    assert set(ARCHS) == {"topk", "batchtopk", "matryoshka", "relu", "gated", "jumprelu"}

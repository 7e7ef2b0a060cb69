import copy

import pytest
import torch
from helpers import random_sae

from saelab.errors import SaelabError


def data(*lead, d=16, seed=0):
    return torch.randn(*lead, d, generator=torch.Generator().manual_seed(seed))


KINDS = {
    "plain": {},
    "k = 1": {"k": 1},
    "C27 k = d_sae": {"k": 64},
    "layer norm": {"normalize": "layer_norm"},
    "scale": {"normalize": "scale", "scale": 0.37},
    "no input bias": {"input_bias": "none"},
    "own input bias": {"input_bias": "own"},
    "C29 one latent": {"d_sae": 1, "k": 1},
}


@pytest.fixture(params=KINDS)
def sae(request):
    return random_sae(**KINDS[request.param])


def by_hand(sae, x):
    """Reconstruction of one row in float64, from the formula of the docstring."""
    c = sae.config
    w_enc, b_enc, w_dec, b_dec, b_in = (
        t.double() for t in (sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec, sae.b_in)
    )
    x, shift, scale = x.double(), 0.0, 1.0
    if c.normalize == "layer_norm":
        shift, scale = x.mean(), x.std()
        x = (x - shift) / (scale + 1e-5)
    elif c.normalize == "scale":
        scale = 1 / c.scale
        x = x * c.scale
    pre = (x - b_in) @ w_enc + b_enc
    z = torch.zeros(c.d_sae, dtype=torch.float64)
    best = pre.argsort(descending=True)[: c.k]
    z[best] = pre[best].relu()
    return z, (z @ w_dec + b_dec) * scale + shift


def test_encode_and_decode_follow_the_formula(sae):
    x = 3 * data(30) + 1
    out = sae(x)
    for i, row in enumerate(x):
        z, recon = by_hand(sae, row)
        torch.testing.assert_close(out.codes.dense()[i], z.float(), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(out.recon[i], recon.float(), atol=1e-4, rtol=1e-4)
    assert torch.equal(out.error, x - out.recon)


def test_dense_and_sparse_latents_are_the_same(sae):
    x = data(3, 5)
    z = sae.encode(x)
    codes = sae.encode_sparse(x)
    assert torch.equal(codes.dense(), z)
    assert z.shape == (3, 5, sae.config.d_sae)
    assert (codes.l0() <= sae.config.k).all()
    _, stats = sae.normalize(x.reshape(-1, 16))
    torch.testing.assert_close(sae.decode(z, stats), sae.decode(codes))


@pytest.mark.filterwarnings("ignore:std..")  # torch's, for the standard deviations of no rows
@pytest.mark.parametrize("lead", [(), (1,), (0,), (1, 1), (2, 0), (2, 3, 4)])
def test_C29_any_leading_shape(sae, lead):
    x = data(*lead)
    out = sae(x)
    assert out.recon.shape == out.error.shape == x.shape
    assert sae.encode(x).shape == (*lead, sae.config.d_sae)
    assert out.codes.l0().shape == lead
    assert sae.output_scale(x).shape == (*lead, 1)


def test_C29_rows_do_not_know_each_other(sae):
    x = data(7)
    whole = sae(x).recon
    for i in range(7):
        torch.testing.assert_close(sae(x[i : i + 1]).recon[0], whole[i])
        torch.testing.assert_close(sae(x[i]).recon, whole[i])


def test_C27_columns_of_some_latents_are_those_of_the_full_encoding():
    sae = random_sae(k=4)
    x = data(50)
    codes, z = sae.encode_sparse(x), sae.encode(x)
    for latent in (3, 7):
        assert torch.equal(codes.column(latent), z[:, latent])


def test_C01_C39_never_more_than_k_active_and_counts_do_not_saturate():
    sae = random_sae(k=4, dtype="bfloat16")
    codes = sae.encode_sparse(data(1000))
    assert int(codes.l0().max()) <= 4
    assert codes.l0().dtype == torch.int64
    counts = torch.bincount(codes.indices, minlength=64)
    assert counts.sum() == codes.l0().sum() > 256


def test_output_scale_is_what_one_unit_of_a_latent_moves():
    for kind in ("plain", "scale", "layer norm"):
        sae = random_sae(**KINDS[kind])
        x = data(5)
        codes = sae.encode_sparse(x)
        z = codes.dense()
        z[:, 9] += 1
        moved = sae.decode(z, codes.stats) - sae.decode(codes)
        torch.testing.assert_close(moved, sae.output_scale(x) * sae.W_dec[9], atol=1e-5, rtol=1e-4)


def test_C07_a_scale_is_part_of_the_sae():
    sae = random_sae(normalize="scale", scale=0.37)
    plain = random_sae()
    x = data(20)
    torch.testing.assert_close(sae(x).recon, plain(0.37 * x).recon / 0.37, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sae.decode(sae.encode(x)), sae(x).recon)


def test_normalized_dense_latents_need_the_rows_stats():
    sae = random_sae(normalize="layer_norm")
    with pytest.raises(SaelabError, match="decode needs the row's stats"):
        sae.decode(sae.encode(data(3)))


def test_C35_a_width_that_does_not_fit_names_the_hook():
    sae = random_sae(hook_in="blocks.1.hook_mlp_out")
    for run in (sae, sae.encode, sae.encode_sparse, sae.output_scale):
        with pytest.raises(SaelabError, match=r"must be d_in=16, got shape \(2, 8\).*blocks.1.hook_mlp_out"):
            run(torch.zeros(2, 8))


@pytest.mark.parametrize("own", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_C41_any_dtype_meets_any_dtype(own, given):
    sae, x = random_sae(dtype=own), data(6).to(given)
    out = sae(x)
    assert out.recon.isfinite().all()
    assert out.recon.dtype == sae.W_dec.dtype
    assert out.error.shape == x.shape


def test_gradients_flow_through_the_sparse_way_as_through_the_dense():
    grads = []
    for way in ("dense", "sparse"):
        sae = random_sae(k=4)
        x = data(10)
        codes = sae.encode(x) if way == "dense" else sae.encode_sparse(x)
        (sae.decode(codes) - x).square().sum().backward()
        grads.append({n: p.grad for n, p in sae.named_parameters()})
    for name in grads[0]:
        torch.testing.assert_close(grads[0][name], grads[1][name], atol=1e-4, rtol=1e-4)


def test_nothing_is_kept_between_calls():
    sae = random_sae(normalize="layer_norm")
    x = data(4)
    first = sae(x).recon
    sae(100 * data(9, seed=1))
    assert torch.equal(sae(x).recon, first)


def test_the_encoder_is_stored_one_latent_after_another():
    sae = random_sae()
    assert sae.W_enc.shape == (16, 64)
    assert sae.W_enc.T.is_contiguous()
    assert copy.deepcopy(sae).W_enc.T.is_contiguous()


def test_a_transcoder_has_its_own_output_and_no_error():
    sae = random_sae(d_out=8, input_bias="none", hook_in="a", hook_out="b")
    x = data(5)
    assert sae.decode(sae.encode_sparse(x)).shape == (5, 8)
    assert sae.decode(sae.encode(x)).shape == (5, 8)
    with pytest.raises(SaelabError, match="transcoder's error needs its target"):
        sae(x)


def test_C55_a_latent_that_never_fires_and_an_sae_of_dead_latents():
    sae = random_sae()
    with torch.no_grad():
        sae.b_enc.fill_(-1e6)
    out = sae(data(2, 3))
    assert len(out.codes.values) == 0
    assert torch.equal(out.codes.column(5), torch.zeros(2, 3))
    torch.testing.assert_close(out.recon, sae.b_dec.expand(2, 3, 16))


def test_it_shows_itself():
    sae = random_sae(hook_in="<b>")
    assert "topk, d_in=16, d_sae=64, k=4" in repr(sae)
    shown = sae._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>'" not in shown


def test_C46_making_one_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    random_sae()(data(3))
    assert torch.equal(before, torch.get_rng_state())

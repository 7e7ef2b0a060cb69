import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saelab.errors import SaelabError
from saelab.sae import Codes


def sparse(lead, d_sae, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(*lead, d_sae, generator=g).sub(0.8).relu()


LEADS = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@given(LEADS, st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_dense_round_trip(lead, d_sae, seed):
    z = sparse(lead, d_sae, seed)
    codes = Codes.from_dense(z)
    assert torch.equal(codes.dense(), z)
    assert codes.dense().shape == z.shape
    assert (codes.values > 0).all()
    assert codes.n_rows == z[..., 0].numel()
    assert torch.equal(codes.l0(), (z > 0).sum(-1))
    assert len(codes.rows()) == len(codes.values) == len(codes.indices) == int(codes.offsets[-1])
    for latent in range(d_sae):
        assert torch.equal(codes.column(latent), z[..., latent])


@given(LEADS, st.integers(1, 9), st.data())
@settings(max_examples=100, deadline=None)
def test_from_topk_is_from_dense_of_the_same_latents(lead, d_sae, data):
    k = data.draw(st.integers(1, d_sae))
    pre = sparse(lead, d_sae, data.draw(st.integers(0, 99)))
    values, indices = pre.reshape(-1, d_sae).topk(k, dim=-1)
    codes = Codes.from_topk(values, indices, lead, d_sae)
    want = torch.zeros_like(pre).reshape(-1, d_sae).scatter(-1, indices, values).reshape(pre.shape)
    assert torch.equal(codes.dense(), want)
    assert (codes.values > 0).all(), "zeros are not active"


def test_C59_a_latent_that_is_not_there():
    codes = Codes.from_dense(torch.ones(2, 3))
    for bad in (-1, 3):
        with pytest.raises(SaelabError, match="out of range: this SAE has latents 0…2"):
            codes.column(bad)


def test_C29_one_prompt_one_token_one_latent_keep_their_axes():
    codes = Codes.from_dense(torch.ones(1, 1, 1))
    assert codes.dense().shape == (1, 1, 1)
    assert codes.column(0).shape == codes.l0().shape == (1, 1)

"""Every kind of SAE in every number format, beside the same SAE in float64."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from kinds import D_IN, D_SAE, KINDS, make, rows

from saelab.errors import SaelabError
from saelab.formats import load_sae
from saelab.sae import SAE, SAEConfig

DTYPES = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}  # relative error allowed


def apart(got, want):
    """Relative distance of two arrays, row by row: what nine of ten rows keep. In the tenth a latent may stand at
    the threshold, or two be as large for the last place of k."""
    far = (got.double() - want).norm(dim=-1) / want.norm(dim=-1).clamp_min(1e-9)
    return float(far.quantile(0.9))


@torch.no_grad()
@pytest.mark.parametrize(("kind", "dtype"), itertools.product(KINDS, DTYPES))
def test_D16_every_kind_in_every_format_is_near_float64(kind, dtype):
    half = make(kind, getattr(torch, dtype))
    wide = copy.deepcopy(half).double()
    normed = half.config.normalize in ("layer_norm", "constant_norm")
    x = rows(64)
    if normed:  # coordinates of 300 and norms of 1,000: their squares are beyond float16
        x = 80 * x
        x[::2, 3] += 300
    x = x.to(half.W_dec.dtype)
    codes, want = half.encode_sparse(x), wide.encode_sparse(x.double())
    assert codes.values.isfinite().all()
    assert apart(codes.dense(), want.dense()) < DTYPES[dtype]
    recon = half.decode(codes)
    assert recon.isfinite().all()
    assert apart(recon, wide.decode(want)) < DTYPES[dtype]
    dense = half.decode(half.encode(x), codes.stats, codes.skip)
    torch.testing.assert_close(
        dense.double(), recon.double(), rtol=2e-2, atol=2e-2 * float(recon.abs().max())
    )


@torch.no_grad()
@pytest.mark.parametrize("normalize", ["layer_norm", "constant_norm", "scale"])
def test_D16_an_input_beyond_float16_is_normalized_before_it_is_rounded(normalize):
    scale = 1e-4 if normalize == "scale" else 1.0
    config = SAEConfig("topk", D_IN, D_SAE, k=4, normalize=normalize, scale=scale, dtype="float16")
    sae = SAE(config)
    for p in sae.parameters():
        p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    x = 1e5 * rows(8)  # float16 ends at 65,504
    wide = copy.deepcopy(sae).double()
    recon, want = sae.decode(sae.encode_sparse(x)), wide.decode(wide.encode_sparse(x.double()))
    assert recon.isfinite().all()
    assert apart(recon, want) < 2e-2
    assert sae.output_scale(x).isfinite().all()


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_D17_the_configuration_follows_the_weights(dtype, tmp_path):
    for kind, before in itertools.product(("topk", "jumprelu", "topk_tied"), DTYPES):
        sae = make(kind, getattr(torch, before))
        assert sae.config.dtype == before
        sae = sae.to(getattr(torch, dtype))
        assert sae.config.dtype == dtype
        back = load_sae(sae.save(tmp_path / f"{kind}{before}"))
        assert back.config == sae.config
        for (name, p), (_, q) in zip(sae.named_parameters(), back.named_parameters(), strict=True):
            assert torch.equal(p, q), name


def test_D17_short_forms_of_to_are_followed_too():
    sae = make("topk")
    assert [sae.half().config.dtype, sae.float().config.dtype, sae.bfloat16().config.dtype] == [
        "float16", "float32", "bfloat16"
    ]  # fmt: skip
    assert sae.to("cpu").config.dtype == "bfloat16"
    assert copy.deepcopy(sae).config.dtype == "bfloat16"


def test_D17_float64_which_a_file_does_not_hold_is_not_rounded_silently(tmp_path):
    sae = make("topk").double()
    with pytest.raises(SaelabError, match="float64"):
        sae.save(tmp_path / "wide")
    assert not (tmp_path / "wide").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["input", "W_enc"])
def test_D58_nan_is_not_silence(kind, where):
    sae, x = make(kind), rows(5)
    if where == "input":
        x[3] = torch.nan
    else:
        with torch.no_grad():
            next(p for n, p in sae.named_parameters() if n in ("W_enc", "W_dec"))[:] = torch.nan
    with torch.no_grad():
        dense, codes = sae.encode(x), sae.encode_sparse(x)
    assert dense[3].isnan().any()
    torch.testing.assert_close(codes.dense(), dense, equal_nan=True, rtol=0, atol=0)
    assert sae.decode(codes)[3].isnan().all()
    if where == "input":
        assert not dense[[0, 1, 2, 4]].isnan().any()

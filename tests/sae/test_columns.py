"""A few latents computed alone are the same as among all, for every kind of SAE."""

import pytest
import torch
from kinds import D_IN, D_SAE, KINDS, make, rows

from saelab.sae.columns import Columns


def both(sae, x, latents):
    normal, _ = sae.normalize(x)
    some = Columns(sae, latents)(normal)
    expected = sae.encode(x)[:, latents]
    return torch.zeros_like(expected) if some is None else some, expected


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_numbers_as_encode(kind):
    sae, x = make(kind), rows(64)
    with torch.no_grad():
        for latents in (list(range(D_SAE)), [7], [30, 2, 11]):
            some, expected = both(sae, x, latents)
            torch.testing.assert_close(some, expected, atol=1e-5, rtol=1e-5)
        assert expected.any()
        assert both(sae, x[:0], [3])[0].shape == (0, 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_topk_with_equal_values_at_the_border(dtype):
    sae = make("topk").to(dtype)
    with torch.no_grad():
        enc = sae.W_enc.T  # four latents above, then three that are equal, of which k = 6 takes two
        enc[:] = 0
        enc[[3, 9, 12, 20]] = 2.0
        enc[[5, 6, 30]] = 1.0
        sae.b_enc.zero_()
        sae.b_dec.zero_()
        object.__setattr__(sae.config, "k", 6)
        x = torch.ones(2, D_IN, dtype=dtype)
        some, expected = both(sae, x, list(range(D_SAE)))
    assert torch.equal(some, expected)
    assert (some > 0).sum(1).tolist() == [6, 6]


def test_rows_in_which_none_is_active_are_not_encoded_whole(monkeypatch):
    sae = make("topk_floor")
    seen = []
    whole = type(sae).pre_activations
    monkeypatch.setattr(type(sae), "pre_activations", lambda s, x: (seen.append(len(x)), whole(s, x))[1])
    x = rows(64)
    with torch.no_grad():
        pre = whole(sae, x)[:, 7]
        assert Columns(sae, [7])(x) is not None
        assert seen == [int((pre > sae.config.floor - 0.01).sum())]
        assert 0 < seen[0] < 64
        quiet = x[pre < 0]
        assert Columns(sae, [7])(quiet) is None
    assert len(seen) == 1

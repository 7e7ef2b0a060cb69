import pytest
import torch
from helpers import random_sae

from saelab.errors import SaelabError
from saelab.sae import SAEConfig, topk


def brute(pre, k):
    out = torch.zeros_like(pre)
    for row, p in enumerate(pre):
        for i in sorted(range(len(p)), key=lambda i: -p[i])[:k]:
            out[row, i] = max(p[i], 0)
    return out


def test_the_k_largest_of_all_latents_then_relu():
    sae = random_sae(k=4)
    pre = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    pre[3] = -pre[3].abs()  # nothing positive: nothing active
    pre[4, 2:] = -1  # fewer than k positive
    assert torch.equal(topk.activate(sae, pre), brute(pre, 4))


def test_C27_k_equal_to_the_width_is_relu():
    sae = random_sae(k=64)
    pre = torch.randn(9, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(topk.activate(sae, pre), pre.relu())


def test_floor_leaves_out_weak_activations():
    sae = random_sae(d_in=6, d_sae=12, k=4, floor=0.5)
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    plain = random_sae(d_in=6, d_sae=12, k=4)
    z = plain.encode(x)
    assert ((z > 0) & (z <= 0.5)).any()
    expected = torch.where(z > 0.5, z, 0.0)
    assert torch.equal(sae.encode(x), expected)
    assert torch.equal(sae.encode_sparse(x).dense(), expected)


def test_floor_belongs_to_topk_and_is_not_negative():
    with pytest.raises(SaelabError, match="floor belongs to a topk SAE"):
        SAEConfig("relu", d_in=4, d_sae=8, floor=0.1)
    with pytest.raises(SaelabError, match="at least 0"):
        SAEConfig("topk", d_in=4, d_sae=8, k=2, floor=-0.1)


def test_floor_in_training_is_a_share_of_one_of_k_parts():
    from saelab.training.start import part_size

    x = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))  # total variance 8
    assert part_size([x], [1.0], 2, "none") == pytest.approx(2.0, rel=0.03)
    assert part_size([x], [0.5], 2, "none") == pytest.approx(1.0, rel=0.03)
    assert part_size([x, x], [1.0, 1.0], 4, "none") == pytest.approx(2.0, rel=0.03)

import torch
from helpers import random_sae

from saelab.sae import topk


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

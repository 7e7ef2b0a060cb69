"""Every kind of SAE, small, for the tests that hold for all of them."""

from __future__ import annotations

import torch

from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS

D_IN, D_SAE = 12, 40

KINDS: dict[str, dict] = {
    "topk": {"arch": "topk", "k": 4},
    "topk_tied": {"arch": "topk", "k": 4, "tied": True},
    "topk_skip": {"arch": "topk", "k": 4, "skip": True},
    "topk_scale": {"arch": "topk", "k": 4, "normalize": "scale", "scale": 0.37},
    "topk_layer_norm": {"arch": "topk", "k": 4, "normalize": "layer_norm"},
    "topk_constant_norm": {"arch": "topk", "k": 4, "normalize": "constant_norm"},
    "topk_own_bias": {"arch": "topk", "k": 4, "input_bias": "own"},
    "topk_floor": {"arch": "topk", "k": 4, "floor": 0.8},
    "topk_no_bias": {"arch": "topk", "k": 4, "input_bias": "none"},
    "batchtopk": {"arch": "batchtopk", "k": 4},
    "matryoshka": {"arch": "matryoshka", "k": 4, "prefixes": (5, 10, 40)},
    "relu": {"arch": "relu"},
    "relu_scale": {"arch": "relu", "normalize": "scale", "scale": 2.5},
    "gated": {"arch": "gated"},
    "jumprelu": {"arch": "jumprelu"},
    "transcoder": {"arch": "topk", "k": 4, "d_out": 7, "input_bias": "own", "hook_in": "a", "hook_out": "b"},
    "skip_transcoder": {
        "arch": "topk", "k": 4, "d_out": 7, "input_bias": "own", "hook_in": "a", "hook_out": "b",
        "skip": True,
        "normalize": "scale", "scale": 0.5, "scale_out": 3.0,
    },
    "crosscoder": {"arch": "relu", "hook_in": ("a", "b"), "widths": (5, 7), "normalize": "scale",
    "scale": (0.5, 2.0)},
}  # fmt: skip

OPTIONS: dict[str, list[dict]] = {
    "topk": [{}, {"multi": 0.125}, {"k_start": 9}],
    "batchtopk": [{}],
    "matryoshka": [{}],
    "relu": [{"l1": 0.3}, {"l1": 0.3, "form": "unit"}, {"l1": 0.3, "p_end": 0.5, "p_from": 0.0}],
    "gated": [{"l1": 0.3}],
    "jumprelu": [
        {"target_l0": 3.0, "bandwidth": 0.4},
        {"l0": 2.0, "bandwidth": 0.4},
        {"l0": 2.0, "bandwidth": 0.4, "kernel": "tanh"},
    ],
}


def make(kind: str, dtype: torch.dtype = torch.float32, seed: int = 0) -> SAE:
    """A random SAE with non-zero biases and thresholds that cut through its latents."""
    sae = SAE(SAEConfig(**({"d_in": D_IN, "d_sae": D_SAE, "hook_in": "a"} | KINDS[kind]))).to(dtype)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sae.named_parameters():
            noise = torch.randn(p.shape, generator=g).to(dtype)
            p.copy_(noise.abs() * 0.5 + 0.1 if name == "threshold" else noise * (0.3 if p.ndim < 2 else 0.4))
    return sae


def rows(n: int, seed: int = 1, dtype: torch.dtype = torch.float32, d: int = D_IN) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).to(dtype)


assert {c["arch"] for c in KINDS.values()} == set(ARCHS)

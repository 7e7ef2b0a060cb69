"""A model that costs nothing: activations are sums of sparse features of the bytes read so far."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

# a run of seconds: keywords of saelab.train for a ToyModel
SMALL = {
    "hook": "first",
    "d_sae": 48,
    "k": 4,
    "tokens": 4000,
    "batch": 100,
    "buffer": 1000,
    "progress": False,
}


class Point:
    """A hook point."""

    def __init__(self, name: str):
        self.name, self.fwd_hooks = name, []

    def add_hook(self, fn):
        handle = SimpleNamespace()
        handle.hook = SimpleNamespace(remove=lambda: None)
        handle.fn = fn
        self.fwd_hooks.append(handle)

    def __call__(self, x):
        for handle in list(self.fwd_hooks):
            new = handle.fn(x, self)
            x = x if new is None else new
        return x


class Tokenizer:
    bos_token_id, all_special_ids = 0, [0]

    def __call__(self, text, **_):
        return {"input_ids": [b % 63 + 1 for b in text.encode()]}


class ToyModel(nn.Module):
    """``first``: directions of the current and the last byte; ``second``: a nonlinear function of it."""

    def __init__(self, d: int = 12, seed: int = 0):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.now = nn.Parameter(torch.randn(64, d, generator=g))
        self.last = nn.Parameter(torch.randn(64, d, generator=g))
        self.mix = nn.Parameter(torch.randn(d, 2 * d, generator=g) / d**0.5)
        self.cfg = SimpleNamespace(n_ctx=32, d_vocab=64, n_layers=1, model_name="org/toy")
        self.tokenizer = Tokenizer()
        self.hook_dict = {"first": Point("first"), "second": Point("second")}
        self.calls = 0

    def forward(self, ids, attention_mask=None):
        self.calls += 1
        before = torch.cat([ids[:, :1], ids[:, :-1]], 1)
        x = self.hook_dict["first"](self.now[ids] + 0.5 * self.last[before])
        return self.hook_dict["second"]((x @ self.mix).relu())


def texts(n: int = 300, seed: int = 0) -> list[str]:
    g = torch.Generator().manual_seed(seed)
    words = ["fox", "hill", "ant", "log", "sun", "red", "over", "under", "tree", "stone"]
    return [" ".join(words[i] for i in torch.randint(10, (12,), generator=g)) for _ in range(n)]

"""Labelled rows of the tiny model; and samples made by hand, without a model."""

import numpy as np
import torch
from helpers import SENTENCES, shared_tiny

from saelab import models
from saelab.evaluation.sample import Sample, Task
from saelab.sae import SAE, SAEConfig

HOOK = "blocks.0.hook_resid_post"


def corpus(model=None, n=12):
    """Many short documents, and labels that are functions of the token id."""
    model = model or shared_tiny()
    texts = [s[i:] for i in range(n) for s in SENTENCES]
    rows = models.tokenize_texts(model, texts)
    ids = np.asarray(rows.ids)
    return rows, {"even": (ids % 2 == 0) & (ids > 0), "third": (ids % 3 == 0) & (ids > 0), "never": ids < 0}


def acts(model, rows, token, hook=HOOK):
    row, position = rows.locate(token)
    out = []
    for r, p in zip(row, position, strict=True):
        ids = torch.from_numpy(rows[int(r)].astype(np.int64))[None]
        out.append(models.run_to_hooks(model, ids, [hook])[hook][0, int(p)])
    return torch.stack(out)


def linear_sae(encoder, decoder, bias=None):
    """A relu SAE: latents relu(x @ encoder (d, n) + bias), output latents @ decoder (n, d)."""
    encoder, decoder = torch.tensor(encoder, dtype=torch.float32), torch.tensor(decoder, dtype=torch.float32)
    sae = SAE(
        SAEConfig("relu", d_in=encoder.shape[0], d_sae=encoder.shape[1], hook_in="a", input_bias="none")
    )
    with torch.no_grad():
        sae.W_enc.copy_(encoder)
        sae.W_dec.copy_(decoder)
        if bias is not None:
            sae.b_enc.copy_(torch.tensor(bias))
    return sae


def made(sae, x, **concepts):
    """A sample of rows ``x`` for train and the same again for test; ``concepts``: name -> carries (n,)."""
    x = torch.tensor(x, dtype=torch.float32)
    n = len(x)
    both = torch.cat([x, x])
    tasks = []
    for name, has in concepts.items():
        y = torch.tensor(has, dtype=torch.bool)
        assert int(y.sum()) * 2 == n, "as many with as without"
        tasks.append(Task(name, torch.arange(n), y, torch.arange(n, 2 * n), y))
    with torch.no_grad():
        codes = sae.encode_sparse(both)
    return Sample(sae, np.arange(2 * n), both, both, codes, tuple(tasks))

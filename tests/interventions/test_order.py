"""Several edits of one latent."""

from __future__ import annotations

import itertools

import pytest
import torch
from helpers import codes_of, random_sae

import saelab as sl
from saelab import models

HOOK = "blocks.0.hook_resid_post"
DO = {
    "add": lambda a, s: a + s,
    "clamp": lambda a, s: 0 * a + s,
    "scale": lambda a, s: a * s,
    "ablate": lambda a, s: 0 * a,
}


@pytest.fixture(scope="module")
def firing(tiny):
    """An SAE, a text's ids, a latent that fires on some of it, and its activations (T,)."""
    sae, ids = random_sae(), torch.tensor([models.tokenize(tiny, "The red fox ran over the hill")])
    codes = codes_of(tiny, sae, ids)  # (T, d_sae)
    latent = int((codes[1:] > 0).sum(0).sub(3).abs().argmin())
    assert 0 < int((codes[1:, latent] > 0).sum()) < len(codes) - 1
    return sae, ids, latent, codes[:, latent]


def written(model, sae, ids, edits):
    """(T, d) what the edits add at the hook point."""
    clean = models.run_to_hooks(model, ids, [HOOK])[HOOK]
    with sl.steer(model, sae, edits):
        return (model_at(model, ids) - clean)[0]


def model_at(model, ids):
    """(1, T, d) the hook point in a whole pass, behind what is installed there."""
    seen = []
    with models.hooked(model, {HOOK: lambda x: seen.append(x.detach())}), torch.no_grad():
        models.forward(model, ids)
    return seen[0]


@pytest.mark.parametrize(("first", "second"), itertools.product(DO, DO))
def test_D27_edits_of_one_latent_follow_each_other(tiny, firing, first, second):
    sae, ids, latent, a = firing
    edits = [sl.Edit(2.0, first, latent), sl.Edit(3.0, second, latent)]
    new = DO[second](DO[first](a, 2.0), 3.0)
    want = (new - a)[:, None] * sae.W_dec[latent].detach()
    want[0] = 0  # BOS is left alone
    torch.testing.assert_close(written(tiny, sae, ids, edits), want, atol=1e-5, rtol=1e-5)


def test_D27_a_condition_reads_what_was_before_all_edits(tiny, firing):
    sae, ids, latent, a = firing
    edits = [sl.Edit(0.0, "ablate", latent), sl.Edit(2.0, "add", latent, when=latent)]
    want = torch.where(a > 0, 2.0 - a, 0.0)[:, None] * sae.W_dec[latent].detach()
    want[0] = 0
    torch.testing.assert_close(written(tiny, sae, ids, edits), want, atol=1e-5, rtol=1e-5)

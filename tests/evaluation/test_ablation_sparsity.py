import math

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.evaluation.ablation import sparsity

HOOK = "blocks.0.hook_resid_post"


def test_sparsity_by_hand():
    one = torch.zeros(1, 2, 5)
    one[0, 0, 3] = -4.0
    assert float(sparsity(one)) == pytest.approx(1 / 10), "one of ten numbers"
    two = torch.zeros(1, 2, 5)
    two[0, 0, 1] = two[0, 1, 2] = 0.5
    assert float(sparsity(two)) == pytest.approx(2 / 10)
    assert float(sparsity(100 * two)) == pytest.approx(2 / 10), "of any size"
    assert float(sparsity(two + torch.tensor([3.0, -1.0])[None, :, None])) == pytest.approx(2 / 10), (
        "softmax does not see a token's shift"
    )
    three = torch.tensor([[[0.0, 0, 0, 3, -4]]])
    assert float(sparsity(three)) == pytest.approx(49 / 25 / 5)
    assert math.isnan(float(sparsity(torch.ones(1, 2, 5)))), "nothing changes"


def test_normal_noise_gives_2_over_pi():
    noise = torch.randn(1, 16, 2000, generator=torch.Generator().manual_seed(0))
    assert float(sparsity(noise)) == pytest.approx(2 / math.pi, abs=0.01)


CASES = {
    "sae": {},
    "scale": {"normalize": "scale", "scale": 0.3},
    "layer_norm": {"normalize": "layer_norm"},
    "transcoder": {
        "hook_in": "blocks.0.mlp.hook_in",
        "hook_out": "blocks.0.hook_mlp_out",
        "input_bias": "none",
    },
    "crosscoder": {"hook_in": (HOOK, "blocks.1.hook_mlp_out"), "widths": (16, 16), "d_in": 32},
}


@pytest.mark.parametrize("kind", sorted(CASES))
def test_the_same_as_steering_with_each_latent_taken_away(tiny, kind):
    sae = random_sae(**CASES[kind])
    rows = models.tokenize_texts(tiny, SENTENCES)
    frame = sl.evaluation.ablation_sparsity(
        tiny, sae, rows, positions=2, ahead=3, batch_tokens=40, progress=False, tokens=None
    )
    assert len(frame) == 2
    for line in frame.itertuples():
        ids = torch.from_numpy(rows[line.row][: line.position + 3].astype(np.int64))[None]
        found = models.run_to_hooks(tiny, ids, list(sae.config.hooks))
        x = torch.cat([found[h][0, line.position] for h in sae.config.hooks], -1)
        active = sae.encode(x).nonzero()[:, 0].tolist()
        assert line.latents == len(active) > 0
        with torch.no_grad():
            clean = models.forward(tiny, ids)[0, line.position :]
        values = []
        for latent in active:
            with torch.no_grad(), sl.steer(tiny, sae, [latent], mode="ablate", positions=[line.position]):
                changed = (models.forward(tiny, ids)[0, line.position :] - clean).double()
            changed = changed - changed.median(1, keepdim=True).values
            values.append(float(changed.abs().sum() ** 2 / changed.square().sum() / changed.numel()))
        assert line.sparsity == pytest.approx(np.mean(values), rel=1e-3)
        assert 0 < line.channel_sparsity <= 1


def test_batches_and_seeds(tiny):
    sae = random_sae()
    options = {"positions": 4, "ahead": 2, "progress": False}
    a, b, c = (
        sl.evaluation.ablation_sparsity(tiny, sae, SENTENCES, batch_tokens=n, seed=s, **options)
        for n, s in ((1, 0), (4096, 0), (4096, 1))
    )
    np.testing.assert_allclose(a["sparsity"], b["sparsity"], rtol=1e-4)
    np.testing.assert_allclose(a["channel_sparsity"], b["channel_sparsity"], rtol=1e-4)
    assert a["token_index"].tolist() == b["token_index"].tolist() != c["token_index"].tolist()


def test_a_token_without_an_active_latent_is_undefined(tiny):
    sae = random_sae()
    with torch.no_grad():
        sae.b_enc.fill_(-1e6)
    line = sl.evaluation.ablation_sparsity(tiny, sae, SENTENCES, positions=1, ahead=2, progress=False).iloc[0]
    assert line["latents"] == 0
    assert math.isnan(line["sparsity"])


def test_texts_that_are_too_short_are_refused(tiny):
    with pytest.raises(SaelabError, match="no token has 40 tokens left in its row"):
        sl.evaluation.ablation_sparsity(tiny, random_sae(), SENTENCES, ahead=40)
    with pytest.raises(SaelabError, match="positions must be at least 1"):
        sl.evaluation.ablation_sparsity(tiny, random_sae(), SENTENCES, positions=0)

"""Effects against passes made by hand."""

import numpy as np
import pytest
import torch
from helpers import codes_of, logp_of, random_sae, tiny_model

from saelab import models
from saelab.errors import SaelabError
from saelab.experiments import effects
from saelab.interventions import attach, steer

HOOK = "blocks.0.hook_resid_post"
TEXT = "The red fox ran over"


def ids_of(model):
    return torch.tensor([models.tokenize(model, TEXT)])


def test_effects_are_the_difference_of_two_passes(model, sae):
    ids = ids_of(model)
    z = codes_of(model, sae, ids)
    latent = int(z[2].argmax())
    frame = effects(model, sae, TEXT, latent, top=3).frame
    clean = logp_of(model, ids)
    x = models.run_to_hooks(model, ids, [HOOK])[HOOK]
    change = z[:, latent, None] * sae.W_dec[latent]
    change[0] = 0  # BOS is left alone
    with torch.no_grad(), models.hooked(model, {HOOK: lambda _: x - change}):
        ablated = models.forward(model, ids)[0].log_softmax(-1)
    assert frame["token"].tolist() == models.token_labels(model, ids[0].tolist())
    np.testing.assert_allclose(frame["activation"], z[:, latent].detach(), atol=1e-6)
    assert frame["edited"].tolist() == [False, *(z[1:, latent] > 0).tolist()]
    target = ids[0, 1:, None]
    loss, loss_ablated = (-p[:-1].gather(-1, target)[:, 0].detach().numpy() for p in (clean, ablated))
    np.testing.assert_allclose(frame["loss"][:-1], loss, atol=1e-5)
    np.testing.assert_allclose(frame["loss_diff"][:-1], loss_ablated - loss, atol=1e-5)
    assert np.isnan(frame["loss_diff"].iloc[-1])
    kl = (clean.exp() * (clean - ablated)).sum(-1).detach()
    np.testing.assert_allclose(frame["kl"], kl, atol=1e-5)
    gain = (clean - ablated).detach()
    for t in (2, len(frame) - 1):
        up, down = frame["up"][t], frame["down"][t]
        best = gain[t].topk(3)
        assert [token for token, _ in up] == models.token_labels(model, best.indices.tolist())
        np.testing.assert_allclose([v for _, v in up], best.values, atol=1e-5)
        np.testing.assert_allclose([v for _, v in down], gain[t].sort().values[:3], atol=1e-5)
        assert all(v > 0 for _, v in up)
        assert all(v < 0 for _, v in down)


def test_nothing_changes_before_the_latent_fires(model, sae):
    z = codes_of(model, sae, ids_of(model))[1:]
    latent = int(((z[2:] > 0).any(0) & ~(z[:2] > 0).any(0)).nonzero()[0])
    frame = effects(model, sae, TEXT, latent).frame
    first = int(frame.index[frame["edited"]][0])
    assert first >= 3
    assert (frame["kl"][:first] == 0).all()
    assert all(
        not up and not down for up, down in zip(frame["up"][:first], frame["down"][:first], strict=True)
    )
    assert frame["kl"][first] > 0
    never = int((z.sum(0) == 0).nonzero()[0])
    assert (effects(model, sae, TEXT, never)["kl"] == 0).all()


def test_c43_a_far_off_edit_gives_a_finite_divergence(model):
    sae = random_sae()
    with torch.no_grad():
        sae.W_dec.mul_(1e4)
    frame = effects(model, sae, TEXT, int(codes_of(model, sae, ids_of(model))[2].argmax()))
    assert np.isfinite(frame["kl"]).all()
    assert frame["kl"].max() > 0


def test_in_the_last_layer_the_direct_effect_is_the_whole(model):
    sae = random_sae(hook_in="blocks.1.hook_resid_post")
    latent = int(codes_of(model, sae, ids_of(model))[2].argmax())
    frame = effects(model, sae, TEXT, latent, direct=True)
    np.testing.assert_allclose(frame["direct_kl"], frame["kl"], atol=1e-6)
    assert [[t for t, _ in row] for row in frame["direct_up"]] == [[t for t, _ in row] for row in frame["up"]]


def test_the_direct_effect_of_a_neuron_latent_goes_through_the_output_matrix():
    model = tiny_model()
    sae = random_sae(d_in=64, hook_in="blocks.0.mlp.hook_post")
    ids = ids_of(model)
    z = codes_of(model, sae, ids)
    latent = int(z[2].argmax())
    last = "blocks.1.hook_resid_post"
    part = (z[:, latent, None] * sae.W_dec[latent]) @ model.blocks[0].mlp.W_out
    part[0] = 0
    with torch.no_grad(), models.hooked(model, {last: lambda x: x - part}):
        without = models.forward(model, ids)[0].log_softmax(-1)
    clean = logp_of(model, ids)
    frame = effects(model, sae, TEXT, latent, direct=True)
    np.testing.assert_allclose(
        frame["direct_kl"], (clean.exp() * (clean - without)).sum(-1).detach(), atol=1e-5
    )
    # position 3 on feels the latent only through attention, which the direct effect leaves out
    silent = ~frame["edited"]
    assert (frame["direct_kl"][silent] < 1e-6).all()
    inside = random_sae(d_in=64, hook_in="blocks.0.mlp.hook_pre")
    with pytest.raises(SaelabError, match="residual stream"):
        effects(model, inside, TEXT, 3, direct=True)


def test_inside_a_steered_block_effects_are_those_of_the_steered_model(model, sae):
    latent = int(codes_of(model, sae, ids_of(model))[2].argmax())
    with steer(model, sae, {7: 5.0}):
        frame = effects(model, sae, TEXT, latent).frame
        with attach(model, sae, error=True) as spliced, torch.no_grad():
            models.forward(model, ids_of(model))
    np.testing.assert_allclose(frame["activation"], spliced.codes.column(latent)[0].detach(), atol=1e-6)


def test_token_ids_are_taken_as_they_are(tiny):
    sae = random_sae()
    ids = models.tokenize(tiny, "the red fox")
    from_text, from_ids = (effects(tiny, sae, text, 3) for text in ("the red fox", ids))
    assert from_text.frame.equals(from_ids.frame)
    assert effects(tiny, sae, ids[1:], 3).ids == ids[1:]  # no BOS is put before them
    for wrong, message in (
        ([], "the text is empty"),
        ([1, 10**6], "token id 1000000 is outside"),
        ([1, -2], "token id -2 is outside"),
    ):
        with pytest.raises(SaelabError, match=message):
            effects(tiny, sae, wrong, 3)

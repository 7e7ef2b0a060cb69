"""Attribution against passes made by hand."""

import numpy as np
import pytest
import torch
from helpers import codes_of, logp_of, random_sae, tiny_model

from saelab import models
from saelab.errors import SaelabError
from saelab.experiments import attribute, effects
from saelab.interventions import steer
from saelab.sae import SAE, SAEConfig

HOOK = "blocks.0.hook_resid_post"
TEXT = "The red fox ran over"


def ids_of(model):
    return torch.tensor([models.tokenize(model, TEXT)])


def test_attribution_is_the_slope_of_the_metric(model, sae):
    """Scaling a latent by 1 - h lowers the metric by h times its attribution."""
    found = attribute(model, sae, TEXT, check=0)
    ids, h = ids_of(model), 1e-2
    target = int(logp_of(model, ids)[-1].argmax())
    assert found.value == pytest.approx(float(logp_of(model, ids)[-1, target].detach()), abs=1e-5)
    for _, row in found.frame.head(4).iterrows():
        ends = []
        for sign in (1, -1):
            with steer(model, sae, {int(row["latent"]): 1 - sign * h}, mode="scale"):
                ends.append(float(logp_of(model, ids)[-1, target].detach()))
        assert (ends[1] - ends[0]) / (2 * h) == pytest.approx(row["attribution"], rel=0.05, abs=5e-4)


def test_attribution_by_position_adds_up_and_leaves_special_tokens_out(model, sae):
    found = attribute(model, sae, TEXT, check=0)
    z = codes_of(model, sae, ids_of(model))
    assert len(found.entries) == int((z[1:] > 0).sum())
    total = found.entries.groupby("latent")["attribution"].sum()
    np.testing.assert_allclose(found.frame.set_index("latent")["attribution"].sort_index(), total)
    whole = attribute(model, sae, TEXT, check=0, special=True)
    assert len(whole.entries) == int((z > 0).sum())
    assert found.rank_correlation is None


def test_the_check_is_true_ablation(model, sae):
    found = attribute(model, sae, TEXT, target=5, position=3, check=6, batch=4)
    ids = ids_of(model)
    clean = logp_of(model, ids)[3, 5]
    for _, row in found.frame.head(6).iterrows():
        with steer(model, sae, [int(row["latent"])], mode="ablate"):
            assert row["ablation"] == pytest.approx(float(clean - logp_of(model, ids)[3, 5]), abs=1e-5)
    assert found.frame["ablation"][6:].isna().all()
    ranks = found.frame.head(6)[["attribution", "ablation"]].rank()
    assert found.rank_correlation == pytest.approx(ranks.corr().iloc[0, 1])
    assert "rank correlation with true ablation" in repr(found)


def test_where_the_way_to_the_output_is_linear_attribution_is_exact(model):
    sae = random_sae(hook_in="unembed.hook_in")
    found = attribute(model, sae, TEXT, target=5, versus=7, check=50)
    np.testing.assert_allclose(found.frame["attribution"], found.frame["ablation"], atol=1e-5)
    last = found.frame[found.frame["ablation"].abs() > 1e-4]
    row = codes_of(model, sae, ids_of(model))[-1]
    expected = row * (sae.W_dec @ (model.W_U[:, 5] - model.W_U[:, 7]))
    for latent, value in zip(last["latent"], last["attribution"], strict=True):
        assert value == pytest.approx(float(expected[latent].detach()), abs=1e-4)
    assert found.rank_correlation == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("normalize", ["layer_norm", "scale"])
def test_attribution_and_effects_of_an_sae_that_normalises(model, normalize):
    sae = random_sae(hook_in="unembed.hook_in", normalize=normalize, scale=0.37)
    found = attribute(model, sae, TEXT, target=5, versus=7)
    np.testing.assert_allclose(found.frame["attribution"][:20], found.frame["ablation"][:20], atol=1e-4)
    late = random_sae(hook_in="blocks.1.hook_resid_post", normalize=normalize, scale=0.37)
    latent = int(codes_of(model, late, ids_of(model))[2].argmax())
    frame = effects(model, late, TEXT, latent, direct=True)
    np.testing.assert_allclose(frame["direct_kl"], frame["kl"], atol=1e-5)


def test_attribution_through_a_transcoder():
    model = tiny_model()
    coder = SAE(
        SAEConfig(
            "topk",
            16,
            32,
            k=4,
            hook_in="blocks.1.ln2.hook_out",
            hook_out="blocks.1.hook_mlp_out",
            input_bias="none",
        )
    )
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in coder.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * 0.3)
    found = attribute(model, coder, TEXT, check=3)
    for _, row in found.frame.head(3).iterrows():
        with steer(model, coder, [int(row["latent"])], mode="ablate"), torch.no_grad():
            left = models.forward(model, ids_of(model))[0, -1].log_softmax(-1)
        target = int(logp_of(model, ids_of(model))[-1].argmax())
        assert row["ablation"] == pytest.approx(found.value - float(left[target]), abs=1e-5)


def test_a_metric_of_ones_own(model, sae):
    def margin(logits):
        return logits[-1, 5] - logits[-1, 7]

    mine = attribute(model, sae, TEXT, metric=margin, check=4)
    theirs = attribute(model, sae, TEXT, target=5, versus=7, check=4)
    np.testing.assert_allclose(mine.frame["attribution"], theirs.frame["attribution"])
    assert mine.metric == "margin"
    with pytest.raises(SaelabError, match="one number"):
        attribute(model, sae, TEXT, metric=lambda logits: logits[-1])


def test_gradients_of_parameters_and_the_callers_grad_mode_stay(model, sae):
    with torch.no_grad():
        attribute(model, sae, TEXT, check=2)
        assert not torch.is_grad_enabled()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("of_model", ["bfloat16", "float16"])
def test_c41_half_precision(of_model, sae):
    model = tiny_model(dtype=of_model)
    latent = int(codes_of(model, sae, ids_of(model))[2].argmax())
    assert np.isfinite(effects(model, sae, TEXT, latent, direct=True)["kl"]).all()
    assert np.isfinite(attribute(model, sae, TEXT, check=2).frame["attribution"]).all()


def test_wrong_arguments(model, sae):
    for call, said in [
        (lambda: effects(model, sae, TEXT, 64), "out of range"),
        (lambda: effects(model, sae, "", 3), "empty"),
        (lambda: effects(model, sae, "fox " * 40, 3), "context 32"),
        (lambda: attribute(model, sae, TEXT, target="The red"), "tokens, not one"),
        (lambda: attribute(model, sae, TEXT, target=10**6), "outside the vocabulary"),
        (lambda: attribute(model, sae, TEXT, position=99), "position 99"),
    ]:
        with pytest.raises(SaelabError, match=said):
            call()


def test_the_table_is_inert_in_a_notebook(model, sae):
    page = attribute(
        model, sae, TEXT, target=models.tokenize(model, "<", bos=False)[0], check=2
    )._repr_html_()
    assert "<script" not in page
    assert "&#x27;&lt;&#x27;" in page


@pytest.mark.parametrize("scale", [None, (0.5, 2.0)])
def test_attribution_to_a_crosscoders_latents(model, scale):
    """It writes at two layers, and the earlier write reaches the output through the later layer as well."""
    hooks = (HOOK, "blocks.1.hook_resid_post")
    extra = {} if scale is None else {"normalize": "scale", "scale": scale}
    coder = SAE(SAEConfig("topk", 32, 64, k=4, hook_in=hooks, widths=(16, 16), **extra))
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in coder.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * 0.3)
    found = attribute(model, coder, TEXT, target=5, check=12, batch=5)
    ids, h = ids_of(model), 1e-2
    clean = float(logp_of(model, ids)[-1, 5])
    for _, row in found.frame.head(4).iterrows():
        latent = int(row["latent"])
        with steer(model, coder, [latent], mode="ablate"):
            assert row["ablation"] == pytest.approx(clean - float(logp_of(model, ids)[-1, 5]), abs=1e-5)
        ends = []
        for sign in (1, -1):
            with steer(model, coder, {latent: 1 - sign * h}, mode="scale"):
                ends.append(float(logp_of(model, ids)[-1, 5]))
        assert (ends[1] - ends[0]) / (2 * h) == pytest.approx(row["attribution"], rel=0.05, abs=1e-3)
    assert found.rank_correlation is not None

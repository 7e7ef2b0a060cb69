"""Steering and splicing against closed forms on random two-layer models; case ids name what is prevented."""

import threading

import pytest
import torch
from helpers import random_sae, tiny_model

from saelab import models
from saelab.errors import HookError, SaelabError
from saelab.interventions import Edit, attach, interventions, steer
from saelab.interventions.passes import Pass
from saelab.interventions.sites import EditSchedule
from saelab.sae import SAE, SAEConfig
from saelab.sae.archs import ARCHS

HOOK = "blocks.0.hook_resid_post"
TEXT = "The red fox ran"  # five tokens with BOS


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


def ids_of(model, text=TEXT):
    return torch.tensor([models.tokenize(model, text)])


def acts(model, ids, hook=HOOK, mask=None):
    return models.run_to_hooks(model, ids, [hook], mask)[hook]


def n_hooks(model):
    inner = model.original_model
    return (
        sum(len(p.fwd_hooks) for p in model.hook_dict.values())
        + len(inner._forward_hooks)
        + len(inner._forward_pre_hooks)
    )


def an_active_latent(model, sae, position=2):
    return int(sae.encode(acts(model, ids_of(model)))[0, position].argmax())


def forwards(model, *inputs):
    for ids in inputs:
        models.forward(model, ids)


def change(model, sae, edits=None, ids=None, mask=None, **options):
    """What steering adds at the hook point."""
    ids = ids_of(model) if ids is None else ids
    before = acts(model, ids, mask=mask)
    with steer(model, sae, edits, **options) as steering:
        after = acts(model, ids, mask=mask)
        models.forward(model, ids, mask)
    assert steering.fired[HOOK] == 2
    return after - before


# ------------------------------------------------------------------------------------------- closed forms


def test_c10_ablation_takes_away_exactly_what_the_latent_wrote(model, sae):
    ids, latent = ids_of(model), an_active_latent(model, sae)
    z = sae.encode(acts(model, ids))[..., latent]  # (1, T)
    expected = -z[..., None] * sae.W_dec[latent]
    expected[:, 0] = 0  # BOS is left alone
    assert z[0, 2] > 0
    torch.testing.assert_close(change(model, sae, [latent], mode="ablate"), expected, atol=1e-6, rtol=0)


def test_c10_ablating_at_one_position_changes_that_one_only(model, sae):
    latent = an_active_latent(model, sae)
    z = sae.encode(acts(model, ids_of(model)))[0, 2, latent]
    delta = change(model, sae, {latent: Edit(mode="ablate", positions=(2,))})[0]
    torch.testing.assert_close(delta[2], -z * sae.W_dec[latent], atol=1e-6, rtol=0)
    assert not delta[[0, 1, 3, 4]].any()


def test_c10_without_edits_and_with_the_error_term_the_model_is_itself(model, sae):
    ids = ids_of(model)
    clean = models.forward(model, ids)
    with attach(model, sae, error=True) as spliced:
        assert torch.equal(models.forward(model, ids), clean)
    with attach(model, sae, error=True, edit=lambda z: z):
        assert torch.equal(models.forward(model, ids), clean)
    with steer(model, sae, {3: 0.0}):
        assert torch.equal(models.forward(model, ids), clean)
    with steer(model, sae, {3: 1.0}, mode="scale"):
        assert torch.equal(models.forward(model, ids), clean)
    torch.testing.assert_close(spliced.codes.dense(), sae.encode(acts(model, ids)))


@pytest.mark.parametrize("mode", ["add", "clamp", "scale"])
def test_each_mode_moves_the_latent_where_it_says(model, sae, mode):
    latent = an_active_latent(model, sae)
    z = sae.encode(acts(model, ids_of(model)))[..., latent]
    new = {"add": z + 2.5, "clamp": torch.full_like(z, 2.5), "scale": 2.5 * z}[mode]
    expected = (new - z)[..., None] * sae.W_dec[latent]
    expected[:, 0] = 0
    torch.testing.assert_close(change(model, sae, {latent: 2.5}, mode=mode), expected, atol=1e-5, rtol=0)


def test_edits_of_one_latent_follow_each_other(model, sae):
    latent = an_active_latent(model, sae)
    edits = [Edit(mode="ablate", latent=latent), Edit(2.0, latent=latent), Edit(3.0, "scale", latent=latent)]
    same = change(model, sae, {latent: 6.0}, mode="clamp")
    torch.testing.assert_close(change(model, sae, edits), same, atol=1e-5, rtol=0)


def test_project_replaces_the_component_along_the_decoder_row(model, sae):
    ids = ids_of(model)
    row = sae.W_dec[7]
    with steer(model, sae, {7: 1.5}, mode="project"):
        after = acts(model, ids)
    before = acts(model, ids)
    along = after[0] @ row / row.square().sum()
    torch.testing.assert_close(along[1:], torch.full((len(along) - 1,), 1.5))
    delta = (after - before)[0]
    torch.testing.assert_close(delta, (delta @ row / row.square().sum())[:, None] * row, atol=1e-5, rtol=0)
    assert not delta[0].any()


def test_projecting_several_latents_leaves_nothing_in_their_span(model, sae):
    with steer(model, sae, {7: 0.0, 9: 0.0, 11: 0.0}, mode="project"):
        after = acts(model, ids_of(model))[0, 1:]
    assert (after @ sae.W_dec[[7, 9, 11]].T).abs().max() < 1e-5


def test_project_with_different_positions_is_solved_for_each_set(model, sae):
    edits = [Edit(0.0, "project", 7, positions=(1, 2)), Edit(0.0, "project", 9, positions=(2, 3))]
    with steer(model, sae, edits):
        after = acts(model, ids_of(model))[0]
    assert after[1] @ sae.W_dec[7] == pytest.approx(0, abs=1e-5)
    assert (sae.W_dec[[7, 9]] @ after[2]).abs().max() < 1e-5
    assert after[3] @ sae.W_dec[9] == pytest.approx(0, abs=1e-5)


def test_a_control_pushes_as_hard_in_another_direction(model, sae):
    delta = change(model, sae, {7: Edit(2.0, control=1)})[0, 1:]
    assert torch.allclose(delta.norm(dim=-1), 2 * sae.W_dec[7].norm())
    assert torch.nn.functional.cosine_similarity(delta[0], sae.W_dec[7], dim=0).abs() < 0.9
    assert torch.equal(delta, change(model, sae, {7: Edit(2.0, control=1)})[0, 1:])
    assert not torch.equal(delta, change(model, sae, {7: Edit(2.0, control=2)})[0, 1:])


@pytest.mark.parametrize("normalize", ["layer_norm", "scale"])
@pytest.mark.parametrize("mode", ["add", "clamp"])
def test_an_sae_that_normalises_its_input_writes_in_the_units_of_the_output(model, normalize, mode):
    sae = random_sae(normalize=normalize, scale=0.37)
    x = acts(model, ids_of(model))
    codes = sae.encode_sparse(x)
    old, new = codes.dense().flatten(0, 1), codes.dense().flatten(0, 1)
    new[:, 5] = new[:, 5] + 2.0 if mode == "add" else 2.0
    expected = (sae.decode(new, codes.stats) - sae.decode(old, codes.stats)).reshape(x.shape)
    expected[:, 0] = 0
    torch.testing.assert_close(change(model, sae, {5: 2.0}, mode=mode), expected, atol=1e-5, rtol=0)


def test_splicing_without_the_error_term_is_the_reconstruction(model, sae):
    ids = ids_of(model)
    x = acts(model, ids)
    with attach(model, sae):
        spliced = acts(model, ids)
        models.forward(model, ids)
    expected = sae(x).recon
    expected[:, 0] = x[:, 0]
    torch.testing.assert_close(spliced, expected, atol=1e-6, rtol=0)
    with attach(model, sae, special=True):
        torch.testing.assert_close(acts(model, ids), sae(x).recon, atol=1e-6, rtol=0)
        models.forward(model, ids)


def test_splicing_with_an_edit_and_a_mask(model, sae):
    ids, latent = ids_of(model), an_active_latent(model, sae)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    mask[0, 2] = True

    def off(z):
        z[:, latent] = 0
        return z

    with attach(model, sae, error=True, edit=off, mask=mask):
        logits = models.forward(model, ids)
    with steer(model, sae, {latent: Edit(mode="ablate", positions=(2,))}):
        torch.testing.assert_close(models.forward(model, ids), logits, atol=1e-5, rtol=0)
    with pytest.raises(SaelabError, match="mask has shape"), attach(model, sae, mask=mask[:, 1:]):
        models.forward(model, ids)
    with pytest.raises(SaelabError, match="edit must give back"), attach(model, sae, edit=lambda z: z[:, 1:]):
        models.forward(model, ids)


def test_several_saes_at_one_hook_point_read_the_same_and_add_up(model, sae):
    other = random_sae(seed=5)
    both = change(model, [(sae, {1: 2.0}), (other, {2: Edit(3.0, "clamp")})])
    apart = change(model, sae, {1: 2.0}) + change(model, other, {2: 3.0}, mode="clamp")
    torch.testing.assert_close(both, apart, atol=1e-5, rtol=0)


def test_several_saes_at_different_layers(model, sae):
    late = random_sae(hook_in="blocks.1.hook_resid_post", seed=2)
    ids = ids_of(model)
    with steer(model, [(sae, {1: 2.0}), (late, {2: 3.0})]) as steering:
        both = models.forward(model, ids)
    assert dict(steering.fired) == {HOOK: 1, "blocks.1.hook_resid_post": 1}
    with steer(model, sae, {1: 2.0}), steer(model, late, {2: 3.0}):
        torch.testing.assert_close(models.forward(model, ids), both)
    with attach(model, [sae, late], error=True) as spliced:
        models.forward(model, ids)
    assert [c.lead for c in spliced.all_codes] == [(1, 5), (1, 5)]


def transcoder():
    config = SAEConfig(
        "topk", 16, 32, k=4, d_out=16, hook_in="blocks.0.ln2.hook_out", hook_out="blocks.0.hook_mlp_out",
        input_bias="none",
    )  # fmt: skip
    sae, g = SAE(config), torch.Generator().manual_seed(3)
    for p in sae.parameters():
        p.copy_(torch.randn(p.shape, generator=g) * 0.3)
    return sae


def test_a_transcoder_reads_at_one_place_and_writes_at_another():
    model, coder = tiny_model(), transcoder()
    ids = ids_of(model)
    found = models.run_to_hooks(model, ids, [coder.config.hook_in, coder.config.hook_out])
    z = coder.encode(found[coder.config.hook_in])
    latent = int(z[0, 2].argmax())
    with steer(model, coder, [latent], mode="ablate"):
        after = acts(model, ids, coder.config.hook_out)
        models.forward(model, ids)
    expected = found[coder.config.hook_out] - z[..., latent, None] * coder.W_dec[latent]
    expected[:, 0] = found[coder.config.hook_out][:, 0]
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=0)
    clean = models.forward(model, ids)
    with attach(model, coder, error=True):
        assert torch.equal(models.forward(model, ids), clean)
    with attach(model, coder):
        after = acts(model, ids, coder.config.hook_out)
        models.forward(model, ids)
    torch.testing.assert_close(after[:, 1:], coder.decode(z)[:, 1:], atol=1e-5, rtol=0)


def test_hook_points_that_split_heads_are_steered_flat():
    model = tiny_model()
    sae = random_sae(hook_in="blocks.0.attn.hook_z")
    before = acts(model, ids_of(model), sae.config.hook_in)
    with steer(model, sae, {3: 2.0}):
        after = acts(model, ids_of(model), sae.config.hook_in)
        models.forward(model, ids_of(model))
    torch.testing.assert_close(
        after[0, 1:] - before[0, 1:], (2 * sae.W_dec[3]).expand(4, -1), atol=1e-6, rtol=0
    )


# ---------------------------------------------------------------------------------------- where and when


@pytest.mark.parametrize(
    ("positions", "where"),
    [
        ("all", [1, 2, 3, 4]),
        ("prompt", [1, 2, 3, 4]),
        ("generated", []),
        ("last", [4]),
        ((1, 3), [1, 3]),
        ([-1], [4]),
    ],
)
def test_positions_in_one_pass(model, sae, positions, where):
    delta = change(model, sae, {3: 1.0}, positions=positions)[0]
    assert delta.any(-1).nonzero().flatten().tolist() == where


def test_special_tokens_are_left_alone_unless_asked_for(model, sae):
    assert change(model, sae, {3: 1.0}, special=True)[0].any(-1).all()
    packed = torch.tensor([[0, 5, 0, 6, 7]])  # a BOS inside, too (C15)
    assert change(model, sae, {3: 1.0}, packed)[0].any(-1).tolist() == [False, True, False, True, True]
    with pytest.raises(SaelabError, match=r"position 0 is the special token <\|bos\|>; pass special=True"):
        change(model, sae, {3: 1.0}, positions=[0])
    assert change(model, sae, {3: 1.0}, positions=[0], special=True)[0].any(-1).tolist() == [True] + 4 * [
        False
    ]


def test_a_place_that_no_text_reaches_is_an_error(model, sae):
    with pytest.raises(SaelabError, match=r"positions \[-9, 17\] were never reached"):
        change(model, sae, {3: 1.0}, positions=[1, 17, -9])


def test_a_condition_on_another_latent(model, sae):
    ids = ids_of(model)
    other = an_active_latent(model, sae)
    fires = sae.encode(acts(model, ids))[0, :, other]
    delta = change(model, sae, {3: 1.0}, when=other)[0]
    expected = fires > 0
    expected[0] = False
    assert torch.equal(delta.any(-1), expected)
    assert expected.any()
    assert not expected.all()
    assert not change(model, sae, {3: 1.0}, when=other, above=1.001 * float(fires.max())).any()


def test_relative_strengths(model, sae):
    expected = change(model, sae, {3: 6.0})
    assert torch.equal(change(model, sae, {3: 2.0}, relative={3: 3.0}), expected)
    assert torch.equal(change(model, sae, {3: 2.0}, relative=torch.full((64,), 3.0)), expected)
    for wrong, said in [({4: 1.0}, "no maximum for latent 3"), ({3: 0.0}, "never fired"), (7, "LatentIndex")]:
        with pytest.raises(SaelabError, match=said):
            interventions(model, sae, {3: 2.0}, relative=wrong)
    with pytest.raises(SaelabError, match="multiplies"):
        interventions(model, sae, {3: 2.0}, mode="scale", relative={3: 3.0})


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("positions", ["all", "last", [1], [-2]])
def test_c12_padding_on_either_side_shifts_nothing(model, sae, side, positions):
    texts = ["The fox", "The red fox ran over the hill"]
    rows = [models.tokenize(model, t) for t in texts]
    width = max(map(len, rows))
    ids, mask = torch.zeros(2, width, dtype=torch.long), torch.zeros(2, width, dtype=torch.bool)
    for i, row in enumerate(rows):
        part = slice(width - len(row), None) if side == "left" else slice(len(row))
        ids[i, part], mask[i, part] = torch.tensor(row), True
    latent = an_active_latent(model, sae)
    edits = [Edit(6.0, "clamp", latent, positions), Edit(4.0, "add", 3, positions)]
    with steer(model, sae, edits) as steering:
        together = models.forward(model, ids, mask)
        hidden = acts(model, ids, mask=mask)
    clean = acts(model, ids, mask=mask)
    assert torch.equal(hidden[~mask], clean[~mask])
    assert steering.edited == 2 * int(((hidden != clean).any(-1)).sum())
    for i, row in enumerate(rows):
        with steer(model, sae, edits):
            alone = models.forward(model, torch.tensor([row]))[0]
        torch.testing.assert_close(together[i][mask[i]], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("rows", [1, 2])
def test_c29_batches_of_one_short_texts_and_one_latent(model, rows):
    narrow = random_sae(d_sae=1, k=1)
    ids = torch.tensor([[0]] * rows)
    assert change(model, narrow, {0: 1.0}, ids, special=True).shape == (rows, 1, 16)
    with attach(model, narrow, special=True) as spliced:
        models.forward(model, ids)
    assert spliced.codes.dense().shape == (rows, 1, 1)
    assert not change(model, narrow, {0: 1.0}, ids).any()


@pytest.mark.parametrize(
    ("of_model", "of_sae"),
    [("bfloat16", "float32"), ("float32", "bfloat16"), ("float16", "float32")],
)
def test_c41_number_formats_may_differ(of_model, of_sae):
    model, sae = tiny_model(dtype=of_model), random_sae(dtype=of_sae)
    ids = ids_of(model)
    clean = models.forward(model, ids)
    with attach(model, sae, error=True) as spliced:
        assert torch.equal(models.forward(model, ids), clean)
    latent = int(spliced.codes.dense()[0, 2].argmax())
    before = acts(model, ids)
    for mode in ("add", "clamp", "scale", "ablate", "project"):
        with steer(model, sae, {latent: 2.0}, mode=mode):
            after = acts(model, ids)
            assert models.forward(model, ids).dtype == clean.dtype
        assert after.dtype == before.dtype
        assert torch.equal(after[:, 0], before[:, 0])
        if mode == "ablate":
            z = spliced.codes.column(latent)[0, 2].float()
            exact = before[0, 2].float() - z * sae.W_dec[latent].float()
            torch.testing.assert_close(after[0, 2], exact.to(before.dtype))  # rounded once
    with attach(model, sae):
        assert models.forward(model, ids).dtype == clean.dtype


# ------------------------------------------------------------------------------- what must be left behind


def test_c22_an_exception_or_an_interrupt_leaves_nothing(sae):
    model = tiny_model()
    ids, clean = ids_of(model), None
    clean, hooks = models.forward(model, ids), n_hooks(model)
    for error in (RuntimeError, KeyboardInterrupt):
        calls = []

        def edit(z, error=error, calls=calls):
            calls.append(1)
            if len(calls) == 2:
                raise error("at call 2")
            return z + 1

        with pytest.raises(error), attach(model, sae, edit=edit), steer(model, sae, {3: 1.0}):
            forwards(model, ids, ids)
        assert n_hooks(model) == hooks
        assert torch.equal(models.forward(model, ids), clean)


def test_c22_wrong_arguments_leave_nothing(sae):
    model = tiny_model()
    hooks = n_hooks(model)
    for edits, options, said in [
        ({64: 1.0}, {}, r"latent 64 is out of range"),
        ({-1: 1.0}, {}, r"out of range"),
        ({1.5: 1.0}, {}, "whole number or a Direction"),
        ({}, {}, "no edits"),
        ([3], {}, "has no strength"),
        (7, {}, "edits is"),
        ({3: float("nan")}, {}, "finite"),
        ({3: "much"}, {}, "number"),
        ({3: 1.0}, {"mode": "ad"}, "Did you mean 'add'"),
        ({3: 1.0}, {"positions": "promt"}, "Did you mean 'prompt'"),
        ({3: 1.0}, {"positions": []}, "empty"),
        ({3: 1.0}, {"positions": [1.5]}, "whole number"),
        ({3: 1.0}, {"positions": 3}, "a list of whole numbers"),
        ({3: 1.0}, {"when": 64}, "out of range"),
        ({3: 1.0}, {"schedule": []}, "schedule is empty"),
        ({3: Edit(1.0, latent=4)}, {}, "says latent 4"),
        ({3: Edit(1.0)}, {"mode": "nonsense"}, "unknown mode"),
    ]:
        with pytest.raises(SaelabError, match=said), steer(model, sae, edits, **options):
            raise AssertionError("entered")
    with pytest.raises(SaelabError, match="pairs"), steer(model, []):
        raise AssertionError("entered")
    assert n_hooks(model) == hooks


def test_c23_the_users_own_hook_still_fires_once_per_pass(model, sae):
    seen = []
    point = model.hook_dict[HOOK]
    handle = point.add_hook(lambda x, hook: (seen.append(1), x + 1)[1])
    try:
        ids = ids_of(model)
        with_user = models.forward(model, ids)
        with steer(model, sae, {3: 1.0}), attach(model, sae, error=True):
            models.forward(model, ids)
        assert len(seen) == 2
        assert torch.equal(models.forward(model, ids), with_user)
        assert len(seen) == 3
    finally:
        handle.hook.remove()
        point.fwd_hooks.remove(handle)


def test_c23_nested_blocks_unwind_in_order(model, sae):
    ids, latent = ids_of(model), an_active_latent(model, sae)
    clean = models.forward(model, ids)
    with steer(model, sae, {3: 2.0}):
        once = models.forward(model, ids)
        with steer(model, sae, {3: 3.0}):
            twice = models.forward(model, ids)
        assert torch.equal(models.forward(model, ids), once)
    assert torch.equal(models.forward(model, ids), clean)
    with steer(model, sae, {3: 5.0}):
        torch.testing.assert_close(models.forward(model, ids), twice, atol=1e-5, rtol=0)
    # an inner block reads what the outer one wrote
    with steer(model, sae, {latent: 5.0}):
        written = acts(model, ids)
        with attach(model, sae, error=True) as inner:
            models.forward(model, ids)
    assert torch.equal(inner.codes.dense(), sae.encode(written))
    assert not torch.equal(written, acts(model, ids))


# ------------------------------------------------------------------------------------- never silently off


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("blocks.0.hook_resid_pots", "blocks.0.hook_resid_post"),
        ("blocks.0.attn.hook_result", "set_use_attn_result"),
        ("blocks.9.hook_resid_post", r"layers 0…1"),
        ("", "does not say which hook point"),
    ],
)
def test_c11_a_hook_point_that_cannot_fire_is_refused_before_running(model, hook, said):
    with pytest.raises(SaelabError, match=said), steer(model, random_sae(hook_in=hook), {3: 1.0}):
        raise AssertionError("entered")


def test_c11_a_block_in_which_nothing_fired_is_an_error(model, sae):
    with pytest.raises(HookError, match="no forward pass"), steer(model, sae, {3: 1.0}):
        pass
    with pytest.raises(HookError, match="never fired"), steer(model, sae, {3: 1.0}):
        acts(model, ids_of(model), "hook_embed")  # stops before the hook
    with pytest.raises(HookError, match="no forward pass"), attach(model, sae):
        pass
    # another exception is not covered up
    with pytest.raises(ZeroDivisionError), steer(model, sae, {3: 1.0}):
        raise ZeroDivisionError


def after_reset(model):
    models.forward(model, ids_of(model))
    model.reset_hooks()
    models.forward(model, ids_of(model))


def test_c11_a_hook_that_was_removed_inside_the_block_is_noticed(sae):
    model = tiny_model()
    with pytest.raises(HookError, match="did not fire"), steer(model, sae, {3: 1.0}):
        after_reset(model)


def test_c35_an_sae_of_another_width_is_refused(model):
    with (
        pytest.raises(HookError, match="16 wide in this model, the SAE is for 8"),
        steer(model, random_sae(d_in=8), {3: 1.0}),
    ):
        models.forward(model, ids_of(model))


def test_a_transcoder_that_would_write_before_it_reads_is_refused():
    model, coder = tiny_model(), transcoder()
    swapped = SAE(
        SAEConfig(**{**coder.config.to_dict(), "hook_in": HOOK, "hook_out": "blocks.0.hook_resid_pre"})
    )
    with pytest.raises(HookError, match="comes before"), attach(model, swapped):
        models.forward(model, ids_of(model))


def test_a_loop_without_a_cache_needs_to_say_where_the_prompt_ends(model, sae):
    ids = ids_of(model)
    with pytest.raises(SaelabError, match="prompt_tokens"), steer(model, sae, {3: 1.0}, positions="prompt"):
        forwards(model, ids[:, :3], ids[:, :4])
    with steer(model, sae, {3: 1.0}, positions="prompt", prompt_tokens=3):
        hidden = acts(model, ids)
        models.forward(model, ids)
    assert (hidden != acts(model, ids))[0].any(-1).tolist() == [False, True, True, False, False]
    with steer(model, sae, {3: 1.0}):  # "all" needs no such help
        forwards(model, ids[:, :3], ids[:, :4])


def test_embeddings_as_input_are_refused(model, sae):
    with pytest.raises(SaelabError, match="token ids"), steer(model, sae, {3: 1.0}):
        model(torch.randn(1, 3, 16))


def test_text_input_is_steered_like_ids(model, sae):
    with steer(model, sae, {3: 4.0}):
        torch.testing.assert_close(model(TEXT, prepend_bos=True), models.forward(model, ids_of(model)))


def test_other_threads_are_not_steered(model, sae):
    ids, clean, found = ids_of(model), None, []
    clean = models.forward(model, ids)

    def elsewhere():
        with torch.no_grad():
            found.append(models.forward(model, ids))

    def in_thread():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(timeout=30)

    with steer(model, sae, {3: 5.0}) as steering:
        models.forward(model, ids)
        in_thread()
    assert torch.equal(found[0], clean)
    assert steering.fired[HOOK] == 1
    with pytest.raises(HookError, match="no forward pass"), steer(model, sae, {3: 5.0}):
        in_thread()


def test_gradients_flow_through_a_steered_pass(model, sae):
    latent = an_active_latent(model, sae)
    with torch.enable_grad(), steer(model, sae, {latent: 3.0}, mode="clamp"):
        models.forward(model, ids_of(model)).sum().backward()
    assert model.W_U is not None
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    model.zero_grad(set_to_none=True)


def test_c46_the_global_random_state_stays(model, sae):
    before = torch.get_rng_state()
    change(model, sae, {3: Edit(1.0, control=4)})
    assert torch.equal(torch.get_rng_state(), before)


# ----------------------------------------------------------------------------------- every kind of SAE


def filled(config):
    """Random weights; thresholds that some latents pass."""
    made, g = SAE(config), torch.Generator().manual_seed(3)
    for name, p in made.named_parameters():
        p.fill_(0.3) if "threshold" in name else p.copy_(torch.randn(p.shape, generator=g) * 0.3)
    return made


@pytest.mark.parametrize("arch", sorted(ARCHS))
def test_c10_the_identities_hold_for_every_architecture(model, arch):
    sae = filled(SAEConfig(arch, 16, 64, k=4 if ARCHS[arch].needs_k else None, hook_in=HOOK))
    ids = ids_of(model)
    z = sae.encode(acts(model, ids))
    latent = int(z[0, 2].argmax())
    clean = models.forward(model, ids)
    with attach(model, sae, error=True):
        assert torch.equal(models.forward(model, ids), clean)
    expected = -z[..., latent, None] * sae.W_dec[latent]
    expected[:, 0] = 0
    assert z[0, 2, latent] > 0
    torch.testing.assert_close(change(model, sae, [latent], mode="ablate"), expected, atol=1e-5, rtol=0)


LATE = "blocks.1.hook_resid_post"


@pytest.mark.parametrize("scale", [None, (0.5, 2.0)])
def test_a_crosscoder_writes_each_part_at_its_own_hook_point(model, scale):
    extra = {} if scale is None else {"normalize": "scale", "scale": scale}
    coder = filled(SAEConfig("topk", 32, 64, k=4, hook_in=(HOOK, LATE), widths=(16, 16), **extra))
    ids = ids_of(model)
    found = models.run_to_hooks(model, ids, [HOOK, LATE])
    codes = coder.encode_sparse(torch.cat([found[HOOK], found[LATE]], -1))
    old, new = codes.dense(), codes.dense()
    latent = int(old[0, 2].argmax())
    new[0, 1:, latent] = 0
    part = coder.decode(new, codes.stats) - coder.decode(old, codes.stats)
    with steer(model, coder, [latent], mode="ablate"):
        early = acts(model, ids)
        logits = models.forward(model, ids)
    torch.testing.assert_close(early - found[HOOK], part[..., :16], atol=1e-5, rtol=0)
    by_hand = {HOOK: lambda x: x + part[..., :16], LATE: lambda x: x + part[..., 16:]}
    with models.hooked(model, by_hand):
        torch.testing.assert_close(models.forward(model, ids), logits, atol=1e-5, rtol=0)
    clean = models.forward(model, ids)
    with attach(model, coder, error=True) as spliced:
        assert torch.equal(models.forward(model, ids), clean)
    torch.testing.assert_close(spliced.codes.dense(), old)


def test_a_crosscoders_latents_need_the_whole_text(model):
    from saelab.experiments import generate

    coder = filled(SAEConfig("topk", 32, 64, k=4, hook_in=(HOOK, LATE), widths=(16, 16)))
    options = {"max_new_tokens": 4, "temperature": 0}
    added = [generate(model, coder, TEXT, {3: 3.0}, cache=c, **options).ids for c in (True, False)]
    assert added[0] == added[1]
    with pytest.raises(SaelabError, match="cache=False"):
        generate(model, coder, TEXT, {3: 3.0}, mode="clamp", **options)
    assert generate(model, coder, TEXT, {3: 3.0}, mode="clamp", cache=False, **options).ids
    with pytest.raises(SaelabError, match="not defined for a crosscoder"):
        generate(model, coder, TEXT, {3: 3.0}, mode="project", **options)


def test_c10_the_identities_hold_on_the_bundled_model():
    from saelab import load_model, zoo

    model, sae = load_model("zoo"), zoo.load_sae()
    hook = sae.config.hook_in
    ids = torch.tensor([models.tokenize(model, "Preheat the oven to 180 degrees. GET /index.html HTTP/1.1")])
    clean, x = models.forward(model, ids), acts(model, ids, hook)
    with attach(model, sae, error=True) as spliced:
        assert torch.equal(models.forward(model, ids), clean)
    z = spliced.codes.dense()
    latent = int(z[0, 1:].max(0).values.argmax())
    with steer(model, sae, [latent], mode="ablate"):
        after = acts(model, ids, hook)
        assert not torch.equal(models.forward(model, ids), clean)
    expected = x - z[..., latent, None] * sae.W_dec[latent]
    expected[:, 0] = x[:, 0]
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("special", [False, True])
def test_c14_bos_is_known_by_its_id_and_not_by_its_column(model, sae, special):
    """Padding on the left, none, and a BOS inside: a b | a b c d | a b c are nine tokens."""
    ids = torch.tensor([[9, 9, 0, 5, 6], [0, 5, 6, 7, 8], [0, 5, 0, 6, 7]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1] * 5, [1] * 5]).bool()
    kept = mask if special else mask & (ids != 0)
    assert int(kept.sum()) == (13 if special else 9)
    assert torch.equal(change(model, sae, {3: 1.0}, ids, mask, special=special).any(-1), kept)
    before = acts(model, ids, mask=mask)
    with attach(model, sae, special=special):
        after = acts(model, ids, mask=mask)
        models.forward(model, ids, mask)
    assert torch.equal((after != before).any(-1), kept)


def test_several_saes_are_spliced_in_one_pass(model):
    """An SAE, a transcoder and a crosscoder at once: each reads what the others have written before it."""
    early, coder = random_sae(), transcoder()
    cross = filled(SAEConfig("topk", 32, 64, k=4, hook_in=(HOOK, LATE), widths=(16, 16)))
    ids = ids_of(model)
    clean = models.forward(model, ids)
    with attach(model, [early, coder, cross], error=True) as spliced:
        assert torch.equal(models.forward(model, ids), clean)
    assert [c.d_sae for c in spliced.all_codes] == [64, coder.config.d_sae, 64]
    assert set(spliced.fired) == {HOOK, LATE, coder.config.hook_in, coder.config.hook_out}
    with attach(model, [early, coder]) as both:
        models.forward(model, ids)
    read = acts(model, ids, coder.config.hook_in)  # before the place where the other one writes
    torch.testing.assert_close(both.all_codes[1].dense(), coder.encode(read), atol=1e-5, rtol=1e-5)
    with attach(model, coder):
        models.forward(model, ids)
        written = acts(model, ids)
    torch.testing.assert_close(both.all_codes[0].dense(), early.encode(written), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("last", [0, 1])
def test_one_token_means_what_it_means_among_others(model, special, last):
    ordinary, bos = 7, models.bos_id(model)
    two = Pass(torch.tensor([[ordinary], [bos]]), 2, torch.tensor([[1, 1, last]] * 2))
    both = EditSchedule(model, special=special, prompt_tokens=1)
    both.begin(two)
    for row, token in enumerate((ordinary, bos)):
        one = EditSchedule(model, special=special, prompt_tokens=1)
        one.begin(Pass(torch.tensor([[token]]), 2, two.mask[:1]))
        assert torch.equal(one.allowed, both.allowed[row : row + 1])

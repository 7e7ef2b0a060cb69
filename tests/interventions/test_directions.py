"""Directions of one's own: edits against closed forms, where they come from, their files, what they show."""

import json

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_model

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.experiments import describe
from saelab.interventions import Direction, Edit, Intervention, steer

HOOK = "blocks.0.hook_resid_post"
TEXT = "The red fox ran"


@pytest.fixture
def along():
    return Direction(np.random.default_rng(0).normal(size=16), HOOK, name="along")


def acts(model, hook=HOOK, text=TEXT):
    ids = torch.tensor([models.tokenize(model, text)])
    return models.run_to_hooks(model, ids, [hook])[hook][0]  # (T, d)


def change(model, sae, edits, **options):
    """(T, d) what steering adds at the hook point; BOS is left alone."""
    before = acts(model)
    with torch.no_grad(), steer(model, sae, edits, **options):
        after = acts(model)
        models.forward(model, torch.tensor([models.tokenize(model, TEXT)]))
    assert not (after - before)[0].any()
    return (after - before)[1:]


def same(got, wanted):
    torch.testing.assert_close(got, wanted, atol=2e-5, rtol=0)


MODES = {
    "add": lambda a, s: a + s, "clamp": lambda a, s: torch.full_like(a, s), "scale": lambda a, s: a * s,
    "cap": lambda a, s: a.clamp(max=s), "floor": lambda a, s: a.clamp(min=s), "ablate": lambda a, s: 0 * a,
    "project": lambda a, s: torch.full_like(a, s),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("strength", [-0.4, 0.3])
def test_each_mode_moves_the_component_where_it_says(model, sae, along, mode, strength):
    a = acts(model)[1:] @ along.vector
    wanted = (MODES[mode](a, strength) - a)[:, None] * along.vector
    same(change(model, sae, {along: strength}, mode=mode), wanted)
    same(change(model, None, {along: strength}, mode=mode), wanted)


@pytest.mark.parametrize("mode", ["cap", "floor"])
@pytest.mark.parametrize("strength", [0.0, 0.05, 1.0])
def test_cap_and_floor_of_a_latent(model, sae, mode, strength):
    z = sae.encode(acts(model)).detach()[1:]
    latent = int(z.sum(0).argmax())
    new = MODES[mode](z[:, latent], strength)
    same(
        change(model, sae, {latent: strength}, mode=mode),
        (new - z[:, latent])[:, None] * sae.W_dec[latent].detach(),
    )


def test_a_cap_stands_after_what_is_added_before_it(model, sae, along):
    a = acts(model)[1:] @ along.vector
    edits = [Edit(5.0, latent=along), Edit(1.0, "cap", along)]
    same(change(model, sae, edits), ((a + 5).clamp(max=1) - a)[:, None] * along.vector)


def test_a_direction_is_a_condition_and_has_one(model, sae, along):
    x = acts(model)[1:]
    a, latent = x @ along.vector, int(sae.encode(x).sum(0).argmax())
    middle = float(a.median())
    on = (a > middle).float()[:, None]
    assert 0 < on.sum() < len(on)
    same(change(model, sae, {latent: 2.0}, when=along, above=middle), 2 * on * sae.W_dec[latent].detach())
    fires = (sae.encode(x)[:, latent] > 0).float()[:, None]
    same(change(model, sae, {along: 2.0}, when=latent), 2 * fires * along.vector)


@pytest.mark.parametrize("normalize", ["layer_norm", "constant_norm", "scale"])
def test_a_direction_is_in_units_of_the_activations_whatever_the_sae_does(model, along, normalize):
    sae = random_sae(normalize=normalize, scale=0.5 if normalize == "scale" else 1.0)
    same(change(model, sae, {along: 2.0}), 2 * along.vector.expand(len(acts(model)) - 1, -1))
    both = change(model, sae, {along: 2.0, 3: 1.0})
    same(both, change(model, sae, {along: 2.0}) + change(model, sae, {3: 1.0}))
    x = acts(model)[1:]
    same(change(model, sae, {along: 0.5}, mode="project"), (0.5 - x @ along.vector)[:, None] * along.vector)


def test_directions_at_several_hook_points_are_steered_without_an_sae(model, along):
    second = Direction(np.eye(16)[2], "blocks.1.hook_resid_post", name="second")
    with torch.no_grad(), steer(model, None, {along: 1.0, second: 3.0}) as steering:
        got = acts(model, "blocks.1.hook_resid_post")
    with torch.no_grad(), steer(model, None, {along: 1.0}):
        first = acts(model, "blocks.1.hook_resid_post")
    assert len(steering.interventions) == 2
    same(got[1:] - first[1:], 3 * second.vector.expand(len(got) - 1, -1))


def test_a_control_is_another_direction_of_the_same_length(model, sae, along):
    moved = change(model, sae, Edit(2.0, latent=along, control=1))
    same(moved.norm(dim=1), torch.full((len(moved),), 2.0))
    assert abs(float(moved[0] @ along.vector)) < 1.9


def test_it_goes_wherever_a_latent_goes(sae, along):
    model, latent = tiny_model(), 3
    both = {along: 2.0, latent: 1.0}
    assert "direction 'along': add 2 | latent 3" in sl.generate(
        model, sae, "The", both, max_new_tokens=3
    ).steered_by.replace("; ", " | ")
    assert sl.compare(model, None, "The", {along: 2.0}, max_new_tokens=3).steered.samples[0].ids
    swept = sl.sweep(
        model, sae, "The", [along, latent], [0, 2], controls=1, max_new_tokens=3, progress=False
    ).frame
    assert list(swept["latent"].unique()) == ["along", 3]
    found = sl.calibrate(model, None, [along], ["The"], strengths=[1], n=2, max_new_tokens=3, progress=False)
    assert found.range.keys() == {"along"}
    seen = sl.effects(model, sae, TEXT, along)
    ids = torch.tensor([seen.ids])
    np.testing.assert_allclose(seen["activation"], acts(model) @ along.vector, atol=1e-5)
    clean = models.forward(model, ids).log_softmax(-1)
    with steer(model, None, {along: 0.0}, mode="clamp"):
        without = models.forward(model, ids).log_softmax(-1)
    kl = (clean.exp() * (clean - without)).sum(-1)[0].detach()
    np.testing.assert_allclose(seen["kl"], kl, atol=1e-5)


def test_the_strength_of_a_calibrated_direction_is_what_generate_writes(along):
    model = tiny_model()
    found = sl.calibrate(
        model, None, [along], ["The"], strengths=[2], n=1, max_new_tokens=4, seed=5, progress=False
    )
    text = sl.generate(model, None, "The", {along: 2.0}, max_new_tokens=4, seed=5).text
    assert found.frame.set_index("strength")["text"][2.0] == text


def test_relative_is_its_own_maximum(sae, along):
    assert Intervention.make(sae, {along: 2.0}, relative={}).edits[0].amount == pytest.approx(
        2 * along.maximum
    )
    assert Intervention.make(sae, {along: 2.0}, relative={along: 5.0}).edits[0].amount == 10


# --------------------------------------------------------------------------------------------- where from


def test_difference_of_means_by_hand(model):
    along = Direction.from_texts(model, HOOK, SENTENCES[:2], SENTENCES[2:4])
    tokens = [torch.cat([acts(model, text=t)[1:] for t in part]) for part in (SENTENCES[:2], SENTENCES[2:4])]
    row = tokens[0].mean(0) - tokens[1].mean(0)
    same(along.vector, row / row.norm())
    assert along.maximum == pytest.approx(float((tokens[0] @ along.vector).max()), abs=1e-4)
    ends = [torch.stack([acts(model, text=t)[-1] for t in part]) for part in (SENTENCES[:2], SENTENCES[2:4])]
    row = ends[0].mean(0) - ends[1].mean(0)
    same(Direction.from_texts(model, HOOK, SENTENCES[:2], SENTENCES[2:4], last=True).vector, row / row.norm())


def test_a_probe_tells_its_texts_apart(model):
    labels = [True, False, True, False, False]
    along = Direction.from_probe(model, HOOK, SENTENCES, labels, ridge=1e-3)
    score = [float((acts(model, text=t)[1:] @ along.vector).mean()) for t in SENTENCES]
    assert min(score[0], score[2]) > max(score[1], score[3], score[4])
    by_token = [
        np.full(len(models.tokenize(model, t)), label) for t, label in zip(SENTENCES, labels, strict=True)
    ]
    assert Direction.from_probe(model, HOOK, SENTENCES, by_token, ridge=1e-3) == along
    with pytest.raises(SaelabError, match="all the same"):
        Direction.from_probe(model, HOOK, SENTENCES, [True] * 5)
    with pytest.raises(SaelabError, match="5 texts and 2 labels"):
        Direction.from_probe(model, HOOK, SENTENCES, [True, False])


def test_principal_components_are_numpys(model):
    x = torch.cat([acts(model, text=t)[1:] for t in SENTENCES]).double().numpy()
    values, rows = np.linalg.eigh(np.cov(x.T))
    for number, along in enumerate(Direction.components(model, HOOK, SENTENCES, 2), 1):
        assert abs(along.vector.numpy() @ rows[:, -number]) == pytest.approx(1, abs=1e-5)
        assert f"{values[-number] / values.sum():.1%}" in along.made


def test_several_latents_write_what_they_write_alone(model, sae):
    along = Direction.from_latents(sae, {3: 2.0, 5: -1.0})
    same(change(model, sae, {along: 1.5}, relative={}), change(model, sae, {3: 3.0, 5: -1.5}))


def test_what_it_is_made_of(sae):
    model = tiny_model()
    row = 3 * sae.W_dec[7].detach() + 1 * sae.W_dec[9].detach()
    along = Direction(row, HOOK)
    told = describe(model, sae, along)
    assert told.frame.query("kind == 'nearest'")["what"].iloc[0] == "latent 7"
    made = told.frame.query("kind == 'made of'").set_index("what")
    assert made["explained"].is_monotonic_increasing
    assert made["explained"].iloc[-1] > 0.99
    assert made["value"]["latent 7"] * along.maximum == pytest.approx(3, rel=0.2)
    votes = models.lens.token_votes(model, along.vector).detach()
    best = told.frame.query("kind == 'promotes'").iloc[0]
    assert best["what"] == models.token_labels(model, [int(votes.argmax())])[0]
    assert best["value"] == pytest.approx(float(votes.max()))
    assert "made of" in told._repr_html_()
    assert len(told.plot().data) > 0


def test_where_there_is_no_logit_lens_it_says_so():
    told = describe(tiny_model(), None, Direction(np.eye(64)[0], "blocks.0.mlp.hook_pre"))
    assert "no meaning" in told.lens
    assert told.frame.empty


# -------------------------------------------------------------------------------------------------- files


def test_own_file_and_json_come_back(tmp_path, model, sae, along):
    found = Direction.from_texts(model, HOOK, SENTENCES[:2], SENTENCES[2:])
    for one in (along, found):
        again = Direction.load(one.save(tmp_path / "a.safetensors"))
        assert (again, again.weights, again.made) == (one, one.weights, one.made)
    made = Intervention.make(sae, [Edit(2.0, latent=along), Edit(1.0, latent=3, when=along)])
    assert Intervention.load(made.save(tmp_path / "push.json")) == made
    assert Intervention.from_json(json.loads(json.dumps(made.to_json()))).check(sae) == made


def test_files_of_other_libraries(tmp_path):
    from gguf import GGUFWriter
    from safetensors.torch import save_file

    row = torch.randn(16, generator=torch.Generator().manual_seed(1))
    np.save(tmp_path / "a.npy", row.numpy())
    torch.save(row[None], tmp_path / "a.pt")
    torch.save({"layer 3": row, "layer 4": -row}, tmp_path / "b.pt")
    save_file({"v": row}, tmp_path / "a.safetensors")
    writer = GGUFWriter(tmp_path / "a.gguf", "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_tensor("direction.1", row.numpy())
    for step in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        step()
    read = [Direction.load(tmp_path / f"a.{kind}", hook=HOOK) for kind in ("npy", "pt", "safetensors")]
    read += [Direction.load(tmp_path / "b.pt", hook=HOOK, key="layer 3"), Direction.load(tmp_path / "a.gguf")]
    for one in read:
        same(one.vector * one.maximum, row)
    assert read[-1].hook == "blocks.1.hook_resid_post"
    for path, options, said in [
        ("b.pt", {"hook": HOOK}, "2 vectors: give key"),
        ("b.pt", {"hook": HOOK, "key": "layer 5"}, "layer 4"),
        ("a.npy", {}, "give hook"),
        ("a.gguf", {"hook": HOOK}, "belongs to"),
        ("none.npy", {}, "no file"),
        ("a.bin.txt", {}, "no file"),
    ]:
        with pytest.raises(SaelabError, match=said):
            Direction.load(tmp_path / path, **options)


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_a_file_that_runs_code_is_refused(tmp_path, capsys):
    torch.save({"v": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(SaelabError, match=r"evil\.pt"):
        Direction.load(tmp_path / "evil.pt", hook=HOOK)
    assert "run" not in capsys.readouterr().out


def test_what_does_not_belong_together_is_refused(model, sae, along):
    other = tiny_model(seed=5)
    found = Direction.from_texts(other, HOOK, SENTENCES[:2], SENTENCES[2:])
    with pytest.raises(SaelabError, match="are not of one model"), steer(model, sae, {found: 1.0}):
        pass
    elsewhere = Direction(np.eye(16)[0], "blocks.1.hook_resid_post")
    with (
        pytest.raises(SaelabError, match="belongs to 'blocks.1.hook_resid_post'"),
        steer(model, sae, {elsewhere: 1.0}),
    ):
        pass
    with pytest.raises(SaelabError, match="need the sae"), steer(model, None, {3: 1.0}):
        pass
    for vector in (np.zeros(16), np.ones((2, 16)), np.array([np.nan] * 16), ["a"]):
        with pytest.raises(SaelabError, match="direction is an array|must be an array"):
            Direction(vector, HOOK)
    with pytest.raises(SaelabError, match="two directions are called 'along'"):
        sl.sweep(
            model, sae, "The", [along, Direction(np.eye(16)[0], HOOK, name="along")], [1.0], progress=False
        )


@pytest.mark.parametrize(
    "wrong", [["a", "b"] * 3, [0.2, 0.7] * 3, [1, float("nan")] * 3, [None, 1] * 3, [[True]] * 6]
)
def test_D59_labels_of_a_probe_say_yes_or_no(tiny, wrong):
    texts = [f"The red fox ran {i} times" for i in range(6)]
    with pytest.raises(
        SaelabError, match=r"labels must be True or False|the labels of a text are 1, and it has more"
    ):
        sl.Direction.from_probe(tiny, "blocks.0.hook_resid_post", texts, wrong)


def test_D66_a_direction_has_length_1_whatever_the_size_of_its_array():
    for size in (1e300, 1e-300, 5e-324, 3.0):
        along = Direction(np.full(16, size), HOOK)
        torch.testing.assert_close(along.vector, torch.full((16,), 0.25))
        assert along.maximum == pytest.approx(4 * size)
    with pytest.raises(SaelabError, match="finite"):
        Direction(np.full(16, 1e308), HOOK)


def test_D66_a_direction_of_another_width_and_labels_without_a_text_are_refused(model):
    for sae in (None, random_sae()):
        with pytest.raises(SaelabError, match="16 long"):
            describe(model, sae, Direction(np.ones(7), HOOK))
    with pytest.raises(SaelabError, match="2 texts and 3 labels"):
        Direction.from_probe(model, HOOK, ["The fox", "A dog"], [True, False, True])
    Direction.from_probe(model, HOOK, ["The fox", "A dog", ""], [True, False, True])

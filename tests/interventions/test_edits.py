"""Interventions as objects and as files."""

import json

import pytest
from helpers import random_sae
from hypothesis import given
from hypothesis import strategies as st

from saelab import files
from saelab.errors import SaelabError
from saelab.interventions import MODES, POSITIONS, Edit, Intervention

numbers = st.floats(-100, 100)
an_edit = st.builds(
    Edit,
    strength=numbers,
    mode=st.sampled_from(list(MODES)),
    latent=st.integers(0, 63),
    positions=st.sampled_from(POSITIONS) | st.lists(st.integers(-9, 30), min_size=1, max_size=3),
    when=st.none() | st.integers(0, 63),
    above=numbers,
    schedule=st.none() | st.lists(numbers, min_size=1, max_size=4),
    control=st.none() | st.integers(0, 9),
)


@given(edits=st.lists(an_edit, min_size=1, max_size=4))
def test_an_intervention_survives_json(edits):
    made = Intervention.make(random_sae(), edits)
    again = Intervention.from_json(json.loads(json.dumps(made.to_json())))
    assert again.edits == made.edits == tuple(edits)
    assert again.check(random_sae()) is again
    assert str(again) == str(made)


def test_saved_and_loaded(tmp_path, sae):
    made = Intervention.make(sae, {3: 2.0, 5: Edit(mode="ablate")}, relative={3: 4.0}, positions="generated")
    assert made.edits[0] == Edit(2.0, "add", 3, "generated", unit=4.0)
    assert made.edits[0].amount == 8.0
    assert Intervention.load(made.save(tmp_path / "push.json")) == made


def test_another_sae_of_the_same_shape_is_refused(sae):
    made = Intervention.make(sae, {3: 2.0})
    with pytest.raises(SaelabError, match="latent 3 of this SAE writes another direction"):
        made.check(random_sae(seed=1))
    with pytest.raises(SaelabError, match="d_sae=64, not 32"):
        made.check(random_sae(d_sae=32))
    with pytest.raises(SaelabError, match=r"hook_in='blocks\.0\.hook_resid_post'"):
        made.check(random_sae(hook_in="blocks.1.hook_resid_post"))
    made.check(sae.bfloat16())  # stored in half precision it is the same SAE
    sae.float()


def test_files_that_are_no_intervention_are_named(tmp_path, sae):
    path = tmp_path / "push.json"
    good = Intervention.make(sae, {3: 2.0}).to_json()
    for value, said in [
        ({}, "lacks format"),
        ([], "lacks format"),
        ({**good, "version": 2}, "version 2"),
        ({k: v for k, v in good.items() if k != "edits"}, "not of the form it should have"),
        ({**good, "edits": [{"strenght": 1.0}]}, "Did you mean 'strength'"),
        ({**good, "edits": [{"mode": "ad"}]}, "unknown mode"),
    ]:
        files.write_json(path, value)
        with pytest.raises(SaelabError, match=said):
            Intervention.load(path)
    path.write_text('{"format": "saelab.inter')
    with pytest.raises(SaelabError, match=r"push\.json"):
        Intervention.load(path)


def test_forms_that_mean_the_same(sae):
    one = Intervention.make(sae, {3: 2.0}, mode="clamp")
    assert Intervention.make(sae, {3: Edit(2.0, "clamp")}) == one
    assert Intervention.make(sae, [Edit(2.0, "clamp", 3)]) == one
    assert Intervention.make(sae, Edit(2.0, "clamp", 3)) == one
    assert Intervention.make(sae, one) is one
    ablation = Intervention.make(sae, [3], mode="ablate")
    for value in (None, True, 0, 8.0):
        assert Intervention.make(sae, {3: value}, mode="ablate") == ablation


def test_a_relative_edit_keeps_its_own_unit(sae):
    made = Intervention.make(sae, [Edit(2.0, latent=3, unit=5.0), Edit(2.0, latent=3)], relative={3: 7.0})
    assert [e.amount for e in made.edits] == [10.0, 14.0]
    with pytest.raises(SaelabError, match="no strength in activations"):
        Edit(mode="ablate", unit=2.0)


class Index:
    """What a LatentIndex offers here."""

    def stats(self):
        import pandas as pd

        return pd.DataFrame({"max": [0.0, 2.5]})


def test_an_index_gives_the_maximum(sae):
    assert Intervention.make(sae, {1: 2.0}, relative=Index()).edits[0].amount == 5.0
    with pytest.raises(SaelabError, match="never fired"):
        Intervention.make(sae, {0: 2.0}, relative=Index())

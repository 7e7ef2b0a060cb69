"""The table of steered concepts, on a model whose concepts are single tokens."""

import numpy as np
import pandas as pd
import pytest
from helpers import random_sae

from saelab import models
from saelab.errors import SaelabError
from saelab.interventions import Edit, generate, steering_success
from saelab.interventions.sweeps import FIRST_TEN

CANDIDATES = {"a": [3, 9], "b": [7]}


@pytest.fixture(scope="module")
def sae():
    return random_sae()


def rule(text):
    """Stands for a classifier: which of two letters a text has more of."""
    a, b = text.count("a"), text.count("b")
    return None if a == b else "a" if a > b else "b"


@pytest.fixture(scope="module")
def found(tiny, sae):
    return steering_success(
        tiny, sae, CANDIDATES, rule, relative=dict.fromkeys(range(64), 4.0), strengths=(1, 5), n=12, tune=8,
        controls=2, max_new_tokens=10, progress=False,
    )  # fmt: skip


def test_shares_are_those_of_generations_with_that_setting(found, tiny, sae):
    bos = [models.bos_id(tiny)]
    plain = generate(tiny, None, bos, n=12, max_new_tokens=10)
    for _, row in found.frame.iterrows():
        schedule = FIRST_TEN if row["pushed"] == "first 10" else None
        edit = Edit(4.0 * row["strength"], latent=int(row["latent"]), schedule=schedule)
        made = generate(tiny, sae, bos, [edit], n=12, max_new_tokens=10, special=True)
        assert found.texts[row["concept"]] == made.texts
        for column, texts in (("steered", made.texts), ("unsteered", plain.texts)):
            assert row[column] == np.mean([rule(t) == row["concept"] for t in texts])
        controls = []
        for control in range(2):
            push = Edit(edit.strength, latent=edit.latent, schedule=schedule, control=control)
            texts = generate(tiny, sae, bos, [push], n=12, max_new_tokens=10, special=True).texts
            controls.append(np.mean([rule(t) == row["concept"] for t in texts]))
        assert row["random"] == pytest.approx(np.mean(controls))
        assert row["random_max"] == max(controls)
        assert row["latent"] in CANDIDATES[row["concept"]]
        assert row["perplexity"] > 1


def test_the_other_latents_are_the_other_rows(found):
    table = found.confusion
    np.testing.assert_allclose(table.sum(axis=1), 1)
    assert list(table.index) == ["(none)", "a", "b"]
    rows = found.frame.set_index("concept")
    assert rows.loc["a", "others"] == table.loc["b", "a"]
    assert rows.loc["a", "steered"] == table.loc["a", "a"]
    assert rows.loc["b", "unsteered"] == table.loc["(none)", "b"]


def test_turned_on_needs_both_ends(found):
    fake = found.frame.assign(steered=[0.9, 0.9], unsteered=[0.15, 0.16])
    mine = type(found)(fake, found.confusion, found.texts, 12)
    assert mine.turned_on() == [fake["concept"][0]]
    assert mine.turned_on(0.95) == []
    assert "1 of 2 concepts turned on" in repr(mine)


def test_the_plot_has_a_bar_for_every_share(found):
    figure = found.plot()
    assert [bar.name for bar in figure.data] == ["steered", "unsteered", "random", "others"]
    assert list(figure.data[0].y) == found.frame["steered"].tolist()


def test_the_table_is_inert_in_a_notebook(found):
    hostile = found.frame.assign(example=["<script>1</script> $x$"] * 2)
    page = type(found)(hostile, found.confusion, found.texts, 12)._repr_html_()
    assert "<script" not in page
    assert "$x$" not in page


def test_wrong_arguments_are_refused_before_anything_runs(tiny, sae):
    runs = []
    handle = tiny.original_model.register_forward_pre_hook(lambda *a: runs.append(1))
    try:
        for candidates, options, said in [
            ({}, {}, "nothing to try"),
            ({"a": []}, {}, r"candidates\['a'\]: latents is empty"),
            ({"a": [64]}, {}, "out of range"),
            ({"a": 3}, {"relative": {4: 1.0}}, "no maximum"),
            ({"a": 3}, {"strengths": []}, "nothing to try"),
            ({"a": 3}, {"n": 0}, "n must be"),
        ]:
            with pytest.raises(SaelabError, match=said):
                steering_success(
                    tiny, sae, candidates, rule, **{"relative": {3: 1.0}, "progress": False, **options}
                )
    finally:
        handle.remove()
    assert not runs


def test_one_latent_may_be_given_as_a_number(tiny, sae):
    found = steering_success(
        tiny, sae, {"a": 3}, rule, relative={3: 4.0}, strengths=[2], schedules=[None], n=2, tune=1, controls=0,
        max_new_tokens=4, prompt="The", progress=False,
    )  # fmt: skip
    assert found.frame["latent"].tolist() == [3]
    assert pd.isna(found.frame["random"][0])
    assert pd.isna(found.frame["others"][0]) or found.frame["others"][0] >= 0


def test_a_genre_of_the_zoo_is_turned_on_by_its_latent_and_by_no_random_direction():
    import saelab as sl

    model, sae = sl.load_model("zoo"), sl.zoo.load_sae()
    rows, labels = sl.zoo.labelled_rows(model, 300, seed=3)
    index = sl.LatentIndex.build(model, sae, rows, progress=False)
    best = index.concepts(labels)
    best = best[(best.precision >= 0.95) & (best.fires >= 30)].sort_values("f1", ascending=False)
    candidates = {g: int(best.latent[best.concept == g].iloc[0]) for g in ("dna", "hebrew")}
    found = steering_success(
        model, sae, candidates, sl.zoo.classify, relative=index, strengths=[2], schedules=[FIRST_TEN], n=25, tune=1,
        controls=2, progress=False,
    )  # fmt: skip
    assert sorted(found.turned_on()) == ["dna", "hebrew"]
    assert found.frame["random_max"].max() <= 0.25
    assert found.frame["others"].max() <= 0.15

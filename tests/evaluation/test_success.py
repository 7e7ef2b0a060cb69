"""The table of steered concepts, on a model whose concepts are single tokens."""

import numpy as np
import pandas as pd
import pytest
from helpers import random_sae

from saelab import models
from saelab.errors import SaelabError
from saelab.evaluation import steering_success
from saelab.evaluation.success import FIRST_TEN
from saelab.evaluation.trials import Trials, Written
from saelab.experiments import generate
from saelab.experiments.sweeps import fresh, read
from saelab.intervals import of_trials
from saelab.interventions import Direction, Edit

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
        tiny, sae, CANDIDATES, rule, relative=dict.fromkeys(range(64), 4.0), strengths=(1, 5), n=12, tune=8, guard=1e9,
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


def test_D34_controls_are_fresh_for_every_latent_and_tuned_as_it_is(tiny, sae):
    """By hand: the best of the same settings on the tuning texts, counted on others."""
    options = {
        "strengths": (1, 5),
        "schedules": [None],
        "n": 20,
        "tune": 8,
        "enough": 1.1,
        "controls": 2,
        "guard": 1e9,
    }
    found = steering_success(
        tiny, sae, {"a": 3, "b": 7}, rule, relative=dict.fromkeys(range(64), 4.0), max_new_tokens=10, progress=False,
        **options,
    )  # fmt: skip
    directions = {fresh(latent, c, 0) for latent in (3, 7) for c in range(2)}
    assert len(directions) == 4
    bos, norm = [models.bos_id(tiny)], sae.W_dec.detach().norm(dim=1)

    def share(edit, concept, n, seed):
        made = generate(tiny, sae, bos, [edit], n=n, seed=seed, max_new_tokens=10, special=True)
        return np.mean([rule(t) == concept for t in made.texts])

    free = np.setdiff1d(range(64), [3, 7])
    for _, row in found.frame.iterrows():
        latent, concept = int(row["latent"]), row["concept"]
        drawn = [int(np.random.default_rng([0, latent, c]).choice(free)) for c in range(2)]
        kinds = {  # which latent, along which random direction, and how much further for an equal push
            "random": [(latent, fresh(latent, c, 0), 1.0) for c in range(2)],
            "random_latent": [(i, None, float(norm[latent] / norm[i])) for i in drawn],
        }
        for kind, controls in kinds.items():
            shares = []
            for i, direction, factor in controls:
                edits = [Edit(x * factor, latent=i, control=direction) for x in (4.0, 20.0)]
                tuning = [share(edit, concept, 8, 1) for edit in edits]
                shares.append(share(edits[int(np.argmax(tuning))], concept, 20, 0))
            assert row[kind] == pytest.approx(np.mean(shares))
            assert row[f"{kind}_max"] == pytest.approx(max(shares))
        assert (row["steered_lo"], row["steered_hi"]) == pytest.approx(
            of_trials(round(20 * row["steered"]), 20)
        )
    assert found.controls.shape == (2, 2)
    assert "4 random directions" in repr(found)


def test_D34_few_texts_have_no_interval(found):
    assert found.frame[["steered_lo", "steered_hi", "unsteered_lo"]].isna().all(axis=None)


def test_D34_turned_on_needs_both_ends_and_whole_text(found):
    fake = found.frame.assign(
        steered=[0.9, 0.9], unsteered=[0.15, 0.16], perplexity=50.0, unsteered_perplexity=10.0
    )
    mine = type(found)(fake, found.confusion, found.texts, 12)
    assert mine.turned_on() == [fake["concept"][0]]
    assert mine.turned_on(0.95) == []
    assert mine.turned_on(damage=4) == []
    assert "1 of 2 concepts turned on" in repr(mine)
    assert type(found)(fake, found.confusion, found.texts, 12, guard=4).turned_on() == []
    broken = type(found)(fake.assign(perplexity=5e6), found.confusion, found.texts, 12)
    assert broken.turned_on() == []
    assert "perplexity at most 10 times" in repr(broken)


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
                    tiny,
                    sae,
                    candidates,
                    rule,
                    **{"relative": {3: 1.0}, "progress": False, "max_new_tokens": 8, **options},
                )
    finally:
        handle.remove()
    assert not runs


def test_one_latent_may_be_given_as_a_number(tiny, sae):
    found = steering_success(
        tiny, sae, {"a": 3}, rule, relative={3: 4.0}, strengths=[2], schedules=[None], n=2, tune=1, controls=0,
        max_new_tokens=4, prompts="The", progress=False,
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


def test_D62_equal_prompts_are_one_and_without_chance_a_prompt_gives_one_text(tiny, sae):
    options = {
        "relative": {3: 4.0}, "strengths": [2], "schedules": [None], "tune": 4, "controls": 0, "max_new_tokens": 4,
        "progress": False,
    }  # fmt: skip
    once, often = (
        steering_success(tiny, sae, {"a": 3}, rule, n=24, prompts=p, **options)
        for p in (["The", "A dog"], ["The", "A dog"] * 6)
    )
    assert often.texts == once.texts
    pd.testing.assert_frame_equal(often.frame, once.frame)
    prompts = [f"{x}{y}" for x in "abcde" for y in "fghijk"]
    greedy = steering_success(
        tiny, sae, {"a": 3}, rule, n=50, prompts=prompts, tuning_prompts=["The"], temperature=0, **options
    )
    assert greedy.n == len(greedy.texts["a"]) == 30
    with pytest.raises(SaelabError, match="what chooses the settings would be what is judged"):
        steering_success(tiny, sae, {"a": 3}, rule, prompts=["The"], temperature=0, **options)


@pytest.mark.parametrize(("prompts", "each"), [(20, 5), (50, 2), (100, 1), (100, 4)])
def test_D62_the_interval_of_a_share_covers_over_prompts(prompts, each):
    """A prompt has its own share of texts: what is meant is that of all prompts, from which these are drawn."""
    g = np.random.default_rng(0)
    trials = Trials(None, None, lambda text: text, None, {}, 0, 1.0, 1.0, {}, np.zeros(0))
    of, hits = np.repeat(np.arange(prompts), each).tolist(), []
    for _ in range(1000):
        own = g.beta(0.5, 1, prompts)
        texts = ["a" if g.random() < own[i] else "b" for i in of]
        low, high = trials.bounds(Written(texts, of, 0.0), "a")
        hits.append(low <= 1 / 3 <= high)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_what_breaks_the_text_is_not_chosen_and_does_not_win(tiny, sae):
    """By hand: of the settings inside the guard on the tuning texts, the one with the largest share."""
    how = {"max_new_tokens": 10, "special": True}
    bos, strengths = [models.bos_id(tiny)], (1, 5, 20)
    found = steering_success(
        tiny, sae, {"a": 3}, rule, relative={3: 4.0}, strengths=strengths, schedules=[None], n=20, tune=20, enough=1.1,
        controls=0, guard=1.5, max_new_tokens=10, progress=False,
    )  # fmt: skip

    def seen(edits, seed):
        made = generate(
            tiny,
            sae if edits else None,
            bos,
            edits,
            n=20,
            seed=seed,
            **(how if edits else {"max_new_tokens": 10}),
        )
        nats = read(tiny, None, made.prompt_ids, made.samples)["nats"].mean()
        return np.mean([rule(t) == "a" for t in made.texts]), nats

    tried = {s: seen([Edit(4.0 * s, latent=3)], 1) for s in strengths}
    ratio = {s: np.exp(nats - seen(None, 1)[1]) for s, (_, nats) in tried.items()}
    inside = [s for s in strengths if ratio[s] <= 1.5]
    assert 0 < len(inside) < 3
    (row,) = found.frame.to_dict("records")
    assert row["strength"] == max(inside, key=lambda s: tried[s][0])
    share, nats = seen([Edit(4.0 * row["strength"], latent=3)], 0)
    assert row["steered"] == share
    assert row["ratio"] == pytest.approx(np.exp(nats - seen(None, 0)[1]), rel=1e-4)
    assert row["inside"] == (row["ratio"] <= 1.5)
    better = row["inside"] and row["steered"] > row["unsteered"]
    assert row["winner"] == ("steered" if better else "unsteered")


def test_prompt_and_difference_of_means_stand_beside_every_steer(tiny, sae):
    examples = {"a": ["a fat cat sat", "banana and a mat"], "b": ["bob rubs", "ebb b b b"]}
    found = steering_success(
        tiny, sae, {"a": 3, "b": 7}, rule, relative=dict.fromkeys(range(64), 4.0), examples=examples, strengths=[2],
        schedules=[FIRST_TEN], n=20, tune=2, controls=1, guard=1e9, max_new_tokens=6, progress=False,
    )  # fmt: skip
    row = found.frame.set_index("concept").loc["a"]
    along = Direction.from_texts(tiny, sae.config.hook_out, examples["a"], examples["b"])
    made = generate(
        tiny,
        sae,
        [models.bos_id(tiny)],
        {along: 2.0},
        relative={},
        schedule=FIRST_TEN,
        n=20,
        max_new_tokens=6,
        special=True,
    )
    assert row["difference"] == np.mean([rule(t) == "a" for t in made.texts])
    prompted = [
        t for text in examples["a"]
        for t in generate(tiny, None, models.tokenize(tiny, text)[:11], n=10, max_new_tokens=6).texts
    ]  # fmt: skip
    assert row["prompt"] == np.mean([rule(t) == "a" for t in prompted])
    assert 0 <= row["prompt_lo"] <= row["prompt"] <= row["prompt_hi"] <= 1
    assert "wins: " in repr(found)
    with pytest.raises(SaelabError, match="no texts of 'b'"):
        steering_success(tiny, sae, {"b": 7}, rule, relative={7: 1.0}, examples={"a": ["a"]})
    with pytest.raises(SaelabError, match="of one concept"):
        steering_success(tiny, sae, {"a": 7}, rule, relative={7: 1.0}, examples={"a": ["a"]})


def test_a_direction_is_a_candidate_and_choosing_has_prompts_of_its_own(tiny, sae):
    along = Direction(np.eye(16)[0], sae.config.hook_out, name="along")
    found = steering_success(
        tiny, sae, {"a": [along, 3]}, rule, relative={3: 4.0}, prompts=["The", "A dog"], tuning_prompts=["fox"],
        strengths=[2], schedules=[None], n=5, tune=2, controls=1, guard=1e9, max_new_tokens=4, progress=False,
    )  # fmt: skip
    assert found.frame["latent"][0] in ("along", 3)
    target = along if found.frame["latent"][0] == "along" else 3
    texts = []
    for prompt, n in (("The", 3), ("A dog", 2)):
        edit = Edit(2.0 * (1.0 if target is along else 4.0), latent=target)
        texts += generate(tiny, sae, prompt, [edit], n=n, max_new_tokens=4, special=True).texts
    assert found.texts["a"] == texts
    assert found.frame.attrs["chosen_on"] == "2 texts of another seed and other prompts"


def quick(tiny, sae, **options):
    settings = {
        "relative": dict.fromkeys(range(64), 4.0), "strengths": [2], "schedules": [None], "n": 24, "tune": 2,
        "controls": 0, "max_new_tokens": 4, "progress": False,
    }  # fmt: skip
    judge = options.pop("judge", rule)
    return steering_success(tiny, sae, {"a": 3}, judge, **settings | options)


def test_D64_examples_are_texts_in_every_form(tiny, sae):
    plain = quick(tiny, sae, examples={"a": ["a fat cat"], "b": ["bob"]})
    ids = models.tokenize(tiny, "a fat cat")
    for form in (
        "a fat cat",
        iter(["a fat cat"]),
        ids,
        {"input_ids": [ids]},
        pd.Series(["a fat cat"], index=[7]),
    ):
        found = quick(tiny, sae, examples={"a": form, "b": "bob"})
        pd.testing.assert_frame_equal(found.frame, plain.frame)


@pytest.mark.parametrize("answer", [5, True, float("nan"), ["a"], b"a"])
def test_D78_a_judge_that_names_no_concept_is_refused(tiny, sae, answer):
    with pytest.raises(SaelabError, match="judge gives a concept or None for a text, and gave"):
        quick(tiny, sae, judge=lambda text: answer)


def test_D68_other_prompts_are_others_and_equal_texts_are_no_sample(tiny, sae):
    for tuning, said in [
        (["A dog", "The"], "another seed"),
        (["A dog", "Big"], "another seed and 2 prompts, 1 of them other ones"),
        (["Big"], "another seed and other prompts"),
    ]:
        found = quick(tiny, sae, prompts=["The", "A dog"], tuning_prompts=tuning)
        assert found.frame.attrs["chosen_on"] == f"2 texts of {said}"
    assert found.frame["steered_lo"].notna().all()
    cold = quick(tiny, sae, prompts=["The"], temperature=1e-6)
    assert len(set(cold.texts["a"])) == 1
    assert cold.frame[["steered_lo", "unsteered_hi"]].isna().all(axis=None)

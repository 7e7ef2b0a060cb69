"""Sweeps: every combination once, judged by the unsteered model."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from saelab import models
from saelab.errors import SaelabError
from saelab.experiments import generate, sweep
from saelab.experiments.sweeps import fresh, reading, repetition
from saelab.interventions import Edit, steer

PROMPTS = ["The red fox", "12 + 34"]


@pytest.fixture(scope="module")
def made(tiny, sae):
    return sweep(
        tiny,
        sae,
        PROMPTS,
        [3, 9],
        [0.0, 8.0],
        controls=1,
        n=2,
        max_new_tokens=5,
        seed=1,
        score=len,
        progress=False,
    )


@pytest.fixture(scope="module")
def frame(made):
    return made.frame


def test_every_combination_is_there_once(frame):
    keys = ["prompt", "latent", "strength", "control", "sample"]
    assert len(frame) == 2 * 2 * 2 * 2 * 2
    assert not frame.duplicated(keys).any()
    assert (frame["score"] == frame["text"].str.len()).all()
    plain = frame[frame["strength"] == 0]
    assert (plain.groupby(["prompt", "sample"])["text"].nunique() == 1).all()


def test_rows_are_the_generations_of_their_settings(frame, tiny, sae):
    made = generate(tiny, sae, PROMPTS[1], {9: 8.0}, max_new_tokens=5, n=2, seed=1)
    rows = frame[(frame["prompt"] == PROMPTS[1]) & (frame["latent"] == 9) & (frame["strength"] == 8)]
    assert rows[rows["control"] == -1]["text"].tolist() == made.texts
    assert rows[rows["control"] == 0]["text"].tolist() != made.texts


def test_D34_every_latent_has_its_own_random_directions(frame, tiny, sae):
    assert len({fresh(latent, c) for latent in range(50) for c in range(3)}) == 150
    for latent in (3, 9):
        edit = Edit(8.0, latent=latent, control=fresh(latent, 0))
        made = generate(tiny, sae, PROMPTS[1], [edit], max_new_tokens=5, n=2, seed=1)
        rows = frame[(frame["prompt"] == PROMPTS[1]) & (frame["latent"] == latent) & (frame["strength"] == 8)]
        assert rows[rows["control"] == 0]["text"].tolist() == made.texts


def test_texts_are_judged_by_the_unsteered_model(tiny, sae):
    made = generate(tiny, sae, PROMPTS[0], {3: 9.0}, max_new_tokens=6, n=3, seed=2, temperature=3.0)
    for sample, line in zip(made.samples, reading(tiny, sae, made, 3), strict=True):
        ids = torch.tensor([[*made.prompt_ids, *sample.ids]])
        start = len(made.prompt_ids)
        with torch.no_grad():
            logp = models.forward(tiny, ids)[0, start - 1 : -1].log_softmax(-1)
            z = sae.encode(models.run_to_hooks(tiny, ids, [sae.config.hook_in])[sae.config.hook_in])[
                0, start:, 3
            ]
        nats = -logp.gather(-1, ids[0, start:, None]).mean()
        assert line["perplexity"] == pytest.approx(float(nats.exp()), rel=1e-4)
        assert line["activation"] == pytest.approx(float(z.mean()), abs=1e-5)


def test_repetition():
    assert repetition([1, 2, 3, 4, 5]) == 0
    assert repetition([1, 1, 1, 1, 1]) == pytest.approx(2 / 3)  # three 3-grams, one of them new
    assert repetition([1, 2, 3, 1, 2, 3]) == pytest.approx(1 / 4)
    assert math.isnan(repetition([1, 2]))


def test_the_plot_shows_means(made, frame):
    figure = made.plot()
    assert len(figure.data) == 2 * 2 * 3
    some = frame[(frame["latent"] == 3) & (frame["control"] < 0)]
    expected = some.groupby("strength")["perplexity"].apply(lambda p: np.exp(np.log(p).mean()))
    drawn = next(t for t in figure.data if t.legendgroup == "3False" and t.yaxis == "y2")
    np.testing.assert_allclose(drawn.y, expected)


def test_options_of_steering_are_passed_on(tiny, sae):
    found = sweep(
        tiny,
        sae,
        PROMPTS[0],
        [3],
        [2.0],
        relative={3: 4.0},
        positions="generated",
        max_new_tokens=4,
        progress=False,
    )
    made = generate(tiny, sae, PROMPTS[0], {3: 8.0}, max_new_tokens=4, positions="generated")
    assert found.frame["text"].tolist() == made.texts
    one = sweep(tiny, sae, PROMPTS[0], [3], [1.0], mode="ablate", max_new_tokens=1, progress=False)
    assert isinstance(one.frame, pd.DataFrame)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompts": []}, "no prompts"),
        ({"latents": []}, "latents is empty"),
        ({"strengths": []}, "no strengths"),
        ({"latents": [64]}, "out of range"),
        ({"mode": "ad"}, "unknown mode"),
        ({"relative": {4: 1.0}}, "no maximum"),
        ({"positions": "lst"}, "unknown positions"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(tiny, sae, change, said):
    options = {"prompts": PROMPTS, "latents": [3], "strengths": [1.0], "mode": "add", **change}
    runs = []
    handle = tiny.original_model.register_forward_pre_hook(lambda *a: runs.append(1))
    try:
        with pytest.raises(SaelabError, match=said):
            sweep(tiny, sae, progress=False, **options)
    finally:
        handle.remove()
    assert not runs


def test_a_sweep_inside_a_steered_block_judges_by_the_model_as_it_is(tiny, sae):
    with steer(tiny, sae, {9: 5.0}):
        inside = sweep(tiny, sae, PROMPTS[0], [3], [0.0], max_new_tokens=4, progress=False)
    made = generate(tiny, sae, PROMPTS[0], {9: 5.0}, max_new_tokens=4)
    assert inside.frame["text"].tolist() == made.texts

import math

import numpy as np
import pytest
import torch
from handmade import acts, corpus, linear_sae, made
from helpers import random_sae

import saelab as sl
from saelab import logistic
from saelab.errors import SaelabError
from saelab.evaluation.probes import best_latents
from saelab.evaluation.sample import sample


@pytest.fixture(scope="module")
def world():
    """Rows, activations of all their tokens, an SAE and labels that latent 7 and channel 3 know."""
    from helpers import shared_tiny

    rows, labels = corpus(n=8)
    sae = random_sae()
    counted = np.flatnonzero(np.asarray(rows.ids) > 0)
    x = acts(shared_tiny(), rows, counted)
    pre = sae.pre_activations(x)[:, 7].detach()
    for name, values in (("latent 7", pre), ("channel 3", x[:, 3])):
        labels[name] = np.zeros(rows.n_tokens, bool)
        labels[name][counted] = (values > values.median()).numpy()
    on = sae.encode(x).detach() > 0
    often = int((on.float().mean(0) - 0.5).abs().argmin())
    labels["fires"] = np.zeros(rows.n_tokens, bool)
    labels["fires"][counted] = on[:, often].numpy()
    return sae, rows, labels, often


def test_probe_loss_finds_the_latent_and_the_channel_that_know(world, tiny):
    sae, rows, labels, _ = world
    frame = sl.evaluation.probe_loss(
        tiny, sae, rows, labels, concepts=["latent 7", "channel 3"], examples=60, progress=False
    ).set_index("concept")
    knows = frame.loc["latent 7"]
    assert knows["latent"] == 7
    assert knows["loss"] < 0.1
    assert knows["accuracy"] > 0.95
    assert knows["weight"] > 0
    assert knows["channel_loss"] > knows["loss"]
    assert frame.loc["channel 3", "channel"] == 3
    assert frame.loc["channel 3", "channel_loss"] < 0.1


def test_probe_loss_is_the_least_over_all_latents_by_brute_force(world, tiny):
    sae, rows, labels, _ = world
    options = {"concepts": ["even"], "examples": 60, "seed": 4}
    line = sl.evaluation.probe_loss(tiny, sae, rows, labels, progress=False, **options).iloc[0]
    s = sample(tiny, sae, rows, labels, **options)
    task = s.tasks[0]
    losses = []
    for i in range(64):
        z = sae.pre_activations(s.x)[:, i : i + 1].detach().double()
        w, b = logistic.single(z[task.train], task.y_train)
        losses.append(
            (
                float(logistic.loss(z[task.train] * w + b, task.y_train)),
                float(logistic.loss(z[task.test] * w + b, task.y_test)),
            )
        )
    best = int(np.argmin([a for a, _ in losses]))
    assert line["latent"] == best
    assert line["train_loss"] == pytest.approx(losses[best][0], abs=1e-4)
    assert line["loss"] == pytest.approx(losses[best][1], abs=1e-3)
    assert line["train_loss"] < math.log(2)
    assert line["examples"] == len(task.test)


def test_more_latents_than_are_fitted_at_once(world, tiny, monkeypatch):
    from saelab.evaluation import probes

    sae, rows, labels, _ = world
    options = {"concepts": ["even"], "examples": 30, "progress": False}
    whole = sl.evaluation.probe_loss(tiny, sae, rows, labels, **options)
    monkeypatch.setattr(probes, "_CELLS", 500)
    assert sl.evaluation.probe_loss(tiny, sae, rows, labels, **options).equals(whole)


def test_sparse_probing_of_a_concept_that_is_a_latent(world, tiny):
    sae, rows, labels, often = world
    frame = sl.evaluation.sparse_probing(
        tiny, sae, rows, labels, concepts=["fires"], k=(1, 3), examples=60, progress=False
    )
    one = frame[frame.k == 1].iloc[0]
    assert one["latents"] == (often,)
    assert one["accuracy"] > 0.9
    assert one["channels_accuracy"] < one["accuracy"]
    assert len(frame[frame.k == 3].iloc[0]["latents"]) == 3
    assert 0.5 < one["full_accuracy"] <= 1


def test_sparse_probing_by_hand(world, tiny):
    sae, rows, labels, _ = world
    options = {"concepts": ["third"], "examples": 60, "seed": 2}
    line = sl.evaluation.sparse_probing(tiny, sae, rows, labels, k=2, progress=False, **options).iloc[0]
    s = sample(tiny, sae, rows, labels, **options)
    task, z = s.tasks[0], s.codes.dense()
    apart = z[task.train][task.y_train].mean(0) - z[task.train][~task.y_train].mean(0)
    chosen = apart.abs().argsort(descending=True)[:2]
    assert line["latents"] == tuple(chosen.tolist())
    w, b = logistic.several(z[task.train][:, chosen], task.y_train)
    said = z[task.test][:, chosen].double() @ w + b > 0
    assert line["accuracy"] == pytest.approx(float((said == task.y_test).double().mean()))


def test_a_concept_that_two_latents_share_has_two_main_latents():
    # two kinds of tokens with the concept, each with a direction and latent of its own; noise in a third
    eye = torch.eye(4).tolist()
    x = [[1, 0, 0, 0.2], [0, 1, 0, 0.1], [0, 0, 1, 0.1], [0, 0, 0, 0.2]] * 8
    x = [[a * (2 if i % 4 == 0 else 1) for a in row] for i, row in enumerate(x)]
    s = made(linear_sae(eye, eye), x, concept=[True, True, False, False] * 8)
    assert best_latents(s, s.tasks[0], 0.03, 10).tolist() == [0, 1]
    assert best_latents(s, s.tasks[0], 0.03, 1).tolist() == [0]
    assert best_latents(s, s.tasks[0], 0.9, 10).tolist() == [0], "the second must raise F1 by the gain"


def test_mistakes_are_named(world, tiny):
    sae, rows, labels, _ = world
    with pytest.raises(SaelabError, match="k=99 is more than the 64 latents"):
        sl.evaluation.sparse_probing(tiny, sae, rows, labels, k=99)
    with pytest.raises(SaelabError, match="k is empty"):
        sl.evaluation.sparse_probing(tiny, sae, rows, labels, k=())
    with pytest.raises(TypeError):
        sl.evaluation.probe_loss(tiny, sae, rows, labels, concept=["even"])

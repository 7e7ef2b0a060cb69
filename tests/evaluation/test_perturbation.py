import pytest
import torch
from handmade import corpus, linear_sae, made
from helpers import random_sae

import saelab as sl
from saelab.errors import SaelabError
from saelab.evaluation.perturbation import perturb

# tokens with neither concept, with a (direction 0), with b (direction 1) and with both
X = [[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 0]] * 6
A, B = [False, True, False, True] * 6, [False, False, True, True] * 6


def test_a_latent_of_its_own_for_each_concept_is_perfect():
    eye = torch.eye(3).tolist()
    frame = perturb(made(linear_sae(eye, eye), X, a=A, b=B), [1])
    assert frame["accuracy"].tolist() == [1, 1]
    assert frame["intended"].tolist() == pytest.approx([0.5, 0.5]), "every token is then said to lack it"
    assert frame["unintended"].tolist() == pytest.approx([0, 0])
    assert frame["score"].tolist() == pytest.approx([0.5, 0.5])


def test_one_latent_for_both_concepts_scores_nothing():
    # the first latent fires on either and writes both directions
    encoder = [[1.0, 0], [1, 0], [0, 1]]
    decoder = [[1.0, 1, 0], [0, 0, 1]]
    frame = perturb(made(linear_sae(encoder, decoder), X, a=A, b=B), [1])
    assert frame["intended"].tolist() == pytest.approx([0.5, 0.5])
    assert frame["unintended"].tolist() == pytest.approx([0.5, 0.5])
    assert frame["score"].tolist() == pytest.approx([0, 0])


def test_the_error_is_kept():
    """Latents that explain nothing of the concepts can take nothing of them away."""
    encoder, decoder = [[0.0], [0], [1]], [[0.0, 0, 1]]
    frame = perturb(made(linear_sae(encoder, decoder), X, a=A, b=B), [1])
    assert frame["score"].tolist() == pytest.approx([0, 0], abs=1e-9)


def test_on_a_model_and_by_the_names_of_the_table(tiny):
    rows, labels = corpus()
    frame = sl.evaluation.probe_perturbation(
        tiny, random_sae(), rows, labels, concepts=["even", "third"], n=(1, 5), examples=30
    )
    assert frame["n"].tolist() == [1, 1, 5, 5]
    assert frame["concept"].tolist() == ["even", "third"] * 2
    assert (frame["score"] - (frame["intended"] - frame["unintended"])).abs().max() < 1e-12
    assert len(frame.groupby("n").score.mean()) == 2


def test_one_concept_is_not_enough(tiny):
    rows, labels = corpus()
    with pytest.raises(SaelabError, match="it takes two concepts"):
        sl.evaluation.probe_perturbation(tiny, random_sae(), rows, labels, concepts=["even"], examples=10)
    with pytest.raises(SaelabError, match="n must be at least 1, got 0"):
        sl.evaluation.probe_perturbation(tiny, random_sae(), rows, labels, n=0)

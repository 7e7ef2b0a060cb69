import numpy as np
import pytest
import torch
from handmade import corpus, linear_sae, made
from helpers import random_sae

import saelab as sl
from saelab.errors import SaelabError
from saelab.evaluation.absorption import absorbed

# direction 0: the concept; 1: its part (with 0), on one token in forty; 2: something else. The part is rare, or a
# latent for it would be a main latent of the concept: that is how splitting is told from absorption
X = [[0.0, 0, 1 + i / 40] for i in range(40)] + [[1, 0, i / 80] for i in range(39)] + [[1, 1, 0]]
HAS = [False] * 40 + [True] * 40
PART = np.array([False] * 79 + [True])


def lines(sae):
    s = made(sae, X, concept=HAS)
    return {
        line["part"]: line
        for line in absorbed(s, s.tasks[0], {"concept.part": PART, "concept.other": ~PART & False})
    }


def test_a_general_latent_that_always_fires_absorbs_nothing():
    eye = torch.eye(3).tolist()
    found = lines(linear_sae(eye, eye))
    assert found[""] == {
        "concept": "concept", "part": "", "tokens": 40, "absorbed": 0, "rate": 0.0, "absorber": None, "main": (0,)
    }  # fmt: skip
    assert found["concept.part"]["tokens"] == 1
    assert "concept.other" not in found, "a part that does not occur"


def test_a_special_latent_that_says_both_absorbs_its_part():
    # latent 0 is silent where direction 1 is present; latent 1 then writes both directions
    found = lines(linear_sae([[1.0, 0, 0], [-1, 1, 0], [0, 0, 1]], [[1.0, 0, 0], [1, 1, 0], [0, 0, 1]]))
    assert found["concept.part"]["absorbed"] == 1
    assert found["concept.part"]["rate"] == 1
    assert found["concept.part"]["absorber"] == 1
    assert found["concept.part"]["main"] == (0,)
    assert found[""]["rate"] == pytest.approx(1 / 40)


def test_a_special_latent_that_leaves_the_concept_out_is_no_absorber():
    """The general latent is silent there, but nothing stands in: that is a gap, not absorption."""
    weak = lines(linear_sae([[1.0, 0, 0], [-1, 1, 0], [0, 0, 1]], [[1.0, 0, 0], [0.01, 0, 1], [0, 0, 1]]))
    assert weak["concept.part"]["absorbed"] == 0
    assert weak["concept.part"]["absorber"] is None


def test_on_a_model_parts_are_known_by_their_names(tiny):
    rows, labels = corpus()
    labels = {
        "even": labels["even"],
        "even.third": labels["even"] & labels["third"],
        "third": labels["third"],
    }
    frame = sl.evaluation.absorption(tiny, random_sae(), rows, labels, examples=30)
    assert frame["concept"].tolist() == ["even", "even"]
    assert frame["part"].tolist() == ["", "even.third"]
    assert frame["tokens"].iloc[0] >= frame["tokens"].iloc[1] > 0
    assert (frame["absorbed"] <= frame["tokens"]).all()
    again = sl.evaluation.absorption(tiny, random_sae(), rows, labels, concepts=["third"], examples=30)
    assert again["part"].tolist() == [""]


def test_mistakes_are_named(tiny):
    rows, labels = corpus()
    with pytest.raises(SaelabError, match="no concept has parts"):
        sl.evaluation.absorption(tiny, random_sae(), rows, labels)
    with pytest.raises(SaelabError, match="Did you mean 'third'"):
        sl.evaluation.absorption(tiny, random_sae(), rows, labels, concepts=["thrid"])

"""Every result that shows a score says which documents chose and which scored."""

import numpy as np
import pytest
from helpers import SENTENCES, random_sae, shared_tiny

import saelab as sl


@pytest.fixture(scope="module")
def world():
    model, sae, g = shared_tiny(), random_sae(), np.random.default_rng(0)
    words = " ".join(SENTENCES).split()
    index = sl.LatentIndex.build(
        model, sae, [" ".join(g.choice(words, 12)) for _ in range(80)], progress=False
    )
    labels = {
        "even": index.rows.ids % 2 == 0,
        "third": index.rows.ids % 3 == 0,
        "even.third": index.rows.ids % 6 == 0,
    }
    latent = int(np.argmax(index.counts))
    graph = sl.n2g.fit(index, [latent], config=sl.n2g.N2GConfig.fast(n_train=4), progress=False)[latent]
    return model, sae, index, labels, graph


def halves(call):
    return lambda *w: call(*w).attrs, ("40 documents", "40 other documents")


SCORES = {  # call -> what it says: which chose, which scored
    "probe_loss": halves(lambda m, s, i, lab, g: sl.evaluation.probe_loss(m, s, i.rows, lab, progress=False)),
    "sparse_probing": halves(lambda m, s, i, lab, g: sl.evaluation.sparse_probing(m, s, i.rows, lab, progress=False)),
    "probe_perturbation": halves(
        lambda m, s, i, lab, g: sl.evaluation.probe_perturbation(m, s, i.rows, lab)
    ),
    "absorption": halves(lambda m, s, i, lab, g: sl.evaluation.absorption(m, s, i.rows, lab)),
    "explainability": (
        lambda m, s, i, lab, g: sl.n2g.explainability(
            i, [g.latent], config=sl.n2g.N2GConfig.fast(n_train=4), progress=False
        ).attrs,
        ("train + valid", "20 test documents, held out"),
    ),
    "concepts": (lambda m, s, i, lab, g: i.concepts(lab).attrs, (None, "all 80 documents")),
    "search": (lambda m, s, i, lab, g: i.search("the").attrs, (None, "the same matches that chose")),
    "latents_for": (lambda m, s, i, lab, g: i.latents_for(0, 1, 3).attrs, (None, "the same tokens that chose")),
    "steering_success": (
        lambda m, s, i, lab, g: sl.steering_success(
            m, s, {"a": g.latent}, str, relative=i, strengths=[1], n=2, tune=1, controls=0, max_new_tokens=3, progress=False
        ).frame.attrs,
        ("1 texts of another seed", "2 other texts"),
    ),
    "graph.score": (
        lambda m, s, i, lab, g: {"chosen_on": " + ".join(g.score().chosen_on), "scored_on": g.score().on},
        ("train + valid", "20 valid documents, which the patterns were chosen on"),
    ),
    "graph.baselines": (
        lambda m, s, i, lab, g: {"scored_on": g.baselines(split="test")["bigram"].on},
        (None, "20 test documents, held out"),
    ),
    "simulated_loss": (
        lambda m, s, i, lab, g: {"scored_on": sl.n2g.simulated_loss(i, {g.latent: g}, progress=False).split},
        (None, "test"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCORES)
def test_D31_D33_a_score_says_which_documents_chose_and_which_scored(world, name):
    call, (chosen, scored) = SCORES[name]
    said = call(*world)
    assert said["scored_on"] == scored
    assert said.get("chosen_on") == chosen

"""The bundled SAE has a latent for each of four genres as a whole."""

import pytest

import saelab as sl
from saelab import zoo


@pytest.fixture(scope="module")
def concepts():
    model, sae = sl.load_model("zoo"), sl.load_sae("zoo")
    rows, labels = zoo.labelled_rows(model, 300, seed=77, progress=False)  # of no document that chose them
    index = sl.LatentIndex.build(model, sae, rows, progress=False)
    return index.concepts(labels).set_index(["concept", "latent"])


@pytest.mark.parametrize(
    ("genre", "latent"), [("dna", 2203), ("legal", 2228), ("http", 1752), ("nutrition", 3922)]
)
def test_a_single_latent_marks_the_genre(concepts, genre, latent):
    found = concepts.loc[(genre, latent)]
    assert found.precision >= 0.9
    assert found.span_recall >= 0.6

from __future__ import annotations

import numpy as np
import pytest
from helpers import SENTENCES, random_sae
from parsing import HOSTILE, Parsed

import saelab as sl
from saelab.widgets import ActivationHeatmap


@pytest.fixture(scope="session")
def sae():
    return random_sae(k=6)


@pytest.fixture(scope="session")
def index(tiny, sae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    return sl.LatentIndex.build(
        tiny, sae, [s + " a" * i for i in range(4) for s in SENTENCES], path=folder / "i", progress=False
    )


@pytest.fixture(scope="session")
def trained():
    """A small SAE with curves."""
    from toy import ToyModel, texts

    small = {"d_sae": 48, "k": 4, "tokens": 4000, "batch": 100, "buffer": 1000, "progress": False}
    return sl.train(ToyModel(), texts(200), hook="first", **small)


@pytest.fixture(scope="session")
def latent(index):
    """The latent that fires most."""
    return int(index.counts.argmax())


@pytest.fixture
def graph(index, latent):
    """Three patterns for that latent."""
    from saelab.n2g import PatternGraph

    made = PatternGraph(
        target={"latent": latent}, labels={i: index.vocab.label(i) for i in range(len(index.vocab))}
    )
    first, second = (int(i) for i in index.rows[0][1:3])
    made.add_path([first, second], value=2.0)
    made.add_path([second, "*", first], value=1.0)
    made.index = index
    return made


@pytest.fixture
def hostile():
    values = np.zeros((len(HOSTILE), 1), dtype=np.float32)
    values[:3] = 1
    return ActivationHeatmap([HOSTILE], [values], latents=[5], names=["<b>name</b>"])


@pytest.fixture
def parsed():
    return Parsed

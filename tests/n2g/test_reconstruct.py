"""Explanation reconstruction against what it must equal in the cases that can be said in advance."""

import math

import numpy as np
import pytest
from helpers import SENTENCES, random_sae
from synthetic import FakeIndex, rows_of

import saelab as sl
from saelab.errors import SaelabError
from saelab.n2g import N2GConfig, PatternGraph, fit, reconstruct, simulated_loss
from saelab.n2g.corpus import corpus


@pytest.fixture(scope="module")
def world(tiny):
    rng = np.random.default_rng(0)
    words = " ".join(SENTENCES).split()
    sae = random_sae()
    return sl.LatentIndex.build(
        tiny, sae, [" ".join(rng.choice(words, 9)) for _ in range(24)], progress=False
    )


def test_perfect_simulation_is_the_sae(world, monkeypatch):
    index = world
    parts = [(index.postings(i), i) for i in range(index.d_sae)]
    token = np.concatenate([p.token for p, _ in parts]).astype(np.int64)
    latent = np.concatenate([np.full(len(p.token), i) for p, i in parts])
    value = np.concatenate([p.value for p, _ in parts])
    order = np.argsort(token, kind="stable")
    monkeypatch.setattr(reconstruct, "simulate", lambda *_: (token[order], latent[order], value[order]))
    loss = simulated_loss(index, {0: PatternGraph(target={"latent": 0})}, progress=False)
    assert loss.ce_graphs == pytest.approx(loss.ce_sae, abs=1e-5)
    assert loss.kl_graphs == pytest.approx(loss.kl_sae, abs=1e-5)
    assert loss.explained == pytest.approx(1.0, abs=1e-3)
    assert loss.kl_sae > 0.001


def test_graphs_that_say_nothing(world):
    """Without any prediction the model runs on the decoder's bias."""
    index = world
    loss = simulated_loss(index, {0: PatternGraph(target={"latent": 0})}, progress=False)
    assert loss.latents == 0
    assert loss.kl_graphs != pytest.approx(loss.kl_sae, abs=1e-4)
    empty = {0: PatternGraph(target={"latent": 0})}
    batches = [simulated_loss(index, empty, batch_tokens=b, progress=False) for b in (32, 4096)]
    for name, number in batches[0].to_dict().items():
        other = batches[1].to_dict()[name]
        assert number == (other if isinstance(number, str) else pytest.approx(other, rel=1e-4)), name


def test_simulation_is_the_scaled_prediction(world):
    index = world
    latent = int(np.argmax(index.counts))
    graph = PatternGraph(target={"latent": latent})
    graph.add_path(["*"], value=3.0)
    token, which, value = reconstruct.simulate({latent: graph}, corpus(index))
    scale = graph.score(index, split="train").scale
    assert (np.diff(token) >= 0).all()
    assert set(which.tolist()) == {latent}
    assert np.allclose(value, 3.0 * scale)
    assert len(token) == int((corpus(index, 0).part != 255).sum())


def test_bigram_by_hand():
    """Twelve train and valid documents all hold `1 2 1 3`: after 1 come 2 and 3, as often."""
    index = FakeIndex([lambda t: 0.0], rows_of([[1, 2, 1, 3]] * 16), apart=True)
    bigram = reconstruct.Bigram.learn(corpus(index, 0))
    unigram = {1: 2 * 12 + 1, 2: 12 + 1, 3: 12 + 1, 0: 1}
    total = sum(unigram.values())
    expected = (12 + 4 * unigram[2] / total) / (24 + 4)
    assert bigram.logp(np.array([1]), np.array([2]))[0] == pytest.approx(math.log(expected))
    everything = np.exp(bigram.logp(np.array([1] * 4), np.arange(4))).sum()
    assert everything == pytest.approx(1.0)


def test_D35_positions_are_those_of_evaluate_and_the_mean_says_what_it_is_of(world, tiny):
    index = world
    loss = simulated_loss(index, {0: PatternGraph(target={"latent": 0})}, progress=False)
    part = corpus(index).part
    test = [r for r in range(len(index.rows)) if part[index.rows.offsets[r + 1] - 1] == 2]
    ids = [index.rows[r] for r in test]
    rows = sl.models.rows_from([(i, 0, row.tolist()) for i, row in enumerate(ids)], bos=True)
    report = sl.evaluate(tiny, index.sae, rows, progress=False)
    assert loss.tokens == report.predictions
    for name in ("ce_clean", "ce_sae", "kl_sae"):
        assert getattr(loss, name) == pytest.approx(getattr(report, name), rel=1e-4)
    assert loss.mean_tokens == int(np.isin(part, (0, 1)).sum())
    assert loss.split == "test"
    shown = loss._repr_html_()
    assert f"mean of {loss.mean_tokens:,} train and valid tokens" in shown
    assert "held out" not in shown  # a graph made by hand has seen what its maker has
    graphs = fit(index, [latent := int(index.counts.argmax())], config=N2GConfig.fast(), progress=False)
    assert "test documents, held out" in simulated_loss(index, graphs, progress=False)._repr_html_()
    graphs[latent].delete(graphs[latent].nodes()[0]["id"])
    assert "held out" not in simulated_loss(index, graphs, progress=False)._repr_html_()


def test_what_cannot_be_simulated(world):
    index = world
    with pytest.raises(SaelabError, match="no graphs"):
        simulated_loss(index, {}, progress=False)
    one, two = (PatternGraph(target={"latent": i}, config={"seed": i}) for i in (0, 1))
    with pytest.raises(SaelabError, match="seeds"):
        simulated_loss(index, {0: one, 1: two}, progress=False)

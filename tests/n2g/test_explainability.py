import math

import numpy as np
import pytest
from helpers import SENTENCES, random_sae, shared_tiny

import saelab as sl
from saelab.errors import SaelabError


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    words = " ".join(SENTENCES).split()
    texts = [" ".join(rng.choice(words, 12)) for _ in range(60)]
    return sl.LatentIndex.build(shared_tiny(), random_sae(), texts, progress=False)


def test_it_is_what_n2g_says(world):
    index = world
    latents = np.argsort(index.counts)[-2:].tolist()
    config = sl.n2g.N2GConfig.fast(n_train=8)
    frame = sl.n2g.explainability(index, latents, config=config, progress=False).set_index("latent")
    graphs = sl.n2g.fit(index, latents, config=config, progress=False)
    for latent in latents:
        score, line = graphs[latent].score(index, split="test"), frame.loc[latent]
        for name in ("precision", "recall", "f1"):
            want = getattr(score, name)
            assert math.isnan(line[name]) if want is None else line[name] == pytest.approx(want)
        assert line["density"] == pytest.approx(index.counts[latent] / index.n_counted)
        assert line["lookup_f1"] == graphs[latent].baselines(index, split="test")["token"].f1
        assert line["tp"] + line["fn"] > 0


def test_latents_are_drawn_from_those_that_fire_enough(world):
    index = world
    config = sl.n2g.N2GConfig.fast(n_train=4)
    a = sl.n2g.explainability(index, n=3, config=config, progress=False)
    assert len(a) == 3
    assert (np.asarray(index.counts)[a["latent"]] >= 20).all()
    with pytest.raises(SaelabError, match="latent 64 is out of range"):
        sl.n2g.explainability(index, [64])

"""Two corpora through one SAE: planted differences are found, and chance is not."""

import numpy as np
import pytest
from scipy.stats import binomtest

import saelab as sl

from .makers import rows_of, write


def corpus(rng, rate, docs=60, per_doc=30):
    """Documents of which some latents fire in bursts: a document has all or nothing of latent 0."""
    rows = rows_of([[0, *rng.integers(1, 14, per_doc).tolist()] for _ in range(docs)])
    z = (rng.random((rows.n_tokens, len(rate))) < rate).astype(np.float32)
    burst = np.repeat(rng.random(docs) < 0.3, per_doc + 1)
    z[:, 0] = burst
    z[rows.ids == 0] = 0
    return rows, z


def test_a_planted_difference_is_found_and_bursts_are_not_taken_for_one(tmp_path):
    rng, rate = np.random.default_rng(0), np.full(40, 0.1)
    more = rate.copy()
    more[[3, 5]] = 0.25, 0.02
    a, b = (write(tmp_path / n, *corpus(rng, r)) for n, r in (("a", rate), ("b", more)))
    found = a.diff(b)
    sure = found[found["q"] < 0.05]
    assert {3, 5} <= set(sure["latent"])
    assert len(sure) <= 4
    line = found.set_index("latent").loc[3]
    assert line["density"] == pytest.approx(a.counts[3] / a.n_counted)
    assert line["other"] == pytest.approx(b.counts[3] / b.n_counted)
    assert line["log2_ratio"] == pytest.approx(np.log2(line["density"] / line["other"]))
    assert line["documents"] == len(np.unique(a.rows.doc[a.rows.locate(a.postings(3).token)[0]]))


def test_under_chance_false_discoveries_are_as_rare_as_stated(tmp_path):
    """No difference is there, so any discovery is false, and the rate is the share of pairs with one."""
    wrong = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 7])
        a, b = (write(tmp_path / f"{seed}{n}", *corpus(rng, np.full(30, 0.05))) for n in "ab")
        wrong += bool((a.diff(b)["q"] < 0.1).any())
    assert wrong <= 10 + 2.326 * 3  # 99 % of a binomial of 100 and 0.1


@pytest.mark.parametrize(("docs", "others"), [(30, 300), (25, 25)])
def test_corpora_of_different_sizes_have_as_few_false_discoveries(docs, others, tmp_path):
    """A latent that fires on whole documents may fire on none of the small corpus."""
    wrong, rate = 0, np.exp(np.random.default_rng(0).uniform(np.log(0.02), np.log(0.5), 200))
    for seed in range(25):
        rng, both = np.random.default_rng([seed, 8]), []
        for n in (docs, others):
            rows = rows_of([[0, *rng.integers(1, 14, rng.integers(5, 20)).tolist()] for _ in range(n)])
            z = np.repeat(rng.random((n, len(rate))) < rate, np.diff(rows.offsets), 0).astype(np.float32)
            z[rows.ids == 0] = 0
            both.append(write(tmp_path / f"{seed}{len(both)}", rows, z))
        wrong += bool((both[0].diff(both[1])["q"] <= 0.05).any())
    assert wrong <= 4  # 99 % of a binomial of 25 and 0.05


def test_firings_on_whole_documents_count_as_documents(tmp_path):
    """30 of 30 and 3 of 300 documents; 6 of 30 and 60 of 300."""
    rng, both = np.random.default_rng(1), []
    for n, few, more in ((30, 30, 6), (300, 3, 60)):
        rows = rows_of([[0, *rng.integers(1, 14, 20).tolist()] for _ in range(n)])
        z = np.repeat(np.arange(n)[:, None] < [few, more], 21, 0).astype(np.float32)
        z[rows.ids == 0] = 0
        both.append(write(tmp_path / str(n), rows, z))
    p = [binomtest(k, k + other, 30 / 330).pvalue for k, other in ((30, 3), (6, 60))]
    q = both[0].diff(both[1]).set_index("latent")["q"]
    assert np.log(q[0]) == pytest.approx(np.log(2 * p[0]), rel=0.05)  # of two latents
    assert q[1] > 0.5 < p[1]


def test_what_cannot_be_compared_is_refused(tmp_path):
    rng = np.random.default_rng(2)
    a = write(tmp_path / "a", *corpus(rng, np.full(3, 0.1)))
    few = write(tmp_path / "few", *corpus(rng, np.full(3, 0.1), docs=19))
    wide = write(tmp_path / "wide", *corpus(rng, np.full(4, 0.1)))
    with pytest.raises(sl.SaelabError, match="at least 20"):
        a.diff(few)
    with pytest.raises(sl.SaelabError, match="other must be a LatentIndex, got None"):
        a.diff(None)
    with pytest.raises(sl.SaelabError, match="one SAE"):
        a.diff(wide)

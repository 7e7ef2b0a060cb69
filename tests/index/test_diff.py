"""Two corpora through one SAE: planted differences are found, and chance is not."""

import numpy as np
import pytest

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


def test_welch_by_hand(tmp_path):
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(1)
    a, b = (write(tmp_path / n, *corpus(rng, np.full(3, 0.1))) for n in "ab")
    shares = [
        np.bincount(x.rows.doc[x.rows.locate(x.postings(1).token)[0]], minlength=60) / 30 for x in (a, b)
    ]  # documents are of one length, so a ratio of sums is a mean
    p = ttest_ind(*shares, equal_var=False).pvalue
    found = a.diff(b).set_index("latent")["q"]
    others = sorted(found)
    assert any(q == pytest.approx(min(1, p * 3 / k), rel=1e-6) for q in others for k in (1, 2, 3))


def test_what_cannot_be_compared_is_refused(tmp_path):
    rng = np.random.default_rng(2)
    a = write(tmp_path / "a", *corpus(rng, np.full(3, 0.1)))
    few = write(tmp_path / "few", *corpus(rng, np.full(3, 0.1), docs=19))
    wide = write(tmp_path / "wide", *corpus(rng, np.full(4, 0.1)))
    with pytest.raises(sl.SaelabError, match="at least 20"):
        a.diff(few)
    with pytest.raises(sl.SaelabError, match="one SAE"):
        a.diff(wide)

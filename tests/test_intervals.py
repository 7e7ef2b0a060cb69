"""Intervals by hand; that they cover what they say is simulated in tests/evaluation/test_coverage.py."""

import math

import numpy as np
import pytest
from scipy import stats

from saelab.intervals import FEW, LEAST, of_share, of_shares, of_sums, of_trials


def mean(s):
    return {"mean": s["x"] / s["n"]}


def test_the_interval_of_a_mean_is_the_one_of_the_textbook():
    x = np.random.default_rng(0).normal(3, 2, 40)
    low, high = of_sums({"x": x, "n": np.ones(40)}, mean)["mean"]
    half = stats.t.ppf(0.975, 39) * x.std(ddof=1) / math.sqrt(40)
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half))


def test_documents_count_not_tokens():
    """Twenty documents of a thousand equal tokens are twenty observations."""
    x = np.random.default_rng(1).normal(0, 1, 20)
    few = of_sums({"x": x, "n": np.ones(20)}, mean)["mean"]
    many = of_sums({"x": 1000 * x, "n": np.full(20, 1000.0)}, mean)["mean"]
    assert many == pytest.approx(few)


def test_equal_documents_leave_no_doubt():
    low, high = of_sums({"x": np.full(25, 2.0), "n": np.ones(25)}, mean)["mean"]
    assert low == pytest.approx(2)
    assert high == pytest.approx(2)


def test_few_documents_and_numbers_that_one_document_defines_have_none():
    assert of_sums({"x": np.arange(19.0), "n": np.ones(19)}, mean) == {}
    one = np.eye(30)[0]
    assert of_sums({"x": one, "n": one}, mean) == {}  # without the first it is 0 / 0


def test_a_share_of_independent_tokens_is_clopper_and_pearson():
    """One token a document: a binomial share, but for t in place of the normal quantile and n - 1 for n."""
    hits = np.repeat([1, 0], [30, 170])
    low, high = of_share(hits, np.ones(200, int))
    exact = stats.binomtest(30, 200).proportion_ci(0.95)
    assert low == pytest.approx(exact.low, abs=2e-3)
    assert high == pytest.approx(exact.high, abs=2e-3)


def test_a_share_whose_tokens_cluster_is_as_wide_as_its_documents_say():
    """A document fires everywhere or nowhere: a thousand tokens each say no more than one."""
    hits = np.repeat([1, 0], [12, 48])
    one, many = of_share(hits, np.ones(60, int)), of_share(1000 * hits, np.full(60, 1000))
    assert many == pytest.approx(one, rel=1e-6)


def test_shares_at_once_are_the_shares_one_by_one():
    g = np.random.default_rng(2)
    n = g.integers(1, 50, 80)
    y = g.binomial(n, g.beta(0.1, 2, (6, 80)))
    low, high = of_shares(
        y.sum(1), n.sum(), (y * y).sum(1), (y * n).sum(1), (n * n).sum(), 80, (y > 0).sum(1), (y < n).sum(1)
    )
    for i in range(6):
        assert of_share(y[i], n) == pytest.approx((low[i], high[i]))


def test_a_share_needs_documents_on_either_side():
    n = np.ones(100, int)
    for hits in (0, FEW - 1, 100 - FEW + 1, 100):
        assert of_share(np.repeat([1, 0], [hits, 100 - hits]), n) is None
    assert of_share(np.repeat([1, 0], [FEW, 100 - FEW]), n) is not None
    assert of_share(np.repeat([1, 0], [9, LEAST - 10]), n[: LEAST - 1]) is None


def test_wilson_by_hand():
    """10 of 50 by the formula: centre (0.2 + z²/100) / (1 + z²/50), half width as in Wilson (1927)."""
    assert of_trials(10, 50) == pytest.approx((0.112436, 0.330372), abs=5e-6)
    assert of_trials(0, 50) == pytest.approx((0, 3.8414588 / (50 + 3.8414588)))  # z² / (n + z²)
    assert of_trials(50, 50)[1] == 1
    assert of_trials(3, 19) is None

import math

import numpy as np
import pytest

from saelab.evaluation.intervals import bootstrap


def mean(s):
    return {"mean": s["x"] / s["n"]}


def test_the_interval_of_a_mean_is_the_one_of_the_textbook():
    g = np.random.default_rng(0)
    x = g.normal(3, 2, 2000)
    low, high = bootstrap({"x": x, "n": np.ones(2000)}, mean)["mean"]
    half = 1.96 * x.std() / math.sqrt(2000)
    assert low == pytest.approx(x.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(x.mean() + half, abs=0.1 * half)


def test_documents_are_drawn_not_tokens():
    """Ten documents of a thousand equal tokens are ten observations."""
    x = np.random.default_rng(1).normal(0, 1, 10)
    few = bootstrap({"x": x, "n": np.ones(10)}, mean)["mean"]
    many = bootstrap({"x": 1000 * x, "n": np.full(10, 1000.0)}, mean)["mean"]
    assert many == pytest.approx(few)


def test_the_same_sets_as_drawn_by_hand():
    s = {"x": np.array([1.0, 5.0, 2.0]), "n": np.array([1.0, 2.0, 4.0])}
    got = bootstrap(s, mean, resamples=64, seed=3)["mean"]
    times = np.random.default_rng(3).multinomial(3, [1 / 3] * 3, size=64)
    assert (times.sum(1) == 3).all()
    values = [sum(w * s["x"]) / sum(w * s["n"]) for w in times]
    assert got == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_equal_documents_leave_no_doubt():
    low, high = bootstrap({"x": np.full(9, 2.0), "n": np.ones(9)}, mean)["mean"]
    assert low == high == 2


def test_one_document_and_numbers_that_are_often_undefined_have_none():
    assert bootstrap({"x": np.ones(1), "n": np.ones(1)}, mean) == {}
    rare = {"x": np.array([1.0, 0, 0, 0]), "n": np.array([1.0, 0, 0, 0])}
    assert bootstrap(rare, mean) == {}


def test_seeds_and_the_global_generator():
    s = {"x": np.arange(20.0), "n": np.ones(20)}
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert bootstrap(s, mean, seed=1) == bootstrap(s, mean, seed=1) != bootstrap(s, mean, seed=2)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002

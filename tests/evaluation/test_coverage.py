"""Intervals stand where they hold, and cover what they say."""

import pytest
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab.evaluation.metrics import METRICS, ratios
from saelab.intervals import LEAST

WITH = [m for m in METRICS if m.name in ratios(dict.fromkeys(
    ("err2", "var2", "err2_all", "var2_all", "x2", "n", "predictions", "cos", "norm_r", "norm_x", "l0", "ce_clean",
     *(f"{kind}_{run}" for kind in ("ce", "kl") for run in ("sae", "zero", "mean"))), 1.0))]  # fmt: skip


@pytest.mark.parametrize("documents", [1, 2, 5, 19, 20, 100, 300])
def test_D29_every_metric_has_an_interval_or_a_note(tiny, documents):
    texts = [" ".join(s.split()[i:] + s.split()[:i]) for i in range(60) for s in SENTENCES]
    report = sl.evaluate(tiny, random_sae(), texts[:documents], progress=False, tokens=None)
    said, frame = " ".join(report.notes), report.to_frame()
    for metric in WITH:
        name, stands = metric.name, metric.name in report.intervals
        assert stands == (documents >= metric.least), name
        assert (frame.loc[name, "low"] is not None) == stands
        if stands:
            assert frame.loc[name, "low"] <= report.values[name] <= frame.loc[name, "high"]
        else:
            assert f"and these are {documents}" in said
            assert documents < LEAST or name in said
    for note in report.notes:
        assert note in report._repr_html_()
    assert set(report.intervals) <= {m.name for m in WITH}, "no interval of a number that is no ratio of sums"

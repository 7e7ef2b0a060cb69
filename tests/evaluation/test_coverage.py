"""Intervals stand where they hold, and cover what they say: documents are drawn from a population of which the sums
of each are known (tests/fixtures/make_coverage.py), and the population's number should lie in 95 of 100 intervals."""

from pathlib import Path

import numpy as np
import pytest
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab.evaluation.metrics import METRICS, ratios
from saelab.intervals import of_share, of_sums

SUMS = [
    *[
        "n",
        "predictions",
        "err2",
        "var2",
        "err2_all",
        "var2_all",
        "x2",
        "cos",
        "norm_r",
        "norm_x",
        "l0",
        "ce_clean",
    ],
    *(f"{kind}_{run}" for kind in ("ce", "kl") for run in ("sae", "zero", "mean")),
]
WITH = [m for m in METRICS if m.name in ratios(dict.fromkeys(SUMS, 1.0))]


@pytest.mark.parametrize("documents", [1, 2, 5, 19, 20, 49, 50, 100, 300, 1000])
def test_D29_every_metric_has_an_interval_or_a_note(tiny, documents):
    words, rng = " ".join(SENTENCES).split(), np.random.default_rng(0)
    texts = [" ".join(rng.permutation(words)[: 6 + i % 8]) for i in range(1000)]  # copies would count once
    report = sl.evaluate(tiny, random_sae(), texts[:documents], progress=False, tokens=None)
    said, frame = " ".join(report.notes), report.to_frame()
    for metric in WITH:
        name, stands = metric.name, metric.name in report.intervals
        assert stands == (documents >= metric.least), name
        assert (frame.loc[name, "low"] is not None) == stands
        if stands:
            assert frame.loc[name, "low"] <= report.values[name] <= frame.loc[name, "high"]
        else:
            assert metric.least == np.inf or f"and these are {documents}" in said
            assert documents < 50 or name in said
    for note in report.notes:
        assert note in report._repr_html_()
    assert set(report.intervals) <= {m.name for m in WITH}, "no interval of a number that is no ratio of sums"


FOLDER = Path(__file__).parents[1] / "fixtures" / "coverage"
LOW, HIGH = 0.90, 0.98
DRAWS = 400


@pytest.fixture(scope="module", params=sorted(file.stem for file in FOLDER.glob("*.npz")))
def population(request):
    with np.load(FOLDER / f"{request.param}.npz") as file:
        return {name: file[name].astype(np.float64) for name in file.files}


def drawn(population, pick):
    """The sums of some documents; the mean of their activations is their own."""
    sums = dict.fromkeys(SUMS, np.zeros(len(pick)))  # smollm2-sae has no losses, smollm2-losses nothing else
    sums |= {name.removeprefix("sum_"): v[pick] for name, v in population.items() if name.startswith("sum_")}
    for which in ("", "_all") if "mean" in population else ():
        n = population["n_all"][pick] if which else sums["n"]
        c = population[f"mean{which}"][pick]  # sums of x - the population's mean
        shift = c.sum(0) / n.sum()
        sums[f"var2{which}"] = sums[f"var2{which}"] - 2 * c @ shift + n * (shift @ shift)
    return sums


@pytest.mark.parametrize("documents", [50, 100, 300, 450, 1000, 2000])
def test_D29_every_interval_of_a_report_covers(population, documents):
    everything, g = len(population["sum_n"]), np.random.default_rng(0)
    total = {name: values.sum() for name, values in drawn(population, np.arange(everything)).items()}
    truth, hits = ratios(total), {}
    for _ in range(DRAWS):
        found = of_sums(drawn(population, g.integers(0, everything, documents)), ratios)
        for metric in WITH:
            if documents >= metric.least and not np.isnan(truth[metric.name]):
                low, high = found[metric.name]
                if low < high:  # TopK without a floor: L0 is k, in every document
                    hits.setdefault(metric.name, []).append(low <= truth[metric.name] <= high)
    covered = {name: np.mean(values) for name, values in hits.items()}
    noise = 2 * np.sqrt(0.05 * 0.95 / DRAWS)
    assert covered
    assert {k: v for k, v in covered.items() if not LOW - noise <= v <= HIGH + noise} == {}
    assert LOW <= np.mean(list(covered.values())) <= HIGH


def shares(population):
    n = population["sum_n"]
    if not {"fires", "fires_whole"} & population.keys():
        return
    if "fires" in population:
        yield "density", [(y, n) for y in population["fires"]]
    else:
        yield "density of whole documents", [(y, population["n_whole"]) for y in population["fires_whole"]]
    if "hits" in population:
        hits, says, is_ = population["hits"], population["says"], population["is"]
        yield "precision", list(zip(hits, says, strict=True))
        yield "recall", list(zip(hits, is_, strict=True))
        yield "f1", list(zip(hits, says + is_ - hits, strict=True))


@pytest.mark.parametrize("documents", [20, 50, 100, 450])
def test_D30_intervals_of_shares_cover(population, documents):
    """Over latents, where an interval stands at all."""
    g = np.random.default_rng(1)
    for name, pairs in shares(population):
        hits = []
        for _ in range(8):
            pick = g.integers(0, len(pairs[0][0]), documents)
            for y, n in pairs:
                found = of_share(y[pick], n[pick])
                if found is not None:
                    hits.append(found[0] <= y.sum() / n.sum() <= found[1])
        if len(hits) >= 100:
            noise = 2 * np.sqrt(0.05 * 0.95 / len(hits))
            assert LOW - noise <= np.mean(hits) <= HIGH + noise, (name, documents, len(hits))

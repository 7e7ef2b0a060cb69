import math

import pytest
from helpers import SENTENCES, random_sae, shared_tiny

import saelab as sl
from saelab.errors import SaelabError

BOTH_WAYS = [*SENTENCES, *(" ".join(s.split()[::-1]) for s in SENTENCES)]
TEXTS = [f"{s} {i}" for i in range(6) for s in BOTH_WAYS]  # documents enough for intervals


@pytest.fixture(scope="module")
def reports():
    from helpers import shared_tiny

    saes = {
        "few": random_sae(k=2),
        "many": random_sae(k=8),
        "relu": random_sae("relu", k=None),
        "elsewhere": random_sae(hook_in="blocks.1.hook_mlp_out"),
    }
    return sl.evaluate_many(shared_tiny(), saes, TEXTS, progress=False)


def test_together_they_get_the_numbers_they_get_alone(reports, tiny):
    assert list(reports) == ["few", "many", "relu", "elsewhere"]
    for name, r in reports.items():
        alone = sl.evaluate(tiny, reports.saes[name], TEXTS, progress=False).to_dict()
        for key, value in r.to_dict().items():
            if isinstance(value, float):
                assert value == pytest.approx(alone[key], rel=1e-5, abs=1e-7), (name, key)
            elif key != "intervals":
                assert value == alone[key], (name, key)
    assert reports["elsewhere"].ce_zero != reports["few"].ce_zero
    assert reports[1] is reports["many"]
    assert list(reports[["relu", "few"]]) == ["relu", "few"]


def test_one_table(reports):
    frame = reports.to_frame()
    assert list(frame.index) == list(reports)
    assert frame.loc["few", "k"] == 2
    assert frame.loc["relu", "arch"] == "relu"
    assert frame["k"].isna().tolist() == [False, False, True, False]
    low, value, high = (frame.loc["many", f"cosine{x}"] for x in ("_low", "", "_high"))
    assert low < value < high
    shown = reports._repr_html_()
    assert shown.count("<tr>") == 5
    assert "4 SAEs" in shown


def test_one_frontier_plot(reports):
    figure = reports.frontier(["cosine", "explained_variance"])
    frame = reports.to_frame()
    topk = figure.data[0]
    assert topk.name == "topk"
    assert list(topk.x) == sorted(topk.x)
    assert list(topk.x) == pytest.approx(sorted(frame[frame.arch == "topk"].l0))
    at = list(topk.text).index("many")
    assert topk.y[at] == pytest.approx(reports["many"].cosine)
    high = reports["many"].intervals["cosine"][1]
    assert topk.y[at] + topk.error_y.array[at] == pytest.approx(high)
    assert len(figure.data) == 2 * 2, "two panels, two architectures"
    assert figure.layout.xaxis.title.text.startswith("active latents")
    assert len(reports.frontier("kl_sae", color="name").data) == 4
    figure.to_json()


def test_sizes_of_one_architecture_are_not_joined(tiny):
    saes = [random_sae(k=2), random_sae(k=4, d_sae=32), random_sae(k=8)]
    reports = sl.evaluate_many(tiny, saes, SENTENCES, progress=False)
    traces = reports.frontier("explained_variance").data
    assert [(t.name, len(t.x)) for t in traces] == [("topk ×64", 2), ("topk ×32", 1)]
    assert traces[0].error_y.array is None


def test_a_point_that_is_undefined_is_left_out(tiny):
    sae = random_sae(bos=False)
    from saelab import models

    rows = models.rows_from([(i, 0, [20 + i]) for i in range(5)], bos=False)
    figure = sl.evaluate_many(tiny, [sae], rows, progress=False).frontier("loss_recovered_zero")
    assert math.isnan(figure.data[0].y[0])


def test_unnamed_ones_are_named_by_what_they_are(tiny):
    reports = sl.evaluate_many(
        tiny, [random_sae(), random_sae(seed=1), random_sae(k=2)], SENTENCES, progress=False
    )
    assert list(reports) == ["topk k=4 ×64", "topk k=4 ×64 #2", "topk k=2 ×64"]


def test_mistakes_are_said_before_work(tiny, reports):
    with pytest.raises(SaelabError, match="saes must be a list of SAEs or a dict, got an SAE"):
        sl.evaluate_many(tiny, random_sae(), SENTENCES)
    with pytest.raises(SaelabError, match="saes is empty"):
        sl.evaluate_many(tiny, [], SENTENCES)
    with pytest.raises(SaelabError, match="saes must be an SAE"):
        sl.evaluate_many(tiny, ["zoo"], SENTENCES)
    with pytest.raises(SaelabError, match="begin with BOS"):
        sl.evaluate_many(tiny, [random_sae(), random_sae(bos=False)], SENTENCES)
    with pytest.raises(SaelabError, match="Did you mean 'explained_variance'"):
        reports.frontier("explained_varianc")
    with pytest.raises(SaelabError, match="unknown color 'arhc'"):
        reports.frontier(color="arhc")
    with pytest.raises(SaelabError, match="Did you mean 'many'"):
        reports["manny"]


def test_reports_print_as_text():
    model, sae = shared_tiny(), random_sae()
    reports = sl.evaluate_many(model, {"mine": sae}, SENTENCES, progress=False)
    assert len(str(reports["mine"]).splitlines()) < 25
    assert "explained_variance" in str(reports["mine"])
    assert "Report(" not in str(reports["mine"])
    assert str(reports).splitlines()[-1].startswith("mine")

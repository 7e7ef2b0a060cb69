"""Effect and damage over strengths, on a small model, against texts that are written one by one."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.evaluation.batched import Push, next_logp, pushed, write
from saelab.evaluation.calibration import _measured
from saelab.evaluation.success import FIRST_TEN
from saelab.experiments.sweeps import read, reading
from saelab.intervals import of_means

HOW = {"n": 3, "max_new_tokens": 6, "seed": 4, "progress": False}


@pytest.fixture(scope="module")
def sae():
    return random_sae()


@pytest.fixture
def index(tiny, sae):
    return sl.LatentIndex.build(tiny, sae, SENTENCES * 3, progress=False)


@pytest.mark.parametrize("config", [{}, {"normalize": "layer_norm"}, {"normalize": "scale", "scale": 2.0}])
def test_each_row_moves_as_steered_alone(tiny, config):
    sae = random_sae(**config)
    ids = torch.tensor([models.tokenize(tiny, "The red fox ran")])
    latents = [4, 37, 20]
    with torch.no_grad(), pushed(tiny, sae, [Push.of(sae, sl.Edit(5.0, latent=i)) for i in latents]):
        together = next_logp(tiny, ids), next_logp(tiny, ids.repeat(3, 1))
    for row, latent in enumerate(latents):
        with torch.no_grad(), sl.steer(tiny, sae, {latent: 5.0}):
            alone = models.forward(tiny, ids)[0, -1].log_softmax(-1)
        for found in together:
            torch.testing.assert_close(found[row], alone, atol=1e-5, rtol=1e-5)


def test_texts_of_many_pushes_are_those_of_each_alone(tiny, sae):
    prompt = models.tokenize(tiny, "The")
    pushes = [
        Push(s * sae.W_dec[i].detach(), at)
        for i, s, at in [(3, 4.0, None), (9, 8.0, FIRST_TEN), (3, 0.0, None)]
    ]
    together = write(tiny, sae, prompt, pushes, n=3, seed=2, max_new_tokens=14)
    for made, (i, s, at) in zip(together, [(3, 4.0, None), (9, 8.0, FIRST_TEN), (3, 0.0, None)], strict=True):
        alone = sl.generate(tiny, sae, prompt, {i: s}, schedule=at, n=3, seed=2, max_new_tokens=14)
        assert [x.ids for x in made] == [x.ids for x in alone.samples]
        seen = read(tiny, sae, prompt, made, [i] * 3)
        for k, line in enumerate(reading(tiny, sae, alone, i)):
            assert np.exp(seen["nats"][k]) == pytest.approx(line["perplexity"], rel=1e-4)
            assert seen["activation"][k] == pytest.approx(line["activation"], abs=1e-5)


def test_range_and_best_keep_to_the_guard(tiny, sae, index):
    found = sl.calibrate(
        tiny, sae, [4, 37], ["The", "A dog"], relative=index, strengths=(1, 20, 300), guard=2.0, **HOW
    )
    for latent, part in found.frame.groupby("latent"):
        assert part["strength"].tolist() == [0, 1, 20, 300]
        assert part["ratio"].iloc[0] == pytest.approx(1)
        assert (part["inside"] == (part["ratio"] <= 2)).all()
        limit = found.range[latent][1]
        assert part.loc[part["strength"] <= limit, "inside"].all()
        over = part[part["strength"] > limit]
        assert not len(over) or not over["inside"].iloc[0]
        held = part[part["strength"] <= limit]
        assert held.loc[held["strength"] == found.best[latent], "effect"].iloc[0] == held["effect"].max()
    assert len(found.plot().data) == 4


def test_D62_equal_prompts_are_one_and_from_20_prompts_on_they_are_what_is_counted(tiny, sae):
    import pandas as pd

    how = {"relative": {4: 2.0}, "strengths": (1,), "max_new_tokens": 5, "progress": False}
    prompts = [f"{x}{y}" for x in "abcd" for y in "fghij"]
    once, often = (sl.calibrate(tiny, sae, [4], p, n=2, **how).frame for p in (prompts, prompts * 3))
    pd.testing.assert_frame_equal(often, once)
    assert sl.calibrate(tiny, sae, [4], prompts[:5], n=4, temperature=0, **how).frame["ratio_lo"].isna().all()
    part = pd.DataFrame({
        "prompt": np.repeat(np.arange(20), 3), "nats": np.repeat(np.arange(20.0), 3), "effect": 0.0, "repetition": 0.0,
        "broken": 0.0, "text": "",
    })  # fmt: skip
    found = _measured(part, pd.Series(np.zeros(60)), 10.0)
    low, high = of_means(np.arange(20.0)[:, None])
    assert (found["ratio_lo"], found["ratio_hi"]) == pytest.approx((np.exp(low[0]), np.exp(high[0])))


def test_D79_equal_texts_at_a_tiny_temperature_are_no_sample(tiny, sae):
    how = {"strengths": [4.0], "n": 30, "max_new_tokens": 4, "progress": False}
    cold = sl.calibrate(tiny, sae, [3], ["The"], temperature=1e-6, **how).frame
    assert cold[["ratio_lo", "ratio_hi"]].isna().all(axis=None)
    assert cold["ratio"].notna().all()
    assert sl.calibrate(tiny, sae, [3], ["The"], **how).frame["ratio_hi"].notna().all()


def test_the_guard_holds_by_the_whole_interval_where_there_is_one():
    import pandas as pd

    nats = np.repeat([0.0, 2.0], 20)
    part = pd.DataFrame({
        "prompt": 0, "nats": nats, "effect": 0.0, "repetition": 0.0, "broken": 0.0, "text": np.arange(40).astype(str),
    })  # fmt: skip
    plain = pd.Series(np.zeros(40))
    found = _measured(part, plain, 1e9)
    between = (found["ratio"] + found["ratio_hi"]) / 2
    assert not _measured(part, plain, between)["inside"]
    assert _measured(part, plain, found["ratio_hi"])["inside"]
    few: Any = part.iloc[[0, 39]].reset_index(drop=True)
    assert np.isnan(_measured(few, plain[:2], between)["ratio_hi"])
    assert _measured(few, plain[:2], between)["inside"]


def test_the_bar_moves_with_the_tokens_and_ends_full(tiny, sae, monkeypatch):
    from saelab.evaluation import calibration

    bars = []

    class Told(calibration.Bar):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            bars.append((self, []))

        def update(self, n=1):
            bars[-1][1].append(n)
            return super().update(n)

    monkeypatch.setattr(calibration, "Bar", Told)
    how: Any = HOW | {"progress": True}
    sl.calibrate(tiny, sae, [4], ["The"], strengths=[1], **how)
    ((bar, steps),) = bars
    assert bar.n == bar.total == 2 * HOW["n"] * HOW["max_new_tokens"]
    assert len([s for s in steps if s]) > 1


def test_what_was_found_is_kept_beside_the_index_and_steers_as_auto(tiny, sae, index):
    with pytest.raises(SaelabError, match="'auto' needs a calibration of latent 4"):
        sl.generate(tiny, sae, "The", {4: "auto"}, relative=index, max_new_tokens=5)
    written = sl.generate(tiny, sae, "The", n=HOW["n"], max_new_tokens=6, seed=4, temperature=1.0).samples
    plain = {s.text for s in written}
    found = sl.calibrate(
        tiny, sae, [4], ["The"], relative=index, strengths=(1, 2), guard=1e9, schedule=[1, 0.5],
        score=lambda text: text not in plain, **HOW,
    )  # fmt: skip
    assert found.best[4] > 0
    again = sl.LatentIndex.open(index.path, model=tiny, sae=sae)
    frame = again.to_frame()
    assert frame["steer_best"].notna().sum() == 1
    assert frame.loc[4, "steer_limit"] == 2
    best = found.best[4]
    for how in (sl.generate, sl.compare):
        auto = how(tiny, sae, "The", {4: "auto"}, relative=again, max_new_tokens=5)
        number = how(tiny, sae, "The", {4: best}, relative=again, schedule=[1, 0.5], max_new_tokens=5)
        assert str(auto) == str(number)
    with pytest.raises(SaelabError, match="calibration of latent 37"):
        sl.generate(tiny, sae, "The", {37: "auto"}, relative=again, max_new_tokens=5)
    for strength, relative in (("most", again), ("auto", None)):
        with pytest.raises(SaelabError, match="a strength is a number, or 'auto' with an index"):
            sl.generate(tiny, sae, "The", {4: strength}, relative=relative, max_new_tokens=5)


def test_columns_of_another_index_in_the_folder_are_not_read(tiny, sae, tmp_path):
    index = sl.LatentIndex.build(tiny, sae, SENTENCES, path=tmp_path / "i", progress=False)
    index.kept.put(np.array([1, 2]), {"mine": np.array([0.5, 1.5])}, {"by": "a test"})
    index.kept.put(np.array([3]), {"mine": np.array([2.5])}, {"by": "a test"})
    assert sl.LatentIndex.open(tmp_path / "i").to_frame()["mine"][1:4].tolist() == [0.5, 1.5, 2.5]
    index.kept.put(np.array([3]), {"mine": np.array([2.5])}, {"by": "another"})
    assert index.to_frame()["mine"].notna().sum() == 1
    other = sl.LatentIndex.build(
        tiny, sae, SENTENCES[:1], path=tmp_path / "i", overwrite=True, progress=False
    )
    assert "mine" not in other.to_frame()


def test_wrong_arguments_are_refused_before_anything_runs(tiny, sae):
    for latents, options, said in [
        ([], {}, "latents is empty"),
        ([64], {}, "out of range"),
        ([4], {"strengths": [0]}, "no strengths to try"),
        ([4], {"relative": {5: 1.0}}, "no maximum"),
        ([4], {"n": 0}, "n must be"),
        ([4], {"guard": "high"}, "guard"),
    ]:
        with pytest.raises(SaelabError, match=said):
            sl.calibrate(tiny, sae, latents, ["The"], **{"progress": False, "max_new_tokens": 4, **options})


def test_D61_strengths_below_zero_have_a_range_of_their_own():
    import pandas as pd

    def found(lines):
        columns = ["latent", "strength", "effect", "inside"]
        return sl.evaluation.Calibration(pd.DataFrame(lines, columns=columns), 10.0)

    lines = [
        (1, -2, 9.0, False),
        (1, -1, 2.0, True),
        (1, 0, 1.0, True),
        (1, 1, 2.0, True),
        (1, 2, 5.0, False),
        (1, 3, 7.0, True),
    ]
    assert found(lines).range == {1: (-1.0, 1.0)}
    assert found(lines).best == {1: -1.0}
    broken = [(4, -3, 9.0, False), (4, 0, np.nan, False), (4, 3, 9.0, False)]
    assert found(broken).range == {4: (0.0, 0.0)}
    assert found(broken).best == {4: 0.0}


def test_a_caption_says_when_no_strength_had_an_effect():
    frame = pd.DataFrame(
        {
            "latent": [3, 3, 5, 5],
            "strength": [0.0, 1, 0, 1],
            "effect": [0.0, 0, 0, 1],
            "inside": [True, True, True, False],
        }
    )
    said = sl.evaluation.calibration.Calibration(frame, 10)._caption()
    assert "latent 3: none had an effect; latent 5: none inside the guard had an effect" in said


def test_auto_where_no_strength_had_an_effect_is_refused(tiny, sae, index):
    index.kept.put(np.array([9]), {"steer_best": np.array([0.0])}, {"by": "calibrate", "schedule": None})
    with pytest.raises(SaelabError, match=r"calibration of latent 9 found no strength with an effect"):
        sl.generate(tiny, sae, "The", {9: "auto"}, relative=index, max_new_tokens=5)


def test_the_caption_says_why_a_ratio_has_no_interval(tiny, sae):
    found = sl.calibrate(tiny, sae, [4], ["The"], strengths=[1], **{**HOW, "n": 2})
    assert found.frame["ratio_hi"].isna().any()
    assert "no interval of a ratio: fewer than 20 different texts" in repr(found)

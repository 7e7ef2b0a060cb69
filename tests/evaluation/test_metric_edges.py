"""Every metric where numbers end: undefined or right, and the same in every view."""

from __future__ import annotations

import json
import math

import pytest
import torch
from helpers import random_sae, tiny_model

import saelab as sl
from saelab import models
from saelab.evaluation.metrics import BY_NAME
from saelab.formats.publish import card

HOOK = "blocks.0.hook_resid_post"
TEXTS = ["The red fox ran over the hill", "an ant sat on a log", "12 + 34 = 46", "Host: example.com"]
SQUARES = {"explained_variance", "explained_variance_special", "fvu", "mse"}


def constant(x):
    return torch.ones_like(x)


def huge(x):
    return x * 1e22  # finite in float32, as squares they are not


CASES = {  # how: (texts, model's dtype, what is put at the hook point), the metrics that must be undefined
    "constant": ((TEXTS, "float32", constant), {"explained_variance", "explained_variance_special", "fvu"}),
    "huge": ((TEXTS, "float32", huge), SQUARES),
    "one document": ((TEXTS[:1], "float32", None), set()),
    "one token": ((["a"], "float32", None), {m for m in BY_NAME if m.startswith(("ce_", "kl_", "loss_"))}),
    "float16": ((TEXTS, "float16", None), set()),
    "bfloat16": ((TEXTS, "bfloat16", None), set()),
}


def measured(texts, dtype, put, sae=None):
    model = tiny_model(dtype=dtype)
    with models.hooked(model, {} if put is None else {HOOK: put}):
        return sl.evaluate(model, sae or random_sae(), texts, progress=False)


@pytest.mark.parametrize("how", CASES)
def test_every_metric_is_the_same_in_every_view(how, tmp_path):
    given, undefined = CASES[how]
    report = measured(*given)
    frame, data, page = report.to_frame(), json.loads(report.to_json()), report._repr_html_()
    sae = random_sae()
    pushed = card(sae, sae.save(tmp_path / "mine"), "org/mine", "mit", evaluation=report)
    for name, metric in BY_NAME.items():
        value = getattr(report, name)
        assert value is None or math.isfinite(value), name
        assert frame.loc[name, "value"] == value or value is None is frame.loc[name, "value"], name
        assert data[name] == value or value is None is data[name], name
        cell = page.split(f">{name}</td>")[1].split("</td>")[0].split(">")[-1]
        assert (cell == "undefined") is (value is None), name
        if metric.shown:
            assert name in pushed or metric.title in pushed, name
        if name in undefined:
            assert value is None, name
            assert frame.loc[name, "low"] is None, name
    if undefined:
        assert any("undefined" in note for note in report.notes)
    else:
        assert report.explained_variance is not None
        assert report.ce_clean is not None


@pytest.mark.parametrize(("dtype", "near"), [("float16", 2e-2), ("bfloat16", 1e-1)])
def test_half_precision_gives_what_float32_does(dtype, near):
    half, whole = measured(TEXTS, dtype, None), measured(TEXTS, "float32", None)
    for name in (
        "explained_variance",
        "fvu",
        "mse",
        "cosine",
        "norm_ratio",
        "l0",
        "ce_clean",
        "ce_sae",
        "ce_zero",
    ):
        assert getattr(half, name) == pytest.approx(getattr(whole, name), rel=near, abs=near), name


@pytest.mark.parametrize("size", [1.0, 300.0, 3000.0])
def test_sizes_at_which_float16_squares_overflow_change_no_ratio(size):
    want = measured(TEXTS, "float32", None, random_sae(normalize="layer_norm"))
    got = measured(
        TEXTS, "float16", lambda x: (x.float() * size).to(x.dtype), random_sae(normalize="layer_norm")
    )
    assert got.explained_variance == pytest.approx(want.explained_variance, abs=5e-2)
    assert got.l0 == want.l0

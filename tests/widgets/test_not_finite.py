"""NaN and infinity in what is drawn, and as the ends of a scale."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from saelab.errors import SaelabError
from saelab.widgets import ActivationHeatmap, LatentDashboard
from saelab.widgets.page import plain
from saelab.widgets.tokens import TokenText, spans

NAN, INF = float("nan"), float("inf")


def strict(widget):
    """The state as it is sent; NaN would not be JSON."""
    return json.loads(json.dumps(plain(widget.state()), allow_nan=False))


@pytest.mark.parametrize(
    ("values", "most"),
    [
        ([1, NAN, INF, -INF], 1),
        ([NAN] * 4, 0),
        ([INF] * 4, 0),
        ([1, 2, 3, NAN], 3),
        ([-1, -2, NAN, -INF], 0),
        ([0] * 4, 0),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_D19_the_scale_ends_at_what_is_finite_and_every_number_is_shown_as_it_is(values, most, dtype):
    w = ActivationHeatmap([list("abcd")], [np.array(values, dtype)])
    assert w.maxima == [most]
    np.testing.assert_array_equal(w.to_frame()["activation"], np.array(values, np.float32))
    np.testing.assert_array_equal(np.frombuffer(w.values, "<f4"), np.array(values, np.float32))
    strict(w)
    assert f"0 to {most:.4g}" in w.fallback()


def test_D19_the_picture_without_scripts_tells_nan_from_zero_and_one_from_two():
    text = TokenText.of_strings(list("abcde")).to_dict()
    shown = spans(text, [0, NAN, INF, 1, 2], 2).split("<span")[1:]
    assert "style" not in shown[0]
    assert 'title="nan"' in shown[1]
    assert 'title="inf"' in shown[2]
    one, two = (float(part.split(",")[3].split(")")[0]) for part in shown[3:])
    assert 0 < one < two


@pytest.mark.parametrize("bad", [NAN, INF, -INF, "2", True, np.float32(NAN), torch.tensor(NAN)])
@pytest.mark.parametrize("name", ["vmin", "vmax"])
def test_D19_an_end_of_the_scale_that_is_no_number_is_refused(name, bad):
    w = ActivationHeatmap([list("ab")], [[1, 2]])
    with pytest.raises(SaelabError, match=f"{name} must be a finite number"):
        setattr(w, name, bad)
    assert getattr(w, name) is None
    with pytest.raises(SaelabError, match="finite number"):
        ActivationHeatmap([list("ab")], [[1, 2]], **{name: bad})


@pytest.mark.parametrize("good", [2, 2.0, np.float32(2), np.int64(2), torch.tensor(2.0)])
def test_D19_any_finite_number_is_an_end_of_the_scale(good):
    w = ActivationHeatmap([list("ab")], [[1, 2]], vmax=good)
    assert w.vmax == 2.0
    assert strict(w)["vmax"] == 2.0
    w.vmax = None


def test_D19_a_brush_that_is_no_number_is_refused(index, latent):
    w = LatentDashboard(index, latent)
    for bad in ([NAN, 1.0], [0.0, INF]):
        with pytest.raises(SaelabError, match="finite number"):
            w.brush = bad
    assert w.brush is None
    w.brush = [0.5, np.float32(1)]
    strict(w)

from __future__ import annotations

import numpy as np
import pytest

from saelab.errors import SaelabError
from saelab.experiments import effects
from saelab.widgets import EffectMap, effect_map

TEXT = "The red fox ran over"


@pytest.fixture(scope="module")
def found(tiny, sae):
    some = [effects(tiny, sae, TEXT, i, direct=True) for i in range(0, 64, 3)]
    return max(some, key=lambda e: e["kl"].max())


@pytest.fixture
def shown(found):
    made = EffectMap(found)
    yield made
    made.close()


def floats(data, width=None):
    array = np.frombuffer(data, dtype="<f4")
    return array if width is None else array.reshape(-1, width)


def test_it_shows_the_numbers_of_effects(shown, found):
    frame = found.frame
    for name in ("activation", "loss", "loss_diff", "kl", "direct_kl"):
        np.testing.assert_array_equal(floats(shown.numbers[name]), frame[name].astype("float32"))
    for way in ("up", "down", "direct_up", "direct_down"):
        width = max(map(len, frame[way]))
        values = floats(shown.weights[way], width)
        for i, row in enumerate(frame[way]):
            assert shown.votes[way][i] == [token for token, _ in row]
            np.testing.assert_allclose(values[i, : len(row)], [v for _, v in row], rtol=1e-6)
            assert np.isnan(values[i, len(row) :]).all()
    assert shown.edited == list(np.flatnonzero(frame["edited"]))
    assert shown.following[-1] is None
    assert shown.following[0] == frame["next"][0]
    assert shown.to_frame() is frame
    assert shown.selected_token == frame["loss_diff"].abs().argmax()


def test_effects_end_a_cell_with_it(found, parsed):
    data, _ = effect_map(found)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    page = parsed(data["text/html"])
    assert set(page.tags) <= {"div", "span", "b", "bdi"}
    best = found["loss_diff"].abs().max()
    assert f"{best:.3g}" in data["text/html"]
    assert "+" in data["text/html"] or "-" in data["text/html"]


def test_another_latent_is_asked_for(tiny, sae):
    made = effect_map(tiny, sae, TEXT, 3, top=2, measure="kl")
    made.methods()["ablate"](9)
    want = effects(tiny, sae, TEXT, 9, top=2)
    assert (made.latent, made.can_ask, made.d_sae, made.has_direct) == (9, True, 64, False)
    np.testing.assert_array_equal(floats(made.numbers["kl"]), want["kl"].astype("float32"))
    assert made.to_frame().equals(want.frame)
    sent = []
    made.send = lambda content, buffers=None: sent.append(content)
    made._receive(made, {"request": "1", "method": "ablate", "params": {"latent": 64}}, [])
    assert "out of range" in made.error["message"]
    assert made.latent == 9
    made.close()


def test_what_was_computed_before_can_ask_for_nothing(shown):
    assert not shown.can_ask
    with pytest.raises(SaelabError, match=r"saelab\.effect_map"):
        shown.ablate(3)
    with pytest.raises(SaelabError, match="0…5"):
        shown.selected_token = 99
    with pytest.raises(SaelabError, match="Did you mean 'measure'"):
        EffectMap(shown._effects, mesure="kl")


def test_c44_a_text_of_one_token_has_no_losses_and_still_draws(tiny, parsed):
    from helpers import random_sae

    sae = random_sae(bos=False)
    found = effects(tiny, sae, "T", 3, direct=True)
    assert found["loss"].isna().all()
    assert found["loss_diff"].isna().all()
    made = EffectMap(found)
    assert (made.following, len(floats(made.numbers["loss"]))) == ([None], 1)
    assert "Latent 3 ablated" in made.fallback()
    made.close()

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers import random_sae
from parsing import HOSTILE

from saelab import models
from saelab.errors import SaelabError
from saelab.widgets import ActivationHeatmap, heatmap

TEXTS = ["def add(a, b):\n    return a + b\n", "日本語のテキスト、🙂 é"]


def floats(data: bytes, latents: int) -> np.ndarray:
    return np.frombuffer(data, dtype="<f4").reshape(latents, -1)


def test_numbers_arrive_where_they_belong():  # C57
    w = ActivationHeatmap([list("abcdef")], [[0, 3, 0, 0, 1, 0]], latents=[9])
    assert floats(w.values, 1).tolist() == [[0, 3, 0, 0, 1, 0]]
    assert w.maxima == [3]
    frame = w.to_frame()
    assert frame[frame.activation > 0].position.tolist() == [1, 4]
    with pytest.raises(SaelabError, match="6 tokens.*shape"):
        ActivationHeatmap([list("abcdef")], [[0, 3, 0, 0, 1]])


def test_it_shows_what_the_sae_computes(tiny, sae):
    w = heatmap(tiny, sae, TEXTS, [3, 5])
    got = floats(w.values, 2)
    start = 0
    for text in TEXTS:
        ids = models.tokenize(tiny, text)
        hook = sae.config.hook_in
        x = models.run_to_hooks(tiny, torch.tensor([ids]), [hook])[hook][0]
        z = sae.encode(x).detach().numpy()[:, [3, 5]]
        z[0] = 0  # BOS is not counted, so not coloured
        np.testing.assert_allclose(got[:, start : start + len(ids)], z.T, atol=1e-6)
        start += len(ids)


def test_latents_are_checked_before_the_model_runs(tiny, sae, monkeypatch):  # C59
    monkeypatch.setattr(models, "run_to_hooks", lambda *a, **k: pytest.fail("the model ran"))
    for wrong in (-1, 64, 1.0, "3"):
        with pytest.raises(SaelabError, match="0…63"):
            heatmap(tiny, sae, "a", [wrong])
    with pytest.raises(SaelabError, match="empty"):
        heatmap(tiny, sae, ["a", ""], [1])
    with pytest.raises(SaelabError, match="no text"):
        heatmap(tiny, sae, [], [1])


def test_L17_a_text_longer_than_the_context_is_shown_in_parts(tiny, sae):
    text = " ".join(map(str, range(40)))
    rows = models.tokenize_texts(tiny, [text])
    w = heatmap(tiny, sae, ["a", text], [3])
    assert len(rows) > 1
    assert [s["ids"] for s in w.sequences[1:]] == [row.tolist() for row in rows]
    assert [s.get("name", "") for s in w.sequences][:2] == ["", f"text 2, tokens 0 to {len(rows[0]) - 2}"]
    lone = heatmap(tiny, sae, rows[1].tolist(), [3])
    np.testing.assert_allclose(w._values[2], lone._values[0], atol=1e-6)


def test_one_text_two_texts_one_token(tiny, sae):  # C29
    alone = [heatmap(tiny, sae, t, [3, 5]) for t in ("a", *TEXTS)]
    together = heatmap(tiny, sae, ["a", *TEXTS], [3, 5])
    frame = together.to_frame()
    for i, w in enumerate(alone):
        part = frame[frame.sequence == i]
        assert part.position.tolist() == w.to_frame().position.tolist()
        np.testing.assert_allclose(part.activation, w.to_frame().activation, atol=1e-6)
        assert (w.to_frame().query("position == 0").activation == 0).all()  # BOS, and nothing but BOS
    assert len(alone[0].to_frame()) == 2 * len(models.tokenize(tiny, "a"))


def test_integer_likes_are_fine_and_duplicates_are_one(tiny, sae):  # C59
    w = heatmap(tiny, sae, "a b", [np.int64(1), torch.tensor(1), 2])
    assert w.latents == [1, 2]
    w.latent = 9  # it can be computed, so it is
    assert w.latents == [1, 2, 9]
    with pytest.raises(SaelabError, match="0…63"):
        w.latent = 64
    with pytest.raises(SaelabError, match="latent 9 was not computed.*available: 1, 2"):
        ActivationHeatmap([["a"]], [[[1.0, 2.0]]], latents=[1, 2]).latent = 9


def test_without_latents_the_strongest_are_shown(tiny, sae):
    w = heatmap(tiny, sae, TEXTS)
    assert len(w.latents) == 5
    assert w.maxima == sorted(w.maxima, reverse=True)
    everything = heatmap(tiny, sae, TEXTS, range(64))
    assert max(everything.maxima) == pytest.approx(w.maxima[0])


def test_percentiles_are_shares_of_all_firings(tiny, sae, index, latent):
    w = heatmap(tiny, sae, TEXTS[0], [latent], index=index)
    values, shares = floats(w.values, 1)[0], floats(w.percentiles, 1)[0]
    known = np.asarray(index.postings(latent).value)
    for value, share in zip(values, shares, strict=True):
        if value > 0:
            assert share == pytest.approx((known < value).mean(), abs=1e-6)
        else:
            assert np.isnan(share)


def test_pages_bound_what_is_sent():  # C63
    n, latents = 200, 50
    texts = [[f"t{i}"] * 1024 for i in range(n)]
    values = [np.zeros((1024, latents), dtype=np.float32)] * n
    w = ActivationHeatmap(texts, values)
    state = w.state()
    size = sum(len(v) if isinstance(v, bytes) else len(json.dumps(v)) for v in state.values())
    assert size < 1_000_000
    seen = 0
    for page in range(w.n_pages):
        w.page = page
        assert w.first == seen
        seen += len(w.sequences)
    assert seen == n
    with pytest.raises(SaelabError, match="out of range"):
        w.methods()["page"](w.n_pages)


def test_a_span_names_latents_that_fire_there_and_not_elsewhere(tiny, sae):
    w = heatmap(tiny, sae, TEXTS[0], [1])
    found = w.methods()["span"](0, 2, 4)
    everything = heatmap(tiny, sae, TEXTS[0], range(64))
    table = floats(everything.values, 64)
    best = found[0]
    inside = (table[best["latent"], 2:4] > 0).sum()
    assert best["inside"] == inside
    assert best["outside"] == (table[best["latent"]] > 0).sum() - inside
    f1 = [2 * r["inside"] / (r["inside"] + r["outside"] + 2) for r in found]
    assert f1 == sorted(f1, reverse=True)
    w.add_latent(best["latent"])
    assert w.latents == [1, best["latent"]]
    assert w.latent == best["latent"]
    np.testing.assert_allclose(floats(w.values, 2)[1], table[best["latent"]])


def test_a_heatmap_of_numbers_knows_no_other_latents():
    w = ActivationHeatmap([["a"]], [[1.0]])
    with pytest.raises(SaelabError, match="numbers alone"):
        w.add_latent(3)


def test_hostile_tokens_come_back_from_the_file(hostile, tmp_path, parsed):  # C03, C04
    text = hostile.export_html(tmp_path / "w.html").read_text(encoding="utf-8")
    page = parsed(text)
    assert page.stored()["widgets"][0]["state"]["sequences"][0]["text"] == [
        t.replace("\ud800", "\\ud800") for t in HOSTILE
    ]
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    body = text[text.index('id="saelab-data">') : text.index("</script>", text.index('id="saelab-data">'))]
    for raw in ("<!--", "\u2028", "\u2029", "\0", "</ScRiPt"):
        assert raw not in body


def test_hostile_tokens_in_the_fallback(hostile, parsed):  # C03
    page = parsed(hostile.fallback())
    assert "img" not in page.tags
    text = "".join(page.text)
    for token in ("<img src=x onerror=alert(1)>", "&amp;", "<bos>", " $x$ ", "<b>name</b>"):
        assert token in text


def test_a_latent_that_never_fires(tiny):  # C55
    w = ActivationHeatmap([["a", "b"]], [[0.0, 0.0]])
    assert w.maxima == [0.0]
    assert "0 to 0" in w.fallback()
    assert w.to_frame().activation.tolist() == [0, 0]


def test_nothing_random_is_used(tiny, sae):
    before = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    heatmap(tiny, sae, "a b c")
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002


def test_the_first_heatmap_is_quick(tiny, sae):  # C82
    import time

    heatmap(tiny, sae, "warm up", [1])
    start = time.process_time()
    heatmap(tiny, sae, "a b c d e f g h i", [1])._repr_mimebundle_()
    assert time.process_time() - start < 0.3


def test_L18_a_latent_is_taken_away_and_a_silent_one_is_said(tiny, sae, index, latent):
    silent = int(index.counts.argmin())
    w = heatmap(tiny, sae, "The fox ran", [latent, silent], index=index, together=True)
    assert w.tokens == [
        index.to_frame()["top_token"][i] if index.counts[i] else None for i in (latent, silent)
    ]
    w.latent = silent
    if not max(w._values[0][:, 1]):
        assert "fires on no token" in w.fallback()
    w.methods()["remove"](silent)
    assert (w.latents, w.latent, len(w.maxima)) == ([latent], latent, 1)
    with pytest.raises(SaelabError, match="the only one"):
        w.remove_latent(latent)
    with pytest.raises(SaelabError, match="is not shown"):
        w.remove_latent(silent)
    rows = w._span(0, 1, 3)
    assert all(
        r["token"] == (index.to_frame()["top_token"][r["latent"]]) for r in rows if index.counts[r["latent"]]
    )


def test_a_misspelt_keyword_is_answered_with_those_of_the_function(tiny):
    with pytest.raises(SaelabError, match=r"'latnets'\. Did you mean 'latents'"):
        heatmap(tiny, random_sae(), "a", latnets=[1])  # type: ignore[call-arg]
    with pytest.raises(SaelabError, match=r"for several say latents=\[7\]"):
        heatmap(tiny, random_sae(), "a", latent=[7])  # type: ignore[arg-type]

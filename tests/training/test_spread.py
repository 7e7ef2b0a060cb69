"""Scale, median norm and start are of all the text, and what is left out is on record."""

from __future__ import annotations

import pytest
import torch
from toy import SMALL, ToyModel, texts

import saelab as sl
from saelab import models


def loud():
    """A model whose activations of capital letters are ten times as large, and texts sorted by that."""
    model = ToyModel()
    with torch.no_grad():
        for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            model.now[byte % 63 + 1] *= 10
            model.last[byte % 63 + 1] *= 10
    quiet = [t.translate({c: 48 + c % 10 for c in range(97, 123)}) for t in texts(200)]
    return model, [*quiet, *["QUITE LOUD WORDS HERE"] * 100]


def mean_norm(model, all_texts):
    norms = []
    for batch in models.tokenize_texts(model, all_texts).batches():
        found = models.run_to_hooks(model, batch.ids, ["first"], batch.mask)["first"]
        norms.append(found[models.valid_mask(model, batch.ids, batch.mask)].norm(dim=-1))
    return float(torch.cat(norms).mean())


@pytest.mark.parametrize("way", ["list", "tuple", "reversed", "store"])
def test_D22_the_scale_is_of_all_the_text_however_it_is_sorted(way, tmp_path):
    model, all_texts = loud()
    want = 12**0.5 / mean_norm(model, all_texts)
    given = {"list": all_texts, "tuple": tuple(all_texts), "reversed": all_texts[::-1]}.get(way, all_texts)
    how = {**SMALL, "buffer": 200, "normalize": "scale", "outlier": None}
    if way == "store":
        store = sl.ActivationStore.write(
            model, given, "first", tmp_path / "s", shard_rows=500, progress=False
        )
        sae = sl.train(store, **{**how, "hook": None})
    else:
        sae = sl.train(model, given, **how)
    assert sae.config.scale == pytest.approx(want, rel=0.15)


def test_D22_text_that_is_read_once_has_the_first_rows_and_says_so():
    model, all_texts = loud()
    sae = sl.train(model, iter(all_texts), **{**SMALL, "buffer": 200, "normalize": "scale", "tokens": 2000})
    assert any("sizes are of the first rows" in note for note in sae.record["notes"])


@pytest.mark.parametrize("seed", range(6))
def test_D22_a_block_of_outliers_drops_itself_and_nothing_else(seed):
    rows = torch.randn(5 * 1024 + 20, 8, generator=torch.Generator().manual_seed(0))
    rows[-20:] *= 1000
    store = sl.ActivationStore.of({"mine": rows})
    sae = sl.train(store, d_sae=16, k=2, batch=128, buffer=256, seed=seed, progress=False)
    left = sae.record["left_out"]["too large"]
    assert sorted(left) == [[-1, row] for row in range(5 * 1024, 5 * 1024 + 20)]
    assert "20 rows were left out: norm above 20 times the median" in sae.record["notes"]


def test_D22_what_is_not_finite_is_listed_by_document_and_position():
    model, all_texts = ToyModel(), texts(300)
    with torch.no_grad():
        model.now[ord("!") % 63 + 1] = torch.nan
    all_texts[7], all_texts[100] = "ab!", "!"
    sae = sl.train(model, all_texts, **{**SMALL, "tokens": 100_000})
    assert sorted(sae.record["left_out"]["not finite"]) == [[7, 2], [100, 0]]
    assert "2 rows were left out: not finite" in sae.record["notes"]


def test_D22_a_store_lists_what_it_left_out(tmp_path):
    model = ToyModel()
    with torch.no_grad():
        model.now[ord("!") % 63 + 1] = torch.inf
    sl.ActivationStore.write(model, ["abc", "", "a!c"], "first", tmp_path / "s", progress=False)
    import json

    end = json.loads((tmp_path / "s" / "store.json").read_text())["end"]
    assert end["dropped"] == 1
    assert end["dropped_at"] == [[2, 1]]
    assert end["empty"] == 1


def test_D22_empty_texts_are_counted_wherever_texts_go(tiny):
    given = ["The red fox", "", None, "an ant"]
    assert models.tokenize_texts(tiny, given).empty == 2
    assert "documents without text" in models.tokenize_texts(tiny, given)._repr_html_()
    sae = sl.train(
        tiny, given, hook="blocks.0.hook_resid_post", d_sae=32, k=4, tokens=32, batch=2, progress=False
    )
    assert sae.record["left_out"]["empty texts"] == 2
    assert "2 texts are empty or None" in sae.record["notes"]
    assert "2 documents have no text" in sl.evaluate(tiny, sae, given, progress=False).notes

"""Models whose tokenizer lacks BOS, EOS, or everything."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
import torch
from helpers import random_sae, tiny_folder

import saelab as sl
from saelab import models
from saelab.errors import SaelabError

TEXTS = ["The red fox ran over the hill", "12 + 34 = 46; 7 * 8 = 56", "Host: example.com"]


def folder(path, *, keep=True, unk=None, **special):
    """The tiny model with a tokenizer that has only these special tokens; without ``keep`` with none at all."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    shutil.copytree(tiny_folder(), path)
    for file in path.glob("*token*"):
        file.unlink()
    if keep:
        backend = AutoTokenizer.from_pretrained(tiny_folder()).backend_tokenizer
        PreTrainedTokenizerFast(tokenizer_object=backend, unk_token=unk, **special).save_pretrained(path)
    return path


def load(path):
    """The model and what was said while it loaded."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = sl.load_model(path)
    return model, [str(w.message) for w in said if "BOS" in str(w.message)]


def works(model):
    """Every door to text, with an SAE trained as this tokenizer begins texts."""
    sae = random_sae(bos=models.default_bos(model))
    rows = sl.tokenize_texts(model, TEXTS)
    assert rows.ids.max() < models.vocab_size(model)
    assert sl.evaluate(model, sae, rows, progress=False).tokens == int(
        models.valid_mask(model, rows.ids).sum()
    )
    assert sl.LatentIndex.build(model, sae, TEXTS, progress=False).n_counted > 0
    assert sl.heatmap(model, sae, TEXTS[0], [1]).to_frame()["id"].tolist() == rows[0].tolist()
    assert len(sl.effects(model, sae, TEXTS[0], 1)) == len(rows[0])
    assert len(sl.generate(model, sae, TEXTS[0], {1: 2.0}, max_new_tokens=3, stop_at_end=False).ids) == 3
    with sl.steer(model, sae, {1: 2.0}):
        assert model(TEXTS[0]).shape[1] == len(rows[0])
    return rows


@pytest.mark.parametrize("unk", [None, "!"])
def test_D25_with_neither_bos_nor_eos_nothing_is_put_in_front(tmp_path, unk):
    model, said = load(folder(tmp_path / "m", unk=unk))
    assert models.bos_id(model) is None
    assert models.eos_id(model) is None
    assert not said
    assert not models.default_bos(model)
    assert models.special_ids(model) == (
        frozenset() if unk is None else {models.tokenize(model, "!", bos=False)[0]}
    )
    rows = works(model)
    assert not rows.bos
    assert rows[0].tolist() == models.tokenize(model, TEXTS[0], bos=False)
    with pytest.raises(SaelabError, match="no BOS"):
        models.tokenize(model, "a", bos=True)


def test_D25_eos_alone_stands_in_for_bos_and_that_is_said(tmp_path):
    model, said = load(folder(tmp_path / "m", eos_token="<|bos|>"))
    assert len(said) == 1
    assert "has no BOS: its EOS '<|bos|>' stands in for it" in said[0]
    assert models.bos_id(model) == models.eos_id(model) == 0
    rows = works(model)
    assert rows.bos
    assert rows[0][0] == 0


def test_D25_bos_alone_has_no_end(tmp_path):
    model, said = load(folder(tmp_path / "m", bos_token="<|bos|>"))
    assert models.bos_id(model) == 0
    assert models.eos_id(model) is None
    assert not said
    assert models.special_ids(model) == {0}
    works(model)


def test_D25_a_model_without_a_tokenizer_gets_none(tmp_path):
    model, said = load(folder(tmp_path / "m", keep=False))
    assert model.tokenizer is None
    assert not said
    assert models.special_ids(model) == frozenset()
    assert models.bos_id(model) is None
    with pytest.raises(SaelabError, match="no tokenizer"):
        sl.tokenize_texts(model, TEXTS)
    ids = np.arange(0, 60, dtype=np.int32) % 7
    rows = sl.models.TokenRows(ids, np.array([0, 30, 60]), np.array([0, 1]), np.zeros(2, np.int32), False)
    sae = random_sae(bos=False)
    index = sl.LatentIndex.build(model, sae, rows, progress=False)
    assert index.n_counted == 60  # id 0 counts like any other
    assert index.vocab.labels([0, 5, 6]) == ["<id 0>", "<id 5>", "<id 6>"]  # and no two look alike
    assert models.token_labels(model, [0, 5]) == ["<id 0>", "<id 5>"]
    assert sl.evaluate(model, sae, rows, progress=False).tokens == 60
    assert len(sl.generate(model, sae, [5, 6], {1: 2.0}, max_new_tokens=3).ids) == 3


def test_D25_a_tokenizer_as_it_should_be_is_left_alone(tiny):
    assert models.bos_id(tiny) == 0
    assert models.special_ids(tiny) == {0}
    assert not models.tokens.bos_is_eos(tiny)
    said = json.loads((tiny_folder() / "tokenizer_config.json").read_text())
    assert said["bos_token"] == said["eos_token"] == "<|bos|>"  # the same token for both is no stand-in


@pytest.mark.parametrize("bos", [True, False])
def test_D26_text_in_a_steered_block_begins_as_the_sae_was_trained(tiny, bos):
    sae = random_sae(bos=bos)
    before = tiny.cfg.default_prepend_bos
    ids = models.tokenize(tiny, TEXTS[0], bos=bos)
    want = models.forward(tiny, torch.tensor([ids]))
    with sl.steer(tiny, sae, {1: 0.0}):
        torch.testing.assert_close(tiny(TEXTS[0]), want)
    with sl.attach(tiny, sae, error=True) as spliced:
        tiny(TEXTS[0])
    assert spliced.codes.lead == (1, len(ids))
    assert tiny.cfg.default_prepend_bos is before


@pytest.mark.parametrize("bos", [True, False])
def test_D26_rows_are_cut_to_the_context_that_is_asked_for(tiny, bos):
    rows = sl.tokenize_texts(tiny, [" ".join(TEXTS), TEXTS[0]], bos=bos, context=30)
    cut = sl.tokenize_texts(tiny, rows, context=8)
    assert np.diff(cut.offsets).max() == 8
    assert cut.bos is bos
    body = [[*cut[i][int(bos) :]] for i in range(len(cut))]
    assert sum(body, []) == sum(([*rows[i][int(bos) :]] for i in range(len(rows))), [])
    for doc, start, part in zip(cut.doc, cut.start, body, strict=True):
        whole = models.tokenize(tiny, [" ".join(TEXTS), TEXTS[0]][doc], bos=False)
        assert whole[start : start + len(part)] == part
    assert sl.tokenize_texts(tiny, rows, context=30) is rows
    for wrong in (1, 33):
        with pytest.raises(SaelabError, match="context must be between"):
            sl.tokenize_texts(tiny, rows, context=wrong)


def test_D26_rows_longer_than_the_sae_was_trained_on_are_cut(tiny):
    sae, rows = random_sae(context=8), sl.tokenize_texts(tiny, TEXTS)
    found = sl.evaluate(tiny, sae, rows, progress=False)
    want = sl.evaluate(tiny, sae, sl.tokenize_texts(tiny, TEXTS, context=8), progress=False)
    assert found.to_json() == want.to_json()


def at_every_door(model, sae, text):
    """(door, call) for all that reads one text."""
    yield "heatmap", lambda: sl.heatmap(model, sae, text, [1])
    yield "effects", lambda: sl.effects(model, sae, text, 1)
    yield "effect_map", lambda: sl.effect_map(model, sae, text, 1)
    yield "attribute", lambda: sl.attribute(model, sae, text, check=0)
    yield "generate", lambda: sl.generate(model, sae, text, {1: 1.0}, max_new_tokens=2)
    yield "compare", lambda: sl.compare(model, sae, text, {1: 1.0}, max_new_tokens=2)


def test_D26_a_text_longer_than_the_training_context_is_said_at_every_door(tiny):
    short, long = random_sae(context=4), random_sae(context=32)
    for sae, expected in ((short, 1), (long, 0)):
        for door, call in at_every_door(tiny, sae, TEXTS[0]):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                call()
            found = [str(w.message) for w in said if "trained on rows of at most 4" in str(w.message)]
            assert len(found) == expected, door


def test_D26_the_dashboard_says_it_beside_the_prompt(tiny):
    sae = random_sae(context=4)
    index = sl.LatentIndex.build(tiny, sae, TEXTS, progress=False)
    from saelab.widgets.prompt import Prompt

    prompt = Prompt(lambda found: None)
    assert "at most 4" in prompt._found(index, TEXTS[0])["notice"]
    assert prompt._found(index, "a")["notice"] == ""

"""What every public entry point accepts, and what a wrong thing gets there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import random_sae, tiny_model

import saelab as sl
from saelab import models
from saelab.errors import SaelabError

HOOK = "blocks.0.hook_resid_post"
TEXTS = ["The red fox ran over the hill", "and the ant sat on a log.", "Host: example.com"]
SMALL = {"hook": HOOK, "d_sae": 8, "k": 2, "tokens": 40, "batch": 8, "buffer": 16, "progress": False}


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


@pytest.fixture(scope="module")
def sae():
    return random_sae()


def padded(rows):
    """(texts, positions) ids and their mask."""
    width = max(map(len, rows))
    ids = torch.tensor([r + [7] * (width - len(r)) for r in rows])
    return ids, torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows])


class Column:
    """As a column of a data set: neither a list nor an iterator."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, i):
        return self.values[i]

    def __iter__(self):
        return iter(self.values)


def many(model):
    """The same texts in every form in which several can be given."""
    rows = [models.tokenize(model, t) for t in TEXTS]
    ids, mask = padded(rows)
    return {
        "list": TEXTS,
        "tuple": tuple(TEXTS),
        "iterator": iter(TEXTS),
        "generator": (t for t in TEXTS),
        "series": pd.Series(TEXTS, index=[5, 6, 7]),
        "array": np.array(TEXTS),
        "column": Column(TEXTS),
        "ids": rows,
        "ids of numpy": [np.array(r, dtype=np.int32) for r in rows],
        "ids of torch": [torch.tensor(r) for r in rows],
        "iterator of ids": iter(rows),
        "a column of ids": pd.Series(rows),
        "dict": {"input_ids": rows},
        "padded dict": {"input_ids": ids, "attention_mask": mask},
        "padded dict of numpy": {"input_ids": ids.numpy(), "attention_mask": mask.numpy()},
        "list of dicts": [{"input_ids": r, "attention_mask": [1] * len(r)} for r in rows],
        "rows": models.tokenize_texts(model, TEXTS),
        "mixed": [TEXTS[0], rows[1], torch.tensor(rows[2])],
    }


def one(model):
    """The same text in every form in which one can be given."""
    ids = models.tokenize(model, TEXTS[0])
    return {
        "str": TEXTS[0], "list": [TEXTS[0]], "iterator": iter([TEXTS[0]]), "series": pd.Series([TEXTS[0]]),
        "ids": ids, "tuple": tuple(ids), "array": np.array(ids), "tensor": torch.tensor(ids),
        "int32": np.array(ids, np.int32),
        "batch": torch.tensor([ids]), "nested": [ids], "dict": {"input_ids": [ids]}, "flat dict": {"input_ids": ids},
        "rows": models.tokenize_texts(model, TEXTS[:1]),
    }  # fmt: skip


def written(tmp_path_factory, model, texts):
    folder = tmp_path_factory.mktemp("store")
    store = sl.ActivationStore.write(
        model, texts, HOOK, folder / "s", tokens=500, dtype="float32", progress=False
    )
    return store.rows(0, len(store)).numpy(), store.where(0, len(store)).numpy()


MANY = {
    "tokenize_texts": lambda m, s, t, f: (models.tokenize_texts(m, t).ids,),
    "train": lambda m, s, t, f: (sl.train(m, t, **SMALL).W_enc.detach().numpy(),),
    "write": lambda m, s, t, f: written(f, m, t),
    "build": lambda m, s, t, f: (sl.LatentIndex.build(m, s, t, progress=False).counts,),
    "evaluate": lambda m, s, t, f: (sl.evaluate(m, s, t, progress=False).l0,),
    "heatmap": lambda m, s, t, f: (sl.heatmap(m, s, t, [3]).to_frame()["activation"].to_numpy(),),
    "sweep": lambda m, s, t, f: (
        sl.sweep(m, s, t, [3], [1.0], max_new_tokens=2, progress=False).frame["perplexity"].to_numpy(),
    ),
    "calibrate": lambda m, s, t, f: (
        sl.calibrate(m, s, [3], t, strengths=[1], n=2, max_new_tokens=2, progress=False)
        .frame["perplexity"]
        .to_numpy(),
    ),
    "ablation_sparsity": lambda m, s, t, f: (
        sl.evaluation.ablation_sparsity(m, s, t, positions=2, ahead=2, progress=False)["sparsity"].to_numpy(),
    ),
}
ONE = {
    "effects": lambda m, s, t: sl.effects(m, s, t, 3).ids,
    "effect_map": lambda m, s, t: sl.effect_map(m, s, t, 3).to_frame()["id"].tolist(),
    "attribute": lambda m, s, t: sl.attribute(m, s, t, check=0).entries["position"].tolist(),
    "generate": lambda m, s, t: sl.generate(m, None, t, max_new_tokens=2).prompt_ids,
    "compare": lambda m, s, t: sl.compare(m, s, t, {3: 1.0}, max_new_tokens=2).steered.prompt_ids,
    "heatmap": lambda m, s, t: sl.heatmap(m, s, t, [3]).to_frame()["id"].tolist(),
    "tokenize_texts": lambda m, s, t: models.tokenize_texts(m, t).ids.tolist(),
}


@pytest.mark.parametrize("door", MANY)
def test_D36_texts_come_in_every_form_and_mean_the_same(door, tiny, sae, tmp_path_factory):
    wanted = MANY[door](tiny, sae, TEXTS, tmp_path_factory)
    for form, texts in many(tiny).items():
        for got, want in zip(MANY[door](tiny, sae, texts, tmp_path_factory), wanted, strict=True):
            np.testing.assert_array_equal(got, want, err_msg=form)


@pytest.mark.parametrize("door", ONE)
def test_D36_a_text_comes_in_every_form_and_means_the_same(door, tiny, sae):
    wanted = ONE[door](tiny, sae, TEXTS[0])
    for form, text in one(tiny).items():
        assert ONE[door](tiny, sae, text) == wanted, form


NO_TEXTS = {
    "number": 3, "float": 1.5, "bool": True, "none": None, "bytes": b"abc", "set": {"a"}, "object": object(),
    "function": len, "dict": {"text": ["a"]}, "table": pd.DataFrame({"text": ["a"]}), "bytes in a list": [b"abc"],
    "floats": [[1.0, 2.0]], "float array": np.ones((2, 3)), "three axes": np.ones((2, 3, 4), int), "scalar": np.int64(3),
    "bools": [True, False], "bool tensor": torch.tensor([True]), "none in a list": ["a", 3.5], "outside": [[1, 10**9]],
    "negative": [[-1]], "huge": [[10**30]], "ragged": [[[1, 2], [3]]], "bfloat16": torch.ones(2, dtype=torch.bfloat16),
    "complex": np.ones(2, complex), "empty ids": np.zeros((0, 4)),
}  # fmt: skip


@pytest.mark.parametrize("door", [*MANY, *(f"one {n}" for n in ONE)])
def test_D39_what_is_no_text_is_refused_before_work(door, tiny, sae, tmp_path_factory, monkeypatch):
    ran = lambda *a, **k: pytest.fail("the model ran")  # noqa: E731
    monkeypatch.setattr(models, "forward", ran)
    real = models.run_to_hooks
    # a width is found by a pass over one token
    monkeypatch.setattr(models, "run_to_hooks", lambda m, i, *a: real(m, i, *a) if i.numel() == 1 else ran())
    for kind, text in NO_TEXTS.items():
        with pytest.raises(SaelabError) as error:
            ONE[door[4:]](tiny, sae, text) if door.startswith("one") else MANY[door](
                tiny, sae, text, tmp_path_factory
            )
        assert "text" in str(error.value) or "prompt" in str(error.value) or "token id" in str(error.value), (
            kind
        )


def test_D37_what_a_model_wrote_is_shown_by_its_ids(tiny, sae):
    made = sl.generate(
        tiny, sae, "The fox", {3: 2.0}, n=3, max_new_tokens=8, temperature=3.0, stop_at_end=False
    )
    whole = [[*made.prompt_ids, *s.ids] for s in made.samples]
    again = [models.tokenize(tiny, made.prompt + s.text) for s in made.samples]
    assert whole != again, "through text they are other ids"
    for given in (made, whole, [np.array(ids) for ids in whole]):
        frame = sl.heatmap(tiny, sae, given, [3]).to_frame()
        assert frame["id"].tolist() == sum(whole, [])
    single = sl.generate(tiny, None, "The fox", max_new_tokens=8, temperature=3.0, stop_at_end=False)
    assert sl.effects(tiny, sae, single, 3).ids == [*single.prompt_ids, *single.ids]
    assert sl.generate(tiny, None, single, max_new_tokens=2).prompt_ids == [*single.prompt_ids, *single.ids]
    with pytest.raises(SaelabError, match="text must be one text, got several"):
        sl.effects(tiny, sae, made, 3)


def test_D36_rows_keep_their_documents_and_a_run_over_them_resumes(tiny, tmp_path):
    rows = models.tokenize_texts(tiny, [t * 4 for t in TEXTS], context=12)
    assert rows.start.max() > 0
    store = sl.ActivationStore.write(tiny, rows, HOOK, tmp_path / "s", tokens=500, progress=False)
    where = np.concatenate(
        [np.stack([np.full(11, d), s + np.arange(11)], 1) for d, s in zip(rows.doc, rows.start, strict=True)]
    )
    got = {tuple(w) for w in store.where(0, len(store)).tolist()}
    assert got <= {tuple(w) for w in where.tolist()}
    assert len(got) == len(store) == rows.n_tokens - len(rows)
    with pytest.raises(SaelabError, match="bos=False was asked for"):
        sl.train(tiny, rows, bos=False, **SMALL)
    whole = sl.train(tiny, rows, **SMALL, epochs=4)
    part = {**SMALL, "out": tmp_path / "run", "checkpoint_every": 8, "epochs": 4}
    sl.train(tiny, rows, **part, on_log=lambda trainer: False)
    resumed = sl.train(tiny, rows, **part, resume=True)
    assert torch.equal(resumed.W_enc, whole.W_enc)

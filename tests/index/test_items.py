"""Activations that are not text, with labels of one's own and latents that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import random_sae, tiny_model

import saelab as sl
from saelab.errors import SaelabError

WIDTH, KINDS, DOCS, LONG = 12, ("hush ", "bark ", "bell ", "rain "), 30, 8
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def sounds():
    """Frames of recordings: each sounds like one kind, at a strength of its own; latent k is kind k."""
    rng = np.random.default_rng(0)
    kind = rng.integers(len(KINDS), size=DOCS * LONG)
    strength = rng.uniform(1, 3, size=DOCS * LONG).astype(np.float32)
    acts = np.zeros((DOCS * LONG, WIDTH), np.float32)
    acts[np.arange(len(kind)), kind] = strength
    where = np.stack([np.repeat(np.arange(DOCS), LONG), np.tile(np.arange(LONG), DOCS)], 1)
    labels = [KINDS[k] for k in kind]
    return sl.ActivationStore.of({"encoder": acts}, where=where, labels=labels), kind, strength


@pytest.fixture(scope="module")
def sae():
    """Latent k reads and writes direction k; two more never fire."""
    made = sl.SAE(sl.SAEConfig("relu", d_in=WIDTH, d_sae=6, hook_in="encoder", input_bias="none"))
    with torch.no_grad():
        made.W_enc.copy_(torch.eye(WIDTH)[:, :6])
        made.W_dec.copy_(torch.eye(WIDTH)[:6])
        made.b_enc[4:] = -1
    return made


@pytest.fixture(scope="module")
def index(sae, sounds):
    return sl.LatentIndex.build(None, sae, sounds[0], **QUIET)


def test_an_index_of_labelled_rows_holds_every_firing(index, sounds):
    _, kind, strength = sounds
    assert (len(index.rows), index.n_tokens, index.config["n_docs"]) == (DOCS, DOCS * LONG, DOCS)
    for latent in range(4):
        token, value = index.postings(latent)
        assert token.tolist() == np.flatnonzero(kind == latent).tolist()
        np.testing.assert_allclose(value, strength[kind == latent])
    assert index.counts[4:].tolist() == [0, 0]


def test_top_examples_show_the_labels_around(index, sounds):
    _, kind, strength = sounds
    line = index.top(1, n=1, before=2, after=2).iloc[0]
    best = int(np.flatnonzero(kind == 1)[strength[kind == 1].argmax()])
    assert (line["token_index"], line["token"]) == (best, "bark ")
    doc = best // LONG
    around = range(max(best - 2, doc * LONG), min(best + 3, (doc + 1) * LONG))
    assert line["text"] == "".join(KINDS[kind[i]] for i in around)
    assert index.search("bell ", n=1)["latent"].iloc[0] == 2
    assert index.concepts({"rain": kind == 3})["latent"].iloc[0] == 3


def test_batches_shards_and_a_second_opening_give_the_same(index, sae, sounds, tmp_path):
    store = sounds[0]
    for i in (0, 1):
        sl.LatentIndex.build(None, sae, store, path=tmp_path / str(i), shard=(i, 2), batch_tokens=7, **QUIET)
    whole = sl.LatentIndex.merge([tmp_path / "0", tmp_path / "1"], tmp_path / "both")
    for name in ("post_token", "post_value", "code_latent", "row_doc", "tokens"):
        np.testing.assert_array_equal(whole.arrays[name], index.arrays[name])
    again = sl.LatentIndex.open(tmp_path / "both", sae=sae)
    assert again.top(0, n=3)["text"].tolist() == index.top(0, n=3)["text"].tolist()
    few = sl.LatentIndex.build(None, sae, store, tokens=20, **QUIET)
    assert (few.n_tokens, few.counts.sum()) == (24, 24)


def test_widgets_of_such_an_index(index, sounds, tmp_path):
    assert "bark" in index.dashboard(1).fallback()
    assert len(index.table().to_frame()) == 6
    assert len(index.map().to_frame()) == 6
    assert "bell" in index.export_html(tmp_path / "page.html", [2]).read_text(encoding="utf-8")
    assert (
        "rain" in repr(index)
        or "rain" in index._repr_html_()
        or index.to_frame().loc[3, "top_token"] == "rain "
    )
    assert len(index.nearest(0))


def test_a_heatmap_of_labelled_rows(index, sae, sounds):
    store, kind, strength = sounds
    shown = sl.heatmap(None, sae, store, [0, 1], index=index)
    lines = shown.to_frame().query("latent == 1")
    assert lines["activation"].tolist() == pytest.approx(np.where(kind == 1, strength, 0).tolist())
    assert lines["token"].tolist() == [KINDS[k] for k in kind]
    assert set(sl.heatmap(None, sae, store).latents) == {0, 1, 2, 3}


def test_an_evaluation_of_rows_has_no_losses_and_says_so(sae, sounds):
    store, kind, _ = sounds
    report = sl.evaluate(None, sae, store, batch_tokens=50, **QUIET)
    assert report.explained_variance == pytest.approx(1.0)
    assert (report.l0, report.dead, report.tokens, report.documents) == (1.0, 2, DOCS * LONG, DOCS)
    assert report.density[1] == pytest.approx((kind == 1).mean())
    for name in ("ce_clean", "ce_sae", "kl_sae", "loss_recovered_zero", "loss_recovered_mean"):
        assert getattr(report, name) is None
    assert any("there is no model" in note for note in report.notes)
    assert "undefined" in report._repr_html_()
    half = sl.SAE(sae.config)
    half.load_state_dict(sae.state_dict())
    with torch.no_grad():
        half.W_dec *= 0.5
    x = store.rows(0, len(store))
    want = 1 - float((x / 2).square().sum() / (x - x.mean(0)).square().sum())
    assert sl.evaluate_many(None, [sae, half], store, **QUIET)[1].explained_variance == pytest.approx(
        want, abs=1e-5
    )


def test_crosscoders_transcoders_and_rows_without_labels(sounds):
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(50, 5, generator=g), torch.randn(50, 7, generator=g)
    store = sl.ActivationStore.of({"a": x, "b": y})
    cross = sl.train(store, hook=("a", "b"), d_sae=20, k=3, batch=10, tokens=50, **QUIET)
    trans = sl.train(store, hook="a", hook_out="b", d_sae=20, k=3, batch=10, tokens=50, **QUIET)
    for sae, inputs, target in ((cross, torch.cat([x, y], 1), torch.cat([x, y], 1)), (trans, x, y)):
        found = sl.LatentIndex.build(None, sae, store, **QUIET)
        np.testing.assert_allclose(found.counts, (sae.encode(inputs) > 0).sum(0).numpy())
        assert (len(found.rows), found.top(int(found.counts.argmax()), n=1)["token"].iloc[0].isdigit()) == (
            50,
            True,
        )
        report = sl.evaluate(None, sae, store, **QUIET)
        with torch.no_grad():
            error = (sae.decode(sae.encode_sparse(inputs)) - target).square().sum()
        assert report.fvu == pytest.approx(float(error / (target - target.mean(0)).square().sum()), rel=1e-4)
    assert set(sl.evaluate(None, cross, store, **QUIET).by_hook) == {"a", "b"}


def test_a_store_on_disk_is_indexed_like_the_text_it_is_of(tmp_path):
    model, hook = tiny_model(), "blocks.0.hook_resid_post"
    sae, texts = random_sae(), ["The red fox ran over the hill.", "12 + 34 = 46", "an ant sat on a log"]
    store = sl.ActivationStore.write(model, texts, hook, tmp_path / "s", dtype="float32", **QUIET)
    mine = sl.LatentIndex.build(None, sae, store, **QUIET)
    theirs = sl.LatentIndex.build(model, sae, texts, **QUIET)
    assert mine.counts.tolist() == theirs.counts.tolist()
    assert mine.n_tokens == theirs.n_counted


def test_what_needs_a_model_says_so(index, sae, sounds):
    store, latent = sounds[0], 1
    with pytest.raises(SaelabError, match="logit_lens needs a model"):
        index.logit_lens(latent)
    calls = {
        "steer": lambda: sl.steer(None, sae, {latent: 1.0}).__enter__(),
        "effects": lambda: sl.effects(None, sae, "text", latent),
        "attribute": lambda: sl.attribute(None, sae, "text"),
        "generate": lambda: sl.generate(None, sae, "text", {latent: 1.0}),
        "sweep": lambda: sl.sweep(None, sae, "text", [latent], [1.0]),
        "attach": lambda: sl.attach(None, sae).__enter__(),
        "self_check": lambda: sl.self_check(None, sae),
        "fit": lambda: sl.n2g.fit(index, [latent], **QUIET),
        "steering_panel": lambda: sl.steering_panel(index),
        "match text": lambda: sl.LatentIndex.build(None, sae, ["text"], **QUIET),
        "evaluate": lambda: sl.evaluate(None, sae, ["text"], **QUIET),
        "heatmap": lambda: sl.heatmap(None, sae, "text"),
    }
    for name, call in calls.items():
        with pytest.raises(SaelabError, match="model"):
            call()
        assert name
    with pytest.raises(SaelabError, match="has its activations already"):
        sl.LatentIndex.build(tiny_model(), sae, store, **QUIET)


def test_what_does_not_fit_is_named(sae, sounds):
    store = sounds[0]
    with pytest.raises(SaelabError, match="labels names 2 rows, the arrays have 3"):
        sl.ActivationStore.of({"a": torch.ones(3, 4)}, labels=["x", "y"])
    for call in (
        lambda s: sl.LatentIndex.build(None, sae, s, **QUIET),
        lambda s: sl.evaluate(None, sae, s, **QUIET),
        lambda s: sl.heatmap(None, sae, s),
    ):
        with pytest.raises(SaelabError, match="Did you mean 'encoders'"):
            call(sl.ActivationStore.of({"encoders": torch.ones(3, WIDTH)}))
        with pytest.raises(SaelabError, match="12 wide at 'encoder', but this store is 4"):
            call(sl.ActivationStore.of({"encoder": torch.ones(3, 4)}))
    bad = sl.ActivationStore.of({"encoder": torch.full((3, WIDTH), float("nan"))})
    for call in (sl.evaluate, sl.LatentIndex.build):
        with pytest.raises(SaelabError, match="NaN or infinity"):
            call(None, sae, bad, **QUIET)
    assert len(store)

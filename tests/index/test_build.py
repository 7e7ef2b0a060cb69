"""Building with a real model and SAE."""

import copy

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_model

from index.makers import files
from saelab import models
from saelab.errors import HookError, SaelabError
from saelab.index import LatentIndex
from saelab.index.storage import build as building
from saelab.models.lens import token_votes
from saelab.sae.archs import ARCHS

TEXTS = [*SENTENCES, "a", "fig", "the the the the", *(s * 3 for s in SENTENCES)]


def build(sae, model, texts=TEXTS, **options):
    return LatentIndex.build(model, sae, texts, progress=False, **options)


def dense(sae, model, rows):
    """(n_tokens, d_sae), one row of text at a time, without batches or padding."""
    out = np.zeros((rows.n_tokens, sae.config.d_sae), np.float32)
    special = models.special_ids(model)
    for i in range(len(rows)):
        ids = torch.from_numpy(np.array(rows[i], dtype=np.int64))[None]
        acts = models.run_to_hooks(model, ids, [sae.config.hook_in])[sae.config.hook_in]
        with torch.no_grad():
            z = sae.encode(acts)[0].numpy()
        z[[t in special for t in rows[i].tolist()]] = 0
        out[rows.offsets[i] : rows.offsets[i + 1]] = z
    return out


def index_dense(index):
    out = np.zeros((index.n_tokens, index.d_sae), np.float32)
    for latent in range(index.d_sae):
        token, value = index.postings(latent)
        out[token, latent] = value
    return out


@pytest.mark.parametrize("arch", sorted(ARCHS))
@pytest.mark.parametrize("batch_tokens", [1, 40, 8192])
def test_equals_one_text_at_a_time(tiny, batch_tokens, arch):
    """C27, C29, C30: all latents compete; batches of any size (one token too) and padding change nothing."""
    sae = random_sae(arch, k=4 if ARCHS[arch].needs_k else None)
    index = build(sae, tiny, batch_tokens=batch_tokens)
    rows = models.tokenize_texts(tiny, TEXTS)
    assert np.array_equal(index.rows.ids, rows.ids)
    want = dense(sae, tiny, rows)
    np.testing.assert_allclose(index_dense(index), want, atol=1e-5)
    assert index.config["n_active"] == (want > 0).sum()


def test_hook_and_rope_models(tiny):
    model = tiny_model("llama")
    sae = random_sae(d_in=48, hook_in="blocks.1.mlp.hook_post")
    index = build(sae, model)
    np.testing.assert_allclose(index_dense(index), dense(sae, model, index.rows), atol=1e-5)
    with pytest.raises(SaelabError, match="reads 48 numbers per token at .* but this model has 64"):
        build(sae, tiny)


def test_crosscoders_read_several_hook_points(tiny):
    hooks = ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post")
    sae = random_sae(d_in=32, hook_in=hooks, widths=(16, 16))
    index = build(sae, tiny)
    row = torch.from_numpy(np.array(index.rows[0], dtype=np.int64))[None]
    acts = models.run_to_hooks(tiny, row, hooks)
    with torch.no_grad():
        z = sae.encode(torch.cat([acts[h] for h in hooks], -1))[0].numpy()
    latents = np.arange(64)
    np.testing.assert_allclose(index.activations(latents, 0)[1:], z[1:], atol=1e-5)
    with torch.no_grad():
        votes = token_votes(tiny, sae.W_dec[5, 16:])
    np.testing.assert_allclose(index.logit_lens(5, 3)["up_value"], votes.topk(3).values, atol=1e-6)
    with pytest.raises(SaelabError, match="reads 8 numbers per token at 'blocks.0.hook_resid_post'"):
        build(random_sae(d_in=32, hook_in=hooks, widths=(8, 24)), tiny)


def test_special_tokens_never_count(tiny, monkeypatch):
    """C15: BOS rows are out, the number of them is on record, and opting in shows them."""
    bos, fig = models.bos_id(tiny), models.tokenize(tiny, "fig", bos=False)[0]

    def planted(model, ids, hooks, mask=None, direct=False, **how):
        x = torch.zeros(*ids.shape, 16)
        x[ids == bos, 0] = 100.0
        x[ids == fig, 0] = 2.0
        return {hooks[0]: x}

    monkeypatch.setattr(building.models, "run_to_hooks", planted)
    sae = random_sae(k=1)
    with torch.no_grad():
        for p in sae.parameters():
            p.zero_()
        sae.W_enc[0, 5] = 1.0
    texts = ["the ant", "fig ran", "on a log"] * 13 + ["fig"]
    index = build(sae, tiny, texts)
    assert index.top(5)[["token", "value", "text"]].values.tolist() == [
        [models.token_labels(tiny, [fig])[0], 2.0, "fig ran"],
        [models.token_labels(tiny, [fig])[0], 2.0, "fig"],
    ]
    assert index.top(5)["count"].tolist() == [13, 1]
    assert index.n_tokens - index.n_counted == 40 == index.config["masked"]["positions"]
    assert index.config["masked"]["tokens"] == {"<|bos|>": 40}
    assert "40 left out" in repr(index)
    assert (index.rows.ids[~index.counted] == bos).all()
    shown = build(sae, tiny, texts, skip_special=False)
    assert shown.top(5, 1)[["token", "value"]].values.tolist() == [["<|bos|>", 100.0]]
    assert shown.latent_stats(5)["n"] == 40 + 14
    assert shown.n_counted == shown.n_tokens


def test_no_logits_are_computed(tiny, monkeypatch):
    """C53: nothing behind the hook point runs."""

    def never(*_, **__):
        raise AssertionError("the unembedding ran")

    monkeypatch.setattr(type(tiny.unembed), "forward", never)
    assert build(random_sae(), tiny).n_counted > 0


def test_global_random_state_is_left_alone(tiny):
    """C46."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    a = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    index = build(random_sae(), tiny)
    index.random(int(index.counts.argmax()))
    assert (torch.rand(1), np.random.rand()) == a  # noqa: NPY002


def test_threshold_drops_weak_activations(tiny):
    sae = random_sae()
    whole, strong = build(sae, tiny), build(sae, tiny, threshold=2.0)
    want = np.where(index_dense(whole) > 2.0, index_dense(whole), 0)
    assert np.array_equal(index_dense(strong), want)
    assert 0 < strong.config["n_active"] < whole.config["n_active"]
    assert "up to 2 not stored" in repr(strong)
    assert strong.stats()["n"].tolist() == (want > 0).sum(0).tolist()


def test_tokens_limit_and_rows(tiny):
    rows = models.tokenize_texts(tiny, TEXTS)
    part = build(random_sae(), tiny, rows, tokens=40)
    assert 40 <= part.n_tokens < 40 + 32
    assert np.array_equal(part.rows.ids, rows.ids[: part.n_tokens])
    assert part.n_tokens == build(random_sae(), tiny, tokens=40).n_tokens


# ---------------------------------------------------------------------------------------------- resume


class Stop(Exception):
    pass


def stop_after(monkeypatch, n):
    """Make the build fail when it encodes its ``n``-th batch."""
    real, calls = building._encode_batch, []

    def encode(*args):
        calls.append(1)
        if len(calls) > n:
            raise Stop
        return real(*args)

    monkeypatch.setattr(building, "_encode_batch", encode)
    return calls


@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_D56_an_interrupted_build_goes_on_to_the_same_bits(tiny, tmp_path, monkeypatch, n):
    monkeypatch.setattr("saelab.index.storage.writer._SYNC_SECONDS", 0.0)
    sae = random_sae()
    build(sae, tiny, path=tmp_path / "whole", batch_tokens=32)
    with monkeypatch.context() as patch:
        stop_after(patch, n)
        with pytest.raises(Stop):
            build(sae, tiny, path=tmp_path / "part", batch_tokens=32)
    with pytest.raises(SaelabError, match="never finished"):
        LatentIndex.open(tmp_path / "part")
    calls = stop_after(monkeypatch, 10**6)
    build(sae, tiny, path=tmp_path / "part", batch_tokens=32)
    resumed = len(calls)
    calls.clear()
    build(sae, tiny, path=tmp_path / "again", batch_tokens=32)
    assert (resumed < len(calls)) == (n > 4)  # a stretch is four batches
    assert files(tmp_path / "part") == files(tmp_path / "whole")


def test_a_finished_build_is_opened(tiny, tmp_path, monkeypatch):
    sae = random_sae()
    build(sae, tiny, path=tmp_path / "i").set_label(3, "kept")
    before = files(tmp_path / "i")
    calls = stop_after(monkeypatch, 0)
    assert build(sae, tiny, path=tmp_path / "i").label(3) == "kept"
    assert not calls
    assert files(tmp_path / "i") == before


def test_another_index_is_not_overwritten_by_accident(tiny, tmp_path):
    build(random_sae(), tiny, path=tmp_path / "i").set_label(3, "of the first SAE")
    with pytest.raises(SaelabError, match="already holds an index.*overwrite=True"):
        build(random_sae(seed=1), tiny, path=tmp_path / "i")
    index = build(random_sae(seed=1), tiny, path=tmp_path / "i", overwrite=True)
    assert index.label(3) == ""
    index.set_label(4, "of the second")
    assert "of the first SAE" in "".join(p.read_text() for p in (tmp_path / "i").glob("labels-*.json"))


def test_an_unfinished_other_index_is_not_continued(tiny, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 0)
        with pytest.raises(Stop):
            build(random_sae(), tiny, path=tmp_path / "i")
    with pytest.raises(SaelabError, match="unfinished index with another SAE"):
        build(random_sae(seed=1), tiny, path=tmp_path / "i")
    with pytest.raises(SaelabError, match="unfinished index with another text"):
        build(random_sae(), tiny, TEXTS[:3], path=tmp_path / "i")
    assert build(random_sae(seed=1), tiny, path=tmp_path / "i", overwrite=True).n_counted


def test_temporary_folder_lives_with_the_object(tiny):
    index = build(random_sae(), tiny)
    folder = index.path
    index.set_note(1, "also here")
    assert LatentIndex.open(folder).note(1) == "also here"
    del index
    assert not folder.exists()


def test_D56_shards_of_a_real_build_give_the_same_bits(tiny, tmp_path):
    sae = random_sae()
    whole = build(sae, tiny, path=tmp_path / "whole")
    for i in range(3):
        build(sae, tiny, path=tmp_path / f"s{i}", shard=(i, 3))
    merged = LatentIndex.merge([tmp_path / f"s{i}" for i in (2, 0, 1)], tmp_path / "merged")
    assert files(tmp_path / "merged") == files(tmp_path / "whole")
    assert merged.config == whole.config


# ----------------------------------------------------------------------------------------- bad arguments


def test_bad_arguments_are_refused_before_work(tiny, tmp_path, monkeypatch):
    sae = random_sae()
    calls = stop_after(monkeypatch, 0)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("do not touch")
    rows = models.tokenize_texts(tiny, TEXTS)
    for message, error, arguments in [
        ("batch_tokens must be at least 1, got 0", SaelabError, {"batch_tokens": 0}),
        ("at least 1MB", SaelabError, {"spill": 1000}),
        ("written like '256MB'", SaelabError, {"spill": "lots"}),
        ("threshold must be at least 0", SaelabError, {"threshold": -1.0}),
        ("not empty and holds no index", SaelabError, {"path": tmp_path / "full"}),
        ("is a file", SaelabError, {"path": tmp_path / "full" / "mine.txt"}),
        (r"shard must be \(i, n\)", SaelabError, {"shard": (3, 3)}),
        ("there is no text", SaelabError, {"texts": []}),
        ("texts must be strings or token ids", SaelabError, {"texts": 3}),
    ]:
        arguments = {"texts": TEXTS, **arguments}
        with pytest.raises(error, match=message):
            build(sae, tiny, **arguments)
    with pytest.raises(HookError, match="hook_resid"):
        build(random_sae(hook_in="blocks.0.hook_resid_pots"), tiny)
    without = models.tokenize_texts(tiny, TEXTS, bos=False)
    with pytest.raises(SaelabError, match="rows were made with bos=False"):
        build(sae, tiny, without)
    long = copy.copy(rows)
    long = models.TokenRows(np.zeros(40, np.int32), np.array([0, 40]), long.doc[:1], long.start[:1], True)
    with pytest.raises(SaelabError, match="row of 40 tokens is longer than the model's context of 32"):
        build(sae, tiny, long)
    assert not calls
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
    assert (tmp_path / "full" / "mine.txt").read_text() == "do not touch"


def test_activations_that_are_not_numbers_are_refused(tiny):
    hook = "blocks.0.hook_resid_post"
    with models.hooked(tiny, {hook: lambda x: x * float("inf")}), pytest.raises(SaelabError, match=hook):
        build(random_sae(), tiny)


def test_sae_of_another_size_is_refused_on_opening(tiny, tmp_path):
    build(random_sae(), tiny, path=tmp_path / "i")
    with pytest.raises(SaelabError, match="index is of 64 latents, but this SAE has 32"):
        LatentIndex.open(tmp_path / "i", sae=random_sae(d_sae=32))

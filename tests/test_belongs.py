"""What is made under an edit, of other rows, by another graph or in a run that diverged is not kept as something else."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_model

import saelab as sl
from saelab.errors import SaelabError
from saelab.zoo.labels import Labels

HOOK = "blocks.0.hook_resid_post"


def varied(n):
    words, rng = " ".join(SENTENCES).split(), np.random.default_rng(0)
    return [" ".join(rng.permutation(words)[: 6 + i % 8]) for i in range(n)]


def test_D81_what_rests_on_a_mean_of_these_documents_has_no_interval(tiny):
    report = sl.evaluate(tiny, random_sae(), varied(400), progress=False, tokens=None)
    assert not {"ce_mean", "kl_mean", "loss_recovered_mean"} & set(report.intervals)
    assert {"ce_zero", "kl_zero", "kl_sae"} <= set(report.intervals)
    assert any("the mean that is put in place is of these documents" in note for note in report.notes)


WORKS = {
    "index": lambda m, s, out: sl.LatentIndex.build(m, s, SENTENCES, path=out, progress=False),
    "store": lambda m, s, out: sl.ActivationStore.write(m, SENTENCES, HOOK, out, progress=False),
    "train": lambda m, s, out: sl.train(m, SENTENCES, hook=HOOK, d_sae=32, k=4, tokens=64, batch=16, out=out),
    "evaluate": lambda m, s, out: sl.evaluate(m, s, SENTENCES, progress=False),
    "direction": lambda m, s, out: sl.Direction.from_texts(m, HOOK, SENTENCES[:2], SENTENCES[2:]),
}


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("block", ["steer", "attach"])
def test_D82_nothing_is_kept_of_a_model_that_is_changed(tiny, work, block, tmp_path):
    sae = random_sae()
    around = sl.steer(tiny, sae, {3: 8.0}) if block == "steer" else sl.attach(tiny, sae)
    with around:
        tiny(torch.tensor([[0, 5]]))
        with pytest.raises(SaelabError, match="latent 3: add 8" if block == "steer" else "attached at"):
            WORKS[work](tiny, sae, tmp_path / "out")
    assert not list(tmp_path.glob("out/*.json"))


def test_D82_a_text_says_the_block_it_was_written_in(tiny):
    sae = random_sae()
    with sl.steer(tiny, sae, {3: 8.0}):
        bare = sl.generate(tiny, None, "Once", max_new_tokens=2)
        more = sl.generate(tiny, sae, "Once", {5: 1.0}, max_new_tokens=2)
    assert bare.steered_by == "latent 3: add 8"
    assert more.steered_by == "latent 3: add 8 | latent 5: add 1"
    assert sl.generate(tiny, None, "Once", max_new_tokens=2).steered_by == ""


def test_D83_labels_are_of_their_rows_alone(tiny):
    sae, texts = random_sae(), SENTENCES * 8
    rows, other = (sl.tokenize_texts(tiny, t) for t in (texts, texts[::-1]))
    index = sl.LatentIndex.build(tiny, sae, rows, progress=False)
    even = rows.ids[:, None] % 2 == 0
    labels = Labels(("even",), even, rows._facts().marks["text"]().digest)
    assert index.concepts(labels).attrs["labels"] == "of these rows"
    assert "not known" in index.concepts({"even": even[:, 0]}).attrs["labels"]
    assert "not known" in index.concepts(replace(labels, text="")).attrs["labels"]
    with pytest.raises(SaelabError, match="these labels and these token rows are not of one text"):
        sl.LatentIndex.build(tiny, sae, other, progress=False).concepts(labels)
    with pytest.raises(SaelabError, match="not of one text"):
        sl.evaluation.probe_loss(tiny, sae, other, labels, progress=False)
    found = sl.evaluation.probe_loss(tiny, sae, rows, labels, progress=False)
    assert found.attrs["labels"] == "of these rows"
    made, own = sl.zoo.labelled_rows(sl.load_model("zoo"), 3, progress=False)
    assert own.text == made._facts().marks["text"]().digest


def test_D84_a_finished_run_does_not_look_for_its_texts_without_end(tiny, tmp_path):
    kw = {"hook": HOOK, "d_sae": 32, "k": 4, "tokens": 256, "batch": 64, "progress": False, "out": tmp_path}
    sl.train(tiny, itertools.cycle(SENTENCES), **kw)
    again = sl.train(tiny, itertools.cycle(SENTENCES), resume=True, **kw)
    assert again.record["ended"]
    with pytest.raises(SaelabError, match="was trained on other texts"):
        sl.train(tiny, itertools.cycle(SENTENCES[::-1]), resume=True, **kw)


@pytest.mark.parametrize("arch", ["topk", "relu", "jumprelu"])
def test_D85_a_run_that_diverges_ends_there_and_leaves_no_sae(arch, tmp_path):
    x = torch.randn(512, 16, generator=torch.Generator().manual_seed(0))
    with pytest.raises(SaelabError, match=r"diverged: .* NaN or infinite at step \d+ of 8, with lr=1e\+3"):
        sl.train(
            sl.ActivationStore.of({"a": x}), arch=arch, d_sae=32, k=4, batch=64, lr=1e35, progress=False, out=tmp_path
        )  # fmt: skip
    assert not (tmp_path / "config.json").exists()


def test_D86_graphs_are_of_one_sae_and_of_the_latent_they_are_given_for(tiny):
    texts = varied(60)
    mine, other = (sl.LatentIndex.build(tiny, random_sae(seed=s), texts, progress=False) for s in (0, 1))
    a, b = (int(i) for i in np.argsort(-mine.counts)[:2])
    graphs = sl.n2g.fit(mine, [a, b], progress=False)
    for call in (sl.n2g.duplicates, lambda g: sl.n2g.search(g, activating=3)):
        with pytest.raises(SaelabError, match=f"given for latent {a} is of latent {b}"):
            call({a: graphs[b], b: graphs[a]})
        with pytest.raises(SaelabError, match="not of one SAE"):
            call([graphs[a], *sl.n2g.fit(other, [b], progress=False).values()])
    with pytest.raises(SaelabError, match=f"given for latent {a} is of latent {b}"):
        sl.words.explain(mine, [a], graphs={a: graphs[b]}, progress=False)
    with pytest.raises(SaelabError, match="not of one SAE"):
        sl.words.explain(other, [a], graphs=graphs, progress=False)


def test_D87_a_fit_does_not_write_over_graphs_of_another_sae(tiny, tmp_path):
    indexes = [sl.LatentIndex.build(tiny, random_sae(seed=s), varied(60), progress=False) for s in (0, 1)]
    latent = int(np.argmax(indexes[0].counts))
    sl.n2g.fit(indexes[0], [latent], path=tmp_path, progress=False)
    before = (tmp_path / f"{latent}.json").read_bytes()
    with pytest.raises(SaelabError, match="of another SAE"):
        sl.n2g.fit(indexes[1], [latent], path=tmp_path, progress=False)
    assert (tmp_path / f"{latent}.json").read_bytes() == before


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_D88_the_cosine_does_not_depend_on_the_scale(scale):
    from saelab.evaluation.measure import _scaled

    x = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    found = torch.nn.functional.cosine_similarity(_scaled(x * scale), _scaled(x.flip(0) * scale))
    torch.testing.assert_close(found, torch.nn.functional.cosine_similarity(x, x.flip(0)))
    own = torch.nn.functional.cosine_similarity(_scaled(x * scale), _scaled(x * scale))
    torch.testing.assert_close(own, torch.ones(8))


@pytest.mark.parametrize(
    ("where", "said"),
    [([[-1, 0], [0, 0], [0, 1]], "no document"), ([[0, 0], [0, 1], [0, 0]], "names a place twice")],
)
def test_D89_places_of_a_store_are_places(where, said):
    with pytest.raises(SaelabError, match=said):
        sl.ActivationStore.of({"a": torch.randn(3, 16)}, where=torch.tensor(where))
    sl.ActivationStore.of({"a": torch.randn(3, 16)}, where=torch.tensor([[-1, -1], [-1, -1], [0, 0]]))


def test_D90_indexes_of_a_model_in_two_dtypes_are_not_merged(tmp_path):
    sae = random_sae()
    for kind in ("float32", "bfloat16"):
        model = tiny_model(dtype=kind)
        texts = SENTENCES[:2] if kind == "float32" else SENTENCES[2:]
        sl.LatentIndex.build(model, sae, texts, path=tmp_path / kind, progress=False)
    with pytest.raises(SaelabError, match="the model was in bfloat16 and float32"):
        sl.LatentIndex.merge([tmp_path / "float32", tmp_path / "bfloat16"], tmp_path / "both")


def test_D91_a_run_does_not_write_over_another_one_or_an_index(tiny, tmp_path):
    kw = {"hook": HOOK, "d_sae": 32, "tokens": 64, "batch": 16, "progress": False}
    sl.train(tiny, SENTENCES, k=4, out=tmp_path / "run", **kw)
    sl.train(tiny, SENTENCES, k=4, out=tmp_path / "run", **kw)  # the same one again
    with pytest.raises(SaelabError, match="holds a run with another k"):
        sl.train(tiny, SENTENCES, k=2, out=tmp_path / "run", **kw)
    assert sl.load_sae(tmp_path / "run").config.k == 4
    sl.LatentIndex.build(tiny, random_sae(), SENTENCES, path=tmp_path / "index", progress=False)
    for write in (
        lambda p: sl.train(tiny, SENTENCES, k=4, out=p, **kw),
        random_sae().save,
    ):
        with pytest.raises(SaelabError, match="holds an index"):
            write(tmp_path / "index")


@pytest.mark.parametrize(
    "change",
    [{"marks": {}}, {"marks": None}, {"edits": None}, {"edits": []}, {"edits": [3]}, {"sae": {}}, {"marks": {"3": [1.0]}}],
)  # fmt: skip
def test_D92_a_file_of_an_intervention_is_checked(change):
    data = sl.Intervention.make(random_sae(), {3: 2.0}).to_json()
    assert sl.Intervention.from_json(data).marks.keys() == {3}
    with pytest.raises(SaelabError, match="this intervention"):
        sl.Intervention.from_json(data | change)


@pytest.mark.parametrize("kind", [torch.int32, torch.bool])
def test_D93_weights_of_the_own_form_are_floating_point(kind, tmp_path):
    from saelab import files

    random_sae().save(tmp_path)
    tensors, inside = files.read_tensors_and_metadata(tmp_path / "weights.safetensors")
    tensors["b_dec"] = tensors["b_dec"].to(kind)
    files.write_tensors(tmp_path / "weights.safetensors", tensors, inside)
    with pytest.raises(SaelabError, match="b_dec must be a floating-point tensor"):
        sl.load_sae(tmp_path)

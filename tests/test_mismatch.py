"""What does not belong together is refused wherever two things meet, before any work; what was allowed by name is
said in what comes out."""

import copy
import functools
import warnings

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_model
from toy import ToyModel

import saelab as sl
from saelab import identity, models
from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig

HOOK = "blocks.0.hook_resid_post"
RUN = {"tokens": 64, "batch": 32, "context": 16, "progress": False}
FAST = sl.n2g.N2GConfig.fast()


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch):
    monkeypatch.setattr(identity, "_allowed", set())


@pytest.fixture(scope="module")
def things():
    """Two models of one shape, an SAE trained on the first, another of its shape, and an index of the first two."""
    made = {"a": tiny_model(), "b": tiny_model(seed=1)}
    made["sae"] = sl.train(made["a"], SENTENCES, hook=HOOK, d_sae=32, k=4, **RUN)
    made["other"] = copy.deepcopy(made["sae"])
    with torch.no_grad():
        made["other"].W_dec[3] += 0.5
    made["index"] = sl.LatentIndex.build(made["a"], made["sae"], SENTENCES, progress=False)
    made["latent"] = int(made["index"].counts.argmax())
    made["graph"] = sl.n2g.fit(made["index"], [made["latent"]], config=FAST, progress=False)[made["latent"]]
    made["zoo_rows"] = sl.tokenize_texts(sl.load_model("zoo"), SENTENCES, context=16)
    return made


def opened(t, **how):
    return sl.LatentIndex.open(t["index"].path, **how)


def steered(model, sae, how, **more):
    with how(model, sae, **more) as done:
        models.forward(model, torch.tensor([[0, 5, 7]]))
    return f"{done} {done.mismatch}"


def assigned(t, name, value):
    index = opened(t)
    setattr(index, name, value)
    return repr(index)


# every door where two things meet -> what comes out, as text
MODEL_AND_SAE = {
    "attach": lambda m, s, t: steered(m, s, sl.attach),
    "steer": lambda m, s, t: steered(m, s, sl.steer, edits={1: 2.0}),
    "steer several": lambda m, s, t: steered(m, [(s, {1: 2.0})], sl.steer),
    "generate": lambda m, s, t: sl.generate(m, s, "The", {1: 2.0}, max_new_tokens=2)._repr_html_(),
    "compare": lambda m, s, t: sl.compare(m, s, "The", {1: 2.0}, max_new_tokens=2)._repr_html_(),
    "effects": lambda m, s, t: repr(sl.effects(m, s, "The red fox", 1)),
    "effect_map": lambda m, s, t: repr(sl.effect_map(m, s, "The red fox", 1).to_frame()),
    "attribute": lambda m, s, t: repr(sl.attribute(m, s, "The red fox", check=0).frame),
    "sweep": lambda m, s, t: repr(sl.sweep(m, s, "The", [1], [1.0], max_new_tokens=2, progress=False)),
    "calibrate": lambda m, s, t: repr(
        sl.calibrate(m, s, [1], ["The"], n=1, max_new_tokens=2, strengths=[1], progress=False)
    ),
    "steering_success": lambda m, s, t: repr(
        sl.steering_success(
            m, s, {"c": 1}, str, relative={1: 1.0}, strengths=[1], n=1, tune=1, controls=0,
            max_new_tokens=2, progress=False,
        )
    ),
    "evaluate": lambda m, s, t: sl.evaluate(m, s, SENTENCES, progress=False)._repr_html_(),
    "evaluate_many": lambda m, s, t: repr(sl.evaluate_many(m, [s], SENTENCES, progress=False)[0]),
    "ablation_sparsity": lambda m, s, t: repr(
        sl.evaluation.ablation_sparsity(m, s, SENTENCES, positions=2, ahead=2, progress=False)["mismatch"][0]
    ),
    "sparse_probing": lambda m, s, t: repr(probed(m, s)["mismatch"][0]),
    "self_check": lambda m, s, t: checked(m, s),
    "train(init=)": lambda m, s, t: repr(sl.train(m, SENTENCES, init=s, **RUN).record["notes"]),
    "LatentIndex.build": lambda m, s, t: repr(sl.LatentIndex.build(m, s, SENTENCES, progress=False)),
    "heatmap": lambda m, s, t: repr(sl.heatmap(m, s, "The red fox", [1]).error),
    "steering_panel": lambda m, s, t: repr(sl.steering_panel(model=m, sae=s).error),
}  # fmt: skip
INDEX_AND_SAE = {
    "LatentIndex.open": lambda s, t: repr(opened(t, sae=s)),
    "index.sae =": lambda s, t: assigned(t, "sae", s),
    "n2g.fit": lambda s, t: repr(
        sl.n2g.fit(opened(t, model=t["a"]), [t["latent"]], sae=s, config=FAST, progress=False)[t["latent"]]
    ),
    "explainability": lambda s, t: sl.n2g.explainability(
        opened(t, model=t["a"]), [t["latent"]], sae=s, config=FAST, progress=False
    )["mismatch"][0],
    "simulated_loss": lambda s, t: repr(
        sl.n2g.simulated_loss(t["index"], {t["latent"]: t["graph"]}, sae=s, progress=False)
    ),
    "heatmap": lambda s, t: repr(sl.heatmap(t["a"], s, "The red fox", [1], index=t["index"]).error),
    "steering_panel": lambda s, t: repr(sl.steering_panel(t["index"], sae=s).error),
    "relative=": lambda s, t: steered(t["a"], s, sl.steer, edits={t["latent"]: 2.0}, relative=t["index"]),
    "sweep": lambda s, t: repr(
        sl.sweep(t["a"], s, "The", [t["latent"]], [1], relative=t["index"], max_new_tokens=1, progress=False)
    ),
    "dashboard": lambda s, t: repr(opened(t, sae=s).dashboard(1).error),
    "table": lambda s, t: repr(opened(t, sae=s).table().error),
}
INDEX_AND_MODEL = {
    "LatentIndex.open": lambda m, t: repr(opened(t, model=m)),
    "index.model =": lambda m, t: assigned(t, "model", m),
}
ROWS_AND_MODEL = {
    "evaluate": lambda r, m, t: repr(sl.evaluate(m, t["sae"], r, progress=False)),
    "LatentIndex.build": lambda r, m, t: repr(sl.LatentIndex.build(m, t["sae"], r, progress=False)),
    "tokenize_texts": lambda r, m, t: repr(sl.tokenize_texts(m, r)),
    "ablation_sparsity": lambda r, m, t: sl.evaluation.ablation_sparsity(m, t["sae"], r, progress=False),
    "sparse_probing": lambda r, m, t: probed(m, t["sae"], r),
    "a graph's predict": lambda r, m, t: t["graph"].predict(r),
}


def probed(model, sae, rows=None):
    rows = models.tokenize_texts(model, SENTENCES * 20, context=16) if rows is None else rows
    return sl.evaluation.sparse_probing(model, sae, rows, {"even": rows.ids % 2 == 0}, progress=False)


def checked(model, sae):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return repr(sl.self_check(model, sae))


def refused_then_said(call, *pair, shown=True):
    """The call is refused; when the pair is allowed it goes through, and says so."""
    with pytest.raises(SaelabError, match=r"are not of one \w+: .*To go on all the same"):
        call()
    assert sl.allow_mismatch(*pair)
    out = call()
    assert not shown or "mismatch allowed" in out


@pytest.mark.parametrize("door", MODEL_AND_SAE)
def test_D03_a_model_and_an_sae_of_another(door, things):
    b, sae = things["b"], things["sae"]
    refused_then_said(lambda: MODEL_AND_SAE[door](b, sae, things), b, sae)


@pytest.mark.parametrize(
    "door", [d for d in MODEL_AND_SAE if d not in ("ablation_sparsity", "sparse_probing")]
)
def test_D03_the_same_model_under_another_name_is_the_same(door, things):
    moved = tiny_model()
    moved.cfg.model_name = "elsewhere"
    assert "mismatch allowed" not in MODEL_AND_SAE[door](moved, things["sae"], things)


@pytest.mark.parametrize("door", INDEX_AND_SAE)
def test_D01_an_index_and_another_sae(door, things):
    other = things["other"]
    refused_then_said(lambda: INDEX_AND_SAE[door](other, things), things["index"], other)


@pytest.mark.parametrize("door", INDEX_AND_MODEL)
def test_D01_an_index_and_another_model(door, things):
    refused_then_said(lambda: INDEX_AND_MODEL[door](things["b"], things), things["index"], things["b"])


@pytest.mark.parametrize(
    "door",
    {
        "heatmap": lambda m, s, x: sl.heatmap(m, s, x, [1]),
        "effects": lambda m, s, x: sl.effects(m, s, x, 1),
        "generate": lambda m, s, x: sl.generate(m, s, x, {1: 2.0}, max_new_tokens=2),
        "sweep": lambda m, s, x: sl.sweep(m, s, x, [1], [1.0], max_new_tokens=2, progress=False),
        "train": lambda m, s, x: sl.train(m, x, hook=HOOK, d_sae=32, k=4, **RUN),
        "tokenize_texts": lambda m, s, x: sl.tokenize_texts(m, x),
    }.items(),
    ids=lambda item: item[0],
)
def test_D02_what_another_model_wrote_and_rows_are_no_text_of_this_one(door, things):
    written = sl.generate(sl.load_model("zoo"), None, "GET", max_new_tokens=4)
    row = sl.tokenize_texts(sl.load_model("zoo"), "GET / HTTP/1.1")
    for given in (written, row):
        with pytest.raises(SaelabError, match="are not of one tokenizer|must be a"):
            door[1](things["a"], things["sae"], given)


@pytest.mark.parametrize("door", ROWS_AND_MODEL)
def test_D02_rows_of_another_tokenizer(door, things):
    call = functools.partial(ROWS_AND_MODEL[door], things["zoo_rows"], things["a"], things)
    with pytest.raises(SaelabError, match="are not of one tokenizer: .*sl.tokenize_texts"):
        call()
    assert sl.allow_mismatch(things["zoo_rows"], things["a"])
    if door != "a graph's predict":  # allowed, and still there is no such token
        with pytest.raises(
            SaelabError, match=r"token id \d+ is outside the model's vocabulary of \d+: ids are 0…"
        ):
            call()


def test_D02_rows_that_are_allowed_are_said(things):
    a, sae = things["a"], things["sae"]
    rows = sl.tokenize_texts(a, SENTENCES)
    foreign = models.TokenRows(rows.ids, rows.offsets, rows.doc, rows.start, rows.bos, "f" * 32)
    with pytest.raises(SaelabError, match="not of one tokenizer"):
        models.TokenRows.concatenate([rows, foreign])
    refused_then_said(lambda: ROWS_AND_MODEL["evaluate"](foreign, a, things), foreign, a)
    assert "mismatch allowed" in repr(sl.LatentIndex.build(a, sae, foreign, progress=False))


def test_D02_ids_out_of_range_are_named(things):
    for call in (
        lambda: models.forward(things["a"], torch.tensor([[0, 99_999]])),
        lambda: models.run_to_hooks(things["a"], torch.tensor([[0, -1]]), [HOOK]),
        lambda: sl.effects(things["a"], things["sae"], [0, 99_999], 1),
        lambda: sl.generate(things["a"], None, [0, 99_999]),
        lambda: sl.evaluate(
            things["a"], things["sae"], models.rows_from([(0, 0, [0, 99_999])], bos=True), progress=False
        ),
    ):
        with pytest.raises(SaelabError, match=r"token id (99999|-1) is outside"):
            call()


def test_D02_a_model_that_predicts_worse_than_chance_is_said(things):
    a = tiny_model()
    with torch.no_grad():
        a.original_model.transformer.wte.weight.mul_(30)
    report = sl.evaluate(a, random_sae(), SENTENCES, progress=False)
    assert report.ce_clean > np.log(models.vocab_size(a))
    assert any("worse than chance" in note for note in report.notes)
    zoo = sl.evaluate(sl.load_model("zoo"), sl.load_sae("zoo"), sl.zoo.texts(5), progress=False)
    assert not any("worse than chance" in note for note in zoo.notes)


def test_D03_a_model_moved_to_another_dtype_is_the_same(things):
    for dtype in ("bfloat16", "float16"):
        moved = tiny_model(dtype=dtype)
        assert sl.allow_mismatch(moved, things["sae"]) == ()
        assert sl.allow_mismatch(tiny_model().to(getattr(torch, dtype)), things["sae"]) == ()
        assert sl.allow_mismatch(tiny_model(seed=1, dtype=dtype), things["sae"]) != ()


def test_D03_processed_weights_are_another_model():
    zoo, sae = sl.load_model("zoo"), sl.load_sae("zoo")
    sl.effects(zoo, sae, "GET / HTTP/1.1", 3)
    zoo.enable_compatibility_mode()  # folds layer norm, centers weights
    with pytest.raises(SaelabError, match="folded layer norm or centered weights"):
        sl.effects(zoo, sae, "GET / HTTP/1.1", 3)
    unprocessed = sl.load_model("zoo")
    unprocessed.enable_compatibility_mode(no_processing=True)
    sl.effects(unprocessed, sae, "GET / HTTP/1.1", 3)


@pytest.mark.parametrize(
    ("said", "loaded", "same"),
    [
        ("gpt2-small", "gpt2", True),
        ("openai-community/gpt2", "gpt2-small", True),
        ("google/gemma-2-2b", "gemma-2-2b", True),
        ("mistral-7b", "mistralai/Mistral-7B-v0.1", True),
        ("gelu-2l", "NeelNanda/GELU_2L512W_C4_Code", True),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2", True),
        ("meta-llama/Llama-3.1-8B", "/models/llama-3.1-8b/", True),
        ("gpt2-medium", "gpt2", False),
        ("google/gemma-2-2b", "google/gemma-2-2b-it", False),
        ("", "gpt2", True),
    ],
)
def test_D03_names_agree_where_only_names_are_known(said, loaded, same):
    model, sae = ToyModel(), SAE(SAEConfig("topk", 12, 24, k=2, hook_in="first", model=said))
    model.cfg.model_name = loaded
    if same:
        assert identity.check_pair(model, sae) == ()
    else:
        with pytest.raises(SaelabError, match="are not of one model: .*under two names"):
            identity.check_pair(model, sae)


def test_D03_an_sae_keeps_its_model_when_it_is_saved_folded_and_trained_on(things, tmp_path):
    b, sae = things["b"], things["sae"]
    scaled = sl.train(things["a"], SENTENCES, hook=HOOK, d_sae=32, k=4, normalize="scale", **RUN)
    for kept in (sl.load_sae(sae.save(tmp_path / "sae")), scaled.fold(), copy.deepcopy(sae)):
        with pytest.raises(SaelabError, match="not of one model"):
            sl.effects(b, kept, "The red fox", 1)
    store = sl.ActivationStore.write(
        b, SENTENCES, HOOK, tmp_path / "store", tokens=64, context=16, progress=False
    )
    with pytest.raises(SaelabError, match="this store and this SAE .* are not of one model"):
        sl.train(store, init=sae, tokens=32, batch=32, progress=False)


def test_D01_graphs_keep_to_the_index_of_their_sae(things):
    graph, latent = things["graph"], things["latent"]
    foreign = sl.LatentIndex.build(things["a"], things["other"], SENTENCES, progress=False)
    node = graph.paths()[0]["node"]
    for call in (
        lambda: graph.score(foreign),
        lambda: graph.verify(node, foreign),
        lambda: graph.verify(node, sae=things["other"]),
        lambda: sl.n2g.simulated_loss(foreign, {latent: graph}, progress=False),
    ):
        with pytest.raises(SaelabError, match="not of one SAE"):
            call()
    sl.allow_mismatch(graph, foreign)
    graph.score(foreign)


def test_D01_indexes_of_two_saes_are_not_merged(things, tmp_path):
    foreign = sl.LatentIndex.build(things["a"], things["other"], ["Another text."], progress=False)
    paths = [things["index"].path, foreign.path]
    with pytest.raises(SaelabError, match="not of one SAE"):
        sl.LatentIndex.merge(paths, tmp_path / "both")
    sl.allow_mismatch(things["index"], foreign)
    assert "mismatch allowed" in repr(sl.LatentIndex.merge(paths, tmp_path / "both"))


def test_D01_what_was_allowed_stays_written_in_the_index(things, tmp_path):
    sl.allow_mismatch(things["b"], things["sae"])
    made = sl.LatentIndex.build(things["b"], things["sae"], SENTENCES, path=tmp_path / "i", progress=False)
    assert "mismatch allowed" in repr(made)
    identity._allowed.clear()  # another session
    assert "mismatch allowed" in repr(sl.LatentIndex.open(tmp_path / "i", sae=things["sae"]))


def test_D03_a_card_takes_the_report_of_its_sae_alone(things, tmp_path):
    from saelab.formats import publish

    report = sl.evaluate(things["a"], things["sae"], SENTENCES, progress=False)
    folder = things["other"].save(tmp_path)
    with pytest.raises(SaelabError, match="this report and this SAE .* are not of one SAE"):
        publish.card(things["other"], folder, "me/sae", "mit", report)


def test_D04_there_is_one_digest_of_an_sae_and_of_a_model(things, tmp_path):
    a, sae = things["a"], things["sae"]
    index, store = things["index"], sl.ActivationStore.write(
        a, SENTENCES, HOOK, tmp_path, tokens=64, context=16, progress=False
    )  # fmt: skip
    assert index.config["identity"]["model"] == store.origin.weights == models.digest(a)
    assert sae.record["identity"]["model_weights"] == models.digest(a)
    assert index.config["identity"]["SAE"] == identity.sae_digest(sae) == things["graph"].target["sae"]
    assert index.rows.vocabulary == models.vocabulary(a) == sl.tokenize_texts(a, SENTENCES).vocabulary


def test_D04_a_digest_is_made_once_and_again_when_weights_change(things, monkeypatch):
    made = []
    whole = identity._model_digest
    monkeypatch.setattr(identity, "_model_digest", lambda model: made.append(1) or whole(model))
    model, sae = tiny_model(), things["sae"]
    for _ in range(5):
        sl.effects(model, sae, "The red fox", 1)
        sl.generate(model, sae, "The", {1: 2.0}, max_new_tokens=2)
    assert len(made) == 1
    before = models.digest(model)
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    assert models.digest(model) != before
    assert len(made) == 2
    sae = copy.deepcopy(sae)
    before = identity.sae_digest(sae)
    with torch.no_grad():
        sae.b_enc += 1
    assert identity.sae_digest(sae) != before
    hashed = []
    monkeypatch.setattr(identity, "digest", lambda *parts: hashed.append(1) or "0")
    identity.sae_digest(sae)
    assert not hashed


def test_D74_a_change_that_torch_does_not_count_is_noticed(things):
    """``.data`` bumps no version."""
    model, index = tiny_model(), opened(things)
    changed = {name: copy.deepcopy(things["sae"]) for name, _ in things["sae"].named_parameters()}
    before = identity.sae_digest(things["sae"]), models.digest(model)
    for name, sae in changed.items():
        assert identity.sae_digest(sae) == before[0]
        getattr(sae, name).data.add_(0.5)
        assert identity.sae_digest(sae) != before[0], name
    with pytest.raises(SaelabError, match="not of one SAE"):
        index.sae = changed["W_dec"]
    next(model.parameters()).data.mul_(2)
    assert models.digest(model) != before[1]
    with pytest.raises(SaelabError, match="not of one model"):
        sl.LatentIndex.build(model, things["sae"], SENTENCES, progress=False)


def test_D74_a_sample_does_not_depend_on_how_numbers_lie_in_memory(things):
    sae, other = things["sae"], copy.deepcopy(things["sae"])
    other.W_dec = torch.nn.Parameter(sae.W_dec.detach().T.contiguous().T)
    assert not other.W_dec.is_contiguous()
    assert identity.sample(other) == identity.sample(sae)
    assert identity.sae_digest(other) == identity.sae_digest(sae)


def test_D02_a_vocabulary_is_the_same_whatever_was_read_before():
    """A model may have more logits than its tokenizer has tokens; another with the same tokenizer may not."""
    narrow, wide = tiny_model(), tiny_model()
    wide.tokenizer = narrow.tokenizer
    before = models.vocabulary(narrow)
    wide.cfg.d_vocab = 400
    models.token_bytes(wide)
    assert models.vocabulary(wide) == before == models.vocabulary(narrow)
    assert models.vocabulary(tiny_model(seed=1)) == before
    assert models.vocabulary(sl.load_model("zoo")) != before


def test_D02_rows_that_are_cut_joined_or_sharded_keep_their_vocabulary(things):
    rows = sl.tokenize_texts(things["a"], SENTENCES)
    for made in (sl.tokenize_texts(things["a"], rows, context=8), models.TokenRows.concatenate([rows, rows])):
        assert made.vocabulary == rows.vocabulary == models.vocabulary(things["a"])


# ------------------------------------------------------------------------- two of a kind, and what changes afterwards


@pytest.fixture(scope="module")
def twin(things):
    """A model of the same name with other weights, and what was made from it."""
    model = copy.deepcopy(things["b"])
    model.cfg.model_name = things["a"].cfg.model_name
    sae = sl.train(model, SENTENCES, hook=HOOK, d_sae=32, k=4, **RUN)
    index = sl.LatentIndex.build(model, sae, SENTENCES, progress=False)
    graph = sl.n2g.fit(index, [1], config=FAST, progress=False)[1]
    return {"model": model, "sae": sae, "index": index, "graph": graph}


@pytest.mark.parametrize("by", ["decoder", "encoder", "substitution"])
def test_D57_directions_of_two_models_are_not_matched_whatever_their_name(by, things, twin):
    pair = (things["index"], twin["index"]) if by == "substitution" else (things["sae"], twin["sae"])
    refused_then_said(lambda: sl.match(*pair, by=by), *pair, shown=False)
    assert "mismatch allowed" in sl.match(*pair, by=by).of


def test_D57_a_model_loaded_twice_is_one_model(things):
    index = opened(things, model=copy.deepcopy(things["a"]), sae=things["sae"])
    assert (
        sl.match(things["index"], index, by="substitution", latents=[things["latent"]]).by == "substitution"
    )


def test_D57_graphs_that_are_compared_are_of_one_tokenizer_and_index(things, twin):
    mine = things["graph"]
    both = {"graphs": [mine, twin["graph"]], "latent": mine.latent}
    assert sl.n2g.similar(**both).columns.tolist() == ["latent", "similarity", "text"]
    with pytest.raises(SaelabError, match="not of one SAE"):
        sl.n2g.similar(**both, by="predictions", index=things["index"])
    zoo = sl.n2g.PatternGraph.from_json(mine.to_json() | {"target": {"latent": 0}})
    zoo.fit_info["vocabulary"] = things["zoo_rows"].vocabulary
    for call in (sl.n2g.duplicates, lambda g: sl.n2g.search(g, activating=3)):
        with pytest.raises(SaelabError, match="not of one tokenizer"):
            call([mine, zoo])
        with pytest.raises(SaelabError, match=f"two graphs of latent {mine.latent}"):
            call([mine, mine.copy()])
    with pytest.raises(SaelabError, match=f"given for latent {mine.latent + 1} is of latent {mine.latent}"):
        sl.n2g.simulated_loss(things["index"], {mine.latent + 1: mine}, progress=False)


def test_D57_what_changes_after_it_was_attached_is_compared_again(things):
    index = opened(things, model=copy.deepcopy(things["a"]), sae=copy.deepcopy(things["sae"]))
    queries = (index.nearest, index.logit_lens)
    for ask in queries:
        ask(1)
    with torch.no_grad():
        index.sae.W_enc.mul_(2)
    for ask in (*queries, lambda latent: index.positions()):
        with pytest.raises(SaelabError, match="not of one SAE"):
            ask(1)
    index.sae = things["sae"]
    with torch.no_grad():
        next(index.model.parameters()).add_(0.3)
    with pytest.raises(SaelabError, match="not of one model"):
        index.logit_lens(1)

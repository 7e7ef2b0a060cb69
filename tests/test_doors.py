"""What every public entry point accepts, and what a wrong thing gets there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch
from doors import WRONG, kinds, parameters, recorded, state, tried
from helpers import SENTENCES, random_sae, tiny_model
from test_docs import PUBLIC

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
    # what is read once gives a run no sample of the whole text to begin with
    wanted = [MANY[door](tiny, sae, t, tmp_path_factory) for t in (TEXTS, iter(TEXTS))]
    for form, texts in many(tiny).items():
        once = isinstance(texts, Iterator)
        for got, want in zip(MANY[door](tiny, sae, texts, tmp_path_factory), wanted[once], strict=True):
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
        if kind == "none" and door == "calibrate":  # that begins with BOS alone
            continue
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


# ------------------------------------------------------------------------- every argument of every function

# what a user's session is made of; the parts of a model and of a graph are read by those who write code for them
ROOMS = (
    "n2g.fit",
    "n2g.explain",
    "n2g.sim",
    "n2g.search",
    "n2g.dup",
    "n2g.N2GConfig.",
    "n2g.PatternGraph",
    "evaluation",
    "widgets",
    "words",
)
OF_A_RUN = tuple(f"widgets.TrainingMonitor.{n}" for n in ("begin", "step", "end"))  # what a run calls
DOORS = [n for n, _ in PUBLIC if n not in OF_A_RUN and (n.split(".")[0] in sl._WHERE or n.startswith(ROOMS))]
# an example that makes no call of it: errors that are raised and not made, and methods without arguments
NO_CALL = ("SaelabError", "HookError")
# a search through all packages that are installed, however many match
LONG = {("package_texts", "min_chars"), ("package_texts", "max_chars")}


@pytest.fixture(scope="module")
def names():
    model, sae = tiny_model(), random_sae(k=6)
    texts = [s.replace("🙂", "") for s in SENTENCES] + ["The dog sat.", "GET / HTTP/1.1", "A fox ran."]
    index = sl.LatentIndex.build(model, sae, texts, progress=False)
    latent = int(index.counts.argmax())
    graph = sl.n2g.fit(index, [latent], progress=False)[latent]
    return {
        "sl": sl, "np": np, "torch": torch, "model": model, "sae": sae, "texts": texts, "index": index, "latent": latent,
        "graph": graph,
    }  # fmt: skip


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.filterwarnings("ignore")
def test_D39_every_argument_takes_every_kind_of_thing_or_says_why_not(name, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, sae = names["model"], names["sae"]
    function, args, options = recorded(sl, name, names | {"folder": tmp_path})
    if args is None:
        args, options = {"SAE": ((sae, sae.config), {})}.get(name, (None, None))
    if args is None:
        assert name in NO_CALL or not parameters(function) or name.startswith(("widgets", "evaluation")), (
            "no example calls it"
        )
        return
    before, wrong = state(model), []
    for parameter in parameters(function):
        for kind in kinds(tmp_path, sae) if (name, parameter) not in LONG else ():
            value = kinds(tmp_path, sae)[kind]
            # the example of push_to_hub is refused for its repository, before anything else
            named = kind in WRONG and name != "push_to_hub"
            found = tried(function, args, options, parameter, value, model, named)
            wrong += [f"{parameter} = {kind}: {found}"] if found else []
    assert not wrong, "\n".join(wrong)
    assert state(model) == before


def test_D39_the_cases_that_were_tried(tiny, sae, tmp_path):
    index = sl.LatentIndex.build(tiny, sae, TEXTS, progress=False)
    for wrong in (1.0, True, np.bool_(True), torch.tensor(True), "3", [True], [1.0], []):
        with pytest.raises(SaelabError, match="latent"):
            sl.heatmap(tiny, sae, "a", latents=wrong)
    for call in (sl.n2g.explainability, index.to_openai):
        with pytest.raises(SaelabError, match="latents is empty"):
            call(latents=[], **({"folder": tmp_path} if call == index.to_openai else {"index": index}))
    assert not list(tmp_path.iterdir())
    shown = sl.widgets.ActivationHeatmap(
        [["a", "b"]], [torch.tensor([1.0, 2.0], dtype=torch.bfloat16)], vmax=np.float32(2)
    )
    assert shown.to_frame()["activation"].tolist() == [1.0, 2.0]
    shown.vmax = np.float32(3)
    assert shown.vmax == 3.0
    for name, wrong in (("vmax", "3"), ("vmax", True), ("page", 1.5), ("latent", True)):
        with pytest.raises(SaelabError, match=name):
            setattr(shown, name, wrong)
    for mask in ([[True]], torch.ones(1, 3), "abc"):
        with pytest.raises(SaelabError, match="mask must be"), sl.attach(tiny, sae, mask=mask):
            pass
    with sl.attach(tiny, sae, mask=np.array([[True, False, True]])) as spliced:
        models.forward(tiny, torch.tensor([[0, 5, 7]]))
    assert spliced.codes.lead == (1, 3)
    with pytest.raises(SaelabError, match="hook point is named twice"):
        sl.train(tiny, TEXTS, **(SMALL | {"hook": (HOOK, HOOK)}))
    x = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    assert torch.equal(sae.encode(x), sae.encode(torch.from_numpy(x)))


def test_D61_what_was_silent_or_raw(tiny, sae, tmp_path):
    index = sl.LatentIndex.build(tiny, sae, TEXTS, progress=False)
    latent = int(index.counts.argmax())
    x = {"a": torch.randn(6, 16)}
    reports = sl.evaluate_many(tiny, [sae], TEXTS, progress=False)
    other = random_sae(d_sae=128).encode_sparse(torch.ones(2, 16))
    for call, word in {
        lambda: index.set_label({1: "a"}, "b"): "each latent of the dict brings its text; leave out 'b'",
        lambda: index.set_label({"1": "a"}): "a key of latent must be a whole number, got '1'",
        lambda: index.to_neuronpedia(tmp_path, [latent], model_id="m", source="s", n_tops=3): "Did you mean 'n_top'",
        lambda: index.to_neuronpedia(tmp_path, [latent], model_id="m", source="s", n_top="3"): "n_top must be",
        lambda: sl.attribute(tiny, sae, "The red fox", metric=lambda z: z.sum(), target=3): "leave out target",
        lambda: sl.ActivationStore.of(x, where=np.full((6, 2), 1 << 40)): "it goes from -1 to 2,147,483,647",
        lambda: sl.ActivationStore.write(tiny, TEXTS, [], tmp_path / "s", progress=False): "hooks is empty",
        lambda: reports[1]: "unknown SAE 1",
        lambda: sae.decode(other): "these codes are of 128 latents, this SAE has",
    }.items():  # fmt: skip
        with pytest.raises(SaelabError, match=word):
            call()
    graph = sl.n2g.fit(index, [latent], config=sl.n2g.N2GConfig.fast(), progress=False)[latent]
    for key, wrong in {
        "target": {"latent": "x"},
        "scale": "1",
        "fit": [],
        "metrics": 3,
        "edits": [1],
    }.items():
        with pytest.raises(
            SaelabError, match="latent of the graph must be|graph is not of the form it should have"
        ):
            sl.n2g.PatternGraph.from_json(graph.to_json() | {key: wrong})
    with pytest.raises(SaelabError, match="n must be at least 1"):
        sl.n2g.similar([graph], latent, n=-1)


def test_D61_a_mistake_in_a_score_costs_one_text(tiny, sae):
    """Not the whole sweep: each text is scored when it is written."""
    seen = []
    with pytest.raises(ZeroDivisionError):
        sl.sweep(
            tiny, sae, "The", [1], [1, 2, 3], score=lambda text: seen.append(text) or 1 / 0, max_new_tokens=2,
            progress=False,
        )  # fmt: skip
    assert len(seen) == 1


# ------------------------------------------------------------------------------- what is easily mistaken


@pytest.fixture(scope="module")
def index(tiny, sae):
    return sl.LatentIndex.build(tiny, sae, ["The red fox"], progress=False)


def steered(model, sae, how=sl.steer, **more):
    with how(model, sae, **more):
        pass


CALLS = {
    "build": lambda m, s, i: sl.LatentIndex.build(m, s, ["a"], progress=False),
    "open": lambda m, s, i: sl.LatentIndex.open(i.path, sae=s, model=m),
    "evaluate": lambda m, s, i: sl.evaluate(m, s, ["a"], progress=False),
    "evaluate_many": lambda m, s, i: sl.evaluate_many(m, [s], ["a"], progress=False),
    "heatmap": lambda m, s, i: sl.heatmap(m, s, "a", latents=[1]),
    "effects": lambda m, s, i: sl.effects(m, s, "a", 1),
    "effect_map": lambda m, s, i: sl.effect_map(m, s, "a", 1),
    "attribute": lambda m, s, i: sl.attribute(m, s, "a"),
    "steer": lambda m, s, i: steered(m, s, edits={1: 2.0}),
    "attach": lambda m, s, i: steered(m, s, how=sl.attach),
    "generate": lambda m, s, i: sl.generate(m, s, "a", {1: 2.0}),
    "compare": lambda m, s, i: sl.compare(m, s, "a", edits={1: 2.0}),
    "sweep": lambda m, s, i: sl.sweep(m, s, ["a"], [1], [1.0]),
    "calibrate": lambda m, s, i: sl.calibrate(m, s, [1], ["a"], progress=False),
    "steering_panel": lambda m, s, i: sl.steering_panel(model=m, sae=s),
    "steering_success": lambda m, s, i: sl.steering_success(m, s, {"a": [1]}, str, relative={1: 1.0}),
    "fit": lambda m, s, i: sl.n2g.fit(i, [1], model=m, sae=s, progress=False),
    "simulated_loss": lambda m, s, i: sl.n2g.simulated_loss(i, {}, model=m, sae=s),
    "probe_loss": lambda m, s, i: sl.evaluation.probe_loss(m, s, i.rows, {}),
    "ablation_sparsity": lambda m, s, i: sl.evaluation.ablation_sparsity(m, s, ["a"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_model_and_sae_are_not_each_other(call, tiny, sae, index):
    with pytest.raises(SaelabError, match="in each other's place"):
        CALLS[call](sae, tiny, index)


@pytest.mark.parametrize("call", CALLS)
def test_names_are_loaded_first(call, tiny, sae, index):
    with pytest.raises(SaelabError, match="model must be .* got the text 'zoo': load it first"):
        CALLS[call]("zoo", sae, index)
    with pytest.raises(SaelabError, match="saes? must be .* got the text 'zoo': load it first"):
        CALLS[call](tiny, "zoo", index)


def test_several_saes_are_no_text(tiny):
    with pytest.raises(SaelabError, match="saes must be a list of SAEs or a dict, got 'zoo'"):
        sl.evaluate_many(tiny, "zoo", ["a"])


@pytest.mark.parametrize("call", [sl.train, sl.ActivationStore.write], ids=["train", "write"])
def test_training_wants_a_model(call, sae):
    with pytest.raises(SaelabError, match="model must be"):
        call(sae, ["a"], HOOK, "nowhere") if call is not sl.train else call(sae, ["a"], hook=HOOK, d_sae=8)


def test_an_unknown_keyword_of_generate_has_a_nearest_one(tiny, sae):
    with pytest.raises(SaelabError, match=r"unknown keyword 'max_tokens'\. Did you mean 'max_new_tokens'"):
        sl.generate(tiny, None, "a", max_tokens=3)
    with pytest.raises(SaelabError, match="unknown keyword 'position'. Did you mean 'positions'"):
        sl.compare(tiny, sae, "a", {1: 2.0}, position="all")


def test_names_that_are_twice_or_not_there_and_what_a_list_should_be(tiny, sae):
    for call, said in (
        (lambda: sl.Direction.from_texts(tiny, ["a"], ["b"], hook=HOOK), "hook is given by name and by place too"),
        (lambda: sl.evaluation.absorption(tiny, sae), "absorption needs rows and labels; its order is"),
        (lambda: sl.evaluation.probe_loss(tiny, sae, TEXTS, {}), r"a TokenRows, got a list; rows = sl.tokenize_texts\("),
        (lambda: sl.steering_success(tiny, sae, [3]), "candidates must be a dict {concept: its latents}, got a list"),
        (lambda: sl.training_monitor("nofolder"), "there is no folder 'nofolder'"),
        (lambda: sl.words.score(sae, str), "must be an Explanations or a list of Explanations, got an SAE"),
    ):  # fmt: skip
        with pytest.raises(SaelabError, match=said):
            call()

"""What is easily mistaken is said, before any work: model and SAE in each other's place, a name where the thing
itself is wanted, a keyword that does not exist."""

import pytest

import saelab as sl
from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig

HOOK = "blocks.0.hook_resid_post"


@pytest.fixture(scope="module")
def sae():
    return SAE(SAEConfig("topk", 16, 24, k=2, hook_in=HOOK))


@pytest.fixture(scope="module")
def index(tiny, sae):
    return sl.LatentIndex.build(tiny, sae, ["The red fox"], progress=False)


def steer(model, sae, how=sl.steer, **more):
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
    "steer": lambda m, s, i: steer(m, s, edits={1: 2.0}),
    "attach": lambda m, s, i: steer(m, s, how=sl.attach),
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
    with pytest.raises(SaelabError, match="sae must be .* got the text 'zoo': load it first"):
        CALLS[call](tiny, "zoo", index)


def test_several_saes_are_no_text(tiny):
    with pytest.raises(SaelabError, match="got the text 'zoo'"):
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

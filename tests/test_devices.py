"""Model and SAE on different devices, and on one that is not the CPU; the device is a pretended one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pretended
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_folder, tiny_model

import saelab as sl
from saelab.evaluation import ablation_sparsity, absorption, probe_loss, probe_perturbation, sparse_probing
from saelab.interventions.edits import MODES
from saelab.n2g.fit.probe import Prober
from saelab.sae.archs import ARCHS
from saelab.training.spec import make_options

pretended.install()  # while tests are collected: autograd counts the devices when it first runs
HOOK = "blocks.0.hook_resid_post"
WORDS = " ".join(SENTENCES).split()
TEXTS = [" ".join(np.random.default_rng(i).choice(WORDS, 12)) for i in range(40)]
PLACES = [("cpu", "cpu"), ("cpu", "pretend"), ("pretend", "cpu"), ("pretend", "pretend")]


class World:
    """Model and SAE, each on its device, and an index of them."""

    def __init__(self, on: tuple[str, str]):
        self.model = tiny_model() if on[0] == "cpu" else sl.load_model(tiny_folder(), device=on[0])
        self.sae = random_sae().to(on[1])
        self.index = sl.LatentIndex.build(self.model, self.sae, TEXTS, progress=False)
        self.latent = int(self.index.counts.argmax())
        self.rows = self.index.rows
        ids = self.rows.ids
        self.labels = {"even": ids % 2 == 0, "even.fourth": ids % 4 == 0, "even.sixth": ids % 6 == 0}

    @functools.cached_property
    def graph(self) -> Any:
        config = sl.n2g.N2GConfig.fast(n_train=4)
        return sl.n2g.fit(self.index, [self.latent], config=config, progress=False)[self.latent]


@functools.cache
def world(on: tuple[str, str]) -> World:
    return World(on)


def steered(mode: str) -> Callable[[World], Any]:
    def call(w: World) -> Any:
        with sl.steer(w.model, w.sae, {w.latent: 2.0}, mode=mode):
            return sl.models.forward(w.model, torch.tensor([[0, 5, 7]])).cpu()

    return call


def attached(w: World) -> Any:
    with sl.attach(w.model, w.sae, error=True), torch.no_grad():
        return sl.models.forward(w.model, torch.tensor([[0, 5, 7]])).cpu()


def written(w: World, **given: Any) -> list[int]:
    made = sl.generate(
        w.model, w.sae, "The red fox", given.pop("edits", {w.latent: 4.0}), max_new_tokens=4, **given
    )
    return made.texts


def checked(w: World) -> Any:
    with pytest.warns(UserWarning, match="loaded wrongly"):  # it is a random SAE
        return sl.self_check(w.model, w.sae).explained_variance


QUIET = {"progress": False}
# everything public that takes a model and an SAE, or an index of them, and what it gives as numbers or texts
CALLS: dict[str, Callable[[World], Any]] = {
    "encode": lambda w: w.sae.encode(torch.ones(2, 16)).cpu(),
    "forward": lambda w: w.sae(torch.ones(2, 16)).error.detach().cpu(),
    "decode": lambda w: w.sae.decode(torch.ones(2, 64)).detach().cpu(),
    "index": lambda w: w.index.to_frame().drop(columns="label", errors="ignore"),
    "evaluate": lambda w: sl.evaluate(w.model, w.sae, TEXTS, **QUIET).values,
    "evaluate_many": lambda w: sl.evaluate_many(w.model, [w.sae, w.sae], TEXTS, **QUIET)[1].values,
    "probe_loss": lambda w: probe_loss(w.model, w.sae, w.rows, w.labels, **QUIET),
    "sparse_probing": lambda w: sparse_probing(w.model, w.sae, w.rows, w.labels, **QUIET),
    "probe_perturbation": lambda w: probe_perturbation(w.model, w.sae, w.rows, w.labels, n=(2,)),
    "absorption": lambda w: absorption(w.model, w.sae, w.rows, w.labels),
    "ablation_sparsity": lambda w: ablation_sparsity(w.model, w.sae, TEXTS, positions=4, ahead=2, **QUIET),
    "fit": lambda w: w.graph.text(),
    "verify": lambda w: w.graph.verify(w.graph.paths()[0]["node"]),
    "explainability": lambda w: sl.n2g.explainability(
        w.index, [w.latent], config=sl.n2g.N2GConfig.fast(n_train=4), **QUIET
    ),
    "simulated_loss": lambda w: sl.n2g.simulated_loss(w.index, {w.latent: w.graph}, **QUIET).__dict__,
    "heatmap": lambda w: sl.heatmap(w.model, w.sae, "The red fox", [w.latent]).to_frame(),
    "effects": lambda w: sl.effects(w.model, w.sae, "The red fox ran", w.latent).frame,
    "direct effects": lambda w: sl.effects(w.model, w.sae, "The red fox ran", w.latent, direct=True).frame,
    "effect_map": lambda w: sl.effect_map(sl.effects(w.model, w.sae, "The red fox ran", w.latent)).to_frame(),
    "attribute": lambda w: sl.attribute(w.model, w.sae, "The red fox ran").frame,
    **{f"steer {mode}": steered(mode) for mode in MODES},
    "attach": attached,
    "generate": written,
    "generate without a cache": lambda w: written(w, cache=False),
    "generate when": lambda w: written(w, when=w.latent, schedule=(1.0, 0.5)),
    "compare": lambda w: sl.compare(
        w.model, w.sae, "The red fox", {w.latent: 4.0}, max_new_tokens=3
    ).frame,
    "sweep": lambda w: sl.sweep(
        w.model, w.sae, "The red fox", [w.latent], [0.0, 2.0], max_new_tokens=3, **QUIET
    ).frame,
    "calibrate": lambda w: sl.calibrate(
        w.model, w.sae, [w.latent], ["The"], relative=w.index, strengths=[2], n=2, max_new_tokens=3, **QUIET
    ).frame,
    "steering_scores": lambda w: sl.steering_scores(w.index, [w.latent], prompts=["The red"], **QUIET).frame,
    "steering_success": lambda w: sl.steering_success(
        w.model, w.sae, {"a": w.latent, "b": 1}, lambda text: "a" if "a" in text else None, relative=w.index,
        strengths=(2,), n=2, tune=2, controls=1, max_new_tokens=3, **QUIET,
    ).frame,
    "steering_panel": lambda w: sl.steering_panel(w.index).title(),
    "self_check": checked,
    "dashboard": lambda w: w.index.dashboard(w.latent).fallback()[:50],
    "table": lambda w: w.index.table().to_frame(),
    "map": lambda w: w.index.map().to_frame(),
    "nearest": lambda w: w.index.nearest(w.latent),
    "positions": lambda w: w.index.positions(),
    "logit_lens": lambda w: w.index.logit_lens(w.latent),
    "train": lambda w: sl.train(
        w.model, TEXTS, hook=HOOK, d_sae=32, k=4, tokens=64, batch=16, **QUIET
    ).W_dec.detach().cpu(),
    "train init": lambda w: sl.train(w.model, TEXTS, init=w.sae, tokens=64, batch=16, **QUIET).W_dec.detach().cpu(),
    "fold": lambda w: w.sae.fold().W_enc.detach().cpu(),
    "decoder_norms": lambda w: w.sae.decoder_norms().detach().cpu(),
    "html": lambda w: w.sae._repr_html_(),
}  # fmt: skip


def same(a: Any, b: Any) -> None:
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    elif hasattr(a, "columns"):
        assert list(a.columns) == list(b.columns)
        assert len(a) == len(b)
        for name in a.columns:
            same(a[name].tolist(), b[name].tolist())
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, dict):
        same(list(a), list(b))
        same(list(a.values()), list(b.values()))
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4, nan_ok=True)
    else:
        assert a == b


@pytest.mark.parametrize("on", PLACES[1:], ids="model {0[0]}, sae {0[1]}".format)
@pytest.mark.parametrize("name", CALLS)
def test_D42_every_call_gives_the_same_wherever_model_and_sae_are(name, on):
    same(CALLS[name](world(PLACES[0])), CALLS[name](world(on)))


# ------------------------------------------------------------------------------------------------ where things go


def test_D42_a_trained_sae_stays_where_the_model_is_unless_device_says_otherwise(tmp_path):
    w = world(("pretend", "cpu"))
    asked = {"hook": HOOK, "d_sae": 32, "k": 4, "tokens": 64, "batch": 16, **QUIET}
    assert sl.train(w.model, TEXTS, **asked).W_dec.device.type == "pretend"
    assert sl.train(w.model, TEXTS, **asked, device="cpu").W_dec.device.type == "cpu"
    assert sl.train(w.model, TEXTS, init=w.sae, tokens=64, batch=16, **QUIET).W_dec.device.type == "pretend"
    many = sl.train_many(
        w.model, TEXTS, [{"d_sae": 32, "k": 4}], hook=HOOK, tokens=64, batch=16, device="cpu", **QUIET
    )
    assert many[0].W_dec.device.type == "cpu"
    store = sl.ActivationStore.of({"mine": torch.randn(100, 8)})
    small = {"d_sae": 16, "k": 2, "batch": 20, **QUIET}
    assert sl.train(store, **small).W_dec.device.type == "cpu"
    assert sl.train(store, device="pretend", **small).W_dec.device.type == "pretend"
    kept = asked | {"out": tmp_path / "run"}
    sl.train(w.model, TEXTS, **kept)
    assert sl.train(w.model, TEXTS, **kept, resume=True).W_dec.device.type == "pretend"
    assert sl.load_sae(tmp_path / "run").W_dec.device.type == "cpu"


@pytest.mark.parametrize("arch", ["topk", "batchtopk", "matryoshka", "relu", "gated", "jumprelu"])
def test_D42_a_run_is_the_same_on_another_device_and_goes_on_there(arch, tmp_path):
    store = sl.ActivationStore.of({"mine": torch.randn(400, 8, generator=torch.Generator().manual_seed(0))})
    asked = {
        "d_sae": 24,
        "k": 3,
        "arch": arch,
        "batch": 20,
        "tokens": 320,
        "ema": 0.9,
        "dead_after": 40,
        "precision": "float32",
        **QUIET,
    }
    want = sl.train(store, **asked)
    kept = asked | {"out": tmp_path / "run", "checkpoint_every": 100, "device": "pretend"}
    stopped = sl.train(store, **kept, on_log=lambda trainer: trainer.done < 8)
    assert stopped.record["tokens"] < 320
    got = sl.train(store, **kept, resume=True)
    assert got.W_dec.device.type == "pretend"
    for name, p in got.named_parameters():
        torch.testing.assert_close(p.detach().cpu(), dict(want.named_parameters())[name].detach(), msg=name)


def test_D42_a_loaded_sae_goes_where_the_model_is_unless_device_says_otherwise(tmp_path):
    w = world(("pretend", "cpu"))
    path = w.sae.save(tmp_path / "sae")
    assert sl.load_sae(path).W_dec.device.type == "cpu"
    assert sl.load_sae(path, model=w.model, check=False).W_dec.device.type == "pretend"
    assert sl.load_sae(path, model=w.model, check=False, device="cpu").W_dec.device.type == "cpu"
    assert sl.load_sae(path, device="pretend").W_dec.device.type == "pretend"


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "meta", "cud", 3.5, None])
def test_D43_a_device_that_is_not_there_is_named_before_files_are_read(device, tmp_path):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("it is there")
    store = sl.ActivationStore.of({"mine": torch.randn(100, 8)})
    calls = {
        "load_model": lambda: sl.load_model(tmp_path / "nothing", device=device),
        "load_sae": lambda: sl.load_sae(tmp_path / "nothing", device=device),
        "train": lambda: sl.train(store, d_sae=16, k=2, batch=20, device=device, **QUIET),
        "train_many": lambda: sl.train_many(
            store, None, [{"d_sae": 16, "k": 2}], batch=20, device=device, **QUIET
        ),
    }
    for name in calls:
        if device is None and name != "load_model":
            continue  # None is the model's own
        with pytest.raises(
            sl.SaelabError,
            match=r"device .*(not available here; available: cpu|Allowed: cpu|must be a string)",
        ):
            calls[name]()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB free."),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
        ),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "mps", "numpy"],
)
def test_D43_no_memory_is_said_with_what_it_takes_and_what_to_do(error, monkeypatch, tmp_path):
    w = World(("cpu", "cpu"))
    w.sae.save(tmp_path / "sae")

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    ids = torch.tensor([[0, 5]])
    from transformer_lens.model_bridge import TransformerBridge

    doors = {  # what fails, in whom, and the setting that is to be named
        "load_model": (TransformerBridge, "boot_transformers", lambda: sl.load_model(tiny_folder()), "dtype"),
        "load_sae": (sl.formats, "_read", lambda: sl.load_sae(tmp_path / "sae"), "dtype"),
        "move": (sl.SAE, "to", lambda: sl.load_sae(tmp_path / "sae"), r"at least .*dtype"),
        "model": (type(w.model), "forward", lambda: sl.models.forward(w.model, ids), "at least .*batch_tokens"),
        "encode": (sl.SAE, "_pre", lambda: w.sae.encode(torch.ones(2, 16)), "at least .*batch_tokens"),
        "index": (
            sl.SAE, "_pre", lambda: sl.LatentIndex.build(w.model, w.sae, TEXTS, **QUIET), "batch_tokens",
        ),
        "evaluate": (sl.SAE, "_pre", lambda: sl.evaluate(w.model, w.sae, TEXTS, **QUIET), "batch_tokens"),
        "evaluate's losses": (
            sl.evaluation.head, "_losses", lambda: sl.evaluate(w.model, w.sae, TEXTS, **QUIET), "batch_tokens",
        ),
        "train": (
            sl.training.Trainer, "step", lambda: sl.train(w.model, TEXTS, init=w.sae, tokens=64, batch=16, **QUIET),
            "at least .*d_sae",
        ),
    }  # fmt: skip
    for name, (owner, what, call, hint) in doors.items():
        with monkeypatch.context() as patch:
            patch.setattr(owner, what, fail)
            with pytest.raises(sl.SaelabError, match=f"(?s)^out of memory.*{hint}"):
                call()
            assert name


def test_D28_a_device_whose_numbers_are_not_the_cpus_is_named():
    with (
        pretended.faulty(0.05),
        pytest.raises(sl.SaelabError, match=r"device 'pretend' gives other numbers.*limit 0\.01"),
    ):
        sl.load_model(tiny_folder(), device="pretend")
    with pretended.faulty(float("nan")), pytest.raises(sl.SaelabError, match="device 'pretend'"):
        sl.load_model(tiny_folder(), device="pretend")
    with pretended.faulty(0.05):
        assert sl.models.device(sl.load_model(tiny_folder(), device="pretend", check=False)).type == "pretend"
    with pretended.faulty(1e-6):  # rounding
        sl.load_model(tiny_folder(), device="pretend")
    for dtype in ("bfloat16", "float16"):  # rounds more, and is not wrong
        with pretended.faulty(1e-3):
            sl.load_model(tiny_folder(), device="pretend", dtype=dtype)
        with pretended.faulty(5.0), pytest.raises(sl.SaelabError, match="device 'pretend'"):
            sl.load_model(tiny_folder(), device="pretend", dtype=dtype)


# ------------------------------------------------------------------------------------------------- who waits for it

# waits for the device in a training step, until latents can be dead; from then on one more where dead ones are revived:
# one for what fires, and one for what is above 0 where that is another question
STEP = {"topk": 1, "batchtopk": 1, "matryoshka": 1, "relu": 1, "gated": 2, "jumprelu": 2}
REVIVED = {"topk", "batchtopk", "matryoshka", "jumprelu"}


@pytest.mark.parametrize("arch", STEP)
def test_D42_a_training_step_waits_for_the_device_no_more_than_it_needs(arch):
    config = sl.SAEConfig(arch, d_in=8, d_sae=24, k=3 if ARCHS[arch].needs_k else None)
    recipe = sl.training.TrainConfig(tokens=1000, batch=20, dead_after=200, precision="float32")
    options = make_options(arch, {"resample": 0} if arch in ("relu", "gated") else {}, 3)
    trainer = sl.training.Trainer(random_like(config).to("pretend"), recipe, 1.0, 50, options)
    for step in range(20):
        with pretended.waits() as count:
            trainer.step(torch.randn(20, 8, generator=torch.Generator().manual_seed(step)))
        later = int(arch in REVIVED and step > 10)
        assert sum(count.values()) == STEP[arch] + later, count


def random_like(config: sl.SAEConfig) -> sl.SAE:
    sae = sl.SAE(config)
    with torch.no_grad():
        for p in (sae.W_enc, sae.W_dec):
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    return sae


def own(count: Any) -> int:
    """Waits in the library itself."""
    return sum(n for where, n in count.items() if "the model" not in where)


def test_D42_indexing_waits_for_the_device_four_times_a_batch():
    w = world(("pretend", "pretend"))
    counts, batches = [], []
    for n in (20, 40):
        with pretended.waits() as count:
            sl.LatentIndex.build(w.model, w.sae, TEXTS[:n], batch_tokens=128, **QUIET)
        counts.append(own(count))
        batches.append(sum("codes" in where for where in count.elements()))
    assert counts[1] - counts[0] == 4 * (batches[1] - batches[0]) > 0


def test_D42_evaluation_waits_for_the_device_six_times_a_batch():
    """It was 43: two for the means, one for active latents, two for their sums, one for all losses."""
    w = world(("pretend", "pretend"))
    counts, batches = [], []
    for n in (20, 40):
        with pretended.waits() as count:
            sl.evaluate(w.model, w.sae, TEXTS[:n], batch_tokens=128, **QUIET)
        counts.append(own(count))
        batches.append(sum("codes" in where for where in count.elements()))
    assert counts[1] - counts[0] == 6 * (batches[1] - batches[0]) > 0


def test_D42_probing_waits_for_the_device_twice_a_pass():
    w = world(("pretend", "pretend"))
    prober = Prober(w.model, w.sae, [w.latent, 1], bos=0, batch_tokens=64)
    with pretended.waits() as count:
        prober.ask([tuple(range(1, n)) for n in range(2, 20)])
    assert own(count) == 2 * prober.forwards > 2  # for what fires, and for the answer


def test_D42_generation_waits_for_the_device_twice_a_token():
    w = world(("pretend", "pretend"))
    counts = []
    for n in (4, 8):
        with pretended.waits() as count:
            sl.generate(w.model, w.sae, "The red fox", {w.latent: 4.0}, max_new_tokens=n, stop_at_end=False)
        counts.append(own(count))
    assert counts[1] - counts[0] == 2 * 4

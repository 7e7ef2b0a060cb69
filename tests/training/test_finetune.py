"""Training that goes on from an SAE that exists."""

import pytest
import torch
from kinds import make
from toy import ToyModel, texts

import saelab as sl
from saelab.errors import SaelabError
from saelab.identity import sae_digest
from saelab.sae import SAE, SAEConfig

RUN = {"tokens": 6000, "batch": 100, "buffer": 1000, "progress": False}
LED = {"relu": {"k": 4}, "gated": {"k": 4}, "jumprelu": {"k": 4}}  # these do not say how sparse they are


@pytest.fixture(scope="module")
def toy():
    return ToyModel()


def go_on(model, init, **changes):
    return sl.train(model, texts(), init=init, **(RUN | LED.get(init.config.arch, {}) | changes))


def first(model, **changes):
    settings = {"hook": "first", "d_sae": 48, "k": 4, "lr": 3e-3}
    return sl.train(model, texts(), **(RUN | settings | changes))


def rows(model, n=400):
    from saelab import models

    with torch.no_grad():
        found = models.tokenize_texts(model, texts(60, seed=5))
        x = [
            models.run_to_hooks(model, b.ids, ["first"], b.mask)["first"][b.mask] for b in found.batches(512)
        ]
    return torch.cat(x)[:n]


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"normalize": "scale"},
        {"normalize": "layer_norm"},
        {"arch": "relu"},
        {"arch": "gated"},
        {"arch": "jumprelu"},
        {"arch": "batchtopk"},
        {"arch": "matryoshka", "prefixes": (6, 12, 48)},
        {"tied": True},
        {"skip": True},
        {"hook_out": "second", "normalize": "scale"},
        {"hook": ("first", "second"), "arch": "relu"},
    ],
    ids=str,
)
def test_it_goes_on_where_it_was(toy, kind):
    init = first(toy, **kind)
    before = {n: p.clone() for n, p in init.named_parameters()}
    sae = go_on(toy, init, lr=1e-3)
    assert all(torch.equal(p, before[n]) for n, p in init.named_parameters()), "init is not changed"
    assert sae.config == init.config
    old, new = init.history.iloc[-1], sae.history.iloc[0]
    assert new["explained_variance"] > old["explained_variance"] - 0.05
    assert sae.history.iloc[-1]["explained_variance"] > old["explained_variance"]
    assert sae.record["init"]["digest"] == sae_digest(init)


@pytest.mark.parametrize(
    "kind", ["relu", "relu_scale", "gated", "jumprelu", "topk", "topk_layer_norm", "batchtopk", "topk_tied"]
)
def test_a_rate_of_nothing_changes_nothing(toy, kind):
    """Rows of any length, thresholds and scales survive the beginning, the steps and the end."""
    init = make(kind)
    init.config = SAEConfig(**(init.config.to_dict() | {"hook_in": "first", "hook_out": "first"}))
    options = {"resample": 0, "l1": 1e-3} if init.config.arch in ("relu", "gated") else {}
    extra = {"options": options} if options else {}
    sae = go_on(toy, init, lr=1e-12, tokens=300, **extra)
    x = rows(toy, 50)
    codes, again = init.encode_sparse(x), sae.encode_sparse(x)
    if kind != "batchtopk":  # its threshold follows the batches
        assert torch.equal(again.dense() > 0, codes.dense() > 0)
        torch.testing.assert_close(sae.decode(again), init.decode(codes), atol=1e-4, rtol=1e-4)
    assert sae.config.scale == init.config.scale
    if kind in ("topk", "topk_layer_norm"):  # their largest k depend on the lengths, which therefore stay
        torch.testing.assert_close(sae.W_dec, init.W_dec, atol=1e-5, rtol=0)
    elif kind in ("gated", "jumprelu"):
        torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(40), atol=1e-5, rtol=0)


def test_half_precision_is_trained_in_full(toy):
    init = first(toy).to(torch.bfloat16)
    init.config = SAEConfig(**(init.config.to_dict() | {"dtype": "bfloat16"}))
    sae = go_on(toy, init)
    assert sae.config.dtype == "float32"
    assert sae.W_enc.dtype == torch.float32


def test_a_published_file_is_trained_further(tmp_path, toy):
    init = first(toy, normalize="layer_norm")
    sl.save_sae(init, tmp_path / "openai", format="openai")
    loaded = sl.load_sae(tmp_path / "openai", given={"hook_in": "first"})
    assert loaded.config.normalize == "layer_norm"
    sae = go_on(toy, loaded)
    assert sae.record["init"]["loaded"]["format"] == "openai"
    assert sae.config.model == "org/toy"
    assert sae.history.iloc[-1]["explained_variance"] >= init.history.iloc[-1]["explained_variance"] - 0.02


def test_what_contradicts_it_is_refused(toy):
    init = first(toy, tokens=400)
    for changes, message in (
        ({"hook": "second"}, "init has hook='first', you ask for hook='second'"),
        ({"d_sae": 96}, "init has d_sae=48"),
        ({"arch": "relu"}, "init has arch='topk'"),
        ({"k": 8}, "init has k=4"),
        ({"normalize": "scale"}, "init has normalize='none'"),
        ({"skip": True}, "init has skip=False"),
        ({"hook_out": "second"}, "init has hook_out=None"),
        ({"options": {"floor": 0.5}}, "keeps its own floor"),
        ({"init": "sae"}, "init must be an SAE.*got the text 'sae'"),
    ):
        source = iter(texts())
        with pytest.raises(SaelabError, match=message):
            sl.train(toy, source, **(RUN | {"init": init} | changes))
        assert next(source) == texts()[0], "nothing is read before"
    nowhere = SAE(SAEConfig("topk", 12, 48, k=4))
    with pytest.raises(SaelabError, match="init does not say which hook point"):
        go_on(toy, nowhere)
    assert go_on(toy, first(toy, tokens=400), tokens=400).config.hook_in == "first"
    wide = SAE(SAEConfig("topk", 13, 48, k=4, hook_in="first", model="mine/toy"))
    with pytest.raises(
        SaelabError, match="first of .*toy is 12 wide, init wants 13; it was made for mine/toy"
    ):
        go_on(toy, wide)
    with pytest.raises(SaelabError, match="how sparse"):
        sl.train(toy, texts(), init=SAE(SAEConfig("relu", 12, 48, hook_in="first")), **RUN)


def test_bos_follows_the_sae(toy):
    init = first(toy, tokens=400, bos=False)
    assert go_on(toy, init, tokens=400).config.bos is False
    assert go_on(toy, init, tokens=400, bos=True).config.bos is True
    with pytest.raises(SaelabError, match="say bos="):
        sl.train_many(toy, texts(), [{"init": init}, {"init": first(toy, tokens=400, bos=True)}], **RUN)


def test_it_is_resumed_to_the_same_bits_and_another_init_is_named(toy, tmp_path):
    init = make("topk")
    init.config = SAEConfig(**(init.config.to_dict() | {"hook_in": "first", "hook_out": "first"}))
    whole = go_on(toy, init)

    def stop(trainer):
        return trainer.done < 30

    options = {"out": tmp_path, "checkpoint_every": 1000}
    go_on(toy, init, on_log=stop, **options)
    with pytest.raises(SaelabError, match="cannot resume: init was"):
        go_on(toy, SAE(init.config), resume=True, **options)
    resumed = go_on(toy, init, resume=True, **options)
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), whole.parameters(), strict=True))

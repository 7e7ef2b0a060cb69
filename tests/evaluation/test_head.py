import warnings

import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_folder, tiny_model
from torch.utils._python_dispatch import TorchDispatchMode

import saelab as sl
from saelab import models
from saelab.evaluation import head as module
from saelab.evaluation.head import Head, losses


def batch(model):
    return next(models.tokenize_texts(model, SENTENCES).batches(4096))


class Largest(TorchDispatchMode):
    """The most numbers any tensor made inside has."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(t, torch.Tensor) and t._base is None and t.is_contiguous():
                self.numel = max(self.numel, t.untyped_storage().nbytes() // t.element_size())
        return out


def test_its_logits_are_the_models(tiny):
    b = batch(tiny)
    head = Head(tiny, b.ids, b.mask)
    assert not head.whole
    rows, found = head.run(b.ids, b.mask, b.mask, capture=["blocks.0.hook_resid_post"])
    with torch.no_grad():
        want = models.forward(tiny, b.ids, b.mask)
        torch.testing.assert_close(head.logits(rows), want[b.mask], rtol=1e-5, atol=1e-5)
    acts = models.run_to_hooks(tiny, b.ids, ["blocks.0.hook_resid_post"], b.mask)
    torch.testing.assert_close(found["blocks.0.hook_resid_post"], acts["blocks.0.hook_resid_post"])


def test_tiles_change_nothing(tiny, monkeypatch):
    b = batch(tiny)
    head = Head(tiny, b.ids, b.mask)
    clean, _ = head.run(b.ids, b.mask, b.mask)
    other, _ = head.run(b.ids, b.mask, b.mask, {"blocks.1.hook_mlp_out": torch.zeros_like})
    target = b.ids.roll(-1, 1)[b.mask]
    whole = losses(head, clean, {"a": other}, target)
    for tile, rows in ((7, 3), (1, 1000), (10**9, 1)):
        monkeypatch.setattr(module, "_TILE", tile)
        monkeypatch.setattr(module, "_ROWS", rows)
        for name, values in losses(head, clean, {"a": other}, target).items():
            torch.testing.assert_close(values, whole[name], rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        p, q = head.logits(clean).log_softmax(-1), head.logits(other).log_softmax(-1)
    torch.testing.assert_close(whole["kl_a"].float(), (p.exp() * (p - q)).sum(1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(whole["ce_a"].float(), -q.gather(1, target[:, None])[:, 0])


def capped(model):
    """A model whose logits are more than its unembedding, as Gemma 2's."""
    inner = model.original_model
    old = inner.forward

    def forward(*args, **kwargs):
        out = old(*args, **kwargs)
        out.logits = 2 * torch.tanh(out.logits / 2)
        return out

    inner.forward = forward
    return model


def test_a_model_that_caps_its_logits_is_run_to_the_end():
    model = capped(tiny_model())
    b = batch(model)
    assert Head(model, b.ids, b.mask).whole
    report = sl.evaluate(model, random_sae(), SENTENCES, progress=False)
    with torch.no_grad():
        logp = models.forward(model, b.ids, b.mask).log_softmax(-1)
    scored = b.mask[:, 1:-1] & b.mask[:, 2:]
    want = -logp[:, 1:-1].gather(-1, b.ids[:, 2:, None])[..., 0][scored].mean()
    assert report.ce_clean == pytest.approx(float(want), rel=1e-5)


def test_a_users_hook_on_the_logits_is_kept():
    model = tiny_model()
    plain = sl.evaluate(model, random_sae(), SENTENCES, progress=False)
    calls = []

    def halve(x, hook):
        calls.append(x.shape)
        return x / 2

    model.hook_dict["unembed.hook_out"].add_hook(halve)
    hooked = sl.evaluate(model, random_sae(), SENTENCES, progress=False)
    assert calls
    assert abs(hooked.ce_clean - plain.ce_clean) > 1e-3
    assert len(model.hook_dict["unembed.hook_out"].fwd_hooks) == 1


class Given(Head):
    """Rows are logits."""

    def __init__(self, monkeypatch, size, tile=2):
        self.whole, self.model = True, None
        monkeypatch.setattr(models, "vocab_size", lambda model: size)
        monkeypatch.setattr(module, "_TILE", tile)


def test_C43_masked_vocabulary_leaves_the_divergence_finite(monkeypatch):
    inf = torch.inf
    rows, other = torch.tensor([[-inf, -inf, 0.0, 1.0, -inf]]), torch.tensor([[-inf, -inf, 1.0, 0.0, -inf]])
    out = losses(Given(monkeypatch, 5), rows, {"a": other}, torch.tensor([3]))
    e = torch.e
    p = torch.tensor([1 / (1 + e), e / (1 + e)])
    assert float(out["kl_a"]) == pytest.approx(float((p * torch.tensor([-1.0, 1.0])).sum()), rel=1e-5)
    assert float(out["ce_clean"]) == pytest.approx(-float(p[1].log()), rel=1e-5)


def test_C43_far_apart_logits(monkeypatch):
    head = Given(monkeypatch, 2, tile=1)
    p, q = torch.tensor([[0.0, -200.0]]), torch.tensor([[-200.0, 0.0]])
    out = losses(head, p, {"q": q, "p": p}, torch.tensor([1]))
    assert float(out["kl_q"]) == pytest.approx(200)
    assert float(out["kl_p"]) == 0
    assert float(out["ce_clean"]) == pytest.approx(200)
    assert float(out["ce_q"]) == pytest.approx(0)
    shut = losses(
        head, torch.tensor([[1.0, 2.0]]), {"q": torch.tensor([[1.0, -torch.inf]])}, torch.tensor([0])
    )
    assert float(shut["kl_q"]) == torch.inf, "what p says and q forbids"


def test_small_divergences_of_large_logits_are_exact(monkeypatch):
    g = torch.Generator().manual_seed(0)
    p = 5 * torch.randn(50, 3000, generator=g) + 30
    q = p + 0.02 * torch.randn(50, 3000, generator=g) - 7  # 7 less everywhere is the same distribution
    got = losses(Given(monkeypatch, 3000, tile=256), p, {"q": q}, torch.zeros(50).long())["kl_q"]
    a, b = p.double().log_softmax(-1), q.double().log_softmax(-1)
    torch.testing.assert_close(got, (a.exp() * (a - b)).sum(1), rtol=2e-2, atol=5e-6)
    assert float(got.mean()) == pytest.approx(float((a.exp() * (a - b)).sum(1).mean()), rel=2e-3)


def test_an_unembedding_that_is_no_plain_matrix(tiny):
    b = batch(tiny)
    head = Head(tiny, b.ids, b.mask)
    clean, _ = head.run(b.ids, b.mask, b.mask)
    target = b.ids.roll(-1, 1)[b.mask]
    want = losses(head, clean, {}, target)["ce_clean"]

    class Other:
        class unembed:
            @staticmethod
            def original_component(x):
                return tiny.unembed.original_component(x)

        cfg = tiny.cfg

    head.model = Other
    assert len(head.tiles()) == 1
    torch.testing.assert_close(losses(head, clean, {}, target)["ce_clean"], want)


@pytest.fixture(scope="module")
def wide_vocabulary(tmp_path_factory):
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    from saelab.models.load import quiet_loading

    folder = tmp_path_factory.mktemp("wide")
    with torch.random.fork_rng(devices=[]), quiet_loading(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        GPT2LMHeadModel(
            GPT2Config(
                vocab_size=256_000,
                n_positions=32,
                n_embd=8,
                n_layer=1,
                n_head=1,
                bos_token_id=0,
                eos_token_id=0,
            )
        ).save_pretrained(folder)
        PreTrainedTokenizerFast.from_pretrained(tiny_folder()).save_pretrained(folder)
        return sl.load_model(folder)


def test_C53_a_vocabulary_of_256_000_takes_little_memory(wide_vocabulary):
    sae = random_sae(d_in=8, d_sae=32)
    rows = models.tokenize_texts(wide_vocabulary, SENTENCES * 6)
    with Largest() as largest:
        report = sl.evaluate(wide_vocabulary, sae, rows, progress=False)
    assert report.predictions > 200
    weights = 8 * 256_000
    assert largest.numel <= max(module._TILE * module._ROWS, weights) + 256_000
    assert largest.numel < rows.n_tokens * 256_000 / 10


def test_C53_whole_passes_are_of_few_tokens(tiny, monkeypatch):
    head = Head.__new__(Head)
    head.model, head.whole = tiny, True
    monkeypatch.setattr(models, "vocab_size", lambda model: 256_000)
    assert head.batch_tokens(4096, 3) * 256_000 * 4 * 4 <= 256 << 20
    head.whole = False
    assert head.batch_tokens(4096, 3) == 4096

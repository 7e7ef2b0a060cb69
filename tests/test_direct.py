"""The plain layers give what the bridge gives at every hook point they are used for, or are not used."""

import copy
import json
import threading
import warnings

import pytest
import torch
from helpers import SENTENCES, tiny_folder, tiny_model

from saelab import direct, models
from saelab.activations.harvest import Harvester
from saelab.activations.store import ActivationStore
from saelab.errors import HookError, SaelabError

POST = "blocks.1.hook_resid_post"
ROUNDING = 1e-5  # of a token's norm, float32; 4e-6 is the largest seen, at the last layer of SmolLM2
TYPICAL = [
    f"blocks.1.{end}"
    for end in (
        "hook_resid_pre", "hook_resid_mid", "hook_resid_post", "hook_attn_out", "hook_mlp_out", "mlp.hook_in",
        "mlp.hook_post", "attn.hook_z",
    )
]  # fmt: skip


def masks(rows=3, length=12):
    """None, no padding, padding on the right, on the left, in the middle, on all sides in one batch."""
    full = torch.ones(rows, length, dtype=torch.bool)
    right, left, gap = full.clone(), full.clone(), full.clone()
    right[0, 5:], left[0, :5], gap[0, 3:6] = False, False, False
    both = left[0] & right[0].roll(3)
    return [None, full, right, left, gap, torch.stack([right[0], left[0], both])]


def ids_of(model, rows=3, length=12):
    g = torch.Generator().manual_seed(0)
    return torch.randint(1, models.vocab_size(model), (rows, length), generator=g)


def far(a, b, real):
    """Largest difference of a real token, relative to its norm."""
    a, b = a[real].double(), b[real].double()
    return float(((a - b).norm(dim=-1) / b.norm(dim=-1)).max())


def check(model, hooks, tolerance=ROUNDING, ids=None, padded=None):
    ids = ids_of(model) if ids is None else ids
    assert direct.reason(model, hooks) is None
    for mask in masks(*ids.shape) if padded is None else padded:
        ours = models.run_to_hooks(model, ids, hooks, mask, direct=True)
        theirs = models.run_to_hooks(model, ids, hooks, mask)
        for hook in hooks:
            real = torch.ones(ids.shape, dtype=torch.bool) if mask is None else mask
            assert ours[hook].shape == theirs[hook].shape
            assert ours[hook].dtype == theirs[hook].dtype
            assert ours[hook].isfinite().all()  # at padding too
            assert far(ours[hook], theirs[hook], real) < tolerance, hook


def quiet(function, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(**options)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def model(request):
    return tiny_model(request.param)


# ------------------------------------------------------------------------------------------ the same numbers


def test_every_hook_point_is_the_bridges_own_or_is_refused(model):
    """All names of a model: exactly those whose values the bridge would give are read, and they agree."""
    read = [h for h in models.hook_names(model) if direct.reason(model, [h]) is None]
    assert set(TYPICAL) <= set(read)
    assert len(read) > 60
    for hook in read:
        check(model, [hook], padded=masks()[-1:])
    check(model, read)  # all of them in one pass
    for hook in ("blocks.0.attn.hook_pattern", "blocks.0.ln1.hook_normalized", "embed.hook_in"):
        assert "in one step" in str(direct.reason(model, [hook]))


@pytest.mark.parametrize("options", [{}, {"no_processing": True}])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_weights_that_compatibility_mode_folds_and_centres(kind, options):
    model = tiny_model(kind)
    raw = models.run_to_hooks(model, ids_of(model), [POST], direct=True)[POST]
    quiet(model.enable_compatibility_mode, **options)
    check(model, TYPICAL)
    after = models.run_to_hooks(model, ids_of(model), [POST], direct=True)[POST]
    assert torch.allclose(raw, after, atol=1e-4) == (kind == "llama" or bool(options))  # GPT-2 is centred


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_as_near_to_the_truth_as_the_bridge(kind, dtype):
    half, exact = tiny_model(kind, dtype=dtype), tiny_model(kind)
    with torch.no_grad():  # the same rounded weights in float32
        for p, q in zip(exact.original_model.parameters(), half.original_model.parameters(), strict=True):
            p.copy_(q.float())
    ids, mask = ids_of(half), masks()[-1]
    assert direct.reason(half, [POST]) is None
    truth = models.run_to_hooks(exact, ids, [POST], mask)[POST]
    error = [
        far(models.run_to_hooks(half, ids, [POST], mask, direct=d)[POST], truth, mask) for d in (True, False)
    ]
    assert error[0] < 1.5 * error[1]
    assert error[0] < {"bfloat16": 0.05, "float16": 0.006}[dtype]


def test_the_bundled_model(monkeypatch):
    """Its padding has the id of BOS, which transformers would warn about."""
    from transformers import modeling_utils

    monkeypatch.setattr(modeling_utils.logger, "warning_once", lambda text: pytest.fail(text))
    model = models.load_model("zoo")
    hooks = [h.replace("blocks.1", "blocks.0") for h in TYPICAL]
    ids = ids_of(model, 3, 60)
    ids[:, 0] = models.bos_id(model)
    assert direct.reason(model, hooks) is None
    models.run_to_hooks(model, ids, hooks, direct=True)
    monkeypatch.undo()
    check(model, hooks, ids=ids)


def test_smollm2_if_it_is_here():
    from saelab import model_files

    if not (model_files.cache_folder() / "smollm2-135m-instruct" / "config.json").is_file():
        pytest.skip("smollm2 was not loaded before")
    model = models.load_model("smollm2")
    hooks = ["blocks.9.hook_resid_post", "blocks.29.hook_resid_post", "blocks.29.mlp.hook_post"]
    check(model, hooks, ids=ids_of(model, 3, 40), padded=masks(3, 40)[-1:])


@pytest.mark.parametrize("family", ["GPTNeoX", "Mistral"])
def test_other_families(family, tmp_path):
    """A joint projection that alternates from head to head beside parallel parts; a sliding window."""
    import transformers

    from saelab.model_files import quiet_loading

    config = getattr(transformers, f"{family}Config")(
        vocab_size=384, hidden_size=16, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=32, initializer_range=0.3, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        **({"num_key_value_heads": 2, "sliding_window": 5} if family == "Mistral" else {}),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), quiet_loading():
        torch.manual_seed(0)
        getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(tmp_path)
    for file in tiny_folder().glob("tokenizer*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    model = quiet(models.load_model, name=tmp_path)
    check(model, [POST, "blocks.1.hook_mlp_out", "blocks.1.hook_attn_out"], ids=ids_of(model, 3, 20))


# ------------------------------------------------------------------------------------------ the same weights


def _edit(model, how):
    block = model.blocks[0]
    with torch.no_grad():
        if how == "in place":
            block.mlp.original_component.parameters().__next__().mul_(2)
        elif how == "new parameter":
            out = block.mlp.out.original_component
            out.weight = torch.nn.Parameter(out.weight * 2)
        elif how == "attention projection":
            block.attn.q.weight.mul_(3)
        elif how == "new attention projection":
            inner = block.attn.v.original_component
            inner.weight = torch.nn.Parameter(inner.weight * 3)
        elif how == "another dtype":
            model.to(torch.bfloat16)
        elif how == "state dict":
            model.load_state_dict({n: 1.1 * t for n, t in model.state_dict().items()}, strict=False)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize(
    "how",
    ["in place", "new parameter", "attention projection", "new attention projection", "another dtype",
     "state dict"],
)  # fmt: skip
def test_weights_edited_after_loading_are_seen(kind, how):
    model = tiny_model(kind)
    before = models.run_to_hooks(model, ids_of(model), [POST], direct=True)[POST]
    quiet(_edit, model=model, how=how)
    check(model, TYPICAL, 0.1 if how == "another dtype" else ROUNDING)
    after = models.run_to_hooks(model, ids_of(model), [POST], direct=True)[POST]
    if how != "another dtype":
        assert (before - after).abs().max() > 1e-3, "the edit itself must show"


def test_a_module_put_in_the_place_of_a_part_is_noticed():
    model = tiny_model("llama")
    mlp = model.blocks[0].mlp
    mlp.original_component.up_proj = torch.nn.Linear(
        16, 48, bias=False
    )  # the bridge's own part is no longer run
    assert "mlp.up_proj is not the module" in str(direct.reason(model, [POST]))
    model = tiny_model("llama")
    model.blocks[0].mlp.original_component.act_fn = torch.nn.Tanh()  # inside of what both of them run
    check(model, ["blocks.0.hook_mlp_out"])


def test_a_forward_method_put_in_its_place_is_noticed():
    model = tiny_model()
    part = model.blocks[1].mlp
    part.__dict__["forward"] = lambda x: 0 * x
    assert "mlp has hooks" in str(direct.reason(model, [POST]))
    assert direct.reason(model, ["blocks.0.hook_resid_post"]) is None  # it is not reached


def test_parts_that_compute_otherwise_are_caught_by_the_first_comparison(monkeypatch):
    model = tiny_model("llama")
    attention = type(model.blocks[0].attn.original_component)
    real = attention.forward
    monkeypatch.setattr(attention, "forward", lambda self, *a, **k: (real(self, *a, **k)[0] * 1.01, None))
    assert "differs by more than rounding" in str(direct.reason(model, [POST]))
    plain = models.run_to_hooks(model, ids_of(model), [POST])[POST]
    assert torch.equal(models.run_to_hooks(model, ids_of(model), [POST], direct=True)[POST], plain)


# ------------------------------------------------------------------------------------------ when it is not used


def test_hooks_are_honoured(model):
    ids = ids_of(model)
    plain = models.run_to_hooks(model, ids, [POST])[POST]
    for name in (
        "blocks.0.hook_resid_post",
        "blocks.0.attn.hook_pattern",
        "blocks.1.attn.hook_q",
        "embed.hook_out",
    ):
        with models.hooked(model, {name: lambda x: 0 * x}):
            assert "hooks" in str(direct.reason(model, [POST]))
            changed = models.run_to_hooks(model, ids, [POST], direct=True)[POST]
        assert (changed - plain).abs().max() > 1e-3
    with models.hooked(model, {POST: lambda x: 0 * x}):  # behind what is read
        assert direct.reason(model, ["blocks.0.hook_resid_post"]) is None
    assert direct.reason(model, [POST]) is None


def test_hooks_of_torch_are_honoured():
    model = tiny_model()
    parts = (model.blocks[0], model.blocks[0].mlp.original_component, model.original_model, model)
    for module in parts:
        handle = module.register_forward_pre_hook(lambda m, a: None)
        assert "hooks" in str(direct.reason(model, [POST]))
        handle.remove()
        assert direct.reason(model, [POST]) is None


def test_other_reasons():
    model = tiny_model()
    model.train()
    assert "training mode" in str(direct.reason(model, [POST]))
    model.eval()
    model.set_use_attn_result(True)
    assert direct.reason(model, [POST]) == "use_attn_result is on"
    model.set_use_attn_result(False)
    model.original_model.config.reorder_and_upcast_attn = True
    assert "reorder_and_upcast_attn" in str(direct.reason(model, [POST]))
    from toy import ToyModel

    assert "no TransformerBridge" in str(direct.reason(ToyModel(), ["first"]))


def test_unknown_names_and_flags_are_errors_in_both_ways(model):
    for hook, message in (
        ("blocks.0.hook_resid_pots", "unknown"),
        ("blocks.0.attn.hook_result", "use_attn_result"),
    ):
        with pytest.raises(HookError, match=message):
            models.run_to_hooks(model, ids_of(model), [hook], direct=True)
    with pytest.raises(HookError, match="no activations of shape"):
        models.run_to_hooks(model, ids_of(model), ["blocks.0.attn.hook_pattern"], direct=True)


def test_what_cannot_be_understood_is_left_to_the_bridge(monkeypatch):
    model = tiny_model()
    plain = models.run_to_hooks(model, ids_of(model), [POST])[POST]

    def fail(*args, **options):
        raise RuntimeError("no such kernel")

    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.functional, "scaled_dot_product_attention", fail)
        assert direct.reason(model, [POST]) == "the plain layers fail (RuntimeError: no such kernel)"
        assert torch.equal(models.run_to_hooks(model, ids_of(model), [POST], direct=True)[POST], plain)
    model = tiny_model()
    del model.blocks[0].mlp.submodules
    assert "not those that are known" in str(direct.reason(model, [POST]))


# ------------------------------------------------------------------------------------------ what stays as it was


def test_nothing_of_the_model_is_changed(model):
    def state():
        trees = [model, model.original_model]
        return [
            (
                id(m),
                sorted(m.__dict__),
                [len(m.__dict__[n]) for n in direct._HOOKS],
                list(map(id, m._modules.values())),
            )
            for tree in trees
            for m in tree.modules()
        ]

    models.run_to_hooks(model, ids_of(model), [POST])
    before, config = state(), copy.deepcopy(model.original_model.config.to_dict())
    rng = torch.get_rng_state()
    models.run_to_hooks(model, ids_of(model), TYPICAL, masks()[-1], direct=True)
    assert state() == before
    assert model.original_model.config.to_dict() == config
    assert model.original_model.config._attn_implementation == "eager"
    assert torch.equal(torch.get_rng_state(), rng)


def test_nothing_behind_the_last_place_is_run_and_no_mask_is_needed(monkeypatch):
    model, hook = tiny_model(), "blocks.0.hook_resid_post"
    assert direct.reason(model, [hook]) is None
    ran = []
    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention", lambda *a, **k: ran.append(k) or real(*a, **k)
    )
    for mask in masks()[:4]:
        ran.clear()
        models.run_to_hooks(model, ids_of(model), [hook], mask, direct=True)
        assert [(k["is_causal"], k["attn_mask"]) for k in ran] == [(True, None)]
    ran.clear()
    models.run_to_hooks(model, ids_of(model), [hook], masks()[4], direct=True)
    assert not ran, "a mask with holes is left to the bridge"


def test_passes_of_other_threads_keep_their_hooks():
    """The bridge is not taken apart while the plain layers run: another thread's hooks fire all the while."""
    model, ids = tiny_model("llama"), ids_of(tiny_model("llama"))
    stop, seen = threading.Event(), []

    def other():
        with torch.no_grad():
            while not stop.is_set():
                cache = model.run_with_cache(ids)[1]
                seen.append("blocks.1.attn.hook_pattern" in cache)

    worker = threading.Thread(target=other)
    worker.start()
    try:
        for _ in range(20):
            models.run_to_hooks(model, ids, [POST], direct=True)
    finally:
        stop.set()
        worker.join()
    assert seen
    assert all(seen)


# ------------------------------------------------------------------------------------------ harvest and resume


def test_a_harvest_goes_on_the_way_it_began(tiny):
    first = Harvester(tiny, SENTENCES, [POST], harvest_tokens=32)
    assert first.way == "plain layers"
    first.next()
    state = json.loads(json.dumps(first.state()))
    second = Harvester(tiny, SENTENCES, [POST], harvest_tokens=32)
    second.load(state)
    assert torch.equal(first.next()[0][0][0], second.next()[0][0][0])

    watched = tiny_model()
    watched.hook_dict["blocks.0.hook_resid_post"].add_hook(lambda x, hook: None)
    other = Harvester(watched, SENTENCES, [POST], harvest_tokens=32)
    assert other.way == "bridge: transformer.h.0 has hooks"
    with pytest.raises(SaelabError, match=r"plain layers before, and now transformer\.h\.0 has hooks"):
        other.load(state)

    other = Harvester(watched, SENTENCES, [POST], harvest_tokens=32)
    other.next()
    again = Harvester(tiny, SENTENCES, [POST], harvest_tokens=32)
    again.load(json.loads(json.dumps(other.state())))
    assert again.way == other.way
    assert torch.equal(again.next()[0][0][0], other.next()[0][0][0])

    del state["bridge"]  # of a version that knew only one way
    old = Harvester(tiny, SENTENCES, [POST], harvest_tokens=32)
    old.load(state)
    assert old.way.startswith("bridge: ")


def test_the_way_is_on_record(tiny, tmp_path):
    import saelab as sl

    store = ActivationStore.write(tiny, SENTENCES, POST, tmp_path / "s", progress=False)
    assert store.way == "plain layers"
    assert ActivationStore.open(tmp_path / "s").way == "plain layers"
    sae = sl.train(store, d_sae=32, k=2, tokens=48, batch=16, progress=False)
    assert sae.record["data"]["forward"] == "plain layers"
    tiny_with = tiny_model()
    tiny_with.hook_dict["blocks.0.hook_resid_post"].add_hook(lambda x, hook: None)
    sae = sl.train(tiny_with, SENTENCES, hook=POST, d_sae=32, k=2, tokens=48, batch=16, progress=False)
    assert sae.record["data"]["forward"].startswith("bridge: ")

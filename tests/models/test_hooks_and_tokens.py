import threading

import pytest
import torch
from helpers import SENTENCES, n_hooks, shared_tiny, tiny_folder, tiny_model
from hypothesis import example, given, settings
from hypothesis import strategies as st

from saelab import models
from saelab.errors import HookError, SaelabError

POST = "blocks.0.hook_resid_post"


class FakeTokenizer:
    """Words of one letter are ids; special ids as given. With ``always`` it puts BOS first, asked or not."""

    def __init__(self, bos=1, pad=None, always=False):
        self.bos_token_id, self.pad, self.always = bos, pad, always
        self.all_special_ids = [i for i in (bos, pad) if i is not None]

    def __call__(self, text, add_special_tokens=True, verbose=True):
        ids = [self.bos_token_id if w == "<s>" else ord(w) for w in text.replace("<s>", " <s> ").split()]
        return {"input_ids": [self.bos_token_id, *ids] if self.always else ids}


class FakeModel:
    def __init__(self, **kinds):
        self.tokenizer = FakeTokenizer(**kinds)
        self.cfg = type("Config", (), {"n_ctx": 8, "d_vocab": 128})()


# --------------------------------------------------------------------------------------------- loading


def test_load_model_is_in_evaluation_mode_and_keeps_the_name_it_was_asked_for(tiny):
    assert not tiny.training
    assert models.model_name(tiny) == str(tiny_folder())
    assert models.context_length(tiny) == 32
    assert models.vocab_size(tiny) == 384


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zo", "unknown model 'zo'. Did you mean 'zoo'"),
        ("smolm2", "Did you mean 'smollm2'"),
        ("./nowhere", "no folder or file nowhere"),
        ("a/b/c", "no folder or file a/b/c"),
        ("nowhere.gguf", "no file nowhere.gguf"),
    ],
)
def test_load_model_refuses_names_that_are_nothing(name, message):
    with pytest.raises(SaelabError, match=message):
        models.load_model(name)


@pytest.mark.parametrize(
    "name", ["gpt2", "distilgpt2", "bloom", "org/zoo", "org/smollm2", "bert-base-uncased"]
)
def test_hub_names_are_not_taken_for_misspelt_bundled_ones(name):
    from saelab.models import load as model_files

    assert model_files.resolve(name) == name


def test_load_model_of_a_folder_without_a_model(tmp_path):
    with pytest.raises(SaelabError, match="holds no model: it has no config.json"):
        models.load_model(tmp_path)


def test_C76_an_unknown_hub_name_without_network_says_so():
    with pytest.raises(SaelabError, match="could not load model 'org/none'.*Without a network: 'zoo'"):
        models.load_model("org/none")


def test_load_model_refuses_unknown_dtype_and_device():
    with pytest.raises(SaelabError, match="unknown dtype 'float3'.*Did you mean 'float32'"):
        models.load_model(tiny_folder(), dtype="float3")
    with pytest.raises(SaelabError, match="unknown device 'gpu'"):
        models.load_model(tiny_folder(), device="gpu")


def test_C51_a_model_folder_with_cut_weights_is_named(tmp_path):
    import shutil

    folder = tmp_path / "m"
    shutil.copytree(tiny_folder(), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SaelabError, match="could not load model .*files could not be read"):
        models.load_model(folder)


def test_C46_loading_leaves_the_global_generators_alone():
    import random

    import numpy as np

    tiny_folder()
    torch.manual_seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    tiny_model()
    assert torch.equal(before[0], torch.get_rng_state())
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()  # noqa: NPY002


# ----------------------------------------------------------------------------------------- hook points


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("blocks.1.hook_resid_post", 1),
        ("model.layers.1", 1),
        ("transformer.h.1.mlp", 1),
        ("blocks.10.hook_z", 10),
        ("hook_embed", None),
        ("ln_final.hook_scale", None),
        ("myblocks.3.x", None),
    ],
)
def test_C74_layer_of_a_hook_name(name, layer):
    assert models.hook_layer(name) == layer


def test_C11_a_misspelt_hook_is_refused_with_the_nearest_names(tiny):
    with pytest.raises(HookError, match="unknown hook point 'blocks.0.hook_resid_pots'.*hook_resid_post"):
        models.check_hook(tiny, "blocks.0.hook_resid_pots")


def test_C11_a_hook_behind_a_flag_names_the_flag_and_works_with_it(tiny):
    name = "blocks.0.attn.hook_result"
    for run in (
        lambda: models.check_hook(tiny, name),
        lambda: models.run_to_hooks(tiny, torch.tensor([[0, 1]]), [name]),
        lambda: models.hooked(tiny, {name: lambda x: None}).__enter__(),
    ):
        with pytest.raises(HookError, match="use_attn_result"):
            run()
    model = tiny_model()
    model.set_use_attn_result(True)
    assert models.check_hook(model, name) == name


def test_C11_a_layer_that_is_not_there_says_which_there_are(tiny):
    with pytest.raises(HookError, match="layers 0…1.*blocks.1.hook_resid_post"):
        models.check_hook(tiny, "blocks.9.hook_resid_post")


def test_C11_a_hook_that_exists_but_never_fires_is_an_error(tiny):
    with pytest.raises(HookError, match="did not fire"):
        models.run_to_hooks(tiny, torch.tensor([[0, 1, 2]]), ["blocks.0.attn.qkv.hook_out"])


@pytest.mark.parametrize("name", ["blocks.0.attn.hook_pattern", "embed.hook_in"])
def test_what_is_not_batch_position_width_is_refused(tiny, name):
    with pytest.raises(HookError, match="no activations of shape"):
        models.run_to_hooks(tiny, torch.tensor([[0, 1, 2], [0, 3, 4]]), [name])
    with pytest.raises(HookError, match="no activations of shape"):
        models.hook_width(tiny, name)


@pytest.mark.parametrize(
    ("name", "width"), [(POST, 16), ("blocks.1.mlp.hook_post", 64), ("blocks.0.attn.hook_z", 16)]
)
def test_hook_width(tiny, name, width):
    assert models.hook_width(tiny, name) == width


@pytest.mark.parametrize("name", [POST, "blocks.1.hook_mlp_out", "blocks.1.attn.hook_z"])
def test_run_to_hooks_equals_what_a_full_forward_passes_there(tiny, name):
    ids = torch.tensor([[0, 10, 20, 30], [0, 11, 21, 31]])
    seen = {}
    with torch.no_grad(), models.hooked(tiny, {name: lambda x: seen.update(x=x.clone())}) as fired:
        models.forward(tiny, ids)
    assert fired == {name: 1}
    assert torch.equal(models.run_to_hooks(tiny, ids, [name])[name], seen["x"])


def test_run_to_hooks_takes_aliases_and_repeated_names(tiny):
    ids = torch.tensor([[0, 1, 2]])
    got = models.run_to_hooks(tiny, ids, [POST, POST, "blocks.0.hook_out"])
    assert set(got) == {POST, "blocks.0.hook_out"}
    assert torch.equal(got[POST], got["blocks.0.hook_out"])


def test_C53_run_to_hooks_never_reaches_the_unembedding_nor_later_layers():
    model = tiny_model()
    ran = []
    for name in (POST, "blocks.1.hook_resid_post", "unembed.hook_in", "unembed.hook_out"):
        model.hook_dict[name].add_hook(lambda x, hook, name=name: ran.append(name))
    lm_head = model.original_model.get_output_embeddings()
    lm_head.register_forward_hook(lambda *_: ran.append("lm_head"))
    models.run_to_hooks(model, torch.tensor([[0, 1, 2]]), [POST])
    assert ran == [POST]
    models.forward(model, torch.tensor([[0, 1, 2]]))
    assert "unembed.hook_out" in ran, "the check itself must be able to fail"


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_C12_padding_on_either_side_changes_nothing(kind):
    model = tiny_model(kind)
    short, long = [0, 20, 30], [0, 21, 31, 41, 51, 61, 71]
    hook = "blocks.1.hook_resid_post"
    with torch.no_grad():
        alone = models.run_to_hooks(model, torch.tensor([short]), [hook])[hook][0]
        logits = models.forward(model, torch.tensor([short]))[0]
        for ids, real in (([*short, 0, 0, 0, 0], slice(0, 3)), ([0, 0, 0, 0, *short], slice(4, 7))):
            mask = torch.zeros(2, 7, dtype=torch.bool)
            mask[0, real], mask[1] = True, True
            batch = torch.tensor([ids, long])
            got = models.run_to_hooks(model, batch, [hook], mask)[hook][0, real]
            torch.testing.assert_close(got, alone, atol=1e-5, rtol=0)
            torch.testing.assert_close(models.forward(model, batch, mask)[0, real], logits, atol=1e-5, rtol=0)


def test_C20_a_bos_whose_id_equals_the_padding_is_attended(tiny):
    """Token 0 is BOS and padding at once: the mask, not the id, decides what is attended."""
    ids = torch.tensor([[0, 5, 0]])
    hook = "blocks.1.hook_resid_post"
    seen = models.run_to_hooks(tiny, ids, [hook], torch.tensor([[True, True, False]]))[hook][0, 1]
    hidden = models.run_to_hooks(tiny, ids, [hook], torch.tensor([[False, True, False]]))[hook][0, 1]
    alone = models.run_to_hooks(tiny, torch.tensor([[0, 5]]), [hook])[hook][0, 1]
    torch.testing.assert_close(seen, alone, atol=1e-5, rtol=0)
    assert (hidden - alone).abs().max() > 1e-3


# ---------------------------------------------------------------------------------------------- hooked


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_C22_nothing_stays_after_an_exception(error):
    model, clean = tiny_model(), tiny_model()
    ids, calls = torch.tensor([[0, 1, 2]]), []

    def bad(x):
        calls.append(1)
        if len(calls) == 2:
            raise error
        return x + 1

    def run():
        with torch.no_grad(), models.hooked(model, {POST: bad}):
            models.forward(model, ids)
            models.forward(model, ids)

    with pytest.raises(error):
        run()
    assert n_hooks(model) == 0
    with torch.no_grad():
        assert torch.equal(models.forward(model, ids), models.forward(clean, ids))


def test_C22_nothing_stays_when_a_later_name_is_wrong():
    model = tiny_model()
    with pytest.raises(HookError), models.hooked(model, {POST: lambda x: x, "nope": lambda x: x}):
        pass
    assert n_hooks(model) == 0


def test_C23_a_users_own_hook_stays_and_nested_contexts_unwind_in_order():
    model = tiny_model()
    ids, mine, order = torch.tensor([[0, 1, 2]]), [], []
    model.hook_dict[POST].add_hook(lambda x, hook: mine.append(1))
    with torch.no_grad():
        models.run_to_hooks(model, ids, [POST])
        assert len(mine) == 1
        with models.hooked(model, {POST: lambda x: order.append("outer")}):
            with models.hooked(model, {POST: lambda x: order.append("inner")}):
                models.forward(model, ids)
            models.forward(model, ids)
        models.forward(model, ids)
    assert len(mine) == 4
    assert order == ["outer", "inner", "outer"]
    assert n_hooks(model) == 1


def test_hooked_changes_the_activations_and_flattens_heads(tiny):
    ids = torch.tensor([[0, 1, 2]])
    shapes = []
    with torch.no_grad():
        clean = models.forward(tiny, ids)
        with models.hooked(tiny, {"blocks.0.attn.hook_z": lambda x: shapes.append(x.shape)}):
            assert torch.equal(models.forward(tiny, ids), clean)
        with models.hooked(tiny, {"blocks.0.attn.hook_q": lambda x: 2 * x}):
            assert not torch.equal(models.forward(tiny, ids), clean)
    assert shapes == [(1, 3, 16)]


def test_C41_a_hook_gives_back_the_models_dtype():
    model = tiny_model(dtype="bfloat16")
    with torch.no_grad(), models.hooked(model, {POST: lambda x: x.float() + 1}):
        assert models.forward(model, torch.tensor([[0, 1, 2]])).dtype == torch.bfloat16
    assert models.run_to_hooks(model, torch.tensor([[0, 1]]), [POST])[POST].dtype == torch.bfloat16


def test_the_lock_is_one_per_model_and_lets_its_own_thread_in_again(tiny):
    assert models.lock(tiny) is models.lock(tiny)
    assert models.lock(tiny) is not models.lock(tiny_model())
    with models.lock(tiny), models.lock(tiny):
        other = threading.Thread(target=lambda: got.append(models.lock(tiny).acquire(blocking=False)))
        got: list[bool] = []
        other.start()
        other.join()
    assert got == [False]


def test_forward_passes_of_two_threads_do_not_mix(tiny):
    """A hook of one thread must not fire in the other's forward pass."""
    ids = torch.tensor([[0, 1, 2]])
    with torch.no_grad():
        clean = models.forward(tiny, ids)

    def steered():
        for _ in range(10):
            with models.lock(tiny), torch.no_grad(), models.hooked(tiny, {POST: lambda x: x + 1}):
                models.forward(tiny, ids)

    thread = threading.Thread(target=steered)
    thread.start()
    with torch.no_grad():
        results = [models.forward(tiny, ids) for _ in range(10)]
    thread.join()
    assert all(torch.equal(r, clean) for r in results)


# ---------------------------------------------------------------------------------------------- tokens


def test_C18_at_most_one_bos_whatever_the_tokenizer_does():
    for always in (False, True):
        model = FakeModel(bos=1, always=always)
        assert models.tokenize(model, "a b") == [1, ord("a"), ord("b")]
        assert models.tokenize(model, "a b", bos=False) == [ord("a"), ord("b")]


def test_C21_a_template_that_brings_its_own_bos():
    for always in (False, True):
        model = FakeModel(bos=1, always=always)
        assert models.tokenize(model, "<s>h i") == [1, ord("h"), ord("i")]
        assert models.tokenize(model, "<s>h <s> i") == [1, ord("h"), 1, ord("i")], "later ones are text"


def test_C21_on_a_real_tokenizer(tiny):
    ids = models.tokenize(tiny, "<|bos|>def add")
    assert ids == models.tokenize(tiny, "def add")
    assert ids.count(0) == 1
    assert ids[0] == 0


@given(st.text(min_size=1, max_size=60))
@example("<|bos|> a <|bos|>")
@example(" \n\t é 日本 \U0001f98a\x00")
def test_the_ids_are_those_of_a_call_of_the_tokenizer(tiny, text):
    called = tiny.tokenizer(text, add_special_tokens=False)["input_ids"]
    while called and called[0] == 0:
        called = called[1:]
    assert models.tokenize(tiny, text, bos=False) == called


def test_what_is_set_on_a_tokenizer_does_not_cut_texts(tiny):
    text = "def add(a, b): return a + b"
    whole = models.tokenize(tiny, text)
    tokenizer = tiny.tokenizer
    assert len(tokenizer(text, truncation=True, max_length=3, add_special_tokens=False)["input_ids"]) == 3
    assert tokenizer.backend_tokenizer.truncation is not None
    assert models.tokenize(tiny, text) == whole
    tokenizer([text, "a"], padding=True)
    assert models.tokenize(tiny, "a") == models.tokenize(tiny, "a")
    assert len(models.tokenize(tiny, "a")) == 2


def test_a_tokenizer_with_a_call_of_its_own_is_called(tiny):
    class Own(type(tiny.tokenizer)):
        def __call__(self, text, **kwargs):
            return {"input_ids": [7, 7]}

    model = FakeModel()
    model.tokenizer = Own(tokenizer_object=tiny.tokenizer.backend_tokenizer, bos_token="<|bos|>")
    assert models.tokenize(model, "def", bos=False) == [7, 7]


def test_C20_bos_id_0_counts_as_set():
    model = FakeModel(bos=0, pad=0)
    assert models.default_bos(model)
    assert models.tokenize(model, "a") == [0, ord("a")]
    assert models.tokenize(model, "b c") == [0, ord("b"), ord("c")]


def test_a_tokenizer_without_bos():
    model = FakeModel(bos=None)
    assert not models.default_bos(model)
    assert models.tokenize(model, "a", bos=False) == [ord("a")]
    with pytest.raises(SaelabError, match="has no BOS token; use bos=False"):
        models.tokenize(model, "a")


@pytest.mark.parametrize(
    ("text", "message"), [("", "text is empty"), (None, "must be a string"), (b"a", "bytes")]
)
def test_no_text_is_an_error(tiny, text, message):
    with pytest.raises(SaelabError, match=message):
        models.tokenize(tiny, text)


def test_C05_bytes_that_are_no_whole_character_have_labels_of_their_own(tiny):
    ids = byte_ids(tiny, "日🙂é".encode())
    assert models.token_labels(tiny, ids) == [
        r"\xe6", r"\x97", r"\xa5", r"\xf0", r"\x9f", r"\x99", r"\x82", r"\xc3", r"\xa9",
    ]  # fmt: skip
    assert b"".join(models.token_bytes(tiny)[i] for i in ids) == "日🙂é".encode()
    assert models.token_groups(tiny, ids) == [(0, 3, "日"), (3, 7, "🙂"), (7, 9, "é")]
    assert models.decode(tiny, ids) == "日🙂é"


def test_C05_no_two_tokens_of_the_vocabulary_look_the_same(tiny):
    labels = models.token_labels(tiny, range(models.vocab_size(tiny)))
    assert len(set(labels)) == len(labels)
    assert "�" not in "".join(labels)


def byte_ids(model, data):
    table = models.token_bytes(model)
    return [table.index(bytes([b])) for b in data]


def check_groups(model, ids):
    groups = models.token_groups(model, ids)
    assert [g[0] for g in groups] == [0, *(g[1] for g in groups[:-1])][: len(groups)]
    assert (groups[-1][1] if groups else 0) == len(ids)
    assert all(a < b for a, b, _ in groups)
    assert "".join(t for *_, t in groups) == models.decode(model, ids)
    return groups


@given(st.text(min_size=1, max_size=40).filter(lambda t: t.encode("utf-8", "ignore").decode() == t))
@settings(max_examples=150, deadline=None)
def test_C05_groups_of_any_text_join_to_the_text(text):
    model = shared_tiny()
    ids = models.tokenize(model, text, bos=False)
    while_bos = text
    while while_bos.startswith("<|bos|>"):
        while_bos = while_bos.removeprefix("<|bos|>")
    assert models.decode(model, ids) == while_bos
    groups = check_groups(model, ids)
    if ids:
        assert "\ufffd" not in "".join(models.token_labels(model, ids)) or "\ufffd" in text
        assert len(groups) <= len(ids)


@given(st.lists(st.integers(0, 383), max_size=12))
@settings(max_examples=200, deadline=None)
def test_C05_groups_of_any_ids_join_to_the_decoded_text(ids):
    check_groups(shared_tiny(), ids)


@given(st.binary(max_size=10))
@settings(max_examples=200, deadline=None)
def test_C05_groups_of_any_bytes_join_to_the_decoded_text(data):
    model = shared_tiny()
    ids = byte_ids(model, data)
    check_groups(model, ids)
    assert models.decode(model, ids) == data.decode("utf-8", "backslashreplace")


def test_a_whole_character_after_broken_bytes_is_shown_whole(tiny):
    ids = byte_ids(tiny, b"\xff" + "🙂".encode() + b"\xf0")
    assert models.token_groups(tiny, ids) == [(0, 1, r"\xff"), (1, 5, "🙂"), (5, 6, r"\xf0")]


def test_text_round_trips(tiny):
    for text in SENTENCES:
        assert models.decode(tiny, models.tokenize(tiny, text, bos=False)) == text
        assert models.decode(tiny, models.tokenize(tiny, text)) == "<|bos|>" + text


@pytest.mark.parametrize("bad", [-1, 384, 10**6])
def test_an_id_outside_the_vocabulary_is_named(tiny, bad):
    for show in (models.token_labels, models.token_groups, models.decode):
        with pytest.raises(SaelabError, match=rf"token id {bad} is outside the vocabulary 0…383"):
            show(tiny, [0, bad])


def test_logits_beyond_the_tokenizer_have_labels(monkeypatch):
    """Some models have more logits than tokens, to make the matrix a round size."""
    model = tiny_model()
    model.cfg.d_vocab = 390
    assert models.token_labels(model, [5, 389]) == [models.token_labels(model, [5])[0], "<id 389>"]
    assert models.decode(model, [389]) == ""


def test_sentencepiece_tokens(tmp_path):
    """Pieces with a visible space and bytes written as <0x0A> (the Llama 2 family)."""
    from tokenizers import Tokenizer
    from tokenizers import models as kinds
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<unk>": 0, "<s>": 1, "<0x0A>": 2, "<0xF0>": 3, "▁red": 4, "fox": 5, "é": 6}
    tokenizer = Tokenizer(kinds.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
    model = FakeModel()
    model.tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")
    model.cfg.d_vocab = 7
    assert models.token_labels(model, [1, 4, 5, 2, 6, 3]) == ["<s>", " red", "fox", "\n", "é", r"\xf0"]


def test_special_ids():
    assert models.special_ids(FakeModel(bos=0, pad=7)) == {0, 7}
    assert models.special_ids(FakeModel(bos=None)) == frozenset()

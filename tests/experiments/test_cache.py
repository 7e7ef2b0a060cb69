"""The key-value cache must be one: the same numbers as without it."""

import pytest
import torch
from helpers import random_sae, tiny_folder, tiny_model

from saelab import models
from saelab.errors import HookError, SaelabError
from saelab.experiments.decoding import Decoder
from saelab.experiments.generation import generate
from saelab.interventions import steer
from saelab.models.load import repair


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_cached_and_uncached_logits_are_the_same(kind):
    model = tiny_model(kind)
    ids = torch.tensor([models.tokenize(model, "The red fox ran over the hill")] * 2)
    ids[1, 3:] = ids[1, 3:].flip(0)
    cached, whole = Decoder(model), Decoder(model, cache=False)
    assert cached.cached
    for length in (3, 4, 5, 8):  # several new tokens at once are fine too
        torch.testing.assert_close(cached(ids[:, :length]), whole(ids[:, :length]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated")  # the bridge still says it the old way
def test_the_bridges_own_generate_writes_the_same_with_and_without_a_cache(kind):
    model = tiny_model(kind)
    options = {"max_new_tokens": 8, "do_sample": False, "verbose": False, "return_type": "tokens"}
    texts = [model.generate("The red fox", use_past_kv_cache=c, **options).tolist() for c in (True, False)]
    assert texts[0] == texts[1]


def test_repair_is_done_once():
    model = tiny_model()
    count = [len(m._forward_pre_hooks) for m in model.modules()]
    repair(model)
    assert [len(m._forward_pre_hooks) for m in model.modules()] == count


def break_cache(model):
    for module in model.modules():
        if hasattr(module, "_update_kv_cache"):
            module._update_kv_cache = lambda k, v, **kwargs: (k, v)


def test_a_cache_that_stays_empty_is_an_error_and_never_wrong_text():
    model = tiny_model()
    break_cache(model)
    decoder = Decoder(model)
    with pytest.raises(SaelabError, match="holds 0 positions after 3 tokens"):
        decoder(torch.tensor([[0, 5, 6]]))


@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated")
@pytest.mark.parametrize("generate", ["generate", "hf_generate"])
def test_steering_notices_a_cache_that_stays_empty(generate):
    model = tiny_model()
    break_cache(model)
    with pytest.raises(HookError, match="does not fill its cache"), steer(model, random_sae(), {3: 1.0}):
        getattr(model, generate)("The red fox", max_new_tokens=3, do_sample=False)


def test_D40_a_model_with_a_recurrent_state_writes(tmp_path):
    from transformers import AutoTokenizer, MambaConfig, MambaForCausalLM

    from saelab.models.load import quiet_loading

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder())
    small = {"hidden_size": 16, "state_size": 4, "num_hidden_layers": 2, "expand": 2}
    ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)
    with quiet_loading():
        MambaForCausalLM(MambaConfig(vocab_size=len(tokenizer), **small, **ids)).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
    model = models.load_model(tmp_path)
    sae = random_sae(hook_in="blocks.0.hook_out")
    for edits in (None, {3: 8.0}):
        texts = [
            generate(model, sae, "The fox", edits, max_new_tokens=5, stop_at_end=False, cache=c).ids
            for c in (True, False)
        ]
        assert texts[0] == texts[1]
        assert len(texts[0]) == 5
    model.original_model.__class__ = type("Unmarked", (type(model.original_model),), {"_is_stateful": False})
    with pytest.raises(SaelabError, match="use cache=False"):  # a cache that cannot be checked is not trusted
        generate(model, None, "The fox", max_new_tokens=3)

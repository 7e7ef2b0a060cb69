"""Small makers shared by the tests."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import warnings
from pathlib import Path

import torch

torch.set_num_threads(1)  # the models are tiny: more threads only wait for each other

SENTENCES = [
    "The red fox ran over the hill and the ant sat on a log.",
    "def add(a, b):\n    return a + b\n",
    "Host: example.com\nAccept: text/html\n",
    "日本語のテキスト、🙂 é и русский язык",
    "12 + 34 = 46; 7 * 8 = 56",
]


def tiny_folder(kind: str = "gpt2", seed: int = 0) -> Path:
    """A random 2-layer model with its own byte-level tokenizer, saved in Hugging Face form.

    ``kind``: ``gpt2`` (learned positions), ``llama`` (rotary, 4 query heads, 2 key-value heads).
    """
    return _tiny_folder(kind, seed)


@functools.cache
def _tiny_folder(kind: str, seed: int) -> Path:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
    )

    from saelab.models.load import quiet_loading

    folder = Path(tempfile.mkdtemp(prefix="saelab-tiny-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        SENTENCES * 4, vocab_size=384, min_frequency=2, special_tokens=["<|bos|>"], show_progress=False
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer,
        bos_token="<|bos|>",
        eos_token="<|bos|>",
        clean_up_tokenization_spaces=False,
    )
    size = len(tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "gpt2":
            model = GPT2LMHeadModel(
                GPT2Config(
                    vocab_size=size, n_positions=32, n_embd=16, n_layer=2, n_head=2, n_inner=64,
                    resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.3,
                    bos_token_id=0, eos_token_id=0,
                )
            )  # fmt: skip
        else:
            model = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=size, hidden_size=16, intermediate_size=48, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32,
                    initializer_range=0.3, bos_token_id=0, eos_token_id=0, pad_token_id=0,
                )
            )  # fmt: skip
    with quiet_loading():  # save_pretrained draws a progress bar
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def tiny_model(kind: str = "gpt2", seed: int = 0, dtype: str = "float32"):
    """A fresh TransformerBridge of :func:`tiny_folder` (d_model 16, context 32)."""
    from saelab.models import load_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_model(tiny_folder(kind, seed), dtype=dtype)


@functools.cache
def shared_tiny():
    """One :func:`tiny_model` for all tests that do not change it (the fixture ``tiny``)."""
    return tiny_model()


def random_sae(arch="topk", d_in=16, d_sae=64, k=4, seed=0, hook_in="blocks.0.hook_resid_post", **config):
    """An SAE with random weights and non-zero biases."""
    from saelab.sae import SAE, SAEConfig

    sae = SAE(SAEConfig(arch=arch, d_in=d_in, d_sae=d_sae, k=k, hook_in=hook_in, **config))
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in sae.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * (0.3 if p.ndim == 1 else d_in**-0.5))
    return sae


def n_hooks(model):
    """How many hooks are installed."""
    points = {id(p): p for p in model.hook_dict.values()}  # aliases name the same point twice
    return sum(len(p.fwd_hooks) for p in points.values())


def logp_of(model, ids):
    """(T, V) log-probabilities of the first text, by a pass of its own."""
    from saelab import models

    with torch.no_grad():
        return models.forward(model, ids)[0].log_softmax(-1)


def codes_of(model, sae, ids):
    """(T, d_sae) latents of the first text, by a pass of its own."""
    from saelab import models

    hook = sae.config.hook_in
    with torch.no_grad():
        return sae.encode(models.run_to_hooks(model, ids, [hook])[hook])[0]

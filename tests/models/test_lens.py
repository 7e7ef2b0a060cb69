"""From a hook point to the residual stream."""

import pytest
import torch
from helpers import tiny_folder, tiny_model

from saelab import load_model, models
from saelab.errors import SaelabError
from saelab.models.lens import residual_direction


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    """A random two-layer model with a norm behind attention and MLP."""
    from transformers import AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

    folder = tmp_path_factory.mktemp("gemma")
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder())
    config = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=32, bos_token_id=0, eos_token_id=0, pad_token_id=0,
        sliding_window=16,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), models.load.quiet_loading():
        Gemma2ForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return load_model(folder)


def moved(model, hook, direction):
    """What adding ``direction`` at ``hook`` really adds to the stream behind the last block, at the last position."""
    ids, last = torch.tensor([[0, 5, 7]]), "blocks.1.hook_out"
    clean = models.run_to_hooks(model, ids, [last])[last]
    with models.hooked(model, {hook: lambda x: x + direction}):
        return (models.run_to_hooks(model, ids, [last])[last] - clean)[0, -1]


@pytest.mark.parametrize(
    "hook",
    ["blocks.1.mlp.hook_out", "blocks.1.mlp.hook_post", "blocks.1.attn.hook_z", "blocks.1.attn.hook_out"],
)
def test_D23_a_norm_behind_attention_or_mlp_is_no_straight_way(gemma, hook):
    with pytest.raises(SaelabError, match=r"puts a norm \(ln\d_post\)"):
        residual_direction(gemma, torch.randn(models.hook_width(gemma, hook)), hook)


@pytest.mark.parametrize("name", ["gemma", "plain"])
@pytest.mark.parametrize("hook", ["blocks.1.hook_mlp_out", "blocks.1.hook_resid_post"])
def test_D23_a_straight_way_is_what_the_model_does(gemma, name, hook):
    model = gemma if name == "gemma" else tiny_model()
    direction = torch.randn(16)
    torch.testing.assert_close(
        residual_direction(model, direction, hook), moved(model, hook, direction), atol=1e-5, rtol=0
    )

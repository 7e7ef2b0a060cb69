"""An exported intervention gives the same text, token by token, where saelab cannot be imported."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers import random_sae, tiny_folder, tiny_model

import saelab as sl
from saelab.errors import SaelabError
from saelab.interventions import Edit

ALONE = """
import json, sys, warnings
warnings.simplefilter("ignore")
class Without:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in ("saelab", "transformer_lens"):
            raise ImportError(name)
sys.meta_path.insert(0, Without())
sys.path.insert(0, sys.argv[2])
import torch
from transformers import AutoModelForCausalLM
from steer import steer
out = []
model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
for folder, prompts, new in json.loads(sys.argv[3]):
    width = max(map(len, prompts))  # padded on the left
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    with steer(model, folder):
        made = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=new, eos_token_id=-1, pad_token_id=0)
    out.append(made[:, width:].tolist())
assert "saelab" not in sys.modules
print(json.dumps(out))
"""
HOOKS = ["blocks.0.hook_resid_post", "blocks.1.hook_resid_pre", "blocks.1.hook_mlp_out", "blocks.1.hook_attn_out",
         "blocks.0.attn.hook_z", "blocks.0.mlp.hook_post"]  # fmt: skip


def cases(kind):
    """(sae, edits, options) in which every mode, architecture, condition and position occurs."""
    row = np.random.default_rng(0).normal(size=16)
    along = sl.Direction(row, HOOKS[0], name="along")
    modes = [
        Edit(s, mode, 3)
        for mode, s in (("add", 4.0), ("clamp", 2.0), ("scale", -3.0), ("cap", 0.1), ("floor", 1.0))
    ]
    yield random_sae(), modes, {}
    yield random_sae(), [Edit(2.0, latent=along, when=5), Edit(6.0, latent=5, when=along, above=0.1)], {}
    yield None, {along: 0.5, sl.Direction(row[::-1].copy(), HOOKS[1], name="b"): 3.0}, {"mode": "cap"}
    for arch in ("relu", "jumprelu", "gated", "batchtopk"):
        yield random_sae(arch, k=4 if arch == "batchtopk" else None), {3: 4.0, 9: 2.0}, {"mode": "floor"}
    for normalize in ("layer_norm", "constant_norm", "scale"):
        sae = random_sae(normalize=normalize, scale=0.5 if normalize == "scale" else 1.0)
        yield sae, [Edit(3.0, "clamp", 3), Edit(1.0, latent=along)], {}
    for positions in ("prompt", "generated", "last", [1, -1]):
        yield random_sae(), {3: 12.0}, {"positions": positions}
    yield random_sae(), {3: 12.0}, {"schedule": [1.0, 0.5, 0.0], "positions": "generated"}
    for hook in HOOKS[1:]:
        if not hook.endswith("hook_post"):
            yield random_sae(hook_in=hook), {3: 5.0, 4: 1.0}, {}
    d_mlp = 64 if kind == "gpt2" else 48
    yield random_sae(d_in=d_mlp, hook_in=HOOKS[-1]), {3: 5.0, 4: 1.0}, {"mode": "clamp"}


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_the_exported_hooks_give_the_same_text_without_saelab(kind, tmp_path):
    model, prompts = tiny_model(kind), ["The red fox", "def add"]
    ids = [sl.models.tokenize(model, p) for p in prompts]
    jobs, wanted, plain = (
        [],
        [],
        sl.generate(model, None, ids[0], temperature=0, max_new_tokens=8, stop_at_end=False).ids,
    )
    for number, (sae, edits, options) in enumerate(cases(kind)):
        folder = sl.export_steering(model, sae, edits, tmp_path / str(number), **options)
        jobs.append((str(folder), ids, 8))
        how = {"temperature": 0, "max_new_tokens": 8, "stop_at_end": False}
        wanted.append([sl.generate(model, sae, p, edits, **how, **options).ids for p in ids])
    assert sum(w[0] != plain for w in wanted) > len(wanted) // 2  # they do change the text
    command = [sys.executable, "-I", "-c", ALONE, str(tiny_folder(kind)), jobs[0][0], json.dumps(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == wanted


def test_what_plain_hooks_cannot_do_is_refused(tmp_path, tiny):
    with pytest.raises(SaelabError, match="'project' is not exported"):
        sl.export_steering(tiny, random_sae(), {3: 1.0}, tmp_path / "a", mode="project")
    with pytest.raises(SaelabError, match="inside a module"):
        sl.export_steering(tiny, random_sae(hook_in="blocks.0.ln1.hook_normalized"), {3: 1.0}, tmp_path / "b")
    assert not list(tmp_path.iterdir())

"""The shapes in the annotations of public functions hold: beartype reads them here, nothing reads them at run time."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from jaxtyping import install_import_hook
CHECKED = ["saelab.models.hooks", "saelab.models.lens", "saelab.sae.sae"]
with install_import_hook(CHECKED, "beartype.beartype"):
    import saelab as sl
    from saelab.models import hooks, lens
    import saelab.sae.sae
import torch
from helpers import random_sae, tiny_model
from jaxtyping import TypeCheckError

HOOK = "blocks.0.hook_resid_post"
model, sae = tiny_model(), random_sae(hook_in=HOOK)
ids = torch.tensor([[0, 5, 7]])
x = hooks.run_to_hooks(model, ids, [HOOK], torch.ones(1, 3, dtype=torch.bool))[HOOK]
hooks.forward(model, ids)
for rows in (x, x[0], x[0, 0]):
    sae.decode(sae.encode(rows)); sae.decode(sae.encode_sparse(rows)); sae(rows)
lens.kl_divergence(*(lens.token_votes(model, lens.residual_direction(model, w, HOOK)) for w in (sae.W_dec, sae.W_dec)))
for wrong in (
    lambda: hooks.forward(model, ids[0]),
    lambda: hooks.forward(model, x),
    lambda: hooks.run_to_hooks(model, ids, [HOOK], torch.ones(1, 4, dtype=torch.bool)),
    lambda: lens.kl_divergence(x, x[..., :2]),
    lambda: lens.kl_divergence(ids, ids),
):
    try:
        wrong()
    except TypeCheckError:
        continue
    raise SystemExit("a wrong shape passed")
print("held")
"""


def test_shapes_hold_on_the_way_from_tokens_to_logits_and_wrong_ones_are_seen():
    here = str(Path(__file__).parent)
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, here]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "held", done.stderr

"""The code of the BatchTopK paper (bartbussmann/BatchTopK): ``sae.pt`` with ``W_enc (d_in, d_sae)``, ``W_dec
(d_sae, d_in)``, ``b_enc``, ``b_dec`` and, for JumpReLU, ``jumprelu.log_threshold (d_sae)``; ``config.json``
with ``sae_type`` and ``input_unit_norm`` (each row is layer-normalized, and that is undone on the output).

``b_enc`` is there but not used by TopK; ``b_dec`` is subtracted from the input except by JumpReLU. Its
BatchTopK keeps no threshold, so what a token's latents are would depend on the batch: refused."""

from __future__ import annotations

from saelab.formats.common import assemble, k_of
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, DTYPE, FLAG, TEXT, choice, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME
from saelab.sae import SAE

NAME = "batchtopk_code"
CONFIG, WEIGHTS = "config.json", "sae.pt"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
REFUSED = {"batchtopk": "stores no threshold, so a token's latents depend on the batch it is in; measure one there "
           "and save it as jumprelu"}  # fmt: skip
KEYS = {
    "sae_type": choice({"vanilla": "relu", "topk": "topk", "jumprelu": "jumprelu"}, refused=REFUSED).needed,
    "act_size": COUNT.needed, "dict_size": COUNT.needed, "top_k": COUNT, "input_unit_norm": FLAG.absent(False),
    "hook_point": TEXT, "seq_len": COUNT, "dtype": DTYPE,
} | unused(
    "seed batch_size lr num_tokens l1_coeff beta1 beta2 max_grad_norm site layer device model_batch_size "
    "num_batches_in_buffer dataset_path wandb_project perf_log_freq checkpoint_freq n_batches_to_dead top_k_aux "
    "aux_penalty bandwidth name"
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that code."""
    return src.has(CONFIG, WEIGHTS) and {"sae_type", "act_size", "dict_size"} <= set(src.values(CONFIG))


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    config, w = src.config(CONFIG, KEYS), src.weights(WEIGHTS)
    arch = config["sae_type"]
    k = k_of(src, config, arch)
    w.expect(str(config.where), d_in=config["act_size"], d_sae=config["dict_size"])
    tensors = w.map(SAME)
    if arch == "topk":
        tensors["b_enc"] = tensors["b_enc"].new_zeros(w.sizes["d_sae"])
    if arch == "jumprelu":
        tensors["threshold"] = w.take("jumprelu.log_threshold", "d_sae").exp()
    return assemble(
        src, w, tensors, NAME, arch=arch, k=k,
        normalize="layer_norm" if config["input_unit_norm"] else "none",
        input_bias="none" if arch == "jumprelu" else "decoder",
        hook_in=config["hook_point"], context=config["seq_len"], dtype=config["dtype"] or "float32",
    )  # fmt: skip

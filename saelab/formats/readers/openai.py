"""OpenAI's ``.pt`` files (openai/sparse_autoencoder): a state dict with two entries that are not tensors.

``pre_bias (d_in)``, ``encoder.weight (d_sae, d_in)``, ``latent_bias (d_sae)``, ``decoder.weight (d_in,
d_sae)`` (left out, or named ``decoder.linear.weight``, when tied), three statistics of training,
``activation`` and ``activation_state_dict {k, postact_fn}``. ``pre_bias`` is subtracted from the input and
added to the output. With TopK each row is layer-normalized first: that is how the code reads files whose
activation is TopK. Where ``8.json`` lies beside ``8.pt``, it says which model and hook point it is of, in SAELens's
words; the code itself takes no notice of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from saelab import files
from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble, check_can, facts_of, is_transcoder, need, parameters, renamed
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, Key, choice
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Weights
from saelab.sae import SAE

NAME = "openai"
LAYOUT = Layout(single=r"(\d+|autoencoder)\.pt", beside=("{0}.json",))
KEYS: dict[str, Key] = {}  # of the file beside it: those that every config may have
STATE = {
    "k": COUNT.needed,
    "postact_fn": choice(("ReLU",), refused={"Identity": "lets latents be negative; only ReLU is known"}).needed,
}  # fmt: skip
TENSORS = {
    "W_enc": "encoder.weight.T",
    "b_enc": "latent_bias",
    "W_dec": "decoder.weight.T",
    "b_dec": "pre_bias",
}
TIED = {"b_enc": "latent_bias", "W_dec": "encoder.weight", "b_dec": "pre_bias"}
STATISTICS = ("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")
HOOKS = {
    "mlp_post_act": "mlp.hook_post",
    "resid_delta_mlp": "hook_mlp_out",
    "resid_delta_attn": "hook_attn_out",
    "resid_post_attn": "hook_resid_mid",
    "resid_post_mlp": "hook_resid_post",
}


def detect(src: SAEFiles) -> bool:
    """Whether this is a file of that library."""
    path = src.only(".pt")
    return path is not None and {"pre_bias", "latent_bias", "encoder.weight"} <= src.keys(path)


def read(src: SAEFiles) -> SAE:
    """Read a file."""
    path = src.one(".pt")
    data = dict(src.tensors(path))
    facts, guess = _activation(src, data, path)
    w = Weights(data, path, src.obstacles)
    w.skip(*STATISTICS)
    tied = "decoder.weight" not in w
    tensors = w.map(TIED if tied else TENSORS)
    if tied:
        w.skip("decoder.linear.weight")  # the encoder's, stored twice
    known_as = src.hint if src.path.is_dir() else str(src.path)
    src.config(path.with_suffix(".json").name, KEYS, needed=False)
    return assemble(src, w, tensors, NAME, tied=tied, guess=_where(known_as) | guess, **facts)


def _activation(src: SAEFiles, data: dict[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is stored about it, and what the code takes it to mean beyond that."""
    stored, name = data.pop("activation_state_dict", {}), data.pop("activation", None)
    where = f"activation_state_dict of {path}"
    for key in ("k", "postact_fn"):  # the library stores these twice
        if data.pop(f"activation.{key}", None) not in (None, stored.get(key)):
            raise SaelabError(f"{path}: activation.{key} and activation_state_dict do not agree")
    if name is None:
        why = (
            "no 'activation' is stored. The first files of this format (v1, v4) leave it out and mean "
            "'relu'; in a later one it is lost"
        )
        name = {"relu": "ReLU", "topk": "TopK"}.get(need(src, "arch", why))
    if name == "ReLU":
        src.table(stored, where, {})
        return {"arch": "relu"}, {}
    if name != "TopK":
        raise unknown(f"activation in {path}:", name, ("ReLU", "TopK"))
    # not stored: TopK means layer norm, unless the user knows that training went without
    return {"arch": "topk", "k": src.table(stored, where, STATE)["k"]}, {"normalize": "layer_norm"}


def _where(path: str) -> dict[str, Any]:
    match = re.search(r"(mlp_post_act|resid_\w+?_(?:mlp|attn))(?:_v4|_v5_\w+k)?/autoencoders/(\d+)\.pt", path)
    if match is None or match[1] not in HOOKS:
        return {}
    return {"hook_in": f"blocks.{match[2]}.{HOOKS[match[1]]}", "model": "gpt2"}


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` as one file; ``path`` may be a folder, then as ``autoencoder.pt`` in it."""
    c = sae.config
    topk = c.arch == "topk"
    wanted = "layer_norm" if topk else "none"
    check_can(
        sae, NAME,
        (c.arch not in ("relu", "topk"), "the format has ReLU and TopK only"),
        (c.normalize != wanted,
         f"its readers take {c.arch} to mean normalize={wanted!r}, this one has {c.normalize!r}"),
        (is_transcoder(sae) or c.skip or c.widths, "input and output are the same activations there"),
    )  # fmt: skip
    out = renamed(parameters(sae, input_bias="decoder"), TENSORS) | {
        "stats_last_nonzero": torch.zeros(c.d_sae, dtype=torch.long),
        "latents_activation_frequency": torch.ones(c.d_sae),
        "latents_mean_square": torch.zeros(c.d_sae),
        "activation": "TopK" if topk else "ReLU",
        "activation_state_dict": {"k": c.k, "postact_fn": "ReLU"} if topk else {},
    }
    path = path if path.suffix == ".pt" else path / "autoencoder.pt"
    with files.atomic_write(path) as temporary:
        torch.save(out, temporary)
    files.write_json(path.with_suffix(".json"), facts_of(sae))
    return path

"""dictionary_learning: ``ae.pt`` (a state dict) and ``config.json`` with ``trainer.dict_class``.

The class decides what the tensors mean and whether the bias is subtracted from the input; two classes have
the same tensors, so without the class nothing is read. Files hold weights for raw activations: the factor
of training is multiplied in when they are saved. ``AutoEncoder`` is brought to decoder rows of length 1 when it
is loaded, its latents along."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saelab import files
from saelab.errors import SaelabError
from saelab.formats.common import (
    assemble,
    check_can,
    facts_of,
    hook_of_module,
    is_transcoder,
    need,
    parameters,
    renamed,
    unit_rows,
)
from saelab.formats.format import Layout
from saelab.formats.keys import COUNT, INTEGER, TABLE, TEXT, UNUSED, Config, choice, unused
from saelab.formats.source import SAEFiles
from saelab.formats.weights import LINEAR, SAME
from saelab.models import hook_layer
from saelab.sae import SAE

NAME = "dictionary_learning"
CONFIG, WEIGHTS = "config.json", "ae.pt"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
GATES = {"b_enc": "gate_bias", "b_mag": "mag_bias", "r_mag": "r_mag", "b_dec": "decoder_bias"}


@dataclass(frozen=True)
class Class:
    """A class of the library: its architecture, names of its tensors, and what it subtracts from the input."""

    arch: str
    tensors: dict[str, str]
    input_bias: str = "decoder"


CLASSES = {
    "AutoEncoder": Class("relu", LINEAR | {"b_dec": "bias"}),
    "AutoEncoderNew": Class("relu", LINEAR, "none"),
    "GatedAutoEncoder": Class("gated", LINEAR | GATES),
    "AutoEncoderTopK": Class("topk", LINEAR | {"b_dec": "b_dec"}),
    "BatchTopKSAE": Class("batchtopk", LINEAR | {"b_dec": "b_dec"}),
    "MatryoshkaBatchTopKSAE": Class("matryoshka", SAME),
    "JumpReluAutoEncoder": Class("jumprelu", SAME | {"threshold": "threshold"}, "none"),
}


# the transcoders it trains with "in_and_out" are no class of their own
IO = choice(
    {"in": True, "out": False}, False, refused={"in_and_out": "is a transcoder's, which no class here is"}
)
KEYS = {"trainer": TABLE.needed, "buffer": TABLE}
TRAINER = {
    "dict_class": choice(tuple(CLASSES)).needed, "activation_dim": COUNT, "dict_size": COUNT, "k": COUNT,
    "layer": INTEGER, "lm_name": TEXT, "submodule_name": TEXT, "group_sizes": UNUSED,
} | unused(
    "trainer_class lr steps auxk_alpha warmup_steps decay_start threshold_beta threshold_start_step top_k_aux seed "
    "device wandb_name bandwidth sparsity_penalty sparsity_warmup_steps target_l0 group_fractions group_weights "
    "l1_penalty sparsity_function sparsity_queue_length p_start p_end anneal_start n_sparsity_updates resample_steps "
    "activation_queue_length adaptive_sparsity_penalty sparsity_loss_queue_length steps_before_annealing "
    "k_anneal_steps norm_factor"
)  # fmt: skip
BUFFER = {"ctx_len": COUNT, "io": IO} | unused(
    "d_submodule n_ctxs refresh_batch_size out_batch_size device layer"
)  # fmt: skip


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and isinstance(src.values(CONFIG).get("trainer"), dict)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    whole, w = src.config(CONFIG, KEYS), src.weights(WEIGHTS)
    config = src.table(whole["trainer"], f"'trainer' in {whole.where}", TRAINER)
    buffer = src.table(whole["buffer"] or {}, f"'buffer' in {whole.where}", BUFFER)
    src.obstacles.check()
    kind = CLASSES[config["dict_class"]]
    if "ae" in w and "optimizer" in w:
        raise SaelabError(
            f"{w.where} is a backup of a running training, whose weights are for scaled activations; load a "
            "file of the checkpoints folder, or the finished one"
        )
    w.expect(str(whole.where), d_in=config["activation_dim"], d_sae=config["dict_size"])
    facts: dict[str, Any] = {"arch": kind.arch, "input_bias": kind.input_bias}
    tensors, k = w.map(kind.tensors), config["k"]
    if kind.arch in ("topk", "batchtopk", "matryoshka"):
        facts["k"] = int(w.number("k")) if "k" in w else k
        if k not in (None, facts["k"]):
            src.obstacles.add(
                f"{whole.where} says k={k}, the state dict says k={facts['k']}; which one is it? (k annealing?)"
            )
    elif k is not None:
        src.obstacles.add(f"{whole.where}: k is set, which a {config['dict_class']} has no use for")
    if kind.arch == "topk":
        w.skip("threshold")  # kept for use on request; the class's own latents are the k largest
    if kind.arch in ("batchtopk", "matryoshka"):
        tensors["threshold"] = w.take("threshold")
    if kind.arch == "matryoshka":
        sizes = w.integers("group_sizes")
        facts["prefixes"] = tuple(sizes.cumsum(0).tolist())
        if config.record.get("group_sizes") not in (None, sizes.tolist()):
            said = config.record["group_sizes"]
            src.obstacles.add(f"{whole.where} says group_sizes={said}, the state dict says {sizes.tolist()}")
    if config["dict_class"] == "AutoEncoder" and not _unit(tensors["W_dec"]):
        unit_rows(tensors)
    hook = config["hook_name"] or _hook(src, config, reads=buffer["io"])
    return assemble(
        src, w, tensors, NAME, model=config["lm_name"], hook_in=hook, context=buffer["ctx_len"], **facts
    )


def _unit(rows: torch.Tensor) -> bool:
    length = rows.float().norm(dim=1)
    return torch.allclose(length, torch.ones_like(length))  # as exactly as the library asks


def _hook(src: SAEFiles, config: Config, *, reads: bool) -> str | None:
    """The hook point of a module that the library names; ``reads``: its input."""
    module, layer = config["submodule_name"], config["layer"]
    if module is None:
        return None
    match = re.fullmatch(r"(resid_post|attention_out|attn_out|mlp_out)_layer_?(\d+)", module)
    if match is None:
        point = hook_of_module(module, reads=reads)
        if point is None:
            need(src, "hook_in", f"{config.where}: submodule_name {module!r} is no module that saelab knows")
        return point
    if layer not in (None, int(match[2])):
        src.obstacles.add(f"{config.where}: layer {layer} is not the layer of submodule_name {module!r}")
    part = {"resid_post": "", "mlp_out": ".mlp"}.get(match[1], ".attn")
    return hook_of_module(f"layers.{match[2]}{part}", reads=reads)


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    c = sae.config
    fits = [name for name, kind in CLASSES.items() if kind.arch == c.arch]
    check_can(
        sae, NAME,
        (not fits, f"the library has no class for it; it has {', '.join(CLASSES)}"),
        (c.normalize != "none", f"it has no place for normalize={c.normalize!r}"),
        (is_transcoder(sae) or c.skip or c.widths, "input and output are the same activations there"),
    )  # fmt: skip
    name = next((n for n in fits if CLASSES[n].input_bias == c.input_bias), fits[0])
    if name == "AutoEncoder" and not _unit(sae.W_dec):
        name = "AutoEncoderNew"  # which the library leaves as it is
    kind = CLASSES[name]
    p = parameters(sae, input_bias=kind.input_bias)
    out = renamed(p, kind.tensors)
    if c.k:
        threshold = p.get("threshold", torch.tensor(-1.0)).float().cpu()
        out |= {"k": torch.tensor(c.k, dtype=torch.int), "threshold": threshold}
    if c.prefixes:
        sizes = torch.tensor(c.prefixes)
        out["group_sizes"] = sizes.diff(prepend=sizes.new_zeros(1))
    facts = facts_of(sae)
    trainer = {
        "dict_class": name, "activation_dim": c.d_in, "dict_size": c.d_sae, "layer": hook_layer(c.hook_in),
        "lm_name": facts.pop("model_name", None), "submodule_name": c.hook_in or None, **facts,
    } | ({"k": c.k} if c.k else {})  # fmt: skip
    with files.atomic_write(path / WEIGHTS) as temporary:
        torch.save(out, temporary)
    files.write_json(path / CONFIG, {"trainer": trainer, "buffer": {"ctx_len": c.context}})
    return path

"""EleutherAI's sparsify: ``cfg.json`` and ``sae.safetensors`` in a folder named after the module they read.

``encoder.weight (d_sae, d_in)``, ``encoder.bias (d_sae)``, ``W_dec (d_sae, d_in)``, ``b_dec (d_in)`` and,
with ``skip_connection``, ``W_skip (d_in, d_in)``. ``b_dec`` is subtracted from the input unless
``transcode``."""

from __future__ import annotations

from pathlib import Path

from saelab import files
from saelab.formats.common import (
    assemble,
    check_can,
    hook_of_module,
    is_transcoder,
    parameters,
    renamed,
)
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.sae import SAE

NAME = "sparsify"
CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"
LAYOUT = Layout(weights=(WEIGHTS,), beside=(CONFIG,))
TENSORS = {"W_enc": "encoder.weight.T", "b_enc": "encoder.bias", "W_dec": "W_dec", "b_dec": "b_dec"}
SKIP = {"W_skip": "W_skip"}
REFUSED = {"groupmax": "keeps the largest of each group; saelab has no such SAE"}


def detect(src: SAEFiles) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and "encoder.weight" in src.keys(WEIGHTS)


def read(src: SAEFiles) -> SAE:
    """Read a folder."""
    keys, w = src.config(CONFIG), src.weights(WEIGHTS)
    k, d_in = keys.take("k", kind=int), keys.take("d_in", kind=int)
    # files without the key are older than the second choice; then there was only this one
    keys.choose("activation", {"topk": True}, "topk", refused=REFUSED)
    keys.refuse({"signed": "signed latents may be negative; saelab's are not"})
    transcode, skip = keys.take("transcode", False, kind=bool), keys.take("skip_connection", False, kind=bool)
    n, factor = keys.take("num_latents", 0, kind=int), keys.take("expansion_factor", None)
    keys.skip("normalize_decoder", "multi_topk")  # about training only
    keys.finish()
    n = n or (d_in * factor if isinstance(factor, int) else None)
    w.expect(str(keys.where), d_in=d_in, d_out=d_in, d_sae=n)
    tensors = w.map(TENSORS | (SKIP if skip else {}), out="d_out")
    module = src.folder.name
    return assemble(
        src, w, tensors, NAME, arch="topk", dtype=None, k=k, input_bias="none" if transcode else "decoder", skip=skip,
        hook_in=hook_of_module(module, reads=transcode), hook_out=hook_of_module(module) if transcode else None,
        record={"module": module},
    )  # fmt: skip


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    c = sae.config
    check_can(
        sae, NAME,
        (c.arch != "topk", "the format has TopK only (and GroupMax)"),
        (c.normalize != "none", f"it has no place for normalize={c.normalize!r}"),
        (c.d_in != c.d_out or c.widths, "input and output have the same width there"),
    )  # fmt: skip
    transcode = is_transcoder(sae) or c.skip
    p = parameters(sae, input_bias="none" if transcode else "decoder")
    config = {
        "activation": "topk",
        "expansion_factor": max(1, c.d_sae // c.d_in),
        "normalize_decoder": False,
        "num_latents": c.d_sae,
        "k": c.k,
        "multi_topk": False,
        "skip_connection": c.skip,
        "transcode": transcode,
        "d_in": c.d_in,
    }
    files.write_tensors(path / WEIGHTS, renamed(p, TENSORS | (SKIP if c.skip else {})))
    files.write_json(path / CONFIG, config)
    return path

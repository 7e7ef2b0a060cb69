"""EleutherAI's sparsify: ``cfg.json`` and ``sae.safetensors`` in a folder named after the module they read.

``encoder.weight (d_sae, d_in)``, ``encoder.bias (d_sae)``, ``W_dec (d_sae, d_in)``, ``b_dec (d_in)`` and,
with ``skip_connection``, ``W_skip (d_in, d_in)``. ``b_dec`` is subtracted from the input unless
``transcode``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelab import files
from saelab.errors import SaelabError, unknown
from saelab.formats.common import (
    assemble,
    hook_of_module,
    is_transcoder,
    parameters,
    refuse,
    scale_folded,
)
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "sparsify"
CONFIG, WEIGHTS = "cfg.json", "sae.safetensors"


def detect(src: Source) -> bool:
    """Whether this is a folder of that library."""
    return src.has(CONFIG, WEIGHTS) and "encoder.weight" in src.keys(WEIGHTS)


def read(src: Source) -> SAE:
    """Read a folder."""
    where = src.folder / CONFIG
    keys = Keys(src.json(CONFIG), where)
    k = keys.take("k", kind=int)
    # files without the key are older than the second choice; then there was only this one
    activation = keys.take("activation", "topk")
    if activation == "groupmax":
        raise SaelabError(
            f"{where}: activation 'groupmax' keeps the largest of each group; saelab has no such SAE"
        )
    if activation != "topk":
        raise unknown(f"activation in {where}:", activation, ("topk",))
    if keys.take("signed", False):
        raise SaelabError(f"{where}: signed latents may be negative; saelab's are not")
    transcode, skip = keys.take("transcode", False, kind=bool), keys.take("skip_connection", False, kind=bool)
    n, factor = keys.take("num_latents", 0, kind=int), keys.take("expansion_factor", None)
    d_in = keys.take("d_in", kind=int)
    keys.skip("normalize_decoder", "multi_topk")  # about training only
    keys.finish()
    w = Weights(src.tensors(WEIGHTS), src.folder / WEIGHTS)
    w.expect(
        str(where), d_in=d_in, d_out=d_in, d_sae=n or (d_in * factor if isinstance(factor, int) else None)
    )
    tensors = {
        "W_enc": w.take("encoder.weight", "d_sae", "d_in").T,  # (d_in, d_sae)
        "b_enc": w.take("encoder.bias", "d_sae"),
        "W_dec": w.take("W_dec", "d_sae", "d_out"),
        "b_dec": w.take("b_dec", "d_out"),
    }
    if skip:
        tensors["W_skip"] = w.take("W_skip", "d_out", "d_in")
    bias = "none" if transcode else "decoder"
    hooks = _hooks(src.folder.name, transcode)
    return assemble(
        src,
        w,
        tensors,
        form=NAME,
        arch="topk",
        k=k,
        input_bias=bias,
        skip=skip,
        record={"module": src.folder.name},
        **hooks,
    )


def _hooks(module: str, transcode: bool) -> dict[str, str | None]:
    out = hook_of_module(module)
    if not transcode:
        return {"hook_in": out}
    return {"hook_in": hook_of_module(module, reads=True), "hook_out": out}


def write(sae: SAE, path: Path) -> Path:
    """Write ``sae`` into the folder ``path``."""
    sae = scale_folded(sae)
    c = sae.config
    if c.arch != "topk":
        raise refuse(sae, NAME, "the format has TopK only (and GroupMax)")
    if c.normalize != "none":
        raise refuse(sae, NAME, f"it has no place for normalize={c.normalize!r}")
    if c.d_in != c.d_out or c.widths:
        raise refuse(sae, NAME, "input and output have the same width there")
    transcode = is_transcoder(sae) or c.skip
    p = parameters(sae, input_bias="none" if transcode else "decoder")
    tensors = {
        "encoder.weight": p["W_enc"].T,
        "encoder.bias": p["b_enc"],
        "W_dec": p["W_dec"],
        "b_dec": p["b_dec"],
    }
    if c.skip:
        tensors["W_skip"] = p["W_skip"]
    config: dict[str, Any] = {
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
    files.write_tensors(path / WEIGHTS, tensors)
    files.write_json(path / CONFIG, config)
    return path

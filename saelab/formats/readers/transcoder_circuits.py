"""transcoder_circuits: a ``.pt`` ``{cfg, state_dict}`` with ``W_enc (d_in, d_sae)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec (d_in)`` that is subtracted from the input and ``b_dec_out (d_out)`` that is
added to the output: ReLU.

The published files hold ``cfg`` as an object of the library's own class, which is code and therefore
refused. Load such a file there and save ``{"cfg": vars(sae.cfg), "state_dict": sae.state_dict()}``."""

from __future__ import annotations

from saelab.errors import SaelabError
from saelab.formats.common import assemble, said_dtype
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import SAME, Keys, Weights
from saelab.sae import SAE

NAME = "transcoder_circuits"
LAYOUT = Layout()  # published under names that say nothing
TENSORS = SAME | {"own_b_in": "b_dec", "b_dec": "b_dec_out"}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    state = src.tensors(path).get("state_dict") if path is not None else None
    return isinstance(state, dict) and "b_dec_out" in state


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.one(".pt")
    whole = Keys(src.tensors(path), path)
    cfg = Keys(whole.take("cfg", kind=dict), f"'cfg' in {path}")
    w = Weights(whole.take("state_dict", kind=dict), path)
    whole.finish()
    w.expect(str(cfg.where), **{axis: cfg.take(axis, None) for axis in ("d_in", "d_sae", "d_out")})
    if not cfg.take("is_transcoder", True):
        raise SaelabError(f"{path} says it is no transcoder, but has b_dec_out")
    return assemble(
        src, w, w.map(TENSORS, out="d_out"), NAME, arch="relu", input_bias="own",
        hook_in=cfg.take("hook_point", None), hook_out=cfg.take("out_hook_point", None),
        model=cfg.take("model_name", None), context=cfg.take("context_size", None),
        dtype=said_dtype(cfg),
    )  # fmt: skip

"""transcoder_circuits: a ``.pt`` ``{cfg, state_dict}`` with ``W_enc (d_in, d_sae)``, ``W_dec (d_sae,
d_out)``, ``b_enc``, ``b_dec (d_in)`` that is subtracted from the input and ``b_dec_out (d_out)`` that is
added to the output: ReLU.

The published files hold ``cfg`` as an object of the library's own class, which is code and therefore
refused. Load such a file there and save ``{"cfg": vars(sae.cfg), "state_dict": sae.state_dict()}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saelab.errors import SaelabError
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Keys, Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "transcoder_circuits"


def detect(src: Source) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    state = src.pickle(path).get("state_dict") if path is not None else None
    return isinstance(state, dict) and "b_dec_out" in state


def read(src: Source) -> SAE:
    """Read a file, or the folder it is in."""
    path = src.only(".pt")
    if path is None:
        raise SaelabError(f"{src} is not, and does not hold, exactly one .pt file; found: {src.inside()}")
    whole = Keys(src.pickle(path), path)
    cfg = Keys(whole.take("cfg", kind=dict), f"'cfg' in {path}")
    w = Weights(whole.take("state_dict", kind=dict), path)
    whole.finish()
    w.expect(
        f"'cfg' in {path}",
        d_in=cfg.take("d_in", None),
        d_sae=cfg.take("d_sae", None),
        d_out=cfg.take("d_out", None),
    )
    if not cfg.take("is_transcoder", True):
        raise SaelabError(f"{path} says it is no transcoder, but has b_dec_out")
    tensors = {
        "W_enc": w.take("W_enc", "d_in", "d_sae"),
        "b_enc": w.take("b_enc", "d_sae"),
        "own_b_in": w.take("b_dec", "d_in"),
        "W_dec": w.take("W_dec", "d_sae", "d_out"),
        "b_dec": w.take("b_dec_out", "d_out"),
    }
    return assemble(
        src, w, tensors, form=NAME, arch="relu", input_bias="own",
        hook_in=cfg.take("hook_point", None), hook_out=cfg.take("out_hook_point", None),
        model=cfg.take("model_name", None), context=cfg.take("context_size", None),
    )  # fmt: skip

"""End-to-end SAEs (ApolloResearch/e2e_sae): a ``.pt`` with, for each hook point (``.`` written as ``-``),
``<hook>.encoder.0.weight (d_sae, d_in)``, ``<hook>.encoder.0.bias``, ``<hook>.decoder.weight (d_in, d_sae)``
and ``<hook>.decoder.bias``; ``final_config.yaml`` beside it names the model. ReLU, nothing subtracted from
the input; decoder rows are brought to length 1 whenever they are used, so they are when loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble
from saelab.formats.source import Source
from saelab.formats.weights import Weights

if TYPE_CHECKING:
    from saelab.sae import SAE

NAME = "e2e_sae"
CONFIG = "final_config.yaml"
END = ".encoder.0.weight"


def _points(data: dict[str, object]) -> dict[str, str]:
    """Hook point -> what its tensors' names begin with."""
    return {
        str(key)[: -len(END)].replace("-", "."): str(key)[: -len(END)]
        for key in data
        if str(key).endswith(END)
    }


def detect(src: Source) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    return path is not None and bool(_points(src.pickle(path)))


def read(src: Source) -> SAE:
    """Read a file, or the folder it is in; ``given={"hook_in": …}`` chooses where it holds several."""
    path = src.only(".pt")
    if path is None:
        raise SaelabError(f"{src} is not, and does not hold, exactly one .pt file; found: {src.inside()}")
    data = src.pickle(path)
    points = _points(data)
    hook = src.given.get("hook_in")
    if hook is None and len(points) == 1:
        hook = next(iter(points))
    if hook is None:
        raise SaelabError(
            f"{path} holds SAEs of {len(points)} hook points; say which: given={{'hook_in': …}}, one of "
            + ", ".join(map(repr, points))
        )
    if hook not in points:
        raise unknown(f"hook point in {path}:", hook, points)
    begins = points[hook] + "."
    others = [name for name in data if not str(name).startswith(tuple(p + "." for p in points.values()))]
    if others:
        raise SaelabError(f"{path} holds {others[0]!r}, which belongs to no SAE of this format")
    w = Weights({name.removeprefix(begins): t for name, t in data.items() if name.startswith(begins)}, path)
    tensors = {
        "W_enc": w.take("encoder.0.weight", "d_sae", "d_in").T,  # (d_in, d_sae)
        "b_enc": w.take("encoder.0.bias", "d_sae"),
        "W_dec": F.normalize(w.take("decoder.weight", "d_in", "d_sae"), dim=0).T,  # (d_sae, d_in)
        "b_dec": w.take("decoder.bias", "d_in"),
    }
    said = src.yaml(CONFIG) if (src.folder / CONFIG).is_file() else {}
    model = said.get("tlens_model_name")
    return assemble(
        src, w, tensors, form=NAME, arch="relu", input_bias="none", hook_in=hook,
        model=model if isinstance(model, str) else None,
    )  # fmt: skip

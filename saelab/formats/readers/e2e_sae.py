"""End-to-end SAEs (ApolloResearch/e2e_sae): a ``.pt`` with, for each hook point (``.`` written as ``-``),
``<hook>.encoder.0.weight (d_sae, d_in)``, ``<hook>.encoder.0.bias``, ``<hook>.decoder.weight (d_in, d_sae)``
and ``<hook>.decoder.bias``; ``final_config.yaml`` beside it names the model. ReLU, nothing subtracted from
the input; decoder rows are brought to length 1 whenever they are used, so they are when loaded."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F

from saelab.errors import SaelabError, unknown
from saelab.formats.common import assemble
from saelab.formats.format import Layout
from saelab.formats.source import SAEFiles
from saelab.formats.weights import Weights
from saelab.sae import SAE

NAME = "e2e_sae"
CONFIG = "final_config.yaml"
LAYOUT = Layout(single=r"samples_\d+\.pt", beside=(CONFIG,))
END = ".encoder.0.weight"
TENSORS = {
    "W_enc": "encoder.0.weight.T",
    "b_enc": "encoder.0.bias",
    "W_dec": "decoder.weight.T",
    "b_dec": "decoder.bias",
}


def _points(names: Iterable[object]) -> dict[str, str]:
    """Hook point -> what its tensors' names begin with."""
    begins = [str(name).removesuffix(END) for name in names if str(name).endswith(END)]
    return {begin.replace("-", "."): begin for begin in begins}


def detect(src: SAEFiles) -> bool:
    """Whether this is one of these files."""
    path = src.only(".pt")
    return path is not None and bool(_points(src.keys(path)))


def read(src: SAEFiles) -> SAE:
    """Read a file, or the folder it is in; ``given={"hook_in": …}`` chooses where it holds several."""
    path = src.one(".pt")
    data = src.tensors(path)
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
    for name in data:
        if not str(name).startswith(tuple(p + "." for p in points.values())):
            raise SaelabError(f"{path} holds {name!r}, which belongs to no SAE of this format")
    begins = points[hook] + "."
    w = Weights({name.removeprefix(begins): t for name, t in data.items() if name.startswith(begins)}, path)
    tensors = w.map(TENSORS)
    tensors["W_dec"] = F.normalize(tensors["W_dec"].float(), dim=1)
    model = src.config(CONFIG, needed=False).text("tlens_model_name")
    return assemble(src, w, tensors, NAME, arch="relu", input_bias="none", hook_in=hook, model=model)

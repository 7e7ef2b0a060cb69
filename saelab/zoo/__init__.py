"""The zoo: a corpus with a ground truth, a small model of it, and that model's SAE, all in the package.

    import saelab as sl
    model, sae = sl.load_model("zoo"), sl.load_sae("zoo")
    for document in sl.zoo.documents(3, genres=["http"]):
        print(document.text, document.spans)

``documents``/``texts``
    Generated texts of 18 genres (:data:`GENRES`), every character labelled with nested concepts
    (:data:`CONCEPTS`) such as ``http`` and ``http.header_name``. See :mod:`saelab.zoo.corpus`.
``labelled_rows``
    The same as token rows with concept labels for each token.
``classify``
    Genre of any text by the generator's own rules.
``Reader``
    A judge of explanations that knows the truth; see :mod:`saelab.words`.
``model_path``, ``sae_path``, ``load_sae``
    The trained files in ``saelab/zoo/data``.

``sl.load_model("zoo-twin")`` and ``sl.load_sae("zoo-twin")`` are another pair: half as wide, with a tokenizer of its own,
trained on other documents of the same rules. What is the same in both is a matter of truth, not of taste.

Where it all comes from: the texts are written by rules made for this project (``saelab/zoo/genres``),
nothing was copied or downloaded; ``python -m saelab.zoo.build`` trained tokenizer, model and
SAE on them.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelab import bundled
from saelab.doors import door

if TYPE_CHECKING:
    from saelab.sae import SAE

_WHERE = {
    "Document": "saelab.zoo.corpus",
    "documents": "saelab.zoo.corpus",
    "texts": "saelab.zoo.corpus",
    "GENRES": "saelab.zoo.corpus",
    "CONCEPTS": "saelab.zoo.corpus",
    "Labels": "saelab.zoo.labels",
    "labelled_rows": "saelab.zoo.labels",
    "Reader": "saelab.zoo.reader",
}

__all__ = [*_WHERE, "classify", "load_sae", "model_path", "sae_path"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'saelab.zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


@door
def classify(text: str) -> str | None:
    """Genre of ``text`` by the generator's own rules, or None; see :mod:`saelab.zoo.judge`."""
    from saelab.zoo import judge

    return judge.classify(text)


def model_path() -> Path:
    """Folder of the bundled model, in Hugging Face form."""
    return bundled.whole(bundled.MODELS["zoo"])


def sae_path() -> Path:
    """Folder of the bundled SAE on ``blocks.0.mlp.hook_post``."""
    return bundled.whole(bundled.SAES["zoo"])


def load_sae() -> SAE:
    """The bundled SAE: TopK, 4,096 latents, k = 32."""
    from saelab.formats.readers import native

    return native.load(sae_path())

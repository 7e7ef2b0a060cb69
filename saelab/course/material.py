"""What all exercises share: the zoo's model and SAE, an index to work with, and documents that only the checks read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from saelab import models, zoo
from saelab.index import LatentIndex
from saelab.models import HookedModel
from saelab.sae import SAE
from saelab.zoo.labels import Labels

DOCUMENTS, SEED = 1500, 3  # what students read
HELD_OUT, HELD_SEED = 700, 77  # what the checks read
HOOK = "blocks.0.mlp.hook_post"


@dataclass(frozen=True)
class Material:
    """``model``, ``sae``, ``index`` of 1,500 documents and the ``labels`` of its tokens."""

    model: HookedModel
    sae: SAE
    index: LatentIndex
    labels: Labels

    def __iter__(self) -> Any:
        return iter((self.model, self.sae, self.index, self.labels))

    def __repr__(self) -> str:
        return f"the zoo's model and SAE; {self.index!r}; {self.labels!r}"


@functools.cache
def model_and_sae() -> tuple[HookedModel, SAE]:
    """The bundled ones, loaded once."""
    return models.load_model("zoo"), zoo.load_sae()


@functools.cache
def _rows(n: int, seed: int) -> tuple[models.TokenRows, Labels]:
    return zoo.labelled_rows(model_and_sae()[0], n, seed=seed)


_OPEN: dict[str, LatentIndex] = {}


def opened(folder: Path) -> Material:
    """See :func:`saelab.course.material`."""
    model, sae = model_and_sae()
    rows, labels = _rows(DOCUMENTS, SEED)
    path = folder.resolve() / "workshop-index"
    if str(path) not in _OPEN:
        _OPEN[str(path)] = LatentIndex.build(model, sae, rows, path=path)  # goes on, or opens what is whole
    return Material(model, sae, _OPEN[str(path)], labels)


@dataclass(frozen=True)
class HeldOut:
    """Documents that no student has seen."""

    index: LatentIndex
    labels: Labels

    def concepts(self, latent: int) -> Any:
        """F1, precision and recall of every concept for one latent, concept as the index."""
        table = all_concepts()
        return table[table["latent"] == latent].set_index("concept")


@functools.cache
def held_out() -> HeldOut:
    """Indexed once in a session."""
    model, sae = model_and_sae()
    rows, labels = _rows(HELD_OUT, HELD_SEED)
    return HeldOut(LatentIndex.build(model, sae, rows), labels)


@functools.cache
def all_concepts() -> pd.DataFrame:
    """F1 of every latent for every concept, on the held-out documents."""
    held = held_out()
    return held.index.concepts(held.labels)


def readable(least_f1: float, fires: int = 40) -> Any:
    """(concept, latent) of the best latent of each concept that has one, on the held-out documents."""
    table: Any = all_concepts()
    table = table[(table["fires"] >= fires) & table["concept"].astype(str).str.contains(".", regex=False)]
    best = table.sort_values("f1", ascending=False).drop_duplicates("concept").drop_duplicates("latent")
    return best[best["f1"] >= least_f1].reset_index(drop=True)


def fires(index: LatentIndex, latent: int) -> np.ndarray:
    """(n_tokens,) bool: where a latent fires."""
    out = np.zeros(index.n_tokens, dtype=bool)
    out[index.postings(latent)[0]] = True
    return out


def f1(said: np.ndarray, true: np.ndarray) -> float:
    """F1 of one set of places against another."""
    return float(2 * (said & true).sum() / max(said.sum() + true.sum(), 1))


def text_at(index: LatentIndex, token: int, before: int = 12, after: int = 6) -> str:
    """The text around a token of the index, the token in «»."""
    row, place = (int(x[0]) for x in index.rows.locate(np.array([token])))
    ids = index.rows.ids[index.rows.offsets[row] : index.rows.offsets[row + 1]].tolist()
    first = 1 if index.rows.bos else 0

    def said(some: list[int]) -> str:
        return b"".join(index.vocab.search_table[i] for i in some).decode("utf-8", "replace")

    left, right = ids[max(first, place - before) : place], ids[place + 1 : place + 1 + after]
    return f"{said(left)}«{said([ids[place]])}»{said(right)}"


def activations(text: str, latent: int) -> tuple[list[int], np.ndarray]:
    """Token ids of a text, BOS included, and a latent's activation at each; 0 at BOS, which counts for nothing."""
    model, sae = model_and_sae()
    ids = models.one_text(model, text, bos=True)
    hidden = models.run_to_hooks(model, torch.tensor([ids]), [HOOK], None)[HOOK]
    with torch.no_grad():
        value = sae.encode_sparse(hidden[0]).column(latent).float().numpy()
    return ids, np.where(np.isin(ids, list(models.special_ids(model))), 0.0, value)

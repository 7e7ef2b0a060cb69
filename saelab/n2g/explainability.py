"""Explainability: how well token patterns say where latents fire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Never

import numpy as np
import pandas as pd

from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.identity import meet, noted
from saelab.index import LatentIndex
from saelab.models import HookedModel
from saelab.n2g.config import N2GConfig
from saelab.n2g.corpus import check_index
from saelab.n2g.fitting import fit
from saelab.sae import SAE


@door
def explainability(
    index: LatentIndex,
    latents: int | Iterable[int] | None = None,
    *old: Never,
    model: HookedModel | None = None,
    sae: SAE | None = None,
    n: int = 50,
    config: N2GConfig | None = None,
    split: str = "test",
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Precision and recall of N2G graphs of latents (Gao et al. 2024, section 4.3).

    Parameters
    ----------
    index
        Graphs are fitted on one part of its documents and scored on another.
    latents
        Which; None draws ``n`` of those that fire on at least 20 tokens, each equally likely, from ``seed``. (The
        best-explained ones would say little about an SAE.)
    model, sae
        For an index that was opened without them.
    split
        ``"test"`` or ``"valid"``.

    Returns
    -------
    DataFrame
        One line per latent: ``latent``, ``density``, ``precision``, ``recall``, ``f1`` (undefined ones are NaN:
        precision when the graph predicts nothing), ``lookup_f1`` of the best pattern made of single tokens alone,
        ``tp``, ``fp``, ``fn``; ``chosen_on``, the documents that chose graph and lookup alike, and ``scored_on``.

    Examples
    --------
    >>> sl.n2g.explainability(index, [latent], progress=False)["latent"].tolist() == [latent]
    True
    """
    check_index(index, "explainability(index, latents)", old)
    check_count("n", n)
    counts = np.asarray(index.counts)
    if latents is None:
        alive = np.flatnonzero(counts >= 20)
        if not len(alive):
            raise SaelabError("no latent fires on 20 tokens of this index: index more text, or name latents")
        drawn = np.random.default_rng(seed).choice(alive, min(n, len(alive)), replace=False)
        latents = np.sort(drawn).tolist()
    lines = []
    for latent, graph in fit(index, latents, model=model, sae=sae, config=config, progress=progress).items():
        score, lookup = graph.score(split=split), graph.baselines(split=split)["token"]
        density = counts[latent] / max(index.n_counted, 1)
        rates = {"precision": score.precision, "recall": score.recall, "f1": score.f1, "lookup_f1": lookup.f1}
        counts_of = {"tp": score.tp, "fp": score.fp, "fn": score.fn}
        said = {"chosen_on": " + ".join(score.chosen_on), "scored_on": score.on}
        lines.append({"latent": latent, "density": density, **rates, **counts_of, **said})
    frame = pd.DataFrame(lines).astype(dict.fromkeys(["precision", "recall", "f1", "lookup_f1"], float))
    frame.attrs |= {name: frame[name].iloc[0] for name in ("chosen_on", "scored_on") if len(frame)}
    return noted(frame, meet(index, model, sae))

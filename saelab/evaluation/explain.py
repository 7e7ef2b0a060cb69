"""Explainability: how well token patterns say where latents fire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from saelab.errors import SaelabError, check_count, check_latent
from saelab.sae import SAE


def explainability(
    model: Any,
    sae: SAE,
    index: Any,
    *,
    latents: Sequence[int] | None = None,
    n: int = 50,
    config: Any = None,
    split: str = "test",
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Precision and recall of N2G graphs of latents (Gao et al. 2024, section 4.3, with :mod:`saelab.n2g`).

    Parameters
    ----------
    index
        A ``LatentIndex`` of this SAE; graphs are fitted on one part of its documents and scored on another.
    latents
        Which; None draws ``n`` of those that fire on at least 20 tokens, each equally likely, from ``seed``. (The
        best-explained ones would say little about an SAE.)
    config
        An ``N2GConfig``; None is the default.
    split
        ``"test"`` or ``"valid"``.

    Returns
    -------
    DataFrame
        One line per latent: ``latent``, ``density``, ``precision``, ``recall``, ``f1`` (undefined ones are NaN:
        precision when the graph predicts nothing), ``lookup_f1`` of the best pattern made of single tokens alone,
        ``tp``, ``fp``, ``fn``.
    """
    from saelab import n2g

    check_count("n", n)
    density = np.asarray(index.counts) / max(index.n_counted, 1)
    if latents is None:
        alive = np.flatnonzero(np.asarray(index.counts) >= 20)
        if not len(alive):
            raise SaelabError("no latent fires on 20 tokens of this index: index more text, or name latents")
        latents = np.sort(
            np.random.default_rng(seed).choice(alive, min(n, len(alive)), replace=False)
        ).tolist()
    assert latents is not None
    chosen = list(dict.fromkeys(check_latent(i, sae.config.d_sae) for i in latents))
    graphs = n2g.fit(model, sae, index, chosen, config=config or n2g.N2GConfig(), progress=progress)
    lines = []
    for latent in chosen:
        score = graphs[latent].score(index, split=split)
        lookup = graphs[latent].baselines(index, split=split)["token"]
        lines.append(
            {"latent": latent, "density": float(density[latent]), "precision": score.precision, "recall": score.recall,
             "f1": score.f1, "lookup_f1": lookup.f1, "tp": score.tp, "fp": score.fp, "fn": score.fn}
        )  # fmt: skip
    frame = pd.DataFrame(lines)
    floats = ["precision", "recall", "f1", "lookup_f1"]
    return frame.astype(dict.fromkeys(floats, float))

"""Two corpora through one SAE: which latents fire more often on one than on the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from saelab import identity, intervals
from saelab.errors import SaelabError
from saelab.frames import TextFrame
from saelab.index import stats
from saelab.index.columns import Columns


def diff(index: Columns, other: Columns) -> pd.DataFrame:
    """See :meth:`saelab.LatentIndex.diff`."""
    notes = identity.meet(index, other)
    if index.d_sae != other.d_sae:
        raise SaelabError(f"the indexes are of {index.d_sae} and {other.d_sae} latents: not of one SAE")
    latents = np.arange(index.d_sae)
    (here, var, n, with_hit), (there, var_b, n_b, with_hit_b) = (_rates(x, latents) for x in (index, other))
    for documents in (n, n_b):
        if documents < intervals.LEAST:
            raise SaelabError(
                f"documents are what is compared, and one of the indexes has {documents}; take at least {intervals.LEAST}"
            )
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(here - there) / np.sqrt(var + var_b)
        freedom = (var + var_b) ** 2 / (var**2 / (n - 1) + var_b**2 / (n_b - 1))  # Welch
        p = 2 * special.stdtr(freedom, -t)
        ratio = np.log2(here / there)
    known = np.isfinite(p) & (np.maximum(with_hit, with_hit_b) >= intervals.FEW)
    q = np.where(known, 1.0, np.nan)
    order = np.flatnonzero(known)[np.argsort(p[known], kind="stable")]
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)  # Benjamini and Hochberg 1995
    q[order] = np.minimum(1, np.minimum.accumulate(steps[::-1])[::-1])
    peaks = [np.where(x.arrays["peak"] >= 0, x.rows.ids[x.arrays["peak"]], -1) for x in (index, other)]
    token = np.where(here >= there, *peaks)
    frame = TextFrame(
        {
            "latent": latents, "density": here, "other": there, "log2_ratio": ratio, "q": q, "documents": with_hit,
            "other_documents": with_hit_b,
            "token": [index.vocab.label(i) if i >= 0 else "" for i in token.tolist()],
        }
    )  # fmt: skip
    frame = frame.sort_values(
        ["q", "log2_ratio"], key=lambda c: c if c.name == "q" else -c.abs(), kind="stable"
    )
    return identity.noted(frame.reset_index(drop=True), notes)


def _rates(index: Columns, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Of each latent its density and that one's variance (documents being what is drawn), the number of documents, and in
    how many of them it fires."""
    size = index.documents[1].astype(np.float64)
    n, whole = int((size > 0).sum()), size.sum()
    squares, products, with_hit, _ = stats.by_document(index, latents)
    rate = index.counts[latents] / max(whole, 1)
    spread = squares - 2 * rate * products + rate**2 * (size**2).sum()
    return rate, np.maximum(spread, 0) / max(whole, 1) ** 2 * n / max(n - 1, 1), n, with_hit

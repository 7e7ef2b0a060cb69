"""Two corpora through one SAE: which latents fire more often on one than on the other."""

from __future__ import annotations

from typing import NamedTuple

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
    one, two = (_Side.of(x, latents) for x in (index, other))
    for documents in (one.documents, two.documents):
        if documents < intervals.LEAST:
            raise SaelabError(
                f"documents are what is compared, and one of the indexes has {documents}; take at least {intervals.LEAST}"
            )
    with np.errstate(divide="ignore", invalid="ignore"):
        here, there = one.hits / one.tokens, two.hits / two.tokens
        ratio = np.log2(here / there)
    p = _p(one, two)
    known = np.isfinite(p) & (np.maximum(one.with_hit, two.with_hit) >= intervals.FEW)
    q = np.where(known, 1.0, np.nan)
    order = np.flatnonzero(known)[np.argsort(p[known], kind="stable")]
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)  # Benjamini and Hochberg 1995
    q[order] = np.minimum(1, np.minimum.accumulate(steps[::-1])[::-1])
    peaks = [np.where(x.arrays["peak"] >= 0, x.rows.ids[x.arrays["peak"]], -1) for x in (index, other)]
    token = np.where(here >= there, *peaks)
    frame = TextFrame(
        {
            "latent": latents, "density": here, "other": there, "log2_ratio": ratio, "q": q,
            "documents": one.with_hit, "other_documents": two.with_hit,
            "token": [index.vocab.label(i) if i >= 0 else "" for i in token.tolist()],
        }
    )  # fmt: skip
    frame = frame.sort_values(
        ["q", "log2_ratio"], key=lambda c: c if c.name == "q" else -c.abs(), kind="stable"
    )
    return identity.noted(frame.reset_index(drop=True), notes)


class _Side(NamedTuple):
    """Of one corpus: counted tokens, documents, how many tokens a token has beside it in its document; of each latent
    firings, documents with one, and the variance of the firings, documents being what is drawn."""

    tokens: float
    documents: int
    beside: float
    hits: np.ndarray
    with_hit: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, index: Columns, latents: np.ndarray) -> _Side:
        size = index.documents[1].astype(np.float64)
        n, whole = int((size > 0).sum()), max(float(size.sum()), 1.0)
        squares, products, with_hit, _ = stats.by_document(index, latents)
        hits, square = index.counts[latents].astype(np.float64), float((size**2).sum())
        rate = hits / whole
        spread = np.maximum(squares - 2 * rate * products + rate**2 * square, 0)
        return cls(whole, n, square / whole - 1, hits, with_hit, spread * n / max(n - 1, 1))


def _p(one: _Side, two: _Side) -> np.ndarray:
    """Two-sided p of one rate of firing in both, given all firings: the binomial tail of those in one corpus.

    Firings of a document come together, so they and the tokens are divided by the variance over that of independent
    tokens (Kish's design effect). It follows from how alike two tokens of a document are, estimated in both corpora
    together, since where a latent hardly fires there is nothing to see; or is a corpus' own, where that is larger.
    """
    sides = (one, two)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = [s.hits * (1 - s.hits / s.tokens) for s in sides]  # of independent tokens
        more = sum(s.variance for s in sides) - sum(apart)
        alike = np.clip(more / sum(v * s.beside for v, s in zip(apart, sides, strict=True)), 0, 1)
        alike = np.nan_to_num(alike)
        each = [np.fmax(1 + alike * s.beside, s.variance / v) for v, s in zip(apart, sides, strict=True)]
        (x, n), (y, m) = ((s.hits / e, s.tokens / e) for s, e in zip(sides, each, strict=True))
        share = n / (n + m)
        # as many in one, or more; in two
        tails = [special.betainc(x, y + 1, share), special.betainc(y, x + 1, 1 - share)]
    tails = [np.where(k > 0, tail, 1.0) for k, tail in zip((x, y), tails, strict=True)]
    return np.where(one.hits + two.hits > 0, np.minimum(1, 2 * np.minimum(*tails)), np.nan)

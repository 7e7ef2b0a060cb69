"""What a reader may find interesting in a latent: whether its token alone says when it fires, on how many tokens it fires,
and whether its firings keep together in documents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from saelab.errors import SaelabError
from saelab.index.columns import Columns
from saelab.index.concepts import kept_positions
from saelab.index.stats import best_keys, f1

KINDS = ("token", "context", "topic", "mixed", "rare", "never fires")
LEAST = 50  # firings, from which on a latent is called anything but rare
TOKEN, CONTEXT = 0.7, 0.5  # F1 of a lookup: from here on the token is what it is about; up to here it is not
FEW, MANY = 4.0, 30.0  # tokens, in number
TOGETHER = 4.0  # times as often in one document as chance has it


def interest(index: Columns, documents: Any = None) -> pd.DataFrame:
    """See :meth:`saelab.LatentIndex.interest`."""
    keep, said = kept_positions(index, documents)
    of_row, _ = index.documents
    doc = np.repeat(of_row, np.diff(index.rows.offsets))
    ids = np.asarray(index.rows.ids)
    there = np.unique(doc[keep])
    if len(there) < 2:
        raise SaelabError("interest needs two documents: one to look tokens up in, one to try the lookup on")
    learns = np.zeros(int(doc.max()) + 1, bool)
    learns[np.random.default_rng(0).permutation(there)[: len(there) // 2]] = True
    first = learns[doc]
    seen = [np.bincount(ids[keep & part], minlength=int(ids.max()) + 1) for part in (first, ~first)]
    size = np.bincount(doc[keep])
    chance = float((size * (size - 1.0)).sum()) / max(keep.sum() * (keep.sum() - 1.0), 1.0)
    found = {name: np.full(index.d_sae, np.nan) for name in ("lookup_f1", "tokens", "burst")}
    fires = np.zeros(index.d_sae, np.int64)
    for latent in np.flatnonzero(index.counts):
        at = index.postings(int(latent)).token
        at = at[keep[at]]
        fires[latent] = n = len(at)
        if n < 2:
            continue
        share = np.unique(ids[at], return_counts=True)[1] / n
        found["tokens"][latent] = np.exp(-(share * np.log(share)).sum())
        hits = np.unique(doc[at], return_counts=True)[1]
        found["burst"][latent] = (hits * (hits - 1.0)).sum() / (n * (n - 1.0)) / chance
        found["lookup_f1"][latent] = _lookup(ids[at], first[at], seen)
    frame = pd.DataFrame({"n": fires, **found}, index=pd.RangeIndex(index.d_sae, name="latent"))
    frame["kind"] = pd.Categorical(_kinds(frame), KINDS)
    frame.attrs["measured_on"] = said
    return frame


def _lookup(ids: np.ndarray, first: np.ndarray, seen: list[np.ndarray]) -> float:
    """F1 on the second half of the documents of the set of tokens that has the best on the first."""
    if first.all() or not first.any():
        return np.nan
    tokens, hits = np.unique(ids[first], return_counts=True)
    chosen = tokens[best_keys(seen[0][tokens], hits, int(first.sum()))]
    return float(f1(np.isin(ids[~first], chosen).sum(), seen[1][chosen].sum(), (~first).sum()))


def _kinds(frame: pd.DataFrame) -> np.ndarray:
    score, tokens, burst = (frame[name].to_numpy() for name in ("lookup_f1", "tokens", "burst"))
    return np.select(
        [frame["n"] == 0, frame["n"] < LEAST, score >= TOKEN, (score <= CONTEXT) & (tokens >= MANY) & (burst >= TOGETHER),
         (score <= CONTEXT) & (tokens <= FEW)],
        ["never fires", "rare", "token", "topic", "context"],
        "mixed",
    )  # fmt: skip

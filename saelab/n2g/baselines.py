"""What simple tables reach: token and bigram lookup, scored as a graph is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from saelab.index.stats import best_keys
from saelab.n2g.corpus import UNCOUNTED, Corpus, part_number
from saelab.n2g.score import Score, score


def baselines(c: Corpus, latent: int, *, split: str, learn: Sequence[str]) -> dict[str, Score]:
    """What simple tables reach on the same split.

    ``token``: fires on the tokens whose rate of firing in the documents it learns from is highest, as many of
    them as give the best F1 there; the value is the token's mean activation. ``bigram``: the same over pairs
    with the token before; a pair that was never seen there is decided by its second token. ``always``: fires
    everywhere. They learn from the splits ``learn``.
    """
    parts = [part_number(name) for name in learn]
    pair, second, pair_counts = c.pairs
    at, a, where = c.truth(latent)
    at, a = at[np.isin(where, parts)], a[np.isin(where, parts)]
    seen = pair_counts[parts].sum(0)
    by_token = _lookup(c.tokens.ids[at], a, c.token_counts[parts].sum(0))
    by_pair = _lookup(pair[at], a, seen)
    by_pair[seen == 0] = by_token[second[seen == 0]]
    mean = float(a.sum()) / max(int(c.sizes[parts].sum()), 1)
    always = np.full(c.tokens.n_vocab, max(mean, 1e-9))
    tables = {"token": (by_token, c.tokens.ids), "bigram": (by_pair, pair), "always": (always, c.tokens.ids)}
    out = {}
    for name, (value, keys) in tables.items():
        on = np.flatnonzero((value > 0)[keys] & (c.part != UNCOUNTED))
        found = score(c, latent, on, value[keys[on]], split=split)
        out[name] = replace(found, chosen_on=tuple(learn))
    return out


def _lookup(keys: np.ndarray, a: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(n_keys,) predicted activation of each key, 0 where the table is silent; a key is a token or a pair.

    ``keys``, ``a``: where the latent fires, and how much; ``counts``: how often each key was seen.
    """
    hits, total = np.bincount(keys, minlength=len(counts)), np.bincount(keys, a, minlength=len(counts))
    chosen = best_keys(counts, hits, len(keys))
    value = np.zeros(len(counts))
    value[chosen] = total[chosen] / counts[chosen]
    return value

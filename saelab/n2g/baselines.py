"""What simple tables reach: token and bigram lookup, scored as a graph is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saelab.n2g.corpus import Corpus, corpus, part_number
from saelab.n2g.score import Score, Sums, finish, hard_tokens


def baselines(
    index: Any, latent: int, *, split: str = "valid", seed: int = 0, learn: Sequence[str] = ("train",)
) -> dict[str, Score]:
    """What simple tables reach on the same split.

    ``token``: fires on the tokens whose rate of firing in the documents it learns from is highest, as many of
    them as give the best F1 there; the value is the token's mean activation. ``bigram``: the same over pairs
    with the token before; a pair that was never seen there is decided by its second token. ``always``: fires
    everywhere. They learn from the train split; ``learn=("train", "valid")`` gives them all documents that a
    fit chooses by.
    """
    c = corpus(index, seed)
    part, parts = part_number(split), [part_number(name) for name in learn]
    pair, second, pair_counts = c.pairs
    at, a, where = c.truth(latent)
    known = np.isin(where, parts)
    seen, seen_pairs = c.token_counts[parts].sum(0), pair_counts[parts].sum(0)
    by_token = _Lookup.learn(c.tokens.ids[at[known]], a[known], seen)
    by_pair = _Lookup.learn(pair[at[known]], a[known], seen_pairs)
    unseen = seen_pairs == 0
    by_pair.value[unseen] = by_token.value[second[unseen]]
    mean = float(a[known].sum()) / max(int(c.sizes[parts].sum()), 1)
    everything = np.full(c.tokens.n_vocab, max(mean, 1e-9))
    always = _Lookup(everything)
    keys = {"token": c.tokens.ids, "bigram": pair, "always": c.tokens.ids}
    counts = {"token": c.token_counts, "bigram": pair_counts, "always": c.token_counts}
    tokens_of = {"token": None, "bigram": second, "always": None}
    return {
        name: lookup.score(c, latent, split, part, keys[name], counts[name], tokens_of[name])
        for name, lookup in {"token": by_token, "bigram": by_pair, "always": always}.items()
    }


@dataclass(frozen=True)
class _Lookup:
    """A table key -> predicted activation (0: silent); a key is a token or a pair."""

    value: np.ndarray  # (n_keys,) float64

    @classmethod
    def learn(cls, keys: np.ndarray, a: np.ndarray, counts: np.ndarray) -> _Lookup:
        """``keys``, ``a``: where the latent fires, and how much; ``counts``: how often each key was seen."""
        fired, which = np.unique(keys, return_inverse=True)
        hits = np.bincount(which, minlength=len(fired))
        total = np.bincount(which, a, minlength=len(fired))
        seen = counts[fired]
        order = np.lexsort((fired, -hits, -(hits / np.maximum(seen, 1))))
        tp, predicted = np.cumsum(hits[order]), np.cumsum(seen[order])
        value = np.zeros(len(counts))
        if len(order):
            best = int(np.argmax(2 * tp / (predicted + tp[-1])))
            chosen = order[: best + 1]
            value[fired[chosen]] = total[chosen] / seen[chosen]
        return cls(value)

    def score(
        self, c: Corpus, latent: int, split: str, part: int, keys: np.ndarray, counts: np.ndarray,
        second: np.ndarray | None,
    ) -> Score:  # fmt: skip
        at, a, where = c.truth(latent)

        def sums(p: int) -> Sums:
            mine = where == p
            there, act = at[mine], a[mine].astype(np.float64)
            s = self.value[keys[there]]
            used = np.flatnonzero(self.value)
            hard = hard_tokens(c, there)
            on_hard = used[hard[used if second is None else second[used]]]
            tp = int((s > 0).sum())
            return Sums(
                tp=tp,
                predicted=int(counts[p][used].sum()),
                predicted_hard=int(counts[p][on_hard].sum()) - tp,
                sa=float((s * act).sum()),
                ss=float((counts[p][used] * self.value[used] ** 2).sum()),
                hit_a=float(act[s > 0].sum()),
            )

        train = sums(0)
        scale = train.sa / train.ss if train.ss else None
        return finish(c, latent, split, 0.0, sums(part), scale)

"""How well a pattern graph says where a latent fires, on the train, the valid or the test documents.

A position counts if the index counts it (no special tokens). The latent *fires* there if its activation is
above ``threshold``; the graph *predicts* it if the value of the winning pattern, times the scale when the
threshold is not 0, is above it. Then

- precision = tp / (tp + fp), over **all** counted positions of the split on which the graph predicts a
  firing; None (not 1) when it predicts none,
- recall = tp / (tp + fn), None when the latent never fires there,
- F1 = 2 tp / (2 tp + fp + fn),
- intervals are of 95 % and count documents (:mod:`saelab.intervals`), F1's through tp / (tp + fp + fn), of which it
  is a function. There is none below 20 documents, or where fewer than 5 have a hit, or a miss.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from saelab.display import facts_html
from saelab.errors import SaelabError
from saelab.index.stats import f1
from saelab.intervals import Interval, of_share
from saelab.n2g.corpus import Corpus, part_number


@dataclass(frozen=True)
class Score:
    """See the module's docstring for precision, recall, f1 and their intervals.

    Attributes
    ----------
    split, unit, units, tokens
        Which part, what was shuffled to make it (``document`` or ``row``), how many of them it has, and its counted
        tokens.
    versions
        Of the test documents: how many other versions of the graph, before or after edits, they were looked at with.
    chosen_on
        The parts that the patterns were made from or chosen by, or a lookup was learned from. Empty: not known.
    tp, fp, fn
        Positions: fires and predicted, predicted alone, fires alone.
    weighted_recall
        Share of the latent's total activation that is on predicted positions.
    r2
        1 - sum (a - scale·s)² / sum (a - mean a)², s being the predicted activation; None if a is constant.
    scale
        sum s·a / sum s² on the train split (the least-squares factor); None if nothing is predicted there.
    hard_negatives, hard_specificity
        Positions where the latent does not fire although the token is one it fires on elsewhere in the split,
        and the share of them on which the graph rightly keeps silent.
    """

    latent: int
    split: str
    unit: str
    threshold: float
    tokens: int
    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None
    precision_interval: Interval | None
    recall_interval: Interval | None
    f1_interval: Interval | None
    weighted_recall: float | None
    r2: float | None
    scale: float | None
    hard_negatives: int
    hard_specificity: float | None
    units: int
    chosen_on: tuple[str, ...] = ()
    versions: int = 0

    @property
    def on(self) -> str:
        """What was scored, in words; "held out" only where it is.

        >>> graph.score(split="test").on
        '1 test document, held out'
        """
        plural = "" if self.units == 1 else "s"
        used = ""
        if self.split in self.chosen_on:
            used = ", which the patterns were chosen on"
        elif self.versions:
            used = f", looked at with {self.versions} other version{'s' * (self.versions > 1)} of the graph"
        elif self.chosen_on:
            used = ", held out"
        return f"{self.units:,} {self.split} {self.unit}{plural}{used}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON.

        >>> sorted(graph.score().to_dict())[1:4]
        ['f1', 'f1_interval', 'fn']
        """
        return asdict(self)

    def _repr_html_(self) -> str:
        def limits(name: str) -> str:
            found = getattr(self, f"{name}_interval")
            return "" if found is None else f"  ({found[0]:.3f} … {found[1]:.3f})"

        counts = f"{self.tp:,}, {self.fp:,}, {self.fn:,} of {self.tokens:,} tokens"
        return facts_html(
            f"Score of the graph of latent {self.latent} on {self.on}",
            [
                ("precision", _shown(self.precision) + limits("precision")),
                ("recall", _shown(self.recall) + limits("recall")),
                ("F1", _shown(self.f1) + limits("f1")),
                ("right, false alarms, missed", counts),
                ("recall by activation", _shown(self.weighted_recall)),
                ("R² of the activation", _shown(self.r2)),
                ("silent on the same token elsewhere", _shown(self.hard_specificity)),
            ],
        )

    def __repr__(self) -> str:
        return (
            f"Score(latent {self.latent}, {self.on}: precision {_shown(self.precision)}, "
            f"recall {_shown(self.recall)}, F1 {_shown(self.f1)}; tp {self.tp}, fp {self.fp}, fn {self.fn} "
            f"of {self.tokens} tokens; R² {_shown(self.r2)})"
        )


def _shown(x: float | None) -> str:
    return "undefined" if x is None else f"{x:.3f}"


def score(
    c: Corpus, latent: int, at: np.ndarray, value: np.ndarray, *, split: str, threshold: float = 0.0
) -> Score:
    """Score predictions.

    Parameters
    ----------
    at, value
        (m,) ascending counted positions of the text on which a firing is predicted, and the activation > 0 that is.

    Raises
    ------
    SaelabError
        For an unknown split or a negative threshold.
    """
    part = part_number(split)
    if not threshold >= 0:
        raise SaelabError(f"threshold must be at least 0, got {threshold!r}")
    threshold = float(threshold)
    actual = c.activation(latent, at).astype(np.float64)
    learnt = c.part[at] == 0
    square = float((value[learnt] ** 2).sum())
    scale = float((value[learnt] * actual[learnt]).sum()) / square if square else None

    inside = c.part[at] == part
    at, s, a = at[inside], value[inside], actual[inside]
    fires, strength = c.fires(latent, part)
    strength = strength.astype(np.float64)
    strong = strength > threshold
    loud = s * (scale or 0.0) > threshold if threshold else s > 0
    hit = loud & (a > threshold)
    tp, predicted, firing, n = int(hit.sum()), int(loud.sum()), int(strong.sum()), int(c.sizes[part])
    # a token the latent fires on somewhere in the split
    hard = np.zeros(c.tokens.n_vocab, dtype=bool)
    hard[c.tokens.ids[fires[strong]]] = True
    n_hard = int(c.token_counts[part][hard].sum()) - firing
    false_hard = int(hard[c.tokens.ids[at[loud]]].sum()) - tp
    total, squares, strong_total = (float(x.sum()) for x in (strength, strength**2, strength[strong]))
    factor, variance = scale or 0.0, squares - total**2 / n if n else 0.0
    error = squares - 2 * factor * float((s * a).sum()) + factor**2 * float((s**2).sum())
    either = predicted + firing - tp

    def interval(tries: np.ndarray) -> Interval | None:
        return of_share(right, c.per_unit(part, tries)) if c.unit == "document" else None

    right, guessed, true = c.per_unit(part, at[hit]), at[loud], fires[strong]
    jaccard = interval(np.union1d(guessed, true))
    return Score(
        latent=latent, split=split, unit=c.unit, units=len(c.members[part]), threshold=threshold, tokens=n,
        tp=tp, fp=predicted - tp, fn=firing - tp,
        precision=tp / predicted if predicted else None,
        recall=tp / firing if firing else None,
        f1=float(f1(tp, predicted, firing)) if either else None,
        precision_interval=interval(guessed),
        recall_interval=interval(true),
        f1_interval=jaccard and (2 * jaccard[0] / (1 + jaccard[0]), 2 * jaccard[1] / (1 + jaccard[1])),
        weighted_recall=float(a[hit].sum()) / strong_total if strong_total else None,
        r2=1 - error / variance if variance > 0 else None,
        scale=scale,
        hard_negatives=n_hard,
        hard_specificity=1 - false_hard / n_hard if n_hard else None,
    )  # fmt: skip

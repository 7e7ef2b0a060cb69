"""How good answers are: numbers that a page of arithmetic checks, with intervals that count documents.

- Balanced accuracy: the mean of recall (right among passages in which the latent fires) and specificity (right among the
  others). An answer that failed, or says 0.5, counts as half right: who does not know flips a coin. So the same answer to
  everything, or none, gives 0.5 whatever the base rate.
- AUROC: how often a passage in which it fires has a higher probability than one in which it does not, ties half; only where
  answers come with probabilities, and then one that failed has 0.5.
- Simulation: Pearson's correlation of predicted and true activation over tokens, and R² = 1 - sum (a - s)² / sum (a - mean
  a)², both in units of the latent's largest activation in the train documents. A failed answer predicts 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from saelab.intervals import of_share, of_sums
from saelab.words.passages import KINDS, Passage

_NONE = (np.nan, np.nan)


class Judged(NamedTuple):
    """Passages and what was answered, (m,) each: kind, document, answer (how much it says 1; NaN: failed), probability (NaN:
    none given)."""

    kind: np.ndarray
    document: np.ndarray
    answer: np.ndarray
    probability: np.ndarray

    @classmethod
    def of(cls, found: Sequence[Passage], answer: Any, probability: Any = None) -> Judged:
        """Of passages."""
        kind, document = (
            np.array([p.kind for p in found], str),
            np.array([p.document for p in found], np.int64),
        )
        given = np.full(len(found), np.nan) if probability is None else np.asarray(probability, np.float64)
        return cls(kind, document, np.asarray(answer, np.float64), given)

    def numbers(self) -> dict[str, Any]:
        """Balanced accuracy (``value``, ``low``, ``high``) and what it is made of; NaN where there is nothing to count."""
        truth, failed = self.kind == KINDS[0], np.isnan(self.answer)
        says = np.where(failed, 0.5, self.answer)
        right = np.where(says == 0.5, 0.5, (says > 0.5) == truth)
        n, positives = len(truth), int(truth.sum())

        def share(of: np.ndarray) -> float:
            return float(right[of].mean()) if of.any() else np.nan

        # both kinds count alike, as if there were equally many
        weight = np.where(truth, n / 2 / max(positives, 1), n / 2 / max(n - positives, 1))
        documents, place = np.unique(self.document, return_inverse=True)
        sums = np.bincount(place, weight * right, len(documents)), np.bincount(place, weight, len(documents))
        low, high = (of_share(*sums) if 0 < positives < n else None) or _NONE
        called = float((says > 0.5).sum() + (says == 0.5).sum() / 2)
        known = not np.isnan(self.probability).all()
        probability = np.where(failed & known, 0.5, self.probability)
        return {
            "value": (share(truth) + share(~truth)) / 2, "low": low, "high": high, "recall": share(truth),
            "specificity": share(~truth), "random": share(self.kind == KINDS[1]), "hard": share(self.kind == KINDS[2]),
            "f1": 2 * float(right[truth].sum()) / (called + positives) if called + positives else np.nan,
            "auroc": auroc(probability[truth], probability[~truth]), "base_rate": positives / n if n else np.nan,
            "n": n, "documents": len(documents), "failed": int(failed.sum()),
        }  # fmt: skip


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Of probabilities; NaN where one side has none, or one is missing."""
    if not len(positive) or not len(negative) or np.isnan([*positive, *negative]).any():
        return np.nan
    below, up_to = (np.searchsorted(np.sort(negative), positive, side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(negative))


class Simulated(NamedTuple):
    """Tokens of passages, (m,) each: true and predicted activation, document; and for each passage (p,) whether the answer
    failed."""

    truth: np.ndarray
    said: np.ndarray
    document: np.ndarray
    failed: np.ndarray

    def numbers(self) -> dict[str, Any]:
        """Correlation (``value``, ``low``, ``high``) and ``r2``; NaN where one side is constant."""
        a, s, (documents, place) = self.truth, self.said, np.unique(self.document, return_inverse=True)
        terms = {"n": np.ones(len(a)), "a": a, "s": s, "aa": a * a, "ss": s * s, "as": a * s}
        sums = {name: np.bincount(place, values, len(documents)) for name, values in terms.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(_correlation({name: values.sum() for name, values in sums.items()})["r"])
        low, high = (of_sums(sums, _correlation).get("r") if np.isfinite(value) else None) or _NONE
        spread = float(((a - a.mean()) ** 2).sum()) if len(a) else 0.0
        return {
            "value": value, "low": np.maximum(low, -1), "high": np.minimum(high, 1),
            "r2": 1 - float(((a - s) ** 2).sum()) / spread if spread else np.nan,
            "n": len(self.failed), "documents": len(documents), "failed": int(self.failed.sum()),
        }  # fmt: skip


def _correlation(sums: Mapping[str, Any]) -> dict[str, Any]:
    n, a, s = sums["n"], sums["a"], sums["s"]
    spread = _spread(n, sums["aa"], a) * _spread(n, sums["ss"], s)
    return {"r": (n * sums["as"] - a * s) / np.sqrt(spread)}


def _spread(n: Any, squares: Any, total: Any) -> Any:
    """n² times the variance; NaN where all are equal, of which sums leave a remainder of rounding."""
    found = n * squares - total**2
    return np.where(found > 1e-12 * n * squares, found, np.nan)[()]


def together(parts: Sequence[Judged | Simulated]) -> dict[str, Any]:
    """The numbers of several latents' answers as one."""
    return type(parts[0])(*map(np.concatenate, zip(*parts, strict=True))).numbers()

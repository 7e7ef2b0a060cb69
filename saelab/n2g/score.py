"""How well a pattern graph says where a latent fires, on documents it was not fitted to.

A position counts if the index counts it (no special tokens). The latent *fires* there if its activation is
above ``threshold``; the graph *predicts* it if the value of the winning pattern, times the scale when the
threshold is not 0, is above it. Then

- precision = tp / (tp + fp), over **all** counted positions of the split on which the graph predicts a
  firing; None (not 1) when it predicts none,
- recall = tp / (tp + fn), None when the latent never fires there,
- F1 = 2 tp / (2 tp + fp + fn),
- intervals are Wilson's at 95 %, F1's through tp / (tp + fp + fn), of which it is a function. Tokens of one
  document are not independent, so read them as the least uncertainty there is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.display import facts_html
from saelab.errors import SaelabError
from saelab.n2g.corpus import Corpus, corpus, part_number
from saelab.n2g.graph import match

if TYPE_CHECKING:
    from saelab.n2g.graph.tree import Tree
    from saelab.n2g.pattern_graph import PatternGraph

Interval = tuple[float, float]


@dataclass(frozen=True)
class Score:
    """See the module's docstring for precision, recall, f1 and their intervals.

    Attributes
    ----------
    split, unit, tokens
        Which part, what was shuffled to make it (``document`` or ``row``), its counted tokens.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        def number(x: float | None, interval: Interval | None = None) -> str:
            if x is None:
                return "undefined"
            return f"{x:.3f}" + ("" if interval is None else f"  ({interval[0]:.3f} … {interval[1]:.3f})")

        return facts_html(
            f"Score of the graph of latent {self.latent} on the {self.split} documents",
            [
                ("precision", number(self.precision, self.precision_interval)),
                ("recall", number(self.recall, self.recall_interval)),
                ("F1", number(self.f1, self.f1_interval)),
                (
                    "right, false alarms, missed",
                    f"{self.tp:,}, {self.fp:,}, {self.fn:,} of {self.tokens:,} tokens",
                ),
                ("recall by activation", number(self.weighted_recall)),
                ("R² of the activation", number(self.r2)),
                ("silent on the same token elsewhere", number(self.hard_specificity)),
            ],
        )

    def __repr__(self) -> str:
        def number(x: float | None) -> str:
            return "undefined" if x is None else f"{x:.3f}"

        return (
            f"Score(latent {self.latent}, {self.split}: precision {number(self.precision)}, "
            f"recall {number(self.recall)}, F1 {number(self.f1)}; tp {self.tp}, fp {self.fp}, fn {self.fn} "
            f"of {self.tokens} tokens; R² {number(self.r2)})"
        )


def wilson(hits: int, n: int, z: float = 1.959964) -> Interval | None:
    """Wilson's 95 % interval of a proportion, None for n = 0."""
    if n == 0:
        return None
    p, zz = hits / n, z * z / n
    centre, half = (p + zz / 2) / (1 + zz), z * ((p * (1 - p) + zz / 4) / n) ** 0.5 / (1 + zz)
    return max(0.0, centre - half), min(1.0, centre + half)


def f1_of(tp: int, fp: int, fn: int) -> float | None:
    """2 tp / (2 tp + fp + fn), None when all are 0."""
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


@dataclass(frozen=True)
class Sums:
    """All a score is made of, so that lookups and graphs are scored by the same formulas."""

    tp: int
    predicted: int
    predicted_hard: int  # false alarms on tokens the latent fires on elsewhere
    sa: float  # sum of s·a
    ss: float  # sum of s²
    hit_a: float  # sum of a on predicted positions


def finish(c: Corpus, latent: int, split: str, threshold: float, sums: Sums, scale: float | None) -> Score:
    """The score that sums over a split make."""
    part = part_number(split)
    at, a = fires_in(c, latent, part, 0.0)
    strong = a > threshold
    n, fires = int(c.sizes[part]), int(strong.sum())
    tp, fp, fn = sums.tp, sums.predicted - sums.tp, fires - sums.tp
    total, squares = float(a.sum(dtype=np.float64)), float(np.square(a, dtype=np.float64).sum())
    n_hard = int(c.token_counts[part][hard_tokens(c, at[strong])].sum()) - fires
    variance = squares - total**2 / n if n else 0.0
    factor = scale or 0.0
    error = squares - 2 * factor * sums.sa + factor**2 * sums.ss
    jaccard = wilson(tp, tp + fp + fn)
    strong_total = float(a[strong].sum(dtype=np.float64))
    return Score(
        latent=latent, split=split, unit=c.unit, threshold=threshold, tokens=n, tp=tp, fp=fp, fn=fn,
        precision=tp / (tp + fp) if tp + fp else None,
        recall=tp / fires if fires else None,
        f1=f1_of(tp, fp, fn),
        precision_interval=wilson(tp, tp + fp),
        recall_interval=wilson(tp, fires),
        f1_interval=jaccard and (2 * jaccard[0] / (1 + jaccard[0]), 2 * jaccard[1] / (1 + jaccard[1])),
        weighted_recall=sums.hit_a / strong_total if strong_total else None,
        r2=1 - error / variance if variance > 0 else None,
        scale=scale,
        hard_negatives=n_hard,
        hard_specificity=1 - sums.predicted_hard / n_hard if n_hard else None,
    )  # fmt: skip


def fires_in(c: Corpus, latent: int, part: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a part where a latent is above the threshold, and its activation there."""
    at, a, where = c.truth(latent)
    keep = (where == part) & (a > threshold)
    return at[keep], a[keep]


def hard_tokens(c: Corpus, at: np.ndarray) -> np.ndarray:
    """(n_vocab,) bool: tokens that stand at one of ``at``."""
    table = np.zeros(c.tokens.n_vocab, dtype=bool)
    table[c.tokens.ids[at]] = True
    return table


def activation_at(c: Corpus, latent: int, positions: np.ndarray) -> np.ndarray:
    """Activation of a latent at ascending counted positions, 0 where it does not fire."""
    at, a, _ = c.truth(latent)
    if not len(at):
        return np.zeros(len(positions), dtype=np.float32)
    if 16 * len(positions) > len(c.tokens):  # a table of all positions beats looking each of them up
        table = np.zeros(len(c.tokens), dtype=np.float32)
        table[at] = a
        return table[positions]
    place = np.minimum(np.searchsorted(at, positions), len(at) - 1)
    return np.where(at[place] == positions, a[place], 0.0)


def latent_of(graph: PatternGraph) -> int:
    """The latent a graph explains."""
    assert graph.latent is not None  # PatternGraph._index has said so in words
    return graph.latent


@dataclass(frozen=True)
class _Won:
    """What each node's patterns win: all of a score is a sum over nodes, so no number is made per position."""

    value: np.ndarray  # (next_id,) predicted activation of each node
    n: np.ndarray  # (next_id,) positions of the part it wins
    n_hard: np.ndarray  # (next_id,) of these, on tokens the latent fires on elsewhere in the part
    a: np.ndarray  # activations of the part that are above 0
    node: np.ndarray  # the node that wins each of them, 0 where none does

    @classmethod
    def of(
        cls,
        c: Corpus,
        latent: int,
        tree: Tree,
        at: np.ndarray,
        nodes: np.ndarray,
        part: int,
        threshold: float,
    ) -> _Won:
        """``at``, ``nodes``: the winners over the whole text."""
        inside = c.part[at] == part
        mine, size = nodes[inside], tree.next_id
        fires, a = fires_in(c, latent, part, 0.0)
        hard = hard_tokens(c, fires[a > threshold])[c.tokens.ids[at[inside]]]
        place = np.minimum(np.searchsorted(at, fires), max(len(at) - 1, 0))
        node = np.where(at[place] == fires, nodes[place], 0) if len(at) else np.zeros(len(fires), np.int64)
        return cls(
            match.values(tree, np.arange(size)).astype(np.float64),
            np.bincount(mine, minlength=size),
            np.bincount(mine[hard], minlength=size),
            a.astype(np.float64),
            node,
        )

    @property
    def sa(self) -> float:
        """Sum of s·a."""
        return float((self.value[self.node] * self.a).sum())

    @property
    def ss(self) -> float:
        """Sum of s²."""
        return float((self.n * self.value**2).sum())

    def sums(self, scale: float, threshold: float) -> Sums:
        """The counts of the part."""
        loud = self.value * scale > threshold if threshold else self.value > 0
        hit = loud[self.node] & (self.a > threshold)
        tp = int(hit.sum())
        # every hit is on a token the latent fires on
        return Sums(
            tp=tp, predicted=int(self.n[loud].sum()), predicted_hard=int(self.n_hard[loud].sum()) - tp,
            sa=self.sa, ss=self.ss, hit_a=float(self.a[hit].sum()),
        )  # fmt: skip


def score(graph: PatternGraph, index: Any, *, split: str = "valid", threshold: float = 0.0) -> Score:
    """Score a graph; see the module's docstring.

    Raises
    ------
    SaelabError
        For an unknown split or a negative threshold.
    """
    part = part_number(split)
    if not threshold >= 0:
        raise SaelabError(f"threshold must be at least 0, got {threshold!r}")
    c, latent = corpus(index, graph.seed), latent_of(graph)
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    train = _Won.of(c, latent, graph.tree, at, nodes, 0, 0.0)
    scale = train.sa / train.ss if train.ss else None
    won = _Won.of(c, latent, graph.tree, at, nodes, part, float(threshold))
    return finish(c, latent, split, float(threshold), won.sums(scale or 0.0, float(threshold)), scale)


def preview(
    graph: PatternGraph, index: Any, op: str, args: dict[str, Any], split: str = "valid"
) -> dict[str, Any]:
    """Scores before and after an edit that is not made, and the change in each number."""
    before = score(graph, index, split=split)
    after = score(graph.dry_run(op, args), index, split=split)
    delta = {
        name: None if x is None or y is None else y - x
        for name in ("tp", "fp", "fn", "precision", "recall", "f1")
        for x, y in [(getattr(before, name), getattr(after, name))]
    }
    return {"before": before, "after": after, "delta": delta}

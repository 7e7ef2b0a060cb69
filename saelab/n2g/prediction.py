"""What a pattern tree predicts on a text, beside what the latent does there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from saelab.n2g.corpus import UNCOUNTED, Corpus, part_number
from saelab.n2g.graph import match
from saelab.n2g.graph.tree import Item, Tree
from saelab.n2g.score import Score, score


@dataclass(frozen=True)
class Prediction:
    """A tree on a corpus: all that scores, values of patterns and examples read.

    Attributes
    ----------
    at
        (m,) ascending positions of the text on which some pattern matches.
    node
        (m,) the node that ends the winning pattern.
    """

    corpus: Corpus
    latent: int
    tree: Tree
    at: np.ndarray
    node: np.ndarray

    @classmethod
    def of(cls, corpus: Corpus, latent: int, tree: Tree, rule: str) -> Prediction:
        """Match the tree by a rule of :mod:`saelab.n2g.graph.match`."""
        return cls(corpus, latent, tree, *match.winners(corpus.tokens, tree, rule))

    @cached_property
    def firing(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counted positions whose winning pattern has a value > 0, its node, and the value (float64)."""
        value = match.values(self.tree, self.node)
        keep = (value > 0) & (self.corpus.part[self.at] != UNCOUNTED)
        return self.at[keep], self.node[keep], value[keep].astype(np.float64)

    def won(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """The node that wins each matched position of a split, and the activation there."""
        inside = self.corpus.part[self.at] == part_number(split)
        return self.node[inside], self.corpus.activation(self.latent, self.at[inside])

    def score(self, split: str, threshold: float = 0.0) -> Score:
        """The score on a split."""
        at, _, value = self.firing
        return score(self.corpus, self.latent, at, value, split=split, threshold=threshold)

    def ends(self) -> dict[int, tuple[float, int, int, float, float]]:
        """Per end: (mean activation where it wins on the train split, positions, firings, sum, sum of squares).

        Zeros count. A pattern that wins nowhere keeps its value, and one of value 0 stays an exception.
        """
        nodes, a = self.won("train")
        a, size = a.astype(np.float64), self.tree.next_id
        n, fires = np.bincount(nodes, minlength=size), np.bincount(nodes[a > 0], minlength=size)
        total, squares = np.bincount(nodes, a, minlength=size), np.bincount(nodes, a * a, minlength=size)
        out = {}
        for p in self.tree.patterns:
            i, old = p.node, p.end.value
            value = float(total[i] / n[i]) if n[i] and old > 0 and total[i] > 0 else old
            out[i] = (value, int(n[i]), int(fires[i]), float(total[i]), float(squares[i]))
        return out


def mean_where(c: Corpus, latent: int, items: Sequence[Item]) -> float:
    """Mean activation on the train positions that a pattern matches, 0 if it matches none."""
    at = c.tokens.match(tuple(items))
    at = at[c.part[at] == 0]
    return float(c.activation(latent, at).mean()) if len(at) else 0.0

"""Values of patterns: the mean activation in the train documents, zeros included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.n2g.corpus import corpus
from saelab.n2g.graph import match
from saelab.n2g.score import activation_at, latent_of

if TYPE_CHECKING:
    from saelab.n2g.graph.tree import Item
    from saelab.n2g.pattern_graph import PatternGraph


def fitted_ends(graph: PatternGraph, index: Any) -> dict[int, tuple[float, int, int, float, float]]:
    """Per end: (mean activation where it wins on the train split, positions, firings, sum, sum of squares).

    A pattern that wins nowhere keeps its value, and one of value 0 stays an exception.
    """
    c, latent = corpus(index, graph.seed), latent_of(graph)
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    train = c.part[at] == 0
    at, nodes = at[train], nodes[train]
    a = activation_at(c, latent, at).astype(np.float64)
    size = graph.tree.next_id
    n, fires = np.bincount(nodes, minlength=size), np.bincount(nodes[a > 0], minlength=size)
    total, squares = np.bincount(nodes, a, minlength=size), np.bincount(nodes, a * a, minlength=size)
    out = {}
    for p in graph.tree.patterns:
        i, old = p.node, p.end.value
        value = float(total[i] / n[i]) if n[i] and old > 0 and total[i] > 0 else old
        out[i] = (value, int(n[i]), int(fires[i]), float(total[i]), float(squares[i]))
    return out


def mean_where(index: Any, latent: int, items: tuple[Item, ...], seed: int) -> float:
    """Mean activation on the train positions that a pattern matches, 0 if it matches none."""
    c = corpus(index, seed)
    at = c.tokens.match(items)
    at = at[c.part[at] == 0]
    return float(activation_at(c, latent, at).mean()) if len(at) else 0.0

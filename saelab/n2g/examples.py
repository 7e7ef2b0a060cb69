"""Where a graph is right and wrong, pattern by pattern and place by place, and what would mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, unknown
from saelab.n2g.corpus import Corpus, corpus, part_number
from saelab.n2g.graph import match, render
from saelab.n2g.score import activation_at, fires_in, latent_of

if TYPE_CHECKING:
    import pandas as pd

    from saelab.n2g.pattern_graph import PatternGraph


def node_scores(graph: PatternGraph, index: Any, *, split: str = "valid") -> pd.DataFrame:
    """Per pattern: node (its end), text, value, wins, hits, false_alarms, precision, mean activation."""
    import pandas as pd

    part = part_number(split)
    c, latent = corpus(index, graph.seed), latent_of(graph)
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    inside = c.part[at] == part
    at, nodes = at[inside], nodes[inside]
    a = activation_at(c, latent, at)
    rows = []
    for p in reversed(graph.tree.patterns):
        mine = nodes == p.node
        wins, hits = int(mine.sum()), int((a[mine] > 0).sum())
        rows.append({
            "node": p.node, "text": render.pattern(graph.labels, p), "value": p.end.value, "wins": wins,
            "hits": hits, "false_alarms": wins - hits, "precision": hits / wins if wins else None,
            "mean": float(a[mine].mean()) if wins else None,
        })  # fmt: skip
    columns = ["node", "text", "value", "wins", "hits", "false_alarms", "precision", "mean"]
    return pd.DataFrame(rows, columns=columns)


def predicted(graph: PatternGraph, c: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counted positions with a winning pattern of value > 0, its node, and the value."""
    at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
    s = match.values(graph.tree, nodes)
    keep = (c.part[at] != 255) & (s > 0)
    return at[keep], nodes[keep], s[keep].astype(np.float64)


KINDS = ("match", "hit", "miss", "false_alarm")


def examples(
    graph: PatternGraph, index: Any, kind: str, *, node: int | None = None, split: str = "valid", n: int = 20,
    seed: int = 0, before: int = 10, after: int = 5,
) -> pd.DataFrame:  # fmt: skip
    """Random positions of one kind, in the order of the text.

    Returns
    -------
    DataFrame
        token_index, row, position, doc, token, value (the latent's activation), predicted, node (that ends
        the winning pattern, 0 where none does), text.
    """
    import pandas as pd

    if kind not in KINDS:
        raise unknown("kind of example", kind, KINDS)
    if node is not None and node not in graph.tree.nodes:
        raise SaelabError(f"no node {node!r} in this graph")
    part = part_number(split)
    c, latent = corpus(index, graph.seed), latent_of(graph)
    at, nodes, s = predicted(graph, c)
    fires = fires_in(c, latent, part, 0.0)[0]
    if kind == "miss":
        chosen = np.setdiff1d(fires, at, assume_unique=True)
    else:
        keep = c.part[at] == part
        if node is not None:
            through = [p.node for p in graph.tree.patterns if node in p.path]
            keep &= np.isin(nodes, through)
        if kind != "match":
            keep &= np.isin(at, fires) == (kind == "hit")
        chosen = at[keep]
    if len(chosen) > n:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, n, replace=False))
    chosen = chosen.astype(np.int64)
    place = np.searchsorted(at, chosen)
    won = (
        (place < len(at)) & (at[np.minimum(place, len(at) - 1)] == chosen)
        if len(at)
        else np.zeros(len(chosen), bool)
    )
    rows, positions = index.rows.locate(chosen)
    return pd.DataFrame({
        "token_index": chosen, "row": rows, "position": positions, "doc": np.asarray(index.rows.doc)[rows],
        "token": [_label(graph, index, int(i)) for i in c.tokens.ids[chosen]],
        "value": activation_at(c, latent, chosen),
        "predicted": [float(s[i]) if w else 0.0 for i, w in zip(place, won, strict=True)],
        "node": [int(nodes[i]) if w else 0 for i, w in zip(place, won, strict=True)],
        "text": [_window_text(graph, index, c, int(i), before, after) for i in chosen],
    })  # fmt: skip


def _label(graph: PatternGraph, index: Any, token: int) -> str:
    vocab = getattr(index, "vocab", None)
    return vocab.label(token) if vocab is not None else graph.labels.get(token, f"#{token}")


def _window_text(graph: PatternGraph, index: Any, c: Corpus, at: int, before: int, after: int) -> str:
    low = at - min(before, int(c.tokens.place[at]))
    high = at + 1
    while high < len(c.tokens) and high <= at + after and c.tokens.place[high] > c.tokens.place[at]:
        high += 1
    ids = c.tokens.ids[low:high]
    vocab = getattr(index, "vocab", None)
    return vocab.decode(ids) if vocab is not None else "".join(_label(graph, index, int(i)) for i in ids)


def suggest(graph: PatternGraph, index: Any, node: int, *, k: int = 20, split: str = "train") -> pd.DataFrame:
    """Tokens that stand where ``node`` looks, the rest of its patterns matching.

    Returns
    -------
    DataFrame
        token (id), text, tp, fp: positions with that token that no pattern matches yet, on which the latent
        fires or does not. Most gained (tp - fp) first. For an ``any`` or ``not`` node, whose patterns match
        already, all its positions count: what :meth:`PatternGraph.specialise` would keep.
    """
    import pandas as pd

    if node not in graph.tree.nodes:
        raise SaelabError(f"no node {node!r} in this graph")
    here = graph.tree.nodes[node]
    path = [graph.tree.nodes[i] for i in graph.tree.path(node)]
    if here.kind not in ("tok", "any", "not") or any(n.kind == "gap" for n in path):
        raise SaelabError(
            f"node {node} ({here.kind}) has no place of its own: a gap or the row's start has no token"
        )
    part = part_number(split)
    c, latent = corpus(index, graph.seed), latent_of(graph)
    back = len(path) - 1
    found = []
    for p in graph.tree.patterns:
        if node in p.path:
            items = list(p.items)
            items[back] = ("any", (), 0, 0)
            found.append(c.tokens.match(tuple(items)))
    at = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)
    at = at[c.part[at] == part]
    if here.kind == "tok":
        at = np.setdiff1d(at, predicted(graph, c)[0], assume_unique=True)
    there = c.tokens.ids[at - back]
    fires = activation_at(c, latent, at) > 0
    ids, which = np.unique(there, return_inverse=True)
    tp = np.bincount(which[fires], minlength=len(ids))
    fp = np.bincount(which[~fires], minlength=len(ids))
    keep = ~np.isin(ids, here.ids) if here.kind == "tok" else np.ones(len(ids), dtype=bool)
    order = np.lexsort((ids, -tp, fp - tp))
    order = order[keep[order] & (tp[order] > 0)][:k]
    return pd.DataFrame({
        "token": ids[order].astype(int), "text": [_label(graph, index, int(i)) for i in ids[order]],
        "tp": tp[order], "fp": fp[order],
    })  # fmt: skip

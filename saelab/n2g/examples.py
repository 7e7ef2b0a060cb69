"""Where a graph is right and wrong, pattern by pattern and place by place, and what would mend it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from saelab.errors import SaelabError, check_choice
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.n2g.corpus import part_number
from saelab.n2g.graph import render
from saelab.n2g.prediction import Prediction

KINDS = ("match", "hit", "miss", "false_alarm")


def node_scores(found: Prediction, labels: Mapping[int, str], split: str) -> pd.DataFrame:
    """See :meth:`PatternGraph.node_scores`."""
    nodes, a = found.won(split)
    rows = []
    for p in reversed(found.tree.patterns):
        mine = a[nodes == p.node]
        wins, hits = len(mine), int((mine > 0).sum())
        precision, mean = (hits / wins, float(mine.mean())) if wins else (None, None)
        text = render.pattern(labels, p)
        rows.append((p.node, text, p.end.value, wins, hits, wins - hits, precision, mean))
    columns = ["node", "text", "value", "wins", "hits", "false_alarms", "precision", "mean"]
    return TextFrame(rows, columns=columns)


def examples(
    found: Prediction, index: LatentIndex, kind: str, *, node: int | None, split: str, n: int, seed: int
) -> pd.DataFrame:
    """See :meth:`PatternGraph.examples`."""
    check_choice("kind of example", kind, KINDS)
    if node is not None and node not in found.tree.nodes:
        raise SaelabError(f"no node {node!r} in this graph")
    c, part = found.corpus, part_number(split)
    at, nodes, value = found.firing
    fires = c.fires(found.latent, part)[0]
    if kind == "miss":
        chosen = np.setdiff1d(fires, at, assume_unique=True)
    else:
        keep = c.part[at] == part
        if node is not None:
            keep &= np.isin(nodes, [p.node for p in found.tree.patterns if node in p.path])
        if kind != "match":
            keep &= np.isin(at, fires) == (kind == "hit")
        chosen = at[keep]
    if len(chosen) > n:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, n, replace=False))
    chosen = chosen.astype(np.int64)
    _, of_chosen, of_at = np.intersect1d(chosen, at, assume_unique=True, return_indices=True)
    predicted, winner = np.zeros(len(chosen)), np.zeros(len(chosen), dtype=np.int64)
    predicted[of_chosen], winner[of_chosen] = value[of_at], nodes[of_at]
    rows, positions = index.rows.locate(chosen)
    return TextFrame({
        "token_index": chosen, "row": rows, "position": positions, "doc": np.asarray(index.rows.doc)[rows],
        "token": index.vocab.labels(c.tokens.ids[chosen]), "value": c.activation(found.latent, chosen),
        "predicted": predicted, "node": winner,
        "text": [_around(index, int(r), int(p)) for r, p in zip(rows, positions, strict=True)],
    })  # fmt: skip


def _around(index: LatentIndex, row: int, position: int) -> str:
    """The text from ten tokens before a position to five after it."""
    begin = max(position - 10, int(index.rows.bos))
    return index.vocab.decode(index.rows[row][begin : position + 6])


def suggest(found: Prediction, index: LatentIndex, node: int, *, n: int, split: str) -> pd.DataFrame:
    """See :meth:`PatternGraph.suggest`."""
    tree, c = found.tree, found.corpus
    if node not in tree.nodes:
        raise SaelabError(f"no node {node!r} in this graph")
    here, path = tree.nodes[node], [tree.nodes[i] for i in tree.path(node)]
    if here.kind not in ("tok", "any", "not") or any(n.kind == "gap" for n in path):
        raise SaelabError(
            f"node {node} ({here.kind}) has no place of its own: a gap or the row's start has no token"
        )
    part, back = part_number(split), len(path) - 1
    opened = [
        (*p.items[:back], ("any", (), 0, 0), *p.items[back + 1 :]) for p in tree.patterns if node in p.path
    ]
    at = np.unique(np.concatenate([c.tokens.match(items) for items in opened]))
    at = at[c.part[at] == part]
    if here.kind == "tok":
        at = np.setdiff1d(at, found.firing[0], assume_unique=True)
    ids, which = np.unique(c.tokens.ids[at - back], return_inverse=True)
    fires = c.activation(found.latent, at) > 0
    tp, fp = (np.bincount(which[x], minlength=len(ids)) for x in (fires, ~fires))
    order = np.lexsort((ids, -tp, fp - tp))
    order = order[(tp[order] > 0) & ~(np.isin(ids[order], here.ids) & (here.kind == "tok"))][:n]
    return TextFrame({
        "token": ids[order].astype(int), "text": index.vocab.labels(ids[order]), "tp": tp[order], "fp": fp[order],
    })  # fmt: skip

"""Search and compare pattern graphs of many latents: which name a token, which say nearly the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from saelab.doors import door
from saelab.errors import SaelabError, called, check_choice, check_count, is_scalar
from saelab.frames import TextFrame
from saelab.identity import meet
from saelab.index import LatentIndex
from saelab.n2g.corpus import part_number
from saelab.n2g.graph import render
from saelab.n2g.graph.tree import Item
from saelab.n2g.pattern_graph import PatternGraph
from saelab.n2g.prediction import Prediction

Graphs = Mapping[int, PatternGraph] | Iterable[PatternGraph]
WAYS = ("tokens", "predictions")


def _by_latent(graphs: Graphs, only: str = "") -> dict[int, PatternGraph]:
    several = isinstance(graphs, Iterable) and not is_scalar(graphs)
    listed: list[Any] = (
        list(graphs.values() if isinstance(graphs, Mapping) else graphs) if several else [graphs]
    )
    if wrong := [g for g in listed if not isinstance(g, PatternGraph)]:
        raise SaelabError(f"graphs must be graphs, as n2g.fit gives them, got {called(wrong[0])} among them")
    found: dict[int, PatternGraph] = {}
    keys = list(graphs) if isinstance(graphs, Mapping) else [None] * len(listed)
    for i, (key, graph) in enumerate(zip(keys, listed, strict=True)):
        latent = i if graph.latent is None else graph.latent
        if key is not None and graph.latent not in (None, key):
            raise SaelabError(f"the graph given for latent {key!r} is of latent {graph.latent}")
        if latent in found:
            raise SaelabError(f"there are two graphs of latent {latent} among these: give one of each")
        meet(listed[0], graph, only=only)
        found[latent] = graph
    return found


def _named(items: Iterable[Item]) -> frozenset[int]:
    return frozenset(i for kind, ids, *_ in items if kind == "tok" for i in ids)


def _sets(graph: PatternGraph) -> tuple[frozenset[int], frozenset[int]]:
    """Ids on which some pattern of value > 0 fires, and those that one asks for before."""
    fires = [p.items for p in graph.patterns() if p.end.value > 0]
    return _named(i for items in fires for i in items[:1]), _named(i for items in fires for i in items[1:])


@door
def search(
    graphs: Graphs,
    activating: int | str | Iterable[int] | None = None,
    context: int | str | Iterable[int] | None = None,
) -> pd.DataFrame:
    """Patterns that fire on a token, or have it as context, or both.

    Parameters
    ----------
    graphs
        Several graphs, or latent -> graph.
    activating, context
        Token ids, or a text: tokens whose text is equal to it but for spaces around it.

    Returns
    -------
    DataFrame
        latent, node (that ends the pattern), text, value, n_fire; patterns seen most first.

    Examples
    --------
    >>> sl.n2g.search([graph], context="dog").columns.tolist()
    ['latent', 'node', 'text', 'value', 'n_fire']
    """
    if activating is None and context is None:
        raise SaelabError("say which token to look for: activating=…, context=…, or both")
    found = []
    for latent, graph in _by_latent(graphs).items():
        fires, before = _wanted(graph, activating), _wanted(graph, context)
        for p in graph.patterns():
            first, rest = _named(p.items[:1]), _named(p.items[1:])
            if (fires is None or first & fires) and (before is None or rest & before):
                text = render.pattern(graph.labels, p)
                found.append((latent, p.node, text, p.end.value, p.end.n_fire))
    table = TextFrame(found, columns=["latent", "node", "text", "value", "n_fire"])
    return table.sort_values(["n_fire", "value"], ascending=False, ignore_index=True)


def _wanted(graph: PatternGraph, tokens: int | str | Iterable[int] | None) -> set[int] | None:
    if tokens is None:
        return None
    if isinstance(tokens, str):
        return {i for i, label in graph.labels.items() if label.strip() == tokens.strip()}
    return {int(tokens)} if isinstance(tokens, (int, np.integer)) else set(tokens)


@door
def similar(
    graphs: Graphs, latent: int, *, by: str = "tokens", n: int = 10, index: LatentIndex | None = None,
    split: str = "valid",
) -> pd.DataFrame:  # fmt: skip
    """Graphs most like that of ``latent``.

    Parameters
    ----------
    by
        ``tokens``: the lesser of the overlaps of activating and of context tokens, each the size of the
        common set over that of the larger one (Foote et al. 2023, who called pairs above 0.9 similar).
        ``predictions``: positions of ``split`` that both predict, over those that either does (``index``).

    Returns
    -------
    DataFrame
        latent, similarity, text (of the graph's first pattern), most similar first.

    Examples
    --------
    >>> sl.n2g.similar([graph], latent).columns.tolist()
    ['latent', 'similarity', 'text']
    """
    check_choice("way to compare", by, WAYS)
    check_count("n", n)
    known = _by_latent(graphs, only="tokenizer")  # tokens may be compared across SAEs
    if latent not in known:
        raise SaelabError(f"there is no graph of latent {latent} among these {len(known)}")
    if by == "tokens":
        mine = _sets(known[latent])
        likeness = {
            i: min(_overlap(a, b) for a, b in zip(mine, _sets(g), strict=True)) for i, g in known.items()
        }
    else:
        likeness = _shared_predictions(known, latent, index, split)
    del likeness[latent]
    best = sorted(likeness, key=lambda i: (-likeness[i], i))[:n]
    rows = [(i, likeness[i], known[i].text(1).split("\n")[0]) for i in best if likeness[i] > 0]
    return TextFrame(rows, columns=["latent", "similarity", "text"])


def _overlap(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / max(len(a), len(b)) if a or b else 1.0


def _inside(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / min(len(a), len(b)) if a and b else float(not a and not b)


def _shared_predictions(
    known: dict[int, PatternGraph], latent: int, index: LatentIndex | None, split: str
) -> dict[int, float]:
    index, part = known[latent]._attached(index), part_number(split)
    for graph in known.values():  # which may be of another SAE
        graph._attached(index)
    c = known[latent].corpus(index)

    def predicted(i: int) -> np.ndarray:
        at = Prediction.of(c, i, known[i].tree, known[i].rule).firing[0]
        return at[c.part[at] == part]

    mine, out = predicted(latent), {}
    for i in known:
        other = predicted(i)
        both = len(np.intersect1d(mine, other, assume_unique=True))
        out[i] = both / max(len(mine) + len(other) - both, 1)
    return out


@door
def duplicates(graphs: Graphs, least: float = 0.9) -> pd.DataFrame:
    """Pairs of graphs that name nearly the same tokens.

    Returns
    -------
    DataFrame
        a, b (latents), similarity (as :func:`similar` by tokens), subset: the same with the smaller set below
        the line, so that it is high where one graph is a part of the other; pairs in which either is at least
        ``least``, most similar first.

    Examples
    --------
    >>> sl.n2g.duplicates([graph]).empty
    True
    """
    if not 0 < least <= 1:
        raise SaelabError(f"least is a share in 0…1, got {least!r}")
    sets = {i: _sets(g) for i, g in sorted(_by_latent(graphs).items()) if len(g)}
    rows = []
    for a, b in combinations(sets, 2):
        if sets[a][0] & sets[b][0]:  # graphs without a common activating token are not alike
            both = list(zip(sets[a], sets[b], strict=True))
            alike, inside = min(_overlap(x, y) for x, y in both), min(_inside(x, y) for x, y in both)
            if max(alike, inside) >= least:
                rows.append((a, b, alike, inside))
    table = pd.DataFrame(rows, columns=["a", "b", "similarity", "subset"])
    return table.sort_values(
        ["similarity", "subset", "a", "b"], ascending=[False, False, True, True], ignore_index=True
    )

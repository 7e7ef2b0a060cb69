"""Search and compare pattern graphs of many latents: which name a token, which say nearly the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, unknown
from saelab.n2g.corpus import corpus, part_number
from saelab.n2g.graph import match, render

if TYPE_CHECKING:
    import pandas as pd

    from saelab.n2g.pattern_graph import PatternGraph

Graphs = Mapping[int, "PatternGraph"] | Iterable["PatternGraph"]
WAYS = ("tokens", "predictions")


def _by_latent(graphs: Graphs) -> dict[int, PatternGraph]:
    listed = graphs.values() if isinstance(graphs, Mapping) else graphs
    out: dict[int, PatternGraph] = {}
    for i, graph in enumerate(listed):
        out[i if graph.latent is None else graph.latent] = graph
    return out


def activating(graph: PatternGraph) -> frozenset[int]:
    """Ids of tokens on which some pattern of value > 0 fires."""
    return frozenset(i for p in graph.patterns() if p.end.value > 0 for i in _named(p.items[:1]))


def context(graph: PatternGraph) -> frozenset[int]:
    """Ids of tokens that some pattern of value > 0 asks for before the one that fires."""
    return frozenset(i for p in graph.patterns() if p.end.value > 0 for i in _named(p.items[1:]))


def _named(items: Iterable[Any]) -> Iterable[int]:
    return (i for kind, ids, *_ in items if kind == "tok" for i in ids)


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
    """
    import pandas as pd

    if activating is None and context is None:
        raise SaelabError("say which token to look for: activating=…, context=…, or both")
    found = []
    for latent, graph in _by_latent(graphs).items():
        fires, before = _wanted(graph, activating), _wanted(graph, context)
        for p in graph.patterns():
            first, rest = set(_named(p.items[:1])), set(_named(p.items[1:]))
            if (fires is None or first & fires) and (before is None or rest & before):
                text = render.pattern(graph.labels, p)
                found.append((latent, p.node, text, p.end.value, p.end.n_fire))
    table = pd.DataFrame(found, columns=["latent", "node", "text", "value", "n_fire"])
    return table.sort_values(["n_fire", "value"], ascending=False, ignore_index=True)


def _wanted(graph: PatternGraph, what: int | str | Iterable[int] | None) -> set[int] | None:
    if what is None:
        return None
    if isinstance(what, str):
        return {i for i, label in graph.labels.items() if label == what or label.strip() == what.strip()}
    return {what} if isinstance(what, (int, np.integer)) else set(what)


def similar(
    graphs: Graphs, latent: int, *, by: str = "tokens", n: int = 10, index: Any = None, split: str = "valid"
) -> pd.DataFrame:
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
    """
    import pandas as pd

    if by not in WAYS:
        raise unknown("way to compare", by, WAYS)
    known = _by_latent(graphs)
    if latent not in known:
        raise SaelabError(f"there is no graph of latent {latent} among these {len(known)}")
    if by == "tokens":
        sets = {i: (activating(g), context(g)) for i, g in known.items()}
        likeness = {
            i: min(_overlap(a, b) for a, b in zip(sets[latent], s, strict=True)) for i, s in sets.items()
        }
    else:
        likeness = _shared_predictions(known, latent, index, split)
    likeness.pop(latent)
    best = sorted(likeness, key=lambda i: (-likeness[i], i))[:n]
    rows = [(i, likeness[i], known[i].text(1).split("\n")[0]) for i in best if likeness[i] > 0]
    return pd.DataFrame(rows, columns=["latent", "similarity", "text"])


def _overlap(a: frozenset[int], b: frozenset[int]) -> float:
    return len(a & b) / max(len(a), len(b)) if a or b else 1.0


def _shared_predictions(
    known: dict[int, PatternGraph], latent: int, index: Any, split: str
) -> dict[int, float]:
    index = known[latent]._index(index)
    c, part = corpus(index, known[latent].seed), part_number(split)

    def predicted(graph: PatternGraph) -> np.ndarray:
        at, nodes = match.winners(c.tokens, graph.tree, graph.rule)
        return at[(c.part[at] == part) & (match.values(graph.tree, nodes) > 0)]

    mine = predicted(known[latent])
    out = {}
    for i, graph in known.items():
        other = predicted(graph)
        both = len(np.intersect1d(mine, other, assume_unique=True))
        either = len(mine) + len(other) - both
        out[i] = both / either if either else 0.0
    return out


def duplicates(graphs: Graphs, least: float = 0.9) -> pd.DataFrame:
    """Pairs of graphs that name nearly the same tokens.

    Returns
    -------
    DataFrame
        a, b (latents), similarity (as :func:`similar` by tokens), subset: the same with the smaller set below
        the line, so that it is high where one graph is a part of the other; pairs in which either is at least
        ``least``, most similar first.
    """
    import pandas as pd

    if not 0 < least <= 1:
        raise SaelabError(f"least is a share in 0…1, got {least!r}")
    known = {i: g for i, g in _by_latent(graphs).items() if len(g)}
    sets = {i: (activating(g), context(g)) for i, g in known.items()}
    holders: dict[int, list[int]] = defaultdict(list)
    for i, (first, _) in sets.items():
        for token in first:
            holders[token].append(i)
    pairs: Counter[tuple[int, int]] = Counter()
    for having in holders.values():  # only graphs with a common activating token can be alike
        pairs.update((a, b) for n, a in enumerate(having) for b in having[n + 1 :])
    rows = []
    for a, b in pairs:
        both = list(zip(sets[a], sets[b], strict=True))
        alike = min(_overlap(x, y) for x, y in both)
        inside = min(len(x & y) / min(len(x), len(y)) if x and y else float(not x and not y) for x, y in both)
        if max(alike, inside) >= least:
            rows.append((min(a, b), max(a, b), alike, inside))
    table = pd.DataFrame(rows, columns=["a", "b", "similarity", "subset"])
    return table.sort_values(
        ["similarity", "subset", "a", "b"], ascending=[False, False, True, True], ignore_index=True
    )

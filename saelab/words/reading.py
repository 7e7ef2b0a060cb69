"""Explanations that no language model writes: a pattern graph and a list of tokens, read out in plain words."""

from __future__ import annotations

from itertools import groupby
from unicodedata import bidirectional

import numpy as np

from saelab.doors import door
from saelab.n2g import PatternGraph
from saelab.n2g.graph import render
from saelab.n2g.graph.tree import Item
from saelab.words.passages import TRAIN, Texts
from saelab.words.prompts import quoted

_PATTERNS, _ALTERNATIVES, _TOKENS = 6, 6, 8  # read out at most


@door
def of_graph(graph: PatternGraph) -> str:
    """Its patterns, the one that explains most activation first; empty if there is none.

    >>> g = sl.n2g.PatternGraph(labels={1: "Host", 2: ":", 3: "example"})
    >>> node = g.add_path([1, 2, "*", 3], value=2.0)
    >>> sl.words.of_graph(g)
    'on "example" after "Host", ":", any token'
    """
    patterns = render.best_first(graph.tree)
    said = list(dict.fromkeys(_pattern(graph, p.items) for p in patterns if p.end.value > 0))
    out = "; ".join(said[:_PATTERNS])
    if len(said) > _PATTERNS:
        out += f"; and {len(said) - _PATTERNS} rarer patterns"
    but = [_pattern(graph, p.items) for p in patterns if p.end.value == 0]
    return f"{out}; but not {' and not '.join(but[:2])}" if but and out else out


def _pattern(graph: PatternGraph, items: tuple[Item, ...]) -> str:
    token, *before = items
    runs = [(item, len(list(run))) for item, run in groupby(reversed(before))]
    context = ", ".join(
        f"any {n} tokens" if i[0] == "any" and n > 1 else ", ".join([_item(graph, i)] * n) for i, n in runs
    )
    return f"on {_item(graph, token)}" + (f" after {context}" if context else "")


def _item(graph: PatternGraph, item: Item) -> str:
    kind, ids, low, high = item
    if kind in ("tok", "not"):
        names = [_named(render.label_of(graph.labels, i)) for i in render.ordered(graph.labels, ids)]
        shown = " or ".join(names[:_ALTERNATIVES])
        more = f" or {len(names) - _ALTERNATIVES} others" if len(names) > _ALTERNATIVES else ""
        return ("anything but " if kind == "not" else "") + shown + more
    if kind == "gap":
        return f"{low} to {high} tokens" if low < high else f"{low} tokens"
    return {"any": "any token", "start": "the start of the text"}[kind]


def _named(text: str) -> str:
    """As a JSON string, but bytes as the token's label has them; right-to-left letters stay apart from what follows."""
    said = quoted(text).replace("\\\\x", "\\x")
    return f"\u2068{said}\u2069" if {"R", "AL"} & {*map(bidirectional, text)} else said


def of_tokens(texts: Texts, latent: int) -> str:
    """The tokens it is strongest on in the train documents, with their share of its activation, and two contexts."""
    token, value = texts.corpus.fires(latent, TRAIN)
    if not len(token):
        return ""
    ids, place = np.unique(texts.index.rows.ids[token], return_inverse=True)
    share = np.bincount(place, value) / value.sum()
    best = np.argsort(-share, kind="stable")[:_TOKENS]
    best = best[(share[best] >= 0.02) | (np.arange(len(best)) == 0)]
    labels = texts.index.vocab.labels(ids[best])
    said = ", ".join(f"{_named(t)} ({s:.0%})" for t, s in zip(labels, share[best], strict=True))
    near = [
        p._replace(low=max(p.low, p.token - 8), high=min(p.high, p.token + 3))
        for p in texts.strongest(latent, TRAIN, 2)
    ]
    return f"on {said}, as in {' and '.join(_named(texts.text(p)) for p in near)}"

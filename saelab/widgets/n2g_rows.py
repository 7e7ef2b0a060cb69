"""What the pattern editor shows beside the graph: text where a pattern matches, misses or is wrong."""

from __future__ import annotations

from typing import Any

from saelab.errors import SaelabError
from saelab.index import LatentIndex
from saelab.intervals import of_trials
from saelab.n2g import PatternGraph
from saelab.widgets.dashboard import examples

SHOWN = 12
_CONTEXT = 8  # tokens before a firing that a new path may name
_FOUND = 12


def rows(
    graph: PatternGraph,
    index: LatentIndex,
    kind: str,
    *,
    node: int | None = None,
    split: str = "valid",
    seed: int = 0,
) -> dict[str, Any]:
    """Some positions of one kind (see :meth:`PatternGraph.examples`) with their text, and how many there are.

    Returns
    -------
    dict
        ``total``; ``high`` (the latent's largest activation); ``rows``: text, values and centre of each for a
        heat map, value, predicted, node (that ends the winning pattern), token_index, and for a false alarm
        ``before``: the token before the pattern, which an exclusion would name, or why there is none.
    """
    assert graph.latent is not None  # or there are no examples
    found = graph.examples(index, kind, node=node, split=split, n=1 << 40)
    some = found.sample(min(len(found), SHOWN), random_state=seed).sort_index()
    shown = examples(index, graph.latent, some.assign(count=1), before=12, after=4)
    return {
        "total": len(found),
        "high": float(index.latent_stats(graph.latent)["max"]),
        "rows": [
            {
                **{k: e[k] for k in ("text", "values", "centre")},
                **{k: line[k] for k in ("value", "predicted", "node", "token_index", "row", "position")},
                "before": before(graph, index, line) if kind == "false_alarm" else None,
            }
            for e, line in zip(shown, some.to_dict("records"), strict=True)
        ],
    }


def before(graph: PatternGraph, index: LatentIndex, line: dict[str, Any]) -> dict[str, Any]:
    """The token before the pattern that is wrong here: ``{"id", "text"}``, or ``{"reason"}`` if there is none."""
    path = [graph.tree.nodes[i] for i in graph.tree.path(line["node"])]
    if any(n.kind == "gap" for n in path):
        return {"reason": "the pattern has a gap, so no one token is before it"}
    at = int(line["position"]) - len(path)
    if path[-1].kind == "start" or at < int(index.rows.bos):
        return {"reason": "the text begins here: there is no token before the pattern"}
    token = int(index.rows[int(line["row"])][at])
    return {"id": token, "text": index.vocab.label(token)}


def facts(graph: PatternGraph, index: LatentIndex, node: int, split: str) -> list[list[Any]]:
    """What the patterns through a node do, as pairs of name and number."""
    won = graph.node_scores(index, split=split)
    through = [p.node for p in graph.patterns() if node in p.path]
    won = won[won.node.isin(through)]
    n, hits = int(won.wins.sum()), int(won.hits.sum())
    said: list[list[Any]] = [
        ["matches", n], ["hits", hits], ["false alarms", n - hits], ["precision", hits / n if n else None],
    ]  # fmt: skip
    sufficiency = (graph.fit_info.get("sufficiency") or {}).get(str(node))
    if sufficiency is None:
        return said
    prompts = graph.fit_info.get("prompts", 0)  # graphs of before do not say
    bounds = of_trials(round(sufficiency * prompts), prompts)
    within = f"95 %: {bounds[0]:.2f}–{bounds[1]:.2f}" if bounds else "too few for an interval"
    return [*said, [f"fires, all else random ({prompts or 'few'} prompts, {within})", sufficiency]]


def tokens_like(index: LatentIndex, text: str) -> list[dict[str, Any]]:
    """Tokens that are ``text``, then those that are it but for spaces, then those that contain it."""
    wanted = text.encode()
    if not wanted:
        raise SaelabError("write at least one character of the token")
    table = index.vocab.search_table
    found = [i for i, piece in enumerate(table) if wanted in piece]
    found.sort(key=lambda i: (table[i] != wanted, table[i].strip() != wanted.strip(), len(table[i]), i))
    return [{"token": i, "text": index.vocab.label(i)} for i in found[:_FOUND]]


def compose(graph: PatternGraph, index: LatentIndex, token_index: int) -> dict[str, Any]:
    """The tokens up to a position, from which a path is made, and how many of the last ones to begin with.

    That number is the one whose tokens, taken as a pattern, gain most F1 on the train documents.
    """
    c = graph.corpus(index)
    if not 0 <= token_index < len(c.tokens) or c.tokens.place[token_index] < 0:
        last = len(c.tokens) - 1
        raise SaelabError(f"token_index must be the place of a token in 0…{last}, got {token_index}")
    n = min(_CONTEXT, int(c.tokens.place[token_index]) + 1)
    ids = [int(i) for i in c.tokens.ids[token_index - n + 1 : token_index + 1]]
    gains = []
    for length in range(1, min(4, n) + 1):
        items = ids[-length:]
        args = {"items": items, "value": graph.likely_value(items)}
        gains.append((graph.dry_run("add_path", args).score(index, "train").f1 or 0.0, -length))
    return {
        "tokens": [{"id": i, "text": index.vocab.label(i)} for i in ids], "length": -max(gains)[1],
        "whole": n == int(c.tokens.place[token_index]) + 1,
    }  # fmt: skip

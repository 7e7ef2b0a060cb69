"""Is a pattern a cause or a sign? Ask the model: the pattern's own tokens, everything else random.

A pattern taken from the text may hold there for another reason than the tokens it names (they always come
with the true cause). So every pattern gets its *sufficiency*, the share of such prompts on which the latent
fires, and every exact node its *importance*, the share of the activation that is lost when its token is
replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, check_latent
from saelab.n2g.corpus import Corpus, corpus
from saelab.n2g.fit.instance import Probing
from saelab.n2g.fit.probe import Fillers, Prober, Prompt, Question
from saelab.n2g.graph.tree import Item, Tree

if TYPE_CHECKING:
    from saelab.n2g.pattern_graph import PatternGraph


@dataclass(frozen=True)
class Verdict:
    """Of one pattern: share of prompts that fire, mean activation, importance of exact items by place."""

    sufficiency: float
    mean: float
    imp: dict[int, float]


@dataclass(frozen=True)
class _Filled:
    """One filling of a pattern: tokens in reading order, and which item each is of (-1: random)."""

    tokens: Prompt
    items: tuple[int, ...]
    pad: Prompt

    @property
    def prompt(self) -> Prompt:
        return self.pad + self.tokens

    def without(self, item: int, filler: int) -> Prompt:
        """The prompt with the token of one item replaced."""
        body = tuple(filler if i == item else t for t, i in zip(self.tokens, self.items, strict=True))
        return self.pad + body


def _fill(
    items: Sequence[Item], how: Probing, fillers: Fillers, rng: np.random.Generator, pad: int
) -> _Filled:
    tokens: list[int] = []
    which: list[int] = []
    start = False
    for place, (kind, ids, lo, hi) in enumerate(items):
        if kind == "tok":
            tokens.append(int(rng.choice(ids)))
            which.append(place)
        elif kind == "start":
            start = True
        else:
            width = int(rng.integers(lo, hi + 1)) if kind == "gap" else 1
            tokens += fillers.draw(width, without=ids)
            which += [-1] * width
    tokens, which = tokens[: how.limit], which[: how.limit]
    pad = 0 if start else max(0, min(pad, how.limit - len(tokens)))
    return _Filled(tuple(tokens[::-1]), tuple(which[::-1]), fillers.draw(pad))


def ask(
    items: Sequence[Item], how: Probing, fillers: Fillers, rng: np.random.Generator, imp: bool = True
) -> Question[Verdict]:
    """The question about one pattern; ``imp`` also asks for importances."""
    lengths = (0, *how.pads)
    filled = [_fill(items, how, fillers, rng, lengths[i % len(lengths)]) for i in range(how.joint)]
    values = yield [f.prompt for f in filled]
    verdict = Verdict(float((values > 0).mean()), float(values.mean()), {})
    strong = [(f, v) for f, v in zip(filled, values, strict=True) if v > 0][: how.fillers]
    exact = [i for i, item in enumerate(items) if item[0] == "tok"]
    if not imp or not strong or not exact:
        return verdict
    altered = yield [f.without(i, fillers.draw(1)[0]) for i in exact for f, _ in strong]
    kept = np.minimum(altered.reshape(len(exact), len(strong)) / np.array([v for _, v in strong]), 1.0)
    return replace(verdict, imp=dict(zip(exact, (1 - kept.mean(axis=1)).tolist(), strict=True)))


def verify_all(graphs: Sequence[PatternGraph], prober: Prober, how: Probing, c: Corpus) -> None:
    """Fill in the importances of all graphs, and ``fit_info["sufficiency"]`` by the node that ends a pattern."""
    questions, owners = [], []
    for graph in graphs:
        latent = graph.latent or 0
        rng = np.random.default_rng([graph.seed, latent, 2])
        fillers = Fillers(c.token_counts[0], int(rng.integers(1 << 31)))
        for p in graph.patterns():
            questions.append((latent, ask(p.items, how, fillers, rng)))
            owners.append((graph, p))
    imps: dict[int, dict[int, float]] = {}
    for (graph, p), verdict in zip(owners, prober.run(questions), strict=True):
        graph.fit_info.setdefault("sufficiency", {})[str(p.node)] = round(verdict.sufficiency, 3)
        mine = imps.setdefault(id(graph), {})
        for place, value in verdict.imp.items():
            mine[p.path[place]] = max(value, mine.get(p.path[place], 0.0))
    for graph in graphs:
        mine = imps.get(id(graph), {})
        nodes = {
            i: replace(n, imp=round(mine[i], 4)) if i in mine else n for i, n in graph.tree.nodes.items()
        }
        graph.tree = Tree(nodes, graph.tree.next_id)


def verify(
    graph: PatternGraph, node: int, model: Any, sae: Any, *, m: int = 16, seed: int = 0
) -> dict[str, float]:
    """See :meth:`PatternGraph.verify`."""
    from saelab.n2g.config import N2GConfig

    pattern = next((p for p in graph.patterns() if p.node == node), None)
    if pattern is None:
        raise SaelabError(f"no pattern ends at node {node}")
    index = graph._index(None)
    c, config = corpus(index, graph.seed), N2GConfig(joint=m, seed=graph.seed)
    latent = check_latent(graph.latent, sae.config.d_sae)
    prober = Prober(model, sae, [latent], index.config.get("bos_id") if index.rows.bos else None)
    rng = np.random.default_rng([seed, node])
    fillers = Fillers(c.token_counts[0], int(rng.integers(1 << 31)))
    (verdict,) = prober.run(
        [(latent, ask(pattern.items, config.probing(prober.limit), fillers, rng, imp=False))]
    )
    return {"sufficiency": verdict.sufficiency, "mean": verdict.mean}

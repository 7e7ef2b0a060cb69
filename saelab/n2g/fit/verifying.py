"""Is a pattern a cause or a sign? Ask the model: the pattern's own tokens, everything else random.

A pattern taken from the text may hold there for another reason than the tokens it names (they always come
with the true cause). So a pattern gets its *sufficiency*, the share of such prompts on which the latent
fires, and every exact node of it its *importance*, the share of the activation that is lost when its token is
replaced. A long list of rare patterns costs as much to ask as all probing before, and says little: only those that
explain most firings are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from saelab.intervals import of_trials
from saelab.models import HookedModel
from saelab.n2g.config import N2GConfig
from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.probe import Fillers, Prober, Question
from saelab.n2g.graph.tree import Item, Pattern, Tree
from saelab.sae import SAE

PROMPTS = 40  # a share of them is known to about 0.15 either way
MOST = 12  # patterns of a graph that are asked about


@dataclass(frozen=True)
class Verdict:
    """Of one pattern: share of prompts that fire, mean activation, importance of exact items by place."""

    sufficiency: float
    mean: float
    imp: dict[int, float]


def ask(items: Sequence[Item], config: N2GConfig, fillers: Fillers, imp: bool = True) -> Question[Verdict]:
    """The question about one pattern; ``imp`` also asks for importances."""
    filled = fillers.fill(items, config.joint, config.pads)
    values = yield [f.prompt for f in filled]
    verdict = Verdict(float((values > 0).mean()), float(values.mean()), {})
    strong = [(f, v) for f, v in zip(filled, values, strict=True) if v > 0][: config.fillers]
    exact = [i for i, item in enumerate(items) if item[0] == "tok"]
    if not imp or not strong or not exact:
        return verdict
    altered = yield [f.without(i, fillers.draw(1)[0]) for i in exact for f, _ in strong]
    kept = np.minimum(altered.reshape(len(exact), len(strong)) / np.array([v for _, v in strong]), 1.0)
    return replace(verdict, imp=dict(zip(exact, (1 - kept.mean(axis=1)).tolist(), strict=True)))


def verify_all(
    trees: dict[int, Tree], prober: Prober, config: N2GConfig, c: Corpus, answered: Callable[[float], None]
) -> dict[int, tuple[Tree, dict[str, float]]]:
    """latent -> its tree with importances, and by the node that ends it the sufficiency of each of the ``MOST`` patterns
    that explain most firings."""
    questions, owners = [], []
    for latent, tree in trees.items():
        fillers = Fillers(c.token_counts[0], [config.seed, latent, 2], prober.limit)
        for p in sorted(tree.patterns, key=lambda p: -p.end.n_fire)[:MOST]:
            questions.append((latent, ask(p.items, replace(config, joint=PROMPTS), fillers)))
            owners.append((latent, p))
    sufficiency: dict[int, dict[str, float]] = {latent: {} for latent in trees}
    imps: dict[int, dict[int, float]] = {latent: {} for latent in trees}
    for (latent, p), verdict in zip(owners, prober.run(questions, answered), strict=True):
        sufficiency[latent][str(p.node)] = round(verdict.sufficiency, 3)
        for place, value in verdict.imp.items():
            mine = imps[latent]
            mine[p.path[place]] = round(max(value, mine.get(p.path[place], 0.0)), 4)
    return {i: (tree.with_imps(imps[i]), sufficiency[i]) for i, tree in trees.items()}


def verify(
    pattern: Pattern,
    latent: int,
    c: Corpus,
    model: HookedModel,
    sae: SAE,
    bos: int | None,
    *,
    m: int,
    seed: int,
) -> dict[str, float]:
    """See :meth:`PatternGraph.verify`."""
    prober = Prober(model, sae, [latent], bos)
    fillers = Fillers(c.token_counts[0], [seed, pattern.node], prober.limit)
    question = ask(pattern.items, N2GConfig(joint=m), fillers, imp=False)
    (verdict,) = prober.run([(latent, question)])
    low, high = of_trials(round(verdict.sufficiency * m), m) or (np.nan, np.nan)
    return {"sufficiency": verdict.sufficiency, "low": low, "high": high, "mean": verdict.mean}

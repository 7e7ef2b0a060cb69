"""Fit the patterns of some latents side by side: one forward pass answers for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from saelab.models import HookedModel
from saelab.n2g.config import N2GConfig
from saelab.n2g.corpus import Corpus
from saelab.n2g.fit.generalise import pairs, proposals, variants
from saelab.n2g.fit.instance import Example, Instance, generalise, minimal
from saelab.n2g.fit.leftover import completed
from saelab.n2g.fit.probe import Fillers, Prober
from saelab.n2g.fit.rules import Learner, items_of, to_learn_from
from saelab.n2g.fit.select import FEW, Candidate, Costs, Counted, Items, Selector
from saelab.n2g.fit.verifying import PROMPTS, verify_all
from saelab.n2g.graph.tree import Branch, End, Tree, attach, chain, fold, freeze
from saelab.n2g.prediction import Prediction
from saelab.sae import SAE


@dataclass
class Fitted:
    """What was found of one latent: the patterns, or why there are none, and what finding them took."""

    latent: int
    tree: Tree = field(default_factory=Tree)
    reason: str | None = None
    info: dict[str, Any] = field(default_factory=dict)


def fit_pool(
    model: HookedModel,
    sae: SAE,
    c: Corpus,
    latents: Sequence[int],
    config: N2GConfig,
    bos: int | None,
    moved: Callable[[float], Any] = lambda latents: None,
) -> list[Fitted]:
    """Fit ``latents`` together; see :mod:`saelab.n2g.fitting`. ``moved`` is told of progress, in latents."""
    prober = Prober(model, sae, latents, bos, config.batch_tokens)
    begun = perf_counter()
    fits = [_Fit(c, latent, config, prober.limit) for latent in latents]
    steps = 2 * config.rounds + config.verify  # each of about the same number of prompts

    def answered(share: float) -> None:
        moved(share * len(latents) / steps)

    for _ in range(config.rounds):
        _round(fits, prober, config, answered)
    found = [fit.finish() for fit in fits]
    if config.verify:
        verified = verify_all({f.latent: f.tree for f in found}, prober, config, c, answered)
        for f in found:
            f.tree, sufficiency = verified[f.latent]
            f.info |= {"sufficiency": sufficiency, "prompts": PROMPTS} if sufficiency else {}
    n = len(latents)
    for f in found:
        f.info |= {
            "seconds": round((perf_counter() - begun) / n, 4), "forwards": round(prober.forwards / n, 3),
            "probe_tokens": round(prober.tokens / n),
        }  # fmt: skip
    return found


def _round(
    fits: Sequence[_Fit], prober: Prober, config: N2GConfig, answered: Callable[[float], None]
) -> None:
    """Draw examples for every latent, explain those of all latents together, and choose again."""
    drawn = [(fit, example) for fit in fits for example in fit.draw()]
    suffixes = prober.run([(f.latent, minimal(e, config, f.fillers(e, 0))) for f, e in drawn], answered)
    unique: dict[tuple[int, tuple[int, ...], bool], tuple[_Fit, Instance]] = {}
    for (fit, _), suffix in zip(drawn, suffixes, strict=True):
        if suffix is not None:  # different examples often have the same suffix
            fit.explained += 1
            unique.setdefault((fit.latent, suffix.tokens, suffix.start), (fit, suffix))
    found = prober.run(
        [(f.latent, generalise(s, config, f.fillers(s.example, 1))) for f, s in unique.values()], answered
    )
    for (fit, _), instance in zip(unique.values(), found, strict=True):
        fit.propose(instance)
    for fit in fits:
        fit.chosen = fit.selector.greedy()


class _Fit:
    """What is known about one latent while it is fitted."""

    def __init__(self, c: Corpus, latent: int, config: N2GConfig, limit: int):
        self.c, self.latent, self.config, self.limit = c, latent, config, limit
        self.costs = Costs(config.node_cost, config.alternative_cost)
        self.selector = Selector(c, latent, self.costs)
        self.rng = np.random.default_rng([config.seed, latent])
        self.instances: list[Instance] = []
        self.imp: dict[Items, tuple[float, ...]] = {}
        self.chosen: list[Candidate] = []
        self.seen: set[tuple[int, ...]] = set()
        self.examples = self.explained = 0
        self.enough = min(self.selector.fires, self.selector.fires_valid) >= FEW
        if self.enough:
            for d in config.offsets[:2]:
                self.selector.add(pairs(c, self.selector.y, d), probed=False)

    def fillers(self, example: Example, step: int) -> Fillers:
        """Random tokens that depend on the example alone, so that pooling changes nothing."""
        seed = [self.config.seed, self.latent, example.position, step]
        return Fillers(self.c.token_counts[0], seed, self.limit)

    def draw(self) -> list[Example]:
        """Examples among the firings that no chosen pattern matches, no two with the same last tokens."""
        at, a = self.c.fires(self.latent, 0)
        left = np.isin(at, self.selector.uncovered(self.chosen), assume_unique=True)
        at, a = at[left], a[left].astype(np.float64)
        if self.config.sample == "top":
            order = np.lexsort((at, -a))
        elif self.config.sample == "random":
            order = self.rng.permutation(len(at))
        else:  # without replacement, by weight (Efraimidis and Spirakis 2006)
            order = np.argsort(np.log(self.rng.random(len(at))) / a)[::-1]
        wanted = -(-self.config.n_train // self.config.rounds)
        out: list[Example] = []
        for i in order[: 20 * wanted]:
            example = example_at(self.c, int(at[i]), float(a[i]), self.config.max_len)
            if example.tokens[-8:] not in self.seen:
                self.seen.add(example.tokens[-8:])
                out.append(example)
            if len(out) == wanted:
                break
        self.examples += len(out)
        return out

    def propose(self, instance: Instance) -> None:
        """Candidates from one explained example."""
        self.instances.append(instance)
        far = tuple(reversed(instance.imp))
        for plain in variants(instance, bool(self.config.gaps)):
            if plain in self.selector.pool:
                continue
            for items in proposals(self.c, self.selector.y, plain, self.config.negation):
                self.selector.add([items], probed=True)
                if not any(kind == "gap" for kind, *_ in items):
                    self.imp.setdefault(items, far[: len(items)])

    def finish(self) -> Fitted:
        """The patterns, but for verification."""
        found = Fitted(self.latent, info={"examples": self.examples, "explained": self.explained})
        _, _, part = self.c.truth(self.latent)
        if not len(part):
            counted = f"{int(self.c.sizes.sum()):,} counted tokens"
            found.reason = f"latent {self.latent} never fires on the {counted} of the index"
            return found
        if not (part == 0).any():
            found.reason = f"latent {self.latent} fires {len(part)} times, but never in a train document"
            return found
        if self.enough and self.config.max_patterns:
            self._learn_rules()
        chosen = self.selector.choose()
        if self.enough:
            trial, most = self.selector.on_train().choose(), self.config.max_pairs
            chosen, more = completed(self.c, self.selector.y, trial, chosen, most, self.config.negation)
            self.selector.add(more, probed=False)
            chosen += [self.selector.pool[items] for items in more if self.selector.pool[items] not in chosen]
        tree = self._tree(chosen)
        if not tree.nodes:
            found.reason = f"no pattern of latent {self.latent} holds on the valid documents"
        fitted = Prediction.of(self.c, self.latent, tree, self.config.match).ends()
        found.tree = tree.with_ends({i: End(*numbers) for i, numbers in fitted.items()})
        return found

    def _learn_rules(self) -> None:
        """Let the text propose rules for what is not explained."""
        salient = {d for i in self.instances for d, wild in enumerate(reversed(i.wild)) if not wild and d > 0}
        offsets = sorted({*self.config.offsets, *salient})[:8]
        rng = np.random.default_rng([self.config.seed, self.latent, 1])
        known = to_learn_from(self.c, self.selector.fires, rng)
        so_far = Counted(self.selector.y, known, (p.train for p in self.chosen))
        learner = Learner(self.c, so_far, self.costs, offsets)
        self.selector.add([items_of(r) for r in learner.learn(self.config.max_patterns)], probed=False)

    def _tree(self, chosen: Sequence[Candidate]) -> Tree:
        root = Branch("root", id=0)
        for p in chosen:
            origin = "probe" if p.probed else "text"
            attach(root, chain(p.items, End(1.0), self.imp.get(p.items, ()), origin))
        fold(root)
        return freeze(root)


def example_at(c: Corpus, at: int, value: float, max_len: int) -> Example:
    """The example that ends at a flat token index."""
    length = min(int(c.tokens.place[at]) + 1, max_len)
    tokens = tuple(c.tokens.ids[at - length + 1 : at + 1].tolist())
    return Example(at, tokens, length == int(c.tokens.place[at]) + 1, value)

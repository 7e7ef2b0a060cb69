"""Fit pattern graphs: probe the model, take alternatives from the text, keep what holds elsewhere.

For every latent, in a few rounds

1. examples are drawn from the train documents by activation, after the first round among those that no
   pattern explains yet, and each is explained by asking the model (:mod:`saelab.n2g.fit.instance`). The prompts
   of a pool of latents are asked together, by length, and a forward pass answers for all of them,
2. each pattern found is proposed as it is, shorter, with gaps, and with other tokens that do the same in the
   train documents (:mod:`saelab.n2g.fit.generalise`),
3. of all proposals those are kept that gain F1 on the train and valid documents together beyond their cost in
   nodes (:mod:`saelab.n2g.fit.select`).

Then

4. the text alone proposes pairs (:mod:`saelab.n2g.fit.blocks`) and, for what is then left unexplained, rules
   (:mod:`saelab.n2g.fit.rules`),
5. what the others have made needless, and alternatives that do not hold on valid, are taken away,
6. values are the mean activation where a pattern wins on the train documents, zeros included,
7. every pattern that was kept is verified with the model: filled at random around its exact tokens, does it
   still fire? ``fit_info["sufficiency"]`` says, by node, whether a pattern is a cause or a sign.

The test documents are never looked at. The valid ones help to choose, so a score on them is a little kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from saelab.errors import SaelabError, check_latent, check_pair
from saelab.n2g import ends
from saelab.n2g.config import N2GConfig
from saelab.n2g.corpus import Corpus, corpus
from saelab.n2g.fit.blocks import blocks
from saelab.n2g.fit.generalise import lookups, pairs, proposals, variants
from saelab.n2g.fit.instance import Example, Instance, generalise, minimal
from saelab.n2g.fit.probe import Fillers, Prober
from saelab.n2g.fit.rules import Costs, Learner, items_of
from saelab.n2g.fit.select import FEW, Candidate, Items, Selector
from saelab.n2g.fit.verifying import verify_all
from saelab.n2g.graph.tree import Branch, End, Tree, attach, chain, fold, freeze
from saelab.n2g.pattern_graph import PatternGraph

ALGORITHM = 1  # one more whenever the same settings lead to other graphs than before


def fit(
    model: Any,
    sae: Any,
    index: Any,
    latents: int | Iterable[int],
    *,
    config: N2GConfig | None = None,
    path: str | Path | None = None,
    progress: bool = True,
) -> dict[int, PatternGraph]:
    """Pattern graphs of ``latents``.

    Parameters
    ----------
    model, sae
        What ``index`` was made with; prompts are made with the SAE's BOS convention.
    index
        A :class:`saelab.LatentIndex`; its documents are split into train, valid and test by ``config.seed``.
    latents
        One latent id or several.
    path
        A folder for the graphs (``<latent>.json``). Graphs already there of the same SAE, text, settings and algorithm
        are read, so a fit that was interrupted goes on; others are replaced.

    Returns
    -------
    dict
        latent -> graph, attached to ``index``. A latent that never fires has an empty graph with the reason.

    Raises
    ------
    SaelabError
        Before any work, if a latent is out of range, the index is of another SAE, or a graph that would be
        replaced has edits.
    """
    check_pair(model, sae)
    config = config or N2GConfig()
    if hasattr(latents, "__index__"):
        latents = [latents]  # type: ignore[list-item]
    wanted = list(dict.fromkeys(check_latent(i, index.d_sae) for i in latents))  # type: ignore[union-attr]
    if sae.config.d_sae != index.d_sae:
        raise SaelabError(f"the index is of {index.d_sae} latents, but this SAE has {sae.config.d_sae}")
    folder = Path(path) if path is not None else None
    done = _read(folder, wanted, config, index)
    todo = [i for i in wanted if i not in done]
    with tqdm(
        total=len(wanted), initial=len(done), desc="n2g", unit="latent", leave=False, disable=not progress
    ) as bar:
        for i in range(0, len(todo), config.pool):
            for graph in _fit_pool(model, sae, index, todo[i : i + config.pool], config):
                assert graph.latent is not None
                done[graph.latent] = graph
                if folder is not None:
                    graph.save(folder / f"{graph.latent}.json")
                bar.update()
    return {i: done[i] for i in wanted}


def _read(folder: Path | None, latents: list[int], config: N2GConfig, index: Any) -> dict[int, PatternGraph]:
    found: dict[int, PatternGraph] = {}
    for latent in latents if folder is not None else ():
        assert folder is not None
        file = folder / f"{latent}.json"
        if not file.exists():
            continue
        graph = PatternGraph.load(file)
        same = {
            "SAE": graph.target == _target(index, latent),
            "text": graph.fit_info.get("text") == _text(index),
            "settings": graph.config == config.to_dict(),
            "algorithm": graph.fit_info.get("algorithm") == ALGORITHM,
        }
        if all(same.values()):
            graph.index = index
            found[latent] = graph
        elif graph.history:
            differs = ", ".join(what for what, is_same in same.items() if not is_same)
            raise SaelabError(
                f"{file} holds a graph with edits ({len(graph.history)}), and it is of another {differs}: it would be lost. "
                "Give another path, or move it away"
            )
    return found


def _text(index: Any) -> str | None:
    """What tells the text of an index from others."""
    return (index.config.get("identity") or {}).get("text")


def _target(index: Any, latent: int) -> dict[str, Any]:
    config = index.config
    return {
        "model": config.get("model"),
        "hook": config.get("hook"),
        "sae": (config.get("identity") or {}).get("SAE"),
        "latent": latent,
        "tokenizer": config.get("tokenizer"),
        "bos": bool(index.rows.bos),
    }


def _fit_pool(model: Any, sae: Any, index: Any, latents: list[int], config: N2GConfig) -> list[PatternGraph]:
    c = corpus(index, config.seed)
    prober = Prober(
        model, sae, latents, index.config.get("bos_id") if index.rows.bos else None, config.batch_tokens
    )
    begun = perf_counter()
    fits = [_Fit(c, latent, config) for latent in latents]
    for _ in range(config.rounds):
        _round(fits, prober, config)
    graphs = [fit.graph(index) for fit in fits]
    if config.verify:
        verify_all(graphs, prober, config.probing(prober.limit), c)
    seconds = (perf_counter() - begun) / len(latents)
    for graph in graphs:
        graph.fit_info["seconds"] = round(seconds, 4)
        graph.fit_info["forwards"] = round(prober.forwards / len(latents), 3)
        graph.fit_info["probe_tokens"] = round(prober.tokens / len(latents))
    return graphs


def _round(fits: Sequence[_Fit], prober: Prober, config: N2GConfig) -> None:
    """Draw examples for every latent, explain those of all latents together, and choose again."""
    how = config.probing(prober.limit)
    drawn = [(fit, example) for fit in fits for example in fit.draw()]
    suffixes = prober.run([(f.latent, minimal(e, how, f.fillers(e, 0))) for f, e in drawn])
    unique: dict[tuple[int, tuple[int, ...], bool], tuple[_Fit, Instance]] = {}
    for (fit, _), suffix in zip(drawn, suffixes, strict=True):
        fit.explained += suffix is not None
        if suffix is not None:  # different examples often have the same suffix
            unique.setdefault((fit.latent, suffix.tokens, suffix.start), (fit, suffix))
    found = prober.run([(f.latent, generalise(s, how, f.fillers(s.example, 1))) for f, s in unique.values()])
    for (fit, _), instance in zip(unique.values(), found, strict=True):
        fit.propose(instance)
    for fit in fits:
        fit.choose()


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


class _Fit:
    """What is known about one latent while it is fitted."""

    def __init__(self, c: Corpus, latent: int, config: N2GConfig):
        self.c, self.latent, self.config = c, latent, config
        self.costs = Costs(config.node_cost, config.alternative_cost)
        self.selector = Selector(c, latent, self.costs)
        self.rng = np.random.default_rng(_seed(config.seed, latent))
        self.instances: list[Instance] = []
        self.imp: dict[Items, tuple[float, ...]] = {}
        self.chosen: list[Candidate] = []
        self.seen: set[tuple[int, ...]] = set()
        self.examples = self.explained = 0
        self.enough = min(self.selector.fires, self.selector.fires_valid) >= FEW
        if self.enough:
            self.selector.add(lookups(c, self.selector.y, config.negation), probed=False)
            for d in config.offsets[:2]:
                self.selector.add(pairs(c, self.selector.y, d), probed=False)

    def fillers(self, example: Example, step: int) -> Fillers:
        """Random tokens that depend on the example alone, so that pooling changes nothing."""
        return Fillers(self.c.token_counts[0], _seed(self.config.seed, self.latent, example.position, step))

    def draw(self) -> list[Example]:
        """Examples among the firings that no chosen pattern matches, no two with the same last tokens."""
        at, a, part = self.c.truth(self.latent)
        at, a = at[part == 0], a[part == 0].astype(np.float64)
        left = np.isin(at, self.selector.uncovered(self.chosen), assume_unique=True)
        at, a = at[left], a[left]
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
        config = self.config
        for plain in variants(instance, bool(config.gaps)):
            if plain in self.selector.pool:
                continue
            for items in proposals(self.c, self.selector.y, plain, config.negation):
                self.selector.add([items], probed=True)
                if not any(kind == "gap" for kind, *_ in items):
                    self.imp.setdefault(items, far[: len(items)])

    def choose(self) -> None:
        """The best candidates so far."""
        self.chosen = self.selector.greedy()

    def graph(self, index: Any) -> PatternGraph:
        """The finished graph, but for verification."""
        graph = PatternGraph(target=_target(index, self.latent), config=self.config.to_dict())
        graph.index = index
        graph.fit_info |= {
            "algorithm": ALGORITHM, "text": _text(index), "examples": self.examples, "explained": self.explained,
        }  # fmt: skip
        _, _, part = self.c.truth(self.latent)
        if not len(part):
            counted = f"{index.n_counted:,} counted tokens"
            graph.reason = f"latent {self.latent} never fires on the {counted} of the index"
            return graph
        if not (part == 0).any():
            graph.reason = f"latent {self.latent} fires {len(part)} times, but never in a train document"
            return graph
        if self.enough and self.config.max_patterns:
            # not before: what pairs explain in the text would else not be asked of the model
            self.selector.add(blocks(self.c, self.selector.y, self.selector.fires), probed=False)
            self.choose()
            self._search_text()
        else:
            self.chosen = self.selector.choose()
        graph.tree = self._tree(self.selector.prune(self.chosen))
        if not graph.tree.nodes:
            graph.reason = f"no pattern of latent {self.latent} holds on the valid documents"
        fitted = ends.fitted_ends(graph, index)
        graph.tree = graph.tree.with_ends({i: End(*numbers) for i, numbers in fitted.items()})
        graph.labels.update(_labels(index, self.c, self.latent, graph.tree))
        graph.scale = graph.score(index, "train").scale
        return graph

    def _search_text(self) -> None:
        salient = {d for i in self.instances for d, wild in enumerate(reversed(i.wild)) if not wild and d > 0}
        learner = Learner(
            self.c, self.latent, self.costs, offsets=sorted({*self.config.offsets, *salient})[:8],
            windows=self.config.gaps, negation=self.config.negation,
            seed=_seed(self.config.seed, self.latent, 1),
        )  # fmt: skip
        learner.explain_already(p.train for p in self.chosen)
        self.selector.add([items_of(r) for r in learner.learn(self.config.max_patterns)], probed=False)
        self.chosen = self.selector.choose()

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


def _labels(index: Any, c: Corpus, latent: int, tree: Tree) -> dict[int, str]:
    """Texts of the tokens; those that are most often on or shortly before a firing come first."""
    vocab = getattr(index, "vocab", None)
    ids = {i for node in tree.nodes.values() for i in node.ids}
    if vocab is None or not ids:
        return {}
    at, _, part = c.truth(latent)
    at = at[part == 0][:10_000].astype(np.int64)
    near = np.concatenate([c.tokens.ids[at[c.tokens.place[at] >= d] - d] for d in range(9)])
    often = np.bincount(near, minlength=max(ids) + 1)
    ordered = sorted(ids, key=lambda i: (-often[i], i))
    return dict(zip(ordered, vocab.labels(ordered), strict=True))

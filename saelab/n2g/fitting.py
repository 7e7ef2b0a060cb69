"""Fit pattern graphs: probe the model, take alternatives from the text, keep what holds elsewhere.

For every latent

1. examples are drawn from the train documents by activation and each is explained by asking the model
   (:mod:`saelab.n2g.instance`); the prompts of a pool of latents are asked together, by length, and a
   forward pass answers for all latents of the pool,
2. the places that mattered are searched in the train documents for other tokens that do the same
   (:mod:`saelab.n2g.rules`),
3. of all these patterns those are kept that gain F1 on the train documents, then pruned on the valid
   documents: a pattern, a node or an alternative stays only if its F1 gain is more than its cost,
4. values are the mean activation where a pattern wins on the train documents, zeros included,
5. every pattern that was kept is verified with the model: filled at random around its exact tokens, does it
   still fire? The answer (``fit_info["sufficiency"]``) says whether a pattern is a cause or a sign.

The test documents are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from saelab.errors import SaelabError, check_count, check_latent, unknown
from saelab.n2g import score
from saelab.n2g.corpus import Corpus, corpus
from saelab.n2g.instance import Example, Instance, Probing, explain
from saelab.n2g.match import RULES
from saelab.n2g.probe import Fillers, Prober
from saelab.n2g.rules import Costs, Learner, items_of
from saelab.n2g.select import FEW, Chosen, select
from saelab.n2g.tree import Branch, End, Item, Tree, attach, chain, fold, freeze
from saelab.n2g.verifying import verify_all

if TYPE_CHECKING:
    from saelab.n2g.graph import PatternGraph

SAMPLES = ("weighted", "random", "top")


@dataclass(frozen=True)
class N2GConfig:
    """How to fit; every number is a choice that can be defended or changed.

    Attributes
    ----------
    n_train
        Examples that are explained by probing.
    sample
        ``weighted`` by activation (strong examples are clearer, but only strong ones are near-copies of each
        other), ``random``, or ``top``.
    keep
        Share of the activation a shorter or altered prompt must keep.
    wild
        A token is a wildcard if replacing it costs less than this share.
    max_len
        Longest suffix tried, in tokens.
    pads
        Random tokens put before a suffix to see whether it works anywhere.
    fillers
        Replacements tried per token.
    joint, joint_min
        Joint fillings per pattern, and the share of them that must keep the activation.
    offsets
        Distances before the token at which alternatives are always looked for, beside those probing found.
    gaps
        Windows (in tokens) in which a token may stand anywhere; () for none.
    negation
        Whether a pattern may exclude tokens.
    max_patterns
        Most patterns proposed from the text.
    node_cost, alternative_cost
        F1 that a node, and a further alternative of a node, must gain.
    match
        ``specific`` (ours), ``first`` or ``longest``; see :mod:`saelab.n2g.match`.
    pool
        Latents whose prompts are asked together.
    batch_tokens
        Tokens in one forward pass.
    verify
        Verify the finished patterns with the model.
    seed
        Of the split into documents, the examples and the fillers.
    """

    n_train: int = 16
    sample: str = "weighted"
    keep: float = 0.5
    wild: float = 0.5
    max_len: int = 24
    pads: tuple[int, ...] = (1, 4, 16)
    fillers: int = 4
    joint: int = 8
    joint_min: float = 0.75
    offsets: tuple[int, ...] = (1, 2, 3)
    gaps: tuple[int, ...] = (8,)
    negation: bool = True
    max_patterns: int = 8
    node_cost: float = 0.002
    alternative_cost: float = 0.0002
    match: str = "specific"
    pool: int = 64
    batch_tokens: int = 8192
    verify: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_train", "max_len", "fillers", "joint", "pool", "batch_tokens"):
            check_count(name, getattr(self, name))
        check_count("max_patterns", self.max_patterns, 0)
        for name in ("keep", "wild", "joint_min"):
            if not 0 < getattr(self, name) <= 1:
                raise SaelabError(f"{name} is a share in 0…1, got {getattr(self, name)!r}")
        if self.sample not in SAMPLES:
            raise unknown("sample", self.sample, SAMPLES)
        if self.match not in RULES:
            raise unknown("matching rule", self.match, RULES)
        for name in ("pads", "offsets", "gaps"):
            object.__setattr__(self, name, tuple(check_count(name, v) for v in getattr(self, name)))
        if self.match != "specific" and self.gaps:
            object.__setattr__(self, "gaps", ())  # the greedy rules know no gaps

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def probing(self, limit: int) -> Probing:
        """The part that questions to the model need; ``limit`` is the longest prompt it takes."""
        return Probing(self.keep, self.wild, self.pads, self.fillers, self.joint, self.joint_min, limit)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> N2GConfig:
        """The opposite; an unknown key is an error."""
        names = [f.name for f in fields(cls)]
        for key in data:
            if key not in names:
                raise unknown("N2G setting", key, names)
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return cls(**plain)


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
        A folder for the graphs (``<latent>.json``). Graphs already there with the same settings are read, so
        a fit that was interrupted goes on.

    Returns
    -------
    dict
        latent -> graph, attached to ``index``. A latent that never fires has an empty graph with the reason.

    Raises
    ------
    SaelabError
        Before any work, if a latent is out of range or the index is of another SAE.
    """
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
            pool = todo[i : i + config.pool]
            for graph in _fit_pool(model, sae, index, pool, config):
                assert graph.latent is not None
                done[graph.latent] = graph
                if folder is not None:
                    graph.save(folder / f"{graph.latent}.json")
                bar.update()
    return {i: done[i] for i in wanted}


def _read(folder: Path | None, latents: list[int], config: N2GConfig, index: Any) -> dict[int, PatternGraph]:
    from saelab.n2g.graph import PatternGraph

    found: dict[int, PatternGraph] = {}
    for latent in latents if folder is not None else ():
        assert folder is not None
        file = folder / f"{latent}.json"
        if file.exists():
            graph = PatternGraph.load(file)
            if graph.config == config.to_dict() and graph.target == _target(index, latent):
                graph.index = index
                found[latent] = graph
    return found


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


# ------------------------------------------------------------------------------------------------- a pool


def _fit_pool(
    model: Any, sae: Any, index: Any, latents: list[int], config: N2GConfig
) -> Iterable[PatternGraph]:
    c = corpus(index, config.seed)
    bos = index.config.get("bos_id") if index.rows.bos else None
    prober = Prober(model, sae, latents, bos, config.batch_tokens)
    how = config.probing(prober.limit)
    begun = perf_counter()
    examples = {i: draw(c, i, config) for i in latents}
    questions = [
        (i, explain(e, how, Fillers(c.token_counts[0], _seed(config.seed, i, e.position))))
        for i in latents
        for e in examples[i]
    ]
    answers = iter(prober.run(questions))
    instances = {i: [next(answers) for _ in examples[i]] for i in latents}
    shared = (perf_counter() - begun) / len(latents)
    for latent in latents:
        begun = perf_counter()
        graph = _assemble(index, c, latent, [x for x in instances[latent] if x is not None], config)
        graph.fit_info |= {
            "examples": len(examples[latent]),
            "explained": sum(x is not None for x in instances[latent]),
        }
        if config.verify and len(graph):
            fillers = Fillers(c.token_counts[0], _seed(config.seed, latent, 2))
            sufficient, graph.tree = verify_all(
                graph.patterns(), graph.tree, latent, prober, how, fillers, _seed(config.seed, latent, 3)
            )
            graph.fit_info["sufficiency"] = {str(node): round(x, 3) for node, x in sufficient.items()}
        graph.fit_info["seconds"] = round(shared + perf_counter() - begun, 4)
        graph.fit_info["forwards"] = round(prober.forwards / len(latents), 3)
        graph.fit_info["probe_tokens"] = round(prober.tokens / len(latents))
        yield graph


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def draw(c: Corpus, latent: int, config: N2GConfig) -> list[Example]:
    """Examples of the train documents, no two with the same last tokens."""
    at, a, part = c.truth(latent)
    at, a = at[part == 0], a[part == 0].astype(np.float64)
    if not len(at):
        return []
    rng = np.random.default_rng(_seed(config.seed, latent))
    if config.sample == "top":
        order = np.lexsort((at, -a))
    elif config.sample == "random":
        order = rng.permutation(len(at))
    else:  # without replacement, by weight (Efraimidis and Spirakis 2006)
        order = np.argsort(np.log(rng.random(len(at))) / a)[::-1]
    out: list[Example] = []
    seen = set()
    for i in order[: 20 * config.n_train]:
        example = _example(c, int(at[i]), float(a[i]), config.max_len)
        if example.tokens[-8:] not in seen:
            seen.add(example.tokens[-8:])
            out.append(example)
        if len(out) == config.n_train:
            break
    return out


def _example(c: Corpus, at: int, value: float, max_len: int) -> Example:
    length = min(int(c.tokens.place[at]) + 1, max_len)
    tokens = tuple(c.tokens.ids[at - length + 1 : at + 1].tolist())
    return Example(at, tokens, length == int(c.tokens.place[at]) + 1, value)


def _assemble(
    index: Any, c: Corpus, latent: int, instances: list[Instance], config: N2GConfig
) -> PatternGraph:
    """The graph of one latent, from what probing found and what the text proposes."""
    from saelab.n2g.graph import PatternGraph

    graph = PatternGraph(target=_target(index, latent), config=config.to_dict())
    graph.index = index
    _, _, part = c.truth(latent)
    if not len(part):
        graph.reason = f"latent {latent} never fires on the {index.n_counted:,} counted tokens of the index"
        return graph
    if not (part == 0).any():
        graph.reason = f"latent {latent} fires {len(part)} times, but never in a train document"
        return graph
    costs = Costs(config.node_cost, config.alternative_cost)
    offsets = sorted({*config.offsets, *_salient(instances)})[:8]
    learner = Learner(
        c, latent, costs, offsets=offsets, windows=config.gaps, negation=config.negation,
        seed=_seed(config.seed, latent, 1),
    )  # fmt: skip
    enough = (part == 0).sum() >= FEW and (part == 1).sum() >= FEW
    rules = [items_of(r) for r in learner.learn(config.max_patterns)] if enough else []
    imps = {x: i for i in instances for x in _variants(i)}
    chosen = select(c, latent, [*rules, *imps], costs)
    graph.tree = _tree(chosen, imps)
    if not graph.tree.nodes:
        graph.reason = f"no pattern of latent {latent} holds on the valid documents"
    graph.tree = _with_ends(graph, index)
    graph.labels.update(_labels(index, c, latent, graph.tree))
    graph.scale = graph.score(index, "train").scale
    return graph


def _salient(instances: Sequence[Instance]) -> set[int]:
    """Distances before the activating token at which some example's token mattered."""
    return {d for i in instances for d, wild in enumerate(reversed(i.wild)) if not wild and d > 0}


def _variants(instance: Instance) -> dict[tuple[Item, ...], Instance]:
    """The pattern as found, without wildcards at its far end, and without its earliest tokens."""
    items = list(instance.items)
    out = {tuple(items): instance}
    if instance.start:
        return out
    while len(items) > 1:
        items.pop()
        while len(items) > 1 and items[-1][0] == "any":
            items.pop()
        out[tuple(items)] = instance
    return out


def _tree(chosen: Sequence[Chosen], imps: dict[tuple[Item, ...], Instance]) -> Tree:
    root = Branch("root", id=0)
    for pattern in chosen:
        instance = imps.get(pattern.items)
        imp = tuple(reversed(instance.imp)) if instance else ()
        origin = "probe" if instance else "text"
        attach(root, chain(pattern.items, End(1.0), imp[: len(pattern.items)], origin))
    fold(root)
    return freeze(root)


def _with_ends(graph: PatternGraph, index: Any) -> Tree:
    ends = {i: End(*numbers) for i, numbers in score.fitted_ends(graph, index).items()}
    return graph.tree.with_ends(ends)


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

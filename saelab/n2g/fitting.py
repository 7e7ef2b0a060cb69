"""Fit pattern graphs: probe the model, take alternatives from the text, keep what holds elsewhere.

::

    train documents                       the model                    train + valid documents
          │                                  │                                   │
    draw examples ──► shortest text that fires, its wildcards ──► shorter, with gaps, with other tokens,
          ▲           (fit.instance, pooled over latents)          with exclusions (fit.generalise)
          │                                                                      │
          │ what is not explained                                                ▼
          └──────────────────────────────────────────────────────── choose by F1 less cost (fit.select)
                                                                                 │  after the last round
    pairs of tokens (fit.generalise), rules (fit.rules) ────────────────────────► choose again
                                                                                 ▼
             with a table of pairs for the rest, or the table alone ──► complete (fit.leftover)
                                                                                 ▼
                              values: mean activation in train ──► verified with the model (fit.verifying)

Of all proposals those are kept that gain F1 on the train and valid documents together beyond their cost in
nodes. Values count zeros. The patterns that explain most firings are filled at random around their exact tokens: does the
latent still fire? ``fit_info["sufficiency"]`` says, by node and as a share of ``fit_info["prompts"]``, whether a
pattern is a cause or a sign.

The test documents are never looked at. The valid ones help to choose, so a score on them is a little kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Never

import numpy as np

from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError, check_latents
from saelab.identity import meet
from saelab.index import LatentIndex
from saelab.models import HookedModel
from saelab.n2g.config import N2GConfig
from saelab.n2g.corpus import Corpus, bos_id, check_index, corpus, model_and_sae, text_of
from saelab.n2g.fit.pool import Fitted, fit_pool
from saelab.n2g.graph.tree import Tree
from saelab.n2g.pattern_graph import PatternGraph
from saelab.sae import SAE

ALGORITHM = 6  # one more whenever the same settings lead to other graphs than before


@door
def fit(
    index: LatentIndex,
    latents: int | Iterable[int] | None = None,
    *old: Never,
    model: HookedModel | None = None,
    sae: SAE | None = None,
    config: N2GConfig | None = None,
    path: str | Path | None = None,
    progress: bool = True,
) -> dict[int, PatternGraph]:
    """Pattern graphs of ``latents``; the module's docstring draws how they are found.

    Parameters
    ----------
    index
        Its documents are split into train, valid and test by ``config.seed``.
    latents
        One latent id or several; None is every latent that fires.
    model, sae
        For an index that was opened without them; prompts are made with the index's BOS convention.
    path
        A folder for the graphs (``<latent>.json``). Graphs already there of the same SAE, text, settings and algorithm
        are read, so a fit that was interrupted goes on; others of this SAE are replaced.

    Returns
    -------
    dict
        latent -> graph, attached to ``index``. A latent that never fires has an empty graph with the reason.

    Raises
    ------
    SaelabError
        Before any work, if a latent is out of range, the SAE is not that of the index, or a graph that would be
        replaced has edits or is of another SAE.

    Examples
    --------
    >>> graphs = sl.n2g.fit(index, [latent], config=sl.n2g.N2GConfig.fast(), progress=False)
    >>> list(graphs) == [latent]
    True
    """
    check_index(index, "fit(index, latents)", old)
    model, sae = model_and_sae(index, model, sae)
    mismatch = [*meet(index, model, sae)]
    config = config or N2GConfig()
    if latents is None:
        latents = np.flatnonzero(index.counts).tolist()
    wanted = check_latents(latents, index.d_sae)
    folder = Path(path) if path is not None else None
    done = _read(folder, wanted, config, index, mismatch)
    todo = [i for i in wanted if i not in done]
    c, bos = corpus(index, config.seed), bos_id(index)
    # a pool of latents is fitted side by side, so what advances is the share of its prompts that have been asked
    look = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with Bar(total=len(wanted), initial=len(done), desc="n2g", bar_format=look, disable=not progress) as bar:
        for i in range(0, len(todo), config.pool):
            pool = todo[i : i + config.pool]
            before = bar.n
            for found in fit_pool(model, sae, c, pool, config, bos, bar.update):
                done[found.latent] = graph = _graph(found, index, c, config)
                graph.fit_info |= {"mismatch": mismatch} if mismatch else {}
                if folder is not None:
                    graph.save(folder / f"{graph.latent}.json")
            bar.update(before + len(pool) - bar.n)
            bar.set_postfix_str(f"{len(done)} of {len(wanted)} latents", refresh=False)
    return {i: done[i] for i in wanted}


def _read(
    folder: Path | None, latents: list[int], config: N2GConfig, index: LatentIndex, mismatch: list[str]
) -> dict[int, PatternGraph]:
    found: dict[int, PatternGraph] = {}
    settings = config.to_dict()
    for latent in latents if folder is not None else ():
        file = folder / f"{latent}.json"  # type: ignore[operator]
        if not file.exists():
            continue
        graph = PatternGraph.load(file)
        same = {
            "SAE": graph.target == _target(index, latent),
            "text": graph.fit_info.get("text") == text_of(index),
            "pair": graph.fit_info.get("mismatch", []) == mismatch,
            # a setting that came later is not in its file; then the algorithm is another, too
            "settings": all(settings.get(name) == value for name, value in graph.config.items()),
            "algorithm": graph.fit_info.get("algorithm") == ALGORITHM,
        }
        if all(same.values()):
            graph.index = index
            found[latent] = graph
        elif not same["SAE"] or graph.history:
            differs = ", ".join(name for name, is_same in same.items() if not is_same)
            edited = f" with edits ({len(graph.history)})" if graph.history else ""
            raise SaelabError(
                f"{file} holds a graph{edited}, and it is of another {differs}: it would be lost. "
                "Give another path, or move it away"
            )
    return found


def _target(index: LatentIndex, latent: int) -> dict[str, Any]:
    config = index.config
    return {
        "model": config.get("model"), "hook": config.get("hook"), "sae": (config.get("identity") or {}).get("SAE"),
        "latent": latent, "tokenizer": config.get("tokenizer"), "bos": bool(index.rows.bos),
    }  # fmt: skip


def _graph(found: Fitted, index: LatentIndex, c: Corpus, config: N2GConfig) -> PatternGraph:
    graph = PatternGraph(
        found.tree, target=_target(index, found.latent), config=config.to_dict(), reason=found.reason,
        labels=_labels(index, c, found.latent, found.tree),
    )  # fmt: skip
    graph.index = index
    graph.fit_info = {
        "algorithm": ALGORITHM,
        "text": text_of(index),
        "seed": config.seed,
        "vocabulary": index.rows.vocabulary,
        **found.info,
    }
    graph.scale = graph.score(index, "train").scale
    return graph


def _labels(index: LatentIndex, c: Corpus, latent: int, tree: Tree) -> dict[int, str]:
    """Texts of the tokens; those that are most often on or shortly before a firing come first."""
    ids = {i for node in tree.nodes.values() for i in node.ids}
    if not ids:
        return {}
    at = c.fires(latent, 0)[0][:10_000].astype(np.int64)
    near = np.concatenate([c.tokens.ids[at[c.tokens.place[at] >= d] - d] for d in range(9)])
    often = np.bincount(near, minlength=max(ids) + 1)
    ordered = sorted(ids, key=lambda i: (-often[i], i))
    return dict(zip(ordered, index.vocab.labels(ordered), strict=True))

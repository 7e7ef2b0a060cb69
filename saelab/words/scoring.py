"""``score``: how much of what a latent does can be told from its explanation, on documents that it was not made from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from saelab.doors import door
from saelab.errors import SaelabError, called, check_count, unknown
from saelab.index import LatentIndex
from saelab.words.calls import LLM, Answer, Messages, Reply, ask_all, llm_of
from saelab.words.explaining import Explanations, explain
from saelab.words.measures import Judged, Simulated
from saelab.words.passages import TEST, Passage, Texts, pieces
from saelab.words.prompts import Prompt, quoted
from saelab.words.scores import Key, Scores, judges_of, make_scores

WAYS = ("detection", "fuzzing", "simulation")


@door
def score(
    explanations: Explanations | Sequence[Explanations],
    judge: Callable[..., str] | LLM,
    *,
    ways: Sequence[str] = ("detection",),
    n: int = 20,
    batch: int = 5,
    prompts: str | Path | None = None,
    progress: bool = True,
) -> Scores:
    """Have a language model predict from each explanation where its latent fires, on documents kept apart.

    Parameters
    ----------
    explanations
        Of one source or of several, of one index.
    judge
        An :class:`LLM`, or any function from messages to text.
    ways
        ``"detection"``: does the latent fire in this text? ``"fuzzing"``: are the marked tokens those it fires on?
        ``"simulation"``: how strongly on each token?
    n
        Passages in which the latent fires, of weak and strong firings alike, beside as many in which it does not: half of
        these at random, half hard ones, about a token on which it fires elsewhere. Of simulation a quarter of them.
        None is nearly one that was shown to who explained: of every five letters in a row of the shorter of two texts
        fewer than 0.8 are in the other.
    batch
        Passages in one prompt; of simulation each has its own.
    prompts
        A folder with prompts of your own; see :func:`saelab.words.copy_prompts`.

    Raises
    ------
    SaelabError
        Before any work; or as :class:`LLM` does, and what was answered is kept there.

    Examples
    --------
    >>> words = sl.words.explain(index, [latent], by="tokens")
    >>> found = sl.words.score(words, lambda messages: "I cannot say.", progress=False)
    >>> bool(found.frame["failed"].eq(found.frame["n"]).all())  # a refusal is counted, not dropped
    True
    """
    given = [explanations] if isinstance(explanations, Explanations) else list(explanations)
    if not given or not all(isinstance(e, Explanations) for e in given):
        raise SaelabError(f"explanations must be what explain gives, got {called(explanations)}")
    if len({(id(e.index), e.seed) for e in given}) > 1 or len({e.source for e in given}) < len(given):
        raise SaelabError(
            "explanations that are compared are of one index and one seed, and each of another source"
        )
    for way in ways or [""]:
        if way not in WAYS:
            raise unknown("way", way, WAYS)
    n, batch, llm = (
        check_count("n", n, 2, 1000),
        check_count("batch", batch, high=100),
        llm_of(judge, "judge"),
    )
    texts, chosen, work = Texts(given[0].index, given[0].seed), {}, []
    pairs: dict[Key, list[tuple[list[Passage], Answer]]] = {}
    each, keys = [(x, latent) for x in given for latent in x.items], []
    for way in dict.fromkeys(ways):
        template = Prompt(way, prompts)
        for x, latent in each:
            if (way, latent) not in chosen:
                told = (text for o in given if latent in o.items for text in o.items[latent].shown)
                texts.seen = [*{pieces(text) for text in told}]
                chosen[way, latent] = _choose(texts, latent, way, n, batch, given[0].seed)
            pairs[x.source, latent, way] = []
            for some in chosen[way, latent]:
                work.append(_question(texts, x[latent], way, some, template))
                keys.append(((x.source, latent, way), some))
    for (key, some), answer in zip(keys, ask_all(llm, work, desc="judged", progress=progress), strict=True):
        pairs[key].append((some, answer))
    parts: dict[Key, Judged | Simulated] = {key: _read_out(texts, key, found) for key, found in pairs.items()}
    for x, latent in each:
        if (graph := x.items[latent].graph) is not None and (
            found := sum(chosen.get(("detection", latent), []), [])
        ):
            at = graph.matches(texts.index.rows).query("value > 0")["token_index"].to_numpy()
            low, high = (np.searchsorted(at, [getattr(p, end) for p in found]) for end in ("low", "high"))
            parts[x.source, latent, "graph"] = Judged.of(found, high > low)
    documents = {p.document for groups in chosen.values() for some in groups for p in some}
    return make_scores(given, llm, parts, {k: [a for _, a in v] for k, v in pairs.items()}, documents)


def _choose(texts: Texts, latent: int, way: str, n: int, batch: int, seed: int) -> list[list[Passage]]:
    """The same passages for every explanation of a latent, those of a prompt together, in an order that tells nothing."""
    rng = np.random.default_rng([seed, latent, 2])
    fires = texts.firing(latent, TEST, n, rng)
    quiet = texts.silent(latent, TEST, len(fires), rng)
    found = [*fires, *quiet]
    if way == "fuzzing":
        found = texts.fuzzed(latent, fires, quiet, rng)
    elif way == "simulation":
        few, batch = max(1, len(fires) // 4), 1
        found = [*fires[:few], *quiet[: (few + 1) // 2], *quiet[::-1][: few // 2]]
    found = [found[i] for i in rng.permutation(len(found))]
    return [found[i : i + batch] for i in range(0, len(found), batch)]


def _question(
    texts: Texts, explanation: str, way: str, some: list[Passage], template: Prompt
) -> tuple[Messages, Callable[[Reply], Any]]:
    shown, size, top = "\n".join(f"{i}: {quoted(texts.text(p))}" for i, p in enumerate(some, 1)), len(some), 1
    if way == "simulation":
        labels = texts.index.vocab.labels(texts.index.rows.ids[some[0].low : some[0].high])
        shown, size, top = json.dumps(labels, ensure_ascii=False), len(labels), 10
    return template.fill(explanation=quoted(explanation), texts=shown, n=str(size)), numbers(size, top)


def numbers(size: int, top: int) -> Callable[[Reply], tuple[list[float], list[float]]]:
    """A reader of the last list of numbers in an answer, one before which may be the prompt's example: ``size`` of them from
    0 to ``top``, and the probabilities that they are 1, NaN where none were given. ValueError says what is wrong."""

    def read(reply: Reply) -> tuple[list[float], list[float]]:
        bare = re.fullmatch(r"[\d.,\s]+", reply)  # without brackets
        for part in [f"[{reply.strip()}]"] if bare else re.findall(r"\[[^\[\]]*\]", reply)[::-1]:
            try:
                values = [float(v) if isinstance(v, (int, float)) else math.nan for v in json.loads(part)]
            except (ValueError, OverflowError, RecursionError):
                continue
            if len(values) == size and all(0 <= v <= top for v in values):
                given = list(reply.probabilities) if set(values) <= {0.0, 1.0} else values
                return values, given if len(given) == size else [math.nan] * size
            if any(v == v for v in values):
                break
        raise ValueError(f"no list of {size} numbers from 0 to {top}")

    return read


def _read_out(texts: Texts, key: Key, pairs: list[tuple[list[Passage], Answer]]) -> Judged | Simulated:
    found = [p for some, _ in pairs for p in some]
    if key[2] != "simulation":
        said = [a.value or ([math.nan] * len(some),) * 2 for some, a in pairs]
        return Judged.of(found, [v for s, _ in said for v in s], [v for _, s in said for v in s])
    lines = [np.zeros((3, 0))]
    for p, (_, a) in zip(found, pairs, strict=True):
        true = texts.activations(key[1], p) / texts.largest(key[1])
        said = np.zeros(len(true)) if a.value is None else np.array(a.value[0]) / 10
        lines.append(np.stack([true, said, np.full(len(true), p.document)]))
    true, said, document = np.concatenate(lines, 1)
    return Simulated(true, said, document, np.array([bool(a.failed) for _, a in pairs], bool))


@door
def check_judge(
    index: LatentIndex,
    truth: Mapping[int, str],
    judge: Callable[..., str] | LLM,
    *,
    near: Mapping[int, str] | None = None,
    ways: Sequence[str] = ("detection",),
    n: int = 20,
    batch: int = 5,
    seed: int = 0,
    prompts: str | Path | None = None,
    progress: bool = True,
) -> Scores:
    """Is the judge any good? Score explanations that are known to be right, nearly right, wrong and empty.

    A judge that is worth its calls gives the right ones a high score, and wrong and empty ones 0.5. How far it tells them
    apart, a way's score of the right ones less that of the wrong ones, is kept in ``judge.apart`` and stands beside every
    score of that way that it gives afterwards.

    Parameters
    ----------
    truth
        The right words for some latents; at least two different ones.
    near
        Words for a concept near the right one; a good judge gives them less.

    Returns
    -------
    Scores
        Sources: ``oracle``, ``near miss``, ``shuffled`` (the truth of another latent, of those that share few documents with
        it), ``empty``.

    Examples
    --------
    >>> llm = sl.words.LLM(lambda messages: "[1, 1]", name="always yes")
    >>> checked = sl.words.check_judge(index, {latent: "foxes", 0: "dots"}, llm, n=2, batch=2, progress=False)
    >>> checked.summary["source"].tolist()
    ['oracle', 'shuffled', 'empty']
    """
    llm, known = llm_of(judge, "judge"), explain(index, truth, source="oracle", seed=seed)
    if len({e.text for e in known.items.values()}) < 2:
        raise SaelabError("truth must have at least two different texts: one is given in another's place")
    wanted = list(known.items)
    if missing := [i for i in wanted if near is not None and i not in near]:
        raise SaelabError(f"near must have words for every latent of truth; it lacks {missing[0]}")
    kinds = {"near miss": {i: near[i] for i in wanted}} if near is not None else {}
    kinds |= {"shuffled": _exchanged(index, known), "empty": dict.fromkeys(wanted, "")}
    sets = [known, *(explain(index, texts, source=kind, seed=seed) for kind, texts in kinds.items())]
    found = score(sets, llm, ways=ways, n=n, batch=batch, prompts=prompts, progress=progress)
    value: Any = found.summary.set_index(["way", "source"])["value"]
    llm.apart |= {way: float(value[way, "oracle"] - value[way, "shuffled"]) for way in ways}
    for frame in (found.frame, found.summary):
        frame["apart"] = [llm.apart.get(way, math.nan) for way in frame["way"]]
    return replace(found, judges=judges_of(llm, ways))


def _exchanged(index: LatentIndex, known: Explanations) -> dict[int, str]:
    """Each latent with the text of another one, so that these share as few documents as can be."""
    fires = np.zeros((len(known.items), len(index.rows.doc)), np.float32)
    for line, latent in zip(fires, known.items, strict=True):
        line[np.isin(index.rows.doc, index.rows.doc[index.rows.locate(index.postings(latent).token)[0]])] = 1
    texts = [e.text for e in known.items.values()]
    same = np.array([[a == b for b in texts] for a in texts])
    _, partner = linear_sum_assignment(fires @ fires.T + same * 1e9)
    return {i: texts[p] for i, p in zip(known.items, partner.tolist(), strict=True)}

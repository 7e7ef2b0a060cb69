"""``explain``: a sentence per latent, without a model or with any."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from saelab.display import table_html
from saelab.doors import door
from saelab.errors import SaelabError, called, check_count, check_latents, unknown
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.n2g import N2GConfig, PatternGraph, fit
from saelab.words.calls import LLM, Reply, ask_all, clean, llm_of
from saelab.words.passages import TRAIN, VALID, Texts
from saelab.words.prompts import Prompt, quoted
from saelab.words.reading import of_graph, of_tokens

LONGEST = 512  # characters of an explanation, as on Neuronpedia
BY = ("n2g", "tokens")
_MARK = re.compile(r"EXPLANATION[\s*_]*:", re.IGNORECASE)
_NEVER = "it never fires in the train documents"


@dataclass(frozen=True)
class Explanation:
    """What one latent fires on, in words.

    Attributes
    ----------
    documents
        Numbers of the documents that were looked at for it (``index.rows.doc``).
    tokens, seconds
        What it took: tokens read and written by a model (NaN: not known), and time.
    failed
        Why there is none; ``text`` is empty then.
    graph
        The pattern graph that was read out.
    shown
        Texts that were shown; a passage that is nearly one of them is not scored.

    Examples
    --------
    >>> sl.words.Explanation("articles").failed
    ''
    """

    text: str
    documents: tuple[int, ...] = ()
    tokens: float = 0.0
    seconds: float = 0.0
    failed: str = ""
    graph: PatternGraph | None = field(default=None, repr=False, compare=False)
    shown: tuple[str, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, eq=False)
@door
class Explanations:
    """Explanations of some latents of an index, by one source.

    Attributes
    ----------
    source
        Who or what wrote them.
    items
        latent -> :class:`Explanation`.
    seed
        Of the split of the documents: scores are of those that it keeps apart.

    Examples
    --------
    >>> words = sl.words.explain(index, [latent], by="tokens")
    >>> words[latent].startswith('on "'), words.items[latent].tokens
    (True, 0.0)
    """

    index: LatentIndex
    source: str
    items: dict[int, Explanation]
    seed: int = 0

    def __getitem__(self, latent: int) -> str:
        if latent not in self.items:
            raise unknown("latent", latent, self.items)
        return self.items[latent].text

    @property
    def frame(self) -> pd.DataFrame:
        """A line per latent: text, tokens, seconds, failed."""
        names = ("text", "tokens", "seconds", "failed")
        lines = [[i, *(getattr(e, n) for n in names)] for i, e in self.items.items()]
        return TextFrame(lines, columns=pd.Index(["latent", *names]))

    def label(self, *, overwrite: bool = False) -> None:
        """Make the texts labels of the index, with their source; what has no text leaves the label as it is, and so does one
        whose label a person wrote (it has no source), unless ``overwrite``.

        >>> sl.words.explain(index, {0: "dots"}, source="me").label()
        >>> index.label(0)
        'dots'
        """
        write_labels(self.index, {i: (e.text, self.source, "") for i, e in self.items.items()}, overwrite)

    def __repr__(self) -> str:
        return f"Explanations by {self.source}\n{self.frame}"

    def _repr_html_(self) -> str:
        return table_html(f"Explanations by {self.source}", self.frame, float_format="{:.3g}".format)


@door
def explain(
    index: LatentIndex,
    latents: int | Iterable[int] | Mapping[int, str],
    by: str | Callable[..., str] | LLM = "n2g",
    *,
    source: str | None = None,
    n: int = 20,
    seed: int = 0,
    graphs: Mapping[int, PatternGraph] | None = None,
    prompts: str | Path | None = None,
    progress: bool = True,
) -> Explanations:
    """Say in words what latents fire on, from documents that no score is made on.

    Parameters
    ----------
    latents
        Which, or ``{latent: text}``: your own words, or a concept that is known to be the right one.
    by
        ``"n2g"``: a pattern graph, read out; needs the model, or ``graphs``. ``"tokens"``: the tokens it is strongest on,
        and two contexts. Or a language model: an :class:`LLM`, or any function from messages to text.
    source
        What they are called where they are shown; None: the way, or the model's name.
    n
        Texts that a language model is shown, half of them the strongest and half of all strengths.
    seed
        Of the split of the documents into train, valid and test, and of the texts shown.
    graphs
        Graphs that were fitted before, with this seed.
    prompts
        A folder with a prompt of your own; see :func:`saelab.words.copy_prompts`.

    Returns
    -------
    Explanations
        A latent that gets none (it never fires, the answer is a refusal or broken) has an empty text and says why in
        ``failed``; it is scored with the others.

    Raises
    ------
    SaelabError
        Before any work: fewer than 8 documents, a latent out of range, a graph of another split.

    Examples
    --------
    >>> words = sl.words.explain(index, [latent], by=lambda messages: "EXPLANATION: articles", source="me")
    >>> words[latent]
    'articles'
    """
    given: Any = latents if isinstance(latents, Mapping) else None
    if given is not None and by != "n2g":
        raise SaelabError("latents bring their texts: leave out by, or name latents without texts")
    wanted = check_latents([*latents] if given is not None else latents, index.d_sae)  # type: ignore[misc]
    n, texts = check_count("n", n, high=1000), Texts(index, seed)
    if given is not None:
        if wrong := [t for t in given.values() if not isinstance(t, str)]:
            raise SaelabError(f"an explanation is text, got {called(wrong[0])}")
        own, items = (
            "given",
            {i: Explanation(clean(t, LONGEST)) for i, t in zip(wanted, given.values(), strict=True)},
        )
    elif not isinstance(by, str):
        llm = llm_of(by, "by")
        own, items = llm.name, _by_llm(texts, wanted, llm, n, seed, Prompt("explanation", prompts), progress)
    elif by == "n2g":
        own, items = by, _by_graphs(texts, wanted, graphs, seed, progress)
    elif by == "tokens":
        own, items = by, {i: _by_tokens(texts, i) for i in wanted}
    else:
        raise unknown("by", by, (*BY, "a function from messages to text"))
    return Explanations(index, clean(source or own, 100), items, seed)


def _by_graphs(
    texts: Texts, latents: list[int], graphs: Any, seed: int, progress: bool
) -> dict[int, Explanation]:
    if graphs is None:
        graphs = fit(texts.index, latents, config=N2GConfig(seed=seed), progress=progress)
    documents, out = texts.documents(TRAIN, VALID), {}
    for i in latents:
        graph = graphs.get(i)
        if not isinstance(graph, PatternGraph) or graph.seed != seed:
            raise SaelabError(f"graphs must have a graph of latent {i} that was fitted with seed {seed}")
        if graph.latent != i:
            raise SaelabError(f"the graph given for latent {i} is of latent {graph.latent}")
        graph._attached(texts.index)
        said, info = clean(of_graph(graph), LONGEST), graph.fit_info
        failed = "" if said else graph.reason or "the graph has no pattern"
        cost = float(info.get("probe_tokens", 0)), float(info.get("seconds", 0))
        out[i] = Explanation(said, documents, *cost, failed, graph)
    return out


def _by_tokens(texts: Texts, latent: int) -> Explanation:
    begun = perf_counter()
    said = clean(of_tokens(texts, latent), LONGEST)
    shown = tuple(texts.text(p) for p in texts.strongest(latent, TRAIN, 2))
    documents, seconds = texts.documents(TRAIN), perf_counter() - begun
    return Explanation(said, documents, 0.0, seconds, "" if said else _NEVER, shown=shown)


def _by_llm(
    texts: Texts, latents: list[int], llm: LLM, n: int, seed: int, prompt: Prompt, progress: bool
) -> dict[int, Explanation]:
    work, shown, out = [], {}, {i: Explanation("", failed=_NEVER) for i in latents}
    for i in latents:
        found = texts.strongest(i, TRAIN, (n + 1) // 2)
        known = {p.token for p in found}
        spread = texts.firing(i, TRAIN, n, np.random.default_rng([seed, i, 1]))
        if found := found + [p for p in spread if p.token not in known][: n - len(found)]:
            shown[i] = tuple(sorted({p.document for p in found})), tuple(texts.text(p) for p in found)
            lines = (f"{k}: {_shown(texts, i, p)}" for k, p in enumerate(found, 1))
            work.append((prompt.fill(texts="\n".join(lines)), _sentence))
    answers = ask_all(llm, work, desc="explained", progress=progress)
    for (i, (documents, told)), a in zip(shown.items(), answers, strict=True):
        out[i] = Explanation(a.value or "", documents, a.tokens, a.seconds, a.failed, shown=told)
    return out


def _shown(texts: Texts, latent: int, p: Any) -> str:
    """The text with marks, and how strongly the latent fires on the marked tokens, from 1 to 10."""
    values = texts.activations(latent, p)
    strength = np.ceil(10 * values[values > 0] / texts.largest(latent)).astype(int)
    return f"{quoted(texts.text(texts.with_marks(latent, p)))} {strength.tolist()}"


def _sentence(reply: Reply) -> str:
    """What follows the last EXPLANATION: of an answer."""
    first, *rest = _MARK.split(reply)
    said = clean(rest[-1], LONGEST) if rest else ""
    if first.endswith(("*", "_")) or said.startswith("**"):  # the mark was bold, or all of it
        said = said.strip("*_ ")
    if not said:
        raise ValueError(f"no explanation in the answer {clean(first, 80)!r}")
    return said


def write_labels(index: LatentIndex, labels: Mapping[int, tuple[str, str, str]], overwrite: bool) -> None:
    """Label latents with (text, source, score); those without a text, and what people wrote, are left as they are."""
    kept = {i: (clean(text, 200), source, score) for i, (text, source, score) in labels.items() if text}
    now = {} if overwrite else index.notes.all()
    own = {i: now[i]["label"] for i in kept if now.get(i, {}).get("label") and not now[i].get("source")}
    by_hand = [i for i, label in own.items() if label != kept[i][0]]
    kept = {i: label for i, label in kept.items() if i not in by_hand}
    about = {i: {"source": source, "score": score} for i, (_, source, score) in kept.items()}
    index.notes.set("label", {i: text for i, (text, *_) in kept.items()}, about)
    if by_hand:
        some = f"{', '.join(map(str, by_hand[:5]))}{'…' if len(by_hand) > 5 else ''}"
        warnings.warn(
            f"labels that a person wrote are kept, of latents {some}; overwrite=True puts these in their place",
            stacklevel=3,
        )

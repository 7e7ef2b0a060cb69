"""Generated documents as token rows, with the concepts of every token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from saelab import models
from saelab.display import Bar, facts_html
from saelab.doors import door
from saelab.errors import SaelabError, check_choice, check_count
from saelab.identity import Facts, Mark, digest
from saelab.models.rows import TokenRows, rows_from
from saelab.zoo import corpus


@dataclass(frozen=True, eq=False)
class Labels:
    """Which token carries which concept.

    Attributes
    ----------
    concepts
        Names, in the order of the columns.
    matrix
        (n_tokens, n_concepts) bool; row ``i`` is token ``i`` of the rows it was made with.
    text
        Digest of these rows; other rows are refused. Empty where it is not known.
    """

    concepts: tuple[str, ...]
    matrix: np.ndarray
    text: str = ""

    def _facts(self) -> Facts:
        return Facts("these labels", "labels", {"text": lambda: Mark(self.text)})

    def __repr__(self) -> str:
        return f"Labels({len(self.concepts)} concepts of {len(self.matrix):,} tokens)"

    def _repr_html_(self) -> str:
        share = self.matrix.mean(0) if len(self.matrix) else np.zeros(len(self.concepts))
        whole = [
            (c, f"{s:.1%} of the tokens") for c, s in zip(self.concepts, share, strict=True) if "." not in c
        ]
        return facts_html(f"Labels: {len(self.concepts)} concepts of {len(self.matrix):,} tokens", whole)

    def column(self, concept: str) -> np.ndarray:
        """(n_tokens,) bool, True where a token carries ``concept``."""
        check_choice("concept", concept, self.concepts)
        return self.matrix[:, self.concepts.index(concept)]

    def of(self, token_index: int) -> tuple[str, ...]:
        """Concepts of one token."""
        return tuple(c for c, has in zip(self.concepts, self.matrix[token_index], strict=True) if has)


@door
def labelled_rows(
    model: Any,
    n_docs: int = 1000,
    seed: int = 1,
    context: int | None = None,
    bos: bool | None = None,
    *,
    genres: tuple[str, ...] | None = None,
    progress: bool = True,
) -> tuple[TokenRows, Labels]:
    """Documents of :func:`saelab.zoo.documents` as token rows and labels.

    A token carries a concept if any of its characters lies in a span of it. A character that is spread over
    several tokens (bytes of a non-Latin script) counts for each of them. BOS carries none.

    Parameters
    ----------
    model
        Any model with a fast tokenizer; the rows are those that :func:`saelab.tokenize_texts` makes.
    n_docs, seed, genres
        Which documents.
    context
        Longest row in tokens, BOS included; None is the model's own limit.
    bos
        Whether rows begin with BOS; None means: if the tokenizer has one.

    Raises
    ------
    SaelabError
        If an argument is out of range, or the tokenizer cannot tell where its tokens lie in the text.
    """
    check_count("n_docs", n_docs)
    limit = models.context_length(model)
    context = limit if context is None else context
    bos = models.default_bos(model) if bos is None else bos
    if not 2 <= context <= limit:
        raise SaelabError(f"context must be between 2 and the model's {limit} tokens, got {context}")
    if not getattr(model.tokenizer, "is_fast", False):
        raise SaelabError("labels need a fast tokenizer (one that gives the offsets of its tokens)")
    if bos and models.bos_id(model) is None:
        raise SaelabError("this model's tokenizer has no BOS token; use bos=False")
    first = [models.bos_id(model)] if bos else []
    body = context - len(first)
    number = {c: i for i, c in enumerate(corpus.CONCEPTS)}
    parts, blocks = [], []
    documents = corpus.documents(n_docs, seed=seed, genres=genres)
    # drawn where it takes longer than a second
    bar = Bar(documents, total=n_docs, desc="documents", unit="doc", delay=1, disable=not progress)
    for doc, document in enumerate(bar):
        encoded = model.tokenizer(
            document.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        ids, offsets = encoded["input_ids"], np.array(encoded["offset_mapping"]).reshape(-1, 2)
        has = _concepts_of_tokens(document, offsets, number)
        for begin in range(0, len(ids), body):
            parts.append((doc, begin, [*first, *ids[begin : begin + body]]))
            blocks.extend([np.zeros((len(first), len(number)), bool), has[begin : begin + body]])
    rows = rows_from(parts, bos, models.vocabulary(model))
    return rows, Labels(corpus.CONCEPTS, np.concatenate(blocks), digest(rows.ids, rows.offsets))


def _concepts_of_tokens(document: corpus.Document, offsets: np.ndarray, number: dict[str, int]) -> np.ndarray:
    """(n, n_concepts) bool for tokens at character ``offsets`` (n, 2)."""
    has = np.zeros((len(offsets), len(number)), bool)
    # tokens come in order, so those that meet a span are one run of them
    starts, stops = offsets[:, 0], offsets[:, 1]
    for a, b, concept in document.spans:
        i = int(np.searchsorted(stops, a, side="right"))
        j = int(np.searchsorted(starts, b, side="left"))
        has[i:j, number[concept]] = True
    return has

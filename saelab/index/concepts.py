"""Latents against labeled concepts: how well each latent says where each concept is."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from saelab.errors import SaelabError, called
from saelab.identity import meet
from saelab.index.columns import Columns
from saelab.index.spans import f1
from saelab.index.storage.arrays import blocks, pointers, ranges
from saelab.models import TokenRows

_CELLS = 1 << 22  # latents x concepts counted together
_ENTRIES = 1 << 21  # postings looked at together


def concepts(index: Columns, labels: Any, min_tp: int, documents: Any = None) -> pd.DataFrame:
    keep, said = kept_positions(index, documents)
    names, ptr, concept = compressed(labels, index.rows)
    per_token = np.diff(ptr)
    carries = np.bincount(concept[np.repeat(keep, per_token)], minlength=len(names))
    begin, spans = _spans(index, ptr, concept, len(names), keep)
    parts = []
    width = max(1, _CELLS // max(len(names), 1))
    for first in range(0, index.d_sae, width):
        last = min(first + width, index.d_sae)
        for a, b in blocks(index.arrays["post_ptr"], _ENTRIES, first, last):
            parts.append(_pairs(index, ptr, concept, begin, len(names), a, b, min_tp, keep))
    latent, which, tp, met, fires = (np.concatenate(column) for column in zip(*parts, strict=True))
    precision, recall, span_recall = tp / fires, tp / carries[which], met / spans[which]
    score = f1(precision, recall)
    order = np.lexsort((latent, -score, which))
    columns = {
        "latent": latent,
        "tp": tp,
        "fires": fires,
        "precision": precision,
        "recall": recall,
        "f1": score,
    }
    columns |= {"span_recall": span_recall, "span_f1": f1(precision, span_recall)}
    found = pd.DataFrame({name: column[order] for name, column in columns.items()})
    found.insert(0, "concept", pd.Categorical.from_codes(which[order], categories=list(names)))
    found.attrs |= {"scored_on": said, "labels": of_what(labels)}
    return found


def kept_positions(index: Columns, documents: Any) -> tuple[np.ndarray, str]:
    """(n_tokens,) counted positions of some documents, and which they are in words."""
    known = np.unique(index.rows.doc)
    if documents is None:
        return index.counted, f"all {len(known):,} documents"
    wanted = np.unique(np.asarray(documents))
    # a mask would be read as documents 0 and 1
    if not len(wanted) or wanted.dtype.kind not in "iu" or not np.isin(wanted, known).all():
        raise SaelabError(f"documents are numbers among those of index.rows.doc, got {documents!r:.200}")
    of_row = np.isin(index.rows.doc, wanted)
    keep = np.repeat(of_row, np.diff(index.rows.offsets)) & index.counted
    return keep, f"{len(wanted):,} of {len(known):,} documents"


def _spans(
    index: Columns, ptr: np.ndarray, concept: np.ndarray, n_concepts: int, keep: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Runs of tokens of a row that carry the same concept: for each label the token its run begins at (like
    ``concept``), and for each concept how many runs have a counted position."""
    token = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    order = np.argsort(concept, kind="stable")  # by concept, then by token
    here, what = token[order], concept[order]
    opens = np.zeros(len(ptr), dtype=bool)
    opens[index.rows.offsets] = True
    new = np.ones(len(here), dtype=bool)
    new[1:] = (what[1:] != what[:-1]) | (here[1:] != here[:-1] + 1) | opens[here[1:]]
    run = np.cumsum(new) - 1
    begin = np.empty_like(token)
    begin[order] = here[np.flatnonzero(new)][run]
    counted = np.unique(run[keep[here]])
    return begin, np.bincount(what[new][counted], minlength=n_concepts)


def _pairs(
    index: Columns, ptr: np.ndarray, concept: np.ndarray, begin: np.ndarray, n_concepts: int, a: int, b: int,
    min_tp: int, keep: np.ndarray,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """(latent, concept, positions with both, spans it fires in, firings) of latents ``a … b`` at positions to
    ``keep``, wherever the third is at least ``min_tp``."""
    post = index.arrays["post_ptr"]
    shared = np.zeros((b - a) * n_concepts, dtype=np.int64)
    met, fires = np.zeros_like(shared), np.zeros(b - a, dtype=np.int64)
    # one latent that fires everywhere may be longer than what is looked at together
    for i in range(int(post[a]), int(post[b]), _ENTRIES):
        j = min(i + _ENTRIES, int(post[b]))
        token = index.arrays["post_token"][i:j]
        latent = np.searchsorted(post[a : b + 1], np.arange(i, j), side="right") - 1
        # where the latent fired last: a span that begins later is met for the first time
        last = np.asarray(index.arrays["post_token"][max(i - 1, 0) : j - 1], dtype=np.int64)
        last = np.concatenate([[-1], last]) if i == 0 else last
        last = np.where(np.arange(i, j) == post[a + latent], -1, last)
        token, latent, last = (x[keep[token]] for x in (np.asarray(token), latent, last))
        fires += np.bincount(latent, minlength=b - a)
        count = ptr[token + 1] - ptr[token]
        label = ranges(ptr[token], count)
        key = np.repeat(latent * n_concepts, count) + concept[label]
        shared += np.bincount(key, minlength=len(shared))
        met += np.bincount(key[np.repeat(last, count) < begin[label]], minlength=len(shared))
    pair = np.flatnonzero(shared >= min_tp)
    latent = pair // max(n_concepts, 1)
    return a + latent, pair % max(n_concepts, 1), shared[pair], met[pair], fires[latent]


def of_what(labels: Any) -> str:
    """Whether it is known that the labels are of the rows they are put beside."""
    known = bool(getattr(labels, "text", ""))
    return (
        "of these rows"
        if known
        else "of rows that are not known: as many tokens, which is all that was compared"
    )


def compressed(labels: Any, rows: TokenRows) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Labels in any accepted form as (names, ptr (n_tokens + 1,), concept (n,)): what each token of ``rows`` carries."""
    n_tokens = rows.n_tokens
    if isinstance(labels, pd.DataFrame):
        labels = dict(labels.items())
    if isinstance(labels, Mapping):
        names = tuple(str(k) for k in labels)
        matrix: Any = [_true_or_false(f"the labels of {name!r}", v) for name, v in labels.items()]
        for name, column in zip(names, matrix, strict=True):
            _check_length(column.size if column.ndim == 1 else -1, n_tokens, f"the labels of {name!r}")
        matrix = np.stack(matrix, axis=1) if matrix else np.zeros((n_tokens, 0), bool)
    elif hasattr(labels, "concepts") and hasattr(labels, "matrix"):
        names, matrix = tuple(labels.concepts), labels.matrix
        if hasattr(matrix, "shape"):
            _check_length(matrix.shape[0], n_tokens, "the labels")
        meet(labels, rows)
    else:
        raise SaelabError(
            "labels must be a dict of {concept: bool per token}, or have .concepts and .matrix; "
            f"got {type(labels).__name__}"
        )
    if hasattr(matrix, "indptr"):  # compressed sparse rows
        ptr, concept = np.asarray(matrix.indptr, dtype=np.int64), np.asarray(matrix.indices, dtype=np.int64)
        _check_length(len(ptr) - 1, n_tokens, "the labels")
        if len(concept) and int(concept.max()) >= len(names):
            raise SaelabError(
                f"the labels use concept {int(concept.max())}, but only {len(names)} have names"
            )
        return names, ptr, concept
    matrix = _true_or_false("the labels", matrix)  # (n_tokens, n_concepts)
    _check_length(len(matrix), n_tokens, "the labels")
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise SaelabError(f"the labels have shape {matrix.shape}, but there are {len(names)} concepts")
    ptr = pointers(matrix.sum(1))
    return names, ptr, np.nonzero(matrix)[1]


def _true_or_false(what: str, values: Any) -> np.ndarray:
    """As bool; 0 and 1 are taken, but no text, missing value or probability, which would all be true."""
    array = np.array(None)
    with contextlib.suppress(ValueError, TypeError, RuntimeError):
        array = np.asarray(values)
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise SaelabError(f"{what} must be True or False, or 0 or 1, on each token, got {called(values)}")
    return array.astype(bool)


def _check_length(got: int, want: int, what: str) -> None:
    if got != want:
        raise SaelabError(
            f"{what} cover {got} tokens, but the index has {want}; they must be of the same rows"
        )

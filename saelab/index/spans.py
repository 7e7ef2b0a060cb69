"""Latents for a piece of text: a span of a row, or every match of a string or regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from saelab.errors import SaelabError
from saelab.index.columns import Columns
from saelab.index.storage.arrays import blocks, highest, pointers, ranges

_TOKENS = 1 << 16  # text decoded together
_ENTRIES = 1 << 22  # codes looked at together


def f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Harmonic mean; 0 where both are 0."""
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)


def search(index: Columns, pattern: re.Pattern[str], n: int) -> pd.DataFrame:
    first, last = matches(index, pattern)
    # matches without a counted position cannot be found by any latent: they are not held against one
    counted = pointers(index.counted)
    keep = counted[last + 1] > counted[first]
    first, last = first[keep], last[keep]
    hits, matched, total = _hits(index, first, last)
    found = np.flatnonzero(hits)
    precision = hits[found] / index.counts[found]
    recall = matched[found] / max(len(first), 1)
    score = f1(precision, recall)
    columns = {"latent": found, "hits": hits[found], "precision": precision, "recall": recall}
    columns |= {"mean": total[found] / hits[found], "f1": score}
    out = pd.DataFrame({name: column[highest(score, n)] for name, column in columns.items()})
    out.attrs |= {"matches": len(first), "scored_on": "the same matches that chose"}
    return out


def pattern(text: str | None, regex: str | None, ignore_case: bool) -> re.Pattern[str]:
    """What to search for: either ``text`` as it stands or ``regex``."""
    if (text is None) == (regex is None):
        raise SaelabError("search needs either text=… or regex=…")
    source = text if regex is None else regex
    if not isinstance(source, str) or not source:
        raise SaelabError(f"what to search for must be text of at least one character, got {source!r}")
    try:
        return re.compile(re.escape(source) if regex is None else source, re.IGNORECASE if ignore_case else 0)
    except re.error as error:
        raise SaelabError(f"{source!r} is not a regular expression: {error}") from None


def matches(index: Columns, pattern: re.Pattern[str]) -> tuple[np.ndarray, np.ndarray]:
    """First and last flat token index that each match touches. A match never leaves its row."""
    table = index.vocab.search_table
    lengths = np.array([len(b) for b in table], dtype=np.int64)
    firsts, lasts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    offsets = index.rows.offsets
    for a, b in blocks(offsets, _TOKENS):
        begin = int(offsets[a])
        ids = index.rows.ids[begin : int(offsets[b])]
        ends = np.cumsum(lengths[ids])  # byte where each token ends
        whole = b"".join([table[i] for i in ids.tolist()])
        row_ends = np.concatenate([[0], ends])[offsets[a : b + 1] - begin]
        spans = np.array(list(_match_bytes(whole, row_ends.tolist(), pattern)), dtype=np.int64).reshape(-1, 2)
        firsts.append(begin + np.searchsorted(ends, spans[:, 0], side="right"))
        lasts.append(begin + np.searchsorted(ends, spans[:, 1] - 1, side="right"))
    return np.concatenate(firsts), np.concatenate(lasts)


def _match_bytes(whole: bytes, row_ends: list[int], pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Byte spans of the matches in each row."""
    for low, high in zip(row_ends, row_ends[1:], strict=False):
        piece = whole[low:high]
        # bytes that are no character survive as lone surrogates, so that offsets can be counted back
        text = piece.decode("utf-8", "surrogateescape")
        plain = len(text) == len(piece)
        for m in pattern.finditer(text):
            a, b = m.span()
            if a == b:
                continue
            if not plain:
                a = len(text[:a].encode("utf-8", "surrogateescape"))
                b = a + len(m.group().encode("utf-8", "surrogateescape"))
            yield low + a, low + b


def _hits(index: Columns, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per latent: positions in a match where it fires, matches where it fires, sum over those positions."""
    hits, matched = (np.zeros(index.d_sae, np.int64) for _ in range(2))
    total = np.zeros(index.d_sae)
    sizes = last - first + 1
    token = ranges(first, sizes)
    match = np.repeat(np.arange(len(first)), sizes)
    # two matches can share a token (the end of one, the begin of the next): it counts once as a position
    fresh = np.ones(len(token), dtype=bool)
    fresh[1:] = token[1:] > np.maximum.accumulate(token)[:-1]
    begin, count = index.code_span(token)
    ends = pointers(sizes)  # tokens up to each match
    codes = pointers(count)[ends]  # codes up to each match
    for a, b in blocks(codes, _ENTRIES):
        part = slice(int(ends[a]), int(ends[b]))
        place = ranges(begin[part], count[part])
        latent = index.arrays["code_latent"][place].astype(np.int64)
        value = index.arrays["code_value"][place]
        once = np.repeat(fresh[part], count[part])
        hits += np.bincount(latent[once], minlength=index.d_sae)
        total += np.bincount(latent[once], weights=value[once], minlength=index.d_sae)
        pair = np.unique(np.repeat(match[part], count[part]) * index.d_sae + latent)
        matched += np.bincount(pair % index.d_sae, minlength=index.d_sae)
    return hits, matched, total


def latents_for(index: Columns, row: int, start: int, stop: int, n: int) -> pd.DataFrame:
    length = index.row_length(row)
    if not 0 <= start < stop <= length:
        raise SaelabError(f"the span {start}…{stop} must lie in row {row}, which has positions 0…{length}")
    latent, value, position = index.row_codes(row)
    begin = int(index.rows.offsets[row])
    counted = int(index.counted[begin + start : begin + stop].sum())
    columns = in_span(latent, value, (position >= start) & (position < stop), counted)
    columns["fires"] = index.counts[columns["latent"]]
    # a latent that is rare elsewhere says more about the span than one that fires everywhere
    order = np.lexsort((columns["latent"], columns["fires"], -columns["f1"]))[:n]
    out = pd.DataFrame({name: column[order] for name, column in columns.items()})
    out.attrs["scored_on"] = "the same tokens that chose"
    return out


def in_span(latent: np.ndarray, value: np.ndarray, inside: np.ndarray, counted: int) -> dict[str, np.ndarray]:
    """Of latents that fire ``inside`` a span of ``counted`` positions, columns of :meth:`LatentIndex.latents_for`: of all
    firings of a text (n,) each latent, its activation, and whether it is inside."""
    found, place = np.unique(latent, return_inverse=True)
    hits = np.bincount(place[inside], minlength=len(found))
    rest = np.bincount(place[~inside], minlength=len(found))
    strongest = np.zeros(len(found), np.float32)
    np.maximum.at(strongest, place[inside], value[inside])
    keep = hits > 0
    found, hits, rest, strongest = found[keep], hits[keep], rest[keep], strongest[keep]
    precision, recall = hits / (hits + rest), hits / max(counted, 1)
    return {
        "latent": found, "inside": hits, "outside": rest, "precision": precision, "recall": recall,
        "f1": f1(precision, recall), "max": strongest,
    }  # fmt: skip

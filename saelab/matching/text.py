"""Two indexes of the same text, position by position, also where their tokenizers cut it differently."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from saelab.errors import SaelabError
from saelab.identity import meet
from saelab.index import LatentIndex
from saelab.index.storage.arrays import pointers, ranges

_NEAR = 40  # documents of similar length, at least, that are put beside each other where there are as many
_FEW = 8  # below, any document stands beside any


class Aligned(NamedTuple):
    """Activations (positions, latents), float64 CSR, of a and b; the document of each position, ascending, and the token
    of either index that holds it."""

    a: Any
    b: Any
    doc: np.ndarray
    unit: str
    token_a: np.ndarray
    token_b: np.ndarray


def one_model(why: str, a: Any, b: Any) -> tuple[str, ...]:
    """Refuse SAEs or indexes of two models; returns what was allowed."""
    try:
        return meet(a, b, only="model")
    except SaelabError as error:
        raise SaelabError(f"{why}: {error}. Or compare by='activation' on the same text") from None


def align(a: LatentIndex, b: LatentIndex) -> Aligned:
    """Both indexes' activations on the same pieces of text.

    With one tokenizer a position is a token that both count. With two it is a piece of a document between
    neighboring cuts of either tokenizer, and a latent's activation there is that at the token that holds it.

    Raises
    ------
    SaelabError
        If the texts are not the same; the first document that differs is named.
    """
    if a.vocab.hash() == b.vocab.hash() and np.array_equal(a.rows.ids, b.rows.ids):
        if not np.array_equal(a.rows.offsets, b.rows.offsets):
            raise SaelabError(
                "both indexes hold the same tokens, but in rows of other lengths; index both texts alike"
            )
        token = np.flatnonzero(a.counted & b.counted)
        row, _ = a.rows.locate(token)
        return Aligned(_codes(a, token), _codes(b, token), a.rows.doc[row], "tokens", token, token)
    ends_a, ends_b = _ends(a), _ends(b)
    docs = np.union1d(a.rows.doc, b.rows.doc)
    token_a, token_b, doc = [], [], []
    for d in docs.tolist():
        (bytes_a, at_a, which_a), (bytes_b, at_b, which_b) = (e.get(d, _NOTHING) for e in (ends_a, ends_b))
        if bytes_a != bytes_b:
            raise SaelabError(
                f"the indexes are of different texts: document {d} is {_said(bytes_a)} in one and "
                f"{_said(bytes_b)} in the other; build both from the same texts"
            )
        cuts = np.union1d(at_a, at_b)
        token_a.append(which_a[np.searchsorted(at_a, cuts)])
        token_b.append(which_b[np.searchsorted(at_b, cuts)])
        doc.append(np.full(len(cuts), d))
    both = [np.concatenate(x) for x in (token_a, token_b, doc)]
    keep = a.counted[both[0]] & b.counted[both[1]]
    return Aligned(
        _codes(a, both[0][keep]),
        _codes(b, both[1][keep]),
        both[2][keep],
        "pieces between cuts of either tokenizer",
        both[0][keep],
        both[1][keep],
    )


_NOTHING = (b"", np.zeros(0, int), np.zeros(0, int))


def _ends(index: LatentIndex) -> dict[int, tuple[bytes, np.ndarray, np.ndarray]]:
    """Of each document its bytes, where in them tokens end, and which tokens; tokens without text are left out."""
    table = index.vocab.search_table
    out: dict[int, list[tuple[bytes, int]]] = {}
    rows = index.rows
    order = np.lexsort((rows.start, rows.doc))
    for row in order.tolist():
        begin, end = rows.offsets[row : row + 2].tolist()
        pieces = out.setdefault(int(rows.doc[row]), [])
        pieces += [(table[i], t) for t, i in enumerate(rows.ids[begin:end].tolist(), begin) if table[i]]
    return {d: _cut(pieces) for d, pieces in out.items()}


def _cut(pieces: list[tuple[bytes, int]]) -> tuple[bytes, np.ndarray, np.ndarray]:
    text = b"".join(p for p, _ in pieces)
    at, which = np.cumsum([len(p) for p, _ in pieces]), np.array([t for _, t in pieces], int)
    bare = text.lstrip(b" ")  # some tokenizers put a space before the text
    at = at - (len(text) - len(bare))
    return bare, at[at > 0], which[at > 0]


def _codes(index: LatentIndex, token: np.ndarray) -> Any:
    begin, count = index.code_span(token)
    place = ranges(begin, count)
    value = index.arrays["code_value"][place].astype(np.float64)
    latent = index.arrays["code_latent"][place].astype(np.int32)
    return sparse.csr_matrix((value, latent, pointers(count)), shape=(len(token), index.d_sae))


def _said(text: bytes) -> str:
    return f"{text[:40].decode('utf-8', 'replace')!r} ({len(text):,} bytes)" if text else "absent"


def shuffled(doc: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(positions,) for each position one of another document, of similar length, as far from its beginning.

    Documents are sorted by length and go round in a circle of 40 to 79 neighbors; the shorter of two is repeated.
    (In smaller circles the same two meet in several draws, which then are fewer than they seem.) Rates and runs
    stay, also those of a latent that fires on whole documents, and agreement goes.
    """
    start = np.flatnonzero(np.r_[True, np.diff(doc) != 0])
    length = np.diff(np.r_[start, len(doc)])
    n = len(start)
    place, order = np.arange(n), np.lexsort((rng.random(n), length))
    circle = np.minimum(place // _NEAR, max(n // _NEAR - 1, 0))
    mixed = order[np.lexsort((rng.random(n), circle))]
    following = np.where(np.diff(circle, append=-1) != 0, np.searchsorted(circle, circle), place + 1)
    beside = np.empty(n, int)
    # a few documents go round in a few ways alone, so that drawing them again would tell nothing new
    beside[mixed] = mixed[following] if n >= _FEW else order
    own = np.repeat(place, length)
    return start[beside[own]] + (np.arange(len(doc)) - start[own]) % length[beside[own]]

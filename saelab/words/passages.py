"""Texts in which a latent fires and texts in which it does not, of documents kept apart.

The documents of an index are split as for N2G (:mod:`saelab.n2g.corpus`): explanations are made from the train documents (a
graph is also chosen on the valid ones), and scored on the test documents, which nothing else sees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from saelab.errors import SaelabError, check_count
from saelab.index import LatentIndex
from saelab.index.storage import windows
from saelab.n2g.corpus import corpus

TRAIN, VALID, TEST = 0, 1, 2
KINDS = ("fires", "random", "hard")
_SIDES = 20, 11  # tokens before and after the one that a passage is about: 32 in all
_BANDS = 10  # of equally many firings, by strength; passages come from all of them alike
_TRIED = 40  # places drawn for each silent passage that is wanted
_PIECE = 5  # letters
_ALIKE = 0.8  # share of pieces: a text of 30 letters of which one is changed has 0.81 of them
_MARKS = str.maketrans("<>", "‹›")  # of a text's own, which are not to be taken for ours


class Passage(NamedTuple):
    """A stretch of text about one token.

    Attributes
    ----------
    kind
        ``fires`` (on that token), or the latent fires nowhere in it: ``random``, or ``hard``, where that token is one on
        which it fires in other places.
    document
        Number of its document, as in ``index.rows.doc``; of copies the first one's.
    token, low, high
        Flat indices of the token, of the first one, and of the first one behind.
    marked
        Flat indices of tokens that are shown as marked.
    """

    kind: str
    document: int
    token: int
    low: int
    high: int
    marked: tuple[int, ...] = ()


def pieces(text: str) -> frozenset[str]:
    """Every five letters in a row of a text, in small letters, each white space one blank."""
    text = " ".join(text.casefold().split())
    return frozenset(text[i : i + _PIECE] for i in range(max(1, len(text) - _PIECE + 1)))


def nearly(one: frozenset[str], two: frozenset[str]) -> bool:
    """Whether two texts, in pieces, are nearly one, or the shorter nearly stands in the longer."""
    return len(one & two) >= _ALIKE * min(len(one), len(two))


class Texts:
    """An index's documents, split; refused where there are too few to keep them apart."""

    def __init__(self, index: LatentIndex, seed: int):
        self.index, self.corpus = index, corpus(index, check_count("seed", seed, 0))
        if self.corpus.unit != "document":
            raise SaelabError(
                "documents that explain and documents that score are kept apart: at least 8 different ones are needed, the "
                f"index has {len(index.documents[1])}"
            )
        self._document = index.originals[index.documents[0]]  # (n_rows,)
        self.seen: list[
            frozenset[str]
        ] = []  # of what an explainer was shown, in pieces: none like it is chosen

    def documents(self, *parts: int) -> tuple[int, ...]:
        """Numbers of the documents of some parts, as in ``index.rows.doc``."""
        row, _ = self.index.rows.locate(np.flatnonzero(np.isin(self.corpus.part, parts)))
        return tuple(np.unique(self.index.rows.doc[row]).tolist())

    def largest(self, latent: int) -> float:
        """Its largest activation in the train documents."""
        return float(self.corpus.fires(latent, TRAIN)[1].max(initial=1e-12))

    def activations(self, latent: int, p: Passage) -> np.ndarray:
        """(tokens of the passage,) of the latent."""
        token, value = self.index.postings(latent)
        a, b = np.searchsorted(token, [p.low, p.high])
        out = np.zeros(p.high - p.low, np.float32)
        out[token[a:b] - p.low] = value[a:b]
        return out

    # ----------------------------------------------------------------------------------------- choosing

    def firing(self, latent: int, part: int, n: int, rng: np.random.Generator) -> list[Passage]:
        """Up to ``n`` passages of different text in which it fires, as many of weak firings as of strong ones."""
        token, value = self.corpus.fires(latent, part)
        place = np.empty(len(token), np.int64)
        place[np.argsort(value, kind="stable")] = np.arange(len(token))
        band, order = place * _BANDS // max(len(token), 1), rng.permutation(len(token))
        turn = np.zeros(len(token), np.int64)  # how many of its band were drawn before
        for b in range(_BANDS):
            own = order[band[order] == b]
            turn[own] = np.arange(len(own))
        return self._different(token[np.lexsort((-band, turn))], n, "fires")

    def strongest(self, latent: int, part: int, n: int) -> list[Passage]:
        """Up to ``n`` passages of different text, strongest first."""
        token, value = self.corpus.fires(latent, part)
        return self._different(token[np.argsort(-value, kind="stable")], n, "fires")

    def silent(self, latent: int, part: int, n: int, rng: np.random.Generator) -> list[Passage]:
        """Up to ``n`` passages in which it fires nowhere, half of them hard ones where there are as many."""
        ids, inside = self.index.rows.ids, np.flatnonzero(self.corpus.part == part)
        same = inside[np.isin(ids[inside], ids[self.index.postings(latent).token])]
        hard = self._quiet(latent, same, n // 2, "hard", rng)
        return [*self._quiet(latent, inside, n - len(hard), "random", rng), *hard]

    def _quiet(
        self, latent: int, at: np.ndarray, n: int, kind: str, rng: np.random.Generator
    ) -> list[Passage]:
        drawn = rng.choice(at, min(len(at), _TRIED * n), replace=False)
        low, high = windows.bounds(self.index.rows, drawn, *_SIDES)
        fires = self.index.postings(latent).token
        return self._different(drawn[np.searchsorted(fires, low) == np.searchsorted(fires, high)], n, kind)

    def _different(self, token: np.ndarray, n: int, kind: str) -> list[Passage]:
        """The first ``n`` with different text, of which none is nearly one that was shown to who explained."""
        rows, token = self.index.rows, token[: 64 * n + 64].astype(np.int64)
        _, first = np.unique(windows.fingerprints(rows, token, *_SIDES), return_index=True)
        token = token[np.sort(first)]
        if self.seen:
            texts = (
                pieces(self.index.vocab.decode(rows.ids[a:b]))
                for a, b in zip(*self._bounds(token), strict=True)
            )
            new = (i for i, text in enumerate(texts) if not any(nearly(text, s) for s in self.seen))
            token = token[[i for i, _ in zip(new, range(n), strict=False)]]
        token = token[:n]
        row, _ = rows.locate(token)
        columns = [c.tolist() for c in (self._document[row], token, *self._bounds(token))]
        return [Passage(kind, *line) for line in zip(*columns, strict=True)]

    def _bounds(self, token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of what is shown about each token: flat indices of the first one, and of the first one behind."""
        rows = self.index.rows
        low, high = windows.bounds(rows, token, *_SIDES)
        return low + (
            rows.bos & (low == rows.offsets[rows.locate(token)[0]]) & (low < token)
        ), high  # BOS is no text

    def fuzzed(
        self, latent: int, fires: list[Passage], quiet: list[Passage], rng: np.random.Generator
    ) -> list[Passage]:
        """Pairs: a passage in which it fires, with the right tokens marked, and one with wrong ones in the same shape.

        So marks alone tell nothing. Wrong are in half of them (``hard``) tokens about one on which it fires elsewhere,
        in the others (``random``) other tokens of a text in which it fires, or of any. Where none has the whole shape,
        both have half as many.
        """
        out, hard = [], np.array([p.token for p in quiet if p.kind == "hard"], np.int64)
        inside, first = np.flatnonzero(self.corpus.part == TEST), len(fires) - len(hard)
        for i, p in enumerate(fires):
            marks = (
                np.array(sorted(self.with_marks(latent, p).marked, key=lambda t: abs(t - p.token))) - p.token
            )
            row, _ = self.index.rows.locate(np.array([p.token]))
            own = np.arange(*self.index.rows.offsets[[row[0], row[0] + 1]])
            where = [("random", own), ("random", rng.choice(inside, min(len(inside), 4096), replace=False))]
            wrong: Passage | None = None
            while len(marks) and wrong is None:
                for kind, at in [("hard", hard), *where] if i >= first else where:
                    at = self._with_room(latent, at, marks)
                    if len(at) and (some := self._different(rng.choice(at, min(len(at), 8), False), 1, kind)):
                        (wrong,) = some
                        break
                else:
                    marks = marks[: len(marks) // 2]
            if wrong is not None:
                hard = hard[hard != wrong.token]
                out += [q._replace(marked=tuple(np.sort(q.token + marks).tolist())) for q in (p, wrong)]
        return out

    def _with_room(self, latent: int, at: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """Those places about which tokens so far off are of the same text, and it fires on none of them."""
        rows = self.index.rows
        row, _ = rows.locate(at)
        begin = rows.offsets[row] + int(rows.bos)
        at = at[(at + marks.min() >= begin) & (at + marks.max() < rows.offsets[row + 1])]
        return at[~np.isin(at[:, None] + marks, self.index.postings(latent).token).any(1)]

    # --------------------------------------------------------------------------------------------- text

    def with_marks(self, latent: int, p: Passage) -> Passage:
        """With the tokens marked on which it fires."""
        return p._replace(marked=tuple((np.flatnonzero(self.activations(latent, p)) + p.low).tolist()))

    def text(self, p: Passage) -> str:
        """Its text; marked tokens stand between ``<<`` and ``>>``."""
        ids, decode = self.index.rows.ids[p.low : p.high], self.index.vocab.decode
        if not p.marked:
            return decode(ids)
        on = np.isin(np.arange(p.low, p.high), p.marked)
        cuts = [0, *(np.flatnonzero(np.diff(on)) + 1).tolist(), len(ids)]
        pieces = [decode(ids[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
        pieces = [s.translate(_MARKS) if "<<" in s or ">>" in s else s for s in pieces]
        return "".join(f"<<{s}>>" if on[a] else s for a, s in zip(cuts, pieces, strict=False))

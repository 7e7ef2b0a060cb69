"""What an index holds, as arrays, and what is decoded from them: posting lists, codes of a row, a window."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from saelab import identity
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_latent, check_latents
from saelab.index.kept import Kept
from saelab.index.notes import Notes
from saelab.index.storage import windows
from saelab.index.storage.arrays import pointers, ranges
from saelab.index.storage.layout import AFTER, BEFORE
from saelab.index.storage.vocab import Vocab
from saelab.models import HookedModel
from saelab.models.rows import TokenRows
from saelab.sae import SAE


class Postings(NamedTuple):
    """Where a latent fires: token (n,) int32, ascending flat token indices; value (n,) float32, positive."""

    token: np.ndarray
    value: np.ndarray


@door
class Columns:
    """The columns that every query reads; :class:`saelab.index.LatentIndex` fills them."""

    config: dict[str, Any]
    arrays: dict[str, np.ndarray]
    rows: TokenRows
    vocab: Vocab
    notes: Notes
    kept: Kept
    sae: SAE | None
    model: HookedModel | None

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return self.config["d_sae"]

    @property
    def n_tokens(self) -> int:
        """All tokens of the text, special ones included."""
        return self.config["n_tokens"]

    @property
    def n_counted(self) -> int:
        """Positions that statistics are about."""
        return self.config["n_counted"]

    @property
    def counted(self) -> np.ndarray:
        """(n_tokens,) bool, False at positions that were left out."""
        return self.arrays["counted"]

    @cached_property
    def counts(self) -> np.ndarray:
        """(d_sae,) int64, at how many positions each latent fires."""
        return np.diff(self.arrays["post_ptr"])

    @cached_property
    def documents(self) -> tuple[np.ndarray, np.ndarray]:
        """Which document each row is of, numbered from 0 (n_rows,), and each document's counted positions (n_docs,). Copies
        of a text are one document; of activations without a model, where labels say little, each is its own."""
        of_row = (
            self.rows.distinct() if self.config["model"] else np.unique(self.rows.doc, return_inverse=True)[1]
        )
        before = pointers(self.counted)
        counted = before[self.rows.offsets[1:]] - before[self.rows.offsets[:-1]]  # (n_rows,)
        return of_row, np.bincount(of_row, counted, minlength=0).astype(np.int64)

    @cached_property
    def copies(self) -> np.ndarray:
        """(n_docs,) how many times each of :attr:`documents` is there."""
        of_row, size = self.documents
        _, first = np.unique(self.rows.doc, return_index=True)
        return np.bincount(of_row[first], minlength=len(size))

    @cached_property
    def originals(self) -> np.ndarray:
        """(n_docs,) number in ``rows.doc`` of each of :attr:`documents`, of copies the first one's."""
        return np.asarray(self.rows.doc)[np.unique(self.documents[0], return_index=True)[1]]

    def need_sae(self, what: str) -> SAE:
        """The SAE, or an error that says how to attach one."""
        if self.sae is None:
            raise SaelabError(
                f"{what} needs the SAE: set index.sae, or open with LatentIndex.open(path, sae=…)"
            )
        identity.meet(self, self.sae)  # it may have been trained on since it was attached
        return self.sae

    def need_model(self, what: str) -> Any:
        """The model, or an error that says how to attach one."""
        if self.model is None and not self.config["model"]:
            raise SaelabError(f"{what} needs a model, and this index is of activations alone")
        if self.model is None:
            raise SaelabError(
                f"{what} needs the model: set index.model, or open with LatentIndex.open(path, model=…)"
            )
        identity.meet(self, self.model)
        return self.model

    def postings(self, latent: int) -> Postings:
        """Where ``latent`` fires and how strongly; views of the memory-mapped files.

        Examples
        --------
        >>> token, value = index.postings(latent)
        >>> len(token) == len(value) == int(index.counts[latent])
        True
        """
        latent = check_latent(latent, self.d_sae)
        a, b = self.arrays["post_ptr"][latent : latent + 2].tolist()
        return Postings(self.arrays["post_token"][a:b], self.arrays["post_value"][a:b])

    def code_span(self, token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the active latents of positions begin in ``code_latent`` and how many there are."""
        ptr, token = self.arrays["code_ptr"], np.asarray(token, dtype=np.int64)
        if len(token) and not 0 <= token.min() <= token.max() < self.n_tokens:
            raise SaelabError(f"tokens are out of range: the index has tokens 0…{self.n_tokens - 1}")
        begin = ptr[token]
        return begin, ptr[token + 1] - begin

    def row_length(self, row: int) -> int:
        """Tokens in a row.

        Examples
        --------
        >>> index.row_length(0) == len(index.rows[0])
        True
        """
        row = check_count("row", row, 0)
        if row >= len(self.rows):
            raise SaelabError(f"row {row} is out of range: the index has rows 0…{len(self.rows) - 1}")
        return int(self.rows.offsets[row + 1] - self.rows.offsets[row])

    def row_codes(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All active latents on a row: latent (n,) int64, value (n,) float32, position in the row (n,) int64.

        In order of position, then of latent.

        Examples
        --------
        >>> fired, value, position = index.row_codes(0)
        >>> bool((value > 0).all() and position.max() < index.row_length(0))
        True
        """
        length, begin = self.row_length(row), int(self.rows.offsets[row])
        start, count = self.code_span(np.arange(begin, begin + length))
        place = ranges(start, count)
        position = np.repeat(np.arange(length), count)
        latent = self.arrays["code_latent"][place].astype(np.int64)
        order = np.lexsort((latent, position))
        return latent[order], self.arrays["code_value"][place][order], position[order]

    def activations(self, latents: int | Iterable[int], row: int) -> np.ndarray:
        """(T, len(latents)) float32: activations on the tokens of a row, 0 where a latent does not fire.

        Examples
        --------
        >>> index.activations([latent, 0], row=1).shape == (index.row_length(1), 2)
        True
        """
        wanted = check_latents(latents, self.d_sae, once=False)
        latent, value, position = self.row_codes(row)
        out = np.zeros((self.row_length(row), len(wanted)), dtype=np.float32)
        for column, i in enumerate(wanted):
            hit = latent == i
            out[position[hit], column] = value[hit]
        return out

    def window(
        self, token_index: int, before: int = BEFORE, after: int = AFTER
    ) -> tuple[np.ndarray, int, int]:
        """The tokens around a flat token index, inside its row.

        Returns
        -------
        ids, start, center
            Token ids; position in the row of the first of them; which of them is the asked one.

        Examples
        --------
        >>> ids, start, center = index.window(3, before=1, after=1)
        >>> bool(ids[center] == index.rows.ids[3])
        True
        """
        token = check_count("token_index", token_index, 0)
        if token >= self.n_tokens:
            raise SaelabError(f"token {token} is out of range: the index has tokens 0…{self.n_tokens - 1}")
        before, after = check_count("before", before, 0), check_count("after", after, 0)
        (low,), (high,) = windows.bounds(self.rows, np.array([token]), before, after)
        _, (start,) = self.rows.locate(np.array([low]))
        return self.rows.ids[low:high], int(start), int(token - low)

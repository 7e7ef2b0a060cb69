"""The bytes of every token, kept with the index so that it can show text when no model is at hand."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from saelab import models
from saelab.errors import SaelabError
from saelab.identity import vocab_digest
from saelab.models import HookedModel


class Vocab:
    """Token ids to labels, text and bytes; the same answers as :mod:`saelab.models` gives with the model.

    ``ptr`` (n + 1,) int64 and ``data`` uint8 hold the bytes; ``special`` are the ids of special tokens.
    """

    def __init__(
        self, ptr: np.ndarray, data: np.ndarray, special: Iterable[int] = (), bos: int | None = None
    ):
        self.ptr, self.data = ptr, data
        self.special, self.bos = frozenset(special), bos

    @classmethod
    def of_model(cls, model: HookedModel) -> Vocab:
        """The vocabulary of a model's tokenizer."""
        return cls.of_bytes(models.token_bytes(model), models.special_ids(model), models.bos_id(model))

    @classmethod
    def of_bytes(cls, table: Sequence[bytes], special: Iterable[int] = (), bos: int | None = None) -> Vocab:
        """From the bytes of every token, or of every label."""
        ptr = np.cumsum([0, *map(len, table)], dtype=np.int64)
        return cls(ptr, np.frombuffer(b"".join(table), dtype=np.uint8), special, bos)

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def hash(self) -> str:
        """A digest of the bytes and the special ids."""
        return vocab_digest(self.ptr, self.data, self.special)

    def bytes_of(self, token: int) -> bytes:
        """Bytes of one token."""
        if not 0 <= token < len(self):
            raise SaelabError(f"token id {token} is outside the vocabulary 0…{len(self) - 1}")
        return self.data[self.ptr[token] : self.ptr[token + 1]].tobytes()

    def table(self, *, hide_special: bool = False) -> list[bytes]:
        """Bytes of every token; with ``hide_special`` special tokens are empty."""
        whole, ends = self.data.tobytes(), self.ptr.tolist()
        hidden = self.special if hide_special else frozenset()
        return [b"" if i in hidden else whole[ends[i] : ends[i + 1]] for i in range(len(self))]

    @cached_property
    def search_table(self) -> list[bytes]:
        """Bytes of every token as text to search in: special tokens are empty."""
        return self.table(hide_special=True)

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels of the tokens that were asked for so far, and what they are: 0 not asked for yet, 1 whole, 2 not."""
        return np.full(len(self), None, dtype=object), np.zeros(len(self), np.int8)

    def _learn(self, ids: Iterable[int] | np.ndarray) -> np.ndarray:
        ids = np.asarray(ids if hasattr(ids, "__len__") else list(ids), dtype=np.int64)
        label, kind = self._known
        if len(ids) and not (ids.min() >= 0 and ids.max() < len(self)):
            self.bytes_of(int(ids[(ids < 0) | (ids >= len(self))][0]))  # says which
        for i in np.unique(ids[kind[ids] == 0]).tolist():
            piece = self.bytes_of(i)
            text = piece.decode("utf-8", "backslashreplace")
            label[i] = text or f"<id {i}>"  # without it all tokens that have no text look alike
            kind[i] = 1 if piece and text.encode() == piece else 2  # last: another thread may be reading
        return ids

    def label(self, token: int) -> str:
        r"""One token as readable text; bytes that are no whole character show as ``\xf0``."""
        return self.labels([token])[0]

    def labels(self, ids: Iterable[int]) -> list[str]:
        """:meth:`label` of each."""
        return self._known[0][self._learn(ids)].tolist()

    def whole(self, ids: Iterable[int]) -> np.ndarray:
        """(n,) bool, whether a token is text of its own: at least one character, and none of them in part."""
        return self._known[1][self._learn(ids)] == 1

    def decode(self, ids: Iterable[int]) -> str:
        """Text of several tokens."""
        ids = self._learn(ids)
        if (self._known[1][ids] == 1).all():
            return "".join(self._known[0][ids])
        return b"".join(map(self.bytes_of, ids.tolist())).decode("utf-8", "backslashreplace")

    def characters(self, ids: Sequence[int] | np.ndarray) -> list[tuple[int, int, str]]:
        """As :func:`saelab.models.token_groups`: runs ``(start, stop, text)`` of tokens that are whole characters."""
        ids = self._learn(ids)
        return self.characters_of(ids.tolist(), self.labels(ids), self.whole(ids).tolist())

    def characters_of(
        self, ids: list[int], labels: list[str], whole: list[bool]
    ) -> list[tuple[int, int, str]]:
        """:meth:`characters` when :meth:`labels` and :meth:`whole` of the tokens are at hand."""
        out: list[tuple[int, int, str]] = []
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        start, text, last = 0, "", len(ids) - 1
        for i, token in enumerate(ids):
            if whole[i] and start == i:
                out.append((i, i + 1, labels[i]))
                start = i + 1
                continue
            text += decoder.decode(self.bytes_of(token), i == last)
            if not decoder.getstate()[0]:
                out.append((start, i + 1, text))
                start, text = i + 1, ""
        return out

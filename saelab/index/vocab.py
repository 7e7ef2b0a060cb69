"""The bytes of every token, kept with the index so that it can show text when no model is at hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from saelab import models
from saelab.errors import SaelabError
from saelab.index import layout


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
    def of_model(cls, model: Any) -> Vocab:
        """The vocabulary of a model's tokenizer."""
        table = models.token_bytes(model)
        ptr = np.cumsum([0, *map(len, table)], dtype=np.int64)
        data = np.frombuffer(b"".join(table), dtype=np.uint8)
        return cls(ptr, data, models.special_ids(model), models.bos_id(model))

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def save(self, folder: Path) -> None:
        """Write the two arrays of the index."""
        layout.save(folder, "vocab_ptr", self.ptr)
        layout.save(folder, "vocab_bytes", self.data)

    def hash(self) -> str:
        """A digest of the bytes and the special ids."""
        h = hashlib.blake2b(digest_size=16)
        for part in (self.ptr, self.data, np.array(sorted(self.special), dtype=np.int64)):
            h.update(np.ascontiguousarray(part).tobytes())
        return h.hexdigest()

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

    def label(self, token: int) -> str:
        r"""One token as readable text; bytes that are no whole character show as ``\xf0``."""
        return self.bytes_of(int(token)).decode("utf-8", "backslashreplace")

    def labels(self, ids: Iterable[int]) -> list[str]:
        """:meth:`label` of each."""
        return [self.label(i) for i in ids]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of several tokens."""
        return b"".join(self.bytes_of(int(i)) for i in ids).decode("utf-8", "backslashreplace")

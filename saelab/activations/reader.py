"""A store read in random order, as a training run wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab.activations.harvest import OutlierFilter, Part
from saelab.activations.shards import BLOCK
from saelab.activations.store import ActivationStore
from saelab.errors import check_count

_PIECES = 64  # places in the store that a sample is taken from


class Reader:
    """The rows of a store as a source for :class:`ActivationBuffer`: its blocks in an order that follows
    ``seed`` and the epoch."""

    def __init__(
        self, store: ActivationStore, hooks: Sequence[str], *, limit: int, epochs: int, seed: int, outlier: float | None
    ):  # fmt: skip
        self.store, self.hooks = store, list(hooks)
        self.columns = [store.hooks.index(h) for h in hooks]
        self.limit: int | None = limit
        self.epochs, self.seed = check_count("epochs", epochs), seed
        self.outliers = OutlierFilter(outlier)
        self.epoch = self.block = self.read = 0
        self.done = False
        self.digest = store.digest
        self.empty = 0
        ends = np.cumsum([len(shard) for shard in store.shards])
        self._blocks = [  # shard, first and last row (exclusive), rows of the shards before
            (shard, a, min(a + BLOCK, len(shard)), int(end) - len(shard))
            for shard, end in zip(store.shards, ends, strict=True)
            for a in range(0, len(shard), BLOCK)
        ]
        self._shuffled = -1, np.empty(0, dtype=np.int64)

    def _order(self) -> np.ndarray:
        """(n_blocks,) the order of this epoch."""
        if self._shuffled[0] != self.epoch:
            rng = np.random.default_rng([self.seed, self.epoch])
            self._shuffled = self.epoch, rng.permutation(len(self._blocks))
        return self._shuffled[1]

    def next(self) -> list[Part]:
        """The next block."""
        if self.done:
            return []
        shard, a, b, before = self._blocks[self._order()[self.block]]
        acts, place = shard.read(a, b)
        if int(place[0, 0]) < 0:  # arrays without documents: what is left out is named by its row
            place = torch.stack([place[:, 0], torch.arange(before + a, before + b, dtype=place.dtype)], 1)
        part = self.outliers([acts[i] for i in self.columns], place)
        self.block += 1
        if self.block == len(self._blocks):
            if self.epoch + 1 < self.epochs:
                self.epoch, self.block = self.epoch + 1, 0
            else:
                self.done = True
        self.read += len(part[1])
        if self.limit is not None and self.read >= self.limit:
            self.done = True
        return [part] if len(part[1]) else []

    def sample(self, n: int) -> list[Tensor]:
        """Up to ``n`` rows spread over the store, (m, d) per hook point, to take sizes from."""
        size, pieces = len(self.store), min(_PIECES, n, len(self.store))
        each = max(1, min(n, size) // pieces)
        starts = [(size - each) * i // max(pieces - 1, 1) for i in range(pieces)]
        parts = [acts for start in starts for acts, _ in self.store.parts(start, start + each)]
        return self.outliers.learn([torch.cat([p[i] for p in parts]) for i in self.columns])

    def same(self) -> dict[str, Any]:
        """What decides which rows come when: a resumed run must agree in it."""
        return {
            "hooks": self.hooks, "store": self.store.digest, "blocks": len(self._blocks), "seed": self.seed,
            "outlier": self.outliers.outlier,
        }  # fmt: skip

    _KEPT = ("epoch", "block", "read", "done")

    def state(self) -> dict[str, Any]:
        """Where the reading stands, as plain values."""
        return {n: getattr(self, n) for n in self._KEPT} | {"screen": self.outliers.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        for name in self._KEPT:
            setattr(self, name, state[name])
        self.outliers.load(state["screen"])

"""A store read in random order, as a training run wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from saelab.activations.harvest import OutlierFilter, Part
from saelab.activations.store import ActivationStore
from saelab.errors import check_count

BLOCK = 1024  # rows that are read together; blocks come in random order


class Reader:
    """The rows of a store as a source for :class:`ActivationBuffer`: blocks in an order that follows
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
        self._blocks = [  # shard, first and last row (exclusive)
            (shard, a, min(a + BLOCK, len(shard)))
            for shard in store.shards
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
        shard, a, b = self._blocks[self._order()[self.block]]
        acts, place = shard.read(a, b)
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

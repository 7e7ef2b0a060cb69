"""The rows a run trains on, in random order over many documents.

The buffer is one preallocated array. It is filled, served in random order until half of it is used, and the
used half is replaced; so a batch mixes tokens of many documents, and memory stays the same however long the
run is.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from saelab.activations.harvest import OutlierFilter, Part
from saelab.errors import SaelabError, check_count


class BatchSource(Protocol):
    """Where rows come from: a model at work (:class:`saelab.activations.harvest.Harvester`) or a store on disk."""

    hooks: list[str]
    limit: int | None
    done: bool
    epoch: int
    digest: str  # of what was read
    outliers: OutlierFilter
    empty: int  # texts with nothing in them

    def next(self) -> list[Part]: ...
    def sample(self, n: int) -> list[Tensor]: ...
    def same(self) -> dict[str, Any]: ...
    def state(self) -> dict[str, Any]: ...
    def load(self, state: dict[str, Any]) -> None: ...


class ActivationBuffer:
    """Iterator over batches of activations.

    Parameters
    ----------
    source
        Where the rows come from.
    batch
        Rows per batch.
    capacity
        Rows held for shuffling; at least two batches.
    seed
        Of the order in which rows are served.

    Raises
    ------
    SaelabError
        When a size is impossible.
    """

    def __init__(self, source: BatchSource, *, batch: int = 4096, capacity: int = 1 << 16, seed: int = 0):
        self.source, self.batch = source, check_count("batch", batch)
        if capacity < 2 * batch:
            raise SaelabError(
                f"the buffer's capacity ({capacity} rows) must be at least two batches ({2 * batch})"
            )
        limit = source.limit
        self.capacity = capacity if limit is None else max(2 * batch, min(capacity, limit))
        self.generator = torch.Generator().manual_seed(seed)
        self.store: list[Tensor] = []  # per hook (capacity, d), made when the first rows come
        self.where = torch.zeros(self.capacity, 2, dtype=torch.int32)  # document and position of each row
        self.order = torch.empty(0, dtype=torch.long)
        self.filled = self.served = 0
        self.spare: list[Part] = []

    # --------------------------------------------------------------------------------------------- filling

    def _more(self) -> bool:
        """One more portion of the source into ``spare``; False when there is nothing more."""
        ended = self.source.done
        self.spare += [] if ended else self.source.next()
        return not ended

    def _put(self, slots: Tensor) -> int:
        """Fill ``slots`` with new rows; returns how many could be filled."""
        filled = 0
        while filled < len(slots) and (self.spare or self._more()):
            if not self.spare:
                continue  # a forward pass over special tokens alone
            acts, place = self.spare.pop(0)
            if not self.store:
                self.store = [torch.empty(self.capacity, a.shape[-1]) for a in acts]
            n = min(len(place), len(slots) - filled)
            target = slots[filled : filled + n]
            for store, a in zip(self.store, acts, strict=True):
                store[target] = a[:n]
            self.where[target] = place[:n]
            if n < len(place):
                self.spare.insert(0, ([a[n:] for a in acts], place[n:]))
            filled += n
        return filled

    def _refill(self) -> None:
        used = self.order[: self.served] if len(self.order) else torch.arange(self.capacity)
        kept = self.order[self.served :]
        new = used[: self._put(used)]
        live = torch.cat([kept, new])
        self.order = live[torch.randperm(len(live), generator=self.generator)]
        self.filled, self.served = len(live), 0

    # --------------------------------------------------------------------------------------------- serving

    def __iter__(self) -> ActivationBuffer:
        return self

    def __next__(self) -> list[Tensor]:
        """The next batch: for each hook point (batch, d) float32, rows aligned; the last may be shorter."""
        with torch.no_grad():
            if not len(self.order) or (self.served + self.batch > self.filled // 2 and not self._ended()):
                self._refill()
        rows = self.order[self.served : self.served + self.batch]
        if len(rows) == 0:
            raise StopIteration
        self.served += len(rows)
        return [store[rows] for store in self.store]

    def _ended(self) -> bool:
        return self.source.done and not self.spare

    def peek(self, n: int) -> list[Tensor]:
        """Up to ``n`` rows of what is in the buffer, without using them up (to initialize from)."""
        if not len(self.order):
            self._refill()
        rows = self.order[self.served :][:n]
        return [store[rows] for store in self.store]

    # -------------------------------------------------------------------------------------------- resuming

    def _same(self) -> dict[str, Any]:
        return {"batch": self.batch, "capacity": self.capacity} | self.source.same()

    def state_dict(self) -> dict[str, Any]:
        """Everything a fresh buffer over the same source needs to go on exactly here."""
        rows = self.order[self.served :]
        tensors = {f"store{i}": s[rows] for i, s in enumerate(self.store)} | {
            "where": self.where[rows],
            "spare_where": torch.cat([self.where[:0], *(place for _, place in self.spare)]),
            "slots": rows,
            "used": self.order[: self.served],
            "generator": self.generator.get_state(),
        }
        for i, parts in enumerate(zip(*(acts for acts, _ in self.spare), strict=True)):
            tensors[f"spare{i}"] = torch.cat(parts)
        counters = {"same": self._same(), "source": self.source.state()}
        return {"tensors": tensors, "counters": counters | {"filled": self.filled, "served": self.served}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo of :meth:`state_dict`; the source must be over the same text or store."""
        counters, t = state["counters"], state["tensors"]
        for name, own in self._same().items():
            saved = counters["same"].get(name)
            if saved != own:
                raise SaelabError(f"cannot resume: the checkpoint's {name} is {saved}, this run's is {own}")
        self.source.load(counters["source"])
        self.filled, self.served = counters["filled"], counters["served"]
        rows = t["slots"]
        self.order = torch.cat([t["used"], rows])
        self.store = []
        for i in (i for i in range(len(self.source.hooks)) if f"store{i}" in t):
            self.store.append(torch.empty(self.capacity, t[f"store{i}"].shape[-1]))
            self.store[i][rows] = t[f"store{i}"]
        self.where[rows] = t["where"]
        self.spare = []
        if len(t["spare_where"]):
            self.spare = [([t[f"spare{i}"] for i in range(len(self.source.hooks))], t["spare_where"])]
        self.generator.set_state(t["generator"])

"""Activations for training: harvested as they are needed, shuffled over many documents.

The buffer is one preallocated array. It is filled, served in random order until half of it is used, and the
used half is replaced; so a batch mixes tokens of many documents, and memory stays the same however long the
run is. Special tokens and padding never enter it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab import data, models
from saelab.errors import SaelabError, check_count

# what decides which rows come when: a resumed run must agree in it
_SAME = ("hooks", "batch", "capacity", "context", "bos", "harvest_tokens", "outlier")
_KEPT = ("filled", "served", "harvested", "dropped", "outliers", "epoch", "done", "typical", "digest")


class ActivationBuffer:
    """Iterator over batches of activations.

    Parameters
    ----------
    model, texts
        A list (read again when it ends, at most ``epochs`` times) or an iterator (read once).
    hooks
        One or several hook points; all are read in the same forward pass.
    batch
        Rows per batch.
    capacity
        Rows held for shuffling; at least two batches.
    limit
        Harvest no more than this many rows in all; None: as long as there is text.
    context, bos
        As in :func:`saelab.data.tokenize_texts`.
    seed
        Of the order in which rows are served.
    harvest_tokens
        Tokens in one forward pass.
    outlier
        Rows whose norm is more than this many times the median norm (of the first forward pass) are left
        out and counted in ``outliers``: a few of them would set the scale and the variance of everything.
        None keeps all.

    Raises
    ------
    SaelabError
        Before any work, when a size is impossible; on the first batch, when there is no text.
    """

    def __init__(
        self,
        model: Any,
        texts: Iterable[str],
        hooks: Sequence[str],
        *,
        batch: int = 4096,
        capacity: int = 1 << 16,
        limit: int | None = None,
        context: int | None = None,
        bos: bool | None = None,
        seed: int = 0,
        harvest_tokens: int = 8192,
        epochs: int = 1,
        outlier: float | None = 20.0,
    ):
        for hook in hooks:
            models.check_hook(model, hook)
        if isinstance(texts, str):
            raise SaelabError("texts must be a list or iterator of strings, got one string; use [text]")
        if outlier is not None and not outlier > 1:
            raise SaelabError(f"outlier is a multiple of the median norm above 1, got {outlier}")
        self.batch = check_count("batch", batch)
        if capacity < 2 * batch:
            raise SaelabError(
                f"the buffer's capacity ({capacity} rows) must be at least two batches ({2 * batch})"
            )
        self.model, self.texts, self.hooks = model, texts, list(hooks)
        self.limit, self.context = limit, context
        self.harvest_tokens = check_count("harvest_tokens", harvest_tokens)
        self.bos = models.default_bos(model) if bos is None else bos
        self.epochs, self.epoch = check_count("epochs", epochs), 0
        self.generator = torch.Generator().manual_seed(seed)
        self.capacity = capacity if limit is None else max(2 * batch, min(capacity, limit))
        self.store: list[Tensor] = []  # per hook (capacity, d), made at the first harvest
        self.where = torch.zeros(self.capacity, 2, dtype=torch.int32)  # document and position of each row
        self.order = torch.empty(0, dtype=torch.long)
        self.filled = self.served = self.harvested = self.dropped = self.outliers = 0
        self.outlier = outlier
        self.typical: list[float] = []  # per hook, median norm of a row in the first forward pass
        self.digest = ""  # of all texts up to the cursor's document
        self._hash = hashlib.sha256()
        self._resumed = (-1, "")  # until which document the texts must be the checkpoint's; their digest
        self.spare: list[tuple[list[Tensor], Tensor]] = []
        self.cursor = (-1, -1)  # document and start of the last row of text that was taken
        self.done = False
        self._rows: Iterator | None = None

    # ------------------------------------------------------------------------------------------ harvesting

    def _next_rows(self) -> data.TokenRows | None:
        """Rows of text for one forward pass, or None when the text has ended."""
        parts, seen, wanted = [], 0, self.harvest_tokens
        if self.limit is not None:
            wanted = min(wanted, self.limit - self.harvested)
        while seen < wanted:
            if self._rows is None:
                self._open()
            assert self._rows is not None
            part = next(self._rows, None)
            if part is None:
                again = not isinstance(self.texts, Iterator) and self.epoch + 1 < self.epochs
                if not again or self.cursor == (-1, -1):
                    break
                self.epoch, self.cursor, self._rows = self.epoch + 1, (-1, -1), None
                continue
            if part[0] != self.cursor[0]:
                self.digest = self._hash.hexdigest()
            self.cursor = (part[0], part[1])
            parts.append(part)
            seen += len(part[2])
        return data.rows_from(parts, self.bos) if parts else None

    def _open(self) -> None:
        """Begin to read the texts, behind the cursor."""
        resumed = self.cursor
        rows = data.stream_rows(
            self.model, self._watched(), context=self.context, bos=self.bos, skip=max(resumed[0], 0)
        )
        self._rows = (r for r in rows if (r[0], r[1]) > resumed)

    def _watched(self) -> Iterator[str]:
        """The texts, hashed as they go by; those before a checkpoint must be the ones it saw."""
        self._hash = hashlib.sha256()
        last, wanted = self._resumed
        number = -1
        for number, text in enumerate(self.texts):
            if isinstance(text, str):
                self._hash.update(f"{len(text)} ".encode() + text.encode("utf-8", "surrogatepass"))
            if number == last and self._hash.hexdigest() != wanted:
                raise SaelabError(
                    "cannot resume: the texts differ from those of the checkpoint "
                    f"(in the first {last + 1} documents)"
                )
            yield text
        if number < last:
            raise SaelabError(
                f"cannot resume: the texts end after {number + 1} documents, the checkpoint had read "
                f"{last + 1}; give them again from the beginning"
            )

    def _usable(self, acts: list[Tensor]) -> Tensor:
        """(n,) bool: rows that are finite and no outliers, the others counted."""
        norms = [a.norm(dim=-1) for a in acts]  # each (n,)
        finite = torch.stack([n.isfinite() for n in norms]).all(0)  # (n,)
        self.dropped += int((~finite).sum())
        if self.outlier is None or not finite.any():
            return finite
        if not self.typical:
            self.typical = [float(n[finite].median()) for n in norms]
        # a median of 0 says nothing about size
        limits = [self.outlier * t if t > 0 else float("inf") for t in self.typical]
        calm = torch.stack([n <= limit for n, limit in zip(norms, limits, strict=True)]).all(0)  # (n,)
        self.outliers += int((finite & ~calm).sum())
        return finite & calm

    def _harvest(self) -> bool:
        """One forward pass into ``spare``; False when there is nothing more to harvest."""
        if self.done:
            return False
        rows = self._next_rows()
        if rows is None:
            self.done = True
            return False
        for batch in rows.batches(self.harvest_tokens):
            found = models.run_to_hooks(self.model, batch.ids, self.hooks, batch.mask)
            keep = data.valid_mask(self.model, batch.ids, batch.mask)  # (B, T)
            acts = [found[h].float().cpu()[keep] for h in self.hooks]  # each (n, d)
            good = self._usable(acts)  # (n,)
            position = torch.arange(batch.ids.shape[1]).expand_as(batch.ids)[keep]  # (n,)
            document = (
                torch.from_numpy(rows.doc[batch.row]).long()[:, None].expand_as(batch.ids)[keep]
            )  # (n,)
            start = torch.from_numpy(rows.start[batch.row]).long()[:, None].expand_as(batch.ids)[keep]  # (n,)
            place = torch.stack([document, start + position - int(self.bos)], -1).int()  # (n, 2)
            if not good.all():
                acts, place = [a[good] for a in acts], place[good]
            self.harvested += len(place)
            if len(place):  # an empty part would count as something still to serve
                self.spare.append((acts, place))
        if self.limit is not None and self.harvested >= self.limit:
            self.done = True
        return True

    def _put(self, slots: Tensor) -> int:
        """Fill ``slots`` with new rows; returns how many could be filled."""
        filled = 0
        while filled < len(slots) and (self.spare or self._harvest()):
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
        return self.done and not self.spare

    def peek(self, n: int) -> list[Tensor]:
        """Up to ``n`` rows of what is in the buffer, without using them up (to initialise from)."""
        if not len(self.order):
            self._refill()
        rows = self.order[self.served :][:n]
        return [store[rows] for store in self.store]

    # -------------------------------------------------------------------------------------------- resuming

    def state_dict(self) -> dict[str, Any]:
        """Everything a fresh buffer over the same text needs to go on exactly here."""
        rows = self.order[self.served :]
        spare = [
            torch.cat([a[i] for a, _ in self.spare]) for i in range(len(self.hooks) if self.spare else 0)
        ]
        where = [self.where[:0], *(place for _, place in self.spare)]
        return {
            "tensors": {
                **{f"store{i}": s[rows] for i, s in enumerate(self.store)},
                **{f"spare{i}": s for i, s in enumerate(spare)},
                "where": self.where[rows],
                "spare_where": torch.cat(where),
                "slots": rows,
                "used": self.order[: self.served],
                "generator": self.generator.get_state(),
            },
            "counters": {
                "cursor": list(self.cursor),
                **{name: getattr(self, name) for name in (*_KEPT, *_SAME)},
            },
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo of :meth:`state_dict`; the texts must be the same, from their beginning."""
        counters, t = state["counters"], state["tensors"]
        for name in _SAME:
            saved, own = counters[name], getattr(self, name)
            if saved != own:
                raise SaelabError(f"cannot resume: the checkpoint's {name} is {saved}, this run's is {own}")
        if self._rows is not None and isinstance(self.texts, Iterator):
            raise SaelabError("cannot resume: this iterator of texts was read in part; give a new one")
        for name in _KEPT:
            setattr(self, name, counters[name])
        self.cursor = tuple(counters["cursor"])
        rows = t["slots"]
        self.order = torch.cat([t["used"], rows])
        self.store = []
        for i in range(len(self.hooks)):
            if f"store{i}" in t:
                store = torch.empty(self.capacity, t[f"store{i}"].shape[-1])
                store[rows] = t[f"store{i}"]
                self.store.append(store)
        self.where[rows] = t["where"]
        self.spare = []
        if len(t["spare_where"]):
            self.spare = [([t[f"spare{i}"] for i in range(len(self.hooks))], t["spare_where"])]
        self.generator.set_state(t["generator"])
        self._resumed = (self.cursor[0], self.digest)
        self._open()
        assert self._rows is not None
        first = next(self._rows, None)  # reads up to the cursor, so other texts are noticed before any work
        self._rows = itertools.chain([] if first is None else [first], self._rows)
        self._resumed = (-1, "")


def harvest(
    model: Any, rows: data.TokenRows, hook: str, *, batch_tokens: int = 8192
) -> Iterator[tuple[data.Batch, Tensor, Tensor]]:
    """Activations of all rows, in batches: (batch, activations (B, T, d), counted (B, T) bool)."""
    models.check_hook(model, hook)
    for batch in rows.batches(batch_tokens):
        acts = models.run_to_hooks(model, batch.ids, [hook], batch.mask)[hook]  # (B, T, d)
        yield batch, acts, data.valid_mask(model, batch.ids, batch.mask)


def mean_activation(model: Any, rows: data.TokenRows, hook: str, *, batch_tokens: int = 8192) -> np.ndarray:
    """(d,) mean over all counted positions, in float64."""
    total, n = None, 0
    for _, acts, keep in harvest(model, rows, hook, batch_tokens=batch_tokens):
        part = acts[keep.to(acts.device)].double().sum(0).cpu().numpy()
        total = part if total is None else total + part
        n += int(keep.sum())
    if total is None or n == 0:
        raise SaelabError("every position is a special token or padding: nothing to average")
    return total / n

"""Activations as they come out of the model: harvested when they are asked for, special tokens and padding left
out, with the document and the position of every row."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from saelab import identity, models
from saelab.errors import SaelabError, check_count
from saelab.models import HookedModel
from saelab.models.tokens import is_empty

if TYPE_CHECKING:
    from saelab.sae.objective import Ranks

_PLACES = 1000  # of rows that were left out, listed at most
_TEXTS, _LONGEST = 256, 200_000  # texts that a sample is taken from, and characters of each
_ROWS = 32  # of them, at least

Part = tuple[list[Tensor], Tensor]  # per hook point (n, d); document and position of each row (n, 2) int32


class OutlierFilter:
    """Leaves out rows that would spoil everything: what is not finite, and norms far above the median.

    Parameters
    ----------
    outlier
        Rows whose norm is more than this many times the median norm are left out: a few of them would set the
        scale and the variance of all. None keeps them. The median is that of :meth:`learn`, else of the first rows.

    Attributes
    ----------
    places
        Document and position of what was left out, by reason; the first 1,000 of each.
    """

    def __init__(self, outlier: float | None):
        if outlier is not None and not outlier > 1:
            raise SaelabError(f"outlier is a multiple of the median norm above 1, got {outlier}")
        self.outlier, self.not_finite, self.too_large = outlier, 0, 0
        self.typical: list[float] = []  # per hook point, median norm
        self.places: dict[str, list[list[int]]] = {"not finite": [], "too large": []}

    def learn(self, acts: list[Tensor]) -> list[Tensor]:
        """Take the median from a sample; the rows of it that can be used."""
        norms = [a.norm(dim=-1) for a in acts]  # each (n,)
        good = torch.stack([n.isfinite() for n in norms]).all(0)  # (n,)
        if not good.any():
            return []
        if not self.typical:
            self.typical = [float(n[good].median()) for n in norms]
        return [a[good & self._calm(norms)] for a in acts]

    def _calm(self, norms: list[Tensor]) -> Tensor:
        """(n,) bool, which rows are no outliers."""
        if self.outlier is None:
            return torch.ones_like(norms[0], dtype=torch.bool)
        # a median of 0 says nothing about size
        limits = [self.outlier * t if t > 0 else float("inf") for t in self.typical]
        return torch.stack([n <= limit for n, limit in zip(norms, limits, strict=True)]).all(0)

    def _note(self, reason: str, place: Tensor) -> None:
        listed = self.places[reason]
        listed += place[: max(_PLACES - len(listed), 0)].tolist()

    def __call__(self, acts: list[Tensor], place: Tensor) -> Part:
        """The rows that can be used; the others are counted in ``not_finite`` and ``too_large``."""
        norms = [a.norm(dim=-1) for a in acts]  # each (n,)
        good = torch.stack([n.isfinite() for n in norms]).all(0)  # (n,)
        self.not_finite += int((~good).sum())
        self._note("not finite", place[~good])
        if self.outlier is not None and good.any():
            self.typical = self.typical or [float(n[good].median()) for n in norms]
            calm = self._calm(norms)  # (n,)
            self.too_large += int((good & ~calm).sum())
            self._note("too large", place[good & ~calm])
            good = good & calm  # (n,)
        return (acts, place) if good.all() else ([a[good] for a in acts], place[good])

    def state(self) -> dict[str, Any]:
        kept = {"dropped": self.not_finite, "outliers": self.too_large, "typical": self.typical}
        return kept | {"places": self.places}

    def load(self, state: dict[str, Any]) -> None:
        self.not_finite, self.too_large, self.typical = (state[n] for n in ("dropped", "outliers", "typical"))
        self.places = state.get("places", self.places)  # checkpoints of before have none


class Harvester:
    """Activations of texts, one forward pass at a time.

    Parameters
    ----------
    model, texts
        As for :func:`saelab.models.tokenize_texts`; an iterator is read once, all else again when it ends, at
        most ``epochs`` times.
    hooks
        One or several hook points; all are read in the same forward pass.
    limit
        Harvest no more than this many rows in all (the last forward pass is kept whole); None: as long as
        there is text.
    context, bos
        As in :func:`saelab.models.tokenize_texts`.
    harvest_tokens
        Tokens in one forward pass.
    outlier
        See :class:`OutlierFilter`.
    ranks
        Processes that share each forward pass; all of them get all rows.

    Raises
    ------
    SaelabError
        Before any work, when a size is impossible.
    """

    def __init__(
        self,
        model: HookedModel,
        texts: models.Texts,
        hooks: Sequence[str],
        *,
        limit: int | None = None,
        context: int | None = None,
        bos: bool | None = None,
        harvest_tokens: int = 8192,
        epochs: int = 1,
        outlier: float | None = 20.0,
        ranks: Ranks | None = None,
    ):
        identity.check_unchanged(model, "activations")
        for hook in hooks:
            models.check_hook(model, hook)
        # rows go by as documents of one row; what they were is looked up at the end
        self.given = (
            models.checked_rows(model, texts, bos=bos) if isinstance(texts, models.TokenRows) else None
        )
        bos = bos if self.given is None else self.given.bos
        self.texts = models.each_text(texts, model=model, endless=limit is not None)
        self.model, self.hooks = model, list(hooks)
        self.limit, self.context = limit, context
        self.harvest_tokens = check_count("harvest_tokens", harvest_tokens)
        self.bos = models.default_bos(model) if bos is None else bos
        self.epochs, self.epoch = check_count("epochs", epochs), 0
        self.outliers, self.ranks = OutlierFilter(outlier), ranks
        self.harvested = 0
        self.cursor = (-1, -1)  # document and start of the last row of text that was taken
        self.done = False
        self.digest = ""  # of all texts up to the cursor's document
        self.empty = 0  # texts with nothing in them, so far
        self.pass_digest = ""  # of all texts, once they were read to their end and are read again
        self._hash = hashlib.sha256()
        self._resumed = (-1, "")  # until which document the texts must be the checkpoint's; their digest
        self._rows: Iterator | None = None

    def _next_rows(self) -> models.TokenRows | None:
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
                self.pass_digest = self.digest
                self.epoch, self.cursor, self._rows = self.epoch + 1, (-1, -1), None
                continue
            if part[0] != self.cursor[0]:
                self.digest = self._hash.hexdigest()
            self.cursor = (part[0], part[1])
            parts.append(part)
            seen += len(part[2])
        return models.rows_from(parts, self.bos) if parts else None

    def _open(self) -> None:
        """Begin to read the texts, behind the cursor."""
        resumed = self.cursor
        rows = models.stream_rows(
            self.model, self._watched(), context=self.context, bos=self.bos, skip=max(resumed[0], 0)
        )
        self._rows = (r for r in rows if (r[0], r[1]) > resumed)

    def _watched(self) -> Iterator[Any]:
        """The texts, hashed as they go by; those before a checkpoint must be the ones it saw."""
        self._hash, self.empty = hashlib.sha256(), 0
        last, wanted = self._resumed
        number = -1
        for number, text in enumerate(self.texts):
            self._add(self._hash, text)
            if number == last and self._hash.hexdigest() != wanted:
                raise SaelabError(
                    "cannot resume: the texts differ from those of the checkpoint "
                    f"(in the first {last + 1} documents)"
                )
            self.empty += is_empty(text)
            yield text
        if number < last:
            raise SaelabError(
                f"cannot resume: the texts end after {number + 1} documents, the checkpoint had read "
                f"{last + 1}; give them again from the beginning"
            )

    def _add(self, hashed: Any, text: Any) -> None:
        if isinstance(text, str):
            hashed.update(f"{len(text)} ".encode() + text.encode("utf-8", "surrogatepass"))
        elif text is not None:
            hashed.update(np.asarray(models.text_ids(self.model, text, bos=self.bos)).tobytes())

    def is_of(self, state: dict[str, Any], whole: bool) -> bool:
        """Whether the texts are those of an earlier harvest that stood at ``state``; ``whole`` if it read them all.

        Reads no further than it must. A state of before digests fits all, and so does an iterator that was used up.
        """
        if not (wanted := state.get("sha256") or state.get("digest")):
            return True
        of_pass = state.get("pass_sha256") or wanted
        whole = whole or bool(state.get("pass_sha256"))
        hashed, end, seen, text = hashlib.sha256(), "", False, None
        read = int(state.get("documents") or state.get("cursor", [-1])[0] + 1)  # 0 where that is not known
        for number, text in enumerate(self.texts):
            if read and number >= read and not seen:
                return False
            self._add(hashed, text)
            if not is_empty(text):  # an empty one gives no rows
                if seen and wanted == of_pass:
                    return False  # these go on where the others ended
                end = hashed.hexdigest()
                seen = seen or end == wanted
                if seen and not whole:
                    return True
        return text is None or (seen and end == of_pass)

    @torch.no_grad()
    def sample(self, n: int) -> list[Tensor]:
        """Up to ``n`` rows spread over all texts, (m, d) per hook point, to take sizes from: sorted text begins with
        one kind of it. Nothing of texts that can only be read once, or not out of order."""
        texts: Any = self.texts
        if isinstance(texts, Iterator) or not hasattr(texts, "__getitem__") or not len(texts):
            return []
        rows: list[tuple[int, int, list[int]]] = []
        for number in _evenly(len(texts), _TEXTS):
            text = texts[number]
            text = iter([text[:_LONGEST] if isinstance(text, str) else text])
            rows += models.stream_rows(self.model, text, context=self.context, bos=self.bos)
        # rows of all these texts, evenly: a long text counts for more than a short one, as it does in training
        size = sum(len(ids) for *_, ids in rows) / max(len(rows), 1)
        parts = [rows[i] for i in _evenly(len(rows), max(_ROWS, int(n / max(size, 1.0)) + 1))]
        found: list[list[Tensor]] = [[] for _ in self.hooks]
        for batch in models.rows_from(parts, self.bos).batches(self.harvest_tokens):
            for kept, acts in zip(found, self._acts(batch)[0], strict=True):
                kept.append(acts)
        acts = [torch.cat(kept) for kept in found] if parts else []
        return self.outliers.learn([a[_evenly(len(a), n)] for a in acts]) if acts else []

    def _acts(self, batch: models.Batch) -> tuple[list[Tensor], Tensor]:
        """Per hook point (n, d) in float32, and which positions (B, T) of the batch they are."""
        keep = models.valid_mask(self.model, batch.ids, batch.mask)  # (B, T)
        if self.ranks is None or self.ranks.alone:
            found = models.run_to_hooks(self.model, batch.ids, self.hooks, batch.mask, finite=False)
            return [found[h].cpu()[keep].float() for h in self.hooks], keep
        each = -(
            -len(batch.ids) // self.ranks.size
        )  # rows of text for each; the last ones may run some twice
        mine = (torch.arange(each) + each * self.ranks.rank).clamp_max(len(batch.ids) - 1)
        mask = None if batch.mask is None else batch.mask[mine]
        found = models.run_to_hooks(self.model, batch.ids[mine], self.hooks, mask, finite=False)
        all_rows = [self.ranks.gather(found[h].float(), "activations", dim=0).cpu() for h in self.hooks]
        return [a[: len(keep)][keep] for a in all_rows], keep

    @torch.no_grad()
    def next(self) -> list[Part]:
        """What one forward pass gives, in float32; ``done`` is True once there is nothing more to come."""
        rows = None if self.done else self._next_rows()
        if rows is None:
            self.done = True
            return []
        parts = []
        for batch in rows.batches(self.harvest_tokens):
            acts, keep = self._acts(batch)
            row, position = keep.nonzero(as_tuple=True)  # (n,)
            begins = rows.doc[batch.row], rows.start[batch.row]
            if self.given is not None:
                begins = self.given.doc[begins[0]], self.given.start[begins[0]] + begins[1]
            begins = torch.from_numpy(np.stack(begins, -1))  # (B, 2)
            place = begins.int()[row]  # (n, 2)
            place[:, 1] += (position - int(self.bos)).int()
            acts, place = self.outliers(acts, place)
            self.harvested += len(place)
            if len(place):  # an empty part would count as something still to serve
                parts.append((acts, place))
        if not self.harvested and self.outliers.not_finite:
            # a model that gives only NaN, which is named here
            models.run_to_hooks(self.model, batch.ids, self.hooks, batch.mask)
        if self.limit is not None and self.harvested >= self.limit:
            self.done = True
        return parts

    def same(self) -> dict[str, Any]:
        """What decides which rows come when: a resumed run must agree in it."""
        return {n: getattr(self, n) for n in ("hooks", "context", "bos", "harvest_tokens")} | {
            "outlier": self.outliers.outlier
        }

    _KEPT = ("harvested", "epoch", "done", "digest")

    def state(self) -> dict[str, Any]:
        """Where the harvest stands, as plain values."""
        kept = {name: getattr(self, name) for name in self._KEPT}
        kept |= {"pass_sha256": self.pass_digest} if self.pass_digest else {}
        return {**kept, "cursor": list(self.cursor), "screen": self.outliers.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken; the texts must be the same, from their beginning."""
        if self._rows is not None and isinstance(self.texts, Iterator):
            raise SaelabError("cannot resume: this iterator of texts was read in part; give a new one")
        for name in self._KEPT:
            setattr(self, name, state[name])
        self.cursor, self.pass_digest = tuple(state["cursor"]), state.get("pass_sha256", "")
        self.outliers.load(state["screen"])
        self._resumed = (self.cursor[0], self.digest)
        self._open()
        assert self._rows is not None
        first = next(self._rows, None)  # reads up to the cursor, so other texts are noticed before any work
        self._rows = itertools.chain([] if first is None else [first], self._rows)
        self._resumed = (-1, "")


def _evenly(size: int, n: int) -> list[int]:
    """Up to ``n`` numbers below ``size``, as far from each other as can be."""
    return list(range(size)) if size <= n else [(2 * i + 1) * size // (2 * n) for i in range(n)]

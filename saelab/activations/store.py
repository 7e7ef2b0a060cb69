"""Activations kept on disk, or in memory: harvested once, trained on as often as wanted.

A store is a folder of shards (safetensors: one array per hook point, and the document and position of every
row) and a ``store.json``. Each shard is written whole or not at all and says where the harvest stood behind it,
so a harvest that was broken off goes on there with the same call.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import files, identity, models
from saelab.activations.harvest import Harvester, Part
from saelab.activations.shards import Shard, checked_places, write_shard
from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_dtype, check_model, check_tensor, unknown
from saelab.models import HookedModel

if TYPE_CHECKING:
    from saelab.sae.objective import Ranks

_FORM = {
    "model": str, "weights": str, "widths": {str: int}, "context": (int, type(None)), "bos": bool,
    "rows_wanted": int, "shard_rows": int, "dtype": str,
}  # fmt: skip
_END = {"sha256": str, "shards": int}


@dataclass(frozen=True)
class Origin:
    """Where activations come from, as a run needs to know it."""

    model: str
    weights: str  # digest of the model's weights; of the rows themselves for a store in memory
    widths: dict[str, int]
    context: int | None
    bos: bool

    @classmethod
    def of_model(
        cls, model: HookedModel, hooks: Sequence[str], context: int | None = None, bos: bool | None = None
    ) -> Origin:
        for hook in hooks:
            models.check_hook(model, hook)
        return cls(
            models.model_name(model),
            models.digest(model),
            {h: models.hook_width(model, h) for h in hooks},
            models.context_length(model) if context is None else check_count("context", context, 2),
            models.default_bos(model) if bos is None else bos,
        )


_HASHED_ROWS = 1 << 14  # at a time, so that a mapped array is not held whole


@door
class ActivationStore:
    """Activations of one or several hook points, rows aligned.

    Made with :meth:`write` (a folder, from a model and texts), :meth:`open` (that folder again) or :meth:`of` (arrays you
    have). ``sl.train(store, d_sae=…, k=…)`` trains on it.

    Examples
    --------
    >>> store = sl.ActivationStore.of({"mine": torch.randn(100, 16)})
    >>> store, len(store)
    (ActivationStore of 100 rows at mine (16), in memory, 100)
    """

    def __init__(self, origin: Origin, shards: Sequence[Shard], digest: str, folder: Path | None = None):
        self.origin, self.digest, self.folder = origin, digest, folder
        self.shards = shards
        self.labels: Sequence[str] | None = None  # what rows are called where they are shown

    @classmethod
    def of(
        cls, arrays: Mapping[str, Any], *, where: Any = None, labels: Sequence[str] | None = None
    ) -> ActivationStore:
        """A store in memory from arrays you have: of a model's tokens, or of frames, patches, residues.

        ``sl.train(store, …)``, ``sl.LatentIndex.build(None, sae, store)``, ``sl.evaluate(None, sae, store)`` and
        ``sl.heatmap(None, sae, store)`` take it; what needs a model says so.

        Parameters
        ----------
        arrays
            Name (what ``hook`` will be called) to (n, d) activations, tensors or arrays of numpy; several must be aligned
            row by row. They are not copied: a memory-mapped array stays on disk, in the type of number it has there.
        where
            (n, 2) document and position of each row, if they have one; -1 otherwise, each a document of its own. Rows
            of a document that follow each other with rising positions are shown as one text.
        labels
            What each row is called where it is shown, in place of a token; equal labels are one kind. They are put
            together as tokens are, so a space between them must be their own. None: positions.

        Examples
        --------
        >>> frames = {"encoder": torch.randn(6, 16)}
        >>> where = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
        >>> store = sl.ActivationStore.of(frames, where=torch.tensor(where), labels=["hush ", "bark ", "hush "] * 2)
        >>> mine = sl.SAE(sl.SAEConfig("relu", d_in=16, d_sae=64, hook_in="encoder"))
        >>> sl.LatentIndex.build(None, mine, store, progress=False).rows
        TokenRows(2 rows, 6 tokens)
        >>> sl.ActivationStore.of({"first": torch.randn(9, 16), "second": torch.randn(9, 64)}).hooks
        ['first', 'second']
        """
        if not arrays:
            raise SaelabError("arrays is empty: give a dict such as {'my_layer': activations}")
        if bad := [name for name in arrays if not isinstance(name, str) or "+" in name or not name]:
            raise SaelabError(f"{bad[0]!r} is no name for a hook point: '+' joins those of a crosscoder")
        acts = [check_tensor(name, a).detach().cpu() for name, a in arrays.items()]
        sizes = {name: tuple(a.shape) for name, a in zip(arrays, acts, strict=True)}
        n = acts[0].shape[0] if acts[0].ndim else 0
        if any(len(s) != 2 or s[0] != n or not s[1] for s in sizes.values()) or n < 2:
            raise SaelabError(f"each array must be (rows, width) with the same number of rows, got {sizes}")
        place = checked_places(where, n)
        hashed = hashlib.sha256()
        for name, a in zip(arrays, acts, strict=True):
            hashed.update(f"{name} {tuple(a.shape)}".encode())
            for part in a.split(_HASHED_ROWS):  # in float32, as the rows are read
                hashed.update(part.float().contiguous().numpy().tobytes())
        digest = hashed.hexdigest()
        widths = {name: s[1] for name, s in sizes.items()}
        store = cls(Origin("", digest, widths, None, False), [Shard(n, acts, place.int())], digest)
        if labels is not None:
            store.labels = list(labels)
            if len(store.labels) != n:
                raise SaelabError(f"labels names {len(store.labels)} rows, the arrays have {n}")
        return store

    @classmethod
    def write(
        cls,
        model: HookedModel,
        texts: models.Texts,
        hooks: str | Sequence[str],
        path: str | Path,
        *,
        tokens: int | float | str = "2M",
        dtype: str = "bfloat16",
        context: int | None = None,
        bos: bool | None = None,
        epochs: int = 1,
        harvest_tokens: int = 8192,
        shard_rows: int = 1 << 16,
        progress: bool = True,
        ranks: Ranks | None = None,
    ) -> ActivationStore:
        """Harvest activations into a folder; the same call goes on where it was broken off.

        Parameters
        ----------
        texts
            As for :func:`saelab.tokenize_texts`: strings, token ids, rows.
        hooks
            One hook point or several; all are read in the same forward pass.
        tokens
            Rows to harvest, as a number or ``"2M"``; fewer if the text ends before.
        dtype
            ``"bfloat16"`` (two bytes a number), ``"float16"`` (more precise, an error if a number is too large
            for it) or ``"float32"``.
        shard_rows
            Rows in a file; what is lost at most when the harvest is killed.
        ranks
            Processes that share each forward pass, and all make this call: ``torchrun -m saelab harvest spec.json`` does.
            The first one writes.

        Rows that are not finite are left out and counted; outliers are kept (training leaves them out).

        Raises
        ------
        SaelabError
            Before work: an unknown hook point or dtype, a folder that holds something else, a store made with
            other settings (the first is named) or from other texts, or one that another process writes.

        Examples
        --------
        >>> hook = "blocks.0.hook_resid_post"
        >>> store = sl.ActivationStore.write(model, texts, hook, folder / "store", progress=False)
        >>> store.rows(0, 3).shape
        torch.Size([3, 16])
        """
        check_model(model)
        path, limit = Path(path).expanduser(), models.parse_tokens(tokens)
        hooks = [hooks] if isinstance(hooks, str) else list(hooks)
        if not hooks:
            raise SaelabError("hooks is empty: name at least one hook point")
        check_dtype(dtype)
        check_count("shard_rows", shard_rows)
        bos = texts.bos if bos is None and isinstance(texts, models.TokenRows) else bos
        source = Harvester(
            model, texts, hooks, limit=limit, context=context, bos=bos, epochs=epochs,
            harvest_tokens=harvest_tokens, outlier=None, ranks=ranks,
        )  # fmt: skip
        meta = {"saelab_store": 1, **vars(Origin.of_model(model, hooks, context, bos))} | {
            "dtype": dtype, "rows_wanted": limit, "epochs": epochs, "harvest_tokens": harvest_tokens,
            "shard_rows": shard_rows,
        }  # fmt: skip
        if _ended(path, meta, source):
            return cls.open(path)
        first = ranks is None or ranks.rank == 0
        with files.folder_lock(path, "harvesting activations") if first else contextlib.nullcontext():
            if not _ended(path, meta, source):
                _harvest(path, meta, source, progress and first, first)
            if ranks is not None:
                ranks.any(False)  # wait for the first one's last file
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> ActivationStore:
        """Open a store that :meth:`write` finished.

        Raises
        ------
        SaelabError
            If the folder holds none, the harvest did not end, or a shard is missing or cut short.

        Examples
        --------
        >>> hook = "blocks.0.hook_resid_post"
        >>> store = sl.ActivationStore.write(model, texts, hook, folder / "s", progress=False)
        >>> len(sl.ActivationStore.open(folder / "s")) == len(store)
        True
        """
        path = Path(path).expanduser()
        meta = _read_meta(path)
        if meta is None:
            raise SaelabError(f"no activation store in {path} (no store.json)")
        if "end" not in meta:
            raise SaelabError(
                f"the harvest into {path} did not end: call ActivationStore.write again as before"
            )
        widths = list(meta["widths"].values())
        shards = [Shard.open(path / f"rows-{i:05}.safetensors", widths) for i in range(meta["end"]["shards"])]
        if not any(len(s) for s in shards):
            raise SaelabError(f"{path / 'store.json'} says that there are no rows")
        origin = Origin(meta["model"], meta["weights"], meta["widths"], meta["context"], meta["bos"])
        return cls(origin, shards, meta["end"]["sha256"], path)

    # ------------------------------------------------------------------------------------------ reading

    @property
    def hooks(self) -> list[str]:
        """Names of the hook points.

        Examples
        --------
        >>> sl.ActivationStore.of({"mine": torch.ones(9, 16)}).hooks
        ['mine']
        """
        return list(self.origin.widths)

    def __len__(self) -> int:
        return sum(len(s) for s in self.shards)

    def rows(self, start: int, stop: int, hook: str | None = None) -> Tensor:
        """Activations (stop - start, d) in float32, in the order of the texts; of ``"a+b"`` side by side.

        Examples
        --------
        >>> sl.ActivationStore.of({"mine": torch.ones(9, 16)}).rows(2, 5).shape
        torch.Size([3, 16])
        """
        columns = [self._column(h) for h in ([None] if hook is None else hook.split("+"))]
        return torch.cat([torch.cat([acts[c] for c in columns], -1) for acts, _ in self.parts(start, stop)])

    def documents(self) -> tuple[models.TokenRows, list[str]]:
        """The rows as an index takes tokens: document by document, ids being numbers of labels; and the labels.

        Examples
        --------
        >>> rows, labels = sl.ActivationStore.of({"mine": torch.ones(3, 16)}, labels=["a", "b", "a"]).documents()
        >>> len(rows), rows.ids.tolist(), labels
        (3, [0, 1, 0], ['a', 'b'])
        """
        doc, position = self.where(0, len(self)).numpy().T.astype(np.int64)
        number = np.arange(len(self))
        names = np.where(position >= 0, position, number).tolist() if self.labels is None else self.labels
        ids: dict[str, int] = {}
        kinds = np.array([ids.setdefault(str(name), len(ids)) for name in names], np.int32)
        same = (doc[1:] == doc[:-1]) & (doc[1:] >= 0)
        on = (position[1:] > position[:-1]) | (position[1:] < 0)
        begins = np.flatnonzero(np.append(True, ~(same & on)))
        own = doc.max() + 1 + np.arange(len(begins))  # numbers of those that have none
        docs = np.where(doc[begins] < 0, own, doc[begins]).astype(np.int32)
        starts = np.maximum(position[begins], 0).astype(np.int32)
        rows = models.TokenRows(kinds, np.append(begins, len(self)), docs, starts, False)
        return rows, list(ids)

    def where(self, start: int, stop: int) -> Tensor:
        """Document and position in it of these rows: (stop - start, 2) int32; -1 where that is not known.

        Examples
        --------
        >>> sl.ActivationStore.of({"mine": torch.ones(9, 16)}).where(0, 1).tolist()
        [[-1, -1]]
        """
        return torch.cat([place for _, place in self.parts(start, stop)])

    def verify(self) -> None:
        """Read every shard whole and compare it with its checksum.

        What training and :meth:`rows` read is compared as it is read; this finds damage before.

        Raises
        ------
        SaelabError
            That names the first damaged file.

        Examples
        --------
        >>> sl.ActivationStore.of({"mine": torch.ones(9, 16)}).verify()
        """
        for shard in self.shards:
            shard.verify()

    def _column(self, hook: str | None) -> int:
        if hook is None and len(self.hooks) > 1:
            raise SaelabError(f"say which hook point: {', '.join(self.hooks)}")
        if hook is not None and hook not in self.hooks:
            raise unknown("hook point of this store", hook, self.hooks)
        return 0 if hook is None else self.hooks.index(hook)

    def parts(self, start: int, stop: int) -> list[Part]:
        """Rows shard by shard: activations of each hook point, and documents with positions.

        Examples
        --------
        >>> acts, place = sl.ActivationStore.of({"mine": torch.ones(9, 16)}).parts(2, 5)[0]
        >>> acts[0].shape, place.shape
        (torch.Size([3, 16]), torch.Size([3, 2]))
        """
        if not 0 <= start < stop <= len(self):
            raise SaelabError(f"rows {start}:{stop} of a store with {len(self)} rows")
        parts, first = [], 0
        for shard in self.shards:
            a, b = max(start - first, 0), min(stop - first, len(shard))
            if a < b:
                parts.append(shard.read(a, b))
            first += len(shard)
        return parts

    def to_frame(self) -> pd.DataFrame:
        """One line per hook point: width, rows.

        Examples
        --------
        >>> sl.ActivationStore.of({"mine": torch.ones(9, 16)}).to_frame()["width"].tolist()
        [16]
        """
        return pd.DataFrame(
            {"hook": self.hooks, "width": list(self.origin.widths.values()), "rows": len(self)}
        )

    def _facts(self) -> identity.Facts:
        mark = identity.Mark(self.origin.weights, self.origin.model)
        return identity.Facts("this store", "store", {"model": lambda: mark})

    def __repr__(self) -> str:
        place = "in memory" if self.folder is None else f"in {self.folder}"
        points = ", ".join(f"{h} ({w})" for h, w in self.origin.widths.items())
        return f"ActivationStore of {len(self):,} rows at {points}, {place}"

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)


def _read_meta(path: Path) -> dict[str, Any] | None:
    if not (path / "store.json").is_file():
        return None
    meta = files.read_json(path / "store.json", dict)
    if meta.get("saelab_store") != 1:
        raise SaelabError(f"{path / 'store.json'} is not of an activation store that this version can read")
    files.check_form(path / "store.json", meta, _FORM | ({"end": _END} if "end" in meta else {}))
    return meta


def _ended(path: Path, meta: dict[str, Any], source: Harvester) -> bool:
    """Whether this harvest has ended before; refuses a folder that holds another one, or something else."""
    earlier = _read_meta(path)
    if earlier is None:
        if path.is_dir() and any(not p.name.startswith(".") for p in path.iterdir()):
            raise SaelabError(f"{path} is not empty and holds no activation store: give another folder")
        return False
    for name in identity.changed({n: earlier.get(n) for n in meta}, meta):
        # a model that was moved to another folder is the same model: its weights say so
        if name != "model":
            raise SaelabError(
                f"the store in {path} was made with {name}={identity.told(earlier.get(name))}, this call says "
                f"{identity.told(meta[name])}: give another folder"
            )
    if "end" not in earlier:
        return False
    shard = Shard.open(
        path / f"rows-{earlier['end']['shards'] - 1:05}.safetensors", list(earlier["widths"].values())
    )
    if not source.is_of(shard.state, whole=shard.state["harvested"] < meta["rows_wanted"]):
        raise SaelabError(f"the store in {path} was made from other texts: give another folder")
    return True


def _harvest(path: Path, meta: dict[str, Any], source: Harvester, progress: bool, first: bool) -> None:
    """Write the shards that are not there yet, and ``store.json`` to its end. With several ranks all do the work, and the
    ``first`` writes: it cannot be ahead of what the others have seen in the folder, as each pass needs all of them."""
    if first and _read_meta(path) is None:
        files.write_json(path / "store.json", meta, checked=True)
    shards = sorted(path.glob("rows-*.safetensors"))
    if shards:
        source.load(Shard.open(shards[-1], list(meta["widths"].values())).state)
    bar = Bar(
        total=source.limit, initial=min(source.limit or 0, source.harvested), unit="tok", unit_scale=True,
        desc="harvest", disable=not progress,
    )  # fmt: skip
    parts: list[Part] = []
    number, written = len(shards), source.harvested
    with bar:
        while not source.done:
            before = source.harvested
            parts += source.next()
            bar.update(source.harvested - before)
            if parts and (source.harvested - written >= meta["shard_rows"] or source.done):
                if first:
                    write_shard(path / f"rows-{number:05}.safetensors", parts, meta["dtype"], source)
                parts, number, written = [], number + 1, source.harvested
    if not number:
        raise SaelabError("there is no text: every document was empty, or the iterator was already used up")
    end = {"sha256": source.digest, "dropped": source.outliers.not_finite, "shards": number}
    end |= {"dropped_at": source.outliers.places["not finite"], "empty": source.empty}
    if first:
        files.write_json(path / "store.json", meta | {"end": end}, checked=True)

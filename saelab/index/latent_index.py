"""``LatentIndex``: a search engine over where every latent fires."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saelab import models
from saelab.display import TextFrame
from saelab.errors import SaelabError, check_latent, check_model, check_sae
from saelab.index import summary
from saelab.index.notes import Notes
from saelab.index.queries import Queries
from saelab.index.storage import build as building
from saelab.index.storage import layout
from saelab.index.storage import merge as joining
from saelab.index.storage.vocab import Vocab


class LatentIndex(Queries):
    """Where every latent of an SAE fires on a text, made in one pass and kept in a folder of plain arrays.

    Make one with :meth:`build`, open one with :meth:`open`. Arrays are memory-mapped, so opening is instant
    however large the index, and a query touches only what it needs. Every number is exact: from all counted
    positions, never from a sample, whatever batches or shards it was made in.

    Attributes
    ----------
    path
        The folder; see :mod:`saelab.index.storage.layout` for the files.
    config
        What was indexed: SAE configuration, model, hook, mask, sizes, versions.
    rows
        The text as :class:`saelab.models.TokenRows`.
    counts
        (d_sae,) int64, at how many positions each latent fires.
    model, sae
        What it was made from, or what was attached on opening; None otherwise. Only decoder and encoder
        neighbours and the logit lens need them.

    Examples
    --------
    >>> index = sl.LatentIndex.build(model, sae, texts)        # doctest: +SKIP
    >>> index.search("HTTP").head()                            # doctest: +SKIP
    >>> index.top(123, n=5)[["token", "value", "text"]]        # doctest: +SKIP
    """

    def __init__(self, path: str | Path, model: Any = None, sae: Any = None):
        if sae is not None:
            check_sae(sae)
        if model is not None:
            check_model(model)
        self.path = Path(path)
        self.config: dict[str, Any] = layout.read_config(self.path)
        self.arrays = layout.open_arrays(self.path, self.config)
        a = self.arrays
        self.rows = models.TokenRows(
            a["tokens"], a["row_offsets"], a["row_doc"], a["row_start"], self.config["bos"]
        )
        self.vocab = Vocab(
            a["vocab_ptr"], a["vocab_bytes"], self.config["special_ids"], self.config["bos_id"]
        )
        self.sae, self.model = sae, model
        self._notes = Notes(self.path, self.config["identity"]["SAE"])
        self._watching: weakref.WeakSet[Any] = weakref.WeakSet()
        if sae is not None and sae.config.d_sae != self.d_sae:
            raise SaelabError(f"the index is of {self.d_sae} latents, but this SAE has {sae.config.d_sae}")

    # ------------------------------------------------------------------------------------ make and open

    @classmethod
    def build(
        cls,
        model: Any,
        sae: Any,
        texts: Iterable[str] | models.TokenRows,
        *,
        path: str | Path | None = None,
        tokens: int | str | None = None,
        batch_tokens: int = 8192,
        progress: bool = True,
        spill: int | str = "256MB",
        threshold: float = 0.0,
        skip_special: bool = True,
        shard: tuple[int, int] | None = None,
        overwrite: bool = False,
    ) -> LatentIndex:
        """Run ``texts`` through the model and the SAE once and index every latent.

        A build that was interrupted goes on when it is called again with the same arguments and ``path``;
        one that was finished is opened.

        Parameters
        ----------
        texts
            Strings, or rows made before.
        path
            Folder to make; None is a temporary folder that lives as long as the returned object.
        tokens
            Stop after this many tokens (``"2M"``); None takes all.
        batch_tokens
            Tokens in one forward pass.
        spill
            Memory to sort in. Less means more passes over temporary files, never another result.
        threshold
            Do not store activations up to this value. 0 keeps all; for SAEs with hundreds of active latents
            per token it keeps the index small. All statistics then are of the stored activations.
        skip_special
            Leave special tokens (BOS, padding, chat marks) out of everything, wherever they stand.
        shard
            ``(i, n)``: index only part ``i`` of ``n`` of the text; see :meth:`merge`.
        overwrite
            Replace an index that is already at ``path``.

        Raises
        ------
        SaelabError
            Before any work, if an argument is out of range, the SAE does not fit the model or the text, or
            ``path`` holds something else.
        """
        folder = Path(tempfile.mkdtemp(prefix="saelab-index-")) if path is None else Path(path)
        try:
            building.build(
                folder, model, sae, texts, tokens=tokens, batch_tokens=batch_tokens, progress=progress,
                spill=spill, threshold=threshold, skip_special=skip_special, shard=shard, overwrite=overwrite,
            )  # fmt: skip
            index = cls(folder, model, sae)
        except BaseException:
            if path is None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if path is None:
            weakref.finalize(index, shutil.rmtree, folder, ignore_errors=True)
        return index

    @classmethod
    def open(cls, path: str | Path, *, model: Any = None, sae: Any = None) -> LatentIndex:
        """Open the index in folder ``path``; ``sae`` and ``model`` may be attached, also later.

        Raises
        ------
        SaelabError
            If there is no finished index, or a file of it is missing, cut or foreign (it is named).
        """
        return cls(path, model, sae)

    @classmethod
    def merge(
        cls,
        paths: Sequence[str | Path],
        out: str | Path,
        *,
        spill: int | str = "256MB",
        overwrite: bool = False,
    ) -> LatentIndex:
        """Join indexes of one SAE and model, made apart, into a new one.

        Shards of one text (``build(..., shard=(i, n))``) give exactly the index of the whole, in whatever
        order they are named. Indexes of different texts are put one after another and their documents are
        numbered on.

        Raises
        ------
        SaelabError
            If they are of another SAE, model or tokenizer, or a shard is missing or twice there.
        """
        folders = [Path(p) for p in paths]
        joining.merge(folders, Path(out), spill=spill, overwrite=overwrite)
        index = cls(out)
        for folder in folders:
            index._notes.update(Notes(folder, index.config["identity"]["SAE"]))
        return index

    # ------------------------------------------------------------------------------------ labels and notes

    def label(self, latent: int) -> str:
        """The label somebody gave this latent, or an empty text."""
        return self._notes.get(check_latent(latent, self.d_sae), "label")

    def label_of(self, latents: Iterable[int]) -> list[str]:
        """:meth:`label` of each of ``latents`` (in range), read once."""
        notes = self._notes.all()
        return [notes.get(i, {}).get("label", "") for i in latents]

    def set_label(self, latent: int, text: str | None) -> None:
        """Label a latent (kept in ``labels.json`` beside the index); None or an empty text removes it."""
        self._notes.set(check_latent(latent, self.d_sae), "label", text)
        self._tell()

    def note(self, latent: int) -> str:
        """The note somebody made on this latent, or an empty text."""
        return self._notes.get(check_latent(latent, self.d_sae), "note")

    def set_note(self, latent: int, text: str | None) -> None:
        """Keep a note on a latent; None or an empty text removes it."""
        self._notes.set(check_latent(latent, self.d_sae), "note", text)
        self._tell()

    def watch_labels(self, view: Any) -> None:
        """Call ``view.labels_changed()`` whenever a label or note is written through this object."""
        self._watching.add(view)

    def _tell(self) -> None:
        for view in list(self._watching):
            view.labels_changed()

    def labels(self) -> pd.DataFrame:
        """All latents with a label or a note: latent, label, note."""
        return self._notes.frame()

    # ------------------------------------------------------------------------------------ show and export

    def dashboard(self, latent: int, **state: Any) -> Any:
        """Widget: everything about one latent; see :class:`saelab.widgets.LatentDashboard`."""
        latent = check_latent(latent, self.d_sae)
        from saelab import widgets

        return widgets.LatentDashboard(self, latent, **state)

    def table(self, latent: int | None = None, **state: Any) -> Any:
        """Widget: all latents, to sort, filter and search; see :class:`saelab.widgets.LatentTable`."""
        from saelab import widgets

        return widgets.LatentTable(self, latent, **state)

    def map(self, latent: int | None = None, **state: Any) -> Any:
        """Widget: latents as points, near where they are alike; see :class:`saelab.widgets.LatentMap`."""
        from saelab import widgets

        return widgets.LatentMap(self, latent, **state)

    def to_frame(self) -> pd.DataFrame:
        """All latents: :meth:`stats`, the token each is strongest on, and its label."""
        frame, peak = TextFrame(self.stats()), self.arrays["peak"]
        alive = np.flatnonzero(peak >= 0)
        kinds, which = np.unique(self.rows.ids[peak[alive]], return_inverse=True)
        frame["top_token"] = ""
        frame.loc[alive, "top_token"] = np.array(self.vocab.labels(kinds), dtype=object)[which]
        notes = self.labels()
        frame["label"] = ""
        frame.loc[notes["latent"], "label"] = notes["label"].to_numpy()
        return frame

    def export_html(
        self, path: str | Path, latents: Iterable[int] | None = None, *, title: str | None = None, n: int = 12
    ) -> Path:
        """Write one HTML file that is read offline: a table to search, and the dashboard of each latent.

        Parameters
        ----------
        path
            File to write; its folder is made.
        latents
            Which latents; None takes the 100 that fire most. About 100 fit in a megabyte.
        title
            Title of the page.
        n
            Examples of each kind (strongest, random) per latent.

        Raises
        ------
        SaelabError
            If a latent is out of range, before any work.
        """
        from saelab.widgets.export import write_index_page

        return write_index_page(self, path, latents, title=title, n=n)

    def to_openai(self, folder: str | Path, latents: Iterable[int] | None = None, **options: Any) -> Path:
        """Write records of OpenAI's SAE viewer; see :mod:`saelab.index.exports.openai`."""
        from saelab.index.exports.openai import write_openai

        return write_openai(self, folder, latents, **options)

    def to_neuronpedia(
        self,
        folder: str | Path,
        latents: Iterable[int] | None = None,
        *,
        model_id: str,
        source: str,
        **options: Any,
    ) -> list[Path]:
        """Write Neuronpedia's upload JSON; see :mod:`saelab.index.exports.neuronpedia`."""
        from saelab.index.exports.neuronpedia import write_neuronpedia

        return write_neuronpedia(self, folder, latents, model_id=model_id, source=source, **options)

    def to_neuronpedia_bulk(
        self, folder: str | Path, latents: Iterable[int] | None = None, *, model_id: str, layer: int,
        set_name: str, creator_id: str, **options: Any,
    ) -> Path:  # fmt: skip
        """Write Neuronpedia's bulk-import folder; see :mod:`saelab.index.exports.neuronpedia_bulk`."""
        from saelab.index.exports.neuronpedia_bulk import write_neuronpedia_bulk

        return write_neuronpedia_bulk(
            self,
            folder,
            latents,
            model_id=model_id,
            layer=layer,
            set_name=set_name,
            creator_id=creator_id,
            **options,
        )

    def to_parquet(self, folder: str | Path) -> Path:
        """Write Parquet files for SQL; see :func:`saelab.index.exports.parquet.write_parquet`."""
        from saelab.index.exports.parquet import write_parquet

        return write_parquet(self, folder)

    def __len__(self) -> int:
        return self.d_sae

    def __repr__(self) -> str:
        return summary.to_text(self)

    def _repr_html_(self) -> str:
        return summary.to_html(self)

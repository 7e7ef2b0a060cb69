"""``LatentIndex``: a search engine over where every latent fires."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from saelab import identity, models
from saelab.doors import door
from saelab.errors import SaelabError, check_latent, check_model, check_sae
from saelab.index import summary
from saelab.index.exports.neuronpedia import write_neuronpedia
from saelab.index.exports.neuronpedia_bulk import write_neuronpedia_bulk
from saelab.index.exports.openai import write_openai
from saelab.index.exports.parquet import write_parquet
from saelab.index.kept import Kept
from saelab.index.notes import Notes
from saelab.index.queries import Queries
from saelab.index.storage import build as building
from saelab.index.storage import layout
from saelab.index.storage import merge as joining
from saelab.index.storage.vocab import Vocab
from saelab.models import HookedModel
from saelab.sae import SAE


@door
class LatentIndex(Queries):
    """Where every latent of an SAE fires on a text, made in one pass and kept in a folder of plain arrays.

    Make one with :meth:`build`, open one with :meth:`open`. Arrays are memory-mapped, so opening is instant
    however large the index, and a query touches only what it needs. Every number is exact: from all counted
    positions, never from a sample. Shards and builds that were broken off give the same bits; other
    ``batch_tokens`` sum in another order, which moves the last bits of an activation.

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
    kept
        Columns of :meth:`to_frame` that other functions measured (:func:`saelab.steering_scores`,
        :func:`saelab.calibrate`), in ``columns.safetensors`` beside the index.
    model, sae
        What it was made from, or what was attached on opening; None otherwise. Only decoder and encoder
        neighbors and the logit lens need them. Another model or SAE is refused; see :func:`saelab.allow_mismatch`.
    mismatch
        What does not belong together here and was allowed; empty as a rule.

    Examples
    --------
    >>> index = sl.LatentIndex.build(model, sae, texts, progress=False)
    >>> index.top(latent, n=3)[["token", "value", "text"]].columns.tolist()
    ['token', 'value', 'text']
    """

    def __init__(self, path: str | Path, model: HookedModel | None = None, sae: SAE | None = None):
        self.path, self.temporary = Path(path), False
        self.config: dict[str, Any] = layout.read_config(self.path)
        self.arrays = layout.open_arrays(self.path, self.config)
        a = self.arrays
        self.rows = models.TokenRows(
            a["tokens"],
            a["row_offsets"],
            a["row_doc"],
            a["row_start"],
            self.config["bos"],
            self._facts().marks["tokenizer"]().digest,
        )
        self.vocab = Vocab(
            a["vocab_ptr"], a["vocab_bytes"], self.config["special_ids"], self.config["bos_id"]
        )
        self._model, self._sae = None, None
        self.notes = Notes(self.path, self.config["identity"]["SAE"], self.d_sae)
        self.kept = Kept(self.path, self.config["identity"], self.d_sae)
        self._attach(model, sae)

    def _facts(self) -> identity.Facts:
        return layout.facts(self.path, self.config, self.arrays)

    def _attach(self, model: HookedModel | None, sae: SAE | None) -> None:
        """Take model and SAE, if they are those the index was made from."""
        if model is not None:
            check_model(model)
        if sae is not None:
            check_sae(sae)
            if sae.config.d_sae != self.d_sae:
                raise SaelabError(
                    f"the index is of {self.d_sae} latents, but this SAE has {sae.config.d_sae}"
                )
        found = identity.meet(self, model, sae)
        self.mismatch = tuple(dict.fromkeys([*self.config.get("mismatch", ()), *found]))
        self._model, self._sae = model, sae

    @property
    def model(self) -> HookedModel | None:
        """The model, where it is attached; assigning attaches one, which must be that of the index."""
        return self._model

    @model.setter
    def model(self, model: HookedModel | None) -> None:
        self._attach(model, self._sae)

    @property
    def sae(self) -> SAE | None:
        """The SAE, where it is attached; assigning attaches one, which must be that of the index."""
        return self._sae

    @sae.setter
    def sae(self, sae: SAE | None) -> None:
        self._attach(self._model, sae)

    # ------------------------------------------------------------------------------------ make and open

    @classmethod
    def build(
        cls,
        model: HookedModel | None,
        sae: SAE,
        texts: models.Texts,
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
            As for :func:`saelab.tokenize_texts`: strings, token ids, or rows made before. Without a model (None) an
            :class:`saelab.ActivationStore`, whose labels stand where tokens do else; what needs a model says so.
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
            Replace an index that is already at ``path``: it stays until the new one is whole, and who has it open
            keeps it.

        Raises
        ------
        SaelabError
            Before any work, if an argument is out of range, the SAE does not fit the model or the text, or
            ``path`` holds something else.

        Examples
        --------
        >>> made = sl.LatentIndex.build(model, sae, texts, path=folder / "index", progress=False)
        >>> made.d_sae, len(made.rows)
        (64, 8)
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
            index.temporary = True
        return index

    @classmethod
    def open(
        cls, path: str | Path, *, model: HookedModel | None = None, sae: SAE | None = None
    ) -> LatentIndex:
        """Open the index in folder ``path``; ``sae`` and ``model`` may be attached, also later.

        Raises
        ------
        SaelabError
            If there is no finished index, a file of it is missing, cut or foreign (it is named), or it was made from
            another model or SAE. Damage inside an array is found by :meth:`verify`, which reads them all; opening
            reads none.

        Examples
        --------
        >>> len(sl.LatentIndex.open(index.path, sae=sae))
        64
        """
        return cls(path, model, sae)

    def verify(self) -> None:
        """Read every array whole and compare it with its checksum.

        An index of before checksums is only checked for values that point outside it.

        Raises
        ------
        SaelabError
            That names the first damaged file.

        Examples
        --------
        >>> index.verify()
        """
        layout.verify(self.path, self.config, self.arrays)

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

        Shards of one text (``build(..., shard=(i, n))``, the same ``batch_tokens``, on one machine) give exactly the
        index of the whole, in whatever order they are named. Indexes of different texts are put one after another
        and their documents are numbered on.

        Raises
        ------
        SaelabError
            If they are of another SAE, model or tokenizer, or a shard is missing or twice there.

        Examples
        --------
        >>> more = sl.LatentIndex.build(model, sae, ["Another text."], progress=False)
        >>> sl.LatentIndex.merge([index.path, more.path], folder / "both").n_tokens == index.n_tokens + more.n_tokens
        True
        """
        folders = [Path(p) for p in paths]
        joining.merge(folders, Path(out), spill=spill, overwrite=overwrite)
        index = cls(out)
        for folder in folders:
            index.notes.update(Notes(folder, index.config["identity"]["SAE"], index.d_sae))
        return index

    # ------------------------------------------------------------------------------------ labels and notes

    def label(self, latent: int) -> str:
        """The label somebody gave this latent, or an empty text.

        Examples
        --------
        >>> index.label(0)
        ''
        """
        return self.notes.get(check_latent(latent, self.d_sae), "label")

    def set_label(
        self,
        latent: int | Mapping[int, str | None],
        text: str | None = None,
        *,
        source: str = "",
        score: str = "",
    ) -> None:
        """Label a latent (kept in ``labels.json`` beside the index); None or an empty text removes it.

        ``{latent: text, …}`` labels many with one write of the file. ``source`` says who or what wrote it, and ``score`` how
        good it is; a label that is written over loses both.

        Examples
        --------
        >>> index.set_label(latent, "articles")
        >>> index.label(latent)
        'articles'
        >>> index.set_label({latent: "articles", 0: "dots"})
        """
        texts = self._texts(latent, text)
        about = dict.fromkeys(texts, {"source": source, "score": score}) if source or score else None
        self.notes.set("label", texts, about)

    def _texts(self, latent: int | Mapping[int, str | None], text: str | None) -> dict[int, str | None]:
        if isinstance(latent, Mapping) and text is not None:
            raise SaelabError(f"each latent of the dict brings its text; leave out {text!r:.40}")
        many = latent if isinstance(latent, Mapping) else {latent: text}
        return {check_latent(i, self.d_sae): t for i, t in many.items()}

    def note(self, latent: int) -> str:
        """The note somebody made on this latent, or an empty text.

        Examples
        --------
        >>> index.note(0)
        ''
        """
        return self.notes.get(check_latent(latent, self.d_sae), "note")

    def set_note(self, latent: int | Mapping[int, str | None], text: str | None = None) -> None:
        """Keep a note on a latent, or on each of ``{latent: text, …}``; None or an empty text removes it.

        Examples
        --------
        >>> index.set_note(latent, "fires on the second word too")
        >>> index.note(latent)[:5]
        'fires'
        """
        self.notes.set("note", self._texts(latent, text))

    def labels(self) -> pd.DataFrame:
        """All latents with a label or a note: latent, label, note, and the label's source and score.

        Examples
        --------
        >>> index.labels().columns.tolist()
        ['latent', 'label', 'note', 'source', 'score']
        """
        return self.notes.frame()

    # ------------------------------------------------------------------------------------ show and export

    to_openai = write_openai
    to_neuronpedia = write_neuronpedia
    to_neuronpedia_bulk = write_neuronpedia_bulk
    to_parquet = write_parquet

    def dashboard(self, latent: int | None = None, **state: Any) -> Any:
        """Widget: everything about one latent (None: one worth a look); see :class:`saelab.widgets.LatentDashboard`.

        Examples
        --------
        >>> index.dashboard(latent).latent == latent
        True
        """
        from saelab import widgets

        if latent is None:
            latent = next(iter(summary.worth_a_look(self, 1)[0]), 0)
        return widgets.LatentDashboard(self, latent, **state)

    def table(self, latent: int | None = None, **state: Any) -> Any:
        """Widget: all latents, to sort, filter and search; see :class:`saelab.widgets.LatentTable`.

        Examples
        --------
        >>> len(index.table().to_frame())
        64
        """
        from saelab import widgets

        return widgets.LatentTable(self, latent, **state)

    def map(self, latent: int | None = None, **state: Any) -> Any:
        """Widget: latents as points, near where they are alike; see :class:`saelab.widgets.LatentMap`.

        Examples
        --------
        >>> len(index.map().to_frame())
        64
        """
        from saelab import widgets

        return widgets.LatentMap(self, latent, **state)

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

        Examples
        --------
        >>> index.export_html(folder / "index.html", [latent]).name
        'index.html'
        """
        from saelab.widgets.export import write_index_page

        return write_index_page(self, path, latents, title=title, n=n)

    def __len__(self) -> int:
        return self.d_sae

    def __repr__(self) -> str:
        return summary.to_text(self)

    def _repr_html_(self) -> str:
        return summary.to_html(self)

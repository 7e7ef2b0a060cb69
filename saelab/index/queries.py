"""What an index answers: where latents fire, how strongly, on what, with whom."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saelab.errors import SaelabError, check_count, check_latent
from saelab.index import concepts as labelled
from saelab.index import examples, maps, relations, spans, stats
from saelab.index.storage import windows
from saelab.index.storage.arrays import ranges
from saelab.index.storage.layout import AFTER, BEFORE
from saelab.index.storage.vocab import Vocab
from saelab.models.rows import TokenRows


class Postings(NamedTuple):
    """Where a latent fires: token (n,) int32, ascending flat token indices; value (n,) float32, positive."""

    token: np.ndarray
    value: np.ndarray


class Queries:
    """The questions an index answers; see :class:`saelab.index.LatentIndex`."""

    config: dict[str, Any]
    arrays: dict[str, np.ndarray]
    rows: TokenRows
    vocab: Vocab
    sae: Any
    model: Any

    # ------------------------------------------------------------------------------------ sizes and access

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return self.config["d_sae"]

    @property
    def n_tokens(self) -> int:
        """All tokens of the text, special ones included."""
        return self.config["n_tokens"]

    @property
    def n_counted(self) -> int:
        """Positions that statistics are about."""
        return self.config["n_counted"]

    @property
    def counted(self) -> np.ndarray:
        """(n_tokens,) bool, False at positions that were left out."""
        return self.arrays["counted"]

    @cached_property
    def counts(self) -> np.ndarray:
        """(d_sae,) at how many positions each latent fires."""
        return np.diff(self.arrays["post_ptr"])

    def need_sae(self, what: str) -> Any:
        """The SAE, or an error that says how to attach one."""
        if self.sae is None:
            raise SaelabError(
                f"{what} needs the SAE: set index.sae, or open with LatentIndex.open(path, sae=…)"
            )
        return self.sae

    def need_model(self, what: str) -> Any:
        """The model, or an error that says how to attach one."""
        if self.model is None:
            raise SaelabError(
                f"{what} needs the model: set index.model, or open with LatentIndex.open(path, model=…)"
            )
        return self.model

    def postings(self, latent: int) -> Postings:
        """Where ``latent`` fires and how strongly; views of the memory-mapped files.

        Raises
        ------
        SaelabError
            If ``latent`` is not an integer in 0 … d_sae - 1.
        """
        latent = check_latent(latent, self.d_sae)
        a, b = self.arrays["post_ptr"][latent : latent + 2].tolist()
        return Postings(self.arrays["post_token"][a:b], self.arrays["post_value"][a:b])

    def code_span(self, token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the active latents of positions begin in ``code_latent`` and how many there are."""
        ptr, token = self.arrays["code_ptr"], np.asarray(token, dtype=np.int64)
        begin = ptr[token]
        return begin, ptr[token + 1] - begin

    def row_length(self, row: int) -> int:
        """Tokens in a row."""
        row = check_count("row", row, 0)
        if row >= len(self.rows):
            raise SaelabError(f"row {row} is out of range: the index has rows 0…{len(self.rows) - 1}")
        return int(self.rows.offsets[row + 1] - self.rows.offsets[row])

    def row_codes(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All active latents on a row: latent (n,) int64, value (n,) float32, position in the row (n,) int64.

        In order of position, then of latent.
        """
        length, begin = self.row_length(row), int(self.rows.offsets[row])
        start, count = self.code_span(np.arange(begin, begin + length))
        place = ranges(start, count)
        position = np.repeat(np.arange(length), count)
        latent = self.arrays["code_latent"][place].astype(np.int64)
        order = np.lexsort((latent, position))
        return latent[order], self.arrays["code_value"][place][order], position[order]

    def activations(self, latents: int | Iterable[int], row: int) -> np.ndarray:
        """(T, len(latents)) float32: activations on the tokens of a row, 0 where a latent does not fire."""
        wanted = [latents] if np.ndim(latents) == 0 else list(latents)  # type: ignore[arg-type]
        wanted = [check_latent(i, self.d_sae) for i in wanted]
        latent, value, position = self.row_codes(row)
        out = np.zeros((self.row_length(row), len(wanted)), dtype=np.float32)
        for column, i in enumerate(wanted):
            hit = latent == i
            out[position[hit], column] = value[hit]
        return out

    def window(
        self, token_index: int, before: int = BEFORE, after: int = AFTER
    ) -> tuple[np.ndarray, int, int]:
        """The tokens around a flat token index, inside its row.

        Returns
        -------
        ids, start, centre
            Token ids; position in the row of the first of them; which of them is the asked one.
        """
        token = check_count("token_index", token_index, 0)
        if token >= self.n_tokens:
            raise SaelabError(f"token {token} is out of range: the index has tokens 0…{self.n_tokens - 1}")
        before, after = check_count("before", before, 0), check_count("after", after, 0)
        (low,), (high,) = windows.bounds(self.rows, np.array([token]), before, after)
        _, (start,) = self.rows.locate(np.array([low]))
        return self.rows.ids[low:high], int(start), int(token - low)

    # ------------------------------------------------------------------------------------ statistics

    def stats(self) -> pd.DataFrame:
        """One row per latent: n, density with its 95 % interval, mean, mean_sq, skew, kurtosis, max, dead.

        See :func:`saelab.index.stats.table` for the definitions. A copy: change it as you like.
        """
        return self._stats.copy()

    @cached_property
    def _stats(self) -> pd.DataFrame:
        return stats.table(self.counts, self.arrays["moments"], self.n_counted)

    def latent_stats(self, latent: int) -> dict[str, Any]:
        """The line of :meth:`stats` of one latent as a dict, without making the others."""
        latent = check_latent(latent, self.d_sae)
        return {"latent": latent, **self.stats_of(np.array([latent]))[0]}

    def stats_of(self, latents: np.ndarray) -> list[dict[str, Any]]:
        """The lines of :meth:`stats` of some latents, without making the others."""
        return stats.lines(self.counts[latents], self.arrays["moments"][latents], self.n_counted)

    def histogram(self, latent: int, bins: int = 40, log: bool = False) -> pd.DataFrame:
        """Exact counts of positive activations: lo, hi, count; see :func:`saelab.index.stats.histogram`."""
        return stats.histogram(self.postings(latent).value, check_count("bins", bins), log)

    def percentile(self, latent: int, value: float) -> float:
        """Share of this latent's firings that are weaker than ``value``; NaN if it never fires."""
        values = self.postings(latent).value
        return float((values < value).mean()) if len(values) else float("nan")

    # ------------------------------------------------------------------------------------ examples

    def top(self, latent: int, n: int = 20, *, before: int = BEFORE, after: int = AFTER) -> pd.DataFrame:
        """The ``n`` strongest firings.

        Returns
        -------
        DataFrame
            token_index, row, position (in the row), doc, token (label), value, text (``before`` tokens, the
            token, ``after`` tokens, BOS left out), count. Firings with the same tokens around them are one
            line; ``count`` is how often that text makes the latent fire. No lines if the latent never fires.
        """
        return examples.top(self, check_latent(latent, self.d_sae), n, before, after)

    def random(
        self, latent: int, n: int = 20, seed: int = 0, *, before: int = BEFORE, after: int = AFTER
    ) -> pd.DataFrame:
        """``n`` firings drawn evenly from all of them; columns as :meth:`top`."""
        return examples.random(self, check_latent(latent, self.d_sae), n, seed, before, after)

    def interval(
        self, latent: int, lo: float | None = None, hi: float | None = None, n: int = 20, seed: int = 0, *,
        before: int = BEFORE, after: int = AFTER,
    ) -> pd.DataFrame:  # fmt: skip
        """``n`` firings drawn evenly from those with ``lo <= value <= hi``, strongest first."""
        return examples.interval(self, check_latent(latent, self.d_sae), lo, hi, n, seed, before, after)

    # ------------------------------------------------------------------------------------ relations

    def coactive(self, latent: int, n: int = 10) -> pd.DataFrame:
        """Latents that fire at the same positions, of all latents.

        Returns
        -------
        DataFrame
            latent; similarity: cosine of the two activations over all counted positions; both: at how many
            positions both fire; share: of this latent's firings; jaccard: both / either. Highest similarity
            first.
        """
        return relations.coactive(self, check_latent(latent, self.d_sae), n)

    def nearest(self, latent: int, by: str = "decoder", n: int = 10) -> pd.DataFrame:
        """Most similar of all latents by cosine of ``"decoder"``, ``"encoder"`` or ``"coactivation"``."""
        return relations.nearest(self, check_latent(latent, self.d_sae), by, n)

    def positions(self, method: str = "pca", by: str = "decoder", seed: int = 0) -> pd.DataFrame:
        """A place in the plane for every latent, near where their directions are alike.

        Parameters
        ----------
        method
            ``"pca"`` (the two directions of most variance, built in) or ``"umap"`` (needs ``umap-learn``).
        by
            ``"decoder"`` or ``"encoder"`` directions; their lengths do not count.
        seed
            Of UMAP.

        Returns
        -------
        DataFrame
            x, y in -1 … 1, one row per latent; NaN for a latent without a direction. ``attrs["method"]``;
            of PCA, ``attrs["explained"]`` is the share of the variance that each axis has.
        """
        return maps.positions(self, method, by, seed)

    def logit_lens(self, latent: int, n: int = 10) -> pd.DataFrame:
        """What the decoder direction votes for: rank, up_token, up_value, down_token, down_value.

        Through the final norm's gain and the unembedding, see :func:`saelab.models.lens.token_votes`; a
        hook point on the MLP's or attention's inner neurons goes through their output matrix first. Of a
        crosscoder it is the direction at its last hook point.

        Raises
        ------
        SaelabError
            If the SAE's hook point does not write to the residual stream.
        """
        return relations.logit_lens(self, check_latent(latent, self.d_sae), n)

    def search(
        self, text: str | None = None, regex: str | None = None, n: int = 20, *, ignore_case: bool = False
    ) -> pd.DataFrame:
        """Latents that fire on the matches of a text or a regular expression and not elsewhere.

        Returns
        -------
        DataFrame
            latent; hits: positions inside a match where it fires; precision: share of its firings that are
            hits; recall: share of the matches on which it fires at least once; mean activation over hits; f1
            of precision and recall, highest first. ``attrs["matches"]`` is the number of matches.
        """
        return spans.search(self, text, regex, n, ignore_case)

    def search_table(self) -> list[bytes]:
        """Bytes of every token as text to search in: special tokens are empty."""
        return self._search_table

    @cached_property
    def _search_table(self) -> list[bytes]:
        return self.vocab.table(hide_special=True)

    def latents_for(self, row: int, start: int, stop: int, n: int = 10) -> pd.DataFrame:
        """Latents that fire on positions ``start … stop`` of a row and not elsewhere in it.

        Returns
        -------
        DataFrame
            latent; inside, outside: positions of the row where it fires; precision = inside / (inside +
            outside); recall = inside / counted positions of the span; f1, highest first, rarer latents first
            among equals; max activation inside; fires: how often it fires in the whole index.
        """
        return spans.latents_for(self, row, start, stop, n)

    def concepts(self, labels: Any, *, min_tp: int = 1) -> pd.DataFrame:
        """How well each latent tells where each concept is.

        Parameters
        ----------
        labels
            ``{concept: (n_tokens,) bool}`` over the tokens of this index, or an object with ``concepts``
            (names) and ``matrix`` ((n_tokens, n_concepts), dense or compressed sparse rows).
        min_tp
            Leave out pairs that meet at fewer positions.

        Returns
        -------
        DataFrame
            concept, latent, tp (positions with both), fires, precision = tp / fires, recall = tp / counted
            positions of the concept, f1; span_recall, the share of the concept's spans (runs of its tokens in a
            row) in which the latent fires at all, and span_f1 of precision and that (Simon and Zou 2024,
            arXiv 2412.12101, for domains of proteins): the fairer score of a latent that marks one token of a
            longer span. All pairs with tp > 0, by concept, best f1 first.
        """
        return labelled.concepts(self, labels, min_tp)

"""What an index answers: where latents fire, how strongly, on what, with whom."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_latent, check_latents
from saelab.frames import TextFrame
from saelab.index import concepts as labeled
from saelab.index import diff as compared
from saelab.index import interest as interesting
from saelab.index import maps, relations, spans, stats
from saelab.index.columns import Columns
from saelab.index.examples import Parts
from saelab.index.firings import Firings
from saelab.index.storage.layout import AFTER, BEFORE


@door
class Queries(Columns):
    """The questions an index answers; see :class:`saelab.index.LatentIndex`."""

    # ------------------------------------------------------------------------------------ statistics

    def stats(self) -> pd.DataFrame:
        """One row per latent; a copy: change it as you like.

        Returns
        -------
        DataFrame
            n: at how many positions it fires; density: their share, with its 95 % interval density_lo and
            density_hi (documents are counted, copies once, see :mod:`saelab.intervals`; NaN below 20 documents, or 5
            in which it fires); mean: over the positions where it fires; mean_sq = E[a²], skew = E[a³] /
            E[a²]^1.5 and kurtosis = E[a⁴] / E[a²]², over all counted positions and about zero, as in OpenAI's
            SAE viewer; max; dead. What has no value (the mean of a latent that never fires) is NaN.

        Examples
        --------
        >>> index.stats()[["n", "density", "mean"]].shape
        (64, 3)
        """
        return self._stats.copy()

    @cached_property
    def _stats(self) -> pd.DataFrame:
        columns = stats.columns(self, np.arange(self.d_sae))
        return pd.DataFrame(columns, index=pd.RangeIndex(self.d_sae, name="latent"))

    def latent_stats(self, latent: int) -> dict[str, Any]:
        """The line of :meth:`stats` of one latent as a dict, without making the others.

        Examples
        --------
        >>> int(index.latent_stats(latent)["n"] - index.counts[latent])
        0
        """
        latent = check_latent(latent, self.d_sae)
        return {"latent": latent, **self.stats_of(np.array([latent]))[0]}

    def stats_of(self, latents: np.ndarray) -> list[dict[str, Any]]:
        """The lines of :meth:`stats` of some latents, without making the others."""
        named = stats.columns(self, np.array(check_latents(latents, self.d_sae, least=0, once=False), int))
        lines = zip(*(column.tolist() for column in named.values()), strict=True)
        return [dict(zip(named, line, strict=True)) for line in lines]

    def histogram(self, latent: int, bins: int = 40, log: bool = False) -> pd.DataFrame:
        """Exact counts of positive activations.

        Bins are equally wide from 0 to the maximum, or with ``log`` equally wide in the logarithm from the
        minimum to the maximum.

        Returns
        -------
        DataFrame
            lo (included), hi (excluded, but for the last bin), count. A latent that never fires gives no bins;
            with ``log``, one that has a single value gives one bin.

        Examples
        --------
        >>> int(index.histogram(latent, bins=5)["count"].sum() - index.counts[latent])
        0
        """
        edges, counts = stats.histogram(self.postings(latent).value, check_count("bins", bins), log)
        return pd.DataFrame({"lo": edges[:-1], "hi": edges[1:], "count": counts})

    def percentile(self, latent: int, value: float) -> float:
        """Share of this latent's firings that are weaker than ``value``; NaN if it never fires.

        Examples
        --------
        >>> index.percentile(latent, 1e9)
        1.0
        """
        values = self.postings(latent).value
        return float((values < value).mean()) if len(values) else float("nan")

    def interest(self, documents: Any = None) -> pd.DataFrame:
        """What a reader may find interesting in each latent; kept beside the index as columns of :meth:`to_frame`, by
        which tables sort.

        Parameters
        ----------
        documents
            Numbers of the documents (``index.rows.doc``) to measure on; None is all. Whoever shows examples or scores
            of what was chosen by this takes other documents for them.

        Returns
        -------
        DataFrame
            n: firings. lookup_f1: how well the token alone tells when it fires (the set of tokens with the best F1 on
            one half of the documents, scored on the other half). tokens: on how many it fires, as the exponential of
            the entropy. burst: how many times more often two of its firings are of one document than two positions are.
            kind: ``token`` (lookup_f1 ≥ 0.7), ``topic`` (≤ 0.5, at least 30 tokens, burst ≥ 4), ``context`` (≤ 0.5, at most
            4 tokens), ``mixed``, ``rare`` (fewer than 50 firings) or ``never fires`` (none).

        Examples
        --------
        >>> index.interest().columns.tolist()
        ['n', 'lookup_f1', 'tokens', 'burst', 'kind']
        """
        found = interesting.interest(self, documents)
        columns = {name: found[name].to_numpy() for name in ("lookup_f1", "tokens", "burst")}
        self.kept.put(np.arange(self.d_sae), columns, {"measured_on": found.attrs["measured_on"]})
        return found

    def to_frame(self) -> pd.DataFrame:
        """All latents: :meth:`stats`, kept columns (see :attr:`LatentIndex.kept`), the token each is strongest on, and
        its label.

        Examples
        --------
        >>> index.to_frame().columns[-2:].tolist()
        ['top_token', 'label']
        """
        frame, peak, notes = TextFrame(self.stats()), self.arrays["peak"], self.notes.frame()
        for name, values in self.kept.all()[0].items():
            frame[name] = values
        alive = np.flatnonzero(peak >= 0)
        frame["top_token"] = ""
        frame.loc[alive, "top_token"] = self.vocab.labels(self.rows.ids[peak[alive]])
        frame["label"] = ""
        frame.loc[notes["latent"], "label"] = notes["label"].to_numpy()
        return frame

    # ------------------------------------------------------------------------------------ examples

    def top(
        self,
        latent: int,
        n: int = 20,
        *,
        one_per_document: bool = True,
        before: int = BEFORE,
        after: int = AFTER,
    ) -> pd.DataFrame:
        """The ``n`` strongest firings, of each document the strongest.

        Parameters
        ----------
        one_per_document
            False: as many of a document as there are; a long document can then fill the table.

        Returns
        -------
        DataFrame
            token_index, row, position (in the row), doc, token (label), value, text (``before`` tokens, the
            token, ``after`` tokens, BOS left out), count. Firings with the same tokens around them are one
            line; ``count`` is how often that text makes the latent fire. No lines if the latent never fires.

        Examples
        --------
        >>> bool(index.top(latent, n=1)["value"].iloc[0] == index.latent_stats(latent)["max"])
        True
        """
        parts = self._parts(latent, before, after)
        return parts.frame(*parts.strongest(n, one_per_document))

    def random(
        self, latent: int, n: int = 20, seed: int = 0, *, before: int = BEFORE, after: int = AFTER
    ) -> pd.DataFrame:
        """``n`` firings drawn evenly from all of them; columns as :meth:`top`.

        Examples
        --------
        >>> len(index.random(latent, n=2)) <= 2
        True
        """
        parts = self._parts(latent, before, after)
        return parts.frame(*parts.at_random(n, seed))

    def interval(
        self, latent: int, lo: float | None = None, hi: float | None = None, n: int = 20, seed: int = 0, *,
        before: int = BEFORE, after: int = AFTER,
    ) -> pd.DataFrame:  # fmt: skip
        """``n`` firings drawn evenly from those with ``lo <= value <= hi``, strongest first; as :meth:`top`.

        Examples
        --------
        >>> bool((index.interval(latent, lo=0.5)["value"] >= 0.5).all())
        True
        """
        parts = self._parts(latent, before, after).between(
            0.0 if lo is None else lo, np.inf if hi is None else hi
        )
        return parts.frame(*parts.by_value(*parts.at_random(n, seed)))

    def _parts(self, latent: int, before: int, after: int) -> Parts:
        return Parts.whole(self, self._firings(latent), before, after)

    def _firings(self, latent: int) -> Firings:
        return Firings.of(self, [check_latent(latent, self.d_sae)])

    # ------------------------------------------------------------------------------------ relations

    def coactive(self, latent: int, n: int = 10) -> pd.DataFrame:
        """Latents that fire at the same positions, of all latents.

        Returns
        -------
        DataFrame
            latent; similarity: cosine of the two activations over all counted positions; both: at how many
            positions both fire; share: of this latent's firings; jaccard: both / either. Highest similarity
            first.

        Examples
        --------
        >>> index.coactive(latent, n=3).columns.tolist()
        ['latent', 'similarity', 'both', 'share', 'jaccard']
        """
        ((other, similarity),) = relations.coactive(self, self._firings(latent), check_count("n", n))
        both, mine = relations.meetings(self, latent, other), int(self.counts[latent])
        jaccard = both / np.maximum(self.counts[other] + mine - both, 1)
        shares = {"both": both, "share": both / max(mine, 1), "jaccard": jaccard}
        return pd.DataFrame({"latent": other, "similarity": similarity, **shares})

    def nearest(self, latent: int, by: str = "decoder", n: int = 10) -> pd.DataFrame:
        """Most similar of all latents by cosine of ``"decoder"``, ``"encoder"`` or ``"coactivation"``.

        Examples
        --------
        >>> index.nearest(latent, n=5).shape
        (5, 2)
        """
        ((other, similarity),) = relations.nearest(self, self._firings(latent), by, n)
        return pd.DataFrame({"latent": other, "similarity": similarity})

    def positions(self, method: str = "pca", by: str = "decoder", seed: int = 0) -> pd.DataFrame:
        """A place in the plane for every latent, near where their directions are alike.

        Parameters
        ----------
        method
            ``"pca"`` (the two directions of most variance), ``"neighbors"`` (latents with similar directions near each
            other, built in, up to 20,000 latents) or ``"umap"`` (needs ``umap-learn``).
        by
            ``"decoder"`` or ``"encoder"`` directions; their lengths do not count.
        seed
            Of neighbors and UMAP.

        Returns
        -------
        DataFrame
            x, y in -1 … 1, one row per latent; NaN for a latent without a direction. ``attrs["method"]``;
            of PCA, ``attrs["explained"]`` is the share of the variance that each axis has.

        Examples
        --------
        >>> index.positions().shape
        (64, 2)
        """
        return maps.positions(self, method, by, seed)

    def logit_lens(self, latent: int, n: int = 10) -> pd.DataFrame:
        """What the decoder direction adds to the logits: rank, up_token, up_value, down_token, down_value.

        Through the final norm's gain and the unembedding, see :mod:`saelab.models.lens`; a hook point on the
        MLP's or attention's inner neurons goes through their output matrix first. Of a crosscoder it is the
        direction at its last hook point.

        Raises
        ------
        SaelabError
            If the SAE's hook point does not write to the residual stream.

        Examples
        --------
        >>> index.logit_lens(latent, n=3)["rank"].tolist()
        [1, 2, 3]
        """
        (lens,) = relations.logit_lens(self, [check_latent(latent, self.d_sae)], n)
        columns = {"up_token": lens.up, "up_value": lens.up_value}
        columns |= {"down_token": lens.down, "down_value": lens.down_value}
        return TextFrame({"rank": np.arange(1, len(lens.up) + 1), **columns})

    def search(
        self, text: str | None = None, regex: str | None = None, n: int = 20, *, ignore_case: bool = False
    ) -> pd.DataFrame:
        """Latents that fire on the matches of a text or a regular expression and not elsewhere.

        Returns
        -------
        DataFrame
            latent; hits: positions inside a match where it fires; precision: share of its firings that are
            hits; recall: share of the matches on which it fires at least once; mean activation over hits; f1
            of precision and recall, highest first. ``attrs["matches"]`` is the number of matches; they choose the latents
            and score them, so the best looks better than it is (``attrs["scored_on"]``).

        Raises
        ------
        SaelabError
            If this index's text has no match, or no latent fires on one.

        Examples
        --------
        >>> found = index.search(regex="[Tt]he")
        >>> found["f1"].is_monotonic_decreasing
        True
        """
        found = spans.search(self, spans.pattern(text, regex, ignore_case), check_count("n", n))
        if not len(found):
            said = repr(regex if text is None else text)
            here = f"the {self.n_counted:,} counted tokens of this index's text"
            count = found.attrs["matches"]
            raise SaelabError(
                f"no latent fires on one of the {count:,} places where {said} occurs in {here}" if count
                else f"{said} does not occur in {here}"
                + (": ignore_case=True finds other spellings, and an index of more text more" if text else "")
            )  # fmt: skip
        return found

    def latents_for(self, row: int, start: int, stop: int, n: int = 10) -> pd.DataFrame:
        """Latents that fire on positions ``start … stop`` of a row and not elsewhere in it.

        Returns
        -------
        DataFrame
            latent; inside, outside: positions of the row where it fires; precision = inside / (inside +
            outside); recall = inside / counted positions of the span; f1, highest first, rarer latents first
            among equals; max activation inside; fires: how often it fires in the whole index.

        Examples
        --------
        >>> bool((index.latents_for(row=0, start=1, stop=3)["inside"] > 0).all())
        True
        """
        return spans.latents_for(self, row, start, stop, check_count("n", n))

    def diff(self, other: Columns) -> pd.DataFrame:
        """How often each latent fires on this text and on that of another index of the same SAE.

        Returns
        -------
        DataFrame
            latent; density here and ``other``; log2_ratio of the two; q: false-discovery rate (Benjamini and Hochberg) of
            an exact binomial test of the densities, of as many independent firings as are as uncertain as these, documents
            being what is drawn; it holds for corpora of different sizes. Missing where the latent fires in fewer than 5
            documents of either; documents, other_documents: in how many it fires; the token it is strongest on, where it
            fires more often. What is surest first.

        Raises
        ------
        SaelabError
            If the indexes are not of one SAE, or one has fewer than 20 documents.

        Examples
        --------
        >>> more = [f"{text} {i}" for i in range(3) for text in texts]
        >>> some = [sl.LatentIndex.build(model, sae, more, progress=False) for _ in (0, 1)]
        >>> some[0].diff(some[1])["log2_ratio"].abs().max()
        0.0
        """
        return compared.diff(self, other)

    def concepts(self, labels: Any, *, min_tp: int = 1, documents: Any = None) -> pd.DataFrame:
        """How well each latent tells where each concept is.

        Parameters
        ----------
        labels
            ``{concept: (n_tokens,) bool}`` over the tokens of this index, or an object with ``concepts``
            (names) and ``matrix`` ((n_tokens, n_concepts), dense or compressed sparse rows).
        min_tp
            Leave out pairs that meet at fewer positions.
        documents
            Numbers of the documents (``index.rows.doc``) to look at; None is all. The best latent of many looks better
            than it is: choose it on one half of the documents and score it on the other.

        Returns
        -------
        DataFrame
            concept, latent, tp (positions with both), fires, precision = tp / fires, recall = tp / counted
            positions of the concept, f1; span_recall, the share of the concept's spans (runs of its tokens in a
            row) in which the latent fires at all, and span_f1 of precision and that (Simon and Zou 2024,
            arXiv 2412.12101, for domains of proteins): the fairer score of a latent that marks one token of a
            longer span. All pairs with tp > 0, by concept, best f1 first. ``attrs["scored_on"]`` says how many
            documents that is of.

        Examples
        --------
        >>> fires = np.isin(np.arange(index.n_tokens), index.postings(latent).token)
        >>> float(index.concepts({"mine": fires})["f1"].iloc[0])
        1.0
        """
        return labeled.concepts(self, labels, check_count("min_tp", min_tp), documents)

"""What matching found, and what it means by firing rate."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from saelab.display import table_html
from saelab.errors import SaelabError, check_count, check_latent, unknown
from saelab.evaluation.comparison import style
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.intervals import of_means, of_trials
from saelab.matching import chance
from saelab.matching.partners import Best, Blocks, dense
from saelab.matching.text import Aligned, align

_ASSIGNED = 8192  # latents of the larger SAE up to which an assignment of all to all is made (256 MB)


class Side(NamedTuple):
    """Of one SAE's latents: best partners, chance's scores (draws, n), group, firing rate, number of copies."""

    best: Best
    null: np.ndarray
    group: np.ndarray
    rate: np.ndarray | None
    copies: np.ndarray


class Estimate(NamedTuple):
    """A mean over latents with its 95 % interval (latents taken as independent; NaN below 20), and how many they are."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        bounds = "no interval" if np.isnan(self.low) else f"{self.low:.3f}, {self.high:.3f}"
        return f"{self.value:.3f} [{bounds}] over {self.n:,} latents"

    @classmethod
    def of(cls, values: np.ndarray) -> Estimate:
        """Of the defined ones among ``values``."""
        values = values[np.isfinite(values)]
        (low,), (high,) = of_means(values[:, None])
        return cls(float(values.mean()) if len(values) else np.nan, float(low), float(high), len(values))


@dataclass(frozen=True, eq=False)
class LatentMatch:
    """What :func:`saelab.match` gives.

    Attributes
    ----------
    frame
        A line per latent of ``a``: ``partner``, its most similar latent of ``b`` (missing where it has none); their
        ``score``; ``second``, the score of the next best; ``null_quantile``, the share of the best scores under
        chance, of latents that fire about as often, that are lower; ``q``, the false-discovery rate of this score;
        ``matched`` (``q`` up to ``fdr``); ``mutual``, whether it is its partner's best too. Of an index also ``density``
        and the ``token`` either is strongest on, and their labels.
    back
        The same for the latents of ``b``; empty for substitution, which tries latents of ``a`` alone.
    by, of, null
        What was compared, in words, and what chance was.
    fdr
        The false-discovery rate that ``matched`` is about.

    Examples
    --------
    >>> found = sl.match(sae, sae)
    >>> bool((found.frame["partner"] == found.frame.index).all()), found.by
    (True, 'decoder')
    """

    a: Any
    b: Any
    frame: pd.DataFrame
    back: pd.DataFrame
    by: str
    of: str
    null: str
    fdr: float
    null_frame: pd.DataFrame  # latent, score, matched: of a's latents under chance, all draws
    blocks: Callable[[], Blocks] | None

    @classmethod
    def make(
        cls, a: Any, b: Any, forth: Side, back: Side, *, by: str, of: str, null: str, fdr: float,
        blocks: Callable[[], Blocks],
    ) -> LatentMatch:  # fmt: skip
        """From the best partners on both sides and those of chance."""
        frames = []
        for (best, scores, group, rate, alike), (other, *_), one, two in (
            (forth, back, a, b),
            (back, forth, b, a),
        ):
            found = chance.verdict(best.score, scores, group, alike)
            has = best.partner >= 0
            mutual = has & (other.partner[best.partner] == np.arange(len(has)))
            columns = {
                "partner": pd.array(np.where(has, best.partner, 0), "Int64"), "score": best.score, "second": best.second,
                "null_quantile": found.quantile, "q": found.q, "matched": has & (found.q <= fdr), "mutual": mutual,
            }  # fmt: skip
            columns["partner"][~has] = pd.NA
            if rate is not None:
                columns["density"] = rate
            frame = TextFrame(columns, index=pd.RangeIndex(len(has), name="latent"))
            frames.append(_named(frame, one, two))
        scores, group = forth.null, forth.group
        drawn = {"latent": np.tile(np.arange(len(group)), len(scores)), "score": scores.ravel()}
        drawn["matched"] = _passes(scores, frames[0], group).ravel()
        return cls(a, b, frames[0], frames[1], by, of, null, fdr, pd.DataFrame(drawn), blocks)

    # ------------------------------------------------------------------------------------ numbers

    def coverage(self, bins: int = 6) -> pd.DataFrame:
        """The share of ``a``'s latents that is matched, by how often they fire; dead latents are left out.

        Returns
        -------
        DataFrame
            low, high: densities of the bin; latents; matched: share, with its 95 % Wilson interval matched_lo and
            matched_hi (latents taken as independent; NaN below 20); null: share of chance's best scores that would
            pass the same score; score, null_score: medians.

        Raises
        ------
        SaelabError
            If SAEs were matched, which do not know how often latents fire.

        Examples
        --------
        >>> share = sl.match(index, index, by="activation").coverage(bins=2)
        >>> share[["latents", "matched", "null"]].shape
        (2, 3)
        """
        if "density" not in self.frame:
            raise SaelabError(
                "coverage is by firing rate, which SAEs do not know: match two indexes (by='decoder' too)"
            )
        frame: Any = self.frame
        drawn_all: Any = self.null_frame
        alive = frame[frame["density"] > 0]
        bins = min(check_count("bins", bins), max(len(alive), 1))
        if not len(alive):
            raise SaelabError("no latent of a fires on this text, so there is no rate to go by")
        group = chance.groups_of(alive["density"].to_numpy(), len(alive), bins, least=1)
        lines = []
        for i in range(bins):
            part = alive[group == i]
            low, high = of_trials(int(part["matched"].sum()), len(part)) or (np.nan, np.nan)
            drawn = drawn_all[drawn_all["latent"].isin(part.index)]
            lines.append({
                "low": part["density"].min(), "high": part["density"].max(), "latents": len(part),
                "matched": part["matched"].mean(), "matched_lo": low, "matched_hi": high,
                "null": drawn["matched"].mean(), "score": part["score"].median(), "null_score": drawn["score"].median(),
            })  # fmt: skip
        return pd.DataFrame(lines)

    @property
    def mmcs(self) -> Estimate:
        """Mean of the best scores (of directions: mean maximum cosine similarity). Several latents may share a partner,
        and chance alone gives much: see ``null_mmcs``."""
        return Estimate.of(self.frame["score"].to_numpy())

    @property
    def null_mmcs(self) -> Estimate:
        """The same under chance."""
        return Estimate.of(self.null_frame["score"].to_numpy())

    def pw_mcc(self) -> Estimate:
        """Mean of |score| over a one-to-one assignment that makes it largest (pairwise dictionary consistency, Song et
        al. 2025, arXiv 2505.20254; Hungarian method). Dead latents are left out, and what one side has more than
        the other; the result says over how many it is.

        Raises
        ------
        SaelabError
            If there are more than 8,192 latents: the assignment needs the whole array of pairs.

        Examples
        --------
        >>> round(sl.match(sae, sae).pw_mcc().value, 4)
        1.0
        """
        sizes = len(self.frame), len(self.back)
        if self.by == "substitution":
            raise SaelabError("pw_mcc assigns all latents to all, and substitution tries one partner of each")
        if self.blocks is None or max(sizes) > _ASSIGNED:
            raise SaelabError(
                f"pw_mcc assigns all latents at once, for up to {_ASSIGNED:,} of them; these SAEs have {sizes[0]:,} and "
                f"{sizes[1]:,}. mmcs and coverage() have no such limit"
            )
        alive = [
            np.flatnonzero(f["score"].notna() | (f["density"] > 0 if "density" in f else False))
            for f in (self.frame, self.back)
        ]
        similar = np.abs(dense(self.blocks, *sizes))[np.ix_(*alive)]
        found = similar[linear_sum_assignment(similar, maximize=True)].astype(np.float64)
        of_all = Estimate.of(np.minimum(found, 1))
        low, high = np.clip(of_all[1:3], 0, 1)
        return of_all._replace(low=float(low), high=float(high))

    # ------------------------------------------------------------------------------------ what differs

    def unmatched(self, of: str = "a") -> pd.DataFrame:
        """Latents without a partner beyond chance, those that fire most first (or that are least alike).

        Examples
        --------
        >>> len(sl.match(sae, sae).unmatched())
        0
        """
        frame: Any = self._side(of)
        alone = frame[~frame["matched"]]
        if "density" in alone:
            return alone[alone["density"] > 0].sort_values("density", ascending=False, kind="stable")
        return alone.sort_values("score", kind="stable")

    def splits(self, of: str = "a") -> pd.DataFrame:
        """Latents that are the best partner of several matched latents of the other side: one here, several there.
        ``splits("b")`` are the merges: latents of b into which several of a went together.

        Returns
        -------
        DataFrame
            latent; parts: the latents of the other side; scores: of each with it; covered (activation only): the
            share of its firings at which at least one of them fires, and most: the largest share of one alone. Most
            parts first.

        Examples
        --------
        >>> sl.match(sae, sae).splits().columns.tolist()[:3]
        ['latent', 'parts', 'scores']
        """
        other: Any = self._side("b" if of == "a" else "a")
        self._side(of)
        lines = []
        for latent, group in other[other["matched"]].groupby("partner"):
            if len(group) > 1:
                group = group.sort_values("score", ascending=False)
                lines.append(
                    {"latent": int(latent), "parts": group.index.tolist(), "scores": group["score"].tolist()}
                )
        frame: Any = pd.DataFrame(lines, columns=pd.Index(["latent", "parts", "scores"]))
        if self.by == "activation":
            shares = [
                self._covered(of, i, parts) for i, parts in zip(frame["latent"], frame["parts"], strict=True)
            ]
            frame["covered"], frame["most"] = [s[0] for s in shares], [s[1] for s in shares]
        return frame.sort_values("parts", key=lambda p: -p.map(len), kind="stable", ignore_index=True)

    def _covered(self, of: str, latent: int, parts: list[int]) -> tuple[float, float]:
        one, two = self._columns if of == "a" else self._columns[::-1]
        mine = one[:, [latent]].indices
        hits = np.stack([np.isin(mine, two[:, [p]].indices) for p in parts])
        return float(hits.any(0).mean()), float(hits.mean(1).max())

    def _side(self, of: str) -> pd.DataFrame:
        if of not in ("a", "b"):
            raise unknown("side", of, ("a", "b"))
        if of == "b" and self.by == "substitution":
            raise SaelabError(
                "substitution tries latents of a alone, so nothing is known of those of b: match b and a the other way "
                "round, or by='activation'"
            )
        return self.frame if of == "a" else self.back

    # ------------------------------------------------------------------------------------ one pair

    @functools.cached_property
    def aligned(self) -> Aligned:
        """Both indexes' activations on the same pieces of text (SAEs alone have none: a :class:`SaelabError`)."""
        if not (isinstance(self.a, LatentIndex) and isinstance(self.b, LatentIndex)):
            raise SaelabError("two latents are looked at on text, so match two indexes (by='decoder' too)")
        return align(self.a, self.b)

    @functools.cached_property
    def _columns(self) -> tuple[Any, Any]:
        return self.aligned.a.tocsc(), self.aligned.b.tocsc()

    def pair(self, latent: int) -> pd.DataFrame:
        """Where a latent of ``a`` and its partner fire: the evidence behind one line of ``frame``.

        Returns
        -------
        DataFrame
            A line per position at which either fires: doc; token_a, token_b: the token of either index there; a, b:
            activations; fires: ``"both"``, ``"a"`` or ``"b"``.

        Raises
        ------
        SaelabError
            If the latent has no partner, or SAEs were matched, which hold no text.

        Examples
        --------
        >>> set(sl.match(index, index, by="activation").pair(latent)["fires"])
        {'both'}
        """
        frame: Any = self.frame
        if check_latent(latent, self.a.d_sae) not in frame.index:
            raise SaelabError(f"latent {latent} of a was not tried: name it in match(…, latents=[{latent}])")
        partner: Any = frame["partner"][latent]
        if partner is pd.NA:
            raise SaelabError(f"latent {latent} of a has no partner: no latent of b fires where it does")
        a, b = (c[:, [i]].toarray()[:, 0] for c, i in zip(self._columns, (latent, int(partner)), strict=True))
        at = np.flatnonzero((a > 0) | (b > 0))
        a, b, where = a[at], b[at], self.aligned
        fires = np.select([(a > 0) & (b > 0), a > 0], ["both", "a"], "b")
        tokens = {"token_a": where.token_a[at], "token_b": where.token_b[at]}
        return pd.DataFrame({"doc": where.doc[at], **tokens, "a": a, "b": b, "fires": fires})

    # ------------------------------------------------------------------------------------ show

    def compare(self, latent: int | None = None, **state: Any) -> Any:
        """Widget: a latent and its partner side by side on the same text; see :class:`saelab.widgets.LatentCompare`.

        Examples
        --------
        >>> sl.match(index, index, by="activation").compare(latent).payload["partner"] == latent
        True
        """
        from saelab import widgets

        return widgets.LatentCompare(self, latent, **state)

    def plot(self) -> Any:
        """A plotly figure: the share matched by firing rate (of indexes), and the best scores beside chance's.

        Examples
        --------
        >>> len(sl.match(sae, sae).plot().data)
        2
        """
        from plotly.subplots import make_subplots

        rates = "density" in self.frame and bool((self.frame["density"] > 0).any())
        figure = make_subplots(1, 2 if rates else 1, horizontal_spacing=0.12)
        scores = {"found": (self.frame["score"], "#0089d8"), "chance": (self.null_frame["score"], "#8a8f98")}
        for name, (values, color) in scores.items():
            figure.add_histogram(
                x=values.dropna(), name=f"best score, {name}", histnorm="probability", nbinsx=50, opacity=0.65,
                marker_color=color, row=1, col=1,
            )  # fmt: skip
        if rates:
            share = self.coverage()
            middle = np.sqrt(share["low"] * share["high"])
            bars = {
                "type": "data", "array": share["matched_hi"] - share["matched"],
                "arrayminus": share["matched"] - share["matched_lo"],
            }  # fmt: skip
            figure.add_scatter(
                x=middle,
                y=share["matched"],
                error_y=bars,
                name="share matched",
                line_color="#0089d8",
                row=1,
                col=2,
            )
            figure.add_scatter(
                x=middle,
                y=share["null"],
                name="the same of chance",
                line={"color": "#8a8f98", "dash": "dot"},
                row=1,
                col=2,
            )
            figure.update_xaxes(type="log", title_text="firing rate of the latent", row=1, col=2)
            figure.update_yaxes(range=[0, 1.02], title_text="share with a partner", row=1, col=2)
        figure.update_xaxes(title_text=self.of.split(" on ")[0], row=1, col=1)
        figure.update_yaxes(title_text="share of latents", row=1, col=1)
        style(figure)
        figure.update_layout(barmode="overlay", height=360)
        return figure

    def _facts(self) -> str:
        frame: Any = self.frame
        able = frame["score"].notna()
        if "density" in self.frame:
            able |= self.frame["density"] > 0
        matched, n = int(frame["matched"].sum()), int(able.sum())
        bounds = of_trials(matched, n)
        share = f"{matched / n:.1%}" if n else "none"
        share += f" [95 %, over latents: {bounds[0]:.1%}, {bounds[1]:.1%}]" if bounds else ""
        least = 1 / max(len(self.null_frame), 1)  # the smallest q that can be
        few = f" So few draws allow no q below {least:.2g}, so no match." if least > self.fdr + 1e-9 else ""
        return (
            f"{matched:,} of {n:,} latents ({share}) have a partner beyond chance at a false-discovery rate of "
            f"{self.fdr:g}; mean best score {self.mmcs.value:.3f}, by chance {self.null_mmcs.value:.3f}. "
            f"Score: {self.of}. Chance: {self.null}.{few}"
        )

    def __repr__(self) -> str:
        return f"LatentMatch by {self.by}: {self._facts()}\n{self.frame}"

    def _repr_html_(self) -> str:
        best = self.frame.sort_values("score", ascending=False, kind="stable").head(20).reset_index()
        return table_html(
            f"Match by {self.by}. {self._facts()} The 20 best:", best, float_format="{:.4g}".format
        )


def _passes(scores: np.ndarray, frame: pd.DataFrame, group: np.ndarray) -> np.ndarray:
    """(draws, n) whether a best score of chance reaches the lowest matched score of its group."""
    out = np.zeros(scores.shape, bool)
    for g in np.unique(group):
        hits = frame["score"][(group == g) & frame["matched"].to_numpy()]
        if len(hits):
            out[:, group == g] = scores[:, group == g] >= hits.min()
    return out


def _named(frame: pd.DataFrame, one: Any, two: Any) -> pd.DataFrame:
    """With the token that either latent is strongest on, and labels, where they are known."""
    for name, thing, latents in (("", one, pd.Series(frame.index)), ("partner_", two, frame["partner"])):
        if isinstance(thing, LatentIndex):
            known: Any = thing.to_frame()[["top_token", "label"]]
            for column, source in (("token", "top_token"), ("label", "label")):
                text = known[source].reindex(latents.fillna(-1).astype(int)).fillna("").to_numpy()
                if source == "top_token" or any(text):
                    frame[name + column] = text
    return frame

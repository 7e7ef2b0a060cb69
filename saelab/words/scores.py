"""What scoring gives: a line per explanation, a line per source with what it cost, labels, and a plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from saelab.display import table_html
from saelab.doors import door
from saelab.errors import unknown
from saelab.evaluation.comparison import style
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.words.calls import LLM, Answer
from saelab.words.explaining import Explanations, write_labels
from saelab.words.measures import Judged, Simulated, together

Key = tuple[str, int, str]  # source, latent, way


@dataclass(frozen=True, eq=False)
@door
class Scores:
    """What :func:`saelab.words.score` gives.

    Attributes
    ----------
    frame
        A line per explanation and way. ``value``: balanced accuracy (0.5: knows nothing), of simulation the correlation;
        ``low``, ``high``: its 95 % interval (documents are counted; NaN below 20, or where fewer than 5 have a mistake);
        recall; specificity, and that of ``random`` and of ``hard`` passages; f1; auroc (where probabilities are given); r2;
        base_rate; n passages of how many documents; failed answers, which count as half right; apart: how far the judge
        tells right explanations from wrong ones (NaN: not checked). ``graph`` is what a graph itself predicts of the same
        passages, without a judge.
    summary
        The same of all latents together; calls, tokens and seconds of the judge; what the explanations took: tokens and
        seconds a latent, how many have none; of graphs mean precision, recall and F1 on all tokens of the test documents.
    judge, judges
        Who judged, and how good that one is: in one line, and way -> that.
    documents
        Numbers of the documents that were scored on; none of them was looked at for an explanation.

    Examples
    --------
    >>> words = sl.words.explain(index, [latent], by="tokens")
    >>> sl.words.score(words, lambda messages: "[1, 0, 1, 0]", progress=False).frame["way"].tolist()
    ['detection']
    """

    index: LatentIndex
    frame: pd.DataFrame
    summary: pd.DataFrame
    judges: Mapping[str, str]
    documents: tuple[int, ...]
    explanations: tuple[Explanations, ...]

    @property
    def judge(self) -> str:
        said = [*dict.fromkeys(self.judges.values())]
        return said[0] if len(said) == 1 else "; ".join(f"{way}: {s}" for way, s in self.judges.items())

    def _of(self, frame: Any, way: str) -> Any:
        if way not in set(frame["way"]):
            raise unknown("way", way, dict.fromkeys(frame["way"]))
        return frame[frame["way"] == way]

    def label(self, way: str = "detection", *, overwrite: bool = False) -> None:
        """Make the best explanation of each latent its label in the index, with its source and this score. The best of
        several is chosen on the documents that score it, so its score is a little too high: the label says of how many.

        Where every answer failed, the label stays, and so does one that a person wrote (it has no source), unless
        ``overwrite``.

        >>> words = sl.words.explain(index, [latent], by="tokens")
        >>> sl.words.score(words, lambda messages: "[1]", batch=1, progress=False).label(overwrite=True)
        >>> "detection" in index.notes.source(latent)
        True
        """
        found = self._of(self.frame, way)
        found = found[(found["failed"] < found["n"]) | (found["n"] == 0)].sort_values(
            "value", ascending=False, kind="stable", na_position="last"
        )
        texts, labels = {x.source: x for x in self.explanations}, {}
        line: Any
        tried = found.groupby("latent")["source"].nunique()
        for line in found.drop_duplicates("latent").itertuples():
            bounds = "" if math.isnan(line.low) else f" [{line.low:.2f}, {line.high:.2f}]"
            number = "undefined" if math.isnan(line.value) else f"{line.value:.2f}{bounds}"
            several = f", best of {tried[line.latent]}" if tried[line.latent] > 1 else ""
            said = f"{way} {number}{several} by {self.judges.get(way, 'no judge')}"
            labels[line.latent] = (texts[line.source][line.latent], line.source, said)
        write_labels(self.index, labels, overwrite)

    def plot(self, way: str = "detection") -> Any:
        """A plotly figure: the score of each source against the seconds a latent that it took; chance is dotted.

        >>> words = sl.words.explain(index, [latent], by="tokens")
        >>> len(sl.words.score(words, lambda messages: "[1, 0, 1, 0]", progress=False).plot().data)
        1
        """
        import plotly.graph_objects as go

        figure, chance = go.Figure(), 0.0 if way == "simulation" else 0.5
        lines = [self._of(self.summary, way), self.summary[(self.summary["way"] == "graph") & bool(chance)]]
        line: Any
        for line in pd.concat(lines).itertuples():
            bars = {"type": "data", "array": [line.high - line.value], "arrayminus": [line.value - line.low]}
            figure.add_scatter(
                x=[max(line.seconds_a_latent, 1e-3)], y=[line.value], mode="markers", marker={"size": 11},
                name=f"{line.source}, by itself" if line.way == "graph" != way else line.source, error_y=bars,
                hovertemplate=f"%{{y:.3f}}<br>%{{x:.3g}} s and {line.tokens_a_latent:,.0f} tokens a latent",
            )  # fmt: skip
        style(figure)
        figure.add_hline(chance, line_dash="dot")
        figure.update_xaxes(type="log", title_text="seconds to explain a latent (0.001: given, or less)")
        return figure.update_yaxes(title_text=f"{way}: {'balanced accuracy' if chance else 'correlation'}")

    def __repr__(self) -> str:
        return f"Scores, judged by {self.judge}\n{self.summary.to_string(index=False)}"

    def _repr_html_(self) -> str:
        caption = (
            f"Judged by {self.judge}. All latents together, on {len(self.documents):,} documents from which nothing was "
            "explained; who knows nothing has a balanced accuracy of 0.5."
        )
        return table_html(caption, self.summary.dropna(axis=1, how="all"), float_format="{:.3g}".format)


def make_scores(
    given: Sequence[Explanations], llm: LLM, parts: Mapping[Key, Judged | Simulated],
    answers: Mapping[Key, list[Answer]], documents: set[int],
) -> Scores:  # fmt: skip
    """From what was answered about each explanation."""
    lines, totals = [], []
    for (source, latent, way), part in parts.items():
        own: dict[str, Any] = {"latent": latent, "source": source, "way": way}
        lines.append(own | part.numbers() | {"apart": llm.apart.get(way, math.nan)})
    for x in given:
        cost = _explained(x)
        for way in dict.fromkeys(k[2] for k in parts if k[0] == x.source):
            keys = [k for k in parts if k[::2] == (x.source, way)]
            asked = [a for k in keys for a in answers.get(k, [])]
            totals.append(
                {"source": x.source, "way": way, **together([parts[k] for k in keys]), "calls": len(asked)}
                | {"judge_tokens": sum(a.tokens for a in asked), "judge_seconds": sum(a.seconds for a in asked)}
                | cost | {"apart": llm.apart.get(way, math.nan)}
            )  # fmt: skip
    frames = TextFrame(lines), TextFrame(totals)
    judges = judges_of(llm, [k[2] for k in parts if k[2] != "graph"])
    return Scores(given[0].index, *frames, judges, tuple(sorted(documents)), tuple(given))


def judges_of(llm: LLM, ways: Sequence[str]) -> dict[str, str]:
    """way -> who judges, and how good that one is."""
    return {way: f"{llm.name}, {llm.judged(way)}" for way in ways}


def _explained(x: Explanations) -> dict[str, float]:
    """What explaining took, and how good graphs are by themselves."""
    items = x.items.values()
    out = {
        "latents": len(items), "unexplained": sum(not e.text for e in items),
        "tokens_a_latent": float(np.mean([e.tokens for e in items])),
        "seconds_a_latent": float(np.mean([e.seconds for e in items])),
    }  # fmt: skip
    scores = [e.graph.score(x.index, "test") for e in items if e.graph is not None]
    for name in ("precision", "recall", "f1") if scores else ():
        known = [v for s in scores if (v := getattr(s, name)) is not None]
        out[f"graph_{name}"] = float(np.mean(known)) if known else math.nan
    return out

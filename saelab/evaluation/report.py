"""The report of an evaluation: each number with what it means."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from saelab import files
from saelab.errors import unknown
from saelab.evaluation.measure import Sums
from saelab.evaluation.metrics import BY_NAME, METRICS, counts, ratios
from saelab.identity import Facts, Mark, sae_digest
from saelab.intervals import Interval, of_sums
from saelab.sae import SAE


@dataclass(frozen=True)
class Report:
    """Numbers of :func:`saelab.evaluate`: ``report.l0`` and so on, one attribute per metric of ``to_frame()``.

    None where a number is undefined (see ``notes``). For a transcoder x is the activation it predicts, for a
    crosscoder those of all its hook points side by side.

    Examples
    --------
    >>> report = sl.evaluate(model, sae, texts, progress=False)
    >>> report.explained_variance < 1 and report.fvu > 0
    True
    """

    values: Mapping[str, float | int | None]  # metric -> value
    d_sae: int
    tokens: int  # counted positions
    excluded: int  # special tokens, left out of every number but one and never replaced
    predictions: int  # counted positions whose next token counts too: where losses are measured
    documents: int
    hook: str  # where it reads
    hook_out: str  # what it predicts, and where its reconstruction was put
    notes: tuple[str, ...] = ()
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # 95 %, see saelab.intervals
    by_hook: Mapping[str, float | None] = field(default_factory=dict)  # a crosscoder's explained variances
    sae: str = field(default="", repr=False)  # digest of the SAE
    density: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)  # (d_sae,)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("values", ()):
            return self.values[name]
        raise AttributeError(str(unknown("metric of a report", name, BY_NAME)))

    def _facts(self) -> Facts:
        return Facts("this report", "report", {"SAE": lambda: Mark(self.sae)})

    @property
    def shown(self) -> list[str]:
        """The metrics to show where there is room for a few."""
        return [m.name for m in METRICS if m.shown]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.values]

    def to_frame(self) -> pd.DataFrame:
        """One line per metric: value, bounds of its 95 % interval (None where it has none), meaning.

        Examples
        --------
        >>> sl.evaluate(model, sae, texts, progress=False).to_frame().loc["l0", "meaning"]
        'mean number of active latents per token'
        """
        lines = [(self.values[m.name], *self.intervals.get(m.name, (None, None)), m.meaning) for m in METRICS]
        names = pd.Index(BY_NAME, name="metric")
        # of objects, or pandas would make counts floats and "undefined" NaN
        return pd.DataFrame(lines, names, ["value", "low", "high", "meaning"], dtype=object)

    def to_dict(self) -> dict[str, Any]:
        """The metrics and all other fields but ``density``, the array.

        Examples
        --------
        >>> sl.evaluate(model, sae, texts, progress=False).to_dict()["documents"] == len(texts)
        True
        """
        others = (f.name for f in fields(self) if f.name not in ("values", "density"))
        return {**self.values, **{name: getattr(self, name) for name in others}}

    def to_json(self) -> str:
        """The same as JSON; undefined and infinite numbers are null.

        Examples
        --------
        >>> sl.evaluate(model, sae, texts, progress=False).to_json()[:21]
        '{"explained_variance"'
        """
        return json.dumps(files.plain(self.to_dict()), allow_nan=False)

    def __repr__(self) -> str:
        lines = []
        for name in self.shown:
            bounds = " … ".join(f"{bound:.4g}" for bound in self.intervals.get(name, ()))
            lines.append(f"{name:>24} {show(self.values[name]):>10}  {bounds}".rstrip())
        head = f"SAE at {self.hook}, {self.tokens:,} tokens of {self.documents:,} documents; value and 95 % interval"
        return "\n".join([head, *lines, *(f"! {note}" for note in self.notes), "to_frame() has every metric"])

    def _repr_html_(self) -> str:
        def line(name: str, meaning: str) -> list[str]:
            low_high = " … ".join(f"{bound:.4g}" for bound in self.intervals.get(name, ()))
            return [name, show(self.values[name]), low_high, meaning]

        place = self.hook if self.hook == self.hook_out else f"{self.hook} → {self.hook_out}"
        more = [f"explained variance at {hook}: {show(v)}" for hook, v in self.by_hook.items()]
        more += [f"⚠ {note}" for note in self.notes]
        header = ("metric", "value", "95 % interval", "meaning")
        return (
            f"<b>SAE at {html.escape(place)}</b>, {self.tokens:,} tokens of {self.documents:,} documents counted, "
            f"{self.excluded:,} special tokens left out, {self.d_sae:,} latents"
            + html_table(header, [line(m.name, m.meaning) for m in METRICS], left=(0, 3))
            + "".join(f"<p>{html.escape(text)}</p>" for text in more)
        )


def html_table(header: Sequence[str], lines: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """A table of texts; the columns ``left`` are prose, the others numbers. Metrics in the header are explained."""

    def cell(kind: str, column: int, text: str) -> str:
        side = "left" if column in left else "right;font-variant-numeric:tabular-nums"
        tip = f' title="{html.escape(BY_NAME[text].meaning)}"' if kind == "th" and text in BY_NAME else ""
        return f'<{kind} style="text-align:{side}"{tip}>{html.escape(text)}</{kind}>'

    rows = [("th", header), *(("td", line) for line in lines)]
    body = "".join(f"<tr>{''.join(cell(kind, i, t) for i, t in enumerate(row))}</tr>" for kind, row in rows)
    return f"<table>{body}</table>"


def show(value: Any) -> str:
    """A number for a table."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def report(sae: SAE, sums: Sums, vocabulary: int, notes: Iterable[str] = ()) -> Report:
    """The report of what was measured; ``vocabulary`` is the number of logits."""
    total = {name: values.sum() for name, values in sums.per_document.items()}
    found = {name: float(v) if np.isfinite(v) else None for name, v in ratios(total).items()}
    intervals = of_sums(sums.per_document, ratios)
    n, m = int(total["n"]), int(total["predictions"])
    by_hook = {name[1:]: found.pop(name) for name in list(found) if name[0] == "@"}
    values = found | counts(sums)
    return Report(
        values={name: values[name] for name in BY_NAME},
        d_sae=sae.config.d_sae, tokens=n, excluded=sums.special, predictions=m, documents=sums.documents + sums.copies,
        hook=sae.config.hook_in, hook_out=sae.config.hook_out,
        notes=(*notes, *_notes(found, total, m, sums, vocabulary)), sae=sae_digest(sae),
        intervals={
            k: v for k, v in intervals.items() if found.get(k) is not None and sums.documents >= BY_NAME[k].least
        },
        by_hook=by_hook, density=sums.fires / n,
    )  # fmt: skip


def _notes(
    value: Mapping[str, float | None], total: Mapping[str, Any], m: int, sums: Sums, vocabulary: int
) -> list[str]:
    notes = []
    if not np.isfinite([total["err2"], total["var2"], total["x2"]]).all():
        notes.append("explained variance is undefined: the squares of these activations are beyond float32")
    elif value["explained_variance"] is None:
        notes.append("explained variance is undefined: the activations do not vary")
    elif value["explained_variance"] < 0:
        notes.append(
            "worse than predicting the mean: is this the hook point and scale the SAE was trained on?"
        )
    if m == 0:
        why = "every row is one token long, there is no next token"
        why = why if sums.causal else "this model is an encoder and predicts no next token"
        notes.append(f"the losses are undefined: {sums.no_losses or why}")
    if m and (value["ce_clean"] or 0.0) > math.log(vocabulary):
        notes.append(
            f"the model itself predicts this text worse than chance ({value['ce_clean']:.3g} nats a token, chance is "
            f"ln {vocabulary:,} = {math.log(vocabulary):.3g}): are these tokens of its own tokenizer, and is it trained?"
        )
    for run in ("zero", "mean") if m else ():
        if not np.isfinite([total["ce_clean"], total["ce_sae"], total[f"ce_{run}"]]).all():
            notes.append(f"loss recovered against {run} ablation is undefined: a loss is not finite")
        elif value[f"loss_recovered_{run}"] is None:
            notes.append(
                f"loss recovered against {run} ablation is undefined: that ablation does not change the loss"
            )
        elif total[f"ce_{run}"] < total["ce_clean"]:
            notes.append(f"{run} ablation lowers the loss: loss recovered against it says little")
    if sums.empty:
        notes.append(f"{sums.empty:,} documents have no text")
    if sums.copies:
        notes.append(
            f"{sums.copies:,} documents are copies of others: intervals count the {sums.documents:,} that differ"
        )
    if sums.documents < (fewest := min(m.least for m in METRICS)):
        notes.append(f"there are no intervals: they take {fewest} documents, and these are {sums.documents}")
        return notes
    if m and (names := ", ".join(x.name for x in METRICS if x.least == math.inf)):
        notes.append(f"{names} have no interval: the mean that is put in place is of these documents")
    for least in sorted({m.least for m in METRICS if sums.documents < m.least < math.inf}):
        names = ", ".join(m.name for m in METRICS if m.least == least)
        notes.append(
            f"a few documents decide {names}: an interval takes {least:,} documents, and these are {sums.documents}"
        )
    return notes

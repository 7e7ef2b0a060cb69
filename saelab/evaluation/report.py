"""The report of an evaluation: each number with what it means."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from saelab import files
from saelab.evaluation.intervals import Interval, bootstrap
from saelab.evaluation.measure import Sums
from saelab.sae import SAE

MEANING = {
    "explained_variance": "1 - Σ‖x-x̂‖² / Σ‖x-x̄‖², sums over all tokens; predicting the mean gives 0",
    "explained_variance_special": "the same with special tokens (such as BOS) counted",
    "nmse": "Σ‖x-x̂‖² / Σ‖x-x̄‖²: error beside that of predicting the mean, as in Gao et al. 2024",
    "mse": "‖x-x̂‖² summed over the width, mean over tokens",
    "cosine": "mean cosine of x and x̂",
    "norm_ratio": "mean ‖x̂‖ / mean ‖x‖; below 1 is shrinkage",
    "l0": "mean number of active latents per token",
    "l0_p5": "5 % of the tokens have at most this many active latents",
    "l0_p50": "half of the tokens have at most this many",
    "l0_p95": "95 % of the tokens have at most this many",
    "density_p5": "5 % of the latents that fired did so on at most this share of the tokens",
    "density_p50": "half of the latents that fired",
    "density_p95": "95 % of the latents that fired",
    "dead": "latents that never fired in these tokens",
    "rare": "latents that fired on fewer than 1 token in 100,000, dead ones not counted; fewer tokens cannot tell",
    "dense": "latents that fired on more than 10 % of the tokens",
    "ce_clean": "next-token loss of the model as it is, nats",
    "ce_sae": "the same with the reconstruction in place of the activations",
    "ce_zero": "the same with zeros in their place",
    "ce_mean": "the same with their mean in their place",
    "kl_sae": "KL(clean ‖ with SAE), nats per token",
    "kl_zero": "KL(clean ‖ with zeros), nats per token",
    "kl_mean": "KL(clean ‖ with the mean), nats per token",
    "loss_recovered_zero": "(ce_zero - ce_sae) / (ce_zero - ce_clean)",
    "loss_recovered_mean": "(ce_mean - ce_sae) / (ce_mean - ce_clean)",
}
_RARE = 100_000


@dataclass(frozen=True)
class Report:
    """Numbers of :func:`saelab.evaluate`; None where a number is undefined (see ``notes``).

    For a transcoder x is the activation it predicts, for a crosscoder those of all its hook points side by side.
    """

    explained_variance: float | None
    explained_variance_special: float | None
    nmse: float | None
    mse: float
    cosine: float
    norm_ratio: float
    l0: float
    l0_p5: int
    l0_p50: int
    l0_p95: int
    density_p5: float | None
    density_p50: float | None
    density_p95: float | None
    dead: int
    rare: int | None
    dense: int
    ce_clean: float | None
    ce_sae: float | None
    ce_zero: float | None
    ce_mean: float | None
    kl_sae: float | None
    kl_zero: float | None
    kl_mean: float | None
    loss_recovered_zero: float | None
    loss_recovered_mean: float | None
    d_sae: int
    tokens: int  # counted positions
    excluded: int  # special tokens, left out of every number but one and never replaced
    predictions: int  # counted positions whose next token counts too: where losses are measured
    documents: int
    hook: str  # where it reads
    hook_out: str  # what it predicts, and where its reconstruction was put
    notes: tuple[str, ...] = ()
    intervals: Mapping[str, Interval] = field(default_factory=dict)  # 95 %, documents drawn with replacement
    by_hook: Mapping[str, float | None] = field(default_factory=dict)  # a crosscoder's explained variances
    density: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)  # (d_sae,)

    def to_frame(self) -> pd.DataFrame:
        """One line per metric: value, bounds of its 95 % interval (None where it has none), meaning."""
        metrics = pd.Index(MEANING, name="metric")

        def column(values: list[Any]) -> pd.Series:
            # of objects, or pandas would make counts floats and "undefined" NaN
            return pd.Series(values, index=metrics, dtype=object)

        bounds = [self.intervals.get(name, (None, None)) for name in MEANING]
        return pd.DataFrame(
            {
                "value": column([getattr(self, name) for name in MEANING]),
                "low": column([low for low, _ in bounds]),
                "high": column([high for _, high in bounds]),
                "meaning": pd.Series(MEANING, index=metrics),
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields but ``density``, the array."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "density"}

    def to_json(self) -> str:
        """The same as JSON; undefined and infinite numbers are null."""
        return json.dumps(files.plain(self.to_dict()), allow_nan=False)

    def _repr_html_(self) -> str:
        def interval(name: str) -> str:
            found = self.intervals.get(name)
            return "" if found is None else f"{found[0]:.4g} … {found[1]:.4g}"

        number = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
        lines = "".join(
            f'<tr><td style="text-align:left">{html.escape(name)}</td>'
            f'<td style="{number}">{show(getattr(self, name))}</td>'
            f'<td style="{number};opacity:.7">{interval(name)}</td>'
            f'<td style="text-align:left;opacity:.7">{html.escape(meaning)}</td></tr>'
            for name, meaning in MEANING.items()
        )
        place = self.hook if self.hook == self.hook_out else f"{self.hook} → {self.hook_out}"
        parts = "".join(
            f"<p>explained variance at {html.escape(h)}: {show(v)}</p>" for h, v in self.by_hook.items()
        )
        notes = "".join(f"<p>⚠ {html.escape(n)}</p>" for n in self.notes)
        header = "".join(f'<th style="text-align:{side}">{text}</th>' for text, side in _HEADER)
        return (
            f"<b>SAE at {html.escape(place)}</b>, {self.tokens:,} tokens of {self.documents:,} documents counted, "
            f"{self.excluded:,} special tokens left out, {self.d_sae:,} latents"
            f"<table><tr>{header}</tr>{lines}</table>{parts}{notes}"
        )


_HEADER = (("metric", "left"), ("value", "right"), ("95 % interval", "right"), ("meaning", "left"))


def show(value: Any) -> str:
    """A number for a table."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "undefined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def numbers(s: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every number that is a function of sums over tokens; NaN where its denominator is nothing."""

    def ratio(a: Any, b: Any, least: Any = 0.0) -> np.ndarray:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return np.where(b > least, a / np.where(b > least, b, 1.0), np.nan)

    n, m = s["n"], s["predictions"]
    # what is left of equal rows is rounding, not variance
    unexplained = ratio(s["err2"], s["var2"], 1e-9 * np.maximum(s["x2"], 1e-300))
    out = {
        "explained_variance": 1 - unexplained,
        "explained_variance_special": 1
        - ratio(s["err2_all"], s["var2_all"], 1e-9 * np.maximum(s["x2"], 1e-300)),
        "nmse": unexplained,
        "mse": ratio(s["err2"], n),
        "cosine": ratio(s["cos"], n),
        "norm_ratio": ratio(s["norm_r"], s["norm_x"]),
        "l0": ratio(s["l0"], n),
    }
    for run in ("clean", "sae", "zero", "mean"):
        out[f"ce_{run}"] = ratio(s[f"ce_{run}"], m)
        if run != "clean":
            out[f"kl_{run}"] = ratio(s[f"kl_{run}"], m)
    for run in ("zero", "mean"):
        gap = out[f"ce_{run}"] - out["ce_clean"]
        # with the gap's sign on both sides: an ablation may also help
        out[f"loss_recovered_{run}"] = ratio(
            (out[f"ce_{run}"] - out["ce_sae"]) * np.sign(gap), np.abs(gap), 1e-6
        )
    for name in s:
        if name.startswith("err2@"):
            hook = name.removeprefix("err2@")
            out[f"@{hook}"] = 1 - ratio(s[name], s[f"var2@{hook}"], 1e-9 * np.maximum(s["x2"], 1e-300))
    return out


def report(sae: SAE, sums: Sums, *, resamples: int, seed: int) -> Report:
    """The report of what was measured."""
    total = {name: values.sum() for name, values in sums.per_document.items()}
    value = {name: None if np.isnan(v) else float(v) for name, v in numbers(total).items()}
    n, m = int(total["n"]), int(total["predictions"])
    intervals = bootstrap(sums.per_document, numbers, resamples=resamples, seed=seed) if resamples else {}
    by_hook = {name[1:]: value.pop(name) for name in list(value) if name[0] == "@"}
    density = sums.fires / n
    alive = np.sort(density[density > 0])

    def share(q: float) -> float | None:
        return float(alive[math.ceil(q * len(alive)) - 1]) if len(alive) else None

    reached = np.cumsum(sums.l0)
    l0 = {f"l0_p{q}": int(np.searchsorted(reached, math.ceil(q * n / 100))) for q in (5, 50, 95)}
    return Report(
        **value,  # type: ignore[arg-type]
        **l0,
        density_p5=share(0.05), density_p50=share(0.5), density_p95=share(0.95),
        dead=int((sums.fires == 0).sum()),
        rare=int((alive < 1 / _RARE).sum()) if n > _RARE else None,
        dense=int((density > 0.1).sum()),
        d_sae=sae.config.d_sae, tokens=n, excluded=sums.special, predictions=m, documents=sums.documents,
        hook=sae.config.hook_in, hook_out=sae.config.hook_out,
        notes=tuple(_notes(value, total, m, sums.documents)),
        intervals={k: v for k, v in intervals.items() if value.get(k) is not None},
        by_hook=by_hook, density=density,
    )  # fmt: skip


def _notes(value: Mapping[str, float | None], total: Mapping[str, Any], m: int, documents: int) -> list[str]:
    notes = []
    if value["explained_variance"] is None:
        notes.append("explained variance is undefined: the activations do not vary")
    elif value["explained_variance"] < 0:
        notes.append(
            "worse than predicting the mean: is this the hook point and scale the SAE was trained on?"
        )
    if m == 0:
        notes.append("the losses are undefined: every row is one token long, there is no next token")
    else:
        for run in ("zero", "mean"):
            if value[f"loss_recovered_{run}"] is None:
                notes.append(
                    f"loss recovered against {run} ablation is undefined: that ablation does not change the loss"
                )
            elif total[f"ce_{run}"] < total["ce_clean"]:
                notes.append(f"{run} ablation lowers the loss: loss recovered against it says little")
    if documents == 1:
        notes.append("there are no intervals: they come from drawing documents, and this is one")
    return notes

"""The report of an evaluation: each number with what it means."""

from __future__ import annotations

import html
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

_MEANING = {
    "explained_variance": "1 - Σ‖x-x̂‖² / Σ‖x-x̄‖², sums over all tokens; predicting the mean gives 0",
    "mse": "‖x-x̂‖² summed over the width, mean over tokens",
    "cosine": "mean cosine of x and x̂",
    "norm_ratio": "mean ‖x̂‖ / mean ‖x‖; below 1 is shrinkage",
    "l0": "mean number of active latents per token",
    "dead": "latents that never fired in these tokens",
    "rare": "latents that fired on fewer than 1 token in 100,000, dead ones not counted",
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


@dataclass(frozen=True)
class Report:
    """Numbers of :func:`saelab.evaluate`; None where a number is undefined (see ``notes``)."""

    explained_variance: float | None
    mse: float
    cosine: float
    norm_ratio: float
    l0: float
    dead: int
    rare: int
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
    excluded: int  # special tokens, left out of every number and never replaced
    predictions: int  # counted positions whose next token counts too: where losses are measured
    hook: str
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One line per metric: value and meaning."""
        values = asdict(self)
        metrics = pd.Index(_MEANING, name="metric")
        # of objects, or pandas would make counts floats and "undefined" NaN
        value = pd.Series([values[name] for name in _MEANING], index=metrics, dtype=object)
        return pd.DataFrame({"value": value, "meaning": pd.Series(_MEANING, index=metrics)})

    def to_json(self) -> str:
        """All fields; undefined and infinite numbers are null."""
        values = asdict(self)
        bad = {k: None for k, v in values.items() if isinstance(v, float) and not math.isfinite(v)}
        return json.dumps(values | bad, allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def _repr_html_(self) -> str:
        def show(value: Any) -> str:
            if value is None:
                return "undefined"
            return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"

        lines = "".join(
            f'<tr><td style="text-align:left">{html.escape(str(name))}</td>'
            f'<td style="text-align:right;font-variant-numeric:tabular-nums">{show(row["value"])}</td>'
            f'<td style="text-align:left;opacity:.7">{html.escape(str(row["meaning"]))}</td></tr>'
            for name, row in self.to_frame().iterrows()
        )
        notes = "".join(f"<p>⚠ {html.escape(n)}</p>" for n in self.notes)
        return (
            f"<b>SAE at {html.escape(self.hook)}</b>, {self.tokens:,} tokens counted, {self.excluded:,} "
            f"special tokens left out, {self.d_sae:,} latents<table>{lines}</table>{notes}"
        )

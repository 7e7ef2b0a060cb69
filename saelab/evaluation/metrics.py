"""The metrics of a report: a row each, read by the report, the table of several SAEs, the plot and the model card.

To add one: its value in :func:`ratios` (a function of sums over tokens, which gives it an interval) or in
:func:`counts` (all else), and its row in ``METRICS``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from saelab.evaluation.measure import Sums

_RARE = 100_000
_SOME = 50  # documents: with 20 of SmolLM2's short texts, intervals of 95 % cover 73 %
_MANY = 300  # documents, for what a few of them decide
_MOST = 1000  # and for variance: at layer 11 of SmolLM2 one document in a hundred holds half of it
# never: the mean that is put in place is of these documents, and sums over each of them know nothing of its noise
# (with it left out, intervals on zoo text covered 44 to 79 %)
_NONE = math.inf


@dataclass(frozen=True)
class Metric:
    """A number of a report.

    Attributes
    ----------
    name
        Of the report's attribute and of the column in tables.
    title
        Of an axis in a plot.
    shown
        Whether it is shown where there is room for a few: the table of several SAEs and the model card.
    meaning
        What it is, in one line.
    least
        Documents without which its interval does not hold. In the zoo one document in fifty holds half of what an SAE's
        explained variance is decided by, so a draw of 20 often has none: no method can say from them how far off it is.
        Infinity: it has none.
    """

    name: str
    title: str
    shown: bool
    meaning: str
    least: float = _SOME


METRICS = (
    Metric("explained_variance", "explained variance", True,
           "1 - Σ‖x-x̂‖² / Σ‖x-x̄‖², sums over all tokens; predicting the mean gives 0", _MOST),
    Metric("explained_variance_special", "explained variance with special tokens", False,
           "the same with special tokens (such as BOS) counted", _MOST),
    Metric("fvu", "fraction of variance unexplained", False,
           "Σ‖x-x̂‖² / Σ‖x-x̄‖²: error beside that of predicting the mean, as in Gao et al. 2024", _MOST),
    Metric("mse", "squared error", False, "‖x-x̂‖² summed over the width, mean over tokens", 2 * _MOST),
    Metric("cosine", "cosine", True, "mean cosine of x and x̂"),
    Metric("norm_ratio", "norm ratio", True, "mean ‖x̂‖ / mean ‖x‖; below 1 is shrinkage", _MANY),
    Metric("l0", "active latents per token (L0)", True, "mean number of active latents per token"),
    Metric("l0_p5", "L0, 5 % quantile", False, "5 % of the tokens have at most this many active latents"),
    Metric("l0_p50", "L0, median", False, "half of the tokens have at most this many"),
    Metric("l0_p95", "L0, 95 % quantile", False, "95 % of the tokens have at most this many"),
    Metric("density_p5", "density, 5 % quantile", False,
           "5 % of the latents that fired did so on at most this share of the tokens"),
    Metric("density_p50", "density, median", False, "half of the latents that fired"),
    Metric("density_p95", "density, 95 % quantile", False, "95 % of the latents that fired"),
    Metric("dead", "dead latents", True, "latents that never fired in these tokens"),
    Metric("rare", "rare latents", False,
           "latents that fired on fewer than 1 token in 100,000, dead ones not counted; fewer tokens cannot tell"),
    Metric("dense", "dense latents", True, "latents that fired on more than 10 % of the tokens"),
    Metric("ce_clean", "loss of the model (nats)", True, "next-token loss of the model as it is, nats",
           _MANY),
    Metric("ce_sae", "loss with the SAE (nats)", True, "the same with the reconstruction in place of the activations",
           _MANY),
    Metric("ce_zero", "loss with zeros (nats)", True, "the same with zeros in their place"),
    Metric("ce_mean", "loss with the mean (nats)", False, "the same with their mean in their place", _NONE),
    Metric("kl_sae", "KL from the model as it is (nats)", True, "KL(clean ‖ with SAE), nats per token"),
    Metric("kl_zero", "KL with zeros (nats)", False, "KL(clean ‖ with zeros), nats per token"),
    Metric("kl_mean", "KL with the mean (nats)", False, "KL(clean ‖ with the mean), nats per token", _NONE),
    Metric("loss_recovered_zero", "loss recovered (against zeros)", True, "(ce_zero - ce_sae) / (ce_zero - ce_clean)"),
    Metric("loss_recovered_mean", "loss recovered (against the mean)", True,
           "(ce_mean - ce_sae) / (ce_mean - ce_clean)", _NONE),
)  # fmt: skip
BY_NAME = {m.name: m for m in METRICS}


def ratios(s: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every number that is a function of sums over tokens (:class:`Sums`); NaN where its denominator is nothing.

    ``@<hook>`` is the explained variance at one hook point of a crosscoder.
    """

    def ratio(a: Any, b: Any, least: Any = 0.0) -> np.ndarray:
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        defined = (b > least) & np.isfinite(a) & np.isfinite(b)  # something beside infinity would be 0
        return np.where(defined, np.where(defined, a, 0.0) / np.where(defined, b, 1.0), np.nan)

    def fvu(which: str = "") -> np.ndarray:
        # what is left of equal rows is rounding, not variance
        return ratio(s[f"err2{which}"], s[f"var2{which}"], 1e-9 * np.maximum(s["x2"], 1e-300))

    n, m = s["n"], s["predictions"]
    out = {
        "explained_variance": 1 - fvu(), "explained_variance_special": 1 - fvu("_all"), "fvu": fvu(),
        "mse": ratio(s["err2"], n), "cosine": ratio(s["cos"], n), "norm_ratio": ratio(s["norm_r"], s["norm_x"]),
        "l0": ratio(s["l0"], n), "ce_clean": ratio(s["ce_clean"], m),
    }  # fmt: skip
    for run in ("sae", "zero", "mean"):
        out |= {f"{kind}_{run}": ratio(s[f"{kind}_{run}"], m) for kind in ("ce", "kl")}
    for run in ("zero", "mean"):
        gap = out[f"ce_{run}"] - out["ce_clean"]
        # with the gap's sign on both sides: an ablation may also help
        gain = (out[f"ce_{run}"] - out["ce_sae"]) * np.sign(gap)
        out[f"loss_recovered_{run}"] = ratio(gain, np.abs(gap), 1e-6)
    hooks = [name.removeprefix("err2@") for name in s if name.startswith("err2@")]
    return out | {f"@{hook}": 1 - fvu(f"@{hook}") for hook in hooks}


def counts(sums: Sums) -> dict[str, float | int | None]:
    """The numbers of latents and the quantiles; None where undefined."""
    n = int(sums.per_document["n"].sum())
    density = sums.fires / n
    alive = np.sort(density[density > 0])
    reached = np.cumsum(sums.l0)
    out: dict[str, float | int | None] = {
        "dead": int((density == 0).sum()),
        "rare": int((alive < 1 / _RARE).sum()) if n > _RARE else None,
        "dense": int((density > 0.1).sum()),
    }
    for q in (5, 50, 95):
        out[f"l0_p{q}"] = int(np.searchsorted(reached, math.ceil(q * n / 100)))
        out[f"density_p{q}"] = float(alive[math.ceil(q / 100 * len(alive)) - 1]) if len(alive) else None
    return out

"""Which latents an output comes from: gradient times activation, checked against true ablation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.display import table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.experiments.ablation import allowed, output_scale
from saelab.frames import TextFrame
from saelab.identity import check_pair, noted
from saelab.interventions.passes import Pass, watched
from saelab.interventions.sites import SAEAtHook, sum_into, warn_if_long
from saelab.interventions.steering import attach
from saelab.models import HookedModel
from saelab.sae import SAE, Codes

Metric = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Attribution:
    """Which latents an output comes from.

    Attributes
    ----------
    frame
        One row per active latent, the largest ``attribution`` (in absolute value) first: ``latent``,
        ``attribution`` (sum over positions of gradient times activation), ``ablation`` (metric with the
        latent minus metric without it, by a forward pass; NaN where it was not checked), ``activation``
        (sum), ``positions`` (where it is active).
    entries
        The same before summing: ``position``, ``token``, ``latent``, ``activation``, ``attribution``.
    rank_correlation
        Spearman's between the two columns over the checked latents, or None when it is undefined.
    value
        The metric on the clean run.
    metric
        What was attributed.
    """

    frame: pd.DataFrame
    entries: pd.DataFrame
    rank_correlation: float | None
    value: float
    metric: str

    def plot(self) -> Any:
        """A plotly figure: the first 20 latents, attribution beside true ablation.

        Examples
        --------
        >>> len(sl.attribute(model, sae, "The red fox", check=5).plot().data)
        2
        """
        import plotly.express as px

        shown = self.frame.head(20).astype({"latent": str})
        return px.bar(shown, "latent", ["attribution", "ablation"], barmode="group")

    def _caption(self) -> str:
        checked = int(np.isfinite(self.frame["ablation"].to_numpy()).sum())
        rank = "undefined" if self.rank_correlation is None else f"{self.rank_correlation:.3f}"
        return (
            f"{self.metric} = {self.value:.4g}; {len(self.frame)} active latents; rank correlation with true "
            f"ablation {rank} over {checked} checked"
        )

    def __repr__(self) -> str:
        return f"Attribution: {self._caption()}\n{self.frame.head(10)}"

    def _repr_html_(self) -> str:
        return table_html(self._caption(), self.frame.head(20), float_format="{:.4g}".format)


@door
def attribute(
    model: HookedModel,
    sae: SAE,
    text: models.Text,
    *,
    target: int | str | None = None,
    versus: int | str | None = None,
    position: int = -1,
    metric: Metric | None = None,
    check: int = 20,
    special: bool = False,
    batch: int = 16,
) -> Attribution:
    """Attribute an output to the latents that are active in a text: gradient times activation.

    It is the first-order estimate of (metric − metric with the latent ablated); positive latents speak for
    the output. How good the estimate is depends on the model, so the largest ``check`` are ablated in truth
    beside it.

    Parameters
    ----------
    target, versus
        Token ids, or texts of one token. The metric is the log-probability of ``target``, or with ``versus``
        the difference of their logits. None is the model's most probable token.
    position
        Where the prediction is read; −1 is the text's end.
    metric
        Instead: ``f(logits (T, V) float32) -> scalar``. An encoder (BERT) predicts no next token and needs one.
    check
        How many latents to ablate; 0 for none.
    special
        Count latents at special tokens too.
    batch
        Latents ablated in one forward pass.

    Examples
    --------
    >>> found = sl.attribute(model, sae, "The red fox", check=5)
    >>> list(found.frame)
    ['latent', 'attribution', 'ablation', 'activation', 'positions']
    """
    mismatch = check_pair(model, sae)
    check, batch = check_count("check", check, 0), check_count("batch", batch)
    if metric is None:
        models.check_predicts(model, "the probability of a next token (give a metric of your own)")
    elif (target, versus, position) != (None, None, -1):
        raise SaelabError("a metric of your own reads what it wants: leave out target, versus and position")
    ids = torch.tensor([models.one_text(model, text, bos=sae.config.bos)])  # (1, T)
    warn_if_long(sae, ids.shape[1])
    length = ids.shape[1]
    if not -length <= position < length:
        raise SaelabError(f"position {position} is outside the text's {length} tokens")
    goal = _one_token(model, target, "target")
    other = _one_token(model, versus, "versus")
    with models.lock(model):
        with torch.no_grad(), attach(model, sae, error=True) as spliced:
            logits = models.forward(model, ids)  # (1, T, V)
            models.check_finite(model, "the logits", logits.amax(-1, keepdim=True), ids)
            likely = int(logits[0, position].argmax())
        codes = spliced.codes
        if metric is None:
            metric, name = _token_metric(model, likely if goal is None else goal, other, position)
        else:
            name = getattr(metric, "__name__", "metric")
        value, grad = _gradient(model, sae, ids, metric)
        entries = _entries(model, sae, ids, grad, codes, special)
        frame = _by_latent(entries)
        frame["ablation"] = np.nan
        for start in range(0, min(check, len(frame)), batch):
            part = frame.index[start : min(start + batch, check)]
            latents = [int(i) for i in frame.loc[part, "latent"]]
            left = _ablated(model, sae, ids, codes, latents, metric, special)
            frame.loc[part, "ablation"] = value - left
    columns = ["latent", "attribution", "ablation", "activation", "positions"]
    frame = noted(pd.DataFrame(frame[columns]), mismatch)
    return Attribution(frame, entries, _rank_correlation(frame), value, name)


def _one_token(model: HookedModel, token: int | str | None, name: str) -> int | None:
    if token is None:
        return None
    if isinstance(token, str):
        ids = models.tokenize(model, token, bos=False)
        if len(ids) != 1:
            raise SaelabError(
                f"{name} {token!r} is {len(ids)} tokens, not one: {models.token_labels(model, ids)}"
            )
        return ids[0]
    token = check_count(name, token, 0)
    if token >= models.vocab_size(model):
        raise SaelabError(f"{name} {token} is outside the vocabulary 0…{models.vocab_size(model) - 1}")
    return token


def _token_metric(model: HookedModel, target: int, versus: int | None, position: int) -> tuple[Metric, str]:
    """The metric of a token at a position, and what it is called."""
    (label,) = models.token_labels(model, [target])
    if versus is None:
        name = f"log p({label!r}) at position {position}"
        return lambda logits: logits[position].log_softmax(-1)[target], name
    (other,) = models.token_labels(model, [versus])
    name = f"logit({label!r}) - logit({other!r}) at position {position}"
    return lambda logits: logits[position, target] - logits[position, versus], name


def _gradient(model: HookedModel, sae: SAE, ids: Tensor, metric: Metric) -> tuple[float, Tensor]:
    """The metric, and its slope (T, d_out) along what is added at the places the SAE writes to.

    A crosscoder writes at several: each slope is that of something added there alone, and together they are
    the first-order effect of a change at all of them.
    """
    leaves: dict[str, Tensor] = {}
    site = SAEAtHook(model, sae)

    def add_nothing(hook: str) -> Callable[[Tensor, Pass], Tensor]:
        def fn(x: Tensor, p: Pass) -> Tensor:
            x = x if leaves else x.detach()  # nothing before the first place matters
            leaves[hook] = torch.zeros_like(x).requires_grad_()
            return x + leaves[hook]

        return fn

    with torch.enable_grad(), watched(model, {h: add_nothing(h) for h in site.writes}):
        logits = models.forward(model, ids)[0].float()  # (T, V)
        value = metric(logits)
        if (
            not isinstance(value, Tensor)
            or value.ndim != 0
            or not value.requires_grad
            or not value.isfinite()
        ):
            raise SaelabError("the metric must be one number, a finite one, that depends on the logits")
        grads = torch.autograd.grad(value, [leaves[h] for h in site.writes])  # each (1, T, d)
    return float(value.detach()), torch.cat([g[0].to(grads[0].device) for g in grads], -1)


@torch.no_grad()
def _entries(
    model: HookedModel, sae: SAE, ids: Tensor, grad: Tensor, codes: Codes, special: bool
) -> pd.DataFrame:
    pull = grad.to(sae.W_dec.device).float() * output_scale(codes)  # (T, d_out)
    rows = codes.rows()  # (nnz,)
    keep = allowed(model, ids, special).to(rows.device)[rows]
    rows, latents, values = rows[keep], codes.indices[keep], codes.values[keep].float()
    parts = zip(latents.split(4096), rows.split(4096), strict=True)
    slope = torch.cat(
        [(sae.W_dec[i].float() * pull[r]).sum(-1) for i, r in parts]
    )  # (nnz,) per unit of activation
    labels = np.array(models.token_labels(model, ids[0].tolist()), dtype=object)
    place = rows.cpu().numpy()
    return TextFrame(
        {
            "position": place,
            "token": labels[place],
            "latent": latents.cpu().numpy(),
            "activation": values.cpu().numpy(),
            "attribution": (slope * values).cpu().numpy().astype(np.float64),
        }
    )


def _by_latent(entries: pd.DataFrame) -> pd.DataFrame:
    grouped = entries.groupby("latent", sort=True)
    frame = grouped.agg(
        attribution=("attribution", "sum"), activation=("activation", "sum"), positions=("position", "count")
    ).reset_index()
    order = np.argsort(-np.abs(frame["attribution"].to_numpy(dtype=float)), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


@torch.no_grad()
def _ablated(
    model: HookedModel, sae: SAE, ids: Tensor, codes: Codes, latents: list[int], metric: Metric, special: bool
) -> np.ndarray:
    """The metric with each latent at 0, as rows of one batch."""
    where, scale = allowed(model, ids, special).to(codes.values.device), output_scale(codes)
    rows = [(codes.column(i)[0].float() * where)[:, None] * sae.W_dec[i].float() * scale for i in latents]
    change = -torch.stack(rows)  # (L, T, d_out)

    def without(part: slice) -> Callable[[Tensor, Pass], Tensor]:
        return lambda x, p: sum_into(x, [change[..., part]])

    with watched(model, {h: without(part) for h, part in SAEAtHook(model, sae).slices.items()}):
        logits = models.forward(model, ids.expand(len(latents), -1))  # (L, T, V)
    return np.array([float(metric(row.float())) for row in logits])


def _rank_correlation(frame: pd.DataFrame) -> float | None:
    """Spearman's; None for fewer than three latents, or where one side is constant."""
    both: Any = frame[["attribution", "ablation"]].dropna()
    value = both.corr("spearman").iloc[0, 1] if len(both) >= 3 else np.nan
    return None if np.isnan(value) else float(value)

"""What a latent does to the output: effects of taking it away, and attribution checked against that."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import data, models
from saelab.errors import SaelabError, check_count, check_latent
from saelab.evaluation.evaluate import kl_divergence
from saelab.intervene import attach, steer
from saelab.passes import Pass, watched
from saelab.sae import SAE, Codes
from saelab.sites import hook_points

_NOISE = 1e-6  # differences of log-probabilities below this are rounding


def _text_ids(model: Any, sae: SAE, text: str) -> Tensor:
    ids = models.tokenize(model, text, bos=sae.config.bos)
    limit = models.context_length(model)
    if len(ids) > limit:
        raise SaelabError(f"the text has {len(ids)} tokens and the model's context {limit}; shorten it")
    return torch.tensor([ids])  # (1, T)


# ----------------------------------------------------------------------------------------------- effects


def effects(
    model: Any,
    sae: SAE,
    text: str,
    latent: int,
    *,
    top: int = 5,
    direct: bool = False,
    special: bool = False,
) -> pd.DataFrame:
    """What changes at each position of a text when one latent is ablated everywhere in it.

    Two full forward passes, the second with the latent at 0 and all else, the error term included, as it was.
    What a row shows may come from the latent at that position or, through attention, at any earlier one.

    Parameters
    ----------
    top
        How many tokens to list as voted up and down.
    direct
        Also give ``direct_kl``, ``direct_up`` and ``direct_down``: the same when what the latent writes is
        taken out of the last layer's residual stream only, so that no layer in between reacts to its absence.
    special
        Ablate at special tokens (such as BOS) too.

    Returns
    -------
    DataFrame
        One row per position: ``token``, ``id``, ``activation``, ``edited`` (whether it was ablated here), and
        about the prediction of the *next* token: ``next``, ``loss`` (clean, nats), ``loss_diff`` = ablated −
        clean (positive: the latent helps here), ``kl`` = KL(clean ‖ ablated) in nats, ``up`` and ``down``:
        (token, clean − ablated log-probability), the tokens that the latent makes more and less probable. The
        last position has no next token, so its losses are NaN.

    Raises
    ------
    SaelabError
        Before anything runs: latent out of range, empty text, or one longer than the context.
    """
    latent, top = check_latent(latent, sae.config.d_sae), check_count("top", top, 0)
    ids = _text_ids(model, sae, text)
    written = _residual_write(model, sae, latent) if direct else None  # (d_model)
    with models.lock(model), torch.no_grad():
        with attach(model, sae, error=True) as spliced:
            clean = models.forward(model, ids)[0].float().log_softmax(-1).cpu()  # (T, V)
        activation = spliced.codes.column(latent)[0].float().cpu()  # (T)
        with steer(model, sae, [latent], mode="ablate", special=special):
            ablated = models.forward(model, ids)[0].float().log_softmax(-1).cpu()  # (T, V)
        edited = (activation > 0) & _allowed(model, ids, special)  # (T)
        straight = None
        if written is not None:
            part = (activation * edited)[:, None] * written  # (T, d_model)
            straight = _without_in_last_layer(model, ids, part * _cpu_scale(spliced.codes))  # (T, V)
    tokens, following = models.token_labels(model, ids[0].tolist()), ids[0, 1:]
    loss = -clean[:-1].gather(-1, following[:, None])[:, 0]  # (T - 1)
    loss_ablated = -ablated[:-1].gather(-1, following[:, None])[:, 0]  # (T - 1)
    none = torch.tensor([torch.nan])
    frame = pd.DataFrame(
        {
            "position": np.arange(len(tokens)),
            "token": tokens,
            "id": ids[0].numpy(),
            "activation": activation.numpy(),
            "edited": edited.numpy(),
            "next": [*tokens[1:], None],
            "loss": torch.cat([loss, none]).numpy(),
            "loss_diff": torch.cat([loss_ablated - loss, none]).numpy(),
            **_changes(model, clean, ablated, top),
        }
    )
    if straight is not None:
        frame = frame.assign(**{f"direct_{k}": v for k, v in _changes(model, clean, straight, top).items()})
    return frame


def _changes(model: Any, clean: Tensor, ablated: Tensor, top: int) -> dict[str, Any]:
    gain = clean - ablated  # (T, V)
    gain = torch.where(gain.isnan(), 0.0, gain)  # both -inf: a masked logit
    return {
        "kl": kl_divergence(clean, ablated).clamp_min(0).numpy(),
        "up": _votes(model, gain, top, 1),
        "down": _votes(model, gain, top, -1),
    }


def _residual_write(model: Any, sae: SAE, latent: int) -> Tensor:
    """(d_model) what one unit of the latent adds to the residual stream."""
    from saelab.index.relations import residual_direction

    if len(hook_points(sae.config.hook_out)) > 1:
        raise SaelabError("a crosscoder writes at several layers: its direct effect is not one direction")
    with torch.no_grad():
        return residual_direction(model, sae.W_dec[latent].float(), sae.config.hook_out).float().cpu()


def _without_in_last_layer(model: Any, ids: Tensor, part: Tensor) -> Tensor:
    """(T, V) log-probabilities when ``part`` (T, d_model) is taken out behind the last block."""

    def without(x: Tensor, p: Pass) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        return (x.to(wide) - part.to(x.device, wide)).to(x.dtype)

    with watched(model, {f"blocks.{int(model.cfg.n_layers) - 1}.hook_resid_post": without}):
        return models.forward(model, ids)[0].float().log_softmax(-1).cpu()


def _cpu_scale(codes: Codes) -> Tensor | float:
    """What a latent's write is multiplied by at each position, as one number per row."""
    return 1.0 if codes.stats is None else codes.stats[1][:, :1].float().cpu()


def _votes(model: Any, gain: Tensor, top: int, sign: int) -> list[list[tuple[str, float]]]:
    best = (sign * gain).topk(min(top, gain.shape[1]), dim=-1)  # (T, top)
    rows = []
    for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        kept = [(i, sign * v) for v, i in zip(values, indices, strict=True) if v > _NOISE]
        rows.append(
            list(zip(models.token_labels(model, [i for i, _ in kept]), [v for _, v in kept], strict=True))
        )
    return rows


# ------------------------------------------------------------------------------------------- attribution

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

    def to_frame(self) -> pd.DataFrame:
        return self.frame

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
        said = html.escape(self._caption()).replace("$", "<span>$</span>")
        table = self.frame.head(20).to_html(index=False, float_format="{:.4g}".format)
        return f'<div class="tex2jax_ignore mathjax_ignore"><div>{said}</div>{table}</div>'


def attribute(
    model: Any,
    sae: SAE,
    text: str,
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
        Instead: ``f(logits (T, V) float32) -> scalar``.
    check
        How many latents to ablate; 0 for none.
    special
        Count latents at special tokens too.
    batch
        Latents ablated in one forward pass.
    """
    check, batch = check_count("check", check, 0), check_count("batch", batch)
    ids = _text_ids(model, sae, text)
    length = ids.shape[1]
    if not -length <= position < length:
        raise SaelabError(f"position {position} is outside the text's {length} tokens")
    if len(hook_points(sae.config.hook_in)) > 1:
        raise SaelabError("attribution to a crosscoder's latents is not defined here; use effects")
    goal = _one_token(model, target, "target")
    other = _one_token(model, versus, "versus")
    with models.lock(model):
        with torch.no_grad(), attach(model, sae, error=True) as spliced:
            likely = int(models.forward(model, ids)[0, position].argmax())
        codes = spliced.codes
        if metric is None:
            goal = likely if goal is None else goal
            metric, said = _token_metric(goal, other, position), _said(model, goal, other, position)
        else:
            said = getattr(metric, "__name__", "metric")
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
    return Attribution(pd.DataFrame(frame[columns]), entries, _rank_correlation(frame), value, said)


def _one_token(model: Any, token: int | str | None, name: str) -> int | None:
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


def _token_metric(target: int, versus: int | None, position: int) -> Metric:
    def metric(logits: Tensor) -> Tensor:
        if versus is not None:
            return logits[position, target] - logits[position, versus]
        return logits[position].log_softmax(-1)[target]

    return metric


def _said(model: Any, target: int, versus: int | None, position: int) -> str:
    label = models.token_labels(model, [target])[0]
    if versus is None:
        return f"log p({label!r}) at position {position}"
    return f"logit({label!r}) - logit({models.token_labels(model, [versus])[0]!r}) at position {position}"


def _gradient(model: Any, sae: SAE, ids: Tensor, metric: Metric) -> tuple[float, Tensor]:
    """The metric, and its gradient (T, d_out) at the place the SAE writes to."""
    leaf: list[Tensor] = []
    hook = hook_points(sae.config.hook_out)[0]

    def cut(x: Tensor, p: Pass) -> Tensor:
        leaf.append(x.detach().requires_grad_())
        return leaf[-1]

    with torch.enable_grad(), watched(model, {hook: cut}):
        logits = models.forward(model, ids)[0].float()  # (T, V)
        value = metric(logits)
        if value.ndim != 0 or not value.requires_grad:
            raise SaelabError("the metric must be one number that depends on the logits")
        (grad,) = torch.autograd.grad(value, leaf)  # (1, T, d_out)
    return float(value.detach()), grad[0]


def _allowed(model: Any, ids: Tensor, special: bool) -> Tensor:
    return torch.ones_like(ids[0], dtype=torch.bool) if special else data.valid_mask(model, ids)[0]


def _output_scale(codes: Codes) -> Tensor | float:
    return 1.0 if codes.stats is None else codes.stats[1]


@torch.no_grad()
def _entries(model: Any, sae: SAE, ids: Tensor, grad: Tensor, codes: Codes, special: bool) -> pd.DataFrame:
    pull = grad.to(sae.W_dec.device).float() * _output_scale(codes)  # (T, d_out)
    rows = codes.rows()  # (nnz,)
    keep = _allowed(model, ids, special).to(rows.device)[rows]
    rows, latents, values = rows[keep], codes.indices[keep], codes.values[keep].float()
    slope = torch.cat(
        [
            (sae.W_dec[latents[i : i + 4096]].float() * pull[rows[i : i + 4096]]).sum(-1)
            for i in range(0, max(len(rows), 1), 4096)
        ]
    )  # (nnz,) change of the metric per unit of activation
    labels = np.array(models.token_labels(model, ids[0].tolist()), dtype=object)
    place = rows.cpu().numpy()
    return pd.DataFrame(
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
    model: Any, sae: SAE, ids: Tensor, codes: Codes, latents: list[int], metric: Metric, special: bool
) -> np.ndarray:
    """The metric with each latent at 0, as rows of one batch."""
    allowed = _allowed(model, ids, special)
    change = torch.stack([_loss_of(sae, codes, latent, allowed) for latent in latents])  # (L, T, d_out)

    def without(x: Tensor, p: Pass) -> Tensor:
        wide = torch.promote_types(x.dtype, torch.float32)
        return (x.to(wide) - change.to(x.device, wide)).to(x.dtype)

    with watched(model, {hook_points(sae.config.hook_out)[0]: without}):
        logits = models.forward(model, ids.expand(len(latents), -1))  # (L, T, V)
    return np.array([float(metric(row.float())) for row in logits])


def _loss_of(sae: SAE, codes: Codes, latent: int, allowed: Tensor) -> Tensor:
    """(T, d_out) what ablating a latent takes away."""
    active = codes.column(latent)[0].float() * allowed.to(codes.values.device)  # (T)
    return active[:, None] * sae.W_dec[latent].float() * _output_scale(codes)


def _rank_correlation(frame: pd.DataFrame) -> float | None:
    """Spearman's: Pearson's on the ranks."""
    both: Any = frame[["attribution", "ablation"]].dropna()
    if len(both) < 3:
        return None
    a, b = both.rank().to_numpy().T
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])

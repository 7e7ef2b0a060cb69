"""What a latent does to the output: the difference of a pass with it and a pass without."""

from __future__ import annotations

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
from saelab.frames import TextFrame
from saelab.identity import check_pair, noted
from saelab.interventions.directions import Direction
from saelab.interventions.passes import watched
from saelab.interventions.sites import hook_points, sum_into, warn_if_long
from saelab.interventions.steering import attach, one_site, steer
from saelab.interventions.targets import activation as component
from saelab.interventions.targets import check_target, headline, title
from saelab.models import HookedModel
from saelab.models.lens import kl_divergence, residual_direction
from saelab.sae import SAE, Codes

_NOISE = 1e-6  # differences of log-probabilities below this are rounding


@dataclass(frozen=True, eq=False)
class Effects:
    """What :func:`effects` gives; ``saelab.effect_map`` draws it over the text.

    Attributes
    ----------
    frame
        One row per position; the columns are named in :func:`effects`. ``effects["kl"]`` is a column of it.
    latent
        The latent, or the direction, that was taken away.
    ids
        The text's token ids; the column ``token`` has their labels.
    groups
        ``(start, stop, text)`` runs of tokens that make whole characters.
    special
        Positions of special tokens, such as BOS.
    """

    frame: pd.DataFrame
    latent: int | Direction
    ids: list[int]
    groups: list[tuple[int, int, str]]
    special: frozenset[int]

    def __getitem__(self, column: str) -> Any:
        return self.frame[column]

    def __len__(self) -> int:
        return len(self.frame)

    def plot(self) -> Any:
        """A plotly figure: loss difference and KL at each position.

        Examples
        --------
        >>> len(sl.effects(model, sae, "The red fox", latent).plot().data)
        2
        """
        import plotly.express as px

        frame = self.frame.melt(["position", "token"], ["loss_diff", "kl"], "measure", "nats")
        return px.bar(frame, "position", "nats", color="measure", hover_data=["token"], barmode="group")

    def __repr__(self) -> str:
        return f"Effects of ablating {title(self.latent)}\n{self.frame}"

    def _repr_html_(self) -> str:
        loss = self.frame["loss_diff"].to_numpy()
        size = np.abs(self.frame["kl"].to_numpy() if np.isnan(loss).all() else loss)
        order = np.argsort(-np.nan_to_num(size), kind="stable")
        caption = f"{headline(self.latent)} ablated: the positions where it matters most, of {len(self)}"
        return table_html(caption, self.frame.iloc[order[:20]], float_format="{:.4g}".format)


@door
def effects(
    model: HookedModel,
    sae: SAE | None,
    text: models.Text,
    latent: int | Direction,
    *,
    top: int = 5,
    direct: bool = False,
    special: bool = False,
) -> Effects:
    """What changes at each position of a text when one latent is ablated everywhere in it.

    Two full forward passes, the second with the latent at 0 and all else, the error term included, as it was.
    An encoder (BERT) predicts no next token: its losses are NaN, and KL is that of what it says at each position.
    What a row shows may come from the latent at that position or, through attention, at any earlier one.

    Parameters
    ----------
    text
        A text, its token ids, which are taken as they are, or what :func:`saelab.generate` wrote.
    top
        How many tokens to list as voted up and down.
    direct
        Also give ``direct_kl``, ``direct_up`` and ``direct_down``: the same when what the latent writes is
        taken out of the last layer's residual stream only, so that no layer in between reacts to its absence.
    special
        Ablate at special tokens (such as BOS) too.

    Returns
    -------
    Effects
        Its ``frame`` has one row per position: ``token``, ``id``, ``activation``, ``edited`` (whether it was
        ablated here), and about the prediction of the *next* token: ``next``, ``loss`` (clean, nats),
        ``loss_diff`` = ablated − clean (positive: the latent helps here), ``kl`` = KL(clean ‖ ablated) in
        nats, ``up`` and ``down``: (token, clean − ablated log-probability), the tokens that the latent makes
        more and less probable. The last position has no next token, so its losses are NaN.

    Raises
    ------
    SaelabError
        Before anything runs: latent out of range, empty text, or one longer than the context.

    Examples
    --------
    >>> found = sl.effects(model, sae, "The red fox", latent)
    >>> found.frame[["token", "activation", "loss_diff", "kl"]].shape == (len(found), 4)
    True
    """
    sae = one_site(model, sae, [latent])  # type: ignore[list-item]
    latent, top = check_target(latent, sae), check_count("top", top, 0)
    mismatch = check_pair(model, sae, latent if isinstance(latent, Direction) else None)
    ids = torch.tensor([models.one_text(model, text, bos=sae.config.bos)])  # (1, T)
    warn_if_long(sae, ids.shape[1])
    written = _residual_write(model, sae, latent) if direct else None  # (d_model)
    with models.lock(model), torch.no_grad():
        with attach(model, sae, error=True) as spliced:
            clean = _logp(model, ids)  # (T, V)
        if isinstance(latent, Direction):
            activation, scale = component(model, latent, ids)[0], torch.ones(())  # (T)
        else:
            activation, scale = (
                spliced.codes.column(latent)[0].float().cpu(),
                output_scale(spliced.codes).cpu(),
            )
        edited = (activation != 0) & allowed(model, ids, special)  # (T)
        with steer(model, sae, [latent], mode="ablate", special=special):
            without = {"": _logp(model, ids)}
        if written is not None:
            part = (activation * edited)[:, None] * written * scale  # (T, d_model)
            last = f"blocks.{int(model.cfg.n_layers) - 1}.hook_resid_post"
            with watched(model, {last: lambda x, p: sum_into(x, [-part])}):
                without["direct_"] = _logp(model, ids)
    listed, special_ids = ids[0].tolist(), models.special_ids(model)
    tokens, loss = models.token_labels(model, listed), _loss(clean, ids[0])
    if not models.predicts_next(model):
        loss = torch.full_like(loss, torch.nan)
    columns = {
        "position": np.arange(len(tokens)),
        "token": tokens,
        "id": ids[0].numpy(),
        "activation": activation.numpy(),
        "edited": edited.numpy(),
        "next": [*tokens[1:], None],
        "loss": loss.numpy(),
        "loss_diff": (_loss(without[""], ids[0]) - loss).numpy(),
    }
    for way, logp in without.items():
        gain = (clean - logp).nan_to_num(0.0, torch.inf, -torch.inf)  # NaN: both -inf, a masked logit
        columns[way + "kl"] = kl_divergence(clean, logp).clamp_min(0).numpy()
        columns[way + "up"], columns[way + "down"] = _votes(model, gain, top, 1), _votes(model, gain, top, -1)
    places = frozenset(k for k, i in enumerate(listed) if i in special_ids)
    return Effects(
        noted(TextFrame(columns), mismatch), latent, listed, models.token_groups(model, listed), places
    )


def _logp(model: HookedModel, ids: Tensor) -> Tensor:
    """(1, T) -> (T, V) log-probabilities of the next token."""
    logp = models.forward(model, ids).float().log_softmax(-1).cpu()  # (1, T, V)
    models.check_finite(model, "the logits", logp.amax(-1, keepdim=True), ids)
    return logp[0]


def _loss(logp: Tensor, ids: Tensor) -> Tensor:
    """(T, V), (T) -> (T) in nats; NaN at the last position, which has no next token."""
    return torch.cat([-logp[:-1].gather(-1, ids[1:, None])[:, 0], torch.tensor([torch.nan])])


def _residual_write(model: HookedModel, sae: SAE, latent: int | Direction) -> Tensor:
    """(d_model) what one unit of the latent adds to the residual stream."""
    if len(hook_points(sae.config.hook_out)) > 1:
        raise SaelabError("a crosscoder writes at several layers: its direct effect is not one direction")
    with torch.no_grad():
        row = latent.vector.to(models.device(model)) if isinstance(latent, Direction) else sae.W_dec[latent]
        return residual_direction(model, row.float(), sae.config.hook_out).float().cpu()


def output_scale(codes: Codes) -> Tensor:
    """(rows, 1 or d_out) what activation times decoder row is multiplied by at each position."""
    return codes.values.new_ones(codes.n_rows, 1) if codes.stats is None else codes.stats[1].float()


def _votes(model: HookedModel, gain: Tensor, top: int, sign: int) -> list[list[tuple[str, float]]]:
    """(T, V) -> at each position the tokens that gain most in this direction, and how much."""
    best = (sign * gain).topk(min(top, gain.shape[1]), dim=-1)  # (T, top)
    rows = []
    for values, ids in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        kept = [sign * v for v in values if v > _NOISE]  # the largest come first
        rows.append(list(zip(models.token_labels(model, ids[: len(kept)]), kept, strict=True)))
    return rows


def allowed(model: HookedModel, ids: Tensor, special: bool) -> Tensor:
    """(T,) bool where latents of the one text ``ids`` (1, T) count."""
    return torch.ones_like(ids[0], dtype=torch.bool) if special else models.valid_mask(model, ids)[0]

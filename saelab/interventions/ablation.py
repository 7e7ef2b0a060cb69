"""What a latent does to the output: the difference of a pass with it and a pass without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.display import table_html
from saelab.errors import SaelabError, check_count, check_latent, check_pair
from saelab.interventions.passes import watched
from saelab.interventions.sites import hook_points, sum_into
from saelab.interventions.steering import attach, steer
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
        The latent that was taken away.
    ids
        The text's token ids; the column ``token`` has their labels.
    groups
        ``(start, stop, text)`` runs of tokens that make whole characters.
    special
        Positions of special tokens, such as BOS.
    """

    frame: pd.DataFrame
    latent: int
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
        return f"Effects of ablating latent {self.latent}\n{self.frame}"

    def _repr_html_(self) -> str:
        order = np.argsort(-np.nan_to_num(self.frame["loss_diff"].abs().to_numpy()), kind="stable")
        caption = f"Latent {self.latent} ablated: the positions where it matters most, of {len(self)}"
        return table_html(caption, self.frame.iloc[order[:20]], float_format="{:.4g}".format)


def text_ids(model: Any, sae: SAE, text: str | Sequence[int]) -> Tensor:
    """(1, T) a text as the SAE wants it, token ids as they are; one that does not fit the model is an error."""
    if isinstance(text, str) or not isinstance(text, (Sequence, np.ndarray)):
        ids = models.tokenize(model, text, bos=sae.config.bos)
    else:
        ids = [check_count("a token id", i, 0) for i in text]
        models.token_labels(model, ids)  # one outside the vocabulary is named
        if not ids:
            raise SaelabError("text must be a text or at least one token id, got an empty list")
    limit = models.context_length(model)
    if len(ids) > limit:
        raise SaelabError(f"the text has {len(ids)} tokens and the model's context {limit}; shorten it")
    return torch.tensor([ids])  # (1, T)


def effects(
    model: Any,
    sae: SAE,
    text: str | Sequence[int],
    latent: int,
    *,
    top: int = 5,
    direct: bool = False,
    special: bool = False,
) -> Effects:
    """What changes at each position of a text when one latent is ablated everywhere in it.

    Two full forward passes, the second with the latent at 0 and all else, the error term included, as it was.
    What a row shows may come from the latent at that position or, through attention, at any earlier one.

    Parameters
    ----------
    text
        A text, or its token ids, which are taken as they are.
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
    check_pair(model, sae)
    latent, top = check_latent(latent, sae.config.d_sae), check_count("top", top, 0)
    ids = text_ids(model, sae, text)
    written = _residual_write(model, sae, latent) if direct else None  # (d_model)
    with models.lock(model), torch.no_grad():
        with attach(model, sae, error=True) as spliced:
            clean = models.forward(model, ids)[0].float().log_softmax(-1).cpu()  # (T, V)
        activation = spliced.codes.column(latent)[0].float().cpu()  # (T)
        with steer(model, sae, [latent], mode="ablate", special=special):
            ablated = models.forward(model, ids)[0].float().log_softmax(-1).cpu()  # (T, V)
        edited = (activation > 0) & allowed(model, ids, special)  # (T)
        straight = None
        if written is not None:
            part = (activation * edited)[:, None] * written  # (T, d_model)
            straight = _without_in_last_layer(model, ids, part * output_scale(spliced.codes).cpu())  # (T, V)
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
    listed, special_ids = ids[0].tolist(), models.special_ids(model)
    places = frozenset(k for k, i in enumerate(listed) if i in special_ids)
    return Effects(frame, latent, listed, models.token_groups(model, listed), places)


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
    if len(hook_points(sae.config.hook_out)) > 1:
        raise SaelabError("a crosscoder writes at several layers: its direct effect is not one direction")
    with torch.no_grad():
        return residual_direction(model, sae.W_dec[latent].float(), sae.config.hook_out).float().cpu()


def _without_in_last_layer(model: Any, ids: Tensor, part: Tensor) -> Tensor:
    """(T, V) log-probabilities when ``part`` (T, d_model) is taken out behind the last block."""
    last = f"blocks.{int(model.cfg.n_layers) - 1}.hook_resid_post"
    with watched(model, {last: lambda x, p: sum_into(x, [-part])}):
        return models.forward(model, ids)[0].float().log_softmax(-1).cpu()


def output_scale(codes: Codes) -> Tensor:
    """(rows, 1 or d_out) what activation times decoder row is multiplied by at each position."""
    return codes.values.new_ones(codes.n_rows, 1) if codes.stats is None else codes.stats[1].float()


def _votes(model: Any, gain: Tensor, top: int, sign: int) -> list[list[tuple[str, float]]]:
    best = (sign * gain).topk(min(top, gain.shape[1]), dim=-1)  # (T, top)
    rows = []
    for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        kept = [(i, sign * v) for v, i in zip(values, indices, strict=True) if v > _NOISE]
        rows.append(
            list(zip(models.token_labels(model, [i for i, _ in kept]), [v for _, v in kept], strict=True))
        )
    return rows


def allowed(model: Any, ids: Tensor, special: bool) -> Tensor:
    """(T,) bool where latents of the one text ``ids`` (1, T) count."""
    return torch.ones_like(ids[0], dtype=torch.bool) if special else models.valid_mask(model, ids)[0]

"""Ablation sparsity: how few logits change when one latent is taken away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.evaluation.head import _CELLS, Head
from saelab.identity import noted
from saelab.interventions import SAEAtHook
from saelab.models import HookedModel
from saelab.sae import SAE


@door
def ablation_sparsity(
    model: HookedModel,
    sae: SAE,
    texts: models.Texts,
    *,
    positions: int = 64,
    ahead: int = 16,
    tokens: int | str | None = "100k",
    batch_tokens: int = 4096,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """How sparse the effects of single latents are (Gao et al. 2024, section 4.5).

    At a token every active latent is taken away in turn, at that token alone and with the SAE's error kept. Its
    effect is the change of all V logits at that token and the next ``ahead - 1``, less each token's median change;
    its sparsity is ``(L1 / L2)² / (V · ahead)`` over those numbers, in (0, 1]: the share of logits it changes, if it
    changed some by the same amount and the others not at all. Small is sparse; normal noise gives 2/π = 0.64.

    In the last layer behind the attention a latent changes its own token's logits alone, and the sparsity is at most
    ``1 / ahead``: ask with ``ahead=1`` there.

    Parameters
    ----------
    texts, tokens
        Text to draw from, and how much of it to look at.
    positions
        How many tokens are drawn; only counted ones with ``ahead`` tokens left in their row, themselves included.
    batch_tokens
        Tokens in one pass.
    seed
        Of the draw.

    Returns
    -------
    DataFrame
        One line per drawn token: ``token_index``, ``row``, ``position``, ``latents`` (active ones with an effect),
        ``sparsity`` (their mean), ``silent`` (active ones without any effect), and ``channel_sparsity``, the mean
        over as many random channels of the SAE's output place that are not 0, set to 0 one at a time: what needs no
        SAE.

    Examples
    --------
    >>> frame = sl.evaluation.ablation_sparsity(model, sae, texts, positions=4, ahead=2, progress=False)
    >>> len(frame), bool(frame["sparsity"].between(0, 1).all())
    (4, True)
    """
    check_count("positions", positions)
    check_count("ahead", ahead)
    site = SAEAtHook(model, sae)
    rows = models.tokenize_texts(model, texts, context=sae.config.context, bos=sae.config.bos, tokens=tokens)
    where, place = rows.locate(np.arange(rows.n_tokens))
    left = np.diff(rows.offsets)[where] - place
    fit = np.flatnonzero(models.valid_mask(model, np.asarray(rows.ids)) & (left >= ahead))
    if not len(fit):
        raise SaelabError(
            f"no token has {ahead} tokens left in its row: give longer texts or a smaller ahead"
        )
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.choice(fit, min(positions, len(fit)), replace=False))
    first = torch.from_numpy(rows[int(where[drawn[0]])].astype(np.int64))[None]
    head = Head(model, first, torch.ones_like(first, dtype=torch.bool))
    lines = []
    for token in Bar(drawn, desc="ablate", disable=not progress):
        row, position = int(where[token]), int(place[token])
        ids = torch.from_numpy(rows[row][: position + ahead].astype(np.int64))[None]  # (1, T)
        x, y = _activations(site, ids, position)
        codes = sae.encode_sparse(x)
        latents = -codes.values.float()[:, None] * sae.W_dec.detach().float()[codes.indices]  # (m, d_out)
        if codes.stats is not None:  # from the SAE's units to the activations'
            latents = latents * codes.stats[1].float()
        alive = np.flatnonzero(y.float().cpu().numpy())
        channels = torch.from_numpy(rng.permutation(alive)[: max(len(latents), 1)])
        zeroed = torch.zeros(len(channels), len(y))
        zeroed[torch.arange(len(channels)), channels] = -y[channels].float().cpu()
        found = effects(head, site, ids, position, latents, batch_tokens)
        lines.append(
            {"token_index": int(token), "row": row, "position": position, "latents": int(found.isfinite().sum()),
             "sparsity": _mean(found), "silent": int((~found.isfinite()).sum()),
             "channel_sparsity": _mean(effects(head, site, ids, position, zeroed, batch_tokens))}
        )  # fmt: skip
    return noted(pd.DataFrame(lines), site.mismatch)


@torch.no_grad()
def _activations(site: SAEAtHook, ids: Tensor, position: int) -> tuple[Tensor, Tensor]:
    """(1, d_in) what the SAE reads at a position, (d_out,) what is where it writes."""
    found = models.run_to_hooks(site.model, ids, list(dict.fromkeys([*site.reads, *site.writes])))
    x = torch.cat([found[h][:, position] for h in site.reads], -1)
    return x, torch.cat([found[h][0, position] for h in site.writes], -1)


@torch.no_grad()
def effects(
    head: Head, site: SAEAtHook, ids: Tensor, position: int, change: Tensor, batch_tokens: int
) -> Tensor:
    """(m,) sparsity of the effect of adding each ``change`` (m, d_out) where the SAE writes, at one position of
    ``ids`` (1, T), on the logits from there on; NaN where there is no effect."""
    if not len(change):
        return torch.zeros(0)
    ahead = ids.shape[1] - position
    scored = torch.zeros_like(ids, dtype=torch.bool)
    scored[:, position:] = True
    mask = torch.ones_like(scored)
    clean = head.logits(head.run(ids, mask, scored)[0]).float()  # (ahead, V)
    copies = max(1, head.batch_tokens(batch_tokens, 1) // ids.shape[1])
    at_once = max(1, _CELLS // clean.numel())
    out = []
    for part in change.split(copies):
        n = len(part)

        def add(piece: slice, part: Tensor = part) -> models.HookFn:
            def fn(x: Tensor) -> Tensor:
                x = x.clone()
                x[:, position] += part[:, piece].to(x)
                return x

            return fn

        hooks = {h: add(piece) for h, piece in site.slices.items()}
        # (n · ahead, w)
        rows, _ = head.run(ids.expand(n, -1), mask.expand(n, -1), scored.expand(n, -1), hooks)
        for some in rows.reshape(n, ahead, -1).split(at_once):
            after = head.logits(some.flatten(0, 1)).float().reshape(len(some), *clean.shape)  # (c, ahead, V)
            out.append(sparsity(after - clean).cpu())
    return torch.cat(out)


def sparsity(effect: Tensor) -> Tensor:
    """``(L1 / L2)² / (T · V)`` of changes (n, T, V) less the median of each token's: (n,); NaN if nothing changes."""
    effect = effect.double() - effect.double().median(-1, keepdim=True).values  # (n, T, V)
    flat = effect.flatten(1)  # (n, T · V)
    squares = flat.square().sum(1)
    return torch.where(squares > 0, flat.abs().sum(1).square() / (squares * flat.shape[1]), torch.nan)


def _mean(values: Tensor) -> float:
    defined = values[values.isfinite()]
    return float(defined.mean()) if len(defined) else float("nan")

"""Put the partner in the latent's place: does the model predict what it did?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.errors import SaelabError, check_latents
from saelab.experiments.ablation import output_scale
from saelab.index import LatentIndex
from saelab.matching import chance
from saelab.matching.text import one_model
from saelab.models.lens import kl_divergence

if TYPE_CHECKING:
    from saelab.matching.result import LatentMatch

_SOME, _LIKE = (
    64,
    20,
)  # latents drawn where none are named; latents of the nearest rates that chance draws from


def substitute(
    found: LatentMatch, latents: Any, n: int, draws: int | None, rng: np.random.Generator
) -> LatentMatch:
    """The match by activation, judged by what the model does; see :func:`saelab.match`.

    On the rows where a latent is strongest, its contribution is taken away, and put back as its partner's. The score
    is ``1 − KL(substituted) / KL(ablated)``, the divergences from the unedited model summed over the positions where
    the latent fires: 1 where the partner does all that the latent did, 0 where it does nothing, below 0 where it harms.
    """
    a, b = found.a, found.b
    model = a.need_model("match(by='substitution'), of a,")
    sae_a, sae_b = a.need_sae("match, of a,"), b.need_sae("match, of b,")
    notes = one_model("by='substitution' puts a partner in a latent's place, in one model", a, b)
    if sae_a.config.hook_out != sae_b.config.hook_out or len(sae_a.config.hooks_out) > 1:
        raise SaelabError(
            "by='substitution' puts a partner in a latent's place, so both SAEs write at one hook point; got "
            f"{sae_a.config.hook_out!r} and {sae_b.config.hook_out!r}. Compare by='activation'"
        )
    wanted = _wanted(a, found.frame, latents, rng)
    counts_b, lines, drawn = b.counts, [], []
    partners: Any = found.frame["partner"]
    order = np.argsort(counts_b, kind="stable")
    order = order[counts_b[order] > 0]
    if len(order) < 2:
        raise SaelabError("only one latent of b fires, so chance has no other partner to draw")
    draws = draws or max(4, int(np.ceil(1 / (found.fdr * len(wanted)))))
    draws = min(draws, _LIKE, len(order) - 1)
    for latent in wanted:
        partner = int(partners[latent])
        place = np.searchsorted(counts_b[order], counts_b[partner])
        begin = max(0, min(place - _LIKE // 2, len(order) - _LIKE - 1))
        near = order[begin : begin + _LIKE + 1]
        near = near[near != partner]
        others = rng.choice(near, draws, replace=False).tolist()
        changes = _changes(model, a, b, latent, [partner, *others], n)
        ablated, loss_ablated = changes[0]
        recovered = [1 - kl / ablated if ablated > 0 else np.nan for kl, _ in changes[1:]]
        lines.append({
            "latent": latent, "partner": partner, "score": recovered[0], "kl_ablated": ablated,
            "kl_substituted": changes[1][0], "loss_ablated": loss_ablated, "loss_substituted": changes[1][1],
        })  # fmt: skip
        drawn.append(recovered[1:])
    frame: Any = pd.DataFrame(lines).set_index("latent")
    before: Any = found.frame
    null = np.array(drawn).T.reshape(draws, -1)
    verdict = chance.verdict(frame["score"].to_numpy(), null, np.zeros(len(frame), int))
    frame["null_quantile"], frame["q"] = verdict.quantile, verdict.q
    frame["matched"] = frame["score"].notna() & (frame["q"] <= found.fdr)
    keep = [
        c
        for c in ("second", "mutual", "density", "token", "label", "partner_token", "partner_label")
        if c in found.frame
    ]
    frame = frame.join(before[keep].rename(columns={"second": "second_correlation"}))
    frame.insert(2, "correlation", before["score"].reindex(frame.index))
    cut = frame["score"][frame["matched"]].min() if frame["matched"].any() else np.inf
    flat = {"latent": np.tile(frame.index, draws), "score": null.ravel(), "matched": null.ravel() >= cut}
    return replace(
        found,
        frame=frame, back=found.back.iloc[:0], by="substitution", null_frame=pd.DataFrame(flat), blocks=None,
        of="; ".join([f"share of a latent's effect on the prediction that its partner has, on {n} strongest rows", *notes]),
        null=f"a partner drawn from latents that fire about as often, {draws} for each latent; unlike the real one it "
        "is not the most correlated of all, so partners in an unrelated SAE may be beyond it",
    )  # fmt: skip


def _wanted(a: LatentIndex, frame: pd.DataFrame, latents: Any, rng: np.random.Generator) -> list[int]:
    able = np.flatnonzero(frame["partner"].notna())
    if latents is None:
        if not len(able):
            raise SaelabError(
                "no latent of a ever fires together with one of b: there is nothing to put in place"
            )
        return np.sort(rng.choice(able, min(_SOME, len(able)), replace=False)).tolist()
    wanted = check_latents(latents, a.d_sae)
    if alone := sorted(set(wanted) - set(able.tolist())):
        raise SaelabError(
            f"latents {alone[:5]} have no partner to put in their place: no latent of b fires with them"
        )
    return wanted


def _changes(
    model: Any, a: LatentIndex, b: LatentIndex, latent: int, partners: list[int], n: int
) -> list[tuple[float, float]]:
    """(KL from the unedited model, change of the next-token loss), in nats per position where the latent fires: of the
    latent ablated, then of each partner in its place."""
    token, value = a.postings(latent)
    rows, _ = a.rows.locate(token[np.argsort(-value, kind="stable")])
    batch = a.rows.batch(np.sort(pd.unique(rows)[:n]))
    hook = a.need_sae("match").config.hook_out
    counted = torch.from_numpy(a.counted[np.maximum(batch.flat, 0)]) & batch.mask
    mine, fires = _written(model, a.need_sae("match"), [latent], batch, counted)
    theirs, _ = _written(model, b.need_sae("match"), partners, batch, counted)
    target = batch.ids.roll(-1, 1)
    follows = batch.mask.roll(-1, 1)
    follows[:, -1] = False
    out: list[tuple[float, float]] = []

    def logp(change: Tensor | None) -> Tensor:
        edit = {} if change is None else {hook: lambda x: x + change.to(x)}
        with torch.no_grad(), models.lock(model), models.hooked(model, edit):
            return models.forward(model, batch.ids, batch.mask)[fires[0]].float().log_softmax(-1)

    clean = logp(None)  # (positions, V)
    follows, target = follows[fires[0]], target[fires[0]]
    for change in (-mine[0], *(t - mine[0] for t in theirs)):
        got = logp(change)
        kl = kl_divergence(clean, got).clamp_min(0).mean()
        loss = (clean - got).gather(-1, target[:, None].to(got.device))[:, 0][follows]
        out.append((float(kl), float(loss.mean()) if len(loss) else np.nan))
    return out


def _written(
    model: Any, sae: Any, latents: list[int], batch: Any, counted: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Of each latent what it adds at the hook point, (B, T, d_out), and where it fires, (B, T)."""
    found = models.run_to_hooks(model, batch.ids, list(sae.config.hooks), batch.mask)
    with torch.no_grad():
        codes = sae.encode_sparse(torch.cat([found[h] for h in sae.config.hooks], -1))
        scale = output_scale(codes).reshape(*batch.ids.shape, -1)
        out, on = [], []
        for latent in latents:
            active = codes.column(latent) * counted.to(codes.values.device)
            out.append(active[..., None].float() * sae.W_dec[latent].float() * scale)
            on.append((active > 0).cpu())
    return out, on

"""The passes behind ``saelab.evaluate``: sums per document, for one or several SAEs at once.

A first pass finds the mean activation where the SAEs write. In the second every batch is run once as it is, once
with zeros and once with that mean in place of the activations, and once with each SAE's reconstruction. An SAE
encodes each token once: where it reads, nothing has been changed yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saelab import models
from saelab.activations.store import ActivationStore
from saelab.display import Bar
from saelab.errors import SaelabError, memory
from saelab.evaluation.head import Head, losses
from saelab.interventions import SAEAtHook
from saelab.models import HookedModel
from saelab.sae import SAE

Hooks = tuple[str, ...]


@dataclass(eq=False)
class Sums:
    """What one SAE's report is made of.

    Attributes
    ----------
    per_document
        name -> (documents,) float64: tokens ``n``, squared error ``err2`` and squared distance from the mean
        ``var2`` (also ``…@<hook>`` for each place a crosscoder writes to, and ``…_all`` with special tokens), sums
        of ``cos``, ``norm_x``, ``norm_r``, ``l0``; ``predictions`` and sums of each ``ce_<run>``, ``kl_<run>``.
    fires
        (d_sae,) tokens on which each latent is active.
    l0
        (m,) number of tokens with 0, 1, 2, … active latents.
    special
        Tokens left out.
    causal
        Whether the model predicts a next token.
    empty
        Documents without text.
    copies
        Documents with the tokens of another: they are of the same one here.
    no_losses
        Why there is no prediction, where that is known beforehand.
    """

    documents: int
    d_sae: int
    per_document: dict[str, np.ndarray] = field(default_factory=dict)
    fires: np.ndarray = field(init=False)
    l0: np.ndarray = field(init=False)
    special: int = 0
    causal: bool = True
    empty: int = 0
    copies: int = 0
    no_losses: str = ""

    def __post_init__(self) -> None:
        self.fires, self.l0 = np.zeros(self.d_sae, np.int64), np.zeros(1, np.int64)

    def add(self, name: str, document: np.ndarray, values: Tensor | np.ndarray | float) -> None:
        """Add ``values`` (n,) of the tokens of ``document`` (n,)."""
        if isinstance(values, Tensor):
            values = values.detach().cpu().double().numpy()
        weights = np.broadcast_to(np.asarray(values, np.float64), document.shape)
        part = np.bincount(document, weights, minlength=self.documents)
        self.per_document[name] = self.per_document.get(name, 0.0) + part

    def add_l0(self, counts: np.ndarray) -> None:
        part = np.bincount(counts, minlength=len(self.l0))
        part[: len(self.l0)] += self.l0
        self.l0 = part


@torch.no_grad()
def measure(
    model: HookedModel, saes: Sequence[SAE], rows: models.TokenRows, batch_tokens: int, bar: Bar
) -> list[Sums]:
    """The sums of each SAE over all ``rows``; ``bar`` is told of every token of every pass."""
    sites = [SAEAtHook(model, sae) for sae in saes]
    writes = list(dict.fromkeys(tuple(s.writes) for s in sites))
    reads = [h for s in sites for h in s.reads]
    places = list(dict.fromkeys([*reads, *(h for w in writes for h in w)]))
    document = rows.distinct()
    n, causal = int(document.max()) + 1, models.predicts_next(model)
    copies = len(np.unique(rows.doc)) - n
    all_sums = [Sums(n, sae.config.d_sae, causal=causal, empty=rows.empty, copies=copies) for sae in saes]
    means = _means(model, rows, places, batch_tokens, bar)
    batch = next(rows.batches(batch_tokens))
    head = Head(model, batch.ids, batch.mask)
    for batch in rows.batches(head.batch_tokens(batch_tokens, 2 * len(writes) + len(saes))):
        keep = models.valid_mask(model, batch.ids, batch.mask)  # (B, T)
        # scored where the activation is replaced and a token that counts follows: at BOS all runs are the same
        scored = torch.zeros_like(keep)
        scored[:, :-1] = keep[:, :-1] & keep[:, 1:] & causal
        target = batch.ids.roll(-1, 1)[scored]  # (n,)
        clean, found = head.run(batch.ids, batch.mask, scored, capture=places)
        doc = np.broadcast_to(document[batch.row][:, None], batch.ids.shape)  # (B, T)
        runs: dict[str, Tensor] = {}
        for i, hooks in enumerate(writes):
            for name, row in (("zero", None), ("mean", means)):
                new = {
                    h: torch.zeros_like(found[h])
                    if row is None
                    else row[h][0].to(found[h]).expand_as(found[h])
                    for h in hooks
                }
                runs[f"{name}{i}"] = _replaced(head, batch, scored, keep, new)
        for i, (site, sums) in enumerate(zip(sites, all_sums, strict=True)):
            recon = _reconstruct(site, sums, found, means, batch, keep, doc)
            runs[f"sae{i}"] = _replaced(head, batch, scored, keep, recon)
        with memory(f"losses at {len(target):,} positions", None, "Take a smaller batch_tokens"):
            each = losses(head, clean, runs, target)
        lost = torch.zeros(*keep.shape, 1).masked_scatter(scored[..., None], each["ce_clean"].float())
        # infinite is the loss of a token that the model's logits mask
        models.check_finite(model, "the loss", lost.nan_to_num(torch.nan, 0.0, 0.0), batch.ids, scored)
        where = doc[scored.numpy()]
        for i, (site, sums) in enumerate(zip(sites, all_sums, strict=True)):
            place = writes.index(tuple(site.writes))
            sums.add("predictions", where, 1.0)
            sums.add("ce_clean", where, each["ce_clean"])
            for name, key in (("sae", f"sae{i}"), ("zero", f"zero{place}"), ("mean", f"mean{place}")):
                sums.add(f"ce_{name}", where, each[f"ce_{key}"])
                sums.add(f"kl_{name}", where, each[f"kl_{key}"])
        bar.update(int(batch.mask.sum()))
    return all_sums


def _replaced(
    head: Head, batch: models.Batch, scored: Tensor, keep: Tensor, new: dict[str, Tensor]
) -> Tensor:
    """Rows of the head with ``new`` (B, T, d) in place of the activations where ``keep`` (B, T)."""

    def swap(value: Tensor) -> models.HookFn:
        return lambda x: torch.where(keep.to(x.device)[..., None], value.to(x), x)

    return head.run(batch.ids, batch.mask, scored, {h: swap(v) for h, v in new.items()})[0]


def _means(
    model: HookedModel, rows: models.TokenRows, hooks: list[str], batch_tokens: int, bar: Bar
) -> dict[str, tuple[Tensor, Tensor]]:
    """hook -> mean activation (d,) over counted tokens, and over special ones as well, float64 on the CPU."""
    total: dict[str, list[Any]] = {h: [0.0, 0.0] for h in hooks}
    n, n_all = 0, 0
    for batch in rows.batches(batch_tokens):
        keep = models.valid_mask(model, batch.ids, batch.mask)  # (B, T)
        found = models.run_to_hooks(model, batch.ids, hooks, batch.mask)
        parts = [_places(on) for on in (keep, batch.mask & ~keep)]
        for hook, x in found.items():
            # float32 for one batch's rows, float64 over all: a device may have no float64
            both = torch.stack([x.flatten(0, 1)[on.to(x.device)].float().sum(0) for on in parts]).cpu()
            total[hook] = [old + new.double() for old, new in zip(total[hook], both, strict=True)]
        n += int(keep.sum())
        n_all += int(batch.mask.sum())
        bar.update(int(batch.mask.sum()))
    if n == 0:
        raise SaelabError("every position is a special token or padding: there is nothing to evaluate")
    return {h: (a / n, (a + b) / n_all) for h, (a, b) in total.items()}


def _places(on: Tensor) -> Tensor:
    """(n,) numbers of the places where ``on`` (B, T), which is on the CPU: a device would be waited for at each mask."""
    return on.flatten().nonzero()[:, 0]


def _reconstruct(
    site: SAEAtHook, sums: Sums, found: dict[str, Tensor], means: dict[str, tuple[Tensor, Tensor]],
    batch: models.Batch, keep: Tensor, doc: np.ndarray,
) -> dict[str, Tensor]:  # fmt: skip
    """Add one batch's reconstruction to the sums; hook -> the reconstruction (B, T, d)."""
    first, mask = found[site.writes[0]], batch.mask
    on = _places(mask).to(first.device)
    x = torch.cat([found[h].flatten(0, 1)[on] for h in site.reads], -1)  # (m, d_in) of all real tokens
    y = torch.cat([found[h].flatten(0, 1)[on] for h in site.writes], -1).float()  # (m, d_out)
    middles = [torch.cat([means[h][i] for h in site.writes]).to(y) for i in (0, 1)]
    slices = site.slices if site.crosscoder else {}
    recon = _compare(site.sae, sums, x, y, middles, slices, doc[mask.numpy()], keep[mask].numpy())
    out = {}
    for hook, part in site.slices.items():
        full = torch.zeros((mask.numel(), part.stop - part.start), device=first.device)
        full[on] = recon[:, part]
        out[hook] = full.reshape(*mask.shape, -1)  # (B, T, d)
        if not np.isfinite(sums.per_document["err2"]).all():
            models.check_finite(
                site.model, f"the SAE's reconstruction at {hook!r}", out[hook], batch.ids, keep
            )
    return out


def _compare(
    sae: SAE, sums: Sums, x: Tensor, y: Tensor, middles: Sequence[Tensor], slices: dict[str, slice],
    where: np.ndarray, count: np.ndarray,
) -> Tensor:  # fmt: skip
    """Add the reconstruction of ``x`` (m, d_in) beside ``y`` (m, d_out) to the sums, and return it (m, d_out).

    ``middles`` are means (d_out) of tokens that count and of all; ``slices`` the parts of y that get a variance of their
    own; ``where`` (m,) the document of each, ``count`` (m,) whether it counts.
    """
    codes = sae.encode_sparse(x)
    recon = sae.decode(codes).to(y.device).float()  # (m, d_out)
    middle, middle_all = middles
    err, var = (y - recon).square(), (y - middle).square()  # (m, d_out)

    each = {
        "err2": err.sum(-1), "var2": var.sum(-1), "x2": y.square().sum(-1),
        "cos": torch.nn.functional.cosine_similarity(_scaled(y), _scaled(recon), dim=-1),
        "norm_x": y.norm(dim=-1), "norm_r": recon.norm(dim=-1), "l0": codes.offsets.diff().to(y),
        "var2_all": (y - middle_all).square().sum(-1),
        **{f"err2@{hook}": err[:, part].sum(-1) for hook, part in slices.items()},
        **{f"var2@{hook}": var[:, part].sum(-1) for hook, part in slices.items()},
    }  # fmt: skip
    # one wait for all
    lines = dict(zip(each, torch.stack(list(each.values())).cpu().double().numpy(), strict=True))
    lines["err2_all"] = lines["err2"]
    for name, values in lines.items():
        all_tokens = name.endswith("_all")
        sums.add(name, where if all_tokens else where[count], values if all_tokens else values[count])
    sums.add("n", where[count], 1.0)
    sums.add_l0(lines["l0"][count].astype(np.int64))
    counted = torch.from_numpy(count).to(codes.indices.device)[codes.rows()].float()  # (nnz,)
    fires = torch.zeros(sae.config.d_sae, device=counted.device)  # whole numbers, exact below 2²⁴ tokens
    sums.fires += fires.index_add_(0, codes.indices, counted).cpu().long().numpy()
    sums.special += int((~count).sum())
    return recon


@torch.no_grad()
def measure_items(saes: Sequence[SAE], store: ActivationStore, n: int, batch: int, bar: Bar) -> list[Sums]:
    """The sums of each SAE over the first ``n`` rows of a store: reconstruction and sparsity, no losses."""
    rows, _ = store.documents()
    names, document = np.unique(rows.doc, return_inverse=True)
    doc = np.repeat(document, np.diff(rows.offsets))[:n]  # (n,)
    documents = int(doc.max()) + 1
    parts = [(a, min(a + batch, n)) for a in range(0, n, batch)]
    totals: dict[str, Any] = {sae.config.hook_out: 0.0 for sae in saes}
    for a, b in parts:
        for hook in totals:
            totals[hook] = totals[hook] + store.rows(a, b, hook or None).double().sum(0)  # (d_out)
        bar.update(b - a)
    if not all(total.isfinite().all() for total in totals.values()):
        raise SaelabError("these activations hold NaN or infinity: there is no mean to compare with")
    out = []
    for sae in saes:
        sums = Sums(documents, sae.config.d_sae, no_losses="these are activations alone, there is no model")
        hooks, widths = sae.config.hook_out.split("+"), sae.config.widths or ()
        ends = np.cumsum([0, *widths]).tolist()
        slices = {h: slice(a, b) for h, a, b in zip(hooks, ends, ends[1:], strict=False)}
        mean = (totals[sae.config.hook_out] / n).float()
        for a, b in parts:
            x, y = (store.rows(a, b, hook or None) for hook in (sae.config.hook_in, sae.config.hook_out))
            _compare(sae, sums, x, y, [mean, mean], slices, doc[a:b], np.ones(b - a, bool))
            bar.update((b - a) / len(saes))
        for name in (
            "predictions",
            "ce_clean",
            *(f"{k}_{run}" for k in ("ce", "kl") for run in ("sae", "zero", "mean")),
        ):
            sums.add(name, doc, 0.0)
        out.append(sums)
    return out


def _scaled(x: Tensor) -> Tensor:
    """Rows (m, d) by their largest entry: squares of tiny or huge ones are beyond float32. A row of zeros stays."""
    return x / x.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)

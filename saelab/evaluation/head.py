"""Next-token losses of several runs of a model over the same tokens, in bounded memory.

A vocabulary of 256,000 makes 4 GB of logits out of 4,096 tokens. So a pass stops at what goes into the
unembedding, keeps only the positions that are scored, and makes logits of some of them for a piece of the vocabulary
at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from saelab import models
from saelab.errors import HookError
from saelab.models import HookedModel
from saelab.models.lens import kl_divergence

_BEFORE, _AFTER = "unembed.hook_in", "unembed.hook_out"
_TILE, _ROWS = 1024, 512  # logits made at a time, so that they and their part of the matrix stay in a cache
_CELLS = 1 << 21  # the same where a row's logits cannot be made in pieces


class Head:
    """Runs a model up to its unembedding, and makes logits of chosen positions.

    ``whole`` says that this model's logits are more than its unembedding (a cap on logits, a user's hook, or a
    model without that hook point): then complete passes are made, of as few tokens as memory asks for.
    """

    def __init__(self, model: HookedModel, ids: Tensor, mask: Tensor):
        """``ids`` and ``mask`` (B, T): a few real tokens, to see whether the short way gives the model's logits."""
        self.model = model
        points = model.hook_dict
        self.whole = (
            _BEFORE not in points
            or not hasattr(getattr(model, "unembed", None), "original_component")
            or any(points[n].fwd_hooks for n in (_BEFORE, _AFTER) if n in points)
        )
        if not self.whole:
            few, real = ids[:1, :8], mask[:1, :8]
            with torch.no_grad():
                want = models.forward(model, few, real)[real.to(models.device(model))]
                rows, _ = self.run(few, real, real)
                # bitwise equal on most machines; a matrix product of other shape may round another way
                self.whole = not torch.allclose(self.logits(rows), want, rtol=1e-3, atol=1e-3)

    def batch_tokens(self, wanted: int, runs: int) -> int:
        """How many tokens a pass may have so that what is kept of ``runs`` runs stays under 256 MB."""
        if not self.whole:
            return wanted
        return max(1, min(wanted, (1 << 26) // (models.vocab_size(self.model) * (runs + 1))))

    def run(
        self,
        ids: Tensor,
        mask: Tensor,
        scored: Tensor,
        edits: Mapping[str, models.HookFn] | None = None,
        capture: Sequence[str] = (),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One pass: (n, w) what :meth:`logits` wants for the n positions where ``scored`` (B, T), and the
        activations at ``capture``, each (B, T, d)."""
        # numbers of places that the CPU counts: a device would be waited for at each mask
        place = scored.flatten().nonzero()[:, 0].to(models.device(self.model))
        with models.lock(self.model), torch.no_grad(), models.hooked(self.model, dict(edits or {})) as fired:
            if not self.whole:
                found = models.run_to_hooks(self.model, ids, [*capture, _BEFORE], mask, finite=False)
                rows = found.pop(_BEFORE)  # (B, T, d)
            else:
                found = {}

                def keep(name: str) -> models.HookFn:
                    def fn(x: Tensor) -> None:
                        found[name] = x.detach()

                    return fn

                with models.hooked(self.model, {name: keep(name) for name in capture}):
                    rows = models.forward(self.model, ids, mask)  # (B, T, V)
        silent = [name for name in edits or {} if not fired[name]] + [n for n in capture if n not in found]
        if silent:
            raise HookError(
                f"hook point {silent[0]!r} exists but did not fire in a forward pass of this model"
            )
        return rows.flatten(0, 1)[place], found

    def logits(self, rows: Tensor, some: slice = slice(None)) -> Tensor:
        """(n, w) of :meth:`run` -> (n, V), or only ``some`` of the vocabulary."""
        if self.whole:
            return rows[:, some]
        unembed = self.model.unembed.original_component
        if not isinstance(unembed, torch.nn.Linear):
            return unembed(rows)[:, some]
        return F.linear(rows, unembed.weight[some], None if unembed.bias is None else unembed.bias[some])

    def tiles(self) -> list[slice]:
        """The vocabulary in pieces that :meth:`logits` makes without making the rest."""
        size = models.vocab_size(self.model)
        linear = self.whole or isinstance(self.model.unembed.original_component, torch.nn.Linear)
        step = _TILE if linear else size
        return [slice(i, min(i + step, size)) for i in range(0, size, step)]


@torch.no_grad()
def losses(head: Head, clean: Tensor, runs: Mapping[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    """Cross-entropy of every run and its KL divergence from the clean one, token by token.

    Parameters
    ----------
    clean, runs
        (n, w) rows of :meth:`Head.run`, for the same n positions.
    target
        (n,) the tokens that follow.

    Returns
    -------
    dict
        ``ce_clean``, and ``ce_<run>`` and ``kl_<run>`` for each run: (n,) in nats.
    """
    tiles = head.tiles()
    height = max(1, min(_ROWS, _CELLS // max(t.stop - t.start for t in tiles)))
    names = ["ce_clean", *(f"{kind}_{run}" for run in runs for kind in ("ce", "kl"))]
    parts = [torch.zeros(len(names), 0)]
    target = target.to(clean.device)
    for i in range(0, len(clean), height):
        here = slice(i, i + height)
        each = [clean[here], *(rows[here] for rows in runs.values())]
        found = torch.stack(_losses(head, tiles, each, target[here])).cpu()  # (names, n), one wait for all
        for kl, rows in zip(found[2::2], each[1:], strict=True):
            # logits of -inf on both sides: 0 · (inf - inf)
            for k in (~kl.isfinite()).nonzero()[:, 0].tolist():
                pair = [head.logits(x[k : k + 1]).float().log_softmax(-1) for x in (each[0], rows)]
                kl[k] = kl_divergence(*pair)[0]
        found[2::2] = found[2::2].clamp_min(0)  # rounding may leave a little less than nothing
        parts.append(found)
    return dict(zip(names, torch.cat(parts, 1), strict=True))


def _losses(head: Head, tiles: list[slice], runs: list[Tensor], target: Tensor) -> list[Tensor]:
    """Cross-entropy of the first run, then cross-entropy and divergence of each other one: (n,) each.

    A row's sums over the vocabulary are taken tile by tile, relative to the largest logit so far.
    """
    wide = torch.float32 if target.device.type == "mps" else torch.float64
    start = torch.zeros(len(target), 1, dtype=wide, device=target.device)
    # largest logit; not -inf, or inf - inf
    top = [torch.full_like(start, -1e30, dtype=torch.float32) for _ in runs]
    mass = [start.clone() for _ in runs]  # Σ exp(logit - top)
    said = [start.clone() for _ in runs]  # logit of the target
    apart = [start.clone() for _ in runs]  # Σ exp(clean - top of clean) (clean - other)
    for tile in tiles:
        inside = ((target >= tile.start) & (target < tile.stop))[:, None]  # (n, 1)
        column = (target[:, None] - tile.start).clamp(0, tile.stop - tile.start - 1)  # (n, 1)
        p, clean = start, start
        for j, rows in enumerate(runs):
            logit = head.logits(rows, tile).float()  # (n, c)
            new = torch.maximum(top[j], logit.amax(-1, keepdim=True))  # (n, 1)
            shrink, top[j] = (top[j] - new).exp(), new
            said[j] = torch.where(inside, logit.gather(-1, column).to(wide), said[j])
            e = (logit - new).exp_()  # (n, c)
            mass[j] = mass[j] * shrink + e.sum(-1, keepdim=True)
            if j == 0:
                p, clean = e, logit
                apart = [a * shrink for a in apart]
            else:
                apart[j] = apart[j] + torch.sub(clean, logit, out=e).mul_(p).sum(-1, keepdim=True)
    total = [t.to(wide) + m.log() for t, m in zip(top, mass, strict=True)]  # log Σ exp(logit)
    out = [(total[0] - said[0])[:, 0]]
    for j in range(1, len(runs)):
        kl = (apart[j] / mass[0] - total[0] + total[j])[:, 0]  # (n,)
        out += [(total[j] - said[j])[:, 0], kl]
    return out

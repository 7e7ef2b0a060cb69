"""Next-token losses of several runs of a model over the same tokens, in bounded memory.

A vocabulary of 256,000 makes 4 GB of logits out of 4,096 tokens. So a pass stops at what goes into the
unembedding, keeps only the positions that are scored, and makes logits for a few of them at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from saelab import models
from saelab.errors import HookError

_BEFORE, _AFTER = "unembed.hook_in", "unembed.hook_out"
_CELLS = 1 << 21  # logits made at a time: 8 MB in float32, so that they stay in a processor's cache


class Head:
    """Runs a model up to its unembedding, and makes logits of chosen positions.

    ``whole`` says that this model's logits are more than its unembedding (a cap on logits, a user's hook, or a
    model without that hook point): then complete passes are made, of as few tokens as memory asks for.
    """

    def __init__(self, model: Any, ids: Tensor, mask: Tensor):
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
                want = models.forward(model, few, real)[real.to(_device(model))]
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
        scored = scored.to(_device(self.model))
        with models.lock(self.model), torch.no_grad(), models.hooked(self.model, dict(edits or {})) as fired:
            if not self.whole:
                found = models.run_to_hooks(self.model, ids, [*capture, _BEFORE], mask)
                rows = found.pop(_BEFORE)[scored]  # (n, d)
            else:
                found = {}

                def keep(name: str) -> models.HookFn:
                    def fn(x: Tensor) -> None:
                        found[name] = x.detach()

                    return fn

                with models.hooked(self.model, {name: keep(name) for name in capture}):
                    rows = models.forward(self.model, ids, mask)[scored]  # (n, V)
        silent = [name for name in edits or {} if not fired[name]] + [n for n in capture if n not in found]
        if silent:
            raise HookError(
                f"hook point {silent[0]!r} exists but did not fire in a forward pass of this model"
            )
        return rows, found

    def logits(self, rows: Tensor) -> Tensor:
        """(n, w) of :meth:`run` -> (n, V)."""
        return rows if self.whole else self.model.unembed.original_component(rows)


def _device(model: Any) -> torch.device:
    return next(model.parameters()).device


@torch.no_grad()
def losses(
    head: Head, clean: Tensor, runs: Mapping[str, Tensor], target: Tensor, cells: int | None = None
) -> dict[str, Tensor]:
    """Cross-entropy of every run and its KL divergence from the clean one, token by token.

    Parameters
    ----------
    clean, runs
        (n, w) rows of :meth:`Head.run`, for the same n positions.
    target
        (n,) the tokens that follow.
    cells
        How many logits are made at a time; None: 2 million.

    Returns
    -------
    dict
        ``ce_clean``, and ``ce_<run>`` and ``kl_<run>`` for each run: (n,) float32 in nats.
    """
    width = max(1, (cells or _CELLS) // models.vocab_size(head.model))
    out: dict[str, list[Tensor]] = {
        n: [] for n in ("ce_clean", *(f"{k}_{r}" for r in runs for k in ("ce", "kl")))
    }
    target = target.to(clean.device)
    for i in range(0, len(clean), width):
        here = target[i : i + width, None]  # (c, 1)
        logp = head.logits(clean[i : i + width]).float().log_softmax(-1)  # (c, V)
        p = logp.exp()
        out["ce_clean"].append(-logp.gather(-1, here)[:, 0])
        for name, rows in runs.items():
            logq = head.logits(rows[i : i + width]).float().log_softmax(-1)  # (c, V)
            out[f"ce_{name}"].append(-logq.gather(-1, here)[:, 0])
            kl = torch.sub(logp, logq).mul_(p).sum(-1)  # (c,)
            odd = ~kl.isfinite()
            if odd.any():  # logits of -inf on both sides: 0 · (inf - inf)
                kl[odd] = kl_divergence(logp[odd], logq[odd])
            out[f"kl_{name}"].append(kl)
    return {name: torch.cat(parts).cpu() if parts else torch.zeros(0) for name, parts in out.items()}


def kl_divergence(logp: Tensor, logq: Tensor) -> Tensor:
    """KL(p ‖ q) from log-probabilities (\\*, V) -> (\\*), in nats. Entries with p = 0 count as 0, also when
    masked logits make both -inf."""
    return torch.where(logp == -torch.inf, 0.0, logp.exp() * (logp - logq)).sum(-1)

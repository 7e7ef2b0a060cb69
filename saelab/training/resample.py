"""New directions for dead latents of L1-trained SAEs (Bricken et al. 2023, appendix)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from saelab.sae.objective import Ranks

if TYPE_CHECKING:
    from saelab.sae.objective import Parts, Task
    from saelab.training.trainer import Trainer


@torch.no_grad()
def resample(trainer: Trainer, task: Task, parts: Parts) -> int:
    """Give each latent that is dead the direction of an input that is badly reconstructed; returns how many.

    Inputs are drawn with probability proportional to their squared loss. The encoder row gets a fifth of
    the mean length of the living ones, so that the newcomer is active but does not take over, and Adam
    forgets the old one."""
    p = trainer.leaves
    ranks, ids = trainer.ranks, trainer.dead().nonzero().squeeze(-1)  # (n,)
    ends = ranks.gather(ids.new_tensor([[len(ids)]]), "numbers")[0].cumsum(0)
    n, before = int(ends[-1]), int(ends[ranks.rank]) - len(ids)  # dead on all ranks, and on those before
    n = min(n, len(task.x))  # one batch has no more directions to give
    ids = ids[: max(0, n - before)]
    loss = (task.y - parts.recon).square().sum(-1)  # (B,)
    if n == 0 or not float(loss.sum()) > 0:
        return 0
    # a seed of its own for each step, so that no generator's state has to be kept
    seed = (trainer.config.seed * 1_000_003 + trainer.done * 7_919 + 12_345) % (1 << 62)
    generator = torch.Generator().manual_seed(seed)
    weights = (loss / loss.max()).square().cpu().clamp_min(1e-12)
    rows = torch.multinomial(weights, n, generator=generator)  # (n,) of all ranks
    rows = rows[before : before + len(ids)].to(ids.device)
    into = _unit(task.x_in[rows])  # (n, d_in)
    transcodes = task.y is not task.x
    out = _unit(task.y[rows] - p.b_dec) if transcodes else into  # (n, d_out)
    alive = torch.ones(len(p.dec), dtype=torch.bool, device=ids.device)
    alive[ids] = False
    dec_length, enc_length = (_mean_length(w[alive], ranks) for w in (p.dec, p.enc))
    p.dec[ids] = out if trainer.unit else out * dec_length
    if p.enc is not p.dec:
        p.enc[ids] = into * 0.2 * enc_length
    p.b_enc[ids] = 0
    for name, (shape, value) in trainer.sae.arch.parameters(trainer.sae.config).items():
        if shape:
            p.extra[name][ids] = value
    for parameter in trainer.learnt.values():
        if parameter.shape[:1] == p.b_enc.shape:
            for name, moment in trainer.adam.state[parameter].items():
                if name != "step":
                    moment[ids] = 0
    trainer.tokens_since_fired[ids] = 0
    return n


def _mean_length(rows: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """() over all ranks; 1 where there are no rows."""
    total = ranks.total(torch.stack([rows.norm(dim=1).sum(), rows.new_tensor(len(rows))]))
    return torch.where(total[1] > 0, total[0] / total[1].clamp_min(1), 1)


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)

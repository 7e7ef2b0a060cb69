"""Matryoshka: a BatchTopK SAE whose first m latents must also reconstruct by themselves, for each m of
``config.prefixes`` (Bussmann et al. 2025). General features settle in the small dictionaries instead of being
split up by the large one."""

from __future__ import annotations

import torch

from saelab.sae import batchtopk, ops
from saelab.sae.objective import Parts, Task, revive
from saelab.sae.ops import Entries

Options = batchtopk.Options
activate = batchtopk.activate


def loss(task: Task) -> Parts:
    """Mean over prefixes of ``misfit``, plus ``aux_coef * aux``."""
    entries, z, updates = batchtopk.chosen(task)
    batch, d_sae = entries.shape
    sizes = torch.tensor(task.prefixes, device=z.device)
    shell = torch.searchsorted(sizes, entries.indices, right=True)  # (nnz,) which prefix a latent first is in
    # one decode for all: row s * B + b of it holds what shell s adds to row b
    rows, order = (shell * batch + entries.rows).sort(stable=True)
    spread = Entries(rows, entries.indices[order], (len(sizes) * batch, d_sae))
    shells = ops.decode_at(z[order], task.p.dec, spread).reshape(len(sizes), batch, -1)  # (S, B, d_out)
    recons = task.finish(shells.cumsum(0))  # (S, B, d_out)
    misfit = sum(task.misfit(r) for r in recons) / len(sizes)
    aux = revive(task, recons[-1])
    return Parts(misfit + task.aux_coef * aux, recons[-1], entries.indices, aux, updates=updates)

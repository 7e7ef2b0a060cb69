"""One rank of the runs that ``test_ranks.py`` compares: ``python ranks_worker.py RANK SIZE FOLDER STEPS``."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

import saelab.training.trainer
from saelab.sae import SAE, SAEConfig, ops
from saelab.sae.objective import ALONE, Options, Parts, Ranks, Task
from saelab.training import TrainConfig, Trainer
from saelab.training.sharded import Several, config_of_part
from saelab.training.spec import make_options
from saelab.training.start import initialize
from saelab.training.trainer import resample

D, D_SAE, K, BATCH = 12, 61, 4, 40  # no number of ranks divides 61
RUNS: dict[str, tuple[dict, dict, dict]] = {  # SAE, options, recipe
    "topk": ({}, {}, {"ema": 0.9}),
    "topk multi tied": ({"tied": True}, {"multi": 0.125, "k_start": 9}, {}),
    "topk floor skip": ({"skip": True, "floor": 0.5}, {}, {"clip": 0.05}),
    "topk bfloat16": ({}, {}, {"precision": "bfloat16"}),
    "topk all winners on one rank": ({}, {}, {}),
    "topk transcoder": ({"d_out": 7, "input_bias": "own"}, {}, {}),
    "batchtopk": ({}, {}, {}),
    "matryoshka": ({"prefixes": (5, 33, 61)}, {}, {}),
    "relu": ({}, {"target_l0": 4.0}, {}),
    "relu annealed": ({"normalize": "scale", "scale": 2.0}, {"l1": 0.05, "p_end": 0.5, "p_from": 0.0}, {}),
    "gated": ({}, {"l1": 0.05}, {"ema": 0.9}),
    "jumprelu": ({}, {"target_l0": 4.0}, {}),
    "jumprelu tanh": ({}, {"l0": 2.0, "kernel": "tanh"}, {}),
}


def setting(name: str) -> tuple[SAEConfig, Options]:
    """The configuration of a run, and its architecture's options."""
    more, options, _ = RUNS[name]
    arch = name.split()[0]
    needs_k = {"k": K} if arch in ("topk", "batchtopk", "matryoshka") else {}
    return SAEConfig(arch, D, D_SAE, **needs_k, **more), make_options(arch, options, K)


def resample_flipped(trainer: Trainer, task: Task, parts: Parts) -> int:
    """Rows are drawn by their number: those of the batch in its own order."""
    x = task.x.flip(0)
    task = replace(task, x=x, y=x)
    return resample(trainer, task, replace(parts, recon=parts.recon.flip(0)))


def run(
    name: str,
    steps: int,
    ranks: Ranks = ALONE,
    dtype: torch.dtype = torch.float32,
    flip: bool = False,
    device: str = "cpu",
) -> dict:
    """What a run gave, in numbers of this kind: its losses, l0, dead latents, the active latents of each row of each step
    with their values, the bytes this rank received in the last one and in all, and its weights. ``flip``: the rows of a
    batch come in the opposite order, so that sums over rows are rounded otherwise; rows are counted from the other end.
    Candidates are searched in full precision unless the recipe says otherwise: in bfloat16 several ranks look at more of
    them than one, and so find what one misses."""
    more, _, recipe = RUNS[name]
    whole, typed = setting(name)
    g = torch.Generator().manual_seed(3)
    basis = torch.randn(30, D, generator=g)
    x = (torch.rand(steps, BATCH, 30, generator=g).pow(8) @ basis + 0.3).to(dtype)  # (steps, rows, d)
    y = torch.tanh(x[..., :7]) if "d_out" in more else None
    sae = SAE(config_of_part(whole, ranks)).to(dtype)
    variance = initialize(
        sae, x.flatten(0, 1), 0, None if y is None else y.flatten(0, 1), typed, ranks, whole
    )
    sae, mine = sae.to(device), ranks.share(D_SAE)
    silent = {"topk all winners on one rank": range(10, D_SAE), "relu": range(25, 50)}.get(name, ())
    with torch.no_grad():
        sae.b_enc[[i - mine.start for i in silent if mine.start <= i < mine.stop]] -= 5.0
    recipe = {"lr": 3e-3, "precision": "float32"} | recipe
    config = TrainConfig(tokens=steps * BATCH, batch=BATCH, dead_after=2 * BATCH, aux_k=5, **recipe)
    trainer = Trainer(sae, config, variance, steps, typed, ranks, whole)
    out: dict = {"loss": [], "l0": [], "dead": [], "active": [], "rows": [], "threshold": []}
    order, decode, decoded = (torch.arange(BATCH).flip(0) if flip else slice(None)), ops.decode_at, []

    def noted(values, dec, entries):
        decoded.append((values.detach(), entries))
        return decode(values, dec, entries)

    for i in range(steps):
        before = ranks.sent.copy()
        if whole.arch == "jumprelu":  # what a latent has to exceed
            theta = (trainer.leaves.extra["threshold"] + 0.0).tolist()
            out["threshold"].append({mine.start + j: v for j, v in enumerate(theta)})
        ops.decode_at, decoded[:] = noted, []
        saelab.training.trainer.resample = resample_flipped if flip else resample
        step = trainer.step(x[i][order], None if y is None else y[i][order])
        ops.decode_at = decode
        values, entries = decoded[0]  # the reconstruction
        row = entries.rows % BATCH  # a row for each shell of a matryoshka SAE
        row, latent = (BATCH - 1 - row if flip else row).tolist(), (entries.indices + mine.start).tolist()
        out["rows"].append({(r, j): v for r, j, v in zip(row, latent, values.tolist(), strict=True) if v > 0})
        out["loss"].append(float(step.loss))
        out["l0"].append(float(step.l0))
        out["dead"].append(trainer.counts()[0])
        out["active"].append(sorted((step.active + mine.start).tolist()))
    out["last step"] = {n: b - before.get(n, 0) for n, b in ranks.sent.items() if b > before.get(n, 0)}
    trainer.finalize()
    line = trainer.log()
    out |= {"resampled": trainer.resampled, "rare": line["rare"], "sent": ranks.sent.copy()}
    return out | {"weights": {n: p.detach().clone().cpu() for n, p in trainer.leaves.named().items()}}


def main() -> None:
    rank, size, folder, steps = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(1)
    device = os.environ.get("DEVICE", "cpu")
    dist.init_process_group(
        "gloo" if device == "cpu" else "nccl",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=120),
    )
    dtype = getattr(torch, os.environ.get("DTYPE", "float32"))
    flip, ranks = bool(os.environ.get("FLIP")), ALONE if os.environ.get("ALONE") else Several(rank, size)
    found = {name: run(name, steps, ranks, dtype, flip, device) for name in sys.argv[5:] or RUNS}
    (folder / f"rank{rank}").write_bytes(pickle.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()

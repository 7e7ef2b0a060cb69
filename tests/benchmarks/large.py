"""How much memory large SAEs take, beside what :func:`saelab.plan` says.

    python tests/benchmarks/large.py peak --d-sae 262144 --d-in 128 --ranks 1 2 4
    python tests/benchmarks/large.py peak --d-sae 2097152 --ranks 2 --steps 50 --batch 512

``peak`` trains through ``saelab train spec.json`` on made-up activations, with one latent in a hundred dead from the second
step on, and prints of each rank the largest resident memory and the plan's, the seconds of a step and the plan's least.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def rank(spec: Path) -> int:
    """One rank, as torchrun begins it."""
    import torch

    import saelab as sl
    from saelab import cli
    from saelab.training import launch
    from saelab.training.trainer import Trainer

    given = json.loads(spec.read_text())
    width, rows = given.pop("d_in"), given.pop("rows")
    ran = spec.with_suffix(f".{os.environ.get('RANK', '0')}.json")
    ran.write_text(json.dumps(given))
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows, width, generator=g) @ torch.randn(width, width, generator=g) + 1
    launch.ActivationStore.open = staticmethod(lambda path: sl.ActivationStore.of({"x": x}))
    real, times = Trainer.step, []

    def dead(self):
        out = torch.zeros_like(self.tokens_since_fired, dtype=torch.bool)
        out[::100] = True
        return out

    Trainer.dead = dead

    def step(self, *batch):
        if len(times) == 1:
            with torch.no_grad():
                self.sae.b_enc[::100] -= 100
        began = time.monotonic()
        out = real(self, *batch)
        times.append(time.monotonic() - began)
        _note(times, "step")
        return out

    def _note(times, what):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        found = {"peak of steps": peak, "seconds": min(times), "of": len(times)}
        spec.with_suffix(f".{os.environ.get('RANK', '0')}.found").write_text(json.dumps(found))

    Trainer.step = step
    status = cli.main(["train", str(ran), "--timeout", "900"])
    found = spec.with_suffix(f".{os.environ.get('RANK', '0')}.found")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found.write_text(json.dumps(json.loads(found.read_text()) | {"peak": peak}))
    return status


def peak(given: argparse.Namespace) -> None:
    import saelab as sl

    for size in given.ranks:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            folder = Path(name)
            rows = max(2 * given.batch, 8192)
            spec = {
                "store": "made up", "hook": "x", "d_sae": given.d_sae, "arch": given.arch, "k": 32, "batch": given.batch,
                "tokens": given.steps * given.batch, "buffer": rows, "epochs": 1000, "out": str(folder / "out"),
                "d_in": given.d_in, "rows": rows, "dead_after": 1, "ema": given.ema, "precision": given.precision,
            }  # fmt: skip
            path = folder / "spec.json"
            path.write_text(json.dumps(spec))
            launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
            command = [sys.executable, *launch, __file__, "rank", str(path)]
            done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
            assert done.returncode == 0
            needs_k = given.arch in ("topk", "batchtopk", "matryoshka")
            config = sl.SAEConfig(given.arch, given.d_in, given.d_sae, k=32 if needs_k else None, hook_in="x")
            plan = sl.plan(
                config, ranks=size, batch=given.batch, buffer=rows, memory="1000GB", ema=given.ema,
                precision=given.precision,
            )  # fmt: skip
            for i in range(size):
                found = json.loads((folder / f"spec.{i}.found").read_text())
                print(
                    f"{given.arch} {given.d_sae:,} × {given.d_in}, rank {i} of {size}: peak {found['peak'] / 1e9:.3f} GB "
                    f"(of the steps {found['peak of steps'] / 1e9:.3f}), plan {plan.total / 1e9:.3f}, ratio "
                    f"{found['peak'] / plan.total:.3f}; "
                    f"{found['of']} steps, the fastest {found['seconds']:.2f} s, plan at least {plan.seconds:.2f} s",
                    flush=True,
                )
            if given.parts:
                print(plan, flush=True)


def main() -> int:
    if sys.argv[1:2] == ["rank"]:
        return rank(Path(sys.argv[2]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["peak"])
    parser.add_argument("--d-sae", type=int, default=1 << 18)
    parser.add_argument("--d-in", type=int, default=128)
    parser.add_argument("--arch", default="topk")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--ema", type=float, default=0.0)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--folder", type=Path, help="for files that pass")
    parser.add_argument("--parts", action="store_true", help="print the plan")
    peak(parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(main())

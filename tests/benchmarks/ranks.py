"""Several ranks beside one process over a long run, and ranks that are killed at any moment.

    python tests/benchmarks/ranks.py follow --steps 300 --sizes 2 4
    python tests/benchmarks/ranks.py kill --times 20

``follow`` trains each run of ``tests/training/ranks_worker.py`` in one process and by gloo ranks: the largest difference of
the losses, and in how many steps the active latents differ. ``kill`` ends one rank of a run of ``saelab train`` with
signal 9 at a random moment, says after how many seconds all others have ended, goes on with another number of ranks, and
compares the losses with those of the run that nothing interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "training")]


def environment(**more: str) -> dict[str, str]:
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths} | more


def follow(steps: int, sizes: list[int], only: list[str], dtype: str) -> None:
    from ranks_worker import RUNS

    found = {}
    for size in (1, *sizes):
        with tempfile.TemporaryDirectory() as folder:
            worker = [sys.executable, str(TESTS / "training" / "ranks_worker.py")]
            began = time.monotonic()
            command = [[*worker, str(i), str(size), folder, str(steps), *only] for i in range(size)]
            processes = [subprocess.Popen(c, env=environment(DTYPE=dtype)) for c in command]
            ended = [p.wait() for p in processes]
            assert not any(ended)
            found[size] = [pickle.loads((Path(folder) / f"rank{i}").read_bytes()) for i in range(size)]
            print(f"{size} ranks: {time.monotonic() - began:.0f} s", flush=True)
    print(f"{'run':32} ranks  largest |loss - loss of one|  steps whose active latents differ, the first")
    for name in only or RUNS:
        one = found[1][0][name]
        for size in sizes:
            ranks = [r[name] for r in found[size]]
            far = max(abs(a - b) for a, b in zip(ranks[0]["loss"], one["loss"], strict=True))
            other = [
                s
                for s in range(steps)
                if sorted(i for r in ranks for i in r["active"][s]) != one["active"][s]
            ]
            said = f"{len(other)}" + (f", {other[0]}" if other else "")
            print(f"{name:32} {size:5}  {far:29.2e}  {said}", flush=True)


def kill(times: int, seed: int) -> None:
    import test_launch

    import saelab as sl

    rng, often = random.Random(seed), {"checkpoint_every": 500, "resume": True}
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    worker = str(TESTS / "training" / "launch_worker.py")

    def begin(size: int, spec: Path, log: Path) -> subprocess.Popen:
        return subprocess.Popen(
            [*launched, str(size), worker, str(spec)], env=environment(), stdout=log.open("a"), stderr=subprocess.STDOUT
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        began = time.monotonic()
        assert begin(1, test_launch.written(folder, "whole", **often), log).wait() == 0, log.read_text()
        print(f"unbroken: {time.monotonic() - began:.1f} s", flush=True)
        whole = sl.load_sae(folder / "whole").history["loss"]
        for i in range(times):
            spec, log, size = test_launch.written(folder, f"run{i}", **often), folder / f"log{i}", 2 + i % 3
            began = time.monotonic()
            run = begin(size, spec, log)
            while run.poll() is None and len(_children(run.pid)) < size:
                time.sleep(0.1)
            wait = rng.uniform(0, 20)
            time.sleep(wait)
            ranks = _children(run.pid)
            if run.poll() is None and len(ranks) == size:
                victim = rng.randrange(size)
                os.kill(ranks[victim], signal.SIGKILL)
                at, status = time.monotonic(), run.wait(120)
                gone = time.monotonic() - at
                assert status != 0
                assert "Signal 9" in log.read_text(), log.read_text()
                said = f"rank {victim} of {size} killed after {wait:4.1f} s: all ended {gone:4.1f} s later"
            else:
                said = f"nothing to kill after {wait:4.1f} s (exit {run.wait()})"
            again = 1 + (size + i) % 3
            assert begin(again, spec, log).wait() == 0, log.read_text()
            loss = sl.load_sae(folder / f"run{i}").history["loss"]
            print(
                f"{i:2} {said}; {again} ranks went on, losses within {abs(loss - whole).max():.1e}",
                flush=True,
            )


def _children(pid: int) -> list[int]:
    import psutil

    return sorted(p.pid for p in psutil.Process(pid).children() if "launch_worker" in " ".join(p.cmdline()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["follow", "kill"])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--only", nargs="+", default=[], help="names of runs")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--dtype", default="float32", help="float64: rounding turns no choice of the k largest"
    )
    given = parser.parse_args()
    print(json.dumps(vars(given)))
    if given.what == "follow":
        follow(given.steps, given.sizes, given.only, given.dtype)
    else:
        kill(given.times, given.seed)


if __name__ == "__main__":
    main()

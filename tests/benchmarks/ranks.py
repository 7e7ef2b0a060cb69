"""Several ranks beside one process over a long run, and ranks that are killed at any moment.

    python tests/benchmarks/ranks.py follow --steps 300 --sizes 2 4
    python tests/benchmarks/ranks.py follow --device cuda --sizes 1        # nccl
    python tests/benchmarks/ranks.py kill --times 20
    python tests/benchmarks/ranks.py kill --times 7 --moments first last checkpoint save

``follow`` trains each run of ``tests/training/ranks_worker.py`` in one process and by gloo ranks: the largest difference of
the losses, the share of rows whose active latents differ, and how near a tie they were where the first ones do. "flipped"
is one process that sums the rows of a batch in the opposite order: so far rounding alone takes it.

``kill`` ends one rank of a run of ``saelab train`` with signal 9 at a random moment, or at the first or the last step, or
while a checkpoint or the SAE is written. It says after how many seconds all others have ended, goes on with another number
of ranks, and compares the losses with those of the run that nothing interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
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


def follow(steps: int, sizes: list[int], only: list[str], **given: str) -> None:
    from ranks_worker import RUNS

    found = {}
    one = [("one", 1, {"ALONE": "yes"}), ("flipped", 1, {"ALONE": "yes", "FLIP": "yes"})]
    for label, size, more in (*one, *((str(size), size, {}) for size in sizes)):
        with tempfile.TemporaryDirectory() as folder:
            worker = [sys.executable, str(TESTS / "training" / "ranks_worker.py")]
            began = time.monotonic()
            command = [[*worker, str(i), str(size), folder, str(steps), *only] for i in range(size)]
            processes = [subprocess.Popen(c, env=environment(**given, **more)) for c in command]
            ended = [p.wait() for p in processes]
            assert not any(ended)
            found[label] = [pickle.loads((Path(folder) / f"rank{i}").read_bytes()) for i in range(size)]
            print(f"{label}: {time.monotonic() - began:.0f} s", flush=True)
    print(
        f"{'run':28} {'ranks':>7}  largest |loss - loss of one|  rows with other latents, in step, by a gap of"
    )
    for name in only or RUNS:
        one = found["one"][0][name]
        for label, ranks in found.items():
            if label != "one":
                far, share, first, gap = drift(one, [r[name] for r in ranks], name.split()[0])
                said = f"{share:.2%}" + (f", first {first}, {gap:.1e}" if share else "")
                print(f"{name:28} {label:>7}  {far:29.2e}  {said}", flush=True)


def drift(one: dict, ranks: list[dict], arch: str) -> tuple[float, float, int, float]:
    """How far the losses of a run are from those of one process; the share of rows whose active latents differ; the first
    step where one does, and by what share of the batch's largest value the latents that came there are stronger than those
    that went, or than the threshold: where it is as little as rounding, they are tied."""
    from ranks_worker import BATCH

    far = max(abs(a - b) for a, b in zip(ranks[0]["loss"], one["loss"], strict=True))
    others, first, gap = 0, -1, 0.0
    for step, mine in enumerate(one["rows"]):
        theirs = {place: v for r in ranks for place, v in r["rows"][step].items()}
        turned = mine.keys() ^ theirs.keys()
        if turned and not others:
            first, groups = step, {}
            for place in turned:
                chosen_in = {"topk": place[0], "batchtopk": 0, "matryoshka": 0}.get(arch, place)
                groups.setdefault(chosen_in, []).append((mine | theirs)[place])
                if chosen_in == place:
                    bar = one["threshold"][step][place[1]] if arch == "jumprelu" else 0.0
                    groups[place].append(bar)
            gap = max(max(g) - min(g) for g in groups.values()) / max(mine.values())
        others += len({row for row, _ in turned})
    return far, others / (len(one["rows"]) * BATCH), first, gap


def kill(times: int, seed: int, moments: list[str]) -> None:
    import test_launch

    import saelab as sl

    rng, often = random.Random(seed), {"checkpoint_every": 500, "resume": True}
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    worker = str(TESTS / "training" / "launch_worker.py")

    def begin(size: int, spec: Path, log: Path, **kill: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*launched, str(size), worker, str(spec)], env=environment(**kill), stdout=log.open("a"),
            stderr=subprocess.STDOUT,
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
            moment, victim = moments[i % len(moments)], rng.randrange(size)
            nth = (
                rng.randint(1, 7) if moment == "checkpoint" else 1
            )  # eight of them before the last step, of 40
            at = {"first": "0", "last": "39"}.get(moment, f"{moment}:{nth}:{rng.uniform(0, 0.03):.3f}")
            run = begin(size, spec, log, **({} if moment == "any" else {"KILL": f"{victim}:{at}"}))
            while run.poll() is None and len(_children(run.pid)) < size:
                time.sleep(0.05)
            ranks, wait = _children(run.pid), rng.uniform(0, 20)
            if moment == "any":
                time.sleep(wait)
                if run.poll() is None and len(_children(run.pid)) == size:
                    os.kill(ranks[victim], signal.SIGKILL)
            while run.poll() is None and len(_children(run.pid)) == size:
                time.sleep(0.05)
            began, status = time.monotonic(), run.wait(120)
            gone = time.monotonic() - began
            if "Signal 9" in log.read_text():
                said = f"rank {victim} of {size} killed ({moment} {at if moment != 'any' else f'{wait:.1f} s'}): "
                said += f"all ended {gone:4.1f} s later"
                assert status != 0
            else:
                said = f"nothing was killed ({moment}, exit {status})"
            again = 1 + (size + i) % 3
            assert begin(again, spec, log).wait() == 0, log.read_text()
            loss = sl.load_sae(folder / f"run{i}").history["loss"]
            print(
                f"{i:2} {said}; {again} ranks went on, losses within {abs(loss - whole).max():.1e}",
                flush=True,
            )


def _children(pid: int) -> list[int]:
    """The ranks that live."""
    import psutil

    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for p in psutil.Process(pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if "launch_worker" in " ".join(p.cmdline()):
                    found.append(p.pid)
    return sorted(found)


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
        "--moments", nargs="+", default=["any"], choices=["any", "first", "last", "checkpoint", "save"]
    )
    parser.add_argument(
        "--dtype", default="float32", help="float64: rounding turns no choice of the k largest"
    )
    parser.add_argument(
        "--device", default="cpu", help="cuda: on nccl, which has one rank a device: with one, --sizes 1"
    )
    given = parser.parse_args()
    print(json.dumps(vars(given)))
    if given.what == "follow":
        follow(given.steps, given.sizes, given.only, DTYPE=given.dtype, DEVICE=given.device)
    else:
        kill(given.times, given.seed, given.moments)


if __name__ == "__main__":
    main()

"""How much memory large SAEs take, beside what :func:`saelab.plan` says.

    python tests/benchmarks/large.py peak --d-sae 262144 --d-in 128 --ranks 1 2 4
    python tests/benchmarks/large.py peak --d-sae 2097152 --ranks 2 --steps 50 --batch 512

    python tests/benchmarks/large.py lazy --gigabytes 25 --folder /somewhere

``peak`` trains through ``saelab train spec.json`` on made-up activations, with one latent in a hundred dead from the
second step on, and prints of each rank the largest resident memory and the plan's, the seconds of a step and the plan's
least (after the steps the first rank has pages of the file mapped, too, which the system takes back).
``lazy`` makes the file of an SAE of so many gigabytes (a hole but for a few latents), opens it with ``lazy=True``,
indexes it over five thousand tokens of the zoo, and opens a dashboard there and in another process; memory is what the
process has of its own (pages of the file are the system's).
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
                    f"{given.arch} {given.d_sae:,} × {given.d_in}, rank {i} of {size}: resident at most "
                    f"{found['peak'] / 1e9:.3f} GB, in the steps {found['peak of steps'] / 1e9:.3f}, plan "
                    f"{plan.total / 1e9:.3f}, ratio "
                    f"{found['peak of steps'] / plan.total:.3f}; "
                    f"{found['of']} steps, the fastest {found['seconds']:.2f} s, plan at least {plan.seconds:.2f} s",
                    flush=True,
                )
            if given.parts:
                print(plan, flush=True)


def make(folder: Path, gigabytes: float) -> Path:
    """A transcoder of saelab's own format, whose weights are a hole but for sixteen blocks of 256 latents."""
    import numpy as np
    import torch

    import saelab as sl
    from saelab import identity
    from saelab.sae import saving

    d_in, d_out = 128, 512
    n = int(gigabytes * 1e9 / 4 / (d_in + d_out + 1))
    config = sl.SAEConfig(
        "topk", d_in, n, d_out=d_out, k=16, input_bias="own", model="zoo",
        hook_in="blocks.0.hook_resid_mid", hook_out="blocks.0.mlp.hook_post",
    )  # fmt: skip
    shapes = {"W_dec": (n, d_out), "W_enc": (d_in, n), "b_dec": (d_out,), "b_enc": (n,), "own_b_in": (d_in,)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / saving.WEIGHTS

    def head(digest: str, sample: str = "") -> tuple[bytes, dict[str, int], int]:
        about = {"format": saving.FORMAT, "config": json.dumps(config.to_dict())}
        about |= {
            saving.DIGEST: digest,
            saving.SAMPLE if sample else "-" * len(saving.SAMPLE): sample or digest,
        }
        like = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        return saving.tensors_head(like, about)

    begin, places, size = head("0" * 32)
    path.write_bytes(begin)
    os.truncate(path, size)
    arrays = {name: np.memmap(path, np.float32, "r+", places[name], shape) for name, shape in shapes.items()}
    rng = np.random.default_rng(0)
    for a in np.linspace(0, n - 256, 16).astype(int).tolist():
        arrays["W_enc"][:, a : a + 256] = rng.normal(size=(d_in, 256))
        arrays["W_dec"][a : a + 256] = rng.normal(size=(256, d_out)) / d_out**0.5
    for array in arrays.values():
        array.flush()
    head_file = {"format": saving.FORMAT, "version": saving.VERSION, "sae": config.to_dict()}
    (folder / saving.CONFIG).write_text(json.dumps(head_file))
    identity.know = lambda sae, found: None  # it is found out here
    with torch.no_grad(), path.open("r+b") as f:
        found = sl.load_sae(folder, lazy=True)
        f.write(head(identity.sae_digest(found), identity.sample(found))[0])
    return folder


def lazy(given: argparse.Namespace) -> None:
    import threading

    import saelab as sl
    from saelab.models import tokenize_texts

    most = {"RssAnon": 0}

    def memory(name: str) -> int:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines[name].split()[0]) * 1024

    def watch() -> None:
        while True:
            most["RssAnon"] = max(most["RssAnon"], memory("RssAnon"))
            time.sleep(0.2)

    def timed(what: str, call):
        began, worked = time.monotonic(), time.process_time()
        out = call()
        took = f"{time.monotonic() - began:.2f} s, {time.process_time() - worked:.2f} of work"
        print(f"{what}: {took}; memory of its own at most {most['RssAnon'] / 1e9:.2f} GB", flush=True)
        return out

    folder = given.folder / "lazy"
    threading.Thread(target=watch, daemon=True).start()
    command = [sys.executable, __file__, "--gigabytes", str(given.gigabytes), "--folder", str(given.folder)]
    if given.what == "make":
        timed("made", lambda: make(folder / "sae", given.gigabytes))
        return
    if (
        given.what == "lazy" and not folder.exists()
    ):  # by another process, which reads all of it for its digest
        subprocess.run([*command, "make"], check=True)
    model = sl.load_model("zoo")
    size = (folder / "sae" / "weights.safetensors").stat()
    print(f"{size.st_size / 1e9:.1f} GB, of which {512 * size.st_blocks / 1e9:.2f} GB are on the disk")
    sae = timed("opened", lambda: sl.load_sae(folder / "sae", lazy=True))
    print(sae)
    if given.what == "lazy":
        rows = tokenize_texts(model, sl.zoo.texts(400), tokens=given.tokens)
        index = timed(
            f"{rows.n_tokens} tokens indexed",
            lambda: sl.LatentIndex.build(
                model, sae, rows, path=folder / "index", progress=False, overwrite=True
            ),
        )
    else:
        index = timed("index opened", lambda: sl.LatentIndex.open(folder / "index", model=model, sae=sae))
    latent = int(index.counts.argmax())
    for i in (latent, int(index.counts.argsort()[-2])):
        page = timed(f"dashboard of latent {i}", lambda i=i: index.dashboard(i)._repr_mimebundle_())
    assert page
    print(f"resident at most {memory('VmHWM') / 1e9:.2f} GB, with pages of the file", flush=True)
    if given.what == "lazy":
        subprocess.run([*command, "reopen"], check=True)


def main() -> int:
    if sys.argv[1:2] == ["rank"]:
        return rank(Path(sys.argv[2]))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["peak", "lazy", "make", "reopen"])
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
    parser.add_argument("--gigabytes", type=float, default=25.0)
    parser.add_argument("--tokens", type=int, default=5000)
    given = parser.parse_args()
    peak(given) if given.what == "peak" else lazy(given)
    return 0


if __name__ == "__main__":
    sys.exit(main())

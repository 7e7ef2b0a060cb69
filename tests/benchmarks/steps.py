"""A training step of large TopK SAEs on one device, beside plain torch and OpenAI's released kernels: time and memory.

    git clone https://github.com/openai/sparse_autoencoder
    python tests/benchmarks/steps.py --device cuda --openai sparse_autoencoder
    python tests/benchmarks/steps.py --device cpu --d-sae 4096 --d-in 64 --batch 256

Each library is a process of its own and trains on the same rows. saelab is the whole step of ``Trainer`` (auxiliary loss,
counts of latents), plain torch a dense product, ``topk``, and dense gradients in float32, with unit decoder rows and a
fused Adam; OpenAI's is the autoencoder and the order of a step of their ``train.py`` in float16, without dead latents.
Time is the median of the steps after the first three, memory the most that the device had given out; on a CPU it is
what the process had resident. What does not fit says so.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import torch
from train import step_saelab

LIBRARIES = ("saelab", "saelab:float32", "torch", "openai")


def step_torch(d: int, n: int, k: int, x: torch.Tensor) -> Callable[[torch.Tensor], object]:
    """As one writes it down."""
    dec = torch.randn(n, d, device=x.device)
    dec /= dec.norm(dim=1, keepdim=True)
    p = [t.requires_grad_() for t in (dec.T.clone(), torch.zeros(n, device=x.device), dec, x.mean(0))]
    enc, b_enc, _, b_dec = p
    adam = torch.optim.Adam(p, lr=1e-4, eps=6.25e-10, fused=True)

    def step(x: torch.Tensor) -> None:
        values, places = ((x - b_dec) @ enc + b_enc).topk(k)
        z = torch.zeros(len(x), n, device=x.device).scatter(1, places, values.relu())
        (z @ dec + b_dec - x).square().sum(1).mean().backward()
        with torch.no_grad():
            assert dec.grad is not None
            dec.grad -= (dec.grad * dec).sum(1, keepdim=True) * dec
            adam.step()
            adam.zero_grad()
            dec.div_(dec.norm(dim=1, keepdim=True))

    return step


class Alone:
    """A communicator of one, which their search asks even where nothing is sharded."""

    def size(self) -> int:
        return 1

    def all_gather(self, parts, x, async_op=False) -> None:
        parts[0].copy_(x)

    def all_reduce(self, x, op=None, async_op=False) -> None:
        pass


def step_openai(d: int, n: int, k: int, x: torch.Tensor, folder: Path) -> Callable[[torch.Tensor], object]:
    """Their modules from a clone; what their package imports beside them, and their log, is not needed."""
    package = types.ModuleType("sparse_autoencoder")
    package.__path__ = [str(folder / "sparse_autoencoder")]
    sys.modules |= {"sparse_autoencoder": package, "wandb": types.ModuleType("wandb")}
    from sparse_autoencoder import kernels, train  # pyright: ignore[reportMissingImports]

    comms = train.ShardingComms(1, 1, 0, 0, None, Alone(), 0)
    ae = train.FastAutoencoder(n, d, k, None, 10**9, comms).to(x.device)
    ae.pre_bias.data = x.mean(0)
    adam = torch.optim.Adam(ae.parameters(), lr=1e-4, eps=6.25e-10, fused=True)
    scaler = torch.amp.GradScaler(x.device.type)

    def step(x: torch.Tensor) -> None:
        with torch.autocast(x.device.type, torch.float16):
            recons, _ = ae(x)
            loss = kernels.mse(recons, x).mean()
        scaler.scale(loss).backward()
        train.unit_norm_decoder_(ae)
        train.unit_norm_decoder_grad_adjustment_(ae)
        scaler.unscale_(adam)
        scaler.step(adam)
        scaler.update()
        adam.zero_grad()

    return step


def worker(given: argparse.Namespace) -> None:
    """One library, one size: a line of JSON."""
    (n,), d, device = given.d_sae, given.d_in, torch.device(given.device)
    torch.manual_seed(0)
    x = torch.randn(given.batch, d) @ torch.randn(d, d) / d**0.5 + 1
    name, _, precision = given.worker.partition(":")
    if name == "saelab":
        step, _ = step_saelab(
            "topk", d, n, given.k, x, given.steps + 3, precision=precision or "auto", device=given.device
        )
    elif name == "torch":
        step = step_torch(d, n, given.k, x.to(device))
    else:
        step = step_openai(d, n, given.k, x.to(device), given.openai)
    x, times, cuda = x.to(device), [], device.type == "cuda"
    for _ in range(given.steps + 3):
        began = time.perf_counter()
        step(x.clone())
        if cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    peak = (
        torch.cuda.max_memory_allocated()
        if cuda
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    print(json.dumps({"seconds": statistics.median(times[3:]), "peak": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--d-sae", type=int, nargs="+", default=[1 << 17, 1 << 20])
    parser.add_argument("--d-in", type=int, default=768)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--openai", type=Path, help="a clone of their repository")
    parser.add_argument("--worker", choices=LIBRARIES)
    given = parser.parse_args()
    if given.worker:
        worker(given)
        return
    shared = [
        f"--{n}={getattr(given, n.replace('-', '_'))}" for n in ("device", "d-in", "k", "batch", "steps")
    ]
    print(
        f"{given.device}: {torch.cuda.get_device_name() if given.device == 'cuda' else torch.get_num_threads()}"
    )
    for n in given.d_sae:
        print(f"\n{n:,} latents × {given.d_in}, k {given.k}, batch {given.batch:,}")
        for library in LIBRARIES:
            if library == "openai" and given.openai is None:
                print(f"{library:16} not asked for: --openai")
                continue
            command = [sys.executable, __file__, *shared, f"--d-sae={n}", f"--worker={library}"]
            command += [f"--openai={given.openai}"] * bool(given.openai)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(
                    f"{library:16} {(done.stderr.strip().splitlines() or ['killed'])[-1][:150]}", flush=True
                )
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            print(f"{library:16} {1000 * found['seconds']:9.1f} ms {found['peak'] / 1e9:8.2f} GB", flush=True)


if __name__ == "__main__":
    main()

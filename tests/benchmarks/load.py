"""What loading costs beside reading the file's bytes.

    python tests/benchmarks/load.py [--latents 131072] [--width 768] [--runs 7]

A synthetic file in OpenAI's form (TopK, 805 MB) is read as bytes and loaded as an SAE in turns, each time in
a process of its own that has imported everything before. Time is the best of the runs; memory is the peak of
what the process holds itself (RssAnon) over what it held before: pages of the file are the system's, which takes
them back when it wants. Wanted: at most 1.2 times the time and 1.1 times the memory."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

WAYS = ("read", "load", "load without checksums")


def synthetic(path: Path, latents: int, width: int) -> None:
    """A file as OpenAI's code writes it."""
    g = torch.Generator().manual_seed(0)
    encoder = torch.randn(latents, width, generator=g)
    state = {
        "pre_bias": torch.randn(width, generator=g),
        "latent_bias": torch.randn(latents, generator=g),
        "stats_last_nonzero": torch.zeros(latents, dtype=torch.long),
        "latents_activation_frequency": torch.ones(latents),
        "latents_mean_square": torch.zeros(latents),
        "encoder.weight": encoder,
        "decoder.weight": encoder.T.contiguous(),
        "activation": "TopK",
        "activation_state_dict": {"k": 32, "postact_fn": "ReLU"},
    }
    torch.save(state, path)


def status(key: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def once(way: str, path: Path) -> dict[str, float]:
    """In this process: seconds and bytes."""
    from saelab import formats

    before, peak, done = status("RssAnon"), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, status("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, spent = time.perf_counter(), time.process_time()
    held = path.read_bytes() if way == "read" else formats.load_sae(path, check=way == "load")
    seconds, cpu = time.perf_counter() - began, time.process_time() - spent
    peak = max(peak, status("RssAnon"))
    del held
    done.set()
    watcher.join()
    return {"seconds": seconds, "cpu": cpu, "bytes": peak - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=int, default=131072)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--once", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.once:
        print(json.dumps(once(args.once[0], Path(args.once[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "8.pt"
        synthetic(path, args.latents, args.width)
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(args.runs):
            for way in WAYS:
                command = [sys.executable, __file__, "--once", way, str(path)]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                found[way].append(json.loads(out.splitlines()[-1]))
        print(f"{path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    best = {way: {key: min(r[key] for r in runs) for key in runs[0]} for way, runs in found.items()}
    for way in WAYS:
        b, base = best[way], best["read"]
        print(
            f"{way:24s} {b['seconds']:.3f} s ({b['seconds'] / base['seconds']:.2f}x)   cpu {b['cpu']:.3f} s   "
            f"{b['bytes'] / 1e6:.0f} MB ({b['bytes'] / base['bytes']:.3f}x)"
        )


if __name__ == "__main__":
    main()

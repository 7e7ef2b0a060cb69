"""How fast an index is made and asked, and what memory it takes, on synthetic codes.

    python tests/benchmarks/index.py        # 100k tokens x 4k latents … 1M x 24,576, 1M latents
    python tests/benchmarks/index.py --tokens 1M --d-sae 24576 --k 32 --encode

Codes are drawn so that how often latents fire falls like 1 / rank, with a few that fire on a tenth of all
tokens. ``--encode`` also times a TopK SAE's encoder (d_in 768) on some tokens, to say what indexing adds.

    python tests/benchmarks/index.py --through 65536 --tokens 20k

builds one of the zoo through an SAE with so many latents: processor time, and resident memory beyond model and SAE.

    python tests/benchmarks/index.py --peer --work ~/.cache/saelab-benchmarks

compares with SAEDashboard, in its own virtual environment (made under ``--work`` once): the same model, SAE and rows
of tokens (those of ``evaluate.py``). SAEDashboard makes the data of its dashboards with its defaults for ``--latents``
of the latents, spread evenly over all. It runs the model again for every 256, so that its time for 1,000 is
1,000 / ``--latents`` times that. saelab indexes all latents in one pass and then makes records of the same latents,
with the same numbers of examples and bars, and its own dashboards (see ``dashboards.py``); 1,000 latents take their
share of the index and their records; "these alone" counts the whole index. "x" and "per 1,000 latents" are of
processor time. Neither writes HTML. SAEDashboard also finds the most correlated neurons and makes a histogram of
logits; saelab looks for co-active latents among all, SAEDashboard among the 256 at hand. Memory is the largest that
is not backed by a file, above what the process held before (at
first: with model and SAE loaded and one small run done).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saelab.index import LatentIndex
from saelab.index.storage.vocab import Vocab
from saelab.index.storage.writer import IndexWriter
from saelab.models.rows import TokenRows, parse_tokens
from saelab.widgets.payload import payload  # what a dashboard shows; here, without the SAE

ROW, STRETCH, VOCAB = 128, 1 << 17, 5000


class PeakMemory:
    """Peak anonymous memory of a process inside the block, above what it was before: ``.mb``."""

    def __init__(self, process: int | str = "self"):
        self._process = process

    def __enter__(self) -> PeakMemory:
        self.before, self.peak, self._stop = anonymous_mb(self._process), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.005):
            self.peak = max(self.peak, anonymous_mb(self._process))

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.mb = max(0.0, self.peak - self.before)


def anonymous_mb(process: int | str = "self") -> float:
    """Memory that is not backed by a file, in MB (memory-mapped files can be dropped at any time)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1000
    return float("nan")


def synthetic_rows(n_tokens: int, rng: np.random.Generator) -> TokenRows:
    """Rows of 128 tokens that begin with BOS (id 0); words as frequent as 1 / rank."""
    ids = np.minimum(rng.pareto(1.0, n_tokens) + 1, VOCAB - 1).astype(np.int32)
    offsets = np.append(np.arange(0, n_tokens, ROW), n_tokens)
    ids[offsets[:-1]] = 0
    n = len(offsets) - 1
    return TokenRows(ids, offsets, np.arange(n, dtype=np.int32), np.zeros(n, np.int32), True)


def synthetic_codes(counted: np.ndarray, d_sae: int, k: int, rng: np.random.Generator):
    """Counts, latent and value of k different latents per counted position."""
    n = int(counted.sum())
    # k strata of the latents, one of each: no latent twice; inside a stratum as frequent as 1 / rank
    width = d_sae // k
    inside = np.minimum(width ** rng.random((n, k), dtype=np.float32), width - 1).astype(np.int32)
    latent = (inside + np.arange(k, dtype=np.int32) * width).ravel()
    value = rng.standard_exponential(n * k, dtype=np.float32)
    return np.where(counted, k, 0), latent, value


def build(folder: Path, rows: TokenRows, d_sae: int, k: int, spill: int) -> dict[str, float]:
    """Write an index; seconds for appending and for sorting, processor seconds of both, peak memory."""
    rng = np.random.default_rng(1)
    words = [b"<bos>", *(f" w{i}".encode() for i in range(1, VOCAB))]
    ptr = np.cumsum([0, *map(len, words)], dtype=np.int64)
    vocab = Vocab(ptr, np.frombuffer(b"".join(words), np.uint8), [0], 0)
    counted = rows.ids != 0
    config = {
        "sae": {"arch": "synthetic"}, "model": "none", "hook": "none", "bos": True,
        "threshold": 0.0, "shard": None, "window": [10, 5],
        "masked": {"positions": int((~counted).sum()), "reason": "special tokens", "tokens": {}},
        "n_docs": len(rows), "special_ids": [0], "bos_id": 0, "tokenizer": vocab.hash(), "versions": {},
    }  # fmt: skip
    out = {"write": 0.0, "cpu": 0.0}
    codes = None
    with PeakMemory() as memory:
        began = time.perf_counter()
        with IndexWriter(
            folder, rows, counted, d_sae, vocab, config=config, identity={"SAE": "0" * 32}, memory=spill
        ) as writer:
            out["write"] += time.perf_counter() - began
            for start in range(0, rows.n_tokens, STRETCH):
                stop = min(start + STRETCH, rows.n_tokens)
                codes = synthetic_codes(counted[start:stop], d_sae, k, rng)
                began, cpu = time.perf_counter(), time.process_time()
                writer.append(stop, *codes)
                out["write"] += time.perf_counter() - began
                out["cpu"] += time.process_time() - cpu
            del codes
            began, cpu = time.perf_counter(), time.process_time()
            with PeakMemory() as sorting:
                writer.finish()
            out["sort"] = time.perf_counter() - began
            out["cpu"] += time.process_time() - cpu
    return {**out, "MB": memory.mb, "sort MB": sorting.mb}


def milliseconds(call, n: int = 1) -> float:
    """Median time of ``n`` calls."""
    times = []
    for _ in range(n):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


def ask(folder: Path) -> dict[str, float]:
    """Milliseconds to open and for queries: of nine latents when first asked, and the best of five after."""
    out = {"open ms": milliseconds(lambda: LatentIndex.open(folder), 5)}
    index = LatentIndex.open(folder)
    ranked = np.argsort(-index.counts, kind="stable")
    middle = ranked[len(ranked) // 20 : len(ranked) // 20 + 9].tolist()
    out["first ms"] = float(np.median([milliseconds(lambda i=i: payload(index, i)) for i in middle]))
    again = [min(milliseconds(lambda i=i: payload(index, i)) for _ in range(5)) for i in middle]
    out["again ms"] = float(np.median(again))
    out["densest ms"] = milliseconds(lambda: payload(index, int(ranked[0])), 3)
    out["row ms"] = milliseconds(lambda: index.row_codes(len(index.rows) // 2), 5)
    out["search ms"] = milliseconds(lambda: index.search(" w77 "), 2)
    index.stats()
    out["stats ms"] = milliseconds(lambda: LatentIndex.open(folder).stats(), 3)
    return out


def encoder_seconds(n_tokens: int, d_sae: int, k: int, sample: int) -> float:
    """Seconds a TopK SAE with d_in 768 takes to encode ``n_tokens``, from a sample."""
    from saelab.sae import SAE, SAEConfig

    sae = SAE(SAEConfig(arch="topk", d_in=768, d_sae=d_sae, k=k))
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(768, d_sae, generator=g) / 28)
        x = torch.randn(4096, 768, generator=g)  # (4096, 768)
        sae.encode_sparse(x)
        began, done = time.perf_counter(), 0
        while done < sample:
            sae.encode_sparse(x)
            done += len(x)
    return (time.perf_counter() - began) * n_tokens / done


# ---------------------------------------------------------------------------- the same by SAEDashboard


class Worker:
    """``dashboards.py`` in the environment of one library."""

    def __init__(self, python: Path, library: str, folder: Path, latents: list[int], threads: int):
        script = str(Path(__file__).with_name("dashboards.py"))
        arguments = [str(python), script, library, str(folder), "--latents", json.dumps(latents)]
        self._log = folder / f"{library}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*arguments, "--threads", str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip
        self._answer()  # "ready"

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            sys.exit(self._log.read_text()[-2000:])
        return line

    def __call__(self, task: str) -> dict[str, Any]:
        """The worker's answer, with ``MB``: its peak memory meanwhile."""
        with PeakMemory(self._process.pid) as memory:
            self._process.stdin.write(task + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._answer())
        return answer | {"MB": memory.mb}

    def close(self) -> None:
        self._process.communicate()


def against_saedashboard(shape: str, options: argparse.Namespace) -> None:
    """Print one table: seconds and memory of both, and what indexing adds to encoding."""
    from evaluate import LENGTH, ROWS, prepare
    from train import environment

    # newer pyarrow refuses the NumPy it gets; torchvision and torchaudio, for transcoders alone, may not fit torch
    peer = environment(options.work, "sae-dashboard", ("pyarrow<22",), ("torchvision", "torchaudio"))
    with tempfile.TemporaryDirectory() as name:
        prepare(shape, Path(name), options.batches)
        d_sae = 4096  # of both shapes
        latents = np.linspace(0, d_sae, options.latents, endpoint=False).astype(int).tolist()
        theirs = Worker(peer, "saedashboard", Path(name), latents, options.threads)
        ours = Worker(Path(sys.executable), "saelab", Path(name), latents, options.threads)
        tasks = ("encode", "index", "records", "dashboards")
        turns: dict[str, list[dict[str, Any]]] = {"theirs": [], **{task: [] for task in tasks}}
        for _ in range(options.rounds):
            turns["theirs"].append(theirs("records"))
            for task in tasks:
                turns[task].append(ours(task))
        for worker in (theirs, ours):
            worker.close()
    seconds, cpu = (
        {task: float(np.median([a[what] for a in answers])) for task, answers in turns.items()}
        for what in ("seconds", "cpu")
    )
    memory = {task: max(a["MB"] for a in answers) for task, answers in turns.items()}
    n = len(latents)
    print(f"\n{shape}: {options.batches * ROWS * LENGTH:,} tokens, {n} of {d_sae:,} latents", end=", ")
    print(f"{options.threads} threads, median of {options.rounds}")
    print(
        f"{'':36}{'seconds':>10}{'processor s':>13}{'per 1,000 latents':>19}{'peak MB':>9}"
        f"{'saelab x':>10}{'these alone x':>15}"
    )
    each = {task: s / (d_sae if task == "index" else n) for task, s in cpu.items()}
    for task, what in (
        ("theirs", f"SAEDashboard, {n} latents"),
        ("index", f"saelab, index of all {d_sae:,}"),
        ("records", f"saelab, records of {n}"),
        ("dashboards", f"saelab, its dashboards of {n}"),
    ):
        print(f"{what:36}{seconds[task]:10.2f}{cpu[task]:13.2f}{1000 * each[task]:19.2f}{memory[task]:9.0f}")
    for task in ("records", "dashboards"):
        together, one = cpu["index"] + cpu[task], each["index"] + each[task]
        print(
            f"{'saelab, index and ' + task:36}{seconds['index'] + seconds[task]:10.2f}{together:13.2f}",
            end="",
        )
        print(f"{1000 * one:19.2f}{max(memory['index'], memory[task]):9.0f}", end="")
        print(f"{each['theirs'] / one:10.1f}{cpu['theirs'] / together:15.1f}")
    a, b = ({k: np.array(turns[t][-1][k]) for k in ("counts", "max")} for t in ("theirs", "records"))
    print(f"the same? firings differ for {(a['counts'] != b['counts']).sum()} of {n} latents", end=", ")
    print(f"by at most {np.abs(a['counts'] - b['counts']).max()} of {b['counts'].sum():,} in all", end="; ")
    print(f"largest activations by at most {np.abs(a['max'] - b['max']).max():.1e}")
    print(f"model and encoder alone {cpu['encode']:.2f} s, with the index {cpu['index']:.2f} s", end=": ")
    print(f"{cpu['index'] / cpu['encode']:.2f} x", flush=True)


def through(d_sae: int, tokens: str, k: int) -> None:
    """Print what an index through an SAE with random weights takes."""
    import saelab as sl

    def resident(name: str) -> int:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines[name].split()[0]) * 1024

    model, hook = sl.load_model("zoo"), "blocks.0.mlp.hook_post"
    saes = [sl.SAE(sl.SAEConfig("topk", 512, n, k=k, model="zoo", hook_in=hook)) for n in (256, d_sae)]
    with torch.no_grad():
        for a in range(0, d_sae, 4096):
            saes[1].W_dec[a : a + 4096].normal_(std=512**-0.5)
            saes[1].W_enc[:, a : a + 4096] = saes[1].W_dec[a : a + 4096].T
    with tempfile.TemporaryDirectory() as folder:
        for sae, n in zip(saes, ("1k", tokens), strict=True):  # the first to have loaded what a build needs
            rows = sl.models.tokenize_texts(model, sl.zoo.texts(3000), tokens=n)
            Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
            before, began = resident("VmRSS"), time.process_time()
            sl.LatentIndex.build(model, sae, rows, path=f"{folder}/{n}", progress=False)
            spent, more = time.process_time() - began, (resident("VmHWM") - before) / 1e9
    print(f"{tokens} tokens through {d_sae:,} latents: {spent:.1f} s of work, {more:.3f} GB beyond")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", default=None)
    parser.add_argument("--d-sae", type=int, default=None)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--spill", type=int, default=256_000_000)
    parser.add_argument("--encode", action="store_true", help="time the encoder too")
    parser.add_argument("--sample", type=int, default=16384, help="tokens to time the encoder on")
    parser.add_argument(
        "--through", type=int, help="latents of an SAE that encodes, see above; nothing else then"
    )
    peer = parser.add_argument_group("comparison with SAEDashboard")
    peer.add_argument(
        "--peer", nargs="*", choices=("zoo", "wide"), help="on these, default both; nothing else then"
    )
    peer.add_argument("--work", type=Path, default=Path("~/.cache/saelab-benchmarks").expanduser())
    peer.add_argument(
        "--latents", type=int, default=256, help="how many SAEDashboard makes; best a multiple of 256"
    )
    peer.add_argument("--batches", type=int, default=8, help="of 4,096 tokens")
    peer.add_argument("--rounds", type=int, default=1)
    peer.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.through:
        through(options.through, options.tokens or "20k", options.k)
        return
    if options.peer is not None:
        for shape in options.peer or ("zoo", "wide"):
            against_saedashboard(shape, options)
        return
    cases = [("100k", 4096), ("1M", 4096), ("1M", 24576), ("1M", 1_000_000)]
    if options.tokens or options.d_sae:
        cases = [(options.tokens or "1M", options.d_sae or 24576)]
    for tokens, d_sae in cases:
        n_tokens = parse_tokens(tokens)
        folder = Path(tempfile.mkdtemp(prefix="saelab-benchmark-"))
        try:
            rows = synthetic_rows(n_tokens, np.random.default_rng(0))
            figures = build(folder / "index", rows, d_sae, options.k, options.spill)
            figures |= ask(folder / "index")
        finally:
            shutil.rmtree(folder)
        if options.encode:
            encode = encoder_seconds(n_tokens, d_sae, options.k, options.sample)
            figures |= {"encode s": encode, "with index": 1 + (figures["write"] + figures["sort"]) / encode}
        print(f"{tokens} tokens x {d_sae:,} latents, k={options.k}")
        print("  " + "  ".join(f"{name} {value:.2f}" for name, value in figures.items()))


if __name__ == "__main__":
    main()

"""Training steps of saelab and its peers on the same activations, one after the other in turns.

    python tests/benchmarks/train.py --work ~/.cache/saelab-benchmarks

makes a virtual environment for each peer under ``--work`` (once), then starts one worker process per
library and shape. Workers take turns, one burst of steps each, so that a busy machine is equally busy for
all; the fastest step counts. ``--clock cpu`` with ``--threads 1`` counts processor time, which other
programs disturb less. Every library trains a fresh SAE of the same size from the same numbers with its own
recipe; ``error`` is its normalised error ``Σ‖x-x̂‖² / Σ‖x-x̄‖²`` on held-out rows after the same number of
tokens.

The last table is the harvest: activations through :class:`saelab.activations.harvest.Harvester` (tokenising, masks,
hooks, float32 rows), read from the plain layers and through the bridge, against the bare Hugging Face forward
pass of the same token rows through the same layers and nothing else, in turns. ``--only zoo`` trains topk and
batchtopk SAEs of the bundled model with the default recipe and prints how many of their latents are dead on
text they have not seen.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

PEERS = {"sae_lens": "sae-lens", "sparsify": "eai-sparsify", "dictionary_learning": "dictionary-learning"}
SHAPES = {"topk": [(4096, 512, 8192, 32), (2048, 768, 24576, 32)], "relu": [(4096, 512, 8192, 32)]}
SHAPES["jumprelu"] = SHAPES["relu"]
# what pip brings along for a peer although it is made for another torch, and nothing here uses
DROP = {"dictionary_learning": ("torchvision", "torchaudio")}
LACKS = {"sparsify": {"relu", "jumprelu"}}  # what a peer cannot train


# ------------------------------------------------------------------------------------- inside each worker


def activations(n: int, d: int, seed: int):
    """(n, d) sums of a few of 4 d sparse features, with a mean, as a residual stream has."""
    import torch

    g = torch.Generator().manual_seed(0)
    features = torch.randn(4 * d, d, generator=g)
    features /= features.norm(dim=1, keepdim=True)
    mean = torch.randn(d, generator=g)
    g.manual_seed(seed + 1)
    x = torch.empty(n, d)
    for i in range(0, n, 1024):
        rows = min(1024, n - i)
        z = (torch.rand(rows, 4 * d, generator=g) < 12 / (4 * d)) * torch.rand(rows, 4 * d, generator=g) * 4
        x[i : i + rows] = z @ features + mean + 0.05 * torch.randn(rows, d, generator=g)
    return x


def step_saelab(arch, d, n, k, x, steps, precision="auto", device="cpu"):
    from saelab.sae import SAE, SAEConfig
    from saelab.sae.archs import ARCHS
    from saelab.training import TrainConfig, Trainer, start
    from saelab.training.spec import make_options

    sae = SAE(SAEConfig(arch=arch, d_in=d, d_sae=n, k=k if ARCHS[arch].needs_k else None))
    options = make_options(arch, {}, k)
    variance = start.initialize(sae, x[:8192], 0, None, options)
    sae = sae.to(device)
    recipe = TrainConfig(tokens=steps * len(x), batch=1, precision=precision, lr=1e-3, dead_after=10**7)
    trainer = Trainer(sae, recipe, variance, steps, options)
    return trainer.step, lambda x: sae.decode(sae.encode_sparse(x))


def step_sae_lens(arch, d, n, k, x, steps):
    import torch
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.saes import (
        JumpReLUTrainingSAE,
        JumpReLUTrainingSAEConfig,
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.training.sae_trainer import SAETrainer

    common = {"d_in": d, "d_sae": n, "apply_b_dec_to_input": True}
    if arch == "topk":
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(k=k, **common))
    elif arch == "relu":
        sae = StandardTrainingSAE(StandardTrainingSAEConfig(l1_coefficient=1.0, **common))
    else:
        sae = JumpReLUTrainingSAE(JumpReLUTrainingSAEConfig(l0_coefficient=1.0, **common))
    batch = len(x)
    config = SAETrainerConfig(
        n_checkpoints=0, checkpoint_path=None, save_final_checkpoint=False,
        total_training_samples=steps * batch, device="cpu", autocast=False, lr=1e-3, lr_end=1e-4,
        lr_scheduler_name="constant", lr_warm_up_steps=0, lr_decay_steps=0, n_restart_cycles=1,
        adam_beta1=0.9, adam_beta2=0.999, train_batch_size_samples=batch,
        dead_feature_window=1000, feature_sampling_window=2000, logger=LoggingConfig(log_to_wandb=False),
    )  # fmt: skip
    with torch.no_grad():
        sae.b_dec.copy_(x[:8192].mean(0))
    trainer = SAETrainer(cfg=config, sae=sae, data_provider=iter([]))
    return lambda b: trainer._train_step(sae=sae, sae_in=b), lambda b: sae.decode(sae.encode(b))


def step_sparsify(arch, d, n, k, x, steps):
    """sparsify trains in one call that wants texts and a model: the model here gives back the batch, and the texts of the
    next step come when it is asked for, so that a step is timed from one call for texts to the next."""
    import queue
    import threading

    import torch
    from sparsify import SparseCoderConfig, TrainConfig, Trainer
    from transformers import PretrainedConfig, PreTrainedModel

    texts, width = 32, len(x) // 32
    asked, wanted = queue.SimpleQueue(), queue.SimpleQueue()

    class Given(PreTrainedModel):
        config_class, base_model_prefix = PretrainedConfig, ""

        def __init__(self):
            super().__init__(PretrainedConfig())
            self.place, self.somewhere = torch.nn.Identity(), torch.nn.Parameter(torch.zeros(1))
            self.given = torch.zeros(1, 1, d)

        def forward(self, *args, **kwargs):
            return self.place(self.given)

    class Texts(torch.utils.data.Dataset):
        def __len__(self):
            return (steps + 1) * texts

        def __getitems__(self, places):
            wanted.put(None)
            model.given = asked.get().reshape(texts, width, d)
            return [{"input_ids": torch.zeros(width, dtype=torch.long)}] * len(places)

    model = Given()
    config = TrainConfig(
        SparseCoderConfig(num_latents=n, k=k), batch_size=texts, optimizer="adam", lr=1e-3, lr_warmup_steps=0,
        hookpoints=["place"], save_every=10**9, log_to_wandb=False,
    )  # fmt: skip
    trainer = Trainer(config, Texts(), model)
    threading.Thread(target=trainer.fit, daemon=True).start()
    wanted.get()

    def step(b):
        asked.put(b)
        wanted.get()

    return step, lambda b: trainer.saes["place"](b).sae_out


def step_dictionary_learning(arch, d, n, k, x, steps):
    if arch == "topk":
        from dictionary_learning.trainers.top_k import AutoEncoderTopK, TopKTrainer

        trainer = TopKTrainer(
            steps=steps, activation_dim=d, dict_size=n, k=k, layer=0, lm_name="", lr=1e-3, device="cpu",
            seed=0, dict_class=AutoEncoderTopK, warmup_steps=0,
        )  # fmt: skip
    elif arch == "relu":
        from dictionary_learning.trainers.standard import StandardTrainer

        trainer = StandardTrainer(
            steps=steps, activation_dim=d, dict_size=n, layer=0, lm_name="", lr=1e-3, device="cpu", seed=0,
            warmup_steps=0, sparsity_warmup_steps=None, resample_steps=None,
        )  # fmt: skip
    else:
        from dictionary_learning.trainers.jumprelu import JumpReluTrainer

        trainer = JumpReluTrainer(
            steps=steps, activation_dim=d, dict_size=n, layer=0, lm_name="", lr=1e-3, device="cpu", seed=0,
            warmup_steps=0, sparsity_warmup_steps=None, target_l0=k,
        )  # fmt: skip
    count = iter(range(10**9))
    return lambda b: trainer.update(next(count), b), lambda b: trainer.ae(b)


def worker(library: str, arch: str, shape: list[int], steps: int, threads: int, cpu: bool) -> None:
    """Answer each line of standard input with one burst: milliseconds per step."""
    import os
    import warnings

    warnings.filterwarnings("ignore")
    os.environ |= {"WANDB_MODE": "disabled", "TQDM_DISABLE": "1"}
    import torch

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    torch.set_num_threads(threads)
    batch, d, n, k = shape
    x = activations(min(steps, 16) * batch, d, 0)
    name, _, precision = library.partition(":")
    extra = {"precision": precision} if precision else {}
    torch.manual_seed(0)
    step, recon = globals()[f"step_{name}"](arch, d, n, k, x[:batch], steps, **extra)
    print("ready", file=answers, flush=True)
    clock = time.process_time if cpu else time.perf_counter
    done = 0
    for line in sys.stdin:
        burst = int(line)
        if burst == 0:
            break
        times = []
        for _ in range(burst):
            i = done % 16 * batch
            began = clock()
            step(x[i : i + batch].clone())
            times.append(clock() - began)
            done += 1
        print(json.dumps(1000 * min(times)), file=answers, flush=True)
    held = activations(4096, d, 99)
    with torch.no_grad():
        out = torch.cat([recon(b).detach() for b in held.split(512)])
        error = float((out - held).square().sum() / (held - held.mean(0)).square().sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB on Linux
    print(json.dumps({"error": error, "peak": peak, "steps": done}), file=answers, flush=True)


# --------------------------------------------------------------------------------------------- the judge


def environment(work: Path, package: str, also: tuple[str, ...] = (), drop: tuple[str, ...] = ()) -> Path:
    """Python of the peer's virtual environment, made if it is not there.

    ``also`` are requirements that the peer does not state, ``drop`` what it brings along and does not need.
    """
    folder = work / package
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        torch = "torch==2.13.0"  # first, and held to: the CPU build, not one a peer would pull in
        for what in ([torch], [torch, package, *also]):
            subprocess.run([str(python), "-m", "pip", "install", "-q", *what], check=True)
        if drop:
            subprocess.run([str(python), "-m", "pip", "uninstall", "-q", "-y", *drop], check=True)
        (folder / "installed").write_text(package)
    return python


def compare(
    arch: str,
    shape: tuple[int, ...],
    pythons: dict[str, Path],
    rounds: int,
    burst: int,
    threads: int,
    clock: str,
):
    """One table: library -> (ms per step, peak MB, error)."""
    workers, results = {}, {}
    for library, python in pythons.items():
        if arch in LACKS.get(library, ()):
            continue
        arguments = [str(python), __file__, "--worker", library, arch, json.dumps(shape)]
        arguments += ["--steps", str(rounds * burst), "--threads", str(threads), "--clock", clock]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline().strip() == "ready":
            workers[library] = process
        else:
            process.wait()
    times: dict[str, list[float]] = {library: [] for library in workers}
    for _ in range(rounds):
        for library, process in workers.items():
            process.stdin.write(f"{burst}\n")
            process.stdin.flush()
            times[library].append(json.loads(process.stdout.readline()))
    for library, process in workers.items():
        process.stdin.write("0\n")
        process.stdin.flush()
        results[library] = json.loads(process.stdout.readline()) | {"ms": min(times[library])}
        process.wait()
    return results


def harvest(name: str, layer: int, context: int, rounds: int, threads: int, cpu: bool) -> None:
    """Print tokens per second of our harvest and of the bare forward pass."""
    import torch
    from transformers import AutoModel

    import saelab as sl
    from saelab import direct, model_files
    from saelab.activations import harvest as activations

    torch.set_num_threads(threads)
    clock = time.process_time if cpu else time.perf_counter
    model, hook = sl.load_model(name), f"blocks.{layer}.hook_resid_post"
    print(f"\nharvest of {hook} of {name}, tokens per second")
    if reason := direct.reason(model, [hook]):
        print(f"(through the bridge: {reason})")
    bare = AutoModel.from_pretrained(model_files.resolve(name), dtype=torch.float32).eval()
    layers = bare.layers if hasattr(bare, "layers") else bare.h
    del layers[layer + 1 :]
    setattr(bare, "norm" if hasattr(bare, "layers") else "ln_f", torch.nn.Identity())
    source = sl.zoo.texts(20000, seed=1) if name == "zoo" else sl.package_texts(seed=0)
    texts = [t for _, t in zip(range(20000 if name == "zoo" else 400), source, strict=False)]

    class Counted(activations.Harvester):
        def __init__(self, way: bool):
            super().__init__(model, texts, [hook], context=context)
            self.why_bridge = self.why_bridge if way else "to compare"

        def work(self) -> int:
            return sum(len(place) for _, place in self.next())

    class Bare(Counted):
        """The same rows, tokenised before the clock starts."""

        def work(self) -> int:
            n = 0
            for batch in self.batches:
                mask = None if bool(batch.mask.all()) else batch.mask.long()
                with torch.no_grad():
                    bare(input_ids=batch.ids, attention_mask=mask, use_cache=False)
                n += int(batch.mask.sum()) - len(batch.ids) * self.bos
            return n

        def prepare(self) -> None:
            rows = self._next_rows()
            assert rows is not None
            self.batches = list(rows.batches(self.harvest_tokens))

    ways = {"bare forward pass": Bare(True), "saelab": Counted(True), "saelab, bridge": Counted(False)}
    speed: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds + 1):  # the first round only warms up
        for way, harvester in ways.items():
            if isinstance(harvester, Bare):
                harvester.prepare()
            began = clock()
            n = harvester.work()
            speed[way].append(n / (clock() - began))
    fastest = speed["bare forward pass"][1:]
    for way, each in speed.items():
        # one ratio a round: what slows the machine down then slows all of them
        ratio = sorted(a / b for a, b in zip(each[1:], fastest, strict=True))[rounds // 2]
        print(f"{way:24}{sorted(each[1:])[rounds // 2]:10.0f}{ratio:10.2f} of the bare pass", flush=True)


def zoo(threads: int, tokens: str) -> None:
    """Print what topk and batchtopk SAEs of the bundled model come to with the default recipe."""
    import torch

    import saelab as sl

    torch.set_num_threads(threads)
    model, began = sl.load_model("zoo"), time.process_time()
    configs = [{"arch": arch, "d_sae": 4096, "k": 32} for arch in ("topk", "batchtopk")]
    hook = "blocks.0.mlp.hook_post"
    saes = sl.train_many(model, sl.zoo.texts(), configs, hook=hook, tokens=tokens, progress=False)
    spent = time.process_time() - began
    print(
        f"\n{hook} of the zoo, 4,096 latents, k 32, {tokens} tokens, {spent:.0f} s of processor time for both"
    )
    print(f"{'':24}{'explained':>10}{'L0':>10}{'dead':>10}{'dead at the end of training':>30}")
    for config, sae in zip(configs, saes, strict=True):
        found = sl.evaluate(model, sae, sl.zoo.texts(seed=2), tokens=300_000, progress=False)
        numbers = f"{found.explained_variance:10.4f}{found.l0:10.2f}{found.dead / 4096:10.2%}"
        print(f"{config['arch']:24}{numbers}{sae.history['dead'].iloc[-1] / 4096:30.2%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("~/.cache/saelab-benchmarks").expanduser())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--burst", type=int, default=2, help="steps per turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parts = [*SHAPES, "harvest", "zoo"]
    parser.add_argument("--only", nargs="*", choices=parts, default=parts)
    parser.add_argument("--tokens", default="2.5M", help="of the zoo's SAEs")
    parser.add_argument("--first", action="store_true", help="only the first shape of each")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=list(PEERS))
    parser.add_argument("--worker", nargs=3)
    parser.add_argument("--steps", type=int)
    options = parser.parse_args()
    if options.worker:
        library, arch, shape = options.worker
        worker(library, arch, json.loads(shape), options.steps, options.threads, options.clock == "cpu")
        return
    pythons = {"saelab": Path(sys.executable), "saelab:float32": Path(sys.executable)}
    for library in options.peers if set(options.only) & set(SHAPES) else []:
        try:
            pythons[library] = environment(options.work, PEERS[library], drop=DROP.get(library, ()))
        except subprocess.CalledProcessError as error:
            print(f"{library}: not installed ({error})")
    for arch in [a for a in options.only if a in SHAPES]:
        for shape in SHAPES[arch][: 1 if options.first else None]:
            results = compare(
                arch, shape, pythons, options.rounds, options.burst, options.threads, options.clock
            )
            print(f"\n{arch}, batch {shape[0]}, d {shape[1]}, latents {shape[2]}, k {shape[3]}")
            print(f"{'':24}{'ms/step':>10}{'× saelab':>10}{'peak MB':>10}{'error':>10}{'tokens':>12}")
            base = results["saelab"]["ms"]
            for library, r in results.items():
                tokens = r["steps"] * shape[0]
                numbers = f"{r['ms']:10.0f}{r['ms'] / base:10.2f}{r['peak']:10.0f}{r['error']:10.4f}"
                print(f"{library:24}{numbers}{tokens:12,}", flush=True)
    if "harvest" in options.only:
        for where in (("smollm2", 9, 256), ("zoo", 0, 128)):
            harvest(*where, options.rounds, options.threads, options.clock == "cpu")
    if "zoo" in options.only:
        zoo(options.threads, options.tokens)


if __name__ == "__main__":
    main()

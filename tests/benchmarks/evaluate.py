"""Evaluation by saelab and by SAELens: tokens per second, and whether they find the same.

    python tests/benchmarks/evaluate.py --work ~/.cache/saelab-benchmarks

makes a virtual environment for SAELens under ``--work`` (once), then evaluates the same SAE on the same model and the
same rows of tokens with both, in turns, one complete evaluation each; the median counts. ``--clock cpu`` with
``--threads 1`` counts processor time, which other programs disturb less.

- ``zoo``: the bundled model and SAE (4,096 latents on 512 neurons, vocabulary 3,072), ``floor`` left out, which
  SAELens has not.
- ``wide``: a random model of GPT-2's shape with its vocabulary of 50,257 (4 layers, width 256) and a random TopK SAE
  of 4,096 latents in the middle.

SAELens runs every metric of ``run_evals`` (losses, KL, variance, norms, sparsity, densities) on rows handed to it, so
no time of its tokenizing counts; once with a HookedTransformer and once with a TransformerBridge, the two models it
takes. saelab makes its whole report, mean ablation and intervals included, which SAELens has not. Both get rows of one
length that begin with BOS and hold no other special token. SAELens takes KL at the last position of a row too, and
its zero ablation removes BOS, so those numbers differ; the ones shown are defined alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS, LENGTH = 32, 128  # of one batch
SAME = ("explained_variance", "mse", "cosine", "l0", "ce_clean", "ce_sae")
LIBRARIES = ("saelab", "sae_lens", "sae_lens:bridge")


# ------------------------------------------------------------------------------- what both are to evaluate


def prepare(shape: str, folder: Path, batches: int) -> None:
    """Write model (Hugging Face form), SAE (SAELens's form) and rows of tokens."""
    import dataclasses

    import numpy as np
    import torch

    import saelab as sl
    from saelab.sae import SAE, SAEConfig

    n = batches * ROWS
    if shape == "zoo":
        model, source = sl.load_model("zoo"), sl.zoo.load_sae()
        sae = SAE(dataclasses.replace(source.config, floor=0.0, model=str(sl.zoo.model_path())))
        sae.load_state_dict(source.state_dict())
        (folder / "model").symlink_to(sl.zoo.model_path())
        found = []
        for text in sl.zoo.texts(seed=11):
            ids = sl.models.tokenize(model, text)
            if len(ids) >= LENGTH:
                found.append(ids[:LENGTH])
            if len(found) == n:
                break
        rows = np.array(found)
    else:
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(0)
        config = GPT2Config(
            n_layer=4, n_embd=256, n_head=4, n_positions=LENGTH, bos_token_id=0, eos_token_id=0
        )
        GPT2LMHeadModel(config).save_pretrained(folder / "model")
        for file in sl.zoo.model_path().glob("tokenizer*"):  # as they are: older transformers read them too
            shutil.copy(file, folder / "model")
        sae = SAE(
            SAEConfig(
                "topk",
                d_in=256,
                d_sae=4096,
                k=32,
                hook_in="blocks.2.hook_resid_pre",
                model="wide",
                context=LENGTH,
            )
        )
        with torch.no_grad():
            sae.W_dec.copy_(torch.nn.functional.normalize(torch.randn(4096, 256), dim=1))
            sae.W_enc.copy_(sae.W_dec.T)
        rows = np.random.default_rng(0).integers(10, 3000, (n, LENGTH))
        rows[:, 0] = sl.models.bos_id(sl.load_model(folder / "model"))
    np.save(folder / "rows.npy", rows.astype(np.int32))
    sl.save_sae(sae, folder / "sae", format="saelens")


def with_saelab(folder: Path):
    import numpy as np

    import saelab as sl
    from saelab import models

    model, sae = sl.load_model(folder / "model"), sl.load_sae(folder / "sae")
    ids = np.load(folder / "rows.npy")
    rows = models.rows_from([(i, 0, row.tolist()) for i, row in enumerate(ids)], bos=True)

    def run() -> dict[str, float]:
        report = sl.evaluate(model, sae, rows, tokens=None, batch_tokens=ROWS * LENGTH, progress=False)
        return {name: getattr(report, name) for name in SAME}

    return run, rows.n_tokens


def with_sae_lens(folder: Path, backend: str):
    import numpy as np
    import torch
    from sae_lens import SAE
    from sae_lens.evals import get_eval_everything_config, run_evals
    from sae_lens.training.activation_scaler import ActivationScaler

    ids = torch.from_numpy(np.load(folder / "rows.npy").astype(np.int64))
    batches = ids.split(ROWS)

    class Store:
        """What run_evals asks of an ActivationsStore, over the rows at hand."""

        context_size, store_batch_size_prompts = LENGTH, ROWS

        def __init__(self):
            self.reset_input_dataset()

        def reset_input_dataset(self):
            self.left = iter(batches)

        def get_batch_tokens(self, batch_size=None):
            return next(self.left)

    model, sae = lens_model(folder / "model", backend), SAE.load_from_disk(folder / "sae")
    config = get_eval_everything_config(ROWS, len(batches), len(batches))
    config.compute_featurewise_weight_based_metrics = False

    def run() -> dict[str, float]:
        found, _ = run_evals(sae, Store(), model, ActivationScaler(), config)
        flat = {name: value for group in found.values() for name, value in group.items()}
        names = ("explained_variance", "mse", "cossim", "l0", "ce_loss_without_sae", "ce_loss_with_sae")
        return dict(zip(SAME, (flat[name] for name in names), strict=True))

    return run, ids.numel()


def lens_model(folder: Path, backend: str):
    """The model in TransformerLens, without its hub: a HookedTransformer of converted weights, or a bridge."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if backend == "bridge":
        from transformer_lens.model_bridge import TransformerBridge

        return TransformerBridge.boot_transformers(str(folder.resolve()))
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights

    hf, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    c = hf.config
    config = HookedTransformerConfig(
        n_layers=c.n_layer, d_model=c.n_embd, n_ctx=c.n_positions, d_head=c.n_embd // c.n_head, n_heads=c.n_head,
        d_mlp=c.n_inner or 4 * c.n_embd, d_vocab=c.vocab_size, act_fn=c.activation_function, eps=c.layer_norm_epsilon,
        normalization_type="LN", attention_dir="causal", original_architecture="GPT2LMHeadModel", device="cpu",
        tokenizer_prepends_bos=False,
    )  # fmt: skip
    model = HookedTransformer(config, tokenizer)
    model.load_state_dict(convert_gpt2_weights(hf, config), strict=False)
    return model.eval()


def worker(library: str, folder: Path, threads: int, cpu: bool) -> None:
    """Answer each line of standard input with one evaluation."""
    import contextlib
    import warnings

    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.filterwarnings("ignore")
    import torch

    torch.set_num_threads(threads)
    with contextlib.redirect_stdout(sys.stderr):
        name, _, backend = library.partition(":")
        run, tokens = with_saelab(folder) if name == "saelab" else with_sae_lens(folder, backend)
        run()  # the first one warms up
    print("ready", flush=True)
    clock = time.process_time if cpu else time.perf_counter
    for _ in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            began = clock()
            found = run()
            seconds = clock() - began
        print(json.dumps(found | {"tokens_per_second": tokens / seconds}), flush=True)


# ---------------------------------------------------------------------------------------------- the judge


def compare(shape: str, pythons: dict[str, Path], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """library -> its numbers, with the median of tokens per second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(shape, folder, options.batches)
        workers = {}
        for library, python in pythons.items():
            arguments = [str(python), __file__, "--worker", library, name]
            arguments += ["--threads", str(options.threads), "--clock", options.clock]
            process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            if process.stdout.readline().strip() == "ready":
                workers[library] = process
            else:
                print(f"{library} does not run here: {process.communicate()[1].strip().splitlines()[-1]}")
        turns: dict[str, list[dict[str, float]]] = {library: [] for library in workers}
        for _ in range(options.rounds):
            for library, process in workers.items():
                process.stdin.write("\n")
                process.stdin.flush()
                turns[library].append(json.loads(process.stdout.readline()))
        for process in workers.values():
            process.communicate()
    return {
        library: found[-1] | {"tokens_per_second": statistics.median(f["tokens_per_second"] for f in found)}
        for library, found in turns.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("~/.cache/saelab-benchmarks").expanduser())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=2, help=f"batches of {ROWS} rows of {LENGTH} tokens")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--only", nargs="*", choices=("zoo", "wide"), default=["zoo", "wide"])
    parser.add_argument("--worker", nargs=2)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker[0], Path(options.worker[1]), options.threads, options.clock == "cpu")
        return
    sys.path.insert(0, str(Path(__file__).parent))
    from train import PEERS, environment

    peer = environment(options.work, PEERS["sae_lens"])
    pythons = {library: Path(sys.executable) if library == "saelab" else peer for library in LIBRARIES}
    for shape in options.only:
        results = compare(shape, pythons, options)
        base = results["saelab"]
        print(
            f"\n{shape}, {options.batches * ROWS * LENGTH:,} tokens, {options.threads} threads, {options.clock} time"
        )
        print(f"{'':18}{'tokens/s':>10}{'saelab ×':>10}" + "".join(f"{name:>20}" for name in SAME))
        for library, r in results.items():
            ratio = base["tokens_per_second"] / r["tokens_per_second"]
            print(
                f"{library:18}{r['tokens_per_second']:10,.0f}{ratio:10.2f}"
                + "".join(f"{r[n]:20.6f}" for n in SAME)
            )
        apart = max(abs(r[n] / base[n] - 1) for r in results.values() for n in SAME)
        print(f"largest difference of numbers defined alike: {apart:.1e}", flush=True)


if __name__ == "__main__":
    main()

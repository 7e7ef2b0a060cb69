"""Do the loss curves with candidates searched in bfloat16 coincide with those in float32?

    python tests/benchmarks/precision.py [--tokens 300k] [--model zoo|smollm2]

trains the same SAEs on the same batches in both precisions, and once more in float32 from another seed, and prints how
far the curves of unexplained variance lie apart: between the precisions, and between the seeds as a yardstick.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile

import numpy as np
import torch

import saelab as sl

CASES = [
    {"arch": "topk"},
    {"arch": "batchtopk"},
    {"arch": "matryoshka"},
    {"arch": "topk", "options": {"multi": 0.125}},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="zoo")
    parser.add_argument("--tokens", default="300k")
    parser.add_argument("--d-sae", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = sl.load_model(options.model)
    zoo = options.model == "zoo"
    texts = sl.zoo.texts(seed=1) if zoo else sl.package_texts(seed=1)
    hook = "blocks.0.mlp.hook_post" if zoo else "blocks.9.hook_resid_post"
    with tempfile.TemporaryDirectory() as folder:
        store = sl.ActivationStore.write(model, texts, hook, f"{folder}/acts", tokens=options.tokens)
        runs = [("float32", 0), ("bfloat16", 0), ("float32", 1)]
        configs = [
            {**case, "d_sae": options.d_sae, "k": 32, "precision": p, "seed": s}
            for case, (p, s) in itertools.product(CASES, runs)
        ]
        saes = iter(sl.train_many(store, None, configs, batch=4096))
    print(f"unexplained variance, {options.model}, {options.d_sae} latents, k 32, {len(store):,} tokens")
    print(f"{'':28}{'float32':>10}{'bfloat16':>10}{'apart: precisions':>20}{'seeds':>10}")
    for case in CASES:
        a, b, c = (next(saes).history["unexplained"].to_numpy() for _ in runs)
        late = slice(len(a) // 5, None)  # the first fifth falls so fast that nothing can be read from ratios
        apart, seeds = (float(np.abs(x[late] / a[late] - 1).max()) for x in (b, c))
        name = case["arch"] + (" + multi" if "options" in case else "")
        print(f"{name:28}{a[-1]:10.4f}{b[-1]:10.4f}{apart:20.2%}{seeds:10.2%}")


if __name__ == "__main__":
    main()

"""What probing buys on a real model: mean test F1 of graphs against the tokens that were asked, beside tables.

    python tests/benchmarks/n2g_curve.py --index FOLDER

``FOLDER`` is an index of SmolLM2 with the bundled SAE. Latents are drawn at random among those that fire at least 100
times. Tables of tokens and of pairs ask the model nothing; they learn from the same train and valid documents.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

import saelab as sl
from saelab.n2g import N2GConfig

EXAMPLES = (1, 3, 6, 12, 24)  # explained per latent


def points(index: sl.LatentIndex, latents: list[int]) -> tuple[list[dict[str, float]], dict[str, float]]:
    """A row per number of examples, and the mean F1 of the tables."""
    rows, tables = [], {}
    for n in EXAMPLES:
        began = time.process_time()
        config = N2GConfig.fast(n_train=n, rounds=min(3, n), verify=False)
        graphs = sl.n2g.fit(index, latents, config=config, progress=False)
        seconds = (time.process_time() - began) / len(latents)
        found = [g.score(split="test").f1 or 0.0 for g in graphs.values()]
        asked = np.mean([g.fit_info["probe_tokens"] for g in graphs.values()])
        rows.append({"examples": n, "tokens": float(asked), "seconds": seconds, "f1": float(np.mean(found))})
        if not tables:
            each = [g.baselines(split="test") for g in graphs.values()]
            tables = {k: float(np.mean([b[k].f1 or 0.0 for b in each])) for k in ("token", "bigram")}
        print(rows[-1], tables, flush=True)
    return rows, tables


def main() -> None:
    """Parse, run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--index", required=True)
    parser.add_argument("--latents", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    model, sae = sl.load_model("smollm2", dtype="bfloat16"), sl.load_sae("smollm2")
    index = sl.LatentIndex.open(given.index, model=model, sae=sae)
    often = np.flatnonzero(index.counts >= 100)
    latents = np.random.default_rng(given.seed).choice(often, given.latents, replace=False).tolist()
    rows, tables = points(index, latents)
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:,.3f}".format))
    print(", ".join(f"table of {name}s {f1:.3f}" for name, f1 in tables.items()))


if __name__ == "__main__":
    main()

"""Matching by activation of two SAEs on one text, made up: time and memory of a comparison, one draw of chance, and copies.

    python tests/benchmarks/match.py --latents 24576 --tokens 1_000_000

Seconds are the processor's, which other work on the machine does not change; all of it runs on one core.
Targets (two cores): 24,576 latents on 1M tokens in 90 s and 3 GB; 4,096 latents on 100k tokens in 5 s.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from scipy import sparse

from saelab.matching.match import _alike
from saelab.matching.partners import best_of, copies, correlations
from saelab.matching.text import shuffled


def firings(tokens: int, latents: int, k: int, seed: int) -> sparse.csr_matrix:
    """``k`` latents a token, some far more often than others."""
    rng = np.random.default_rng(seed)
    rate = np.cumsum(np.arange(1, latents + 1) ** -0.6)
    latent = np.searchsorted(rate / rate[-1], rng.random(tokens * k)).clip(max=latents - 1).astype(np.int32)
    ptr = np.arange(0, tokens * k + 1, k, dtype=np.int64)
    return sparse.csr_matrix((rng.random(tokens * k), latent, ptr), shape=(tokens, latents))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latents", type=int, default=24576)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--k", type=int, default=32)
    args = parser.parse_args()
    a, b = (firings(args.tokens, args.latents, args.k, seed) for seed in (0, 1))
    doc = np.arange(args.tokens) // 500
    start = time.process_time()
    best = best_of(correlations(a, b), args.latents, args.latents)
    found = time.process_time()
    best_of(correlations(a, b[shuffled(doc, np.random.default_rng(0))]), args.latents, args.latents)
    drawn = time.process_time()
    for values, side in zip((a, b), best, strict=True):
        copies(side.partner, _alike(values))
    alike = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    seconds = f"partners {found - start:.1f} s, a draw of chance {drawn - found:.1f} s, copies {alike - drawn:.1f} s"
    print(f"{seconds}, peak {peak:.2f} GB")


if __name__ == "__main__":
    main()

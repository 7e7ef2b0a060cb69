"""What probing buys on a real model: mean test F1 of graphs against the tokens that were asked, beside tables.

    python tests/benchmarks/n2g_curve.py --index FOLDER --picture curve.svg

``FOLDER`` is an index of SmolLM2 with the bundled SAE. Latents are drawn at random among those that fire at least 100
times. Tables of tokens and of pairs ask the model nothing; they learn from the same train and valid documents.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import saelab as sl
from saelab.n2g import N2GConfig

EXAMPLES = (1, 3, 6, 12, 24)  # explained per latent
WIDE, HIGH, LEFT, TOP = 560, 300, 56, 20  # of the picture and of the plot in it


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


def picture(rows: list[dict[str, float]], tables: dict[str, float], latents: int) -> str:
    """The curve as SVG: tokens asked on a logarithmic axis."""
    low, high = 0.95 * min(tables.values()), 1.05 * max([*tables.values(), *(r["f1"] for r in rows)])
    begin, end = np.log10(rows[0]["tokens"]) - 0.1, np.log10(rows[-1]["tokens"]) + 0.1

    def x(tokens: float) -> float:
        return LEFT + (np.log10(tokens) - begin) / (end - begin) * (WIDE - LEFT - 20)

    def y(f1: float) -> float:
        return TOP + (high - f1) / (high - low) * (HIGH - TOP - 50)

    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDE}" height="{HIGH}" fill="#fff"/>',
    ]
    for name, f1 in (("pairs", tables["bigram"]), ("token lookup", tables["token"])):
        text.append(f'<path d="M{LEFT} {y(f1):.1f}H{WIDE - 20}" stroke="#999" stroke-dasharray="4 3"/>')
        text.append(f'<text x="{WIDE - 20}" y="{y(f1) + 14:.1f}" text-anchor="end">{name} {f1:.3f}</text>')
    line = " ".join(f"{x(r['tokens']):.1f},{y(r['f1']):.1f}" for r in rows)
    text.append(f'<polyline points="{line}" fill="none" stroke="#2a6fbb" stroke-width="2"/>')
    for r in rows:
        text.append(f'<circle cx="{x(r["tokens"]):.1f}" cy="{y(r["f1"]):.1f}" r="3" fill="#2a6fbb"/>')
        text.append(
            f'<text x="{x(r["tokens"]):.1f}" y="{y(r["f1"]) - 8:.1f}" text-anchor="middle">{r["f1"]:.3f}</text>'
        )
        text.append(
            f'<text x="{x(r["tokens"]):.1f}" y="{HIGH - 32}" text-anchor="middle">{r["tokens"]:,.0f}</text>'
        )
    text.append(
        f'<text x="{LEFT}" y="{HIGH - 12}">tokens asked per latent ({", ".join(map(str, EXAMPLES))} examples)</text>'
    )
    text.append(f'<text x="4" y="14">mean test F1 of {latents} latents</text></svg>')
    return "\n".join(text) + "\n"


def main() -> None:
    """Parse, run, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--index", required=True)
    parser.add_argument("--latents", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    model, sae = sl.load_model("smollm2", dtype="bfloat16"), sl.load_sae("smollm2")
    index = sl.LatentIndex.open(given.index, model=model, sae=sae)
    often = np.flatnonzero(index.counts >= 100)
    latents = np.random.default_rng(given.seed).choice(often, given.latents, replace=False).tolist()
    rows, tables = points(index, latents)
    if given.picture:
        given.picture.write_text(picture(rows, tables, len(latents)), encoding="utf-8")


if __name__ == "__main__":
    main()

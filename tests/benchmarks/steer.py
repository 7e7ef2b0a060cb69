"""Steering on the bundled zoo: does each genre's best latent turn its genre on, and what does steering cost?

usage: python tests/benchmarks/steer.py success [--json FILE]
       python tests/benchmarks/steer.py overhead [--model zoo|smollm2] [--json FILE]

``success``: per genre the three latents with the best F1 among those of a precision of at least 0.95; the latent, the
strength and the schedule are chosen on 30 samples, the table is about 50 others, judged by the generator's rules.

``overhead``: time per generated token of the model as it is and steered, taken in turn; the median of the
ratios of neighbouring runs, so that a busy machine disturbs both sides alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import torch  # noqa: E402

import saelab as sl  # noqa: E402
from saelab.evaluation import Success  # noqa: E402


def success(documents: int = 1500, **options) -> Success:
    """The table of :func:`saelab.steering_success` for every genre of the zoo."""
    model, sae = sl.load_model("zoo"), sl.zoo.load_sae()
    rows, labels = sl.zoo.labelled_rows(model, documents, seed=3)
    index = sl.LatentIndex.build(model, sae, rows, progress=False)
    found = index.concepts(labels)
    found = found[found.concept.isin(sl.zoo.GENRES) & (found.precision >= 0.95) & (found.fires >= 50)]
    best = found.sort_values("f1", ascending=False).groupby("concept", observed=True).head(3)
    candidates = {g: [int(i) for i in best.latent[best.concept == g]] for g in sl.zoo.GENRES}
    return sl.steering_success(
        model, sae, {g: c for g, c in candidates.items() if c}, sl.zoo.classify, relative=index, **options
    )


def sae_of(model, hook: str, width: int, d_sae: int) -> sl.SAE:
    """A TopK SAE with random weights: its time does not depend on what it has learnt."""
    sae = sl.SAE(sl.SAEConfig("topk", width, d_sae, k=32, hook_in=hook))
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in sae.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * (0.01 if p.ndim == 1 else p.shape[1] ** -0.5))
    return sae


def overhead(name: str = "zoo", tokens: int = 60, repeats: int = 15) -> dict[str, dict[str, float]]:
    """mode -> milliseconds per token and the ratio to the bare model's."""
    model = sl.load_model(name)
    if name == "zoo":
        sae, latent = sl.zoo.load_sae(), 2203
    else:
        hook = "blocks.15.hook_resid_post"
        sae, latent = sae_of(model, hook, sl.models.hook_width(model, hook), 4096), 7
    ways = {
        "bare": {},
        "add": {"edits": {latent: 4.0}},
        "add, first 10 tokens": {"edits": {latent: 4.0}, "schedule": [1.0] * 10 + [0.0]},
        "clamp": {"edits": {latent: 4.0}, "mode": "clamp"},
        "scale": {"edits": {latent: 3.0}, "mode": "scale"},
        "ablate": {"edits": [latent], "mode": "ablate"},
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 1):
        for way, edits in ways.items():
            how = {"sae": sae if edits else None, "prompt": "The", **edits}
            begin = time.perf_counter()
            sl.generate(model, max_new_tokens=tokens, stop_at_end=False, seed=repeat, **how)
            if repeat:  # the first warms up
                times[way].append((time.perf_counter() - begin) / tokens)
    return {
        way: {
            "ms_per_token": 1e3 * statistics.median(t),
            "ratio": statistics.median(a / b for a, b in zip(t, times["bare"], strict=True)),
        }
        for way, t in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["success", "overhead"])
    parser.add_argument("--model", choices=["zoo", "smollm2"], default="zoo")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    begin = time.perf_counter()
    if args.what == "success":
        found = success()
        print(found)
        result = json.loads(found.frame.to_json(orient="records"))
    else:
        result = overhead(args.model, *((60, 15) if args.model == "zoo" else (16, 5)))
        for way, line in result.items():
            print(f"{way:22s} {line['ms_per_token']:7.2f} ms per token   {line['ratio']:.3f}x")
    print(f"{time.perf_counter() - begin:.0f} s")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

"""The same dashboards by saelab and by SAEDashboard: the two workers of ``index.py --peer``.

Each answers lines of standard input, one task a line, with one line of JSON: how many seconds (``cpu``: of processors)
the task took, and for tasks that describe latents how often each fires and its largest activation. Started by
``index.py``, saelab's in this environment and SAEDashboard's in its own, over what ``evaluate.prepare`` wrote: model,
SAE and rows of tokens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

Task = Callable[[], dict[str, Any]]
TOP, RANGES, PER_RANGE, AROUND, BINS, VOTES = 20, 10, 5, 5, 50, 10  # SAEDashboard's defaults


def with_saelab(folder: Path, latents: list[int]) -> dict[str, Task]:
    """``encode``: model and encoder alone; ``index``: the index of all latents; two kinds of records of some.

    ``records`` hold what SAEDashboard's do: statistics, histogram, the top and ten ranges of the activation, every
    example with its tokens and the activation on each, the logit lens and the co-active latents.
    ``dashboards`` are what saelab's own draw: no ranges but random examples, and the nearest latents by decoder and
    encoder too. Both make all records at once and drop each when it is made, as the exporters do.
    """
    import numpy as np

    import saelab as sl
    from saelab import models
    from saelab.index import relations
    from saelab.index.exports.neuronpedia import chosen_examples
    from saelab.index.firings import Firings
    from saelab.index.stats import histogram
    from saelab.index.storage.build import encoded
    from saelab.widgets.payload import payloads

    model, sae = sl.load_model(folder / "model"), sl.load_sae(folder / "sae")
    ids = np.load(folder / "rows.npy")
    rows = models.rows_from([(i, 0, row.tolist()) for i, row in enumerate(ids)], bos=True)
    built: list[sl.LatentIndex] = []

    def encode() -> dict[str, Any]:
        counted = models.valid_mask(model, rows.ids)
        codes = encoded(sae, model, rows, counted, first=0, batch_tokens=8192, memory=256_000_000)
        return {"firings": sum(len(latent) for _, _, latent, _ in codes)}

    def index() -> dict[str, Any]:
        built[:] = [sl.LatentIndex.build(model, sae, rows, progress=False)]
        return {}

    def described(latents: list[int]) -> Iterator[tuple[Any, ...]]:
        index = built[0]
        for some in Firings.groups(index, latents):
            heights = (histogram(some.value[a:b], BINS) for a, b in pairwise(some.ptr.tolist()))
            shown = chosen_examples(
                index, some, n_top=TOP, intervals=RANGES, n_interval=PER_RANGE, before=AROUND, after=AROUND
            )
            lens = relations.logit_lens(index, some.latents, VOTES)
            together = relations.coactive(index, some, VOTES)
            yield from zip(index.stats_of(some.latents), heights, shown, lens, together, strict=True)

    def records() -> dict[str, Any]:
        stats = [record[0] for record in described(latents)]
        return {"counts": [s["n"] for s in stats], "max": [s["max"] for s in stats]}

    def dashboards() -> dict[str, Any]:
        return {"latents": sum(1 for _ in payloads(built[0], latents))}

    few = models.rows_from([(0, 0, ids[0].tolist())], bos=True)
    built[:] = [sl.LatentIndex.build(model, sae, few, progress=False)]
    fires = int(built[0].counts.argmax())
    (
        list(described([fires])),
        list(payloads(built[0], [fires])),
    )  # what is loaded on first use should not count
    return {"encode": encode, "index": index, "records": records, "dashboards": dashboards}


def with_saedashboard(folder: Path, latents: list[int]) -> dict[str, Task]:
    """``records``: the data of the dashboards, by ``SaeVisRunner`` with its defaults, BOS left out as in saelab."""
    import numpy as np
    import torch
    from evaluate import lens_model
    from sae_dashboard.sae_vis_data import SaeVisConfig
    from sae_dashboard.sae_vis_runner import SaeVisRunner
    from sae_lens import SAE

    model, sae = lens_model(folder / "model", "hooked"), SAE.load_from_disk(folder / "sae")
    sae.fold_W_dec_norm = lambda: None  # SAELens refuses it for this TopK SAE; all norms are 1 within 0.0003
    rows = torch.from_numpy(np.load(folder / "rows.npy").astype(np.int64))  # (R, T)

    def run(rows: torch.Tensor, latents: list[int]) -> dict[str, Any]:
        config = SaeVisConfig(
            hook_point=sae.cfg.metadata.hook_name, features=latents, ignore_tokens={int(rows[0, 0])}
        )
        found = SaeVisRunner(config).run(encoder=sae, model=model, tokens=rows).feature_data_dict
        bars = [found[latent].acts_histogram_data for latent in latents]
        return {"counts": [sum(b.bar_heights) for b in bars], "max": [largest(b.bar_values) for b in bars]}

    def largest(middles: list[float]) -> float:
        """Upper edge of the last bar."""
        return middles[-1] + (middles[1] - middles[0]) / 2 if middles else 0.0

    run(rows[:8], latents[:2])
    return {"records": lambda: run(rows, latents)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("library", choices=("saelab", "saedashboard"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latents", type=json.loads)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    import warnings

    import torch

    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    with contextlib.redirect_stdout(sys.stderr):  # what a library prints must not be taken for an answer
        make = with_saelab if options.library == "saelab" else with_saedashboard
        tasks = make(options.folder, options.latents)
    print("ready", flush=True)
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            began, cpu = time.perf_counter(), time.process_time()
            answer = tasks[line.strip()]()
            answer |= {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""What is asked of the files of before, by ``fixtures/make_before.py`` that made them and by ``test_before.py``.

Only public names of ``saelab`` are used. Every call whose arguments may change is made in one small function
here, with keywords where their order is not settled."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

import saelab as sl

torch.set_num_threads(1)  # sums of another order differ in the last bit
FOLDER = Path(__file__).parent / "fixtures" / "before"
READS = "blocks.0.hook_resid_pre"
WRITES = "blocks.0.hook_resid_post"
PROMPT = "Host: "

# ---------------------------------------------------------------------------------------------------- calls


def texts() -> list[str]:
    """The documents of the index, the store and the runs: kept, so that they do not depend on the corpus."""
    return json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))


def build_index(model: Any, sae: Any, path: Path) -> Any:
    return sl.LatentIndex.build(model=model, sae=sae, texts=texts(), path=path, progress=False)


def open_index(model: Any, sae: Any, path: Path) -> Any:
    return sl.LatentIndex.open(path, model=model, sae=sae)


def fit_graphs(model: Any, sae: Any, index: Any, latents: list[int], path: Path) -> dict[int, Any]:
    return sl.n2g.fit(model=model, sae=sae, index=index, latents=latents, path=path, progress=False)


def write_store(model: Any, path: Path) -> Any:
    return sl.ActivationStore.write(
        model, texts(), [READS, WRITES], path, tokens=400, shard_rows=160, harvest_tokens=128, progress=False
    )  # two files or more: a pass of the model is never cut


def continued(model: Any, sae: Any, edits: Any) -> Any:
    return sl.generate(model=model, sae=sae, prompt=PROMPT, edits=edits, max_new_tokens=12, temperature=0)


def train_on_text(model: Any, out: Path, **options: Any) -> Any:
    """One SAE from text, stopped and resumed while the model still runs."""
    return sl.train(
        model, texts(), hook=WRITES, d_sae=32, k=4, arch="batchtopk", normalize="scale", ema=0.9, tokens=1024,
        batch=32, buffer=64, context=16, aux_k=8, dead_after=64, seed=3, out=out, checkpoint_every=256,
        progress=False, **options,
    )  # fmt: skip


def train_on_store(store: Any, out: Path, **options: Any) -> list[Any]:
    """Two SAEs from a store; the second predicts another hook point than it reads."""
    configs = [
        {"arch": "jumprelu", "d_sae": 16, "hook": READS, "options": {"target_l0": 4.0}},
        {"arch": "matryoshka", "d_sae": 16, "k": 3, "prefixes": (4, 16), "hook": READS, "hook_out": WRITES},
    ]  # fmt: skip
    return sl.train_many(
        store, None, configs, tokens=960, batch=64, buffer=128, epochs=3, seed=4, out=out,
        checkpoint_every=256, progress=False, **options,
    )  # fmt: skip


def shown_curves(out: Path) -> Any:
    return sl.training_monitor(out).to_frame()


# ----------------------------------------------------------------------------------------------- what is asked


def inputs(rows: int, width: int) -> torch.Tensor:
    """(rows, width) numbers that no random generator has a say in."""
    n = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    return ((n * 0.7).sin() * 2 + (n * 0.13).cos()).float()


def numbers(x: torch.Tensor) -> list[Any]:
    return x.detach().float().tolist()


def of_sae(sae: Any) -> dict[str, Any]:
    """Configuration, parameters, latents and reconstruction."""
    x = inputs(4, sae.config.d_in)
    codes = sae.encode_sparse(x)
    return {
        "config": json.loads(json.dumps(sae.config.to_dict())),
        "latents": numbers(sae.encode(x)),
        "recon": numbers(sae.decode(codes)),
        "active": len(codes.values),
        "shapes": {name: list(p.shape) for name, p in sae.named_parameters()},
    }


def bits(*tensors: torch.Tensor) -> str:
    """Digest of the numbers: what a file gives back is the same on every machine."""
    h = hashlib.sha256()
    for x in tensors:
        h.update(x.detach().float().contiguous().numpy().tobytes())
    return h.hexdigest()


def of_run(sae: Any) -> dict[str, Any]:
    """What an SAE remembers of its training."""
    record = {n: sae.record[n] for n in ("recipe", "options", "tokens", "steps", "ended", "data", "identity")}
    return {"record": record, "lines": len(sae.history), "last": sae.history.iloc[-1].to_dict()}


def lines(frame: Any, *columns: str) -> list[list[Any]]:
    return [
        [v.item() if hasattr(v, "item") else v for v in line]
        for line in frame[list(columns)].itertuples(index=False)
    ]


def of_index(index: Any, latents: list[int]) -> dict[str, Any]:
    """Sizes, text, codes, and the answers about some latents. Nothing here runs the model."""
    each = {}
    for latent in latents:
        stats = index.latent_stats(latent)
        top = index.top(latent, n=5, one_per_document=False)
        each[str(latent)] = {
            "stats": [stats[n] for n in ("n", "density", "max")],
            "top": lines(top, "doc", "row", "position", "token", "value", "text"),
            "histogram": index.histogram(latent, bins=8)["count"].tolist(),
            "coactive": lines(index.coactive(latent, n=3), "latent", "both", "similarity"),
        }
    columns = "latent", "hits", "precision", "recall"
    return {
        "sizes": [len(index), index.n_tokens, index.n_counted],
        "counts": index.counts.tolist(),
        "ids": index.rows.ids[:40].tolist(),
        "row": index.activations(latents, 2).tolist(),
        "latents": each,
        "search": lines(index.search("Host", n=5), *columns),
        "span": lines(index.latents_for(1, 2, 6, n=4), "latent", "inside", "outside"),
        "labels": lines(index.labels(), "latent", "label", "note"),
    }


def of_directions(index: Any, latent: int) -> dict[str, Any]:
    """What needs the SAE and the model beside the index."""
    lens = index.logit_lens(latent, n=4)
    return {
        "nearest": lines(index.nearest(latent, n=4), "latent", "similarity"),
        "lens": lines(lens, "up_token", "up_value", "down_token", "down_value"),
    }


def of_graph(graph: Any, index: Any) -> dict[str, Any]:
    """Nodes, history, prediction and scores."""
    wanted = "tokens", "tp", "fp", "fn", "f1", "r2", "scale", "weighted_recall"
    predicted = graph.predict(index.rows)
    return {
        "nodes": json.loads(json.dumps(graph.nodes())),
        "history": json.loads(json.dumps(graph.history)),
        "patterns": len(graph.patterns()),
        "fires": predicted.nonzero()[0][:50].tolist(),
        "sum": float(predicted.sum(dtype="float64")),
        "scores": {
            split: [getattr(graph.score(index, split=split), name) for name in wanted]
            for split in ("train", "valid", "test")
        },
    }


def of_store(store: Any) -> dict[str, Any]:
    """Every row of both hook points, and where the rows come from."""
    n = len(store)
    return {
        "rows": n,
        "hooks": store.hooks,
        "sums": [float(store.rows(0, n, h).double().sum()) for h in store.hooks],
        "bits": [bits(store.rows(0, n, h)) for h in store.hooks],
        "where": store.where(0, n).long().sum(0).tolist(),
    }

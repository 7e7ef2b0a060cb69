"""Cost of an N2G fit: forward calls, tokens and seconds per latent, beside the schedule of OpenAI's code.

    python tests/benchmarks/n2g.py --latents 64
    python tests/benchmarks/n2g.py --latents 64 --openai explanations.py    # their file, run as it is

Without their file a schedule written from reading it is counted: per example suffixes of length 1, 2, 3, … up
to the first that keeps half the activation, one padded prompt, one prompt per token with that token replaced;
calls of at most 16 prompts, every call a full forward with logits, one latent at a time. Scores are on the
test documents.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

import saelab as sl
from saelab import models
from saelab.n2g import N2GConfig, PatternGraph, fit
from saelab.n2g.corpus import corpus
from saelab.n2g.fitting import example_at


class Counted:
    """The model as OpenAI's code calls it: ragged prompts in, activations of one latent out."""

    def __init__(self, model: Any, sae: Any, latent: int, bos: int | None):
        self.model, self.sae, self.latent, self.bos = model, sae, latent, bos
        self.calls = self.tokens = 0

    def __call__(self, prompts: list[list[int]]) -> list[list[float]]:
        head = [] if self.bos is None else [self.bos]
        width = max(map(len, prompts)) + len(head)
        ids = torch.zeros(len(prompts), width, dtype=torch.long)  # (B, T)
        mask = torch.zeros(len(prompts), width, dtype=torch.bool)
        for i, prompt in enumerate(prompts):
            ids[i, : len(prompt) + len(head)] = torch.tensor(head + list(prompt))
            mask[i, : len(prompt) + len(head)] = True
        found: dict[str, torch.Tensor] = {}
        hook = self.sae.config.hook_in
        with torch.no_grad(), models.hooked(self.model, {hook: lambda x: found.update(x=x)}):
            models.forward(self.model, ids, mask)
            acts = self.sae.encode(found["x"])[..., self.latent]  # (B, T)
        self.calls += 1
        self.tokens += int(mask.sum())
        return [acts[i, len(head) : len(head) + len(p)].tolist() for i, p in enumerate(prompts)]


def schedule(run: Counted, documents: list[dict[str, Any]], pad: int) -> dict[str, Any]:
    """The published schedule; returns the trie over token ids as text."""

    def batched(prompts: list[list[int]]) -> list[list[float]]:
        return [a for i in range(0, len(prompts), 16) for a in run(prompts[i : i + 16])]

    waiting = list(range(len(documents)))
    found: dict[int, tuple[list[int], float]] = {}
    length = 1
    while waiting:
        answers = batched([documents[i]["token_ints"][-length:] for i in waiting])
        left = []
        for i, acts in zip(waiting, answers, strict=True):
            whole = length == len(documents[i]["token_ints"])
            if acts[-1] / documents[i]["act"] >= 0.5 or whole:
                found[i] = (documents[i]["token_ints"][-length:], acts[-1] or documents[i]["act"])
            else:
                left.append(i)
        waiting, length = left, length + 1
    order = sorted(found)
    padded = batched([[pad, *found[i][0]] for i in order])
    trie: dict[str, Any] = {}
    for i, acts in zip(order, padded, strict=True):
        tokens, act = found[i]
        free = acts[-1] / documents[i]["act"] >= 0.5
        replaced = batched([[*tokens[:j], pad, *tokens[j + 1 :]] for j in range(len(tokens))])
        here = trie
        for token, row in zip(reversed(tokens), reversed(replaced), strict=True):
            here = here.setdefault("token(*)" if 1 - row[-1] / act < 0.5 else str(token), {})
        if not free:
            here = here.setdefault("token(^)", {})
        here["<saliency>"] = act
    return trie


def theirs(path: Path) -> Any:
    """OpenAI's module from a file; the file storage it imports is never used."""
    sys.modules.setdefault("blobfile", types.ModuleType("blobfile"))
    spec = importlib.util.spec_from_file_location("openai_explanations", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def examples(c: Any, latent: int, n: int = 16) -> list[Any]:
    """``n`` random positive activations of the train documents, as their sampling has it."""
    at, a, part = c.truth(latent)
    at, a = at[part == 0], a[part == 0]
    chosen = np.random.default_rng(latent).choice(len(at), min(n, len(at)), replace=False)
    return [example_at(c, int(at[i]), float(a[i]), 64) for i in chosen]


def run_openai(model: Any, sae: Any, index: Any, latents: list[int], path: Path | None) -> dict[str, Any]:
    """Their schedule (or their code), one latent after another."""
    c = corpus(index, 0)
    pad = int(np.argmax(c.token_counts[0]))
    bos = index.config["bos_id"] if index.rows.bos else None
    module = None if path is None else theirs(path)
    calls = tokens = 0
    graphs = {}
    begun = time.perf_counter()
    for latent in latents:
        run = Counted(model, sae, latent, bos)
        documents = [
            {
                "idx": len(e.tokens) - 1, "act": e.value, "acts": [0.0] * len(e.tokens),
                "tokens": [str(t) for t in e.tokens], "token_ints": list(e.tokens),
            }
            for e in examples(c, latent)
        ]  # fmt: skip
        if module is None:
            trie = schedule(run, documents, pad)
        else:
            trie = module.create_n2g_explanation(run, documents, padding_token=pad).trie
        graphs[latent] = PatternGraph.from_openai(_filled(trie), _Numbers(), target={"latent": latent})
        calls, tokens = calls + run.calls, tokens + run.tokens
    seconds = time.perf_counter() - begun
    return {"graphs": graphs, "calls": calls, "tokens": tokens, "seconds": seconds}


class _Numbers(dict):
    """Vocabulary of tokens written as their ids."""

    def __contains__(self, text: object) -> bool:
        return True

    def __getitem__(self, text: str) -> int:
        return int(text)

    def items(self):  # type: ignore[override]
        return []


def _filled(trie: dict[str, Any]) -> dict[str, Any]:
    """Activations of 0 and below, which their code may store, as 0."""
    return {k: max(v, 0.0) if k == "<saliency>" else _filled(v) for k, v in trie.items()}


def run_ours(model: Any, sae: Any, index: Any, latents: list[int], **options: Any) -> dict[str, Any]:
    """Ours, pooled."""
    begun = time.perf_counter()
    graphs = fit(model, sae, index, latents, config=N2GConfig(**options), progress=False)
    seconds = time.perf_counter() - begun
    calls = sum(g.fit_info["forwards"] for g in graphs.values())
    tokens = sum(g.fit_info["probe_tokens"] for g in graphs.values())
    return {"graphs": graphs, "calls": round(calls), "tokens": tokens, "seconds": seconds}


def line(name: str, result: dict[str, Any], index: Any) -> str:
    """One row of the table."""
    n = len(result["graphs"])
    f1 = [g.score(index, split="test").f1 or 0.0 for g in result["graphs"].values()]
    size = np.median([len(g) for g in result["graphs"].values()])
    return (
        f"{name:<28}{result['calls'] / n:>12.2f}{result['tokens'] / n:>12.0f}{result['seconds'] / n:>12.3f}"
        f"{np.median(f1):>12.3f}{size:>10.0f}"
    )


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="zoo")
    parser.add_argument("--sae", default="zoo", help="a folder saved with sae.save, or zoo")
    parser.add_argument("--index", help="a folder made by LatentIndex.build; made afresh without")
    parser.add_argument("--tokens", default="500k")
    parser.add_argument("--latents", type=int, default=64)
    parser.add_argument("--density", type=float, default=0.05, help="latents up to this density")
    parser.add_argument("--openai", type=Path, help="OpenAI's explanations.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--single", action="store_true", help="also ours with one latent at a time")
    given = parser.parse_args()
    torch.set_num_threads(max(1, torch.get_num_threads()))
    model = sl.load_model(given.model)
    sae = sl.load_sae(given.sae)
    if given.index:
        index = sl.LatentIndex.open(given.index, sae=sae, model=model)
    else:
        texts = sl.zoo.texts(seed=77) if given.model == "zoo" else sl.package_texts()
        index = sl.LatentIndex.build(sae, model, texts, tokens=given.tokens)
    density = index.counts / index.n_counted
    fitting = np.flatnonzero((density < given.density) & (index.counts >= 50))
    chosen = np.random.default_rng(given.seed).choice(
        fitting, min(given.latents, len(fitting)), replace=False
    )
    latents = [int(i) for i in chosen]
    print(f"{len(latents)} latents, {index.n_tokens:,} tokens, {torch.get_num_threads()} threads")
    print(f"{'':<28}{'calls':>12}{'tokens':>12}{'seconds':>12}{'test F1':>12}{'nodes':>10}   per latent")
    name = "OpenAI's code" if given.openai else "OpenAI's schedule"
    print(line(name, run_openai(model, sae, index, latents, given.openai), index), flush=True)
    if given.single:
        print(line("saelab, one at a time", run_ours(model, sae, index, latents, pool=1), index), flush=True)
    print(line("saelab, pooled", run_ours(model, sae, index, latents), index))


if __name__ == "__main__":
    main()

"""What an N2G fit costs and how good the graphs are.

    python tests/benchmarks/n2g.py cost --single
    python tests/benchmarks/n2g.py cost --openai explanations.py    # their file, run as it is
    python tests/benchmarks/n2g.py zoo                              # every latent of the bundled SAE

``cost``: forward calls, tokens and seconds per latent, beside the schedule of OpenAI's code. Without their
file a schedule written from reading it is counted: per example suffixes of length 1, 2, 3, … up to the first
that keeps half the activation, one padded prompt, one prompt per token with that token replaced; calls of at
most 16 prompts, every call a full forward with logits, one latent at a time.

``zoo``: scores beside token and bigram lookup, and the graphs against the rules that wrote the text.

All scores are on the test documents.
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
from saelab.n2g.fit.pool import example_at


class Clock:
    """Seconds since it was made: by the wall, and of processor time over all threads of this process."""

    def __init__(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {
            "seconds": time.perf_counter() - self.wall,
            "processor": time.process_time() - self.processor,
        }


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
    tries: dict[int, Any] = {}
    clock = Clock()
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
        tries[latent] = _filled(trie)
        calls, tokens = calls + run.calls, tokens + run.tokens
    spent = clock.read()
    graphs = {
        i: PatternGraph.from_openai(trie, _Numbers(), target={"latent": i}) for i, trie in tries.items()
    }
    result = {"graphs": graphs, "calls": calls, "tokens": tokens, **spent}
    if module is not None:
        result["agree"] = disagreements(module, tries, graphs, index)
    return result


def disagreements(module: Any, tries: dict[int, Any], graphs: dict[int, PatternGraph], index: Any) -> str:
    """On how many tokens their ``predict`` and ours with ``match="first"`` differ (the first 200 rows)."""
    bos = int(index.rows.bos)
    rows = [index.rows[r][bos:].tolist() for r in range(min(200, len(index.rows)))]
    wrong = total = 0
    for latent, trie in tries.items():
        expected = module.NtgExplanation(trie).predict_many([[str(t) for t in row] for row in rows])
        for row, want in zip(rows, expected, strict=True):
            wrong += int((graphs[latent].predict(row) != np.float32(want)).sum())
            total += len(row)
    return f"{wrong:,} of {total:,} tokens"


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
    clock = Clock()
    graphs = fit(index, latents, model=model, sae=sae, config=N2GConfig(**options), progress=False)
    spent = clock.read()
    calls = sum(g.fit_info["forwards"] for g in graphs.values())
    tokens = sum(g.fit_info["probe_tokens"] for g in graphs.values())
    return {"graphs": graphs, "calls": round(calls), "tokens": tokens, **spent}


def line(name: str, result: dict[str, Any], index: Any) -> str:
    """One row of the table."""
    n = len(result["graphs"])
    f1 = [g.score(index, split="test").f1 or 0.0 for g in result["graphs"].values()]
    size = np.median([len(g) for g in result["graphs"].values()])
    return (
        f"{name:<28}{result['calls'] / n:>12.2f}{result['tokens'] / n:>12.0f}{result['seconds'] / n:>12.3f}"
        f"{result['processor'] / n:>12.3f}{np.median(f1):>12.3f}{size:>10.0f}"
    )


# ----------------------------------------------------------------------------------------------- the zoo


def run_zoo(given: argparse.Namespace) -> None:
    """Every latent of the bundled SAE, against the text and against the rules that wrote the text."""
    model, sae = sl.load_model("zoo"), sl.zoo.load_sae()
    documents = sl.zoo.labelled_rows(model, given.documents, given.seed, context=sae.config.context)
    index = sl.LatentIndex.build(model, sae, documents[0])
    density = index.counts / index.n_counted
    fitting = np.flatnonzero((density < given.density) & (index.counts > 0))
    if given.latents and given.latents < len(fitting):
        fitting = np.sort(np.random.default_rng(given.seed).choice(fitting, given.latents, replace=False))
    c = corpus(index, 0)
    print(f"{len(fitting):,} latents below density {given.density}, {index.n_tokens:,} tokens "
          f"({int(c.sizes[2]):,} of test documents), {torch.get_num_threads()} threads", flush=True)  # fmt: skip
    kept = len(list(given.path.glob("*.json"))) if given.path and given.path.is_dir() else 0
    clock = Clock()
    graphs = fit(index, fitting.tolist(), path=given.path)
    spent = clock.read()
    report_scores(index, graphs)
    if kept:
        print(f"{kept:,} graphs were there already, so no rate is given")
    else:
        for name, seconds in spent.items():
            print(f"{f'latents a minute ({name})':<44}{60 * len(graphs) / seconds:>10.0f}")
    report_concepts(index, graphs, documents[1])


def report_scores(index: Any, graphs: dict[int, PatternGraph]) -> None:
    """Scores on the test documents, in which a latent must fire to be scored."""
    rows = []
    for graph in graphs.values():
        mine = graph.score(index, split="test")
        if mine.tp + mine.fn:
            base = graph.baselines(index, split="test")
            more = graph.baselines(index, split="test", learn=("train", "valid"))
            rows.append([
                mine.f1 or 0.0, base["token"].f1 or 0.0, base["bigram"].f1 or 0.0,
                max(more["token"].f1 or 0.0, more["bigram"].f1 or 0.0), mine.recall or 0.0,
                mine.weighted_recall or 0.0, np.nan if mine.precision is None else mine.precision,
                mine.r2 if mine.r2 is not None else np.nan, len(graph), len(graph.patterns()),
            ])  # fmt: skip
    f1, token, bigram, more, recall, weighted, precision, r2, nodes, patterns = np.array(rows).T
    quarter, half, most = np.quantile(f1, [0.25, 0.5, 0.75])
    for name, value in [
        ("latents that fire in the test documents", len(f1)), ("median test F1", half),
        ("  quartiles", f"{quarter:.3f} – {most:.3f}"), ("median precision", np.nanmedian(precision)),
        ("median recall", np.median(recall)), ("median activation-weighted recall", np.median(weighted)),
        ("median R² of the simulated activation", np.nanmedian(r2)),
        ("median F1 of token lookup", np.median(token)), ("median F1 of bigram lookup", np.median(bigram)),
        ("share above token lookup", np.mean(f1 > token)), ("share above bigram lookup", np.mean(f1 > bigram)),
        ("share above both", np.mean((f1 > token) & (f1 > bigram))),
        ("  not below either", np.mean((f1 >= token) & (f1 >= bigram))),
        ("  above both learned on train and valid", np.mean(f1 > more)),
        ("median nodes", np.median(nodes)), ("median patterns", np.median(patterns)),
    ]:  # fmt: skip
        print(f"{name:<44}{value:>10.3f}" if isinstance(value, float) else f"{name:<44}{value:>10}")


def report_concepts(index: Any, graphs: dict[int, PatternGraph], labels: Any) -> None:
    """The rule that wrote the text as ground truth: for each concept the graph that says best where it is.

    ``latent`` is the F1 of that latent itself: an explanation of one latent cannot be expected to say more than
    the latent does. ``together`` joins the graphs of several latents, chosen one after another on the train
    documents as long as F1 grows there. Most concepts are spans of several tokens and most latents fire on one of
    them, so the second table asks per span: precision counts tokens, recall the spans in which the graph speaks
    at all (as ``span_f1`` of ``LatentIndex.concepts``). Whole documents are no concept there. All figures are on
    the test documents, the choice of the latent is made on the train documents.
    """
    c = corpus(index, 0)
    predicted = {i: np.flatnonzero(g.predict(index.rows)) for i, g in graphs.items()}
    rows, by_span = [], []
    first = np.zeros(index.n_tokens, dtype=bool)
    first[index.rows.offsets[:-1]] = True
    for column, concept in enumerate(labels.concepts):
        truth = labels.matrix[:, column]
        at = {p: truth & (c.part == p) for p in (0, 2)}
        if not at[0].any() or not at[2].any():
            continue
        train = {i: _f1(at[0], x[c.part[x] == 0]) for i, x in predicted.items()}
        best = max(train, key=train.__getitem__)
        own = c.truth(best)
        if "." in concept:
            by_span.append((concept, *_best_by_span(at, first, c.part, predicted)))
        joined, names = _together(at[0], {i: x[c.part[x] == 0] for i, x in predicted.items()}, train)
        everywhere = np.unique(np.concatenate([predicted[i] for i in names]))
        test = lambda x: _f1(at[2], x[c.part[x] == 2])  # noqa: E731, B023
        rows.append(
            (
                concept,
                best,
                test(predicted[best]),
                _f1(at[2], own[0][own[2] == 2]),
                test(everywhere),
                len(names),
            )
        )
    print(f"\n{'concept':<26}{'latent':>8}{'graph F1':>10}{'latent F1':>11}{'together F1':>13}{'graphs':>8}")
    for row in sorted(rows, key=lambda r: -r[2]):
        print(f"{row[0]:<26}{row[1]:>8}{row[2]:>10.3f}{row[3]:>11.3f}{row[4]:>13.3f}{row[5]:>8}")
    genre = lambda name: name.split(".")[0]  # noqa: E731
    for what, column in (("the graph of one latent", 2), ("one latent itself", 3), ("graphs together", 4)):
        good = {genre(r[0]) for r in rows if r[column] >= 0.9}
        whole = {r[0] for r in rows if r[column] >= 0.9 and "." not in r[0]}
        print(f"F1 ≥ 0.9 by {what}: some concept of {len(good)} genres, {len(whole)} genres as a whole")
    print(f"\n{'by span':<26}{'latent':>8}{'graph F1':>10}{'precision':>11}{'recall':>8}{'spans':>8}")
    for row in sorted(by_span, key=lambda r: -r[2]):
        print(f"{row[0]:<26}{row[1]:>8}{row[2]:>10.3f}{row[3]:>11.3f}{row[4]:>8.3f}{row[5]:>8}")
    good = {genre(r[0]) for r in by_span if r[2] >= 0.9}
    print(
        f"F1 by span ≥ 0.9 by the graph of one latent: some concept of {len(good)} genres: {', '.join(sorted(good))}"
    )


def _best_by_span(
    at: dict[int, np.ndarray], first: np.ndarray, part: np.ndarray, predicted: dict[int, np.ndarray]
) -> tuple[int, float, float, float, int]:
    """(latent, F1, precision, recall, spans) on the test documents of the graph that is best on the others."""
    spans = {}
    for p, truth in at.items():
        begins = truth & (first | ~np.concatenate([[False], truth[:-1]]))
        spans[p] = (np.cumsum(begins) - 1, int(begins.sum()))

    def score(p: int, x: np.ndarray) -> tuple[float, float, float]:
        x = x[part[x] == p]
        hit = x[at[p][x]]
        run, n = spans[p]
        precision, recall = len(hit) / max(len(x), 1), len(np.unique(run[hit])) / n
        return 2 * precision * recall / max(precision + recall, 1e-12), precision, recall

    best = max(predicted, key=lambda i: score(0, predicted[i])[0])
    return best, *score(2, predicted[best]), spans[2][1]


def _f1(truth: np.ndarray, at: np.ndarray) -> float:
    return 2 * int(truth[at].sum()) / max(int(truth.sum()) + len(at), 1)


def _together(
    truth: np.ndarray, predicted: dict[int, np.ndarray], alone: dict[int, float]
) -> tuple[float, list[int]]:
    """Latents whose graphs together say best where a concept is, chosen greedily."""
    have, names, score = np.zeros(len(truth), dtype=bool), [], 0.0
    size = int(truth.sum())
    right = {i: int(truth[x].sum()) / len(x) for i, x in predicted.items() if len(x)}
    for i in sorted((i for i in right if right[i] > 0.4), key=lambda i: -right[i] * alone[i])[:400]:
        new = predicted[i][~have[predicted[i]]]
        have[new] = True
        after = 2 * int(truth[have].sum()) / (size + int(have.sum()))
        if after > score + 1e-4:
            score = after
            names.append(i)
        else:
            have[new] = False
    return score, names or [max(alone, key=alone.__getitem__)]


# ---------------------------------------------------------------------------------------------- the cost


def run_cost(given: argparse.Namespace) -> None:
    """Forward calls, tokens, seconds and scores of several ways to fit the same latents."""
    model = sl.load_model(given.model)
    sae = sl.zoo.load_sae() if given.sae == "zoo" else sl.load_sae(given.sae)
    if given.index:
        index = sl.LatentIndex.open(given.index, sae=sae, model=model)
    else:
        texts = sl.zoo.texts(seed=77) if given.model == "zoo" else sl.package_texts()
        index = sl.LatentIndex.build(model, sae, texts, tokens=given.tokens)
    density = index.counts / index.n_counted
    fitting = np.flatnonzero((density < given.density) & (index.counts >= 50))
    number = min(given.latents or 64, len(fitting))
    latents = np.random.default_rng(given.seed).choice(fitting, number, replace=False).tolist()
    print(f"{len(latents)} latents, {index.n_tokens:,} tokens, {torch.get_num_threads()} threads")
    print(
        f"{'':<28}{'calls':>12}{'tokens':>12}{'seconds':>12}{'processor s':>12}{'test F1':>12}{'nodes':>10}   per latent"
    )
    options = {"fast": N2GConfig.fast, "full": N2GConfig}[given.config]().to_dict()
    runs = {"saelab, pooled": lambda: run_ours(model, sae, index, latents, **options)}
    if given.single:
        runs["saelab, one at a time"] = lambda: run_ours(model, sae, index, latents, **options | {"pool": 1})
    if not given.ours:
        name = "OpenAI's code" if given.openai else "OpenAI's schedule"
        runs[name] = lambda: run_openai(model, sae, index, latents, given.openai)
    for name, run in runs.items():
        result = run()
        print(line(name, result, index), flush=True)
        if "agree" in result:
            print(f"{'':<28}their predict() and match='first' differ on {result['agree']}")


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    cost, zoo = (commands.add_parser(name, help=h) for name, h in (
        ("cost", "what a fit costs, beside OpenAI's"), ("zoo", "how good the graphs of the bundled SAE are"),
    ))  # fmt: skip
    for each in (cost, zoo):
        each.add_argument("--density", type=float, default=0.05, help="latents below this density")
        each.add_argument("--latents", type=int, help="so many of them, drawn at random (cost: 64, zoo: all)")
        each.add_argument("--seed", type=int, default=0)
    cost.set_defaults(run=run_cost)
    cost.add_argument("--model", default="zoo")
    cost.add_argument("--sae", default="zoo", help="a folder saved with sae.save, or zoo")
    cost.add_argument("--index", help="a folder made by LatentIndex.build; made afresh without")
    cost.add_argument("--tokens", default="500k")
    cost.add_argument("--config", choices=["full", "fast"], default="full")
    cost.add_argument("--openai", type=Path, help="OpenAI's explanations.py")
    cost.add_argument("--single", action="store_true", help="also ours with one latent at a time")
    cost.add_argument("--ours", action="store_true", help="ours alone")
    zoo.set_defaults(run=run_zoo)
    zoo.add_argument(
        "--documents", type=int, default=6000, help="generated documents (6,000 are 500k tokens)"
    )
    zoo.add_argument("--path", type=Path, help="folder to keep the graphs in, so that a run can go on")
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()

"""The whole way in one call: train or take the bundled SAE, evaluate, index, explain, steer, and a report that opens
offline.

``run`` does the work in steps whose results are plain objects of the library; ``saelab.tour.report`` draws them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saelab import files, models, n2g, training, zoo
from saelab.errors import SaelabError
from saelab.evaluation import Report, calibrate, evaluate
from saelab.evaluation.calibration import GUARD
from saelab.experiments.sweeps import read
from saelab.formats import load_sae
from saelab.index import LatentIndex
from saelab.models import HookedModel
from saelab.n2g.corpus import corpus
from saelab.sae import SAE, saving
from saelab.texts import english_texts
from saelab.tour import steering

STRENGTHS = (0.5, 1.0, 2.0, 4.0)  # of steering, in maxima of the latent
KINDS = ("topic", "context", "mixed")  # of a latent, see LatentIndex.interest
TRIED = 1.6  # candidates for each latent whose steering is judged
MARK = "tour.json"  # says that a folder is the result of a tour, and may be replaced with --force


@dataclass(frozen=True)
class Plan:
    """How much of everything; chosen so that a laptop with two cores ends in the promised time."""

    hook: str
    d_sae: int
    k: int
    train_tokens: int
    index_tokens: int
    evaluate_tokens: int
    explain: int  # latents to fit N2G graphs for
    context: int
    batch: int = 2048
    lr: float | None = None
    floor: float = 0.0  # see saelab.sae.topk
    steer: int = 10  # latents of a model without labels that are turned up
    sae: str = ""  # name of a bundled SAE to begin with; none: one is trained


# rate and floor as measured for the bundled SAE, see saelab.zoo.build
ZOO = Plan("blocks.0.mlp.hook_post", 4096, 32, 2_500_000, 300_000, 40_000, 24, 128, lr=4e-3, floor=0.38)
QUICK_ZOO = Plan("blocks.0.mlp.hook_post", 2048, 32, 300_000, 100_000, 10_000, 6, 128, lr=4e-3, floor=0.38)


def plan_for(model: HookedModel, name: str, hook: str | None, quick: bool, train: bool = False) -> Plan:
    """What to do with a model; ``hook`` overrides where to read, and then an SAE is trained there."""
    if name == "smollm2" and not (train or hook):
        config = load_sae(name).config
        return Plan(
            str(config.hook_in), config.d_sae, config.k or 0, 0, 20_000 if quick else 60_000, 2_000 if quick else 3_000,
            4 if quick else 12, int(config.context or 128), steer=3 if quick else 10, sae=name,
        )  # fmt: skip
    if name == "zoo":
        plan = QUICK_ZOO if quick else ZOO
    else:
        layer = int(model.cfg.n_layers) // 3
        tokens = (40_000, 20_000) if quick else (350_000, 150_000)
        plan = Plan(
            f"blocks.{layer}.hook_resid_post", 1024 if quick else 4096, 32, tokens[0], tokens[1], 2_000 if quick else 5_000,
            4 if quick else 24, min(128, models.context_length(model)), 1024, lr=2e-3, floor=0.25,
        )  # fmt: skip
    return Plan(**{**plan.__dict__, "hook": models.check_hook(model, hook)}) if hook else plan


@dataclass
class Tour:
    """What a tour found."""

    name: str
    plan: Plan
    sae: SAE
    report: Report
    index: LatentIndex
    model: HookedModel
    concepts: pd.DataFrame | None = None  # see genre_table; only where the text is labelled
    chosen: list[int] = field(default_factory=list)
    titles: dict[int, str] = field(default_factory=dict)
    graphs: dict[int, Any] = field(default_factory=dict)
    scores: dict[int, dict[str, Any]] = field(default_factory=dict)
    steered: list[Any] = field(default_factory=list)  # SteeringPanels whose text is inside the guard
    shares: list[steering.Turned] = field(default_factory=list)  # of those, where the text is labelled
    pushed: int = 0  # latents that were turned up
    recognized: pd.DataFrame | None = None  # see saelab.tour.steering; only where the text is not labelled
    source: str = ""  # what the indexed text is
    seconds: dict[str, float] = field(default_factory=dict)

    def by_valid_f1(self, latents: list[int]) -> list[int]:
        """The best graphs first, by the documents that chose their patterns; what is shown is of the test documents."""
        known = {i: self.graphs[i].score(self.index, split="valid").f1 or 0.0 for i in latents}
        return sorted(latents, key=lambda i: -known[i])

    def mean_f1(self) -> dict[str, Any]:
        """Mean F1 on the test documents of all graphs that were fitted, and of those that are shown."""

        def mean(latents: Iterable[int]) -> dict[str, Any]:
            values = [self.scores[i]["f1"] for i in latents if self.scores[i]["f1"] is not None]
            return {"mean": float(np.mean(values)) if values else None, "graphs": len(values)}

        return {"fitted": mean(self.scores), "shown": mean(self.chosen)}


def run(
    name: str = "zoo",
    *,
    hook: str | None = None,
    out: str | Path | None = None,
    force: bool = False,
    quick: bool = False,
    train: bool = False,
    seed: int = 0,
    say: Callable[[str], Any] = lambda line: None,
) -> Path:
    """Do the tour and write its folder; returns the path of ``report.html``.

    SmolLM2 begins with the SAE that comes with the package, unless ``train`` says otherwise or ``hook`` names another
    place to read.

    The folder holds ``report.html``, the SAE (``sae/``), the index (``index/``), the graphs (``n2g/``) and the
    numbers (``tour.json``).

    Raises
    ------
    SaelabError
        Before any work: for an unknown model or hook, or a folder that holds something else.
    """
    folder = _free_folder(out or ("saelab-tour" if name == "zoo" else f"saelab-tour-{_safe(name)}"), force)
    began = time.monotonic()
    model = models.load_model(name)
    plan = plan_for(model, name, hook, quick, train)
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / MARK, {"model": name, "finished": False})
    seconds: dict[str, float] = {}

    def timed(label: str, call: Callable[[], Any]) -> Any:
        start = time.monotonic()
        value = call()
        seconds[label] = round(time.monotonic() - start, 1)
        say(f"{label:<10} {seconds[label]:6.1f} s")
        return value

    say(f"{name}: {plan.hook}, {plan.d_sae} latents, k = {plan.k}")
    texts, held_out, source = _texts(name, seed)
    sae = timed(
        "load" if plan.sae else "train",
        lambda: _saved(plan.sae, model, folder / "sae") if plan.sae else training.train(
            model, texts, hook=plan.hook, d_sae=plan.d_sae, k=plan.k, tokens=plan.train_tokens, batch=plan.batch,
            context=plan.context, seed=seed, out=folder / "sae", lr=plan.lr, options={"floor": plan.floor},
        ),
    )  # fmt: skip
    if not sae.record.get("ended", True):
        say(
            f"training stopped at {sae.record['seen'].removesuffix(': stopped')}; the tour goes on; Ctrl-C again ends it"
        )
    report = timed("evaluate", lambda: evaluate(model, sae, held_out, tokens=plan.evaluate_tokens))
    rows, labels = _indexed_rows(model, name, plan, sae.config.bos, held_out, seed)
    index = timed("index", lambda: LatentIndex.build(model, sae, rows, path=folder / "index"))
    tour = Tour(name, plan, sae, report, index, model, seconds=seconds, source=source)
    if labels is not None:
        tour.concepts = timed("concepts", lambda: _concept_table(index, labels, seed))
    _choose(tour)
    timed("explain", lambda: _explain(tour, folder))
    timed("steer", lambda: _steer(tour, seed))

    from saelab.tour.report import write_report

    path = timed("report", lambda: write_report(tour, folder / "report.html"))
    seconds["all"] = round(time.monotonic() - began, 1)
    files.write_json(folder / MARK, _numbers(tour))
    say(f"{'in all':<10} {seconds['all']:6.1f} s")
    return path


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).name)[:60] or "model"


def _free_folder(out: str | Path, force: bool) -> Path:
    folder = Path(out).expanduser()
    if folder.exists() and not folder.is_dir():
        raise SaelabError(f"{folder} is a file; give another folder with --out")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise SaelabError(f"folder {folder} holds other files; give another with --out")
        if not force:
            whole = files.read_json(folder / MARK).get("finished")
            held = "the result of an earlier tour" if whole else "a tour that did not finish, or still runs"
            raise SaelabError(f"folder {folder} holds {held}; use --force to replace it, or --out")
        shutil.rmtree(folder)
    return folder


def _saved(name: str, model: HookedModel, folder: Path) -> SAE:
    """A bundled SAE, with a copy beside the other results."""
    sae = load_sae(name, model=model, check=False)
    saving.save(sae, folder)
    return sae


def _texts(name: str, seed: int) -> tuple[Iterable[str], Iterable[str], str]:
    """Text to train on, other text to measure and index, and what it is."""
    if name == "zoo":
        return zoo.texts(seed=1_000 + seed), zoo.texts(seed=2_000 + seed), "text of the zoo"
    source = english_texts(seed)
    everything = iter(source)
    held = list(islice(everything, 600))  # the rest of the same shuffled stream is for training
    seen = set(held)
    return (text for text in everything if text not in seen), held, repr(source)


def _indexed_rows(
    model: HookedModel, name: str, plan: Plan, bos: bool, held_out: Iterable[str], seed: int
) -> tuple[models.TokenRows, Any]:
    if name != "zoo":
        rows = models.tokenize_texts(model, held_out, context=plan.context, bos=bos, tokens=plan.index_tokens)
        return rows, None
    documents = max(200, plan.index_tokens // 90)  # a zoo document has about 90 tokens
    return zoo.labelled_rows(model, documents, seed=3_000 + seed, context=plan.context, bos=bos)


# --------------------------------------------------------------------------------------------- what to show


def _concept_table(index: LatentIndex, labels: Any, seed: int) -> pd.DataFrame:
    """Latents chosen on one half of the documents and scored on the other."""
    documents = np.random.default_rng(seed).permutation(index.originals)
    half = len(documents) // 2
    chosen, scored = (index.concepts(labels, documents=part) for part in (documents[:half], documents[half:]))
    return genre_table(chosen, zoo.GENRES, scored, fires=25)


def genre_table(
    concepts: pd.DataFrame, genres: tuple[str, ...], scored: pd.DataFrame | None = None, *, precision: float = 0.95,
    fires: int = 50,
) -> pd.DataFrame:  # fmt: skip
    """Per concept: how many latents have it at that precision and fire that often, and the three best by F1.

    How many of those still have it, and the numbers of the first, are of ``scored``: the same of other documents.
    """
    scored = concepts if scored is None else scored
    lines = []
    again = scored.set_index(["concept", "latent"])
    for concept, part in concepts.groupby("concept", observed=True, sort=False):
        sure = part[(part["precision"] >= precision) & (part["fires"] >= fires)]
        best = pd.DataFrame(sure if len(sure) else part).nlargest(3, columns="f1")
        fresh = again.reindex([(concept, i) for i in sure["latent"]])
        first = again.reindex([(concept, best["latent"].iloc[0])]).iloc[0].fillna(0)  # it may not fire there
        lines.append(
            {"concept": concept, "genre": str(concept) in genres, "sure latents": len(sure),
             "still sure": int(np.count_nonzero(fresh["precision"] >= precision)),
             "best latents": [int(i) for i in best["latent"]], "fires": int(first["fires"]),
             **{name: float(first[name]) for name in ("precision", "recall", "f1")}}
        )  # fmt: skip
    return pd.DataFrame(lines)


def _choose(tour: Tour) -> None:
    """Latents worth a page: one for each concept that has a good one, else a spread of the ones that say most."""
    if tour.concepts is None:
        tour.chosen = telling(tour.index, tour.plan.explain)
        return
    lines = tour.concepts.to_dict("records")
    parts = sorted((line for line in lines if not line["genre"]), key=lambda line: -line["f1"])
    for line in [line for line in lines if line["genre"]] + parts:
        fresh = [i for i in line["best latents"] if i not in tour.titles]
        if fresh and len(tour.titles) < tour.plan.explain:
            tour.titles[fresh[0]] = str(line["concept"])
            tour.index.set_label(fresh[0], str(line["concept"]))
    tour.chosen = list(tour.titles)


def telling(index: LatentIndex, n: int, seed: int = 0, kinds: tuple[str, ...] = KINDS) -> list[int]:
    """Without labels: latents of a topic, those of most tokens first, and of a context, those their token says least about
    first, in turns, then mixed ones; no two share their strongest token. Measured on the documents that fit the graphs;
    scores are of the others."""
    held = corpus(index, seed)
    documents = np.unique(np.repeat(index.rows.doc, np.diff(index.rows.offsets))[held.part < 2])
    whole = index.interest(documents)
    found = pd.DataFrame(whole[(whole["n"] >= 30) & (index.counts < 0.02 * index.n_counted)])
    of = {
        kind: pd.DataFrame(found[found["kind"] == kind]).sort_values(by, ascending=rising).index
        for kind, by, rising in zip(
            KINDS, ("tokens", "lookup_f1", "tokens"), (False, True, False), strict=True
        )
        if kind in kinds
    }
    turns = [
        i for some in zip_longest(of.get("topic", ()), of.get("context", ())) for i in some if i is not None
    ]
    chosen: dict[str, int] = {}  # strongest token -> latent
    for latent in [*turns, *of.get("mixed", ())]:
        chosen.setdefault(str(index.top(int(latent), 1).iloc[0]["token"]).strip().lower(), int(latent))
        if len(chosen) == n:
            break
    return list(chosen.values())


def _explain(tour: Tour, folder: Path) -> None:
    if not tour.chosen:
        raise SaelabError("no latent of this SAE fires often enough to be explained; train on more tokens")
    config = n2g.N2GConfig() if tour.name == "zoo" else n2g.N2GConfig.fast()
    tour.graphs = n2g.fit(tour.index, tour.chosen, config=config)
    for latent, graph in tour.graphs.items():
        tour.scores[latent] = graph.score(tour.index, split="test").to_dict()
        files.write_json(folder / "n2g" / f"{latent}.json", graph.to_json())


def _strong(tour: Tour, prompt: str, seed: int) -> Iterator[tuple[int, float]]:
    """Latents whose best strength is kept beside the index, and the perplexity of unsteered text."""
    if tour.concepts is None:
        n = tour.plan.steer
        topics = telling(tour.index, round(TRIED * n), kinds=("topic", "mixed")) or tour.chosen
        tour.recognized = found = steering.recognized(
            tour.model, tour.sae, tour.index, topics, prompt, n=n, seed=seed
        )
        tour.pushed = len(found)
        for latent in found[found["recognized"]]["latent"].tolist():
            yield latent, found.attrs["unsteered"]
        return
    for latent in tour.by_valid_f1(tour.chosen)[:12]:
        tour.pushed += 1
        genre = _genre(tour.titles[latent])
        found = calibrate(
            tour.model, tour.sae, [latent], [prompt], relative=tour.index, strengths=STRENGTHS, n=steering.SAMPLES,
            seed=seed + 1, temperature=0.8, progress=False, score=lambda text, g=genre: zoo.classify(text) == g,
        )  # fmt: skip
        if found.best[latent]:
            yield latent, found.frame["perplexity"].iloc[0]


def _genre(concept: str) -> str:
    return concept.partition(".")[0]


def _steer(tour: Tour, seed: int) -> None:
    """The best latents turned up, until three write text inside the guard."""
    from saelab.widgets import SteeringPanel

    prompt = "The" if tour.name == "zoo" else "I went to the market and"
    for latent, unsteered in _strong(tour, prompt, seed):
        panel = SteeringPanel(
            tour.index,
            model=tour.model,
            sae=tour.sae,
            edits={latent: "auto"},
            prompt=prompt,
            seed=seed,
            max_new_tokens=40,
        )
        panel.run(wait=True)
        if panel.result is None:
            raise SaelabError(f"steering with latent {latent} failed: {panel.error}")
        made = panel.result.steered
        (nats,) = read(tour.model, None, made.prompt_ids, made.samples)["nats"]
        if np.exp(nats) <= GUARD * unsteered:
            tour.steered.append(panel)
            if latent in tour.titles:  # of a concept, so that it can be judged
                genre = _genre(tour.titles[latent])
                tour.shares.append(
                    steering.turned(tour.model, tour.sae, tour.index, latent, genre, prompt, seed=seed + 2)
                )
        if len(tour.steered) == 3:
            break


def _numbers(tour: Tour) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": tour.name, "finished": True, "plan": tour.plan.__dict__, "seconds": tour.seconds,
        "report": tour.report.to_dict(), "chosen": tour.chosen,
        "titles": {str(k): v for k, v in tour.titles.items()}, "n2g": {str(k): v for k, v in tour.scores.items()},
        "n2g_f1": tour.mean_f1(), "steering": {"tried": tour.pushed, "shown": len(tour.steered), "guard": GUARD},
    }  # fmt: skip
    if tour.shares:
        found["steering"]["fresh"] = [s.__dict__ for s in tour.shares]
    if tour.recognized is not None:
        found["steering"]["recognized"] = tour.recognized.to_dict("records")
    return found if tour.concepts is None else found | {"concepts": tour.concepts.to_dict("records")}

"""The tour's report: one offline page with what was trained, found, explained and steered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from saelab.evaluation.calibration import GUARD
from saelab.tour.steering import RULE, SAMPLES
from saelab.widgets import (
    ActivationHeatmap,
    BarChart,
    Code,
    Facts,
    Heading,
    LatentDashboard,
    LineChart,
    N2GEditor,
    Paragraph,
    Section,
    Show,
    Table,
    TokenText,
    page,
)  # fmt: skip

if TYPE_CHECKING:
    from saelab.tour.tour import Tour


def write_report(tour: Tour, path: str | Path) -> Path:
    """Write ``report.html``; it needs no network and no other file."""
    parts = (_summary, _training, _concepts, _latents, _steering, _made)
    return page(
        f"A sparse autoencoder on {tour.name}", [block for part in parts for block in part(tour)], path
    )


def _summary(tour: Tour) -> list[Any]:
    r, plan, silent = tour.report, tour.plan, tour.index.counts == 0
    explained = "undefined" if r.explained_variance is None else f"{r.explained_variance:.3f}"
    recovered = "undefined" if r.loss_recovered_mean is None else f"{r.loss_recovered_mean:.1%}"
    return [
        Paragraph(
            f"{plan.d_sae:,} latents {'come with the package, for' if plan.sae else 'were trained on'} `{plan.hook}` of "
            f"`{tour.name}`; each token uses at most {plan.k} of them. Then every latent was looked up on "
            f"{'text of which the training may have seen some' if plan.sae else 'text the training had not seen'}: "
            f"{tour.source}.",
            kind="lead",
        ),
        Facts(
            {
                "explained variance": (explained, f"of {r.tokens:,} {'' if plan.sae else 'held-out '}tokens"),
                "active per token": (f"{r.l0:.1f}", f"of {plan.d_sae:,} latents"),
                "dead": (f"{silent.sum():,}",
                         f"{silent.mean():.1%} never fired in {tour.index.n_counted:,} tokens"),
                "loss recovered": (recovered, f"loss {r.ce_clean:.3f} → {r.ce_sae:.3f} nats; with the mean {r.ce_mean:.3f}"),
            }
        ),
    ]  # fmt: skip


def _training(tour: Tour) -> list[Any]:
    h = tour.sae.history
    took = "It comes with the package" if tour.plan.sae else f"{tour.seconds['train']:.0f} seconds"
    seen = str(tour.sae.record.get("seen", ""))
    if not tour.plan.sae and seen.endswith(": stopped"):
        took += f"; it was stopped by hand, at {seen.removesuffix(': stopped')}"
    return [
        Heading("Training"),
        LineChart(
            h["tokens"].tolist(),
            {"unexplained variance": h["fvu"].tolist()},
            "tokens seen",
            "unexplained variance, log scale",
            f"What the reconstruction misses, on the batch being learnt from. {took}.",
            log_y=True,
        ),
        Section(
            "The evaluation in full",
            [
                Table(
                    tour.report.to_frame().reset_index().rename(columns={"low": "95 % from", "high": "to"}),
                    formats={"value": _number, "95 % from": _bound, "to": _bound},
                ),
                *(Paragraph(note) for note in tour.report.notes),
            ],
            note=f"{tour.report.excluded:,} special tokens left out of every number, and never replaced",
        ),
    ]


def _number(value: Any) -> str:
    if value is None:
        return "undefined"
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.4g}"


def _bound(value: Any) -> str:
    return "" if value is None else _number(value)


def _concepts(tour: Tour) -> list[Any]:
    if tour.concepts is None:
        return []
    table = tour.concepts.rename(
        columns={"sure latents": "latents ≥ 0.95", "still sure": "on the other half"}
    )
    parts = len(table.query("not genre"))

    def one(genre: bool, caption: str) -> Table:
        return Table(
            table.query("genre == @genre").drop(columns="genre"), caption, code=["concept"],
            formats=dict.fromkeys(["precision", "recall", "f1"], ".3f"),
            links={"best latents": lambda i: f"#latent-{i}" if i in tour.graphs else None},
        )  # fmt: skip

    return [
        Heading("Which latent stands for what", anchor="concepts"),
        Paragraph(
            "The zoo's text is written by a program, so for every token we know what it is part of. Precision: of the "
            "tokens a latent fires on, the share that carries the concept. Recall: of the tokens that carry it, the "
            "share the latent fires on. A genre as a whole is shared out among many latents, so a single one's recall is "
            "small; its parts often have a latent of their own. Latents are chosen on one half of the documents; all "
            "numbers but how many were chosen are of the other half."
        ),
        one(True, "Genres: latents with precision of at least 0.95 that fired at least 25 times in the half that chooses, "
            "how many of them have it on the other half, and up to three best by F1, of these where "
            "there are any (numbers are of the first, on the other half)"),
        Section("All concepts", [one(False, "Parts of genres")], note=f"{parts} parts"),
    ]  # fmt: skip


def _title(tour: Tour, latent: int) -> str:
    if latent in tour.titles:
        return f"{latent}: {tour.titles[latent]}"
    # without labels: the tokens it fires on most
    tokens = tour.index.top(latent, 12)["token"].astype(str).str.strip()
    return f"{latent}: {' · '.join(list(dict.fromkeys(t for t in tokens if t))[:4])}"


def _latents(tour: Tour) -> list[Any]:
    lines = []
    for i in tour.chosen:
        score, lookup = tour.scores[i], tour.graphs[i].baselines(tour.index, split="test")
        lines.append(
            {"latent": i, "what": _title(tour, i).partition(": ")[2], "precision": score["precision"],
             "recall": score["recall"], "N2G F1": score["f1"], "token lookup F1": lookup["token"].f1,
             "pairs F1": lookup["bigram"].f1}
        )  # fmt: skip
    shown = pd.DataFrame(lines)
    three = dict.fromkeys(shown.columns[2:], _score)
    mean = tour.mean_f1()
    how = "by what they fire on, in other documents" if tour.concepts is None else "by their concept"
    blocks: list[Any] = [
        Heading("Latents", anchor="latents"),
        Paragraph("Everything about the chosen latents. Walk through them with ← and →, or the number box."),
        Show(LatentDashboard(tour.index, tour.chosen[0]), options={"latents": tour.chosen}),
        Heading("Their patterns", 2, "n2g"),
        Paragraph(
            "N2G looks for the shortest context that makes a latent fire and for what in it may be anything. Scores are of "
            f"the test documents ({tour.scores[tour.chosen[0]]['units']:,}), which the fit has not seen, for “fires or not” "
            "at every token. Beside it: lookup of the token alone, or of pairs of tokens, learned from the same train and "
            f"valid documents. Mean test F1: {_score(mean['shown']['mean'])} of the {mean['shown']['graphs']} shown (chosen "
            f"{how}), {_score(mean['fitted']['mean'])} of all {mean['fitted']['graphs']} that were fitted."
        ),
        Table(shown, formats=three, links={"latent": lambda i: f"#latent-{i}"}, code=["what"]),
    ]
    for n, latent in enumerate(tour.chosen):
        graph = tour.graphs[latent]
        rows = [int(r) for r in tour.index.top(latent, 3)["row"].drop_duplicates()]
        where = ActivationHeatmap(
            [TokenText.of_model(tour.model, tour.index.rows[row].tolist()) for row in rows],
            [tour.index.activations([latent], row) for row in rows],
            [latent],
        )
        parts = [
            Code(graph.text(12), "As text: `*` is any token; the last token is where the latent fires"),
            Show(N2GEditor(graph, tour.index)),
            Show(where, "Where it fires most"),
        ]
        note = f"N2G F1 {_score(tour.scores[latent]['f1'])} on test documents, held out"
        blocks.append(Section(_title(tour, latent), parts, note=note, open=n == 0, anchor=f"latent-{latent}"))
    return blocks


def _score(value: Any) -> str:
    return "undefined" if value is None or pd.isna(value) else f"{value:.3f}"


def _steering(tour: Tour) -> list[Any]:
    how = (
        "The latent's direction is added at every token while the model writes; the part of the activations that the SAE "
        "does not explain stays as it is. Same prompt, same random numbers, without and with. "
    )
    shares = {s.latent: f"; {s}" for s in tour.shares}
    of = [panel.edits[0]["latent"] for panel in tour.steered]
    panels = [
        Show(panel, f"Latent {_title(tour, i)}{shares.get(i, '')}")
        for i, panel in zip(of, tour.steered, strict=True)
    ]
    if tour.recognized is None:
        how += (
            f"{tour.pushed} latents were tried, each at the strength at which the most texts are of its genre, by the rules "
            f"of the program that wrote the training text. Shown are the first {len(tour.steered)} whose text is whole: "
            f"its perplexity for the model as it is, is at most {GUARD:g} times that of unsteered text. "
        )
        left = tour.pushed - len(tour.steered)
        how += f"The other {left}: no text turned to the genre, or it was not whole. " if left else ""
        how += f"Beside each is how many of {SAMPLES} fresh texts are of the genre; a single text, as shown, may not be. "
        how += "On the slider, the guard is the largest strength at which the text was whole; beyond it the slider is red."
        return [Heading("Steering", anchor="steering"), Paragraph(how), *panels]
    found = tour.recognized
    lines = found.assign(latent=[_title(tour, int(i)) for i in found["latent"]]).rename(
        columns={
            "above": "samples above all controls",
            "ratio": "perplexity, times unsteered",
            "text": "one of them",
        }
    )
    known = int(np.count_nonzero(found["recognized"]))
    tried, idle = found.attrs["tried"], found.attrs["idle"]
    said = f"{tried} latents were turned up, those of topics first; {idle} had no effect inside the guard. "
    said += f"Those raised most are judged on other texts: {known} of the {len(found)} latents are recognized. {RULE}"
    formats = {"samples above all controls": ".0%", "perplexity, times unsteered": ".1f"}
    return [
        Heading("Steering", anchor="steering"),
        Paragraph(how + said),
        Table(lines, formats=formats, code=["one of them"]),
        *panels,
    ]


def _made(tour: Tour) -> list[Any]:
    parts = {k: v for k, v in tour.seconds.items() if k not in ("report", "all")}
    record = tour.sae.record
    return [
        Heading("How it was made"),
        BarChart(list(parts), list(parts.values()), "seconds", "Time of each step", ".0f"),
        Section(
            "Versions and settings",
            [
                Table(pd.DataFrame(record["versions"].items(), columns=["what", "version"])),
                Table(pd.DataFrame(record["recipe"].items(), columns=["setting", "value"]).astype(str)),
            ],
        ),
    ]

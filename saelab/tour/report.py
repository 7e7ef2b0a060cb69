"""The tour's report: one offline page with what was trained, found, explained and steered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

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
)

if TYPE_CHECKING:
    from saelab.tour.tour import Tour


def write_report(tour: Tour, path: str | Path) -> Path:
    """Write ``report.html``; it needs no network and no other file."""
    blocks = [
        *_summary(tour),
        *_training(tour),
        *_concepts(tour),
        *_latents(tour),
        *_steering(tour),
        *_made(tour),
    ]
    return page(f"A sparse autoencoder on {tour.name}", blocks, path)


def _summary(tour: Tour) -> list[Any]:
    r, plan, silent = tour.report, tour.plan, tour.index.counts == 0
    explained = "undefined" if r.explained_variance is None else f"{r.explained_variance:.3f}"
    recovered = "undefined" if r.loss_recovered_mean is None else f"{r.loss_recovered_mean:.1%}"
    return [
        Paragraph(
            f"{plan.d_sae:,} latents were trained on `{plan.hook}` of `{tour.name}`; each token uses at most {plan.k} of "
            "them. Then every latent was looked up on text the training had not seen.",
            kind="lead",
        ),
        Facts(
            {
                "explained variance": (explained, f"of {r.tokens:,} held-out tokens"),
                "active per token": (f"{r.l0:.1f}", f"of {plan.d_sae:,} latents"),
                "dead": (f"{silent.sum():,}",
                         f"{silent.mean():.1%} never fired in {tour.index.n_counted:,} tokens"),
                "loss recovered": (recovered, f"loss {r.ce_clean:.3f} → {r.ce_sae:.3f} nats; with the mean {r.ce_mean:.3f}"),
            }
        ),
    ]  # fmt: skip


def _training(tour: Tour) -> list[Any]:
    h = tour.sae.history
    return [
        Heading("Training"),
        LineChart(
            h["tokens"].tolist(),
            {"unexplained variance": h["fvu"].tolist()},
            "tokens seen",
            "unexplained variance",
            f"What the reconstruction misses, on the batch being learnt from. {tour.seconds['train']:.0f} seconds.",
            log_y=True,
        ),
        Section(
            "The evaluation in full",
            [Table(tour.report.to_frame()[["value", "meaning"]].reset_index(), formats={"value": _number})],
            note=f"{tour.report.excluded:,} special tokens left out of every number, and never replaced",
        ),
    ]


def _number(value: Any) -> str:
    if value is None:
        return "undefined"
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.4g}"


def _concepts(tour: Tour) -> list[Any]:
    if tour.concepts is None:
        return []
    from saelab import zoo
    from saelab.tour.tour import genre_table

    table = genre_table(tour.concepts, zoo.GENRES)
    genres = pd.DataFrame(table[table["genre"]]).drop(columns="genre")
    parts = pd.DataFrame(table[~table["genre"]]).drop(columns="genre")

    def one(frame: pd.DataFrame, caption: str) -> Table:
        frame = frame.rename(columns={"sure latents": "latents ≥ 0.95"})
        shape = {"precision": ".3f", "recall": ".3f", "f1": ".3f"}
        return Table(
            frame, caption, formats=shape, links={"best latents": lambda i: _link(tour, i)}, code=["concept"]
        )

    return [
        Heading("Which latent stands for what", anchor="concepts"),
        Paragraph(
            "The zoo's text is written by a program, so for every token we know what it is part of. Precision: of the "
            "tokens a latent fires on, the share that carries the concept. Recall: of the tokens that carry it, the "
            "share the latent fires on. A genre as a whole is shared out among many latents, so a single one's recall is "
            "small; its parts often have a latent of their own."
        ),
        one(genres, "Genres: latents with precision of at least 0.95 that fired at least 50 times, and the three best by F1 "
            "(numbers are of the first)"),
        Section("All concepts", [one(parts, "Parts of genres")], note=f"{len(parts)} parts"),
    ]  # fmt: skip


def _link(tour: Tour, latent: int) -> str | None:
    return f"#latent-{latent}" if latent in tour.graphs else None


def _title(tour: Tour, latent: int) -> str:
    if latent in tour.titles:
        return f"{latent}: {tour.titles[latent]}"
    # without labels: the tokens it fires on most
    tokens = tour.index.top(latent, 12)["token"].astype(str).str.strip()
    return f"{latent}: {' · '.join(list(dict.fromkeys(t for t in tokens if t))[:4])}"


def _latents(tour: Tour) -> list[Any]:
    scores = pd.DataFrame([{"latent": i, **tour.scores[i]} for i in tour.chosen])
    scores.insert(1, "what", [_title(tour, i).partition(": ")[2] for i in tour.chosen])
    lookups = [tour.graphs[i].baselines(tour.index, split="test") for i in tour.chosen]
    scores["token lookup F1"] = [b["token"].f1 for b in lookups]
    scores["pairs F1"] = [b["bigram"].f1 for b in lookups]
    columns = ["latent", "what", "precision", "recall", "N2G F1", "token lookup F1", "pairs F1"]
    shown = pd.DataFrame(scores.rename(columns={"f1": "N2G F1"}), columns=columns)
    three = dict.fromkeys(["precision", "recall", "N2G F1", "token lookup F1", "pairs F1"], _score)
    blocks: list[Any] = [
        Heading("Latents", anchor="latents"),
        Paragraph("Everything about the chosen latents. Walk through them with ← and →, or the number box."),
        Show(LatentDashboard(tour.index, tour.chosen[0]), options={"latents": tour.chosen}),
        Heading("Their patterns", 2, "n2g"),
        Paragraph(
            "N2G looks for the shortest context that makes a latent fire and for what in it may be anything. Scores are of "
            "documents the fit has not seen, for “fires or not” at every token. Beside it: the best anyone gets from the "
            "token alone, or from pairs of tokens."
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
        score = tour.scores[latent]
        blocks.append(
            Section(
                _title(tour, latent),
                [
                    Code(graph.text(12), "As text: `*` is any token; the last token is where the latent fires"),
                    Show(N2GEditor(graph, tour.index)),
                    Show(where, "Where it fires most"),
                ],
                note=f"N2G F1 {_score(score['f1'])} on held-out text",
                open=n == 0,
                anchor=f"latent-{latent}",
            )
        )  # fmt: skip
    return blocks


def _score(value: Any) -> str:
    return "undefined" if value is None or pd.isna(value) else f"{value:.3f}"


def _steering(tour: Tour) -> list[Any]:
    blocks: list[Any] = [
        Heading("Steering", anchor="steering"),
        Paragraph(
            "The latent's direction is added at every token while the model writes; the part of the activations that the "
            "SAE does not explain stays as it is. Same prompt, same random numbers, without and with."
        ),
    ]
    for panel in tour.steered:
        latent = int(panel.edits[0]["latent"])
        blocks.append(Show(panel, f"Latent {_title(tour, latent)}"))
    return blocks


def _made(tour: Tour) -> list[Any]:
    parts = {k: v for k, v in tour.seconds.items() if k not in ("report", "all")}
    record = tour.sae.record
    return [
        Heading("How it was made"),
        BarChart(list(parts), list(parts.values()), "seconds", "Time of each step", ".0f"),
        Section(
            "Versions and settings",
            [
                Table(
                    pd.DataFrame(
                        {"what": list(record["versions"]), "version": list(record["versions"].values())}
                    )
                ),
                Table(
                    pd.DataFrame(
                        {
                            "setting": list(record["recipe"]),
                            "value": [str(v) for v in record["recipe"].values()],
                        }
                    )
                ),
            ],
        ),
    ]

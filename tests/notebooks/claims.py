"""What the notebooks say, held against what they computed: ``check`` runs in the kernel after the last cell.

Each function gets the notebook's variables. What is asserted holds at the size of the tests and at full size.
"""

from __future__ import annotations

from types import SimpleNamespace as Variables
from typing import Any


def real_model(n: Variables) -> None:
    assert n.report.loss_recovered_mean > 0.9, "the SAE is not that of this model"
    assert n.report.explained_variance > 0.7
    assert set(n.interest["kind"]) >= {"token", "mixed"}
    assert n.interest["burst"].loc[n.topic] > 1
    assert n.scores.loc[n.best, "graph F1"] == n.scores["graph F1"].max()
    assert n.topic in n.found.best
    assert n.pushed in n.found.best
    assert all(n.found.range[i][1] >= best for i, best in n.found.best.items())
    assert n.found.frame["ratio"][n.found.frame["inside"]].max() <= n.found.guard


def quickstart(n: Variables) -> None:
    assert n.heatmap.to_frame().activation.max() > 0, "the heatmap is blank"
    least = (
        0.8 if n.sae.record["tokens"] > 900_000 else 0.6
    )  # an SAE of the tests saw a seventh of the tokens
    assert n.report.loss_recovered_mean > least + 0.1
    assert n.report.explained_variance > least
    assert n.best.strength == n.index.to_frame().loc[n.latent, "steer_best"], "not the strength of 'auto'"
    assert n.check.frame.effect.iloc[-1] >= least, f"fewer than {least:.0%} of the texts are of the genre"
    assert n.check.frame.ratio.iloc[-1] <= n.check.guard, "the steered texts are broken"
    assert n.panel.edits[0]["latent"] == n.latent, "the panel is empty"
    assert n.panel.prompt


def superposition(n: Variables) -> None:
    dense, some, rare = ([float(x) for x in W.norm(dim=1)] for W in n.five)
    assert sorted(x > 0.5 for x in dense) == [False] * 3 + [True] * 2
    assert dense[0] > 0.5 < dense[1]
    assert (sum(x > 0.5 for x in some), sum(x > 0.5 for x in rare)) == (4, 5)
    away = n.cosines[n.cosines.abs() > 0.3]
    assert len(away) < len(n.cosines) / 2
    assert (away < 0).all()
    by_luck, by_neurons = n.mmcs(n.W, n.chance), n.mmcs(n.W, n.torch.eye(n.D))
    assert n.score > 0.995
    assert 0.45 < by_luck < 0.55, "random directions must not share the seed of the toy model's start"
    assert by_neurons < by_luck
    size = {k: both for k, *both in zip(n.SIZES, n.found, n.pure, strict=True)}
    assert min(size[64]) > 0.99
    assert max(size[16]) < 0.8
    if 256 in size:
        assert max(size[32]) < 0.8
        assert size[128][0] > 0.99 < size[256][0]
        assert size[256][1] < size[128][1] < 0.9


def train_an_sae(n: Variables) -> None:
    made = n.reports.to_frame().assign(wanted=[c["k"] for c in n.configs])
    led = made.arch.isin(["relu", "gated", "jumprelu"])
    assert (made.l0 <= made.wanted)[made.arch == "topk"].all()
    assert ((made.l0 - made.wanted).abs() > 1)[led].any(), "every penalty led to its L0"
    assert (made.norm_ratio[made.arch == "relu"] < 1).all()
    assert abs(n.guess - n.check.history.iloc[-1].explained_variance) < 0.15


def explore_latents(n: Variables) -> None:
    row = n.truth[(n.truth.latent == n.latent) & (n.truth.concept == "http.header_name")].iloc[0]
    assert (round(row.precision, 2), round(row.span_recall, 2)) == (0.99, 0.17)
    assert 0.015 < sum(n.index.positions("pca").attrs["explained"]) < 0.025
    http = n.near.best_concept.astype(str).str.startswith("http").groupby(level="by").sum()
    assert http["encoder"] >= 3 <= http["coactivation"]
    assert http["decoder"] <= 1
    assert n.near.loc["decoder"].similarity.max() < 0.3
    assert len(n.fires[n.fires.latent == n.latent]) == 1  # Accept: of the header, not accepted
    assert n.page.stat().st_size < 1e6


def explain_with_n2g(n: Variables) -> None:
    graph, token, bigram = (n.scores.loc[name] for name in ("graph", "token", "bigram"))
    assert graph.f1 > token.f1 + 0.02
    assert graph.hard_specificity > token.hard_specificity
    assert graph.f1 > bigram.f1
    assert graph.hard_specificity > bigram.hard_specificity
    assert graph.r2 < min(token.r2, bigram.r2)
    f1 = n.f1
    assert (f1.graph > f1.token).sum() == 3
    assert abs(f1.token["dna.stop_codon"] - f1.graph["dna.stop_codon"]) < 0.01
    assert (f1.graph > f1.bigram + 0.01).sum() == 1
    assert abs(f1.graph["nutrition.unit"] - f1.bigram["nutrition.unit"]) < 0.005
    assert f1.graph["legal.modal"] < f1.bigram["legal.modal"]
    latent, rule = n.edited["F1 of the latent"], n.edited["F1 of the rule"]
    assert latent["graph as edited"] < latent["graph as fitted"]
    assert (n.patterns.latent == n.best["legal.modal"]).any()
    assert rule["graph as edited"] > max(rule["graph as fitted"], rule["the latent itself"]) + 0.02


def steer(n: Variables) -> None:
    tried = n.steered.frame
    assert tried.effect[tried.inside].max() >= 0.8, "no strength inside the guard makes DNA"
    control = n.texts["random direction"]
    assert n.texts.dna[control].mean() < 0.2, "a random direction makes DNA as well"
    perplexity = n.texts[~control].groupby("strength").perplexity.median()
    assert perplexity.iloc[-1] > 10 * perplexity.iloc[0], "the hardest push breaks nothing"
    assert n.losses["dna"] > 0.05 > abs(n.losses["recipe"])
    table = n.table.frame
    assert table.steered.mean() > table.random.mean() + 0.2
    better = table.difference.mean() > table.steered.mean() + 0.1
    assert better or len(table) < 18, (
        "the difference of means is no better than a latent"
    )  # three genres are few
    assert n.steering.edited > 0
    assert n.panel.edits[0]["latent"] == n.dna


def evaluate_saes(n: Variables) -> None:
    assert n.trick.explained_variance > 0.999
    assert n.trick.kl_sae < 1e-4
    assert all(r.loss_recovered_zero > r.loss_recovered_mean for r in n.reports.values() if r is not n.trick)
    best = [n.card[c].idxmin() for c in ("kl_sae", "probe loss")]
    best += [n.card[c].idxmax() for c in ("explained_variance", "1 latent right", "TPP (n = 50)", "N2G F1")]
    assert 2 <= best.count("the neurons") < len(best), "the trick wins several, and not all"


def published_saes(n: Variables) -> None:
    assert n.check.explained_variance > 0.5
    assert abs(n.check.l0 - n.check.l0_said) < 1
    assert n.caught, "an SAE at the wrong hook point must be warned of"
    first, last = n.better.history.explained_variance.iloc[[0, -1]]
    assert last > first - 0.02


def are_features_universal(n: Variables) -> None:
    by_direction, by_firing = n.directions.mmcs.value, n.firings.mmcs.value
    assert by_direction / 2 < n.directions.null_mmcs.value < by_direction, "most of MMCS is chance"
    assert n.directions.pw_mcc().value < by_direction
    assert n.firings.frame.matched.mean() > 0.95
    assert 4 * n.firings.null_mmcs.value < by_firing < 0.6
    assert n.splits.most.mean() < n.splits.covered.mean() < 0.6
    first, last = n.by_rate.iloc[0], n.by_rate.iloc[-1]
    assert first.matched < last.matched > 0.95
    assert first.score < last.score
    assert first.null_score > last.null_score
    models = n.truth.loc["models"]
    assert 0.35 < models["partner has the same"] < 0.7
    assert models["by chance"] < 0.15
    assert models["same, where the partner has one"] > 0.75
    assert (n.truth["low"] > 2 * n.truth["by chance"]).all()
    assert n.across.theirs[n.dna].startswith("dna")
    assert n.weak.null_quantile.min() > 0.9
    assert n.weak.score.median() < 0.2
    score = n.replaced.frame.score
    assert score.median() < n.replaced.frame.correlation.median()
    assert len(score) < 24 or score.median() < 0, "at full size most partners do harm"
    if n.real is not None:
        across, seeds = (n.of_layers.loc[name] for name in n.layers)
        assert across.matched > 0.9
        assert across["best score"] > 4 * across["by chance"]
        assert 0.75 < across["best score"] / seeds["best score"] < 1.1


def words(n: Variables) -> None:
    judged = n.checked.summary.set_index("source")
    assert judged.value["oracle"] >= 0.95
    assert judged.value["shuffled"] < judged.value["near miss"] < judged.value["oracle"]
    assert judged.low["shuffled"] <= 0.5 <= judged.high["shuffled"]
    assert judged.value["empty"] == 0.5
    assert n.reader.apart["detection"] > 0.4
    line = n.scores.summary.set_index(["source", "way"])
    assert line.value["n2g", "graph"] > line.value["n2g", "detection"] + 0.05, (
        "putting it into words loses nothing"
    )
    assert line.value["oracle", "detection"] > max(
        line.value["n2g", "detection"], line.value["tokens", "detection"]
    )
    assert line.tokens_a_latent["n2g", "graph"] > 0 == line.tokens_a_latent["tokens", "detection"]
    shown = {d for words in (n.n2g, n.tokens) for e in words.items.values() for d in e.documents}
    assert not shown & set(n.scores.documents)
    assert n.small.apart["detection"] < 0.3 < n.reader.apart["detection"], "the small judge is not weak"
    said = n.weak.summary.set_index("source").loc["oracle"]
    assert said.recall > 0.8 > 0.3 > said.specificity, "it does not say 1 to nearly everything"
    assert said.failed < said.n / 4
    if said.documents >= 20:  # as many as an interval needs
        assert said.low <= 0.5 <= said.high
    if said.documents >= 20 and said.auroc == said.auroc:  # the stand-in gives no probabilities
        assert said.auroc < n.weak.summary.set_index("source").auroc["empty"], "words are of some use to it"
    kept = n.index.labels()
    assert set(kept.latent) == set(n.truth)
    assert kept.score.str.contains("which tells right from wrong").all()


CLAIMS = {
    "00_quickstart": quickstart,
    "01_superposition": superposition,
    "02_train_an_sae": train_an_sae,
    "03_explore_latents": explore_latents,
    "04_explain_with_n2g": explain_with_n2g,
    "05_steer": steer,
    "06_evaluate_saes": evaluate_saes,
    "07_published_saes": published_saes,
    "08_real_model": real_model,
    "09_are_features_universal": are_features_universal,
    "10_words": words,
}


def check(notebook: str, variables: dict[str, Any]) -> None:
    """Raise an AssertionError where a notebook's text does not agree with its variables."""
    CLAIMS[notebook](Variables(**variables))

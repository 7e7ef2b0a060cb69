"""Wrong but plausible answers to every exercise: (answer, the mistake's name or None), at least three and one by name.

Each function is given the task, the right answer, and the variables of the notebook after its solution.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import permutations
from types import SimpleNamespace as Variables
from typing import Any

import numpy as np
import pandas as pd
import torch

import saelab as sl
from saelab.course.material import all_concepts, held_out

Wrong = list[tuple[Any, str | None]]


def w1_1(task: Any, right: str, n: Variables) -> Wrong:
    genre = right.split(".")[0]
    others = [c for c in sl.zoo.CONCEPTS if not c.startswith(genre)]
    return [(genre, "too wide"), (others[0], None), (others[-1], None)]


def w1_2(task: Any, right: list[bool], n: Variables) -> Wrong:
    half = [not x if i % 2 else x for i, x in enumerate(right)]
    return [([True] * 8, "by the token alone"), ([not x for x in right], "the other way round"), (half, None)]


def w1_3(task: Any, right: tuple[str, str], n: Variables) -> Wrong:
    fires, silent = right
    return [
        ((silent, fires), "the two are in each other's place"), ((fires, fires), "it fires in the second, too"),
        ((fires, "Q" if task.token != "Q" else "z"), "no contrast: the token is not there"),
    ]  # fmt: skip


def w1_4(task: Any, right: int, n: Variables) -> Wrong:
    table: Any = all_concepts()
    table = table[(table.concept == task.concept) & (table.latent != right) & (table.tp >= 5)]
    best = table.f1.max()
    poor = table[table.f1 < 0.5 * best]
    precise = poor[poor.precision > 3 * poor.recall].sort_values("precision").latent.iloc[-1]
    silent = int(np.flatnonzero(held_out().index.counts == 0)[0])
    other = int(poor.sort_values("f1").latent.iloc[0])
    return [(int(precise), "precision without recall"), (silent, None), (other, None)]


def w2_1(task: Any, right: Any, n: Variables) -> Wrong:
    more, blank = copy.deepcopy(right), copy.deepcopy(right)
    more.config = replace(more.config, k=4 * task.l0)
    fewer = copy.deepcopy(right)
    fewer.config = replace(fewer.config, k=2)
    with torch.no_grad():
        blank.W_dec.copy_(torch.randn_like(blank.W_dec) / 20)
    return [
        (more, "bought with a larger L0"),
        (blank, "hardly trained"),
        (fewer, "fewer latents than allowed"),
    ]


def w2_2(task: Any, right: tuple[Any, int], n: Variables) -> Wrong:
    sae, dead = right
    return [
        ((sae, sae.config.d_sae - dead), "counted the living"),
        ((sae, 0), None),
        ((sae, int(sae.history.dead.iloc[-1])), "counted in training"),
    ]


def w2_3(task: Any, right: Any, n: Variables) -> Wrong:
    more = copy.deepcopy(right)
    more.config = replace(more.config, k=64)
    anew = copy.deepcopy(right)
    anew.record = {"recipe": {"lr": 4e-3, "seed": 0}}
    return [
        (n.sick, "still dead"), (more, "bought with a larger L0"), (n.revived, "alive, and of no use"),
        (anew, "trained anew"),
    ]  # fmt: skip


def w2_4(task: Any, right: dict[str, str], n: Variables) -> Wrong:
    by_variance = "judged by explained variance alone"
    more = next(k for k, v in right.items() if v == "uses more")
    others = [dict(zip("abc", p, strict=True)) for p in permutations(right.values())]
    short = "the short one for the trained"
    named = {"trained": by_variance, "uses more": short, "shrinks": None}
    return [(o, named[o[more]]) for o in others if o != right]


def w3_1(task: Any, right: tuple[str, str], n: Variables) -> Wrong:
    return [
        (("The", "The"), "no false alarm"), ((right[0], "The"), "no miss"), (("The", right[1]), "no false alarm"),
    ]  # fmt: skip


def w3_2(task: Any, right: Any, n: Variables) -> Wrong:
    wide, long = task.graph.copy(), task.graph.copy()
    ids = n.index.rows.ids
    for token in np.argsort(-np.bincount(ids))[:40].tolist():
        wide.add_path([token], value=1.0)
    tokens, _ = n.index.postings(task.latent)
    missed = tokens[task.graph.predict(n.index.rows)[tokens] == 0]
    _, place = n.index.rows.locate(missed)
    for t in missed[place > 13].tolist()[:150]:
        long.add_path(ids[t - 12 : t + 1].tolist(), value=1.0)
    return [
        (task.graph.copy(), "nothing was edited"), (wide, None), (long, "scored on the text you chose it on"),
    ]  # fmt: skip


def w3_3(task: Any, right: dict[str, float], n: Variables) -> Wrong:
    def at(split: str, what: str) -> dict[str, float]:
        scores = {"graph": task.graph.score(split=split)} | task.graph.baselines(split=split)
        return {k: getattr(scores[k], what) for k in right}

    return [
        (at("valid", "f1"), "scored on the text it was chosen on"), (at("test", "precision"), "precision for F1"),
        (dict.fromkeys(right, 0.5), None),
    ]  # fmt: skip


def w4_1(task: Any, right: str, n: Variables) -> Wrong:
    turned = right.translate(str.maketrans("+-", "-+"))
    return [("+" * 6, "one sign for all"), (turned, "the sign is reversed"), (right[:3] + turned[3:], None)]


def w4_2(task: Any, right: float, n: Variables) -> Wrong:
    frame = pd.concat([sl.effects(n.model, n.sae, t, task.latent, top=0).frame for t in task.texts])
    where = float(frame.loss_diff[frame.edited].mean())
    return [
        (-right, "the sign is reversed"), (where, "only where it fires"), (float(frame.kl.mean()), "KL for loss"),
        (float(frame.loss_diff.sum()), "the sum for the mean"), (float(frame.loss.mean()), "the loss for its rise"),
        (float("nan"), "the last token counted"), (7.0, None),
    ]  # fmt: skip


def w4_3(task: Any, right: int, n: Variables) -> Wrong:
    frame = n.found.frame.set_index("latent")
    entries = n.found.entries
    last = entries[entries.position == entries.position.max()]
    idle = next(i for i in range(4096) if i not in frame.index)
    return [
        (int(last.loc[last.activation.idxmax(), "latent"]), "the strongest, not the most important"),
        (int(frame.ablation.idxmin()), "the sign is reversed"), (idle, "not active"),
    ]  # fmt: skip


def w5_1(task: Any, right: tuple[int, float], n: Variables) -> Wrong:
    other = next(i for i in range(100, 4096) if held_out().index.counts[i] > 50)
    return [
        ((right[0], 40.0), "the text is broken"),
        ((other, 0.5), None),
        ((right[0], 0.01), "too weak a push"),
    ]


def w5_2(task: Any, right: tuple[str, int], n: Variables) -> Wrong:
    other = next(i for i in range(4096) if held_out().index.counts[i] == 0)
    another = next(g for g in task.genres if g != right[0])
    table = all_concepts()
    rare = table[
        (table.concept == right[0]) & (table.precision >= 0.9) & (table.fires >= 20) & (table.recall < 0.009)
    ]
    wrong: Wrong = [((right[0], other), "not of this genre"), ((another, right[1]), "not of this genre")]
    if len(rare):
        wrong.append(((right[0], int(rare.latent.iloc[0])), "too rare to stand for the genre"))
    return [*wrong, ((task.genres[-1], other), "not of this genre")]


def w5_3(task: Any, right: dict[str, str], n: Variables) -> Wrong:
    others = [dict(zip("abc", p, strict=True)) for p in permutations(right.values())]
    at = {v: k for k, v in right.items()}

    def name(o: dict[str, str]) -> str:
        if o[at["broken"]] == "works":
            return "a broken text counted as success"
        return "no control" if o[at["nothing"]] == "works" else "the perplexity is left out"

    return [(o, name(o)) for o in others if o != right]


def w6_1(task: Any, right: float, n: Variables) -> Wrong:
    found = sl.match(task.a, task.b)
    half = float((found.frame.score > 0.5).mean())
    return [
        (found.mmcs.value, "a mean for a share"),
        (1.0, "no null"),
        (half, "a cut without a null"),
        (0.05, None),
    ]


def w6_2(task: Any, right: dict[str, str], n: Variables) -> Wrong:
    same = next(k for k, v in right.items() if v == "the same")
    others = [dict(zip("xyz", p, strict=True)) for p in permutations(right.values())]
    seed = next(k for k, v in right.items() if v == "another seed")

    def name(o: dict[str, str]) -> str:
        if o[same] == "chance":
            return "compared by number"
        return "another seed taken for chance" if o[seed] == "chance" else "a copy taken for another seed"

    return [(o, name(o)) for o in others if o != right]


def w6_3(task: Any, right: dict[int, int | None], n: Variables) -> Wrong:
    best = {i: int(n.frame.partner[i]) for i in task.latents}
    return [
        (best, "no null"), ({i: i for i in task.latents}, "compared by number"),
        (dict.fromkeys(task.latents), "a cut without a null"),
    ]  # fmt: skip


def w6_4(task: Any, right: Any, n: Variables) -> Wrong:
    return [("zqzqzq", "it matches nothing"), ("(?s).", "too wide"), ("q", None)]

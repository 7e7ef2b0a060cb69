"""One exercise at the end of each of the notebooks 00 to 10; quick to check, with numbers of each student's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from saelab.course.exercises import Exercise
from saelab.course.parts.w1 import grade_find
from saelab.course.parts.w5 import VERDICTS, judged, verdict
from saelab.course.student import Student
from saelab.course.task import Grade, Task, one_each, right, wrong
from saelab.errors import check_number
from saelab.evaluation.calibration import GUARD

# concepts that some latent tells well
TOLD = (
    "json.literal",
    "dates.weekday",
    "nutrition.unit",
    "log.level",
    "arithmetic.result",
    "dna.start_codon",
)
Mistakes = dict[str, tuple[float, int]]  # its name -> the answer that it leads to, the hint that fits
Draw = Callable[[np.random.Generator], tuple[dict[str, Any], float, Mistakes]]


def number(
    key: str, title: str, said: str, draw: Draw, hints: tuple[str, str, str], minutes: int, level: int
) -> Exercise:
    """An exercise whose answer is a number: ``draw(rng)`` gives what is shown, the truth, and mistakes by name."""

    def ask(student: Student) -> Task:
        shown, true, mistakes = draw(student.rng(key))
        return Task(key, said, shown, {"true": true, "mistakes": mistakes})

    def grade(task: Task, answer: Any) -> Grade:
        given = check_number(f"the answer to {key}", answer)

        def near(value: float) -> bool:
            return abs(given - value) <= 0.01 * abs(value) + 1e-9

        if near(task._truth["true"]):
            return right(f"{task._truth['true']:.4g}")
        mistakes: Mistakes = task._truth["mistakes"]
        mistake = next((m for m, (value, _) in mistakes.items() if near(value)), "")
        return wrong(f"{given:.4g} is not it", mistake, then=mistakes[mistake][1] if mistake else "")

    return Exercise(key, title, ask, grade, hints, minutes, level)


def _auto(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    best, edge = int(rng.integers(1, 3)), 3
    strengths = [0.5, 1.0, 2.0, 3.0, 4.0, 8.0]
    effect = np.round(np.linspace(0.1, 0.3, 6) + rng.uniform(0, 0.05, 6), 2)
    effect[best], effect[-2], effect[-1] = 0.8, 0.9, 0.95
    ratio = np.round(np.array([1.2, 2.5, 4.0, 6.0, 8.0, 60.0]) * rng.uniform(0.9, 1.1, 6), 1)
    high = np.round(ratio * 1.4, 1)  # of the last but one the ratio alone is below the guard
    frame = pd.DataFrame({"strength": strengths, "effect": effect, "ratio": ratio, "ratio_hi": high})
    mistakes = {
        "a broken text counted as success": (strengths[-1], 2),
        "the ratio without its interval": (strengths[-2], 2),
        "the strongest, not the best": (strengths[edge], 3),
    }
    return {"table": frame, "guard": GUARD}, strengths[best], mistakes


def _circle(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    m = int(rng.integers(5, 12))
    true = math.cos(2 * math.pi / m)
    return {"features": m}, true, {"half the angle": (math.cos(math.pi / m), 2), "as if orthogonal": (0.0, 1)}


def _firings(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    d_sae, k, tokens = (int(2 ** rng.integers(*r)) for r in ((9, 14), (3, 6), (18, 22)))
    shown = {"tokens": tokens, "d_sae": d_sae, "k": k}
    return (
        shown,
        tokens * k / d_sae,
        {"k is forgotten": (tokens / d_sae, 1), "of all latents together": (float(tokens * k), 2)},
    )


def _f1(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    tp, fp, fn = (int(x) for x in (rng.integers(20, 60), rng.integers(3, 15), rng.integers(40, 120)))
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    mistakes = {
        "the plain mean of both": ((precision + recall) / 2, 2),
        "precision for F1": (precision, 2),
        "recall for F1": (recall, 2),
    }
    return {"tp": tp, "fp": fp, "fn": fn}, 2 * tp / (2 * tp + fp + fn), mistakes


def _recovered(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    clean, zero = round(float(rng.uniform(1, 1.5)), 2), round(float(rng.uniform(3, 4)), 2)
    sae = round(clean + float(rng.uniform(0.1, 0.5)), 2)
    true = (zero - sae) / (zero - clean)
    shown = {"loss_clean": clean, "loss_zero_ablated": zero, "loss_with_sae": sae}
    return shown, true, {"what is lost": (1 - true, 1), "zero is forgotten": (clean / sae, 2)}


def _folded(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    norm, value = round(float(rng.uniform(1.5, 3)), 2), round(float(rng.uniform(4, 9)), 2)
    return (
        {"decoder_norm": norm, "activation": value},
        norm * value,
        {"divided": (value / norm, 1), "nothing folded": (value, 2)},
    )


def _alone(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    fires, occurs = int(rng.integers(100, 200)), int(rng.integers(300, 500))
    on = int(fires * rng.uniform(0.6, 0.9))
    shown = {"firings": fires, "firings_on_the_token": on, "the_token_occurs": occurs}
    mistakes = {"recall for F1": (on / fires, 2), "precision for F1": (on / occurs, 2)}
    return shown, 2 * on / (fires + occurs), mistakes


def _lucky(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    latents, rate = int(rng.integers(500, 2000)), float(rng.choice([0.02, 0.05, 0.1]))
    matched = int(latents * rng.uniform(0.3, 0.8))
    shown = {"latents": latents, "matched": matched, "false_discovery_rate": rate}
    mistakes = {
        "of all latents": (rate * latents, 2),
        "of those without a partner": (rate * (latents - matched), 2),
    }
    return shown, rate * matched, mistakes


def _judge(rng: np.random.Generator) -> tuple[dict[str, Any], float, Mistakes]:
    fn, fp = int(rng.integers(4, 8)), int(rng.integers(5, 20))
    shown = {"right_of_10_that_fire": 10 - fn, "right_of_90_that_are_silent": 90 - fp}
    recall, specificity = 1 - fn / 10, 1 - fp / 90
    mistakes = {"the share that is right": ((100 - fn - fp) / 100, 2), "only where it fires": (recall, 2)}
    return shown, (recall + specificity) / 2, mistakes


def ask_find(student: Student) -> Task:
    concept = TOLD[student.rng("03.1").integers(len(TOLD))]
    return Task("03.1", "Find the latent that tells this concept best.", {"concept": concept})


def ask_judge(student: Student) -> Task:
    rng = student.rng("05.1")
    runs = [
        {"share": 0.85, "unsteered": 0.05, "random": 0.1, "ratio": 3.0},
        {"share": 0.95, "unsteered": 0.05, "random": 0.2, "ratio": 80.0},
        {"share": 0.6, "unsteered": 0.2, "random": 0.55, "ratio": 4.0},
    ]
    order = rng.permutation(3)
    moved = [{k: round(v * float(rng.uniform(0.95, 1.05)), 2) for k, v in runs[i].items()} for i in order]
    said = "A run works, is broken, or is nothing (a random direction does as much). Which is which?"
    truth = dict(zip("abc", map(verdict, moved), strict=True))
    return Task("05.1", said, dict(zip("abc", moved, strict=True)), {"verdicts": truth})


def grade_judge(task: Task, answer: Any) -> Grade:
    return judged(one_each("05.1", answer, "abc", VERDICTS), task._truth["verdicts"])


EXERCISES = (
    number("00.1", "Which strength?", "Which strength would calibrate call the best?", _auto, (
        "Effect alone is not enough: a broken text may have it.",
        "Leave out the strengths whose ratio_hi, the upper end of the interval, is above the guard.",
        "Of the strengths up to the first one above the guard, take the weakest with nine tenths of the largest effect.",
    ), 2, 1),
    number("01.1", "On a circle", "So many features share two dimensions, spread evenly. The cosine between neighbors?", _circle, (
        "They are the corners of a regular polygon.",
        "The angle between two neighbors is the whole circle, shared by all.",
        "math.cos(2 * math.pi / task.features)",
    ), 2, 1),
    number("02.1", "How often does it fire?", "On how many of these tokens does a latent of this TopK SAE fire, on average?", _firings, (
        "Every token uses k latents.",
        "How many firings are there in all, and how many latents share them?",
        "tokens * k / d_sae",
    ), 2, 1),
    Exercise("03.1", "A latent for a concept", ask_find, grade_find, (
        "index.concepts(labels) has a line for each concept and latent.",
        "Keep the lines of the concept, and sort by F1.",
        'found = index.concepts(labels); found[found.concept == task.concept].sort_values("f1").tail(3)',
    ), 3, 2),
    number("04.1", "One number of two", "Hits, false alarms and misses of a graph. Its F1?", _f1, (
        "F1 is nearer to the lower of precision and recall than to their mean.",
        "Precision is tp / (tp + fp), recall is tp / (tp + fn); F1 is their harmonic mean.",
        "2 * tp / (2 * tp + fp + fn)",
    ), 2, 1),
    Exercise("05.1", "Judge three runs", ask_judge, grade_judge, (
        "Look at ratio first: above ten times the perplexity of unsteered text, nothing counts.",
        "Then compare share with the larger of random and unsteered.",
        "A run of which a random direction gives nearly as much is nothing.",
    ), 2, 2),
    number("06.1", "Loss recovered", "Which share of the loss does the reconstruction recover, against an ablation to zero?", _recovered, (
        "1 is the model itself, 0 the layer switched off.",
        "What the SAE saves of what the ablation costs.",
        "(zero - sae) / (zero - clean)",
    ), 2, 1),
    number("07.1", "Folding norms", "The norm of a decoder row is folded away, so that the row has length 1. The activation becomes?", _folded, (
        "What the latent writes must stay the same: activation times row.",
        "The row is divided by its norm; something else must make up for it.",
        "activation * decoder_norm",
    ), 2, 2),
    number("08.1", "Is it the token alone?", "The rule is: it fires on its commonest token, wherever that stands. The rule's F1?", _alone, (
        "How often is the rule right where it speaks, and of how many firings does it speak?",
        "Precision is firings on the token / the token's occurrences, recall is firings on the token / firings.",
        "2 * task.firings_on_the_token / (task.firings + task.the_token_occurs)",
    ), 2, 2),
    number("09.1", "How many by luck?", "So many latents have a partner at this false-discovery rate. How many of the partners are expected to be chance?", _lucky, (
        "A false-discovery rate is a share. Of what?",
        "Of those that are found (matched), and not of all that were asked for.",
        "task.false_discovery_rate * task.matched",
    ), 2, 1),
    number("10.1", "A judge of rare firings", "Of 100 texts a latent fires in 10. The judge's balanced accuracy?", _judge, (
        "Who always says 'silent' is right in 90 of these 100 texts, and has a balanced accuracy of one half.",
        "The share that is right where it fires, and the share that is right where it is silent, counted alike.",
        "(task.right_of_10_that_fire / 10 + task.right_of_90_that_are_silent / 90) / 2",
    ), 2, 1),
)  # fmt: skip

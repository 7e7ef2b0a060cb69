"""w1, read a latent: name its concept, foretell where it fires, write a pair of texts, find one for a concept."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd

from saelab import zoo
from saelab.course.exercises import Exercise
from saelab.course.material import (
    activations,
    all_concepts,
    f1,
    fires,
    held_out,
    model_and_sae,
    readable,
    text_at,
)
from saelab.course.student import Student
from saelab.course.task import Grade, Task, folded, ill, right, whole, wrong
from saelab.errors import SaelabError, check_latent, is_bool, unknown

# ------------------------------------------------------------------------------------ w1.1 name its concept


def ask_concept(student: Student) -> Task:
    best = readable(0.55)
    latent = int(best["latent"].iloc[student.rng("w1.1").integers(len(best))])
    return Task("w1.1", "Which concept does this latent stand for?", {"latent": latent})


def grade_concept(task: Task, answer: Any) -> Grade:
    if not isinstance(answer, str):
        ill("w1.1", 'the name of a concept, such as "http.method"', answer)
    answer = folded(answer)
    if answer not in zoo.CONCEPTS:
        raise unknown("concept", answer, zoo.CONCEPTS)
    held = held_out()
    table: Any = held.concepts(task.latent)
    best = str(table["f1"].idxmax())
    mine = float(table["f1"].get(answer, 0.0))
    said = f"on texts that you have not seen, {answer} and the latent agree with F1 = {mine:.2f}"
    if mine >= 0.9 * table["f1"].max():
        return right(said, mine)
    said += f" (another name has {table['f1'].max():.2f})"
    on, has = fires(held.index, task.latent), held.labels.column(answer)
    if best.startswith(f"{answer}."):
        recall = float(table["recall"].get(answer, 0.0))
        return wrong(
            f"{said}: it fires on {recall:.0%} of what you name, so on a part of it", "too wide",
            then="Which part of it is lit in all examples, the random ones, too? sl.zoo.CONCEPTS names the parts.",
        )  # fmt: skip
    if answer.startswith(f"{best}."):
        return wrong(
            f"{said}: it fires on more than what you name", "too narrow",
            then="Look at the random examples: what is lit there beside what you name? The genre has a name, too.",
        )  # fmt: skip
    shifted = {name: f1(np.roll(has, step), on) for step, name in ((1, "before"), (-1, "after"))}
    where = max(shifted, key=lambda name: shifted[name])
    if shifted[where] > max(mine, 0.3):
        return wrong(
            f"{said}; what you name stands at the token {where} those it fires on", f"the token {where}",
            then="Name what the lit token itself is, and not its neighbor.",
        )  # fmt: skip
    at, value = held.index.postings(task.latent)
    if has[at[int(np.argmax(value))]]:
        return wrong(
            f"{said}; it does stand at the strongest example", "read from the strongest example alone",
            then="Read ten random examples in the dashboard: what do they share with the strongest?",
        )  # fmt: skip
    if best.partition(".")[0] == answer.partition(".")[0]:
        return wrong(f"{said}; the genre is right", "another part of the genre", then=2)
    return wrong(said)


# ------------------------------------------------------------------------- w1.2 and w1.3 a latent with context


@functools.cache
def with_context() -> pd.DataFrame:
    """(latent, token, fires, silent): latents that fire on their commonest token in some places and not in others."""
    held, lines = held_out(), []
    for latent in readable(0.35)["latent"].tolist():
        on = fires(held.index, int(latent))
        ids, counts = np.unique(held.index.rows.ids[on], return_counts=True)
        token = int(ids[int(np.argmax(counts))])
        here = (held.index.rows.ids == token) & held.index.counted
        line = {"latent": int(latent), "token": token, "fires": int((here & on).sum())}
        lines.append(line | {"silent": int((here & ~on).sum())})
    found: Any = pd.DataFrame(lines)
    return found[(found["fires"] >= 15) & (found["silent"] >= 15)].reset_index(drop=True)


def _places(student: Student) -> tuple[int, int, list[tuple[str, float]]]:
    """A latent, a token, and eight texts with the activation there: four above 0, four 0."""
    found: Any = with_context()
    rng, held = student.rng("w1.2"), held_out()
    for i in rng.permutation(len(found)).tolist():
        latent, token = int(found["latent"][i]), int(found["token"][i])
        on = fires(held.index, latent)
        here = (held.index.rows.ids == token) & held.index.counted
        chosen: list[tuple[str, float]] = []
        for kind in (on, ~on):
            some: list[tuple[str, float]] = []
            for at in rng.permutation(np.flatnonzero(here & kind))[:40].tolist():
                place = _measured(latent, token, at)
                if place and (place[1] > 0) == on[at] and len(some) < 4:
                    some.append(place)
            chosen += some
        if len(chosen) == 8:
            return latent, token, [chosen[k] for k in rng.permutation(8)]
    raise SaelabError("no latent was found for w1.2; join under another name")


def _measured(latent: int, token: int, at: int) -> tuple[str, float] | None:
    """The text that is shown of a place and the activation there, measured on that text; None where it would mislead."""
    text = text_at(held_out().index, at)
    if text.count("«") != 1 or text.count("»") != 1:
        return None
    ids, value = activations(text.replace("«", "").replace("»", ""), latent)
    begun, alone = activations(text.split("»")[0].replace("«", ""), latent)
    last = len(begun) - 1
    if begun[-1] != token or ids[: last + 1] != begun or (alone[-1] > 0) != (value[last] > 0):
        return None  # by itself it is cut into other tokens
    if alone[-1] == 0 and value[np.array(ids) == token].any():
        return None  # it fires on this token elsewhere in the text
    return text, float(alone[-1])


def ask_places(student: Student) -> Task:
    latent, _, places = _places(student)
    shown = {"latent": latent, "places": [text for text, _ in places]}
    truth = {"fires": [value > 0 for _, value in places]}
    return Task("w1.2", "Does the latent fire on the token in «»?", shown, truth)


def grade_places(task: Task, answer: Any) -> Grade:
    given = np.asarray(answer, dtype=object).ravel().tolist() if not isinstance(answer, str) else []
    given = [bool(x) if not is_bool(x) and whole(x) in (0, 1) else x for x in given]
    if len(given) != 8:
        ill("w1.2", f"eight True or False, one for each of task.places (here: {len(given)})", answer)
    if odd := [x for x in given if not is_bool(x)]:
        ill("w1.2", "eight True or False, without quotes", odd[0])
    missed = [i for i, (a, b) in enumerate(zip(given, task._truth["fires"], strict=True)) if bool(a) != b]
    hits = 8 - len(missed)
    said = f"{hits} of 8 places are right"
    wanted = f"{said}, seven pass"
    if hits >= 7:
        other = "".join(f"; at place {i} it {'is silent' if given[i] else 'fires'}" for i in missed)
        return right(said + other, hits / 8)
    if len(set(map(bool, given))) == 1:
        return wrong(f"{wanted}: it fires on this token in half of the places", "by the token alone", then=1)
    if hits <= 1:
        return wrong(
            f"{wanted}: True is where it fires", "the other way round",
            then="You can tell the places apart: say True where you said False, and the other way round.",
        )  # fmt: skip
    return wrong(wanted)


def ask_pair(student: Student) -> Task:
    latent, number, places = _places(student)
    largest = float(held_out().index.postings(latent)[1].max())
    token = held_out().index.vocab.search_table[number].decode("utf-8", "replace")
    least = min(largest / 3, 0.9 * max(value for _, value in places))  # some place of w1.2 has it
    shown = {"latent": latent, "token": token, "least": round(least, 3)}
    said = "Write a text on whose token the latent fires with at least `least`, and one with the token where it is silent."
    return Task("w1.3", said, shown, {"id": number})


def grade_pair(task: Task, answer: Any) -> Grade:
    if (
        not isinstance(answer, (tuple, list))
        or len(answer) != 2
        or not all(isinstance(t, str) and t for t in answer)
    ):
        ill("w1.3", "two texts, (fires, silent)", answer)
    seen = []
    for text in answer:
        ids, value = activations(text, task.latent)
        seen.append((np.array(ids) == task._truth["id"], value))
    (has_a, a), (has_b, b) = seen
    on_a = float(a[has_a].max()) if has_a.any() else 0.0
    on_b = float(b[has_b].max()) if has_b.any() else 0.0
    if not has_b.any() or not has_a.any():
        which = "first" if not has_a.any() else "second"
        return wrong(
            f"the {which} text does not hold the token {task.token!r}; a space before a word is part of its token",
            "no contrast: the token is not there",
            then="Print repr(task.token) and copy it as it stands into both texts; what stands before it may differ.",
        )
    said = f"on {task.token!r} the latent is {on_a:.2f} in the first text and {on_b:.2f} in the second"
    if on_a >= task.least and on_b == 0:
        return right(said)
    if on_b >= task.least and on_a == 0:
        return wrong(
            said, "the two are in each other's place",
            then="Write the text on which it fires first, then the one where it is silent.",
        )  # fmt: skip
    wanted = [f"at least {task.least:g} in the first"] * (on_a < task.least) + ["0 in the second"] * (
        on_b > 0
    )
    mistake = "it fires in the second, too" if on_b > 0 else "too weak" if on_a > 0 else ""
    then = {
        "it fires in the second, too": "In the second text change what stands before the token: another genre, or nothing at "
        "all. A place with False of w1.2 shows one; sl.heatmap(model, sae, [text, text, …], task.latent) tries several.",
        "too weak": "The first text fires, and not enough: copy more of what stands before the token in one of the "
        "strongest examples of the dashboard.",
    }
    return wrong(f"{said}; it is to be {' and '.join(wanted)}", mistake, then=then.get(mistake, ""))


# -------------------------------------------------------------------------- w1.4 find a latent for a concept


def ask_find(student: Student) -> Task:
    best: Any = readable(0.5)
    known = [ask_concept(student).latent, ask_places(student).latent]
    best = best[~best["latent"].isin(known)]
    concept = str(best["concept"].iloc[student.rng("w1.4").integers(len(best))])
    return Task("w1.4", "Find the latent that tells this concept best.", {"concept": concept})


def grade_find(task: Task, answer: Any) -> Grade:
    latent = check_latent(whole(answer), model_and_sae()[1].config.d_sae)
    table: Any = all_concepts()
    table = table[table["concept"] == task.concept].set_index("latent")
    best = table.loc[table["f1"].idxmax()]
    mine = table.loc[latent] if latent in table.index else None
    score = 0.0 if mine is None else float(mine["f1"])
    said = f"on texts that you have not seen, latent {latent} tells {task.concept} with F1 = {score:.2f}"
    if score >= 0.85 * best["f1"]:
        return right(said, score)
    said += f" (another latent has {best['f1']:.2f})"
    if mine is None or mine["tp"] < 5:
        there = 0 if mine is None else int(mine["tp"])
        fired = int(held_out().index.counts[latent])
        return wrong(
            f"{said}: of its {fired:,} firings {there} are on it"
            if fired
            else f"{said}: it never fires there"
        )
    said += f"; precision is {mine['precision']:.2f}, recall {mine['recall']:.2f}"
    if mine["precision"] > 2 * mine["recall"] and mine["recall"] < best["recall"] / 2:
        return wrong(f"{said}: another finds more of it", "precision without recall", then=2)
    if mine["recall"] > 2 * mine["precision"] and mine["precision"] < best["precision"] / 2:
        return wrong(
            f"{said}: it fires on much else", "recall without precision",
            then="High recall alone is easy, too: a latent that fires often finds much. Sort by F1.",
        )  # fmt: skip
    return wrong(said)


EXERCISES = (
    Exercise("w1.1", "Name the concept", ask_concept, grade_concept, (
        "Open index.dashboard(task.latent). Read the strongest examples, then the random ones: what do they have in common?",
        "Names are in sl.zoo.CONCEPTS. Take the genre first, then the part of it on which the latent fires, and no more.",
        "index.concepts(labels) lists F1 for every concept and latent; keep your latent's lines and take the best.",
    ), 7, 1),
    Exercise("w1.2", "Foretell where it fires", ask_places, grade_places, (
        "All eight are the same token. What stands before it where the latent fires?",
        "The dashboard's examples show the token and what stands before it; the random ones are more typical than the strongest.",
        "Under 'Try a text' of the dashboard you can write pieces of the eight texts and see whether the token lights up.",
    ), 6, 2),
    Exercise("w1.3", "A text that fires, a text that does not", ask_pair, grade_pair, (
        "For the first text begin with an example from the dashboard: copy as much before the token as it needs. For the "
        "second keep the token and change what stands before it.",
        "sl.heatmap(model, sae, [text, text, …], task.latent) tries several kinds of text at once: code, a letter, a list.",
        "Places with True and with False of w1.2 are such a pair; take the «» away.",
    ), 5, 2),
    Exercise("w1.4", "A latent for a concept", ask_find, grade_find, (
        "index.concepts(labels) has a line for each concept and latent, with precision, recall and F1.",
        "High precision alone is easy: one sure token will do. Sort by F1.",
        'found = index.concepts(labels); found[found.concept == task.concept].sort_values("f1").tail(3)',
    ), 5, 2),
)  # fmt: skip

"""w3, graphs of patterns: find where one fails, edit it until it beats the fitted one, see what it is better than."""

from __future__ import annotations

from typing import Any

import numpy as np

from saelab import n2g, zoo
from saelab.course.exercises import Exercise
from saelab.course.material import (
    activations,
    f1,
    fires,
    held_out,
    model_and_sae,
    opened,
    readable,
)
from saelab.course.student import Student
from saelab.course.task import Grade, Task, ill, mapping, right, wrong
from saelab.errors import SaelabError, check_number
from saelab.index import LatentIndex

# concepts whose best latent has much that few documents do not show: false alarms, misses, and more to gain than is asked
CONCEPTS = (
    "log.module", "log.code", "chess.piece_move", "japanese.dialogue", "japanese.loanword", "japanese.verb",
    "arithmetic.operator", "legal.party", "legal.defined_term", "latex.greek", "base64.armour", "python.exception",
    "python.string", "story.place",
)  # fmt: skip
WORDS = {"graph": "graph", "token": "list of tokens", "bigram": "list of pairs"}
FEW, GAIN = 250, 0.03  # documents that the graph was fitted on; by how much an edited one is to be better


def _graph(student: Student) -> Any:
    """The student's graph, fitted on few documents and attached to the workshop's index."""
    best: Any = readable(0.0).set_index("concept")["latent"]
    there = [c for c in CONCEPTS if c in best.index]
    latent = int(best[there[student.rng("w3").integers(len(there))]])
    model, sae = model_and_sae()
    few = LatentIndex.build(model, sae, zoo.labelled_rows(model, FEW, seed=5)[0], progress=False)
    graph = n2g.fit(few, [latent], progress=False)[latent]
    graph.index = opened(student.folder).index
    return graph


def on_new_text(graph: Any) -> tuple[float, float, float]:
    """F1, precision and recall of a graph for its latent's firings, on the documents of the checks."""
    held = held_out()
    said, true = graph.predict(held.index.rows) > 0, fires(held.index, graph.latent)
    hit = (said & true).sum()
    return f1(said, true), float(hit / max(said.sum(), 1)), float(hit / max(true.sum(), 1))


# -------------------------------------------------------------------------------------- w3.1 where does it fail?


def ask_fail(student: Student) -> Task:
    graph = _graph(student)
    said = "Write one text with a false alarm of the graph, and one with a firing that it misses."
    return Task("w3.1", said, {"graph": graph, "latent": graph.latent})


def grade_fail(task: Task, answer: Any) -> Grade:
    if (
        not isinstance(answer, (tuple, list))
        or len(answer) != 2
        or not all(isinstance(t, str) and t for t in answer)
    ):
        ill("w3.1", "two texts, (false alarm, miss)", answer)
    table, seen = held_out().index.vocab.search_table, []
    for text in answer:
        ids, value = activations(text, task.latent)
        said = task.graph.predict(ids) > 0
        said[0] = False  # BOS
        alarms, misses = (
            [ids[i] for i in np.flatnonzero(x)] for x in (said & (value == 0), ~said & (value > 0))
        )
        seen.append((alarms, misses, int(said.sum()), int((value > 0).sum())))
    (alarm, missed_a, spoken, _), (alarm_b, miss, _, fired) = seen
    first, last = (repr(table[x[-1]].decode("utf-8", "replace")) if x else "" for x in (alarm, miss))
    if alarm and miss:
        return right(
            f"in the first the graph speaks on {first}, where the latent is silent; in the second the latent fires on {last}, "
            "where the graph is silent"
        )
    if alarm_b and missed_a and not (alarm or miss):
        return wrong(
            "a false alarm is where the graph speaks and the latent does not", "the two are in each other's place",
            then="Hand in (false alarm, miss), in this order.",
        )  # fmt: skip
    of_alarm = f"speaks on {spoken} tokens, and the latent fires on each" if spoken else "speaks nowhere"
    of_miss = f"fires on {fired} tokens, and the graph speaks on each" if fired else "fires nowhere"
    told = f"in the second the latent {of_miss}" if not miss else f"the second is right: a miss on {last}"
    if not alarm:
        return wrong(
            f"in the first text the graph {of_alarm}; {told}", "no false alarm",
            then='task.graph.examples(kind="false_alarm", split="train") lists places: copy the text around one, with a '
            "good piece of what stands before it.",
        )  # fmt: skip
    return wrong(
        f"the first is right: a false alarm on {first}; {told}", "no miss",
        then='task.graph.examples(kind="miss", split="train") lists places: copy the text around one, with a good piece of '
        "what stands before it.",
    )  # fmt: skip


# ------------------------------------------------------------------------------------------- w3.2 beat the fit


def ask_edit(student: Student) -> Task:
    graph = _graph(student)
    said = f"Edit a copy of the graph until its F1 on new text is {GAIN} above that of the graph as fitted."
    return Task("w3.2", said, {"graph": graph, "latent": graph.latent}, {"fitted": graph.copy()})


def grade_edit(task: Task, answer: Any) -> Grade:
    if not isinstance(answer, n2g.PatternGraph):
        ill("w3.2", "a graph: edit task.graph.copy()", answer)
    fitted = task._truth["fitted"]
    if answer.latent != fitted.latent:
        raise SaelabError(f"w3.2 takes a graph of latent {fitted.latent}; this one is of {answer.latent}")
    if (answer._done[0][0] if answer._done else answer.tree) != fitted.tree:
        return wrong(
            "this graph is no edit of task.graph: its history begins with other patterns", "fitted anew",
            then="Begin with graph = task.graph.copy() and edit that: graph.add_path(…), graph.edit().",
        )  # fmt: skip
    before, now = on_new_text(fitted), on_new_text(answer)
    said = f"on new text F1 is {now[0]:.3f}, as fitted {before[0]:.3f}"
    if now[0] >= before[0] + GAIN:
        gained = "; ".join(
            f"{n} {b:.2f} → {x:.2f}"
            for n, b, x in zip(("precision", "recall"), before[1:], now[1:], strict=True)
        )
        return right(f"{said}: {gained}", now[0])
    said += f", {before[0] + GAIN:.3f} is wanted"
    if answer.patterns() == fitted.patterns():
        return wrong(
            f"{said}; its patterns are those of the fit", "nothing was edited",
            then="Hand in the copy that you edited: graph.add_path([id_before, id]) adds a pattern to it, graph.edit() opens it.",
        )  # fmt: skip
    if now[1] < before[1] - 0.1 and now[2] > before[2]:
        return wrong(
            f"{said}; precision fell from {before[1]:.2f} to {now[1]:.2f}", "it lets too much in",
            then="Some of your patterns speak where the latent is silent: take those back (graph.undo()), or put a token before.",
        )  # fmt: skip
    index = task.graph.index
    here = fires(index, fitted.latent)
    gain = f1(answer.predict(index.rows) > 0, here) - f1(fitted.predict(index.rows) > 0, here)
    if gain >= GAIN:
        return wrong(
            f"{said}, though {gain:+.3f} on your index", "scored on the text you chose it on",
            then="A pattern that is right at one place only is luck: keep short ones, with two or more misses each.",
        )  # fmt: skip
    if now[2] > before[2]:
        return wrong(
            f"{said}; recall rose from {before[2]:.2f} to {now[2]:.2f}", "the right way, not far enough",
            then="Go on: which tokens do the misses that are left end on?",
        )  # fmt: skip
    return wrong(said)


# ------------------------------------------------------------------------------------- w3.3 better than what?


def ask_than(student: Student) -> Task:
    graph = n2g.fit(opened(student.folder).index, [_graph(student).latent], progress=False)
    (graph,) = graph.values()
    said = "Fitted on all of the index: F1 of the graph, of a list of tokens and of a list of pairs, on the *test* documents?"
    return Task("w3.3", said, {"graph": graph})


def grade_than(task: Task, answer: Any) -> Grade:
    names = ("graph", "token", "bigram")
    answer = mapping(answer)
    if not isinstance(answer, dict) or set(answer) != set(names):
        ill("w3.3", 'a dict {"graph": F1, "token": F1, "bigram": F1}', answer)
    given = np.array([check_number(f"F1 of {n} (w3.3)", answer[n], 0, 1) for n in names])
    score = {split: _scores(task.graph, split) for split in ("test", "valid", "train")}

    def near(split: str, what: str = "f1") -> bool:
        true = np.array([float(getattr(s, what) or 0.0) for s in score[split].values()])
        return bool((np.abs(given - true) <= 0.006).all())

    if near("test"):
        value = {n: s.f1 or 0.0 for n, s in score["test"].items()}
        best = [WORDS[n] for n in names if value[n] >= max(value.values()) - 0.006]
        if len(best) > 1:
            return right(f"here it is a tie: the {' and the '.join(best)} are equally good")
        return right(f"here the best of the three is the {best[0]}")
    for split in ("valid", "train"):
        if near(split):
            return wrong(
                f"these are of the {split} documents, which the patterns come from",
                "scored on the text it was chosen on", then=3,
            )  # fmt: skip
    for what in ("precision", "recall"):
        if near("test", what):
            return wrong(
                f"this is {what}", f"{what} for F1", then="The attribute f1 holds both: .f1 of each score."
            )
    good = np.abs(given - [s.f1 or 0.0 for s in score["test"].values()]) <= 0.006
    told = ", ".join(f"{n} {'is' if ok else 'is not'}" for n, ok in zip(names, good, strict=True))
    return wrong(f"F1 of the test documents: {told}", then="" if not good[0] else 2)


def _scores(graph: Any, split: str) -> dict[str, Any]:
    base = graph.baselines(split=split)
    return {"graph": graph.score(split=split), "token": base["token"], "bigram": base["bigram"]}


EXERCISES = (
    Exercise("w3.1", "Where does it fail?", ask_fail, grade_fail, (
        'task.graph.examples(kind="false_alarm", split="train") lists places; kind="miss" the others. Copy the text around one.',
        "A text must hold what stands before the token, too: take a good piece. task.graph.text() says what the patterns look at.",
        "Try on your text: task.graph.predict(sl.models.tokenize(model, text)) beside sl.heatmap(model, sae, text, latent).",
    ), 6, 2),
    Exercise("w3.2", "Beat the fit", ask_edit, grade_edit, (
        'Misses first: which tokens do they end on? graph.examples(kind="miss", split="train", n=200).token.value_counts()',
        "graph.add_path([id_before, id]) adds a pattern of two tokens; take pairs on which the latent fires nearly each time. "
        "Or open graph.edit() and make paths of misses there; look at the change in hits and false alarms before Enter.",
        "Count, over index.rows.ids, the pairs at misses and at silent places; add those with two or more misses and hardly any silent place.",
    ), 10, 3),
    Exercise("w3.3", "Better than what?", ask_than, grade_than, (
        'task.graph.score(split="test").f1 is the first number.',
        'task.graph.baselines(split="test") has the others, under "token" and "bigram".',
        "valid chose the patterns and train made them; only test says how good they are.",
    ), 4, 1),
)  # fmt: skip

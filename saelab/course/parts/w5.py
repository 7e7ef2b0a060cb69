"""w5, steer with controls: one latent that works, one that reads and does not write, and a verdict on three runs."""

from __future__ import annotations

from typing import Any

from saelab import zoo
from saelab.course.exercises import Exercise
from saelab.course.material import all_concepts, held_out, model_and_sae, opened
from saelab.course.student import Student
from saelab.course.task import Grade, Task, folded, ill, one_each, right, right_ones, whole, wrong
from saelab.errors import SaelabError, check_latent, check_number, unknown
from saelab.evaluation import calibrate
from saelab.evaluation.calibration import GUARD
from saelab.experiments import sweep

PROMPT, SCHEDULE, NEW = "The", (1.0,) * 5 + (0.0,), 30
WRITES = ("chess", "hebrew", "japanese", "latex", "legal", "russian", "story")  # some latent turns these on
READS = ("json", "python", "nutrition")  # many latents read these and write nothing
STRENGTHS = (0.5, 1.0, 2.0, 4.0)
ENOUGH, LITTLE = 0.5, 0.3  # share of texts that are of the genre


def pushed(index: Any, latent: int, strengths: Any, genre: str, seed: int, n: int = 20) -> Any:
    """strength -> share of texts of the genre (``effect``), ``ratio`` of perplexity, an example ``text``."""
    model, sae = model_and_sae()
    most = {latent: float(index.latent_stats(latent)["max"])}
    found = calibrate(
        model, sae, [latent], [PROMPT], relative=most, strengths=strengths, schedule=SCHEDULE, n=n, seed=seed,
        max_new_tokens=NEW, score=lambda text: zoo.classify(text) == genre, progress=False,
    )  # fmt: skip
    return found.frame.set_index("strength")


def _sure(genre: str) -> Any:
    """Latents that fire on hardly anything but the genre, best F1 first, on the documents of the checks."""
    table: Any = all_concepts()
    table = table[(table["concept"] == genre) & (table["precision"] >= 0.85) & (table["fires"] >= 20)]
    return table.sort_values("f1", ascending=False).set_index("latent")


# ------------------------------------------------------------------------------------------- w5.1 one that works


def ask_works(student: Student) -> Task:
    genre = WRITES[student.rng("w5.1").integers(len(WRITES))]
    said = (
        f"A latent and a strength (in its maxima, pushed for five tokens, then let go) after which at least {ENOUGH:.0%} of the "
        f"texts are of the genre and perplexity stays within {GUARD:g} times that of unsteered text."
    )
    return Task(
        "w5.1", said, {"genre": genre, "prompt": PROMPT, "schedule": list(SCHEDULE), "max_new_tokens": NEW}
    )


def grade_works(task: Task, answer: Any) -> Grade:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        ill("w5.1", "(latent, strength)", answer)
    latent = check_latent(whole(answer[0]), model_and_sae()[1].config.d_sae)
    strength = check_number("strength", answer[1], 0, 1000, open_low=True)
    index = held_out().index
    if not index.counts[latent]:
        raise SaelabError(f"latent {latent} does not fire on the documents of the check")
    line = pushed(index, latent, [strength], task.genre, seed=1001).loc[strength]
    said = f"on 20 new texts {line['effect']:.0%} are {task.genre}, perplexity is {line['ratio']:.1f} times that of unsteered text"
    if line["effect"] >= ENOUGH and line["ratio"] <= GUARD:
        return right(said, float(line["effect"]))
    said += f" (wanted: {ENOUGH:.0%}, within {GUARD:g} times)"
    if line["ratio"] > GUARD:
        return wrong(
            f"{said}; for example {line['text'][:60]!r}", "the text is broken",
            then="Take a smaller strength, or another latent: only lines of sl.calibrate that are `inside` will do.",
        )  # fmt: skip
    if latent not in _sure(task.genre).index:
        return wrong(f"{said}; {_reads(latent, task.genre)}", "not of this genre", then=1)
    if line["effect"] >= 0.2:
        return wrong(
            said, "not often enough",
            then="The check writes other texts: take a latent and a strength whose effect is well above what is wanted.",
        )  # fmt: skip
    if line["ratio"] < 2:
        return wrong(
            f"{said}; the text is nearly as it was", "too weak a push",
            then="Perplexity leaves room: try this latent at larger strengths, and others beside it.",
        )  # fmt: skip
    return wrong(
        f"{said}; it does fire on {task.genre}", "it reads the genre and does not write it",
        then="Try other latents of the genre: sl.calibrate takes a list of latents and of strengths.",
    )  # fmt: skip


def _reads(latent: int, genre: str) -> str:
    """On what a latent fires, for one that is not :func:`_sure`."""
    table: Any = all_concepts()
    line = table[(table["concept"] == genre) & (table["latent"] == latent)]
    share = 0.0 if line.empty else float(line["precision"].iloc[0])
    return f"on texts that you have not seen, latent {latent} fires {held_out().index.counts[latent]:,} times, {share:.0%} on {genre}"


# ------------------------------------------------------------------------------------------ w5.2 one that does not


def ask_reads(student: Student) -> Task:
    chosen = [READS[i] for i in student.rng("w5.2").choice(len(READS), 2, replace=False)]
    said = "A genre and a latent that fires on hardly anything else and does not turn it on at any strength: fires is not causes."
    shown = {"genres": chosen, "strengths": list(STRENGTHS), "prompt": PROMPT, "schedule": list(SCHEDULE)}
    return Task("w5.2", said, shown | {"max_new_tokens": NEW})


def grade_reads(task: Task, answer: Any) -> Grade:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        ill("w5.2", "(genre, latent)", answer)
    genre, latent = answer
    if not isinstance(genre, str):
        ill("w5.2", "(genre, latent)", answer)
    genre = folded(genre)
    if genre not in task.genres:
        raise unknown("genre of this task", genre, task.genres)
    latent = check_latent(whole(latent), model_and_sae()[1].config.d_sae)
    sure = _sure(genre)
    if latent not in sure.index:
        return wrong(
            f"{_reads(latent, genre)}; at least 20 times and 85% are wanted", "not of this genre", then=1
        )
    if sure.loc[latent, "recall"] < 0.01:
        return wrong(
            f"latent {latent} fires on {sure.loc[latent, 'recall']:.1%} of {genre}, at least 1% is wanted",
            "too rare to stand for the genre", then="Keep the latents with a recall of 0.03 and more on your index.",
        )  # fmt: skip
    frame = pushed(held_out().index, latent, STRENGTHS, genre, seed=1002)
    fair = frame[(frame["ratio"] <= GUARD) & (frame.index > 0)]
    if fair.empty:
        return wrong(
            f"at every strength the perplexity is more than {GUARD:g} times that of unsteered text, so nothing was shown "
            "of what it causes",
            "the text is broken",
            then="Choose one that has lines which are `inside` at a strength above 0.",
        )
    share, at = float(fair["effect"].max()), float(fair["effect"].idxmax())
    said = f"within the guard at most {share:.0%} of the texts are {genre} (at strength {at:g}; unsteered {frame.loc[0.0, 'effect']:.0%})"
    if share <= LITTLE:
        return right(said)
    return wrong(
        f"{said}; at most {LITTLE:.0%} is wanted", "it does turn the genre on",
        then="Calibrate several, and take the one whose largest effect within the guard is the least.",
    )  # fmt: skip


# ---------------------------------------------------------------------------------------- w5.3 judge three runs

VERDICTS = ("works", "broken", "nothing")


def measure(index: Any, latent: int, strength: float, genre: str) -> dict[str, float]:
    """Share with the latent, unsteered and along a random direction; ratio of perplexity."""
    model, sae = model_and_sae()
    most = {latent: float(index.latent_stats(latent)["max"])}
    frame = sweep(
        model, sae, PROMPT, [latent], [0, strength], relative=most, controls=1, n=20, max_new_tokens=NEW, seed=1003,
        schedule=SCHEDULE, score=lambda text: zoo.classify(text) == genre, progress=False,
    ).frame  # fmt: skip
    groups: Any = frame.groupby(["control", "strength"])
    parts = {(c, s): part for (c, s), part in groups}
    mean = {key: float(part["score"].astype(float).mean()) for key, part in parts.items()}
    nats = {key: float(part["perplexity"].median()) for key, part in parts.items()}
    return {
        "share": mean[-1, strength], "unsteered": mean[-1, 0.0], "random": mean[0, strength],
        "ratio": nats[-1, strength] / nats[-1, 0.0],
    }  # fmt: skip


def verdict(seen: dict[str, float]) -> str | None:
    """What a run shows; None where that is not clear."""
    if seen["ratio"] > 1.5 * GUARD:
        return "broken"
    if seen["ratio"] > GUARD / 1.5:
        return None
    gain = seen["share"] - max(seen["unsteered"], seen["random"])
    return "works" if gain > 0.45 else "nothing" if gain < 0.15 else None


def ask_judge(student: Student) -> Task:
    rng, index = student.rng("w5.3"), opened(student.folder).index
    wanted: dict[str, Any] = {}
    measured: dict[str, str] = {}
    plans = {
        "works": [(g, s) for g in WRITES for s in (1.0, 2.0)],
        "broken": [(g, s) for g in ("base64", "dna", "hebrew", "chess") for s in (6.0, 8.0)],
        "nothing": [(g, s) for g in ("arithmetic", *READS) for s in (0.5, 1.0)],
    }
    for kind, plan in plans.items():
        for i in rng.permutation(len(plan)):
            genre, strength = plan[i]
            for latent in _sure(genre).index[:2].tolist():
                seen = measure(index, int(latent), strength, genre)
                broken_share = (
                    kind != "broken" or seen["share"] >= 0.3
                )  # else nobody would take it for a success
                if verdict(seen) == kind and broken_share:
                    wanted[kind] = {"genre": genre, "latent": int(latent), "strength": strength}
                    measured[kind] = (
                        f"{seen['share']:.0%} {genre} (random direction {seen['random']:.0%}, no push {seen['unsteered']:.0%}), "
                        f"perplexity {seen['ratio']:.1f} times"
                    )
                    break
            if kind in wanted:
                break
    order = [list(wanted)[i] for i in rng.permutation(len(wanted))]
    shown: dict[str, Any] = dict(zip("abc", (wanted[k] for k in order), strict=True))
    said = "Run each with a random direction as control (sl.sweep, controls=1, n=20). Which works, which is broken, which is nothing?"
    shown |= {"prompt": PROMPT, "schedule": list(SCHEDULE), "max_new_tokens": NEW}
    seen = "; ".join(f"{name}: {measured[k]}" for name, k in zip("abc", order, strict=True))
    return Task("w5.3", said, shown, {"verdicts": dict(zip("abc", order, strict=True)), "seen": f". {seen}"})


def grade_judge(task: Task, answer: Any) -> Grade:
    return judged(one_each("w5.3", answer, "abc", VERDICTS), task._truth["verdicts"], task._truth["seen"])


def judged(given: dict[str, str], true: dict[str, str], seen: str = "") -> Grade:
    """Verdicts on three runs, graded; ``seen`` is what was measured of them."""
    if given == true:
        return right(f"all three are right{seen}")
    said = right_ones(given, true)
    for wrongly, truly, why, mistake, then in (
        ("works", "broken", "has the genre in text that nobody would write", "a broken text counted as success",
         "Look at perplexity first: beyond ten times that of unsteered text nothing counts."),
        ("works", "nothing", "gives no more than a random direction, or no push at all", "no control",
         "Compare its share with both: that of the random direction, and that without a push."),
        ("nothing", "broken", "breaks the text", "the perplexity is left out",
         "Look at perplexity first: beyond ten times that of unsteered text a run is broken."),
        ("broken", "", "is within ten times the perplexity", "whole text taken for broken",
         "Broken is beyond ten times the perplexity of unsteered text; of a run's texts take the median."),
        ("nothing", "works", "gives much more than both controls", "a success taken for nothing",
         "Compare its share with that of the random direction, and with that without a push."),
    ):  # fmt: skip
        for k in true:
            if given[k] == wrongly != true[k] and true[k].startswith(truly):
                return wrong(f"{said}; {k}, which you say {_says(wrongly)}, {why}", mistake, then=then)
    return wrong(said)


def _says(verdict: str) -> str:
    return "works" if verdict == "works" else f"is {verdict}"


EXERCISES = (
    Exercise("w5.1", "One that works", ask_works, grade_works, (
        'found = index.concepts(labels) has the latents of the genre: precision of 0.9 and more, best F1 first.',
        "sl.calibrate(model, sae, latents, [task.prompt], relative=index, schedule=task.schedule, "
        "max_new_tokens=task.max_new_tokens, score=lambda t: "
        "sl.zoo.classify(t) == task.genre) tries several latents at several strengths at once.",
        "Take six latents, strengths [0.5, 1, 2, 4], n=20; of the lines that are `inside` take the largest effect, of equal ones "
        "the smallest ratio: the check writes other texts.",
    ), 8, 2),
    Exercise("w5.2", "One that does not", ask_reads, grade_reads, (
        "Latents of these genres often fire on a detail. Begin with index.concepts(labels), precision of 0.9 and more.",
        "Calibrate several at task.strengths, and look at effect where `inside` is True and strength is above 0: it is to stay below 0.3.",
        "Choose one that has such lines and whose effect stays at that of strength 0 in them, and which fires often (recall of 0.03 and more).",
    ), 6, 2),
    Exercise("w5.3", "Judge three runs", ask_judge, grade_judge, (
        "run = sl.sweep(model, sae, task.prompt, [r['latent']], [0, r['strength']], relative=index, controls=1, n=20, "
        "max_new_tokens=task.max_new_tokens, schedule=task.schedule, score=sl.zoo.classify), for r in task.a, task.b, task.c",
        "run.frame has a line per text: control is -1 for the latent, 0 for the random direction. Compare shares, and median perplexity.",
        "Broken: perplexity over ten times that of strength 0. Nothing: no more of the genre than control or unsteered. Else it works.",
    ), 7, 3),
)  # fmt: skip

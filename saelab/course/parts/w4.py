"""w4, what does a latent do: predict the sign, ablate, attribute."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd

from saelab import models, zoo
from saelab.course.exercises import Exercise
from saelab.course.material import held_out, model_and_sae, readable
from saelab.course.student import Student
from saelab.course.task import Grade, Task, ill, right, whole, wrong
from saelab.errors import SaelabError, check_latent, check_number, is_scalar
from saelab.experiments import attribute, effects
from saelab.frames import TextFrame

# ---------------------------------------------------------------------------------------- w4.1 predict the sign


def ask_sign(student: Student) -> Task:
    model, sae = model_and_sae()
    rng, index, lines = student.rng("w4.1"), held_out().index, []
    best = readable(0.4)
    for latent in best["latent"].iloc[rng.permutation(len(best))].tolist():
        tokens, value = index.postings(int(latent))
        rows, _ = index.rows.locate(tokens[np.argsort(-value, kind="stable")][:40])
        for row in pd.unique(rows)[:2]:
            lines += _places(model, sae, index, int(row), int(latent))
        signs = [line["diff"] > 0 for line in lines]
        if min(sum(signs), len(signs) - sum(signs)) >= 6:
            break
    chosen: list[dict[str, Any]] = []
    for positive in (True, False):
        some = [line for line in lines if (line["diff"] > 0) == positive]
        seen: dict[int, dict[str, Any]] = {}
        for line in sorted(some, key=lambda line: -abs(line["diff"])):
            seen.setdefault(line["latent"], line)  # one of each latent, as far as they go
        chosen += [*seen.values(), *(x for x in some if x not in seen.values())][:3]
    frame = pd.DataFrame([chosen[i] for i in rng.permutation(len(chosen))])
    shown = TextFrame(frame[["latent", "text", "next"]])
    signs = ["+" if d > 0 else "-" for d in frame["diff"]]
    said = "Before you ablate: does the loss on `next` rise (+) or fall (-) when the latent is taken away at the end of `text`?"
    return Task("w4.1", said, {"places": shown}, {"signs": signs, "diffs": frame["diff"].tolist()})


def _places(model: Any, sae: Any, index: Any, row: int, latent: int) -> list[dict[str, Any]]:
    """Places of a row where the latent changes the loss, each measured on the text that is shown for it."""
    ids = index.rows.ids[index.rows.offsets[row] : index.rows.offsets[row + 1]].tolist()
    table = index.vocab.search_table
    frame: Any = effects(model, sae, ids, latent, top=0).frame
    size = frame["loss_diff"].abs().where(frame["activation"] > 0, 0.0).fillna(0.0)
    out = []
    for i in size.nlargest(4).index[size.nlargest(4) > 0.25]:
        text = b"".join(table[t] for t in ids[max(0, i - 15) : i + 1]).decode("utf-8", "replace")
        after = table[ids[i + 1]].decode("utf-8", "replace")
        if models.tokenize(model, text + after)[-2:] != ids[i : i + 2]:
            continue  # by itself it is cut into other tokens
        diff = float(effects(model, sae, text + after, latent, top=0).frame["loss_diff"].iloc[-2])
        if abs(diff) > 0.1:
            out.append({"latent": latent, "text": text, "next": after, "diff": diff})
    return out


def grade_sign(task: Task, answer: Any) -> Grade:
    true = task._truth["signs"]
    listed = answer.tolist() if hasattr(answer, "tolist") else answer
    if isinstance(listed, (list, tuple)):
        listed = [{1: "+", -1: "-"}.get(whole(x), x) if not isinstance(x, (str, bool)) else x for x in listed]
    text = "".join(map(str, listed)) if isinstance(listed, (str, list, tuple)) else ""
    given = re.sub(r"[\s,;]", "", re.sub("[−–—]", "-", text))
    if len(given) != len(true) or not set(given) <= {"+", "-"}:
        ill("w4.1", f'{len(true)} signs, such as "{"+-" * (len(true) // 2)}"', answer)
    missed = [i for i, (a, b) in enumerate(zip(given, true, strict=True)) if a != b]
    hits = len(true) - len(missed)
    said = f"{hits} of {len(true)} are right"
    if hits >= len(true) - 1:
        other = "".join(f"; at place {i} the loss {'rises' if true[i] == '+' else 'falls'}" for i in missed)
        measured = ", ".join(f"{d:+.2f}" for d in task._truth.get("diffs", ()))
        return right(
            f"{said}{other}. Without the latents the loss moves by {measured} nats", hits / len(true)
        )
    said += f", {len(true) - 1} pass"
    if len(set(given)) == 1:
        return wrong(f"{said}: a latent helps at some places and harms at others", "one sign for all", then=2)
    if hits <= 1:
        return wrong(
            f"{said}: + where the loss rises without the latent, so where it helped", "the sign is reversed",
            then="A latent that votes `next` up helped: +. One that votes it down, or others up, harmed: -.",
        )  # fmt: skip
    return wrong(said)


# -------------------------------------------------------------------------------------------------- w4.2 ablate


def ask_ablate(student: Student) -> Task:
    rng = student.rng("w4.2")
    best = readable(0.5)
    for i in rng.permutation(
        len(best)
    ).tolist():  # one that does something, and where the typical mistakes are mistakes
        line = best.iloc[i]
        genre, seed = str(line["concept"]).partition(".")[0], int(rng.integers(100, 10_000))
        texts = [t[:100] for t in zoo.texts(12, seed=seed, genres=[genre])]  # at most one token a character
        frame: Any = _without(int(line["latent"]), texts)
        rise, others = (
            frame["loss_diff"].mean(),
            (frame["loss_diff"][frame["edited"]].mean(), frame["kl"].mean()),
        )
        if abs(rise) > 0.004 and all(abs(other - rise) > 0.2 * abs(rise) for other in others):
            break
    said = f"By how much does the mean loss over all tokens of these texts ({genre}) rise without the latent, in nats?"
    return Task("w4.2", said, {"latent": int(line["latent"]), "texts": texts}, {"frame": frame})


def _without(latent: int, texts: list[str]) -> Any:
    model, sae = model_and_sae()
    return pd.concat([effects(model, sae, t, latent, top=0).frame for t in texts])


def grade_ablate(task: Task, answer: Any) -> Grade:
    if (isinstance(answer, float) or is_scalar(answer)) and math.isnan(answer):
        return wrong("this is NaN, not a number", "the last token counted", then=3)
    given = check_number("the answer to w4.2", answer)
    frame = task._truth["frame"]
    diff, texts = frame["loss_diff"], (frame["position"] == 0).cumsum()
    true = float(diff.mean())

    def near(value: float, share: float = 0.01) -> bool:
        return abs(given - value) <= max(share * abs(value), 2e-5)

    on = frame["edited"].astype(bool)
    if near(true, 0.05):
        return right(
            f"{true:+.4f} nats a token; where it fires, on {on.mean():.1%} of the tokens, {diff[on].mean():+.4f}"
        )
    if given == 0:
        return wrong(
            "the mean is not 0; a median is, or a number rounded too far", "no mean",
            then="Take mean() of loss_diff over all tokens, and give the number as it is computed.",
        )  # fmt: skip
    typical = (
        (-true, "loss_diff is ablated minus clean", "the sign is reversed", "A latent that helps has a loss_diff above 0."),
        (diff[on].mean(), "this is the mean where the latent fires", "only where it fires",
         "The question is of all tokens: most have a loss_diff of 0, and count."),
        (frame["kl"].mean(), "this is the KL divergence: how far predictions move, for better or worse", "KL for loss",
         "The column is loss_diff."),
        (diff.sum(), "this is the sum over all tokens", "the sum for the mean", "Take the mean of that column."),
        (diff.sum() / texts.max(), "this is the sum over the tokens of a text", "the sum for the mean", 2),
        (diff.groupby(texts).mean().mean(), "this is the mean of the texts' means", "short texts count as much", 2),
        (diff[texts == 1].mean(), "this is of the first text alone", "one text", 2),
        (frame["loss"].mean(), "this is the loss itself", "the loss for its rise", 1),
        (diff.abs().mean(), "this is the mean size, without the sign", "the sign is lost", 1),
    )  # fmt: skip
    for value, said, mistake, then in typical:
        if near(float(value)):
            return wrong(said, mistake, then=then)
    if given in [round(true, digits) for digits in range(4)]:
        return wrong(f"{given:g} is rounded too far", "rounded", then="Give the number as it is computed.")
    return wrong(f"{given:+.4f} is {'above' if given > true else 'below'} the mean rise")


# ----------------------------------------------------------------------------------------------- w4.3 attribute


def ask_attribute(student: Student) -> Task:
    model, sae = model_and_sae()
    rng = student.rng("w4.3")
    for seed in rng.integers(100, 100_000, 60).tolist():
        (text,) = zoo.texts(1, seed=seed)
        text = text[: int(rng.integers(40, 90))].rstrip()
        if not text.isascii():
            continue
        found = attribute(model, sae, text, check=1000)
        true: Any = found.frame.set_index("latent")
        here: Any = found.entries[found.entries["position"] == found.entries["position"].max()]
        truth = {
            "ablation": true["ablation"].to_dict(),
            "active": int(here.loc[here["activation"].idxmax(), "latent"]),
            "against": int(true["ablation"].idxmin()),
            "estimated": int(true["attribution"].idxmax()),
        }
        first, second = true["ablation"].nlargest(2)
        if true["ablation"].idxmax() != truth["active"] and first > 0.15 and first > 1.15 * second:
            said = "Which latent does most for the model's most probable next token at the end of this text?"
            return Task("w4.3", said, {"text": text}, truth)
    raise SaelabError("no text was found for w4.3; join under another name")


def grade_attribute(task: Task, answer: Any) -> Grade:
    latent = check_latent(whole(answer), model_and_sae()[1].config.d_sae)
    effect = task._truth["ablation"]
    best = max(effect, key=lambda i: effect[i])
    mine = effect.get(latent)
    if mine is None:
        return wrong(
            f"latent {latent} is not active in this text", "not active",
            then="sl.attribute(model, sae, task.text).frame has a line for each that is.",
        )  # fmt: skip

    def moved(i: int) -> str:
        return f"without latent {i} the log-probability {'falls' if effect[i] >= 0 else 'rises'} by {abs(effect[i]):.3f}"

    strongest = task._truth["active"]
    if latent == best:
        return right(f"{moved(latent)}; {moved(strongest)}, though that one fires strongest there", mine)
    said = f"{moved(latent)}; there is one without which it falls by {effect[best]:.3f}"
    if latent == strongest:
        return wrong(
            f"{said}. This one fires strongest there", "the strongest, not the most important", then=3
        )
    if latent == task._truth["against"]:
        return wrong(
            f"{said}. This one speaks most against the token", "the sign is reversed",
            then="ablation is by how much the log-probability falls without the latent: take the largest.",
        )  # fmt: skip
    if latent == task._truth["estimated"]:
        return wrong(f"{said}. This one has the largest estimate", "the estimate for the truth", then=2)
    return wrong(said)


EXERCISES = (
    Exercise("w4.1", "Predict the sign", ask_sign, grade_sign, (
        "The model has one layer: what a latent says at a token goes straight to the prediction of the next one.",
        "index.logit_lens(latent, n=4000) lists all tokens by the latent's vote, up and down. Where is `next`?",
        "sl.effects(model, sae, text + next, latent).frame.loss_diff is the true answer, at the last token of `text`.",
    ), 7, 2),
    Exercise("w4.2", "Ablate", ask_ablate, grade_ablate, (
        "sl.effects(model, sae, text, task.latent).frame has a line per token; loss_diff is ablated minus clean.",
        "Put the frames of all texts together (pd.concat) before you take the mean: long texts then count more.",
        "The last token of a text has no next one, so its loss is NaN; mean() leaves it out.",
    ), 5, 2),
    Exercise("w4.3", "Attribute", ask_attribute, grade_attribute, (
        "sl.attribute(model, sae, task.text) estimates every latent's share in the most probable next token.",
        "It is a straight-line estimate. The column ablation is the truth, for those that were checked; check=1000 checks all.",
        "Sort by ablation, not by activation: the strongest latent need not say anything about the next token.",
    ), 6, 3),
)  # fmt: skip

"""w4, what does a latent do: predict the sign, ablate, attribute."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from saelab import models, zoo
from saelab.course.exercises import Exercise
from saelab.course.material import held_out, model_and_sae, readable
from saelab.course.student import Student
from saelab.course.task import Grade, Task, ill, right, wrong
from saelab.errors import SaelabError, check_latent, check_number
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
    return Task("w4.1", said, {"places": shown}, {"signs": signs})


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
    text = "".join(map(str, listed)) if isinstance(listed, (str, list, tuple)) else ""
    given = re.sub(r"[\s,;]", "", re.sub("[−–—]", "-", text))
    if len(given) != len(true) or not set(given) <= {"+", "-"}:
        ill("w4.1", f'{len(true)} signs, such as "{"+-" * (len(true) // 2)}"', answer)
    missed = [i for i, (a, b) in enumerate(zip(given, true, strict=True)) if a != b]
    hits = len(true) - len(missed)
    said = f"{hits} of {len(true)} are right"
    if hits >= len(true) - 1:
        other = "".join(f"; at place {i} the loss {'rises' if true[i] == '+' else 'falls'}" for i in missed)
        return right(said + other, hits / len(true))
    if len(set(given)) == 1:
        return wrong(f"{said}: a latent helps at some places and harms at others", "one sign for all")
    if hits <= 1:
        return wrong(
            f"{said}: + where the loss rises without the latent, so where it helped", "the sign is reversed"
        )
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
    given = check_number("the answer to w4.2", answer)
    frame = task._truth["frame"]
    true = float(frame["loss_diff"].mean())

    def near(value: float) -> bool:
        return abs(given - value) <= max(0.05 * abs(value), 2e-5)

    if near(true):
        return right(f"{true:+.4f} nats a token")
    if near(-true):
        return wrong("loss_diff is ablated minus clean", "the sign is reversed")
    if near(float(frame["loss_diff"][frame["edited"]].mean())):
        return wrong(
            "this is the mean where the latent fires; the question is of all tokens", "only where it fires"
        )
    if near(float(frame["kl"].mean())):
        return wrong(
            "this is the KL divergence: how far predictions move, for better or worse", "KL for loss"
        )
    if near(float(frame["loss_diff"].sum())):
        return wrong("this is the sum over all tokens", "the sum for the mean")
    return wrong(f"{given:+.4f} is not the mean rise")


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
        }
        first, second = true["ablation"].nlargest(2)
        if true["ablation"].idxmax() != truth["active"] and first > 0.15 and first > 1.15 * second:
            said = "Which latent does most for the model's most probable next token at the end of this text?"
            return Task("w4.3", said, {"text": text}, truth)
    raise SaelabError("no text was found for w4.3; join under another name")


def grade_attribute(task: Task, answer: Any) -> Grade:
    latent = check_latent(answer, model_and_sae()[1].config.d_sae)
    effect = task._truth["ablation"]
    best = max(effect, key=lambda i: effect[i])
    mine = effect.get(latent)
    if mine is None:
        return wrong(f"latent {latent} is not active in this text", "not active")
    said = f"without latent {latent} the log-probability falls by {mine:.3f}"
    if latent == best:
        return right(said, mine)
    if latent == task._truth["active"]:
        return wrong(
            f"{said}; it is the one that fires strongest there", "the strongest, not the most important"
        )
    if latent == task._truth["against"]:
        return wrong(f"{said}; it speaks most against it", "the sign is reversed")
    return wrong(f"{said}; another does more")


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

"""w2, train an SAE, see it die, revive it; and tell three SAEs by their numbers."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from saelab import zoo
from saelab.course.exercises import Exercise
from saelab.course.material import HOOK, model_and_sae
from saelab.course.student import Student
from saelab.course.task import Grade, Task, ill, one_each, right, right_ones, whole, wrong
from saelab.errors import SaelabError, is_bool, is_scalar
from saelab.evaluation import Report, evaluate
from saelab.identity import sae_digest
from saelab.sae import SAE
from saelab.training import train

WIDTH, L0 = 512, 16
TOKENS = "20k"  # on which the checks measure
_SEEN: dict[str, Report] = {}


def measured(sae: SAE) -> Report:
    """An SAE on text that no student trains on; kept for as long as the session lasts."""
    digest = sae_digest(sae)
    if digest not in _SEEN:
        _SEEN[digest] = evaluate(model_and_sae()[0], sae, zoo.texts(seed=78), tokens=TOKENS)
    return _SEEN[digest]


def dead(report: Report) -> int:
    """Latents that fire on no token."""
    return int((report.density == 0).sum())


def an_sae(key: str, answer: Any) -> SAE:
    """The answer, if it is an SAE at the hook point of the workshop."""
    if not isinstance(answer, SAE):
        ill(key, "an SAE, such as sl.train gives", answer)
    if answer.config.hook_in != HOOK or answer.config.hook_out != HOOK:
        raise SaelabError(
            f"{key} takes an SAE that reads and writes {HOOK}; this one reads {answer.config.hook_in}"
        )
    for name, values in answer.state_dict().items():
        if not torch.isfinite(values).all():
            raise SaelabError(
                f"{key} takes an SAE of finite numbers; {name} of this one holds NaN or infinity"
            )
    return answer


# -------------------------------------------------------------------------------- w2.1 explain with few latents


def ask_train(student: Student) -> Task:
    l0, least = [(12, 0.72), (16, 0.74), (20, 0.75), (24, 0.76)][student.rng("w2.1").integers(4)]
    said = "Train an SAE that keeps at least `variance` of the activations' variance with at most `l0` of its at most `most_latents` latents a token."
    return Task("w2.1", said, {"hook": HOOK, "most_latents": WIDTH, "l0": l0, "variance": least})


def grade_train(task: Task, answer: Any) -> Grade:
    sae = an_sae("w2.1", answer)
    report = measured(sae)
    said = f"on new text it keeps {report.explained_variance:.3f} of the variance with {report.l0:.1f} latents a token"
    if sae.config.d_sae > task.most_latents:
        return wrong(
            f"{said}; it has {sae.config.d_sae} latents, at most {task.most_latents} are allowed",
            "bought with more latents",
            then="Keep to d_sae=task.most_latents: more tokens help as well (epochs=2).",
        )
    if report.l0 > task.l0 + 0.5:
        return wrong(
            f"{said}; at most {task.l0} are allowed", "bought with a larger L0",
            then="k is how many latents a TopK SAE uses for a token: k=task.l0. More tokens help as well (epochs=2).",
        )  # fmt: skip
    if report.explained_variance >= task.variance:
        return right(said, float(report.explained_variance))
    said += f"; at least {task.variance} is wanted"
    if report.l0 < task.l0 - 0.5 or sae.config.d_sae < task.most_latents:
        return wrong(
            f"{said}. It has {sae.config.d_sae} latents", "fewer latents than allowed",
            then=f"Use what is allowed: d_sae={task.most_latents}, k={task.l0}.",
        )  # fmt: skip
    if report.explained_variance < 0.3:
        return wrong(
            said, "hardly trained", then="Train it on the store, with the rate that sl.train takes by itself."
        )
    return wrong(said, "trained too briefly", then=2)


# --------------------------------------------------------------------------------------------- w2.2 see it die


def ask_kill(student: Student) -> Task:
    rng = student.rng("w2.2")
    lr, seed = (0.06, 0.063, 0.066)[rng.integers(3)], int(rng.integers(1, 1000))
    said = "Train with this rate and seed and without help for dead latents. How many never fire on new text?"
    settings = {"d_sae": WIDTH, "k": L0, "lr": lr, "seed": seed, "aux_coef": 0.0}
    return Task("w2.2", said, {"settings": settings})


def grade_kill(task: Task, answer: Any) -> Grade:
    if not isinstance(answer, (tuple, list)) or len(answer) != 2 or is_bool(answer[1]):
        ill("w2.2", "(sae, number of dead latents)", answer)
    sae, number = an_sae("w2.2", answer[0]), whole(answer[1])
    if not isinstance(number, int) and not (is_scalar(number) and hasattr(number, "__index__")):
        ill("w2.2", "(sae, number of dead latents), the number a whole one", number)
    n, report = int(number), measured(sae)
    true, width = dead(report), sae.config.d_sae
    recipe = (sae.record or {}).get("recipe", {}) | {"d_sae": width}
    other = [x for x in ("d_sae", "lr", "seed") if recipe.get(x) != task.settings[x]]
    if other:
        told = ", ".join(f"{x} = {recipe.get(x)} (task.settings: {task.settings[x]})" for x in other)
        return wrong(
            f"this SAE was trained with {told}",
            "another SAE",
            then="sl.train(store, **task.settings) trains it.",
        )
    if true < 0.1 * width:
        return wrong(
            f"only {true} of {width} latents are dead; this SAE is well", "nothing died",
            then="All of task.settings, aux_coef=0.0 among them: sl.train(store, **task.settings).",
        )  # fmt: skip
    said = f"you count {n} of {width}"
    if abs(n - true) <= 0.05 * width:
        return right(f"{said}; on {report.tokens:,} tokens of other new text {true} are silent")
    if abs(width - n - true) <= 0.05 * width:
        return wrong(f"{said}; that is how many live", "counted the living", then=3)
    if n < true and "dead" in sae.history and abs(n - int(sae.history["dead"].iloc[-1])) <= 2:
        return wrong(
            f"{said}, as the bar does in training: latents that have been silent for long, at its last step",
            "counted in training", then=2,
        )  # fmt: skip
    rare = int((report.density < 1e-2).sum())
    if true < n <= rare + 8:
        return wrong(f"{said}; some of these fire, only seldom", "rare is not dead", then=3)
    return wrong(f"{said}, which is too {'few' if n < true else 'many'}", then=2)


# --------------------------------------------------------------------------------------------- w2.3 revive it


def ask_revive(student: Student) -> Task:
    least = round(0.69 + 0.02 * float(student.rng("w2.3").random()), 3)
    said = "Bring your SAE back: same width and k, at most `dead` dead latents, at least `variance` kept."
    shown = {"d_sae": WIDTH, "k": L0, "dead": 100, "variance": least}
    return Task("w2.3", said, shown, {"sick": ask_kill(student).settings})


def grade_revive(task: Task, answer: Any) -> Grade:
    sae = an_sae("w2.3", answer)
    report = measured(sae)
    gone = dead(report)
    said = f"{gone} of {sae.config.d_sae} latents are dead, {report.explained_variance:.3f} of the variance is kept"
    if sae.config.d_sae != task.d_sae:
        return wrong(
            f"{said}; it is to have {task.d_sae} latents", "another width",
            then="Change the weights of the dead latents of a copy of `sick`; add none.",
        )  # fmt: skip
    if report.l0 > task.k + 0.5:
        return wrong(
            f"{said}, but with {report.l0:.1f} latents a token, where {task.k} are allowed", "bought with a larger L0",
            then="Leave k as it is, and change the weights of the dead latents.",
        )  # fmt: skip
    made, sick = (sae.record or {}), task._truth["sick"]
    while "init" in made:  # back to the training that it all began with
        made = made["init"]
    recipe = made.get("recipe", {})
    if any(recipe.get(x) != sick[x] for x in ("lr", "seed", "aux_coef")):
        return wrong(
            f"{said}, but by its record this SAE did not begin as `sick`, trained with the settings of w2.2", "trained anew",
            then="Begin with copy.deepcopy(sick) and change its dead latents; sl.train(store, init=…) goes on from there.",
        )  # fmt: skip
    if gone > task.dead:
        return wrong(f"{said}; at most {task.dead} may be dead", "still dead", then=1)
    if report.explained_variance < task.variance:
        return wrong(
            f"{said}; wanted {task.variance}: they fire and do not help. Are their directions much alike, or of a few odd tokens?",
            "alive, and of no use", then=2,
        )  # fmt: skip
    return right(said)


# --------------------------------------------------------------------------------------- w2.4 which one is it?

KINDS = ("trained", "shrinks", "uses more")


def ask_which(student: Student) -> Task:
    rng = student.rng("w2.4")
    plain = train(
        model_and_sae()[0], zoo.texts(seed=1), hook=HOOK, d_sae=256, k=L0, tokens=80_000, batch=1024, lr=4e-3,
        seed=int(rng.integers(1, 1000)),
    )  # fmt: skip
    shrunk, more = copy.deepcopy(plain), copy.deepcopy(plain)
    with torch.no_grad():
        shrunk.W_dec.mul_(0.7)
    more.config = replace(more.config, k=4 * L0)
    kinds = dict(zip(KINDS, (plain, shrunk, more), strict=True))
    order = [KINDS[i] for i in rng.permutation(3)]
    shown = {name: kinds[kind] for name, kind in zip("abc", order, strict=True)}
    said = f"Three SAEs a, b, c of one training: which is {', which '.join(KINDS)} (decoder too short; four times as many latents a token)?"
    return Task("w2.4", said, shown, {"kinds": dict(zip("abc", order, strict=True))})


def grade_which(task: Task, answer: Any) -> Grade:
    given = one_each("w2.4", answer, "abc", KINDS)
    true = task._truth["kinds"]
    if given == true:
        return right("all three are right")
    said = right_ones(given, true)
    swapped = {v: k for k, v in true.items()}
    if given[swapped["uses more"]] == "trained":
        return wrong(
            f"{said}; the one you call trained takes more latents a token than another",
            "judged by explained variance alone", then="Compare l0 first: one has four times that of the others.",
        )  # fmt: skip
    if given[swapped["uses more"]] == "uses more":
        return wrong(f"{said}; {swapped['uses more']} does use more", "the short one for the trained", then=3)
    return wrong(said, then=2)


EXERCISES = (
    Exercise("w2.1", "Much with little", ask_train, grade_train, (
        "sl.train(store, d_sae=…, k=…): k is how many latents a TopK SAE uses for a token, d_sae how many it has. The task "
        "says how many are allowed of each.",
        "More tokens help more than anything else: let it go over the store twice (epochs=2).",
        "sl.train(store, d_sae=task.most_latents, k=task.l0, epochs=2) passes.",
    ), 7, 1),
    Exercise("w2.2", "See it die", ask_kill, grade_kill, (
        "sl.train(store, **task.settings) trains it. Watch 'dead' in the bar, or sae.history.dead.",
        "Measure on text that it was not trained on: sl.evaluate(model, sae, sl.zoo.texts(seed=2), tokens=\"20k\").density",
        "A latent is dead if its density is 0: int((report.density == 0).sum()).",
    ), 6, 2),
    Exercise("w2.3", "Revive it", ask_revive, grade_revive, (
        "Dead latents get no gradient: nothing moves them. They have to be put somewhere where they fire.",
        "What the SAE leaves over (x - sae(x)) is what a new latent could explain: give each dead latent such a direction, "
        "as its row of W_dec and its column of W_enc, with b_enc 0. Draw the tokens at random, by the square of what is left over.",
        "Then go on training from there with a lower rate: sl.train(store, init=sae, lr=4e-3).",
    ), 8, 3),
    Exercise("w2.4", "Which is which?", ask_which, grade_which, (
        "sl.evaluate(model, task.a, sl.zoo.texts(seed=2), tokens=\"20k\") gives the numbers of one.",
        "Look at l0 first, then at norm_ratio: below 1 a reconstruction is too short.",
        "Of two with the same l0, the one with the lower norm_ratio has the short decoder.",
    ), 4, 2),
)  # fmt: skip

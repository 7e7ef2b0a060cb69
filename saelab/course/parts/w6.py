"""w6, are they the same: two seeds against a null, three hidden SAEs, partners; and the blind case."""

from __future__ import annotations

import copy
import functools
import operator
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.overrides import TorchFunctionMode

from saelab import n2g, zoo
from saelab.course.exercises import Exercise
from saelab.course.material import HOOK, f1, fires, model_and_sae
from saelab.course.student import Student
from saelab.course.task import Grade, Task, ill, mapping, one_each, right, right_ones, whole, wrong
from saelab.errors import SaelabError, called, check_latent, check_number, is_bool
from saelab.index import LatentIndex
from saelab.matching import match
from saelab.sae import SAE
from saelab.training import train

WIDTH, L0, TOKENS = 384, 16, 120_000
TRIES, ENOUGH = 3, 0.4  # of the blind case: what counts, and the F1 that passes


@functools.lru_cache(maxsize=8)
def seeded(seed: int) -> SAE:
    """A small SAE; two of one student differ in nothing but the seed."""
    model = model_and_sae()[0]
    return train(
        model, zoo.texts(seed=1), hook=HOOK, d_sae=WIDTH, k=L0, tokens=TOKENS, batch=1024, lr=4e-3, seed=seed
    )


def _pair(student: Student) -> tuple[SAE, SAE]:
    a, b = student.rng("w6").choice(900, 2, replace=False).tolist()
    return seeded(int(a) + 1), seeded(int(b) + 1)


# ------------------------------------------------------------------------------------------ w6.1 how many agree?


def ask_share(student: Student) -> Task:
    a, b = _pair(student)
    said = "Two SAEs, two seeds. Which share of a's latents has a partner in b beyond chance (decoder, false-discovery rate 0.05)?"
    return Task("w6.1", said, {"a": a, "b": b})


def grade_share(task: Task, answer: Any) -> Grade:
    given = check_number("the share", answer, 0, 1)
    found = match(task.a, task.b)
    frame: Any = found.frame
    true = float(frame["matched"].mean())
    if abs(given - true) <= 0.02:
        return right(
            f"{true:.1%}; mean best cosine is {found.mmcs.value:.2f}, and {found.null_mmcs.value:.2f} by chance"
        )
    if abs(given - found.mmcs.value) <= 0.005:
        return wrong(
            "this is the mean best cosine, which says little without chance", "a mean for a share", then=2
        )
    if abs(given - float(frame["mutual"].mean())) <= 0.005:
        return wrong(
            "this is the share of mutual best partners; some are that by chance",
            "mutual, not beyond chance",
            then=2,
        )
    if abs(given - float((frame["mutual"] & frame["matched"]).mean())) <= 0.005:
        return wrong(
            "this is the share that is matched and mutual: a partner beyond chance may have a better one itself",
            "mutual as well", then=3,
        )  # fmt: skip
    for cut in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        if abs(given - float((frame["score"] > cut).mean())) <= 0.005 < given:
            said = f"this is the share with a cosine above {cut:g}; why there?"
            return wrong(said, "a cut without a null", then=2)
    if abs(1 - given - true) <= 0.005:
        return wrong("this is the share without a partner", "those that have none", then=2)
    if given > 0.995:
        return wrong("every latent has a best partner; is it better than chance?", "no null", then=2)
    return wrong(f"{given:.1%} is {'above' if given > true else 'below'} the share")


# -------------------------------------------------------------------------------------------- w6.2 which is which?

KINDS = ("the same", "another seed", "chance")


def ask_hidden(student: Student) -> Task:
    a, b = _pair(student)
    rng = student.rng("w6.2")
    a, b, same, chance = (copy.deepcopy(sae) for sae in (a, b, a, b))
    for sae in (a, b, same, chance):
        sae.record = {}  # its seed tells which is which
    order = torch.from_numpy(rng.permutation(WIDTH))
    turn = torch.from_numpy(np.linalg.qr(rng.normal(size=(a.config.d_in, a.config.d_in)))[0]).float()
    with torch.no_grad():
        for sae in (same, chance):
            sae.W_dec.copy_(sae.W_dec[order])
            sae.W_enc.copy_(sae.W_enc[:, order])
            sae.b_enc.copy_(sae.b_enc[order])
        noise = torch.from_numpy(rng.normal(size=tuple(same.W_dec.shape))).float()
        length = same.W_dec.norm(dim=1, keepdim=True)
        same.W_dec.add_(0.3 * noise / noise.norm(dim=1, keepdim=True))
        same.W_dec.mul_(length / same.W_dec.norm(dim=1, keepdim=True))
        chance.W_dec.copy_(chance.W_dec @ turn)
    kinds = dict(zip(KINDS, (same, b, chance), strict=True))
    names = dict(zip("xyz", (KINDS[i] for i in rng.permutation(3)), strict=True))
    shown = {"a": a, **{name: kinds[kind] for name, kind in names.items()}}
    said = (
        "x, y and z beside a: one is a with its latents in another order and a little noise (the same), one has another seed, "
        "of one the decoder was turned at random (chance)."
    )
    return Task("w6.2", said, shown, {"kinds": names})


def grade_hidden(task: Task, answer: Any) -> Grade:
    given, true = one_each("w6.2", answer, "xyz", KINDS), task._truth["kinds"]
    if given == true:
        return right("all three are right")
    said = right_ones(given, true)
    if any(given[k] == "chance" and true[k] == "the same" for k in "xyz"):
        return wrong(
            f"{said}; latents have no order: the first of a may be the last of another",
            "compared by number",
            then=1,
        )
    for k in "xyz":
        if given[k] == "chance" and true[k] == "another seed":
            return wrong(
                f"{said}; {k} has many partners beyond chance", "another seed taken for chance", then=2
            )
    copied = {"the same", "another seed"}
    swapped = any({given[k], true[k]} == copied for k in "xyz")
    return wrong(said, "a copy taken for another seed" * swapped, then=3)


# ------------------------------------------------------------------------------------------------ w6.3 partners


def ask_partners(student: Student) -> Task:
    a, b = _pair(student)
    frame: Any = match(a, b).frame
    rng = student.rng("w6.3")
    sure = frame[frame["matched"] & frame["mutual"] & (frame["score"] > 1.2 * frame["second"])]
    none = frame[frame["q"] > 0.3]
    if len(sure) < 2 or len(none) < 2:
        raise SaelabError("these two SAEs leave too little to ask; join under another name")
    latents = [*rng.choice(sure.index, 2, replace=False), *rng.choice(none.index, 2, replace=False)]
    latents = [int(latents[i]) for i in rng.permutation(4)]
    true = {i: int(frame.loc[i, "partner"]) if i in sure.index else None for i in latents}
    best = {i: int(frame.loc[i, "partner"]) for i in latents}
    said = "The partner in b of each of these latents of a, or None where the best is no better than chance."
    return Task("w6.3", said, {"a": a, "b": b, "latents": latents}, {"partners": true, "best": best})


def grade_partners(task: Task, answer: Any) -> Grade:
    true, best = task._truth["partners"], task._truth["best"]
    answer = mapping(answer)  # a column of match's table
    answer = {whole(k): v for k, v in answer.items()} if isinstance(answer, dict) else answer
    if not isinstance(answer, dict) or {str(k) for k in answer} != {str(k) for k in true}:
        ill("w6.3", "a dict {latent of a: latent of b or None} with all of task.latents and no other", answer)
    given = {
        int(k): None if v is None or v is pd.NA or v != v else check_latent(whole(v), WIDTH)
        for k, v in answer.items()
    }
    if given == true:
        return right("all four are right")
    said = f"{sum(given[i] == true[i] for i in true)} of 4 are right"
    if given == best:
        return wrong(
            f"{said}; each latent has a best partner, two of these no better than chance", "no null", then=2
        )
    if given == {i: i for i in true}:
        return wrong(f"{said}; latents of two SAEs are in no common order", "compared by number", then=1)
    if all(v is None for v in given.values()):
        return wrong(f"{said}; some partners are beyond chance", "a cut without a null", then=2)
    return wrong(said)


# -------------------------------------------------------------------------------------------- w6.4 the blind case


@functools.cache
def _unseen(number: int) -> LatentIndex:
    """Documents for one try of the blind case; nobody sees them."""
    model, _ = model_and_sae()
    return LatentIndex.build(
        model, _BLIND[0], zoo.labelled_rows(model, 300, seed=500 + number)[0], progress=False
    )


_BLIND: list[SAE] = []


def ask_blind(student: Student) -> Task:
    model, rng = model_and_sae()[0], student.rng("w6.4")
    sae = seeded(int(rng.integers(1000, 2000)))
    _BLIND[:] = [sae]
    _unseen.cache_clear()
    path = student.folder.resolve() / "blind-index"
    rows = zoo.labelled_rows(model, 600, seed=50)[0]
    index = LatentIndex.build(model, sae, rows, path=_free(path))
    able = []
    for latent in np.flatnonzero((index.counts >= 60) & (index.counts < 0.02 * index.n_counted)).tolist():
        on = fires(index, latent)
        ids = index.rows.ids
        hit, seen = (np.bincount(ids[x], minlength=int(ids.max()) + 1) for x in (on, index.counted))
        listed = np.isin(ids, np.flatnonzero(hit > 0.5 * np.maximum(seen, 1))) & index.counted
        if 0.45 <= f1(listed, on) <= 0.9:  # a list of tokens says much of it, and not all
            able.append(latent)
    latent = int(rng.choice(able))
    said = (
        f"Say where this latent fires: a regular expression whose matches are the text of its tokens, a graph, or a function "
        f"text -> [(start, stop)]. F1 on documents that you have not seen decides; {TRIES} tries count."
    )
    return Task(
        "w6.4",
        said,
        {"index": index, "latent": latent},
        {"sae": sae},
    )


def _free(path: Path) -> Path:
    """A folder of this name that is not there yet."""
    number = 1
    while (place := path if number == 1 else path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return place


def rule_fires(answer: Any, index: LatentIndex) -> np.ndarray:
    """(n_tokens,) bool where a rule says that the latent fires: any character of a token in one of its matches."""
    if isinstance(answer, n2g.PatternGraph):
        return answer.predict(index.rows) > 0
    if isinstance(answer, (str, re.Pattern)):
        try:
            pattern = re.compile(answer)
        except re.error as error:
            raise SaelabError(f"{answer!r} is no regular expression: {error}") from error
        spans: Any = lambda text: [m.span() for m in pattern.finditer(text)]  # noqa: E731
    else:
        spans = answer
    said = np.zeros(index.n_tokens, dtype=bool)
    table, offsets = index.vocab.search_table, index.rows.offsets
    for begin, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        pieces = [table[i] for i in index.rows.ids[begin:stop].tolist()]
        text = b"".join(pieces).decode("utf-8", "surrogateescape")
        ends = np.cumsum([len(p) for p in pieces])  # in bytes: a character may lie in several tokens
        begins = np.concatenate([[0], ends[:-1]])
        try:
            with _TextAlone():
                found = _checked(spans(text))
        except Exception as error:
            if begin == 0:
                raise
            raise Broken(f"{type(error).__name__}: {error}") from error  # it has read what it is graded on
        for a, b in found:
            first, last = (len(text[:x].encode("utf-8", "surrogateescape")) for x in (a, b))
            said[begin:stop] |= (begins < last) & (ends > first)
    return said


class Broken(Exception):
    """A rule failed on a document after the first."""


class _TextAlone(TorchFunctionMode):
    """No model and no SAE is asked, least of all the one that is to be foretold."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise SaelabError(
            "a rule of w6.4 reads the text alone; this one computes with torch, as a model or SAE does"
        )


def _checked(spans: Any) -> list[tuple[int, int]]:
    """The spans that hold a character."""
    try:
        listed = [(operator.index(a), operator.index(b)) for a, b in spans]
    except (TypeError, ValueError):
        raise SaelabError(f"a rule gives (start, stop) of characters; got {called(spans)}") from None
    if odd := [x for x in listed if not 0 <= x[0] <= x[1]]:
        raise SaelabError(f"a rule gives (start, stop) of characters with 0 <= start <= stop; got {odd[0]}")
    return [x for x in listed if x[0] < x[1]]


def grade_blind(task: Task, answer: Any) -> Grade:
    rule = isinstance(answer, (str, re.Pattern, n2g.PatternGraph)) or callable(answer)
    if not rule or is_bool(answer) or (isinstance(answer, str) and not answer):
        ill("w6.4", "a regular expression, a graph, or a function text -> [(start, stop)]", answer)
    if isinstance(answer, n2g.PatternGraph) and answer.latent != task.latent:
        raise SaelabError(f"w6.4 takes a graph of latent {task.latent}; this one is of {answer.latent}")
    used = task.tried
    _BLIND[:] = [task._truth["sae"]]
    index = _unseen(min(used, TRIES - 1))
    on = fires(index, task.latent)
    counts = 0.0 if used < TRIES else None
    try:
        said_on = rule_fires(answer, index) & index.counted
    except Broken as error:
        return wrong(
            f"the function failed on an unseen document: {error}; try {used + 1}", "the rule fails", counts,
            then="Run it on the texts of your own index first: sl.models.decode(model, task.index.rows.ids[a:b].tolist()).",
        )  # fmt: skip
    score = f1(said_on, on)
    hit = (said_on & on).sum()
    precision, recall = hit / max(said_on.sum(), 1), hit / max(on.sum(), 1)
    said = f"F1 = {score:.2f} on unseen text (precision {precision:.2f}, recall {recall:.2f}); try {used + 1}"
    counts = score if used < TRIES else None
    if used >= TRIES:
        said += f", which no longer counts: {TRIES} did"
    if score >= ENOUGH:
        return right(said, counts)
    said += f"; {ENOUGH:g} passes"
    if not said_on.any():
        return wrong(f"{said}; the rule matches nothing there", "it matches nothing", counts, then=2)
    for name, shift in (("before", 1), ("after", -1)):
        if f1(np.roll(said_on, shift), on) > max(2 * score, 0.3):
            return wrong(
                f"{said}; the rule names the token {name} those it fires on", f"the token {name}", counts,
                then="The match is the token that is lit. What stands around it goes into (?<=…) before, (?=…) behind.",
            )  # fmt: skip
    if recall >= 0.5 or said_on.sum() > 3 * on.sum():
        return wrong(
            f"{said}; it lets too much in", "too wide", counts,
            then="Name fewer tokens, or say what must stand before them: (?<=…) in a regular expression.",
        )  # fmt: skip
    if precision >= 0.7:
        return wrong(
            f"{said}; there is more that it fires on", "read from the strongest example alone", counts,
            then="Look at the random examples in the dashboard: which other tokens are lit? a|b names either.",
        )  # fmt: skip
    return wrong(said, score=counts)


EXERCISES = (
    Exercise("w6.1", "How many agree?", ask_share, grade_share, (
        "found = sl.match(task.a, task.b) compares every latent of a with all of b, and with what chance gives.",
        "found.frame has a line per latent of a; matched says whether its best partner is beyond chance.",
        "found.frame.matched.mean() is the share.",
    ), 5, 1),
    Exercise("w6.2", "Which is which?", ask_hidden, grade_hidden, (
        "Match a with each of the three: sl.match(task.a, task.x), and so on.",
        "Look at the share that is matched and at the mean best score (found.mmcs) beside that of chance (found.null_mmcs).",
        "The same: nearly all, with a high cosine. Another seed: many, lower. Chance: hardly any beyond the null.",
    ), 6, 2),
    Exercise("w6.3", "Partners", ask_partners, grade_partners, (
        "sl.match(task.a, task.b).frame.loc[task.latents] has partner and matched.",
        "A best partner is always there. matched is False where chance would give as good a one.",
        "{i: int(frame.partner[i]) if frame.matched[i] else None for i in task.latents}",
    ), 4, 2),
    Exercise("w6.4", "The blind case", ask_blind, grade_blind, (
        "task.index.dashboard(task.latent) shows where it fires. On which tokens, and after what?",
        "Write a regular expression and try it first on your own index: task.index.search(regex=...) says which latents it is for.",
        "Or let N2G begin: sl.n2g.fit(task.index, [task.latent])[task.latent] is a graph; edit it, then hand it in.",
    ), 10, 4),
)  # fmt: skip

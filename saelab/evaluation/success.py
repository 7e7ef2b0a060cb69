"""Whether steering does what the label says.

Each concept's latent against no steering, a prompt, the difference of means, random directions, random latents and the
other concepts' latents, all chosen in the same way, and judged by rules that have nothing to do with the SAE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from saelab import models
from saelab.display import Bar, table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_number
from saelab.evaluation.batched import beginning, different, draws
from saelab.evaluation.calibration import GUARD
from saelab.evaluation.trials import FIRST_TEN as FIRST_TEN
from saelab.evaluation.trials import Judge, Trials, Written, strict
from saelab.frames import TextFrame
from saelab.identity import check_pair, noted
from saelab.intervals import of_means
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Edit
from saelab.interventions.sites import hook_points
from saelab.interventions.targets import Target, check_targets, label
from saelab.models import HookedModel
from saelab.sae import SAE

_CONTROLS = ("random", "random_latent")


@dataclass(frozen=True, eq=False)
class Success:
    """What :func:`steering_success` found.

    Attributes
    ----------
    frame
        One row per concept, the best first: ``concept``, ``latent`` (or a direction's name), ``strength`` (in maxima),
        ``pushed`` (tokens that are pushed, or all), the shares of texts judged to be of the concept ``steered`` and
        ``unsteered``, with 95 % intervals ``_lo`` and ``_hi`` (over prompts where there are 20, else over texts that these
        prompts begin; NaN below 20 texts), ``ratio`` (perplexity of the steered
        text for the unsteered model, in units of that of unsteered text) and ``inside`` (at most the guard). Baselines: with
        examples, ``prompt`` (the model as it is goes on from an example's first ten tokens) and ``difference`` (pushed along
        the difference of means; ``difference_ratio``); ``random`` (mean over random directions of the same length) and
        ``random_max``, ``random_latent`` (decoder rows of latents drawn at random) and ``random_latent_max``; ``others``
        (the largest share that another concept's latent gives). ``winner``: what has the largest share inside the guard, the
        simpler of equals. ``tuning`` (the share by which the setting was chosen, on other texts), ``perplexity``,
        ``unsteered_perplexity``, and ``example``, the first text.
    confusion
        Rows: whose latent was turned up (``(none)`` for no steering). Columns: what the texts were judged to
        be; ``(none)`` for none of them. Shares.
    texts
        concept -> its steered texts.
    n
        Texts per row, none of them among those that chose the settings.
    controls
        (concepts, controls) share of each random direction: a fresh one for every concept, tuned as its latent was.
    guard
        The largest ratio that counts as undamaged.
    """

    frame: pd.DataFrame
    confusion: pd.DataFrame
    texts: dict[str, list[str]]
    n: int
    controls: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    guard: float = GUARD

    @door
    def turned_on(
        self, steered: float = 0.8, unsteered: float = 0.15, damage: float | None = None
    ) -> list[str]:
        """Concepts at least ``steered`` of whose texts are of it, at most ``unsteered`` without, and whose texts are
        not broken: their perplexity is at most ``damage`` (None: the guard) times that of unsteered text.

        Examples
        --------
        >>> found = sl.steering_success(model, sae, {"fox": latent}, lambda text: "fox" if "fox" in text else None,
        ...     relative=index, strengths=[2], n=2, tune=1, controls=1, max_new_tokens=5, progress=False)
        >>> found.turned_on(steered=0, unsteered=1, damage=1000)
        ['fox']
        """
        f = self.frame
        whole = f["perplexity"] <= (self.guard if damage is None else damage) * f["unsteered_perplexity"]
        return list(f.loc[(f["steered"] >= steered) & (f["unsteered"] <= unsteered) & whole, "concept"])

    def plot(self) -> Any:
        """A plotly figure: of each concept, the shares of texts with and without its latent.

        Examples
        --------
        >>> found = sl.steering_success(model, sae, {"fox": latent}, lambda text: "fox" if "fox" in text else None,
        ...     relative=index, strengths=[2], n=2, tune=1, controls=1, max_new_tokens=5, progress=False)
        >>> len(found.plot().data)
        4
        """
        import plotly.express as px

        names = ["steered", "unsteered", "prompt", "difference", "random", "others"]
        return px.bar(self.frame, "concept", [n for n in names if n in self.frame], barmode="group")

    def _caption(self) -> str:
        unsteered = self.frame["unsteered_perplexity"].iloc[0]
        drawn = np.ravel(self.controls)
        (low,), (high,) = of_means(drawn[:, None])
        within = "" if np.isnan(low) else f" [95 %, over directions: {max(low, 0):.1%}, {high:.1%}]"
        random = f"; {len(drawn)} random directions {drawn.mean():.1%}{within}" if len(drawn) else ""
        return (
            f"{len(self.turned_on())} of {len(self.frame)} concepts turned on (at least 80 % of {self.n} texts "
            f"with the latent, at most 15 % without, perplexity at most {self.guard:g} times the unsteered {unsteered:.3g})"
            f"{random}{self._won()}. Settings were chosen on other texts"
        )

    def _won(self) -> str:
        if "winner" not in self.frame:
            return ""
        counts = self.frame["winner"].value_counts()
        return "; wins: " + ", ".join(f"{name} {n}" for name, n in counts.items())

    def __repr__(self) -> str:
        return f"{self._caption()}\n{self.frame.drop(columns='example').to_string(index=False)}"

    def _repr_html_(self) -> str:
        shown = self.frame.assign(example=[t if len(t) < 60 else t[:59] + "…" for t in self.frame["example"]])
        hidden = ("tuning", "unsteered_perplexity", "perplexity", "random_latent_max", "random_max")
        dropped = [
            c for c in shown if c in hidden or (c.endswith(("_lo", "_hi")) and not c.startswith("steered"))
        ]
        shown = shown.drop(columns=dropped, errors="ignore")
        names = ("steered", "unsteered", "random", "others", "prompt", "difference")
        shares = dict.fromkeys(
            [c for c in shown if c.startswith(names) and not c.endswith("_ratio")], "{:.0%}".format
        )
        return table_html(self._caption(), shown, formatters=shares, float_format="{:.3g}".format)


@door
def steering_success(
    model: HookedModel,
    sae: SAE,
    candidates: Mapping[str, Any],
    judge: Judge,
    *,
    relative: Any,
    examples: Mapping[str, Any] | None = None,
    prompts: models.Texts | None = None,
    tuning_prompts: models.Texts | None = None,
    strengths: Iterable[float] = (1, 2, 4, 8),
    schedules: Iterable[Sequence[float] | None] = (FIRST_TEN, None),
    n: int = 50,
    tune: int = 30,
    enough: float = 0.95,
    guard: float = GUARD,
    controls: int = 3,
    seed: int = 0,
    max_new_tokens: int = 48,
    temperature: float = 1.0,
    top_k: int | None = None,
    special: bool = True,
    progress: bool = True,
) -> Success:
    """Turn up a latent for each concept and count how often the model then writes that concept.

    The latent among ``candidates``, the strength and the schedule are chosen on ``tune`` texts of another seed (and other
    prompts): the largest share among those inside the guard. The table is about ``n`` fresh texts. Baselines are chosen in
    the same way.

    Parameters
    ----------
    candidates
        concept -> latents or directions that stand for it, the best first, such as the best of
        ``index.concepts(labels)``.
    judge
        ``text -> concept or None``, such as ``sl.zoo.classify``.
    relative
        The latents' maxima: a ``LatentIndex`` or ``{latent: maximum}``; strengths are in units of them.
    examples
        concept -> texts of it, for the baselines ``prompt`` and ``difference``; at least one concept more than is asked
        for, or two concepts, so that there is a difference.
    prompts, tuning_prompts
        What the texts that are judged, and those that choose, begin with; each different one gives about as many. None
        begins with BOS alone, so that the model could write anything; ``tuning_prompts`` None are those of ``prompts``.
        At temperature 0 a prompt gives one text, and the two have none in common.
    strengths, schedules
        All strengths of all candidates are tried with the first schedule, then with the next, until one gives the concept
        in a share of ``enough`` of the tuning texts inside the guard. A schedule is as in :class:`Edit`: the default
        pushes at the first ten tokens and lets the model go on by itself, which breaks the text less, and then tries None,
        which pushes at every token.
    guard
        Most that the text's perplexity may be, in units of that of unsteered text.
    controls
        Random directions of the same length as the latent's, and as many latents drawn at random and pushed as far,
        fresh ones for each concept. Each is tuned on the settings that were tried for the concept's latent.
    special
        Push at BOS too, without which the first token is written before the latent can matter.

    Raises
    ------
    SaelabError
        Before anything runs: no candidates, latents out of range or without a maximum, a model that has no BOS.

    Examples
    --------
    >>> found = sl.steering_success(model, sae, {"fox": latent}, lambda text: "fox" if "fox" in text else None,
    ...     relative=index, strengths=[2], n=2, tune=1, controls=1, max_new_tokens=5, progress=False)
    >>> found.frame[["concept", "strength"]].values.tolist()
    [['fox', 2.0]]
    """
    mismatch = check_pair(model, sae, relative)
    n, tune = check_count("n", n, high=1 << 16), check_count("tune", tune, high=1 << 16)
    controls, guard = check_count("controls", controls, 0, high=1 << 16), check_number("guard", guard, 1.0)
    strengths, schedules = list(strengths), [Edit(schedule=s).schedule for s in schedules]  # type: ignore[arg-type]
    if not candidates or not strengths or not schedules:
        raise SaelabError("there is nothing to try: give candidates, strengths and schedules")
    known, judge = {c: _targets(c, found, sae) for c, found in candidates.items()}, strict(judge)
    along, examples = _differences(model, sae, known, examples)
    how = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k, "special": special}
    judged = _begun(model, sae, prompts, max_new_tokens)
    tuning = judged if tuning_prompts is None else _begun(model, sae, tuning_prompts, max_new_tokens)
    if draws(2, temperature, top_k) == 1:
        n, tune = _one_text_each(judged[:n], tuning[:tune])
    every = [i for targets in known.values() for i in targets]
    free = np.setdiff1d(np.arange(sae.config.d_sae), [i for i in every if isinstance(i, int)])
    trials = Trials(
        model,
        sae,
        judge,
        relative,
        {seed: (judged, n), seed + 1: (tuning, tune)},
        seed,
        guard,
        enough,
        how,
        free,
    )
    for target in every:
        trials.push((schedules[0], target, strengths[0]))
    plain = {at: trials.write([None], at)[0] for at in (seed, seed + 1)}
    trials.plain.update({at: made.nats for at, made in plain.items()})
    rows, texts, verdicts, drawn = [], {}, {"(none)": [judge(t) for t in plain[seed].texts]}, []
    for concept, targets in Bar(known.items(), "steering", disable=not progress):
        settings = [list(product([at], targets, strengths)) for at in schedules]
        best, setting, tried = trials.tuned(settings, concept)
        made = trials.write([trials.push(setting)], seed)[0]
        found = {kind: trials.control(tried, concept, kind, controls) for kind in _CONTROLS}
        drawn.append(found["random"])
        texts[concept], verdicts[concept] = made.texts, [judge(t) for t in made.texts]
        baselines = trials.prompted(concept, examples) if examples else {}
        if concept in along:
            _, other, _ = trials.tuned(
                [list(product([at], [along[concept]], strengths)) for at in schedules], concept
            )
            baselines["difference"] = trials.write([trials.push(other)], seed)[0]
        row = {
            "concept": concept, "latent": label(setting[1]), "strength": float(setting[2]), "pushed": _pushed(setting[0]),
            **_share_columns("steered", trials, made, concept),
            **_share_columns("unsteered", trials, plain[seed], concept),
            "ratio": trials.ratio(made, seed), "inside": trials.ratio(made, seed) <= guard,
        }  # fmt: skip
        for kind, other in baselines.items():
            row |= _share_columns(kind, trials, other, concept)
            row[f"{kind}_ratio"] = trials.ratio(other, seed)
        row |= {kind: float(np.mean(shares)) if shares else np.nan for kind, shares in found.items()}
        row |= {f"{kind}_max": max(shares, default=np.nan) for kind, shares in found.items()}
        rows.append(row | {
            "winner": _winner(row, guard), "tuning": best, "perplexity": float(np.exp(made.nats)),
            "unsteered_perplexity": float(np.exp(plain[seed].nats)), "example": made.texts[0],
        })  # fmt: skip
    confusion, frame = _confusion(verdicts, list(known)), TextFrame(rows)
    others = [confusion.drop(index=["(none)", c])[c].max() for c in frame["concept"]]
    frame.insert(list(frame).index("winner"), "others", others)
    frame = frame.sort_values("steered", ascending=False, kind="stable").reset_index(drop=True)
    frame.attrs |= {
        "chosen_on": f"{tune} texts of another seed{_apart(judged, tuning)}",
        "scored_on": f"{n} other texts",
    }
    return Success(noted(frame, mismatch), confusion, texts, n, np.array(drawn), guard)


def _begun(model: HookedModel, sae: SAE, prompts: Any, new: int) -> list[list[int]]:
    texts = [None] if prompts is None else list(models.each_text(prompts, "prompts", model))
    if not texts:
        raise SaelabError("prompts is empty: give at least one, or None to begin with BOS alone")
    return different([beginning(model, text, sae, new) for text in texts])


def _apart(judged: list[list[int]], tuning: list[list[int]]) -> str:
    """How the prompts that choose stand to those that are judged, whatever their order."""
    new = sum(ids not in judged for ids in tuning)
    if new == len(tuning):
        return " and other prompts"
    return f" and {len(tuning)} prompts, {new} of them other ones" if new else ""


def _one_text_each(judged: list[list[int]], tuning: list[list[int]]) -> tuple[int, int]:
    """How many texts judge and choose where a prompt gives one; refused where one text would do both."""
    if any(ids in judged for ids in tuning):
        raise SaelabError(
            "without random numbers a prompt gives one text, so what chooses the settings would be what is judged: give "
            "tuning_prompts that are none of prompts, or a temperature above 0"
        )
    return len(judged), len(tuning)


def _differences(
    model: HookedModel, sae: SAE, known: Mapping[str, Any], examples: Mapping[str, Any] | None
) -> tuple[dict[str, Direction], dict[str, list[Any]]]:
    """concept -> the difference of the means of its examples and all others, where there are such; and its examples."""
    if examples is None:
        return {}, {}
    texts = {c: list(models.each_text(t, f"examples[{c!r}]", model)) for c, t in examples.items()}
    missing = next((c for c in known if not texts.get(c)), None)
    if missing is not None or len(texts) < 2:
        raise SaelabError(
            f"examples has no texts of {missing!r}" if missing is not None
            else "examples are of one concept: give those of another one too, so that there is a difference"
        )  # fmt: skip
    if len(hook_points(sae.config.hook_out)) > 1:
        return {}, texts  # a crosscoder writes at several
    out = {}
    for concept in known:
        others = [t for c, some in texts.items() if c != concept for t in some]
        name = f"difference of means of {concept}"
        out[concept] = Direction.from_texts(model, sae.config.hook_out, texts[concept], others, name=name)
    return out, texts


def _winner(row: Mapping[str, Any], guard: float) -> str:
    """What has the largest share of those whose texts are whole, the simpler of equals."""
    names = ("unsteered", "prompt", "random", "random_latent", "difference", "steered")
    ratio = {"steered": row["ratio"], "difference": row.get("difference_ratio", 0.0)}
    whole = [n for n in names if not np.isnan(row.get(n, np.nan)) and ratio.get(n, 0.0) <= guard]
    return max(whole, key=lambda n: row[n])


def _share_columns(name: str, trials: Trials, made: Written, concept: str) -> dict[str, float]:
    low, high = trials.bounds(made, concept)
    return {name: trials.share(made, concept), f"{name}_lo": low, f"{name}_hi": high}


def _targets(concept: str, found: Any, sae: SAE) -> list[Target]:
    try:
        return check_targets(found, sae)
    except SaelabError as error:
        raise SaelabError(f"candidates[{concept!r}]: {error}") from None


def _pushed(schedule: tuple[float, ...] | None) -> str:
    if schedule is None:
        return "all"
    if schedule == FIRST_TEN:
        return "first 10"
    return ", ".join(f"{s:g}" for s in schedule)


def _confusion(verdicts: Mapping[str, list[str | None]], concepts: list[str]) -> pd.DataFrame:
    columns = [*concepts, "(none)"]
    shares = {
        pushed: pd.Series([v if v in concepts else "(none)" for v in found]).value_counts(normalize=True)
        for pushed, found in verdicts.items()
    }
    return pd.DataFrame(shares).T.reindex(columns=columns, fill_value=0.0).fillna(0.0)

"""Whether steering does what the label says.

Each concept's latent against no steering, random directions, random latents and the other concepts' latents, judged by
rules that have nothing to do with the SAE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from saelab import models
from saelab.display import Bar, table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_latents
from saelab.evaluation.batched import beginning
from saelab.evaluation.calibration import GUARD
from saelab.frames import TextFrame
from saelab.identity import check_pair, noted
from saelab.intervals import of_means, of_trials
from saelab.interventions import Edit, Generation, Intervention, generate
from saelab.interventions.edits import maximum
from saelab.interventions.sweeps import fresh, read
from saelab.models import HookedModel
from saelab.sae import SAE

Judge = Callable[[str], "str | None"]
FIRST_TEN = (1.0,) * 10 + (0.0,)  # push for ten tokens, then let the model go on by itself
_CONTROLS = ("random", "random_latent")


@dataclass(frozen=True, eq=False)
class Success:
    """What :func:`steering_success` found.

    Attributes
    ----------
    frame
        One row per concept, the best first: ``concept``, ``latent``, ``strength`` (in maxima), ``pushed``
        (tokens that are pushed, or all), the shares of texts judged to be of the concept ``steered`` and
        ``unsteered``, each with its 95 % interval ``_lo`` and ``_hi`` (NaN below 20 texts), ``random`` (mean over
        random directions of the same length) and ``random_max``, ``random_latent`` (the same along the decoder rows of
        latents drawn at random) and ``random_latent_max``, ``others`` (the largest share that another concept's
        latent gives), ``tuning`` (the share by which the setting was chosen, on other samples), ``perplexity`` of the
        steered text by the unsteered model, ``unsteered_perplexity``, and ``example``, the first text.
    confusion
        Rows: whose latent was turned up (``(none)`` for no steering). Columns: what the texts were judged to
        be; ``(none)`` for none of them. Shares.
    texts
        concept -> its steered texts.
    n
        Texts per row, none of them among those that chose the settings.
    controls
        (concepts, controls) share of each random direction: a fresh one for every concept, tuned as its latent was.
    """

    frame: pd.DataFrame
    confusion: pd.DataFrame
    texts: dict[str, list[str]]
    n: int
    controls: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @door
    def turned_on(self, steered: float = 0.8, unsteered: float = 0.15, damage: float = GUARD) -> list[str]:
        """Concepts at least ``steered`` of whose texts are of it, at most ``unsteered`` without, and whose texts are
        not broken: their perplexity is at most ``damage`` times that of unsteered text.

        Examples
        --------
        >>> found = sl.steering_success(model, sae, {"fox": latent}, lambda text: "fox" if "fox" in text else None,
        ...     relative=index, strengths=[2], n=2, tune=1, controls=1, max_new_tokens=5, progress=False)
        >>> found.turned_on(steered=0, unsteered=1, damage=1000)
        ['fox']
        """
        f = self.frame
        whole = f["perplexity"] <= damage * f["unsteered_perplexity"]
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

        return px.bar(self.frame, "concept", ["steered", "unsteered", "random", "others"], barmode="group")

    def _caption(self) -> str:
        unsteered = self.frame["unsteered_perplexity"].iloc[0]
        drawn = np.ravel(self.controls)
        (low,), (high,) = of_means(drawn[:, None])
        within = "" if np.isnan(low) else f" [95 %: {max(low, 0):.1%}, {high:.1%}]"
        random = f"; {len(drawn)} random directions {drawn.mean():.1%}{within}" if len(drawn) else ""
        return (
            f"{len(self.turned_on())} of {len(self.frame)} concepts turned on (at least 80 % of {self.n} texts "
            f"with the latent, at most 15 % without, perplexity at most {GUARD:g} times the unsteered {unsteered:.3g})"
            f"{random}. Settings were chosen on other texts"
        )

    def __repr__(self) -> str:
        return f"{self._caption()}\n{self.frame.drop(columns='example').to_string(index=False)}"

    def _repr_html_(self) -> str:
        shown = self.frame.assign(example=[t if len(t) < 60 else t[:59] + "…" for t in self.frame["example"]])
        dropped = [
            "tuning",
            "unsteered_perplexity",
            "unsteered_lo",
            "unsteered_hi",
        ]  # in the frame; here they cost width
        shown = shown.drop(columns=dropped, errors="ignore")
        shares = dict.fromkeys(
            [c for c in shown if c.startswith(("steered", "unsteered", "random", "others"))], "{:.0%}".format
        )
        return table_html(self._caption(), shown, formatters=shares, float_format="{:.3g}".format)


@door
def steering_success(
    model: HookedModel,
    sae: SAE,
    candidates: Mapping[str, int | Sequence[int]],
    judge: Judge,
    *,
    relative: Any,
    prompt: models.Text | None = None,
    strengths: Iterable[float] = (2, 4, 8, 16),
    schedules: Iterable[Sequence[float] | None] = (FIRST_TEN, None),
    n: int = 50,
    tune: int = 30,
    enough: float = 0.95,
    controls: int = 3,
    seed: int = 0,
    max_new_tokens: int = 48,
    special: bool = True,
    progress: bool = True,
    **options: Any,
) -> Success:
    """Turn up a latent for each concept and count how often the model then writes that concept.

    The latent among ``candidates``, the strength and the schedule are chosen on ``tune`` samples of another
    seed; the table is about ``n`` fresh ones.

    Parameters
    ----------
    candidates
        concept -> latents that stand for it, the best first, such as the best of ``index.concepts(labels)``.
    judge
        ``text -> concept or None``, such as ``sl.zoo.classify``.
    relative
        The latents' maxima: a ``LatentIndex`` or ``{latent: maximum}``; strengths are in units of them.
    prompt
        None begins with BOS alone, so that the model could write anything.
    strengths, schedules
        Tried in this order, each schedule with every candidate, until one gives the concept in a share of
        ``enough`` of the tuning samples; else the best is taken. A schedule is as in
        :class:`Edit`: the default pushes at the first ten tokens and lets the model go on by itself, which
        breaks the text less, and then tries None, which pushes at every token.
    controls
        Random directions of the same length as the latent's, and as many latents drawn at random and pushed as far,
        fresh ones for each concept. Each is tuned on the settings that were tried for the concept's latent.
    special
        Push at BOS too, without which the first token is written before the latent can matter.
    options
        As for :func:`saelab.generate`.

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
    controls = check_count("controls", controls, 0, high=1 << 16)
    strengths, schedules = list(strengths), [Edit(schedule=s).schedule for s in schedules]  # type: ignore[arg-type]
    if not candidates or not strengths or not schedules:
        raise SaelabError("there is nothing to try: give candidates, strengths and schedules")
    known = {c: _latents(c, found, sae) for c, found in candidates.items()}
    prompt = beginning(model, None, sae, max_new_tokens) if prompt is None else prompt
    every = [i for latents in known.values() for i in latents]
    how = {"max_new_tokens": max_new_tokens, "special": special, **options}
    trials = _Trials(
        model,
        sae,
        judge,
        relative,
        prompt,
        seed,
        n,
        tune,
        enough,
        how,
        np.setdiff1d(np.arange(sae.config.d_sae), every),
    )
    for latent in every:
        trials.push(schedules[0], latent, strengths[0])
    plain = trials.write(n, seed)
    plain_perplexity = _perplexity(model, plain)
    rows, texts, verdicts, drawn = [], {}, {"(none)": [judge(t) for t in plain.texts]}, []
    for concept, latents in Bar(known.items(), "steering", disable=not progress):
        settings: list[Any] = list(product(schedules, latents, strengths))
        best, place, tried = trials.tuned(settings, concept)
        schedule, latent, strength = settings[place]
        made = trials.write(n, seed, trials.push(*settings[place]))
        pushed = {kind: trials.control(settings[:tried], concept, kind, controls) for kind in _CONTROLS}
        drawn.append(pushed["random"])
        texts[concept], verdicts[concept] = made.texts, [judge(t) for t in made.texts]
        rows.append(
            {
                "concept": concept, "latent": latent, "strength": float(strength), "pushed": _pushed(schedule),
                **_share_columns("steered", trials.share(made, concept), n),
                **_share_columns("unsteered", trials.share(plain, concept), n),
                **{kind: float(np.mean(found)) if found else np.nan for kind, found in pushed.items()},
                **{f"{kind}_max": max(found, default=np.nan) for kind, found in pushed.items()},
                "tuning": best, "perplexity": _perplexity(model, made),
                "unsteered_perplexity": plain_perplexity, "example": made.text,
            }
        )  # fmt: skip
    confusion, frame = _confusion(verdicts, list(known)), TextFrame(rows)
    others = [confusion.drop(index=["(none)", c])[c].max() for c in frame["concept"]]
    frame.insert(list(frame).index("tuning"), "others", others)
    frame = frame.sort_values("steered", ascending=False, kind="stable").reset_index(drop=True)
    frame.attrs |= {"chosen_on": f"{tune} texts of another seed", "scored_on": f"{n} other texts"}
    return Success(noted(frame, mismatch), confusion, texts, n, np.array(drawn))


@dataclass(frozen=True)
class _Trials:
    """What all texts of one table have in common."""

    model: HookedModel
    sae: SAE
    judge: Judge
    relative: Any
    prompt: models.Text
    seed: int
    n: int
    tune: int
    enough: float
    how: dict[str, Any]
    free: np.ndarray  # latents that are no candidate: random ones are drawn from them

    def push(
        self, schedule: Any, latent: int, strength: float, kind: str = "", number: int = 0
    ) -> Intervention:
        """A setting for the latent itself, or for control ``number`` of a kind, pushed as far."""
        amount = strength * maximum(self.relative, latent, self.sae.config.d_sae)
        if kind == "random_latent":
            other = int(np.random.default_rng([self.seed, latent, number]).choice(self.free))
            rows = self.sae.W_dec[[latent, other]].detach().float().norm(dim=1).tolist()
            amount, latent = amount * rows[0] / max(rows[1], 1e-9), other
        control = fresh(latent, number, self.seed) if kind == "random" else None
        return Intervention.make(self.sae, Edit(amount, latent=latent, schedule=schedule, control=control))

    def write(self, count: int, seed: int, edits: Intervention | None = None) -> Generation:
        how = {"n": count, "seed": seed, **self.how}
        if edits is None:
            del how["special"]
        return generate(self.model, None if edits is None else self.sae, self.prompt, edits, **how)

    def share(self, made: Generation, concept: str) -> float:
        return float(np.mean([self.judge(t) == concept for t in made.texts]))

    def tuned(self, settings: Sequence[Any], concept: str, *control: Any) -> tuple[float, int, int]:
        """The best share on the tuning samples, which setting gave it, how many were tried until one was enough."""
        shares: list[float] = []
        for setting in settings:
            made = self.write(self.tune, self.seed + 1, self.push(*setting, *control))
            shares.append(self.share(made, concept))
            if shares[-1] >= self.enough:
                break
        return max(shares), int(np.argmax(shares)), len(shares)

    def control(self, settings: Sequence[Any], concept: str, kind: str, controls: int) -> list[float]:
        """The share of each control, with the best for it of the settings that were tried for the latent."""
        found = []
        for number in range(controls if len(self.free) or kind == "random" else 0):
            _, place, _ = self.tuned(settings, concept, kind, number)
            made = self.write(self.n, self.seed, self.push(*settings[place], kind=kind, number=number))
            found.append(self.share(made, concept))
        return found


def _share_columns(name: str, value: float, n: int) -> dict[str, float]:
    low, high = of_trials(round(value * n), n) or (np.nan, np.nan)
    return {name: value, f"{name}_lo": low, f"{name}_hi": high}


def _latents(concept: str, found: int | Sequence[int], sae: SAE) -> list[int]:
    try:
        return check_latents(found, sae.config.d_sae)
    except SaelabError as error:
        raise SaelabError(f"candidates[{concept!r}]: {error}") from None


def _pushed(schedule: tuple[float, ...] | None) -> str:
    if schedule is None:
        return "all"
    if schedule == FIRST_TEN:
        return "first 10"
    return ", ".join(f"{s:g}" for s in schedule)


def _perplexity(model: HookedModel, made: Generation) -> float:
    """Geometric mean over the texts, read by the model as it is."""
    return float(np.exp(np.nanmean(read(model, None, made.prompt_ids, made.samples)["nats"])))


def _confusion(verdicts: Mapping[str, list[str | None]], concepts: list[str]) -> pd.DataFrame:
    columns = [*concepts, "(none)"]
    shares = {
        pushed: pd.Series([v if v in concepts else "(none)" for v in found]).value_counts(normalize=True)
        for pushed, found in verdicts.items()
    }
    return pd.DataFrame(shares).T.reindex(columns=columns, fill_value=0.0).fillna(0.0)

"""Does steering do what the label says? Each concept's latent against no steering, random directions, and the
other concepts' latents, judged by rules that have nothing to do with the SAE."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from saelab import models
from saelab.errors import SaelabError, check_count, check_latent, check_pair
from saelab.interventions.attach import interventions
from saelab.interventions.edits import Edit
from saelab.interventions.generation import Generation, generate
from saelab.interventions.sweeps import judge as read_by_the_model
from saelab.sae import SAE

Judge = Callable[[str], "str | None"]
FIRST_TEN = (1.0,) * 10 + (0.0,)  # push for ten tokens, then let the model go on by itself


@dataclass(frozen=True, eq=False)
class Success:
    """What :func:`steering_success` found.

    Attributes
    ----------
    frame
        One row per concept, the best first: ``concept``, ``latent``, ``strength`` (in maxima), ``pushed``
        (tokens that are pushed, or all), the shares of texts judged to be of the concept ``steered``,
        ``unsteered``, ``random`` (mean over random directions of the same length) and ``random_max``,
        ``others`` (the largest share that another concept's latent gives), ``tuning`` (the share by which the
        setting was chosen, on other samples), ``perplexity`` of the steered text by the unsteered model,
        ``unsteered_perplexity``, and ``example``, the first text.
    confusion
        Rows: whose latent was turned up (``(none)`` for no steering). Columns: what the texts were judged to
        be; ``(none)`` for none of them. Shares.
    texts
        concept -> its steered texts.
    n
        Texts per row.
    """

    frame: pd.DataFrame
    confusion: pd.DataFrame
    texts: dict[str, list[str]]
    n: int

    def to_frame(self) -> pd.DataFrame:
        return self.frame

    def turned_on(self, steered: float = 0.8, unsteered: float = 0.15) -> list[str]:
        """Concepts at least ``steered`` of whose texts are of it, and at most ``unsteered`` without."""
        f = self.frame
        return list(f.loc[(f["steered"] >= steered) & (f["unsteered"] <= unsteered), "concept"])

    def _caption(self) -> str:
        unsteered = self.frame["unsteered_perplexity"].iloc[0]
        return (
            f"{len(self.turned_on())} of {len(self.frame)} concepts turned on (at least 80 % of {self.n} texts "
            f"with the latent, at most 15 % without); perplexity unsteered {unsteered:.3g}"
        )

    def __repr__(self) -> str:
        return f"{self._caption()}\n{self.frame.drop(columns='example').to_string(index=False)}"

    def _repr_html_(self) -> str:
        shares = ("steered", "unsteered", "random", "random_max", "others")
        shown = self.frame.assign(example=[t if len(t) < 60 else t[:59] + "…" for t in self.frame["example"]])
        shown = shown.drop(columns=["tuning", "unsteered_perplexity"])  # in the frame; here they cost width
        formats: dict[Any, Any] = {
            **dict.fromkeys(shares, "{:.0%}".format),
            **dict.fromkeys(("strength", "perplexity"), "{:.3g}".format),
        }
        # to_html escapes; a dollar alone in an element is not taken for maths
        table = shown.to_html(index=False, formatters=formats).replace("$", "<span>$</span>")
        return f'<div class="tex2jax_ignore"><div>{html.escape(self._caption())}</div>{table}</div>'


def steering_success(
    model: Any,
    sae: SAE,
    candidates: Mapping[str, int | Sequence[int]],
    judge: Judge,
    *,
    relative: Any,
    prompt: str | Sequence[int] | None = None,
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
        :class:`~saelab.interventions.edits.Edit`: the default pushes at the first ten tokens and lets the model go on by
        itself, which breaks the text less, and then tries None, which pushes at every token.
    controls
        Random directions of the same length as the latent's, per concept.
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
    >>> sl.steering_success(model, sae, {"dna": [2203]}, sl.zoo.classify, relative=index)  # doctest: +SKIP
    """
    check_pair(model, sae)
    n, tune, controls = check_count("n", n), check_count("tune", tune), check_count("controls", controls, 0)
    strengths, schedules = list(strengths), [None if s is None else tuple(s) for s in schedules]
    if not candidates or not strengths or not schedules:
        raise SaelabError("there is nothing to try: give candidates, strengths and schedules")
    known = {c: _latents(c, found, sae) for c, found in candidates.items()}
    if prompt is None:
        first = models.bos_id(model)
        if first is None:
            raise SaelabError("this model's tokenizer has no BOS token; give a prompt")
        prompt = [first]

    def edits(latent: int, strength: float, schedule: Any, control: int | None = None) -> Any:
        edit = Edit(strength, latent=latent, schedule=schedule, control=control)
        return interventions(model, sae, [edit], relative=relative)[0][1]

    for latents in known.values():
        for latent in latents:
            edits(latent, strengths[0], schedules[0])
    common = {"max_new_tokens": max_new_tokens, **options}

    def write(count: int, at: int, changed: Any = None) -> Generation:
        how = {} if changed is None else {"sae": sae, "edits": changed, "special": special}
        return generate(model, prompt, n=count, seed=at, **how, **common)

    def share(made: Generation, concept: str) -> float:
        return float(np.mean([judge(t) == concept for t in made.texts]))

    plain = write(n, seed)
    rows, texts, verdicts = [], {}, {"(none)": [judge(t) for t in plain.texts]}
    plain_reading = _perplexity(model, sae, plain)
    with tqdm(total=len(known), desc="steering", disable=not progress, leave=False) as bar:
        for concept, latents in known.items():
            best, setting = -1.0, (latents[0], strengths[0], schedules[0])
            for schedule, latent, strength in product(schedules, latents, strengths):
                found = share(write(tune, seed + 1, edits(latent, strength, schedule)), concept)
                if found > best:
                    best, setting = found, (latent, strength, schedule)
                if best >= enough:
                    break
            made = write(n, seed, edits(*setting))
            pushed = [share(write(n, seed, edits(*setting, control=c)), concept) for c in range(controls)]
            texts[concept], verdicts[concept] = made.texts, [judge(t) for t in made.texts]
            rows.append(
                {
                    "concept": concept,
                    "latent": setting[0],
                    "strength": float(setting[1]),
                    "pushed": _pushed(setting[2]),
                    "steered": share(made, concept),
                    "unsteered": share(plain, concept),
                    "random": float(np.mean(pushed)) if pushed else np.nan,
                    "random_max": max(pushed, default=np.nan),
                    "tuning": best,
                    "perplexity": _perplexity(model, sae, made),
                    "unsteered_perplexity": plain_reading,
                    "example": made.text,
                }
            )
            bar.update()
    confusion = _confusion(verdicts, list(known))
    frame = pd.DataFrame(rows)
    others = [confusion.drop(index=["(none)", c])[c].max() for c in frame["concept"]]
    frame.insert(frame.columns.get_loc("tuning"), "others", others)  # type: ignore[arg-type]
    frame = frame.sort_values("steered", ascending=False, kind="stable").reset_index(drop=True)
    return Success(frame, confusion, texts, n)


def _latents(concept: str, found: int | Sequence[int], sae: SAE) -> list[int]:
    many = [found] if hasattr(found, "__index__") else list(found)  # type: ignore[arg-type]
    if not many:
        raise SaelabError(f"there is no candidate latent for {concept!r}")
    return [check_latent(i, sae.config.d_sae) for i in many]


def _pushed(schedule: tuple[float, ...] | None) -> str:
    if schedule is None:
        return "all"
    if schedule == FIRST_TEN:
        return "first 10"
    return ", ".join(f"{s:g}" for s in schedule)


def _perplexity(model: Any, sae: SAE, made: Generation) -> float:
    """Geometric mean over the texts, read by the model as it is."""
    values = np.array([line["perplexity"] for line in read_by_the_model(model, sae, made, 0)])
    return float(np.exp(np.nanmean(np.log(values))))


def _confusion(verdicts: Mapping[str, list[str | None]], concepts: list[str]) -> pd.DataFrame:
    columns = [*concepts, "(none)"]
    table = {
        turned: [float(np.mean([(v if v in concepts else "(none)") == c for v in found])) for c in columns]
        for turned, found in verdicts.items()
    }
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)

"""Texts of the settings that :func:`saelab.steering_success` tries: one choice for a latent and for every baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from saelab import models
from saelab.errors import SaelabError, called
from saelab.evaluation.batched import Push, different, draws, write
from saelab.experiments.sweeps import fresh, read
from saelab.intervals import LEAST, of_share, of_trials
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Edit
from saelab.interventions.targets import maximum, rows_of
from saelab.models import HookedModel
from saelab.sae import SAE

Judge = Callable[[str], "str | None"]


def strict(judge: Judge) -> Judge:
    """``judge``, whose answer must be a concept or None: anything else would count as another concept."""

    def asked(text: str) -> str | None:
        found = judge(text)
        if found is not None and not isinstance(found, str):
            raise SaelabError(
                f"judge gives a concept or None for a text, and gave {called(found)} for {text[:60]!r}"
            )
        return found

    return asked


FIRST_TEN = (1.0,) * 10 + (0.0,)  # push for ten tokens, then let the model go on by itself


@dataclass(frozen=True)
class Written:
    texts: list[str]
    prompts: list[int]  # the number of each text's prompt
    nats: float  # mean per token of the new text, read by the model as it is


@dataclass(frozen=True)
class Trials:
    """What all texts of one table have in common."""

    model: HookedModel
    sae: SAE
    judge: Judge
    relative: Any
    begun: dict[int, tuple[list[list[int]], int]]  # seed -> prompts, and how many texts in all
    seed: int
    guard: float
    enough: float
    how: dict[str, Any]
    free: np.ndarray  # latents that are no candidate: random ones are drawn from them
    plain: dict[int, float] = field(default_factory=dict)  # seed -> nats of unsteered text

    def push(self, setting: Any, kind: str = "", number: int = 0) -> Push:
        """(schedule, target, strength), for the target itself, or for control ``number`` of a kind, pushed as far."""
        schedule, target, strength = setting
        amount = strength * maximum(self.relative, target, self.sae.config.d_sae)
        if kind == "random_latent":
            own = target.number if isinstance(target, Direction) else target
            other = int(np.random.default_rng([self.seed, own, number]).choice(self.free))
            long, short = rows_of(self.sae, [(target, None), (other, None)]).norm(dim=1).tolist()
            amount, target = amount * long / max(short, 1e-9), other
        control = fresh(target, number, self.seed) if kind == "random" else None
        return Push.of(self.sae, Edit(amount, latent=target, schedule=schedule, control=control))

    def write(self, pushes: Sequence[Push | None], seed: int) -> list[Written]:
        """The texts of each push (None: unsteered), from the prompts of that seed in turn."""
        prompts, count = self.begun[seed]
        nothing = Push(self.sae.W_dec[0].detach().float() * 0)
        most = draws(count, self.how["temperature"], self.how["top_k"])
        texts: list[list[str]] = [[] for _ in pushes]
        of: list[int] = []
        nats: list[list[float]] = [[] for _ in pushes]
        for number, prompt in enumerate(prompts):
            each = min(count // len(prompts) + (number < count % len(prompts)), most)
            if not each:
                continue
            of += [number] * each
            made = write(
                self.model, self.sae, prompt, [p or nothing for p in pushes], n=each, seed=seed, **self.how
            )
            seen = read(self.model, None, prompt, [s for some in made for s in some])["nats"].reshape(
                len(pushes), each
            )
            for place, some in enumerate(made):
                texts[place] += [s.text for s in some]
                nats[place] += seen[place].tolist()
        return [Written(t, of, float(np.nanmean(x))) for t, x in zip(texts, nats, strict=True)]

    def share(self, made: Written, concept: str) -> float:
        return float(np.mean([self.judge(t) == concept for t in made.texts]))

    def bounds(self, made: Written, concept: str) -> tuple[float, float]:
        """The interval of that share: over prompts where there are enough, else over texts that these prompts begin;
        none where a low temperature leaves fewer different texts than that takes."""
        if len(set(zip(made.prompts, made.texts, strict=True))) < LEAST:
            return np.nan, np.nan
        hits = np.bincount(made.prompts, [self.judge(t) == concept for t in made.texts])
        tries = np.bincount(made.prompts)
        if len(tries) < LEAST or (tries == 1).all():
            return of_trials(int(hits.sum()), int(tries.sum())) or (np.nan, np.nan)
        # where nearly all prompts say the same, as if each were one text
        return (
            of_share(hits, tries)
            or of_trials(round(hits.sum() / tries.sum() * len(tries)), len(tries))
            or (np.nan, np.nan)
        )

    def ratio(self, made: Written, seed: int) -> float:
        return float(np.exp(made.nats - self.plain[seed]))

    def tuned(
        self, rounds: Sequence[Sequence[Any]], concept: str, *control: Any
    ) -> tuple[float, Any, list[list[Any]]]:
        """The best share inside the guard on the tuning texts, which setting gave it, and the rounds that were tried."""
        tried: list[list[Any]] = []
        found: list[tuple[bool, float, float]] = []
        for settings in rounds:
            made = self.write([self.push(s, *control) for s in settings], self.seed + 1)
            ratios = [self.ratio(m, self.seed + 1) for m in made]
            # inside the guard: the largest share; outside: the least damage
            found += [
                (r <= self.guard, self.share(m, concept) if r <= self.guard else -r, self.share(m, concept))
                for m, r in zip(made, ratios, strict=True)
            ]
            tried.append(list(settings))
            if max(found)[0] and max(found)[1] >= self.enough:
                break
        place = max(range(len(found)), key=lambda i: (found[i][:2], -i))
        return found[place][2], [s for some in tried for s in some][place], tried

    def control(self, tried: Sequence[Sequence[Any]], concept: str, kind: str, controls: int) -> list[float]:
        """The share of each control, with the best for it of the settings that were tried for the latent."""
        found = []
        for number in range(controls if len(self.free) or kind == "random" else 0):
            _, setting, _ = self.tuned(tried, concept, kind, number)
            made = self.write([self.push(setting, kind, number)], self.seed)[0]
            found.append(self.share(made, concept))
        return found

    def prompted(self, concept: str, examples: Mapping[str, list[Any]]) -> dict[str, Written]:
        """What the model as it is writes after the first ten tokens of examples, which are not counted."""
        texts = examples.get(concept, [])
        lead = len(FIRST_TEN) - 1
        ids = [
            models.text_ids(self.model, t, bos=self.sae.config.bos, name="examples")[: lead + 1]
            for t in texts[: self.begun[self.seed][1]]
        ]
        if not ids:
            return {}
        own = replace(self, begun={self.seed: (different(ids), self.begun[self.seed][1])})
        return {"prompt": own.write([None], self.seed)[0]}

"""Which latents of a model without labels steer: judged by what the unsteered model reads in the steered text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from saelab import models, zoo
from saelab.evaluation import calibrate
from saelab.evaluation.calibration import GUARD
from saelab.experiments import generate
from saelab.experiments.decoding import padded
from saelab.experiments.sweeps import read
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.interventions import Edit
from saelab.sae import SAE

STRENGTHS = (1.0, 2.0, 3.0)  # in maxima of the latent
RELATED = 5  # latents that fire where it fires
SAMPLES, HALF = 8, 0.5
RULE = (
    f"A latent is recognized when it and the {RELATED} latents that fire most often where it fires are raised, as the "
    f"unsteered model reads the new text, above every one of {2 * SAMPLES} controls (no steering; a latent drawn at random, "
    f"pushed by as many of its maxima) in at least half of {SAMPLES} samples, and their perplexity is at most {GUARD:g} "
    "times that of unsteered text. The strength is chosen with other random numbers."
)


@dataclass(frozen=True)
class Turned:
    """How many of ``SAMPLES`` fresh texts are of a genre, with the latent and without."""

    latent: int
    genre: str
    with_latent: int
    without: int

    def __str__(self) -> str:
        if self.with_latent <= self.without:
            return f"no effect seen: {self.with_latent} of {SAMPLES} fresh texts are {self.genre}, {self.without} without"
        return (
            f"{self.with_latent} of {SAMPLES} fresh texts are {self.genre}, {self.without} without the latent"
        )


def turned(
    model: Any, sae: SAE, index: LatentIndex, latent: int, genre: str, prompt: str, *, seed: int
) -> Turned:
    """Write with the latent at the strength that is kept beside the index, and without, and count."""
    counts = [
        sum(zoo.classify(s.text) == genre for s in made.samples)
        for edits in ({latent: "auto"}, None)
        for made in [
            generate(
                model, sae, prompt, edits, relative=index if edits else None, n=SAMPLES, max_new_tokens=40,
                temperature=0.8, seed=seed,
            )
        ]
    ]  # fmt: skip
    return Turned(latent, genre, *counts)


def recognized(
    model: Any, sae: SAE, index: LatentIndex, latents: Sequence[int], prompt: str, *, seed: int, new: int = 25
) -> pd.DataFrame:
    """One row per latent: ``strength``, the share of samples ``above`` all controls, ``ratio`` of perplexity, whether it
    is ``recognized``, and the first ``text``; ``attrs["unsteered"]`` is the perplexity without. Strengths are kept beside
    the index."""
    rng = np.random.default_rng(seed)
    rows = []
    how: dict[str, Any] = {"n": SAMPLES, "max_new_tokens": new, "temperature": 0.8}
    plain = generate(model, None, prompt, seed=seed + 1, **how)
    usual = read(model, sae, plain.prompt_ids, plain.samples)["nats"].mean()
    alive = np.flatnonzero(index.counts >= 20)
    for latent in latents:
        found = calibrate(
            model, sae, [latent], [prompt], relative=index, strengths=STRENGTHS, seed=seed + 2, progress=False,
            n=4, max_new_tokens=new, temperature=0.8,
        )  # fmt: skip
        strength = found.best[latent]
        if not strength:
            rows.append({"latent": latent, "strength": 0.0, "above": 0.0, "ratio": 1.0, "text": ""})
            continue
        own = [latent, *index.coactive(latent, RELATED)["latent"].tolist()]
        other = int(rng.choice(alive))
        made = [
            generate(model, sae, prompt, Edit(strength, latent=i), relative=index, seed=seed + 1, **how)
            for i in (latent, other)
        ]
        steered, *controls = (_raised(model, sae, index, own, g) for g in (made[0], made[1], plain))
        nats = read(model, sae, plain.prompt_ids, made[0].samples)["nats"].mean()
        above = float((steered > np.concatenate(controls).max()).mean())
        rows.append(
            {"latent": latent, "strength": strength, "above": above, "ratio": float(np.exp(nats - usual)),
             "text": made[0].samples[0].text}
        )  # fmt: skip
    frame = TextFrame(rows)
    frame.attrs["unsteered"] = float(np.exp(usual))
    frame["recognized"] = (frame["above"] >= HALF) & (frame["ratio"] <= GUARD) & (frame["strength"] > 0)
    return frame


@torch.no_grad()
def _raised(model: Any, sae: SAE, index: LatentIndex, latents: Sequence[int], made: Any) -> np.ndarray:
    """(n,) of each sample, the mean activation of some latents in units of their maxima, summed, as the unsteered model
    reads it."""
    texts, ids, mask = padded(made.prompt_ids, [s.ids for s in made.samples])
    start, hook = len(made.prompt_ids), str(sae.config.hook_in)
    acts = models.run_to_hooks(model, ids, [hook], mask)[hook]  # (n, T, d_in)
    most = torch.tensor([index.latent_stats(i)["max"] for i in latents])
    rows = [sae.encode(acts[k, start : len(t)].float())[:, list(latents)] for k, t in enumerate(texts)]
    return np.array([float((row.cpu().mean(0) / most).sum()) for row in rows])

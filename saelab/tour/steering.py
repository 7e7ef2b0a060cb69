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
from saelab.evaluation.batched import Push, write
from saelab.evaluation.calibration import GUARD
from saelab.experiments import generate
from saelab.experiments.decoding import padded
from saelab.experiments.sweeps import read
from saelab.experiments.written import Sample
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.interventions import Edit, Intervention
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
    model: Any,
    sae: SAE,
    index: LatentIndex,
    latents: Sequence[int],
    prompt: str,
    *,
    n: int,
    seed: int,
    new: int = 25,
) -> pd.DataFrame:
    """One row for each of the ``n`` latents that calibration raises most: ``strength``, the share of samples ``above`` all
    controls, ``ratio`` of perplexity, whether it is ``recognized``, and the first ``text``. ``attrs``: ``unsteered``, the
    perplexity without; how many latents were ``tried``, and how many of them were ``idle``: no strength had an effect.
    Strengths are kept beside the index."""
    rng = np.random.default_rng(seed)
    how: dict[str, Any] = {"max_new_tokens": new, "temperature": 0.8}
    found = calibrate(
        model, sae, latents, [prompt], relative=index, strengths=STRENGTHS, seed=seed + 2, progress=False,
        n=SAMPLES // 2, **how,
    )  # fmt: skip
    alive = np.flatnonzero(index.counts >= 20)
    effect = found.frame.set_index(["latent", "strength"])["effect"]
    gain = {i: (effect[i, found.best[i]] - effect[i, 0.0]) / index.latent_stats(i)["max"] for i in latents}
    chosen = sorted(latents, key=lambda i: -gain[i])[:n]
    tried = [i for i in chosen if found.best[i]]
    edits = [Edit(found.best[i], latent=j) for i in tried for j in (i, int(rng.choice(alive)))]
    ids = models.one_text(model, prompt, bos=sae.config.bos, new=new, name="prompt")
    pushes = [Push.of(sae, Intervention.make(sae, e, relative=index).edits[0]) for e in edits]
    plain, *made = write(
        model, sae, ids, [Push(torch.zeros(sae.config.d_in)), *pushes], n=SAMPLES, seed=seed + 1, **how
    )
    usual = read(model, sae, ids, plain)["nats"].mean()
    rows: dict[int, dict[str, Any]] = {
        i: {"latent": i, "strength": 0.0, "above": 0.0, "ratio": 1.0, "text": ""} for i in chosen
    }
    for latent, steered, control in zip(tried, made[::2], made[1::2], strict=True):
        own = [latent, *index.coactive(latent, RELATED)["latent"].tolist()]
        raised, *others = (_raised(model, sae, index, own, ids, some) for some in (steered, control, plain))
        rows[latent] |= {
            "strength": found.best[latent], "above": float((raised > np.concatenate(others).max()).mean()),
            "ratio": float(np.exp(read(model, sae, ids, steered)["nats"].mean() - usual)), "text": steered[0].text,
        }  # fmt: skip
    frame = TextFrame(list(rows.values()))
    idle = sum(not found.best[i] for i in latents)
    frame.attrs |= {"unsteered": float(np.exp(usual)), "tried": len(latents), "idle": idle}
    frame["recognized"] = (frame["above"] >= HALF) & (frame["ratio"] <= GUARD) & (frame["strength"] > 0)
    return frame


@torch.no_grad()
def _raised(
    model: Any,
    sae: SAE,
    index: LatentIndex,
    latents: Sequence[int],
    prompt: list[int],
    samples: Sequence[Sample],
) -> np.ndarray:
    """(n,) of each sample, the mean activation of some latents in units of their maxima, summed, as the unsteered model
    reads it."""
    texts, ids, mask = padded(prompt, [s.ids for s in samples])
    start, hook = len(prompt), str(sae.config.hook_in)
    acts = models.run_to_hooks(model, ids, [hook], mask)[hook]  # (n, T, d_in)
    most = torch.tensor([index.latent_stats(i)["max"] for i in latents])
    rows = [sae.encode(acts[k, start : len(t)].float())[:, list(latents)] for k, t in enumerate(texts)]
    return np.array([float((row.cpu().mean(0) / most).sum()) for row in rows])

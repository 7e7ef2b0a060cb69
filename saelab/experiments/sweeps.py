"""Many steered generations at once: where steering works, and where it breaks the text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch

from saelab import models
from saelab.display import Bar, table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.experiments.decoding import portions, read_logprobs
from saelab.experiments.generation import check_reach, generate, prompt_ids
from saelab.experiments.written import Generation, Sample
from saelab.frames import TextFrame
from saelab.identity import check_pair, noted
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Edit, Intervention
from saelab.interventions.steering import attach, one_site
from saelab.interventions.targets import Target, activation, check_target, check_targets, label, listed
from saelab.models import HookedModel
from saelab.sae import SAE

_MEASURES = ("activation", "perplexity", "repetition")


@dataclass(frozen=True, eq=False)
class Sweep:
    """What :func:`sweep` gives.

    Attributes
    ----------
    frame
        One row per sample: ``prompt``, ``latent`` (a direction's name), ``strength``, ``control`` (its number, or −1 for the
        latent itself), ``sample``, ``text``, ``tokens``, and judged by the *unsteered* model reading the
        result: ``perplexity`` of the new tokens, ``activation`` (the latent's mean over them), ``repetition``
        (share of its 3-grams of tokens that occurred before), ``score``. Values that are undefined are NaN.
    """

    frame: pd.DataFrame

    def plot(self) -> Any:
        """A plotly figure: the latents' activation and the text's perplexity and repetition against strength.

        Solid lines are the latents, dotted ones the random controls; means over prompts and samples (of
        perplexity the geometric mean).
        """
        from plotly.colors import qualitative
        from plotly.subplots import make_subplots

        figure = make_subplots(1, 3, subplot_titles=("activation of the latent", "perplexity", "repetition"))
        for number, latent in enumerate(self.frame["latent"].unique()):
            color = qualitative.Plotly[number % len(qualitative.Plotly)]
            for control, dash in ((False, "solid"), (True, "dot")):
                same = (self.frame["latent"] == latent) & ((self.frame["control"] >= 0) == control)
                mean = _means(self.frame[same])
                for column, name in enumerate(_MEASURES, 1):
                    figure.add_scatter(
                        x=mean.index, y=mean[name], name=f"{latent}{' (random direction)' if control else ''}",
                        legendgroup=f"{latent}{control}", showlegend=column == 1 and len(mean) > 0,
                        mode="lines+markers", line={"color": color, "dash": dash}, row=1, col=column,
                    )  # fmt: skip
        figure.update_xaxes(title_text="strength")
        return figure.update_yaxes(type="log", row=1, col=2)

    def _caption(self) -> str:
        return f"Sweep over {self.frame['latent'].nunique()} latents: {len(self.frame)} texts"

    def __repr__(self) -> str:
        return f"{self._caption()}\n{self.frame}"

    def _repr_html_(self) -> str:
        return table_html(self._caption(), self.frame, float_format="{:.4g}".format, max_rows=20)


def _means(some: Any) -> pd.DataFrame:
    """By strength; of perplexity the geometric mean."""
    mean = some.assign(perplexity=np.log(some["perplexity"])).groupby("strength")[list(_MEASURES)].mean()
    return mean.assign(perplexity=np.exp(mean["perplexity"]))


@door
def sweep(
    model: HookedModel,
    sae: SAE | None,
    prompts: models.Texts,
    latents: Iterable[int | Direction],
    strengths: Iterable[float],
    *,
    mode: str = "add",
    controls: int = 0,
    score: Callable[[str], Any] | None = None,
    progress: bool = True,
    **options: Any,
) -> Sweep:
    """Generate for every prompt, latent and strength.

    Parameters
    ----------
    latents
        Latents and directions; of directions alone at one hook point the SAE may be None.
    controls
        For each latent, also steer along this many random directions of the same length, fresh ones for every latent:
        what any push of that size does.
    score
        ``f(text) -> value`` of each new text, such as ``sl.zoo.classify``.
    options
        As for :func:`saelab.generate` and :func:`saelab.steer`: ``n``, ``seed``, ``max_new_tokens``,
        ``positions``, ``relative``, …

    Raises
    ------
    SaelabError
        Before anything runs: for wrong names, latents out of range, nothing to sweep over.

    Examples
    --------
    >>> found = sl.sweep(model, sae, "The", [latent], [0, 4, 8], max_new_tokens=5, progress=False)
    >>> found.frame["strength"].tolist()
    [0.0, 4.0, 8.0]
    """
    relative, latents = options.pop("relative", None), listed(latents)
    sae = one_site(model, sae, latents)
    mismatch = check_pair(model, sae, relative, *(t for t in latents if isinstance(t, Direction)))
    new = check_count("max_new_tokens", options.setdefault("max_new_tokens", 40))
    bos = options.pop("bos", None)
    prompts = list(models.each_text(prompts, "prompts", model))
    latents = check_targets(latents, sae)
    strengths = list(strengths)
    for name, values in (("prompts", prompts), ("latents", latents), ("strengths", strengths)):
        if not values:
            raise SaelabError(f"there are no {name} to sweep over")
    check_count("controls", controls, 0, high=1 << 16)
    fields = ("positions", "when", "above", "schedule")
    common = {k: options.pop(k) for k in fields if k in options}
    runs = []
    for latent, strength, control in product(latents, strengths, (-1, *range(controls))):
        edit = Edit(strength, mode, latent, control=None if control < 0 else fresh(latent, control), **common)
        edits = Intervention.make(sae, edit, relative=relative if edit.how.unit == "activation" else None)
        runs.append(
            (latent, {"latent": label(latent), "strength": float(strength), "control": control}, edits)
        )
    prompts = [prompt_ids(model, sae, [p], new, bos)[0] for p in prompts]
    for prompt in prompts:  # all before the first costs time
        check_reach([(sae, edits) for *_, edits in runs], len(prompt), new)
    frames = []
    with Bar(total=len(prompts) * len(runs), desc="sweep", disable=not progress) as bar:
        for prompt, (latent, setting, edits) in product(prompts, runs):
            done = generate(model, sae, prompt, edits, **options)
            sizes = {"sample": range(len(done.samples)), "tokens": [len(s.ids) for s in done.samples]}
            texts = TextFrame({"prompt": done.prompt, **setting, "text": done.texts, **sizes})
            if score is not None:  # at once: a mistake in it must not cost the whole sweep
                texts["score"] = [score(t) for t in done.texts]
            frames.append(texts.join(TextFrame(reading(model, sae, done, latent))))
            bar.update()
    columns = ["prompt", "latent", "strength", "control", "sample", "text", "tokens"]
    columns += ["perplexity", "activation", "repetition", *(["score"] if score is not None else [])]
    frame = pd.concat(frames, ignore_index=True)[columns]
    return Sweep(TextFrame(noted(frame, mismatch)))


def fresh(latent: Target, number: int, seed: int = 0) -> int:
    """The seed of a latent's random direction: no two latents are compared with the same one."""
    own = latent.number if isinstance(latent, Direction) else latent
    return int(np.random.SeedSequence([seed, own, number]).generate_state(1)[0])


def reading(model: HookedModel, sae: SAE, done: Generation, latent: Target) -> list[dict[str, float]]:
    """Perplexity, activation and repetition of each sample, by the model as it is now."""
    latent = check_target(latent, sae)
    seen = read(model, sae, done.prompt_ids, done.samples, [latent] * len(done.samples))
    seen["perplexity"] = np.exp(seen["nats"])
    return [{name: float(seen[name][k]) for name in _MEASURES} for k in range(len(done.samples))]


@torch.no_grad()
def read(
    model: HookedModel,
    sae: SAE | None,
    prompt: list[int],
    samples: Sequence[Sample],
    latents: Sequence[Target] = (),
) -> dict[str, np.ndarray]:
    """Of each text, as the model reads it that is not steered: ``nats`` (mean of its new tokens), ``repetition``,
    ``broken`` (share of U+FFFD among its characters) and ``activation`` (mean of its own latent of ``latents``)."""
    start, out = len(prompt), {name: np.full(len(samples), np.nan) for name in ("nats", "activation")}
    for first, batch in portions(model, prompt, [s.ids for s in samples]):
        texts, ids, mask = batch
        spliced = attach(model, sae, error=True) if sae is not None and latents else contextlib.nullcontext()
        seen: Any
        with models.lock(model), spliced as seen:
            logp = read_logprobs(model, batch, start)
        out["nats"][first : first + len(texts)] = [-float(row.double().mean()) for row in logp]
        for latent in set(latents[first : first + len(texts)]) if latents else ():
            if isinstance(latent, Direction):
                fires = activation(model, latent, ids, mask)  # (n, T)
            else:
                fires = seen.codes.column(latent).float().cpu()
            for row, text in enumerate(texts):
                if latents[first + row] == latent:
                    out["activation"][first + row] = fires[row, start : len(text)].mean()
    out["repetition"] = np.array([repetition(s.ids) for s in samples])
    out["broken"] = np.array([s.text.count("\ufffd") / max(1, len(s.text)) for s in samples])
    return out


def repetition(ids: Sequence[int], gram: int = 3) -> float:
    """Share of a text's ``gram``-grams that occurred in it before; NaN when it is shorter than one."""
    grams = [tuple(ids[i : i + gram]) for i in range(len(ids) - gram + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else float("nan")

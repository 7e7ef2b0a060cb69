"""Many steered generations at once, and what shows where steering works and where it breaks the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from saelab import models
from saelab.errors import SaelabError, check_latent, check_pair
from saelab.interventions.attach import attach, interventions
from saelab.interventions.edits import Edit
from saelab.interventions.generation import Generation, generate
from saelab.sae import SAE

_GRAM = 3
_MEASURES = ("activation", "perplexity", "repetition")


def sweep(
    model: Any,
    sae: SAE,
    prompts: str | Iterable[str | Sequence[int]],
    latents: Iterable[int],
    strengths: Iterable[float],
    *,
    mode: str = "add",
    controls: int = 0,
    score: Callable[[str], Any] | None = None,
    progress: bool = True,
    **options: Any,
) -> pd.DataFrame:
    """Generate for every prompt, latent and strength.

    Parameters
    ----------
    controls
        For each latent, also steer along this many random directions of the same length: what any push of
        that size does.
    score
        ``f(text) -> value`` of each new text, such as ``sl.zoo.classify``.
    options
        As for :func:`saelab.generate` and :func:`saelab.steer`: ``n``, ``seed``, ``max_new_tokens``,
        ``positions``, ``relative``, …

    Returns
    -------
    DataFrame
        One row per sample: ``prompt``, ``latent``, ``strength``, ``control`` (its number, or −1 for the
        latent itself), ``sample``, ``text``, ``tokens``, and judged by the *unsteered* model reading the
        result: ``perplexity`` of the new tokens, ``activation`` (the latent's mean over them), ``repetition``
        (share of its 3-grams of tokens that occurred before), ``score``. Values that are undefined are NaN.

    Raises
    ------
    SaelabError
        Before anything runs: for wrong names, latents out of range, nothing to sweep over.
    """
    check_pair(model, sae)
    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    latents = [check_latent(i, sae.config.d_sae) for i in latents]
    strengths = list(strengths)
    for name, values in (("prompts", prompts), ("latents", latents), ("strengths", strengths)):
        if not values:
            raise SaelabError(f"there are no {name} to sweep over")
    fields = ("positions", "when", "above", "schedule")
    common = {k: options.pop(k) for k in fields if k in options}
    relative = options.pop("relative", None)
    runs = [(i, s, c) for i in latents for s in strengths for c in (-1, *range(controls))]
    made = [
        interventions(
            model,
            sae,
            [Edit(s, mode, i, control=None if c < 0 else c, **common)],
            relative=None if mode in ("scale", "ablate") else relative,
        )[0][1]
        for i, s, c in runs
    ]
    rows = []
    with tqdm(total=len(prompts) * len(runs), desc="sweep", disable=not progress, leave=False) as bar:
        for prompt in prompts:
            for (latent, strength, control), edits in zip(runs, made, strict=True):
                done = generate(model, prompt, sae=sae, edits=edits, **options)
                judged = judge(model, sae, done, latent)
                for n, (sample, line) in enumerate(zip(done.samples, judged, strict=True)):
                    rows.append(
                        {
                            "prompt": done.prompt,
                            "latent": latent,
                            "strength": float(strength),
                            "control": control,
                            "sample": n,
                            "text": sample.text,
                            "tokens": len(sample.ids),
                            **line,
                            **({} if score is None else {"score": score(sample.text)}),
                        }
                    )
                bar.update()
    return pd.DataFrame(rows)


def judge(model: Any, sae: SAE, done: Generation, latent: int) -> list[dict[str, float]]:
    """Perplexity, activation and repetition of each sample, by the model as it is now."""
    latent = check_latent(latent, sae.config.d_sae)
    start = len(done.prompt_ids)
    texts = [[*done.prompt_ids, *s.ids] for s in done.samples]
    width = max(map(len, texts))
    ids = torch.tensor([t + [0] * (width - len(t)) for t in texts])  # (n, T)
    mask = torch.tensor([[1] * len(t) + [0] * (width - len(t)) for t in texts]).bool()  # (n, T)
    with models.lock(model), torch.no_grad(), attach(model, sae, error=True) as spliced:
        logits = models.forward(model, ids, mask)  # (n, T, V)
    activation = spliced.codes.column(latent).float().cpu()  # (n, T)
    out = []
    for row, text in enumerate(texts):
        new = torch.tensor(text[start:])
        logp = logits[row, start - 1 : len(text) - 1].float().log_softmax(-1).cpu()  # (new, V)
        nats = -logp.gather(-1, new[:, None]).double()
        out.append(
            {
                "perplexity": float(nats.mean().exp()) if len(new) else float("nan"),
                "activation": float(activation[row, start : len(text)].mean()) if len(new) else float("nan"),
                "repetition": repetition(text[start:]),
            }
        )
    return out


def repetition(ids: Sequence[int], gram: int = _GRAM) -> float:
    """Share of a text's ``gram``-grams that occurred in it before; NaN when it is shorter than one."""
    grams = [tuple(ids[i : i + gram]) for i in range(len(ids) - gram + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else float("nan")


def plot_sweep(frame: pd.DataFrame) -> Any:
    """A plotly figure of a sweep: the latent's activation and the text's perplexity against strength.

    Solid lines are the latents, dotted ones the random controls; means over prompts and samples (of
    perplexity the geometric mean).
    """
    from plotly.colors import qualitative
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1, cols=3, subplot_titles=("activation of the latent", "perplexity", "repetition")
    )
    for number, latent in enumerate(frame["latent"].unique()):
        colour = qualitative.Plotly[number % len(qualitative.Plotly)]
        for control, dash in ((False, "solid"), (True, "dot")):
            mean = _means(frame[(frame["latent"] == latent) & ((frame["control"] >= 0) == control)])
            for column, name in enumerate(_MEASURES, 1):
                figure.add_scatter(
                    x=mean.index,
                    y=mean[name],
                    name=f"{latent}{' (random direction)' if control else ''}",
                    legendgroup=f"{latent}{control}",
                    showlegend=column == 1 and len(mean) > 0,
                    mode="lines+markers",
                    line={"color": colour, "dash": dash},
                    row=1,
                    col=column,
                )
    figure.update_xaxes(title_text="strength")
    figure.update_yaxes(type="log", row=1, col=2)
    return figure


def _means(some: Any) -> pd.DataFrame:
    """By strength; of perplexity the geometric mean."""
    mean = some.assign(perplexity=np.log(some["perplexity"])).groupby("strength")[list(_MEASURES)].mean()
    return mean.assign(perplexity=np.exp(mean["perplexity"]))

"""Many steered generations at once, and what shows where steering works and where it breaks the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from saelab import models
from saelab.display import table_html
from saelab.errors import SaelabError, check_latent, check_pair
from saelab.interventions.steering import attach
from saelab.interventions.edits import MODES, Edit, Intervention
from saelab.interventions.generation import Generation, generate
from saelab.sae import SAE

_MEASURES = ("activation", "perplexity", "repetition")


@dataclass(frozen=True, eq=False)
class Sweep:
    """What :func:`sweep` gives.

    Attributes
    ----------
    frame
        One row per sample: ``prompt``, ``latent``, ``strength``, ``control`` (its number, or −1 for the
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
                        x=mean.index,
                        y=mean[name],
                        name=f"{latent}{' (random direction)' if control else ''}",
                        legendgroup=f"{latent}{control}",
                        showlegend=column == 1 and len(mean) > 0,
                        mode="lines+markers",
                        line={"color": color, "dash": dash},
                        row=1,
                        col=column,
                    )
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
) -> Sweep:
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
    if MODES.get(mode, MODES["add"]).unit != "activation":
        relative = None
    runs = [
        (latent, strength, control, Edit(strength, mode, latent, control=None if control < 0 else control, **common))
        for latent, strength, control in product(latents, strengths, (-1, *range(controls)))
    ]  # fmt: skip
    made = [Intervention.make(sae, edit, relative=relative) for *_, edit in runs]
    rows = []
    with tqdm(total=len(prompts) * len(runs), desc="sweep", disable=not progress, leave=False) as bar:
        for prompt, ((latent, strength, control, _), edits) in product(prompts, zip(runs, made, strict=True)):
            done = generate(model, sae, prompt, edits, **options)
            for n, (sample, line) in enumerate(
                zip(done.samples, judge(model, sae, done, latent), strict=True)
            ):
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
    return Sweep(pd.DataFrame(rows))


def judge(model: Any, sae: SAE, done: Generation, latent: int) -> list[dict[str, float]]:
    """Perplexity, activation and repetition of each sample, by the model as it is now."""
    latent = check_latent(latent, sae.config.d_sae)
    start = len(done.prompt_ids)
    texts = [torch.tensor([*done.prompt_ids, *s.ids]) for s in done.samples]
    ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)  # (n, T)
    mask = torch.arange(ids.shape[1]) < torch.tensor([[len(t)] for t in texts])  # (n, T)
    with models.lock(model), torch.no_grad(), attach(model, sae, error=True) as spliced:
        logits = models.forward(model, ids, mask)  # (n, T, V)
    activation = spliced.codes.column(latent).float().cpu()  # (n, T)
    out = []
    for row, text in enumerate(texts):
        logp = logits[row, start - 1 : len(text) - 1].float().log_softmax(-1).cpu()  # (new, V)
        nats = -logp.gather(-1, text[start:, None]).double()
        out.append(
            {
                "perplexity": float(nats.mean().exp()),
                "activation": float(activation[row, start : len(text)].mean()),
                "repetition": repetition(text[start:].tolist()),
            }
        )
    return out


def repetition(ids: Sequence[int], gram: int = 3) -> float:
    """Share of a text's ``gram``-grams that occurred in it before; NaN when it is shorter than one."""
    grams = [tuple(ids[i : i + gram]) for i in range(len(ids) - gram + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else float("nan")

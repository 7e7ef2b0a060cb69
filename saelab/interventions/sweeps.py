"""Many steered generations at once: where steering works, and where it breaks the text.

:func:`steering_success` asks whether steering does what the label says: each concept's latent against no steering,
random directions, and the other concepts' latents, judged by rules that have nothing to do with the SAE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from saelab import models
from saelab.display import table_html
from saelab.errors import SaelabError, check_count, check_latent, check_latents
from saelab.identity import check_pair, meet, noted
from saelab.interventions.edits import Edit, Intervention
from saelab.interventions.generation import Generation, check_reach, generate, prompt_ids
from saelab.interventions.steering import attach
from saelab.models import HookedModel
from saelab.sae import SAE

Judge = Callable[[str], "str | None"]
FIRST_TEN = (1.0,) * 10 + (0.0,)  # push for ten tokens, then let the model go on by itself
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


def sweep(
    model: HookedModel,
    sae: SAE,
    prompts: models.Texts,
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
    relative = options.pop("relative", None)
    mismatch = meet(model, sae, relative if hasattr(relative, "_facts") else None)
    new = check_count("max_new_tokens", options.setdefault("max_new_tokens", 40))
    bos = options.pop("bos", None)
    prompts = list(models.each_text(prompts, "prompts", model))
    latents = check_latents(latents, sae.config.d_sae)
    strengths = list(strengths)
    for name, values in (("prompts", prompts), ("latents", latents), ("strengths", strengths)):
        if not values:
            raise SaelabError(f"there are no {name} to sweep over")
    fields = ("positions", "when", "above", "schedule")
    common = {k: options.pop(k) for k in fields if k in options}
    runs = []
    for latent, strength, control in product(latents, strengths, (-1, *range(controls))):
        edit = Edit(strength, mode, latent, control=None if control < 0 else control, **common)
        edits = Intervention.make(sae, edit, relative=relative if edit.how.unit == "activation" else None)
        runs.append(({"latent": latent, "strength": float(strength), "control": control}, edits))
    prompts = [prompt_ids(model, sae, [p], new, bos) for p in prompts]
    for prompt in prompts:  # all before the first costs time
        check_reach([(sae, edits) for _, edits in runs], len(prompt), new)
    frames = []
    with tqdm(total=len(prompts) * len(runs), desc="sweep", disable=not progress, leave=False) as bar:
        for prompt, (setting, edits) in product(prompts, runs):
            done = generate(model, sae, prompt, edits, **options)
            sizes = {"sample": range(len(done.samples)), "tokens": [len(s.ids) for s in done.samples]}
            texts = pd.DataFrame({"prompt": done.prompt, **setting, "text": done.texts, **sizes})
            frames.append(texts.join(pd.DataFrame(reading(model, sae, done, setting["latent"]))))
            bar.update()
    columns = ["prompt", "latent", "strength", "control", "sample", "text", "tokens"]
    frame = pd.concat(frames, ignore_index=True)[[*columns, "perplexity", "activation", "repetition"]]
    frame = frame if score is None else frame.assign(score=[score(t) for t in frame["text"]])
    return Sweep(pd.DataFrame(noted(frame, mismatch)))


def reading(model: HookedModel, sae: SAE, done: Generation, latent: int) -> list[dict[str, float]]:
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
        perplexity = (-logp.gather(-1, text[start:, None]).double()).mean().exp()
        fires = activation[row, start : len(text)].mean()
        values = float(fires), float(perplexity), repetition(text[start:].tolist())
        out.append(dict(zip(_MEASURES, values, strict=True)))
    return out


def repetition(ids: Sequence[int], gram: int = 3) -> float:
    """Share of a text's ``gram``-grams that occurred in it before; NaN when it is shorter than one."""
    grams = [tuple(ids[i : i + gram]) for i in range(len(ids) - gram + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else float("nan")


# --------------------------------------------------------------------------------------------- success


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

    def turned_on(self, steered: float = 0.8, unsteered: float = 0.15) -> list[str]:
        """Concepts at least ``steered`` of whose texts are of it, and at most ``unsteered`` without."""
        f = self.frame
        return list(f.loc[(f["steered"] >= steered) & (f["unsteered"] <= unsteered), "concept"])

    def plot(self) -> Any:
        """A plotly figure: of each concept, the shares of texts with and without its latent."""
        import plotly.express as px

        return px.bar(self.frame, "concept", ["steered", "unsteered", "random", "others"], barmode="group")

    def _caption(self) -> str:
        unsteered = self.frame["unsteered_perplexity"].iloc[0]
        return (
            f"{len(self.turned_on())} of {len(self.frame)} concepts turned on (at least 80 % of {self.n} texts "
            f"with the latent, at most 15 % without); perplexity unsteered {unsteered:.3g}"
        )

    def __repr__(self) -> str:
        return f"{self._caption()}\n{self.frame.drop(columns='example').to_string(index=False)}"

    def _repr_html_(self) -> str:
        shown = self.frame.assign(example=[t if len(t) < 60 else t[:59] + "…" for t in self.frame["example"]])
        shown = shown.drop(columns=["tuning", "unsteered_perplexity"])  # in the frame; here they cost width
        shares = dict.fromkeys(("steered", "unsteered", "random", "random_max", "others"), "{:.0%}".format)
        return table_html(self._caption(), shown, formatters=shares, float_format="{:.3g}".format)


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
    >>> found = sl.steering_success(model, sae, {"fox": latent}, lambda text: "fox" if "fox" in text else None,
    ...     relative=index, strengths=[2], n=2, tune=1, controls=1, max_new_tokens=5, progress=False)
    >>> found.frame[["concept", "strength"]].values.tolist()
    [['fox', 2.0]]
    """
    check_pair(model, sae)
    mismatch = meet(model, sae, relative if hasattr(relative, "_facts") else None)
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

    def push(latent: int, strength: float, schedule: Any, control: int | None = None) -> Intervention:
        edit = Edit(strength, latent=latent, schedule=schedule, control=control)
        return Intervention.make(sae, edit, relative=relative)

    for latent in {i for latents in known.values() for i in latents}:
        push(latent, strengths[0], schedules[0])

    def write(count: int, at: int, edits: Intervention | None = None) -> Generation:
        how = {"n": count, "seed": at, "max_new_tokens": max_new_tokens, **options}
        how |= {} if edits is None else {"special": special}
        return generate(model, None if edits is None else sae, prompt, edits, **how)

    def share(made: Generation, concept: str) -> float:
        return float(np.mean([judge(t) == concept for t in made.texts]))

    plain = write(n, seed)
    rows, texts, verdicts = [], {}, {"(none)": [judge(t) for t in plain.texts]}
    plain_perplexity = _perplexity(model, sae, plain)
    for concept, latents in tqdm(known.items(), "steering", disable=not progress, leave=False):
        best, setting = -1.0, (latents[0], strengths[0], schedules[0])
        for schedule, latent, strength in product(schedules, latents, strengths):
            found = share(write(tune, seed + 1, push(latent, strength, schedule)), concept)
            if found > best:
                best, setting = found, (latent, strength, schedule)
            if best >= enough:
                break
        made = write(n, seed, push(*setting))
        pushed = [share(write(n, seed, push(*setting, control=c)), concept) for c in range(controls)]
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
                "unsteered_perplexity": plain_perplexity,
                "example": made.text,
            }
        )
    confusion, frame = _confusion(verdicts, list(known)), pd.DataFrame(rows)
    others = [confusion.drop(index=["(none)", c])[c].max() for c in frame["concept"]]
    frame.insert(list(frame).index("tuning"), "others", others)
    frame = frame.sort_values("steered", ascending=False, kind="stable").reset_index(drop=True)
    return Success(noted(frame, mismatch), confusion, texts, n)


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


def _perplexity(model: HookedModel, sae: SAE, made: Generation) -> float:
    """Geometric mean over the texts, read by the model as it is."""
    values = np.array([line["perplexity"] for line in reading(model, sae, made, 0)])
    return float(np.exp(np.nanmean(np.log(values))))


def _confusion(verdicts: Mapping[str, list[str | None]], concepts: list[str]) -> pd.DataFrame:
    columns = [*concepts, "(none)"]
    shares = {
        pushed: pd.Series([v if v in concepts else "(none)" for v in found]).value_counts(normalize=True)
        for pushed, found in verdicts.items()
    }
    return pd.DataFrame(shares).T.reindex(columns=columns, fill_value=0.0).fillna(0.0)

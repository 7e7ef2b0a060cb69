"""How hard may a latent be pushed? Effect and damage over strengths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from saelab import intervals, models
from saelab.display import Bar, table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_number, is_bool
from saelab.evaluation.batched import Push, beginning, different, draws, write
from saelab.experiments.sweeps import read
from saelab.frames import TextFrame
from saelab.identity import check_pair, noted
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Edit, Intervention
from saelab.interventions.steering import one_site
from saelab.interventions.targets import check_targets, label, listed
from saelab.models import HookedModel
from saelab.sae import SAE

STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
ENOUGH = 0.9  # of the largest effect
GUARD = 10.0  # most that the text's perplexity may be, in units of that of unsteered text


@dataclass(frozen=True, eq=False)
class Calibration:
    """What :func:`calibrate` gives.

    Attributes
    ----------
    frame
        One row per latent and strength (0 is unsteered): ``effect`` (the mean of ``score``; without one, the mean
        activation of the latent in the new text as the unsteered model reads it: how much the text excites the
        latent, not what the text is about); ``perplexity`` of the new text for
        the unsteered model, geometric mean; ``ratio`` to that of unsteered text with its 95 % interval: over prompts
        where there are 20, else over texts that these prompts begin (NaN below 20 different ones); ``repetition``
        (share of 3-grams that occurred before); ``broken`` (share of U+FFFD among the characters); ``inside``
        (``ratio_hi``, the interval's upper end, is at most ``guard``; without an interval ``ratio`` is); ``text``,
        the first one.
    guard
        The largest ratio that counts as undamaged.
    """

    frame: pd.DataFrame
    guard: float

    @property
    def range(self) -> dict[Any, tuple[float, float]]:
        """latent, or a direction's name -> strengths inside the guard: from 0 on, up and (where negative ones were tried)
        down, every strength that was tried is inside up to these."""
        return {
            i: (float(part["strength"].min()), float(part["strength"].max())) for i, part in self._inside()
        }

    @property
    def best(self) -> dict[Any, float]:
        """latent (or a direction's name) -> of the strengths in its range, the weakest that gains nine tenths of the largest
        effect there, counted from that of unsteered text: a few texts cannot tell more, and damage grows with strength."""
        return {
            i: _gentlest(part["strength"].to_numpy(), part["effect"].to_numpy()) for i, part in self._inside()
        }

    def _inside(self) -> list[tuple[Any, Any]]:
        frame: Any = self.frame.sort_values("strength", key=np.abs, kind="stable")
        up, inside = frame["strength"] >= 0, frame["inside"] | (frame["strength"] == 0)
        kept = frame[inside.groupby([frame["latent"], up]).cummin()]
        parts = kept.groupby("latent", sort=False)
        return [(i if isinstance(i, str) else int(i), part) for i, part in parts]

    def plot(self) -> Any:
        """A plotly figure: each latent's effect and ratio of perplexity against strength; the guard is dotted.

        Examples
        --------
        >>> found = sl.calibrate(model, sae, [latent], ["The"], n=2, max_new_tokens=5, progress=False)
        >>> len(found.plot().data)
        2
        """
        from plotly.subplots import make_subplots

        figure = make_subplots(1, 2, subplot_titles=("effect", "perplexity, in units of unsteered text"))
        for latent, part in self.frame.groupby("latent", sort=False):
            for column, name in enumerate(("effect", "ratio"), 1):
                figure.add_scatter(
                    x=part["strength"], y=part[name], name=_called(latent), legendgroup=str(latent),
                    showlegend=column == 1, mode="lines+markers", row=1, col=column,
                )  # fmt: skip
        figure.add_hline(self.guard, line_dash="dot", row=1, col=2)  # type: ignore[arg-type]
        return figure.update_xaxes(title_text="strength").update_yaxes(type="log", row=1, col=2)

    def _caption(self) -> str:
        said = "; ".join(
            f"{_called(i)}: {f'best {best:g}' if best else self._without(i)}"
            for i, best in list(self.best.items())[:5]
        )
        high: Any = self.frame.get("ratio_hi")
        few = high is not None and bool(high.isna().any())
        none = f"; no interval of a ratio: fewer than {intervals.LEAST} different texts" if few else ""
        return f"Calibration, guard: perplexity at most {self.guard:g} × that of unsteered text; {said}{none}"

    def _without(self, latent: Any) -> str:
        part = self.frame[self.frame["latent"] == latent]
        plain = part.loc[part["strength"] == 0, "effect"].max()
        return (
            "none inside the guard had an effect" if (part["effect"] > plain).any() else "none had an effect"
        )

    def __repr__(self) -> str:
        return f"{self._caption()}\n{self.frame.drop(columns='text').to_string(index=False)}"

    def _repr_html_(self) -> str:
        return table_html(self._caption(), self.frame, float_format="{:.3g}".format, max_rows=40)


@door
def calibrate(
    model: HookedModel,
    sae: SAE | None,
    latents: Iterable[int | Direction],
    prompts: models.Texts | None = None,
    *,
    relative: Any = None,
    strengths: Iterable[float] = STRENGTHS,
    schedule: Sequence[float] | None = None,
    guard: float = GUARD,
    n: int = 8,
    max_new_tokens: int = 40,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    special: bool = False,
    score: Callable[[str], Any] | None = None,
    progress: bool = True,
) -> Calibration:
    """Write with each latent at each strength, and measure effect and damage.

    With an index as ``relative``, the best strength and the largest inside the guard are kept beside it
    (``steer_best`` and ``steer_limit`` of ``index.to_frame()``); then ``{latent: "auto"}`` steers with the best, with the
    same index as ``relative`` again; it is refused where no strength had an effect.

    Parameters
    ----------
    latents
        Latents and directions; of directions alone at one hook point the SAE may be None.
    prompts
        Texts to continue, equal ones once; None begins with BOS alone, and pushes there too.
    relative
        Strengths are in units of each latent's maximum: a ``LatentIndex`` or ``{latent: maximum}``. None: in units
        of its activation.
    strengths
        All are written in the same passes, with the same random numbers.
    schedule
        As in :class:`saelab.Edit`.
    guard
        See :class:`Calibration`.
    n
        Texts per prompt, latent and strength; one at temperature 0, where all would be equal.
    score
        ``f(new text) -> number or bool``: the effect, such as whether it is of a genre.

    Raises
    ------
    SaelabError
        Before anything runs: nothing to try, latents out of range or without a maximum.

    Examples
    --------
    >>> found = sl.calibrate(model, sae, [latent], ["The"], relative=index, n=2, max_new_tokens=5, progress=False)
    >>> found.range[latent][0]
    0.0
    """
    latents = listed(latents)
    sae = one_site(model, sae, latents)
    mismatch = check_pair(model, sae, relative, *(t for t in latents if isinstance(t, Direction)))
    models.check_predicts(model, "calibration")
    n, new = check_count("n", n, high=1 << 16), check_count("max_new_tokens", max_new_tokens)
    n = draws(n, temperature, top_k)
    chosen = check_targets(latents, sae)
    guard = check_number("guard", guard, 1.0)  # unsteered text has 1
    tried = [0.0, *sorted({check_number("strengths", s) for s in strengths} - {0.0})]
    if len(tried) == 1:
        raise SaelabError("there are no strengths to try")
    texts = [None] if prompts is None else list(models.each_text(prompts, "prompts", model))
    if not texts:
        raise SaelabError("prompts is empty: give at least one, or None to begin with BOS alone")
    begun = different([beginning(model, text, sae, new) for text in texts])
    special = special or prompts is None
    edits = [
        Intervention.make(sae, Edit(s, latent=i), relative=relative).edits[0]
        for i, s in product(chosen, tried)
    ]
    at = None if schedule is None else Edit(schedule=tuple(schedule)).schedule
    pushes = [replace(Push.of(sae, e), schedule=at) for e in edits]
    lines: list[list[dict[str, Any]]] = [[] for _ in edits]
    how = {"n": n, "seed": seed, "max_new_tokens": new, "temperature": temperature}
    how |= {"top_k": top_k, "special": special}
    of_one = len(edits) * n * new  # tokens at most: texts that end early are counted to their end
    bar = Bar(total=len(begun) * of_one, desc="calibrate", unit="tok", unit_scale=True, disable=not progress)
    for place, prompt in enumerate(begun, 1):
        made = write(model, sae, prompt, pushes, told=bar.update, **how)  # type: ignore[arg-type]
        bar.update(place * of_one - bar.n)
        samples = [s for some in made for s in some]
        named = [e.key[0] for e in edits for _ in range(n)]
        seen = read(model, sae, prompt, samples, named if score is None else ())
        seen["effect"] = (
            seen["activation"] if score is None else np.array([_number(score(s.text)) for s in samples])
        )
        for k, sample in enumerate(samples):
            line = {"prompt": tuple(prompt), "text": sample.text}
            lines[k // n].append(line | {name: values[k] for name, values in seen.items()})
    bar.close()
    rows: list[dict[str, Any]] = []
    plain: Any = None
    for edit, some in zip(edits, lines, strict=True):
        part = pd.DataFrame(some)
        plain = part["nats"] if edit.strength == 0 else plain  # which comes first of each latent
        rows.append(
            {"latent": label(edit.key[0]), "strength": edit.strength, **_measured(part, plain, guard)}
        )
    found = Calibration(TextFrame(noted(TextFrame(rows), mismatch)), guard)
    measured = [i for i in chosen if isinstance(i, int)]
    if hasattr(relative, "kept") and measured:
        settings = {
            "by": "calibrate",
            "prompts": begun,
            "strengths": tried,
            "guard": guard,
            "schedule": at,
            **how,
        }
        columns = {
            "steer_best": np.array([found.best[i] for i in measured]),
            "steer_limit": np.array([found.range[i][1] for i in measured]),
        }
        relative.kept.put(np.array(measured), columns, settings)
    return found


def _gentlest(strength: np.ndarray, effect: np.ndarray) -> float:
    """Of strengths from 0 on, see :attr:`Calibration.best`; 0 where no effect is a number."""
    gain = np.nan_to_num(effect - (effect[0] if np.isfinite(effect[0]) else 0.0), nan=-np.inf)
    return float(strength[np.argmax(gain >= ENOUGH * max(gain.max(), 0.0))])


def _called(name: Any) -> str:
    return name if isinstance(name, str) else f"latent {name}"


def _number(given: Any) -> float:
    return check_number("score", float(given) if is_bool(given) else given)


def _measured(part: pd.DataFrame, plain: pd.Series, guard: float) -> dict[str, Any]:
    """One row of the frame from its texts and the nats of the unsteered ones."""
    change: Any = (part["nats"] - plain).dropna()
    of_prompt = change.groupby(part["prompt"]).mean()
    several = part.loc[change.index, ["prompt", "text"]].drop_duplicates()  # few at a low temperature
    texts = change[:0] if len(several) < intervals.LEAST else change
    counted = of_prompt if len(of_prompt) >= intervals.LEAST else texts
    low, high = intervals.of_means(counted.to_numpy()[:, None])
    ratio = float(np.exp(change.mean())) if len(change) else np.nan
    high_ratio = float(np.exp(high[0]))
    most = ratio if np.isnan(high_ratio) else high_ratio
    means = part[["effect", "repetition", "broken"]].mean().to_dict()
    return {
        "effect": means["effect"], "perplexity": float(np.exp(part["nats"].mean())), "ratio": ratio,
        "ratio_lo": float(np.exp(low[0])), "ratio_hi": high_ratio, "repetition": means["repetition"],
        "broken": means["broken"], "inside": most <= guard, "text": part["text"].iloc[0],
    }  # fmt: skip

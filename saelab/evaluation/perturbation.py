"""Targeted probe perturbation: does taking away a concept's latents hurt that concept alone?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.evaluation.probes import probe
from saelab.evaluation.sample import Sample, pick, sample, written
from saelab.models import HookedModel
from saelab.sae import SAE


@door
def probe_perturbation(
    model: HookedModel,
    sae: SAE,
    rows: models.TokenRows,
    labels: Any,
    *,
    concepts: Sequence[str] | None = None,
    n: int | Sequence[int] = (2, 5, 10, 20, 50),
    examples: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Ablate the latents of one concept and see whose probe suffers (SAEBench's TPP).

    A linear probe is fitted for every concept in the activations. For concept i the n latents that help its probe
    most, by (difference in mean activation) x (decoder row · probe) as far as that is positive, are taken away, the
    SAE's error being kept, and the probes are asked again on held-out tokens. Score = the accuracy that probe i
    loses on its own examples, minus what the other probes lose on theirs, on average. 0.5 would be all, for one
    concept alone.

    Parameters
    ----------
    concepts
        At least two that exclude each other: genres, or the parts of one. Where one holds another, "unintended"
        losses are as they should be.
    n
        How many latents are taken away; several values give several lines.
    rows, labels, examples, seed
        As in :func:`saelab.evaluation.probe_loss`.

    Returns
    -------
    DataFrame
        One line per n and concept: ``intended``, ``unintended``, ``score``, ``accuracy`` (of the probe before), and
        ``latents``, how many there were to take. ``frame.groupby("n").score.mean()`` is SAEBench's number.

    Examples
    --------
    >>> rows = sl.models.tokenize_texts(model, texts * 8)
    >>> even = rows.ids % 2 == 0
    >>> frame = sl.evaluation.probe_perturbation(model, sae, rows, {"even": even, "odd": ~even}, n=2)
    >>> frame["concept"].tolist()
    ['even', 'odd']
    """
    counts = [check_count("n", v) for v in ([n] if isinstance(n, int) else n)]
    if not counts:
        raise SaelabError("n is empty: give how many latents to take away, such as (2, 5, 10)")
    s = sample(model, sae, rows, labels, concepts=concepts, examples=examples, seed=seed)
    if len(s.tasks) < 2:
        raise SaelabError(
            f"it takes two concepts to tell intended from unintended, got {[t.name for t in s.tasks]}"
        )
    return perturb(s, counts)


@torch.no_grad()
def perturb(s: Sample, counts: Sequence[int]) -> pd.DataFrame:
    """See :func:`probe_perturbation`."""
    probes = [probe(s, task) for task in s.tasks]
    codes = [pick(s.codes, task.test) for task in s.tasks]
    before = [_accuracy(s, i, probes[i], None) for i in range(len(s.tasks))]
    lines = []
    for i, task in enumerate(s.tasks):
        effect = s.difference(task) * (s.sae.W_dec.detach().cpu().float() @ probes[i][0]).double()  # (d_sae)
        order = effect.argsort(descending=True, stable=True)
        order = order[effect[order] > 0]
        for count in counts:
            lost = [
                before[j] - _accuracy(s, j, probes[j], written(s.sae, codes[j], order[:count]))
                for j in range(len(s.tasks))
            ]
            others = sum(lost) - lost[i]
            lines.append(
                {"n": count, "concept": task.name, "intended": lost[i], "unintended": others / (len(lost) - 1),
                 "score": lost[i] - others / (len(lost) - 1), "accuracy": before[i],
                 "latents": min(count, len(order))}
            )  # fmt: skip
    frame = pd.DataFrame(lines).sort_values("n", kind="stable", ignore_index=True)
    return s.table(frame)


def _accuracy(s: Sample, j: int, probe: tuple[Tensor, Tensor], less: Tensor | None) -> float:
    """Of probe j on its held-out examples, after ``less`` (m, d_out) is taken from the activations."""
    task, (w, b) = s.tasks[j], probe
    y = s.y[task.test] if less is None else s.y[task.test] - less
    return float(((y @ w + b > 0) == task.y_test).double().mean())

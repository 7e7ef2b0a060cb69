"""Do single latents, or a few of them, know a concept? Probe loss and sparse probing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import logistic, models
from saelab.display import Bar
from saelab.doors import door
from saelab.errors import SaelabError, check_count
from saelab.evaluation.sample import Sample, Task, sample
from saelab.index.stats import f1
from saelab.models import HookedModel
from saelab.sae import SAE

_CELLS = 1 << 19  # tokens x latents fitted together: few enough to stay in a processor's cache
_ROUGH, _FINAL = 5, 64  # Newton steps for every latent; how many latents are then fitted to the end


@door
@torch.no_grad()
def probe_loss(
    model: HookedModel,
    sae: SAE,
    rows: models.TokenRows,
    labels: Any,
    *,
    concepts: Sequence[str] | None = None,
    examples: int = 500,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """The loss of the best single latent for each concept (Gao et al. 2024, section 4.2).

    For every latent i the logistic ``sigmoid(w z_i + b)`` of its pre-activation ``z_i`` is fitted by Newton's method
    to tell tokens with the concept from as many without. The latent that does best on one half of the documents is
    taken; ``loss`` is its cross-entropy on the other half, in nats: ln 2 = 0.693 knows nothing, 0 knows all. (The
    paper takes the minimum on the examples it fits; that is ``train_loss`` here.)

    Parameters
    ----------
    rows, labels, concepts, examples, seed
        See :func:`saelab.evaluation.sample.sample`: token rows, what each token carries, which concepts, and how
        many tokens of each class in each half.

    Returns
    -------
    DataFrame
        One line per concept: ``loss``, ``latent``, ``weight`` and ``bias`` of its logistic, ``accuracy``,
        ``train_loss``; ``channel_loss`` and ``channel``, the same for the best single channel of the input, which
        needs no SAE; ``examples``, the held-out tokens.

    Examples
    --------
    >>> rows = sl.models.tokenize_texts(model, texts * 8)
    >>> even = rows.ids % 2 == 0
    >>> sl.evaluation.probe_loss(model, sae, rows, {"even": even}, progress=False)["concept"].tolist()
    ['even']
    """
    s = sample(model, sae, rows, labels, concepts=concepts, examples=examples, seed=seed)
    normed = sae.normalize(s.x.to(sae.W_enc.device))[0]  # (n, d_in)
    lines = []
    for task in Bar(s.tasks, desc="probe", disable=not progress):
        latent = _best(normed, sae.W_enc, task)
        channel = _best(s.x, None, task)
        lines.append(
            {"concept": task.name, "loss": latent[0], "latent": latent[1], "weight": latent[2], "bias": latent[3],
             "accuracy": latent[4], "train_loss": latent[5], "channel_loss": channel[0], "channel": channel[1],
             "examples": len(task.test)}
        )  # fmt: skip
    return s.table(lines)


def _best(x: Tensor, weight: Tensor | None, task: Task) -> tuple[float, int, float, float, float, float]:
    """Held-out loss, column, w, b, held-out accuracy and train loss of the best column of ``x @ weight``."""
    train, test = x[task.train.to(x.device)], x[task.test.to(x.device)]
    y_train, y_test = task.y_train.to(x.device), task.y_test.to(x.device)
    columns = x.shape[1] if weight is None else weight.shape[1]
    width = max(1, _CELLS // len(train))
    rough = []
    for first in range(0, columns, width):
        last = min(first + width, columns)
        z = train[:, first:last] if weight is None else train @ weight[:, first:last]  # (n, m)
        w, b = logistic.single(z.float(), y_train, steps=_ROUGH)
        rough.append(logistic.loss(z.float() * w + b, y_train))  # (m,)
    # Newton's method is so near its end after a few steps that the best column is among the best of these
    final = torch.cat(rough).argsort()[:_FINAL]  # (f,)
    z = (train[:, final] if weight is None else train @ weight[:, final]).double()  # (n, f)
    w, b = logistic.single(z, y_train)
    losses = logistic.loss(z * w + b, y_train)  # (f,)
    i = int(losses.argmin())
    column = final[i]
    score = (test[:, column] if weight is None else test @ weight[:, column]).double() * w[i] + b[i]  # (n,)
    right = float(((score > 0) == y_test).double().mean())
    held_out = float(logistic.loss(score, y_test))
    return held_out, int(column), float(w[i]), float(b[i]), right, float(losses[i])


@door
@torch.no_grad()
def sparse_probing(
    model: HookedModel,
    sae: SAE,
    rows: models.TokenRows,
    labels: Any,
    *,
    k: int | Sequence[int] = (1, 2, 5),
    concepts: Sequence[str] | None = None,
    examples: int = 500,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Accuracy of a logistic regression on k latents (as in SAEBench, but for tokens, not for pooled texts).

    The k latents are those whose mean activation differs most between tokens with the concept and tokens without.
    Chosen and fitted on one half of the documents, scored on the other; both classes are equally many, so 0.5
    knows nothing.

    Parameters
    ----------
    k
        How many latents; several values give several lines.
    rows, labels, concepts, examples, seed
        As in :func:`probe_loss`.

    Returns
    -------
    DataFrame
        One line per concept and k: ``accuracy``, ``latents`` (a tuple), ``channels_accuracy`` (the same with the k
        input channels that differ most, in units of their standard deviation) and ``full_accuracy`` (a regression
        on all channels of the input: what there is to be known).

    Examples
    --------
    >>> rows = sl.models.tokenize_texts(model, texts * 8)
    >>> even = rows.ids % 2 == 0
    >>> sl.evaluation.sparse_probing(model, sae, rows, {"even": even}, progress=False)["k"].tolist()
    [1, 2, 5]
    """
    counts = [check_count("k", n) for n in ([k] if isinstance(k, int) else k)]
    if not counts:
        raise SaelabError("k is empty: give how many latents, such as (1, 2, 5)")
    if max(counts) > sae.config.d_sae:
        raise SaelabError(f"k={max(counts)} is more than the {sae.config.d_sae} latents there are")
    s = sample(model, sae, rows, labels, concepts=concepts, examples=examples, seed=seed)
    lines = []
    for task in Bar(s.tasks, desc="probe", disable=not progress):
        order = s.difference(task).abs().argsort(descending=True, stable=True)  # (d_sae)
        x = s.x[task.train].double()  # (m, d_in)
        spread = x.std(0).clamp_min(1e-12)
        apart = (x[task.y_train].mean(0) - x[~task.y_train].mean(0)) / spread
        channels = apart.abs().argsort(descending=True, stable=True)  # (d_in)
        full = accuracy(s.x[task.train], s.x[task.test], task)
        for n in counts:
            chosen = order[:n]
            lines.append(
                {"concept": task.name, "k": n,
                 "accuracy": accuracy(s.latents(task.train, chosen), s.latents(task.test, chosen), task),
                 "latents": tuple(chosen.tolist()),
                 "channels_accuracy": accuracy(s.x[task.train][:, channels[:n]], s.x[task.test][:, channels[:n]], task),
                 "full_accuracy": full}
            )  # fmt: skip
    return s.table(lines)


def accuracy(train: Tensor, test: Tensor, task: Task) -> float:
    """Held-out accuracy of a logistic regression from ``train`` (m, k) and ``test`` (m', k)."""
    w, b = logistic.several(train, task.y_train)
    return float(((test.double() @ w + b > 0) == task.y_test).double().mean())


def probe(s: Sample, task: Task) -> tuple[Tensor, Tensor]:
    """A linear probe for a concept in what the SAE's output is compared with: w (d_out,), b (), float32."""
    w, b = logistic.several(s.y[task.train], task.y_train)
    return w.float(), b.float()


def best_latents(s: Sample, task: Task, gain: float, most: int) -> np.ndarray:
    """The latents that stand for a concept: those that differ most, as long as each raises the F1 of a logistic
    regression on them (on the train half) by more than ``gain``."""
    order = s.difference(task).argsort(descending=True, stable=True)[:most]
    best, n = -1.0, 0
    for k in range(1, len(order) + 1):
        z = s.latents(task.train, order[:k]).double()
        w, b = logistic.several(z, task.y_train)
        said = z @ w + b > 0
        reached = f1(*(int(x.sum()) for x in (said & task.y_train, said, task.y_train)))
        if reached <= best + (gain if k > 1 else 0.0):
            break
        best, n = reached, k
    return order[: max(n, 1)].numpy()

"""Absorption: a general latent falls silent where a special one says the same in passing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from saelab import models
from saelab.doors import door
from saelab.errors import SaelabError, check_choice, check_count
from saelab.evaluation.probes import best_latents, probe
from saelab.evaluation.sample import Sample, Task, pick, sample
from saelab.index.concepts import compressed
from saelab.models import HookedModel
from saelab.sae import SAE

# SAEBench's settings
GAIN, MOST, COSINE, SHARE = 0.03, 10, 0.025, 0.4


@door
def absorption(
    model: HookedModel,
    sae: SAE,
    rows: models.TokenRows,
    labels: Any,
    *,
    concepts: Sequence[str] | None = None,
    examples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """How often a concept's own latents are silent and another latent stands in for them.

    (Chanin et al. 2024, in SAEBench's form, on nested concepts in place of first letters.) For a concept such as
    ``http``: its *main* latents are the one that differs most between tokens with it and without, and the next ones
    as long as each raises the F1 of a logistic regression on them by more than 0.03, at most 10. On held-out tokens
    of the concept that a linear probe in the activations finds, the concept is *absorbed* if every main latent is
    silent, and of the active latents the one that adds most along the probe has a decoder row with cosine at least
    0.025 to the probe and brings at least 40 % of what the probe sees. What the probe sees is ``w · (y - ȳ)``, ȳ the
    mean over train tokens without the concept, as the activations of an MLP are not centred.

    Parameters
    ----------
    concepts
        Which; None takes every concept that has parts, those named ``<concept>.<part>``.
    rows, labels, examples, seed
        As in :func:`saelab.evaluation.probe_loss`.

    Returns
    -------
    DataFrame
        For every concept one line with ``part`` empty, for all its tokens, and one for each part that occurs:
        ``tokens`` (held out and found by the probe), ``absorbed``, ``rate`` (NaN without tokens), ``absorber`` (the
        latent that stands in most often, or None), ``main`` (the main latents).

    Examples
    --------
    >>> rows = sl.models.tokenize_texts(model, texts * 8)
    >>> even = rows.ids % 2 == 0
    >>> nested = {"even": even, "even.four": even & (rows.ids % 4 == 0)}
    >>> sl.evaluation.absorption(model, sae, rows, nested)["part"].tolist()
    ['', 'even.four']
    """
    check_count("examples", examples)
    names, ptr, carried = compressed(labels, rows)
    parts = {c: [p for p in names if p.startswith(f"{c}.")] for c in names}
    for c in concepts or ():
        check_choice("concept", c, names)
    chosen = list(concepts) if concepts is not None else None
    if chosen is None:
        # of those with parts, the ones with enough examples are found by drawing them
        nested = {c for c in names if parts[c]}
        if not nested:
            raise SaelabError(
                "no concept has parts: name them as in 'http' and 'http.method', or give concepts"
            )
        keep = [names.index(c) for c in sorted(nested, key=names.index)]
        carrier = np.repeat(np.arange(rows.n_tokens), np.diff(ptr))
        columns = {names[i]: np.bincount(carrier[carried == i], minlength=rows.n_tokens) > 0 for i in keep}
        s = sample(model, sae, rows, columns, examples=examples, seed=seed)
    else:
        s = sample(model, sae, rows, labels, concepts=chosen, examples=examples, seed=seed)
    lines = []
    for task in s.tasks:
        where = {}
        for part in parts[task.name]:
            i = names.index(part)
            where[part] = np.array([i in carried[ptr[t] : ptr[t + 1]] for t in s.token[task.test.numpy()]])
        lines += absorbed(s, task, where)
    return s.table(lines)


@torch.no_grad()
def absorbed(s: Sample, task: Task, parts: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Lines of :func:`absorption` for one concept; ``parts``: (test tokens,) bool each."""
    w, b = probe(s, task)
    main = best_latents(s, task, GAIN, MOST)
    middle = s.y[task.train][~task.y_train].mean(0)  # (d_out)
    y = s.y[task.test]
    found = (task.y_test & (y @ w + b > 0)).numpy()  # (m,)
    seen = (y - middle) @ w  # (m,)
    codes = pick(s.codes, task.test)
    rows = codes.rows()
    decoder = s.sae.W_dec.detach().cpu().float()
    along = decoder @ w  # (d_sae)
    cosine = along / (decoder.norm(dim=1) * w.norm()).clamp_min(1e-12)
    adds = codes.values.float() * along[codes.indices]  # (nnz,)
    if codes.stats is not None:
        unit = codes.stats[1].float()  # (m, 1 or d_out)
        if unit.shape[1] == 1:
            adds = adds * unit[rows, 0]
        else:  # a scale per output channel turns the decoder's row before it meets the probe
            adds = codes.values.float() * ((decoder[codes.indices] * unit[rows]) @ w)
    top = torch.full((len(y),), -torch.inf).scatter_reduce(0, rows, adds, "amax")  # (m,)
    which = torch.full((len(y),), -1)
    best = adds == top[rows]
    which[rows[best]] = codes.indices[best]
    silent = torch.ones(len(y), dtype=torch.bool)
    silent[rows[torch.isin(codes.indices, torch.from_numpy(main))]] = False
    stands_in = (
        silent & (which >= 0) & (cosine[which.clamp_min(0)] >= COSINE) & (top >= SHARE * seen) & (seen > 0)
    )
    lines = []
    for part, inside in {"": np.ones(len(y), bool), **parts}.items():
        on = found & inside
        if part and not (inside & task.y_test.numpy()).any():
            continue
        hit = stands_in.numpy() & on
        who = np.bincount(which.numpy()[hit]) if hit.any() else np.zeros(1)
        lines.append(
            {"concept": task.name, "part": part, "tokens": int(on.sum()), "absorbed": int(hit.sum()),
             "rate": hit.sum() / on.sum() if on.any() else float("nan"),
             "absorber": int(who.argmax()) if hit.any() else None, "main": tuple(main.tolist())}
        )  # fmt: skip
    return lines

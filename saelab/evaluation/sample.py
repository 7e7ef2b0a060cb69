"""Activations and latents at a balanced sample of labelled tokens, for the metrics that ask about concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab import models
from saelab.errors import SaelabError, check_choice, check_count
from saelab.identity import check_pair, check_unchanged, noted
from saelab.index.concepts import compressed, of_what
from saelab.interventions import SAEAtHook
from saelab.models import HookedModel
from saelab.sae import SAE, Codes, ops

LEAST = 10  # examples of a class, in each half of the documents, without which a concept is no task


@dataclass(frozen=True, eq=False)
class Task:
    """Which rows of a :class:`Sample` are the examples of one concept, as many with it as without.

    Attributes
    ----------
    name
        The concept.
    train, test
        Rows of the sample; no document is in both.
    y_train, y_test
        Whether each carries the concept.
    """

    name: str
    train: Tensor
    y_train: Tensor
    test: Tensor
    y_test: Tensor


@dataclass(frozen=True, eq=False)
class Sample:
    """What an SAE reads, is meant to write, and says about n tokens.

    Attributes
    ----------
    token
        (n,) flat index of each token in the rows.
    x, y
        (n, d_in) what the SAE reads, (n, d_out) what its output is compared with (x itself, if not a transcoder).
    codes
        The active latents.
    tasks
        One per concept.
    mismatch
        What does not belong together here and was allowed.
    halves
        Documents that latents and probes are chosen and fitted on, and those that they are scored on.
    labels
        Of what the labels are known to be.
    """

    sae: SAE
    token: np.ndarray
    x: Tensor
    y: Tensor
    codes: Codes
    tasks: tuple[Task, ...]
    mismatch: tuple[str, ...] = ()
    halves: tuple[int, int] = (0, 0)
    labels: str = ""

    def table(self, lines: Any) -> pd.DataFrame:
        """The result, which says in ``attrs`` which documents chose and which scored."""
        frame = pd.DataFrame(lines)
        chosen, scored = self.halves
        frame.attrs |= {"chosen_on": f"{chosen:,} documents", "scored_on": f"{scored:,} other documents"}
        frame.attrs["labels"] = self.labels
        return noted(frame, self.mismatch)

    def latents(self, rows: Tensor, chosen: Tensor) -> Tensor:
        """(m, k) activations of ``chosen`` latents (k,) on ``rows`` (m,) of the sample."""
        part = pick(self.codes, rows)
        column = torch.full((self.sae.config.d_sae,), -1)
        column[chosen] = torch.arange(len(chosen))
        at = column[part.indices]
        out = torch.zeros(len(rows), len(chosen))
        out[part.rows()[at >= 0], at[at >= 0]] = part.values[at >= 0].float()
        return out

    def difference(self, task: Task) -> Tensor:
        """(d_sae,) mean activation on the task's train tokens with the concept minus that on those without."""
        part = pick(self.codes, task.train)
        sign = torch.where(task.y_train, 1 / task.y_train.sum(), -1 / (~task.y_train).sum())  # (m,)
        out = torch.zeros(self.sae.config.d_sae, dtype=torch.float64)
        return out.index_add_(0, part.indices, part.values.double() * sign.double()[part.rows()])


def sample(
    model: HookedModel,
    sae: SAE,
    rows: models.TokenRows,
    labels: Any,
    *,
    concepts: Sequence[str] | None = None,
    examples: int = 500,
    seed: int = 0,
    batch_tokens: int = 8192,
) -> Sample:
    """Draw examples of every concept and run the model on their rows.

    Parameters
    ----------
    rows, labels
        Token rows and what they carry: ``saelab.zoo.labelled_rows``, or ``{concept: bool per token}``.
    concepts
        Which; None takes all with at least 10 examples of both classes in both halves of the documents.
    examples
        At most this many tokens of each class in each half.
    seed
        Of the split of the documents into halves, and of the draw.

    Raises
    ------
    SaelabError
        For an unknown concept, one that was asked for and has too few examples, or when none has enough.
    """
    check_unchanged(model, "a score")
    mismatch = check_pair(model, sae)
    check_count("examples", examples, LEAST)
    if isinstance(concepts, str):
        raise SaelabError(
            f"concepts must be a list of names, got the string {concepts!r}; use [{concepts!r}]"
        )
    if not isinstance(rows, models.TokenRows):
        raise SaelabError(
            "labels belong to tokens, so texts must be given as the token rows they were made for"
        )
    rows = models.tokenize_texts(model, rows)  # refuses those of another tokenizer
    names, ptr, concept = compressed(labels, rows)
    for name in concepts or ():
        check_choice("concept", name, names)
    rng = np.random.default_rng(seed)
    counted = np.flatnonzero(models.valid_mask(model, np.asarray(rows.ids)))
    of_row = rows.distinct()  # a copy is in the half of its original
    documents = int(of_row.max(initial=-1)) + 1
    in_train = np.zeros(documents, bool)
    in_train[rng.permutation(documents)[: documents // 2]] = True
    train = in_train[of_row[rows.locate(counted)[0]]]  # (counted,)
    sides = [counted[train], counted[~train]]
    # what lacks a concept is drawn from one pool for all concepts, so that few rows need running
    pools = [rng.permutation(side)[: 4 * examples] for side in sides]
    carrier = np.repeat(np.arange(rows.n_tokens), np.diff(ptr))  # (m,) token of each label
    drawn: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for name in concepts if concepts is not None else names:
        carries = np.zeros(rows.n_tokens, bool)
        carries[carrier[concept == names.index(name)]] = True
        halves = []
        for side, pool in zip(sides, pools, strict=True):
            yes, no = side[carries[side]], pool[~carries[pool]]
            n = min(len(yes), len(no), examples)
            halves.append((rng.choice(yes, n, replace=False) if n else yes[:0], no[:n]))
        least = min(len(a) for a, _ in halves)
        if least >= LEAST:
            drawn[name] = halves
        elif concepts is not None:
            raise SaelabError(
                f"concept {name!r} has {least} examples of a class in a half of these documents; it takes {LEAST}"
            )
    if not drawn:
        raise SaelabError(
            f"no concept has {LEAST} examples of both classes in both halves of these documents"
        )
    token = np.unique(np.concatenate([t for halves in drawn.values() for pair in halves for t in pair]))
    x, y, codes = _run(model, sae, rows, token, batch_tokens)
    tasks = tuple(_task(n, h, token) for n, h in drawn.items())
    halves = int(in_train.sum()), int((~in_train).sum())
    return Sample(sae, token, x, y, codes, tasks, mismatch, halves, of_what(labels))


def _task(name: str, halves: list[tuple[np.ndarray, np.ndarray]], token: np.ndarray) -> Task:
    parts = []
    for yes, no in halves:
        parts.append(torch.from_numpy(np.searchsorted(token, np.concatenate([yes, no]))))
        parts.append(torch.arange(len(yes) + len(no)) < len(yes))
    return Task(name, *parts)


@torch.no_grad()
def _run(
    model: HookedModel, sae: SAE, rows: models.TokenRows, token: np.ndarray, batch_tokens: int
) -> tuple[Tensor, Tensor, Codes]:
    site = SAEAtHook(model, sae)
    places = list(dict.fromkeys([*site.reads, *site.writes]))
    x, y = torch.empty(len(token), sae.config.d_in), torch.empty(len(token), sae.W_dec.shape[1])
    for batch in rows.batches_of(np.unique(rows.locate(token)[0]), batch_tokens):
        found = models.run_to_hooks(model, batch.ids, places, batch.mask)
        place = np.searchsorted(token, batch.flat)  # (B, T)
        wanted = (batch.flat >= 0) & (token[np.minimum(place, len(token) - 1)] == batch.flat)
        at, on = torch.from_numpy(place[wanted]), torch.from_numpy(wanted)
        for out, hooks in ((x, site.reads), (y, site.writes)):
            out[at] = torch.cat([found[h][on.to(found[h].device)].float().cpu() for h in hooks], -1)
    parts = [sae.encode_sparse(part) for part in x.split(batch_tokens)]
    return x, y, _joined(parts)


def _joined(parts: Sequence[Codes]) -> Codes:
    """Codes of several batches as one, on the CPU."""
    stats = parts[0].stats and tuple(torch.cat([p.stats[i].cpu() for p in parts if p.stats]) for i in (0, 1))
    made = Codes.joined(parts, (sum(p.n_rows for p in parts),), stats)  # type: ignore[arg-type]
    return replace(made, values=made.values.cpu(), indices=made.indices.cpu(), offsets=made.offsets.cpu())


def pick(codes: Codes, rows: Tensor) -> Codes:
    """The codes of some rows (m,), in their order."""
    counts = codes.offsets.diff()[rows]  # (m,)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    within = torch.arange(int(offsets[-1])) - torch.repeat_interleave(offsets[:-1], counts)
    at = torch.repeat_interleave(codes.offsets[:-1][rows], counts) + within  # (nnz,)
    stats = codes.stats and tuple(s[rows] for s in codes.stats)
    return Codes(codes.values[at], codes.indices[at], offsets, (len(rows),), codes.d_sae, stats)  # type: ignore[arg-type]


def written(sae: SAE, codes: Codes, chosen: Tensor) -> Tensor:
    """(rows, d_out) what the latents ``chosen`` (k,) add to the output: activation times decoder row, in the
    output's own units."""
    wanted = torch.zeros(codes.d_sae, dtype=torch.bool)
    wanted[chosen] = True
    values = torch.where(wanted[codes.indices], codes.values, torch.zeros_like(codes.values))
    out = ops.weighted_rows(sae.W_dec.detach().cpu(), codes.indices, codes.offsets, values).float()
    return out if codes.stats is None else out * codes.stats[1].float()

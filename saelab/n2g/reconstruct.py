"""Explanation reconstruction: let the model run on what the graphs say its latents are.

Every latent is simulated by its graph, times the graph's scale (sum s·a / sum s² on the train documents); a
latent without a graph is 0. The simulated latents are decoded and put in place of the activation, and the
loss of the model is measured on the documents of a split, beside the SAE itself, beside the mean activation, and
beside a bigram language model (Gao et al. 2024, section 4.4). The mean and the bigrams are of the train and valid
documents, which the graphs had too; the default split, test, is held out from a fit. Positions are those of
:func:`saelab.evaluate`: where the activation is replaced and a token that counts follows (not at BOS).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Never

import numpy as np
import torch
from torch import Tensor

from saelab import models
from saelab.display import Bar, facts_html
from saelab.doors import door
from saelab.errors import SaelabError, called
from saelab.identity import meet
from saelab.index import LatentIndex
from saelab.models import HookedModel
from saelab.n2g.corpus import UNCOUNTED, Corpus, check_index, corpus, model_and_sae, part_number
from saelab.n2g.pattern_graph import PatternGraph
from saelab.n2g.prediction import Prediction
from saelab.sae import SAE

_RUNS = ("clean", "sae", "graphs", "mean")
_HAD = (0, 1)  # train and valid: what graphs are made from and chosen by


@dataclass(frozen=True)
class SimulatedLoss:
    """Cross entropy (``ce_…``) and KL from the untouched model (``kl_…``), nats per predicted token.

    Attributes
    ----------
    clean, sae, graphs, mean
        The model itself; on the SAE's reconstruction; on latents simulated by the graphs; on the mean
        activation (what an SAE without latents could say at best) of the first ``mean_tokens`` counted tokens of
        the train and valid documents.
    ce_bigram
        Loss of a bigram language model, interpolated with a unigram one, on the same tokens.
    explained
        (kl_mean - kl_graphs) / (kl_mean - kl_sae): how much of what the SAE keeps the graphs keep.
    latents, tokens, split
        Latents with a graph that is not empty; predicted tokens, and the documents they are of.
    mismatch
        What does not belong together here and was allowed.
    held_out
        Whether it is known that neither a fit nor an edit of the graphs had the documents.
    """

    ce_clean: float
    ce_sae: float
    ce_graphs: float
    ce_mean: float
    ce_bigram: float
    kl_sae: float
    kl_graphs: float
    kl_mean: float
    explained: float | None
    latents: int
    tokens: int
    split: str
    mean_tokens: int
    mismatch: tuple[str, ...] = ()
    held_out: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON.

        >>> loss = sl.n2g.simulated_loss(index, {latent: graph}, progress=False)
        >>> loss.to_dict()["latents"]
        1
        """
        return asdict(self)

    def _repr_html_(self) -> str:
        def line(ce: float, kl: float | None) -> str:
            return f"{ce:.3f} nats a token" + ("" if kl is None else f", KL from the model {kl:.3f}")

        held_out = ", held out" if self.held_out else ""
        kept = "undefined" if self.explained is None else f"{self.explained:.1%} of what the SAE keeps"
        return facts_html(
            f"Latents simulated by {self.latents:,} graphs, on {self.tokens:,} tokens of the {self.split} documents"
            + held_out,
            [
                ("the model itself", line(self.ce_clean, None)),
                ("through the SAE", line(self.ce_sae, self.kl_sae)),
                ("through the graphs", line(self.ce_graphs, self.kl_graphs)),
                (
                    f"through the mean of {self.mean_tokens:,} train and valid tokens",
                    line(self.ce_mean, self.kl_mean),
                ),
                ("a bigram model", line(self.ce_bigram, None)),
                ("the graphs keep", kept),
                *(("⚠", note) for note in self.mismatch),
            ],
        )


def simulate(graphs: Mapping[int, PatternGraph], c: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every graph's scaled prediction on the text, sparse, in the order of the text.

    Returns
    -------
    token, latent, value
        Flat token index (m,) int64, latent (m,) int64, simulated activation (m,) float32.
    """
    parts = []
    for latent, graph in graphs.items():
        found = Prediction.of(c, latent, graph.tree, graph.rule)
        at, _, value = found.firing
        scale = found.score("train").scale or 0.0
        if scale > 0:
            parts.append((at.astype(np.int64), np.full(len(at), latent), (value * scale).astype(np.float32)))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    token, latent, value = (np.concatenate(x) for x in zip(*parts, strict=True))
    order = np.argsort(token, kind="stable")
    return token[order], latent[order], value[order]


@door
def simulated_loss(
    index: LatentIndex,
    graphs: Mapping[int, PatternGraph],
    *old: Never,
    model: HookedModel | None = None,
    sae: SAE | None = None,
    split: str = "test",
    tokens: int | str = "50k",
    batch_tokens: int = 2048,
    progress: bool = True,
) -> SimulatedLoss:
    """Loss of the model when its latents are what the graphs say; see the module's docstring.

    Parameters
    ----------
    index
        What the graphs were fitted on.
    graphs
        latent -> graph.
    model, sae
        For an index that was opened without them.
    split, tokens
        Documents to measure on, and about how many of their tokens.
    batch_tokens
        Tokens in one forward pass.

    Raises
    ------
    SaelabError
        If there are no graphs, they were fitted with different seeds (their train documents differ), the SAE
        is a transcoder, or it normalizes its input (a simulation cannot know the norm).

    Examples
    --------
    >>> loss = sl.n2g.simulated_loss(index, {latent: graph}, progress=False)
    >>> loss.ce_graphs > 0, loss.latents
    (True, 1)
    """
    check_index(index, "simulated_loss(index, graphs)", old)
    models.check_predicts(index.model, "a simulated loss") if index.model is not None else None
    model, sae = model_and_sae(index, model, sae)
    if not isinstance(graphs, Mapping) or not all(isinstance(g, PatternGraph) for g in graphs.values()):
        raise SaelabError(f"graphs must be a dict of graphs, as n2g.fit gives it, got {called(graphs)}")
    if other := [(i, g.latent) for i, g in graphs.items() if g.latent not in (None, i)]:
        raise SaelabError(f"the graph given for latent {other[0][0]} is of latent {other[0][1]}")
    mismatch = meet(index, model, sae, *graphs.values())
    c = corpus(index, _checked_seed(sae, graphs))
    chosen = _rows(index, c, (part_number(split),), models.parse_tokens(tokens))
    token, latent, value = simulate(graphs, c)
    mean, mean_tokens = _mean_activation(model, sae, index, c)
    bigram = Bigram.learn(c)
    total = dict.fromkeys([f"{kind}_{run}" for run in _RUNS for kind in ("ce", "kl")], 0.0)
    n = ce_bigram = 0
    widest = max(256, (1 << 25) // models.vocab_size(model))
    with Bar(total=len(chosen), desc="simulate", unit="row", disable=not progress) as bar:
        for batch in index.rows.batches_of(chosen, min(batch_tokens, widest)):
            z = _dense(batch.flat, token, latent, value, sae)  # (B, T, d_sae)
            says: dict[str, Callable[[Tensor], Tensor] | None] = {
                "clean": None,
                "sae": lambda x: sae.decode(sae.encode_sparse(x)),
                "graphs": lambda x, z=z: sae.decode(z.to(sae.W_dec)),
                "mean": lambda x: mean.expand_as(x),
            }
            part = np.where(batch.flat >= 0, c.part[batch.flat], UNCOUNTED)
            counted, clean = torch.from_numpy(part != UNCOUNTED), None  # (B, T)
            scored = _scored(counted)
            before, target = batch.ids[:, :-1][scored], batch.ids[:, 1:][scored]  # (n,) each
            for run in _RUNS:
                logp = _logp(model, sae.config.hook_in, batch, says[run], counted)  # (n, V)
                clean = logp if clean is None else clean
                total[f"ce_{run}"] -= float(logp.gather(-1, target[:, None]).double().sum())
                total[f"kl_{run}"] += float((clean.exp() * (clean - logp)).double().sum())
            ce_bigram -= float(bigram.logp(before.numpy(), target.numpy()).sum())
            n += len(target)
            bar.update(len(batch.row))
    each = {name: x / n for name, x in total.items() if name != "kl_clean"}
    gap = each["kl_mean"] - each["kl_sae"]
    return SimulatedLoss(
        **each, ce_bigram=ce_bigram / n, latents=sum(len(g) > 0 for g in graphs.values()), tokens=n,
        split=split, mean_tokens=mean_tokens, mismatch=mismatch,
        held_out=all(g.held_out(index, split) for g in graphs.values()),
        explained=(each["kl_mean"] - each["kl_graphs"]) / gap if abs(gap) > 1e-9 else None,
    )  # fmt: skip


def _checked_seed(sae: SAE, graphs: Mapping[int, PatternGraph]) -> int:
    """The seed of the split into documents, once all is found to fit."""
    if not graphs:
        raise SaelabError("there are no graphs to simulate latents with")
    seeds = {g.seed for g in graphs.values()}
    if len(seeds) > 1:
        raise SaelabError(f"these graphs were fitted on different train documents (seeds {sorted(seeds)})")
    if sae.config.hook_in != sae.config.hook_out:
        raise SaelabError(
            "a transcoder's latents are not simulated: its input and output are different places"
        )
    if sae.config.normalize != "none":
        raise SaelabError(
            f"this SAE normalizes its input ({sae.config.normalize}), which a simulation cannot know"
        )
    return seeds.pop()


def _logp(
    model: HookedModel,
    hook: str,
    batch: models.Batch,
    says: Callable[[Tensor], Tensor] | None,
    counted: Tensor,
) -> Tensor:
    """(n, V) log-probabilities of the tokens to predict, with what ``says`` gives at ``counted`` (B, T) positions."""
    swap: dict[str, models.HookFn] = {}
    if says is not None:
        swap[hook] = lambda x: torch.where(counted.to(x.device)[..., None], says(x).to(x), x)
    with models.lock(model), torch.no_grad(), models.hooked(model, swap):
        logits = models.forward(model, batch.ids, batch.mask)  # (B, T, V)
    return logits[:, :-1].cpu()[_scored(counted)].float().log_softmax(-1)


def _scored(counted: Tensor) -> Tensor:
    """(B, T - 1) where a next token is predicted, as in :func:`saelab.evaluate`."""
    return counted[:, :-1] & counted[:, 1:]


def _rows(index: LatentIndex, c: Corpus, parts: tuple[int, ...], budget: int) -> np.ndarray:
    """Rows of splits with something to predict, up to a number of tokens."""
    bos, lengths = int(index.rows.bos), np.diff(index.rows.offsets)
    first = np.minimum(np.asarray(index.rows.offsets[:-1]) + bos, len(c.part) - 1)
    rows = np.flatnonzero((lengths > 1 + bos) & np.isin(c.part[first], parts))
    rows = rows[: int(np.searchsorted(np.cumsum(lengths[rows]), budget)) + 1]
    if not len(rows):
        raise SaelabError("this split has no row of two tokens or more: there is nothing to predict")
    return rows


def _dense(flat: np.ndarray, token: np.ndarray, latent: np.ndarray, value: np.ndarray, sae: SAE) -> Tensor:
    """Simulated latents of a batch, (B, T, d_sae)."""
    z = torch.zeros(flat.size, sae.config.d_sae)
    for row, positions in enumerate(flat):
        inside = positions[positions >= 0]
        a, b = np.searchsorted(token, [inside[0], inside[-1] + 1])
        place = row * flat.shape[1] + (token[a:b] - inside[0])
        z[torch.from_numpy(place), torch.from_numpy(latent[a:b])] = torch.from_numpy(value[a:b])
    return z.reshape(*flat.shape, -1)


def _mean_activation(
    model: HookedModel, sae: SAE, index: LatentIndex, c: Corpus, budget: int = 20_000
) -> tuple[Tensor, int]:
    """Mean of the hook point over counted tokens of what the graphs had, (d,), and how many they are."""
    total, n = 0.0, 0
    for batch in index.rows.batches_of(_rows(index, c, _HAD, budget), 4096):
        x = models.run_to_hooks(model, batch.ids, [sae.config.hook_in], batch.mask)[sae.config.hook_in]
        counted = torch.from_numpy(
            np.isin(np.where(batch.flat >= 0, c.part[batch.flat], UNCOUNTED), _HAD)
        ).to(x.device)
        total = total + x[counted].double().sum(0)
        n += int(counted.sum())
    return (total / n).float(), n  # type: ignore[union-attr]


class Bigram:
    """P(b | a) = (count(a b) + k·P(b)) / (count(a) + k), P(b) = (count(b) + 1) / (all + vocabulary)."""

    def __init__(self, keys: np.ndarray, counts: np.ndarray, first: np.ndarray, unigram: np.ndarray):
        self.keys, self.counts, self.first, self.unigram = keys, counts, first, unigram

    @classmethod
    def learn(cls, c: Corpus) -> Bigram:
        """Counts of the train and valid documents."""
        ids, n = c.tokens.ids.astype(np.int64), c.tokens.n_vocab
        at = np.flatnonzero(np.isin(c.part, _HAD) & (np.arange(len(ids)) > 0))
        keys, counts = np.unique(ids[at - 1] * n + ids[at], return_counts=True)
        first = np.bincount(ids[at - 1], minlength=n)
        unigram = np.bincount(ids[at], minlength=n) + 1.0
        return cls(keys, counts, first, unigram / unigram.sum())

    def logp(self, before: np.ndarray, after: np.ndarray, k: float = 4.0) -> np.ndarray:
        """Log-probability of each pair's second token."""
        key = before.astype(np.int64) * len(self.first) + after
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        together = np.where(self.keys[place] == key, self.counts[place], 0)
        return np.log((together + k * self.unigram[after]) / (self.first[before] + k))

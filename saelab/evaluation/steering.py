"""Which latents steer? The input and the output score of Arad, Mueller and Belinkov 2025 (arXiv 2505.20063)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from saelab import identity, intervals, models
from saelab.display import Bar, table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_latents, check_number
from saelab.evaluation.batched import Push, different, next_logp, pushed
from saelab.frames import TextFrame
from saelab.index import LatentIndex
from saelab.index.relations import logit_lens
from saelab.interventions.targets import rows_of

_TOKENS = 4096  # in one pass
_COLUMNS = ("input_score", "output_score")


@dataclass(frozen=True, eq=False)
class SteeringScores:
    """What :func:`steering_scores` gives.

    Attributes
    ----------
    frame
        One row per latent: ``latent``, ``input_score`` and ``output_score`` with their 95 % intervals (``_lo``,
        ``_hi``; over documents and over prompts, NaN below 20), ``tokens`` (the first five of its logit lens).
    strength
        By how many of its maxima each latent was pushed.
    prompts
        How many prompts the output score is a mean of.
    """

    frame: pd.DataFrame
    strength: float
    prompts: int

    def plot(self) -> Any:
        """A plotly figure: each latent's output score against its input score.

        Examples
        --------
        >>> found = sl.steering_scores(index, [latent], prompts=["The red", "A dog"], progress=False)
        >>> len(found.plot().data)
        1
        """
        import plotly.express as px

        return px.scatter(self.frame, "input_score", "output_score", hover_data=["latent", "tokens"])

    def _caption(self) -> str:
        n = len(self.frame)
        return (
            f"Steering scores of {n:,} latents, pushed by {self.strength:g} maxima on {self.prompts} prompts"
        )

    def __repr__(self) -> str:
        return f"{self._caption()}\n{self.frame}"

    def _repr_html_(self) -> str:
        best = self.frame.nlargest(20, "output_score")
        return table_html(self._caption() + "; the best", best, float_format="{:.3f}".format)


@door
def steering_scores(
    index: LatentIndex,
    latents: Iterable[int] | None = None,
    *,
    prompts: models.Texts | None = None,
    strength: float = 4.0,
    top: int = 20,
    examples: int = 100,
    seed: int = 0,
    progress: bool = True,
) -> SteeringScores:
    """Input and output score of every latent: does it fire on the tokens it promotes, and does it promote them?

    *Input score*: of the latent's ``examples`` strongest rows, the share whose strongest token is among the ``top``
    tokens of its logit lens. *Output score*: the latent is turned up at the end of a neutral prompt; with ``p`` the
    largest probability of one of these tokens as the next one, and ``r`` the least of their ranks (0 is the most
    probable) among ``V``, the score is (1 − r / V) p, the mean over prompts. One that only detects has a high
    input score at most. A latent that promotes one punctuation mark has a high output score too: on the bundled zoo, where
    a genre is many tokens, the best output score among a genre's precise latents turns the genre on in 0.33 (95 %: 0.14 to
    0.52) fewer of the texts than the best F1 does. Use it to leave out latents that write nothing, then :func:`calibrate`.

    The scores are kept beside the index: ``input_score`` and ``output_score`` of ``index.to_frame()``.

    Parameters
    ----------
    latents
        Which; None takes all that fire on the index's text.
    prompts
        Neutral texts, equal ones once; None takes the first six tokens of 20 documents of the index, each a different text.
    strength
        Of the push, at every token of the prompt, in units of each latent's maximum.
    seed
        Which documents.

    Raises
    ------
    SaelabError
        Before any work: no model or SAE attached, a latent that never fires, a hook point without a logit lens.

    Examples
    --------
    >>> found = sl.steering_scores(index, [latent], prompts=["The red", "A dog"], progress=False)
    >>> bool(0 <= found.frame["output_score"].iloc[0] <= 1)
    True
    """
    model, sae = index.need_model("steering_scores"), index.need_sae("steering_scores")
    models.check_predicts(model, "the output score")
    strength = check_number("strength", strength)
    top, examples = check_count("top", top), check_count("examples", examples)
    chosen = _firing(index, latents)
    texts = _drawn(index, seed) if prompts is None else _given(model, sae, prompts)
    lens = logit_lens(index, chosen, top)
    voted = torch.from_numpy(np.stack([one.up_id for one in lens]))  # (m, top)
    amount = torch.from_numpy(index.arrays["moments"][chosen, 4].astype(np.float32)) * strength  # (m)
    score = np.zeros((len(texts), len(chosen)))
    with Bar(total=score.size, desc="output score", disable=not progress) as bar:
        for number, ids in enumerate(texts):
            some = max(1, _TOKENS // len(ids))
            for first in range(0, len(chosen), some):
                part = slice(first, first + some)
                rows = rows_of(sae, [(int(i), None) for i in chosen[part]])
                rows = rows * amount[part, None].to(rows.device)
                score[number, part] = _output(model, sae, ids, rows, voted[part])
                bar.update(len(rows))
    low, high = intervals.of_means(score)
    fires = [
        _input(index, int(latent), one.up_id, examples) for latent, one in zip(chosen, lens, strict=True)
    ]
    columns = {
        "latent": chosen,
        **dict(zip(("input_score", "input_lo", "input_hi"), np.array(fires).T, strict=True)),
    }
    columns |= {"output_score": score.mean(0), "output_lo": low.clip(0), "output_hi": high.clip(max=1)}
    columns["tokens"] = [" ".join(one.up[:5]) for one in lens]
    made = {"by": "steering_scores", "strength": strength, "top": top, "examples": examples, "prompts": texts}
    index.kept.put(chosen, {name: columns[name] for name in _COLUMNS}, made)
    frame = identity.noted(TextFrame(columns), index.mismatch)
    return SteeringScores(frame, strength, len(texts))


def _firing(index: LatentIndex, latents: Iterable[int] | None) -> np.ndarray:
    """(m,) the latents that are asked for, all of which fire."""
    chosen = (
        np.flatnonzero(index.counts) if latents is None else np.array(check_latents(latents, index.d_sae))
    )
    silent = chosen[index.counts[chosen] == 0]
    if len(silent) or not len(chosen):
        name = f"latent {silent[0]}" if len(silent) else "every latent"
        raise SaelabError(f"{name} never fires on the index's text, so it has no maximum to be pushed by")
    return chosen


def _drawn(index: LatentIndex, seed: int, n: int = intervals.LEAST, tokens: int = 6) -> list[list[int]]:
    """``n`` different ways in which documents of the index begin."""
    starts = np.flatnonzero((index.rows.start == 0) & (np.diff(index.rows.offsets) >= tokens))
    if not len(starts):
        raise SaelabError(f"no text of this index begins with {tokens} tokens; give prompts")
    order = np.random.default_rng(seed).permutation(starts)
    return different([index.rows[int(row)][:tokens].tolist() for row in order])[:n]


def _given(model: Any, sae: Any, prompts: models.Texts) -> list[list[int]]:
    texts = list(models.each_text(prompts, "prompts", model))
    if not texts:
        raise SaelabError(
            "there are no prompts; leave them out to take the beginnings of the index's documents"
        )
    return different([models.one_text(model, text, bos=sae.config.bos, name="prompts") for text in texts])


@torch.no_grad()
def _output(model: Any, sae: Any, ids: list[int], rows: torch.Tensor, voted: torch.Tensor) -> np.ndarray:
    """(m,) scores on one prompt; ``rows`` (m, d_out) what is added, ``voted`` (m, top) ids."""
    with models.lock(model), pushed(model, sae, [Push(row) for row in rows]):
        logp = next_logp(model, torch.tensor([ids]))  # (m, V)
    if logp.isnan().any():
        raise SaelabError("pushed so far, the model's logits are no longer numbers: give a smaller strength")
    best = logp.gather(1, voted.to(logp.device)).amax(1)  # (m)
    rank = (logp > best[:, None]).sum(1)
    return (best.exp() * (1 - rank / logp.shape[1])).double().cpu().numpy()


def _input(index: LatentIndex, latent: int, voted: np.ndarray, examples: int) -> tuple[float, float, float]:
    """The share of its strongest rows whose peak is a token that it votes for, and the interval over documents."""
    token, value = index.postings(latent)
    row, _ = index.rows.locate(np.asarray(token))
    order = np.lexsort((-value, row))
    peak = order[np.flatnonzero(np.diff(row[order], prepend=-1))]  # the strongest of each row
    peak = peak[np.argsort(-value[peak], kind="stable")[:examples]]
    hit = np.isin(index.rows.ids[token[peak]], voted)
    _, document = np.unique(index.documents[0][row[peak]], return_inverse=True)
    held = intervals.of_share(np.bincount(document, hit), np.bincount(document))
    return (float(hit.mean()), *(held or (np.nan, np.nan)))

"""``match``: the partner of every latent of one SAE in another, with what chance would have given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_sae, unknown
from saelab.index import LatentIndex
from saelab.matching import chance
from saelab.matching.partners import Best, Blocks, best_of, copies, correlations, cosines
from saelab.matching.result import LatentMatch, Side
from saelab.matching.substitution import substitute
from saelab.matching.text import align, one_model, shuffled
from saelab.sae import SAE

_SCORES, _MOST = 4000, 20  # best scores of chance that are wanted, and draws that may be made for them
_FEW = 40  # documents below which a false-discovery rate of 0.1 was 0.15 in simulation
_TURNS = 4  # of values and lengths of random directions
BY = ("decoder", "encoder", "activation", "substitution")


Alike = Callable[[np.ndarray], Blocks]


class Compared(NamedTuple):
    """What is compared: similarities in blocks, and both sides' best partners under chance, a draw at a time."""

    blocks: Callable[[], Blocks]
    own: tuple[Alike, Alike]  # of some latents of each side with one another
    sizes: tuple[int, int]
    draw: Callable[[np.random.Generator], tuple[Best, Best]]
    of: str
    null: str


@door
def match(
    a: SAE | LatentIndex,
    b: SAE | LatentIndex,
    *,
    by: str = "decoder",
    fdr: float = 0.05,
    draws: int | None = None,
    latents: Any = None,
    n: int | None = None,
    seed: int = 0,
) -> LatentMatch:
    """The most similar latent of ``b`` for every latent of ``a``, and whether it is more than chance.

    Parameters
    ----------
    a, b
        SAEs, or indexes. An index brings firing rates, so the share that is matched can be seen by rate.
    by
        ``"decoder"`` or ``"encoder"``: cosine of the directions, of SAEs on the same hook point of one model. Chance
        is the other SAE's directions with each coordinate's values dealt anew among the latents, correlated as they
        were, then normalized.
        ``"activation"``: Pearson's correlation on the same text, of two indexes; the models may differ, and so may
        their tokenizers (then text is compared between the cuts of either). Chance is the same text with each
        document of one index beside another one of the other, of a similar length, from the beginning.
        ``"substitution"``: how much of what ablating a latent does to the prediction is undone by its partner (found
        by activation) in its place, of indexes with their model and SAE. Chance is a partner of a similar rate.
    fdr
        Latents with a false-discovery rate up to this are called matched. Latents that share a partner and are copies
        (0.7 or more alike, by the same measure) count as one, or one chance agreement would be as many discoveries.
        At 0.1, of 1,000 simulated pairs of independent indexes of 40 documents, of several kinds, 0.08 to 0.12 have a
        match at all.
    draws
        How often chance is drawn; None: as often as gives 4,000 best scores, which costs one comparison of all latents
        for large SAEs and 20 for small ones; for substitution 4 partners, and up to 20 of fewer than five latents.
        Few draws of few latents find less; the result says where they allow no match at all.
    latents
        Only of substitution: which latents of ``a``; None draws 64 of those that fire.
    n
        Only of substitution: on how many rows each is tried, those where it is strongest; None is 8.
    seed
        Of chance, and of the latents drawn.

    Returns
    -------
    LatentMatch
        ``frame`` has a line per latent of ``a``; see :class:`LatentMatch`.

    Raises
    ------
    SaelabError
        Before any work: directions of different models or hook points, different texts, or an SAE where an index
        is needed.

    Examples
    --------
    >>> same = sl.match(index, index, by="activation")
    >>> bool(same.frame["partner"].dropna().eq(same.frame.index[same.frame["partner"].notna()]).all())
    True
    """
    if by not in BY:
        raise unknown("by", by, BY)
    if isinstance(fdr, bool) or not isinstance(fdr, (int, float)) or not 0 < fdr < 1:
        raise SaelabError(f"fdr is a share between 0 and 1, such as 0.05; got {fdr!r}")
    if by != "substitution" and (latents is not None or n is not None):
        raise SaelabError(f"latents and n are of by='substitution' alone; by={by!r} compares all latents")
    rng = np.random.default_rng(check_count("seed", seed, 0))
    draws = draws if draws is None else check_count("draws", draws, high=1000)
    if by in ("activation", "substitution"):
        compared = _on_text(_index("a", a, by), _index("b", b, by))
    else:
        compared = _directions(_sae("a", a), _sae("b", b), by)
    forth, back = best_of(compared.blocks(), *compared.sizes)
    enough = min(_MOST, max(1, -(-_SCORES // max(min(compared.sizes), 1))))
    nulls = [compared.draw(rng) for _ in range(enough if draws is None else draws)]
    sides = []
    for side, (best, thing) in enumerate(((forth, a), (back, b))):
        alike = copies(best.partner, compared.own[side])
        rate = thing.counts / max(thing.n_counted, 1) if isinstance(thing, LatentIndex) else None
        null = np.stack([pair[side].score for pair in nulls])
        group = chance.groups_of(rate, len(best.score))
        sides.append(Side(best, null, group, rate, alike))
    result = LatentMatch.make(
        a, b, sides[0], sides[1], by=by if by != "substitution" else "activation", fdr=float(fdr), blocks=compared.blocks,
        of=compared.of, null=compared.null,
    )  # fmt: skip
    if by != "substitution":
        return result
    return substitute(result, latents, check_count("n", 8 if n is None else n), draws, rng)


def _index(name: str, thing: Any, by: str) -> LatentIndex:
    if not isinstance(thing, LatentIndex):
        raise SaelabError(
            f"by={by!r} compares firings, so {name} must be a LatentIndex; got {type(thing).__name__}. Make one with "
            "LatentIndex.build(model, sae, texts)"
        )
    return thing


def _sae(name: str, thing: Any) -> SAE:
    if isinstance(thing, LatentIndex):
        return thing.need_sae(f"match, of {name},")
    check_sae(thing)
    return thing


def _directions(a: SAE, b: SAE, by: str) -> Compared:
    where = "hook_out" if by == "decoder" else "hook_in"
    tables = [x.W_dec if by == "decoder" else x.W_enc.T for x in (a, b)]
    notes = one_model(f"{by} directions live in one space, but the SAEs are of different models", a, b)
    for what, (x, y) in {
        "hook points": (getattr(a.config, where), getattr(b.config, where)),
        "widths": (tables[0].shape[1], tables[1].shape[1]),
    }.items():
        if x != y:
            raise SaelabError(
                f"{by} directions live in one space, but the SAEs are of different {what}: {x!r} and {y!r}; "
                "compare by='activation' on the same text"
            )
    table_a, table_b = (t.detach().float() for t in tables)
    if not (table_a.isfinite().all() and table_b.isfinite().all()):
        raise SaelabError(f"{by} directions hold NaN or infinity: nothing is near them")

    def draw(rng: np.random.Generator) -> tuple[Best, Best]:
        forth, _ = best_of(cosines(table_a, _random_like(table_b, rng)), len(table_a), len(table_b))
        _, back = best_of(cosines(_random_like(table_a, rng), table_b), len(table_a), len(table_b))
        return forth, back

    return Compared(
        lambda: cosines(table_a, table_b),
        (lambda some: cosines(table_a[some], table_a[some]), lambda some: cosines(table_b[some], table_b[some])),
        (len(table_a), len(table_b)), draw,
        "; ".join([f"cosine of {by} directions", *notes]),
        "the other SAE's directions, each coordinate's values dealt anew among the latents (mean and covariance stay)",
    )  # fmt: skip


def _random_like(table: Tensor, rng: np.random.Generator) -> Tensor:
    """(n, d) directions of the coordinates of ``table``'s, each in another order: that of normal noise of their
    covariance (Iman and Conover 1982). Heavy tails stay, which normal directions would lack; bringing them to length
    1 shrinks them, so the coordinates' own values are put back and lengths brought to 1 in turn."""
    unit = torch.nn.functional.normalize(table, dim=1).double().cpu()
    centered = unit - unit.mean(0)
    values, vectors = torch.linalg.eigh(centered.T @ centered / max(len(unit), 1))
    drawn = torch.from_numpy(rng.standard_normal(unit.shape)) * values.clamp_min(0).sqrt() @ vectors.T
    own = unit.sort(0).values
    for _ in range(_TURNS):
        drawn = torch.nn.functional.normalize(
            torch.empty_like(unit).scatter_(0, drawn.argsort(0), own), dim=1
        )
    return drawn.to(table)


def _on_text(a: LatentIndex, b: LatentIndex) -> Compared:
    aligned = align(a, b)
    once = np.isin(aligned.doc, a.originals)  # a copy would make chance look smaller than it is
    aligned = aligned._replace(a=aligned.a[once], b=aligned.b[once], doc=aligned.doc[once])
    documents = len(np.unique(aligned.doc))
    if documents < 2:
        raise SaelabError(
            "chance is drawn by putting documents beside others: at least 2 different ones are needed, got "
            f"{documents}"
        )

    def draw(rng: np.random.Generator) -> tuple[Best, Best]:
        return best_of(correlations(aligned.a, aligned.b[shuffled(aligned.doc, rng)]), a.d_sae, b.d_sae)

    return Compared(
        lambda: correlations(aligned.a, aligned.b),
        (_alike(aligned.a), _alike(aligned.b)),
        (a.d_sae, b.d_sae), draw,
        f"correlation on {len(aligned.doc):,} {aligned.unit} of {documents:,} documents",
        "the same text with each document beside another of similar length"
        + ("; with fewer than 40 documents up to 1.5 times as much is false as is stated" if documents < _FEW else ""),
    )  # fmt: skip


def _alike(values: Any) -> Alike:
    columns = values.tocsc()
    return lambda some: correlations(*[columns[:, some].tocsr()] * 2)

"""Latents of a crosscoder that belong to one of two models (or hook points) alone, and those that only seem to.

A latent whose decoder row is short on one side looks absent there (Lindsey et al. 2024). Two things make that false
(Minder et al. 2025, arXiv 2504.02922): its row shrank, and what it stands for is in that side's error; or other latents
write it there, and it is in that side's reconstruction. Latent scaling looks for it in both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from saelab.activations.store import ActivationStore
from saelab.doors import door
from saelab.errors import SaelabError, check_number, unknown
from saelab.experiments.ablation import output_scale
from saelab.frames import TextFrame
from saelab.identity import meet, noted
from saelab.sae import SAE
from saelab.sae.config import HookPoints

_ROWS = 4096  # at a time


@door
def crosscoder_diff(
    sae: SAE,
    store: ActivationStore,
    *,
    hooks: tuple[str, str] | None = None,
    only: float = 0.9,
    error: float = 0.2,
    reconstruction: float = 0.5,
) -> pd.DataFrame:
    """Which latents of a crosscoder belong to one side alone, by decoder norms, and which of these are false.

    Let ``f`` be a latent's activation, ``d`` its decoder row on the side where it is longer, and ``β(y)`` the number that
    makes ``Σ ‖y − β f d‖²`` smallest over the rows of ``store``: ``Σ f⟨y, d⟩ / Σ f²‖d‖²``. ``error`` is β(what all other
    latents leave) of the other side, over the same of its own; ``reconstruction`` is β(what all latents write) likewise.
    These are ν^ε and ν^r of Minder et al. (arXiv 2504.02922), with the thresholds of their code, for which ``d`` is the
    chat model's row; here a latent of either side is asked about. The least squares have a closed form, so nothing is
    trained and no data are drawn.

    Parameters
    ----------
    sae
        A crosscoder: of two models (``sl.train`` on a store of both models' activations on the same text), or of hook
        points of one.
    store
        Activations of both sides, rows aligned; those that it was trained on, or of other text.
    hooks
        The two sides, where the crosscoder has more than two.
    only
        A latent seems to be of one side alone where ``norm_difference`` is at least this, or at most 1 − this.
    error, reconstruction
        Above either it is not.

    Returns
    -------
    DataFrame
        A line per latent: norm_a, norm_b; norm_difference, ½((‖d_b‖ − ‖d_a‖) / max + 1), 0 for a alone and 1 for b;
        fires, in rows; error, reconstruction: the ratios above, NaN where β of its own side is not above 0; verdict:
        ``"shared"``, ``"only a"``, ``"only b"``, ``"false: in the error"``, ``"false: in the reconstruction"``,
        ``"unclear"`` (a ratio is NaN), ``"silent"``. ``attrs["sides"]`` names a and b.

    Raises
    ------
    SaelabError
        If ``sae`` is no crosscoder, or the store lacks one of its hook points.

    Examples
    --------
    >>> x = torch.randn(300, 8)
    >>> store = sl.ActivationStore.of({"base": x, "chat": torch.cat([x[:, :4], torch.randn(300, 4)], 1)})
    >>> both = sl.train(store, hook=("base", "chat"), d_sae=32, k=4, batch=50, progress=False)
    >>> len(sl.crosscoder_diff(both, store)["verdict"])
    32
    """
    check_number("only", only, 0.5, 1)
    for name, share in (("error", error), ("reconstruction", reconstruction)):
        check_number(name, share, 0)
    notes = meet(sae, store)
    a, b = places = _sides(sae, hooks)
    mine = sae.fold()
    if missing := [h for h in mine.config.hooks if h not in store.hooks]:
        raise SaelabError(
            f"the store has no {missing[0]!r}, which this crosscoder reads; it has {store.hooks}"
        )
    widths = mine.config.widths or ()
    rows = dict(zip(mine.config.hooks, mine.W_dec.detach().float().split(list(widths), dim=1), strict=True))
    norms = {h: rows[h].norm(dim=1).cpu() for h in places}
    longest = torch.maximum(norms[a], norms[b]).clamp_min(1e-12)
    difference = (((norms[b] - norms[a]) / longest + 1) / 2).numpy()
    of_b = difference >= 0.5
    sums = _Sums(mine, store, places, rows, torch.from_numpy(of_b))
    ratio = {kind: np.where(of_b, *(_over(s[a], s[b]), _over(s[b], s[a]))) for kind, s in sums.dots.items()}
    seems = (difference >= only) | (difference <= 1 - only)
    silent = sums.fires == 0
    verdict = np.select(
        [silent, ~seems, ratio["error"] > error, ratio["reconstruction"] > reconstruction,
         np.isnan(ratio["error"] + ratio["reconstruction"]), of_b],
        ["silent", "shared", "false: in the error", "false: in the reconstruction", "unclear", "only b"],
        "only a",
    )  # fmt: skip
    frame = TextFrame(
        {"norm_a": norms[a].numpy(), "norm_b": norms[b].numpy(), "norm_difference": difference, "fires": sums.fires,
         **{kind: np.where(silent, np.nan, r) for kind, r in ratio.items()}, "verdict": verdict},
        index=pd.RangeIndex(len(verdict), name="latent"),
    )  # fmt: skip
    frame.attrs["sides"] = {"a": a, "b": b}
    return noted(frame, notes)


def _sides(sae: SAE, hooks: Any) -> tuple[str, str]:
    known = sae.config.hooks
    if len(known) < 2:
        raise SaelabError(
            f"this SAE reads {known[0]!r} alone, so it is no crosscoder; sl.match compares two SAEs"
        )
    if hooks is None and len(known) > 2:
        raise SaelabError(
            f"say which two of this crosscoder's hook points: hooks=({known[0]!r}, {known[1]!r})"
        )
    given = HookPoints.of(known if hooks is None else hooks)
    for hook in given:
        if hook not in known:
            raise unknown("hook point of this crosscoder", hook, known)
    if len(set(given)) != 2 or len(given) != 2:
        raise SaelabError(f"hooks names two sides, such as ({known[0]!r}, {known[1]!r}); got {tuple(given)}")
    return given[0], given[1]


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Ratio of two β: their common ``Σ f²‖d‖²`` falls out; NaN where the side that has the latent shows nothing of it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)


class _Sums:
    """Of each latent how often it fires, and ``Σ f⟨y, d⟩`` on both sides: of what the others leave, of what all write."""

    def __init__(
        self, sae: SAE, store: ActivationStore, places: tuple[str, str], rows: dict[str, Tensor], of_b: Tensor
    ):
        a, b = places
        split = dict(zip(sae.config.hooks, sae.config.widths or (), strict=True))
        if split[a] != split[b]:
            raise SaelabError(
                f"the sides are {split[a]} and {split[b]} wide; a latent's direction is looked for on both, so they "
                "must be equally wide"
            )
        along = torch.where(of_b[:, None].to(rows[a].device), rows[b], rows[a])  # (d_sae, d)
        fires, square = torch.zeros(len(along)), torch.zeros(len(along), dtype=torch.float64)
        dots = {kind: {h: torch.zeros_like(square) for h in places} for kind in ("error", "reconstruction")}
        for start in range(0, len(store), _ROWS):
            x = store.rows(start, min(start + _ROWS, len(store)), "+".join(sae.config.hooks)).to(along.device)
            with torch.no_grad():
                codes = sae.encode_sparse(x)
                made = sae.decode(codes).float()
                f = (codes.dense().float() * output_scale(codes)[:, :1]).T  # (d_sae, rows)
            fires += (f > 0).sum(1).cpu()
            square += (f**2).sum(1).double().cpu()
            for h, seen, written in zip(split, x.split(list(split.values()), 1), made.split(list(split.values()), 1),
                                        strict=True):  # fmt: skip
                if h in places:
                    dots["error"][h] += ((f @ (seen - written)) * along).sum(1).double().cpu()
                    dots["reconstruction"][h] += ((f @ written) * along).sum(1).double().cpu()
        for h in places:  # the error without the latent has its own part in it again
            dots["error"][h] += square * (rows[h] * along).sum(1).double().cpu()
        self.fires = fires.numpy().astype(int)
        self.dots = {kind: {h: v.numpy() for h, v in of.items()} for kind, of in dots.items()}

"""What a direction says: tokens it promotes, latents it is near to, latents it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from saelab import identity, models
from saelab.display import table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_width
from saelab.interventions import Direction
from saelab.models import HookedModel
from saelab.models.lens import residual_direction, token_votes
from saelab.sae import SAE


@dataclass(frozen=True, eq=False)
class Description:
    """What :func:`saelab.describe` gives.

    Attributes
    ----------
    frame
        ``kind`` (``promotes`` and ``lowers``: ``what`` is a token and ``value`` the change of its logit per unit;
        ``nearest``: a latent and the cosine; ``made of``: a latent and the activation that is needed of it per unit,
        with ``explained``, the share of the squared length that it and those above it make up).
    lens
        Why there is no logit lens here, or nothing.
    """

    direction: Direction
    frame: pd.DataFrame
    lens: str = ""

    def plot(self) -> Any:
        """A plotly figure: one panel for each kind."""
        import plotly.express as px

        figure = px.bar(self.frame, "value", "what", facet_col="kind", facet_col_wrap=2, orientation="h")
        return figure.update_yaxes(matches=None, showticklabels=True, autorange="reversed").update_xaxes(
            matches=None
        )

    def __repr__(self) -> str:
        return f"{self.direction!r}\n{self.frame.to_string(index=False)}" + (
            f"\n{self.lens}" if self.lens else ""
        )

    def _repr_html_(self) -> str:
        shown = {
            kind: part.drop(columns="kind").dropna(axis=1)
            for kind, part in self.frame.groupby("kind", sort=False)
        }
        tables = "".join(
            f'<div style="display:inline-block;vertical-align:top;margin-right:1.5em">'
            f"{table_html(str(kind), part, float_format='{:.3g}'.format)}</div>" for kind, part in shown.items()
        )  # fmt: skip
        return self.direction._repr_html_() + tables + (f"<div>{self.lens}</div>" if self.lens else "")


@door
def describe(model: HookedModel, sae: SAE | None, direction: Direction, n: int = 8) -> Description:
    """What a direction says: tokens it promotes, latents it is near to, and latents it is made of.

    *Made of*: the latents whose decoder rows, each times a weight above 0, come nearest to it, chosen one after the
    other (orthogonal matching pursuit). It says how the SAE would write the direction, not that the model does so.

    Parameters
    ----------
    sae
        None tells of tokens alone.
    n
        Rows of each kind.

    Raises
    ------
    SaelabError
        If model, direction and SAE do not belong together.

    Examples
    --------
    >>> row = sl.Direction(sae.W_dec[3], "blocks.0.hook_resid_post", name="latent 3")
    >>> made = sl.describe(model, sae, row).frame.query("kind == 'made of'")
    >>> made["what"].tolist(), round(float(made["explained"].iloc[0]), 3)
    (['latent 3'], 1.0)
    """
    identity.meet(model, direction, sae)
    n = check_count("n", n)
    here = models.run_to_hooks(model, torch.tensor([[0]]), [direction.hook])[direction.hook]
    check_width(f"direction {direction.name!r}", direction.vector, here.shape[-1])
    rows: list[tuple[str, str, float, float]] = []
    lens = ""
    try:
        with torch.no_grad():
            votes = token_votes(
                model, residual_direction(model, direction.vector.to(models.device(model)), direction.hook)
            )
    except SaelabError as error:
        lens = str(error)
    else:
        for kind, largest in (("promotes", True), ("lowers", False)):
            best = votes.topk(min(n, len(votes)), largest=largest)
            for i, v in zip(
                models.token_labels(model, best.indices.tolist()), best.values.tolist(), strict=True
            ):
                rows.append((kind, i, v, math.nan))
    if sae is not None:
        rows += near(direction.at(sae), sae, n)
    return Description(direction, pd.DataFrame(rows, columns=["kind", "what", "value", "explained"]), lens)


def near(direction: Direction, sae: SAE, n: int) -> list[tuple[str, str, float, float]]:
    from scipy.optimize import nnls

    rows = sae.W_dec.detach().float().cpu()  # (d_sae, d)
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
    cosine = unit @ direction.vector
    best = cosine.topk(min(n, len(cosine)))
    out = [("nearest", f"latent {i}", v, math.nan)
           for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True)]  # fmt: skip
    chosen: list[int] = []
    target, left, weights = direction.vector.double().numpy(), direction.vector, np.zeros(0)
    shares: list[float] = []
    for _ in range(min(n, len(rows))):
        match = unit @ left
        match[chosen] = -1.0
        if float(match.max()) < 1e-4 or (shares and shares[-1] > 1 - 1e-6):
            break
        chosen.append(int(match.argmax()))
        weights, miss = nnls(unit[chosen].double().numpy().T, target)
        left = torch.from_numpy(target - unit[chosen].double().numpy().T @ weights).float()
        shares.append(1 - miss**2)
    size = rows[chosen].norm(dim=1).double().numpy()
    kept = zip(chosen, weights / size, shares, strict=True)
    return out + [("made of", f"latent {i}", float(w), s) for i, w, s in kept]

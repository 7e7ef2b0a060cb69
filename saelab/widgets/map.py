"""LatentMap: latents as points in the plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from saelab.doors import door
from saelab.errors import SaelabError, check_array, check_latent, check_latents, unknown
from saelab.index import LatentIndex
from saelab.widgets import columns
from saelab.widgets.all_latents import AllLatents
from saelab.widgets.base import Packed, Widget
from saelab.widgets.effect_map import COOL
from saelab.widgets.tokens import FULL, HEAT, escape, frame

if TYPE_CHECKING:
    import pandas as pd

COLOURS = ("density", "max", "label")


@door
class LatentMap(AllLatents, Widget):
    """A scatter of decoder directions: latents that write alike are near each other.

    Parameters
    ----------
    index
        A :class:`saelab.LatentIndex` with its SAE attached.
    latent
        The point the cursor is on; None: the latent that fires most.
    method, by, seed
        As in :meth:`saelab.LatentIndex.positions`; ``method=None`` is UMAP where it is installed, else ``neighbors``; PCA
        above 20,000 latents.
    positions
        (d_sae, 2) places of your own instead; a latent with NaN is not drawn.
    groups
        What to colour by in place of labels: ``{latent: name}``, for instance the concept each latent tells
        best.
    state
        Traits to begin with: ``colour``, ``selected``, ``show_dead``.

    Attributes
    ----------
    latent
        The point the cursor is on; link it to a dashboard's ``latent``.
    selected
        Latents inside the lasso.
    colour
        ``"density"``, ``"max"`` or ``"label"`` (``groups`` where they are given).

    Examples
    --------
    >>> w = index.map(method="pca", colour="label")
    >>> w.selected = [3, 5]
    >>> index.to_frame().loc[w.selected].index.tolist()
    [3, 5]
    """

    colour = traitlets.Enum(COLOURS, "density").tag(sync=True)
    # set by Python alone
    groups = traitlets.Dict(help="latent -> what it is coloured by").tag(sync=True)
    about = traitlets.Unicode("", help="what the axes are").tag(sync=True)

    def __init__(
        self,
        index: LatentIndex,
        latent: int | None = None,
        *,
        method: str | None = None,
        by: str = "decoder",
        seed: int = 0,
        positions: Any = None,
        groups: Mapping[int, str] | None = None,
        **state: Any,
    ):
        from saelab.index.maps import default_method

        if latent is not None:
            check_latent(latent, index.d_sae)  # before the places are computed
        if state.get("colour", "density") not in COLOURS:
            raise unknown("colour", state["colour"], COLOURS)
        if groups and "colour" not in state:
            state["colour"] = "label"
        named = {str(check_latent(i, index.d_sae)): str(name) for i, name in (groups or {}).items()}
        if positions is None:
            places = index.positions(method or default_method(index.d_sae), by, seed)
            about = _axes(places)
        else:
            places, about = _given(positions, index.d_sae), "places given by you"
        self._places = np.ascontiguousarray(places[["x", "y"]], dtype="<f4")  # (d_sae, 2)
        super().__init__(index, latent, groups=named, about=about, **state)

    def methods(self) -> dict[str, Any]:
        return {"columns": self._columns}

    def _columns(self) -> Packed:
        body, tokens = columns.pack(self._source)
        return Packed({"tokens": tokens}, (body + self._places.tobytes(),))

    @property
    def positions(self) -> pd.DataFrame:
        """(d_sae, 2) the places drawn: x, y."""
        import pandas as pd

        return pd.DataFrame(self._places, columns=["x", "y"], index=pd.RangeIndex(self.d_sae, name="latent"))

    def to_frame(self, *, selected: bool = False) -> pd.DataFrame:
        """Places beside what the index knows of every latent; with ``selected`` those inside the lasso.

        Examples
        --------
        >>> index.map(method="pca").to_frame().columns[:2].tolist()
        ['x', 'y']
        """
        whole = self._source.to_frame()
        whole.insert(0, "x", self._places[:, 0])
        whole.insert(1, "y", self._places[:, 1])
        return whole.loc[self.selected] if selected else whole

    def export_state(self, latents: Iterable[int] | None = None, **options: Any) -> dict[str, Any]:
        """The points of ``latents`` (None: all).

        Examples
        --------
        >>> len(index.map(method="pca").export_state(latents=[1, 2])["packed"])  # of each 5 numbers and a place
        56
        """
        index = self._source
        chosen = np.arange(self.d_sae) if latents is None else check_latents(latents, self.d_sae)
        body, tokens = columns.pack(index, chosen)  # type: ignore[arg-type]
        return {**super().export_state(), "packed": body + self._places[chosen].tobytes(), "tokens": tokens}

    def title(self) -> str:
        return f"Map of {self.d_sae:,} latents"

    def fallback(self) -> str:
        label = self.labels.get(str(self.latent), "")
        chosen = ", ".join(map(str, self.selected[:20])) + (" …" if len(self.selected) > 20 else "")
        return frame(
            f"<b>{escape(self.title())}</b>, {escape(self.about)}",
            self._dots(),
            f"latent {self.latent} {escape(label)}",
            f"selected: {chosen or 'none'}",
        )

    def _dots(self) -> str:
        """The points as braille letters, of 2 × 4 points each; orange where some are chosen, blue where the latent is."""
        wide, high = 36, 18
        there: Any = np.isfinite(self._places).all(1)
        # (d_sae, 2)
        at = np.where(there[:, None], (self._places * [1, -1] + 1) / 2, 0) * [2 * wide, 4 * high]
        column, row = np.minimum(at.astype(int), [2 * wide - 1, 4 * high - 1]).T
        cells = np.zeros((high, wide), int)
        bits = np.array([[0, 3], [1, 4], [2, 5], [6, 7]])[row % 4, column % 2]
        np.bitwise_or.at(cells, (row[there] // 4, column[there] // 2), 1 << bits[there])
        marked: dict[tuple[Any, Any], Any] = {
            (row[i] // 4, column[i] // 2): HEAT for i in self.selected if there[i]
        }
        if there[self.latent]:
            marked[row[self.latent] // 4, column[self.latent] // 2] = COOL
        lines = []
        for y, line in enumerate(cells.tolist()):
            for x, cell in enumerate(line):
                letter = chr(0x2800 + cell)
                color = marked.get((y, x))
                style = f"background-color:rgba{(*color, FULL)}" if color else ""
                lines.append(f'<span style="{style}">{letter}</span>' if color else letter)
            lines.append("\n")
        return f'<div style="font-family:monospace;white-space:pre;line-height:1.15">{"".join(lines)}</div>'


def _axes(places: pd.DataFrame) -> str:
    attrs = places.attrs
    if attrs["method"] == "umap":
        return f"UMAP of {attrs['by']} directions (cosine)"
    if attrs["method"] == "neighbors":
        return f"near: {attrs['by']} directions with a large cosine; distances farther off say nothing"
    shares = attrs.get("explained")
    note = f", {shares[0]:.1%} and {shares[1]:.1%} of the variance" if shares and len(shares) > 1 else ""
    return f"PCA of {attrs['by']} directions{note}"


def _given(positions: Any, d_sae: int) -> pd.DataFrame:
    import pandas as pd

    array = check_array("positions", positions)
    if array.shape != (d_sae, 2):
        raise SaelabError(f"positions must be of shape ({d_sae}, 2), got {array.shape}")
    return pd.DataFrame(array, columns=["x", "y"])

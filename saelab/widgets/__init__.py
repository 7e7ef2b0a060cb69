"""The notebook widgets and the offline page.

``ActivationHeatmap``, ``LatentDashboard``, ``N2GEditor`` and ``SteeringPanel`` show objects of the library;
every number they show is also a DataFrame (``to_frame``), and each exports to one offline HTML file
(``export_html``). :func:`page` makes such a file of prose, tables, charts and widgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saelab.widgets.dashboard import LatentDashboard
from saelab.widgets.heatmap import ActivationHeatmap
from saelab.widgets.n2g_editor import N2GEditor
from saelab.widgets.page import (
    BarChart,
    Code,
    Facts,
    Heading,
    LineChart,
    Paragraph,
    Section,
    Show,
    Table,
    page,
)
from saelab.widgets.steering import SteeringPanel
from saelab.widgets.tokens import TokenText

__all__ = [
    "ActivationHeatmap", "BarChart", "Code", "Facts", "Heading", "LatentDashboard", "LineChart",
    "N2GEditor", "Paragraph", "Section", "Show", "SteeringPanel", "Table", "TokenText", "heatmap", "page",
    "steering_panel",
]  # fmt: skip


def heatmap(
    model: Any,
    sae: Any,
    texts: str | Sequence[str],
    latents: int | Sequence[int] | None = None,
    *,
    index: Any = None,
    **state: Any,
) -> ActivationHeatmap:
    """Heatmap of latents on your own text.

    Parameters
    ----------
    texts
        One text or several, each at most one context long.
    latents
        Which latents; None takes the five that fire strongest.
    index
        A LatentIndex; with it the tooltip says how strong an activation is among all of the latent's firings.
    state
        Traits to begin with, such as ``vmax=5.0`` or ``show_whitespace=True``.

    Raises
    ------
    SaelabError
        For an empty or too long text, or a latent out of range, before the model runs.
    """
    return ActivationHeatmap.of(model, sae, texts, latents, index=index, **state)


def steering_panel(model: Any, sae: Any, index: Any = None, **state: Any) -> SteeringPanel:
    """Panel to steer generation with latents; see :class:`SteeringPanel`."""
    return SteeringPanel(model, sae, index, **state)

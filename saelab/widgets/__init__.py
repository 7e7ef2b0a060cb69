"""The notebook widgets and the offline page.

``ActivationHeatmap``, ``LatentDashboard``, ``LatentTable``, ``LatentMap``, ``N2GEditor``, ``EffectMap``,
``SteeringPanel`` and ``TrainingMonitor`` show objects of the library; every number they show is also a
DataFrame (``to_frame``), and each exports to one offline HTML file (``export_html``). :func:`page` makes such a
file of prose, tables, charts and widgets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from saelab.widgets.dashboard import LatentDashboard
from saelab.widgets.effect_map import EffectMap
from saelab.widgets.heatmap import ActivationHeatmap
from saelab.widgets.map import LatentMap
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
from saelab.widgets.table import LatentTable
from saelab.widgets.tokens import TokenText
from saelab.widgets.training_monitor import TrainingMonitor

if TYPE_CHECKING:
    from saelab.index import LatentIndex
    from saelab.interventions import Effects

__all__ = [
    "ActivationHeatmap", "BarChart", "Code", "EffectMap", "Facts", "Heading", "LatentDashboard", "LatentMap",
    "LatentTable", "LineChart", "N2GEditor", "Paragraph", "Section", "Show", "SteeringPanel", "Table", "TokenText",
    "TrainingMonitor", "effect_map", "heatmap", "page", "steering_panel", "training_monitor",
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


def steering_panel(
    index: LatentIndex | None = None, *old_order: None, model: Any = None, sae: Any = None, **state: Any
) -> SteeringPanel:
    """Panel to steer generation with latents; see :class:`SteeringPanel`.

    Examples
    --------
    >>> sl.steering_panel(index, edits={latent: 8.0}).title() == f"Steering with latent {latent}"
    True
    """
    return SteeringPanel(index, *old_order, model=model, sae=sae, **state)


@overload
def effect_map(effects: Effects, /, **state: Any) -> EffectMap: ...
@overload
def effect_map(model: Any, /, sae: Any, text: str, latent: int, **options: Any) -> EffectMap: ...
def effect_map(effects: Any, /, *what: Any, **options: Any) -> EffectMap:
    """What taking a latent away changes at each position of a text; see :class:`EffectMap`.

    ``effect_map(effects)`` shows what :func:`saelab.effects` gave; ``effect_map(model, sae, text, latent)``
    computes it, and can then show other latents. ``options`` are traits to begin with and, in the second form,
    those of :func:`saelab.effects` (``top``, ``direct``, ``special``).

    Examples
    --------
    >>> sl.effect_map(sl.effects(model, sae, "The red fox", latent)).latent == latent
    True
    """
    return EffectMap.of(effects, *what, **options) if what else EffectMap(effects, **options)


def training_monitor(what: Any = None) -> TrainingMonitor:
    """Monitor for a run to come, or the curves of one that is over; see :class:`TrainingMonitor`.

    Parameters
    ----------
    what
        None: give the monitor to ``sl.train(…, monitor=monitor)`` and show it wherever you like. Or an SAE that
        was trained here, several of them, or the folder ``out`` of a run.
    """
    return TrainingMonitor() if what is None else TrainingMonitor.of(what)

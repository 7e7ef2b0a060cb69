"""The notebook widgets and the offline page.

``ActivationHeatmap``, ``LatentDashboard``, ``LatentCompare``, ``LatentTable``, ``LatentMap``, ``N2GEditor``, ``EffectMap``,
``SteeringPanel`` and ``TrainingMonitor`` show objects of the library; every number they show is also a
DataFrame (``to_frame``), and each exports to one offline HTML file (``export_html``). :func:`page` makes such a
file of prose, tables, charts and widgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from saelab.models import HookedModel
from saelab.widgets.compare import LatentCompare
from saelab.widgets.dashboard import LatentDashboard
from saelab.widgets.effect_map import EffectMap
from saelab.widgets.heatmap import ActivationHeatmap, heatmap
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
from saelab.widgets.training_monitor import TrainingMonitor, training_monitor

if TYPE_CHECKING:
    from saelab.experiments import Effects
    from saelab.index import LatentIndex
    from saelab.interventions import Direction

__all__ = [
    "ActivationHeatmap", "BarChart", "Code", "EffectMap", "Facts", "Heading", "LatentCompare", "LatentDashboard",
    "LatentMap", "LatentTable", "LineChart", "N2GEditor", "Paragraph", "Section", "Show", "SteeringPanel", "Table",
    "TokenText", "TrainingMonitor", "effect_map", "heatmap", "page", "steering_panel", "training_monitor",
]  # fmt: skip


def steering_panel(
    index: LatentIndex | None = None,
    *old_order: None,
    model: HookedModel | None = None,
    sae: Any = None,
    **state: Any,
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
def effect_map(
    model: HookedModel, /, sae: Any, text: Any, latent: int | Direction, **options: Any
) -> EffectMap: ...
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

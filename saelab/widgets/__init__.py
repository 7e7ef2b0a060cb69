"""The notebook widgets and the offline page.

``ActivationHeatmap``, ``LatentDashboard``, ``LatentTable``, ``LatentMap``, ``N2GEditor``, ``EffectMap``,
``SteeringPanel`` and ``TrainingMonitor`` show objects of the library; every number they show is also a
DataFrame (``to_frame``), and each exports to one offline HTML file (``export_html``). :func:`page` makes such a
file of prose, tables, charts and widgets.
"""

from __future__ import annotations

from typing import Any

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

__all__ = [
    "ActivationHeatmap", "BarChart", "Code", "EffectMap", "Facts", "Heading", "LatentDashboard", "LatentMap",
    "LatentTable", "LineChart", "N2GEditor", "Paragraph", "Section", "Show", "SteeringPanel", "Table", "TokenText",
    "TrainingMonitor", "effect_map", "heatmap", "page", "steering_panel", "training_monitor",
]  # fmt: skip


def steering_panel(model: Any, sae: Any, index: Any = None, **state: Any) -> SteeringPanel:
    """Panel to steer generation with latents; see :class:`SteeringPanel`."""
    return SteeringPanel(model, sae, index, **state)


def effect_map(model: Any, sae: Any, text: str, latent: int, **options: Any) -> EffectMap:
    """What taking a latent away changes at each position of a text; see :class:`EffectMap`.

    ``options`` are those of :func:`saelab.effects` (``top``, ``direct``, ``special``) and traits to begin with.
    """
    return EffectMap.of(model, sae, text, latent, **options)

"""What widgets that show every latent of an index at once have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from saelab.doors import door
from saelab.errors import check_latent, check_latents
from saelab.index import LatentIndex
from saelab.widgets import columns


class AllLatents(traitlets.HasTraits):
    """Part of a widget: a cursor, a selection, and labels that follow those of the index.

    Numbers come to the view as arrays (:func:`saelab.widgets.columns.pack`), once, when it is drawn.
    """

    latent = traitlets.Int(0, help="where the cursor is").tag(sync=True)
    selected = traitlets.List(traitlets.Int(), help="latents that were picked").tag(sync=True)
    show_dead = traitlets.Bool(False).tag(sync=True)
    # set by Python alone
    d_sae = traitlets.Int(0).tag(sync=True)
    counted = traitlets.Int(0).tag(sync=True)
    labels = traitlets.Dict(help="latent -> label").tag(sync=True)
    sources = traitlets.Dict(help="latent -> who or what wrote its label, and its score").tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)
    packed = traitlets.Bytes(help="the columns, in a saved page").tag(sync=True)
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)

    @door
    def __init__(self, index: LatentIndex, latent: int | None, **state: Any):
        first = int(np.argmax(index.counts)) if latent is None else check_latent(latent, index.d_sae)
        super().__init__(latent=first, d_sae=index.d_sae, counted=index.n_counted, **state)
        self._held = index
        self._say(getattr(index, "mismatch", ()))  # type: ignore[attr-defined]
        self.labels, self.sources = columns.labels(index)
        index.notes.watch(self)

    @traitlets.validate("latent")
    def _in_range(self, proposal: Any) -> int:
        return check_latent(proposal.value, self.d_sae) if self.d_sae else proposal.value

    @traitlets.validate("selected")
    def _all_in_range(self, proposal: Any) -> list[int]:
        return check_latents(proposal.value, self.d_sae, least=0) if self.d_sae else proposal.value

    def labels_changed(self) -> None:
        """Called by the index when a label was written, wherever that was."""
        if self._held is not None:
            self.labels, self.sources = columns.labels(self._held)

    def export_options(self) -> tuple[str, ...]:
        return ("latents",)

    def replies(self, latents: Any = None, **options: Any) -> dict[str, dict[str, Any]]:
        return super().replies(**options)  # type: ignore[misc]

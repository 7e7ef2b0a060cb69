"""A whole index as one offline page: a table to search, and the dashboard of the latent it is on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from saelab.errors import SaelabError, check_count, check_latents
from saelab.widgets.dashboard import LatentDashboard
from saelab.widgets.page import Paragraph, Show, page
from saelab.widgets.table import LatentTable

MOST = 100  # latents of a page when none are named


def write_index_page(
    index: Any, path: str | Path, latents: Iterable[int] | None, *, title: str | None, n: int
) -> Path:
    """See :meth:`saelab.LatentIndex.export_html`."""
    if latents is None:
        dense = np.argsort(-index.counts, kind="stable")[:MOST]
        chosen = [int(i) for i in dense if index.counts[i]] or [0]
    else:
        chosen = check_latents(latents, index.d_sae)
    if not chosen:
        raise SaelabError("no latents to export; name some, or leave latents out for the densest")
    table = LatentTable(index, chosen[0], show_dead=True)
    dashboard = LatentDashboard(index, chosen[0], n=check_count("n", n))
    options = {"latents": chosen}
    sae = index.config["sae"]
    which = ""
    if latents is None and len(chosen) < index.d_sae:
        which = " These are those that fire on most tokens; `index.export_html(path, latents)` shows others."
    about = (
        f"{len(chosen):,} of the {index.d_sae:,} latents of a {sae['arch']} SAE at {index.config['hook']} of "
        f"{index.config['model']}, on {index.n_counted:,} tokens of {index.config['n_docs']:,} documents.{which}"
    )
    try:
        return page(
            title or "Latents",
            [
                Paragraph(about, "lead"),
                Show(table, options=options, link="latent"),
                Show(dashboard, options=options, link="latent"),
            ],
            path,
        )
    finally:
        table.close()
        dashboard.close()

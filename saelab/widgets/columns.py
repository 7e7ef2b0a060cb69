"""What a view gets of many latents at once: numbers as bytes and every token once, never a JSON row a latent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from saelab.index.notes import said


def pack(
    index: Any, latents: Sequence[int] | None = None, more: Sequence[np.ndarray] = ()
) -> tuple[bytes, list[str]]:
    """The columns of the table and the map.

    Parameters
    ----------
    latents
        Which latents, in this order; None: all.
    more
        Further columns (d_sae,).

    Returns
    -------
    body
        One after another, little-endian, n numbers each: latent (uint32), how often it fires (uint32), mean
        and max activation (float32), place in ``tokens`` of the token it is strongest on (uint32), and ``more`` (float32).
    tokens
        Labels of these tokens, each once; place 0 is no token, of a latent that never fires.
    """
    chosen = np.arange(index.d_sae) if latents is None else np.asarray(latents, dtype=np.int64)
    count, moments = index.counts[chosen], index.arrays["moments"][chosen]  # (n), (n, 5)
    peak = index.arrays["peak"][chosen]  # (n)
    alive = np.flatnonzero(peak >= 0)
    kinds, place = np.unique(index.rows.ids[peak[alive]], return_inverse=True)
    token = np.zeros(len(chosen), np.uint32)
    token[alive] = place + 1
    mean = moments[:, 0] / np.maximum(count, 1)
    parts = (chosen, "<u4"), (count, "<u4"), (mean, "<f4"), (moments[:, 4], "<f4"), (token, "<u4")
    parts += tuple((column[chosen], "<f4") for column in more)
    body = b"".join(np.ascontiguousarray(a, dtype=kind).tobytes() for a, kind in parts)
    return body, ["", *index.vocab.labels(kinds)]


def labels(index: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Latent -> label, of those that have one; latent -> who or what wrote it, and its score, where that is known."""
    notes = {str(i): entry for i, entry in sorted(index.notes.all().items()) if entry.get("label")}
    return {i: entry["label"] for i, entry in notes.items()}, {
        i: text for i, e in notes.items() if (text := said(e))
    }

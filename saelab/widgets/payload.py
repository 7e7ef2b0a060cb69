"""What the dashboard draws of one latent, as plain JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.errors import SaelabError, check_latent
from saelab.index.layout import AFTER, BEFORE
from saelab.widgets.page import plain
from saelab.widgets.tokens import TokenText

if TYPE_CHECKING:
    import pandas as pd

_KINDS = ("decoder", "encoder", "coactivation")


def payload(
    index: Any, latent: int, *, n: int = 20, seed: int = 0, bins: int = 40, context: int | None = None
) -> dict[str, Any]:
    """All that the dashboard draws of one latent, as plain JSON.

    Parameters
    ----------
    index
        A :class:`saelab.LatentIndex`.
    n
        Examples of each kind.
    seed
        Of the random examples.
    context
        Tokens shown on each side of an example; 0: the whole row; None: ten before and five after.

    Returns
    -------
    dict
        latent, d_sae, counted, excluded (positions), stats, histogram, examples (top, random), logits and
        nearest; where something cannot be had, ``{"reason": …}`` stands in its place.
    """
    latent = check_latent(latent, index.d_sae)
    stats = index.latent_stats(latent)
    histogram = index.histogram(latent, bins)
    return plain(
        {
            "latent": latent,
            "d_sae": index.d_sae,
            "counted": index.n_counted,
            "excluded": index.n_tokens - index.n_counted,
            "stats": {k: short(v) for k, v in stats.items() if k != "latent"},
            "histogram": {c: histogram[c].tolist() for c in ("lo", "hi", "count")},
            "examples": {
                "top": examples(index, latent, index.top(latent, n), **sides(context)),
                "random": examples(index, latent, index.random(latent, n, seed), **sides(context)),
            },
            "logits": _or_reason(lambda: _logits(index, latent)),
            "nearest": {by: _or_reason(lambda by=by: _nearest(index, latent, by)) for by in _KINDS},
        }
    )


def sides(context: int | None) -> dict[str, int]:
    """Tokens before and after an example's own: ``context`` on each side, 0 for all of the row."""
    before, after = (BEFORE, AFTER) if context is None else (context or 1 << 30,) * 2
    return {"before": before, "after": after}


def examples(
    index: Any, latent: int, found: pd.DataFrame, *, before: int = BEFORE, after: int = AFTER
) -> list[dict[str, Any]]:
    """Lines of ``index.top``, ``random`` or ``interval`` with their tokens and the activation on each."""
    out = []
    for line in found.to_dict("records"):
        row, position = int(line["row"]), int(line["position"])
        whole = TokenText.of_vocab(index.vocab, index.rows[row])
        shown = whole.cut(max(0, position - before), position + after + 1)
        first = int(index.rows.offsets[row]) + shown.start
        out.append(
            {
                "text": shown.text.to_dict(), "values": values_at(index, latent, first, len(shown.text)),
                "centre": position - shown.start, "start": shown.start, "row": row, "position": position,
                "doc": int(line["doc"]), "value": short(float(line["value"])), "count": int(line["count"]),
            }
        )  # fmt: skip
    return out


def values_at(index: Any, latent: int, first: int, n: int) -> list[float]:
    """Activation on ``n`` tokens from flat index ``first`` on."""
    token, value = index.postings(latent)
    a, b = np.searchsorted(token, [first, first + n])
    values = np.zeros(n)
    values[np.asarray(token[a:b]) - first] = value[a:b]
    return [short(v) for v in values.tolist()]


def short(value: Any) -> Any:
    """Four significant digits: what is drawn, and a smaller message."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if value else 0  # most values are 0, and "0" is shorter than "0.0"


def _or_reason(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except SaelabError as error:  # no SAE attached, a hook point without a logit lens: said in its place
        return {"reason": str(error)}


def _logits(index: Any, latent: int) -> dict[str, list[list[Any]]]:
    table = index.logit_lens(latent)
    return {
        side: [
            [t, short(float(v))] for t, v in zip(table[f"{side}_token"], table[f"{side}_value"], strict=True)
        ]
        for side in ("up", "down")
    }


def _nearest(index: Any, latent: int, by: str, n: int = 8) -> list[dict[str, Any]]:
    lines = index.nearest(latent, by, n).to_dict("records")
    return [
        {
            "latent": int(line["latent"]), "similarity": short(float(line["similarity"])),
            "label": index.label(int(line["latent"])), "token": top_token(index, int(line["latent"])),
        }
        for line in lines
    ]  # fmt: skip


def top_token(index: Any, latent: int) -> str | None:
    """Label of the token a latent fires on most; None when it never fires."""
    token, value = index.postings(latent)
    return index.vocab.label(index.rows.ids[token[int(np.argmax(value))]]) if len(token) else None

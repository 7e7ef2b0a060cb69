"""The effects of ablating a latent as the views draw them, and as script-free HTML."""

from __future__ import annotations

from typing import Any

import numpy as np

from saelab.interventions import Effects
from saelab.widgets.tokens import HEAT, MONO, TokenText, escape

COOL = (59, 130, 196)  # the same blue as --sl-cool


def packed(effects: Effects) -> dict[str, Any]:
    """What widgets/effects.js takes.

    Returns
    -------
    dict
        latent; text; following: the token after each; edited: positions where the latent was set to 0; numbers:
        column -> (n,) little-endian float32; votes: up, down, direct_up, direct_down -> the tokens at each position;
        weights: the same -> (n, top) float32, NaN where there is no token; has_direct.
    """
    data = effects.frame
    kinds = ["up", "down", *(["direct_up", "direct_down"] if "direct_up" in data else [])]
    names = [c for c in ("activation", "loss", "loss_diff", "kl", "direct_kl") if c in data]
    labels = tuple(str(t) for t in data["token"])
    text = TokenText(tuple(effects.ids), tuple(effects.groups), labels, effects.special)
    return {
        "latent": effects.latent,
        "text": text.to_dict(),
        "following": [t if isinstance(t, str) else None for t in data["next"]],
        "edited": [int(i) for i in np.flatnonzero(data["edited"])],
        "numbers": {c: _pack(data[c].to_numpy(dtype=np.float32)) for c in names},
        "votes": {k: [[str(token) for token, _ in row] for row in data[k]] for k in kinds},
        "weights": {k: _pack(_square([[v for _, v in row] for row in data[k]])) for k in kinds},
        "has_direct": "direct_up" in data,
    }


def most(data: Any) -> int | None:
    """Where the latent matters most: the largest loss difference, else the largest KL."""
    change = np.nan_to_num(np.abs(data["loss_diff"].to_numpy(dtype=float)))
    if not change.any():
        change = data["kl"].to_numpy(dtype=float)
    return int(change.argmax()) if len(change) and change.any() else None


def plain_lines(effects: Effects) -> list[str]:
    """HTML of a caption, the text with its loss differences, and the places where they are largest."""
    data = effects.frame
    change = np.nan_to_num(data["loss_diff"].to_numpy(dtype=float))
    high = float(np.abs(change).max(initial=0.0)) or 1.0
    pieces = []
    for start, stop, piece in effects.groups:
        value = float(max(change[start:stop], key=abs, default=0.0))
        color = HEAT if value > 0 else COOL
        share = min(1.0, abs(value) / high)
        style = f"background-color:rgba({color[0]},{color[1]},{color[2]},{share:.2f})"
        pieces.append(
            f'<span style="{style}" title="{value:+.4g}">{escape(piece)}</span>'
            if share > 0.02
            else f"<span>{escape(piece)}</span>"
        )
    lines = [f'<bdi style="display:block;{MONO}" dir="auto">{"".join(pieces)}</bdi>']
    for i in np.argsort(-np.abs(change), kind="stable")[:5]:
        if change[i]:
            row = data.iloc[int(i)]
            lines.append(
                f"{int(i)} {escape(repr(row['token']))} before {escape(repr(row['next']))}: loss difference "
                f"{change[i]:+.3g}, KL {row['kl']:.3g}; up {_said(row['up'])}; down {_said(row['down'])}"
            )
    about = (
        f"<b>Latent {effects.latent} ablated</b>: loss without it minus loss with it (nats), about the token "
        f"after each; orange where it helps, blue where it harms, at most {high:.3g}"
    )
    return [about, *lines]


def _said(votes: list[tuple[str, float]]) -> str:
    return ", ".join(f"{escape(repr(token))} {value:+.2g}" for token, value in votes[:3]) or "none"


def _square(rows: list[list[float]]) -> np.ndarray:
    """(n, longest) with NaN behind shorter rows."""
    out = np.full((len(rows), max(map(len, rows), default=0)), np.nan, dtype=np.float32)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out


def _pack(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()

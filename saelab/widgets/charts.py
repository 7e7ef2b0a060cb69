"""Small charts as SVG text, for pages that need no plotting library."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saelab.errors import SaelabError

WIDTH, HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 26, 40


def _tag(name: str, inside: str = "", **attributes: Any) -> str:
    """An SVG element; ``kind`` is its class, numbers have one decimal."""
    named = {"class" if k == "kind" else k.replace("_", "-"): v for k, v in attributes.items()}
    texts = (
        f' {k}="{v:.1f}"' if isinstance(v, float) else f' {k}="{html.escape(str(v))}"'
        for k, v in named.items()
    )
    return f"<{name}{''.join(texts)}>{inside}</{name}>"


def _text(x: float, y: float, text: str, anchor: str = "start", **attributes: Any) -> str:
    return _tag("text", html.escape(text), x=float(x), y=float(y), text_anchor=anchor, **attributes)


def _svg(height: float, parts: Sequence[str], name: str) -> str:
    inside = "".join(parts)
    return _tag("svg", inside, kind="sl-chart", viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=name)


_EMPTY = '<p class="sl-note">Nothing to draw.</p>'


def nice_ticks(low: float, high: float, n: int = 5) -> np.ndarray:
    """About ``n`` round numbers (1, 2 or 5 times a power of ten apart) between ``low`` and ``high``."""
    if high <= low:
        return np.array([low])
    raw = (high - low) / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    return step * np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)


def _label(value: float) -> str:
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{sign}"
    return f"{value:.3g}"


def lines(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    x_label: str = "",
    y_label: str = "",
    *,
    log_y: bool = False,
) -> str:
    """Line chart; gaps where a value is not finite (or not positive, with ``log_y``)."""
    for name, values in series.items():
        if len(values) != len(x):
            raise SaelabError(f"series {name!r} has {len(values)} values for {len(x)} places on the x axis")
    xs, ys = np.asarray(x, float), np.array(list(series.values()), float)
    if log_y:
        ys = np.log10(np.where(ys > 0, ys, np.nan))
    finite = ys[np.isfinite(ys)]
    if not len(finite):
        return _EMPTY
    low, high, left, right = (float(v) for v in (finite.min(), finite.max(), xs.min(), xs.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    right = right if right > left else left + 1
    base, end = HEIGHT - _BOTTOM, WIDTH - _RIGHT

    def px(v: Any) -> Any:
        return _LEFT + (v - left) / (right - left) * (end - _LEFT)

    def py(v: Any) -> Any:
        return base - (v - low) / (high - low) * (base - _TOP)

    out = []
    for tick in nice_ticks(low, high):
        out.append(_tag("line", kind="sl-grid", x1=_LEFT, x2=end, y1=float(py(tick)), y2=float(py(tick))))
        out.append(_text(_LEFT - 8, py(tick) + 4, _label(10**tick if log_y else tick), "end"))
    out += [_text(px(tick), base + 18, _label(tick), "middle") for tick in nice_ticks(left, right, 6)]
    out.append(_tag("line", kind="sl-axis", x1=_LEFT, x2=end, y1=base, y2=base))
    key_x = _LEFT
    for i, (name, line) in enumerate(zip(series, ys, strict=True)):
        known = np.isfinite(line)
        pens = np.where(known & ~np.roll(known, 1) | (np.arange(len(line)) == 0), "M", "L")
        points = zip(pens[known], px(xs[known]), py(line[known]), strict=True)
        out.append(
            _tag("path", kind=f"sl-line sl-s{i % 4}", d="".join(f"{p}{a:.1f} {b:.1f}" for p, a, b in points))
        )
        if len(series) > 1:
            out.append(_tag("g", _text(key_x, 14, name, kind="sl-key"), kind=f"sl-s{i % 4}"))
            key_x += 8 * len(name) + 20
    out.append(_text((_LEFT + end) / 2, HEIGHT - 4, x_label, "middle"))
    out.append(_text(_LEFT, 14, y_label if len(series) == 1 else ""))
    name = y_label or ", ".join(series)
    return _svg(HEIGHT, out, f"{name} over {x_label}" if x_label else name)


def bars(labels: Sequence[str], values: Sequence[float], x_label: str = "", form: str = ".3g") -> str:
    """Horizontal bars from zero."""
    if len(labels) != len(values):
        raise SaelabError(f"{len(labels)} labels for {len(values)} bars")
    known = [float(v) for v in values if math.isfinite(v)]
    if not known:
        return _EMPTY
    names = [n if len(n) <= 28 else n[:27] + "…" for n in map(str, labels)]
    left = min(220, 16 + 7 * max(map(len, names)))
    low, high = min(0.0, *known), max(0.0, *known)
    scale = (WIDTH - left - 70) / ((high - low) or 1)
    out, y = [], 6
    for name, value in zip(names, values, strict=True):
        out.append(_text(left - 8, y + 14, name, "end"))
        if math.isfinite(value):
            a, b = left + (min(value, 0) - low) * scale, left + (max(value, 0) - low) * scale
            bar = _tag("rect", kind="sl-bar", x=float(a), y=y + 2, width=float(b - a), height=16, rx=2)
            out += [_tag("g", bar, kind="sl-s0"), _text(b + 6, y + 14, format(value, form))]
        y += 22
    out.append(_text(left, y + 14, x_label))
    return _svg(y + (22 if x_label else 4), out, x_label or "bar chart")

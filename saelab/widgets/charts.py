"""Small charts as SVG text, for pages that need no plotting library."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from saelab.errors import SaelabError

WIDTH, HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 26, 40


def nice_ticks(low: float, high: float, n: int = 5) -> list[float]:
    """About ``n`` round numbers (1, 2 or 5 times a power of ten apart) between ``low`` and ``high``."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / n
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def label(value: float) -> str:
    """A tick's number: short, thousands as k, millions as M."""
    size = abs(value)
    for unit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
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
    xs = [float(v) for v in x]
    for name, values in series.items():
        if len(values) != len(xs):
            raise SaelabError(f"series {name!r} has {len(values)} values for {len(xs)} places on the x axis")

    def up(v: float) -> float:
        return (math.log10(v) if v > 0 else math.nan) if log_y else v

    ys = {name: [up(float(v)) for v in values] for name, values in series.items()}
    finite = [v for values in ys.values() for v in values if math.isfinite(v)]
    if not finite or not xs:
        return _empty()
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low - 0.5, high + 0.5
    left, right = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1

    def px(v: float) -> float:
        return _LEFT + (v - left) / (right - left) * (WIDTH - _LEFT - _RIGHT)

    def py(v: float) -> float:
        return HEIGHT - _BOTTOM - (v - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    out = []
    for tick in nice_ticks(low, high):
        shown = label(10**tick) if log_y else label(tick)
        out.append(
            f'<line class="sl-grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" '
            f'y1="{py(tick):.1f}" y2="{py(tick):.1f}"/>'
        )
        out.append(f'<text x="{_LEFT - 8}" y="{py(tick) + 4:.1f}" text-anchor="end">{shown}</text>')
    for tick in nice_ticks(left, right, 6):
        out.append(
            f'<text x="{px(tick):.1f}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{label(tick)}</text>'
        )
    base = HEIGHT - _BOTTOM
    out.append(f'<line class="sl-axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
    key_x = _LEFT
    for i, (name, values) in enumerate(ys.items()):
        points, pen = [], "M"
        for a, b in zip(xs, values, strict=True):
            if math.isfinite(b):
                points.append(f"{pen}{px(a):.1f} {py(b):.1f}")
                pen = "L"
            else:
                pen = "M"
        out.append(f'<path class="sl-line sl-s{i % 4}" d="{"".join(points)}"/>')
        if len(ys) > 1:
            out.append(
                f'<g class="sl-s{i % 4}">'
                f'<text class="sl-key" x="{key_x}" y="14">{escape_svg(name)}</text></g>'
            )
            key_x += 8 * len(name) + 20
    out += _axis_labels(x_label, y_label if len(ys) == 1 else "")
    name = y_label or ", ".join(series)
    return _svg(WIDTH, HEIGHT, out, f"{name} over {x_label}" if x_label else name)


def bars(labels: Sequence[str], values: Sequence[float], x_label: str = "", form: str = ".3g") -> str:
    """Horizontal bars from zero."""
    if len(labels) != len(values):
        raise SaelabError(f"{len(labels)} labels for {len(values)} bars")
    numbers = [float(v) for v in values]
    known = [v for v in numbers if math.isfinite(v)]
    if not known:
        return _empty()
    left = min(220, 16 + 7 * max(len(str(s)) for s in labels))
    low, high = min(0.0, *known), max(0.0, *known)
    scale = (WIDTH - left - 70) / ((high - low) or 1)
    out, y = [], 6
    for text, value in zip(labels, numbers, strict=True):
        out.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape_svg(_short(str(text)))}</text>'
        )
        if math.isfinite(value):
            a, b = left + (min(value, 0) - low) * scale, left + (max(value, 0) - low) * scale
            out.append(
                f'<g class="sl-s0"><rect class="sl-bar" x="{a:.1f}" y="{y + 2}" '
                f'width="{b - a:.1f}" height="16" rx="2"/></g>'
            )
            out.append(f'<text x="{b + 6:.1f}" y="{y + 14}">{format(value, form)}</text>')
        y += 22
    height = y + (22 if x_label else 4)
    if x_label:
        out.append(f'<text x="{left}" y="{y + 14}">{escape_svg(x_label)}</text>')
    return _svg(WIDTH, height, out, x_label or "bar chart")


def _short(text: str, n: int = 28) -> str:
    return text if len(text) <= n else text[: n - 1] + "…"


def escape_svg(text: str) -> str:
    """Text for an SVG element or attribute; SVG text holds no HTML elements."""
    return html.escape(text)


def _axis_labels(x_label: str, y_label: str) -> list[str]:
    out = []
    if x_label:
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        out.append(
            f'<text x="{middle:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{escape_svg(x_label)}</text>'
        )
    if y_label:
        out.append(f'<text x="{_LEFT}" y="14">{escape_svg(y_label)}</text>')
    return out


def _empty() -> str:
    return '<p class="sl-note">Nothing to draw.</p>'


def _svg(width: float, height: float, parts: Sequence[str], name: str) -> str:
    return (
        f'<svg class="sl-chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape_svg(name)}">'
        f"{''.join(parts)}</svg>"
    )

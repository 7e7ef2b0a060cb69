"""Several SAEs' reports in one table and one plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import pandas as pd

from saelab.doors import door
from saelab.errors import SaelabError, check_choice, check_sae
from saelab.evaluation.metrics import BY_NAME
from saelab.evaluation.report import Report, html_table, show
from saelab.sae import SAE

# seen on white and on black (Okabe and Ito's, the yellow and black left out)
_COLORS = ("#0089d8", "#e66f00", "#00a57b", "#d05a94", "#8b7bd8", "#b8860b")
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")
_INK, _GRID = "#7d838c", "rgba(128,134,144,.28)"


def named(saes: Sequence[SAE] | Mapping[str, SAE]) -> tuple[list[str], list[SAE]]:
    """Names that tell the SAEs apart, and the SAEs."""
    if isinstance(saes, str) or not isinstance(saes, (SAE, Mapping, Sequence)):
        check_sae(saes)
    if isinstance(saes, SAE):
        raise SaelabError("saes is a list or a dict of SAEs, got one SAE; use [sae], or saelab.evaluate")
    pairs = list(saes.items()) if isinstance(saes, Mapping) else [(None, s) for s in saes]
    if not pairs:
        raise SaelabError("there is no SAE to evaluate: saes is empty")
    for _, sae in pairs:
        check_sae(sae)
    names: list[str] = []
    for given, sae in pairs:
        c = sae.config
        name = given or f"{c.arch}{f' k={c.k}' if c.k else ''} ×{c.d_sae}"
        again = sum(n == name or n.startswith(f"{name} #") for n in names)
        names.append(f"{name} #{again + 1}" if again else name)
    return names, [sae for _, sae in pairs]


@door
class Reports(Mapping[str, Report]):
    """What :func:`saelab.evaluate_many` found: a mapping from names to :class:`Report`.

    ``reports[i]`` also takes a position, and ``reports[["a", "b"]]`` makes a smaller one. In a notebook it shows as a
    table.

    Examples
    --------
    >>> reports = sl.evaluate_many(model, {"mine": sae}, texts, progress=False)
    >>> reports["mine"] is reports[0]
    True
    """

    def __init__(self, reports: Mapping[str, Report], saes: Mapping[str, SAE]):
        self._reports, self.saes = dict(reports), dict(saes)

    @overload
    def __getitem__(self, key: str | int) -> Report: ...

    @overload
    def __getitem__(self, key: list[str]) -> Reports: ...

    def __getitem__(self, key: str | int | list[str]) -> Report | Reports:
        if isinstance(key, list):
            return Reports({name: self[name] for name in key}, {name: self.saes[name] for name in key})
        if isinstance(key, int) and -len(self) <= key < len(self):
            return list(self._reports.values())[key]
        return self._reports[check_choice("SAE", key, self._reports)]  # type: ignore[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._reports)

    def __len__(self) -> int:
        return len(self._reports)

    def to_frame(self) -> pd.DataFrame:
        """One line per SAE: what it is, every metric (undefined ones are NaN), and the bounds of the intervals as
        ``<metric>_low`` and ``<metric>_high``.

        Examples
        --------
        >>> sl.evaluate_many(model, {"mine": sae}, texts, progress=False).to_frame().index.tolist()
        ['mine']
        """
        lines = []
        for name, r in self._reports.items():
            c = self.saes[name].config
            bounds = {f"{m}_low": low for m, (low, _) in r.intervals.items()}
            bounds |= {f"{m}_high": high for m, (_, high) in r.intervals.items()}
            lines.append({"name": name, "arch": c.arch, "d_sae": c.d_sae, "k": c.k, **r.values, **bounds})
        return pd.DataFrame(lines).set_index("name").convert_dtypes()

    def __repr__(self) -> str:
        shown = next(iter(self._reports.values())).shown
        frame: Any = self.to_frame()[["d_sae", *shown]]
        return frame.to_string(float_format="{:.4g}".format)

    def _repr_html_(self) -> str:
        first = next(iter(self._reports.values()))
        lines = [[name, *(show(r.values[m]) for m in first.shown)] for name, r in self._reports.items()]
        return (
            f"<b>{len(self)} SAEs</b> on the same {first.tokens:,} tokens of {first.documents:,} documents"
            + html_table(["SAE", *first.shown], lines)
        )

    def frontier(
        self,
        y: str | Sequence[str] = ("explained_variance", "loss_recovered_zero"),
        x: str = "l0",
        *,
        color: str = "arch",
    ) -> Any:
        """A plotly figure: one point per SAE, with its interval; better is up (down, for KL) and to the left.

        Parameters
        ----------
        y, x
            Metrics of the reports; each ``y`` gets a panel of its own.
        color
            What SAEs of one color share, joined by a line in the order of ``x``: ``"arch"`` (and size, where an
            architecture comes in several), ``"d_sae"``, ``"k"`` or ``"name"``.

        Examples
        --------
        >>> reports = sl.evaluate_many(model, [sae], texts, progress=False)
        >>> len(reports.frontier(["explained_variance", "kl_sae"]).data)
        2
        """
        from plotly.subplots import make_subplots

        panels = [y] if isinstance(y, str) else list(y)
        if not panels:
            raise SaelabError("y is empty: name at least one metric")
        for metric in (*panels, x):
            check_choice("metric", metric, BY_NAME)
        check_choice("color", color, ("arch", "d_sae", "k", "name"))
        frame = self.to_frame().reset_index()
        if color == "arch":  # a line joins what differs in sparsity alone
            several = frame.groupby("arch").d_sae.transform("nunique") > 1
            frame["arch"] = frame["arch"] + [
                f" ×{n:,}" if more else "" for n, more in zip(frame["d_sae"], several, strict=True)
            ]
        figure = make_subplots(rows=1, cols=len(panels), horizontal_spacing=0.09)
        for column, metric in enumerate(panels, 1):
            for i, (group, part) in enumerate(frame.groupby(color, sort=False, dropna=False)):
                part, ink = part.sort_values(x), _COLORS[i % len(_COLORS)]
                figure.add_scatter(
                    x=_floats(part, x), y=_floats(part, metric), name=str(group), legendgroup=str(group),
                    showlegend=column == 1, mode="lines+markers", line={"color": ink, "width": 2},
                    marker={"symbol": _SYMBOLS[i % len(_SYMBOLS)], "size": 9}, error_y=_bars(part, metric, ink),
                    text=part["name"], hovertemplate=f"%{{text}}<br>{x} %{{x:.4g}}<br>{metric} %{{y:.4g}}<extra></extra>",
                    row=1, col=column,
                )  # fmt: skip
            figure.update_xaxes(title_text=BY_NAME[x].title, row=1, col=column)
            figure.update_yaxes(title_text=BY_NAME[metric].title, row=1, col=column)
        style(figure)
        return figure


def style(figure: Any) -> None:
    """No background of its own and ink halfway between: fit for a light page and a dark one."""
    figure.update_layout(
        template="none", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _INK, "size": 13}, height=380, margin={"l": 70, "r": 20, "t": 50, "b": 60},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        hoverlabel={"font": {"size": 13}},
    )  # fmt: skip
    figure.update_xaxes(gridcolor=_GRID, linecolor=_INK, zeroline=False, ticks="outside", automargin=True)
    figure.update_yaxes(gridcolor=_GRID, linecolor=_INK, zeroline=False, ticks="outside", automargin=True)


def _floats(frame: pd.DataFrame, name: str) -> list[float]:
    return frame[name].astype(float).fillna(float("nan")).tolist()


def _bars(frame: pd.DataFrame, metric: str, color: str) -> dict[str, Any] | None:
    if f"{metric}_low" not in frame:
        return None
    middle = _floats(frame, metric)
    up = [b - m for b, m in zip(_floats(frame, f"{metric}_high"), middle, strict=True)]
    down = [m - b for b, m in zip(_floats(frame, f"{metric}_low"), middle, strict=True)]
    return {"type": "data", "array": up, "arrayminus": down, "color": color, "thickness": 1, "width": 3}

"""DataFrames that hold text of a model."""

from __future__ import annotations

from typing import Any

import pandas as pd


class TextFrame(pd.DataFrame):
    """A DataFrame whose cells a notebook shows as they are: what stands between two ``$`` is not drawn as maths."""

    @property
    def _constructor(self) -> Any:
        return TextFrame

    def _repr_html_(self) -> str | None:
        with pd.option_context("display.html.use_mathjax", False):
            shown = super()._repr_html_()  # type: ignore[operator]
        # the option is a class on the table, which JupyterLab's MathJax passes over; a sign alone in an element is not
        return shown and shown.replace("$", "<span>$</span>").replace("\\", "<span>\\</span>")

"""A text of the user's own, tried while it is typed: in a thread of its own, always the latest text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.widgets.codes_source import CodesSource
from saelab.widgets.latest import LatestOnlyWorker
from saelab.widgets.page import plain
from saelab.widgets.payload import exact_list, top_tokens

if TYPE_CHECKING:
    import pandas as pd

_STRONGEST = 8  # latents named per token
_FIRST = "the text is longer than the model's context: these are its first {} tokens, part 1 of {}; sl.heatmap shows all"


class Prompt:
    """Runs texts through the model and SAE of an index and tells what fires.

    Parameters
    ----------
    done
        Called in that thread with what was found (plain JSON) or with the exception.
    """

    def __init__(self, done: Callable[[dict[str, Any] | Exception], None]):
        self.jobs = LatestOnlyWorker(self._found, done)
        self._last: tuple[str, CodesSource] | None = None

    def ask(self, index: Any, text: str) -> None:
        """Try ``text`` as soon as the present one is done."""
        self.jobs.ask(index, text)

    def forget(self) -> None:
        """Drop what waits and what was found."""
        self.jobs.forget()
        self._last = None

    def _run(self, index: Any, text: str) -> CodesSource:
        last = self._last
        if last is not None and last[0] == text:
            return last[1]
        source = CodesSource(index.model, index.sae, index)
        source.run([text])
        self._last = (text, source)
        return source

    def _found(self, index: Any, text: str) -> dict[str, Any]:
        source = self._run(index, text)
        shown, lines = source.texts[0], self.to_frame(index, text)
        strongest: list[list[list[Any]]] = [[] for _ in shown.ids]
        lines = lines.groupby("position").head(_STRONGEST)
        values = exact_list(lines["activation"].to_numpy(np.float32))
        for position, latent, value in zip(lines["position"], lines["latent"], values, strict=True):
            strongest[position].append([int(latent), value])
        named = {str(i): index.label(int(i)) for i in lines["latent"].unique()}
        tokens = dict(zip(named, top_tokens(index, [int(i) for i in named]), strict=True))
        labels, parts = {i: name for i, name in named.items() if name}, len(source.texts)
        notice = source.notice if parts < 2 else _FIRST.format(len(shown), parts)
        return plain({"prompt": text, "text": shown.to_dict(), "notice": notice, "strongest": strongest,
                      "labels": labels, "tokens": tokens})  # fmt: skip

    def of_latent(self, found: dict[str, Any], latent: int) -> dict[str, Any]:
        """``found`` with the activation of ``latent`` on each token."""
        last = self._last
        if last is None or last[0] != found["prompt"]:
            return found
        values = last[1].columns([latent])[0][:, 0]  # (T)
        return {**found, "latent": latent, "values": exact_list(values)}

    def to_frame(self, index: Any, text: str) -> pd.DataFrame:
        """Every latent that fires on ``text``: position, id, token, latent, activation, strongest first."""
        return self._run(index, text).to_frame().query("sequence == 0").drop(columns="sequence")

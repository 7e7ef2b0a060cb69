"""A text of the user's own, tried while it is typed: in a thread of its own, always the latest text."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab.widgets.page import plain
from saelab.widgets.payload import short
from saelab.widgets.source import Source

if TYPE_CHECKING:
    import pandas as pd

_STRONGEST = 8  # latents named per token


class Prompt:
    """Runs texts through the model and SAE of an index and tells what fires.

    A forward pass waits for the model's lock, which a cell may hold for long; so it is not run by the thread
    that answers the view. A text that was replaced before its turn came is not run at all.

    Parameters
    ----------
    done
        Called in that thread with what was found (plain JSON) or with the exception.
    """

    def __init__(self, done: Callable[[dict[str, Any] | Exception], None]):
        self._done, self._guard = done, threading.Lock()
        self._next: tuple[Any, str] | None = None
        self._running = False
        self._last: tuple[str, Source] | None = None
        self.thread: threading.Thread | None = None

    def ask(self, index: Any, text: str) -> None:
        """Try ``text`` as soon as the present one is done."""
        with self._guard:
            self._next = (index, text)
            if self._running:
                return
            self._running = True
        self.thread = threading.Thread(target=self._work, name="saelab-prompt", daemon=True)
        self.thread.start()

    def forget(self) -> None:
        """Drop what waits and what was found."""
        with self._guard:
            self._next, self._last = None, None

    def _work(self) -> None:
        while True:
            with self._guard:
                job, self._next = self._next, None
                if job is None:
                    self._running = False
                    return
            try:
                found: dict[str, Any] | Exception = self._found(*job)
            except Exception as error:
                found = error
            self._done(found)

    def _run(self, index: Any, text: str) -> Source:
        last = self._last
        if last is not None and last[0] == text:
            return last[1]
        source = Source(index.model, index.sae, index)
        source.run([text])
        self._last = (text, source)
        return source

    def _found(self, index: Any, text: str) -> dict[str, Any]:
        source = self._run(index, text)
        shown, lines = source.texts[0], source.to_frame()
        strongest: list[list[list[Any]]] = [[] for _ in shown.ids]
        lines = lines.groupby("position").head(_STRONGEST)
        for position, latent, value in zip(
            lines["position"], lines["latent"], lines["activation"], strict=True
        ):
            strongest[position].append([int(latent), short(float(value))])
        named = {str(i): index.label(int(i)) for i in lines["latent"].unique()}
        return plain(
            {
                "prompt": text,
                "text": shown.to_dict(),
                "strongest": strongest,
                "labels": {i: name for i, name in named.items() if name},
            }
        )

    def of_latent(self, found: dict[str, Any], latent: int) -> dict[str, Any]:
        """``found`` with the activation of ``latent`` on each token."""
        last = self._last
        if last is None or last[0] != found["prompt"]:
            return found
        values = last[1].columns([latent])[0][:, 0]  # (T)
        return {**found, "latent": latent, "values": [short(v) for v in np.asarray(values, float).tolist()]}

    def to_frame(self, index: Any, text: str) -> pd.DataFrame:
        """Every latent that fires on ``text``: position, id, token, latent, activation, strongest first."""
        return self._run(index, text).to_frame().drop(columns="sequence")

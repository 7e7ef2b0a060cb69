"""A run as plain text: a line every few seconds, curves in block characters at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from saelab.sae import SAE
from saelab.training.monitor import COLUMNS, Meter
from saelab.training.run import Run, State

_BLOCKS = "▁▂▃▄▅▆▇█"
SHOWN = {
    "loss": "loss",
    "explained variance": "explained_variance",
    "L0": "l0",
    "dead": "dead",
    "rare": "rare",
}


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Values as a line of block characters, from the least to the largest; a space where one is not finite.

    >>> sparkline([0, 1, 2, 3])
    '▁▃▆█'
    """
    values = [float(v) for v in values]
    if len(values) > width:
        edges = [round(i * len(values) / width) for i in range(width + 1)]
        parts = [[v for v in values[a:b] if math.isfinite(v)] for a, b in zip(edges, edges[1:], strict=False)]
        values = [sum(p) / len(p) if p else math.nan for p in parts]
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return " " * len(values)
    low, size = min(known), max(known) - min(known)
    top = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[round(top * (v - low) / size) if size else 0] if math.isfinite(v) else " " for v in values
    )


def duration(seconds: float | None) -> str:
    """``1:02:03``; ``–`` if it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"


class TextMonitor:
    """Writes a line every ``every`` seconds, hints when they first hold, and the curves at the end.

    ``train(monitor="text")`` makes one that writes to the standard output every 10 seconds.

    Parameters
    ----------
    every
        Seconds between two lines.
    write
        Takes a line of text; None: the standard output.

    Examples
    --------
    >>> lines = []
    >>> store = sl.ActivationStore.of({"mine": torch.randn(64, 8)})
    >>> _ = sl.train(store, d_sae=16, k=2, batch=32, monitor=sl.training.TextMonitor(0, lines.append))
    >>> lines[-1]
    'ended after 64 of 64 tokens, 0:00'
    """

    def __init__(self, every: float = 10.0, write: Callable[[str], Any] | None = None):
        self.every, self._write = every, write
        self._meter, self._hinted = Meter(1), set()

    def _line(self, text: str) -> None:
        if self._write is not None:
            self._write(text)
        else:
            print(text, flush=True)  # noqa: T201

    def begin(self, run: Run, resume: Callable[[], None]) -> None:
        self._meter, self._hinted = Meter(len(run.specs), interval=self.every), set()
        self._meter.begin(run.trainers)

    def step(self, run: Run) -> None:
        if self._meter.step(run.trainers):
            self._now(run)

    def _now(self, run: Run) -> None:
        rate, points = self._meter.rate(), self._meter.array()[:, -1]
        left = None if not rate else (run.budget - run.tokens) / rate
        share = f"{run.tokens / run.budget:4.0%} {run.tokens:>13,} tokens"
        speed = f"{rate:,.0f} tokens/s, {duration(left)} left" if rate else ""
        for trainer, point in zip(run.trainers, points, strict=True):
            now = dict(zip(COLUMNS, point, strict=True))
            name = f"[{trainer.name}] " if trainer.name else ""
            self._line(
                f"{share}  {name}loss {now['loss']:.4f} = fvu {now['fvu']:.4f} + aux {now['aux']:.4f} + "
                f"penalty {now['penalty']:.4f}, explained variance {now['explained_variance']:.3f}, "
                f"L0 {now['l0']:.1f}, dead {now['dead']:.0f}, rare {now['rare']:.0f}  {speed}".rstrip()
            )
        self._hints(run)

    def _hints(self, run: Run) -> None:
        for trainer in run.trainers:
            for hint in trainer.hints():
                # the numbers in a hint change all the time; what it is about does not
                key = (trainer.name, "".join(c for c in hint if not c.isdigit()))
                if key not in self._hinted:
                    self._hinted.add(key)
                    self._line(f"  ! {f'[{trainer.name}] ' if trainer.name else ''}{hint}")

    def finished(self, saes: Sequence[SAE]) -> None:
        self._line("this run has ended before")

    def end(self, run: Run, error: BaseException | None) -> None:
        self._meter.pause(run.trainers)
        self._hints(run)
        points = self._meter.array()
        if not points.shape[1]:
            return
        for trainer, lines in zip(run.trainers, points, strict=True):
            if trainer.name:
                self._line(f"[{trainer.name}]")
            for name, column in SHOWN.items():
                values = lines[:, COLUMNS.index(column)]
                self._line(f"{name:>18}  {values[0]:10.4g} {sparkline(values)} {values[-1]:.4g}")
        how = "failed" if error is not None else "ended" if run.state is State.ENDED else "stopped"
        self._line(
            f"{how} after {run.tokens:,} of {run.budget:,} tokens, {duration(run.trainers[0].seconds())}"
        )

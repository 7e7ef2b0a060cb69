"""What watches a run: the protocol, and the numbers a watcher shows.

Curves of the record have about fifty lines however long the run is. A watcher wants to see what happens now, so
it takes its own means over a fraction of a second each; when there are too many, neighbors are merged.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from saelab.sae import SAE
    from saelab.training.run import Run
    from saelab.training.trainer import Trainer

_MEANS = ("loss", "fvu", "aux", "penalty", "explained_variance", "l0")
COLUMNS = ("tokens", "seconds", *_MEANS, "dead", "rare")  # those that are no means hold at a moment


class Monitor(Protocol):
    """What ``train(monitor=…)`` takes besides ``True`` and ``"text"``."""

    def begin(self, run: Run, resume: Callable[[], None]) -> None:
        """The run is about to read its first text. ``run.stop()`` ends it after a step; when it has been
        stopped, ``resume()`` trains the rest, in the thread that calls it."""

    def step(self, run: Run) -> None:
        """A step was made; called in the thread that trains."""

    def end(self, run: Run, error: BaseException | None) -> None:
        """The run has ended or was stopped; its SAEs have their records."""

    def finished(self, saes: Sequence[SAE]) -> None:
        """In place of the others: the run had ended before, and its SAEs were loaded."""


class Meter:
    """The live numbers of a run.

    Parameters
    ----------
    n
        SAEs that are trained.
    interval
        Seconds between two points.
    limit
        Points that are kept; when there are more, neighbors are merged.
    """

    def __init__(
        self, n: int, *, interval: float = 0.4, limit: int = 400, clock: Callable[[], float] = time.monotonic
    ):
        self.interval, self.limit, self.clock = interval, limit, clock
        self.points: list[np.ndarray] = []  # each (n, len(COLUMNS))
        self._weights: list[int] = []  # steps behind each point
        self._sums: list[dict[str, Any]] = [{} for _ in range(n)]
        self._steps = 0
        self._due = clock()
        self._marks: deque[tuple[float, int]] = deque()  # (time, tokens)
        self._began = clock()

    def begin(self, trainers: Sequence[Trainer]) -> None:
        """Take the curves of the record where they have more to show, as in a run that goes on from a checkpoint."""
        if trainers and len(trainers[0].curves) > len(self.points):
            parts = [from_curves(t.curves, t.config.aux_coef) for t in trainers]
            self.points = list(np.stack(parts, 1))
            self._weights = [1] * len(self.points)
            self._shorten()
        self._marks.clear()

    def step(self, trainers: Sequence[Trainer]) -> bool:
        """Take in a step; True if there is a new point."""
        for sums, trainer in zip(self._sums, trainers, strict=True):
            last = trainer.last
            assert last is not None
            for name in ("loss", "error", "aux", "penalty", "l0"):
                sums[name] = sums.get(name, 0.0) + getattr(last, name)
        self._steps += 1
        now = self.clock()
        if not self._marks:
            self._marks.append((now, trainers[0].tokens))
        if now < self._due:
            return False
        self.flush(trainers)
        self._due = now + self.interval
        return True

    def flush(self, trainers: Sequence[Trainer]) -> None:
        """Make a point of the steps since the last one."""
        if not self._steps:
            return
        lines = [self._line(t, s) for t, s in zip(trainers, self._sums, strict=True)]
        self.points.append(np.array(lines))
        self._weights.append(self._steps)
        self._sums, self._steps = [{} for _ in trainers], 0
        self._shorten()
        self._marks.append((self.clock(), trainers[0].tokens))

    def pause(self, trainers: Sequence[Trainer]) -> None:
        """The run ends here, or goes on after a break that is no part of its speed. A run of seconds gets the
        lines of its record, which are more."""
        self.flush(trainers)
        self.begin(trainers)
        self._due = self.clock()

    def _line(self, trainer: Trainer, sums: Mapping[str, Any]) -> list[float]:
        mean = {name: float(value) / self._steps for name, value in sums.items()}
        fvu, (dead, rare) = mean["error"] / trainer.variance, trainer.counts()
        point = mean | {
            "tokens": trainer.tokens, "seconds": trainer.seconds(), "fvu": fvu,
            "aux": mean["aux"] * trainer.config.aux_coef, "explained_variance": 1 - fvu,
            "dead": dead, "rare": rare,
        }  # fmt: skip
        return [float(point[name]) for name in COLUMNS]

    def _shorten(self) -> None:
        while len(self.points) > self.limit:
            points, weights = self.points, self._weights
            odd = len(points) % 2  # the newest stays as it is when it has no partner
            pairs = range(0, len(points) - odd, 2)
            merged = [_merged(points[i], points[i + 1], weights[i], weights[i + 1]) for i in pairs]
            self.points = merged + points[len(points) - odd :]
            self._weights = [weights[i] + weights[i + 1] for i in pairs] + weights[len(weights) - odd :]

    def array(self) -> np.ndarray:
        """(SAEs, points, len(COLUMNS)) float64."""
        if not self.points:
            return np.zeros((len(self._sums), 0, len(COLUMNS)))
        return np.stack(self.points, 1)

    def rate(self) -> float | None:
        """Tokens per second, over the last quarter of the time but at least half a minute: activations are
        harvested in bursts."""
        if len(self._marks) < 2:
            return None
        now, tokens = self._marks[-1]
        since = now - max(30.0, (now - self._began) / 4)
        while len(self._marks) > 2 and self._marks[0][0] < since:
            self._marks.popleft()
        then, before = self._marks[0]
        return (tokens - before) / (now - then) if now > then else None


def _merged(a: np.ndarray, b: np.ndarray, m: int, n: int) -> np.ndarray:
    out = b.copy()
    places = [COLUMNS.index(name) for name in _MEANS]
    out[:, places] = (m * a[:, places] + n * b[:, places]) / (m + n)
    return out


def from_curves(curves: Iterable[Mapping[str, Any]], aux_coef: float) -> np.ndarray:
    """(lines, len(COLUMNS)) of a run's curves (``sae.history``); NaN for what they do not hold."""
    rows = []
    for line in curves:
        known = {name: float(value) for name, value in line.items() if value is not None}
        if "unexplained" in known:  # the name of fvu in older curves
            known["fvu"] = known["unexplained"]
        rows.append([known.get(name, np.nan) for name in COLUMNS])
    points = np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS))
    points[:, COLUMNS.index("aux")] *= aux_coef
    return points

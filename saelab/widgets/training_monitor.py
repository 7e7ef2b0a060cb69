"""TrainingMonitor: the curves of a run while it trains, with buttons to stop it and to go on."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from saelab.doors import door
from saelab.errors import SaelabError, check_sae
from saelab.training.monitor import COLUMNS, Meter
from saelab.training.run import Run, State
from saelab.training.text_monitor import SHOWN, duration, sparkline
from saelab.widgets.base import Number, Widget
from saelab.widgets.past_runs import past_of_folder, past_of_sae, target_l0
from saelab.widgets.tokens import MONO, escape, frame

if TYPE_CHECKING:
    import pandas as pd

    from saelab.sae import SAE

PHASES = {
    "empty": "no run yet",
    "preparing": "reading the first activations",
    "running": "training",
    "stopping": "stopping after this step",
    "stopped": "stopped",
    "ended": "ended",
    "failed": "failed",
}


class TrainingMonitor(Widget):
    """Loss parts, explained variance, L0, dead and rare latents of a run; stop and resume.

    ``sl.train(…, monitor=True)`` shows one under its cell. To show it elsewhere, make it with
    ``sl.training_monitor()`` and give it to ``train``. A click on Stop ends the run after the step under way,
    and the cell returns the SAE so far; Resume then trains on in a thread, the same SAE object, exactly as if
    it had not been stopped, while the notebook stays free. JupyterLab 4.4 or newer with ipykernel 7 delivers
    the click while the cell runs; with other front ends use the notebook's own stop button, which does the
    same.

    Attributes
    ----------
    phase
        ``empty``, ``preparing``, ``running``, ``stopping``, ``stopped``, ``ended`` or ``failed``.
    tokens, budget
        Activations seen, and to be seen.
    rate
        Tokens per second lately, or None.
    hints
        What looks wrong, in words.

    Examples
    --------
    >>> monitor = sl.training_monitor()
    >>> small = {"hook": "blocks.0.hook_resid_post", "d_sae": 32, "k": 4, "tokens": 500, "batch": 50, "buffer": 200}
    >>> sae = sl.train(model, texts * 40, monitor=monitor, **small)
    >>> monitor.phase, monitor.tokens
    ('ended', 500)
    """

    # all set by Python alone
    phase = traitlets.Enum(list(PHASES), "empty").tag(sync=True)
    heading = traitlets.Unicode("Training").tag(sync=True)
    names = traitlets.List(traitlets.Unicode(), help="one per SAE").tag(sync=True)
    d_sae = traitlets.List(traitlets.Int(), help="latents of each SAE").tag(sync=True)
    dead_after = traitlets.List(help="tokens without firing until a latent is dead, or None").tag(sync=True)
    target = traitlets.List(help="wanted L0 of each SAE, or None").tag(sync=True)
    columns = traitlets.List(traitlets.Unicode(), list(COLUMNS)).tag(sync=True)
    points = traitlets.Bytes(help="float32, (SAEs, points, columns)").tag(sync=True)
    tokens = traitlets.Int(0).tag(sync=True)
    budget = traitlets.Int(0).tag(sync=True)
    seconds = Number(0.0).tag(sync=True)
    rate = Number(None, allow_none=True).tag(sync=True)
    hints = traitlets.List(traitlets.Unicode()).tag(sync=True)
    can_resume = traitlets.Bool(False).tag(sync=True)
    read_only = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **state: Any):
        self._meter, self._thread = Meter(0), None
        self._saes: list[SAE] = []
        super().__init__(**state)

    # ------------------------------------------------------------------------------------ what a run tells

    def begin(self, run: Run, resume: Callable[[], None]) -> None:
        """See :class:`saelab.training.monitor.Monitor`.

        Examples
        --------
        >>> monitor = sl.training_monitor()
        >>> small = dict(hook="blocks.0.hook_resid_post", d_sae=32, k=4, tokens=500, batch=50, buffer=200)
        >>> sae = sl.train(model, texts * 40, monitor=monitor, **small)
        >>> monitor.names
        ['topk, 32 latents, k = 4']
        """
        with self._lock:
            if self.phase in ("preparing", "running", "stopping"):
                raise SaelabError("this monitor watches a run that has not ended; give another to this one")
            self._held, self._released, self._saes = (run, resume), False, []
            self._meter = Meter(len(run.specs), limit=300)
            self._meter.begin(run.trainers)
            self.clear_error()
            with self.hold_sync():
                self.names = [w.label() for w in run.specs]
                self.heading = _heading(self.names, [str(w.hook) for w in run.specs])
                self.d_sae = [w.d_sae for w in run.specs]
                self.target = [target_l0(w.arch, w.k, w.typed_options) for w in run.specs]
                self.dead_after = [t.dead_after for t in run.trainers] or [None] * len(run.specs)
                self.budget, self.tokens = run.budget, run.tokens
                self.hints, self.can_resume, self.rate = [], False, None
                self._draw()
                self.phase = "preparing"

    def step(self, run: Run) -> None:
        """See :class:`saelab.training.monitor.Monitor`.

        Examples
        --------
        >>> monitor = sl.training_monitor()
        >>> small = dict(hook="blocks.0.hook_resid_post", d_sae=32, k=4, tokens=500, batch=50, buffer=200)
        >>> sae = sl.train(model, texts * 40, monitor=monitor, **small)
        >>> monitor.tokens
        500
        """
        if not self._meter.step(run.trainers):
            return
        with self._lock, self.hold_sync():
            self._progress(run)
            self.hints = _hints(run)
            if self.phase == "preparing":
                self.phase, self.dead_after = "running", [t.dead_after for t in run.trainers]

    def end(self, run: Run, error: BaseException | None) -> None:
        """See :class:`saelab.training.monitor.Monitor`.

        Examples
        --------
        >>> monitor = sl.training_monitor()
        >>> small = dict(hook="blocks.0.hook_resid_post", d_sae=32, k=4, tokens=500, batch=50, buffer=200)
        >>> sae = sl.train(model, texts * 40, monitor=monitor, **small)
        >>> monitor.phase
        'ended'
        """
        self._meter.pause(run.trainers)
        with self._lock, self.hold_sync():
            if run.trainers:
                self._progress(run)
                self._saes = [] if self._released else [t.sae for t in run.trainers]
                self.hints = _notes(self.names, self._saes)
            diverged = any(t.curves and not math.isfinite(t.curves[-1]["loss"]) for t in run.trainers)
            self.can_resume = run.state is State.STOPPED and not (diverged or self._released)
            self.phase = "failed" if error is not None else "ended" if run.state is State.ENDED else "stopped"
            if not self.can_resume:
                self._held = None  # the buffer of activations may be large
        if error is not None:
            self.show_error(error)

    @door
    def finished(self, saes: Sequence[SAE]) -> None:
        """See :class:`saelab.training.monitor.Monitor`.

        Examples
        --------
        >>> monitor = sl.training_monitor()
        >>> monitor.finished([sl.load_sae("zoo")])
        >>> monitor.phase
        'ended'
        """
        self._saes = list(saes)
        self._show([past_of_sae(s) for s in saes])

    def _progress(self, run: Run) -> None:
        self.tokens, self.rate = run.tokens, self._meter.rate()
        self.seconds = run.trainers[0].seconds()
        self._draw()

    def _draw(self) -> None:
        self.points = self._meter.array().astype("<f4").tobytes()

    # ------------------------------------------------------------------------------------------ past runs

    def _show(self, past: Sequence[Mapping[str, Any]]) -> None:
        length = max((len(p["points"]) for p in past), default=0)
        array = np.full((len(past), length, len(COLUMNS)), np.nan)
        for lines, p in zip(array, past, strict=True):
            lines[: len(p["points"])] = p["points"]
        self._meter = Meter(len(past))
        self._meter.points = list(array.swapaxes(0, 1))
        place = {name: COLUMNS.index(name) for name in ("tokens", "seconds")}
        with self.hold_sync():
            self.names = [p["name"] for p in past]
            self.heading = _heading(self.names, [p["hook"] for p in past])
            self.d_sae, self.target = [p["d_sae"] for p in past], [p["target"] for p in past]
            self.dead_after = [p["dead_after"] for p in past]
            self.hints = _of_each(self.names, [p["notes"] for p in past])
            self.tokens = int(np.nanmax(array[..., place["tokens"]], initial=0))
            self.budget = max([self.tokens, *(p["budget"] for p in past)])
            # runs beside each other have no common time
            self.seconds = (
                float(np.nanmax(array[..., place["seconds"]], initial=0)) if len(past) == 1 else 0.0
            )
            self.phase = "ended" if any(p["ended"] for p in past) else "stopped"
            self._draw()

    # --------------------------------------------------------------------------------------------- buttons

    def methods(self) -> dict[str, Any]:
        return {"stop": self.stop, "resume": self.resume}

    def stop(self) -> None:
        """End the run after the step that is under way.

        Examples
        --------
        >>> sl.training_monitor().stop()
        Traceback (most recent call last):
        saelab.errors.SaelabError: there is nothing to stop: no run yet
        """
        with self._lock:
            if self.phase not in ("preparing", "running", "stopping"):
                raise SaelabError(f"there is nothing to stop: {PHASES[self.phase]}")
            self._source[0].stop()
            self.phase = "stopping"

    def resume(self) -> None:
        """Train the rest of a run that was stopped, in a thread of its own; returns at once.

        The SAE that ``train`` returned goes on: its weights move, and get their new record at the end.

        Examples
        --------
        >>> sl.training_monitor().resume()
        Traceback (most recent call last):
        saelab.errors.SaelabError: there is nothing to resume: no run yet
        """
        with self._lock:
            if not self.can_resume:
                raise SaelabError(f"there is nothing to resume: {PHASES[self.phase]}")
            _, resume = self._source
            self.clear_error()
            self.can_resume, self.phase = False, "preparing"
            self._thread = threading.Thread(
                target=self._work, args=(resume,), name="saelab-training", daemon=True
            )
            self._thread.start()

    def _work(self, resume: Callable[[], None]) -> None:
        try:
            resume()
        except Exception as error:  # end() was told of most; this is for what comes before it
            self.phase = "failed"
            self.show_error(error)

    def wait(self) -> SAE | list[SAE]:
        """Wait for a run that goes on in a thread; returns its SAE (of ``train_many``, all).

        Interrupting the cell stops the run.

        Examples
        --------
        >>> sl.training_monitor(sl.load_sae("zoo")).wait()
        Traceback (most recent call last):
        saelab.errors.SaelabError: no SAE was trained: ended
        """
        thread = self._thread
        while thread is not None and thread.is_alive():
            try:
                thread.join(0.2)  # a longer wait could not be interrupted on every system
            except KeyboardInterrupt:
                self.stop()
        if not self._saes:
            raise SaelabError(f"no SAE was trained: {PHASES[self.phase]}")
        return self._saes[0] if len(self._saes) == 1 else list(self._saes)

    def release(self) -> None:
        held = self._held
        super().release()
        self.can_resume, self._saes = False, []
        # the view of a run that was resumed is gone, and with it the way to stop it
        if held is not None and self._thread is not None and self._thread.is_alive():
            held[0].stop()

    # ---------------------------------------------------------------------------------------------- export

    def to_frame(self) -> pd.DataFrame:
        """What is drawn: one row per SAE and point. Numbers are means since the point before, ``aux`` with its
        coefficient; ``dead`` and ``rare`` are counts of that moment (:mod:`saelab.training.firing`).

        Examples
        --------
        >>> bool(sl.training_monitor(sl.load_sae("zoo")).to_frame()["explained_variance"].iloc[-1] > 0.8)
        True
        """
        import pandas as pd

        parts = [
            pd.DataFrame(lines, columns=list(COLUMNS)).assign(sae=name)
            for lines, name in zip(self._meter.array(), self.names, strict=True)
        ]
        if not parts:
            return pd.DataFrame(columns=["sae", *COLUMNS])
        table = pd.concat(parts, ignore_index=True)
        return table.loc[table["tokens"].notna(), ["sae", *COLUMNS]]

    def title(self) -> str:
        return self.heading

    def __repr__(self) -> str:
        return f"TrainingMonitor({self.heading}: {PHASES[self.phase]}, {self.tokens:,} of {self.budget:,} tokens)"

    def fallback(self) -> str:
        head = f"<b>{escape(self.heading)}</b> {escape(PHASES[self.phase])}"
        done = f"{self.tokens:,} of {self.budget:,} tokens, {duration(self.seconds)}"
        parts = []
        for name, lines in zip(self.names, self._meter.array(), strict=True):
            known = lines[np.isfinite(lines[:, COLUMNS.index("tokens")])]
            if not len(known):
                continue
            rows = [
                f"{label:>18}  {values[0]:>9.4g} {sparkline(values)} {values[-1]:.4g}"
                for label, column in SHOWN.items()
                for values in [known[:, COLUMNS.index(column)]]
            ]
            title = [escape(name)] if len(self.names) > 1 else []
            parts.append("".join([*title, *(f'<div style="{MONO}">{escape(r)}</div>' for r in rows)]))
        return frame(head, escape(done), *parts, *(escape(f"! {h}") for h in self.hints))


@door
def training_monitor(what: SAE | Sequence[SAE] | str | Path | None = None) -> TrainingMonitor:
    """Monitor for a run to come, or the curves of one that is over; see :class:`TrainingMonitor`.

    Parameters
    ----------
    what
        None: give the monitor to ``sl.train(…, monitor=monitor)`` and show it wherever you like. Or an SAE that was
        trained here (``sae.history``), several of them, or the folder ``out`` of a run, which may still have a
        checkpoint only.

    Raises
    ------
    SaelabError
        If there are no curves.

    Examples
    --------
    >>> sl.training_monitor(sl.load_sae("zoo")).phase
    'ended'
    """
    made = TrainingMonitor()
    if what is None:
        return made
    if isinstance(what, (str, Path)):
        past = past_of_folder(Path(what).expanduser())
    else:
        several = list(what) if isinstance(what, Iterable) else [what]
        for sae in several:
            check_sae(sae)
        past = [past_of_sae(s) for s in several]
    if not any(len(p["points"]) for p in past):
        raise SaelabError(f"there are no training curves in {what!r}: it was not trained by saelab")
    made._show(past)
    return made


# ---------------------------------------------------------------------------------------------- small parts


def _heading(names: Sequence[str], hooks: Sequence[str]) -> str:
    where = ", ".join(dict.fromkeys(h for h in hooks if h))
    what = f"SAE: {names[0]}" if len(names) == 1 else f"{len(names)} SAEs"
    return f"{what} on {where}" if where else what


def _of_each(names: Sequence[str], notes: Sequence[Sequence[str]]) -> list[str]:
    """Notes on each SAE as one list; what holds for all is said once."""
    if len(names) == 1:
        return list(dict.fromkeys(notes[0]))
    shared = [n for n in notes[0] if all(n in other for other in notes)] if notes else []
    own = [f"{name}: {n}" for name, mine in zip(names, notes, strict=True) for n in mine if n not in shared]
    return list(dict.fromkeys([*shared, *own]))


def _hints(run: Run) -> list[str]:
    return _of_each([w.label() for w in run.specs], [t.hints() for t in run.trainers])


def _notes(names: Sequence[str], saes: Sequence[SAE]) -> list[str]:
    return _of_each(names, [s.record.get("notes", []) for s in saes])

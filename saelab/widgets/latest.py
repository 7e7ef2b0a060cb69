"""Work that a view asks for and that may wait for a model: in a thread of its own, always the latest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class LatestOnlyWorker:
    """Does jobs one after another in a thread; one that was replaced before its turn came is not done at all.

    A forward pass waits for the model's lock, which a cell may hold for long; so it is not run by the thread
    that answers the view.

    Parameters
    ----------
    work
        Called with the arguments of :meth:`ask`.
    done
        Called with what ``work`` gave or the exception it raised, in the same thread.
    """

    def __init__(self, work: Callable[..., Any], done: Callable[[Any], None]):
        self._work, self._done, self._guard = work, done, threading.Lock()
        self._next: tuple[Any, ...] | None = None
        self._running = False
        self.thread: threading.Thread | None = None

    def ask(self, *job: Any) -> threading.Thread:
        """Do this job as soon as the present one is done; gives the thread that will."""
        with self._guard:
            self._next = job
            if self._running and self.thread is not None:
                return self.thread
            self._running = True
            self.thread = threading.Thread(target=self._run, name="saelab-widget", daemon=True)
            self.thread.start()
            return self.thread

    def forget(self) -> None:
        """Drop the job that waits."""
        with self._guard:
            self._next = None

    def _run(self) -> None:
        while True:
            with self._guard:
                job, self._next = self._next, None
                if job is None:
                    self._running = False
                    return
            try:
                found = self._work(*job)
            except Exception as error:
                found = error
            self._done(found)

"""Work in a thread of its own, always the latest."""

import threading

from saelab.widgets.latest import LatestOnlyWorker


def held():
    """A worker whose first job waits for the gate, and what it has done."""
    gate, begun, done = threading.Event(), threading.Event(), []

    def work(job):
        begun.set()
        gate.wait(10)
        return job

    worker = LatestOnlyWorker(work, done.append)
    thread = worker.ask("first")
    assert begun.wait(10)
    return worker, thread, gate, done


def test_what_was_replaced_before_its_turn_is_not_done():
    worker, thread, gate, done = held()
    worker.ask("second")
    worker.ask("third")
    gate.set()
    thread.join(10)
    assert done == ["first", "third"]


def test_what_is_forgotten_is_not_done():
    worker, thread, gate, done = held()
    worker.ask("second")
    worker.forget()
    gate.set()
    thread.join(10)
    assert done == ["first"]

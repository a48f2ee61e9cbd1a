"""A companion: a thread that works as long as a block runs, beside what is measured in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def companion(work: Callable[[Event], None]) -> Iterator[None]:
    """Runs `work` in a thread; it is to end soon after the event that it is given is set."""
    stop = Event()
    thread = Thread(target=work, args=(stop,))
    try:
        # Ctrl-C may come when the thread runs and nobody knows it yet.
        thread.start()
        yield
    finally:
        stop.set()
    thread.join()

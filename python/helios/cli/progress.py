"""Around long work: progress on a terminal, and Ctrl-C that takes effect at once."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event, Thread
    from types import TracebackType
    from typing import Any, Self

    Progress = Callable[[], tuple[str, int, int] | None]

# What `signal` wraps: its enumerations would cost every command 2 ms at start-up.
_signal = __import__("_signal")

QUIET_S = 0.5
INTERVAL_S = 0.1
BAR_COLUMNS = 24
CLEAR_LINE = "\r\x1b[K"


class Shown:
    """A context manager; `progress` is polled from a thread while the work runs, None for none."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._thread: Thread | None = None
        self._done: Event | None = None

    def __enter__(self) -> Self:
        if self._progress is not None:
            from threading import Event, Thread

            self._done = Event()
            self._thread = Thread(target=draw, args=(self._progress, self._done), daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._done is not None and self._thread is not None:
            self._done.set()
            self._thread.join()


class Working(Shown):
    """The same around a call of the core, which Ctrl-C would wait for."""

    def __init__(self, progress: Progress | None) -> None:
        super().__init__(progress)
        self._handler: Any = None

    def __enter__(self) -> Self:
        self._handler = _interrupt_kills()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        _interrupt_raises(self._handler)


def _interrupt_kills() -> object:
    """Ctrl-C ends the process by the signal, which a shell reports as 130.

    Python would only notice it when the core returns. The core stands its death at any
    instruction: the journal drops a torn tail, and files are replaced by renaming.
    """
    try:
        handler: object = _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    except ValueError:
        # Only the main thread may: whoever runs commands in threads has its own way to stop.
        return None
    return handler


def _interrupt_raises(handler: Any) -> None:
    if handler is not None:
        _signal.signal(_signal.SIGINT, handler)


def draw(progress: Progress, done: Event) -> None:
    """Shows what `progress` reports on standard error until `done`; nothing for half a second."""
    drawn = False
    wait_s = QUIET_S
    while not done.wait(wait_s):
        wait_s = INTERVAL_S
        now = progress()
        if now is not None:
            drawn = True
            sys.stderr.write(f"{CLEAR_LINE}{line(*now)}")
            sys.stderr.flush()
    if drawn:
        sys.stderr.write(CLEAR_LINE)
        sys.stderr.flush()


def line(phase: str, count: int, total: int) -> str:
    """`scanning  1,234`, or with a bar where the total is known."""
    if not total:
        return f"{phase}  {count:,}" if count else phase
    share = min(count / total, 1.0)
    full = int(share * BAR_COLUMNS)
    bar = "#" * full + "." * (BAR_COLUMNS - full)
    return f"{phase}  [{bar}] {share:4.0%}  {count:,} of {total:,}"

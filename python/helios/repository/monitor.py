"""The monitor: knows what has changed in a large worktree, so that others need not look at all.

Run as `python -m helios.repository.monitor ROOT STATE [EXCLUDES [MAIN]]` it is the small process
that is started by whoever has had to look at every file of a large worktree. It writes nothing but
its socket. When nobody has asked it for a while it ends.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from time import monotonic, sleep

from helios import errors
from helios.repository.claim import FILE, claim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios._core import Monitor
    from helios.repository.place import Place

LOOK_S = 60.0
"""After so long it looks at everything, and what was never reported is found."""
IDLE_S = 600.0
"""When nobody has asked for so long it ends."""
RETRY_S = 600.0
"""So long after a start another one is not tried: what does not answer may not be able to."""
PAUSE_S = 0.05
"""Between two wakings: reports may never end."""
LOAD_MAX = 0.1
"""At most this share of the time goes into looking."""
NICE = 10


def start_if_due(place: Place, excludes_file: str | None) -> None:
    """Starts the monitor of a worktree, unless that is turned off or was tried of late.

    This never waits. A monitor that runs and had no answer is asked to leave, and has left by the
    next time: it may go by another `core.excludesFile`.
    """
    if sys.platform != "linux":
        # The system reports nothing that is of use here.
        return
    from time import time

    from helios._core import ask_to_leave, start
    from helios.repository.config import load

    directory = os.path.join(place.state, "watch")
    with suppress(OSError):
        tried = os.stat(os.path.join(directory, FILE)).st_mtime
        if 0 <= time() - tried < RETRY_S:
            return
    # Nobody has asked for it, so nothing that is amiss here is anybody's problem.
    with suppress(errors.HeliosError):
        if load(place.repository).monitors:
            ask_to_leave(directory)
            # What is noted now is when it was tried.
            claim(directory, place.root, insists=False).close()
            start(_command(place, excludes_file))


def _command(place: Place, excludes_file: str | None) -> list[str]:
    main = "" if place.is_main else place.main_root
    # -P: nothing is imported from the working directory, which is often a worktree.
    program = [sys.executable, "-P", "-m", "helios.repository.monitor"]
    paths = [os.path.abspath(path) for path in (place.root, place.state)]
    return [*program, *paths, excludes_file or "", main]


def serve(monitor: Monitor, root: str, state: str) -> None:
    """Answers until it is in the way, needless, or the worktree is gone."""
    import select

    ready = select.poll()
    ready.register(monitor.fileno(), select.POLLIN)
    questions = 0
    asked = monotonic()
    looked = look_s = float("-inf")
    while not monitor.is_unwanted() and os.path.isdir(state) and os.path.isdir(root):
        now = monotonic()
        if monitor.questions() != questions:
            questions, asked = monitor.questions(), now
        if now - asked >= IDLE_S:
            return
        pause_s = max(PAUSE_S, look_s / LOAD_MAX)
        due = looked + (pause_s if monitor.is_at_a_loss() else LOOK_S)
        if now >= due:
            if not monitor.look():
                return
            looked = monotonic()
            look_s = looked - now
        elif ready.poll((due - now) * 1000):
            monitor.take()
            sleep(PAUSE_S)


def main(arguments: list[str]) -> int:
    """Monitors the worktree at the first argument, whose state is at the second."""
    from helios._core import Monitor

    root, state, excludes_file, main_root = arguments
    # Nobody waits for this process, and its directory may be deleted.
    os.chdir("/")
    with suppress(errors.HeliosError), claim(os.path.join(state, "watch"), root, insists=False):
        monitor = Monitor(root, state, excludes_file or None, main_root or None)
        # Of this thread, and of those that it starts to look. The one that answers is there.
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        serve(monitor, root, state)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Who is told what changes in a worktree: one process at a time, a watch or a monitor.

A watch is somebody's wish, and a monitor only saves time: it makes way for whoever asks it to.
"""

from __future__ import annotations

import os
from io import FileIO
from time import monotonic, sleep

from helios import errors
from helios._core import ask_to_leave

try:
    import fcntl
except ImportError:  # Not on Windows: there, a second watch is not noticed.
    fcntl = None  # type: ignore[assignment]

FILE = "watching"
PATIENCE_S = 2.0
"""A process that has only just begun does not listen yet."""
LEAVING_S = 30.0
"""One that has said it will leave finishes a scan first."""
PAUSE_S = 0.01


def claim(directory: str, root: str, *, insists: bool = True) -> FileIO:
    """Holds off others as long as the file is open; `directory` is where they listen.

    With `insists` a monitor is asked to make way. Raises `Refused` if there is one without, or a
    watch; `StorageError` if the claim cannot be written down.
    """
    path = os.path.join(directory, FILE)
    try:
        os.makedirs(directory, exist_ok=True)
        file = FileIO(path, "a+")
    except OSError as error:
        if isinstance(error, PermissionError):
            raise errors.ReadOnlyRepository(f"{path}: {error.strerror}") from error
        raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error
    if not _lock(file, directory if insists else None):
        file.seek(0)
        holder = file.read(20).decode("ascii", "replace").strip()
        file.close()
        raise errors.Refused(
            f"{root} is watched already, by process {holder or 'unknown'}; stop that one first"
        )
    file.truncate(0)
    file.write(b"%d\n" % os.getpid())
    return file


def dismiss(directory: str, root: str) -> None:
    """Has a monitor make way, if there is one, and waits until it has. A watch stays."""
    from contextlib import suppress

    if os.path.exists(os.path.join(directory, FILE)):
        with suppress(errors.HeliosError):
            claim(directory, root).close()


def _lock(file: FileIO, listening: str | None) -> bool:
    end = monotonic() + PATIENCE_S
    leaves: bool | None = None
    while not _try_to_lock(file):
        if listening is None or leaves is False or monotonic() >= end:
            return False
        if leaves is None:
            leaves = ask_to_leave(listening)
            if leaves:
                end = monotonic() + LEAVING_S
        sleep(PAUSE_S)
    return True


def _try_to_lock(file: FileIO) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

"""The lock that makes one process the writer of the L2 store.

RocksDB has a lock of its own, but only tells that somebody holds it. This one is an advisory lock
(flock) on a file beside the database that holds the process number of its holder. The system drops
it when that process dies, so there is never a stale lock to clean up.
"""

from __future__ import annotations

import errno
import os
import time
from io import FileIO

from helios.errors import ReadOnlyRepository, StorageError, StoreBusy

try:
    import fcntl
except ImportError:  # Not on Windows: there, RocksDB's own lock has to do.
    fcntl = None  # type: ignore[assignment]

POLL_S = 0.01


class WriterLock:
    """Held from construction to `release`.

    Raises `StoreBusy` if it is still held after `wait_s` seconds, also by this process,
    `ReadOnlyRepository` if the file may not be written.
    """

    __slots__ = ("_file",)

    def __init__(self, path: str, wait_s: float = 0.0) -> None:
        deadline = time.monotonic() + wait_s
        try:
            while True:
                try:
                    self._file = FileIO(path, "a+")
                    self._acquire()
                    return
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise
                    # The system's own way to wait has no end that can be set.
                    time.sleep(POLL_S)
        except BlockingIOError as error:
            raise StoreBusy(
                f"{path}: {_holder(path)} has the L2 store open for writing; "
                "try again when it is done",
                errno=error.errno,
            ) from None
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise ReadOnlyRepository(
                    f"the repository is read-only: {path}: {error.strerror}"
                ) from None
            raise StorageError(f"{path}: {error.strerror}", errno=error.errno) from None

    def _acquire(self) -> None:
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.truncate(0)
            self._file.write(b"%d\n" % os.getpid())
        except OSError:
            self._file.close()
            raise

    def release(self) -> None:
        """Lets the next writer in; does nothing if it is released already."""
        # Closing is enough. Unlocking would take the lock from the parent if this process is a
        # fork of the holder; and the file stays, because deleting it races with the next holder.
        self._file.close()

    def __del__(self) -> None:
        # A store that nobody closed. Without the file there was no lock.
        if hasattr(self, "_file"):
            self._file.close()


def _holder(path: str) -> str:
    with FileIO(path) as file:
        number = file.read(32).strip()
    # The holder may not have written its number yet.
    return f"process {int(number)}" if number.isdigit() else "another process"

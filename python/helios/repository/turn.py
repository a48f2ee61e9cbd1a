"""Turns on a worktree: one operation at a time, over the threads of a process and over processes.

An operation reads where the worktree is, changes the disk or a branch, and notes where it is then.
The core's lock covers the scan and the writing only; this one covers the whole. It is an advisory
lock that the system drops when its holder dies.
"""

from __future__ import annotations

import errno
import os
from io import FileIO

from helios.errors import HeliosError, ReadOnlyRepository, StorageError

try:
    import fcntl
except ImportError:  # Not on Windows: there, only the core's lock is held.
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Turn:
    """A context manager that waits for the turn and gives it back. Not to be nested.

    `begin`, if given, is called as soon as it has come, and `end` when it has been given back and
    nothing has failed.
    """

    __slots__ = ("_begin", "_directory", "_end", "_file")

    def __init__(
        self,
        directory: str,
        begin: Callable[[], None] | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        self._directory = directory
        self._begin = begin
        self._end = end
        self._file: FileIO | None = None

    def __enter__(self) -> None:
        path = os.path.join(self._directory, "turn")
        try:
            os.makedirs(self._directory, exist_ok=True)
            self._file = FileIO(path, "a")
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX)
            if self._begin is not None:
                self._begin()
        except HeliosError:
            self._give_back()
            raise
        except OSError as error:
            self._give_back()
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise ReadOnlyRepository(
                    f"the repository is read-only: {path}: {error.strerror}"
                ) from error
            raise StorageError(f"{path}: {error.strerror}", errno=error.errno) from error
        except BaseException:
            self._give_back()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back()
        if kind is None and self._end is not None:
            self._end()

    def fileno(self) -> int:
        """The descriptor that holds the turn: whichever process has it, holds it too."""
        if self._file is None:
            raise ValueError("nobody has this turn")
        return self._file.fileno()

    def _give_back(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

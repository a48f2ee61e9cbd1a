"""What goes wrong beside the errors of Helios: the system's errors, and defects."""

from __future__ import annotations

import sys

from helios.cli import environment

STORAGE = 10
NO_PERMISSION = 7
DEFECT = 70


class Failure:
    """An error as the person sees it: a stable code, a message, the exit code."""

    __slots__ = ("code", "exit_code", "message")

    def __init__(self, code: str, message: str, exit_code: int) -> None:
        self.code = code
        self.message = message
        self.exit_code = exit_code


def unexpected(error: Exception) -> Failure:
    """The failure that an exception from outside Helios stands for."""
    if environment.wants_traceback():
        from traceback import print_exception

        print_exception(error, file=sys.stderr)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        message = f"{where}{error.strerror or error}"
        if isinstance(error, PermissionError):
            return Failure("permission", message, NO_PERMISSION)
        return Failure("system", message, STORAGE)
    if isinstance(error, MemoryError):
        return Failure("memory", "there is not enough memory", STORAGE)
    return Failure(
        "defect",
        f"this is a defect of Helios, please report it ({type(error).__name__}: {error}); "
        "HELIOS_TRACEBACK=1 shows where",
        DEFECT,
    )

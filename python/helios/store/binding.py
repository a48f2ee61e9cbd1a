"""The package `rocksdict`: how it is loaded, and which errors come from it."""

from __future__ import annotations

import sys

from helios.errors import HeliosError

NAME = "rocksdict"


def prepare() -> None:
    """Lets the package be imported, also after an import that a signal's handler ended.

    Of such an import Python keeps the extension module and forgets the package around it, which
    then cannot be imported again.
    """
    if NAME not in sys.modules:
        sys.modules.pop(f"{NAME}.{NAME}", None)


def is_its_own(error: Exception) -> bool:
    """Whether the package raised an error, or the system beside it.

    It raises `Exception` itself, few classes of its own, and those of the system, often without
    their number. What is of another class is a defect of ours, or what a signal's handler raised
    while Python was at work here: a timeout that somebody has set is no error of the store, and
    files have none. An error of Helios says all already, though some are also the system's.
    """
    kind = type(error)
    of_system = isinstance(error, OSError) and not isinstance(error, HeliosError | TimeoutError)
    return kind is Exception or kind.__module__ == NAME or of_system

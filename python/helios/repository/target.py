"""A directory that is to be written to: new or empty before, and as it was after a failure."""

from __future__ import annotations

import os

from helios import errors


def require_empty(target: str) -> bool:
    """Whether the directory is still to be made. Raises `TargetNotEmpty` if it holds anything."""
    try:
        with os.scandir(target) as entries:
            is_empty = next(entries, None) is None
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        raise errors.TargetNotEmpty(f"{target} is a file, not a directory") from None
    except PermissionError as error:
        raise errors.ReadOnlyRepository(f"{target}: {error.strerror}") from error
    except OSError as error:
        raise errors.StorageError(f"{target}: {error.strerror}", errno=error.errno) from error
    if not is_empty:
        raise errors.TargetNotEmpty(f"{target} is not empty; give a directory that is new or empty")
    return False


def empty(target: str, *, remove: bool) -> None:
    """Removes what a failed call has written; what cannot be removed stays."""
    from contextlib import suppress
    from shutil import rmtree

    rmtree(target, ignore_errors=True)
    if not remove:
        with suppress(OSError):
            os.mkdir(target)

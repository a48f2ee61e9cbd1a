"""Where a worktree is: its note `head`, and `next` while an operation puts it elsewhere.

`docs/FORMAT.md` says what is in them. They hold what must not be lost, and no lock; whoever writes
them has the worktree's turn, and replaces the file.
"""

from __future__ import annotations

import os

from helios import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.repository.place import Place

    Lines = tuple[str, str, str, str]

DEFAULT_BRANCH = "main"


def read_head(place: Place) -> tuple[str, str | None]:
    """The branch that a worktree follows, and the id of the snapshot that its disk came from."""
    return read_standing(place)[:2]


def read_standing(place: Place) -> tuple[str, str | None, str | None]:
    """As `read_head`, and the id of the snapshot that a person is merging."""
    note = read(place, "head")
    if note is None and not place.is_main:
        raise errors.Refused(f"the worktree {place.root} has been removed")
    branch, base, merging, *_ = note or ("", "", "")
    return branch or DEFAULT_BRANCH, base or None, merging or None


def read(place: Place, name: str) -> Lines | None:
    """The lines of a note, of which there are up to four; those that are not there are empty. None
    if there is no note."""
    path = os.path.join(place.state, name)
    try:
        with open(path, encoding="utf-8") as file:
            first, second, third, fourth, *_ = [*file.read().split("\n"), "", "", ""]
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise errors.StorageError(
            f"{path} does not hold the name of a branch; write one there"
        ) from error
    except OSError as error:
        raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error
    return first, second, third, fourth


def write(place: Place, name: str, *lines: str | None) -> None:
    """Replaces a note. What is None is an empty line; the last line is left out then."""
    kept = lines if lines[-1] else lines[:-1]
    path = os.path.join(place.state, name)
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(place.state, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as file:
            file.writelines(f"{line or ''}\n" for line in kept)
        os.replace(temporary, path)
    except OSError as error:
        raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error


def forget(place: Place, name: str) -> None:
    """Removes a note, if it is there."""
    path = os.path.join(place.state, name)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error

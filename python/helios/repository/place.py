"""Places: where a worktree is, where its repository is, and how the two find each other.

The main worktree has the repository in it: a directory `.helios`. A linked worktree has a file
`.helios` that names the repository, and the repository names the worktree's root in
`worktrees/NAME/root`; `docs/FORMAT.md` has both. Each side names the other twice, by its absolute
path and by the way to it, so either may be moved, and both together.
"""

from __future__ import annotations

import os

from helios import errors

DIRECTORY = ".helios"
MAIN = "main"
WORKTREES = "worktrees"

# Not a regular expression: importing `re` would take a seventh of a small command's time.
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
_NAME_LEN_MAX = 100
_HEADER = b"helios worktree "


class Place:
    """A worktree: its root, its repository's directory, its name, and where its state is kept.

    The main place of a bare repository has no root, because nothing is checked out there.
    """

    __slots__ = ("name", "repository", "root")

    def __init__(self, root: str, repository: str, name: str = MAIN) -> None:
        self.root = root
        self.repository = repository
        self.name = name

    @property
    def is_main(self) -> bool:
        """Whether the repository is in this worktree."""
        return self.name == MAIN

    @property
    def is_bare(self) -> bool:
        """Whether it is a repository without a main worktree."""
        return self.is_main and not self.root

    @property
    def state(self) -> str:
        """The directory in the repository that holds the worktree's head and index."""
        if self.is_main:
            return os.path.join(self.repository, "worktree")
        return os.path.join(self.repository, WORKTREES, self.name)

    @property
    def main_root(self) -> str:
        """The root of the repository's main worktree."""
        return os.path.dirname(self.repository)

    def is_known(self) -> bool:
        """Whether the repository has a worktree of this name."""
        return self.is_main or bool(roots(self))

    def is_linked(self) -> bool:
        """Whether the root names this place. It does not if it is gone, or another one by now."""
        if self.is_main:
            return os.path.isdir(self.root)
        link = _read_link(self.root)
        return link is not None and link.name == self.name and link.leads_to(self.repository)

    def write(self) -> None:
        """Makes both sides name each other, the root's side last: then it is a worktree."""
        root, repository = os.fsencode(self.root), os.fsencode(self.repository)
        way = os.fsencode(os.path.relpath(self.root, self.repository))
        _write(os.path.join(self.state, "root"), b"%s\n%s\n" % (root, way))
        back = os.fsencode(os.path.relpath(self.repository, self.root))
        link = b"%s%s\n%s\n%s\n" % (_HEADER, os.fsencode(self.name), repository, back)
        _write(os.path.join(self.root, DIRECTORY), link)


class _Link:
    """What the file `.helios` of a linked worktree says."""

    def __init__(self, root: str, name: str, repositories: list[str]) -> None:
        self.root = root
        self.name = name
        self.repositories = repositories

    def leads_to(self, repository: str) -> bool:
        return any(map(is_repository, self.repositories)) and os.path.realpath(
            self.repository
        ) == os.path.realpath(repository)

    @property
    def repository(self) -> str:
        """The first that is there; else what was named."""
        return next(filter(is_repository, self.repositories), self.repositories[0])


def is_repository(directory: str) -> bool:
    """Whether it is a repository's own directory, a `.helios`."""
    return os.path.exists(os.path.join(directory, "format"))


def is_bare(directory: str) -> bool:
    """Whether a directory is itself a repository, which no worktree is around."""
    return (
        is_repository(directory)
        and os.path.basename(directory) != DIRECTORY
        and os.path.isdir(os.path.join(directory, "journal"))
    )


def main_place(repository: str) -> Place:
    """The place of a repository's main worktree, by the repository's directory."""
    return Place("" if is_bare(repository) else os.path.dirname(repository), repository)


def find(root: str) -> Place | None:
    """The worktree whose root this directory is.

    Raises `Refused` if it was one: its repository is gone, has forgotten it, or knows another
    directory by its name; `StorageError` if its file `.helios` says nothing of a repository. A
    worktree that was moved is noted at its new place.
    """
    if is_repository(os.path.join(root, DIRECTORY)):
        return Place(root, os.path.join(root, DIRECTORY))
    if is_bare(root):
        return Place("", root)
    link = _read_link(root)
    if link is None:
        return None
    file = os.path.join(root, DIRECTORY)
    place = Place(root, link.repository, link.name)
    if not is_repository(place.repository):
        raise errors.Refused(
            f"{file} names the repository {place.repository}, which is not there; "
            "if it was moved, run `helios-cli worktree list` in it"
        )
    known = roots(place)
    if not known:
        raise errors.Refused(
            f"the repository {place.repository} has no worktree {place.name!r} any more; "
            f"delete {file} to make {root} an ordinary directory"
        )
    real = os.path.realpath(root)
    if real not in map(os.path.realpath, known):
        other = Place(known[0], place.repository, place.name)
        if other.is_linked():
            raise errors.Refused(
                f"{root} is a copy of the worktree {other.root}, which its repository knows; "
                f"delete {file} to make it an ordinary directory"
            )
    if known[0] != real or link.repository != link.repositories[0]:
        _note(Place(real, place.repository, place.name))
    return place


def roots(place: Place) -> list[str]:
    """Where the repository has a worktree of this name; the first is the absolute path. Empty if
    it knows none."""
    try:
        with open(os.path.join(place.state, "root"), "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        return []
    if len(lines) != 3 or not lines[0]:
        return []
    way = os.path.normpath(os.path.join(place.repository, os.fsdecode(lines[1])))
    return [os.fsdecode(lines[0]), way]


def linked(repository: str) -> list[Place]:
    """The linked worktrees of a repository, whether or not they are still there.

    One whose repository was moved is told where it is now.
    """
    found = []
    for place, known in _known(repository):
        if not known:
            continue
        place.root, name = known[0], place.name
        for root in known:
            link = _read_link(root)
            if link is None or link.name != name:
                continue
            if link.leads_to(repository) or not any(map(is_repository, link.repositories)):
                place.root = root
                if root != known[0] or link.repositories[0] != repository:
                    _note(place)
                break
        found.append(place)
    return found


def nameless(repository: str) -> list[str]:
    """Directories of state that belong to no worktree."""
    return [place.state for place, known in _known(repository) if not known]


def _known(repository: str) -> list[tuple[Place, list[str]]]:
    """What may be a linked worktree, and where it may be: nowhere, if it is none."""
    directory = os.path.join(repository, WORKTREES)
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise errors.StorageError(f"{directory}: {error.strerror}", errno=error.errno) from error
    places = [Place("", repository, name) for name in names if _is_name(name)]
    return [(place, roots(place)) for place in places]


def reserve(root: str, repository: str) -> Place:
    """A place with a name of its own, after the last part of the root, and an empty state."""
    letters = (letter if letter in _LETTERS else " " for letter in os.path.basename(root))
    stem = "-".join("".join(letters).split()).strip(".-")[:80] or "worktree"
    os.makedirs(os.path.join(repository, WORKTREES), exist_ok=True)
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        place = Place(root, repository, name)
        number += 1
        if name == MAIN:
            continue
        try:
            os.mkdir(place.state)
        except FileExistsError:
            continue
        return place


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _NAME_LEN_MAX and name[0] not in ".-" and _LETTERS.issuperset(name)


def _note(place: Place) -> None:
    """Makes both sides name each other again, where that can be written."""
    from contextlib import suppress

    with suppress(OSError):
        place.write()


def _read_link(root: str) -> _Link | None:
    """What the file `.helios` in a directory says; None if there is no such file.

    Raises `StorageError` if it says nothing of a worktree.
    """
    file = os.path.join(root, DIRECTORY)
    try:
        with open(file, "rb") as opened:
            content = opened.read(1 << 16)
    except OSError:
        # A directory, too.
        return None
    lines = content.split(b"\n")
    name = lines[0].removeprefix(_HEADER).decode("ascii", "replace")
    is_whole = lines[0].startswith(_HEADER) and len(lines) == 4 and lines[1] and lines[2]
    if not is_whole or not _is_name(name) or name == MAIN:
        raise errors.StorageError(f"{file} is a file that names no repository; delete or mend it")
    absolute = os.fsdecode(lines[1])
    way = os.path.normpath(os.path.join(root, os.fsdecode(lines[2])))
    return _Link(root, name, [absolute, way])


def _write(path: str, content: bytes) -> None:
    temporary = os.path.join(
        os.path.dirname(path), f"{DIRECTORY}-tmp-{os.getpid()}-{os.path.basename(path)}"
    )
    with open(temporary, "wb") as file:
        file.write(content)
    os.replace(temporary, path)

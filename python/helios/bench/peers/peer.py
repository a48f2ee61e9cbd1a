"""A peer: somebody who keeps a tree of files and its history, in a place of its own.

Each call returns when what it did can be seen by the next caller. Nobody here waits for a disk.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

Changes = dict[str, bytes]
"""Contents by path. A path is there or is added; nothing is deleted."""

FILE_MODE = 0o100644
TREE_MODE = 0o040000
AUTHOR = "bench"
EMAIL = "bench@localhost"


class Peer(AbstractContextManager["Peer"], Protocol):
    """What every peer can do."""

    name: str

    def __enter__(self) -> Self:
        """A peer is closed when the run ends."""
        return self

    def load(self, contents: Changes) -> None:
        """Begins anew, with one commit of `contents` on the branch main, stored compactly."""

    def prepare(self, changes: Changes) -> None:
        """What a user has done before `commit` is called: files are on disk, if it needs them."""

    def commit(self, changes: Changes) -> None:
        """Commits what `prepare` was given, on main. This is what is timed."""

    def contents(self) -> Changes:
        """All files of main, to see that the work was done. Not timed."""

    @property
    def place(self) -> Path | None:
        """Where its bytes are; None for one in memory."""


@runtime_checkable
class Branching(Protocol):
    """Peers that can name a commit."""

    def branch(self, name: str) -> None:
        """Makes a branch at main."""

    def branches(self) -> set[str]:
        """The names of all branches. Not timed."""


@runtime_checkable
class Reading(Protocol):
    """Peers that can read a file of a commit without writing a tree to disk."""

    def read(self, path: str) -> bytes:
        """The content of a file of main."""


@runtime_checkable
class Differing(Protocol):
    """Peers that can compare two commits."""

    def diff(self) -> list[str]:
        """The paths in which main differs from the commit before it."""

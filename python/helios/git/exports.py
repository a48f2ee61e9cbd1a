"""Exporting to a git repository."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    from helios import Repository


def export_repository(repository: Repository, directory: str | os.PathLike[str]) -> None:
    """Makes a git repository of a Helios repository."""
    raise NotImplementedError

"""Importing a git repository."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os


def import_repository(
    source: str | os.PathLike[str], directory: str | os.PathLike[str], *, mirror: bool = False
) -> None:
    """Makes a Helios repository of a git repository."""
    raise NotImplementedError

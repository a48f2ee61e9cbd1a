"""How a repository is opened: for type checkers alone."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypedDict

    Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    Durability = Literal["process", "disk"]

    class Options(TypedDict, total=False):
        """How a repository is opened; `Repository.open` says what they mean."""

        durability: Durability
        cache_bytes: int
        author: str
        actor: str
        command: str
        excludes_file: Path | None

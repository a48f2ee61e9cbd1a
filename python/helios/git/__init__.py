"""The git layer: a git repository moves into Helios and back, and stock git is served from it.

What came from git is kept in the view (`helios.git.view`), a bare git repository in `.helios/git`,
byte for byte; Helios' objects are derived from it when they are read
(`docs/design/013-git.md`). `docs/GIT.md` is the guide.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.git.commits import from_git, to_git
    from helios.git.exports import export_repository
    from helios.git.imports import import_repository

__all__ = ["export_repository", "from_git", "import_repository", "to_git"]

_MODULES = {
    "export_repository": "exports",
    "from_git": "commits",
    "import_repository": "imports",
    "to_git": "commits",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found

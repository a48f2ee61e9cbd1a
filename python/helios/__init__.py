"""Helios: microsecond snapshots, O(1) branches, restore and diff of whole working trees.

>>> import helios
>>> repo = helios.Repository.memory()
>>> with repo.vst("main") as vst:
...     vst["hello.txt"] = b"hello"
>>> repo.vst("main")["hello.txt"]
b'hello'

Everything here is imported on first use, so that `import helios` costs almost nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.errors import HeliosError
    from helios.repository import (
        VST,
        Change,
        CommitStats,
        ConflictSide,
        Diff,
        Entry,
        Merge,
        Operation,
        PathConflict,
        Rename,
        Repository,
        Snapshot,
        Worktree,
    )

__all__ = [
    "VST",
    "Change",
    "CommitStats",
    "ConflictSide",
    "Diff",
    "Entry",
    "HeliosError",
    "Merge",
    "Operation",
    "PathConflict",
    "Rename",
    "Repository",
    "Snapshot",
    "Worktree",
    "__version__",
]

__version__ = "0.1.0"

_MODULES = {
    "VST": "helios.repository",
    "Change": "helios.repository",
    "CommitStats": "helios.repository",
    "ConflictSide": "helios.repository",
    "Diff": "helios.repository",
    "Entry": "helios.repository",
    "HeliosError": "helios.errors",
    "Merge": "helios.repository",
    "Operation": "helios.repository",
    "PathConflict": "helios.repository",
    "Rename": "helios.repository",
    "Repository": "helios.repository",
    "Snapshot": "helios.repository",
    "Worktree": "helios.repository",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import sys

    # `importlib` would take half a millisecond of imports of its own.
    module = _MODULES[name]
    __import__(module)
    found: object = getattr(sys.modules[module], name)
    globals()[name] = found
    return found

"""A repository: snapshots, branches, VSTs, and the worktree beside it."""

from helios._core import (
    VST,
    Change,
    CommitStats,
    ConflictSide,
    Diff,
    Entry,
    Graph,
    Merge,
    PathConflict,
    Rename,
    Snapshot,
)
from helios.repository.materialized import Materialized
from helios.repository.merging import Merged
from helios.repository.operation import Operation, RefChange
from helios.repository.repository import Repository
from helios.repository.worktree import (
    Committed,
    PathWarning,
    Restored,
    Status,
    Switched,
    Worktree,
)

__all__ = [
    "VST",
    "Change",
    "CommitStats",
    "Committed",
    "ConflictSide",
    "Diff",
    "Entry",
    "Graph",
    "Materialized",
    "Merge",
    "Merged",
    "Operation",
    "PathConflict",
    "PathWarning",
    "RefChange",
    "Rename",
    "Repository",
    "Restored",
    "Snapshot",
    "Status",
    "Switched",
    "Worktree",
]

"""A repository: snapshots, branches, VSTs, and the worktree beside it."""

from helios._core import (
    VST,
    Change,
    CommitStats,
    ConflictSide,
    Diff,
    Merge,
    PathConflict,
    Rename,
    Snapshot,
)
from helios.repository.repository import Materialized, Repository
from helios.repository.worktree import (
    Committed,
    Merged,
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
    "Materialized",
    "Merge",
    "Merged",
    "PathConflict",
    "PathWarning",
    "Rename",
    "Repository",
    "Restored",
    "Snapshot",
    "Status",
    "Switched",
    "Worktree",
]

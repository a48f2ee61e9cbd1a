"""A repository: snapshots, branches, VSTs, and the worktree beside it."""

from helios._core import VST, Change, CommitStats, Diff, Rename, Snapshot
from helios.repository.repository import Materialized, Repository
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
    "Diff",
    "Materialized",
    "PathWarning",
    "Rename",
    "Repository",
    "Restored",
    "Snapshot",
    "Status",
    "Switched",
    "Worktree",
]

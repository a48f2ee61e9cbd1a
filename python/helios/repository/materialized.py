"""A snapshot's files in a directory of their own."""

from __future__ import annotations

from helios.repository.result import Result
from helios.repository.target import empty, require_empty
from helios.repository.worktree import PathWarning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios._core import Engine


class Materialized(Result):
    """What `materialize` wrote: the snapshot's id, where, how many files, of how many bytes.

    `failed` is how many entries the file system did not take; `warnings` say which, and why.
    """

    __slots__ = ("bytes", "failed", "files", "out", "snapshot", "warnings")

    def __init__(
        self,
        snapshot: str,
        out: str,
        files: int,
        bytes: int,
        failed: int,
        warnings: list[PathWarning],
    ) -> None:
        self.snapshot = snapshot
        self.out = out
        self.files = files
        self.bytes = bytes
        self.failed = failed
        self.warnings = warnings


def materialize(
    engine: Engine,
    snapshot: str,
    target: str,
    include: list[str],
    exclude: list[str],
    paths: list[bytes] | None,
) -> Materialized:
    """See `Repository.materialize`; `snapshot` is a full id, `target` an absolute path."""
    is_new = require_empty(target)
    try:
        files, size, failed, warnings = engine.materialize(
            snapshot, target, include, exclude, paths
        )
    except BaseException:
        # Nothing was there before, and half a snapshot is worse than none.
        empty(target, remove=is_new)
        raise
    passed = [PathWarning(pair) for pair in warnings]
    return Materialized(snapshot, target, files, size, failed, passed)

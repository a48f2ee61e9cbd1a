"""Several processes that commit to one repository side by side, each to a branch of its own."""

from __future__ import annotations

from pathlib import Path

from helios.bench.committer import Durability
from helios.bench.workbench import Workbench

BATCH = 10
"""Commits after which a writer looks at the clock."""


class Written:
    """What one writer did: when it began and ended by the system's monotonic clock, when each of
    its batches ended, and the latency of each commit, all in nanoseconds."""

    def __init__(self, times: list[int], latencies: list[int]) -> None:
        """`times`: of the beginning, then of the end of each batch."""
        self.begun, *self.batches = times
        self.ended = self.batches[-1]
        self.latencies = latencies

    def commits_until(self, end: int) -> int:
        """Commits that were made by then, to the batch."""
        return min(len(self.latencies), BATCH * sum(batch <= end for batch in self.batches))


def seconds_per_commit(writers: list[Written]) -> float:
    """Wall time by commits of all, as long as all of them wrote.

    When the first has ended the others have the processors for themselves: that is a tail of fewer
    writers, the longer the less evenly the system shares out its time.
    """
    begun = min(writer.begun for writer in writers)
    end = min(writer.ended for writer in writers)
    return (end - begun) / 1e9 / sum(writer.commits_until(end) for writer in writers)


def side_by_side(
    bench: Workbench, root: Path, branches: list[str], count: int, durability: Durability
) -> list[Written]:
    """Runs a writer for each branch. They begin together, when all are ready."""
    python = bench.programs.python
    module = ("-m", "helios.bench.writer", str(root))
    arguments = (str(count), durability)
    started = [bench.programs.start(python(*module, branch, *arguments)) for branch in branches]
    try:
        for process in started:
            process.expect(b"ready\n")
        for process in started:
            process.tell(b"\n")
        outputs = [process.rest().splitlines() for process in started]
    finally:
        for process in started:
            process.stop()
    return [
        Written(list(map(int, times.split())), list(map(int, latencies.split())))
        for times, latencies in outputs
    ]

"""What `status` finds, and whether it looks everywhere for that."""

from __future__ import annotations

import mmap
from pathlib import Path
from time import sleep

from helios import Worktree


def differing(worktree: Worktree) -> list[str]:
    diff = worktree.status().diff
    return sorted(
        change.path for part in (diff.added, diff.changed, diff.deleted) for change in part
    )


def is_asked(worktree: Worktree, path: Path) -> bool:
    """Whether `status` goes by what a watch knows: a store through a memory map changes the file's
    time, which a scan sees, and is reported only when the map ends."""
    if path.exists():
        path.unlink()
    path.write_bytes(bytes(mmap.PAGESIZE))
    worktree.commit("before the map")
    # Longer than a tick of the clock: the entry must not be racy, or it is read in any case.
    sleep(0.05)
    worktree.commit("not racy")
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    # That the descriptor was closed is no report: the map holds the file.
    assert not worktree.status().diff
    mapped[0] = 1
    asked = not worktree.status().diff
    mapped.close()
    assert differing(worktree) == [path.name]
    return asked

"""What is interrupted at each of its system calls. `python -m repository.workloads NAME DIRECTORY`

A workload says each snapshot once it is acknowledged, as `ID COUNT`: the file `count` of that
snapshot holds COUNT. An error of Helios ends it with the error's exit code, as the command line
would; a workload that is to go on after an error is run again.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

from helios import Repository, Snapshot, errors

Workload = Callable[[str], None]
SEGMENT_BYTES_MAX = 4 << 20


def acknowledge(snapshot: Snapshot, count: int) -> None:
    """Unbuffered: what has been said is out of the process."""
    os.write(1, f"{snapshot.id} {count}\n".encode())


def edit(path: Path, content: bytes) -> None:
    """What a person does beside Helios; a fault there is not what is tested."""
    try:
        path.write_bytes(content)
    except OSError:
        path.write_bytes(content)


def prepare(directory: Path) -> None:
    """A repository with something in L2, a journal that is nearly full, and a worktree."""
    with Repository.init(directory) as repo:
        for number in range(3):
            (directory / f"on disk {number}").write_bytes(b"%d" % number * 100)
        (directory / "count").write_bytes(b"0")
        (directory / "sub").mkdir()
        (directory / "sub" / "file").write_bytes(b"below")
        acknowledged = repo.worktree.commit("first").snapshot
        repo.create_branch("first", acknowledged)
        repo.create_branch("work", acknowledged)
        # Gc will have to move it out of the pack that it then shares with what goes.
        vst = repo.vst("work")
        vst["kept"] = random.Random(3).randbytes(100_000)
        vst.commit()
        repo.maintenance()
        config = directory / ".helios" / "config"
        config.write_text('[retention]\ngrace = "0s"\nundo = "0s"\n')
        vst = repo.vst().fork("fill")
        vst["fill"] = random.Random(1).randbytes(SEGMENT_BYTES_MAX - 64 * 1024)
        vst.commit()


def commit(directory: str) -> None:
    """Commits over the end of a segment, of all sizes; each is a branch's second or later."""
    _commit(directory, "process")


def commit_to_disk(directory: str) -> None:
    """The same with durability `disk`."""
    _commit(directory, "disk")


def _commit(directory: str, durability: str) -> None:
    chance = random.Random(2)
    with Repository.open(directory, durability=durability) as repo:  # type: ignore[arg-type]
        vst = repo.vst("work")
        for count, size in enumerate([100, 100_000, 1_500_000, 100]):
            vst["count"] = b"%d" % count
            vst[f"content {size}"] = chance.randbytes(size)
            acknowledge(vst.commit(time_us=count), count)
        repo.create_branch("made", "work")


def commit_worktree(directory: str) -> None:
    """Commits what is on disk, twice, with durability `disk`."""
    with Repository.open(directory, durability="disk") as repo:
        for count in (1, 2):
            edit(Path(directory, "count"), b"%d" % count)
            edit(Path(directory, f"new {count}"), b"new" * 1000)
            acknowledge(repo.worktree.commit().snapshot, count)


def restore(directory: str) -> None:
    """Brings the disk to an older snapshot; what was there is committed first."""
    edit(Path(directory, "count"), b"3")
    edit(Path(directory, "sub", "file"), b"edited")
    with Repository.open(directory, durability="disk") as repo:
        done = repo.restore("first")
        assert done.safety is not None
        acknowledge(done.safety, 3)


def materialize(directory: str) -> None:
    """Writes a snapshot to a directory inside of the repository's own, for the trace to see."""
    with Repository.open(directory) as repo:
        repo.materialize("first", Path(directory, ".helios", "out"))


def maintenance(directory: str) -> None:
    """Moves the journal into L2."""
    with Repository.open(directory) as repo:
        repo.maintenance()


def gc(directory: str) -> None:
    """Drops what a deleted branch held, after all was moved into L2."""
    with Repository.open(directory) as repo:
        repo.delete_branch("fill")
        repo.gc()


def commit_again(directory: str) -> None:
    """Goes on after an error of a commit, with durability `disk`; `failed` is said of each."""
    with Repository.open(directory, durability="disk") as repo:
        vst = repo.vst("work")
        for count in range(3):
            vst["count"] = b"%d" % count
            try:
                acknowledge(vst.commit(), count)
            except errors.StorageError as error:
                os.write(1, f"failed {error.errno} {error}\n".encode())


WORKLOADS: dict[str, Workload] = {
    workload.__name__: workload
    for workload in (
        commit,
        commit_to_disk,
        commit_worktree,
        restore,
        materialize,
        maintenance,
        gc,
    )
}


def main(name: str, directory: str) -> int:
    # On one processor threads take turns in nearly the same order each time.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    try:
        (commit_again if name == "commit_again" else WORKLOADS[name])(directory)
    except errors.HeliosError as error:
        print(f"{type(error).__name__} {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

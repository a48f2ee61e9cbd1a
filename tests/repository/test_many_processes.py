"""Eight processes on one repository, with readers and maintenance beside them; and locks of the
dead."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from helios import Repository, errors
from repository import faults, workers
from repository.soundness import assert_good, read_everything

WRITERS = 8
COMMITS = 60
LIVES = 200
WAIT_S = 60


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True], ids=["own branches", "one branch"])
def test_eight_writers_beside_readers_and_maintenance_lose_nothing(
    repo: Repository, place: Path, tmp_path: Path, shared: bool
) -> None:
    with repo.vst() as vst:
        vst["base"] = b"1"
    branches = ["main" if shared else f"branch-{number}" for number in range(WRITERS)]
    for branch in set(branches) - {"main"}:
        repo.create_branch(branch, "main")
    files = [tmp_path / f"{number}" for number in range(WRITERS)]
    with ExitStack() as stack:
        beside = [
            stack.enter_context(workers.start(name, place))
            for name in ("read_beside", "read_beside", "maintain_beside")
        ]
        for process in beside:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        writers = [
            stack.enter_context(workers.start("commit_acknowledged", place, branch, COMMITS, file))
            for branch, file in zip(branches, files, strict=True)
        ]
        for process in writers:
            assert process.wait(WAIT_S * 2) == 0
        for process in beside:
            output, _ = process.communicate("\n", timeout=WAIT_S)
            assert process.returncode == 0
            assert int(output) > 0
    for each in (repo, Repository.open(place, cache_bytes=0)):
        history = {branch: {found.id for found in each.log(branch)} for branch in set(branches)}
        for branch, file in zip(branches, files, strict=True):
            lines = [line.split() for line in file.read_text().splitlines()]
            assert [int(number) for _, _, number in lines] == list(range(COMMITS))
            for snapshot, process_id, number in lines:
                assert snapshot in history[branch]
                assert each.read(snapshot, f"by {process_id}").decode() == number
        count = COMMITS * (WRITERS if shared else 1) + 1
        assert {len(snapshots) for snapshots in history.values()} == {count}
        assert each.damage == []


@pytest.mark.slow
def test_what_hundreds_of_killed_processes_acknowledged_is_there(
    repo: Repository, place: Path, tmp_path: Path
) -> None:
    chance = random.Random(5)
    with repo.vst() as vst:
        vst["base"] = b"1"
    notes = tmp_path / "acknowledged"
    notes.mkdir()
    said: dict[str, str] = {}
    with workers.start("lives", place, notes) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        for life in range(LIVES):
            parent.stdin.write(f"{life}\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            wait_for_lines(notes / f"{life}", chance.randrange(5))
            time.sleep(chance.random() / 200)
            os.kill(child, signal.SIGKILL)
            if life % 100 == 50:
                # The dead have started some of their own.
                with suppress(errors.StoreBusy):
                    repo.maintenance()
        parent.communicate(timeout=WAIT_S)
    for file in notes.iterdir():
        for line in file.read_text().splitlines():
            snapshot, count = line.split()
            said[snapshot] = count
    assert len(said) > LIVES
    with Repository.open(place) as again:
        assert read_everything(again, said)
        torn = {path.name for path in (place / ".helios" / "journal" / "lost").glob("*")}
        assert {f"{segment:016x}-{at:x}.torn" for segment, at, _ in again.damage} == torn


def wait_for_lines(file: Path, count: int) -> None:
    for _ in range(WAIT_S * 1000):
        if not count or (file.exists() and file.read_bytes().count(b"\n") >= count):
            return
        time.sleep(0.001)
    pytest.fail(f"{file} has not {count} lines")


# Workload, call at which the holder of the lock stops, and the file of the lock.
HOLDERS = (
    ("commit", "pwrite64", "journal", ".helios/journal/lock"),
    ("commit_to_disk", "fdatasync", "journal", ".helios/journal/synced"),
    ("commit_worktree", "pwrite64", "journal", ".helios/worktree/turn"),
    ("commit_worktree", "pwrite64", "journal", ".helios/worktree/lock"),
    ("maintenance", "fdatasync", ".sst", ".helios/l2.lock"),
)


@pytest.mark.parametrize(
    ("name", "call", "where", "lock"), HOLDERS, ids=[holder[-1] for holder in HOLDERS]
)
def test_whoever_dies_with_a_lock_leaves_it_free(
    name: str, call: str, where: str, lock: str, strace: str, places: Iterator[Path]
) -> None:
    """The holder is stopped where it holds the lock, which is seen to be so, and then killed."""
    place = next(places)
    log = place.parent / "trace"
    assert faults.run(strace, log, (name, place)).returncode == 0
    at = next(each for each in faults.calls(log, place) if each.name == call and where in each.path)
    place = next(places)
    log = place.parent / "trace"
    command = faults.command(strace, log, (name, place), at.with_fault("signal=STOP"))
    with subprocess.Popen(
        command, env=faults.environment(), stdout=subprocess.PIPE, start_new_session=True
    ) as holder:
        try:
            number = (place / lock).stat().st_ino if wait_for_lock(place / lock) else 0
            assert number, f"{lock} is not held"
        finally:
            os.killpg(holder.pid, signal.SIGKILL)
    for _ in range(WAIT_S * 10):
        if not holders(number):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the lock of a dead process is held")
    assert_good(place, {})


def holders(inode: int) -> list[str]:
    """The lines of /proc/locks about a file."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return [line for line in lines if f":{inode} " in line]


def wait_for_lock(file: Path) -> bool:
    """Whether somebody holds the lock, twice in a row: the holder of it has stopped."""
    seen = 0
    for _ in range(WAIT_S * 10):
        held = file.exists() and bool(holders(file.stat().st_ino))
        seen = seen + 1 if held else 0
        if seen > 5:
            return True
        time.sleep(0.1)
    return False

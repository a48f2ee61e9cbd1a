"""Calls that fail: a clear error, and a repository that is good afterwards."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helios import errors
from repository import faults, workloads
from repository.soundness import assert_good, said

SIDE_BY_SIDE = 2
SYNCS = {"fdatasync", "fsync"}
# The system does not run out of room when it deletes or syncs.
ROOM = {"write", "pwrite64", "openat", "mkdir", "rename", "symlink"}


def injections(call: faults.Call) -> Iterator[str]:
    if call.name in ROOM:
        # A disk that is full stays full. But not so that nothing can be opened or said any more.
        yield call.with_fault("error=ENOSPC", and_later=call.name == "pwrite64")
    if call.name not in {"openat", "mkdir"}:
        yield call.with_fault("error=EIO")


@pytest.mark.slow
@pytest.mark.parametrize("name", workloads.WORKLOADS)
def test_a_call_that_fails_is_told_and_nothing_acknowledged_is_lost(
    name: str, strace: str, places: Iterator[Path]
) -> None:
    place = next(places)
    log = place.parent / "trace"
    whole = faults.run(strace, log, (name, place))
    assert whole.returncode == 0, whole.stderr
    # Of the many calls of RocksDB some: what it does about an error is the same for most.
    found = [
        call
        for number, call in enumerate(faults.calls(log, place))
        if "/l2/" not in call.path or ".pack" in call.path or number % 4 == 0
    ]
    todo = [(fault, call, next(places)) for call in found for fault in injections(call)]
    told = []

    def fail(fault: str, call: faults.Call, place: Path) -> None:
        done = faults.run(strace, place.parent / "trace", (name, place), fault)
        try:
            # What is only a cache may fail to be written.
            assert done.returncode in {0, errors.StorageError.exit_code}, done.stderr
            if done.returncode:
                assert re.match(r"(StorageError|StoreBusy) .*(\d|space|error)", done.stderr)
                told.append(fault)
            assert "Traceback" not in done.stderr, done.stderr
            assert_good(place, said(done.stdout))
        except (AssertionError, errors.HeliosError) as error:
            error.add_note(f"{fault}, at {call.text}")
            raise
        shutil.rmtree(place.parent)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for done in [pool.submit(fail, *each) for each in todo]:
            done.result()
    assert told


def writes_of(log: Path) -> list[str]:
    """The lines of a trace that write or sync the journal, or acknowledge, in order."""
    lines = [line.partition(" ")[2].strip() for line in log.read_text().splitlines()]
    return [
        line
        for line in lines
        if line.startswith("write(1<") or re.match(r"(pwrite64|fdatasync)\(\d+<.*\.journal>", line)
    ]


def test_with_durability_disk_a_commit_is_acknowledged_after_fdatasync(
    strace: str, places: Iterator[Path]
) -> None:
    place = next(places)
    log = place.parent / "trace"
    done = faults.run(strace, log, ("commit_to_disk", place))
    assert done.returncode == 0, done.stderr
    unsynced: set[str] = set()
    acknowledged = 0
    for line in writes_of(log):
        name, _, rest = line.partition("(")
        file = rest[: rest.index(">")]
        if name == "pwrite64":
            unsynced.add(file)
        elif name == "fdatasync":
            unsynced.discard(file)
        else:
            acknowledged += 1
            assert not unsynced, line
    assert acknowledged == len(said(done.stdout)) == 4


def test_what_a_failed_fdatasync_may_have_lost_is_written_again(
    strace: str, places: Iterator[Path]
) -> None:
    """The system tells once; that the next fdatasync succeeds says nothing of the lost pages."""
    for and_later in (False, True):
        place = next(places)
        log = place.parent / "trace"
        fault = faults.Call("fdatasync", 1, "").with_fault("error=EIO", and_later=and_later)
        done = faults.run(strace, log, ("commit_again", place), fault)
        assert done.returncode == 0, done.stderr
        failed = [line for line in done.stdout.splitlines() if line.startswith("failed")]
        # The first commit changes nothing: but what it gives must be on disk all the same.
        assert len(failed) == (3 if and_later else 1)
        assert all(line.split()[1] == str(errno.EIO) for line in failed)
        assert all("may not survive a power cut" in line for line in failed[1:])
        lines = writes_of(log)
        if and_later:
            # Another process, whose own fdatasync succeeds, must not trust it either.
            log = place.parent / "trace of another"
            done = faults.run(strace, log, ("commit_again", place))
            assert len(said(done.stdout)) == 3
            lines += writes_of(log)
        assert_written_again(lines)
        assert_good(place, said(done.stdout))


PWRITE = re.compile(r"pwrite64\(\d+<(?P<file>[^>]*)>, .*, (?P<size>\d+), (?P<at>\d+)\) = ")


def assert_written_again(lines: list[str]) -> None:
    """Nothing is acknowledged, unless all frames were written since the failure."""
    start: int | None = None
    end = 0
    lost = False
    acknowledged = 0
    for line in lines:
        found = PWRITE.match(line)
        if found:
            at, size = int(found["at"]), int(found["size"])
            if start is not None and at <= start and at + size >= end:
                lost = False
            if "HLF1" in line:
                start = at if start is None else start
                end = max(end, at + size)
        elif "EIO" in line:
            lost = True
        elif line.startswith("write(1<") and "failed" not in line:
            acknowledged += 1
            assert not lost, line
    assert start is not None
    assert acknowledged

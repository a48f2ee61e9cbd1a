"""Files that change while they are committed: a snapshot holds a state that was there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mmap import PAGESIZE
from pathlib import Path

import pytest

from helios import Repository, Worktree

SIZE = 700_000
COMMITS = 60


@contextmanager
def meanwhile(body: Callable[[int], None]) -> Iterator[Callable[[], int]]:
    """Calls `body` again and again in a thread; how often, so far."""
    rounds, stop = 0, False

    def loop() -> None:
        nonlocal rounds
        while not stop:
            body(rounds)
            rounds += 1

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield lambda: rounds
    finally:
        stop = True
        thread.join()


def test_a_file_that_is_replaced_is_one_of_its_contents(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    def replace(number: int) -> None:
        (place / "new").write_bytes(bytes([number % 256]) * SIZE)
        os.replace(place / "new", place / "f")

    replace(0)
    with meanwhile(replace):
        snapshots = [worktree.commit().snapshot for _ in range(COMMITS)]
    for snapshot in set(snapshots):
        vst = repo.vst(snapshot)
        if "f" in vst:
            content = vst["f"]
            assert len(content) == SIZE
            assert len(set(content)) == 1


@pytest.mark.parametrize("size", [SIZE, 3_000_000], ids=["whole", "in pieces"])
def test_a_file_that_is_rewritten_in_place_is_never_half_old_and_half_new(
    repo: Repository, worktree: Worktree, place: Path, size: int
) -> None:
    def rewrite(number: int) -> None:
        with (place / "f").open("wb", buffering=0) as file:
            file.write(bytes([number % 256]) * size)

    rewrite(0)
    warnings = set()
    snapshots = set()
    with meanwhile(rewrite):
        for _ in range(COMMITS):
            done = worktree.commit()
            snapshots.add(done.snapshot)
            warnings.update(done.warnings)
    assert {warning.path for warning in warnings} <= {"f"}
    for snapshot in snapshots:
        vst = repo.vst(snapshot)
        # Truncated, and not written again to the end: that was there too.
        assert "f" not in vst or len(set(vst["f"])) <= 1
    worktree.commit()
    assert repo.read("main", "f") == (place / "f").read_bytes()


def test_a_file_that_only_grows_is_a_beginning_of_it(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    def append(number: int) -> None:
        with (place / "log").open("ab") as file:
            file.write(b"line %d\n" % number)

    append(0)
    with meanwhile(append):
        snapshots = [worktree.commit().snapshot for _ in range(COMMITS)]
    whole = (place / "log").read_bytes()
    for snapshot in snapshots:
        content = repo.read(snapshot, "log")
        # Of a write over the end of a page, the system shows the first part by itself for a moment.
        assert content.endswith(b"\n") or len(content) % PAGESIZE == 0
        assert whole.startswith(content)
    assert len({snapshot.id for snapshot in snapshots}) > 1


def test_what_comes_goes_and_changes_its_kind_never_fails_a_commit(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    def churn(number: int) -> None:
        path = place / "d" / "x"
        (place / "d").mkdir(exist_ok=True)
        if number % 3 == 0:
            path.write_bytes(b"file")
        elif number % 3 == 1:
            path.symlink_to("target")
        else:
            path.mkdir()
            (path / "y").write_bytes(b"below")
            (path / "y").unlink()
            path.rmdir()
            (place / "d").rmdir()
            return
        path.unlink()

    with meanwhile(churn) as rounds:
        for _ in range(COMMITS):
            vst = repo.vst(worktree.commit().snapshot)
            assert all(vst[path] in (b"", b"file", b"target", b"below") for path in vst)
            worktree.status()
    assert rounds() > 0


def test_a_restore_beside_a_writer_overwrites_nothing_unseen(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "f").write_bytes(b"first")
    first = worktree.commit().snapshot
    written: list[bytes] = []

    def write(number: int) -> None:
        content = b"edit %d" % number
        (place / "new.tmp").write_bytes(content)
        os.replace(place / "new.tmp", place / "f")
        written.append(content)

    with meanwhile(write):
        for _ in range(COMMITS):
            done = repo.restore(first, paths=["f"])
            assert done.safety is None or repo.vst(done.safety).exists("f")
    assert (place / "f").read_bytes() in [b"first", *written]

"""Several processes, also ones that die: what was acknowledged is there, and nobody is stuck."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path

import pytest

from helios import Repository, errors
from repository import workers

KILLS = 20
SPAWN = multiprocessing.get_context("spawn")
FORK = multiprocessing.get_context("fork")


@pytest.mark.parametrize("context", [SPAWN, FORK], ids=["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_two_processes_commit_side_by_side(
    repo: Repository, place: Path, context: SpawnContext | ForkContext
) -> None:
    with repo.vst() as vst:
        vst["base"] = b"1"
    started = [
        context.Process(target=workers.commit_many, args=(str(place), name, "100"))
        for name in ("one", "two")
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
        assert process.exitcode == 0
    # The process that had it open all the time sees everything.
    expected = sorted(f"{name}/{number}" for name in ("one", "two") for number in range(100))
    assert sorted(repo.vst()) == sorted(["base", *expected])
    assert sum(1 for _ in repo.log("main")) == 201
    for name in ("one", "two"):
        assert [repo.read(snapshot, "own") for snapshot in repo.log(name, 100)] == [
            b"%d" % number for number in reversed(range(100))
        ]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_uses_what_its_parent_had_open(repo: Repository, place: Path) -> None:
    """Locks, threads and the L2 store of the parent must not be waited for in the child."""
    for number in range(300):
        (place / f"{number}").write_bytes(b"%d" % number)
    repo.worktree.commit()
    repo.maintenance()
    vst = repo.vst()
    assert vst["7"] == b"7"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            vst["by the child"] = b"1"
            vst.commit()
            assert repo.vst()["8"] == b"8"
            repo.worktree.switch("side", create=True)
            for number in range(300):
                (place / f"{number}").write_bytes(b"changed %d" % number)
            changed = repo.worktree.commit().snapshot
            repo.materialize(changed, place / "ignored")
            code = 0
        finally:
            os._exit(code)
    status = wait_for(child)
    assert os.waitstatus_to_exitcode(status) == 0
    assert repo.read("main", "by the child") == b"1"
    assert (place / "ignored" / "299").read_bytes() == b"changed 299"
    with pytest.raises(errors.BranchMoved):
        vst.commit(allow_empty=True)


def wait_for(child: int) -> int:
    for _ in range(600):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def test_what_a_killed_process_had_acknowledged_is_there(repo: Repository, place: Path) -> None:
    chance = random.Random(4)
    with repo.vst() as vst:
        vst["base"] = b"1"
    acknowledged: dict[str, str] = {}
    heads: dict[str, str] = {}
    for life in range(KILLS):
        process = workers.start("commit_loop", place, life)
        assert process.stdout is not None
        with process:
            for _ in range(chance.randint(1, 40)):
                snapshot, count = process.stdout.readline().split()
                acknowledged[snapshot] = count
                heads[f"work-{life}"] = snapshot
            time.sleep(chance.random() / 50)
            process.kill()
            for line in process.stdout:
                if line.endswith("\n"):
                    snapshot, count = line.split()
                    acknowledged[snapshot] = count
                    heads[f"work-{life}"] = snapshot
    for each in (repo, Repository.open(place)):
        with each:
            for snapshot, count in acknowledged.items():
                assert each.read(snapshot, "count").decode() == count
            for branch, snapshot in heads.items():
                # The last commit may have been made without being acknowledged.
                assert snapshot in {found.id for found in each.log(branch, 2)}
                vst = each.vst(branch)
                assert all(vst[path] is not None for path in vst)
            # At most a torn tail of each that died, which is kept aside.
            torn = (place / ".helios" / "journal" / "lost").glob("*.torn")
            assert {f"{segment:016x}-{offset:x}.torn" for segment, offset, _ in each.damage} == {
                path.name for path in torn
            }


def test_a_branch_that_others_moved_twice_into_l2_is_not_moved_back(
    repo: Repository, place: Path
) -> None:
    """The older state of L2 that a process has open must not decide a compare-and-swap."""
    with repo.vst() as vst:
        vst["a"] = b"1"
    repo.maintenance()
    with Repository.open(place) as other:
        late = other.vst()
        for number in range(2):
            with repo.vst() as vst:
                vst["b"] = b"%d" % number
            repo.maintenance()
        late["c"] = b"late"
        with pytest.raises(errors.BranchMoved) as caught:
            late.commit()
        assert caught.value.actual == repo.resolve("main")
        assert other.read("main", "b") == b"1"
        assert other.branches() == repo.branches()
        assert caught.value.snapshot is not None
        assert other.read(caught.value.snapshot, "c") == b"late"


def test_a_commit_at_the_end_of_a_segment_is_kept_though_the_next_cannot_be_made(
    repo: Repository, place: Path
) -> None:
    journal = place / ".helios" / "journal"
    blocker = journal / f"{2:016x}.journal"
    blocker.mkdir()
    chance = random.Random(1)
    vst = repo.vst()
    made: list[str] = []
    for number in range(100):
        vst["a"] = b"%d" % number + chance.randbytes(300_000)
        try:
            made.append(vst.commit().id)
        except errors.StorageError:
            break
    assert len(made) > 10
    for _ in range(2):
        with pytest.raises(errors.StorageError):
            vst.commit()
    blocker.rmdir()
    assert repo.resolve("main") == made[-1]
    made.append(vst.commit().id)
    for number in range(5):
        vst["b"] = b"%d" % number
        made.append(vst.commit().id)
    for each in (repo, Repository.open(place)):
        assert [snapshot.id for snapshot in each.log("main")] == made[::-1]
        for number, snapshot in enumerate(made[:-5]):
            assert each.read(snapshot, "a").startswith(b"%d" % number)
        assert each.damage == []

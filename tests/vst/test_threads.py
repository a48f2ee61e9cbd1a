"""Threads share VSTs and repositories: no call is torn, no update lost, nothing waits for ever."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from helios import Repository, errors

THREADS = 8
# For a deadlock: no test here takes a hundredth of it.
LIMIT_S = 120
# More than the few that small reads and writes of a call give, on however busy a machine.
ROUNDS_MIN = 20


def run_in_threads(body: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for future in [pool.submit(body, number) for number in range(THREADS)]:
            future.result(LIMIT_S)


def test_threads_write_to_one_vst_and_nothing_is_lost(repo: Repository) -> None:
    vst = repo.vst()

    def write(number: int) -> None:
        for count in range(200):
            vst[f"{count % 10}/{number}-{count}"] = b"%d" % count
            assert vst[f"{count % 10}/{number}-{count}"] == b"%d" % count

    run_in_threads(write)
    assert len(vst) == THREADS * 200


def test_threads_commit_one_vst_and_every_commit_is_in_the_history(repo: Repository) -> None:
    vst = repo.vst()
    made: list[str] = []

    def commit(number: int) -> None:
        for count in range(25):
            vst[f"{number}"] = b"%d" % count
            # Another thread's commit may have taken the write along.
            made.append(vst.commit().id)

    run_in_threads(commit)
    history = {snapshot.id for snapshot in repo.log("main")}
    assert history == set(made)
    assert {path: vst[path] for path in vst} == {f"{n}": b"24" for n in range(THREADS)}


def test_threads_race_for_one_branch_and_no_update_is_lost(repo: Repository) -> None:
    def add(number: int) -> None:
        for count in range(15):
            while True:
                vst = repo.vst()
                vst[f"{number}-{count}"] = b"x"
                try:
                    vst.commit()
                except errors.BranchMoved:
                    continue
                break

    run_in_threads(add)
    assert len(repo.vst()) == THREADS * 15
    assert sum(1 for _ in repo.log("main")) == THREADS * 15


def test_threads_with_a_branch_each_do_not_meet(repo: Repository) -> None:
    with repo.vst() as base:
        base["shared"] = b"1"

    def work(number: int) -> None:
        vst = base.fork(f"agent-{number}")
        for count in range(50):
            vst["mine"] = b"%d" % count
            vst.commit()
        assert repo.read(f"agent-{number}~49", "mine") == b"0"

    run_in_threads(work)
    assert len(repo.branches()) == THREADS + 1


def test_heavy_and_light_commits_and_maintenance_do_not_block_each_other(repo: Repository) -> None:
    def work(number: int) -> None:
        vst = repo.vst().fork(f"agent-{number}")
        for count in range(6):
            if number == 0:
                repo.maintenance()
            # Above and below the size from which the GIL is released.
            vst["large"] = bytes([number, count]) * (200_000 if number % 2 else 10)
            vst.commit()
            for name in repo.branches():
                assert repo.read(name, "large")
            assert not repo.diff(f"agent-{number}", f"agent-{number}")

    run_in_threads(work)


@pytest.fixture
def progress_count() -> Iterator[Callable[[], int]]:
    """How often another Python thread has run. It only runs when the GIL is given up on purpose."""
    count, stop, interval = 0, False, sys.getswitchinterval()

    def body() -> None:
        nonlocal count
        while not stop:
            count += 1
            time.sleep(0)

    thread = threading.Thread(target=body)
    sys.setswitchinterval(1000)
    thread.start()
    yield lambda: count
    stop = True
    thread.join()
    sys.setswitchinterval(interval)


def test_other_threads_run_during_a_large_commit(
    repo: Repository, progress_count: Callable[[], int]
) -> None:
    vst = repo.vst()
    vst["large"] = b"0123456789abcdef" * (1 << 20)
    before = progress_count()
    vst.commit()
    assert progress_count() - before > ROUNDS_MIN


def test_other_threads_run_during_materialize_and_a_worktree_commit(
    repo: Repository, progress_count: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if repo.root is None:
        pytest.skip("a repository in memory has no worktree")
    out = tmp_path_factory.mktemp("out")
    vst = repo.vst()
    for number in range(1500):
        vst[f"{number}"] = b"%d" % number * 500
    vst.commit()
    before = progress_count()
    repo.materialize("main", out)
    assert progress_count() - before > ROUNDS_MIN
    before = progress_count()
    repo.restore("main")
    assert progress_count() - before > ROUNDS_MIN

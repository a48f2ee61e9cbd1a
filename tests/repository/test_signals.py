"""Signals that come while the core waits for another process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from environment import unmeasured
from helios import Repository, errors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no timers' signals")

HELD_S = 0.3
FIRST_S = 0.05


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Another process holds the lock for a while."""
    script = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(float(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(lock), str(HELD_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=unmeasured()) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield


@contextmanager
def signalled(handler: Callable[[int, FrameType | None], None], again_s: float) -> Iterator[None]:
    """Signals from soon on, once or again and again."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, FIRST_S, again_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_commit_waits_on_whatever_signals_come(repo: Repository, place: Path) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    vst.commit("first")
    came = []
    vst["a"] = b"2"
    with (
        held(place / ".helios" / "journal" / "lock"),
        signalled(lambda number, _: came.append(number), FIRST_S),
    ):
        snapshot = vst.commit("second")
    assert came
    assert repo.resolve("main") == snapshot.id
    assert repo.read("main", "a") == b"2"


def test_a_commit_of_the_worktree_waits_on(repo: Repository, place: Path) -> None:
    (place / "a").write_bytes(b"1")
    repo.worktree.commit("first")
    (place / "a").write_bytes(b"22")
    lock = place / ".helios" / "worktree" / "lock"
    came = []
    with held(lock), signalled(lambda number, _: came.append(number), FIRST_S):
        repo.worktree.commit("second")
    assert came
    assert repo.read("main", "a") == b"22"


def test_what_a_handler_raises_comes_before_an_error(repo: Repository, place: Path) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    vst.commit("first")
    vst["a"] = b"2"
    with repo.vst("main") as other:
        other["a"] = b"other"

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    lock = place / ".helios" / "journal" / "lock"
    with held(lock), signalled(interrupt, 0), pytest.raises(KeyboardInterrupt):
        vst.commit("second")
    # Without a signal it is the error.
    with pytest.raises(errors.BranchMoved):
        vst.commit("second")
    assert repo.read("main", "a") == b"other"

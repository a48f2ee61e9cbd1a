"""Beside a running watch: its knowledge is used, and never makes a difference but in time."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import pytest

from helios import Repository, Worktree
from helios.repository.watch import Watch
from worktree.asked import differing, is_asked

LIMIT_S = 120
EDITOR = Path(__file__).with_name("editor.py")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")


class Watching:
    """A watch that iterates on a thread of its own."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._seen = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._iterate, daemon=True)
        self._thread.start()

    def _iterate(self) -> None:
        for _ in self.watch:
            self._seen.release()

    def wait_for_snapshot(self) -> None:
        assert self._seen.acquire(timeout=LIMIT_S)

    def stop(self) -> None:
        self.watch.stop()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()


@pytest.fixture
def watching(worktree: Worktree) -> Iterator[Watching]:
    with worktree.watch(settle_s=0.05) as watch:
        watching = Watching(watch)
        watching.wait_for_snapshot()
        yield watching
        watching.stop()


@pytest.fixture
def scanned(repo: Repository, place: Path, tmp_path: Path) -> Callable[[], str]:
    """The id of the tree on disk, by a scan of everything that asks nobody.

    It knows the worktree's index: what is tracked stays so though a rule ignores it now.
    """
    numbers = itertools.count()

    def scan() -> str:
        directory = tmp_path / f"scan-{next(numbers)}"
        directory.mkdir()
        index = place / ".helios/worktree/index"
        if index.exists():
            shutil.copy(index, directory)
        core = repo._engine.worktree(None, str(place), str(directory), None, None)
        snapshot, _ = core.commit(
            None, None, "", author=None, metadata=None, allow_empty=True, command="", scan=True
        )
        return snapshot.tree_id

    return scan


@pytest.fixture
def editor(place: Path) -> Iterator[Callable[[int, int], None]]:
    """Starts editors by seed, and has them make so many edits."""
    editors: dict[int, subprocess.Popen[str]] = {}

    def edit(seed: int, count: int) -> None:
        if seed not in editors:
            command = [sys.executable, str(EDITOR), str(place), str(seed)]
            editors[seed] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        pipes = editors[seed]
        assert pipes.stdin is not None
        assert pipes.stdout is not None
        print(count, file=pipes.stdin, flush=True)
        assert pipes.stdout.readline() == "done\n"

    yield edit
    for process in editors.values():
        process.communicate()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_others_edit_the_trees_are_those_of_a_full_scan(
    repo: Repository,
    worktree: Worktree,
    watching: Watching,
    editor: Callable[[int, int], None],
    scanned: Callable[[], str],
    seed: int,
) -> None:
    chance = random.Random(seed)
    worktree.commit("the first", allow_empty=True)
    for number in range(40):
        editor(seed, chance.choice((0, 1, 2, 5, 40)))
        match chance.randrange(4):
            case 0:
                status = worktree.status()
                base = repo.snapshot(status.base or "main").tree_id
                assert bool(status.diff) == (base != scanned())
            case 1 if number > 5:
                history = list(repo.log())
                wanted = chance.choice(history[:4])
                worktree.restore(wanted)
                again = worktree.commit("after a restore").snapshot
                assert again.tree_id == scanned()
            case _:
                assert worktree.commit(str(number)).snapshot.tree_id == scanned()
    watching.stop()
    assert repo.snapshot("watch/main").tree_id == scanned()


def test_what_a_watch_knows_is_used_and_a_map_is_seen_when_it_ends(
    worktree: Worktree, watching: Watching, place: Path
) -> None:
    assert is_asked(worktree, place / "mapped")
    watching.stop()
    watching.watch.close()
    assert not is_asked(worktree, place / "mapped")


def test_a_watch_that_is_started_late_is_asked_after_one_scan(
    worktree: Worktree, place: Path, scanned: Callable[[], str]
) -> None:
    (place / "a").write_text("1")
    worktree.commit("before")
    (place / "a").write_text("22")
    (place / "b").write_text("b")
    with worktree.watch(settle_s=0.05) as watch:
        watching = Watching(watch)
        watching.wait_for_snapshot()
        assert differing(worktree) == ["a", "b"]
        # The same again, now that the watch is asked.
        assert differing(worktree) == ["a", "b"]
        assert worktree.commit("after").snapshot.tree_id == scanned()
        assert is_asked(worktree, place / "mapped")
        watching.stop()


def test_a_later_watch_does_not_know_what_an_earlier_one_did(
    worktree: Worktree, place: Path
) -> None:
    (place / "a").write_text("1")
    for number in range(2):
        with worktree.watch(settle_s=0.05) as watch:
            watching = Watching(watch)
            watching.wait_for_snapshot()
            worktree.commit("known to this watch")
            watching.stop()
        (place / "a").write_text(f"edited while nobody watches: {number}")
        with worktree.watch(settle_s=0.05) as watch:
            watching = Watching(watch)
            watching.wait_for_snapshot()
            assert differing(worktree) == ["a"]
            watching.stop()


def test_a_watch_that_was_killed_or_hangs_keeps_nobody_from_scanning(
    worktree: Worktree, place: Path
) -> None:
    (place / "a").write_text("1")
    worktree.commit("first")
    command = [sys.executable, "-m", "helios.cli", "-C", str(place), "watch", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_asked(worktree, place / "mapped")
        process.send_signal(signal.SIGSTOP)
        (place / "a").write_text("while it hangs")
        assert differing(worktree) == ["a", "mapped"]
        worktree.commit("while it hangs")
        process.send_signal(signal.SIGCONT)
    finally:
        process.kill()
        process.communicate()
    assert (place / ".helios/worktree/watch/socket").is_socket()
    (place / "a").write_text("when it is dead")
    assert differing(worktree) == ["a"]
    assert not is_asked(worktree, place / "mapped")


@pytest.mark.parametrize("said", [b"", b"HWA1", b"HWA1" + b"\xff" * 100, None])
def test_a_socket_that_answers_nonsense_or_nothing_is_no_watch(
    worktree: Worktree, place: Path, said: bytes | None
) -> None:
    (place / "a").write_text("1")
    worktree.commit("first")
    directory = place / ".helios/worktree/watch"
    directory.mkdir()
    before = os.getcwd()
    os.chdir(directory)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    os.chdir(before)
    listener.listen()

    def answer() -> None:
        while said is not None:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                accepted.recv(1 << 16)
                accepted.sendall(said)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    (place / "a").write_text("22")
    assert differing(worktree) == ["a"]
    assert worktree.commit("second").snapshot.stats is not None
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_the_socket_is_the_users_alone_and_goes_with_the_watch(
    watching: Watching, place: Path
) -> None:
    found = place / ".helios/worktree/watch/socket"
    assert found.is_socket()
    assert found.stat().st_mode & 0o777 == 0o600
    watching.stop()
    watching.watch.close()
    assert not found.exists()


def test_a_deep_directory_has_a_watch_that_is_asked(tmp_path: Path) -> None:
    place = tmp_path.joinpath(*["d" * 100] * 3)
    with Repository.init(place) as repo, repo.worktree.watch(settle_s=0.05) as watch:
        watching = Watching(watch)
        watching.wait_for_snapshot()
        assert is_asked(repo.worktree, place / "mapped")
        watching.stop()


@pytest.mark.usefixtures("watching")
def test_a_worktree_that_was_moved_or_copied_is_not_mistaken(
    worktree: Worktree, place: Path, tmp_path: Path
) -> None:
    (place / "a").write_text("1")
    worktree.commit("first")
    moved = tmp_path / "moved"
    place.rename(moved)
    subprocess.run(["cp", "-a", moved, place], check=True)
    (place / "a").write_text("of the copy")
    (moved / "a").write_text("of the one that moved")
    for root in (place, moved):
        with Repository.open(root) as repo:
            assert differing(repo.worktree) == ["a"]


@pytest.mark.usefixtures("watching")
def test_what_a_person_edits_right_before_a_restore_is_kept(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "a").write_text("1")
    (place / "b").write_text("1")
    first = worktree.commit("first").snapshot
    (place / "a").write_text("2")
    worktree.commit("second")
    for number in range(20):
        (place / "a").write_text(f"edited {number}")
        restored = worktree.restore(first)
        assert restored.safety is not None
        assert repo.read(restored.safety.id, "a") == b"edited %d" % number
        assert (place / "a").read_text() == "1"


@pytest.mark.usefixtures("watching")
def test_what_cannot_be_taken_is_told_each_time(worktree: Worktree, place: Path) -> None:
    os.mkfifo(place / "fifo")
    (place / "a").write_text("1")
    for _ in range(3):
        assert [warning.path for warning in worktree.status().warnings] == ["fifo"]
    for number in range(3):
        (place / "a").write_text(str(number) * 3)
        assert [warning.path for warning in worktree.commit("").warnings] == ["fifo"]
    assert is_asked(worktree, place / "mapped")


@pytest.mark.usefixtures("watching")
def test_an_edit_by_another_name_of_the_file_is_seen(
    worktree: Worktree, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_text("1")
    (place / "a").hardlink_to(tmp_path / "elsewhere")
    worktree.commit("first")
    # Longer than a tick of the clock, or the entry is racy.
    sleep(0.05)
    worktree.commit("not racy")
    (tmp_path / "elsewhere").write_text("by the other name")
    assert differing(worktree) == ["a"]

"""Monitors: what they know is used, they are there without being asked for, and in nobody's way."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep, time

import pytest

from environment import is_running, until
from helios import Repository, Worktree, errors
from helios._core import Monitor
from helios.repository import claim, monitor
from helios.repository import worktree as worktree_module
from worktree.asked import differing, is_asked

EDITOR = Path(__file__).with_name("editor.py")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux'")


def state(place: Path) -> Path:
    return place / ".helios/worktree"


def process(place: Path) -> int:
    """The process that watches, or was about to start who does; 0 while it writes that down."""
    return int((state(place) / "watch" / claim.FILE).read_text() or 0)


def have_started(worktree: Worktree, place: Path, not_by: int) -> None:
    """Has a monitor started, as if the last start was long ago, which is another process."""
    long_ago = time() - monitor.RETRY_S - 1
    os.utime(state(place) / "watch" / claim.FILE, (long_ago, long_ago))

    def is_another() -> bool:
        # Not by the first, perhaps: the one before may not have let go yet.
        worktree.status()
        return process(place) not in (0, not_by, os.getpid())

    until(is_another)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worktrees of any size are monitored."""
    monkeypatch.setattr(worktree_module, "MONITORED_MIN", 1)


@pytest.fixture
def monitored(worktree: Worktree, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A worktree whose monitor, a process, is asked by everybody."""
    monkeypatch.setattr(worktree_module, "MONITORED_MIN", 1)
    (place / "directory").mkdir()
    (place / "directory/first").write_text("1")
    worktree.commit("first")
    until((state(place) / "watch/socket").exists)
    until(lambda: is_asked(worktree, place / "mapped"))
    worktree.commit("asked")
    number = process(place)
    yield number
    claim.dismiss(str(state(place) / "watch"), str(place))
    until(lambda: not is_running(number))


@pytest.fixture
def looking(worktree: Worktree, place: Path) -> Monitor:
    """A monitor in this process that has looked, once, at what was committed."""
    (place / "directory").mkdir()
    (place / "directory/first").write_text("1")
    worktree.commit("first")
    # Longer than a tick of the clock, or the entry is racy.
    sleep(0.05)
    worktree.commit("not racy")
    (state(place) / "watch").mkdir()
    looking = Monitor(str(place), str(state(place)), None, None)
    assert looking.is_at_a_loss()
    assert looking.look()
    assert not looking.is_at_a_loss()
    assert not worktree.status().diff
    return looking


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_edited_the_trees_are_those_of_a_full_scan(
    repo: Repository, worktree: Worktree, looking: Monitor, place: Path, tmp_path: Path, seed: int
) -> None:
    numbers = itertools.count()

    def scanned() -> str:
        directory = tmp_path / f"scan-{next(numbers)}"
        directory.mkdir()
        (directory / "index").write_bytes((state(place) / "index").read_bytes())
        core = repo._engine.worktree(None, str(place), str(directory), None, None)
        snapshot, _ = core.commit(
            None, None, "", author=None, metadata=None, allow_empty=True, command="", scan=True
        )
        return snapshot.tree_id

    command = [sys.executable, str(EDITOR), str(place), str(seed)]
    chance = random.Random(seed)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as editor:
        assert editor.stdin is not None
        assert editor.stdout is not None
        for number in range(40):
            print(chance.choice((0, 1, 2, 5, 40)), file=editor.stdin, flush=True)
            assert editor.stdout.readline() == "done\n"
            match chance.randrange(4):
                case 0:
                    base = repo.snapshot(worktree.status().base or "main").tree_id
                    assert bool(worktree.status().diff) == (base != scanned())
                case 1:
                    assert looking.look()
                case 2 if number > 5:
                    worktree.restore(chance.choice(list(repo.log())[:4]))
                    assert worktree.commit("restored").snapshot.tree_id == scanned()
                case _:
                    assert worktree.commit(str(number)).snapshot.tree_id == scanned()
        editor.stdin.close()
    assert looking.questions() > 20


def test_what_was_not_reported_is_found_by_the_next_look(
    worktree: Worktree, looking: Monitor, place: Path, tmp_path: Path
) -> None:
    assert not differing(worktree)
    # A store by another name, from outside, that came after the commit.
    (tmp_path / "elsewhere").hardlink_to(place / "directory/first")
    (tmp_path / "elsewhere").write_text("by the other name")
    assert not differing(worktree)
    assert looking.look()
    assert differing(worktree) == ["directory/first"]
    worktree.commit("seen")
    assert not differing(worktree)


def test_directories_that_are_ignored_are_watched_no_longer_after_a_look(
    worktree: Worktree, looking: Monitor, place: Path
) -> None:
    (place / ".heliosignore").write_text("out\n")
    (place / "out/deep").mkdir(parents=True)
    worktree.commit("a rule")
    assert looking.look()
    looking.take()
    (place / "out/deep/file").write_text("ignored")
    assert not looking.take()
    (place / "directory/file").write_text("not ignored")
    assert looking.take()
    assert differing(worktree) == ["directory/file"]


@pytest.mark.usefixtures("monitored")
def test_a_large_worktree_is_monitored_without_being_asked_to(
    worktree: Worktree, place: Path
) -> None:
    (place / "directory/second").write_text("2")
    assert differing(worktree) == ["directory/second"]
    worktree.commit("second")
    assert not differing(worktree)


def test_a_small_worktree_is_not_monitored(worktree: Worktree, place: Path) -> None:
    (place / "a").write_text("1")
    worktree.commit("first")
    worktree.status()
    assert not (state(place) / "watch").exists()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("text", ["[monitor]\nenabled = false\n", "[monitor]\nenabled = 1\n", "["])
def test_it_can_be_turned_off(repo: Repository, place: Path, text: str) -> None:
    (place / ".helios/config").write_text(text)
    (place / "a").write_text("1")
    repo.worktree.commit("first")
    repo.worktree.status()
    assert not (state(place) / "watch").exists()


def test_a_setting_that_is_neither_is_an_error_where_settings_matter(
    repo: Repository, place: Path
) -> None:
    (place / ".helios/config").write_text("[monitor]\nenabled = 1\n")
    with pytest.raises(errors.InvalidConfig, match=r"`monitor\.enabled` is true or false, not 1"):
        repo.gc()


def test_it_is_not_started_twice_within_a_while(
    monitored: int, worktree: Worktree, place: Path
) -> None:
    os.kill(monitored, signal.SIGKILL)
    until(lambda: not is_running(monitored))
    (place / "directory/first").write_text("while nobody watches")
    assert differing(worktree) == ["directory/first"]
    assert process(place) == monitored
    have_started(worktree, place, monitored)
    until(lambda: is_asked(worktree, place / "mapped"))


def test_one_that_has_no_answer_makes_way_for_one_that_has(
    monitored: int, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "rules").write_text("ignored\n")
    (place / "ignored").write_text("1")
    with Repository.open(place, excludes_file=tmp_path / "rules") as repo:
        assert not differing(repo.worktree)
        assert not is_asked(repo.worktree, place / "mapped")
        have_started(repo.worktree, place, monitored)
        until(lambda: not is_running(monitored))
        until(lambda: is_asked(repo.worktree, place / "mapped"))


def test_it_makes_way_for_a_watch(
    monitored: int, repo: Repository, worktree: Worktree, place: Path
) -> None:
    with worktree.watch(settle_s=0.05) as watch:
        next(watch)
        assert process(place) == os.getpid()
        until(lambda: not is_running(monitored))
        (place / "directory/first").write_text("2")
        next(watch)
        assert repo.read("watch/main", "directory/first") == b"2"
        # And a watch for nobody.
        claim.dismiss(str(state(place) / "watch"), str(place))
        assert process(place) == os.getpid()
        watch.stop()


def test_it_ends_with_its_worktree(
    repo: Repository, worktree: Worktree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "agent"
    (Path(repo.root or "") / "a").write_text("1")
    worktree.commit("first")
    repo.add_worktree(root, "agent")
    monkeypatch.setattr(worktree_module, "MONITORED_MIN", 1)
    with Repository.open(root) as agent:
        (root / "a").write_text("2")
        agent.worktree.commit("second")
    directory = Path(repo.root or "") / ".helios/worktrees/agent"
    until((directory / "watch/socket").exists)
    number = int((directory / "watch" / claim.FILE).read_text())
    repo.remove_worktree(root)
    assert not root.exists()
    assert not directory.exists()
    until(lambda: not is_running(number))


def test_a_monitor_whose_directory_is_gone_ends(monitored: int, place: Path) -> None:
    place.rename(place.with_name("moved"))
    until(lambda: not is_running(monitored))
    place.with_name("moved").rename(place)


def test_a_monitor_that_nobody_asks_ends(
    looking: Monitor, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "IDLE_S", 0.0)
    monitor.serve(looking, str(place), str(state(place)))
    assert not looking.is_unwanted()


def test_a_second_monitor_leaves_the_first_alone(monitored: int, place: Path) -> None:
    before = os.getcwd()
    try:
        assert monitor.main([str(place), str(state(place)), "", ""]) == 0
    finally:
        os.chdir(before)
    assert process(place) == monitored
    assert is_running(monitored)

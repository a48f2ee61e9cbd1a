"""What a commit of a directory takes in, what it leaves out, and what it says about that."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helios import Repository, Worktree, errors
from repository import workers


def paths(repo: Repository, worktree: Worktree) -> list[str]:
    return repo.vst(worktree.commit().snapshot).walk()


def test_status_lists_what_a_commit_would_take(worktree: Worktree, place: Path) -> None:
    assert (worktree.status().branch, worktree.status().base) == ("main", None)
    (place / "a").write_bytes(b"1")
    (place / "gone").write_bytes(b"2")
    (place / "old").write_bytes(b"it moves")
    (place / "d").mkdir()
    assert [change.path for change in worktree.status().diff.added] == ["a", "d", "gone", "old"]
    first = worktree.commit("one").snapshot
    assert not worktree.status().diff
    (place / "a").write_bytes(b"one\n")
    (place / "gone").unlink()
    (place / "old").rename(place / "d" / "new")
    status = worktree.status()
    assert status.base == first.id
    assert [change.path for change in status.diff.changed] == ["a"]
    assert [change.path for change in status.diff.deleted] == ["gone"]
    assert [(r.old_path, r.path) for r in status.diff.renamed] == [("old", "d/new")]
    assert status.diff.text(status.diff.changed[0]) == (
        b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n\\ No newline at end of file\n+one\n"
    )
    second = worktree.commit("two", author="Ada", metadata={"k": "v"}).snapshot
    assert (second.parents, second.author, second.metadata) == ([first.id], "Ada", {"k": b"v"})
    assert worktree.diff(first).renamed
    assert not worktree.diff("main")


def test_a_commit_without_a_change_gives_the_last_snapshot_back(
    worktree: Worktree, place: Path
) -> None:
    (place / "a").write_bytes(b"1")
    first = worktree.commit().snapshot
    assert first.stats is not None
    os.utime(place / "a")
    again = worktree.commit()
    assert again.snapshot == first
    assert again.snapshot.stats is None
    assert worktree.commit(allow_empty=True).snapshot.parents == [first.id]


def test_ignore_rules_are_respected(repo: Repository, worktree: Worktree, place: Path) -> None:
    for name in ("a.o", "keep.o", "src/b.o", "src/c.c", "build/x", "log/today", "local", "mine"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(b"1")
    (place / ".gitignore").write_text("*.o\n!keep.o\n/build/\n")
    (place / "src" / ".gitignore").write_text("*.c\n")
    (place / ".git" / "info").mkdir(parents=True)
    (place / ".git" / "info" / "exclude").write_text("local\n")
    (place / ".heliosignore").write_text("log/\n")
    assert paths(repo, worktree) == [
        ".gitignore",
        ".heliosignore",
        "keep.o",
        "mine",
        "src/.gitignore",
    ]


def test_the_excludes_file_counts_and_need_not_exist(place: Path, tmp_path: Path) -> None:
    excludes = tmp_path / "excludes"
    with Repository.init(place, excludes_file=excludes) as repo:
        (place / "a~").write_bytes(b"1")
        excludes.write_text("*~\n")
        assert paths(repo, repo.worktree) == []
        excludes.unlink()
        assert paths(repo, repo.worktree) == ["a~"]


def test_a_tracked_file_stays_tracked_though_it_is_ignored_now(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "config").write_bytes(b"1")
    worktree.commit()
    (place / ".gitignore").write_text("config\nnever\n")
    (place / "never").write_bytes(b"1")
    assert paths(repo, worktree) == [".gitignore", "config"]
    (place / "config").write_bytes(b"2")
    assert repo.read(worktree.commit().snapshot, "config") == b"2"
    (place / "config").unlink()
    assert paths(repo, worktree) == [".gitignore"]
    (place / "config").write_bytes(b"3")
    assert paths(repo, worktree) == [".gitignore"]


def test_nested_repositories_are_taken_in_without_their_own_files(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "git" / ".git").mkdir(parents=True)
    (place / "git" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (place / "git" / "file").write_bytes(b"1")
    (place / "submodule").mkdir()
    (place / "submodule" / ".git").write_text("gitdir: ../.git/modules/x\n")
    (place / "submodule" / "file").write_bytes(b"2")
    with Repository.init(place / "helios") as inner:
        (place / "helios" / "file").write_bytes(b"3")
        inner.worktree.commit()
    assert paths(repo, worktree) == ["git/file", "helios/file", "submodule/file"]


def test_sockets_fifos_and_alike_names_are_left_out_with_a_warning(
    repo: Repository, worktree: Worktree, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        (place / ".GIT").mkdir()
        (place / "file").write_bytes(b"1")
        done = worktree.commit()
    assert {warning.path for warning in done.warnings} == {"fifo", "socket", ".GIT"}
    assert all("left out" in warning.reason for warning in done.warnings)
    assert repo.vst(done.snapshot).walk() == ["file"]
    assert {warning.path for warning in worktree.status().warnings} >= {"fifo", "socket"}


def test_a_file_that_becomes_a_fifo_is_deleted(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "x").write_bytes(b"1")
    worktree.commit()
    (place / "x").unlink()
    os.mkfifo(place / "x")
    assert paths(repo, worktree) == []


def test_large_files_are_taken_in_pieces(repo: Repository, worktree: Worktree, place: Path) -> None:
    content = os.urandom(5 << 20)
    (place / "large").write_bytes(content)
    first = worktree.commit().snapshot
    edited = content[: 2 << 20] + b"inserted" + content[2 << 20 :]
    (place / "large").write_bytes(edited)
    second = worktree.commit().snapshot
    assert second.stats is not None
    assert second.stats.journal_bytes < 3 << 20
    assert repo.read(first, "large") == content
    assert repo.read(second, "large") == edited
    (place / "large").write_bytes(b"small now")
    assert repo.read(worktree.commit().snapshot, "large") == b"small now"


@pytest.fixture
def too_deep(place: Path, repo: Repository) -> Iterator[Path]:
    """A directory whose path is longer than the system takes in one piece."""
    assert repo.root == str(place)
    name = "d" * 250
    descriptor = os.open(place, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(name, dir_fd=descriptor)
        below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    file = os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor)
    os.write(file, b"1")
    os.close(file)
    os.close(descriptor)
    yield place / name
    shutil.rmtree(place / name)


def test_what_lies_deeper_than_a_path_can_be_long_is_a_warning_or_taken(
    repo: Repository, worktree: Worktree, place: Path, too_deep: Path
) -> None:
    (place / "file").write_bytes(b"1")
    done = worktree.commit()
    taken = repo.vst(done.snapshot).walk()
    assert "file" in taken
    assert len(taken) == 2 or done.warnings
    assert too_deep.exists()


def test_an_unreadable_file_keeps_its_last_content_with_a_warning(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file, whatever its mode")
    (place / "a").write_bytes(b"1")
    worktree.commit()
    (place / "a").write_bytes(b"22")
    (place / "a").chmod(0)
    (place / "new").touch(0)
    done = worktree.commit()
    assert {warning.path for warning in done.warnings} == {"a", "new"}
    assert repo.vst(done.snapshot).walk() == ["a"]
    assert repo.read(done.snapshot, "a") == b"1"


def test_a_worktree_that_vanished_is_an_error(
    worktree: Worktree, place: Path, tmp_path: Path
) -> None:
    (place / "a").write_bytes(b"1")
    worktree.commit()
    place.rename(tmp_path / "moved")
    with pytest.raises(errors.HeliosError):
        worktree.commit()
    with Repository.open(tmp_path / "moved") as moved:
        assert not moved.worktree.status().diff
        assert moved.read("main", "a") == b"1"


def test_thousands_of_files_are_committed_changed_and_committed_again(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    for number in range(2_000):
        directory = place / f"{number % 40}"
        directory.mkdir(exist_ok=True)
        (directory / f"{number}").write_bytes(b"%d\n" % number * 50)
    first = worktree.commit().snapshot
    (place / "7" / "7").write_bytes(b"changed")
    second = worktree.commit().snapshot
    assert second.stats is not None
    assert second.stats.new_objects <= 5
    assert [change.path for change in repo.diff(first, second).changed] == ["7/7"]
    assert len(repo.vst(second)) == 2_000


def test_threads_and_processes_take_turns_on_one_worktree(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    """None of them moves the branch under another, so nobody meets a conflict."""
    worktree.commit()

    def work(number: int) -> None:
        for count in range(10):
            (place / f"{number}").write_bytes(b"%d" % count)
            worktree.commit()

    started = [workers.start("worktree_commits", place, number, 10) for number in (100, 101)]
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result(120)
    for process in started:
        with process:
            process.communicate(timeout=120)
        assert process.returncode == 0
    assert not worktree.status().diff
    assert [repo.read("main", f"{n}") for n in (0, 1, 2, 3, 100, 101)] == [b"9"] * 6


def test_a_branch_that_others_moved_is_not_taken_back(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "a").write_bytes(b"1")
    worktree.commit()
    with repo.vst() as vst:
        vst["by an agent"] = b"1"
    (place / "a").write_bytes(b"2")
    with pytest.raises(errors.BranchMoved) as caught:
        worktree.commit()
    assert repo.read("main", "by an agent") == b"1"
    assert caught.value.snapshot is not None
    assert repo.read(caught.value.snapshot, "a") == b"2"
    assert worktree.status().head == repo.resolve("main")
    switched = worktree.switch("main")
    assert (place / "by an agent").read_bytes() == b"1"
    assert (place / "a").read_bytes() == b"1"
    assert switched.safety is not None
    assert repo.read(switched.safety, "a") == b"2"

"""The operation log, and undo, redo and going back, one at a time, side by side, and cut short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helios import Operation, Repository, errors
from helios.repository import place as places
from helios.repository import standing

if TYPE_CHECKING:
    from collections.abc import Callable


def write(place: Path, **files: str) -> None:
    for name, text in files.items():
        (place / name).write_text(text)


def files(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in place.iterdir() if path.is_file()}


def commit(repo: Repository, place: Path, **texts: str) -> str:
    write(place, **texts)
    return repo.worktree.commit(" ".join(texts.values())).snapshot.id


def last(repo: Repository) -> Operation:
    return next(repo.operations())


def test_every_change_of_refs_is_one_operation(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    with repo.vst("main").fork("side") as vst:
        vst["b"] = "2"
    repo.create_tag("v1", first)
    repo.create_branch("x", first)
    repo.rename_branch("x", "y")
    repo.delete_branch("y")
    log = list(repo.operations())
    assert [each.command for each in log] == [
        "branch -d y",
        "branch -m x y",
        "branch x",
        "tag v1",
        "commit",
        "commit",
    ]
    assert {each.process for each in log} == {os.getpid()}
    assert {each.user for each in log} == {log[0].user}
    assert "@" in log[0].user
    assert [each.worktree for each in log] == ["main"] * 4 + [None, "main"]
    assert [len(each.changes) for each in log] == [1, 2, 1, 1, 1, 1]
    assert [each.time_us for each in log] == sorted((each.time_us for each in log), reverse=True)


def test_ids_stay_when_maintenance_moves_operations(repo: Repository, place: Path) -> None:
    commit(repo, place, a="1")
    before = list(repo.operations())
    repo.maintenance()
    commit(repo, place, a="2")
    repo.create_tag("v1")
    with Repository.open(place) as other:
        assert list(other.operations())[2:] == before
        assert list(other.operations(1)) == [last(repo)]
    assert list(repo.operations())[2:] == before
    repo.maintenance()
    assert list(repo.operations())[2:] == before
    assert repo.undo(last(repo).id[:4]).of.command == "tag v1"


def test_an_undone_commit_leaves_the_files(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    second = commit(repo, place, a="2")
    done = repo.undo()
    assert done.of.changes[0].new == second
    assert repo.branches() == {"main": first}
    assert files(place) == {"a": "2"}
    assert len(repo.worktree.status().diff) == 1
    third = commit(repo, place, a="3")
    assert repo.snapshot(third).parents == [first]


def test_the_first_commit_undone_is_an_unborn_branch(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    repo.undo()
    assert repo.branches() == {}
    assert repo.worktree.head() == ("main", None)
    with pytest.raises(errors.NothingToUndo):
        repo.undo()
    repo.redo()
    assert repo.branches() == {"main": first}
    assert repo.worktree.status().base == first


def test_a_restore_undone_brings_back_what_was_not_committed(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1", b="1")
    write(place, a="mine")
    restored = repo.restore(first)
    assert restored.safety is not None
    assert files(place)["a"] == "1"
    write(place, b="edited since")
    done = repo.undo()
    assert files(place) == {"a": "mine", "b": "1"}
    assert done.safety is not None
    assert repo.read(done.safety, "b") == b"edited since"
    again = repo.redo()
    assert again.safety is None
    assert files(place) == {"a": "1", "b": "edited since"}


def test_a_restore_of_paths_is_undone_alone(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1", b="1")
    second = commit(repo, place, a="2", b="2")
    repo.restore(first, paths=["a"])
    change = last(repo).changes[0]
    assert change.name == "worktrees/main"
    assert change.new not in (first, second)
    assert repo.read(str(change.new), "a") == b"1"
    assert repo.read(str(change.new), "b") == b"2"
    repo.undo()
    assert files(place) == {"a": "2", "b": "2"}
    assert repo.branches() == {"main": second}


def test_restores_one_after_the_other_are_undone_one_by_one(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    second = commit(repo, place, a="2")
    commit(repo, place, a="3")
    repo.restore(first)
    write(place, a="edited")
    repo.restore(second)
    repo.undo()
    assert files(place) == {"a": "edited"}
    repo.undo()  # what the second restore committed first
    done = repo.undo()
    assert files(place) == {"a": "3"}
    assert done.safety is None, "it is a snapshot already"
    held = next(each for each in last(repo).changes if each.name == "worktrees/main").old
    assert repo.read(str(held), "a") == b"edited"
    for _ in range(3):
        repo.redo()
    assert files(place) == {"a": "2"}


def test_a_restore_of_what_is_there_is_no_operation(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    before = last(repo)
    repo.restore(first)
    assert last(repo) == before


def test_a_switch_undone_follows_the_old_branch(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    repo.worktree.switch("x", create=True)
    second = commit(repo, place, a="2")
    repo.worktree.switch("main")
    assert files(place) == {"a": "1"}
    write(place, a="3")
    repo.undo()
    assert repo.worktree.head() == ("x", second)
    assert files(place) == {"a": "2"}
    repo.undo()
    assert repo.worktree.head() == ("x", first)
    repo.undo()
    assert repo.worktree.head() == ("main", first)
    assert repo.branches() == {"main": first}
    for _ in range(3):
        repo.redo()
    assert repo.worktree.head() == ("main", first)
    assert files(place) == {"a": "3"}
    assert repo.branches() == {"main": first, "x": second}


def test_a_rename_takes_the_worktree_along_and_back(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    repo.rename_branch("main", "trunk")
    assert repo.worktree.head() == ("trunk", first)
    commit(repo, place, a="2")
    repo.undo()
    repo.undo()
    assert repo.worktree.head() == ("main", first)
    with pytest.raises(errors.UnknownRevision):
        repo.rename_branch("nope", "x")
    with pytest.raises(errors.BranchExists):
        repo.rename_branch("main", "main")


def test_something_new_ends_redo(repo: Repository, place: Path) -> None:
    commit(repo, place, a="1")
    commit(repo, place, a="2")
    repo.undo()
    repo.create_tag("v1")
    with pytest.raises(errors.NothingToUndo):
        repo.redo()
    repo.undo()
    repo.redo()
    assert "v1" in repo.tags()


def test_what_others_do_to_their_branches_is_passed_over(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    agent = repo.vst("main").fork("agent")
    agent["b"] = "1"
    agent.commit()
    with Repository.open(place) as other:
        repo.undo()
        with repo.vst("agent") as vst:
            vst["b"] = "2"
        assert other.branches() == {"agent": repo.resolve("agent")}
        other.redo()
        assert other.branches()["main"] == first
        # But it can be undone by name.
        log = list(other.operations())
        theirs = next(each for each in log if each.changes_ref("heads/agent"))
        other.undo(theirs.id)
        assert repo.read("agent", "b") == b"1"
        # That was out of turn, so it is the last thing done here, and can be undone itself.
        assert other.undo().of.verb == "revert"
        assert repo.read("agent", "b") == b"2"


def test_a_branch_that_moved_since_is_left_alone(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    repo.create_branch("x", first)
    made = last(repo)
    with repo.vst("x") as vst:
        vst["a"] = "2"
    moved = last(repo)
    before = (repo.branches(), files(place))
    with pytest.raises(errors.BranchMoved) as caught:
        repo.undo()
    assert made.id[:12] in str(caught.value)
    assert moved.id[:12] in str(caught.value)
    assert caught.value.branch == "x"
    assert (repo.branches(), files(place)) == before


def test_disk_changed_since_by_another_operation_is_left_alone(
    repo: Repository, place: Path
) -> None:
    first = commit(repo, place, a="1")
    second = commit(repo, place, a="2")
    repo.restore(first)
    restored = last(repo)
    repo.restore(second)
    with pytest.raises(errors.BranchMoved, match="worktrees/main was changed since"):
        repo.undo(restored.id)
    assert files(place) == {"a": "2"}


def test_going_back_to_an_operation(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    repo.create_tag("v1")
    there = last(repo)
    second = commit(repo, place, a="2")
    repo.worktree.switch("x", create=True)
    third = commit(repo, place, a="3")
    repo.delete_tag("v1")
    repo.restore(second)
    write(place, a="mine")
    done = repo.restore_operation(there.id)
    assert repo.branches() == {"main": first}
    assert repo.tags() == {"v1": first}
    assert repo.worktree.head() == ("main", first)
    assert files(place) == {"a": "3"}, "what commits found on disk stays there"
    assert done.safety is not None
    assert repo.read(done.safety, "a") == b"mine"
    assert repo.restore_operation("@").operation is None
    repo.undo()
    assert repo.worktree.head() == ("x", third)
    assert repo.branches() == {"main": second, "x": third}
    assert files(place) == {"a": "mine"}


def test_names_of_operations(repo: Repository, place: Path) -> None:
    with pytest.raises(errors.UnknownOperation):
        repo.undo("@")
    for number in range(40):
        commit(repo, place, a=str(number))
    for bad in ("", "abc", "xyz1", "0" * 17, "main", "\udcff"):
        with pytest.raises(errors.UnknownOperation):
            repo.restore_operation(bad)


def test_an_ambiguous_prefix(
    repo: Repository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repo, place, a="1")
    commit(repo, place, a="2")
    monkeypatch.setattr("helios.repository.operation.PREFIX_DIGITS_MIN", 0)
    with pytest.raises(errors.AmbiguousOperation, match="2 operations"):
        repo.undo("")


def test_a_repository_in_memory_undoes_everything() -> None:
    repo = Repository.memory()
    with repo.vst("main") as vst:
        vst["a"] = "1"
    repo.create_branch("x", "main")
    repo.undo()
    repo.undo()
    assert repo.branches() == {}
    repo.redo()
    repo.redo()
    assert set(repo.branches()) == {"main", "x"}
    with pytest.raises(errors.NothingToUndo):
        repo.redo()


def test_an_older_log_can_be_read(place: Path) -> None:
    with Repository.init(place, actor="someone pid=x") as repo:
        commit(repo, place, a="1")
        operation = last(repo)
    assert operation.user == "someone pid=x"
    assert operation.process == os.getpid()


# Cut short

CRASH = """
import os, signal, sys
from helios import Repository
from helios.repository.worktree import Worktree
from helios._core import Engine

place, what, when = sys.argv[1:]
repo = Repository.open(place)
original = getattr(Worktree, when)

def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(Worktree, when, die)
if what == "undo":
    repo.undo()
elif what == "redo":
    repo.redo()
elif what == "rename":
    repo.rename_branch("main", "trunk")
else:
    repo.worktree.switch("x")
"""


def crash(place: Path, what: str, when: str) -> None:
    ended = subprocess.run([sys.executable, "-c", CRASH, str(place), what, when], check=False)
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["follow", "_forget_next"])
def test_killed_between_the_undo_and_the_note_of_it(
    repo: Repository, place: Path, when: str
) -> None:
    first = commit(repo, place, a="1")
    second = commit(repo, place, a="2")
    crash(place, "undo", when)
    assert repo.branches() == {"main": first}
    assert repo.worktree.head() == ("main", first)
    assert files(place) == {"a": "2"}
    third = commit(repo, place, a="3")
    assert repo.snapshot(third).parents == [first]
    assert not (place / ".helios" / "worktree" / "next").exists()
    repo.undo()
    crash(place, "undo", when)
    assert repo.branches() == {}
    assert repo.worktree.head() == ("main", None)
    with repo.worktree.turn():
        """What the killed one left is finished now, and not by the one that is killed next."""
    crash(place, "redo", when)
    assert repo.worktree.head() == ("main", first)
    assert second in {change.new for each in repo.operations() for change in each.changes}


def test_killed_before_the_operation_is_recorded(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    second = commit(repo, place, a="2")
    before = last(repo)
    # The note of where the worktree will be is there, and the operation is not.
    state = places.main_place(str(place / ".helios"))
    standing.write(state, "next", "main", first, before.id, None)
    assert repo.worktree.head() == ("main", second)
    third = commit(repo, place, a="3")
    assert repo.snapshot(third).parents == [second]
    assert not (place / ".helios" / "worktree" / "next").exists()


@pytest.mark.parametrize("when", ["follow", "_forget_next"])
def test_killed_between_a_rename_and_the_note_of_it(
    repo: Repository, place: Path, when: str
) -> None:
    first = commit(repo, place, a="1")
    crash(place, "rename", when)
    assert repo.branches() == {"trunk": first}
    assert repo.worktree.branch == "trunk"
    second = commit(repo, place, a="2")
    assert repo.branches() == {"trunk": second}


def test_killed_before_an_undo_has_brought_the_files(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    second = commit(repo, place, a="2")
    repo.create_branch("x", first)
    repo.restore(first)
    write(place, a="mine")
    crash(place, "undo", "bring")
    assert files(place) == {"a": "mine"}
    held = last(repo).changes[0]
    assert held.new == second
    assert repo.read(str(held.old), "a") == b"mine"
    repo.redo()
    assert files(place) == {"a": "mine"}
    # What the killed one was to bring never was there; it is not lost either.
    repo.restore("main")
    assert files(place) == {"a": "2"}


def test_killed_between_a_switch_and_the_note_of_it(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    repo.create_branch("x", first)
    second = commit(repo, place, a="2")
    crash(place, "switch", "follow")
    assert repo.worktree.head() == ("x", first)
    assert files(place) == {"a": "1"}
    repo.undo()
    assert repo.worktree.head() == ("main", second)
    assert files(place) == {"a": "2"}


# Side by side

UNDOER = """
import sys
from helios import Repository
repo = Repository.open(sys.argv[1])
for _ in range(int(sys.argv[2])):
    repo.undo()
"""

COMMITTER = """
import sys
from helios import Repository
repo = Repository.open(sys.argv[1])
for number in range(int(sys.argv[2])):
    with repo.vst("agent") as vst:
        vst["n"] = str(number)
"""


def test_two_processes_undo_each_operation_once(repo: Repository, place: Path) -> None:
    snapshots = [commit(repo, place, a=str(number)) for number in range(21)]
    agent = repo.vst("main").fork("agent")
    agent["n"] = "none"
    agent.commit()
    start: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen
    others = [
        start([sys.executable, "-c", UNDOER, str(place), "10"]),
        start([sys.executable, "-c", COMMITTER, str(place), "200"]),
    ]
    for _ in range(10):
        repo.undo()
    assert [other.wait() for other in others] == [0, 0]
    assert repo.branches()["main"] == snapshots[0]
    assert repo.worktree.head() == ("main", snapshots[0])
    assert repo.read("agent", "n") == b"199"


# Several worktrees


def test_each_worktree_undoes_its_own(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    beside = place.parent / "beside"
    repo.add_worktree(beside, "agent")
    with Repository.open(beside) as agent:
        with pytest.raises(errors.NothingToUndo):
            agent.undo()
        second = commit(agent, beside, a="2")
        agent.restore(first)
        third = commit(repo, place, a="3")
        agent.undo()
        assert files(beside)["a"] == "2"
        assert repo.branches() == {"agent": second, "main": third}
        repo.undo()
        agent.undo()
        assert repo.branches() == {"agent": first, "main": first}
        assert agent.worktree.head() == ("agent", first)
        agent.redo()
        assert repo.branches() == {"agent": second, "main": first}
        restored = next(each for each in repo.operations() if each.command.startswith("restore"))
        with pytest.raises(errors.Refused, match="undo it there"):
            repo.undo(restored.id)


def test_the_branch_of_another_worktree_is_not_undone_away(repo: Repository, place: Path) -> None:
    commit(repo, place, a="1")
    repo.create_branch("agent")
    made = last(repo)
    repo.add_worktree(place.parent / "beside", "agent")
    added = last(repo)
    before = repo.branches()
    with pytest.raises(errors.Refused, match="beside"):
        repo.undo(made.id)
    with pytest.raises(errors.Refused, match="undo it there"):
        repo.undo(added.id)
    with pytest.raises(errors.Refused, match="beside"):
        repo.rename_branch("agent", "x")
    with Repository.open(place.parent / "beside") as agent:
        with pytest.raises(errors.Refused, match="made this worktree"):
            agent.undo(added.id)
        with pytest.raises(errors.Refused, match="made this worktree"):
            agent.restore_operation(made.id)
    assert repo.branches() == before


def test_a_worktree_of_an_old_name_begins_anew(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    beside = place.parent / "beside"
    repo.add_worktree(beside, "agent")
    with Repository.open(beside) as agent:
        commit(agent, beside, a="2")
        agent.restore(first)
    repo.remove_worktree(beside)
    assert repo._engine.reference("worktrees/beside") is None
    kept = repo.branches()
    repo.add_worktree(beside, "agent")
    with Repository.open(beside) as agent, pytest.raises(errors.NothingToUndo):
        agent.undo()
    assert repo.branches() == kept


def test_a_switch_is_not_undone_onto_the_branch_of_another(repo: Repository, place: Path) -> None:
    commit(repo, place, a="1")
    repo.worktree.switch("x", create=True)
    repo.add_worktree(place.parent / "beside", "main")
    with pytest.raises(errors.Refused, match="beside"):
        repo.undo()
    assert repo.worktree.branch == "x"
    assert sorted(repo.branches()) == ["main", "x"]
    assert not (place / ".helios" / "worktree" / "next").exists()


def test_undo_passes_over_what_a_watch_has_seen(repo: Repository, place: Path) -> None:
    first = commit(repo, place, a="1")
    commit(repo, place, a="2")
    with repo.worktree.watch(settle_s=0.01) as watch:
        next(watch)
        write(place, a="3")
        seen = next(watch).snapshot
    repo.undo()
    assert repo.branches() == {"main": first, "watch/main": seen.id}

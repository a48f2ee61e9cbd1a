"""A merge by hand that is undone and redone is the merge that it was."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helios import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios.repository import Worktree

CLEAN, EDITED = "committed", "edited"
RULES = '[retention]\ngrace = "0s"\nkeep-last = 1\n'


@pytest.fixture(params=[CLEAN, EDITED])
def merging(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """Files with markers of a merge of `theirs`; what was on disk was committed before, or not."""
    with Repository.init(tmp_path) as repo:
        (tmp_path / "file").write_text("base\n")
        repo.worktree.commit("base")
        with repo.vst("main").fork("theirs") as vst:
            vst["file"] = "theirs\n"
        (tmp_path / "file").write_text("ours\n")
        if request.param == CLEAN:
            repo.worktree.commit("ours")
        assert repo.worktree.merge("theirs", markers=True).merge.conflicts
        assert repo.worktree.merging == repo.resolve("theirs")
        yield repo


def conclude(repo: Repository) -> list[str]:
    """Commits the resolved file; what the snapshot's parents are called."""
    place = Path(repo.worktree.root)
    (place / "file").write_text("resolved\n")
    theirs, ours = repo.resolve("theirs"), repo.resolve("main")
    parents = repo.worktree.commit("by hand").snapshot.parents
    return [{theirs: "theirs", ours: "ours"}.get(each, each) for each in parents]


def standing(repo: Repository) -> str | None:
    return repo.worktree.merging


def text(repo: Repository) -> str:
    return (Path(repo.worktree.root) / "file").read_text()


def test_a_redone_merge_is_concluded_with_both_parents(merging: Repository) -> None:
    marked = text(merging)
    merging.undo()
    assert (text(merging), merging.worktree.merging) == ("ours\n", None)
    merging.redo()
    assert text(merging) == marked
    assert conclude(merging) == ["ours", "theirs"]
    assert merging.worktree.merging is None
    assert merging.worktree.merge("theirs").merge.outcome == "up-to-date"


def test_an_undone_merge_is_no_merge(merging: Repository) -> None:
    merging.undo()
    assert conclude(merging) in (["ours"], [merging.resolve("main~1")])
    assert merging.worktree.merge("theirs").merge.outcome == "conflicts"


def test_undoing_what_concluded_it_is_in_the_middle_of_it_again(merging: Repository) -> None:
    assert conclude(merging) == ["ours", "theirs"]
    merging.undo()
    assert (text(merging), merging.worktree.merging) == ("resolved\n", merging.resolve("theirs"))
    merging.redo()
    assert merging.worktree.merging is None
    merging.undo()
    merging.undo()
    assert (text(merging), merging.worktree.merging) == ("ours\n", None)
    merging.redo()
    assert text(merging) == "resolved\n"
    assert conclude(merging) == ["ours", "theirs"]


def test_one_that_was_given_up_is_taken_up_again(merging: Repository) -> None:
    marked = text(merging)
    merging.restore("main")
    assert (text(merging), merging.worktree.merging) == ("ours\n", None)
    merging.undo()
    merging.undo()  # what the restore committed first
    assert text(merging) == marked
    assert conclude(merging) == ["ours", "theirs"]


def test_giving_it_up_needs_no_difference(merging: Repository) -> None:
    (Path(merging.worktree.root) / "file").write_text("ours\n")
    merging.restore("main")
    assert standing(merging) is None
    merging.undo()
    assert standing(merging) == merging.resolve("theirs")
    merging.worktree.switch("fresh", create=True)
    assert standing(merging) is None


def test_going_back_to_right_after_it_is_in_the_middle_of_it(merging: Repository) -> None:
    merge = next(merging.operations()).id
    assert conclude(merging) == ["ours", "theirs"]
    (Path(merging.worktree.root) / "file").write_text("later\n")
    merging.worktree.commit("later")
    merging.restore_operation(merge)
    assert conclude(merging) == ["ours", "theirs"]


def test_a_rename_of_the_branch_goes_on_with_it(merging: Repository) -> None:
    merging.rename_branch("main", "trunk")
    assert merging.worktree.merging == merging.resolve("theirs")
    merging.rename_branch("trunk", "main")
    assert conclude(merging) == ["ours", "theirs"]


def test_gc_keeps_what_an_undone_merge_merged(tmp_path: Path) -> None:
    with Repository.init(tmp_path) as repo:
        (tmp_path / "file").write_text("base\n")
        base = repo.worktree.commit("base").snapshot
        vst = repo.vst(base.id)
        vst["file"] = "theirs\n"
        theirs = vst.commit("on no branch").id
        (tmp_path / "file").write_text("ours\n")
        repo.worktree.commit("ours")
        repo.worktree.merge(theirs, markers=True)
        repo.undo()
        (tmp_path / ".helios" / "config").write_text(RULES)
        repo.gc()
        repo.redo()
        (tmp_path / "file").write_text("resolved\n")
        assert repo.worktree.commit("by hand").snapshot.parents[1] == theirs
        assert repo.read(theirs, "file") == b"theirs\n"


CRASH = """
import os, signal, sys
from helios import Repository
from helios.repository.worktree import Worktree

def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

place, what, when = sys.argv[1:]
repo = Repository.open(place)
setattr(Worktree, when, die)
if what == "merge":
    repo.worktree.merge("theirs", markers=True)
elif what == "commit":
    repo.worktree.commit("by hand")
else:
    getattr(repo, what)()
"""


def crash(worktree: Worktree, what: str, when: str) -> None:
    command = [sys.executable, "-c", CRASH, worktree.root, what, when]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["follow", "_forget_next"])
def test_killed_before_it_was_noted(merging: Repository, when: str) -> None:
    theirs = merging.resolve("theirs")
    crash(merging.worktree, "undo", when)
    assert standing(merging) is None
    with merging.worktree.turn():
        """What the killed one left is finished now, and not by the one that is killed next."""
    crash(merging.worktree, "redo", when)
    assert standing(merging) == theirs
    merging.undo()
    assert standing(merging) is None
    crash(merging.worktree, "merge", when)
    assert standing(merging) == theirs
    assert conclude(merging) == ["ours", "theirs"]


def test_killed_after_the_commit_that_concludes_it(merging: Repository) -> None:
    place = Path(merging.worktree.root)
    (place / "file").write_text("resolved\n")
    crash(merging.worktree, "commit", "follow")
    concluded = merging.snapshot("main")
    assert len(concluded.parents) == 2
    assert merging.worktree.merging is None
    (place / "file").write_text("later\n")
    assert merging.worktree.commit().snapshot.parents == [concluded.id]

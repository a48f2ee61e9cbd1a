"""Stock git pushes to Helios: every push is one operation of the log, whose losers are told."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from compat.git_client import Git, needs_git
from helios import Operation, Repository
from helios.errors import BranchMoved

pytestmark = needs_git

RACERS = 6
KILLS = int(os.environ.get("HELIOS_PUSH_KILLS", "50"))


def operations(server: Path) -> list[Operation]:
    with Repository.open(server) as repository:
        return list(repository.operations())


def commit_of(server: Path, revision: str) -> str:
    """The git commit that a snapshot came from."""
    with Repository.open(server) as repository:
        return repository.snapshot(revision).metadata["git-commit"].decode()


def clone(user: Git, url: str, directory: Path) -> Git:
    user.at(directory.parent).run("clone", "--quiet", url, str(directory))
    return user.at(directory)


def test_a_push_is_one_operation_whatever_it_moves(source: Git, url: str, server: Path) -> None:
    source.run("push", "--quiet", url, "main", "topic", "refs/tags/*")
    done = operations(server)
    assert len(done) == 1
    assert sorted(change.name for change in done[0].changes) == [
        "heads/main",
        "heads/topic",
        "tags/light",
        "tags/v1",
    ]
    assert (
        done[0].command == "git push refs/heads/main refs/heads/topic refs/tags/light refs/tags/v1"
    )
    assert commit_of(server, "main") == source.id("main")
    assert commit_of(server, "v1") == source.id("v1^{commit}")


@pytest.mark.usefixtures("pushed")
def test_the_history_is_there_at_once(server: Path) -> None:
    with Repository.open(server) as repository:
        log = list(repository.log("main"))
        assert len(log) == 5
        assert log[0].message.strip() == "merge topic"
        assert len(log[0].parents) == 2
        assert repository.read("main", "src/a.py") == b"a = 2\n"
        assert repository.read("topic~1", "src/a.py") == b"a = 1\n"


def test_an_undone_push_is_undone_for_git_too(pushed: Git, url: str, server: Path) -> None:
    before = pushed.id("main")
    after = pushed.commit("README", "two\n")
    pushed.run("push", "--quiet", "origin", "main")
    with Repository.open(server) as repository:
        repository.undo("@")
    assert commit_of(server, "main") == before
    assert before in pushed.run("ls-remote", url, "refs/heads/main")
    with Repository.open(server) as repository:
        repository.redo()
    assert after in pushed.run("ls-remote", url, "refs/heads/main")


def test_what_does_not_fast_forward_needs_force(pushed: Git, server: Path) -> None:
    old = pushed.id("main")
    pushed.run("commit", "--quiet", "--amend", "-m", "another")
    assert "non-fast-forward" in pushed.fail("push", "origin", "main")
    assert commit_of(server, "main") == old
    pushed.run("push", "--quiet", "--force", "origin", "main")
    assert commit_of(server, "main") == pushed.id("main")


def test_force_with_lease(pushed: Git, url: str, server: Path, tmp_path: Path) -> None:
    other = clone(pushed, url, tmp_path / "other")
    other.commit("README", "other\n")
    other.run("push", "--quiet", "origin", "main")
    pushed.run("commit", "--quiet", "--amend", "-m", "another")
    assert "stale info" in pushed.fail("push", "--force-with-lease", "origin", "main")
    assert commit_of(server, "main") == other.id("main")
    pushed.run("fetch", "--quiet")
    pushed.run("push", "--quiet", "--force-with-lease", "origin", "main")
    assert commit_of(server, "main") == pushed.id("main")


def test_atomic_pushes_move_all_or_nothing(
    pushed: Git, url: str, server: Path, tmp_path: Path
) -> None:
    other = clone(pushed, url, tmp_path / "other")
    other.commit("README", "other\n")
    other.run("push", "--quiet", "origin", "main")
    pushed.commit("README", "mine\n")
    pushed.run("branch", "--force", "topic", "main")
    before = operations(server)
    said = pushed.fail(
        "push", "--atomic", "--force-with-lease", "origin", "main", "topic", "main:new"
    )
    assert "stale info" in said
    assert operations(server) == before
    pushed.run("push", "--quiet", "--atomic", "--force", "origin", "main", "topic", "main:new")
    assert len(operations(server)) == len(before) + 1
    assert "--atomic" in operations(server)[0].command
    assert {commit_of(server, name) for name in ("main", "topic", "new")} == {pushed.id("main")}


def test_the_loser_of_an_atomic_push_is_found_at_the_server(
    pushed: Git, url: str, server: Path
) -> None:
    """Refs that cannot be there together are known to the server alone."""
    before = operations(server)
    said = pushed.fail(
        "push", "--atomic", url, "main:refs/heads/main/below", "main:refs/heads/fine"
    )
    assert "refs/heads/main" in said
    assert "atomic" in said
    assert operations(server) == before
    said = pushed.fail("push", url, "main:refs/heads/main/below", "main:refs/heads/fine")
    assert "[new branch]      main -> fine" in said
    assert "main -> main/below (" in said
    assert commit_of(server, "fine") == pushed.id("main")


def test_deleting_a_branch_and_a_tag(pushed: Git, url: str, server: Path) -> None:
    pushed.run("push", "--quiet", "origin", ":topic", ":refs/tags/light")
    with Repository.open(server) as repository:
        assert set(repository.branches()) == {"main"}
        assert set(repository.tags()) == {"v1"}
        # What it was is in the log, and comes back.
        repository.undo("@")
        assert set(repository.branches()) == {"main", "topic"}
    assert pushed.id("topic") in pushed.run("ls-remote", url, "refs/heads/topic")


def test_the_branch_of_a_worktree_is_not_deleted(pushed: Git, server: Path) -> None:
    said = pushed.fail("push", "origin", ":main")
    assert "a worktree, or HEAD, is on this branch" in said
    assert commit_of(server, "main") == pushed.id("main")


def test_the_branch_of_head_is_not_deleted_where_there_is_no_worktree(
    pushed: Git, tmp_path: Path
) -> None:
    root = tmp_path / "bare"
    Repository.init(root, bare=True).close()
    pushed.run("push", "--quiet", f"helios::{root}", "main", "topic")
    assert "HEAD" in pushed.fail("push", f"helios::{root}", ":main")
    pushed.run("push", "--quiet", f"helios::{root}", ":topic")
    assert commit_of(root, "main") == pushed.id("main")


def test_tags_move_by_force_alone(pushed: Git, server: Path) -> None:
    pushed.run("tag", "--force", "light", "main~2")
    assert "already exists" in pushed.fail("push", "origin", "light")
    pushed.run("push", "--quiet", "--force", "origin", "light")
    assert commit_of(server, "light") == pushed.id("main~2")


def test_tags_of_what_is_no_commit_stay_with_git(pushed: Git, url: str, server: Path) -> None:
    pushed.run("tag", "tree", "main^{tree}")
    pushed.run("tag", "-a", "-m", "a blob", "blob", "main:README")
    pushed.run("push", "--quiet", "origin", "--tags")
    listed = pushed.run("ls-remote", url)
    assert pushed.id("tree") in listed
    assert pushed.id("blob") in listed
    with Repository.open(server) as repository:
        assert set(repository.tags()) == {"light", "v1"}


def test_notes_and_other_refs(pushed: Git, url: str) -> None:
    pushed.run("notes", "add", "-m", "a note", "main")
    pushed.run("push", "--quiet", "origin", "refs/notes/*", "main:refs/pull/1/head")
    listed = pushed.run("ls-remote", url)
    assert f"{pushed.id('refs/notes/commits')}\trefs/notes/commits" in listed
    assert f"{pushed.id('main')}\trefs/pull/1/head" in listed
    pushed.run("push", "--quiet", "origin", ":refs/pull/1/head")
    assert "refs/pull/1/head" not in pushed.run("ls-remote", url)


def test_names_that_helios_does_not_take_are_kept_for_git(
    pushed: Git, url: str, server: Path
) -> None:
    long = "/".join(["x" * 60] * 5)
    pushed.run("push", "--quiet", "origin", f"main:refs/heads/{long}")
    assert long in pushed.run("ls-remote", url)
    with Repository.open(server) as repository:
        assert set(repository.branches()) == {"main", "topic"}


def test_push_options_go_into_the_log(pushed: Git, server: Path) -> None:
    pushed.commit("README", "two\n")
    pushed.run("push", "--quiet", "-o", "ci.skip", "-o", "reviewer=eve", "origin", "main")
    assert operations(server)[0].command == "git push -o ci.skip -o reviewer=eve refs/heads/main"


def test_a_dry_run_changes_nothing(pushed: Git, server: Path) -> None:
    before = operations(server)
    pushed.commit("README", "two\n")
    assert "main -> main" in pushed.ask("push", "--dry-run", "origin", "main").err
    assert operations(server) == before


def test_pushing_what_is_there_is_no_operation(pushed: Git, server: Path) -> None:
    before = operations(server)
    assert "up-to-date" in pushed.ask("push", "origin", "main").err
    assert operations(server) == before


def test_pushes_from_a_shallow_clone(pushed: Git, url: str, server: Path, tmp_path: Path) -> None:
    pushed.at(tmp_path).run("clone", "--quiet", "--depth=1", url, "shallow")
    shallow = pushed.at(tmp_path / "shallow")
    new = shallow.commit("README", "two\n")
    shallow.run("push", "--quiet", "origin", "main")
    assert commit_of(server, "main") == new
    with Repository.open(server) as repository:
        assert len(list(repository.log("main"))) == 6


def test_a_push_of_nothing_shared(pushed: Git, url: str, server: Path, tmp_path: Path) -> None:
    other = pushed.at(tmp_path / "other").init()
    other.commit("x", "x\n")
    assert "rejected" in other.fail("push", url, "main")
    other.run("push", "--quiet", url, "main:unrelated")
    assert commit_of(server, "unrelated") == other.id("main")


def test_the_hooks_of_the_user_do_not_stand_in_for_those_of_the_view(
    pushed: Git, server: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "no-hooks"
    empty.mkdir()
    pushed.run("config", "--global", "core.hooksPath", str(empty))
    new = pushed.commit("README", "two\n")
    pushed.run("push", "--quiet", "origin", "main")
    assert commit_of(server, "main") == new


# Beside Helios' own commits


def test_a_commit_in_helios_is_seen_by_the_next_push(pushed: Git, server: Path) -> None:
    with Repository.open(server) as repository, repository.vst("main") as vst:
        vst["native"] = "born here\n"
    pushed.commit("README", "two\n")
    assert "fetch first" in pushed.fail("push", "origin", "main")
    pushed.run("pull", "--quiet", "--rebase", "origin", "main")
    assert (pushed.directory / "native").read_text() == "born here\n"
    pushed.run("push", "--quiet", "origin", "main")
    with Repository.open(server) as repository:
        assert repository.read("main", "README") == b"two\n"
        assert repository.read("main", "native") == b"born here\n"
        assert len(list(repository.log("main"))) == 7


def test_a_worktree_that_follows_the_branch_loses_nothing(pushed: Git, server: Path) -> None:
    with Repository.open(server) as repository:
        repository.worktree.switch("main")
        assert (server / "src/a.py").read_text() == "a = 2\n"
        (server / "mine").write_text("not committed\n")
        pushed.commit("README", "two\n")
        pushed.run("push", "--quiet", "origin", "main")
        assert (server / "README").read_text() == "one\n"
        with pytest.raises(BranchMoved) as moved:
            repository.worktree.commit("mine")
        assert moved.value.snapshot is not None
        assert repository.read(moved.value.snapshot, "mine") == b"not committed\n"
        assert repository.read("main", "README") == b"two\n"
        assert (server / "mine").read_text() == "not committed\n"


# Races and deaths


def test_of_racing_pushes_one_wins_and_the_others_are_told(
    pushed: Git, url: str, server: Path, tmp_path: Path
) -> None:
    for turn in range(3):
        racers = [
            clone(pushed, url, tmp_path / f"racer-{turn}-{number}") for number in range(RACERS)
        ]
        commits = [git.commit(f"of-{number}", f"{turn}\n") for number, git in enumerate(racers)]
        before = commit_of(server, "main")
        running = [git.start("push", "origin", "main") for git in racers]
        results = [(each.communicate(timeout=120)[1], each.returncode) for each in running]
        won = [number for number, (_, code) in enumerate(results) if code == 0]
        assert len(won) == 1, results
        assert commit_of(server, "main") == commits[won[0]]
        assert commits[won[0]] in pushed.run("ls-remote", url, "refs/heads/main")
        for number, (said, _) in enumerate(results):
            assert number == won[0] or "rejected]" in said, said
        # It was moved once, from where it was.
        with Repository.open(server) as repository:
            (change,) = next(repository.operations()).changes
            assert change.old is not None
        assert commit_of(server, change.old) == before
        # The losers go on from there.
        for number, git in enumerate(racers):
            if number != won[0]:
                git.run("pull", "--quiet", "--rebase", "origin", "main")
                git.run("push", "--quiet", "origin", "main")
        with Repository.open(server) as repository:
            names = {entry.path for entry in repository.entries("main")}
            assert {f"of-{number}" for number in range(RACERS)} <= names


def test_a_killed_push_leaves_the_old_state_or_the_new_one(
    pushed: Git, url: str, server: Path, tmp_path: Path
) -> None:
    chance = random.Random(5)
    begun = time.monotonic()
    pushed.commit("README", "timed\n")
    pushed.run("push", "--quiet", "origin", "main")
    takes_s = time.monotonic() - begun
    seen = {"old": 0, "new": 0}
    for number in range(KILLS):
        old = commit_of(server, "main")
        new = pushed.commit("README", f"{number}\n")
        pushed.run("branch", "--force", "topic", "main")
        running = pushed.start("push", "--force", "origin", "main", "topic")
        time.sleep(chance.random() * takes_s)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        found = commit_of(server, "main")
        assert found in {old, new}
        # Both branches or none; and git is told the same.
        assert commit_of(server, "topic") == (new if found == new else commit_of(server, "topic"))
        listed = pushed.run("ls-remote", url)
        assert f"{found}\trefs/heads/main" in listed
        assert f"{commit_of(server, 'topic')}\trefs/heads/topic" in listed
        seen["new" if found == new else "old"] += 1
        # Nothing is in the way of the next one.
        pushed.run("push", "--quiet", "--force", "origin", "main", "topic")
        assert commit_of(server, "main") == commit_of(server, "topic") == new
    assert seen["old"]
    with Repository.open(server) as repository:
        assert repository.verify().clean
    copy = clone(pushed, url, tmp_path / "copy")
    copy.run("fsck", "--strict")

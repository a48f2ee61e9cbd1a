"""The `git` commands, with git repositories on this machine as the other side."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cli.conftest import Run
from compat.git_client import Git, needs_git
from helios.errors import GitFailed, GitNotFound, Refused, UnknownRevision, Usage

pytestmark = needs_git


@pytest.fixture
def elsewhere(tmp_path: Path, environment: Path) -> Git:
    """A bare git repository, and a user who has pushed to it."""
    Git(tmp_path / "elsewhere.git", environment).init("--bare")
    user = Git(tmp_path / "user", environment).init()
    user.commit("a", "one\n")
    user.commit("a", "two\n")
    user.run("remote", "add", "origin", str(tmp_path / "elsewhere.git"))
    user.run("push", "--quiet", "origin", "main")
    return user


@pytest.fixture
def there(elsewhere: Git) -> Git:
    return elsewhere.at(elsewhere.directory.parent / "elsewhere.git")


@pytest.fixture
def remote(run: Run, there: Git) -> Git:
    """The same as `origin` of a new Helios repository."""
    assert run("init").code == 0
    # A path is meant from where the command runs.
    assert run("git", "remote", "add", "origin", "../elsewhere.git").code == 0
    return there


def test_remotes_are_added_listed_and_forgotten(run: Run, remote: Git) -> None:
    url = str(remote.directory)
    assert run("git", "remote").out == f"origin\t{url}\n"
    assert run("git", "remote", "--json").json["remotes"] == [{"name": "origin", "url": url}]
    taken = run("git", "remote", "add", "origin", "elsewhere")
    assert (taken.code, "already" in taken.err) == (Usage.exit_code, True)
    assert run("git", "remote", "add", "-x", "y").code == Usage.exit_code
    assert run("git", "remote", "add", "bad..name", "y").code == Usage.exit_code
    assert run("git", "remote", "remove", "origin").code == 0
    assert run("git", "remote", "remove", "origin").code == Usage.exit_code
    assert run("git", "remote").out == ""


@pytest.mark.parametrize("words", [["add"], ["add", "x"], ["remove"], ["list", "x"], ["rename"]])
def test_malformed_remote_commands(run: Run, words: list[str]) -> None:
    run("init")
    assert run("git", "remote", *words).code == Usage.exit_code


@pytest.mark.usefixtures("remote")
def test_fetch_brings_snapshots_that_merge_takes(run: Run, elsewhere: Git, project: Path) -> None:
    elsewhere.run("tag", "v1")
    elsewhere.run("push", "--quiet", "origin", "v1")
    found = run("git", "fetch", "--json").json["fetched"]
    assert [(each["ref"], each["old"], each["new"]) for each in found] == [
        ("refs/remotes/origin/main", None, elsewhere.id("main")),
        ("refs/tags/v1", None, elsewhere.id("main")),
    ]
    assert run("cat", "v1:a").out == "two\n"
    assert run("branch", "main", found[0]["snapshot_id"]).code == 0
    assert run("switch", "main").code == 0
    assert (project / "a").read_text() == "two\n"
    assert run("git", "fetch").out == "Nothing is new\n"

    elsewhere.commit("b", "new\n")
    elsewhere.run("push", "--quiet", "origin", "main")
    line = run("git", "fetch", "origin", "main").out
    assert line.startswith("changed  ")
    assert line.endswith("  origin/main\n")
    # The branch is where it was, until somebody merges.
    assert not (project / "b").exists()
    assert run("merge", line.split()[1]).code == 0
    assert (project / "b").read_text() == "new\n"
    assert run("git", "status", "--json").json["branches"][0]["ahead"] == 0
    assert "the same" in run("git", "status").out


@pytest.mark.usefixtures("remote")
def test_fetch_prunes(run: Run, elsewhere: Git) -> None:
    elsewhere.run("push", "--quiet", "origin", "main:gone")
    run("git", "fetch")
    elsewhere.run("push", "--quiet", "origin", ":gone")
    assert run("git", "fetch").out == "Nothing is new\n"
    assert run("git", "fetch", "--prune").out == "gone                origin/gone\n"


@pytest.mark.usefixtures("remote")
def test_fetching_is_no_operation_unless_a_tag_came(run: Run, elsewhere: Git) -> None:
    run("git", "fetch")
    assert run("op", "log", "--json").json["operations"] == []
    elsewhere.run("tag", "v1")
    elsewhere.run("push", "--quiet", "origin", "v1")
    run("git", "fetch")
    (operation,) = run("op", "log", "--json").json["operations"]
    assert operation["command"] == "helios-cli git fetch"
    assert [each["ref"] for each in operation["changes"]] == ["tags/v1"]


def test_push_sends_the_branch_of_the_worktree(run: Run, remote: Git, project: Path) -> None:
    (project / "born").write_text("here\n")
    run("commit", "-m", "born here")
    said = run("git", "push")
    assert (said.code, said.out.split()[:2]) == (1, ["rejected", "refs/heads/main"])
    run("switch", "-c", "mine")
    assert run("git", "push", "--json").json["pushed"] == [
        {"ref": "refs/heads/mine", "outcome": "new", "detail": "[new branch]"}
    ]
    assert remote.run("show", "mine:born") == "here"
    assert run("git", "push").out.startswith("unchanged  refs/heads/mine")
    (project / "born").write_text("twice\n")
    run("commit", "-m", "again")
    assert run("git", "push", "--dry-run").out.startswith("moved")
    assert remote.run("show", "mine:born") == "here"
    assert run("git", "push", "origin", "mine:other", "mine").code == 0
    assert remote.id("mine") == remote.id("other")
    assert remote.run("log", "--format=%s", "mine").splitlines() == ["again", "born here"]


def test_push_with_force_lease_tags_and_deletion(
    run: Run, remote: Git, elsewhere: Git, project: Path
) -> None:
    (project / "born").write_text("here\n")
    run("commit", "-m", "born here")
    assert run("git", "push", "--force-with-lease").code == 1
    run("git", "fetch")
    assert run("git", "push", "--force-with-lease").out.startswith("forced")
    elsewhere.run("push", "--quiet", "--force", "origin", "main")
    assert run("git", "push", "--force").out.startswith("forced")
    run("tag", "v1")
    assert run("git", "push", "--tags").out.startswith("new        refs/tags/v1")
    assert run("git", "push", "origin", "--delete", "v1").out.startswith("deleted")
    assert "v1" not in remote.run("for-each-ref")
    assert run("git", "push", "--delete").code == Usage.exit_code


def test_a_remote_that_is_not_there_is_named(run: Run, remote: Git) -> None:
    os.rename(remote.directory, remote.directory.with_name("moved"))
    for command in ("fetch", "push"):
        run("commit", "--allow-empty")
        failed = run("git", command)
        assert failed.code == GitFailed.exit_code
        assert "elsewhere.git" in failed.err
        assert run("git", command, "nowhere").code == Usage.exit_code


def test_without_a_remote_the_way_out_is_told(run: Run) -> None:
    run("init")
    for words in (["fetch"], ["push"]):
        failed = run("git", *words)
        assert failed.code == Usage.exit_code
        assert "git remote add" in failed.err
    assert run("git", "status").code == Refused.exit_code


@pytest.mark.usefixtures("remote")
def test_status_counts_both_sides(run: Run, elsewhere: Git, project: Path) -> None:
    run("git", "fetch")
    run("branch", "main", remote_snapshot(run, elsewhere))
    run("switch", "main")
    (project / "mine").write_text("mine\n")
    run("commit", "-m", "mine")
    elsewhere.commit("theirs", "theirs\n")
    elsewhere.run("push", "--quiet", "origin", "main", "main:only-there")
    run("git", "fetch")
    run("branch", "only-here")
    assert run("git", "status").out.splitlines() == [
        "main        origin/main: 1 ahead, 1 behind; 2 paths differ",
        "only-here   origin/only-here: only here",
        "only-there  origin/only-there: only there",
    ]
    assert run("git", "status", "only-here").out == "only-here  origin/only-here: only here\n"
    assert run("git", "status", "nothing").code == UnknownRevision.exit_code


def remote_snapshot(run: Run, user: Git) -> str:
    """The snapshot of what was fetched as `origin/main`."""
    user.run("push", "--quiet", "origin", "main:again")
    (found,) = run("git", "fetch", "--json").json["fetched"]
    user.run("push", "--quiet", "origin", ":again")
    run("git", "fetch", "--prune")
    return str(found["snapshot_id"])


def test_imports_fetch_and_push_to_where_they_came_from(
    run: Run, there: Git, elsewhere: Git, tmp_path: Path
) -> None:
    here = tmp_path / "imported"
    assert run("git", "import", str(there.directory), str(here)).code == 0
    (here / "mine").write_text("mine\n")
    run("commit", "-m", "mine", directory=here)
    assert run("git", "push", directory=here).out.startswith("moved")
    assert run("git", "push", "origin", "main:other", directory=here).code == 0
    elsewhere.run("pull", "--quiet", "origin", "main")
    assert (elsewhere.directory / "mine").read_text() == "mine\n"
    elsewhere.commit("theirs", "theirs\n")
    elsewhere.run("push", "--quiet", "origin", "main")
    assert "origin/main" in run("git", "fetch", directory=here).out
    assert not (here / "theirs").exists()
    (standing, *_) = run("git", "status", "--json", directory=here).json["branches"]
    assert (standing["ahead"], standing["behind"]) == (0, 1)


def test_a_mirror_fetches_its_branches_and_can_push(
    run: Run, there: Git, elsewhere: Git, tmp_path: Path
) -> None:
    here = tmp_path / "mirror"
    assert run("git", "import", "--mirror", str(there.directory), str(here)).code == 0
    elsewhere.commit("theirs", "theirs\n")
    elsewhere.run("push", "--quiet", "origin", "main")
    assert "heads/main" in run("git", "fetch", directory=here).out
    assert run("cat", "main:theirs", directory=here).out == "theirs\n"
    assert run("git", "push", "origin", "main:copy", directory=here).code == 0
    assert there.id("copy") == there.id("main")


def test_beside_a_checkout(run: Run, project: Path, environment: Path) -> None:
    git = Git(project, environment).init()
    git.run("config", "--global", "user.name", "Ada")
    git.run("config", "--global", "user.email", "ada@example.org")
    git.commit("a", "one\n")
    made = run("init", "--git")
    assert made.code == 0
    assert git.run("status", "--porcelain") == ""
    (project / "a").write_text("two\n")
    run("commit", "-m", "two")
    assert "1 path differ" in run("git", "status").out
    said = run("git", "commit", "@", "-m", "in git")
    assert said.out.startswith("[git main ")
    assert git.run("log", "-1", "--format=%s") == "in git"
    assert git.run("status", "--porcelain") == ""
    assert "already" in run("git", "commit", "@").out
    assert run("git", "commit", "@", "--json").json["created"] is False
    assert run("git", "commit", "nothing").code == UnknownRevision.exit_code


def test_init_beside_nothing_makes_nothing(run: Run, project: Path) -> None:
    failed = run("init", "--git")
    assert (failed.code, "not the root" in failed.err) == (Refused.exit_code, True)
    assert list(project.iterdir()) == []


def test_setup_tells_what_git_finds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}:/usr/local/bin:/usr/bin:/bin")
    found = run("git", "setup", "--json")
    assert found.code == 0, found.json["problems"]
    assert found.json["helper"].endswith("git-remote-helios")
    assert found.json["submodules"] is False
    assert run("git", "setup", "--submodules", "--json").json["submodules"] is True
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    missing = run("git", "setup")
    assert missing.code == 1
    assert "not on PATH" in missing.err


@pytest.mark.usefixtures("remote")
def test_without_git_the_commands_say_so(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    for words in (["fetch"], ["push"], ["remote"], ["status"], ["commit", "@"]):
        (project / "a").write_text(words[0])
        assert run("commit").code == 0
        failed = run("git", *words)
        assert failed.code == GitNotFound.exit_code
        assert "apt-get install git" in failed.err
    assert run("init", "--git").code == GitNotFound.exit_code
    assert run("git", "setup").code == 1

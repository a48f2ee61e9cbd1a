"""Several worktrees on one repository: adding, listing, moving, removing, and what is refused."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import subprocess
from pathlib import Path
from time import sleep

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helios import Repository, Snapshot, errors
from helios.repository.place import find

pytestmark = pytest.mark.usefixtures("first")

IGNORED = "*.log\nnode_modules/\n.env\ntarget/\n__pycache__/\n/agents/\n"


@pytest.fixture
def first(repo: Repository, place: Path) -> Snapshot:
    """A committed main worktree, with ignored files."""
    (place / ".gitignore").write_text(IGNORED)
    (place / ".worktreeinclude").write_text("# what agents need\nnode_modules/\n.env\n!*.tmp\n")
    (place / "src").mkdir()
    (place / "src" / "a.py").write_text("one\n")
    (place / "run").write_text("#!/bin/sh\n")
    (place / "run").chmod(0o755)
    (place / "link").symlink_to("src/a.py")
    (place / "empty").mkdir()
    return repo.worktree.commit("first").snapshot


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """Where the agent of a test works."""
    return tmp_path / "agent"


def files(directory: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(parent, name), directory)
        for parent, _, names in os.walk(directory)
        for name in names
    }


def refused(repo: Repository, directory: Path, branch: str = "attempt") -> str:
    with pytest.raises(errors.Refused) as caught:
        repo.add_worktree(directory, branch)
    assert [each.name for each in repo.worktrees()] == ["main"]
    return str(caught.value)


# Adding


def test_a_worktree_has_the_files_of_its_branch_and_is_clean(
    repo: Repository, first: Snapshot, agent: Path
) -> None:
    added = repo.add_worktree(agent, "attempt")
    assert (added.branch, added.snapshot, added.created) == ("attempt", first.id, True)
    assert added.root == str(agent)
    assert added.warnings == []
    assert added.carried == 0
    assert (agent / "src/a.py").read_text() == "one\n"
    assert os.access(agent / "run", os.X_OK)
    assert (agent / "empty").is_dir()
    assert (agent / "link").readlink() == Path("src/a.py")
    with Repository.open(agent) as linked:
        assert linked.root == str(agent)
        assert linked.directory == repo.directory
        status = linked.worktree.status()
        assert (status.branch, status.base, len(status.diff)) == ("attempt", first.id, 0)
        assert linked.resolve("@") == first.id


def test_the_first_status_reads_no_file_again(repo: Repository, agent: Path) -> None:
    repo.add_worktree(agent, "attempt")
    # Who cannot read a file notices that somebody tries to.
    with Repository.open(agent) as linked:
        before = {path: os.stat(path).st_atime_ns for path in map(str, agent.rglob("*.py"))}
        index = Path(str(linked.directory), "worktrees", "agent", "index").read_bytes()
        linked.worktree.status()
        # Nothing had to be learned.
        assert Path(str(linked.directory), "worktrees", "agent", "index").read_bytes() == index
        assert {path: os.stat(path).st_atime_ns for path in before} == before


def test_each_worktree_commits_to_its_own_branch(
    repo: Repository, first: Snapshot, place: Path, agent: Path, tmp_path: Path
) -> None:
    repo.add_worktree(agent, "one")
    repo.add_worktree(tmp_path / "other", "two", first)
    (agent / "src/a.py").write_text("by one\n")
    (tmp_path / "other/src/a.py").write_text("by two\n")
    with Repository.discover(agent / "src") as one, Repository.open(tmp_path / "other") as two:
        mine = one.worktree.commit("mine").snapshot
        theirs = two.worktree.commit("theirs").snapshot
        assert mine.parents == theirs.parents == [first.id]
        assert repo.read("one", "src/a.py") == b"by one\n"
        assert repo.read("two", "src/a.py") == b"by two\n"
        assert repo.branches()["main"] == first.id
        assert (place / "src/a.py").read_text() == "one\n"
        # Restore, diff and switch work on the worktree that was opened.
        one.restore("two")
        assert (agent / "src/a.py").read_text() == "by two\n"
        assert len(one.worktree.diff("one")) == 1
        one.worktree.switch("third", create=True)
        assert {each.name: each.branch for each in repo.worktrees()} == {
            "main": "main",
            "agent": "third",
            "other": "two",
        }


def test_an_existing_branch_and_an_empty_directory_are_used(repo: Repository, agent: Path) -> None:
    vst = repo.vst("main").fork("attempt")
    vst["new"] = "new\n"
    snapshot = vst.commit()
    agent.mkdir()
    added = repo.add_worktree(agent, "attempt")
    assert (added.snapshot, added.created) == (snapshot.id, False)
    assert (agent / "new").read_text() == "new\n"
    with pytest.raises(errors.BranchExists):
        repo.add_worktree(agent.parent / "x", "attempt", "main")


def test_names_of_worktrees_are_free_and_harmless(repo: Repository, tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff caf\xe9\x01")
    for number, part in enumerate(["a/main", "b/x y", "c/x y", "d/..z", f"e/{odd}", "f/---"]):
        repo.add_worktree(tmp_path / part, f"b{number}")
        with Repository.open(tmp_path / part) as linked:
            assert len(linked.worktree.status().diff) == 0
    names = [each.name for each in repo.worktrees()]
    assert names == ["main", "caf", "main-2", "worktree", "x-y", "x-y-2", "z"]


def test_nothing_is_made_without_a_snapshot(tmp_path: Path, agent: Path) -> None:
    with Repository.init(tmp_path / "unborn") as repo:
        with pytest.raises(errors.UnknownRevision):
            repo.add_worktree(agent, "attempt")
        assert not agent.exists()
        assert repo.branches() == {}


@pytest.mark.parametrize("branch", ["", "a b", "-x", "a..b"])
def test_a_branch_that_cannot_be_is_refused(repo: Repository, agent: Path, branch: str) -> None:
    with pytest.raises(errors.InvalidName):
        repo.add_worktree(agent, branch)
    assert not agent.exists()


def test_a_directory_that_holds_something_is_refused(repo: Repository, agent: Path) -> None:
    agent.mkdir()
    (agent / "file").write_text("mine")
    with pytest.raises(errors.TargetNotEmpty):
        repo.add_worktree(agent, "attempt")
    with pytest.raises(errors.TargetNotEmpty):
        repo.add_worktree(agent / "file", "attempt")
    assert files(agent) == {"file"}
    assert list(repo.branches()) == ["main"]


def test_a_directory_in_another_worktree_is_refused_unless_it_is_ignored_there(
    repo: Repository, place: Path, agent: Path
) -> None:
    assert "does not ignore it" in refused(repo, place / "sub" / "x")
    assert "own directory" in refused(repo, place / ".helios" / "x")
    assert "own directory" in refused(repo, place / ".git" / "x")
    repo.add_worktree(place / "agents" / "one", "one")
    assert len(repo.worktree.status().diff) == 0
    repo.add_worktree(agent, "two")
    with pytest.raises(errors.Refused, match="does not ignore it"):
        repo.add_worktree(agent / "inner", "three")
    with (
        Repository.init(agent.parent / "elsewhere") as other,
        pytest.raises(errors.Refused, match="does not ignore it"),
    ):
        other.add_worktree(agent / "inner", "four")


def test_a_path_with_a_line_break_is_refused(repo: Repository, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidPath):
        repo.add_worktree(tmp_path / "a\nb", "attempt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_may_not_be_written_is_an_error(repo: Repository, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(errors.ReadOnlyRepository):
        repo.add_worktree(closed / "x", "attempt")
    assert list(repo.branches()) == ["main"]


def test_a_place_that_cannot_be_is_an_error_and_leaves_nothing(
    repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file" / "x", tmp_path / ("x" * 300)):
        with pytest.raises((errors.StorageError, errors.TargetNotEmpty)):
            repo.add_worktree(bad, "attempt")
    assert list(repo.branches()) == ["main"]
    assert os.listdir(f"{repo.directory}/worktrees") == ["turn"]


def test_two_worktrees_never_follow_one_branch(
    repo: Repository, agent: Path, tmp_path: Path
) -> None:
    assert str(repo.root) in refused(repo, agent, "main")
    repo.add_worktree(agent, "attempt")
    with pytest.raises(errors.Refused, match="is followed by"):
        repo.add_worktree(tmp_path / "other", "attempt")
    with pytest.raises(errors.Refused, match="is followed by"):
        repo.worktree.switch("attempt")
    with pytest.raises(errors.Refused, match="is on branch"):
        repo.delete_branch("attempt")
    with Repository.open(agent) as linked, pytest.raises(errors.Refused):
        linked.worktree.switch("main")
    repo.worktree.switch("main")


def _add(directory: str, root: str, branch: str) -> None:
    with Repository.at(directory) as repo:
        repo.add_worktree(root, branch)


def test_processes_add_worktrees_side_by_side(repo: Repository, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    adding = [
        context.Process(target=_add, args=(repo.directory, str(tmp_path / f"w{n}"), f"b{n}"))
        for n in range(4)
    ]
    for process in adding:
        process.start()
    for process in adding:
        process.join(120)
        assert process.exitcode == 0
    assert [each.missing for each in repo.worktrees()] == [False] * 5


# Ignored files that come along


def test_chosen_ignored_files_come_along_and_are_in_no_snapshot(
    repo: Repository, first: Snapshot, place: Path, agent: Path, canary: Path
) -> None:
    (place / "node_modules/pkg/bin").mkdir(parents=True)
    (place / "node_modules/pkg/index.js").write_text("js")
    (place / "node_modules/pkg/x.tmp").write_text("not this")
    (place / "node_modules/pkg/bin/outside").symlink_to(canary / "file")
    (place / "node_modules/away").symlink_to(canary)
    (place / "node_modules/hollow").mkdir()
    (place / "node_modules/tool").write_text("#!")
    (place / "node_modules/tool").chmod(0o750)
    (place / ".env").write_text("secret")
    (place / ".env").chmod(0o600)
    os.utime(place / ".env", (1_000_000, 1_000_000))
    (place / "debug.log").write_text("not chosen")
    added = repo.add_worktree(agent, "attempt")
    assert added.warnings == []
    assert added.carried == 5
    assert (agent / "node_modules/pkg/index.js").read_text() == "js"
    assert (agent / "node_modules/away").readlink() == canary
    assert (agent / "node_modules/pkg/bin/outside").readlink() == canary / "file"
    assert (agent / "node_modules/hollow").is_dir()
    assert (agent / "node_modules/tool").stat().st_mode & 0o777 == 0o750
    assert (agent / ".env").stat().st_mode & 0o777 == 0o600
    assert (agent / ".env").stat().st_mtime == 1_000_000
    assert not (agent / "debug.log").exists()
    assert not (agent / "node_modules/pkg/x.tmp").exists()
    with Repository.open(agent) as linked:
        assert linked.worktree.commit("nothing new").snapshot == first


def can_share(directory: Path) -> bool:
    """Whether the file system shares contents: XFS and btrfs do."""
    made = [directory / name for name in ("shared-from", "shared-to")]
    made[0].write_bytes(b"x" * 4096)
    command = ["cp", "--reflink=always", *map(str, made)]
    done = subprocess.run(command, check=False, capture_output=True)
    for path in made:
        path.unlink(missing_ok=True)
    return done.returncode == 0


def test_contents_are_shared_where_the_file_system_can_and_are_each_ones_own(
    repo: Repository, place: Path, agent: Path, tmp_path: Path
) -> None:
    large = random.Random(1).randbytes(3 << 20)
    (place / "large").write_bytes(large)
    (place / ".env").write_bytes(large)
    repo.worktree.commit("large")
    # Longer than a tick of the clock: the index vouches for no file that may have changed since.
    sleep(0.05)
    repo.worktree.commit("not racy")
    added = repo.add_worktree(agent, "attempt")
    # Five tracked files, and one that comes along.
    assert added.shared == (6 if can_share(tmp_path) else 0)
    for name in ("large", ".env"):
        assert (agent / name).read_bytes() == large
        with (agent / name).open("r+b") as file:
            file.write(b"written here")
        assert (place / name).read_bytes() == large
    with (place / "large").open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"written there")
    assert (agent / "large").read_bytes() == b"written here" + large[12:]
    with Repository.open(agent) as linked:
        assert [change.path for change in linked.worktree.status().diff.changed] == ["large"]
    assert [change.path for change in repo.worktree.status().diff.changed] == ["large"]


def test_what_the_branch_does_not_ignore_does_not_come_along(
    repo: Repository, place: Path, agent: Path
) -> None:
    (place / ".gitignore").write_text(IGNORED + "private/\n")
    (place / ".worktreeinclude").write_text("private/\n.env\n")
    (place / "private/deep").mkdir(parents=True)
    (place / "private/deep/key").write_text("secret")
    (place / ".env").write_text("fine")
    # The branch has neither of the two edits.
    added = repo.add_worktree(agent, "attempt")
    assert [warning.path for warning in added.warnings] == ["private/deep/key"]
    assert added.carried == 1
    assert (agent / ".env").exists()
    assert not (agent / "private").exists()
    with Repository.open(agent) as linked:
        assert len(linked.worktree.status().diff) == 0


def test_the_main_worktrees_own_excludes_hold_in_a_linked_one(
    repo: Repository, place: Path, agent: Path
) -> None:
    (place / ".git/info").mkdir(parents=True)
    (place / ".git/info/exclude").write_text("/secret\n")
    (place / "secret").write_text("s")
    (place / ".worktreeinclude").write_text("/secret\n")
    added = repo.add_worktree(agent, "attempt")
    assert added.carried == 1
    assert (agent / "secret").read_text() == "s"
    with Repository.open(agent) as linked:
        assert len(linked.worktree.status().diff) == 0


def test_a_file_of_the_branch_is_not_overwritten_by_one_that_comes_along(
    repo: Repository, place: Path, agent: Path
) -> None:
    with repo.vst("main").fork("attempt") as vst:
        vst[".env"] = "tracked\n"
        vst["node_modules"] = "a file\n"
    (place / ".env").write_text("ignored")
    (place / "node_modules").mkdir()
    (place / "node_modules/x").write_text("x")
    added = repo.add_worktree(agent, "attempt")
    assert (agent / ".env").read_text() == "tracked\n"
    assert (agent / "node_modules").read_text() == "a file\n"
    assert added.carried == 0
    assert {each.path for each in added.warnings} <= {
        "node_modules",
        "node_modules/x",
    }


def test_worktrees_inside_ignored_directories_do_not_come_along(
    repo: Repository, place: Path, agent: Path
) -> None:
    (place / ".worktreeinclude").write_text(".env\nagents/\n")
    repo.add_worktree(place / "agents/one", "one")
    (place / "agents/one/.env").write_text("its own")
    assert repo.add_worktree(agent, "two").carried == 0


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["a", "b/c", "b/d e"]), st.sampled_from(["x", "y.log", "z"])),
        st.binary(max_size=50),
        max_size=8,
    )
)
def test_whatever_comes_along_a_fresh_worktree_is_clean(
    tmp_path_factory: pytest.TempPathFactory, content: dict[tuple[str, str], bytes]
) -> None:
    base = tmp_path_factory.mktemp("any")
    with Repository.init(base / "work") as repo:
        (base / "work/.gitignore").write_text("*.log\nb/c/\n")
        (base / "work/.worktreeinclude").write_text("*\n")
        for (directory, name), data in content.items():
            (base / "work" / directory).mkdir(parents=True, exist_ok=True)
            (base / "work" / directory / name).write_bytes(data)
        repo.worktree.commit("first")
        repo.add_worktree(base / "agent", "attempt")
        assert files(base / "agent") - {".helios"} == {
            path for path in files(base / "work") if not path.startswith(".helios/")
        }
        with Repository.open(base / "agent") as linked:
            assert len(linked.worktree.status().diff) == 0


# Moving


def test_a_worktree_may_be_moved(repo: Repository, agent: Path, tmp_path: Path) -> None:
    repo.add_worktree(agent, "attempt")
    agent.rename(tmp_path / "moved")
    assert [each.missing for each in repo.worktrees()] == [False, True]
    with Repository.open(tmp_path / "moved") as linked:
        assert len(linked.worktree.status().diff) == 0
    found = repo.worktrees()[1]
    assert (found.root, found.missing) == (str(tmp_path / "moved"), False)


def test_a_repository_may_be_moved(
    repo: Repository, place: Path, agent: Path, tmp_path: Path
) -> None:
    repo.add_worktree(agent, "attempt")
    place.rename(tmp_path / "moved")
    with pytest.raises(errors.Refused, match="worktree list"):
        Repository.discover(agent / "src")
    with Repository.open(tmp_path / "moved") as moved:
        assert [each.missing for each in moved.worktrees()] == [False, False]
    with Repository.open(agent) as linked:
        assert linked.directory == str(tmp_path / "moved/.helios")


@pytest.mark.parametrize("opened", ["work", "agent"])
def test_both_may_be_moved_together(
    repo: Repository, agent: Path, tmp_path: Path, opened: str
) -> None:
    repo.add_worktree(agent, "attempt")
    new = tmp_path / "new"
    new.mkdir()
    for name in ("work", "agent"):
        (tmp_path / name).rename(new / name)
    with Repository.open(new / opened) as moved:
        assert moved.directory == str(new / "work/.helios")
        assert [(each.root, each.missing) for each in moved.worktrees()] == [
            (str(new / "work"), False),
            (str(new / "agent"), False),
        ]
    with Repository.open(new / "agent") as linked:
        assert len(linked.worktree.status().diff) == 0


def test_a_copy_of_a_worktree_is_none(repo: Repository, agent: Path, tmp_path: Path) -> None:
    repo.add_worktree(agent, "attempt")
    shutil.copytree(agent, tmp_path / "copy", symlinks=True)
    with pytest.raises(errors.Refused, match="is a copy of"):
        Repository.open(tmp_path / "copy")
    assert repo.worktrees()[1].root == str(agent)


def test_a_copy_of_a_repository_does_not_take_the_worktrees_over(
    repo: Repository, place: Path, agent: Path, tmp_path: Path
) -> None:
    repo.add_worktree(agent, "attempt")
    shutil.copytree(place, tmp_path / "copy", symlinks=True)
    with Repository.open(tmp_path / "copy") as copy:
        assert [each.missing for each in copy.worktrees()] == [False, True]
        with pytest.raises(errors.Refused):
            copy.add_worktree(tmp_path / "x", "attempt")
    with Repository.open(agent) as linked:
        assert linked.directory == repo.directory


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"gitdir: elsewhere\n",
        b"helios worktree ../../x\n/a\nb\n",
        b"helios worktree main\n/a\nb\n",
        b"helios worktree x\n/a\n",
        b"\xff" * 70000,
    ],
)
def test_a_file_that_names_no_repository_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".helios").write_bytes(content)
    with pytest.raises(errors.StorageError, match="names no repository"):
        Repository.discover(tmp_path)


def test_a_forgotten_worktree_is_told_so(repo: Repository, agent: Path) -> None:
    repo.add_worktree(agent, "attempt")
    with Repository.open(agent) as linked:
        shutil.rmtree(f"{repo.directory}/worktrees/agent")
        with pytest.raises(errors.Refused, match="has been removed"):
            linked.worktree.commit("too late")
    with pytest.raises(errors.Refused, match="any more"):
        Repository.open(agent)
    repo.prune_worktrees()
    assert os.listdir(f"{repo.directory}/worktrees") == ["turn"]


# Removing


def test_what_is_not_committed_is_committed_before_a_worktree_goes(
    repo: Repository, agent: Path
) -> None:
    repo.add_worktree(agent, "attempt")
    (agent / "src/a.py").write_text("work\n")
    removed = repo.remove_worktree(agent)
    assert not agent.exists()
    assert removed.safety is not None
    assert repo.branches()["attempt"] == removed.safety.id
    assert repo.read("attempt", "src/a.py") == b"work\n"
    assert [each.name for each in repo.worktrees()] == ["main"]
    assert repo.add_worktree(agent, "attempt").snapshot == removed.safety.id
    assert repo.remove_worktree(agent).safety is None
    assert sorted(path.name for path in agent.parent.iterdir()) == ["work"]


def test_ignored_files_are_not_lost_with_a_worktree(
    repo: Repository, place: Path, agent: Path
) -> None:
    (place / ".env").write_text("secret")
    (place / "node_modules").mkdir()
    (place / "node_modules/x").write_text("x")
    repo.add_worktree(agent, "attempt")
    (agent / "target").mkdir()
    tag = "Signature: 8a477f597d28d172789f06886806bc55\n"
    (agent / "target/CACHEDIR.TAG").write_text(tag)
    (agent / "target/built").write_text("can be made again")
    (agent / "__pycache__").mkdir()
    (agent / "__pycache__/a.pyc").write_text("can be made again")
    (agent / ".env").write_text("changed")
    (agent / "db.log").write_text("new")
    with pytest.raises(errors.Refused) as caught:
        repo.remove_worktree(agent)
    assert ".env, db.log;" in str(caught.value)
    assert (agent / ".env").read_text() == "changed"
    assert (agent / "target/built").exists()
    (agent / ".env").unlink()
    (agent / "db.log").unlink()
    repo.remove_worktree(agent)
    repo.add_worktree(agent, "attempt")
    (agent / "db.log").write_text("new")
    repo.remove_worktree(agent, force=True)
    assert not agent.exists()


def test_a_worktree_whose_branch_has_moved_is_not_removed(repo: Repository, agent: Path) -> None:
    repo.add_worktree(agent, "attempt")
    with repo.vst("attempt") as vst:
        vst["theirs"] = "theirs\n"
    (agent / "mine").write_text("mine\n")
    with pytest.raises(errors.BranchMoved) as caught:
        repo.remove_worktree(agent)
    assert (agent / "mine").exists()
    assert repo.read(str(caught.value.snapshot), "mine") == b"mine\n"


def test_what_is_no_linked_worktree_is_not_removed(
    repo: Repository, place: Path, agent: Path, tmp_path: Path
) -> None:
    with pytest.raises(errors.Refused, match="main worktree"):
        repo.remove_worktree(place)
    with pytest.raises(errors.PathNotFound):
        repo.remove_worktree(tmp_path)
    repo.add_worktree(agent, "attempt")
    with pytest.raises(errors.PathNotFound):
        repo.remove_worktree(agent / "src")
    (agent / ".gitignore").write_text("/inner/\n")
    repo.add_worktree(agent / "inner", "inner")
    with pytest.raises(errors.Refused, match="remove it first"):
        repo.remove_worktree(agent, force=True)
    assert (agent / "inner/src/a.py").exists()


def test_symlinks_in_a_removed_worktree_are_not_followed(
    repo: Repository, agent: Path, canary: Path
) -> None:
    repo.add_worktree(agent, "attempt")
    (agent / "away").symlink_to(canary)
    repo.remove_worktree(agent)
    assert (canary / "file").exists()


def test_missing_worktrees_are_forgotten_when_asked(
    repo: Repository, agent: Path, tmp_path: Path
) -> None:
    repo.add_worktree(agent, "one")
    repo.add_worktree(tmp_path / "two", "two")
    repo.add_worktree(tmp_path / "three", "three")
    shutil.rmtree(agent)
    shutil.rmtree(tmp_path / "two")
    assert repo.remove_worktree(agent).missing
    with pytest.raises(errors.Refused, match="worktree prune"):
        repo.worktree.switch("two")
    assert [each.name for each in repo.prune_worktrees()] == ["two"]
    assert [each.name for each in repo.worktrees()] == ["main", "three"]
    assert sorted(repo.branches()) == ["main", "one", "three", "two"]
    shutil.rmtree(tmp_path / "three")
    repo.add_worktree(tmp_path / "three", "three")


def test_a_repository_in_memory_has_no_worktrees() -> None:
    with Repository.memory() as repo:
        assert repo.worktrees() == []
        with pytest.raises(errors.Refused):
            repo.add_worktree("anywhere", "attempt")


def test_a_directory_of_no_worktree_is_none(tmp_path: Path) -> None:
    assert find(str(tmp_path)) is None

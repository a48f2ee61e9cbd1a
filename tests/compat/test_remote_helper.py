"""Stock git clones from Helios, and fetches, as from any other repository: every feature is
git's own, so each test is what a user would do, and compares with what git has."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from compat.git_client import Git, needs_git
from helios import Repository

pytestmark = needs_git

FORMATS = ("sha1", "sha256")
VERSIONS = ("0", "1", "2")


def clone(user: Git, url: str, directory: Path, *options: str) -> Git:
    user.run("clone", "--quiet", *options, url, str(directory))
    return user.at(directory)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clone_has_every_object_and_ref(
    version: str, pushed: Git, url: str, tmp_path: Path
) -> None:
    user = Git(tmp_path, pushed.home, f"protocol.version={version}")
    copy = clone(user, url, tmp_path / "copy")
    assert copy.references("refs/tags/") == pushed.references("refs/tags/")
    assert copy.id("origin/main") == copy.id("HEAD") == pushed.id("main")
    assert copy.id("origin/topic") == pushed.id("topic")
    assert copy.objects() == pushed.objects()
    copy.run("fsck", "--strict")
    assert (copy.directory / "src/a.py").read_text() == "a = 2\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_refs_are_listed(version: str, pushed: Git, url: str, tmp_path: Path) -> None:
    user = Git(tmp_path, pushed.home, f"protocol.version={version}")
    pairs = (line.split("\t") for line in user.run("ls-remote", url).splitlines())
    listed = {name: found for found, name in pairs}
    expected = pushed.references("refs/heads/", "refs/tags/")
    assert listed == expected | {
        "HEAD": pushed.id("main"),
        "refs/tags/v1^{}": pushed.id("main~1"),
    }


@pytest.mark.parametrize(
    ("version", "hello"), [("0", None), ("1", "version 1"), ("2", "version 2")]
)
def test_what_is_said_on_the_wire_is_of_that_version(
    version: str, hello: str | None, pushed: Git, url: str, tmp_path: Path
) -> None:
    user = Git(tmp_path, pushed.home, f"protocol.version={version}")
    user.variables["GIT_TRACE_PACKET"] = str(tmp_path / "packets")
    user.run("ls-remote", url)
    packets = (tmp_path / "packets").read_text().splitlines()
    received = [line.partition("ls-remote< ")[2] for line in packets if "ls-remote<" in line]
    if hello is None:
        assert received[0].split(" ")[1].startswith("HEAD")
    else:
        assert received[0] == hello


@pytest.mark.parametrize("form", ["helios::{}", "helios::{}/", "helios::{}/.helios"])
def test_paths_that_name_a_repository(form: str, pushed: Git, server: Path) -> None:
    assert pushed.id("main") in pushed.run("ls-remote", form.format(server), "refs/heads/main")


def test_file_urls(pushed: Git, server: Path, tmp_path: Path) -> None:
    spaced = tmp_path / "with space %41"
    shutil.copytree(server, spaced)
    quoted = str(spaced).replace("%", "%25").replace(" ", "%20")
    for url in (f"helios::file://{quoted}", f"helios::file://localhost{quoted}"):
        assert pushed.id("main") in pushed.run("ls-remote", url, "refs/heads/main")


def test_a_relative_path(pushed: Git, tmp_path: Path) -> None:
    user = pushed.at(tmp_path)
    assert pushed.id("main") in user.run("ls-remote", "helios::server", "refs/heads/main")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("helios::/no/such/directory", "not a Helios repository"),
        ("helios::{}/home", "not a Helios repository"),
        ("helios::https://example.org/x", "no repository of this machine"),
        ("helios::file://example.org/x", "no repository of this machine"),
    ],
)
def test_what_is_no_repository_is_named(url: str, said: str, home: Path, tmp_path: Path) -> None:
    user = Git(tmp_path, home)
    url = url.format(tmp_path)
    problem = user.fail("clone", url, "copy")
    assert said in problem
    assert url.removeprefix("helios::") in problem
    assert not (tmp_path / "copy").exists()


def test_fetch_and_pull_bring_what_is_new(pushed: Git, url: str, tmp_path: Path) -> None:
    copy = clone(pushed.at(tmp_path), url, tmp_path / "copy")
    new = pushed.commit("README", "two\n")
    pushed.run("tag", "v2")
    pushed.run("push", "--quiet", "origin", "main", "v2")
    copy.run("fetch", "--quiet")
    assert copy.id("origin/main") == copy.id("v2") == new
    assert copy.id("HEAD") != new
    copy.run("pull", "--quiet")
    assert copy.id("HEAD") == new
    assert (copy.directory / "README").read_text() == "two\n"
    assert copy.run("fetch") == ""


def test_fetch_prunes_what_was_deleted(pushed: Git, url: str, tmp_path: Path) -> None:
    copy = clone(pushed.at(tmp_path), url, tmp_path / "copy")
    pushed.run("push", "--quiet", "origin", ":topic")
    copy.run("fetch", "--quiet", "--prune")
    assert "refs/remotes/origin/topic" not in copy.references()


def test_a_mirror(pushed: Git, url: str, tmp_path: Path) -> None:
    pushed.run("notes", "add", "-m", "a note", "main")
    pushed.run("push", "--quiet", "origin", "refs/notes/*")
    copy = clone(pushed.at(tmp_path), url, tmp_path / "copy.git", "--mirror")
    local = {ref: each for ref, each in pushed.references().items() if "refs/remotes/" not in ref}
    assert copy.references() == local


@pytest.mark.parametrize("version", VERSIONS)
def test_shallow_clones_and_deepening(version: str, pushed: Git, url: str, tmp_path: Path) -> None:
    user = Git(tmp_path, pushed.home, f"protocol.version={version}")
    copy = clone(user, url, tmp_path / "copy", "--depth=1")
    assert copy.run("rev-list", "--count", "HEAD") == "1"
    copy.run("fetch", "--quiet", "--deepen=1")
    assert copy.run("rev-list", "--count", "HEAD") == "3"
    copy.run("fetch", "--quiet", "--unshallow")
    assert copy.run("rev-list", "HEAD") == pushed.run("rev-list", "main")


@pytest.mark.parametrize("limit", ["exclude=topic", "exclude=v1", "since=2001-01-01"])
def test_shallow_clones_end_where_git_has_them_end(
    limit: str, pushed: Git, url: str, tmp_path: Path
) -> None:
    user = pushed.at(tmp_path)
    copy = clone(user, url, tmp_path / "copy", f"--shallow-{limit}")
    plain = clone(user, f"file://{pushed.directory}", tmp_path / "plain", f"--shallow-{limit}")
    assert copy.run("rev-list", "HEAD") == plain.run("rev-list", "HEAD")


@pytest.mark.parametrize("filter", ["blob:none", "tree:0", "blob:limit=3"])
def test_partial_clones_fetch_what_they_lack(
    filter: str, pushed: Git, url: str, tmp_path: Path
) -> None:
    copy = clone(pushed.at(tmp_path), url, tmp_path / "copy", "--no-checkout", f"--filter={filter}")
    missing = copy.run("rev-list", "--objects", "--missing=print", "HEAD")
    assert "?" in missing
    assert copy.run("show", "HEAD~1:src/a.py") == "a = 2"
    copy.run("checkout", "--quiet", "main")
    assert (copy.directory / "README").read_text() == "one\n"


def test_a_single_commit_by_its_id(pushed: Git, url: str, tmp_path: Path) -> None:
    copy = pushed.at(tmp_path / "copy").init()
    wanted = pushed.id("main~1")
    copy.run("fetch", "--quiet", "--depth=1", url, wanted)
    assert copy.id("FETCH_HEAD") == wanted


def test_a_single_branch(pushed: Git, url: str, tmp_path: Path) -> None:
    copy = clone(
        pushed.at(tmp_path),
        url,
        tmp_path / "copy",
        "--single-branch",
        "--branch=topic",
        "--no-tags",
    )
    assert copy.id("HEAD") == pushed.id("topic")
    assert "refs/remotes/origin/main" not in copy.references()


def test_submodules(pushed: Git, url: str, tmp_path: Path) -> None:
    root = tmp_path / "outer-server"
    Repository.init(root).close()
    settings = "protocol.helios.allow=always"
    outer = Git(tmp_path / "outer", pushed.home, settings).init()
    outer.run("submodule", "--quiet", "add", url, "inner")
    outer.run("commit", "--quiet", "-m", "with a submodule")
    outer.run("push", "--quiet", f"helios::{root}", "main")
    copy = clone(outer.at(tmp_path), f"helios::{root}", tmp_path / "copy", "--recurse-submodules")
    assert (copy.directory / "inner/src/a.py").read_text() == "a = 2\n"
    with Repository.open(root) as repository:
        assert repository.entry("main", "inner").kind == "submodule"


def test_archives_of_the_remote(pushed: Git, url: str, tmp_path: Path) -> None:
    user = pushed.at(tmp_path)
    user.run("archive", f"--remote={url}", "--output=out.tar", "main", "src")
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert {each.name for each in archive if each.isfile()} == {"src/a.py", "src/b.py"}
        found = archive.extractfile("src/a.py")
        assert isinstance(found, io.BufferedReader)
        assert found.read() == b"a = 2\n"
    assert "archive" in user.fail("archive", f"--remote={url}", "no-such-branch")


def test_a_bundle_of_thousands_of_refs_goes_through(
    pushed: Git, url: str, server: Path, tmp_path: Path
) -> None:
    commit = pushed.id("main")
    feed = "".join(f"create refs/heads/many/{number:04} {commit}\n" for number in range(2000))
    feed += "".join(f"create refs/tags/t/{number:04} {commit}\n" for number in range(2000))
    pushed.run("update-ref", "--stdin", feed=feed)
    pushed.run("bundle", "create", "--quiet", str(tmp_path / "all.bundle"), "--all")
    other = clone(
        pushed.at(tmp_path), str(tmp_path / "all.bundle"), tmp_path / "other.git", "--mirror"
    )
    other.run("push", "--quiet", url, "refs/heads/*", "refs/tags/*")
    copy = clone(pushed.at(tmp_path), url, tmp_path / "copy.git", "--mirror")
    wanted = ("refs/heads/", "refs/tags/")
    assert copy.references(*wanted) == pushed.references(*wanted)
    with Repository.open(server) as repository:
        assert len(repository.branches()) == 2002
        assert len(repository.tags()) == 2002
        pushes = [each for each in repository.operations() if each.command.startswith("git push")]
        assert len(pushes[0].changes) == 4000


@pytest.mark.parametrize("object_format", FORMATS)
def test_the_first_push_chooses_the_object_format(
    object_format: str, server: Path, url: str, home: Path, tmp_path: Path
) -> None:
    git = Git(tmp_path / "source", home).init(f"--object-format={object_format}")
    git.commit("a", "1\n")
    git.run("push", "--quiet", url, "main")
    copy = clone(git.at(tmp_path), url, tmp_path / "copy")
    assert copy.run("rev-parse", "--show-object-format") == object_format
    assert copy.objects() == git.objects()
    with Repository.open(server) as repository:
        assert repository.read("main", "a") == b"1\n"


def test_an_empty_repository_can_be_cloned(url: str, home: Path, tmp_path: Path) -> None:
    copy = clone(Git(tmp_path, home), url, tmp_path / "copy")
    assert copy.references() == {}
    copy.commit("a", "1\n")
    copy.run("push", "--quiet", "-u", "origin", "main")
    assert copy.run("status", "-sb").splitlines()[0] == "## main...origin/main"


def test_snapshots_born_in_helios_are_cloned(
    url: str, server: Path, home: Path, tmp_path: Path
) -> None:
    with Repository.open(server, author="Ada <ada@example.org>") as repository:
        with repository.vst("main") as vst:
            vst["a/b.txt"] = "one\n"
            vst.write("run", b"#!/bin/sh\n", executable=True)
            vst.write("link", b"run", symlink=True)
        first = clone(Git(tmp_path, home), url, tmp_path / "first")
        with repository.vst("main") as vst:
            vst["a/b.txt"] = "two\n"
        repository.create_branch("other", "main~1")
    assert first.run("log", "--format=%an <%ae>") == "Ada <ada@example.org>"
    assert {line.split()[0] for line in first.run("ls-files", "--stage").splitlines()} == {
        "100644",
        "100755",
        "120000",
    }
    before = first.id("HEAD")
    first.run("pull", "--quiet")
    assert first.id("HEAD~1") == before == first.id("origin/other")
    assert (first.directory / "a/b.txt").read_text() == "two\n"
    first.run("fsck", "--strict")


def test_a_clone_begins_on_the_branch_of_the_worktree(
    pushed: Git, url: str, server: Path, tmp_path: Path
) -> None:
    with Repository.open(server) as repository:
        repository.worktree.switch("topic")
    copy = clone(pushed.at(tmp_path), url, tmp_path / "copy")
    assert copy.run("symbolic-ref", "HEAD") == "refs/heads/topic"
    assert (copy.directory / "src/b.py").read_text() == "b = 2\n"


def test_what_names_another_repository_in_the_environment_is_not_passed_on(
    pushed: Git, url: str, tmp_path: Path
) -> None:
    other = pushed.at(tmp_path / "other").init()
    other.commit("x", "x\n")
    other.variables |= {
        "GIT_DIR": str(other.directory / ".git"),
        "GIT_OBJECT_DIRECTORY": str(other.directory / ".git/objects"),
        "GIT_NAMESPACE": "elsewhere",
    }
    assert pushed.id("main") in other.run("ls-remote", url, "refs/heads/main")

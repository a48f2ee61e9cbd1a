"""A git repository made to do harm: it is stored and given back byte for byte, and nothing that
Helios writes to disk leaves the directory that it is to be in, or touches a `.git`."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

import pytest

from compat.git_client import Git, needs_git
from helios import Repository
from helios.git import import_repository

pytestmark = needs_git

FILE, LINK, DIRECTORY = b"100644", b"120000", b"40000"
EVIL = "evil"
GIT_LOOKALIKES = (b".git", b".GIT", b".Git ", b"git~1", ".g\u200cit".encode(), b".git::$INDEX")


class Forge:
    """Writes objects that git itself would not make."""

    def __init__(self, git: Git) -> None:
        self.git = git

    def write(self, kind: str, content: bytes) -> str:
        command = ("hash-object", "--literally", "-t", kind, "-w", "--stdin")
        return self.git.feed(content, *command)

    def blob(self, content: bytes = b"evil\n") -> str:
        return self.write("blob", content)

    def tree(self, *entries: tuple[bytes, bytes, str]) -> str:
        parts = (mode + b" " + name + b"\0" + bytes.fromhex(found) for mode, name, found in entries)
        return self.write("tree", b"".join(parts))

    def branch(self, name: str, tree: str, *parents: str) -> str:
        options = [word for parent in parents for word in ("-p", parent)]
        commit = self.git.run("commit-tree", tree, *options, "-m", name)
        self.git.run("update-ref", f"refs/heads/{name}", commit)
        return commit


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What the repository is after."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "precious").write_text("precious\n")
    return directory


@pytest.fixture
def evil(tmp_path: Path, home: Path, outside: Path) -> Git:
    git = Git(tmp_path / "evil", home).init("--bare")
    forge = Forge(git)
    blob, inner = forge.blob(), forge.tree((FILE, b"precious", forge.blob(b"overwritten\n")))
    hook = forge.tree((DIRECTORY, b"hooks", forge.tree((b"100755", b"post-checkout", blob))))
    link = forge.blob(bytes(outside))
    up = forge.blob(b"../outside")
    root = forge.branch("fine", forge.tree((FILE, b"a", blob)))
    forge.branch("traversal", forge.tree(
        (DIRECTORY, b"..", forge.tree((DIRECTORY, b"outside", inner))),
        (FILE, b"../outside/precious", blob),
        (FILE, bytes(outside / "precious"), blob),
        (FILE, b".", blob),
        (FILE, b"a", blob),
    ), root)  # fmt: skip
    forge.branch("dotgit", forge.tree(
        *((DIRECTORY, name, hook) for name in GIT_LOOKALIKES), (FILE, b"a", blob)
    ), root)  # fmt: skip
    forge.branch("link", forge.tree((FILE, b"a", blob), (LINK, b"d", link), (LINK, b"e", up)), root)
    forge.branch("through", forge.tree(
        (FILE, b"a", blob), (DIRECTORY, b"d", inner), (DIRECTORY, b"e", inner)
    ), root)  # fmt: skip
    forge.branch("both", forge.tree(
        (FILE, b"a", blob), (LINK, b"d", link), (DIRECTORY, b"d", inner)
    ), root)  # fmt: skip
    forge.branch("case", forge.tree(
        (FILE, b"README", blob), (FILE, b"a", blob),
        (LINK, b"Dir", link), (DIRECTORY, b"dir", inner),
        (FILE, b"readme", forge.blob(b"other\n")),
    ), root)  # fmt: skip
    return git


BRANCHES = ("traversal", "dotgit", "link", "through", "both", "case")


@pytest.fixture(params=["pushed", "imported"])
def taken(evil: Git, server: Path, url: str, request: pytest.FixtureRequest) -> Path:
    """The same, in Helios."""
    if request.param == "imported":
        rmtree(server)
        import_repository(evil.directory, server)
    else:
        evil.run("push", "--quiet", url, "refs/heads/*")
    return server


def contents(git: Git, ids: set[str]) -> str:
    return git.run("cat-file", "--batch", feed="".join(f"{each}\n" for each in sorted(ids)))


def all_objects(git: Git) -> set[str]:
    out = git.run("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    return set(out.split())


@pytest.mark.usefixtures("taken")
def test_it_is_given_back_byte_for_byte(evil: Git, url: str, tmp_path: Path) -> None:
    evil.at(tmp_path).run("clone", "--quiet", "--mirror", url, "copy.git")
    copy = evil.at(tmp_path / "copy.git")
    assert copy.references() == evil.references()
    assert contents(copy, all_objects(evil)) == contents(evil, all_objects(evil))


@pytest.mark.parametrize("branch", BRANCHES)
def test_materialized_nothing_leaves_the_directory(
    branch: str, taken: Path, tmp_path: Path, outside: Path
) -> None:
    out = tmp_path / "out" / "tree"
    with Repository.open(taken) as repository:
        repository.materialize(branch, out)
    check(out, outside)
    assert [each.name for each in out.parent.iterdir()] == ["tree"]


def test_a_worktree_goes_through_all_of_it_unharmed(taken: Path, outside: Path, home: Path) -> None:
    git = Git(taken, home).init()
    before = sorted(path for path in (taken / ".git").rglob("*"))
    with Repository.open(taken) as repository:
        repository.worktree.switch("fine")
        # From a link to what would be written through it, and back.
        for branch in ("link", "through", "both", "traversal", "dotgit", "case", "through", "link"):
            repository.worktree.switch(branch)
            check(taken, outside)
            assert (taken / "a").read_text() == "evil\n"
    assert sorted(path for path in (taken / ".git").rglob("*")) == before
    git.run("fsck")


def check(root: Path, outside: Path) -> None:
    """Nothing beside the root is touched, and no look-alike of `.git` was made."""
    assert [(each.name, each.read_text()) for each in outside.iterdir()] == [
        ("precious", "precious\n")
    ]
    names = {bytes(path.name, "utf-8", "surrogateescape") for path in root.iterdir()}
    assert not names & (set(GIT_LOOKALIKES) - {b".git"})
    assert not (root / ".git" / "hooks" / "post-checkout").exists()


def test_files_whose_names_differ_by_case_are_both_there(taken: Path, tmp_path: Path) -> None:
    with Repository.open(taken) as repository:
        assert repository.read("case", "README") == b"evil\n"
        assert repository.read("case", "readme") == b"other\n"
        repository.materialize("case", tmp_path / "out")
    if not (tmp_path / "OUT").exists():
        assert (tmp_path / "out/readme").read_text() == "other\n"
        assert (tmp_path / "out/README").read_text() == "evil\n"


def test_it_cannot_be_named_out_of_the_way(url: str, evil: Git, tmp_path: Path) -> None:
    """Names of refs that would be paths out of the view."""
    for name in ("refs/heads/../../../x", "refs/heads/a.lock", "refs/../config", "refs/heads/-x"):
        evil.ask("push", url, f"fine:{name}")
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "server" / "x").exists()
    listed = {line.split("\t")[1] for line in evil.run("ls-remote", url).splitlines()}
    assert not any(".." in name or name.endswith(".lock") for name in listed)

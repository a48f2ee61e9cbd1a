"""Random histories, as Helios and as git have them.

A tree is a dict from path to (mode, content) in git's modes. Every case has its own branches in one
repository of either, so that git is started a few times and not for each case. No file is both
moved and edited by one side: `git merge-tree` would follow it by its similarity.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from helios import Merge, Repository

FILE, EXECUTABLE, LINK = "100644", "100755", "120000"
NAMES = ("a", "b", "c", "d", "e")
DIRECTORIES = ("", "x/", "y/", "x/z/", "a/", "b/")
START_S = 1_600_000_000

Tree = dict[str, tuple[str, bytes]]
Stages = set[tuple[str, int]]


class Commit:
    def __init__(self, number: int, tree: Tree, parents: list[Commit]) -> None:
        self.number = number
        self.tree = tree
        self.parents = parents


class Case:
    """Two commits to merge, and all that they came from in order."""

    def __init__(self, number: int, seed: int) -> None:
        self.number = number
        self.random = random.Random(f"{seed} {number}")
        self.lines = 0
        self.commits: list[Commit] = []
        self.shape = self.random.choices(("fork", "criss-cross", "unrelated"), weights=(80, 17, 3))[
            0
        ]
        self.ours, self.theirs = self._grow()

    def _commit(self, tree: Tree, *parents: Commit) -> Commit:
        commit = Commit(len(self.commits), tree, list(parents))
        self.commits.append(commit)
        return commit

    def _grow(self) -> tuple[Commit, Commit]:
        if self.shape == "unrelated":
            return self._commit(self._first()), self._commit(self._first())
        root = self._commit(self._first())
        ours, theirs = self._after(root), self._after(root)
        if self.shape == "criss-cross":
            ours, theirs = (
                self._commit(self._either(ours.tree, theirs.tree), ours, theirs),
                self._commit(self._either(theirs.tree, ours.tree), theirs, ours),
            )
            ours, theirs = self._after(ours), self._after(theirs)
        return ours, theirs

    def _either(self, one: Tree, other: Tree) -> Tree:
        """A merge as a person might have made it: of each path one side's version."""
        merged = dict(one)
        for path, entry in other.items():
            if self.random.random() < 0.5:
                place(merged, path, entry)
        return merged

    def _after(self, commit: Commit) -> Commit:
        tree = dict(commit.tree)
        for _ in range(self.random.randint(1, 4)):
            self._edit(tree, commit.tree)
        return self._commit(tree, commit)

    def _first(self) -> Tree:
        tree: Tree = {}
        for _ in range(self.random.randint(2, 8)):
            place(tree, self._path(), self._entry())
        return tree

    def _path(self) -> str:
        return self.random.choice(DIRECTORIES) + self.random.choice(NAMES)

    def _line(self) -> bytes:
        self.lines += 1
        return b"line %d of %d\n" % (self.random.randrange(10_000), self.lines)

    def _entry(self) -> tuple[str, bytes]:
        kind = self.random.random()
        if kind < 0.08:
            return LINK, self.random.choice((b"a", b"b", b"x/a"))
        if kind < 0.14:
            return FILE, b"\x00%d" % self.random.randrange(4)
        if kind < 0.18:
            return FILE, b""
        text = b"".join(self._line() for _ in range(self.random.randint(1, 12)))
        return (EXECUTABLE if kind > 0.9 else FILE), text

    def _edit(self, tree: Tree, before: Tree) -> None:
        paths = sorted(tree)
        if not paths:
            place(tree, self._path(), self._entry())
            return
        path = self.random.choice(paths)
        mode, content = tree[path]
        # What was moved is not edited, nor the other way round: git would see how similar they are.
        is_old = before.get(path, ("", b""))[1] == content
        match self.random.randrange(12):
            case 0 | 1 | 2 | 3 if path in before:
                tree[path] = (mode, self._edited(content) if mode != LINK else b"elsewhere")
            case 4:
                del tree[path]
            case 5:
                place(tree, self._path(), self._entry())
            case 6 | 7 if is_old and self.shape == "fork":
                del tree[path]
                place(tree, self._path(), (mode, content))
            case 8 if mode != LINK:
                tree[path] = (FILE if mode == EXECUTABLE else EXECUTABLE, content)
            case 9:
                tree[path] = self._entry()
            case 10:
                # A file becomes a directory, or a directory a file.
                place(tree, f"{path}/{self.random.choice(NAMES)}", self._entry())
            case 11:
                folder = self.random.choice(DIRECTORIES[1:])
                place(tree, folder.rstrip("/"), self._entry())

    def _edited(self, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        at = self.random.randint(0, len(lines))
        match self.random.randrange(3):
            case 0:
                lines[at : at + 1] = [self._line()]
            case 1:
                lines[at:at] = [self._line()]
            case 2:
                del lines[at : at + 2]
        return b"".join(lines)


def place(tree: Tree, path: str, entry: tuple[str, bytes]) -> None:
    """Sets a path; what is in its way goes."""
    parts = path.split("/")
    above = {"/".join(parts[:count]) for count in range(1, len(parts))}
    for other in [each for each in tree if each in above or each.startswith(f"{path}/")]:
        del tree[other]
    tree[path] = entry


# Helios


def put(repository: Repository, case: Case) -> dict[int, str]:
    """Commits a case; the snapshots' ids by number of the commit."""
    ids: dict[int, str] = {}
    for commit in case.commits:
        parents = [ids[parent.number] for parent in commit.parents]
        if len(parents) == 2:
            vst = repository.merge(*parents).vst()
        elif parents:
            vst = repository.vst(parents[0])
        else:
            vst = repository._engine.vst_of_branch(f"case-{case.number}-{commit.number}")
        for path in vst.walk():
            if path not in commit.tree:
                vst.delete(path)
        for path, (mode, content) in commit.tree.items():
            vst.write(path, content, executable=mode == EXECUTABLE, symlink=mode == LINK)
        time_us = (START_S + commit.number) * 1_000_000
        snapshot = vst.commit(f"{commit.number}", allow_empty=True, time_us=time_us)
        assert len(snapshot.parents) == len(parents)
        ids[commit.number] = snapshot.id
    return ids


def tree_of(merge: Merge) -> Tree:
    modes = {"file": FILE, "executable": EXECUTABLE, "symlink": LINK}
    vst = merge.vst(markers=True)
    return {path: (modes[str(vst.kind(path))], vst.read(path)) for path in vst.walk()}


def stages_of(merge: Merge) -> Stages:
    """Conflicts as git's index would have them: path and stage."""
    stages: Stages = set()
    for conflict in merge.conflicts:
        base, ours, theirs = conflict.base, conflict.ours, conflict.theirs
        renamed = conflict.reason == "rename/rename"
        if conflict.reason == "rename/delete" and ours is not None and theirs is not None:
            # git has no more to say of it than that both have the path.
            base = None
        for stage, side in enumerate((base, ours, theirs), 1):
            if side is not None:
                stages.add((side.path if renamed else conflict.path, stage))
    return stages


# git


class Git:
    """A bare repository with all cases."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run("init", "--quiet", "--bare", ".")
        self._trees: dict[str, Tree] = {}

    def run(self, *arguments: str, feed: bytes = b"") -> bytes:
        done = subprocess.run(
            ["git", "-c", "merge.directoryRenames=false", *arguments],
            cwd=self.directory,
            input=feed,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/"},
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def put(self, cases: list[Case]) -> None:
        stream = bytearray()
        for case in cases:
            for commit in case.commits:
                name = f"case-{case.number}-{commit.number}".encode()
                stream += b"commit refs/heads/%s\n" % name
                stream += b"committer A <a@example.org> %d +0000\n" % (START_S + commit.number)
                stream += b"data 1\n.\n"
                for word, parent in zip((b"from", b"merge"), commit.parents, strict=False):
                    stream += b"%s refs/heads/case-%d-%d\n" % (word, case.number, parent.number)
                stream += b"deleteall\n"
                for path, (mode, content) in commit.tree.items():
                    stream += b"M %s inline %s\n" % (mode.encode(), path.encode())
                    stream += b"data %d\n%s\n" % (len(content), content)
        self.run("fast-import", "--quiet", feed=bytes(stream))

    def merge(self, cases: list[Case]) -> list[tuple[bool, str, Stages]]:
        """Of each case whether it is clean, the tree, and the stages of what conflicts."""
        wanted = "".join(
            f"case-{case.number}-{case.ours.number} case-{case.number}-{case.theirs.number}\n"
            for case in cases
        )
        said = self.run(
            *("merge-tree", "--write-tree", "--stdin", "--no-messages", "-z"),
            "--allow-unrelated-histories",
            feed=wanted.encode(),
        )
        fields = iter(said.decode().split("\0"))
        merged = []
        for _ in cases:
            clean, tree = next(fields) == "1", next(fields)
            stages: Stages = set()
            while field := next(fields):
                about, _, path = field.partition("\t")
                stages.add((path, int(about.split(" ")[2])))
            merged.append((clean, tree, stages))
        return merged

    def trees(self, ids: list[str]) -> list[Tree]:
        """Trees of files by path."""
        listed: list[dict[str, tuple[str, str]]] = []
        blobs: set[str] = set()
        for found in ids:
            entries = {}
            for line in self.run("ls-tree", "-r", "-z", found).decode().split("\0")[:-1]:
                about, _, path = line.partition("\t")
                mode, _, blob = about.split(" ")
                entries[path] = (mode, blob)
                blobs.add(blob)
            listed.append(entries)
        order = sorted(blobs)
        said = self.run("cat-file", "--batch", feed="".join(f"{each}\n" for each in order).encode())
        contents, at = {}, 0
        for blob in order:
            end = said.index(b"\n", at)
            size = int(said[at:end].split(b" ")[2])
            contents[blob] = said[end + 1 : end + 1 + size]
            at = end + size + 2
        return [
            {path: (mode, contents[blob]) for path, (mode, blob) in entries.items()}
            for entries in listed
        ]

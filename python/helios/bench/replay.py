"""Figures: the history of a real repository, replayed as the edits of an agent.

The last commits along first parents are taken. What each changed is applied three times: through
the Python API, on a directory that `helios-cli` commits, and on one that git commits. Then the
trees are compared: after every commit, that of the API with that of `helios-cli`, by id; and at the
beginning, in the middle and at the end, that of the API with the original, file by file, kind and
content, through the ids that git computes of blobs. git's own tree must have the original's id.

Submodules are left out and counted. The repository itself is only read.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

from helios import VST, Repository
from helios.bench.commands import NS_PER_MS
from helios.bench.figure import GIT, HELIOS, Figure, Measured, Unmeasurable
from helios.bench.latencies import Series
from helios.bench.workbench import Workbench

CLI = "helios-cli"
SUBMODULE = "160000"
SYMLINK = "120000"
EXECUTABLE = "100755"
# A worktree commits what its files are, and not what attributes would make of them.
ATTRIBUTES = "* -text -filter -ident -eol\n"


@dataclass(frozen=True)
class Entry:
    """A file as a commit has it; `id` is git's. No mode: it is not there."""

    path: str
    mode: str
    id: str


@dataclass(frozen=True)
class Replayed:
    """One commit of the original."""

    tree: str
    entries: list[Entry]


class History:
    """The history that is replayed, read by git."""

    def __init__(self, bench: Workbench, root: Path, commits: int) -> None:
        """Raises `Unmeasurable` if it is not there, or has too little history."""
        self._bench, self._root = bench, root
        try:
            listed = self._run("rev-list", "--first-parent", f"-n{commits + 1}", "HEAD")
        except (subprocess.CalledProcessError, OSError) as error:
            raise Unmeasurable(f"{root} is no git repository with history: {error}") from error
        self.ids = listed.decode().split()[::-1]
        if len(self.ids) < 2:
            raise Unmeasurable(f"{root}: its history has fewer than two commits")
        self.submodules = 0
        self._reader: subprocess.Popen[bytes] | None = None

    def _run(self, *command: str) -> bytes:
        return self._bench.programs.run(self._bench.programs.git(*command), self._root)

    def base(self) -> Replayed:
        """The tree before the first commit."""
        return Replayed(self.tree(self.ids[0]), self.listing(self.ids[0]))

    def tree(self, commit: str) -> str:
        """The id of a commit's tree."""
        return self._run("rev-parse", f"{commit}^{{tree}}").decode().strip()

    def listing(self, commit: str) -> list[Entry]:
        """All files of a commit."""
        found = []
        for line in self._run("ls-tree", "-r", "-z", commit).split(b"\0"):
            if line:
                about, _, path = line.partition(b"\t")
                mode, _, oid = about.decode().split()
                found.append(Entry(os.fsdecode(path), mode, oid))
        return self._without_submodules(found)

    def commits(self) -> Iterator[Replayed]:
        """What each commit changed."""
        for older, newer in zip(self.ids, self.ids[1:], strict=False):
            raw = self._run("diff-tree", "-r", "-z", "--no-renames", older, newer).split(b"\0")
            entries = []
            for about, path in zip(raw[::2], raw[1::2], strict=False):
                _, mode, _, oid, _ = about.decode().split()
                entries.append(Entry(os.fsdecode(path), "" if mode == "000000" else mode, oid))
            yield Replayed(self.tree(newer), self._without_submodules(entries))

    def _without_submodules(self, entries: list[Entry]) -> list[Entry]:
        kept = [entry for entry in entries if entry.mode != SUBMODULE]
        self.submodules += len(entries) - len(kept)
        return kept

    def content(self, oid: str) -> bytes:
        """A blob."""
        if self._reader is None:
            self._reader = self._bench.open.enter_context(
                subprocess.Popen(
                    self._bench.programs.git("cat-file", "--batch"),
                    cwd=self._root,
                    env=self._bench.programs.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
        assert self._reader.stdin is not None  # noqa: S101
        assert self._reader.stdout is not None  # noqa: S101
        self._reader.stdin.write(f"{oid}\n".encode())
        self._reader.stdin.flush()
        header = self._reader.stdout.readline().split()
        if len(header) != 3:
            raise Unmeasurable(f"{self._root}: git cannot read {oid}; is it a shallow clone?")
        return self._reader.stdout.read(int(header[2]) + 1)[:-1]


def _to_vst(vst: VST, entries: list[Entry], contents: dict[str, bytes]) -> None:
    # What goes makes room: a file may become a directory.
    for entry in entries:
        if not entry.mode and vst.exists(os.fsencode(entry.path)):
            vst.delete(os.fsencode(entry.path))
    for entry in entries:
        if entry.mode:
            vst.write(
                os.fsencode(entry.path),
                contents[entry.id],
                executable=entry.mode == EXECUTABLE,
                symlink=entry.mode == SYMLINK,
            )


def _to_disk(root: Path, entries: list[Entry], contents: dict[str, bytes]) -> None:
    for entry in entries:
        path = root / entry.path
        if not entry.mode and (path.is_symlink() or path.exists()):
            path.unlink()
            for above in path.parents:
                if above == root or any(above.iterdir()):
                    break
                above.rmdir()
    for entry in entries:
        if entry.mode:
            path = root / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or path.exists():
                path.unlink()
            if entry.mode == SYMLINK:
                os.symlink(contents[entry.id], os.fsencode(path))
            else:
                path.write_bytes(contents[entry.id])
                path.chmod(0o755 if entry.mode == EXECUTABLE else 0o644)


def blob_id(content: bytes) -> str:
    """The id that git gives a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


def compare(vst: VST, original: list[Entry]) -> None:
    """Raises `AssertionError` unless a tree is that of the original, file by file."""
    modes = {"file": "100644", "executable": EXECUTABLE, "symlink": SYMLINK}
    found = {}
    for entry in vst.entries(recursive=True):
        if entry.kind in modes:
            found[entry.path] = (modes[entry.kind], blob_id(vst.read(os.fsencode(entry.path))))
    # Modes that git no longer writes mean a plain file.
    known = set(modes.values())
    wanted = {e.path: (e.mode if e.mode in known else "100644", e.id) for e in original}
    if found != wanted:
        different = sorted(found.items() ^ wanted.items())
        raise AssertionError(f"the replayed tree is not the original: {different[:3]}")


class Stage:
    """The three places that a history is replayed in."""

    def __init__(self, bench: Workbench, base: Replayed, contents: dict[str, bytes]) -> None:
        """Commits the tree that the history begins with."""
        self._bench, programs = bench, bench.programs
        self.repository = Repository.init(bench.fresh("replay-api"), author="bench")
        bench.open.callback(self.repository.close)
        self.vst = self.repository.vst("main")
        _to_vst(self.vst, base.entries, contents)
        self.vst.commit("base")
        self.of_helios, self.of_git = bench.fresh("replay-cli"), bench.fresh("replay-git")
        self._commit = programs.helios_cli("commit", "-m", "edit", "--json")
        # Forced: what the original has is in its history, ignored or not.
        self._script = programs.git_script("add -A -f", "commit -q --allow-empty -m edit")
        for root in (self.of_helios, self.of_git):
            root.mkdir()
            _to_disk(root, base.entries, contents)
        programs.run(programs.git("init", "-q"), self.of_git)
        (self.of_git / ".git" / "info" / "attributes").write_text(ATTRIBUTES)
        programs.run(self._script, self.of_git)
        programs.run(programs.helios_cli("commit", "-m", "base"), self.of_helios)

    def replay(self, commit: Replayed, contents: dict[str, bytes]) -> dict[str, float]:
        """Milliseconds that each took for its commit; those of the API with its edits."""
        start = perf_counter_ns()
        _to_vst(self.vst, commit.entries, contents)
        snapshot = self.vst.commit("edit", allow_empty=True)
        taken = {HELIOS: (perf_counter_ns() - start) / NS_PER_MS}
        self.tree = snapshot.tree_id
        for root in (self.of_helios, self.of_git):
            _to_disk(root, commit.entries, contents)
        programs = self._bench.programs
        taken[CLI] = 1000 * programs.seconds(self._commit, self.of_helios)
        taken[GIT] = 1000 * programs.seconds(self._script, self.of_git)
        return taken

    def tree_of_worktree(self) -> str:
        """The tree that `helios-cli` has committed."""
        with Repository.open(self.of_helios) as repository:
            return repository.snapshot("main").tree_id

    def tree_of_git(self) -> str:
        """The tree that git has committed."""
        command = self._bench.programs.git("rev-parse", "HEAD^{tree}")
        return self._bench.programs.run(command, self.of_git).decode().strip()


def replayed(bench: Workbench) -> Measured:
    """The time of one commit of the history, its edits through the API included."""
    if bench.replay is None:
        raise Unmeasurable("no repository was given; --replay names one")
    history = History(bench, bench.replay, bench.sizes.replayed)
    base = history.base()
    bench.say(f"  reading {len(base.entries)} files of {bench.replay}")
    contents = {entry.id: history.content(entry.id) for entry in base.entries}
    stage = Stage(bench, base, contents)
    compare(stage.vst, base.entries)
    samples: dict[str, Series] = {HELIOS: [[]], CLI: [[]], GIT: [[]]}
    checks = {(len(history.ids) - 1) // 2, len(history.ids) - 1}
    ignored = edited = 0
    for number, commit in enumerate(history.commits(), 1):
        fresh = {e.id for e in commit.entries if e.mode} - contents.keys()
        contents |= {oid: history.content(oid) for oid in sorted(fresh)}
        for name, value in stage.replay(commit, contents).items():
            samples[name][0].append(value)
        edited += len(commit.entries)
        ignored += stage.tree_of_worktree() != stage.tree
        if number in checks:
            original = history.listing(history.ids[number])
            compare(stage.vst, original)
            if not history.submodules and stage.tree_of_git() != commit.tree:
                raise AssertionError(f"git's tree is not the original's {commit.tree}")
    if ignored:
        _only_ignored(stage)
    bench.record("replayed tree", stage.tree)
    notes = [
        f"{len(history.ids) - 1} commits of {bench.replay.name}, {edited} files changed",
        f"the last tree has {len(history.listing(history.ids[-1]))} files",
        "trees equal byte for byte: at the beginning, in the middle, at the end",
    ]
    if ignored:
        notes.append(
            f"after {ignored} commits the worktree had files that its .gitignore excludes: the "
            "original has them, helios-cli leaves them out; all others are equal"
        )
    if history.submodules:
        notes.append(f"{history.submodules} entries of submodules were left out")
    return Measured.of("p50", samples, tuple(notes))


def _only_ignored(stage: Stage) -> None:
    """Raises `AssertionError` if the worktree's commit lacks more than ignored files."""
    with Repository.open(stage.of_helios) as repository:
        vst = repository.vst("main")
        ours = {path: vst.read(os.fsencode(path)) for path in vst.walk()}
        theirs = {path: stage.vst.read(os.fsencode(path)) for path in stage.vst.walk()}
        lacking = theirs.keys() - ours.keys()
        wrong = [path for path, content in ours.items() if theirs.get(path) != content]
        wrong += [path for path in lacking if not repository.worktree.ignores(path)]
    if wrong:
        raise AssertionError(f"helios-cli has committed another tree: {sorted(wrong)[:3]}")


FIGURES = (Figure("replayed commit", "ms", replayed),)

"""The peer `git`: the command line, one process for each command, as agents use it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from helios.bench.corpus import edit_files, write_files
from helios.bench.figure import GIT
from helios.bench.peers.peer import Changes, Peer
from helios.bench.workbench import Workbench


class Git(Peer):
    """A worktree. A commit is `git add -A && git commit`; reads are answered by one `cat-file`."""

    name = GIT

    def __init__(self, bench: Workbench) -> None:
        """Raises `Unmeasurable` if git is not installed."""
        self._bench = bench
        self._git = bench.programs.git
        self._script = bench.programs.git_script("add -A", "commit -q -m edit")
        self._root = bench.directory
        self._reader: subprocess.Popen[bytes] | None = None

    def load(self, contents: Changes) -> None:
        self._stop_reader()
        self._root = self._bench.fresh("peer-git")
        write_files(self._root, contents)
        script = self._bench.programs.git_script("init -q", "add -A", "commit -q -m base", "gc -q")
        self._bench.programs.run(script, self._root)

    def prepare(self, changes: Changes) -> None:
        edit_files(self._root, changes)

    def commit(self, changes: Changes) -> None:
        del changes
        self._bench.programs.run(self._script, self._root)

    def contents(self) -> Changes:
        return self._bench.programs.files_of(self._root, "main")

    @property
    def place(self) -> Path | None:
        return self._root

    def branch(self, name: str) -> None:
        self._bench.programs.run(self._git("branch", name, "main"), self._root)

    def branches(self) -> set[str]:
        form = "--format=%(refname:short)"
        listed = self._bench.programs.run(self._git("for-each-ref", form, "refs/heads"), self._root)
        return set(listed.decode().split())

    def read(self, path: str) -> bytes:
        reader = self._reader or self._start_reader()
        assert reader.stdin is not None  # noqa: S101
        assert reader.stdout is not None  # noqa: S101
        reader.stdin.write(f"main:{path}\n".encode())
        reader.stdin.flush()
        size = int(reader.stdout.readline().split()[2])
        return reader.stdout.read(size + 1)[:-1]

    def diff(self) -> list[str]:
        command = self._git("diff-tree", "-r", "-z", "--name-only", "main~1", "main")
        listed = self._bench.programs.run(command, self._root).decode()
        return [path for path in listed.split("\0") if path]

    def _start_reader(self) -> subprocess.Popen[bytes]:
        self._reader = subprocess.Popen(
            self._git("cat-file", "--batch"),
            cwd=self._root,
            env=self._bench.programs.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self._reader

    def _stop_reader(self) -> None:
        if self._reader is not None:
            with self._reader:
                self._reader.terminate()
            self._reader = None

    def __exit__(self, *_: object) -> None:
        self._stop_reader()

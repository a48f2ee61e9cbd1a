"""The peer `fast-import`: one `git fast-import` that takes commit after commit from a pipe.

A commit is done when the program answers a `progress` behind it. It keeps no index and looks at no
file on disk; what it has written becomes a pack, and visible to others, when it ends.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from helios.bench.committer import TIME_US
from helios.bench.peers.peer import Changes, Peer
from helios.bench.stream import commit_of
from helios.bench.workbench import Workbench

DONE = b"progress done\n"


class FastImport(Peer):
    """A bare repository."""

    name = "fast-import"

    def __init__(self, bench: Workbench) -> None:
        """Raises `Unmeasurable` if git is not installed."""
        self._bench = bench
        options = ("-c", "fastimport.unpackLimit=1", "fast-import", "--quiet")
        self._command = bench.programs.git(*options)
        self._root = bench.directory
        self._process: subprocess.Popen[bytes] | None = None
        self._commits = 0
        self.piped_bytes = 0
        """What went through pipes, which the system counts as written too."""

    def load(self, contents: Changes) -> None:
        self.finish()
        self._root = self._bench.fresh("peer-fast-import")
        self._root.mkdir()
        programs = self._bench.programs
        programs.run(programs.git("init", "-q", "--bare"), self._root)
        self._start()
        self.commit(contents)

    def prepare(self, changes: Changes) -> None:
        pass

    def commit(self, changes: Changes) -> None:
        process = self._process or self._start()
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        self._commits += 1
        said = commit_of(changes, TIME_US // 1_000_000 + self._commits) + DONE
        process.stdin.write(said)
        process.stdin.flush()
        self.piped_bytes += len(said) + len(DONE)
        if process.stdout.readline() != DONE:
            raise OSError("git fast-import did not take a commit")

    def contents(self) -> Changes:
        self.finish()
        return self._bench.programs.files_of(self._root, "main")

    @property
    def place(self) -> Path | None:
        return self._root

    def _start(self) -> subprocess.Popen[bytes]:
        again = self._process is None and self._commits > 0
        self._process = subprocess.Popen(
            self._command,
            cwd=self._root,
            env=self._bench.programs.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if again and self._process.stdin is not None:
            self._process.stdin.write(b"reset refs/heads/main\nfrom refs/heads/main^0\n\n")
        return self._process

    def finish(self) -> None:
        """Ends the program, which writes its pack."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def __exit__(self, *_: object) -> None:
        self.finish()
